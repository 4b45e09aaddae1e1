"""Compare a training step on a CPU with its bare matrix products, and these with the processor's peak.

The matrix products of one step are recorded as torch computes them, forward and backward, attention's among them, and
computed again in a bare loop: with the same shapes and layouts, and operands that lie in memory as the step's did. What
a step takes beyond that is activation functions, norms, dropout, softmax, copies, the optimizer and Python. Sides take
turns on one thread, and processor time is taken: a large product of two square matrices, which shows the peak; the bare
loop; the step's forward and backward passes; the whole step; the whole step in bf16. Random weights; as long as the
sentences of UD-POS or the pairs of SNLI.

    python benchmarks/matrix_products.py --shape small --rounds 5
    python benchmarks/matrix_products.py --shape base --lengths snli --rounds 5
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import sides
import torch
from learning import learner, steps_of
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from xstilts.runtime.machine import Runtime
from xstilts.training import batch_schedule
from xstilts.training.step import PreparedStep, Stepper

ATEN = torch.ops.aten
PRODUCTS = {ATEN.mm.default, ATEN.bmm.default, ATEN.addmm.default, ATEN.baddbmm.default}
STEPS = 1_000  # of the training that the step is taken from: its learning rate


class Recorder(TorchDispatchMode):
    """Records the matrix products of what is computed within it; operands at one address stay one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.products: list[tuple[Any, list[Tensor]]] = []
        self.flops = 0
        self._operands: dict[Any, Tensor] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute an operation, and note it where it is a matrix product."""
        if function in PRODUCTS:
            self.products.append((partial(function, **(kwargs or {})), [self._operand(tensor) for tensor in args]))
            rows, columns = args[-2:]
            self.flops += 2 * rows.numel() * columns.shape[-1]
        return function(*args, **(kwargs or {}))

    def replay(self) -> None:
        """Compute the products again, and nothing else."""
        for product, operands in self.products:
            product(*operands)

    def _operand(self, tensor: Tensor) -> Tensor:
        place = (tensor.data_ptr(), tensor.shape, tensor.stride())
        if place not in self._operands:
            self._operands[place] = torch.empty_strided(tensor.shape, tensor.stride()).normal_()
        return self._operands[place]


def main() -> None:
    """Tell rates, the share of the bare loop that a step reaches, and what padding adds."""
    asked = options()
    torch.set_num_threads(1)
    found: sides.Figures = {}
    for name in asked.lengths.split(","):
        sized = argparse.Namespace(**vars(asked) | {"lengths": name})
        with learner(sized, Runtime(device="cpu", precision="fp32")) as stepper:
            found |= {f"{name}_{figure}": value for figure, value in compared(asked, stepper).items()}
    sides.tell(found, asked.json)


def options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser, quick = sides.options(__doc__.splitlines()[0], rounds=1, batch=4, square=256)
    parser.set_defaults(pieces=9_000)  # which 3,000 sentences show
    parser.add_argument("--lengths", default="udpos,snli", help="like those of which data sets, with commas between")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32, help="examples a step")
    parser.add_argument("--square", type=int, default=2_048, help="side of the matrices that show the peak")
    return sides.asked(parser, quick)


def compared(asked: argparse.Namespace, stepper: Stepper) -> sides.Figures:
    """Return the figures of one step: of those of a pool of batches, the one with the median number of tokens."""
    pool = sorted(steps_of(stepper, batch_schedule.POOL), key=tokens)
    prepared = pool[len(pool) // 2]
    with Recorder() as recorder:
        stepper.take(prepared, STEPS)
    square = torch.randn(asked.square, asked.square)
    in_half = replace(stepper, machine=replace(stepper.machine, precision="bf16"))
    seconds = sides.in_turn(
        {
            "peak": partial(timed, lambda: square @ square),
            "bare": partial(timed, recorder.replay),
            "passes": partial(timed, lambda: backward(stepper, prepared)),
            "step": partial(timed, lambda: stepper.take(prepared, STEPS)),
            "bf16": partial(timed, lambda: in_half.take(prepared, STEPS)),
        },
        asked.rounds,
    )
    flops = {"peak": 2 * asked.square**3} | dict.fromkeys(("bare", "passes", "step"), recorder.flops)
    found: sides.Figures = {
        f"{side}_gflops_per_second": [count / 1e9 / taken for taken in seconds[side]] for side, count in flops.items()
    }
    for side in ("passes", "step"):
        found[f"{side}_of_bare_percent"] = [100 * share for share in sides.ratios(seconds["bare"], seconds[side])]
    found["bf16_times_as_fast"] = sides.ratios(seconds["step"], seconds["bf16"])
    found["tokens_per_second"] = [tokens(prepared) / taken for taken in seconds["step"]]
    batches = [batch for passes in prepared.passes for _, batch in passes]
    found["tokens"], found["passes"] = tokens(prepared), len(batches)
    found["padding_percent"] = 100 * (sum(batch.ids.numel() for batch in batches) / tokens(prepared) - 1)
    return found


def tokens(prepared: PreparedStep) -> int:
    """Return the tokens of a step, padding left out."""
    return sum(int(batch.mask.sum()) for passes in prepared.passes for _, batch in passes)


def backward(stepper: Stepper, prepared: PreparedStep) -> None:
    """Compute the gradients of a step, and do nothing with them."""
    stepper.optimizer.zero_grad(set_to_none=True)
    for part, passes, mine in zip(prepared.step, prepared.passes, prepared.counted(), strict=True):
        targets = max(1, sum(batch.labels for _, batch in mine))
        stepper._backward(stepper.training_sets[part.training_set], passes, len(mine), targets)


def timed(work: Callable[[], Any], number: int) -> float:
    """Return the processor seconds of some work; in the first round it is done once before."""
    if not number:
        work()
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
