"""Licences: from what a task file says about a licence to its identifier on the hub, and which of several is strictest.

A licence is strict by what it asks of those who use the data: nothing, attribution, the same licence, no commercial
use, research only. A text without a known licence counts as unknown, which is stricter than all others, because a
reader must check it before anything else.

>>> parsed("CC BY-NC 4.0").identifier, parsed("OANC, CC BY-SA 3.0, CC BY 3.0 by genre").identifier
('cc-by-nc-4.0', 'cc-by-sa-3.0')
>>> parsed("the user's own").known
False
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

UNKNOWN = "not known: check before use"
RULES = (
    "no conditions",
    "attribution",
    "attribution, and the same licence for what is derived",
    "attribution, no commercial use",
    "attribution, no commercial use, and the same licence for what is derived",
    "research use, or an agreement with the owner",
)
_NONCOMMERCIAL, _SHARE_ALIKE_NC, _RESEARCH = 3, 4, 5

# A pattern, its place in RULES, and the identifier on the hub, with the version in it if there is one.
_PATTERNS: tuple[tuple[str, int, str], ...] = (
    (r"CC0(?: 1\.0)?", 0, "cc0-1.0"),
    (r"public domain", 0, ""),
    (r"MIT\b", 1, "mit"),
    (r"Apache[- ]2\.0", 1, "apache-2.0"),
    (r"AFL[- ]3\.0", 1, "afl-3.0"),
    (r"BSD[- ]([23])[- ]Clause", 1, "bsd-{}-clause"),
    (r"OANC", 0, ""),
    (r"free for any purpose", 1, ""),
    (r"CC[- ]BY[- ]NC[- ]SA(?:[- ](\d\.\d))?", _SHARE_ALIKE_NC, "cc-by-nc-sa-{}"),
    (r"CC[- ]BY[- ]NC[- ]ND(?:[- ](\d\.\d))?", _SHARE_ALIKE_NC, "cc-by-nc-nd-{}"),
    (r"CC[- ]BY[- ]NC(?![- ](?:SA|ND))(?:[- ](\d\.\d))?", _NONCOMMERCIAL, "cc-by-nc-{}"),
    (r"CC[- ]BY[- ]SA(?:[- ](\d\.\d))?", 2, "cc-by-sa-{}"),
    (r"CC[- ]BY(?![- ](?:SA|NC|ND))(?:[- ](\d\.\d))?", 1, "cc-by-{}"),
    (r"non-commercial", _RESEARCH, ""),
    (r"for research|research use|LDC", _RESEARCH, ""),
)
_UNSTATED = re.compile(r"not stated|not known|unknown|the user's own|that of (?:each|the data set)", re.IGNORECASE)


@dataclass(frozen=True)
class Licence:
    """A licence as a task states it.

    Attributes:
        text: The statement.
        rank: The strictness of its strictest part, a place in `RULES`; -1 where no part is known.
        identifier: The hub's identifier of that part; "" where the hub has none.
        known: Whether the statement names a licence for all of the data.
    """

    text: str
    rank: int
    identifier: str
    known: bool

    @property
    def rule(self) -> str:
        """What its strictest part asks for."""
        return RULES[self.rank] if self.rank >= 0 else UNKNOWN


def parsed(text: str) -> Licence:
    """Read the statement of a licence."""
    parts = [
        (rank, identifier.format(version.lower()) if (version := (match.groups() or ("",))[0] or "") else identifier)
        for pattern, rank, identifier in _PATTERNS
        for match in re.finditer(pattern, text, re.IGNORECASE)
    ]
    rank, identifier = max(parts, default=(-1, ""), key=lambda part: part[0])
    known = bool(parts) and not _UNSTATED.search(text)
    return Licence(text, rank, "" if "{}" in identifier else identifier, known)


def strictest(licences: Iterable[Licence]) -> Licence | None:
    """Return the strictest of several known licences, None where none is known."""
    return max((licence for licence in licences if licence.rank >= 0), default=None, key=lambda licence: licence.rank)
