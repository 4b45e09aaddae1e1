"""Clause: the pieces of a sentence, each with the outcomes that it names and the words by which it turns.

What is changed, and how much of it, is taken out first: the "larger" of "a larger batch" turns nothing. What a clause
leaves open or gives as a reason is left out.

>>> [(sorted(one.outcomes), one.turns) for one in clauses("Training time falls, but accuracy does not improve.")]
[(['training cost'], ('down',)), (['quality'], ('not better',))]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from xstilts.evidence.claims.question import COSTS, Question, mentions, role_of, vocabulary
from xstilts.evidence.text import numeric_trend
from xstilts.evidence.text.hedges import DENIES, hedges
from xstilts.evidence.text.stemming import Lexicon, Mention

QUALITY = "quality"
LEVELLED = re.compile(
    r"\bnot (?:\w+ )?(?:significan|differ)|\bno (?:\w+ )?(?:significan|difference)|hardly matter|\bindependent of\b",
    re.IGNORECASE,
)
BEATS = re.compile(r"\b(?:outperform|exceed|surpass|beat)", re.IGNORECASE)
CLAUSE = re.compile(
    r"(?<=[.!?])\s|[;:]|,\s+(?:but|while|whereas|and|with)\b|\b(?:but|while|whereas|although|unless|compared)\b"
    r"|,?\s(?=(?:since|because)\b)|\band\s(?=(?:improv|reduc|increas|decreas|worsen|hurt|sav|rais)\w*)"
)
ASIDE = re.compile(r"^\s*(?:since|because)\b|\b(?:unclear|not clear|unknown|whether|the exception)\b", re.IGNORECASE)
BOUND = re.compile(r"\b(?:no |not )?(?:more|less|fewer) than\b|\bwithout \w+|\b(?:lower|upper) (?:\w+ )?(?:layer|half)")
SHARE = re.compile(r"\b(?:take|need|cost|use)s? \d\d?(?:\.\d+)? % of\b")
AS = re.compile(r"\b(?:as|when|if)\s+(?:the\s+|a\s+)?$", re.IGNORECASE)
GROWS = re.compile(r"\s+(?:grow|increas|ris|shrink|decreas|fall)\w*", re.IGNORECASE)
SHRINKS = re.compile(r"shrink|decreas|fall", re.IGNORECASE)
TWO = re.compile(  # 8 and 128 in "of 8 improves accuracy compared to 128"
    r"\s*of (\d[\d,]*)(?![.\d])(?:[^.;]|\.(?=\d))*?"
    r"\b(?:compared (?:to|with)|than|instead of|rather than|outperforms?|exceeds?|surpasses)"
    r" (?:an? |one |batch |size |of )*(\d[\d,]*)(?!\.?\d)"
)
AFTER_GAIN = re.compile(
    r"\b(?:gains?|improvements?|benefits?|effectiveness)\b.*\b(?:depend|grow|fall|shrink|change|vary|scale)"
    r"|\baffects? .*\b(?:gains?|improvements?|benefits?|effectiveness)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Clause:
    """A clause: the outcomes that it names, and how it turns.

    flipped: it is of less of what is asked about; related: it says how something goes with that.
    """

    outcomes: frozenset[str]
    turns: tuple[str, ...]
    flipped: bool
    related: bool


def clauses(text: str, question: Question | None = None) -> Iterator[Clause]:
    """Yield the clauses of a text as a question reads them; what is fewer in one is fewer in those that lean on it."""
    flipped, at = False, 0
    core = question.core if question else ()
    for piece in filter(None, CLAUSE.split(text)):
        at = text.index(piece, at)
        named = [one for one in mentions(piece) if role_of(one) == "intervention" and one.kind != "task"]
        ours = [one for one in named if one.name in core]
        flipped = _fewer(piece, ours[0], text[at:]) if ours else flipped
        if ASIDE.search(piece) or (question and _of_another(named, question)):
            continue
        turns = _turns(_bare(piece, named), bool(question and AFTER_GAIN.search(question.text)))
        scores = numeric_trend.beside(text[at:].partition(". ")[0], question) if question else None
        judged = not turns.isdisjoint(("better", "worse", "not better", "not worse"))
        named_here = outcomes(piece) or frozenset((QUALITY,) if judged or scores else ())
        other = bool(question and _other_side(piece, question))
        found = (*sorted(turns), *((scores,) if scores and not turns else ()))
        yield Clause(named_here, found, flipped != other, _related(piece, ours))


def outcomes(text: str) -> frozenset[str]:
    """Return the costs that a text names, and "quality" for any score."""
    named = {one.name for one in mentions(text) if role_of(one) == "outcome"}
    scored = bool(named - COSTS) or (not named & COSTS and bool(_quality().find(text)))
    return frozenset(named & COSTS) | (frozenset((QUALITY,)) if scored else frozenset())


def _turns(piece: str, after_gain: bool) -> set[str]:
    """Return the words by which a clause turns; where a gain is asked after, that there is one does not count."""
    if LEVELLED.search(piece):
        return {"level"}
    named = [(one.kind, one.name) for one in _lexicon().find(piece)]
    if after_gain:
        named = [(kind, name) for kind, name in named if kind != "noun" and name not in ("better", "worse")]
    strongest = next((kind for kind in ("verb", "noun", "weak") if any(one == kind for one, _ in named)), "")
    words = {name for kind, name in named if kind == strongest} | ({"down"} if SHARE.search(piece) else set())
    if DENIES not in hedges(piece):
        return words - {"neither"}
    return {"level" if word in ("level", "neither") else f"not {word}" for word in words}


def _bare(piece: str, named: Sequence[Mention]) -> str:
    """Return a clause without what is changed and how much of it, and without "more than" and its like."""
    for one in named:
        before = _any("enlarged", "reduced").search(piece[: one.start])
        after = _grown(piece, one)
        start, end = before.start() if before else one.start, after.end() if after else one.end
        piece = piece[:start] + " " * (end - start) + piece[end:]
    return BOUND.sub(" ", piece)


def _fewer(piece: str, one: Mention, on: str) -> bool:
    """Return whether what is changed is less of it: "a smaller batch size", "a batch size of 8 compared to 128"."""
    if not _scaled(one):
        return False
    before, grown = piece[: one.start], _grown(piece, one)
    if _any("reduced").search(f"{before} ") or _any("reduced").search(f"{piece[one.start :].split()[0]} "):
        return True
    if grown:
        return bool(SHRINKS.search(grown[0]))
    pair = TWO.match(on, one.end)
    return pair is not None and int(pair[1].replace(",", "")) < int(pair[2].replace(",", ""))


def _grown(piece: str, one: Mention) -> re.Match[str] | None:
    """Return the verb of what is changed in "as the batch size grows", where there is one."""
    return GROWS.match(piece, one.end) if _scaled(one) and AS.search(piece[: one.start]) else None


def _scaled(one: Mention) -> bool:
    return one.name in vocabulary()["direction"]["scaled"]


def _related(piece: str, ours: Sequence[Mention]) -> bool:
    """Return whether a clause says how something goes with what is asked about: "grows with model size"."""
    before = [piece[: one.start].rstrip().removesuffix(" the") for one in ours]
    return any(text.endswith(" with") and _lexicon().find(" ".join(text.split()[-2:])) for text in before)


def _of_another(named: Sequence[Mention], question: Question) -> bool:
    """Return whether a clause speaks of changes, and of none that the question names."""
    return bool(named) and all(one.name not in (*question.terms, *vocabulary()["general"]) for one in named)


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


@cache
def _any(*tables: str) -> re.Pattern[str]:
    """Return the pattern of a word of some tables right before what is changed, small words between."""
    words = "|".join(word for table in tables for word in vocabulary()["direction"][table])
    return re.compile(rf"\b(?:{words})(?:\s+(?:of|the|an?|our|intermediate|training))*\s+$", re.IGNORECASE)


@cache
def _quality() -> Lexicon:
    return Lexicon.of({QUALITY: {QUALITY: vocabulary()["direction"]["quality"]}})


@cache
def _lexicon() -> Lexicon:
    """Return the words that turn a clause: verbs, nouns that count where there is no verb, and "more" and "less"."""
    told, amounts = vocabulary()["direction"], vocabulary()["result"]["direction"]
    judged: Mapping[str, Sequence[str]] = {"better": told["better"], "worse": told["worse"]}
    every = {
        **judged,
        **{name: [word for word in amounts[name] if word not in told["better"] + told["worse"] + told["neither"]]
           for name in ("up", "down", "level")},
        "neither": told["neither"],
    }  # fmt: skip
    return Lexicon.of(
        {
            "verb": {name: [word for word in words if word not in told["nouns"]] for name, words in every.items()},
            "noun": {name: [word for word in words if word in told["nouns"]] for name, words in every.items()},
            "weak": {"up": told["more"], "down": told["less"]},
        }
    )
