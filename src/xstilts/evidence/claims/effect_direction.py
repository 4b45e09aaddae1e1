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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Literal, get_args

from xstilts.evidence.claims.question import COSTS, Question, find_terms, narrower_terms, role_of, vocabulary
from xstilts.evidence.claims.statement import CITES
from xstilts.evidence.text.hedges import NEGATION, hedges
from xstilts.evidence.text.stemming import Lexicon, Mention

QUALITY = "quality"
Direction = Literal["up", "down", "level", "mixed", "unsaid"]
Mark = Literal["up", "down", "level", "mixed", "not up", "not down"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
DIRECTION_LABELS = {
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
REPORTED = re.compile(r"\breported\b|\b(?:earlier|previous|prior) (?:gain|result|finding|work|stud)", re.IGNORECASE)
CONDITION = re.compile(r"\b(?:unless|if|provided that)\b", re.IGNORECASE)
# Words by which a clause turns.
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
COMPARED_VALUES = re.compile(  # 8 and 128 in "of 8 improves accuracy compared to 128"
    r"\s*of (\d[\d,]*)(?![.\d])(?:[^.;]|\.(?=\d))*?"
    r"\b(?:compared (?:to|with)|than|instead of|rather than|outperforms?|exceeds?|surpasses)"
    r" (?:an? |one |batch |size |of )*(\d[\d,]*)(?!\.?\d)"
)
AFTER_GAIN = re.compile(
    r"\b(?:gains?|improvements?|benefits?|effectiveness)\b.*\b(?:depend|grow|fall|shrink|change|vary|scale)"
    r"|\baffects? .*\b(?:gains?|improvements?|benefits?|effectiveness)\b",
    re.IGNORECASE,
)
# Numbers of which each stands for one thing.
Trend = Literal["up", "down", "level"]
RANGE = re.compile(r"\b(?:from )?\d+(?:\.\d+)?[MB]? (?:to|and) \d+(?:\.\d+)?[MB]\b")
SIZE = re.compile(r"\b(\d+(?:\.\d+)?)([MB])\b")
SIZE_NAMES = re.compile(r"\b(?:Small|Base|Large|XXL|XL)\b")
SIZE_ORDER = ("Small", "Base", "Large", "XL", "XXL")
VALUE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?) (point|hour|GiB|GB|time)s?\b")
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
SCORES = re.compile(r"\b(?:reach|achiev|obtain)\w*\b[^;\d]*(\d+\.\d+)")
AGAINST = re.compile(r"\bcompared (?:to|with) (\d+\.\d+)\b")
PAIRED_SCORES = re.compile(r"\s*of ([\d,]+) and ([\d,]+) (?:reach|achiev|obtain)\w* (\d+\.\d+) and (\d+\.\d+)")
MIN_DIFFERENCE = 0.5  # points: scores that are nearer are no difference that is sure; seeds differ by as much


@dataclass(frozen=True)
class OutcomeDirection:
    """What a sentence says of an outcome: by its name, the one in the question ("" for none), and which way."""

    outcome: str
    question_term: str
    mark: Mark


def direction(text: str, question: Question | None = None) -> Direction:
    """Return the direction of a text on all that a question asks for."""
    return combine(one.mark for one in outcome_directions(text, question))


def outcome_directions(text: str, question: Question | None = None) -> tuple[OutcomeDirection, ...]:
    """Return the direction of a text on each outcome that a question asks for, seen from more of what it changes."""
    if reports_others(text):
        return ()
    named = outcomes(text) or frozenset(("",))
    marks: dict[str, list[Mark]] = {}
    for outcome, mark in _from_sizes(text, named, question) or _from_clauses(text, named, question):
        marks.setdefault(outcome, []).append(mark)
    found = (
        (outcome, _question_term(outcome, question), _combine_in_order(those))
        for outcome, those in sorted(marks.items())
    )
    return tuple(
        OutcomeDirection(outcome, asked, FLIPPED.get(mark, mark) if _as_efficiency(outcome, asked) else mark)
        for outcome, asked, mark in found
        if asked is not None
    )


def combine(marks: Iterable[Mark]) -> Direction:
    """Return what marks amount to: up and down are both; one of them beside no difference stays what it is."""
    those = {_as_direction(mark) for mark in marks}
    if not those:
        return "unsaid"
    ways = those - {"level"} or those
    return next(iter(ways)) if len(ways) == 1 else "mixed"


def opposed(one: str, other: str) -> bool:
    """Return whether two marks cannot both be the whole of the matter."""
    return frozenset((one, other)) in OPPOSED


def contests_others(text: str) -> bool:
    """Return whether a text says itself that it speaks against others."""
    return bool(CONTESTS.search(text))


def reports_others(text: str) -> bool:
    """Return whether a text may tell what others found, and does not speak against them."""
    return bool(REPORTED.search(text) or CITES.search(text)) and not contests_others(text)


def is_conditional(text: str) -> bool:
    """Return whether a text says that it holds only under a condition."""
    return bool(CONDITION.search(text))


def _as_direction(mark: Mark) -> Direction:
    return "level" if mark == "not up" or mark == "not down" else mark


def _combine_in_order(those: Sequence[Mark]) -> Mark:
    """Return the mark of marks in their order: what follows as "no difference" narrows the first and turns it not."""
    if len(set(those)) == 1:
        return those[0]
    plain = [_as_direction(mark) for mark in those]
    if plain[0] == "level" and len(set(plain)) > 1:
        return "mixed"
    found = combine(those)
    return "level" if found == "unsaid" else found


def _question_term(outcome: str, question: Question | None) -> str | None:
    """Return under which name a question asks for an outcome, "" where it or the text names none; None: not at all."""
    facet = question.facet("outcome") if question else None
    if facet is None or not facet.terms or not outcome:
        return ""
    if outcome == QUALITY:
        return " and ".join(term for term in facet.specific if term not in COSTS) or (
            " and ".join(term for term in facet.terms if term not in COSTS) or None
        )
    return next((term for term in facet.terms if outcome in (term, *narrower_terms().get(term, ()))), None)


def _as_efficiency(outcome: str, asked: str | None) -> bool:
    """Return whether less of an outcome is more of what is asked for."""
    return asked == "efficiency" and outcome in COSTS - {"efficiency"}


def _from_sizes(text: str, named: frozenset[str], question: Question | None) -> list[tuple[str, Mark]]:
    """Return what a value for each of several model sizes says on it."""
    if not question or "model size" not in question.core:
        return []
    return [
        (outcome, way)
        for unit, way in size_trend(text).items()
        for outcome in ((UNITS[unit],) if unit in UNITS else sorted(named))
    ]


def _from_clauses(text: str, named: frozenset[str], question: Question | None) -> Iterator[tuple[str, Mark]]:
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
        named = [one for one in find_terms(piece) if role_of(one) == "intervention" and one.kind != "task"]
        ours = [one for one in named if one.name in core]
        flipped = _is_reduced(piece, ours[0], text[at:]) if ours else flipped
        if ASIDE.search(piece) or (question and _is_about_another_change(named, question)):
            continue
        turns = _turns(_without_intervention(piece, named), bool(question and AFTER_GAIN.search(question.text)))
        scores = score_comparison(text[at:].partition(". ")[0], question) if question else None
        judged = not turns.isdisjoint(("better", "worse", "not better", "not worse"))
        named_here = outcomes(piece) or frozenset((QUALITY,) if judged or scores else ())
        other = bool(question and _comparator_wins(piece, question))
        found = (*sorted(turns), *((scores,) if scores and not turns else ()))
        yield Clause(named_here, found, flipped != other, _is_relation(piece, ours))


def outcomes(text: str) -> frozenset[str]:
    """Return the costs that a text names, and "quality" for any score."""
    named = {one.name for one in find_terms(text) if role_of(one) == "outcome"}
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
    if NEGATION not in hedges(piece):
        return words - {"neither"}
    return {"level" if word in ("level", "neither") else f"not {word}" for word in words}


def _without_intervention(piece: str, named: Sequence[Mention]) -> str:
    """Return a clause without what is changed and how much of it, and without "more than" and its like."""
    for one in named:
        before = _before_change("enlarged", "reduced").search(piece[: one.start])
        after = _growth_verb(piece, one)
        start, end = before.start() if before else one.start, after.end() if after else one.end
        piece = piece[:start] + " " * (end - start) + piece[end:]
    return BOUND.sub(" ", piece)


def _is_reduced(piece: str, one: Mention, on: str) -> bool:
    """Return whether what is changed is less of it: "a smaller batch size", "a batch size of 8 compared to 128"."""
    if not _is_scalable(one):
        return False
    before, grown = piece[: one.start], _growth_verb(piece, one)
    if _before_change("reduced").search(f"{before} ") or _before_change("reduced").search(
        f"{piece[one.start :].split()[0]} "
    ):
        return True
    if grown:
        return bool(SHRINKS.search(grown[0]))
    pair = COMPARED_VALUES.match(on, one.end)
    return pair is not None and int(pair[1].replace(",", "")) < int(pair[2].replace(",", ""))


def _growth_verb(piece: str, one: Mention) -> re.Match[str] | None:
    """Return the verb of what is changed in "as the batch size grows", where there is one."""
    return GROWS.match(piece, one.end) if _is_scalable(one) and AS.search(piece[: one.start]) else None


def _is_scalable(one: Mention) -> bool:
    return one.name in vocabulary()["direction"]["scaled"]


def _is_relation(piece: str, ours: Sequence[Mention]) -> bool:
    """Return whether a clause says how something goes with what is asked about: "grows with model size"."""
    before = [piece[: one.start].rstrip().removesuffix(" the") for one in ours]
    return any(text.endswith(" with") and _lexicon().find(" ".join(text.split()[-2:])) for text in before)


def _is_about_another_change(named: Sequence[Mention], question: Question) -> bool:
    """Return whether a clause speaks of changes, and of none that the question names."""
    return bool(named) and all(one.name not in (*question.terms, *vocabulary()["general"]) for one in named)


def _comparator_wins(text: str, question: Question) -> bool:
    """Return whether it is what is compared with that outperforms what is asked about."""
    verb = BEATS.search(text)
    if not verb:
        return False
    named = find_terms(text)
    against, core = question.facet("comparator").terms, question.core
    return any(one.name in against and one.end <= verb.start() for one in named) and any(
        one.name in core and one.start >= verb.end() for one in named
    )


@cache
def _before_change(*tables: str) -> re.Pattern[str]:
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


def size_trend(text: str) -> dict[str, Trend]:
    """Return, by unit, whether a value for each of several model sizes rises or falls from step to step."""
    found: dict[str, Trend] = {}
    for sentence in SENTENCE.split(RANGE.sub(" ", text)):
        sizes = [float(number) * (1000 if unit == "B" else 1) for number, unit in SIZE.findall(sentence)]
        ranks = [float(SIZE_ORDER.index(name)) for name in SIZE_NAMES.findall(sentence)]
        values = VALUE.findall(sentence)
        for unit in dict.fromkeys(unit for _, unit in values):
            those = [float(number) for number, one in values if one == unit]
            way = _trend(sizes, those) or _trend(ranks, those)
            if way:
                found.setdefault(unit, way)
    return found


def score_comparison(sentence: str, question: Question) -> Trend | None:
    """Return whether what is asked about scores more than what it is compared with; None where that is not told."""
    named = find_terms(sentence)
    core = [one for one in named if one.name in question.core]
    if not core:
        return None
    if each := PAIRED_SCORES.match(sentence, core[0].end):
        less, more, low, high = (float(number.replace(",", "")) for number in each.groups())
        return _difference(high - low if less < more else low - high)
    ours, theirs = _intervention_score(sentence, core), _comparator_score(sentence, named, question)
    return None if ours is None or theirs is None else _difference(ours - theirs)


def _trend(sizes: Sequence[float], values: Sequence[float]) -> Trend | None:
    """Return how values go where sizes grow; None where they are not one each, or go up and down."""
    if len(sizes) != len(values) or len(set(sizes)) < 2:
        return None
    ordered = [value for _, value in sorted(zip(sizes, values, strict=True))]
    if all(one < other for one, other in pairwise(ordered)):
        return "up"
    return "down" if all(one > other for one, other in pairwise(ordered)) else None


def _difference(points: float) -> Trend:
    if abs(points) < MIN_DIFFERENCE:
        return "level"
    return "up" if points > 0 else "down"


def _intervention_score(sentence: str, core: Sequence[Mention]) -> float | None:
    """Return the score of what is asked about: the first number after a verb that it is the subject of."""
    begins = 0
    for found in SCORES.finditer(sentence):
        if any(begins <= one.start and one.end <= found.start() for one in core):
            return float(found[1])
        begins = found.end()
    return None


def _comparator_score(sentence: str, named: Sequence[Mention], question: Question) -> float | None:
    """Return the score of what is compared with, which is named behind it."""
    against = question.facet("comparator").terms
    found = AGAINST.search(sentence)
    if not found:
        return None
    ends = min((at for mark in ",;" if (at := sentence.find(mark, found.end())) > 0), default=len(sentence))
    return float(found[1]) if any(one.name in against and found.end() <= one.start < ends for one in named) else None
