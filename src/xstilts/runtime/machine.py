"""Machine: what the computer at hand decides, and what therefore never reaches a key.

Device, threads, memory and paths change how fast a result comes, not what it is (up to rounding). They travel as one
keyword-only argument beside the identity of a stage.

>>> Runtime(store=Path("work"), device="cpu").most_tokens()
512
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xstilts.errors import InputError

if TYPE_CHECKING:
    import torch


GPU_TOKENS, CPU_TOKENS = 16384, 512  # a GPU wants large passes; a CPU takes small ones as fast, in less memory


@dataclass(frozen=True)
class Runtime:
    """Where and how work is done.

    store: folder of finished stages. data: folder of local data sets (None: hub only). device: "auto", "cpu",
    "cuda", "cuda:1", "mps". micro_tokens: most tokens, padding included, in one forward and backward pass; a batch
    is cut into as many as it takes and stays one batch; 0: as suits the device. workers: processes that build stages
    side by side. threads: torch threads a process (0: as torch decides). checkpoint_seconds: time between resume
    points. precision: "auto" (bf16 arithmetic where the device has it), "fp32" or "bf16". partial: take data sets that
    do not have as many rows as expected, or do not look English; a guard, which changes no result. prefix_gib: most GiB
    of states of frozen layers to keep in the store (`prefix`); 0: run them in every step. token_gib: most GiB of pieces
    of texts to keep there (`segments`); 0: tokenise for every training and prediction. packing: "auto", "on" or "off"
    (`packing`). recompute: keep only the inputs of layers for the backward pass and compute the rest again: less
    memory, a third more work. compiled: let torch compile the layers, which takes a minute at the first step.
    memory_gib: the device's memory that a plan reckons with (`fit`); 0: what the present one has.
    """

    store: Path = Path("work")
    data: Path | None = None
    device: str = "auto"
    max_tokens_per_pass: int = 0
    workers: int = 1
    threads: int = 0
    checkpoint_seconds: float = 120.0
    precision: str = "auto"
    allow_unexpected_data: bool = False
    prefix_gib: float = 16.0
    token_gib: float = 4.0
    packing: str = "auto"
    recompute: bool = False
    compiled: bool = False
    memory_gib: float = 0.0

    def __post_init__(self) -> None:
        if self.packing not in ("auto", "on", "off"):
            raise InputError(f"unknown packing '{self.packing}': give auto, on or off")

    def torch_device(self) -> torch.device:
        """Return the device to work on, the fastest there is for "auto"; set torch's threads."""
        import torch

        if self.threads:
            torch.set_num_threads(self.threads)
        if self.device != "auto":
            return _device(self.device)
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")

    def most_tokens(self, device: str = "") -> int:
        """Return the most tokens of one pass: as given, or as suits the device, or another type of device."""
        return self.max_tokens_per_pass or (
            GPU_TOKENS if (device or self.torch_device().type) == "cuda" else CPU_TOKENS
        )

    def arithmetic_precision(self) -> str:
        """Return how a network computes: "bf16" where asked for, or where a GPU does it natively, else "fp32"."""
        import torch

        native = self.torch_device().type == "cuda" and torch.cuda.is_bf16_supported()
        return "bf16" if self.precision == "bf16" or (self.precision == "auto" and native) else "fp32"

    def arithmetic(self) -> AbstractContextManager[object]:
        """Return the context in which a network computes."""
        import torch

        halved = self.arithmetic_precision() == "bf16"
        return torch.autocast(self.torch_device().type, dtype=torch.bfloat16) if halved else nullcontext()


def _device(name: str) -> torch.device:
    """Return a device by name; InputError where there is none of that name here."""
    import torch

    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"cannot work on device '{name}' ({reason}): give auto, cpu, cuda, cuda:1 or mps") from None
