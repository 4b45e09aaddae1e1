"""Retrieve translations as Tatoeba does: the vectors of all layers from one pass, against a pass for each layer.

An encoder of XLM-R's depth with random weights; sentences have about Tatoeba's lengths. Both sides pool the same
sorted batches; they must find the same sentences at every layer. Then the search alone, at the same size: blocks of
queries, in which cosines that agree to six decimals are ties, against the whole table at once.

    python benchmarks/retrieval.py --pairs 1000 --rounds 3
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Any

import numpy as np
import sides
import torch
from learning import fresh
from sides import TOKENS, texts

from xstilts.evaluation.predict import predict_inputs
from xstilts.formats import task_format
from xstilts.metrics import nearest_source, normalise
from xstilts.models.batch import ModelInput
from xstilts.models.batching import length_bucketed_batches
from xstilts.models.heads import mean_pool
from xstilts.models.network import Network
from xstilts.runtime.machine import Runtime

MEAN, SPREAD = 10, 0.4


def main() -> None:
    """Tell seconds and how many times as fast one pass is, and the search in blocks."""
    asked = options()
    network, shown = fresh(asked, "classification", 2, 0).to(asked.device), units(asked)
    vectors: dict[str, Any] = {}
    calls = {"one_pass": partial(one_pass, asked, network, shown, vectors)}
    calls["pass_a_layer"] = partial(pass_a_layer, asked, network, shown, vectors)
    one_pass(asked, network, shown[:4], {}, 0)
    seconds = sides.in_turn(calls, asked.rounds)
    random = np.random.default_rng(1).standard_normal((2, asked.pairs, 768), dtype=np.float32)
    search = sides.in_turn({"blocks": partial(blocks, random), "table": partial(table, random)}, 5 * asked.rounds)
    found: sides.Figures = {"pairs": asked.pairs, "layers_of_states": asked.layers + 1}
    found |= {f"{side}_seconds": taken for side, taken in seconds.items()}
    found["times_as_fast_as_pass_a_layer"] = sides.ratios(seconds["pass_a_layer"], seconds["one_pass"])
    found["largest_difference"] = float(np.abs(vectors["one_pass"] - vectors["pass_a_layer"]).max())
    found["search_seconds"] = search["blocks"]
    found["search_times_as_fast_as_table"] = sides.ratios(search["table"], search["blocks"])
    sides.tell(found, asked.json)


def options() -> argparse.Namespace:
    """Return the options of the command line; by default of XLM-R base."""
    parser, quick = sides.options(__doc__.splitlines()[0], pairs=6, rounds=1, layers=2)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    return sides.asked(parser, quick)


def units(asked: argparse.Namespace) -> list[ModelInput]:
    """Return pairs of random sentences."""
    random = np.random.default_rng(0)
    lengths = random.lognormal(np.log(MEAN) - SPREAD**2 / 2, SPREAD, 2 * asked.pairs).astype(int).clip(2, 60)
    sequences = [TOKENS.sequence(text) for text in texts(lengths, asked.pieces, random)]
    pairs = zip(sequences[0::2], sequences[1::2], strict=True)
    return [ModelInput(number, pair, np.array([number], dtype=np.int32)) for number, pair in enumerate(pairs)]


def one_pass(
    asked: argparse.Namespace, network: Network, shown: list[ModelInput], vectors: dict[str, Any], number: int
) -> float:
    """Return the seconds of this package: all layers of a batch are pooled at once."""
    began = time.perf_counter()
    found = predict_inputs(network, "", task_format("bitext_retrieval"), shown, TOKENS, Runtime(device=asked.device))
    vectors["one_pass"] = np.stack(found)
    return time.perf_counter() - began


@torch.inference_mode()
def pass_a_layer(
    asked: argparse.Namespace, network: Network, shown: list[ModelInput], vectors: dict[str, Any], number: int
) -> float:
    """Return the seconds of as many passes as there are layers of states, each for the vectors of one."""
    network.eval()
    machine, how = Runtime(device=asked.device), task_format("bitext_retrieval")
    found = np.empty((len(shown), 2, asked.layers + 1, asked.width), dtype=np.float32)
    began = time.perf_counter()
    for layer in range(asked.layers + 1):
        for numbers in length_bucketed_batches(shown, machine.most_tokens()):
            batch = how.collate([shown[n] for n in numbers], TOKENS).to(machine.torch_device())
            with machine.arithmetic():
                states = network.all_hidden_states(batch.ids, batch.mask)[layer]
                pooled = mean_pool(states, batch.mask).float().cpu().numpy()
            found[numbers, :, layer] = pooled.reshape(len(numbers), 2, -1)
    vectors["pass_a_layer"] = found
    return time.perf_counter() - began


def blocks(vectors: Any, number: int) -> float:
    """Return the seconds of the package's search."""
    began = time.perf_counter()
    nearest_source(vectors[0], vectors[1])
    return time.perf_counter() - began


def table(vectors: Any, number: int) -> float:
    """Return the seconds of the same search over the whole table, as a plain program has it, in the same precision."""
    began = time.perf_counter()
    np.round(normalise(vectors[1].astype(np.float64)) @ normalise(vectors[0].astype(np.float64)).T, 6).argmax(axis=1)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
