"""The verb `doctor`: is this installation usable, and what is missing for what?"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import typer

from xstilts import __version__
from xstilts.cli.app import app
from xstilts.cli.options import DataFolder, Device, Store
from xstilts.runtime import file_system
from xstilts.runtime.text import counted

State = Literal["ok", "note", "broken"]
LIBRARIES = ("torch", "transformers", "tokenizers", "huggingface-hub", "numpy", "safetensors")
HUB, TIMEOUT = "https://huggingface.co", 3.0
GIB = 2**30
LITTLE_DISK = 5 * GIB  # a training of a base encoder writes 1 to 4 GiB


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        group: What it belongs to: versions, device, extras, data, hub or store.
        name: What was looked at.
        value: What is there.
        state: "ok"; "note" where something optional is missing; "broken" where xstilts cannot work so.
        remedy: What to do, where it is not "ok".
    """

    group: str
    name: str
    value: str
    state: State = "ok"
    remedy: str = ""


@app.command(
    rich_help_panel="Store",
    examples=("xstilts doctor", "xstilts doctor --store work --data DATA --json"),
)
def doctor(store: Store = Path("work"), data: DataFolder = None, device: Device = "auto") -> None:
    """Check versions, devices, extras, data, the hub and the store; exit code 1 where something needed is broken."""
    from rich.table import Table

    from xstilts.runtime.console import console, result

    checks = gather(store, data, device)
    shown = Table("part", "check", "result", "state")
    before = ""
    for check in checks:
        shown.add_row(check.group if check.group != before else "", check.name, check.value, check.state)
        before = check.group
    screen = console()
    screen.print(shown)
    for check in checks:
        if check.remedy:
            screen.print(f"  {check.name}: {check.remedy}", highlight=False, soft_wrap=True)
    usable = all(check.state != "broken" for check in checks)
    screen.print("usable" if usable else "not usable: see what is broken above", highlight=False)
    result({"usable": usable, "checks": checks})
    raise typer.Exit(not usable)


def gather(store: Path, data: Path | None, device: str = "auto") -> list[Check]:
    """Return all checks; the hub is asked while the others run.

    Args:
        store: The store, which need not exist yet.
        data: The data folder; None where none is named.
        device: The device to compute on.
    """
    hub: list[Check] = []
    asking = threading.Thread(target=lambda: hub.append(_hub()), daemon=True)
    asking.start()
    parts: list[Callable[[], Iterator[Check]]] = [
        _versions,
        lambda: _device(device),
        _extras,
        lambda: _data(data),
        lambda: _store(store),
    ]
    checks = [check for part in parts for check in part()]
    asking.join(TIMEOUT + 0.5)
    silent = Check("hub", _endpoint(), f"no answer within {TIMEOUT:g} s", "note", HUB_REMEDY)
    place = next((number for number, check in enumerate(checks) if check.group == "store"), len(checks))
    return [*checks[:place], *(hub or [silent]), *checks[place:]]


HUB_REMEDY = "check the network and its proxy, or set HF_HUB_OFFLINE=1 and use local folders"


def _versions() -> Iterator[Check]:
    yield Check("versions", "xstilts", __version__)
    python = f"{platform.python_version()} ({platform.system()} {platform.machine()})"
    if sys.platform == "win32":
        yield Check("versions", "python", python, "note", "not tested on Windows: use WSL 2, Docker or Linux")
    else:
        yield Check("versions", "python", python)
    for name in LIBRARIES:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Check("versions", name, "not installed", "broken", f"pip install {name}")
            continue
        needed = _required(name)
        if needed and not needed.contains(version, prereleases=True):
            yield Check("versions", name, version, "broken", f'pip install "{name}{needed}"')
        else:
            yield Check("versions", name, version)


def _required(name: str) -> Any:
    """Return which versions of a library this package declares to need; None where that is not known."""
    try:
        from packaging.requirements import Requirement

        declared = [Requirement(text) for text in metadata.requires("xstilts") or ()]
    except (ImportError, metadata.PackageNotFoundError):
        return None
    return next((needed.specifier for needed in declared if needed.name == name and not needed.marker), None)


def _device(name: str) -> Iterator[Check]:
    from xstilts.errors import InputError
    from xstilts.runtime.machine import Runtime, usable_cores

    cores = usable_cores()
    try:
        import torch
    except Exception as error:  # a broken installation of torch raises whatever its libraries raise
        yield Check("device", "torch", f"cannot be imported: {error}", "broken", "pip install --force-reinstall torch")
        return
    try:
        chosen = Runtime(device=name).torch_device()
    except InputError as error:
        yield Check("device", name, "not usable", "broken", str(error))
        return
    if chosen.type == "cuda":
        free, total = torch.cuda.mem_get_info(chosen)
        title = torch.cuda.get_device_name(chosen)
        yield Check("device", str(chosen), f"{title}, {free / GIB:.1f} of {total / GIB:.1f} GiB free")
    else:
        yield Check("device", str(chosen), platform.processor() or platform.machine())
    yield Check("device", "cores", f"{cores} usable, {counted(torch.get_num_threads(), 'torch thread')}")
    memory = _memory()
    if memory:
        yield Check("device", "memory", f"{memory[0] / GIB:.1f} of {memory[1] / GIB:.1f} GiB available")


def _memory() -> tuple[int, int] | None:
    """Return available and total bytes of main memory; None where the system does not say."""
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return tuple(int(lines[name].split()[0]) * 1024 for name in ("MemAvailable", "MemTotal"))  # type: ignore[return-value]
    except (OSError, KeyError, ValueError):
        return None


def _extras() -> Iterator[Check]:
    from xstilts.runtime import extras

    for extra in extras.EXTRAS:
        absent = extras.missing(extra)
        if absent:
            yield Check("extras", extra, f"no {', '.join(absent)}", "note", extras.command(extra))
        else:
            yield Check("extras", extra, "installed")


def _data(folder: Path | None) -> Iterator[Check]:
    from xstilts.errors import InputError
    from xstilts.tasks import base

    if folder is None:
        yield Check(
            "data", "folder", "none named", "note", "name it with --data or XSTILTS_DATA; the sandbox needs none"
        )
        return
    if not folder.is_dir():
        yield Check("data", "folder", f"{folder} is missing", "broken", "correct --data or XSTILTS_DATA, or make it")
        return
    yield Check("data", "folder", str(folder))
    listed = [(name, task) for name, task in base.listed() if isinstance(task, InputError) or not task.artificial]
    broken = [name for name, task in listed if isinstance(task, InputError)]
    tasks = [task for _, task in listed if not isinstance(task, InputError)]
    present = sum(
        any(task.has(split, code, folder) for split in ("train", "test") for code in task.languages) for task in tasks
    )
    yield Check("data", "tasks", f"{present} of {len(tasks)} with data here")
    for name in broken:
        yield Check("data", name, "its task file cannot be used", "note", f"xstilts tasks validate {name}")


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or HUB


def _hub() -> Check:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return Check("hub", _endpoint(), "not used: HF_HUB_OFFLINE is set")
    try:
        with urllib.request.urlopen(urllib.request.Request(_endpoint(), method="HEAD"), timeout=TIMEOUT):
            return Check("hub", _endpoint(), "reachable")
    except urllib.error.HTTPError as answer:
        return Check("hub", _endpoint(), f"reachable (HTTP {answer.code})")
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "reason", error))
        return Check("hub", _endpoint(), f"not reachable: {reason}", "note", HUB_REMEDY)


def _store(store: Path) -> Iterator[Check]:
    """Yield whether the store's place is writable, has room, and can hold a store; nothing stays there."""
    place = store.absolute()
    while not place.exists():
        place = place.parent
    state = "" if store.exists() else ", not made yet"
    try:
        if not place.is_dir():
            raise NotADirectoryError(f"{place} is no folder")
        with tempfile.TemporaryDirectory(prefix=".xstilts-doctor-", dir=place) as folder:
            yield Check("store", "folder", f"{store} (writable{state})")
            tried = file_system.probe(Path(folder))
    except OSError as error:
        yield Check("store", "folder", f"{store}: {error}", "broken", "give another folder with --store")
        return
    if tried.unfit:
        yield Check("store", "file system", tried.unfit, "broken", "give a --store on a local disk, NFS or Lustre")
    elif tried.locks:
        advice = (
            "builders keep each other out by leases; a disk with locks frees the stages of a killed process at once"
        )
        yield Check("store", "locks", f"do not work: {tried.locks}", "note", advice)
    else:
        yield Check("store", "locks", "work")
    free = shutil.disk_usage(place).free
    little = free < LITTLE_DISK
    remedy = "free some space, or give another folder with --store" if little else ""
    yield Check("store", "disk", f"{free / GIB:.1f} GiB free", "note" if little else "ok", remedy)
