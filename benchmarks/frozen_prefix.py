"""Train the top quarter of an encoder's layers for ten epochs: frozen layers once a sequence, against every epoch.

An encoder of XLM-R's shape with random weights learns to tag random sentences of about PAN-X's lengths, in this
package's own loop: `stored` keeps what the frozen layers give, `naive` runs them in every step, `full` trains all
layers. All take the same batches; computing and writing the states counts. Rounds go round the sides, each in a store
that is empty. Both sides that freeze end in the same loss, up to rounding.

    python benchmarks/frozen_prefix.py --examples 640 --rounds 3
    python benchmarks/frozen_prefix.py --examples 64 --rounds 2 --layers 4 --width 64 --vocabulary 5000
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import transformers
from fine_tuning import config, spread

from xstilts.heads import attach
from xstilts.kinds import Unit, kind
from xstilts.lesson import Lesson, Pupil
from xstilts.machine import Machine
from xstilts.network import Network, freeze
from xstilts.optimiser import optimiser_of
from xstilts.prefix import NOTHING, computed
from xstilts.recipe import Recipe
from xstilts.rows import used
from xstilts.schedule import schedule
from xstilts.tokens import Pieces, Tokens
from xstilts.train import Loop

TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
MEAN, SPREAD, SPECIAL = 14, 0.5, 5
TOKENS = Tokens(SimpleNamespace(unk_token_id=3), Pieces((0,), (2, 2), (2,), 1))
SIDES = ("stored", "naive", "full")


def main() -> None:
    """Print seconds a training, how many times as fast stored states make it, and the losses it ends in."""
    asked = options()
    shown = units(asked)
    trained(argparse.Namespace(**vars(asked) | {"layers": 4, "width": 64, "epochs": 1}), "full", shown[: asked.batch])
    found: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
    for number in range(asked.rounds):
        order = [*SIDES][number % len(SIDES) :] + [*SIDES][: number % len(SIDES)]
        for side in order:
            found[side].append(trained(asked, side, shown))
    for side, rounds in found.items():
        print(f"{side:8} {spread([seconds for seconds, _ in rounds])} s, the last loss {rounds[0][1]:.5f}")
    for side in ("naive", "full"):
        ratios = [theirs / ours for (ours, _), (theirs, _) in zip(found["stored"], found[side], strict=True)]
        print(f"stored is {spread(ratios)} x as fast as {side}")


def options() -> argparse.Namespace:
    """Return what is asked for: XLM-R base unless something smaller is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=640)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--layers", type=int, default=12, help="of which the upper quarter is trained")
    parser.add_argument("--width", type=int, default=768, help="of the states; heads have 64 each")
    parser.add_argument("--vocabulary", type=int, default=250_002)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    return parser.parse_args()


def units(asked: argparse.Namespace) -> list[Unit]:
    """Return sentences of random pieces, each piece with a random tag."""
    random = np.random.default_rng(0)
    lengths = random.lognormal(np.log(MEAN) - SPREAD**2 / 2, SPREAD, asked.examples).astype(int).clip(3, 126)
    found = []
    for number, length in enumerate(lengths):
        sequence = TOKENS.sequence(random.integers(SPECIAL, asked.vocabulary, length).astype(np.int32))
        target = np.array([-100, *random.integers(len(TAGS), size=length), -100], dtype=np.int32)
        found.append(Unit(number, (sequence,), target))
    return found


def trained(asked: argparse.Namespace, side: str, shown: list[Unit]) -> tuple[float, float]:
    """Return the seconds of a training and its last loss."""
    torch.manual_seed(0)
    network = Network(transformers.XLMRobertaModel(config(asked), add_pooling_layer=False))
    attach(network, "toy", "tagging", len(TAGS))
    freeze(network, "all" if side == "full" else f"top:{max(1, asked.layers // 4)}")
    lesson = Lesson("toy", "tagging", TAGS, (), None, "entity_f1")
    pupil = Pupil(lesson, kind("tagging"), TAGS, shown, [0] * len(shown), [])
    recipe, steps = Recipe(batch_size=asked.batch), max(1, len(shown) * asked.epochs // asked.batch)
    loss = torch.zeros(())
    with tempfile.TemporaryDirectory() as store, used(network, ["tagging"], shown, TOKENS):
        machine = Machine(Path(store), device=asked.device, prefix_gib=1e3)
        network.to(machine.torch_device())
        started = time.perf_counter()
        below = computed(network, shown, TOKENS, machine) if side == "stored" else NOTHING
        loop = Loop(network, [pupil], TOKENS, recipe, machine, optimiser_of(network, recipe), below)
        for number, step in enumerate(schedule((pupil.scheduled(),), steps, asked.batch, "uniform", seed=0)):
            loss = loop.take(step, number, steps, 0)
        return time.perf_counter() - started, float(loss)


if __name__ == "__main__":
    main()
