"""Train at full speed: tokens a second, the share of what the device can do at most, and memory; on a GPU above all.

One network of XLM-R's shape, in this package's loop, with every batch cut into passes of `--micro-tokens`: `packed`
computes no padding, `padded` does, `compiled` is packed with the layers compiled by torch. FLOPs are counted exactly
(`xstilts.cost.flops`) and divided by what the data sheet of the device says of its arithmetic, dense; there is no such
figure of a CPU. Before the time is taken some steps are: kernels load, layers are compiled. `--curves` trains packed
and padded on the same batches without dropout, and tells how far their losses are apart.

    python benchmarks/throughput.py --shape large --device cuda --sides packed,padded,compiled --curves 50
    python benchmarks/throughput.py --shape xxl --device cuda --trained lora:16 --sides packed
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import numpy as np
import sides
from learning import SHAPES, Course, Taken, every_token, fresh, take, units

from xstilts.cost import ledger
from xstilts.models.network import Network
from xstilts.runtime.machine import Runtime
from xstilts.training.recipe import Recipe

FORMS: dict[str, dict[str, Any]] = {
    "packed": {"packing": "on"},
    "padded": {"packing": "off"},
    "compiled": {"packing": "on", "compiled": True},
}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def main() -> None:
    """Tell speed, utilisation and memory of each form, and whether packing changes what is learned."""
    asked = options()
    ledgers: dict[str, dict[str, Any]] = {}
    names = asked.sides.split(",")
    speeds = sides.in_turn({name: partial(measured, asked, name, ledgers) for name in names}, asked.rounds)
    found: sides.Figures = {}
    for name, speed in speeds.items():
        found[f"{name}_tokens_per_second"] = speed
        found |= of_ledger(name, ledgers[name], speed)
        if name != "packed" and "packed" in speeds:
            found[f"packed_times_as_fast_as_{name}"] = sides.ratios(speeds["packed"], speed)
    if asked.curves:
        found |= curves(asked)
    sides.tell(found, asked.json)


def options() -> argparse.Namespace:
    """Return the options of the command line; by default of XLM-R base."""
    parser, quick = sides.options(
        __doc__.splitlines()[0], steps=2, warm=1, rounds=1, micro_tokens=128, batch=8, curves=3
    )
    parser.add_argument("--lengths", choices=list(SHAPES), default="xnli", help="like those of which data set")
    parser.add_argument("--sides", default="packed,padded")
    parser.add_argument("--steps", type=int, default=10, help="steps of which the time is taken")
    parser.add_argument("--warm", type=int, default=3, help="steps before them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--micro-tokens", type=int, default=16_384, help="in one pass")
    parser.add_argument("--batch", type=int, default=1_600, help="examples a step")
    parser.add_argument("--trained", default="all", help="which weights, as of a recipe: lora:16")
    parser.add_argument("--optimiser", default="adamw", help="as of a recipe: adafactor:bf16")
    parser.add_argument("--recompute", action="store_true", help="keep only the inputs of layers")
    parser.add_argument("--curves", type=int, default=0, help="steps to compare losses over")
    return sides.asked(parser, quick)


def measured(asked: argparse.Namespace, name: str, ledgers: dict[str, dict[str, Any]], number: int) -> float:
    """Return the tokens a second of one form, paddings not counted; note its ledger."""
    shape = SHAPES[asked.lengths]
    network = fresh(asked, shape.format, len(shape.labels), number)
    taken, machine = trained(asked, network, name, asked.warm + asked.steps, asked.batch)
    ledgers[name] = ledger.ledger(taken.spent, network, machine) or {}
    return float(ledgers[name]["tokens"] / taken.spent["seconds"])


def trained(asked: argparse.Namespace, network: Network, name: str, steps: int, batch: int) -> tuple[Taken, Runtime]:
    """Train in one form; return what it took and where."""
    shape = SHAPES[asked.lengths]
    recipe = Recipe(batch_size=batch, steps=steps, trainable=asked.trained, optimizer=asked.optimiser)
    machine = Runtime(
        device=asked.device, max_tokens_per_pass=asked.micro_tokens, recompute=asked.recompute, **FORMS[name]
    )
    shown = units(asked, steps * batch, 0)
    warm = min(asked.warm, steps - 1)
    return take(
        network, Course(shape.format, shape.labels, shown, recipe, machine, 0, every_token(asked), warm=warm)
    ), machine


def of_ledger(name: str, ledger: dict[str, Any], speeds: list[float]) -> sides.Figures:
    """Return what a ledger says beside the speed; a share of the device's peak for each round, where that is known."""
    memory, most = ledger["peak_memory_mib"], ledger["peak_flops_per_second"]
    found: sides.Figures = {f"{name}_peak_mib": memory["allocated"] or memory["process"]}
    each = sum(ledger["flops"].values()) / ledger["tokens"]
    found[f"{name}_mflops_a_token"] = each / 1e6
    if most:
        found[f"{name}_utilisation_percent"] = [100 * each * speed / most for speed in speeds]
    return found


def curves(asked: argparse.Namespace) -> sides.Figures:
    """Return how far the losses of packed and padded batches are apart at most, as a share of their mean."""
    shape, losses = SHAPES[asked.lengths], {}
    for name in ("packed", "padded"):
        network = fresh(asked, shape.format, len(shape.labels), 0, **NO_DROPOUT)
        taken, _ = trained(asked, network, name, asked.curves, min(32, asked.batch))
        losses[name] = np.array(taken.losses)
    apart = np.abs(losses["packed"] - losses["padded"])
    return {"curves_apart_percent": float(100 * apart.max() / losses["padded"].mean()), "curves_steps": asked.curves}


if __name__ == "__main__":
    main()
