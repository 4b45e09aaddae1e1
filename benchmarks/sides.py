"""Sides: what the benchmarks share: sizes of networks, made texts, sides that take turns, and figures.

A comparison runs its sides in one process, one after another, and round by round another side begins; a ratio is of two
sides of the same round. A figure is a number, or one a round; all of a benchmark's can be written as JSON (`--json`),
which is what the page of results is made of.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import transformers

from xstilts.inference.latency import rotated
from xstilts.models.tokenization import SpecialTokens, Tokenizer

MIB = 1024
SPECIAL = 5  # ids that no text has
TOKENS = Tokenizer(SimpleNamespace(unk_token_id=3), SpecialTokens((0,), (2, 2), (2,), 1))
# Of XLM-R's, and of the small encoders with its vocabulary (multilingual-e5-small, Multilingual-MiniLM-L12-H384).
LAYERS_AND_WIDTH = {"small": (12, 384), "base": (12, 768), "large": (24, 1024), "xl": (36, 2560), "xxl": (48, 4096)}
HEAD_WIDTH = {"small": 32, "xl": 80, "xxl": 128}  # of others 64
TINY = {"layers": 1, "width": 64, "vocabulary": 3000, "pieces": 500}

Figures = dict[str, Any]


def options(description: str, **quick: Any) -> tuple[argparse.ArgumentParser, dict[str, Any]]:
    """Return a parser of what all benchmarks of networks are asked, and what `--quick` stands for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--shape", choices=list(LAYERS_AND_WIDTH), default="base", help="of which XLM-R")
    parser.add_argument("--layers", type=int, help="instead of the shape's")
    parser.add_argument("--width", type=int, help="of the states, instead of the shape's")
    parser.add_argument("--vocabulary", type=int, default=250_002)
    parser.add_argument("--pieces", type=int, default=40_000, help="pieces that the whole data set shows")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--quick", action="store_true", help="in miniature, to see that it runs")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    return parser, TINY | quick


def asked(parser: argparse.ArgumentParser, quick: Mapping[str, Any]) -> argparse.Namespace:
    """Return the options of the command line; `--quick` makes the sizes small, beside other options."""
    if "--quick" in sys.argv:
        parser.set_defaults(**quick)
    found = parser.parse_args()
    layers, width = LAYERS_AND_WIDTH[found.shape]
    found.layers, found.width = found.layers or layers, found.width or width
    return found


def config(asked: argparse.Namespace, **more: Any) -> Any:
    """Return the shape of the encoder: XLM-R's, or XLM-R XL's, which has its norms before what they are for."""
    large = asked.shape in ("xl", "xxl")
    return (transformers.XLMRobertaXLConfig if large else transformers.XLMRobertaConfig)(
        vocab_size=asked.vocabulary,
        hidden_size=asked.width,
        num_hidden_layers=asked.layers,
        num_attention_heads=max(1, asked.width // HEAD_WIDTH.get(asked.shape, 64)),
        intermediate_size=4 * asked.width,
        max_position_embeddings=514,
        type_vocab_size=1,
        **{"num_labels": 3} | more,
    )


def backbone(shape: Any) -> Any:
    """Return an encoder of a configuration, with random weights."""
    large = isinstance(shape, transformers.XLMRobertaXLConfig)
    return (transformers.XLMRobertaXLModel if large else transformers.XLMRobertaModel)(shape, add_pooling_layer=False)


def texts(lengths: Sequence[int], pieces: int, random: np.random.Generator) -> list[Any]:
    """Return texts of so many random pieces each, pieces being as frequent as words are (Zipf)."""
    chance = 1 / np.arange(1, pieces - SPECIAL + 1)
    shown = random.choice(len(chance), p=chance / chance.sum(), size=sum(lengths)).astype(np.int32) + SPECIAL
    return np.split(shown, np.cumsum(lengths)[:-1])


def in_turn(sides: Mapping[str, Callable[[int], float]], rounds: int) -> dict[str, list[float]]:
    """Return what each side gives in each round; every round begins with another side."""
    found: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds):
        for side in rotated([*sides], number):
            found[side].append(sides[side](number))
    return found


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return the ratio of two sides in each round."""
    return [one / other for one, other in zip(above, below, strict=True)]


def spread(values: Sequence[float]) -> str:
    """Return the median and the range of values, with three digits."""
    return f"{digits(float(np.median(values)))} ({digits(min(values))} to {digits(max(values))})"


def said(value: Any) -> str:
    """Return a figure as text: one a round as median and range, a count whole, words as they are."""
    if isinstance(value, list):
        return spread(value)
    return digits(value) if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def digits(value: float) -> str:
    """Return a number with three digits that count, or with all of those before the point."""
    whole = len(str(int(abs(value))))
    return f"{value:,.{max(0, 3 - whole)}f}" if abs(value) >= 0.1 else f"{value:.2g}"


def alone(script: str, side: str) -> float:
    """Return the peak memory, in MiB, of a process that takes one round of one side and nothing else."""
    command = [sys.executable, script, *sys.argv[1:], "--alone", side]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def peak(device: str) -> float:
    """Return the most memory that has been held, in MiB: the process's, or the GPU's."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / MIB**2
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB


def tell(figures: Figures, path: Path | None) -> None:
    """Print figures, a line each, and write them as JSON where that is asked for."""
    for name, value in figures.items():
        print(f"{name.replace('_', ' ')}: {said(value)}")
    if path:
        path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
