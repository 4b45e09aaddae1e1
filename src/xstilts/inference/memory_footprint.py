"""Memory footprint: the memory of a process that serves one form of a network and does nothing else.

Each form has a process of its own, as memory that another has left behind cannot be separated. A form that is served
from a file starts without torch. The kernel's peak of the process's own memory is read where there is one (Linux), not
`ru_maxrss`, which starts at that of the parent process.

    measured(MemoryRequest("int8", "model", "classification", "cpu", 1, "/tmp/scratch", 8, 128))
    # {"peak_mib": 900.1, "answering_mib": 760.2, "device_mib": None}
"""

from __future__ import annotations

import ctypes
import gc
import json
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xstilts.runtime.machine import peak_memory_mib

if TYPE_CHECKING:
    from torch import Tensor

Figures = dict[str, float | None]  # None: not measured
NOTHING: Figures = {"peak_mib": None, "answering_mib": None, "device_mib": None}
MIB = 2**20


@dataclass(frozen=True)
class MemoryRequest:
    """What is measured: a form of a checkpoint, where it runs, and the batch that it gets.

    Args:
        variant: The form.
        folder: Of the checkpoint.
        format: Of its head.
        device: As torch calls it.
        threads: Of torch or ONNX Runtime.
        file: From which the form is served; "": from the checkpoint.
        batch: Sequences.
        length: Tokens of a sequence.
    """

    variant: str
    folder: str
    format: str
    device: str
    threads: int
    file: str
    batch: int
    length: int


def measured(request: MemoryRequest) -> Figures:
    """Measure the peak memory of a process that makes a form and runs a batch through it.

    Returns:
        In MiB: `peak_mib` from its start, with all that making the form takes; `answering_mib` of the batch alone, once
        unused memory has been freed; `device_mib`, the same of torch's share of a GPU. None where it was not measured.
    """
    command = [sys.executable, "-m", "xstilts.inference.memory_footprint", json.dumps(asdict(request))]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        return dict(NOTHING)
    return {**NOTHING, **json.loads(found.stdout.splitlines()[-1])}


def main(argument: str) -> None:
    """Print the figures of one form, as the process that is measured."""
    request = MemoryRequest(**json.loads(argument))
    answer, tensors = _of_file(request) if request.file else _of_network(request)
    made = peak()
    for one in tensors:  # memory of their own, or a few of them keep the whole file mapped that they were read from
        one.data = one.data.clone()
    anew = forget()
    answer()
    answering = peak()
    figures = {"peak_mib": max(made, answering), "answering_mib": answering if anew else None, **_on_device(request)}
    print(json.dumps(figures))


def peak() -> float:
    """Return the most memory that this process has held, in MiB; NaN where the system does not say."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    most = peak_memory_mib()
    return math.nan if most is None else float(most)


def forget() -> bool:
    """Free unused memory and reset the kernel's peak to what is held now; False where that is not possible."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError, TypeError):  # not Linux, not glibc, or not allowed
        return False
    return True


def _of_file(request: MemoryRequest) -> tuple[Callable[[], object], Sequence[Tensor]]:
    import numpy as np

    from xstilts.inference import onnx_export

    ask = onnx_export.opened(Path(request.file), request.threads)
    ids = np.full((request.batch, request.length), 9, dtype=np.int64)
    return lambda: ask(ids, np.ones_like(ids)), ()


def _of_network(request: MemoryRequest) -> tuple[Callable[[], object], Sequence[Tensor]]:
    import torch

    from xstilts.inference import backends

    torch.set_num_threads(request.threads)
    loaded = backends.load(request.folder, request.format, torch.device(request.device), Path())
    form = backends.form(request.variant, loaded)
    del loaded
    ids = torch.full((request.batch, request.length), 9, device=request.device)
    if torch.device(request.device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(request.device)
    return lambda: form.ask(ids, torch.ones_like(ids)), form.tensors


def _on_device(request: MemoryRequest) -> Figures:
    if not request.device.startswith("cuda"):
        return {}
    import torch

    return {"device_mib": torch.cuda.max_memory_allocated(request.device) / MIB}


if __name__ == "__main__":
    main(sys.argv[1])
