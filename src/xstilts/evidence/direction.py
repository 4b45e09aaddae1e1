"""Direction: whether a sentence speaks of more, of less, or of no difference; it sorts statements and judges none.

It is read from words alone: "improves" is up, "falls" is down, "unchanged", "does not improve" and "is not significant"
are level, clause by clause.

>>> direction("Accuracy improves by 1.2 points, but F1 falls.")
'mixed'
"""

from __future__ import annotations

import re
from functools import cache
from typing import Literal, get_args

from xstilts.evidence.hedges import DENIES, hedges
from xstilts.evidence.question import Question, mentions, vocabulary
from xstilts.evidence.words import Lexicon

Direction = Literal["up", "down", "level", "mixed", "unsaid"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
SAID = {
    "up": "more or better",
    "down": "less or worse",
    "level": "no difference, or none that is sure",
    "mixed": "both",
    "unsaid": "no direction",
}
OPPOSED = (frozenset(("up", "down")), frozenset(("up", "level")), frozenset(("down", "level")))
IF = ("depend", "sensitive")  # which say that there is a difference, and not which
NOUNS = ("gain", "improvement", "benefit", "best", "loss", "reduction", "decline", "larger gain")
LEVELLED = re.compile(
    r"\bnot (?:\w+ )?(?:significan|differ)|\bno (?:\w+ )?(?:significan|difference)|hardly matter", re.IGNORECASE
)
FLIPPED: dict[Direction, Direction] = {"up": "down", "down": "up"}
BEATS = re.compile(r"\b(?:outperform|exceed|surpass|beat)", re.IGNORECASE)
CONTESTS = re.compile(r"\b(?:contrary to|contradict|in contrast to (?:earlier|previous|reports))", re.IGNORECASE)
CLAUSE = re.compile(
    r"(?<=[.!?])\s|[;:]|,\s+(?:but|while|whereas|and)\b|\b(?:but|while|whereas|although|unless|compared)\b"
)


def direction(text: str, question: Question | None = None) -> Direction:
    """Return the direction that the words of a text have, clause by clause, seen from what the question asks about."""
    found = {one for clause in CLAUSE.split(text) if clause for one in _of(clause)}
    if question and _other_side(text, question):
        found = {FLIPPED.get(one, one) for one in found}
    if found in ({"up"}, {"down"}, {"level"}):
        return next(one for one in DIRECTIONS if one in found)
    return "mixed" if found else "unsaid"


def opposed(one: str, other: str) -> bool:
    """Return whether two directions cannot both be the whole of the matter."""
    return frozenset((one, other)) in OPPOSED


def contests(text: str) -> bool:
    """Return whether a text says itself that it speaks against others."""
    return bool(CONTESTS.search(text))


def _other_side(text: str, question: Question) -> bool:
    """Return whether it is what is compared with that outperforms what is asked about."""
    verb = BEATS.search(text)
    if not verb:
        return False
    named = mentions(text)
    against, core = question.facet("comparator").terms, question.core
    return any(one.name in against and one.end <= verb.start() for one in named) and any(
        one.name in core and one.start >= verb.end() for one in named
    )


def _of(clause: str) -> set[Direction]:
    if LEVELLED.search(clause):
        return {"level"}
    named = [(mention.kind, mention.name) for mention in _lexicon().find(clause)]
    verbs = {name for kind, name in named if kind == "verb"} or {name for _, name in named}
    known: set[Direction] = {one for one in DIRECTIONS if one in verbs}
    return {"level"} if known and DENIES in hedges(clause) else known


@cache
def _lexicon() -> Lexicon:
    words = vocabulary()["result"]["direction"]
    names = ("up", "down", "level")
    return Lexicon.of(
        {
            "verb": {name: [word for word in words[name] if word not in NOUNS + IF] for name in names},
            "noun": {name: [word for word in words[name] if word in NOUNS] for name in names},
        }
    )
