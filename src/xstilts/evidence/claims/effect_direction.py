"""Direction: whether a sentence speaks of more, of less, or of no difference in what a question asks about.

It is read from words, clause by clause, and from numbers where they are plain (`trend`); it sorts statements and judges
none. A direction is of what is asked for (a sentence on training time has none where accuracy is asked for), and for
more of what is changed: "a smaller batch improves" is down. What a sentence says that others found, what it leaves open
and what it gives as a reason has no direction.

>>> direction("Accuracy improves by 1.2 points, but F1 falls.")
'mixed'
>>> from xstilts.evidence.claims.question import ask
>>> direction("A batch size of 8 improves accuracy compared to 128.", ask("Does batch size change accuracy?"))
'down'
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from xstilts.evidence.claims.question import COSTS, Question, broader
from xstilts.evidence.claims.statement import CITES
from xstilts.evidence.text import numeric_trend
from xstilts.evidence.text.clauses import QUALITY, clauses, outcomes

Direction = Literal["up", "down", "level", "mixed", "unsaid"]
Mark = Literal["up", "down", "level", "mixed", "not up", "not down"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
SAID = {
    "up": "more or better",
    "down": "less or worse",
    "level": "no difference, or none that is sure",
    "mixed": "both",
    "unsaid": "no direction of its own on what is asked",
}
# "does not improve" is no difference, and denies "improves"; "worsens" it does not deny
OPPOSED = {
    frozenset(pair)
    for pair in (("up", "down"), ("up", "level"), ("down", "level"), ("up", "not up"), ("down", "not down"))
}
FLIPPED: dict[Mark, Mark] = {"up": "down", "down": "up", "not up": "not down", "not down": "not up"}
DENIED: dict[str, Mark] = {"up": "not up", "down": "not down"}
UNITS = {"point": QUALITY, "hour": "training cost", "GiB": "memory", "GB": "memory"}
CONTESTS = re.compile(r"\b(?:contrary to|contradict|in contrast to (?:earlier|previous|reports))", re.IGNORECASE)
RETOLD = re.compile(r"\breported\b|\b(?:earlier|previous|prior) (?:gain|result|finding|work|stud)", re.IGNORECASE)
IF = re.compile(r"\b(?:unless|if|provided that)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Side:
    """What a sentence says of an outcome: by its name, the one in the question ("" for none), and which way."""

    outcome: str
    asked: str
    mark: Mark


def direction(text: str, question: Question | None = None) -> Direction:
    """Return the direction of a text on all that a question asks for."""
    return summed(one.mark for one in sides(text, question))


def sides(text: str, question: Question | None = None) -> tuple[Side, ...]:
    """Return the direction of a text on each outcome that a question asks for, seen from more of what it changes."""
    if retold(text):
        return ()
    named = outcomes(text) or frozenset(("",))
    marks: dict[str, list[Mark]] = {}
    for outcome, mark in _series(text, named, question) or _said(text, named, question):
        marks.setdefault(outcome, []).append(mark)
    found = ((outcome, _asked(outcome, question), _reduced(those)) for outcome, those in sorted(marks.items()))
    return tuple(
        Side(outcome, asked, FLIPPED.get(mark, mark) if _as_efficiency(outcome, asked) else mark)
        for outcome, asked, mark in found
        if asked is not None
    )


def summed(marks: Iterable[Mark]) -> Direction:
    """Return what marks amount to: up and down are both; one of them beside no difference stays what it is."""
    those = {_plain(mark) for mark in marks}
    if not those:
        return "unsaid"
    ways = those - {"level"} or those
    return next(iter(ways)) if len(ways) == 1 else "mixed"


def opposed(one: str, other: str) -> bool:
    """Return whether two marks cannot both be the whole of the matter."""
    return frozenset((one, other)) in OPPOSED


def contests(text: str) -> bool:
    """Return whether a text says itself that it speaks against others."""
    return bool(CONTESTS.search(text))


def retold(text: str) -> bool:
    """Return whether a text may tell what others found, and does not speak against them."""
    return bool(RETOLD.search(text) or CITES.search(text)) and not contests(text)


def conditional(text: str) -> bool:
    """Return whether a text says that it holds only under a condition."""
    return bool(IF.search(text))


def _plain(mark: Mark) -> Direction:
    return "level" if mark == "not up" or mark == "not down" else mark


def _reduced(those: Sequence[Mark]) -> Mark:
    """Return the mark of marks in their order: what follows as "no difference" narrows the first and turns it not."""
    if len(set(those)) == 1:
        return those[0]
    plain = [_plain(mark) for mark in those]
    if plain[0] == "level" and len(set(plain)) > 1:
        return "mixed"
    found = summed(those)
    return "level" if found == "unsaid" else found


def _asked(outcome: str, question: Question | None) -> str | None:
    """Return under which name a question asks for an outcome, "" where it or the text names none; None: not at all."""
    facet = question.facet("outcome") if question else None
    if facet is None or not facet.terms or not outcome:
        return ""
    if outcome == QUALITY:
        return " and ".join(term for term in facet.specific if term not in COSTS) or (
            " and ".join(term for term in facet.terms if term not in COSTS) or None
        )
    return next((term for term in facet.terms if outcome in (term, *broader().get(term, ()))), None)


def _as_efficiency(outcome: str, asked: str | None) -> bool:
    """Return whether less of an outcome is more of what is asked for."""
    return asked == "efficiency" and outcome in COSTS - {"efficiency"}


def _series(text: str, named: frozenset[str], question: Question | None) -> list[tuple[str, Mark]]:
    """Return what a value for each of several model sizes says on it."""
    if not question or "model size" not in question.core:
        return []
    return [
        (outcome, way)
        for unit, way in numeric_trend.series(text).items()
        for outcome in ((UNITS[unit],) if unit in UNITS else sorted(named))
    ]


def _said(text: str, named: frozenset[str], question: Question | None) -> Iterator[tuple[str, Mark]]:
    """Yield outcome and mark of the clauses; of those alone that say how it goes with what is asked about, if any."""
    those = list(clauses(text, question))
    for clause in [one for one in those if one.related] or those:
        for outcome in sorted(clause.outcomes or named):
            for turn in clause.turns:
                mark = _mark(turn, outcome)
                yield outcome, FLIPPED.get(mark, mark) if clause.flipped else mark


def _mark(turn: str, outcome: str) -> Mark:
    """Return the mark of a turn ("not better"): what is better takes more score, and less time and memory."""
    denied, _, word = turn.rpartition(" ")
    costs = outcome in COSTS - {"efficiency"}
    ways: dict[str, Mark] = {"better": "down" if costs else "up", "worse": "up" if costs else "down"}
    mark: Mark = ways.get(word) or ("up" if word == "up" else "down" if word == "down" else "level")
    return DENIED.get(mark, mark) if denied else mark
