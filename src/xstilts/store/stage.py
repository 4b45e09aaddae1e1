"""Stages: computations that are declared first and run later, each named by everything that decides its result.

A function decorated with `@stage` does not run when it is called: it returns a `Stage`, whose key is a digest of the
function's declared name, its version and its arguments, stages among them by their keys. `build.build` runs it, inputs
first, in a folder `<store>/<label>-<key>/`. The folder appears complete or not at all: if it exists, it is finished.
What depends on the machine (device, paths, workers) reaches the function through `BuildContext` and never the key.

>>> @stage(name="greet", version=1)
... def greet(context: BuildContext, name: str) -> None:
...     (context.folder / "greeting.txt").write_text(f"hello {name}")
>>> greet("world").key == greet("world").key != greet("moon").key
True
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from xstilts.runtime.machine import Runtime
from xstilts.store.identity import Encode, Keyed, Member, canonical_members, declared_members, key_of

P = ParamSpec("P")
T = TypeVar("T", bound=Hashable)


class StageError(RuntimeError):
    """A stage could not be built; the message says which, why and what to do."""


@dataclass(frozen=True)
class StageFunction:
    """A function that builds a stage, with what keys and folders have of it.

    Attributes:
        function: The function; its first argument is a `BuildContext`.
        name: Its declared name.
        version: The version of its results' meaning.
        members: Which arguments are in keys, and under which names.
        label: From the arguments to the first part of the folder's name; None for a short form of the declared name.
        resumes: Whether it continues what an earlier, killed call left in its folder: True for any file, or patterns of
            the files that it continues from; the others are removed.
        memory: From a machine and the arguments to the bytes of main memory that it takes; None where that is little.
    """

    function: Callable[..., None]
    name: str
    version: int
    members: tuple[Member, ...]
    label: Callable[..., str] | None
    resumes: bool | tuple[str, ...]
    memory: Callable[..., int] | None = None

    @property
    def short(self) -> str:
        """The last part of the name, for display."""
        return self.name.rpartition(".")[2]

    def __reduce__(self) -> tuple[Callable[[str, str], StageFunction], tuple[str, str]]:
        return _work, (self.function.__module__, self.function.__qualname__)


@dataclass(frozen=True)
class Stage(Keyed):
    """A stage function and its arguments; its result is a folder of the store, whether it is there yet or not."""

    work: StageFunction
    arguments: dict[str, Any]

    def __post_init__(self) -> None:
        _ = self.key  # so that arguments without an identity are refused here and now

    @cached_property
    def key(self) -> str:
        """Twelve hexadecimal digits that name everything that decides the result."""
        return key_of(self.work.name, self.work.version, self.canonical_arguments)

    @property
    def canonical_arguments(self) -> dict[str, Any]:
        """The arguments as keys and manifests have them."""
        return canonical_members(self.work.members, self.arguments)

    @cached_property
    def label(self) -> str:
        """A short name for display, safe in a path."""
        label = self.work.label(**self.arguments) if self.work.label else self.work.short
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
class BuildContext:
    """What a stage's function is given while it runs.

    Attributes:
        folder: The folder to fill.
        machine: Device, data folder, workers and the like.
        record: Facts about the result, which `stage.json` will have.
    """

    folder: Path
    machine: Runtime
    record: dict[str, Any] = field(default_factory=dict)

    def path(self, stage: Stage) -> Path:
        """Return the folder of a finished input.

        Args:
            stage: A stage among the arguments of the one that is being built.

        Returns:
            Its folder in the store.
        """
        return folder_of(stage, self.machine)


def stage(
    *,
    name: str,
    version: int,
    label: Callable[..., str] | None = None,
    resumes: bool | tuple[str, ...] = False,
    memory: Callable[..., int] | None = None,
    renamed: Mapping[str, str] | None = None,
    always: Collection[str] = (),
    encoded: Mapping[str, Encode] | None = None,
) -> Callable[[Callable[Concatenate[BuildContext, P], None]], Callable[P, Stage]]:
    """Turn a function `f(context, ...)` into one that returns a `Stage` instead of running.

    Args:
        name: The declared name that keys and manifests have, wherever the function lies and however it is called.
        version: The version of the result's meaning; raise it when that changes.
        label: From the arguments to a short name, the first part of the folder's name.
        resumes: The function continues what an earlier, killed call left in its folder, all of it or the files of these
            patterns; otherwise it starts clean.
        memory: From a machine and the arguments to the bytes of main memory that the function takes.
        renamed: For arguments that are called otherwise in keys: from the argument to its name there.
        always: Arguments that are part of the key at their default too (`identity.identity`).
        encoded: From an argument to a function that gives what keys have instead of its value.

    Returns:
        A decorator. The decorated function takes the same arguments without the context and returns a `Stage`.
    """

    def decorate(function: Callable[Concatenate[BuildContext, P], None]) -> Callable[P, Stage]:
        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())[1:]
        defaults = {
            parameter.name: MISSING if parameter.default is parameter.empty else parameter.default
            for parameter in parameters
        }
        members = declared_members(name, defaults, renamed or {}, always, (), encoded or {})
        work = StageFunction(function, name, version, members, label, resumes, memory)
        names = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]

        def declare_stage(*args: P.args, **kwargs: P.kwargs) -> Stage:
            if not kwargs and len(args) == len(names) == len(parameters):  # as thousands of runs do; binding is slow
                return Stage(work, dict(zip(names, args, strict=True)))
            bound = signature.bind(None, *args, **kwargs)
            bound.apply_defaults()
            return Stage(work, dict(list(bound.arguments.items())[1:]))

        declare_stage.__doc__, declare_stage.__name__ = function.__doc__, function.__name__
        declare_stage.__module__, declare_stage.__qualname__ = function.__module__, function.__qualname__
        declare_stage.work = work  # type: ignore[attr-defined]
        return declare_stage

    return decorate


@cache
def _fields(type_: type) -> tuple[str, ...]:
    return tuple(item.name for item in fields(type_)) if is_dataclass(type_) else ()


def folder_of(stage: Stage, machine: Runtime) -> Path:
    """Return the folder in which a stage's result lies, or will lie.

    Args:
        stage: The stage.
        machine: Names the store.

    Returns:
        `LABEL-KEY` in the store.
    """
    return machine.store / f"{stage.label}-{stage.key}"


def with_inputs(stages: Iterable[Stage]) -> list[Stage]:
    """Return stages and their transitive inputs, each once.

    Args:
        stages: The stages.

    Returns:
        All of them, in no useful order.
    """
    by_key: dict[str, Stage] = {}
    stack = list(stages)
    while stack:
        item = stack.pop()
        if item.key not in by_key:
            by_key[item.key] = item
            stack += item.inputs
    return list(by_key.values())


def lineage(first: Any, argument: str) -> Iterator[Any]:
    """Follow one argument through a chain of stages, such as `encoder` through the trainings of a model.

    Args:
        first: The stage to begin with, or any other value.
        argument: Name of the argument.

    Yields:
        `first`, the argument's value there, its value in that stage, and so on; the last value is no stage, or a stage
        without this argument.
    """
    yield first
    while isinstance(first, Stage) and argument in first.arguments:
        first = first.arguments[argument]
        yield first


def generations(model: T, before: Callable[[T], Iterable[T] | None]) -> list[T]:
    """Return a model with everything that it was made from, in the order in which that can be made.

    A chain of trainings gives the chain. Where several branches join, as in an average of runs, they are in step: the
    first trainings of all branches, then the second ones.

    Args:
        model: A stage, or its key.
        before: What a stage was made from directly, in a fixed order; None: nothing.

    Returns:
        Each once, the model last.

    >>> generations("average", {"average": ["b1", "b2"], "b1": ["a1"], "b2": ["a2"]}.get)
    ['a1', 'a2', 'b1', 'b2', 'average']
    """
    levels = [[model]]
    while levels[-1]:
        levels.append(list(dict.fromkeys(earlier for item in levels[-1] for earlier in before(item) or ())))
    return list(dict.fromkeys(item for level in reversed(levels) for item in level))


def _work(module: str, name: str) -> StageFunction:
    """Return the work of a decorated function by name, as another process finds it."""
    work: StageFunction = getattr(import_module(module), name).work
    return work


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
