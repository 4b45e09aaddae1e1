"""Trackers: experiment trackers that runs can be mirrored into, one module each; none is installed by default.

A tracker is a module of this package with the name of the library that it needs (`NEEDS`) and a function `send`, which
adds what is new of one run. Called again for the same run, it continues that run.

>>> names()
('mlflow', 'tensorboard', 'trackio', 'wandb')
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

from xstilts.errors import InputError, did_you_mean
from xstilts.runtime import extras

Figures = Mapping[str, float]


@dataclass(frozen=True)
class News:
    """What is new of one run since it was last sent.

    Attributes:
        key: Twelve hexadecimal digits that identify the run.
        name: Its name for people, unique too.
        config: The run's settings.
        lines: Figures by step.
        scores: Figures of the run as a whole, as of `step`.
        step: The run's last step.
        first: Whether nothing of the run was sent before.
        finished: Whether no more lines will come; scores may.
    """

    key: str
    name: str
    config: Mapping[str, str | int | float]
    lines: tuple[tuple[int, Figures], ...]
    scores: Figures
    step: int
    first: bool
    finished: bool


class Tracker(Protocol):
    """A module of this package: the library that it imports, and a function that adds news of one run to a place."""

    NEEDS: str
    send: Callable[[str, News], None]


def names() -> tuple[str, ...]:
    """Return the names of all trackers."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def tracker(name: str) -> Tracker:
    """Return a tracker by name.

    Args:
        name: One of `names()`.

    Returns:
        The tracker's module.

    Raises:
        InputError: There is none of that name, or its library is not installed.
    """
    if name not in names():
        hint = did_you_mean(name, names(), otherwise="give one of")
        raise InputError(f"unknown tracker '{name}'; {hint}")
    module = cast("Tracker", import_module(f"xstilts.monitoring.trackers.{name}"))
    try:
        library(module.NEEDS)
    except ImportError:
        raise InputError(f"{name} is not installed: {extras.command(name)}") from None
    return module


def library(name: str) -> Any:
    """Import a library that may not be there, and whose types are not checked here."""
    return import_module(name)
