"""Two findings are in conflict only where everything but the direction is the same."""

from __future__ import annotations

import pytest

from xstilts.evidence.claims.comparison import relate
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


def test_findings_on_other_things_are_unrelated() -> None:
    assert related(SAID, "Red roses outperform tulips on XNLI.") == "unrelated"
    assert relate(FindingRecord(), FindingRecord()).kind != "real conflict"
