from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xstilts import metrics, stats
from xstilts.claims.claim import Claim, check
from xstilts.claims.claim_validation import refuse
from xstilts.claims.measures import (
    MEASURES,
    Gain,
    Growth,
    Level,
    Mean,
    Measure,
    Saving,
    Scaling,
    described,
    from_json,
    to_json,
)
from xstilts.claims.results_table import FixedLayer, Missing, Result, ResultsTable, contributions
from xstilts.errors import InputError
from xstilts.stats import Estimate, Resampling
from xstilts.store.names import BASELINE

GAINS = {"sw": 1.0, "th": 3.0}
SIZES = {"small": 1e7, "base": 2e7, "large": 4e7}


def row(intermediate: str, seed: int, score: float, language: str = "sw", encoder: str = "base") -> Result:
    key = f"{encoder}-{intermediate}-{language}-{seed}"
    return Result(encoder, intermediate, "xnli", language, seed, score, (key,), metric="accuracy", size=SIZES[encoder])


def table(seeds: int = 3, encoders: tuple[str, ...] = ("base",)) -> ResultsTable:
    """Return a table in which the gain of squad is that of GAINS, and a tenth more with each seed."""
    return ResultsTable(
        tuple(
            row(
                name,
                seed,
                50.0 + seed + (name == "squad") * (gain + seed / 10) * (1 + encoders.index(encoder)),
                code,
                encoder,
            )
            for encoder in encoders
            for name in (BASELINE, "squad")
            for code, gain in GAINS.items()
            for seed in range(seeds)
        )
    )


def test_a_gain_is_paired_by_seed_and_meaned_over_languages() -> None:
    found = Gain("squad", "xnli").of(table()).estimate
    assert found.value == pytest.approx(2.1)
    assert found.between == pytest.approx(0.01)
    assert found.count == 3
    assert Gain("squad", "xnli", languages=("th",)).of(table()).estimate.value == pytest.approx(3.1)


def test_a_mean_is_over_the_languages_that_the_target_was_not_learned_in() -> None:
    rows = tuple(replace(one, in_training_language=one.language == "sw") for one in table().rows)
    assert Gain("squad", "xnli").of(ResultsTable(rows)).estimate.value == pytest.approx(3.1)
    assert Gain("squad", "xnli").of(ResultsTable(rows)).setting.languages == ("th",)
    assert Level("squad", "xnli").of(ResultsTable(rows)) == Level("squad", "xnli", languages=("th",)).of(
        ResultsTable(rows)
    )
    assert Gain("squad", "xnli", languages=("sw", "th")).of(ResultsTable(rows)).estimate.value == pytest.approx(2.1)
    every = ResultsTable(tuple(replace(one, in_training_language=True) for one in table().rows))
    assert Gain("squad", "xnli").of(every).estimate.value == pytest.approx(2.1)


def test_gains_and_levels_of_retrieval_can_be_measured_at_the_fixed_layer(tmp_path: Path) -> None:
    rows = table().rows
    shifted = tuple(replace(one, at_fixed_layer=FixedLayer(one.score - (one.intermediate == "squad"))) for one in rows)
    fixed = ResultsTable(shifted)
    assert Gain("squad", "xnli", layer="fixed").of(fixed).estimate.value == pytest.approx(1.1)
    assert Level("squad", "xnli", layer="fixed").of(fixed).estimate.value == pytest.approx(52.1)
    assert Gain("squad", "xnli").of(fixed) == Gain("squad", "xnli").of(table())
    assert from_json(to_json(Mean((Gain("squad", "xnli", layer="fixed"),)))) == Mean(
        (Gain("squad", "xnli", layer="fixed"),)
    )
    with pytest.raises(Missing, match="no layer is chosen for 'xnli': leave out layer='fixed'"):
        Gain("squad", "xnli", layer="fixed").of(table())
    kept = ResultsTable(tuple(replace(one, examples=tmp_path) for one in shifted))
    with pytest.raises(Missing, match="kept no examples at the fixed layer: remove its folder"):
        Level("squad", "xnli", layer="fixed").of(kept)
    with pytest.raises(InputError, match="unknown layer 'last': give 'fixed', or leave it out"):
        Gain("squad", "xnli", layer="last")


@pytest.mark.parametrize("several", [lambda one: one, lambda one: Mean((one,)), Growth], ids=["gain", "mean", "growth"])
def test_a_claim_about_a_layer_that_a_target_has_not_is_refused(several: Callable[[Gain], Any]) -> None:
    claim = Claim("SQuAD helps XNLI", several(Gain("squad", "xnli", layer="fixed")), "above")
    with pytest.raises(InputError, match=r"'xnli' has one score and none by layers: leave out layer='fixed'"):
        refuse([claim], {})


def test_a_mean_of_one_gain_is_that_gain() -> None:
    one = Gain("squad", "xnli")
    assert Mean((one,)).of(table()).estimate == one.of(table()).estimate
    twice = Mean((one, one)).of(ResultsTable(tuple(replace(row, stderr=0.6) for row in table().rows))).estimate
    assert twice.units == pytest.approx(
        one.of(ResultsTable(tuple(replace(row, stderr=0.6) for row in table().rows))).estimate.units
    )


def test_slopes_over_sizes_cover_with_two_seeds() -> None:
    rng, hits, times = np.random.default_rng(8), 0, 200
    for _ in range(times):
        rows = [replace(one, score=50 + rng.normal(0, 1)) for one in table(2, ("small", "base", "large")).rows]
        low, high = Growth(Gain("squad", "xnli")).of(ResultsTable(tuple(rows))).estimate.interval()
        hits += low <= 0 <= high
    assert 0.9 <= hits / times <= 0.99


def test_the_order_of_rows_means_nothing() -> None:
    rows = table().rows
    assert Gain("squad", "xnli").of(ResultsTable(rows[::-1])) == Gain("squad", "xnli").of(ResultsTable(rows))


def test_a_gain_over_itself_is_nothing_and_over_the_other_is_the_opposite() -> None:
    there, back = (
        Gain(*pair).of(table()).estimate.value for pair in (("squad", "xnli", BASELINE), (BASELINE, "xnli", "squad"))
    )
    assert there == pytest.approx(-back)
    assert Gain("squad", "xnli", over="squad").of(table()).estimate.value == 0.0


def test_replicates_are_distinct_results_and_not_rows() -> None:
    """An untrained baseline is one result for all seeds; copies of a run are none."""
    once = tuple(
        replace(one, keys=("untrained",), score=50.0) if one.intermediate == BASELINE else one for one in table().rows
    )
    assert Level(BASELINE, "xnli").of(ResultsTable(once)).estimate.count == 1
    assert Gain("squad", "xnli").of(ResultsTable(once)).estimate.count == 3
    copies = tuple(replace(one, seed=one.seed + 10) for one in table().rows)
    assert Gain("squad", "xnli").of(ResultsTable(table().rows + copies)) == Gain("squad", "xnli").of(table())


def test_seeds_that_lack_a_language_are_left_out() -> None:
    rows = tuple(one for one in table(4).rows if (one.seed, one.language, one.intermediate) != (3, "th", "squad"))
    assert Gain("squad", "xnli").of(ResultsTable(rows)).estimate.count == 3
    assert Gain("squad", "xnli", languages=("sw",)).of(ResultsTable(rows)).estimate.count == 4


@pytest.mark.parametrize(
    "measure",
    [
        Gain("mnli", "xnli"),
        Gain("squad", "xquad"),
        Gain("squad", "xnli", languages=("de",)),
        Level("squad", "xnli", encoder="large"),
        Growth(Gain("squad", "xnli")),
    ],
)
def test_what_a_table_lacks_is_missing(measure: Measure) -> None:
    with pytest.raises(Missing):
        measure.of(table())


def test_rows_of_two_encoders_are_no_replicates() -> None:
    both = table(encoders=("base", "large"))
    with pytest.raises(InputError, match="several values of encoder"):
        Gain("squad", "xnli").of(both)
    assert Gain("squad", "xnli", encoder="base").of(both).setting.encoder == "base"


def test_two_scores_of_one_cell_are_refused() -> None:
    rows = table().rows
    with pytest.raises(InputError, match="keep one"):
        Gain("squad", "xnli").of(ResultsTable((*rows, replace(rows[0], keys=("other",)))))


def test_growth_is_the_slope_of_the_gains() -> None:
    found = Growth(Gain("squad", "xnli")).of(table(encoders=("small", "base", "large")))
    assert found.estimate.value == pytest.approx(2.1, rel=0.02)
    assert found.estimate.count == 3
    assert found.setting.encoder == "base, large, small"


def test_standard_errors_of_rows_widen_what_has_no_examples() -> None:
    rows = tuple(replace(one, stderr=0.6) for one in table().rows)
    assert Gain("squad", "xnli").of(ResultsTable(rows)).estimate.units == pytest.approx(2 * 2 * 0.36 / 4)


def test_languages_that_stand_for_others_count_as_such() -> None:
    found = Gain("squad", "xnli", resampling=Resampling(sampled=True)).of(table()).estimate
    assert found.units == pytest.approx(2.0 / 2)
    assert found.degrees == 1


def test_with_examples_a_measure_is_the_bootstraps(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arms = {name: (rng.random((3, 60)) < share).astype(float) for name, share in ((BASELINE, 0.5), ("squad", 0.7))}
    rows = []
    for name, array in arms.items():
        for seed, one in enumerate(array):
            path = tmp_path / f"{name}{seed}.jsonl"
            path.write_text("".join(f"{part}\n" for part in one), encoding="utf-8")
            rows.append(replace(row(name, seed, 100 * float(one.mean())), examples=path))
    found = Gain("squad", "xnli").of(ResultsTable(tuple(rows))).estimate
    assert found == replace(stats.estimate({"sw": arms["squad"]}, {"sw": arms[BASELINE]}), bounds=(-100.0, 100.0))
    assert isinstance(found, Estimate)
    assert found.units >= 0
    (tmp_path / "short.jsonl").write_text("1.0\n", encoding="utf-8")
    with pytest.raises(InputError, match="score one version"):
        Gain("squad", "xnli").of(ResultsTable((*rows[:-1], replace(rows[-1], examples=tmp_path / "short.jsonl"))))


def test_contributions_are_read_whatever_their_shape(tmp_path: Path) -> None:
    (tmp_path / "flat.jsonl").write_text("1.0\n0.0\n", encoding="utf-8")
    (tmp_path / "counts.jsonl").write_text("[1, 2, 3]\n[0, 1, 1]\n", encoding="utf-8")
    assert contributions(tmp_path / "flat.jsonl").tolist() == [[1.0], [0.0]]
    assert contributions(tmp_path / "counts.jsonl").shape == (2, 3)


def test_one_seed_has_a_value_and_no_interval() -> None:
    found = Gain("squad", "xnli").of(table(1)).estimate
    assert found.value == pytest.approx(2.0)
    assert math.isnan(found.interval()[0])


@pytest.mark.parametrize("metric", metrics.names())
@pytest.mark.parametrize("scores", [(0.2, 3.0), (99.0, 99.9), (1.0, 98.0)])
def test_no_interval_goes_beyond_what_the_metric_can_be(metric: str, scores: tuple[float, float]) -> None:
    """With two seeds Student's t makes intervals of hundreds of points."""
    rows = [
        replace(row(name, seed, value if name == "squad" else 100 - value, code), metric=metric)
        for name in (BASELINE, "squad")
        for seed, value in enumerate(scores, 1)
        for code in ("sw", "th")
    ]
    low, high = metrics.bounds(metric)
    results = ResultsTable(tuple(rows))
    gain = Gain("squad", "xnli")
    measured: dict[Measure, tuple[float, float]] = {
        Level("squad", "xnli"): (low, high),
        gain: (low - high, high - low),
        Mean((gain, replace(gain, languages=("sw",)))): (low - high, high - low),
    }
    for measure, (least, most) in measured.items():
        ends = measure.of(results).estimate.interval()
        verdict = check(Claim("It helps", measure, "above"), results)
        assert verdict.interval == ends
        assert least <= ends[0] < ends[1] <= most
    if math.isfinite(high):
        assert (
            high in Level("squad", "xnli").of(results).estimate.interval()
            or low in Level("squad", "xnli").of(results).estimate.interval()
        )


def test_what_a_measure_compares_can_be_said_of_every_measure() -> None:
    gain = Gain("squad", "xnli", recipe="head", over_recipe="all")
    measures: list[Any] = [
        *(Level("squad", "xnli"), gain, Mean((gain, replace(gain, target="xquad"))), Growth(gain)),
        Mean((gain, replace(gain, intermediate="mnli", target="xquad"))),
        Mean(
            (
                Gain("squad", "xnli", "squad", recipe="a", over_recipe="b"),
                Gain("mnli", "xnli", "mnli", recipe="a", over_recipe="b"),
            )
        ),
        Saving("intermediate_seconds", "squad", "xnli", "head", "all"),
        Scaling("intermediate_flops", "squad", "xnli"),
    ]
    assert {type(measure).__name__ for measure in measures} == {*MEASURES} - {"Resampling"}
    texts = [described(measure) for measure in measures]
    assert len(set(texts)) == len(texts)
    assert all("squad" in text or "with (a)" in text or "an intermediate phase" in text for text in texts)
