"""Stage: a promise of a result, named by everything that decides it, and the store that keeps what was promised.

A function decorated with `@stage` does not run when it is called: it returns a `Stage`, whose key is a digest of the
function's name, its version and its arguments, stages among them by their keys. `build` makes the result, inputs
first, in a folder `<store>/<label>-<key>/`. The folder appears complete or not at all: existence is completion.
What the machine decides (device, paths, workers) reaches the function through `Site` and never the key.

>>> @stage(version=1)
... def greet(site: Site, name: str) -> None:
...     (site.folder / "greeting.txt").write_text(f"hello {name}")
>>> greet("world").key == greet("world").key != greet("moon").key
True
"""

from __future__ import annotations

import errno
import hashlib
import inspect
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from filelock import FileLock, Timeout

from xstilts.runtime import progress
from xstilts.store.query import manifest
from xstilts.runtime.machine import Machine

P = ParamSpec("P")
SORTED = json.JSONEncoder(sort_keys=True)


class StageError(RuntimeError):
    """A stage could not be built; the message says which, why and what to do."""


@dataclass(frozen=True)
class Work:
    """A function that builds a stage: its name, its version and how it is called in folder names."""

    function: Callable[..., None]
    version: int
    label: Callable[..., str] | None
    resumes: bool

    @property
    def name(self) -> str:
        """The function's full name, which is part of every key."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    def __reduce__(self) -> tuple[Callable[[str, str], Work], tuple[str, str]]:
        return _work, (self.function.__module__, self.function.__qualname__)


@dataclass(frozen=True)
class Stage:
    """Work, its version and its arguments: a promise of a folder."""

    work: Work
    arguments: dict[str, Any]

    def __post_init__(self) -> None:
        _ = self.key  # so that arguments without an identity are refused here and now

    @cached_property
    def key(self) -> str:
        """Twelve hexadecimal digits that name everything that decides the result."""
        return key_of(self.work.name, self.work.version, canonical(self.arguments))

    @cached_property
    def label(self) -> str:
        """A short name for people, safe in a path."""
        label = self.work.label(**self.arguments) if self.work.label else self.work.function.__name__
        return re.sub(r"[^\w.+-]", "_", label)[:100]

    @cached_property
    def inputs(self) -> tuple[Stage, ...]:
        """The stages among the arguments, at any depth, each once."""
        return tuple({stage.key: stage for stage in _stages(self.arguments)}.values())

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stage) and self.key == other.key


@dataclass
class Site:
    """Where a stage is being built: the folder to fill, the machine, and a record that ends in `stage.json`."""

    folder: Path
    machine: Machine
    record: dict[str, Any] = field(default_factory=dict)

    def path(self, stage: Stage) -> Path:
        """Return the finished folder of an input."""
        return folder_of(stage, self.machine)


def stage(
    *, version: int, label: Callable[..., str] | None = None, resumes: bool = False
) -> Callable[[Callable[Concatenate[Site, P], None]], Callable[P, Stage]]:
    """Turn a function `f(site, ...)` into one that promises its result.

    version: raise it when the meaning of the result changes. label: from the arguments to a name for people.
    resumes: the function continues what an earlier, killed call left in its folder; otherwise it starts clean.
    """

    def decorate(function: Callable[Concatenate[Site, P], None]) -> Callable[P, Stage]:
        work = Work(function, version, label, resumes)
        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())[1:]
        names = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]

        def promise(*args: P.args, **kwargs: P.kwargs) -> Stage:
            if not kwargs and len(args) == len(names) == len(parameters):  # as thousands of runs do; binding is slow
                return Stage(work, dict(zip(names, args, strict=True)))
            bound = signature.bind(None, *args, **kwargs)
            bound.apply_defaults()
            return Stage(work, dict(list(bound.arguments.items())[1:]))

        promise.__doc__, promise.__name__ = function.__doc__, function.__name__
        promise.__module__, promise.__qualname__ = function.__module__, function.__qualname__
        promise.work = work  # type: ignore[attr-defined]
        return promise

    return decorate


def key_of(work: str, version: int, arguments: Any) -> str:
    """Return the key of a stage from its work, version and arguments in canonical form, as its record has them."""
    identity = {"work": work, "version": version, "arguments": arguments}
    return hashlib.sha256(SORTED.encode(identity).encode()).hexdigest()[:12]


def canonical(value: Any) -> Any:
    """Return a JSON form that is equal for equal identities; TypeError for anything without a stable one.

    A field declared with `metadata={"identity": False}` (where a file lies, beside its digest) is left out.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": repr(float(value))}
    if isinstance(value, Stage):
        return {"stage": value.key}
    if isinstance(value, tuple):
        return [canonical(item) for item in value]
    if isinstance(value, dict):
        return {str(key): canonical(item) for key, item in value.items()}
    if (names := _identity(value.__class__)) is not None:
        members = {name: canonical(getattr(value, name)) for name in names}
        return {"type": type(value).__qualname__, **members}
    raise TypeError(
        f"{value!r} ({type(value).__name__}) has no stable identity: "
        "give numbers, strings, tuples, frozen dataclasses or stages"
    )


@cache
def _identity(kind: type) -> tuple[str, ...] | None:
    """Return the fields of a frozen dataclass that are its identity; None for any other type."""
    if not is_dataclass(kind) or not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return None
    return tuple(item.name for item in fields(kind) if item.metadata.get("identity", True))


@cache
def _fields(kind: type) -> tuple[str, ...]:
    return tuple(item.name for item in fields(kind)) if is_dataclass(kind) else ()


def folder_of(stage: Stage, machine: Machine) -> Path:
    """Return the folder in which a stage's result lies, or will lie."""
    return machine.store / f"{stage.label}-{stage.key}"


def is_built(stage: Stage, machine: Machine) -> bool:
    """Say whether a stage's result is there and whole."""
    return manifest.is_whole(folder_of(stage, machine))


def build(stage: Stage, machine: Machine) -> Path:
    """Build a stage and what it needs, unless it is there; return its folder.

    Safe for many processes on one store: one builds, the others wait. Raises StageError when the disk is full or when
    an input is gone; whatever the work itself raises passes through, and what was finished before stays.
    """
    folder = folder_of(stage, machine)
    if is_built(stage, machine):
        return folder
    for needed in stage.inputs:
        build(needed, machine)
    with _lock(folder):
        if not is_built(stage, machine):
            _make(stage, folder, machine)
    return folder


def missing(stages: tuple[Stage, ...], machine: Machine) -> list[Stage]:
    """Return what has to be built for `stages`, inputs before what needs them, each once."""
    seen: set[str] = set()
    order: list[Stage] = []
    there = _keys(machine.store)

    def visit(stage: Stage) -> None:
        if stage.key in seen:
            return
        seen.add(stage.key)
        if stage.key in there and is_built(stage, machine):
            return
        for needed in stage.inputs:
            visit(needed)
        order.append(stage)

    for item in stages:
        visit(item)
    return order


def _keys(store: Path) -> set[str]:
    """Return the keys in the names of a store's folders: one look tells of thousands of stages that are not there."""
    with suppress(OSError):
        return {name.rpartition("-")[2] for name in os.listdir(store)}
    return set()


def with_inputs(promised: Iterable[Stage]) -> list[Stage]:
    """Return stages and all that they need, each once."""
    found: dict[str, Stage] = {}
    stack = list(promised)
    while stack:
        item = stack.pop()
        if item.key not in found:
            found[item.key] = item
            stack += item.inputs
    return list(found.values())


def lineage(first: Any, argument: str) -> Iterator[Any]:
    """Yield a stage, what it was given as an argument, what that was given, and so on, to what was given none."""
    yield first
    while isinstance(first, Stage) and argument in first.arguments:
        first = first.arguments[argument]
        yield first


def _make(stage: Stage, folder: Path, machine: Machine) -> None:
    part = folder.with_name(folder.name + ".part")
    if part.exists() and not stage.work.resumes:
        shutil.rmtree(part)
    try:
        part.mkdir(parents=True, exist_ok=True)
        site = Site(part, machine)
        started = time.time()
        stage.work.function(site, **stage.arguments)
        manifest.write(part, _facts(stage, site, started))
        if folder.exists():
            _put_aside(folder)
        part.rename(folder)
        manifest.sync(folder.parent)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise StageError(
            f"no space left in {machine.store} while building {folder.name}: "
            "free some and run again, what is finished stays"
        ) from error


def _facts(stage: Stage, site: Site, started: float) -> dict[str, Any]:
    return {
        "label": stage.label,
        "key": stage.key,
        "work": stage.work.name,
        "version": stage.work.version,
        "source": source_digest(stage.work),
        "arguments": canonical(stage.arguments),
        "inputs": {needed.key: needed.label for needed in stage.inputs},
        "machine": {"device": site.machine.device, "threads": site.machine.threads},
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 3),
        "record": site.record,
    }


def source_digest(work: Work) -> str:
    """Return a digest of the source of a work's module, by which a change without a new version can be seen."""
    source = inspect.getsource(inspect.getmodule(work.function) or work.function)
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def _put_aside(folder: Path) -> None:
    """Move a damaged result out of the way; nothing of it is taken for finished, nothing of it is destroyed."""
    number = next(n for n in range(1, 10**6) if not folder.with_name(f"{folder.name}.damaged{n}").exists())
    progress.note(f"{folder.name} was damaged: it is kept as {folder.name}.damaged{number} and built again")
    folder.rename(folder.with_name(f"{folder.name}.damaged{number}"))


def _lock(folder: Path) -> AbstractContextManager[object]:
    """Return the held lock of a stage; it goes with the process that holds it, however that ends."""
    locks = folder.parent / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{folder.name.rsplit('-', 1)[-1]}.lock")
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        progress.note(f"another process is building {folder.name}: waiting for it")
        return lock.acquire()


def _work(module: str, name: str) -> Work:
    """Return the work of a decorated function by name, as another process finds it."""
    found: Work = getattr(import_module(module), name).work
    return found


def _stages(value: Any) -> Iterator[Stage]:
    if isinstance(value, Stage):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _stages(item)
    elif isinstance(value, dict):
        yield from _stages(tuple(value.values()))
    elif names := _fields(value.__class__):
        yield from _stages(tuple(getattr(value, name) for name in names))
