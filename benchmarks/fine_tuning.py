"""Fine-tune an encoder of XLM-R's shape: the loop of this package against transformers' Trainer.

Random weights, random pieces, lengths like those of XNLI. `common` pads all to 128 pieces, as the usual example script
does; `tuned` pads a batch to its longest sequence, groups by length and takes fused AdamW. All sides take each example
once a round, with AdamW, clipping and a linear schedule, and no side keeps anything for the next round; rounds go round
the sides. `--pieces` is how many of the vocabulary a whole data set shows: this package trains the rows of so many,
however few examples a round has. Peak memory is that of a process which does nothing else. Needs accelerate.

    python benchmarks/fine_tuning.py --steps 20 --rounds 5
    python benchmarks/fine_tuning.py --steps 3 --rounds 2 --layers 2 --width 64 --vocabulary 5000 --pieces 800
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import transformers
from transformers.trainer_callback import PrinterCallback

from xstilts.heads import attach
from xstilts.kinds import Unit, batch, kind, single_targets
from xstilts.lesson import Lesson, Pupil
from xstilts.machine import Machine
from xstilts.network import Network
from xstilts.optimiser import optimiser_of
from xstilts.recipe import Recipe
from xstilts.rows import used
from xstilts.schedule import schedule
from xstilts.tokens import Pieces, Tokens
from xstilts.train import Loop

MIB = 1024
LONGEST, MEAN, SPREAD, SPECIAL = 128, 38, 0.45, 5
TOKENS = Tokens(SimpleNamespace(unk_token_id=3), Pieces((0,), (2, 2), (2,), 1))


def main() -> None:
    """Print examples a second, how many times as fast this package is, and peak memory."""
    asked = options()
    if asked.alone:
        SIDES[asked.alone](asked, units(asked, 0), 0)
        print(peak(asked.device))
        return
    memory = {side: alone(side) for side in SIDES}  # first: a process starts with the peak of the one that made it
    small = argparse.Namespace(**vars(asked) | {"steps": 2, "layers": 1, "width": 64})
    for side in SIDES:
        SIDES[side](small, units(small, 0), 0)  # what is loaded and compiled at the first use
    found: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(asked.rounds):
        order = [*SIDES][number % len(SIDES) :] + [*SIDES][: number % len(SIDES)]
        for side in order:
            seconds = SIDES[side](asked, units(asked, number), number)
            found[side].append(asked.steps * asked.batch / seconds)
    for side, speeds in found.items():
        print(f"{side:8} {spread(speeds)} examples/s, peak memory {memory[side]:,.0f} MiB")
    for side in ("common", "tuned"):
        ratios = [ours / theirs for ours, theirs in zip(found["ours"], found[side], strict=True)]
        print(f"ours is {spread(ratios)} x as fast as {side}")


def options() -> argparse.Namespace:
    """Return what is asked for: XLM-R base unless something smaller is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20, help="steps a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768, help="of the states; heads have 64 each")
    parser.add_argument("--vocabulary", type=int, default=250_002)
    parser.add_argument("--pieces", type=int, default=40_000, help="pieces that the whole data set shows")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--alone", choices=list(SIDES), help="take one round of one side, print peak memory in MiB")
    return parser.parse_args()


def units(asked: argparse.Namespace, seed: int) -> list[Unit]:
    """Return one round's examples: pieces as frequent as words are, three labels."""
    random = np.random.default_rng(seed)
    count = asked.steps * asked.batch
    lengths = random.lognormal(np.log(MEAN) - SPREAD**2 / 2, SPREAD, count).astype(int).clip(8, LONGEST)
    chance = 1 / np.arange(1, asked.pieces - SPECIAL + 1)
    shown = random.choice(len(chance), p=chance / chance.sum(), size=lengths.sum()).astype(np.int32) + SPECIAL
    texts = np.split(shown, lengths.cumsum()[:-1])
    labels = random.integers(3, size=(count, 1)).astype(np.int32)
    return [
        Unit(n, (TOKENS.sequence(text[4:]),), label) for n, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]


def config(asked: argparse.Namespace) -> Any:
    """Return the shape of the encoder."""
    return transformers.XLMRobertaConfig(
        vocab_size=asked.vocabulary,
        hidden_size=asked.width,
        num_hidden_layers=asked.layers,
        num_attention_heads=max(1, asked.width // 64),
        intermediate_size=4 * asked.width,
        max_position_embeddings=514,
        type_vocab_size=1,
        num_labels=3,
    )


def ours(asked: argparse.Namespace, shown: list[Unit], seed: int) -> float:
    """Return the seconds of a round in this package."""
    torch.manual_seed(seed)
    machine, recipe = Machine(device=asked.device), Recipe(batch_size=asked.batch)
    network = Network(transformers.XLMRobertaModel(config(asked), add_pooling_layer=False))
    attach(network, "toy", "classification", 3)
    lesson = Lesson("toy", "classification", ("a", "b", "c"), (), None, "accuracy")
    pupil = Pupil(lesson, kind("classification"), lesson.labels, shown, [0] * len(shown), [])
    everything = Unit(0, (np.arange(asked.pieces, dtype=np.int32),))
    started = time.perf_counter()
    with used(network, ["classification"], [everything], TOKENS):
        network.to(machine.torch_device())
        loop = Loop(network, [pupil], TOKENS, recipe, machine, optimiser_of(network, recipe))
        for number, step in enumerate(schedule((pupil.scheduled(),), asked.steps, asked.batch, "uniform", seed)):
            float(loop.take(step, number, asked.steps, seed))
        return time.perf_counter() - started


def common(asked: argparse.Namespace, shown: list[Unit], seed: int) -> float:
    """Return the seconds of a round as the usual example script takes it."""
    return trained(asked, shown, seed, LONGEST, {"optim": "adamw_torch"})


def tuned(asked: argparse.Namespace, shown: list[Unit], seed: int) -> float:
    """Return the seconds of a round with what Trainer can do about it."""
    settings = {"optim": "adamw_torch_fused", "train_sampling_strategy": "group_by_length"}
    return trained(asked, shown, seed, 0, settings)


SIDES: dict[str, Callable[[argparse.Namespace, list[Unit], int], float]] = {
    "ours": ours,
    "common": common,
    "tuned": tuned,
}


class Watch(transformers.TrainerCallback):
    """The time from the start of the first step to the end of the last."""

    started = stopped = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Note when the first step begins."""
        self.started = self.started or time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Note when the latest step ended."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.stopped = time.perf_counter()


def trained(asked: argparse.Namespace, shown: list[Unit], seed: int, width: int, settings: dict[str, Any]) -> float:
    """Return the seconds of Trainer; sequences are filled up to `width`, or the longest of their batch."""
    torch.manual_seed(seed)
    watch = Watch()

    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        chosen = [shown[row["unit"]] for row in rows]
        whole = batch(chosen, TOKENS, single_targets(chosen))
        more = max(0, width - whole.ids.shape[1])
        ids, mask = (torch.nn.functional.pad(part, (0, more), value=v) for part, v in ((whole.ids, 1), (whole.mask, 0)))
        return {"input_ids": ids, "attention_mask": mask, "labels": whole.targets}

    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder,
            per_device_train_batch_size=asked.batch,
            max_steps=asked.steps,
            learning_rate=2e-5,
            seed=seed,
            use_cpu=asked.device == "cpu",
            bf16=asked.device == "cuda",
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            remove_unused_columns=False,
            **settings,
        )
        rows: Any = [{"unit": n, "input_ids": one.sequences[0]} for n, one in enumerate(shown)]
        model = transformers.XLMRobertaForSequenceClassification(config(asked))
        trainer = transformers.Trainer(model, arguments, collate, rows, callbacks=[watch])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return watch.stopped - watch.started


def alone(side: str) -> float:
    """Return the peak memory, in MiB, of a process that takes one round of one side."""
    command = [sys.executable, str(Path(__file__)), *sys.argv[1:], "--alone", side]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def peak(device: str) -> float:
    """Return the most memory that has been held, in MiB: the process's, or the GPU's."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / MIB**2
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB


def spread(values: list[float]) -> str:
    """Return the median and the range of values."""
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
