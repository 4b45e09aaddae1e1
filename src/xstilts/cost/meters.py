"""Meters: wall-clock seconds, device seconds and joules, as far as the machine measures them.

The device's seconds are those of the processors (all threads of this process) or of the stream of a GPU. Energy is what
the GPU has drawn by its own counter (NVML), on a CPU that of all packages (RAPL, where it may be read): of everything
that runs there, not of this process alone.

>>> clock = Clock(torch.device("cpu"))
>>> sorted(clock.lap())
['device_seconds', 'joules', 'seconds']
"""

from __future__ import annotations

import ctypes
import time
from contextlib import suppress
from pathlib import Path

import torch

POWERCAP = Path("/sys/class/powercap")
Counter = dict[str, tuple[int, int]]  # by name the microjoules so far, and the value at which the counter wraps


class Clock:
    """Measures seconds and joules between laps."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.wall, self.stream, self.energy = time.monotonic(), _stream(device), _energy(device)

    def lap(self) -> dict[str, float | None]:
        """Return seconds and joules since the last lap, None where they are not measured; waits for the device."""
        wall, stream, energy = time.monotonic(), _stream(self.device), _energy(self.device)
        passed = {
            "seconds": wall - self.wall,
            "device_seconds": _between(self.stream, stream),
            "joules": drawn(self.energy, energy),
        }
        self.wall, self.stream, self.energy = wall, stream, energy
        return passed


def drawn(before: Counter, now: Counter) -> float | None:
    """Return the energy between two readings of the energy counters.

    Args:
        before: The earlier reading: microjoules and the value at which the counter wraps, by counter.
        now: The later reading.

    Returns:
        Joules, right if no counter wrapped twice; None without counters, or where they changed.
    """
    if not before or before.keys() != now.keys():
        return None
    return sum((now[name][0] - before[name][0]) % now[name][1] for name in now) / 1e6


def _stream(device: torch.device) -> torch.cuda.Event | float | None:
    if device.type == "cuda":
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(device))
        event.synchronize()
        return event
    return time.process_time() if device.type == "cpu" else None


def _between(before: torch.cuda.Event | float | None, now: torch.cuda.Event | float | None) -> float | None:
    if isinstance(before, torch.cuda.Event) and isinstance(now, torch.cuda.Event):
        return float(before.elapsed_time(now)) / 1000
    return now - before if isinstance(before, float) and isinstance(now, float) else None


def _energy(device: torch.device) -> Counter:
    if device.type == "cuda":
        return _nvml(str(torch.cuda.get_device_properties(device).uuid))
    return rapl(POWERCAP) if device.type == "cpu" else {}


def rapl(folder: Path) -> Counter:
    """Read the energy counters of all processor packages.

    Args:
        folder: The folder of the kernel's power capping interface.

    Returns:
        Readings by counter; those that may not be read are left out.
    """
    counters: Counter = {}
    for package in sorted(folder.glob("intel-rapl:?")):
        with suppress(OSError, ValueError):
            most = int((package / "max_energy_range_uj").read_text())
            counters[package.name] = int((package / "energy_uj").read_text()), most + 1
    return counters


def _nvml(uuid: str) -> Counter:
    """Read the energy counter of a GPU from the driver's own library; nothing where it has none."""
    with suppress(OSError, AttributeError):
        library, handle, millijoules = ctypes.CDLL("libnvidia-ml.so.1"), ctypes.c_void_p(), ctypes.c_ulonglong()
        name = f"GPU-{uuid.removeprefix('GPU-')}".encode()
        failed = library.nvmlInit_v2() or library.nvmlDeviceGetHandleByUUID(name, ctypes.byref(handle))
        if not failed and not library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules)):
            return {name.decode(): (millijoules.value * 1000, 2**64)}
    return {}
