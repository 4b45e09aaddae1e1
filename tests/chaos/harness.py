"""What the harnesses share: processes that run a command line and can be killed, and what a store holds.

CHAOS_SEED chooses other trials, CHAOS_SECONDS how long each harness goes on (60).

    for number, draw in trials():
        child = call("run", *options)
        ended(child, draw.random())
"""

from __future__ import annotations

import hashlib
import importlib
import itertools
import json
import os
import pkgutil
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import xstilts
from xstilts.store import manifest
from xstilts.store.query import FINISHED

SEED, SECONDS = int(os.environ.get("CHAOS_SEED", "1")), float(os.environ.get("CHAOS_SECONDS", "60"))
LIMIT = 240.0  # seconds of one command
HIDDEN = (".locks", ".builds")
Work = Callable[[], object]
Words = tuple[object, ...]
SHORT = ("--recipe", "small", "--set", "max_train_examples=24", "--set", "max_length=24", "--languages", "qab")
HERE = ("--device", "cpu", "--threads", 1)


class Faults(list[Any]):
    """What went wrong, shown as soon as it is known."""

    def append(self, fault: Any) -> None:
        """Add a fault."""
        print(f"\nfault: {fault}", flush=True)
        super().append(fault)


def trials(seconds: float = SECONDS) -> Iterator[tuple[int, random.Random]]:
    """Yield numbered trials with what they are drawn from, one at least, until the time is up."""
    end = time.monotonic() + seconds
    for number in itertools.count():
        if number and time.monotonic() > end:
            return
        yield number, random.Random(f"{SEED}-{number}")


def prepare() -> None:
    """Import all that a command line may, so that a forked child is at work at once."""
    import torch

    torch.set_num_threads(1)
    for module in pkgutil.walk_packages(xstilts.__path__, "xstilts."):
        if "__main__" not in module.name and "trackers" not in module.name:
            with suppress(ImportError):
                importlib.import_module(module.name)


def make_encoder(folder: Path, **sizes: int) -> Path:
    """Make a tiny encoder of random weights, or a larger one."""
    import families

    kind = families.FAMILIES["xlm-roberta"]
    families.FAMILIES["xlm-roberta"] = {**kind, "config": {**kind["config"], **sizes}}
    families.make("xlm-roberta", folder)
    families.FAMILIES["xlm-roberta"] = kind
    return folder


def small_world() -> None:
    """In a child: few examples and a checkpoint after every step, so that what is left is what is tried."""
    from xstilts import sandbox
    from xstilts.data import dataset
    from xstilts.models import token_cache
    from xstilts.runtime.machine import Runtime
    from xstilts.store import local_executor

    few, every, checked = {"train": 40, "validation": 6, "test": 8}, sandbox.examples, Runtime.__post_init__

    def often(machine: Runtime) -> None:
        checked(machine)
        object.__setattr__(machine, "checkpoint_seconds", 0.0)

    def handful(name: str, split: str, *rest: Any) -> Iterator[Any]:
        return itertools.islice(every(name, split, *rest), few[split])

    Runtime.__post_init__ = often  # type: ignore[method-assign]
    type(sandbox.GENERATOR).examples = staticmethod(handful)  # type: ignore[assignment, method-assign]
    dataset._check_count = lambda *_: None  # type: ignore[assignment]
    token_cache.LEAST = 300
    local_executor.usable_cores = lambda: 1  # workers would import the test run again


def fork(work: Work, log: Path, before: Work = small_world) -> int:
    """Run something in a child, in a process group of its own, with its output in a file; return its number."""
    child = os.fork()
    if child:
        return child
    code = 99
    try:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        before()
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    with suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def call(log: Path, *words: object, before: Work = small_world) -> int:
    """Run a command line in a child; return its number."""

    def work() -> None:
        from xstilts import cli

        sys.argv = ["xstilts", *map(str, words)]
        cli.main()

    return fork(work, log, before)


def short_run(encoder: Path, store: Path, *options: object) -> Words:
    """Return the command line of a short run with an intermediate task."""
    tasks = ("--intermediate", "sandbox_roles", "--target", "sandbox_ner")
    return ("run", "--encoder", encoder, *tasks, *SHORT, *options, *HERE, "--store", store)


def ended(child: int, seconds: float = LIMIT) -> int | None:
    """Return the exit code of a child, negative for a signal; None where it still runs after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.003)


def killed(child: int) -> None:
    """Kill a child and all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(child, 0)


def completed(child: int) -> int:
    """Return the exit code of a child that has to end."""
    code = ended(child)
    if code is None:
        killed(child)
        pytest.fail(f"a command did not end in {LIMIT:g} s")
    return code


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digests(store: Path) -> dict[str, str]:
    """Return the digests of all files of finished stages; of manifests, of what no clock and no machine decides."""
    files = {}
    for folder in sorted(store.iterdir()) if store.exists() else ():
        if not FINISHED.search(folder.name):
            continue
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name != manifest.RECORD:
                files[f"{folder.name}/{path.relative_to(folder)}"] = sha256(path)
        facts = manifest.read(folder)
        record = {name: value for name, value in facts["record"].items() if name != "cost"}
        text = json.dumps([record, facts["arguments"], sorted(facts["files"])], sort_keys=True)
        files[f"{folder.name}/{manifest.RECORD}"] = hashlib.sha256(text.encode()).hexdigest()
    return files


def tree(folder: Path) -> dict[str, str]:
    """Return the digests of all files below a folder."""
    return {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in (sorted(folder.rglob("*")) if folder.exists() else ())
        if path.is_file()
    }


def left(store: Path) -> list[str]:
    """Return what lies in a store beside finished stages, and temporary files and leases anywhere in it."""
    if not store.exists():
        return []
    names = [path.name for path in store.iterdir() if not FINISHED.search(path.name) and path.name[0] != "."]
    torn = (path for pattern in (".tmp*", "*.new", "*.part") for path in store.rglob(pattern))
    inside = [name for path in torn if (name := path.relative_to(store).as_posix()).partition("/")[0] not in HIDDEN]
    leases = store / ".locks" / "leases"
    return sorted({*names, *inside, *(path.name for path in (leases.iterdir() if leases.exists() else ()))})


def differing(one: dict[str, str], other: dict[str, str]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
