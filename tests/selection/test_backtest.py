from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tables import study
from xstilts.errors import InputError
from xstilts.selection import backtest
from xstilts.selection.backtest import gains_of
from xstilts.store.names import BASELINE

GAINS = {"a": (4.0, 6.0), "b": (1.0, 1.0), "c": (0.0, -2.0), "d": (2.0, 2.0), "e": (3.0, 1.0)}


def test_regret_is_what_the_favourite_gains_less_and_its_interval_is_over_seeds() -> None:
    found = {
        one.method: one
        for one in backtest.hits(
            {"right": dict(zip("abcde", (9, 2, 1, 4, 3), strict=True)), "wrong": {"a": 0.0, "c": 1.0, "x": 9.0}}, GAINS
        )
    }
    assert found["right"].regret.mean == 0
    assert found["right"].correlation
    assert found["right"].correlation.value == pytest.approx(0.975, abs=0.01)
    assert (found["wrong"].favourites, found["wrong"].regret.mean, found["wrong"].count) == (("c",), 6.0, 2)
    assert found["wrong"].regret.low < 6 < found["wrong"].regret.high
    assert found["at random"].regret.mean == pytest.approx(5 - np.mean([5, 1, -1, 2, 2]))
    assert found["none at all"].regret.mean == 5


def test_tied_favourites_count_their_mean_and_unknown_ones_nothing() -> None:
    (tied, *_) = backtest.hits({"tied": {"a": 1.0, "b": 1.0, "c": math.nan}}, GAINS)
    assert (tied.favourites, tied.regret.mean) == (("a", "b"), 2.0)
    assert backtest.hits({"nothing": {"x": 1.0}}, GAINS) == ()


def test_one_task_for_all_is_chosen_without_the_target_itself() -> None:
    """The target's own gains change the regret and never the choice; a method that knows them cannot be worse."""
    others = {"x": {"a": (3.0, 3.0), "b": (1.0, 1.0)}, "y": {"a": (2.0, 4.0), "b": (0.0, 0.0)}}
    for own in ({"a": (0.0, 0.0), "b": (5.0, 7.0)}, {"a": (9.0, 9.0), "b": (-5.0, -5.0)}):
        hit = backtest.same_for_all({**others, "z": own})["z"]
        assert hit.favourites == ("a",)
        assert hit.regret.mean == max(np.mean(gain) for gain in own.values()) - np.mean(own["a"])
    # The target's only known candidate elsewhere, and no target beside it: nothing to choose.
    assert backtest.same_for_all({"x": {"a": (1.0,), "b": (2.0,)}}) == {}
    assert set(backtest.same_for_all({"x": {"a": (1.0,), "b": (2.0,)}, "y": {"a": (1.0,)}})) == set()


# Out of a table.


def test_gains_of_a_study_are_paired_by_seed(tmp_path: Path) -> None:
    path = study(tmp_path / "table.csv", GAINS)
    assert gains_of(tmp_path, "xnli") == gains_of(path, "xnli") == GAINS


def test_languages_that_the_target_was_learned_in_count_only_where_there_are_no_others(tmp_path: Path) -> None:
    path = study(tmp_path / "table.csv", GAINS)
    lines = list(csv.DictReader(path.read_text().splitlines()))

    def written(taught: dict[str, str]) -> None:
        with path.open("w", newline="") as file:
            rows = csv.DictWriter(file, lines[0])
            rows.writeheader()
            rows.writerows(line | {"in_training_language": taught[line["language"]]} for line in lines)

    written({"sw": "True", "th": "False"})
    assert gains_of(path, "xnli") == {name: tuple(one - 1 for one in by_seed) for name, by_seed in GAINS.items()}
    written({"sw": "True", "th": "True"})
    assert gains_of(path, "xnli") == GAINS


def test_only_languages_and_seeds_that_all_settings_have_count(tmp_path: Path) -> None:
    path = study(tmp_path / "table.csv", GAINS)
    whole = path.read_text().splitlines(keepends=True)
    less = [line for line in whole if not line.startswith(("e,b,xnli,sw", "e,d,xnli,th,1"))]
    assert len(less) == len(whole) - 3
    path.write_text("".join(less))
    assert gains_of(path, "xnli") == {name: (second - 1,) for name, (_, second) in GAINS.items()}
    path.write_text("".join(line for line in whole if not line.startswith(f"e,{BASELINE}")))
    with pytest.raises(InputError, match=rf"no seed has a '{BASELINE}'"):
        gains_of(path, "xnli")


@pytest.mark.parametrize("column", ["seed", "score"])
def test_a_line_that_is_no_number_is_named(tmp_path: Path, column: str) -> None:
    path = tmp_path / "table.csv"
    line = {"target": "xnli", "intermediate": "a", "language": "sw", "seed": "1", "score": "2.5"} | {column: "one"}
    path.write_text(f"{','.join(line)}\n{','.join(line.values())}\n")
    with pytest.raises(InputError, match=rf"table.csv, line 2: expected numbers.*{column} 'one'.*write it again"):
        gains_of(tmp_path, "xnli")


@pytest.mark.parametrize("text", [b"target,seed,score\nxnli,1,2\n", b"\xff\xfe\x00", b""])
def test_what_is_no_table_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "table.csv").write_bytes(text)
    with pytest.raises(InputError, match=r"table\.csv"):
        gains_of(tmp_path, "xnli")


# Out of a report.


def reported(folder: Path, **gains: Any) -> Path:
    """Write a report in which one setting has these gains, by language."""
    row = {"encoder": "e", "recipe": "", "target": "xnli", "intermediate": "a"}
    lines = [{**row, "language": code.replace("_", "-"), "by_seed": by_seed} for code, by_seed in gains.items()]
    return written(folder, lines)


def written(folder: Path, lines: list[dict[str, Any]]) -> Path:
    """Write a report that has these gains and nothing else."""
    figures = {"estimate": 0.0, "low": None, "high": None, "keys": [], "n": 1}
    said = {"format": 2, "question": "?", "answer": "", "gains": [{**figures, **line} for line in lines]}
    folder.mkdir(exist_ok=True)
    (folder / "report.json").write_text(json.dumps(said))
    return folder


def test_gains_of_a_report_are_those_of_the_mean_over_languages_not_learned_in(tmp_path: Path) -> None:
    every = {"en": [9.0, 9.0], "mean": [1.0, 2.0], "zero_shot": [3.0, 4.0], "sw": [3.0, 4.0]}
    assert gains_of(reported(tmp_path, **every), "xnli") == {"a": (3.0, 4.0)}
    del every["zero_shot"]
    assert gains_of(reported(tmp_path, **every), "xnli") == {"a": (1.0, 2.0)}
    assert gains_of(tmp_path / "report.json", "xnli") == {"a": (1.0, 2.0)}


def test_a_target_of_one_language_has_no_mean_and_needs_none(tmp_path: Path) -> None:
    assert gains_of(reported(tmp_path, en=[1.0, 2.0]), "xnli") == {"a": (1.0, 2.0)}


def test_settings_that_cannot_be_paired_are_refused(tmp_path: Path) -> None:
    row = {"encoder": "e", "recipe": "", "target": "xnli"}
    pairs = [("mean", [1.0]), ("mean", [1.0, 2.0])], [("en", [1.0]), ("sw", [1.0])]
    for pair in pairs:
        lines = [
            {**row, "intermediate": name, "language": c, "by_seed": v} for name, (c, v) in zip("ab", pair, strict=True)
        ]
        written(tmp_path, lines)
        with pytest.raises(InputError, match=r"report\.json share no seeds or no language"):
            gains_of(tmp_path, "xnli")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"format": 2}',
        '{"format": 2, "gains": [7]}',
        '{"format": 2, "gains": [{"target": "xnli"}]}',
        '{"format": 2, "gains": [{"target": "xnli", "intermediate": "a", "language": "mean", "by_seed": [null]}]}',
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(InputError, match=r"report\.json .*write it (again|anew)"):
        gains_of(tmp_path, "xnli")


# Which arm of a study.


def test_gains_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no measured gains"):
        gains_of(tmp_path, "xnli")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match="no measured gains"):
        gains_of(tmp_path / "other.json", "xnli")
    study(tmp_path / "table.csv", GAINS)
    with pytest.raises(InputError, match="has no gains on 'udpos', but on 'xnli'"):
        gains_of(tmp_path, "udpos")


def test_gains_are_of_the_encoder_that_was_asked_about(tmp_path: Path) -> None:
    other = {name: tuple(-one for one in by_seed) for name, by_seed in GAINS.items()}
    study(tmp_path / "table.csv", GAINS)
    study(tmp_path / "table.csv", other, encoder="small-encoder")
    assert gains_of(tmp_path, "xnli", encoder="e") == GAINS
    assert gains_of(tmp_path, "xnli", encoder="small-encoder") == other
    with pytest.raises(InputError, match="of the encoder 'mine', but of the encoder 'e', 'small-encoder'"):
        gains_of(tmp_path, "xnli", encoder="mine")
    with pytest.raises(InputError, match=r"several encoders \(e, small-encoder\): give the encoder"):
        gains_of(tmp_path, "xnli")


def test_gains_are_of_one_recipe(tmp_path: Path) -> None:
    other = {name: tuple(-one for one in by_seed) for name, by_seed in GAINS.items()}
    study(tmp_path / "table.csv", GAINS, recipe="all")
    study(tmp_path / "table.csv", other, recipe="top")
    assert gains_of(tmp_path, "xnli", "top") == other
    with pytest.raises(InputError, match=r"several recipes \(all, top\): name one with --against-recipe"):
        gains_of(tmp_path, "xnli")
    with pytest.raises(InputError, match=r"no gains with the recipe 'bottom'.*--against-recipe"):
        gains_of(tmp_path, "xnli", "bottom")
