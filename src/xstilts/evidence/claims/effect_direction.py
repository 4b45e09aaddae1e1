"""Direction of an effect as a sentence words it: more, less, or no difference in an outcome.

It is read clause by clause from words, and from numbers where each plainly stands for one thing. Directions sort
statements; they judge none. A direction concerns an outcome of the question (a sentence on training time has none where
accuracy is asked for), as the intervention increases: "a smaller batch improves" is down. What a sentence reports of
other works, leaves open or gives as a reason has no direction.

>>> direction("Accuracy improves by 1.2 points, but F1 falls.")
'mixed'
>>> from xstilts.evidence.claims.question import parse_question
>>> question = parse_question("Does batch size change accuracy?")
>>> direction("A batch size of 8 improves accuracy compared to 128.", question)
'down'
>>> text = "Training time falls, but accuracy does not improve."
>>> [(sorted(clause.outcomes), clause.turns) for clause in clauses(text)]
[(['training cost'], ('down',)), (['quality'], ('not better',))]
>>> size_trend("It gains 4.6 points for Base, 2.9 points for Large and 0.3 points for XXL.")
{'point': 'down'}
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
    "level": "no difference, or no clear one",
    "mixed": "both",
    "unsaid": "no direction on an outcome of the question",
}
# "does not improve" contradicts "improves", but not "worsens"
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
# Words of direction.
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
# Numbers in series and comparisons.
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
MIN_DIFFERENCE = 0.5  # points: smaller differences are within the variation of seeds


@dataclass(frozen=True)
class OutcomeDirection:
    """What a sentence says of an outcome.

    Attributes:
        outcome: The outcome that it names; "" if none.
        question_term: The question's term for it; "" if the question or the sentence names none.
        mark: Direction, with negations.
    """

    outcome: str
    question_term: str
    mark: Mark


def direction(text: str, question: Question | None = None) -> Direction:
    """Return the direction of a text over all outcomes of a question.

    Args:
        text: A sentence.
        question: The question; without one all outcomes count.

    Returns:
        The direction as the intervention increases: "up", "down", "level", "mixed" or "unsaid".
    """
    return combine(item.mark for item in outcome_directions(text, question))


def outcome_directions(text: str, question: Question | None = None) -> tuple[OutcomeDirection, ...]:
    """Return the direction of a text on each outcome that a question asks for.

    Args:
        text: A sentence.
        question: The question; without one all outcomes count.

    Returns:
        Directions by outcome, as the intervention increases; () for a sentence that reports other works.
    """
    if reports_others(text):
        return ()
    outcome_names = outcomes(text) or frozenset(("",))
    marks: dict[str, list[Mark]] = {}
    for outcome, mark in _from_sizes(text, outcome_names, question) or _from_clauses(text, outcome_names, question):
        marks.setdefault(outcome, []).append(mark)
    rows = (
        (outcome, _question_term(outcome, question), _combine_in_order(outcome_marks))
        for outcome, outcome_marks in sorted(marks.items())
    )
    return tuple(
        OutcomeDirection(outcome, term, FLIPPED.get(mark, mark) if _as_efficiency(outcome, term) else mark)
        for outcome, term, mark in rows
        if term is not None
    )


def combine(marks: Iterable[Mark]) -> Direction:
    """Return the direction of several marks: "mixed" for up and down; either beside "level" stays what it is."""
    directions = {_as_direction(mark) for mark in marks}
    if not directions:
        return "unsaid"
    effects = directions - {"level"} or directions
    return next(iter(effects)) if len(effects) == 1 else "mixed"


def opposed(mark: str, other: str) -> bool:
    """Return whether two directions contradict each other.

    Args:
        mark: A direction.
        other: Another one.

    Returns:
        Whether they do, as "up" and "down".
    """
    return frozenset((mark, other)) in OPPOSED


def contests_others(text: str) -> bool:
    """Return whether a text says that it contradicts other works."""
    return bool(CONTESTS.search(text))


def reports_others(text: str) -> bool:
    """Return whether a text may report what other works found, without contradicting them."""
    return bool(REPORTED.search(text) or CITES.search(text)) and not contests_others(text)


def is_conditional(text: str) -> bool:
    """Return whether a text says that it holds under a condition only."""
    return bool(CONDITION.search(text))


def _as_direction(mark: Mark) -> Direction:
    return "level" if mark == "not up" or mark == "not down" else mark


def _combine_in_order(marks: Sequence[Mark]) -> Mark:
    """Return the mark of marks in order: "no difference" after a direction limits it and does not reverse it."""
    if len(set(marks)) == 1:
        return marks[0]
    directions = [_as_direction(mark) for mark in marks]
    if directions[0] == "level" and len(set(directions)) > 1:
        return "mixed"
    combined = combine(marks)
    return "level" if combined == "unsaid" else combined


def _question_term(outcome: str, question: Question | None) -> str | None:
    """Return the question's term for an outcome; "" if either names none, None if the question does not ask for it."""
    facet = question.facet("outcome") if question else None
    if facet is None or not facet.terms or not outcome:
        return ""
    if outcome == QUALITY:
        return " and ".join(term for term in facet.specific if term not in COSTS) or (
            " and ".join(term for term in facet.terms if term not in COSTS) or None
        )
    return next((term for term in facet.terms if outcome in (term, *narrower_terms().get(term, ()))), None)


def _as_efficiency(outcome: str, question_term: str | None) -> bool:
    """Return whether less of an outcome counts as more efficiency."""
    return question_term == "efficiency" and outcome in COSTS - {"efficiency"}


def _from_sizes(text: str, outcome_names: frozenset[str], question: Question | None) -> list[tuple[str, Mark]]:
    """Return what a series of values over model sizes says on model size."""
    if not question or "model size" not in question.core:
        return []
    return [
        (outcome, trend)
        for unit, trend in size_trend(text).items()
        for outcome in ((UNITS[unit],) if unit in UNITS else sorted(outcome_names))
    ]


def _from_clauses(text: str, outcome_names: frozenset[str], question: Question | None) -> Iterator[tuple[str, Mark]]:
    """Yield outcome and mark of the clauses; if some relate the outcome to the intervention, of those alone."""
    parts = list(clauses(text, question))
    for clause in [clause for clause in parts if clause.related] or parts:
        for outcome in sorted(clause.outcomes or outcome_names):
            for turn in clause.turns:
                mark = _mark(turn, outcome)
                yield outcome, FLIPPED.get(mark, mark) if clause.flipped else mark


def _mark(turn: str, outcome: str) -> Mark:
    """Return the mark of a turn ("not better"): better means more of a score, and less time and memory."""
    denied, _, word = turn.rpartition(" ")
    costs = outcome in COSTS - {"efficiency"}
    directions: dict[str, Mark] = {"better": "down" if costs else "up", "worse": "up" if costs else "down"}
    mark: Mark = directions.get(word) or ("up" if word == "up" else "down" if word == "down" else "level")
    return DENIED.get(mark, mark) if denied else mark


@dataclass(frozen=True)
class Clause:
    """A clause of a sentence.

    Attributes:
        outcomes: Outcomes that it names.
        turns: Words of direction in it, such as "up", "not better".
        flipped: Whether it is about less of the intervention.
        related: Whether it relates an outcome to the intervention ("grows with model size").
    """

    outcomes: frozenset[str]
    turns: tuple[str, ...]
    flipped: bool
    related: bool


def clauses(text: str, question: Question | None = None) -> Iterator[Clause]:
    """Yield the clauses of a text as a question reads them; "less of the intervention" carries over to later clauses.

    Args:
        text: A sentence.
        question: The question; without one no clause is about less of anything.

    Yields:
        Clauses without what is left open or given as a reason. The intervention and its size are taken out first: the
            "larger" of "a larger batch" is no direction.
    """
    flipped, position = False, 0
    core = question.core if question else ()
    for piece in filter(None, CLAUSE.split(text)):
        position = text.index(piece, position)
        interventions = [
            mention for mention in find_terms(piece) if role_of(mention) == "intervention" and mention.kind != "task"
        ]
        core_mentions = [mention for mention in interventions if mention.name in core]
        flipped = _is_reduced(piece, core_mentions[0], text[position:]) if core_mentions else flipped
        if ASIDE.search(piece) or (question and _is_about_another_change(interventions, question)):
            continue
        turns = _turns(_without_intervention(piece, interventions), bool(question and AFTER_GAIN.search(question.text)))
        scores = score_comparison(text[position:].partition(". ")[0], question) if question else None
        judged = not turns.isdisjoint(("better", "worse", "not better", "not worse"))
        named_here = outcomes(piece) or frozenset((QUALITY,) if judged or scores else ())
        comparator_wins = bool(question and _comparator_wins(piece, question))
        all_turns = (*sorted(turns), *((scores,) if scores and not turns else ()))
        yield Clause(named_here, all_turns, flipped != comparator_wins, _is_relation(piece, core_mentions))


def outcomes(text: str) -> frozenset[str]:
    """Return the outcomes that a text names.

    Args:
        text: A sentence.

    Returns:
        Names of costs, and "quality" for any score.
    """
    terms = {mention.name for mention in find_terms(text) if role_of(mention) == "outcome"}
    scored = bool(terms - COSTS) or (not terms & COSTS and bool(_quality().find(text)))
    return frozenset(terms & COSTS) | (frozenset((QUALITY,)) if scored else frozenset())


def _turns(piece: str, after_gain: bool) -> set[str]:
    """Return the words of direction of a clause; if the question is about a gain, naming a gain does not count."""
    if LEVELLED.search(piece):
        return {"level"}
    words_found = [(item.kind, item.name) for item in _lexicon().find(piece)]
    if after_gain:
        words_found = [(kind, name) for kind, name in words_found if kind != "noun" and name not in ("better", "worse")]
    strongest = next((kind for kind in ("verb", "noun", "weak") if any(item == kind for item, _ in words_found)), "")
    words = {name for kind, name in words_found if kind == strongest} | ({"down"} if SHARE.search(piece) else set())
    if NEGATION not in hedges(piece):
        return words - {"neither"}
    return {"level" if word in ("level", "neither") else f"not {word}" for word in words}


def _without_intervention(piece: str, interventions: Sequence[Mention]) -> str:
    """Return a clause without the intervention, its size, and bounds such as "more than"."""
    for mention in interventions:
        before = _before_change("enlarged", "reduced").search(piece[: mention.start])
        after = _growth_verb(piece, mention)
        start, end = before.start() if before else mention.start, after.end() if after else mention.end
        piece = piece[:start] + " " * (end - start) + piece[end:]
    return BOUND.sub(" ", piece)


def _is_reduced(piece: str, mention: Mention, rest: str) -> bool:
    """Return whether a clause is about less of the intervention: "a smaller batch size", "of 8 compared to 128"."""
    if not _is_scalable(mention):
        return False
    before, grown = piece[: mention.start], _growth_verb(piece, mention)
    if _before_change("reduced").search(f"{before} ") or _before_change("reduced").search(
        f"{piece[mention.start :].split()[0]} "
    ):
        return True
    if grown:
        return bool(SHRINKS.search(grown[0]))
    pair = COMPARED_VALUES.match(rest, mention.end)
    return pair is not None and int(pair[1].replace(",", "")) < int(pair[2].replace(",", ""))


def _growth_verb(piece: str, mention: Mention) -> re.Match[str] | None:
    """Return the verb of the intervention in "as the batch size grows", or None."""
    return GROWS.match(piece, mention.end) if _is_scalable(mention) and AS.search(piece[: mention.start]) else None


def _is_scalable(mention: Mention) -> bool:
    return mention.name in vocabulary()["direction"]["scaled"]


def _is_relation(piece: str, core_mentions: Sequence[Mention]) -> bool:
    """Return whether a clause says how an outcome changes with the intervention: "grows with model size"."""
    before = [piece[: mention.start].rstrip().removesuffix(" the") for mention in core_mentions]
    return any(text.endswith(" with") and _lexicon().find(" ".join(text.split()[-2:])) for text in before)


def _is_about_another_change(interventions: Sequence[Mention], question: Question) -> bool:
    """Return whether a clause names interventions, but none of the question's."""
    return bool(interventions) and all(
        mention.name not in (*question.terms, *vocabulary()["general"]) for mention in interventions
    )


def _comparator_wins(text: str, question: Question) -> bool:
    """Return whether it is the comparator that outperforms the intervention."""
    verb = BEATS.search(text)
    if not verb:
        return False
    terms = find_terms(text)
    against, core = question.facet("comparator").terms, question.core
    return any(mention.name in against and mention.end <= verb.start() for mention in terms) and any(
        mention.name in core and mention.start >= verb.end() for mention in terms
    )


@cache
def _before_change(*tables: str) -> re.Pattern[str]:
    """Return the pattern of a word of some tables directly before the intervention."""
    words = "|".join(word for table in tables for word in vocabulary()["direction"][table])
    return re.compile(rf"\b(?:{words})(?:\s+(?:of|the|an?|our|intermediate|training))*\s+$", re.IGNORECASE)


@cache
def _quality() -> Lexicon:
    return Lexicon.of({QUALITY: {QUALITY: vocabulary()["direction"]["quality"]}})


@cache
def _lexicon() -> Lexicon:
    """Return the words of direction: verbs, nouns that count where there is no verb, and "more" and "less"."""
    tables, amounts = vocabulary()["direction"], vocabulary()["result"]["direction"]
    judged: Mapping[str, Sequence[str]] = {"better": tables["better"], "worse": tables["worse"]}
    every = {
        **judged,
        **{name: [word for word in amounts[name] if word not in tables["better"] + tables["worse"] + tables["neither"]]
           for name in ("up", "down", "level")},
        "neither": tables["neither"],
    }  # fmt: skip
    return Lexicon.of(
        {
            "verb": {name: [word for word in words if word not in tables["nouns"]] for name, words in every.items()},
            "noun": {name: [word for word in words if word in tables["nouns"]] for name, words in every.items()},
            "weak": {"up": tables["more"], "down": tables["less"]},
        }
    )


def size_trend(text: str) -> dict[str, Trend]:
    """Return the trend of values over model sizes.

    Args:
        text: One or more sentences that may give a value for each of several model sizes.

    Returns:
        By unit, whether the values rise or fall with every step of size; units without such a series are left out.
    """
    trends: dict[str, Trend] = {}
    for sentence in SENTENCE.split(RANGE.sub(" ", text)):
        sizes = [float(number) * (1000 if unit == "B" else 1) for number, unit in SIZE.findall(sentence)]
        ranks = [float(SIZE_ORDER.index(name)) for name in SIZE_NAMES.findall(sentence)]
        values = VALUE.findall(sentence)
        for unit in dict.fromkeys(unit for _, unit in values):
            series = [float(number) for number, other in values if other == unit]
            trend = _trend(sizes, series) or _trend(ranks, series)
            if trend:
                trends.setdefault(unit, trend)
    return trends


def score_comparison(sentence: str, question: Question) -> Trend | None:
    """Return whether the intervention scores higher than the comparator in a sentence.

    Args:
        sentence: The sentence.
        question: Names the intervention and the comparator.

    Returns:
        The trend; None unless the sentence has a score of both.
    """
    terms = find_terms(sentence)
    core = [mention for mention in terms if mention.name in question.core]
    if not core:
        return None
    if paired := PAIRED_SCORES.match(sentence, core[0].end):
        less, more, low, high = (float(number.replace(",", "")) for number in paired.groups())
        return _difference(high - low if less < more else low - high)
    intervention_score, comparator_score = (
        _intervention_score(sentence, core),
        _comparator_score(sentence, terms, question),
    )
    return (
        None
        if intervention_score is None or comparator_score is None
        else _difference(intervention_score - comparator_score)
    )


def _trend(sizes: Sequence[float], values: Sequence[float]) -> Trend | None:
    """Return the trend of values as sizes grow; None if they do not pair up, or go up and down."""
    if len(sizes) != len(values) or len(set(sizes)) < 2:
        return None
    ordered = [value for _, value in sorted(zip(sizes, values, strict=True))]
    if all(value < other for value, other in pairwise(ordered)):
        return "up"
    return "down" if all(value > other for value, other in pairwise(ordered)) else None


def _difference(points: float) -> Trend:
    if abs(points) < MIN_DIFFERENCE:
        return "level"
    return "up" if points > 0 else "down"


def _intervention_score(sentence: str, core: Sequence[Mention]) -> float | None:
    """Return the intervention's score: the first number after a verb of which it is the subject."""
    begins = 0
    for match in SCORES.finditer(sentence):
        if any(begins <= mention.start and mention.end <= match.start() for mention in core):
            return float(match[1])
        begins = match.end()
    return None


def _comparator_score(sentence: str, mentions: Sequence[Mention], question: Question) -> float | None:
    """Return the score of the comparator that is named after it."""
    against = question.facet("comparator").terms
    match = AGAINST.search(sentence)
    if not match:
        return None
    ends = min((at for mark in ",;" if (at := sentence.find(mark, match.end())) > 0), default=len(sentence))
    return (
        float(match[1])
        if any(mention.name in against and match.end() <= mention.start < ends for mention in mentions)
        else None
    )
