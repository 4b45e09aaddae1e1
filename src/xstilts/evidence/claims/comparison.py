"""How two findings of different works relate: the same finding, a real conflict, not comparable, or unrelated.

A conflict is real only where subject, comparison and outcome are read and match, both settings are known and share a
task, and the stances are opposed. Whatever falls short of that is "not comparable", with the reason. Two findings are
the same only where the stances are equal, too.

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
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from xstilts.evidence.claims.bearing import roots, specific_roots
from xstilts.evidence.claims.finding_record import NOT_STATED, OPPOSED, TURNED, FindingRecord, Setting, exchanged

RelationKind = Literal["same finding", "real conflict", "not comparable", "unrelated"]
RELATION_KINDS: tuple[RelationKind, ...] = get_args(RelationKind)
MATCH = 2 / 3  # share of the shorter side's roots that both sides have
JOINED = re.compile(
    r"(?<=\b[Ff]ine)[- ](?=tun)|(?<=\b[Pp]re)[- ](?=train)|(?<=\b[Ss]ub)-(?=word)"
)  # written in two ways
GENERAL = ("performance", "score", "scores", "results", "gains", "improvements")  # outcomes that any score measures
COST = re.compile(
    r"\b(?:costs?|times?|latency|memory|overheads?|footprint|parameters|compute|consumption)\b", re.IGNORECASE
)


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


def relate(one: FindingRecord, other: FindingRecord) -> Relation:
    """Return how two findings relate.

    Args:
        one: A finding.
        other: A finding of another work.

    Returns:
        The relation; the order of the two does not matter.
    """
    if _is_exchanged(one, other):
        other = exchanged(other)
    subjects, outcomes = _matches(one.subject, other.subject), _same_outcome(one.outcome, other.outcome)
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
    reasons = [*comparison_reasons(one, other), *setting_reasons(one, other)]
    return Relation("not comparable", " and ".join(reasons)) if reasons else Relation("real conflict")


def comparison_reasons(one: FindingRecord, other: FindingRecord) -> Iterator[str]:
    """Yield why two findings do not compare with the same thing.

    Args:
        one: A finding.
        other: Another one.

    Yields:
        Reasons; none if both compare with the same, or neither says with what.
    """
    stated = [side != NOT_STATED for side in (one.compared_with, other.compared_with)]
    if any(stated) and not all(stated):
        yield "one does not state what it compares with"
    elif all(stated) and not _matches(one.compared_with, other.compared_with):
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
    elif not _share_item(own.tasks, others.tasks):
        yield "the tasks differ"
    for name, first, second in (("models", own.models, others.models), ("languages", own.languages, others.languages)):
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


def _is_exchanged(one: FindingRecord, other: FindingRecord) -> bool:
    """Return whether each is about what the other compares with."""
    return (
        NOT_STATED not in (one.compared_with, other.compared_with)
        and other.stance in TURNED
        and _matches(one.subject, other.compared_with)
        and _matches(one.compared_with, other.subject)
        and not _matches(one.subject, other.subject)
    )


def _same_outcome(one: str, other: str) -> bool:
    if NOT_STATED in (one, other):
        return False
    if bool(COST.search(one)) != bool(COST.search(other)):
        return False
    return one in GENERAL or other in GENERAL or _matches(one, other)


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
