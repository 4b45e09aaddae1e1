"""Predict for many lines: `Model.stream` against a plain padded loop of transformers, and memory along the way.

One checkpoint with random weights of XLM-R's shape and the sandbox's tokenizer, one file of made lines (word counts
log-normal: median 14, at most 100). `ours` is one stream over the file, in windows of at most 4,096 lines; `padded`
takes the lines in the file's order, 32 at a time, each batch padded to its longest line, as the usual loop does:
tokenizer, model, softmax. Both answer the same lines in turns, a tenth of the file a round, in one process, and must
give the same probabilities. Memory is the process's resident set after the first tenth and after the last of a stream
of its own, before the other side is loaded.

    python benchmarks/bulk_prediction.py --lines 100000 --layers 4 --width 192
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import sides
import torch
import transformers

from xstilts.data.dataset import examples
from xstilts.data.readers import Report
from xstilts.inference.model import WINDOW, Model, load_model
from xstilts.models.encoder import SANDBOX, load_tokenizer
from xstilts.models.heads import attach
from xstilts.models.hf_format import save
from xstilts.models.network import Network
from xstilts.runtime.machine import Runtime
from xstilts.tasks.base import task

LABELS = ("contradiction", "entailment", "neutral")
MEDIAN, SPREAD, LONGEST, BATCH = 14, 0.7, 100, 32


def main() -> None:
    """Print lines a second of both sides, their ratio, and the memory after a tenth and after all lines."""
    asked = options()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, file = made(asked, Path(folder))
        threads = asked.threads or 1
        torch.set_num_threads(threads)
        model = load_model(checkpoint, runtime=Runtime(device=asked.device, threads=threads))
        model.predict(["a"])  # what is loaded at the first use
        first, last = memory(model, file, asked.lines)
        run = Run(asked, model, checkpoint, file)
        seconds = sides.in_turn({"ours": run.ours, "padded": run.padded}, asked.rounds)
    speeds = {name: [run.size / each for each in values] for name, values in seconds.items()}
    figures: sides.Figures = {
        "lines": run.size * asked.rounds,
        "tokens_per_line": run.tokens / (run.size * asked.rounds),
        "times_as_fast_as_padded": sides.ratios(speeds["ours"], speeds["padded"]),
        **{f"{name}_lines_per_second": values for name, values in speeds.items()},
        "resident_mib_after_a_tenth": first,
        "resident_mib_after_all": last,
        "memory_growth_percent": 100 * (last - first) / first,
        "largest_difference": run.apart,
    }
    sides.tell(figures, asked.json)


def options() -> argparse.Namespace:
    """Return the options of the command line; by default 10,000 lines and a small encoder."""
    parser, quick = sides.options(__doc__.splitlines()[0], lines=40, rounds=2)
    parser.set_defaults(layers=4, width=192)
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=10, help="in which the sides take turns")
    parser.add_argument("--threads", type=int, default=1)
    return sides.asked(parser, quick)


def made(asked: argparse.Namespace, folder: Path) -> tuple[Path, Path]:
    """Write a checkpoint with random weights, and a file of lines; return both."""
    tokenizer = load_tokenizer(SANDBOX)
    torch.manual_seed(0)
    asked.vocabulary = len(tokenizer)
    network = Network(sides.backbone(sides.config(asked)))
    attach(network, "head", "classification", len(LABELS))
    save(network, "head", "classification", LABELS, tokenizer, folder / "model")
    random, words = np.random.default_rng(0), np.array(sorted(vocabulary()))
    file = folder / "lines.txt"
    with file.open("w", encoding="utf-8") as out:
        for length in np.clip(random.lognormal(np.log(MEDIAN), SPREAD, asked.lines), 1, LONGEST).astype(int):
            out.write(" ".join(random.choice(words, length)) + "\n")
    return folder / "model", file


def vocabulary() -> set[str]:
    """Return words of the sandbox's sentences."""
    rows: Any = itertools.islice(examples(task("sandbox_nli").data("train", "qaa", None), None, Report()), 2000)
    return {word for row in rows for word in row.text_a.split()}


class Run:
    """Both sides on their way through one file."""

    def __init__(self, asked: argparse.Namespace, model: Model, checkpoint: Path, file: Path) -> None:
        self.size, self.device = asked.lines // asked.rounds, torch.device(asked.device)
        window = -(-self.size // -(-self.size // WINDOW))  # whole windows a round, so that rounds are alike
        self.stream = model.stream(lines(file), window=window)
        self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(checkpoint)
        self.model: Any = transformers.AutoModelForSequenceClassification.from_pretrained(checkpoint)
        self.model.eval().to(self.device)
        self.lines, self.longest = lines(file), model.max_length
        self.answers: dict[int, list[list[float]]] = {}
        self.apart, self.tokens = 0.0, 0

    def ours(self, number: int) -> float:
        """Take the next lines of the stream; return the seconds."""
        began = time.perf_counter()
        found = [[*each["probabilities"].values()] for each in itertools.islice(self.stream, self.size)]
        seconds = time.perf_counter() - began
        self.compare(number, found)
        return seconds

    def padded(self, number: int) -> float:
        """Take the same lines in the usual loop; return the seconds."""
        began, found = time.perf_counter(), []
        chosen = list(itertools.islice(self.lines, self.size))
        for start in range(0, len(chosen), BATCH):
            batch = self.tokenizer(
                chosen[start : start + BATCH],
                padding=True,
                truncation=True,
                max_length=self.longest,
                return_tensors="pt",
            ).to(self.device)
            self.tokens += int(batch["attention_mask"].sum())
            with torch.inference_mode():
                found += torch.softmax(self.model(**batch).logits, dim=-1).tolist()
        seconds = time.perf_counter() - began
        self.compare(number, found)
        return seconds

    def compare(self, number: int, found: list[list[float]]) -> None:
        """Note how far the sides are apart, once both have answered a round."""
        if number in self.answers:
            self.apart = max(self.apart, float(np.abs(np.array(self.answers.pop(number)) - np.array(found)).max()))
        else:
            self.answers[number] = found


def memory(model: Model, file: Path, count: int) -> tuple[float, float]:
    """Return the memory after a tenth of the lines and after all of them, of a stream that is alone."""
    stream = model.stream(lines(file))
    for _ in itertools.islice(stream, count // 10):
        pass
    first = resident()
    for _ in stream:
        pass
    return first, resident()


def lines(file: Path) -> Iterator[str]:
    """Yield the lines of a file."""
    with file.open(encoding="utf-8") as stream:
        for line in stream:
            yield line.rstrip("\n")


def resident() -> float:
    """Return the memory that the process holds now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()
