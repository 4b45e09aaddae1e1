from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from xstilts import claim, findings, report
from xstilts import study as studies
from xstilts.claim import Claim
from xstilts.cli import app
from xstilts.encoder import Encoder
from xstilts.example import BadInput
from xstilts.grid import Grid, tasks_of
from xstilts.machine import Machine
from xstilts.measures import Gain, Growth
from xstilts.run import Recipes
from xstilts.savings import Saving
from xstilts.study import Arm, Study
from xstilts.verify import Check, verify

QA, CLOZE = "sandbox_qa", "sandbox_cloze"
PLAIN = Grid(
    Encoder.of("sandbox"),
    tasks_of(QA),
    (tasks_of(CLOZE),),
    Recipes("sandbox", ("steps=2", "examples=16"), ("steps=2", "examples=16")),
    2,
    only=("qaa", "qab"),
)
HEAD = Recipes("sandbox", ("steps=2", "examples=16", "trained=head"), ("steps=2", "examples=16"))
HELPS = Claim("Cloze questions help", Gain(CLOZE, QA, recipe="all"), "above")
ENGLISH = Claim("They help English alone", Gain(CLOZE, QA, recipe="all", languages=("qaa",)), "above")
CHEAPER = Claim("The head alone is cheaper", Saving("intermediate_flops", CLOZE, QA, "head", "all"), "above")
NOWHERE = Claim("It grows", Growth(Gain(CLOZE, QA, recipe="all")), "grows")  # of one encoder, which allows no slope
STUDY = Study(
    "Does it help?\n\nA small one.",
    (Arm(PLAIN, "all"), Arm(Grid(PLAIN.encoder, PLAIN.targets, PLAIN.settings, HEAD, 2, only=PLAIN.only), "head")),
    (HELPS, ENGLISH, CHEAPER, NOWHERE),
    limits=("It is small.",),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Machine, Path]:
    """A store in which the study is finished, and its report."""
    machine = Machine(tmp_path_factory.mktemp("store"), device="cpu", threads=1)
    out = tmp_path_factory.mktemp("report")
    told(machine, out)
    return machine, out


@pytest.fixture
def spoiled(finished: tuple[Machine, Path], tmp_path: Path) -> tuple[Machine, Path]:
    """The same, to be spoiled."""
    machine, out = finished
    store = tmp_path / "store"
    shutil.copytree(machine.store, store)
    shutil.copytree(out, tmp_path / "report")
    return Machine(store, device="cpu", threads=1), tmp_path / "report"


def told(machine: Machine, out: Path) -> dict[str, object]:
    """Build the study and write its report."""
    studies.build(STUDY, machine)
    table = studies.table(STUDY, machine)
    origin = findings.Origin("small", "sandbox", Path(__file__), "xstilts study small.py")
    found = findings.gather(STUDY, table, claim.check_all(STUDY.claims, table), origin, machine)
    findings.write(found, out)
    report.write(out)
    return found


def by_sentence(checks: tuple[Check, ...]) -> dict[str, Check]:
    return {one.sentence: one for one in checks}


def of(store: Path, work: str, code: str) -> Path:
    """Return a stage of the first arm's intermediate setting in a language."""
    said = json.loads((store.parent / "report" / "report.json").read_text())
    row = next(
        row for row in said["rows"] if (row["intermediate"], row["language"], row["recipe"]) == (CLOZE, code, "all")
    )
    key = row["keys"][row["roles"].index(work)]
    return next(store.glob(f"*-{key}"))


def test_a_report_stands_on_the_store_it_was_made_from(finished: tuple[Machine, Path]) -> None:
    machine, out = finished
    checks = by_sentence(verify(out, machine.store))
    assert {name: one.status for name, one in checks.items()} == {
        HELPS.sentence: "stands",
        ENGLISH.sentence: "stands",
        CHEAPER.sentence: "stands",
        NOWHERE.sentence: "untested",
    }


def test_one_changed_prediction_is_named_by_the_claims_it_is_behind(spoiled: tuple[Machine, Path]) -> None:
    machine, out = spoiled
    path = of(machine.store, "predict", "qab") / "predictions.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    line = json.loads(lines[3])
    line["prediction"] = line["prediction"] + "x"
    path.write_text("".join([*lines[:3], json.dumps(line) + "\n", *lines[4:]]))
    checks = by_sentence(verify(out, machine.store))
    assert checks[HELPS.sentence].status == "changed"
    assert "predictions.jsonl" in checks[HELPS.sentence].why
    assert checks[ENGLISH.sentence].status == "stands"  # it is not behind this one
    result = CliRunner().invoke(app, ["verify", str(out), "--store", str(machine.store)])
    assert result.exit_code == 1
    assert HELPS.sentence in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize("name", ["score.json", "contributions.jsonl"])
def test_a_changed_score_is_seen_even_where_its_record_was_changed_too(
    spoiled: tuple[Machine, Path], name: str
) -> None:
    from xstilts.record import sha256

    machine, out = spoiled
    folder = of(machine.store, "score", "qaa")
    path = folder / name
    old = sha256(path)
    text = path.read_text()
    path.write_text(text.replace("0.0", "1.0", 1) if "0.0" in text else text.replace("1.0", "0.0", 1))
    assert sha256(path) != old
    for record in (folder / "stage.json", out / "report.json"):
        record.write_text(record.read_text().replace(old, sha256(path)))
    checks = by_sentence(verify(out, machine.store))
    assert checks[ENGLISH.sentence].status == "changed"
    assert "does not follow from its predictions" in checks[ENGLISH.sentence].why


def test_a_report_that_says_another_figure_is_seen(spoiled: tuple[Machine, Path]) -> None:
    machine, out = spoiled
    path = out / "report.json"
    said = json.loads(path.read_text())
    said["verdicts"][0]["estimate"] += 0.01
    said["verdicts"][2]["status"] = "fails"
    path.write_text(json.dumps(said))
    checks = by_sentence(verify(out, machine.store))
    assert checks[HELPS.sentence].status == checks[CHEAPER.sentence].status == "changed"
    assert checks[ENGLISH.sentence].status == "stands"


def test_changed_gold_answers_are_seen(spoiled: tuple[Machine, Path]) -> None:
    machine, out = spoiled
    gold = next(machine.store.glob("data-sandbox_qa-test-qaa-*")) / "examples.jsonl"
    gold.write_text(gold.read_text().replace("Anna", "Emma"))
    assert by_sentence(verify(out, machine.store))[ENGLISH.sentence].status == "changed"


@pytest.mark.parametrize("work", ["predict", "score", "intermediate"])
def test_a_deleted_stage_leaves_its_claims_untested_and_built_again_it_is_the_same(
    spoiled: tuple[Machine, Path], work: str
) -> None:
    machine, out = spoiled
    folder = of(machine.store, work, "qab")
    kept = {path.name: path.read_bytes() for path in folder.glob("*.json*") if path.name != "stage.json"}
    said = (out / "report.html").read_bytes()
    shutil.rmtree(folder)
    checks = by_sentence(verify(out, machine.store))
    assert checks[HELPS.sentence].status == "untested"
    assert folder.name in checks[HELPS.sentence].why
    assert checks[ENGLISH.sentence].status == ("untested" if work == "intermediate" else "stands")
    told(machine, out)
    assert {path.name: path.read_bytes() for path in folder.glob("*.json*") if path.name != "stage.json"} == kept
    assert by_sentence(verify(out, machine.store))[HELPS.sentence].status == "stands"
    if work == "score":  # which nobody clocks
        assert (out / "report.html").read_bytes() == said


def test_what_is_no_report_is_refused(tmp_path: Path, finished: tuple[Machine, Path]) -> None:
    with pytest.raises(BadInput, match="no report"):
        verify(tmp_path, finished[0].store)
    (tmp_path / "report.json").write_text(json.dumps({"format": 1, "stages": {}, "rows": [{}], "verdicts": []}))
    with pytest.raises(BadInput, match="not as a study writes it"):
        verify(tmp_path, finished[0].store)


def test_findings_say_what_was_measured_and_from_what(finished: tuple[Machine, Path]) -> None:
    machine, out = finished
    said = json.loads((out / "report.json").read_text())
    table = studies.table(STUDY, machine)
    assert said["question"] == "Does it help?"
    assert said["about"] == "A small one."
    assert len(said["rows"]) == len(table.rows)
    assert {key for row in table.rows for key in row.keys} == set(said["stages"])
    for part in ("verdicts", "levels", "gains", "costs"):
        assert all(set(one["keys"]) <= set(said["stages"]) for one in said[part]), part
    for one in said["levels"]:
        scores = [
            row.score
            for row in table.rows
            if (row.recipe, row.intermediate) == (one["recipe"], one["intermediate"])
            and (one["language"] in (row.language, "mean") or (one["language"] == "zero-shot" and not row.taught))
        ]
        assert one["estimate"] == pytest.approx(sum(scores) / len(scores))
    for one in said["gains"]:
        assert one["estimate"] == pytest.approx(sum(one["by_seed"]) / len(one["by_seed"]))
    assert said["missing"] == [f"{NOWHERE.sentence}: a slope needs encoders of two or more known sizes, found sandbox"]
    assert len(said["curves"]) == sum(stage["work"] == "train" for stage in said["stages"].values())
