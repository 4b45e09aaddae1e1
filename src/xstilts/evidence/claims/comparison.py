"""How two findings of different works relate: the same finding, a real conflict, not comparable, or unrelated.

A conflict is real only where subject, comparison and outcome are read and match, both settings are known and share a
task, and the stances are opposed. Whatever falls short of that is "not comparable", with the reason. Two findings are
the same only where the stances are equal, too.

Noun phrases match by their words. With a sentence encoder they also match by meaning: subjects where the mean of their
cosine and that of the two whole findings reaches `ALIKE`, outcomes and sides of a comparison from `NEAR` on.

>>> from xstilts.evidence.claims.finding_record import read_finding
>>> one = read_finding("Frozen layers improve accuracy over full fine-tuning on XNLI.")
>>> other = read_finding("Frozen layers degrade accuracy compared to full fine-tuning on XNLI.")
>>> relate(one, other).kind
'real conflict'
>>> relate(one, read_finding("Frozen layers degrade accuracy compared to full fine-tuning on MLQA.")).words
'not comparable, because the tasks differ'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from xstilts.evidence.claims.bearing import roots, specific_roots
from xstilts.evidence.claims.finding_record import NOT_STATED, OPPOSED, TURNED, FindingRecord, Setting, exchanged
from xstilts.evidence.text.stemming import load_table

Cosine = Callable[[str, str], float]  # of the vectors of two texts
RelationKind = Literal["same finding", "real conflict", "not comparable", "unrelated"]
RELATION_KINDS: tuple[RelationKind, ...] = get_args(RelationKind)
ALIKE = 0.8775  # no two judged findings of other subjects reach it
NEAR = 0.85
MATCH = 2 / 3  # share of the shorter side's roots that both sides have
JOINED = re.compile(
    r"(?<=\b[Ff]ine)[- ](?=tun)|(?<=\b[Pp]re)[- ](?=train)|(?<=\b[Ss]ub)-(?=word)"
)  # written in two ways
GENERAL = ("performance", "score", "scores", "results", "gains", "improvements")  # outcomes that any score measures
COST = re.compile(
    r"\b(?:costs?|times?|latency|memory|overheads?|footprint|parameters|compute|consumption)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Meaning:
    """A sentence encoder's opinion of two texts.

    Attributes:
        cosine: Cosine similarity of two texts.
        alike: Mean cosine of subjects and of whole findings from which subjects match.
    """

    cosine: Cosine
    alike: float = ALIKE

    def subjects(self, one: str, other: str, texts: tuple[str, str]) -> float:
        """Return the mean of the cosines of two subjects and of the findings that they stand in."""
        return (self.cosine(one, other) + self.cosine(*texts)) / 2 if NOT_STATED not in (one, other) else 0.0

    def near(self, one: str, other: str) -> bool:
        """Return whether two outcomes, or two sides of a comparison, are near."""
        return NOT_STATED not in (one, other) and self.cosine(one, other) >= NEAR


@dataclass(frozen=True)
class Relation:
    """How two findings relate.

    Attributes:
        kind: One of `RELATION_KINDS`.
        why: Why they are not comparable; "" for other kinds.
    """

    kind: RelationKind
    why: str = ""

    @property
    def words(self) -> str:
        """The relation in words, with the reason."""
        return f"{self.kind}, because {self.why}" if self.why else self.kind


def relate(one: FindingRecord, other: FindingRecord, meaning: Meaning | None = None) -> Relation:
    """Return how two findings relate.

    Args:
        one: A finding.
        other: A finding of another work.
        meaning: A sentence encoder's similarity; None for words alone.

    Returns:
        The relation; the order of the two does not matter.
    """
    if _is_exchanged(one, other, meaning):
        other = exchanged(other)
    subjects = _matches(one.subject, other.subject) or bool(
        meaning and meaning.subjects(one.subject, other.subject, (one.text, other.text)) >= meaning.alike
    )
    outcomes = _same_outcome(one.outcome, other.outcome, meaning)
    if not subjects:
        either = NOT_STATED in (one.subject, other.subject)
        if either and outcomes:
            return Relation("not comparable", "a subject is not stated")
        return Relation("unrelated") if not either else Relation("not comparable", "a subject is not stated")
    if NOT_STATED in (one.stance, other.stance):
        return Relation("not comparable", "a direction is not stated")
    if not outcomes:
        return Relation("not comparable", "the outcomes differ")
    if one.stance == other.stance:
        return Relation("same finding")
    if frozenset((one.stance, other.stance)) not in OPPOSED:
        return Relation("not comparable", "one of them holds under a condition")
    reasons = [*comparison_reasons(one, other, meaning), *setting_reasons(one, other)]
    return Relation("not comparable", " and ".join(reasons)) if reasons else Relation("real conflict")


def comparison_reasons(one: FindingRecord, other: FindingRecord, meaning: Meaning | None = None) -> Iterator[str]:
    """Yield why two findings do not compare with the same thing.

    Args:
        one: A finding.
        other: Another one.
        meaning: A sentence encoder's similarity; None for words alone.

    Yields:
        Reasons; none if both compare with the same, or neither says with what.
    """
    stated = [side != NOT_STATED for side in (one.compared_with, other.compared_with)]
    if any(stated) and not all(stated):
        yield "one does not state what it compares with"
    elif all(stated) and not _alike(one.compared_with, other.compared_with, meaning):
        yield "they compare with different things"


def setting_reasons(one: FindingRecord, other: FindingRecord) -> Iterator[str]:
    """Yield why the settings of two findings are not comparable.

    Args:
        one: A finding.
        other: Another one.

    Yields:
        Reasons; none if they share a task, and no model, language or split speaks against it.
    """
    own, others = _known(one), _known(other)
    if not own.tasks or not others.tasks:
        yield "a task is not stated"
    elif not _share_item(_tasks(own), _tasks(others)):
        yield "the tasks differ"
    languages = _named(own.languages), _named(others.languages)
    for name, first, second in (("models", own.models, others.models), ("languages", *languages)):
        if first and second and not _share_item(first, second):
            yield f"the {name} differ"
    if own.split and others.split and own.split != others.split:
        yield "one is on development data, the other on test data"


def _known(record: FindingRecord) -> Setting:
    """Return the setting of the sentence, completed by that of the text around it."""
    own, around = record.setting, record.around
    return Setting(
        own.models or around.models,
        own.tasks or around.tasks,
        own.languages or around.languages,
        own.split or around.split,
    )


def _share_item(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    return not {item.lower() for item in first}.isdisjoint(item.lower() for item in second)


def _tasks(setting: Setting) -> tuple[str, ...]:
    """Return the tasks of a setting, each under one of its names."""
    names = load_table("stance.toml")["setting"]["same_task"]
    return tuple(next((group[0] for group in names if task.lower() in group), task) for task in setting.tasks)


def _named(languages: tuple[str, ...]) -> tuple[str, ...]:
    """Return the languages that are named: "12 languages" may be any."""
    return tuple(item for item in languages if not re.search(r"\blanguages?$", item))


def _is_exchanged(one: FindingRecord, other: FindingRecord, meaning: Meaning | None) -> bool:
    """Return whether each is about what the other compares with."""
    if NOT_STATED in (one.compared_with, other.compared_with) or other.stance not in TURNED:
        return False
    crossed = (one.subject, other.compared_with), (one.compared_with, other.subject)
    if all(_matches(*pair) for pair in crossed):
        return not _matches(one.subject, other.subject)
    if meaning is None or _matches(one.subject, other.subject):
        return False
    texts = one.text, other.text
    across = min(meaning.subjects(*pair, texts) for pair in crossed)
    return across >= meaning.alike and across > meaning.subjects(one.subject, other.subject, texts)


def _alike(one: str, other: str, meaning: Meaning | None) -> bool:
    return _matches(one, other) or bool(meaning and meaning.near(one, other))


def _same_outcome(one: str, other: str, meaning: Meaning | None) -> bool:
    if NOT_STATED in (one, other):
        return False
    if bool(COST.search(one)) != bool(COST.search(other)):
        return False
    return one in GENERAL or other in GENERAL or _alike(one, other, meaning)


def _matches(one: str, other: str) -> bool:
    """Return whether two noun phrases name the same thing by their specific roots."""
    if NOT_STATED in (one, other):
        return False
    own, others = (_specific(text) for text in (one, other))
    shorter = min(len(own), len(others))
    return bool(shorter) and len(own & others) >= MATCH * shorter and bool(own & others)


def _specific(text: str) -> frozenset[str]:
    joined = JOINED.sub("", text)
    return specific_roots(joined) or roots(joined)
