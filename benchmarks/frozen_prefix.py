"""Train the top quarter of an encoder's layers for ten epochs: frozen layers once a sequence, against every epoch.

An encoder of XLM-R's shape with random weights learns to tag random sentences of about PAN-X's lengths, in this
package's own loop: `stored` keeps what the frozen layers give, `naive` runs them in every step, `full` trains all
layers. All take the same batches; computing and writing the states counts. Each round has a store that is empty. Both
sides that freeze end in the same loss, up to rounding.

    python benchmarks/frozen_prefix.py --examples 640 --rounds 3 --full
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import sides
from learning import Course, fresh, take
from sides import TOKENS, texts

from xstilts.models.batch import ModelInput
from xstilts.runtime.machine import Runtime
from xstilts.training.recipe import Recipe

TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
MEAN, SPREAD = 14, 0.5


def main() -> None:
    """Tell seconds a training, how many times as fast stored states make it, and the losses it ends in."""
    asked = options()
    shown = units(asked)
    small = argparse.Namespace(**vars(asked) | {"layers": 4, "width": 64, "epochs": 1})
    losses: dict[str, float] = {}
    trained(small, "full", shown[: asked.batch], {}, 0)
    names = ("stored", "naive", "full") if asked.full else ("stored", "naive")
    seconds = sides.in_turn({name: partial(trained, asked, name, shown, losses) for name in names}, asked.rounds)
    found: sides.Figures = {f"{side}_seconds": taken for side, taken in seconds.items()}
    found |= {f"times_as_fast_as_{side}": sides.ratios(seconds[side], seconds["stored"]) for side in names[1:]}
    found["difference_of_last_losses"] = abs(losses["stored"] - losses["naive"])
    sides.tell(found, asked.json)


def options() -> argparse.Namespace:
    """Return the options of the command line; by default of XLM-R base."""
    parser, quick = sides.options(__doc__.splitlines()[0], examples=8, epochs=2, rounds=1, batch=4, layers=2)
    parser.add_argument("--examples", type=int, default=640)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--full", action="store_true", help="train all layers too")
    return sides.asked(parser, quick)


def units(asked: argparse.Namespace) -> list[ModelInput]:
    """Return sentences of random pieces, each piece with a random tag."""
    random = np.random.default_rng(0)
    lengths = random.lognormal(np.log(MEAN) - SPREAD**2 / 2, SPREAD, asked.examples).astype(int).clip(3, 126)
    found = []
    for number, text in enumerate(texts(lengths, asked.pieces, random)):
        target = np.array([-100, *random.integers(len(TAGS), size=len(text)), -100], dtype=np.int32)
        found.append(ModelInput(number, (TOKENS.sequence(text),), target))
    return found


def trained(
    asked: argparse.Namespace, side: str, shown: list[ModelInput], losses: dict[str, float], number: int
) -> float:
    """Return the seconds of a training; note its last loss."""
    network = fresh(asked, "token_classification", len(TAGS), 0)
    part = "all" if side == "full" else f"top:{max(1, asked.layers // 4)}"
    steps = max(1, len(shown) * asked.epochs // asked.batch)
    recipe = Recipe(batch_size=asked.batch, steps=steps, trainable=part)
    with tempfile.TemporaryDirectory() as store:
        machine = Runtime(Path(store), device=asked.device, prefix_gib=1e3)
        taken = take(network, Course("token_classification", TAGS, shown, recipe, machine, stored=side == "stored"))
    losses[side] = taken.losses[-1]
    return taken.seconds


if __name__ == "__main__":
    main()
