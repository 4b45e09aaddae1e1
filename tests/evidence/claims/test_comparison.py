"""Two findings are in conflict only where everything but the direction is the same."""

from __future__ import annotations

import pytest

from xstilts.evidence.claims.comparison import Meaning, relate
from xstilts.evidence.claims.finding_record import FindingRecord, read_finding

SAID = "Frozen adapters improve accuracy over full tuning on XNLI."
DENIED = "Frozen adapters degrade accuracy compared to full tuning on XNLI."


def related(one: str, other: str) -> str:
    first, second = read_finding(one), read_finding(other)
    assert relate(first, second) == relate(second, first)
    return relate(first, second).words


def test_opposed_directions_of_the_same_comparison_are_a_real_conflict() -> None:
    assert related(SAID, DENIED) == "real conflict"
    assert related(SAID, "Full tuning outperforms frozen adapters on XNLI.") == "real conflict"


def test_the_same_direction_is_the_same_finding() -> None:
    assert related(SAID, SAID.replace("improve", "boost")) == "same finding"


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (DENIED.replace("XNLI", "MLQA"), "the tasks differ"),
        (DENIED.replace(" on XNLI", ""), "a task is not stated"),
        (DENIED.replace("full tuning", "soft prompts"), "they compare with different things"),
        (DENIED.replace(" compared to full tuning", ""), "one does not state what it compares with"),
        (DENIED.replace("accuracy", "latency").replace("degrade", "increase"), "the outcomes differ"),
        ("Frozen adapters grow on XNLI.", "a subject is not stated"),
        (DENIED.replace("XNLI.", "the XNLI test set of Thai."), ""),
    ],
)
def test_whatever_falls_short_of_that_is_not_comparable(other: str, reason: str) -> None:
    stated = related(SAID if reason else SAID.replace("XNLI.", "the XNLI dev set of Urdu."), other)
    expected = reason or "the languages differ and one is on development data, the other on test data"
    if reason == "the outcomes differ":
        assert stated != "real conflict"
    else:
        assert stated == f"not comparable, because {expected}"


def meaning(*groups: tuple[str, ...]) -> Meaning:
    """Return a meaning by which texts with a word of one group are the same."""

    def marks(text: str) -> set[int]:
        return {place for place, group in enumerate(groups) if any(word in text.lower() for word in group)}

    return Meaning(lambda one, other: 1.0 if marks(one) & marks(other) else 0.0)


ALIKE = meaning(("frozen adapters", "static modules"), ("full tuning", "training everything"))
REWORDED = "Static modules degrade accuracy compared to training everything on XNLI."


def test_meaning_relates_what_is_worded_otherwise_and_its_direction_stays_that_of_the_words() -> None:
    one, other = read_finding(SAID), read_finding(REWORDED)
    assert relate(one, other).kind == "unrelated"
    assert relate(one, other, ALIKE) == relate(other, one, ALIKE)
    assert relate(one, other, ALIKE).kind == "real conflict"
    assert relate(one, read_finding(REWORDED.replace("degrade", "improve")), ALIKE).kind == "same finding"
    turned = read_finding("Training everything outperforms static modules on XNLI.")
    assert relate(one, turned, ALIKE).kind == "real conflict"


@pytest.mark.parametrize("change", [("XNLI", "MLQA"), (" on XNLI", ""), ("training everything", "soft prompts")])
def test_meaning_makes_no_conflict_of_what_is_not_comparable(change: tuple[str, str]) -> None:
    assert relate(read_finding(SAID), read_finding(REWORDED.replace(*change)), ALIKE).kind == "not comparable"


def test_names_of_one_task_are_one_and_counts_of_languages_are_no_languages() -> None:
    one = read_finding(SAID.replace("XNLI", "machine translation of 12 languages"))
    other = read_finding(DENIED.replace("XNLI", "MT of many languages"))
    assert relate(one, other).kind == "real conflict"


def test_findings_on_other_things_are_unrelated() -> None:
    assert related(SAID, "Red roses outperform tulips on XNLI.") == "unrelated"
    assert relate(FindingRecord(), FindingRecord()).kind != "real conflict"
