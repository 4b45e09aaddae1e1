from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xstilts import study as studies
from xstilts.claim import Claim, check_all
from xstilts.encoder import Encoder
from xstilts.example import BadInput
from xstilts.grid import Grid, tasks_of
from xstilts.machine import Machine
from xstilts.measures import Gain
from xstilts.run import Recipes
from xstilts.score import read_score
from xstilts.study import TABLE, Arm, Choice, Study
from xstilts.tidy import COSTS

STUDIES = sorted((Path(__file__).parent.parent / "studies").glob("*.py"))
QA, CLOZE = "sandbox_qa", "sandbox_cloze"


def arm(label: str, *settings: str) -> Arm:
    recipes = Recipes("sandbox", ("steps=2", "examples=16", *settings), ("steps=2", "examples=16"))
    return Arm(Grid(Encoder.of("sandbox"), tasks_of(QA), (tasks_of(CLOZE),), recipes, 2, only=("qaa", "qab")), label)


HELPS = Claim("Cloze questions help", Gain(CLOZE, QA, recipe="all"), "above")
AGAINST = Claim("The head alone does", Gain(CLOZE, QA, over=CLOZE, recipe="head", over_recipe="all"), "equivalent", 50)
NOWHERE = Claim("Names help", Gain("sandbox_names", QA, recipe="all"), "above")
ASKED = Study("Does it help?", (arm("all"), arm("head", "trained=head")), (HELPS, NOWHERE, AGAINST))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A store in which the study is finished."""
    found = Machine(tmp_path_factory.mktemp("store"), device="cpu", threads=1)
    assert studies.build(ASKED, found) > 0
    return found


def test_a_second_time_nothing_is_built(machine: Machine) -> None:
    assert studies.build(ASKED, machine) == 0


def test_arms_share_what_is_the_same_in_both(machine: Machine) -> None:
    """The baseline has no intermediate phase, so a recipe of that phase makes no other baseline."""
    found = studies.table(ASKED, machine)
    keys = {
        label: {row.keys for row in found.rows if (row.recipe, row.intermediate) == label}
        for label in (("all", "baseline"), ("head", "baseline"), ("all", CLOZE), ("head", CLOZE))
    }
    assert keys["all", "baseline"] == keys["head", "baseline"]
    assert not keys["all", CLOZE] & keys["head", CLOZE]


def test_a_row_is_a_score_with_what_is_behind_it(machine: Machine) -> None:
    found = studies.table(ASKED, machine)
    assert len(found.rows) == 2 * 2 * 2 * 2  # arms, settings, seeds, languages
    for row in found.rows:
        assert row.examples is not None
        assert row.score == read_score(row.examples.parent)["headline"]
        assert row.examples.parent.name.endswith(row.keys[-1])
        assert len(row.keys) == (3 if row.intermediate == "baseline" else 4)
        assert row.size > 3e5
        assert row.costs["target_seconds"] > 0
        assert (row.encoder, row.target, row.metric, row.split) == ("sandbox", QA, "squad", "test")


def test_what_is_written_says_all_of_it_and_the_same_each_time(machine: Machine, tmp_path: Path) -> None:
    found = studies.table(ASKED, machine)
    studies.write(found, tmp_path / "one")
    studies.write(studies.table(ASKED, machine), tmp_path / "two")
    assert (tmp_path / "one" / TABLE).read_bytes() == (tmp_path / "two" / TABLE).read_bytes()
    with (tmp_path / "one" / TABLE).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["score"]) for row in rows] == [row.score for row in found.rows]
    for line, row in zip(rows, found.rows, strict=True):
        known = {name: value for name, value in line.items() if name in COSTS and value}
        assert {name: float(value) for name, value in known.items()} == dict(row.costs)


def test_claims_are_measured_in_the_table(machine: Machine) -> None:
    found = studies.table(ASKED, machine)
    verdicts = check_all(ASKED.claims, found)
    assert verdicts[1].status == "untested"
    assert [one.n_replicates for one in verdicts] == [2, 0, 2]
    means = {row.recipe: [] for row in found.rows}
    for row in found.rows:
        if row.intermediate == CLOZE and not row.taught:
            means[row.recipe].append(row.score)
    wanted = np.mean(means["head"]) - np.mean(means["all"])
    assert verdicts[2].estimate == pytest.approx(wanted)


def test_a_choice_is_the_arm_that_did_best_on_development_data(machine: Machine) -> None:
    chosen = replace(ASKED, choices=(Choice("best", ("all", "head")),))
    found = studies.table(chosen, machine)
    dev = {
        name: {row.seed: row.dev for row in found.rows if row.recipe == name and row.intermediate == CLOZE}
        for name in ("all", "head")
    }
    best = max(dev, key=lambda name: sum(dev[name].values()))
    named = [row for row in found.rows if row.recipe == "best"]
    assert [replace(row, recipe=best) for row in named] == [row for row in found.rows if row.recipe == best]
    with pytest.raises(BadInput, match="cannot be chosen"):
        studies.table(replace(ASKED, choices=(Choice("best", ("none",)),)), machine)


def test_layers_given_back_are_the_encoder_s_own(machine: Machine) -> None:
    """With all layers given back the intermediate phase leaves but the embeddings, with all weights nothing at all."""
    grid = ASKED.arms[0].grid
    whole = Study("?", (Arm(replace(grid, restored="all"), "all"),), ())
    studies.build(whole, machine)
    scores = {(row.intermediate, row.seed, row.language): row.score for row in studies.table(whole, machine).rows}
    assert all(score == scores["baseline", seed, code] for (_, seed, code), score in scores.items())


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_studies_that_are_shipped_can_be_planned(path: Path, tmp_path: Path) -> None:
    found = studies.load(path, "sandbox")
    assert found.question.strip()
    assert found.claims
    assert found.promised(Machine(tmp_path, device="cpu"))


def test_what_is_no_study_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "none.py"
    file.write_text("question = 1\n")
    for path, scale, said in (
        (file, "sandbox", "no function study"),
        (file, "huge", "unknown scale 'huge'"),
        (tmp_path / "other.py", "sandbox", "no study"),
    ):
        with pytest.raises(BadInput, match=said):
            studies.load(path, scale)
    with pytest.raises(BadInput, match="labels that differ"):
        replace(ASKED, arms=(arm("one"), arm("one")))
