"""Fine-tune an encoder of XLM-R's shape: the loop of this package against transformers' Trainer.

Random weights, random pieces, lengths like those of XNLI or SQuAD. `common` pads all to 128 pieces (384 for SQuAD), as
the usual example script does; `tuned` pads a batch to its longest sequence, groups by length and takes fused AdamW. All
sides take each example once a round, with AdamW, clipping and a linear schedule, and no side keeps anything for the
next round. `--pieces` is how many of the vocabulary a whole data set shows: this package trains the rows of so many,
however few examples a round has. Peak memory is that of a process which does nothing else. Needs accelerate.

    python benchmarks/fine_tuning.py --steps 20 --rounds 5
    python benchmarks/fine_tuning.py --lengths squad --batch 16 --steps 20 --rounds 5
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import sides
import torch
import transformers
from learning import SHAPES, Course, every_token, fresh, take, units
from sides import TOKENS, config
from transformers.trainer_callback import PrinterCallback

from xstilts.formats import task_format
from xstilts.models.batch import ModelInput
from xstilts.runtime.machine import Runtime
from xstilts.training.recipe import Recipe


def main() -> None:
    """Tell examples a second, how many times as fast this package is, and peak memory."""
    asked = options()
    if asked.alone:
        SIDES[asked.alone](asked, 0)
        print(sides.peak(asked.device))
        return
    # First, as a process starts with the peak of the one that made it.
    memory = {side: sides.alone(__file__, side) for side in SIDES} if asked.memory else {}
    small = argparse.Namespace(**vars(asked) | {"steps": 2, "layers": 1, "width": 64})
    for side in SIDES.values():
        side(small, 0)  # what is loaded and compiled at the first use
    seconds = sides.in_turn({name: partial(side, asked) for name, side in SIDES.items()}, asked.rounds)
    sides.tell(figures(asked, seconds, memory), asked.json)


def options() -> argparse.Namespace:
    """Return the options of the command line; by default of XLM-R base."""
    parser, quick = sides.options(__doc__.splitlines()[0], steps=2, rounds=1, batch=4)
    parser.add_argument("--lengths", choices=["xnli", "squad"], default="xnli", help="like those of which data set")
    parser.add_argument("--steps", type=int, default=20, help="steps a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--memory", action="store_true", help="measure peak memory, each side in its own process")
    parser.add_argument("--alone", choices=list(SIDES), help="take one round of one side, print peak memory in MiB")
    return sides.asked(parser, quick)


def figures(asked: argparse.Namespace, seconds: dict[str, list[float]], memory: dict[str, float]) -> sides.Figures:
    """Return speeds, ratios of speed and of memory."""
    found: sides.Figures = {}
    for side, taken in seconds.items():
        found[f"{side}_examples_per_second"] = [asked.steps * asked.batch / one for one in taken]
    for side in ("common", "tuned"):
        found[f"times_as_fast_as_{side}"] = sides.ratios(seconds[side], seconds["ours"])
    for side, mib in memory.items():
        found[f"{side}_peak_mib"] = mib
        if side != "ours":
            found[f"memory_of_{side}"] = memory["ours"] / mib
    return found


def ours(asked: argparse.Namespace, seed: int) -> float:
    """Return the seconds of a round in this package."""
    shape, recipe = SHAPES[asked.lengths], Recipe(batch_size=asked.batch, steps=asked.steps)
    network = fresh(asked, shape.format, len(shape.labels), seed)
    shown, machine = units(asked, asked.steps * asked.batch, seed), Runtime(device=asked.device)
    return take(network, Course(shape.format, shape.labels, shown, recipe, machine, seed, every_token(asked))).seconds


def common(asked: argparse.Namespace, seed: int) -> float:
    """Return the seconds of a round as the usual example script takes it."""
    return trained(asked, seed, SHAPES[asked.lengths].longest, {"optim": "adamw_torch"})


def tuned(asked: argparse.Namespace, seed: int) -> float:
    """Return the seconds of a round with what Trainer can do about it."""
    return trained(asked, seed, 0, {"optim": "adamw_torch_fused", "train_sampling_strategy": "group_by_length"})


SIDES: dict[str, Callable[[argparse.Namespace, int], float]] = {"ours": ours, "common": common, "tuned": tuned}


class Watch(transformers.TrainerCallback):
    """The time from the start of the first step to the end of the last."""

    started = stopped = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Note when the first step begins."""
        self.started = self.started or time.perf_counter()

    def on_train_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Note when the last step ended."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.stopped = time.perf_counter()


def trained(asked: argparse.Namespace, seed: int, width: int, settings: dict[str, Any]) -> float:
    """Return the seconds of Trainer; sequences are filled up to `width`, or the longest of their batch."""
    torch.manual_seed(seed)
    watch, shown = Watch(), units(asked, asked.steps * asked.batch, seed)
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
        collate: Any = partial(collated, shown, SHAPES[asked.lengths].format, width)
        trainer = transformers.Trainer(shipped(asked), arguments, collate, rows, callbacks=[watch])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return watch.stopped - watch.started


def shipped(asked: argparse.Namespace) -> Any:
    """Return a network of random weights of the class that transformers ships for the kind."""
    if SHAPES[asked.lengths].format == "extractive_qa":
        return transformers.XLMRobertaForQuestionAnswering(config(asked, num_labels=2))
    return transformers.XLMRobertaForSequenceClassification(config(asked))


def collated(shown: list[ModelInput], format: str, width: int, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Return a batch as the shipped classes take it, at least `width` pieces wide."""
    whole = task_format(format).collate([shown[row["unit"]] for row in rows], TOKENS)
    more = (0, max(0, width - whole.ids.shape[1]))
    pad = torch.nn.functional.pad
    inputs = {
        "input_ids": pad(whole.ids, more, value=TOKENS.special_tokens.pad),
        "attention_mask": pad(whole.mask, more),
    }
    if format == "extractive_qa":
        return inputs | {"start_positions": whole.targets[:, 0], "end_positions": whole.targets[:, 1]}
    return inputs | {"labels": whole.targets}


if __name__ == "__main__":
    main()
