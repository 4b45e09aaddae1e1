from __future__ import annotations

import doctest
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from xstilts.claims import claim as module
from xstilts.claims.claim import Claim, Expectation, check, check_all
from xstilts.claims.measures import Gain, Growth, Measured, Setting
from xstilts.claims.results_table import BASELINE, Missing, Result, ResultsTable
from xstilts.errors import InputError
from xstilts.stats import Estimate, Resampling
from xstilts.store.identity import canonical

EMPTY = ResultsTable(())


@dataclass(frozen=True)
class Known:
    """A measure whose estimate is given."""

    value: float
    between: float = 0.1
    count: int = 5
    units: float = 0.0

    def of(self, table: ResultsTable) -> Measured:
        return Measured(Estimate(self.value, self.between, self.count, self.units), Setting("e", "test", "accuracy"))


@dataclass(frozen=True)
class Absent:
    """A measure of what is not there."""

    def of(self, table: ResultsTable) -> Measured:
        raise Missing("no rows of 'squad'")


def claim(value: float, expectation: Expectation, margin: float = 0.0, **known: float) -> Claim:
    return Claim("It helps", Known(value, **known), expectation, margin)  # type: ignore[arg-type]


def test_docstring_tells_the_truth() -> None:
    tried = doctest.testmod(module)
    assert tried.failed == 0
    assert tried.attempted > 0


@pytest.mark.parametrize(
    ("value", "expectation", "margin", "status"),
    [
        (2.0, "above", 0.0, "holds"),
        (2.0, "above", 1.0, "holds"),
        (2.0, "above", 1.9, "undecided"),
        (2.0, "above", 3.0, "fails"),
        (-2.0, "above", 0.0, "fails"),
        (-2.0, "below", 0.0, "holds"),
        (2.0, "below", 0.0, "fails"),
        (0.1, "below", 0.0, "undecided"),
        (0.1, "equivalent", 1.0, "holds"),
        (-0.1, "equivalent", 1.0, "holds"),
        (0.9, "equivalent", 1.0, "undecided"),
        (1.1, "equivalent", 1.0, "undecided"),
        (-2.0, "equivalent", 1.0, "fails"),
    ],
)
def test_a_verdict_is_where_the_interval_lies(
    value: float, expectation: Expectation, margin: float, status: str
) -> None:
    found = check(claim(value, expectation, margin), EMPTY)
    assert found.status == status
    assert found.estimate == value
    assert found.interval[0] < value < found.interval[1]
    assert (found.p <= 0.05) == (status != "undecided")
    assert found.p_holm == found.p


@given(some.floats(-3, 3), some.floats(-2, 2), some.floats(0.01, 2))
@settings(max_examples=10, deadline=None)
def test_above_and_below_are_opposites(value: float, margin: float, between: float) -> None:
    above, below = (check(claim(value, which, margin, between=between), EMPTY) for which in ("above", "below"))
    assert {"holds": "fails", "fails": "holds", "undecided": "undecided"}[above.status] == below.status
    mirrored = check(claim(-value, "below", -margin, between=between), EMPTY)
    assert mirrored.status == above.status
    assert mirrored.p == pytest.approx(above.p)


def test_what_is_undecided_says_what_it_would_take() -> None:
    found = check(claim(0.5, "above", between=1.0, count=3), EMPTY)
    assert found.status == "undecided"
    assert found.seeds_needed is not None
    assert found.seeds_needed > 3
    assert f"take {found.seeds_needed}" in found.why
    assert f"{found.detectable:.2f}" in found.why
    hopeless = check(claim(0.5, "above", between=1.0, count=3, units=1.0), EMPTY)
    assert hopeless.seeds_needed is None
    assert "more examples" in hopeless.why


def test_replicates_of_what_grows_are_sizes() -> None:
    found = check(Claim("It stays", Growth(Gain("squad", "xnli")), "equivalent", 0.001), grown(0.0, 0.5, 4))
    assert "4 sizes find" in found.why


def test_what_decides_alone_need_not_decide_among_many() -> None:
    near = claim(0.42, "above")
    assert check(near, EMPTY).status == "holds"
    among = check_all([near, *(claim(0.0, "above") for _ in range(9))], EMPTY)[0]
    assert among.status == "undecided"
    assert among.p < 0.05 < among.p_holm
    assert "among" in among.why


def test_claims_that_answer_share_half_of_the_level() -> None:
    near = claim(0.42, "above")
    others = [claim(0.0, "above") for _ in range(9)]
    alike, first = check_all([near, *others], EMPTY)[0], check_all([replace(near, answers=True), *others], EMPTY)[0]
    assert first.p_holm == pytest.approx(2 * alike.p_holm / 10)
    every = check_all([replace(one, answers=True) for one in (near, *others)], EMPTY)[0]
    assert every.p_holm == alike.p_holm


def test_what_it_takes_among_many_is_more_than_alone() -> None:
    near = claim(0.42, "above")
    alone, among = check(near, EMPTY), check_all([near, *(claim(0.0, "above") for _ in range(9))], EMPTY)[0]
    assert (alone.status, among.status) == ("holds", "undecided")
    assert (among.seeds_needed or 0) > (alone.seeds_needed or 0) >= 2
    assert among.detectable > alone.detectable
    assert f"take {among.seeds_needed}" in among.why


def test_a_verdict_among_many_is_never_bolder_than_alone() -> None:
    claims = [claim(value, "above", between=0.2, units=0.05, count=2) for value in np.linspace(-30, 30, 7)]
    for one, found in zip(claims, check_all(claims, EMPTY), strict=True):
        assert found.status in ("undecided", check(one, EMPTY).status)
        assert found.p_holm >= found.p


def test_what_has_no_rows_is_untested_and_does_not_count() -> None:
    near = claim(0.42, "above")
    found = check_all([near, *(Claim("It is there", Absent(), "above") for _ in range(9))], EMPTY)
    assert [one.status for one in found] == ["holds"] + 9 * ["untested"]
    assert found[1].why == "no rows of 'squad'"
    assert math.isnan(found[1].p)


@pytest.mark.parametrize(("count", "between", "said"), [(1, math.nan, "at least 2"), (3, 0.0, "do not vary")])
def test_too_little_is_undecided(count: int, between: float, said: str) -> None:
    found = check(claim(5.0, "above", count=count, between=between), EMPTY)
    assert found.status == "undecided"
    assert said in found.why


def grown(step: float, noise: float, sizes: int) -> ResultsTable:
    rng = np.random.default_rng(0)
    return ResultsTable(
        tuple(
            Result(
                str(at),
                name,
                "xnli",
                "sw",
                seed,
                score=50 + (name != BASELINE) * (step * at + float(rng.normal(0, noise))),
                keys=(f"{at}{name}{seed}",),
                size=2.0**at,
            )
            for at in range(sizes)
            for name in (BASELINE, "squad")
            for seed in range(3)
        )
    )


@pytest.mark.parametrize(
    ("step", "sizes", "status"),
    [(1.0, 5, "holds"), (-1.0, 5, "fails"), (0.0, 5, "undecided"), (1.0, 2, "undecided"), (1.0, 1, "untested")],
)
def test_growth_is_judged_by_the_slope(step: float, sizes: int, status: str) -> None:
    found = check(Claim("It grows", Growth(Gain("squad", "xnli")), "grows"), grown(step, 0.05, sizes))
    assert found.status == status


@pytest.mark.parametrize(
    ("expectation", "margin", "said"),
    [
        ("better", 0.0, "unknown expectation"),
        ("equivalent", 0.0, "margin"),
        ("above", math.nan, "margin"),
        ("grows", 0.0, "growth"),
    ],
)
def test_claims_that_cannot_be_checked_are_refused(expectation: str, margin: float, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Claim("It helps", Known(1.0), expectation, margin)  # type: ignore[arg-type]


def test_a_claim_has_an_identity() -> None:
    made = [Claim("a", Gain("squad", "xquad"), "above", margin) for margin in (0.0, 1.0)]
    assert canonical(made[0]) != canonical(made[1])


# Wrong verdicts among many: as often as promised.


def nothing_gained(rng: np.random.Generator, intermediates: int, seeds: int, spread: float) -> ResultsTable:
    """Return a table in which no intermediate task helps: seeds and examples vary, in memory and not in files."""
    stored: dict[Path, np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = {}
    rows = []
    ease = rng.normal(0, 1, 100)
    for name in (BASELINE, *(f"task{at}" for at in range(intermediates))):
        liking = rng.normal(0, 0.3, 100)
        for seed in range(seeds):
            right = ease + rng.normal(0, spread) + rng.normal(0, 0.5, 100) + liking > 0
            path = Path(f"{name}{seed}")
            stored[path] = right.astype(np.float64)[:, None]
            rows.append(
                Result(
                    "e",
                    name,
                    "xnli",
                    "sw",
                    seed,
                    100 * float(right.mean()),
                    (path.name,),
                    metric="accuracy",
                    examples=path,
                )
            )
    return ResultsTable(tuple(rows), lambda path: stored[path])


def wrong(seeds: int, spread: float, times: int, claims: int = 5, answering: int = 0) -> float:
    """Return in which share of families any claim is decided, though the truth is at the margin of each."""
    rng = np.random.default_rng(seeds)
    family = [
        Claim(
            str(at),
            Gain(f"task{at}", "xnli", resampling=Resampling(200)),
            ("above", "below")[at % 2],
            answers=at < answering,
        )
        for at in range(claims)
    ]
    hits = 0
    for _ in range(times):
        found = check_all(family, nothing_gained(rng, claims, seeds, spread))
        hits += any(one.status in ("holds", "fails") for one in found)
    return hits / times


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what a verdict would take, which is not asked here and takes most of the time."""
    monkeypatch.setattr(module.stats, "seeds_needed", lambda *_: None)
    monkeypatch.setattr(module.stats, "detectable", lambda *_: math.nan)


@pytest.mark.usefixtures("brief")
def test_families_without_effect_are_seldom_decided() -> None:
    assert wrong(3, 0.15, 40) <= 0.2  # of 40 with 5 % each, more than 8 come once in ten thousand


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("spread", [0.05, 0.5])
@pytest.mark.parametrize("answering", [0, 1])
def test_of_a_thousand_families_without_effect_5_percent_are_decided(seeds: int, spread: float, answering: int) -> None:
    found = wrong(seeds, spread, 1000, answering=answering)
    print(f"5 claims, {answering} of them the answer, {seeds} seeds, spread {spread}, wrongly decided: {found}")
    assert found <= 0.055
