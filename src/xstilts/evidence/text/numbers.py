"""Numbers in sentences, what each of them measures, and whether the numbers of two sentences agree.

"8.2" alone says nothing: two numbers contradict each other only if unit, task, metric, split, model and languages are
all the same and the values differ by more than rounding. A number that is the exact sum of two to four others of the
source is consistent with it. What a number measures is read within its sentence, and left open where two candidates are
joined.

A sentence with two lists and "respectively" is read as one sentence per pair of items, if exactly one list of names and
one of numbers have equal length and nothing else is joined. These readings serve to compare; the whole sentence is what
is quoted.

>>> found = numbers("SQuAD adds 8.2 points on the development set (Doe et al., 2019; Table 3).")
>>> [(str(number.value), number.unit, number.entity, number.split) for number in found]
[('8.2', 'points', 'SQuAD', 'dev')]
>>> agree("SQuAD adds 2.8 points.", "SQuAD adds 8.2 points.").status
'CLASH'
>>> readings("SQuAD and MNLI add 8.2 and 7.5 points, respectively.")
('SQuAD add 8.2 points.', 'MNLI add 7.5 points.')
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache
from itertools import combinations
from typing import Literal

from xstilts.evidence.claims.question import find_terms, vocabulary
from xstilts.evidence.text.stemming import COUNTED, Lexicon, Mention

Status = Literal["AGREE", "CONSISTENT", "DIFFER", "CLASH"]
NUMBER = re.compile(
    r"(?<![\w.])(?P<sign>[-−–](?=\d))?(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:e[-+]?\d+)?)"
    r"(?P<scale>\s?(?:thousand|million|billion)|[KMBkmb])?(?!\w|[.,]\d)"
)
NAMED = {name: value for value, name in enumerate(COUNTED.split(), 2)}
WORDED = re.compile(rf"\b({'|'.join(NAMED)})\b", re.IGNORECASE)
SCALES = {"k": 10**3, "thousand": 10**3, "m": 10**6, "million": 10**6, "b": 10**9, "billion": 10**9}
CITED = re.compile(
    r"\([^()]*\b(?:19|20)\d\d[a-z]?\b[^()]*\)|\bet al\.,? (?:19|20)\d\d[a-z]?|\[\d+(?:[,–-]\s?\d+)*\]"
    r"|\b(?:Tables?|Tabs?\.|Figures?|Figs?\.|Sections?|Secs?\.|Appendix|Equations?|Eqs?\.|Chapter|§)\s?[\dA-Z][\d.]*"
)
YEAR = re.compile(r"19[5-9]\d|20[0-3]\d")  # not 2048, as of a batch
NAMES = ("task", "benchmark", "models")  # kinds of terms whose names contain numbers
UNIT_DISTANCE = 60  # largest distance in characters of a unit from its number
OTHERS = re.compile(
    r"\b(?:over|across|on|for|with|in|than|compared|per)\b"
)  # a unit after one of these belongs to something else
SENTENCE = re.compile(r"[.!?]\s|;")  # a number's subject is searched between these
CLAUSE = re.compile(r"[.!?]\s|;|\b(?:but|while|whereas)\b")  # its languages are searched between these
BESIDE = re.compile(r"\s*(?:,|/|&|,?\s*\b(?:and|or|versus|vs\.?)\b)\s*")  # between two joined items
BELONGS = re.compile(
    r"(?:[^\d,;:()]|(?<=[A-Z])\d)*\b(?:of|for|with|in|on|from)\s(?:the\s)?"
)  # between a number and its subject
SETTING = re.compile(  # before a number that is a hyperparameter and no score
    r"\b(?:batch size|learning rate|step size|power|standard deviation)s?\b\W*(?:(?:of|from|to)\s+)?"
    r"(?P<list>(?:[\d.,]+\w?\s*(?:,|and|or|to)\s+(?:one of\s+)?)*)\Z",
    re.IGNORECASE,
)
SCORES = ("", "points", "%")  # units that a metric may have
COUNTS = ("examples", "sentences")  # units that a split may have
MAX_SUM_TERMS = 4  # largest number of terms of a sum
MAX_SUM_NUMBERS = 60  # with more numbers in a source, sums of four are not tried

LISTED_NUMBER = r"[-−+]?\d[\d,]*(?:\.\d+)?(?!\w)(?:\s?%)?"
CAPITAL = r"[A-Z][\w+-]*"
LISTED_NAME = (
    rf"(?!(?:On|In|For|With|The|We|Using|From|And|Both|When|While)\b){CAPITAL}(?:\.\d+)?"
    rf"(?:[ ](?:v?\d[\d.]*\d|{CAPITAL}))*"
)
RESPECTIVELY = re.compile(r",?\s*\brespectively\b\s*")
JOINS = re.compile(
    r"\b(?:and|or|nor|but|plus|both|either|neither|versus|vs|as well as|(?:along|together) with)\b|[&;]|\w/\w",
    re.IGNORECASE,
)


def _list(item: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.]){item}(?:,\s+{item})*,?\s+(?:and|or)\s+{item}")


LISTS = {item: _list(item) for item in (LISTED_NAME, LISTED_NUMBER)}


@dataclass(frozen=True)
class Number:
    """A number of a sentence and what it measures; a field is "" where the sentence does not say.

    Attributes:
        text: The number as written.
        value: Its value, with "million" and its like multiplied.
        unit: Unit, such as "points", "%" or "examples".
        entity: Task or benchmark.
        metric: Metric.
        split: Data split.
        model: Model.
        languages: Languages.
    """

    text: str
    value: Decimal
    unit: str = ""
    entity: str = ""
    metric: str = ""
    split: str = ""
    model: str = ""
    languages: tuple[str, ...] = ()

    @property
    def subject(self) -> tuple[str | tuple[str, ...], ...]:
        """Everything that must be equal before two values can contradict each other."""
        return self.unit, self.entity, self.metric, self.split, self.model, self.languages


@dataclass(frozen=True)
class Agreement:
    """Whether a claim agrees with its source.

    Attributes:
        status: AGREE; CONSISTENT: not stated there, but follows; DIFFER: not the same, without contradiction; CLASH: a
            contradiction.
        why: Reason, "" for AGREE.
    """

    status: Status
    why: str = ""


@lru_cache(maxsize=1 << 13)
def numbers(text: str) -> tuple[Number, ...]:
    """Return the numbers of a sentence with what each measures.

    Args:
        text: A sentence; one with "respectively" is read as the sentences that it stands for.

    Returns:
        The numbers in order, without those of citations, tables and names.
    """
    parts = readings(text) or (text,)
    return tuple(dict.fromkeys(number for part in parts for number in _numbers(part)))


def agree(claim: str, source: str) -> Agreement:
    """Compare the numbers of a claim with those of a source.

    Args:
        claim: The claim.
        source: The sentence that it is compared with.

    Returns:
        The most severe outcome over the claim's numbers; AGREE if it has none.
    """
    source_numbers = numbers(source)
    return max(
        (_agreement(number, source_numbers) for number in numbers(claim)), key=_severity, default=Agreement("AGREE")
    )


def find_sum(value: Decimal, others: Collection[Decimal]) -> tuple[Decimal, ...]:
    """Return two to four different numbers whose exact sum is a value, or ().

    Args:
        value: The sum.
        others: Candidates. Above `MAX_SUM_NUMBERS` of them only pairs and triples are tried.

    Returns:
        The numbers in rising order.
    """
    small = sorted({other for other in others if 0 < other < value})
    candidates = set(small)
    for size in range(2, MAX_SUM_TERMS + 1):
        if len(small) > MAX_SUM_NUMBERS and size > 3:
            break
        for terms in combinations(small, size - 1):
            rest = value - sum(terms)
            if rest > terms[-1] and rest in candidates:
                return (*terms, rest)
    return ()


def _severity(agreement: Agreement) -> int:
    return ("AGREE", "CONSISTENT", "DIFFER", "CLASH").index(agreement.status)


def _agreement(number: Number, source_numbers: Sequence[Number]) -> Agreement:
    if any(candidate.value == number.value and _same_subject(number, candidate) for candidate in source_numbers):
        return Agreement("AGREE")
    parts = find_sum(number.value, {candidate.value for candidate in source_numbers})
    if parts:
        return Agreement("CONSISTENT", f"{number.text} is the sum {' + '.join(f'{part:,}' for part in parts)}")
    rivals = {candidate.value: candidate for candidate in source_numbers if candidate.subject == number.subject}
    if len(rivals) == 1 and not any(
        _digits(candidate) == _digits(number) or _may_be_rounded(candidate, number) for candidate in rivals.values()
    ):
        return Agreement("CLASH", f"{number.text} {number.unit} here, {next(iter(rivals.values())).text} in the source")
    return Agreement("DIFFER", f"the source does not say {number.text} {number.unit}".rstrip())


def _digits(number: Number) -> str:
    """Return the digits alone: 1.104 for 1,104, or a dash before a number, is no contradiction."""
    return re.sub(r"\D", "", format(number.value, "f"))


def _may_be_rounded(number: Number, other: Number) -> bool:
    """Return whether one number may be the other, rounded: 2 and 2.1, or 393,000 and 392,702."""
    return 2 * abs(number.value - other.value) <= max(_resolution(number), _resolution(other))


def _resolution(number: Number) -> Decimal:
    """Return the value of the last significant digit; trailing zeros of a whole number are not significant."""
    match = NUMBER.match(number.text)
    if not match:
        return Decimal(1)
    digits = match["digits"].replace(",", "")
    zeros = max(0, min(len(digits) - len(digits.rstrip("0")), len(digits) - 2)) if digits.isdigit() else 0
    scale = SCALES[match["scale"].strip().lower()] if match["scale"] else 1
    return Decimal(1).scaleb(int(Decimal(digits).as_tuple().exponent) + zeros) * scale


def _same_subject(claimed: Number, stated: Number) -> bool:
    """Return whether two numbers measure the same, as far as the claim says what."""
    return claimed.unit == stated.unit and all(
        not claimed_part or claimed_part == stated_part
        for claimed_part, stated_part in zip(claimed.subject, stated.subject, strict=True)
    )


def _numbers(text: str) -> Iterator[Number]:
    terms = find_terms(text)
    names = [term for term in terms if term.kind in NAMES and not text[term.start].isdigit()]
    hidden = [
        *((term.start, term.end) for term in names),
        *((match.start(), match.end()) for match in CITED.finditer(text)),
    ]
    units = _lexicon("unit").find(text)
    mentions = [*names, *(term for term in terms if term.kind not in NAMES), *_lexicon("split").find(text)]
    starts = [unit.start for unit in units]
    parts = {pattern: _parts(text, pattern) for pattern in (SENTENCE, CLAUSE)}
    for start, end, value in sorted(_values(text)):
        if any(left <= start < right for left, right in hidden):
            continue
        after = units[bisect_left(starts, end) : bisect_right(starts, end + UNIT_DISTANCE)]
        if not _is_year(text, start, end, after):
            yield _number(text, (start, end, value), after, mentions, parts)


Parts = tuple[list[int], list[int]]  # the starts and the ends of what ends the parts of a text, in order


def _parts(text: str, ends: re.Pattern[str]) -> Parts:
    spans = [match.span() for match in ends.finditer(text)]
    return [start for start, _ in spans], [end for _, end in spans]


def _is_year(text: str, start: int, end: int, units: Iterable[Mention]) -> bool:
    """Return whether a number is a year: of four digits in its range, without a unit, and no setting of a training."""
    adjoins = any(not text[end : unit.start].strip() for unit in units)
    setting = SETTING.search(text, max(0, start - UNIT_DISTANCE), start)
    return bool(YEAR.fullmatch(text, start, end)) and not adjoins and not setting and text[end : end + 1] != "%"


def _number(
    text: str,
    at: tuple[int, int, Decimal],
    units: Iterable[Mention],
    mentions: Iterable[Mention],
    parts: Mapping[re.Pattern[str], Parts],
) -> Number:
    """Return a number with what it is of; one that says how was trained is of nothing. Units: those close after it."""
    start, end, value = at
    setting = SETTING.search(text, max(0, start - UNIT_DISTANCE), start)
    adjoins = next((unit.name for unit in units if not text[end : unit.start].strip()), "")
    if setting and not (setting["list"] and adjoins):
        return Number(text[start:end], value, adjoins)
    unit, in_sentence = _unit(text, start, end, units), _within(start, mentions, parts[SENTENCE], len(text))
    scores = unit in SCORES and text[end - 1].isdigit()
    splits = {mention.name for mention in in_sentence if mention.kind == "split"} if scores or unit in COUNTS else set()
    near = _within(start, mentions, parts[CLAUSE], len(text))
    return Number(
        text[start:end],
        value,
        unit,
        _nearest_subject(
            text, (start, end), [mention for mention in in_sentence if mention.kind in ("task", "benchmark")]
        ),
        _metric(text, (start, end), [mention for mention in in_sentence if mention.kind == "metric"]) if scores else "",
        splits.pop() if len(splits) == 1 else "",
        _nearest_subject(text, (start, end), [mention for mention in in_sentence if mention.kind == "models"]),
        tuple(dict.fromkeys(mention.name for mention in near if mention.kind == "languages")),
    )


def _values(text: str) -> Iterator[tuple[int, int, Decimal]]:
    for match in NUMBER.finditer(text):
        scale = SCALES[match["scale"].strip().lower()] if match["scale"] else 1
        value = Decimal(match["digits"].replace(",", "")) * scale
        yield match.start(), match.end(), -value if match["sign"] else value
    for match in WORDED.finditer(text):
        yield match.start(), match.end(), Decimal(NAMED[match[0].lower()])


def _unit(text: str, start: int, end: int, units: Iterable[Mention]) -> str:
    """Return the unit that follows a number, or the list of numbers that begins with it, after two words at most."""
    for unit in units:
        between = text[end : unit.start]
        if end <= unit.start <= end + UNIT_DISTANCE and not re.search(r"[;:()]|[.!?]\s", between):
            listed = _list_of(text[start:end]).match(between)
            rest = between[listed.end() :] if listed else between
            alone = not re.search(r"\d", rest) and not WORDED.search(rest) and not OTHERS.search(rest)
            return unit.name if alone and len(re.findall(r"[^\W\d_]+", rest)) <= 2 else ""
    return ""


@cache
def _list_of(number: str) -> re.Pattern[str]:
    """Return the pattern between the first and the last number of a list whose items are written alike."""
    if not number[-1].isdigit() and number.lower() in NAMED:
        item = WORDED.pattern
    else:
        item = r"[-−–]?\d[\d,]*(?:\.\d+)?" + (
            "" if number[-1].isdigit() else r"(?:\s?(?:thousand|million|billion)|[KMB])"
        )
    return re.compile(rf"(?i:(?:\s*,\s*{item})*,?(?:\s+(?:and|or|to)\s+|\s?[-–—]\s?){item}(?![\w.,]*\d|[KMB]\b))")


def _within(offset: int, mentions: Iterable[Mention], parts: Parts, length: int) -> list[Mention]:
    """Return the mentions between the ends of a sentence, or of a clause, around an offset."""
    starts, ends = parts
    before, after = bisect_right(ends, offset), bisect_left(starts, offset)
    left, right = ends[before - 1] if before else 0, starts[after] if after < len(starts) else length
    return [mention for mention in mentions if left <= mention.start < right]


def _nearest_subject(text: str, span: tuple[int, int], mentions: Sequence[Mention]) -> str:
    """Return what follows a number as its subject, else the last candidate before it; "" if two are joined."""
    start, end = span
    after = [
        mention
        for mention in mentions
        if end <= mention.start <= end + UNIT_DISTANCE and BELONGS.fullmatch(text, end, mention.start)
    ]
    before = [mention for mention in mentions if mention.end <= start]
    chosen = after[0] if after else max(before, key=lambda mention: mention.end, default=None)
    if chosen is None or any(_are_joined(text, chosen, other) for other in mentions if other.name != chosen.name):
        return ""
    return chosen.name


def _are_joined(text: str, mention: Mention, other: Mention) -> bool:
    first, second = sorted((mention, other), key=lambda mention: mention.start)
    return bool(BESIDE.fullmatch(text, first.end, second.start))


def _metric(text: str, span: tuple[int, int], mentions: Sequence[Mention]) -> str:
    """Return the metric beside a number: at most three words after it, or before it with no other number between."""
    after = [
        mention for mention in mentions if re.fullmatch(r"\s*(?:[^\W\d]+\s+|%\s*){0,3}", text[span[1] : mention.start])
    ]
    before = [
        mention
        for mention in mentions
        if mention.end <= span[0] and re.fullmatch(r"[^\d,;:]*", text[mention.end : span[0]])
    ]
    return next((mention.name for mention in (*after, *reversed(before))), "")


@cache
def _lexicon(kind: str) -> Lexicon:
    return Lexicon.of({kind: vocabulary()["terms"][kind]})


@lru_cache(maxsize=1 << 12)
def readings(text: str) -> tuple[str, ...]:
    """Return the sentences that one with "respectively" stands for; () for any other sentence and for questions."""
    if "respectively" not in text or len(RESPECTIVELY.findall(text)) != 1 or re.search(r"[?？؟]", text):
        return ()
    pairs = [
        (names, values)
        for names in LISTS[LISTED_NAME].finditer(text)
        for values in LISTS[LISTED_NUMBER].finditer(text)
        if len(_items(names, LISTED_NAME)) == len(_items(values, LISTED_NUMBER))
    ]
    return _read_pairs(text, *pairs[0]) if len(pairs) == 1 and not JOINS.search(_without_lists(text, *pairs[0])) else ()


def _without_lists(text: str, *lists: re.Match[str]) -> str:
    """Return a text without its lists."""
    for match in sorted(lists, key=lambda span: -span.start()):
        text = f"{text[: match.start()]} {text[match.end() :]}"
    return text


def _items(match: re.Match[str], item: str) -> list[str]:
    return [text.strip() for text in re.findall(item, match[0])]


def _read_pairs(text: str, names: re.Match[str], values: re.Match[str]) -> tuple[str, ...]:
    items = zip(_items(names, LISTED_NAME), _items(values, LISTED_NUMBER), strict=True)
    return tuple(_with_items(text, (names, name), (values, value)) for name, value in items)


def _with_items(text: str, *chosen: tuple[re.Match[str], str]) -> str:
    """Return a text with each list replaced by one of its items, and without "respectively"."""
    for match, item in sorted(chosen, key=lambda pair: -pair[0].start()):
        text = text[: match.start()] + item + text[match.end() :]
    return re.sub(r"\s+([.,;!?])", r"\1", RESPECTIVELY.sub(" ", text)).strip()
