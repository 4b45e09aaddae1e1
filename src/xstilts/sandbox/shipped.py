"""Shipped: the sandbox's encoder, which comes with the package, and the recipe that makes it again from nothing.

Masked-LM over sentences, stories and translations in all six languages, and for a quarter of the steps translation
ranking over the parallel lines, of which distant languages have fewer. `xstilts sandbox pretrain` does it in about
half an hour on two cores.
"""

from __future__ import annotations

from xstilts.data import read
from xstilts.pretrain import Shape, pretrain
from xstilts.recipe import Recipe
from xstilts.sandbox.languages import CODES, ENGLISH_LIKE
from xstilts.stage import Stage
from xstilts.task import task

SHAPE = Shape(width=64, layers=4, heads=4, positions=128, vocabulary=2500, dropout=0.0)
RECIPE = Recipe(3e-3, batch_size=64, steps=9000, max_length=96, warmup=0.02, weight_decay=0.01, sampling="0.75,0.25")
SEED = 1


def promise(recipe: Recipe = RECIPE) -> Stage:
    """Promise the encoder, made from nothing."""
    texts = tuple(read(task("sandbox_text").data("train", code, None)) for code in CODES)
    others = [code for code in CODES if code != ENGLISH_LIKE.code]
    pairs = tuple(read(task("sandbox_parallel").data("train", code, None)) for code in others)
    return pretrain(texts, pairs, SHAPE, recipe, SEED)
