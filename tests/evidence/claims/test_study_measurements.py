"""Measured: a statement is reproduced by what it says itself, and never by a binding that asks something easier."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import given_study
import pytest

from xstilts.errors import InputError
from xstilts.evidence.claims import study_binding, study_measurements
from xstilts.evidence.claims.effect_direction import direction
from xstilts.evidence.claims.study_binding import Binding, claimed_effects, mismatch
from xstilts.evidence.text.numbers import numbers
from xstilts.reporting import study_report
from xstilts.verification.verify import StoredStages

UP = given_study.SENTENCE  # which claims 10.0 points
DOWN = "MNLI as intermediate task lowers accuracy on the XNLI test set by 30.0 points."
PLAIN = "MNLI as intermediate task improves accuracy on the XNLI test set."
LEVEL = "MNLI as intermediate task does not improve accuracy on the XNLI test set."
MEASURE = {"type": "Gain", "intermediate": "mnli", "target": "xnli"}
WHERE = {"encoder": given_study.ENCODER, "split": "test", "metric": "accuracy"}
Row = dict[str, Any]


def told(*sentences: str) -> dict[str, Any]:
    """What a report says of sentences, as far as measurements look at it."""
    return {
        "claims": [
            {
                "name": f"c{number}",
                "text": text,
                "direction": direction(text),
                "numbers": [{**asdict(each), "value": str(each.value)} for each in numbers(text)],
            }
            for number, text in enumerate(sentences, 1)
        ]
    }


@cache
def study(gain: int) -> tuple[Path, Path]:
    """A study whose gain on XNLI is so many of 60 examples; its folder and its store."""
    return given_study.write(Path(mkdtemp()), seeds=5, gain=gain)


def row(sentence: str, gain: int, expectation: str, **more: Any) -> Row:
    """What becomes of a binding of a sentence, in the very setting, where so many of 60 examples are gained."""
    folder, store = study(gain)
    said = study_report.read(folder)
    bound = Binding(sentence, MEASURE, expectation, **{"setting": WHERE, **more})
    (found,) = study_measurements.measured_rows(told(sentence), said, StoredStages(store, said["stages"]), [bound])
    return found


@pytest.mark.parametrize(
    ("sentence", "gain", "expectation", "published", "status"),
    [
        (UP, 6, "above", 10.0, "REPRODUCED"),
        (UP, 29, "above", 10.0, "NOT_REPRODUCED"),  # more than the paper's number
        (UP, -20, "above", 10.0, "NOT_REPRODUCED"),
        (DOWN, -20, "below", -30.0, "REPRODUCED"),
        (DOWN, 6, "below", -30.0, "NOT_REPRODUCED"),
        (PLAIN, 6, "above", None, "REPRODUCED"),
        (PLAIN, -20, "above", None, "NOT_REPRODUCED"),
    ],
)
def test_a_binding_that_asks_what_is_said_decides(
    sentence: str, gain: int, expectation: str, published: float | None, status: str
) -> None:
    found = row(sentence, gain, expectation, published=published)
    assert (found["status"], found["verified"]) == (status, status == "REPRODUCED")
    assert found["decision"]["recomputation"]["files"]


@pytest.mark.parametrize(
    ("sentence", "gain", "expectation", "more", "why"),
    [
        (UP, -20, "below", {"published": -10.0}, "expects below 0"),
        (UP, -20, "above", {"published": 10.0, "margin": -1000.0}, "margin of -1000"),
        (UP, 29, "above", {}, "names no published number"),
        (UP, 29, "above", {"published": 49.0}, "49 is published, but the statement claims 10"),
        (UP, 6, "above", {"published": -10.0}, "mind the sign"),
        (UP, 6, "above", {"published": 10.0, "margin": 20.0}, "margin of 20"),
        (UP, 6, "equivalent", {"published": 10.0, "margin": 50.0}, "expects equivalent"),
        (PLAIN, 6, "above", {"margin": 20.0}, "margin of 20"),  # it says nothing of 20 points
        (PLAIN, 6, "above", {"published": 10.0}, "the statement claims no number"),
        (DOWN, 6, "below", {"published": -30.0, "margin": 1000.0}, "margin of 1000"),
        (LEVEL, 6, "above", {}, "'level'"),
    ],
)
def test_a_binding_that_asks_something_else_decides_nothing(
    sentence: str, gain: int, expectation: str, more: Row, why: str
) -> None:
    found = row(sentence, gain, expectation, **more)
    assert (found["status"], found["relation"], found["verified"]) == ("UNTESTED", "same setting", False)
    assert why in found["why"]
    assert found["decision"]["recomputation"] is None


@pytest.mark.parametrize(("gain", "status"), [(1, "REPRODUCED"), (29, "NOT_REPRODUCED")])
def test_no_difference_is_decided_by_equivalence(gain: int, status: str) -> None:
    assert row(LEVEL, gain, "equivalent", margin=8.0)["status"] == status


@pytest.mark.parametrize(
    ("text", "expectation", "fits"),
    [
        ("Training time falls by 38 %.", "above", True),
        ("Training time falls by 38 %.", "below", False),
        ("Training speed falls by 38 %.", "above", False),  # that would be no saving
        ("Training is faster by 38 %.", "below", False),
    ],
)
def test_costs_that_fall_are_savings(text: str, expectation: str, fits: bool) -> None:
    measure = {"type": "Saving", "figure": "intermediate_seconds", "intermediate": "a", "target": "b"}
    measure |= {"recipe": "c", "over_recipe": "d"}
    one = told(text)["claims"][0]
    published = 38.0 if expectation == "above" else -38.0
    bound = Binding(text, measure, expectation, published=published)
    assert (mismatch(bound, one["direction"], one["numbers"]) == "") == fits


@pytest.mark.parametrize(
    ("text", "claimed"),
    [
        ("MNLI adds 8.2 points over 5 seeds.", ["8.2"]),
        ("A batch size of 256 over five seeds helps 3 tasks.", []),
        ("It improves F1 by 2 and accuracy by 3.5.", ["2", "3.5"]),
        ("It rises from 62.1 to 63.0.", ["62.1", "63.0", "0.9"]),
        ("It falls by 38 %.", ["38"]),
    ],
)
def test_what_is_claimed_in_numbers_is_told_from_what_is_counted(text: str, claimed: list[str]) -> None:
    assert list(map(str, claimed_effects(text, told(text)["claims"][0]["numbers"]))) == claimed


def test_what_is_proposed_names_the_one_number_that_is_claimed() -> None:
    folder, _ = study(6)
    up, down = study_measurements.propose_bindings(told(UP, DOWN), study_report.read(folder))
    assert (up.expectation, up.published, up.proposed) == ("above", 10.0, True)
    assert (down.expectation, down.published) == ("below", -30.0)


def test_a_binding_of_no_statement_is_named_and_not_dropped() -> None:
    folder, store = study(6)
    bound = [Binding(UP.removesuffix("."), MEASURE, "above"), Binding(UP, MEASURE, "above")]
    made = study_measurements.compare_with_study(told(UP), folder, store, bound)
    assert [one["claim"] for one in made.rows] == ["c1"]
    (said,) = made.unbound
    assert f"“{UP.removesuffix('.')}”" in said


WRONG: list[tuple[Row, str]] = [
    ({"setting": []}, "setting"),
    ({"setting": None}, "setting"),
    ({"setting": {"encoder": 3}}, "setting"),
    ({"setting": {"seed": "3"}}, "unknown entry of a setting seed"),
    ({"margin": "0"}, "margin '0'"),
    ({"margin": True}, "margin True"),
    ({"margin": float("nan")}, "margin nan"),
    ({"margin": 10**400}, "margin 1000"),
    ({"published": "10"}, "published '10'"),
    ({"published": float("inf")}, "published inf"),
    ({"measure": None}, "None as measure"),
    ({"measure": "Gain"}, "'Gain' as measure"),
    ({"measure": {"type": ["Gain"]}}, "unknown measure"),
    ({"measure": {"type": "Resampling"}}, "measures a Resampling"),
    ({"statement": ["x"]}, "has no statement"),
    ({"statement": ""}, "has no statement"),
    ({"expectation": ["above"]}, "unknown expectation"),
    ({"more": 1}, "are no bindings"),
]


@pytest.mark.parametrize(("change", "why"), WRONG)
def test_a_binding_of_wrong_values_is_named(tmp_path: Path, change: Row, why: str) -> None:
    given = {"statement": UP, "measure": MEASURE, "expectation": "above", "setting": WHERE} | change
    path = tmp_path / "bindings.json"
    path.write_text(json.dumps([given]))
    with pytest.raises(InputError, match="bindings") as error:
        study_binding.read(path)
    assert why in str(error.value)


@pytest.mark.parametrize("text", ["null", "5", '"above"', "{}", "[null]", "[5]", "[", "[" * 100_000])
def test_a_file_without_bindings_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bindings.json"
    path.write_text(text)
    with pytest.raises(InputError, match="bindings"):
        study_binding.read(path)


@pytest.mark.parametrize(
    "measure",
    [
        {**MEASURE, "resampling": 5},
        {**MEASURE, "languages": 5},
        {"type": "Mean", "gains": [1]},
        {"type": "Growth", "gain": "MNLI"},
    ],
)
def test_a_measure_of_wrong_values_is_named(measure: Row) -> None:
    folder, store = study(6)
    with pytest.raises(InputError, match="copy one from a report"):
        study_measurements.compare_with_study(told(UP), folder, store, [Binding(UP, measure, "above")])
