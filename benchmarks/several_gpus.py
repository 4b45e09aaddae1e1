"""Train in 1, 2, 4 … processes, whole and sharded: how near the weights are, tokens a second, and memory of each GPU.

An encoder of a published size with random weights and without dropout is trained on the sandbox's language inference,
each time from the same weights. In fp32 the distance from one process is measured; in the device's own arithmetic speed
and memory are. The last training of each kind is stopped half-way and goes on in one process.

    python benchmarks/several_gpus.py --encoder FacebookAI/xlm-roberta-large
    python benchmarks/several_gpus.py --encoder facebook/xlm-roberta-xl --counts 1,2,4 --recompute --json xl.json
    python benchmarks/several_gpus.py --quick
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file

from xstilts.experiments.run import training_set
from xstilts.models.configs import config_of
from xstilts.models.encoder import Encoder, load_tokenizer
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.runtime.progress import Event
from xstilts.runtime.signals import Interrupted
from xstilts.store.build import build
from xstilts.store.manifest import read
from xstilts.store.stage import Stage
from xstilts.tasks.base import task
from xstilts.training.recipe import Recipe
from xstilts.training.train import train

MIB_OF_GIB = 1024


def main() -> None:
    """Print a row for each number of processes and each layout; with `--json`, write them too."""
    asked = options()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=asked.work) as folder:
        work = Path(folder)
        encoder = written(asked.encoder, work / "encoder", asked.quick)
        first: Path | None = None
        for count in asked.counts:
            for shard in (False, True) if count > 1 else (False,):
                where = Runtime(device=asked.device, processes=count, shard=shard, recompute=asked.recompute)
                rows.append({"processes": count, "sharded": shard})
                exact = replace(where, store=work / f"exact{count}{shard}", precision="fp32")
                folder_of_weights = build(training(encoder, asked, asked.near), exact)
                first = first or folder_of_weights
                rows[-1] |= distance(first, folder_of_weights)
                if count == asked.counts[-1] and count > 1:
                    rows[-1]["resumed_in_one"] = resumed(encoder, asked, exact, first, work / f"resumed{shard}")
                fast = replace(where, store=work / f"fast{count}{shard}")
                rows[-1] |= speed(read(build(training(encoder, asked, asked.steps), fast))["record"])
                shutil.rmtree(fast.store)
                print(json.dumps(rows[-1]), flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def options() -> argparse.Namespace:
    """Return the options of the command line; by default of as many processes as there are GPUs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="FacebookAI/xlm-roberta-large", help="an encoder of XLM-R's kinds")
    parser.add_argument("--counts", default="", help="numbers of processes, '1,2,4'; the first is compared with")
    parser.add_argument("--steps", type=int, default=40, help="steps of which speed is measured")
    parser.add_argument("--near", type=int, default=10, help="steps in fp32, of which weights are compared")
    parser.add_argument("--batch", type=int, default=256, help="sequences of a step")
    parser.add_argument("--recompute", action="store_true", help="keep only the inputs of layers")
    parser.add_argument("--work", type=Path, default=None, help="a folder with room for some times the weights")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--quick", action="store_true", help="the sandbox's encoder in two processes of a CPU")
    asked = parser.parse_args()
    asked.device = "cpu" if asked.quick else "cuda"
    if asked.quick:
        asked.steps, asked.near, asked.batch, asked.counts = 2, 2, 8, asked.counts or "1,2"
    gpus = torch.cuda.device_count()
    asked.counts = [int(count) for count in asked.counts.split(",")] if asked.counts else doubled(gpus)
    return asked


def doubled(most: int) -> list[int]:
    """Return 1, 2, 4 … up to a number."""
    return [2**power for power in range(max(most, 1).bit_length()) if 2**power <= max(most, 1)]


def written(name: str, folder: Path, quick: bool) -> Encoder:
    """Write an encoder of a published size, with random weights, the sandbox's tokenizer and no dropout."""
    config = transformers.AutoConfig.from_pretrained(Encoder.of("sandbox").location) if quick else config_of(name)
    if config is None:
        raise SystemExit(
            f"the size of {name} is not known here: give one of the table in src/xstilts/models/configs.json"
        )
    for field in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        setattr(config, field, 0.0)
    torch.manual_seed(0)
    model: Any = transformers.AutoModel
    model.from_config(config).save_pretrained(folder)
    load_tokenizer(Encoder.of("sandbox").location).save_pretrained(folder)
    return Encoder.of(folder)


def training(encoder: Encoder, asked: argparse.Namespace, steps: int) -> Stage:
    """Return a training on the sandbox's language inference."""
    recipe = Recipe(learning_rate=1e-5, batch_size=asked.batch, steps=steps, max_length=64)
    return train(encoder, (training_set(task("sandbox_nli"), None),), recipe, 1)


def distance(one: Path, other: Path) -> dict[str, Any]:
    """Return the largest differences of two trainings' weights and losses."""
    left, right = (load_file(folder / "model" / "model.safetensors") for folder in (one, other))
    losses = [
        [line["loss"] for line in map(json.loads, (folder / "history.jsonl").open()) if "loss" in line]
        for folder in (one, other)
    ]
    return {
        "weights_apart": max(float((left[name] - right[name]).abs().max()) for name in left),
        "losses_apart": max(abs(a - b) for a, b in zip(*losses, strict=True)),
    }


def resumed(encoder: Encoder, asked: argparse.Namespace, machine: Runtime, first: Path, store: Path) -> dict[str, Any]:
    """Stop a training half-way, go on in one process, and return how far it ends from the first one."""
    model = training(encoder, asked, asked.near)

    def stop(event: Event) -> None:
        if event.label.startswith("train") and event.done == asked.near // 2:
            os.kill(os.getpid(), signal.SIGTERM)

    progress.listen(stop)
    try:
        build(model, replace(machine, store=store))
    except Interrupted:
        pass
    finally:
        progress.listen(lambda event: None)
    return distance(first, build(model, replace(machine, store=store, processes=1, shard=False)))


def speed(record: dict[str, Any]) -> dict[str, Any]:
    """Return what the ledger of a training says of speed and of the first GPU's memory."""
    cost = record["cost"]
    peak = cost["peak_memory_mib"].get("allocated")
    return {
        "tokens_per_second": round(cost["tokens"] / cost["seconds"]),
        "utilisation": cost["utilisation"],
        "gib_of_first": peak and round(peak / MIB_OF_GIB, 2),
    }


if __name__ == "__main__":
    main()
