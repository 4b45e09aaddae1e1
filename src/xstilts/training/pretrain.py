"""Pretrain: phase one, for whoever has no public encoder for their languages, and for the sandbox.

A tokenizer is learned from the texts, an XLM-R-shaped encoder begins with random weights, and the loop of every phase
teaches it masked-LM, and where there are parallel lines also to find a translation (in-batch ranking). The result is
an ordinary XLM-R folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from xstilts.data import examples
from xstilts.data.dataset import EXAMPLES, read
from xstilts.errors import InputError
from xstilts.models.configs import Shape, configuration
from xstilts.models.encoder import load_tokenizer
from xstilts.models.heads import attach
from xstilts.models.hf_format import save
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime.machine import Runtime
from xstilts.store import names
from xstilts.store.build import build
from xstilts.store.stage import BuildContext, Stage, stage
from xstilts.tasks.base import task
from xstilts.training.recipe import Recipe
from xstilts.training.train import MODEL, train
from xstilts.training.training_set import TrainingSet

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # XLM-R's own order, <mask> at the end


def pretrain(
    texts: tuple[Stage, ...], parallel: tuple[Stage, ...], shape: Shape, recipe: Recipe, seed: int, alpha: float = 0.5
) -> Stage:
    """Promise an encoder pretrained on texts (one stage a language), and on translation ranking with parallel lines.

    The two take turns as `recipe.sampling` says. alpha: languages are drawn in proportion to n ** alpha.
    """
    mlm = TrainingSet("mlm", "masked_lm", (), texts, None, "mlm_loss", alpha=alpha)
    ranking = TrainingSet("ranking", "bitext_retrieval", (), parallel, None, "retrieval_accuracy", alpha=alpha)
    lessons = (mlm, ranking) if parallel else (mlm,)
    return train(untrained(tokenizer(texts, shape.vocabulary, alpha), shape, seed), lessons, recipe, seed)


@stage(name=names.TOKENIZER, version=1, label=lambda texts, vocabulary, alpha: f"tokenizer-{vocabulary}")
def tokenizer(context: BuildContext, texts: tuple[Stage, ...], vocabulary: int, alpha: float) -> None:
    """Write a tokenizer with XLM-R's special tokens, learned from texts with languages in proportion to n ** alpha.

    Byte-pair merges over text with marked spaces and punctuation apart; XLM-R's own Unigram model took twenty times
    as long to learn on the same 200,000 lines.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    learned = Tokenizer(models.BPE(unk_token="<unk>"))
    learned.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(" {2,}", " ")])
    learned.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()])
    learned.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 1,
        special_tokens=list(SPECIAL),
        limit_alphabet=vocabulary // 3,
        min_frequency=2,
        show_progress=False,
    )
    learned.train_from_iterator(_sample(context, texts, alpha), trainer)
    learned.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    names = {"bos": "<s>", "eos": "</s>", "cls": "<s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    roles = {f"{role}_token": piece for role, piece in names.items()}
    fast = PreTrainedTokenizerFast(tokenizer_object=learned, model_max_length=512, **roles)  # type: ignore[no-untyped-call]
    fast.save_pretrained(context.folder / MODEL)
    context.record["pieces"] = len(fast)


def _sample(context: BuildContext, texts: tuple[Stage, ...], alpha: float, most: int = 200_000) -> Iterator[str]:
    """Yield texts with languages in proportion to n ** alpha, at most `most` of them; no language more than it has."""
    lines = [
        [
            line.text
            for line in examples.read(context.path(data) / EXAMPLES, "masked_lm")
            if isinstance(line, examples.TextExample)
        ]
        for data in texts
    ]
    sizes = np.array([len(language) for language in lines], dtype=float)
    wanted = sizes**alpha / (sizes**alpha).sum() * min(most, sizes.sum())
    for language, count in zip(lines, np.minimum(np.maximum(wanted, 1000), sizes).astype(int), strict=True):
        yield from (language[number] for number in np.linspace(0, len(language) - 1, count).astype(int))


@stage(name=names.UNTRAINED, version=1, label=lambda tokenizer, shape, seed: f"untrained-{shape.layers}x{shape.width}")
def untrained(context: BuildContext, tokenizer: Stage, shape: Shape, seed: int) -> None:
    """Write an XLM-R-shaped masked-LM with random weights and the tokenizer's vocabulary."""
    from transformers import XLMRobertaModel

    tokens = Tokenizer.of(load_tokenizer(context.path(tokenizer) / MODEL))
    config = configuration(shape, len(tokens))
    torch.manual_seed(seed)
    network = Network(XLMRobertaModel(config, add_pooling_layer=False))
    attach(network, "masked_lm", "masked_lm")
    save(network, "masked_lm", "masked_lm", (), tokens.tokenizer, context.folder / MODEL)


def from_folders(
    text: Path,
    parallel: Path | None,
    languages: tuple[str, ...] | None,
    shape: Shape,
    recipe: Recipe,
    seed: int,
    alpha: float,
) -> Stage:
    """Promise an encoder pretrained on a folder of text, one folder or .txt file a language, and aligned files.

    languages: None for every one there is. parallel: a folder of pairs `NAME.xx-yy.xx` and `NAME.xx-yy.yy`.
    """
    found = tuple(sorted({path.stem for path in text.iterdir() if path.is_dir() or path.suffix == ".txt"}))
    texts = tuple(_promised("text", code, text) for code in languages or found)
    if not texts:
        raise InputError(
            f"{text} holds no text: put one folder, or one .txt file, of text lines there for each language"
        )
    pairs: tuple[Stage, ...] = ()
    if parallel:
        names = sorted({path.name.split(".")[-2] for path in parallel.glob("*.*-*.*")})
        pairs = tuple(_promised("parallel", name, parallel) for name in names)
    return pretrain(texts, pairs, shape, recipe, seed, alpha)


def deliver(promise: Stage, machine: Runtime, out: Path) -> None:
    """Build an encoder and copy it to `out`; InputError, before anything is built, if something is there already."""
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty: name a new folder for the encoder")
    shutil.copytree(build(promise, machine) / MODEL, out, dirs_exist_ok=True)


def _promised(name: str, language: str, folder: Path) -> Stage:
    """Promise to read a language of a task from a folder of its own, whatever the data folder is."""
    data = task(name).data("train", language, folder)
    files = tuple(replace(file, path=str((folder / file.path).resolve())) for file in data.files)
    return read(replace(data, files=files))
