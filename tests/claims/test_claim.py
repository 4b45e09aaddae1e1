from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from xstilts.claims import claim as module
from xstilts.claims.claim import Claim, check_all
from xstilts.claims.measures import Gain
from xstilts.claims.results_table import Result, ResultsTable
from xstilts.stats import Resampling
from xstilts.store.names import BASELINE

EMPTY = ResultsTable(())


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
