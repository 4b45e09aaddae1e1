"""Reviewers: independent checklists over a finished report; every module of this package is a reviewer.

A reviewer reads `report.json` and the stored texts, and shares no code with what made them: what it checks it finds
with its own code. A check counts passed cases; a check of nothing is not applicable and counts for nothing. Some checks
are ones of soundness: below their floor the report has a defect, whatever else is good about it. Reviewers judge how a
report was made, not whether its answer is true.

>>> reviewer_names()
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
    """Input of a reviewer.

    Attributes:
        report: The report without reviews.
        texts: Stored texts by sha256.
        records: By work id, the record of each source.
    """

    report: Json
    texts: Mapping[str, str]
    records: Mapping[str, Mapping[str, Json]]


@dataclass(frozen=True)
class Check:
    """A check of a checklist.

    Attributes:
        what: What is checked.
        passed: Number of passed cases.
        of: Number of cases.
        note: The cases that failed.
        gate: Whether a failure closes a gate (refusal or limited score).
        floor: Share of passed cases below which the report has a defect; 0: a matter of degree, never a defect.
    """

    what: str
    passed: int
    of: int
    note: str = ""
    gate: bool = False
    floor: float = 0.0

    @property
    def share(self) -> float | None:
        """Share of passed cases; None without cases, where the check is not applicable."""
        return self.passed / self.of if self.of else None

    @property
    def failed(self) -> bool:
        """Whether a case of it failed."""
        return self.passed < self.of

    @property
    def is_defect(self) -> bool:
        """Whether it shows a defect of the report."""
        return self.share is not None and self.share < self.floor


class Reviewer(Protocol):
    """Interface of a reviewer module."""

    def review(self, case: ReviewInput) -> tuple[Check, ...]:
        """Return the checks of a report."""


def reviewer_names() -> tuple[str, ...]:
    """Return the names of all reviewers."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def load_reviewer(name: str) -> Reviewer:
    """Return the reviewer of a name."""
    return cast(Reviewer, importlib.import_module(f"{__name__}.{name}"))


def check_each(what: str, verdicts: Iterable[tuple[str, bool]], gate: bool = False, floor: float = 0.0) -> Check:
    """Return a check over several cases.

    Args:
        what: What is checked.
        verdicts: Name of each case, and whether it passed.
        gate: Whether a failure closes a gate.
        floor: Share of passed cases below which the report has a defect.

    Returns:
        The check; its note names the first five failures.
    """
    cases = list(verdicts)
    failed = [name for name, fine in cases if not fine]
    more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
    note = ", ".join(failed[:5]) + more
    return Check(what, len(cases) - len(failed), len(cases), note, gate, floor)
