"""Runtime: settings of the present computer, which are no part of any key.

Device, threads, memory and paths change how fast a result is computed, not what it is (up to rounding). So they are one
value beside the arguments of a stage.

>>> Runtime(store=Path("work"), device="cpu").most_tokens()
512
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xstilts.errors import InputError
from xstilts.runtime.cluster import THIS_COMPUTER, Cluster
from xstilts.runtime.text import counted

if TYPE_CHECKING:
    import torch


DEVICE = re.compile(r"auto|cpu|(cuda|mps|xpu)(:\d+)?")
PRECISIONS = ("auto", "fp32", "bf16")
KEEPS = KEEP_ALL, KEEP_INTERMEDIATE, KEEP_NONE = ("all", "intermediate", "none")
MOST_PROCESSES = 1024  # of a machine, or threads of a process
# What GNU's, LLVM's and Intel's OpenMP read about waiting threads.
WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}
GPU_TOKENS, CPU_TOKENS = 16384, 512  # a GPU wants large passes; a CPU takes small ones as fast, in less memory


def peak_memory_mib() -> int | None:
    """Return the most memory that this process has held, in MiB; None on Windows, which does not say."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB; bytes on macOS
    return max(_earlier_peak, peak // (2**20 if sys.platform == "darwin" else 1024))


_earlier_peak = 0  # MiB, of before `restart_peak_memory`


def restart_peak_memory() -> float | None:
    """Let `memory_mib("VmHWM")` count from now on, after free memory was given back to the system.

    Returns:
        What the process holds now, in MiB; None on systems other than Linux and where the kernel does not allow it.
    """
    global _earlier_peak
    earlier = peak_memory_mib() or 0
    try:
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)  # of glibc; without it a later peak hides in what is free
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return None
    _earlier_peak = max(_earlier_peak, earlier)
    return memory_mib("VmRSS")


def memory_mib(field: str) -> float | None:
    """Return a field of the kernel's status of this process, such as "VmHWM", in MiB; None where there is none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:")), None)
    return None


def let_threads_sleep() -> None:
    """Let threads of OpenMP that wait for each other sleep instead of spinning, unless the environment says otherwise.

    Where another process needs a core, spinning threads keep it from the one that they wait for, and a step takes many
    times as long. The libraries read the environment when they are loaded: call it before torch is imported; processes
    started later inherit it.
    """
    if not WAITING.keys() & os.environ.keys():
        os.environ.update(WAITING)


def busy() -> str:
    """Return a remark where more processes are running than there are cores, as the system's load says; else ""."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    cores = usable_cores()
    if load < cores + 0.5:  # a process of one's own that has just ended counts for a while
        return ""
    sharing = f"{load:.0f} processes share {counted(cores, 'core')}"
    return f"the machine is busy: {sharing}; times measured now are not comparable"


def available_memory_bytes() -> int:
    """Return how much main memory is free or can be made so; all of it where the system does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    return main_memory_bytes()


def main_memory_bytes() -> int:
    """Return the size of this computer's main memory."""
    if sys.platform == "win32":
        installed = ctypes.c_ulonglong()  # in KiB
        ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(installed))
        return 1024 * installed.value
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@dataclass(frozen=True)
class Runtime:
    """Where and how stages are built.

    Attributes:
        store: Folder of finished stages.
        data: Folder of local data sets; None where there is none.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        max_tokens_per_pass: Most tokens, padding included, in one forward and backward pass; a larger batch is computed
            in several passes and stays one batch. 0: as suits the device.
        workers: Processes that build stages side by side; 0: on a CPU one a core, as far as there are trainings to
            share and memory for them, on a GPU one.
        threads: Torch's threads in each process; 0: torch's default, which is all cores, or a share for each worker.
        checkpoint_seconds: Seconds between two checkpoints of a training.
        precision: "auto" (bf16 arithmetic where the device has it), "fp32" or "bf16".
        allow_unexpected_data: Accept data sets with another number of examples than expected, or that do not look
            English. The check changes no result.
        prefix_gib: Most GiB of states of frozen layers in the store (`frozen_layer_cache`); 0: run them in every step.
        token_gib: Most GiB of tokenized texts in the store (`token_cache`); 0: tokenize for every training and
            prediction.
        packing: "auto", "on" or "off": whether sequences share rows instead of being padded (`packed_attention`).
        recompute: Keep only the inputs of layers for the backward pass and compute the rest again: less memory, a third
            more computation.
        compiled: Let torch compile the layers, which takes a minute at the first step.
        memory_gib: Device memory in GiB that a plan assumes (`memory_fit`); 0: that of the present device.
        processes: Processes that compute one training together, each on a GPU of its own (`training.processes`).
        shard: Divide weights, gradients and optimizer states among these processes instead of having them in each.
        keep: Weights that `run` and `study` leave in the store: "all", those that another training began from
            ("intermediate") or "none"; the others are dropped as soon as nothing needs them.
        lease_seconds: Seconds of silence after which a build of another host counts as dead (`store.leases`).
        cluster: On which machines stages are built.

    Raises:
        InputError: A choice is unknown, or a number is out of range or of another type.
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
    keep: str = KEEP_ALL
    processes: int = 1
    shard: bool = False
    lease_seconds: float = 60.0
    cluster: Cluster = THIS_COMPUTER

    def __post_init__(self) -> None:
        if not isinstance(self.store, Path) or not (self.data is None or isinstance(self.data, Path)):
            raise InputError(f"store ({self.store!r}) and data ({self.data!r}) must be paths: give pathlib.Path(…)")
        if not isinstance(self.device, str) or not DEVICE.fullmatch(self.device):
            raise InputError(f"unknown device '{self.device}': give auto, cpu, cuda, cuda:1 or mps")
        if self.precision not in PRECISIONS:
            remedy = "half precision without loss scaling loses gradients: give bf16, or auto"
            known = f"give {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}"
            fp16 = str(self.precision).lower() in ("fp16", "float16", "half", "16")
            raise InputError(f"precision '{self.precision}' is not supported: {remedy if fp16 else known}")
        if self.packing not in ("auto", "on", "off"):
            raise InputError(f"unknown packing '{self.packing}': give auto, on or off")
        if self.keep not in KEEPS:
            raise InputError(f"unknown weights to keep '{self.keep}': give {', '.join(KEEPS[:-1])} or {KEEPS[-1]}")
        if self.keep != KEEP_ALL and sys.platform == "win32":
            raise InputError(f"--keep {self.keep} needs shared locks, which Windows does not have: leave it out")
        for name, least in {"max_tokens_per_pass": 0, "workers": 0, "threads": 0, "processes": 1}.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{name} must be a whole number of {least} or more, not {value!r}")
            if value > MOST_PROCESSES and name != "max_tokens_per_pass":
                raise InputError(f"{name} must be {MOST_PROCESSES:,} at most, not {value:,}: no machine runs as many")
        for name in ("checkpoint_seconds", "prefix_gib", "token_gib", "memory_gib"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise InputError(f"{name} must be a number of 0 or more, not {value!r}")
        if (
            isinstance(self.lease_seconds, bool)
            or not isinstance(self.lease_seconds, int | float)
            or not self.lease_seconds > 0
        ):
            raise InputError(f"lease_seconds must be a number above 0, not {self.lease_seconds!r}")
        if not isinstance(self.cluster, Cluster):
            raise InputError(f"cluster must be a Cluster, not {self.cluster!r}")
        for name in ("allow_unexpected_data", "recompute", "compiled", "shard"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} must be True or False, not {getattr(self, name)!r}")
        if self.processes > 1 and self.workers > 1:
            raise InputError(
                f"{self.workers} workers would each train with {self.processes} processes: give workers, which build "
                "stages side by side, or processes, which share a training"
            )
        if self.shard and self.processes == 1:
            raise InputError("sharding divides weights among processes: give --processes 2 or more")
        if self.shard and self.compiled:
            raise InputError("sharded weights are not supported by compiled layers: leave out --compile or --shard")

    def torch_device(self) -> torch.device:
        """Return the device, the fastest one for "auto", and set the number of torch's threads.

        Raises:
            InputError: This computer has no such device.
        """
        import torch

        if self.threads:
            torch.set_num_threads(self.threads)
        if self.device != "auto":
            return _device(self.device)
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")

    def require_device(self) -> None:
        """Refuse a device that is missing here, before anything is built; that of other machines is not known here.

        Raises:
            InputError: As `torch_device`.
        """
        if not self.cluster.remote:
            self.torch_device()

    def most_tokens(self, device: str = "") -> int:
        """Return the most tokens of one pass.

        Args:
            device: Type of a device ("cuda", "cpu"); "": the present one.

        Returns:
            Tokens, padding included.
        """
        return self.max_tokens_per_pass or (
            GPU_TOKENS if (device or self.torch_device().type) == "cuda" else CPU_TOKENS
        )

    def arithmetic_precision(self) -> str:
        """Return "bf16" where it is set, or "auto" on a GPU that computes in it natively, else "fp32"."""
        import torch

        native = self.torch_device().type == "cuda" and torch.cuda.is_bf16_supported()
        return "bf16" if self.precision == "bf16" or (self.precision == "auto" and native) else "fp32"

    def arithmetic(self) -> AbstractContextManager[object]:
        """Return the autocast context of the forward pass."""
        import torch

        halved = self.arithmetic_precision() == "bf16"
        return torch.autocast(self.torch_device().type, dtype=torch.bfloat16) if halved else nullcontext()


def launched(processes: int = 1) -> int:
    """Return how many processes `torchrun` has started, of which this is one; without it the given number."""
    return int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else processes


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _device(name: str) -> torch.device:
    """Return a device by name; InputError where there is none of that name here."""
    import torch

    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"cannot work on device '{name}' ({reason}): give auto, cpu, cuda, cuda:1 or mps") from None
