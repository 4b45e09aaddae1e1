"""Pretraining: an encoder from scratch, for languages without a public one, and for the sandbox.

A tokenizer is trained on the texts, an XLM-R-shaped encoder starts from random weights, and `train` trains it on
masked-LM and, where there are parallel lines, on translation ranking within the batch. The result is an ordinary XLM-R
folder.
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
from xstilts.runtime import whole_files
from xstilts.runtime.machine import Runtime
from xstilts.store import names
from xstilts.store.build import build
from xstilts.store.stage import BuildContext, Stage, stage
from xstilts.tasks.base import task
from xstilts.training.recipe import Recipe
from xstilts.training.train import MODEL, train
from xstilts.training.training_set import TrainingSet

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # XLM-R's own order, <mask> at the end
MOST_ALPHA = 16.0  # beyond it only the largest language is drawn


def pretrain(
    texts: tuple[Stage, ...], parallel: tuple[Stage, ...], shape: Shape, recipe: Recipe, seed: int, alpha: float = 0.5
) -> Stage:
    """Define an encoder that is pretrained on masked-LM and on translation ranking.

    Args:
        texts: Stages of text, one a language.
        parallel: Stages of parallel lines; empty: masked-LM alone.
        shape: The size of the encoder.
        recipe: Its sampling says how the two take turns.
        seed: The seed of initial weights, order, dropout and masking.
        alpha: Languages are drawn in proportion to n ** alpha.

    Returns:
        The stage that trains.
    """
    mlm = TrainingSet("mlm", "masked_lm", (), texts, None, "mlm_loss", alpha=alpha)
    ranking = TrainingSet("ranking", "bitext_retrieval", (), parallel, None, "retrieval_accuracy", alpha=alpha)
    sets = (mlm, ranking) if parallel else (mlm,)
    return train(untrained(tokenizer(texts, shape.vocabulary, alpha), shape, seed), sets, recipe, seed)


@stage(name=names.TOKENIZER, version=1, label=lambda texts, vocabulary, alpha: f"tokenizer-{vocabulary}")
def tokenizer(context: BuildContext, texts: tuple[Stage, ...], vocabulary: int, alpha: float) -> None:
    """Train a tokenizer with XLM-R's special tokens.

    It is a BPE tokenizer with marked spaces and separated punctuation; XLM-R's own Unigram model took twenty times as
    long to train on the same 200,000 lines.

    Args:
        context: Where the stage is built.
        texts: Stages of text, one a language.
        vocabulary: Number of tokens.
        alpha: Languages are sampled in proportion to n ** alpha.
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
    roles = {f"{role}_token": token for role, token in names.items()}
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
    counts = sizes**alpha / (sizes**alpha).sum() * min(most, sizes.sum())
    for language, count in zip(lines, np.minimum(np.maximum(counts, 1000), sizes).astype(int), strict=True):
        yield from (language[number] for number in np.linspace(0, len(language) - 1, count).astype(int))


@stage(name=names.UNTRAINED, version=1, label=lambda tokenizer, shape, seed: f"untrained-{shape.layers}x{shape.width}")
def untrained(context: BuildContext, tokenizer: Stage, shape: Shape, seed: int) -> None:
    """Write an XLM-R-shaped masked-LM with random weights.

    Args:
        context: Where the stage is built.
        tokenizer: A `tokenizer` stage, which gives the vocabulary.
        shape: The size.
        seed: The seed of the weights.
    """
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
    """Define an encoder that is pretrained on local files.

    Args:
        text: A folder with one folder or .txt file a language.
        parallel: A folder of pairs of aligned files, `NAME.xx-yy.xx` and `NAME.xx-yy.yy`.
        languages: Which to take; None: all.
        shape: The size of the encoder.
        recipe: How it is trained.
        seed: As in `pretrain`.
        alpha: As in `pretrain`.

    Returns:
        The stage, which has not been built.

    Raises:
        InputError: There is no text, or the seed or alpha is out of range.
    """
    if not 0 <= seed < 2**63:
        raise InputError(f"seed must be from 0 to 2 ** 63 - 1, not {seed:,}")
    if not 0 <= alpha <= MOST_ALPHA:
        raise InputError(f"alpha must be from 0 to {MOST_ALPHA}, not {alpha}: 1 draws languages as often as they occur")
    codes = tuple(sorted({path.stem for path in text.iterdir() if path.is_dir() or path.suffix == ".txt"}))
    texts = tuple(_promised("text", code, text) for code in languages or codes)
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
    """Build an encoder and copy it to a folder.

    Args:
        promise: The stage that trains it.
        machine: Where to build it.
        out: A new or empty folder.

    Raises:
        InputError: The folder is not empty; nothing is built then.
    """
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty: name a new folder for the encoder")
    built = build(promise, machine) / MODEL
    with whole_files.folder(out) as new:
        shutil.copytree(built, new)


def _promised(name: str, language: str, folder: Path) -> Stage:
    """Define the stage that reads a language of a task from the given folder, whatever the data folder is."""
    data = task(name).data("train", language, folder)
    files = tuple(replace(file, path=str((folder / file.path).resolve())) for file in data.files)
    return read(replace(data, files=files))
