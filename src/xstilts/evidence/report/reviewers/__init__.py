"""Reviewers: each a checklist of its own over a finished report, blind to what the others say; the folder is the list.

A reviewer reads `report.json` and the stored texts, and not the code that made them: what it can find again it finds
with code of its own. A check is how many of how many; what a report is worth is not among them, only how it was made.

>>> names()
('answering', 'candour', 'evidence', 'numbers', 'references')
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

Json = Mapping[str, Any]


@dataclass(frozen=True)
class ReviewInput:
    """What a reviewer is given: the report without reviews, the stored texts by sha256, what sources said of works."""

    report: Json
    texts: Mapping[str, str]
    records: Mapping[str, Mapping[str, Json]]


@dataclass(frozen=True)
class Check:
    """A question of a checklist: how many of how many passed, and which did not. gate: one that fails is fatal."""

    what: str
    passed: int
    of: int
    note: str = ""
    gate: bool = False

    @property
    def share(self) -> float:
        """The share that passed; all where there was nothing to check."""
        return self.passed / self.of if self.of else 1.0


class Reviewer(Protocol):
    """What a module of this folder offers."""

    def review(self, case: ReviewInput) -> tuple[Check, ...]:
        """Return the checks of a report."""


def reviewer_names() -> tuple[str, ...]:
    """Return the names of all reviewers."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def load_reviewer(name: str) -> Reviewer:
    """Return the reviewer of a name."""
    return cast(Reviewer, importlib.import_module(f"{__name__}.{name}"))


def check_each(what: str, verdicts: Iterable[tuple[str, bool]], gate: bool = False) -> Check:
    """Return the check of several things by name; the note names the first that failed."""
    those = list(verdicts)
    failed = [name for name, fine in those if not fine]
    more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
    note = ", ".join(failed[:5]) + more
    return Check(what, len(those) - len(failed), len(those), note, gate)
