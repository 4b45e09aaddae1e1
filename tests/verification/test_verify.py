from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict, fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from built_study import ARMS, CLOZE, QA, finished_store
from quick import first
from xstilts.claims import claim
from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain, Growth, Saving
from xstilts.claims.results_table import ResultsTable
from xstilts.cli import app
from xstilts.errors import InputError
from xstilts.experiments import study as studies
from xstilts.experiments.study import Study
from xstilts.reporting import study_page, study_report
from xstilts.reporting.run_study import commands
from xstilts.runtime.machine import Runtime
from xstilts.store import manifest
from xstilts.training.recipe import Recipe, recipe_of
from xstilts.verification.json_diff import differences
from xstilts.verification.stage_integrity import StoredStages
from xstilts.verification.verify import SECTIONS, Check, verify

HELPS = Claim("Cloze questions help", Gain(CLOZE, QA, recipe="all"), "above")
ENGLISH = Claim("They help English alone", Gain(CLOZE, QA, recipe="all", languages=("qaa",)), "above")
CHEAPER = Claim("The head alone is cheaper", Saving("intermediate_flops", CLOZE, QA, "head", "all"), "above")
NOWHERE = Claim("It grows", Growth(Gain(CLOZE, QA, recipe="all")), "grows")  # of one encoder, which allows no slope
STUDY = Study(
    "Does it help?\n\nA small one.",
    ARMS,
    (HELPS, ENGLISH, CHEAPER, NOWHERE),
    limits=("It is small.",),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, few_examples: None) -> tuple[Runtime, Path]:
    """A store in which the study is finished, and its report."""
    machine = finished_store(tmp_path_factory)
    out = tmp_path_factory.mktemp("report")
    told(machine, out)
    return machine, out


@pytest.fixture
def spoiled(finished: tuple[Runtime, Path], tmp_path: Path) -> tuple[Runtime, Path]:
    """The same, to be spoiled."""
    machine, out = finished
    store = tmp_path / "store"
    shutil.copytree(machine.store, store)
    shutil.copytree(out, tmp_path / "report")
    return Runtime(store, device="cpu", threads=1), tmp_path / "report"


def told(machine: Runtime, out: Path) -> dict[str, object]:
    """Build the study and write its report."""
    studies.build(STUDY, machine)
    table = studies.table(STUDY, machine)
    origin = study_report.Origin("small", "sandbox", Path(__file__), f"xstilts study {Path(__file__).name}")
    found = study_report.build_report(STUDY, table, claim.check_all(STUDY.claims, table), origin, machine)
    study_report.write(found, out)
    studies.write(table, out)
    study_page.write_pages(out)
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


def unsealed(out: Path) -> None:
    """Take the digests of records out of a report, as older reports have none."""
    said = json.loads((out / "report.json").read_text())
    for one in said["stages"].values():
        del one["record"]
    (out / "report.json").write_text(json.dumps(said))


def test_a_report_stands_on_the_store_it_was_made_from(finished: tuple[Runtime, Path]) -> None:
    machine, out = finished
    found = verify(out, machine.store)
    assert [one.sentence for one in found if one.status != "stands"] == [NOWHERE.sentence]
    assert by_sentence(found)[NOWHERE.sentence].status == "untested"
    assert {HELPS.sentence, ENGLISH.sentence, CHEAPER.sentence} <= by_sentence(found).keys()
    assert {*SECTIONS, "report.html", "report.md", "table.csv"} <= {one.name for one in found}


def test_one_changed_prediction_is_named_by_the_claims_it_is_behind(spoiled: tuple[Runtime, Path]) -> None:
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
    spoiled: tuple[Runtime, Path], name: str
) -> None:
    from xstilts.store.manifest import sha256

    machine, out = spoiled
    folder = of(machine.store, "score", "qaa")
    path = folder / name
    old = sha256(path)
    text = path.read_text()
    path.write_text(text.replace("0.0", "1.0", 1) if "0.0" in text else text.replace("1.0", "0.0", 1))
    assert sha256(path) != old
    sealed = sha256(folder / "stage.json")
    for written in (folder / "stage.json", out / "report.json"):
        written.write_text(written.read_text().replace(old, sha256(path)))
    text = (out / "report.json").read_text()
    (out / "report.json").write_text(text.replace(sealed, sha256(folder / "stage.json")))
    checks = by_sentence(verify(out, machine.store))
    assert checks[ENGLISH.sentence].status == "changed"
    assert "does not follow from its predictions" in checks[ENGLISH.sentence].why


def test_a_report_that_says_another_figure_is_seen(spoiled: tuple[Runtime, Path]) -> None:
    machine, out = spoiled
    path = out / "report.json"
    said = json.loads(path.read_text())
    said["verdicts"][0]["estimate"] += 0.01
    said["verdicts"][2]["status"] = "fails"
    path.write_text(json.dumps(said))
    checks = by_sentence(verify(out, machine.store))
    assert checks[HELPS.sentence].status == checks[CHEAPER.sentence].status == "changed"
    assert checks[ENGLISH.sentence].status == "stands"


def test_changed_gold_answers_are_seen(spoiled: tuple[Runtime, Path]) -> None:
    machine, out = spoiled
    gold = next(machine.store.glob("data-sandbox_qa-test-qaa-*")) / "examples.jsonl"
    gold.write_text(gold.read_text().replace("Anna", "Emma"))
    assert by_sentence(verify(out, machine.store))[ENGLISH.sentence].status == "changed"


@pytest.mark.parametrize("work", first(1, ["predict", "score", "intermediate"]))
def test_a_deleted_stage_leaves_its_claims_untested_and_built_again_it_is_the_same(
    spoiled: tuple[Runtime, Path], work: str
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


@pytest.mark.parametrize(
    "cut", first(2, [None, b'{"id": "1", "predic', b"", b"\n"]), ids=["deleted", "torn", "emptied", "blank"]
)
def test_a_damaged_prediction_is_told_with_the_claim_it_is_behind(
    spoiled: tuple[Runtime, Path], cut: bytes | None
) -> None:
    machine, out = spoiled
    path = of(machine.store, "predict", "qab") / "predictions.jsonl"
    path.unlink() if cut is None else path.write_bytes(cut)
    checks = by_sentence(verify(out, machine.store))
    assert checks[HELPS.sentence].status == ("untested" if cut is None else "changed")
    assert path.name in checks[HELPS.sentence].why
    assert checks[ENGLISH.sentence].status == "stands"


@pytest.mark.parametrize("part", ["record", "key", "files", "arguments"])
def test_a_record_that_lacks_a_part_is_a_fault_of_its_stage(spoiled: tuple[Runtime, Path], part: str) -> None:
    machine, out = spoiled
    path = of(machine.store, "intermediate", "qab") / "stage.json"
    facts = json.loads(path.read_text())
    del facts[part]
    path.write_text(json.dumps(facts))
    unsealed(out)
    checks = by_sentence(verify(out, machine.store))
    assert checks[HELPS.sentence].status == checks[ENGLISH.sentence].status == "changed"
    assert path.parent.name in checks[HELPS.sentence].why


def test_a_fault_behind_no_claim_fails_and_hides_no_forged_status(spoiled: tuple[Runtime, Path]) -> None:
    machine, out = spoiled
    said = json.loads((out / "report.json").read_text())
    del said["verdicts"][2]  # the one claim about the head alone
    row = next(row for row in said["rows"] if (row["intermediate"], row["recipe"]) == (CLOZE, "head"))
    key = row["keys"][row["roles"].index("predict")]
    flipped = next(machine.store.glob(f"*-{key}")) / "predictions.jsonl"
    flipped.write_text(flipped.read_text().replace('"prediction": "', '"prediction": "x', 1))
    (out / "report.json").write_text(json.dumps(said))
    found = {one.name: one for one in verify(out, machine.store)}
    assert found["figures"].status == "changed"
    assert "predictions.jsonl" in found["figures"].why
    assert found[said["verdicts"][0]["name"]].status == found[said["verdicts"][1]["name"]].status == "stands"
    said["verdicts"][1]["status"] = "holds" if said["verdicts"][1]["status"] != "holds" else "fails"
    (out / "report.json").write_text(json.dumps(said))
    assert by_sentence(verify(out, machine.store))[ENGLISH.sentence].status == "changed"


FORGED = {
    "answer": lambda said: "Yes.",
    "measured_on": lambda said: [["encoder", "a large one"], *said[1:]],
    "trainings": lambda said: [one | {"tokens": [7]} for one in said],
    "levels": lambda said: [one | {"estimate": 99.0} for one in said],
    "gains": lambda said: [one | {"low": 99.0} for one in said],
    "costs": lambda said: [one | {"score": 99.0} for one in said],
    "curves": lambda said: [],
    "missing": lambda said: [],
    "collapsed": lambda said: [{"stage": "train", "key": "0", "why": "so"}],
    "settings": lambda said: said | {"seeds": [1, 2, 3, 4, 5]},
    "extras": lambda said: [one | {"rows": []} for one in said],
    "reproduce": lambda said: said | {"devices": ["NVIDIA H100"]},
}


@pytest.mark.parametrize("part", FORGED)
def test_a_forged_part_of_a_report_is_named(finished: tuple[Runtime, Path], tmp_path: Path, part: str) -> None:
    said = json.loads((finished[1] / "report.json").read_text())
    said[part] = FORGED[part](said[part])
    (tmp_path / "report.json").write_text(json.dumps(said))
    changed = [one.name for one in verify(tmp_path, finished[0].store) if one.status == "changed"]
    assert changed == [part]


def leaves(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the paths of all leaves of a JSON value."""
    if isinstance(value, dict | list) and value:
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for name, part in parts:
            yield from leaves(part, (*path, name))
    else:
        yield path


@pytest.mark.parametrize("part", ["measured_on", "trainings", "settings"])
def test_each_leaf_that_says_what_was_run_is_recomputed(finished: tuple[Runtime, Path], part: str) -> None:
    """Of the whole section all leaves are changed, one after the other, and each is found."""
    report = json.loads((finished[1] / "report.json").read_text())
    stages = StoredStages(finished[0].store, report["stages"])
    table = ResultsTable(tuple(stages.row(row) for row in report["rows"]))
    records = {key: stages.record(key) | {"folder": stages.folder(key)} for key in report["stages"]}
    recomputed = study_report.to_json(study_report.derived_sections(table, (), records))[part]
    paths = list(leaves(report[part]))
    assert len(paths) > 10
    for path in paths:
        forged = deepcopy(report[part])
        place = forged
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = "forged"
        assert len(differences(forged, recomputed)) == 1, path


def test_every_hyperparameter_of_every_phase_of_every_arm_is_in_the_report(finished: tuple[Runtime, Path]) -> None:
    machine, out = finished
    report = json.loads((out / "report.json").read_text())
    by_key = {key: entry for entry in report["trainings"] for key in entry["keys"]}
    assert by_key.keys() == {key for key, stage in report["stages"].items() if stage["work"] == "train"}
    for key, entry in by_key.items():
        facts = manifest.read(next(machine.store.glob(f"*-{key}")))
        recipe = asdict(recipe_of(facts["arguments"]["recipe"]))
        assert entry["hyperparameters"].keys() == {field.name for field in fields(Recipe)}
        assert entry["hyperparameters"] == recipe | {"max_length": facts["record"]["max_length"]}
        assert [data["task"] for data in entry["data"]] == [one["task"] for one in facts["arguments"]["lessons"]]
        assert all(data["inputs"] and data["languages"] for data in entry["data"])
        assert facts["record"]["cost"]["tokens"] in range(int(entry["tokens"][0]), int(entry["tokens"][-1]) + 1)
    for row in report["rows"]:
        for role, key in zip(row["roles"], row["keys"], strict=True):
            if role in ("intermediate", "target"):
                assert [row["recipe"], row["intermediate"], row["target"]] in by_key[key]["arms"]
    page_text = (out / "report.html").read_text()
    assert all(f">{field.name}<" in page_text for field in fields(Recipe))
    assert {"xstilts", "torch", "transformers", "tokenizers", "python"} <= report["reproduce"]["versions"].keys()


def test_every_curve_is_of_one_task(finished: tuple[Runtime, Path]) -> None:
    report = json.loads((finished[1] / "report.json").read_text())
    for curve in report["curves"]:
        entry = next(entry for entry in report["trainings"] if curve["key"] in entry["keys"])
        assert curve["task"] in [data["task"] for data in entry["data"]]
        assert curve["tasks"] == [data["task"] for data in entry["data"]]
    assert len({(curve["key"], curve["task"]) for curve in report["curves"]}) == len(report["curves"])


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("p_holm", 0.001),
        ("detectable", 0.1),
        ("seeds_needed", 1),
        ("why", "so it is"),
        ("measured", "what I like"),
        ("sentence", "It all helps"),
        ("published", "agrees"),
        ("keys", []),
        ("status", "untested"),
    ],
)
def test_a_forged_part_of_a_verdict_is_seen(
    finished: tuple[Runtime, Path], tmp_path: Path, part: str, value: object
) -> None:
    said = json.loads((finished[1] / "report.json").read_text())
    said["verdicts"][0][part] = value
    (tmp_path / "report.json").write_text(json.dumps(said))
    assert verify(tmp_path, finished[0].store)[0].status == "changed"


def test_a_report_without_verdicts_or_with_another_view_fails(spoiled: tuple[Runtime, Path]) -> None:
    machine, out = spoiled
    page = out / "report.html"
    page.write_text(page.read_text().replace("undecided", "holds"))
    (out / "table.csv").write_text("rubbish")
    assert {one.name for one in verify(out, machine.store) if one.status == "changed"} == {page.name, "table.csv"}
    said = json.loads((out / "report.json").read_text())
    (out / "report.json").write_text(json.dumps(said | {"verdicts": []}))
    assert "verdicts" in {one.name for one in verify(out, machine.store) if one.status == "changed"}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("intermediate", "baseline"),
        ("language", "qac"),
        ("target", "sandbox_nli"),
        ("seed", 7),
        ("split", "validation"),
        ("metric", "accuracy"),
        ("encoder", "large"),
        ("dev", 99.0),
        ("size", 1.0),
        ("in_training_language", False),
    ],
)
def test_a_row_is_what_its_stages_say(
    finished: tuple[Runtime, Path], tmp_path: Path, column: str, value: object
) -> None:
    said = json.loads((finished[1] / "report.json").read_text())
    row = next(row for row in said["rows"] if row["intermediate"] == CLOZE)
    row[column] = value
    (tmp_path / "report.json").write_text(json.dumps(said))
    whys = [one.why for one in verify(tmp_path, finished[0].store) if one.status == "changed"]
    assert any(row["keys"][-1] in why for why in whys)


def test_a_development_score_is_sealed(spoiled: tuple[Runtime, Path]) -> None:
    machine, out = spoiled
    path = of(machine.store, "intermediate", "qaa") / "stage.json"
    facts = json.loads(path.read_text())
    facts["record"]["dev"][CLOZE]["score"] = 99.0
    path.write_text(json.dumps(facts))
    assert "stage.json" in by_sentence(verify(out, machine.store))[ENGLISH.sentence].why
    unsealed(out)
    assert "dev" in by_sentence(verify(out, machine.store))[ENGLISH.sentence].why


def test_claims_are_those_of_the_study_where_its_file_is_at_hand(
    finished: tuple[Runtime, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "studies" / "small.py"
    file.parent.mkdir()
    file.write_text("import test_verify\n\n\ndef study(scale):\n    return test_verify.STUDY\n")
    said = json.loads((finished[1] / "report.json").read_text())
    said["study"] = {"name": "small", "scale": "sandbox", "file": file.name, "digest": manifest.sha256(file)[:12]}
    monkeypatch.chdir(tmp_path)
    for sentence, status in ((HELPS.sentence, "stands"), ("Cloze questions help!", "changed")):
        said["verdicts"][0]["sentence"] = sentence  # which has the same name
        (tmp_path / "report.json").write_text(json.dumps(said))
        assert {one.name: one.status for one in verify(tmp_path, finished[0].store)}["study"] == status


def test_where_a_report_comes_from_is_compared(
    finished: tuple[Runtime, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "studies" / "small.py"
    file.parent.mkdir()
    file.write_text("import test_verify\n\n\ndef study(scale):\n    return test_verify.STUDY\n")
    monkeypatch.chdir(tmp_path)
    said = json.loads((finished[1] / "report.json").read_text())
    said["study"] = {"name": "small", "scale": "sandbox", "file": file.name, "digest": manifest.sha256(file)[:12]}
    said["reproduce"]["commands"] = list(commands(file, "sandbox", finished[0]))

    def statuses(**changes: str) -> tuple[str, str]:
        (tmp_path / "report.json").write_text(json.dumps(said | {"study": said["study"] | changes}))
        found = {one.name: one.status for one in verify(tmp_path, finished[0].store)}
        return found["study"], found["commands"]

    assert statuses() == ("stands", "stands")
    assert statuses(digest="0" * 12) == ("untested", "stands")
    assert statuses(scale="small") == ("stands", "changed")  # this study is the same at every scale
    assert statuses(scale="none") == ("untested", "changed")
    assert statuses(name="other")[1] == statuses(encoder="other")[1] == "changed"
    said["reproduce"]["commands"][1] += "x"  # another store
    assert statuses() == ("stands", "changed")


def test_what_is_no_report_is_refused(tmp_path: Path, finished: tuple[Runtime, Path]) -> None:
    with pytest.raises(InputError, match="no report"):
        verify(tmp_path, finished[0].store)
    (tmp_path / "report.json").write_text(json.dumps({"format": 2, "stages": {}, "rows": [{}], "verdicts": []}))
    with pytest.raises(InputError, match="not as a study writes it"):
        verify(tmp_path, finished[0].store)


def test_findings_say_what_was_measured_and_from_what(finished: tuple[Runtime, Path]) -> None:
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
            and (
                one["language"] in (row.language, "mean")
                or (one["language"] == "zero-shot" and not row.in_training_language)
            )
        ]
        assert one["estimate"] == pytest.approx(sum(scores) / len(scores))
    for one in said["gains"]:
        assert one["estimate"] == pytest.approx(sum(one["by_seed"]) / len(one["by_seed"]))
    assert said["missing"] == [f"{NOWHERE.sentence}: a slope needs encoders of two or more known sizes, found sandbox"]
    assert len(said["curves"]) == sum(stage["work"] == "train" for stage in said["stages"].values())
