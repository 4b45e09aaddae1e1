from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from built_study import ARMS, CLOZE, QA, arm, finished_store
from xstilts.claims.claim import Claim, check_all
from xstilts.claims.measures import Gain, Growth, Level, Mean, Saving, Scaling
from xstilts.claims.results_table import COSTS
from xstilts.cli import app
from xstilts.cost import summary
from xstilts.errors import InputError
from xstilts.evaluation.score import read_score
from xstilts.experiments import collect_results, failed_arms
from xstilts.experiments import study as studies
from xstilts.experiments.extra_tables import NoiseScales
from xstilts.experiments.run import training_roles
from xstilts.experiments.study import TABLE, Arm, DevSelectedArm, Study
from xstilts.models.encoder import Encoder
from xstilts.models.naming import name_of
from xstilts.reporting import run_study, study_page, study_report
from xstilts.reporting.study_report import Origin
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.store.stage import StageError
from xstilts.verification import compare_reports
from xstilts.verification.verify import verify

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.py"))
HELPS = Claim("Cloze questions help", Gain(CLOZE, QA, recipe="all"), "above")
AGAINST = Claim("The head alone does", Gain(CLOZE, QA, over=CLOZE, recipe="head", over_recipe="all"), "equivalent", 50)
NOWHERE = Claim("The gain grows with size", Growth(Gain(CLOZE, QA, recipe="all")), "grows")  # of one encoder
ASKED = Study("Does it help?", ARMS, (HELPS, NOWHERE, AGAINST))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, few_examples: None) -> Runtime:
    """A store in which the study is finished."""
    return finished_store(tmp_path_factory)


def test_a_second_time_nothing_is_built(machine: Runtime) -> None:
    assert studies.build(ASKED, machine) == 0


def test_arms_share_what_is_the_same_in_both(machine: Runtime) -> None:
    """The baseline has no intermediate phase, so a recipe of that phase makes no other baseline."""
    found = studies.table(ASKED, machine)
    keys = {
        label: {row.keys for row in found.rows if (row.recipe, row.intermediate) == label}
        for label in (("all", "baseline"), ("head", "baseline"), ("all", CLOZE), ("head", CLOZE))
    }
    assert keys["all", "baseline"] == keys["head", "baseline"]
    assert not keys["all", CLOZE] & keys["head", CLOZE]


def test_a_row_is_a_score_with_what_is_behind_it(machine: Runtime) -> None:
    found = studies.table(ASKED, machine)
    assert len(found.rows) == 2 * 2 * 2 * 2  # arms, settings, seeds, languages
    for row in found.rows:
        assert row.examples is not None
        assert row.score == read_score(row.examples.parent)["headline"]
        assert row.examples.parent.name.endswith(row.keys[-1])
        assert len(row.keys) == (3 if row.intermediate == "baseline" else 4)
        assert row.parameters > 3e5 > row.size > 1e5
        assert row.costs["target_seconds"] > 0
        assert (row.encoder, row.target, row.metric, row.split) == ("sandbox", QA, "squad", "test")


def test_costs_have_the_role_of_a_training_from_the_run_that_asked_for_it(machine: Runtime, tmp_path: Path) -> None:
    """In the store a baseline's target training looks like an intermediate one where another run continues from it."""
    baseline = next(run for _, run in ASKED.arms[0].settings() if not run.intermediate)
    continued = replace(baseline, encoder=baseline.model())
    build(continued.phases()[-1].stage, machine)
    key = baseline.phases()[0].stage.key

    def phase(roles: dict[str, str] | None) -> str:
        return next(line.phase for line in summary.entries(machine.store, roles=roles) if line.key == key)

    assert phase(None) == "training"
    assert phase(training_roles([baseline, continued])) == "target"
    assert phase(training_roles([continued])) == "pretraining"
    roles = collect_results.roles_of((row.keys, row.roles) for row in studies.table(ASKED, machine).rows)
    assert phase(roles) == "target"
    assert sorted(roles.values()) == ["intermediate"] * 4 + ["target"] * 6
    study_report.write(gathered(ASKED, machine), tmp_path)
    printed = CliRunner().invoke(
        app, ["cost", "--store", str(machine.store), "--report", str(tmp_path)], env={"COLUMNS": "200"}
    )
    assert printed.exit_code == 0, printed.output
    phases = [line.split()[1:3] for line in printed.output.split("cost by stage")[0].splitlines() if "│" in line]
    assert {"intermediate", "target", "training"} <= {name for name, *_ in phases}


def test_what_is_written_says_all_of_it_and_the_same_each_time(machine: Runtime, tmp_path: Path) -> None:
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


def test_claims_are_measured_in_the_table(machine: Runtime) -> None:
    found = studies.table(ASKED, machine)
    verdicts = check_all(ASKED.claims, found)
    assert verdicts[1].status == "untested"
    assert [one.n_replicates for one in verdicts] == [2, 0, 2]
    means = {row.recipe: [] for row in found.rows}
    for row in found.rows:
        if row.intermediate == CLOZE and not row.in_training_language:
            means[row.recipe].append(row.score)
    wanted = np.mean(means["head"]) - np.mean(means["all"])
    assert verdicts[2].estimate == pytest.approx(wanted)


def test_a_choice_is_the_arm_that_did_best_on_development_data(machine: Runtime) -> None:
    chosen = replace(ASKED, choices=(DevSelectedArm("best", ("all", "head")),))
    found = studies.table(chosen, machine)
    dev = {
        name: {row.seed: row.dev for row in found.rows if row.recipe == name and row.intermediate == CLOZE}
        for name in ("all", "head")
    }
    best = max(dev, key=lambda name: sum(dev[name].values()))
    named = [row for row in found.rows if row.recipe == "best"]
    assert [replace(row, recipe=best) for row in named] == [row for row in found.rows if row.recipe == best]
    with pytest.raises(InputError, match="cannot be chosen"):
        studies.table(replace(ASKED, choices=(DevSelectedArm("best", ("none",)),)), machine)


def test_layers_given_back_are_the_encoder_s_own(machine: Runtime) -> None:
    """With all layers given back the intermediate phase leaves but the embeddings, with all weights nothing at all."""
    grid = ASKED.arms[0].grid
    whole = Study("?", (Arm(replace(grid, reset_layers="all"), "all"),), ())
    studies.build(whole, machine)
    scores = {(row.intermediate, row.seed, row.language): row.score for row in studies.table(whole, machine).rows}
    assert all(score == scores["baseline", seed, code] for (_, seed, code), score in scores.items())


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_studies_that_are_shipped_can_be_planned(path: Path, tmp_path: Path) -> None:
    found = studies.load(path, "sandbox")
    assert found.question.strip()
    assert found.claims
    assert found.stages(Runtime(tmp_path, device="cpu"))


def test_an_encoder_is_given_to_studies_that_take_one(tmp_path: Path) -> None:
    for name in ("model_size", "cost_by_size"):
        with pytest.raises(InputError, match="the encoders of this study are its own"):
            studies.load(Path(f"studies/{name}.py"), "sandbox", "sandbox")
        small = studies.load(Path(f"studies/{name}.py"), "small", "FacebookAI/xlm-roberta-large")
        sizes = dict.fromkeys(name_of(arm.grid.encoder) for arm in small.arms)
        assert list(sizes) == [
            *(f"FacebookAI_xlm-roberta-large-first-{n}" for n in (4, 8, 12, 18)),
            "FacebookAI/xlm-roberta-large",
        ]
    own = tmp_path / "own.py"
    own.write_text("def study(scale):\n    return None\n")
    with pytest.raises(InputError, match="compares encoders of its own, and none can be given: leave --encoder out"):
        studies.load(own, "sandbox", "sandbox")
    given = studies.load(Path("studies/layerwise.py"), "full", "google-bert/bert-base-multilingual-cased")
    assert {name_of(arm.grid.encoder) for arm in given.arms} == {"google-bert/bert-base-multilingual-cased"}


def test_what_is_no_study_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "none.py"
    file.write_text("question = 1\n")
    for path, scale, said in (
        (file, "sandbox", "no function study"),
        (file, "huge", "unknown scale 'huge'"),
        (tmp_path / "other.py", "sandbox", "no study"),
    ):
        with pytest.raises(InputError, match=said):
            studies.load(path, scale)
    with pytest.raises(InputError, match="labels that differ"):
        replace(ASKED, arms=(arm("one"), arm("one")))


def gathered(asked: Study, machine: Runtime) -> dict[str, Any]:
    """Return what a finished study has found."""
    found = studies.table(asked, machine)
    return study_report.build_report(
        asked, found, check_all(asked.claims, found), Origin("it", "sandbox", STUDIES[0], ""), machine
    )


def test_reports_of_studies_say_what_was_run_and_can_be_compared(machine: Runtime) -> None:
    first = gathered(ASKED, machine)
    target = {"name": QA, "format": "extractive_qa", "metric": "squad", "split": "test"}
    data = {"trained_in": ["qaa"], "test_examples": {"qaa": 12, "qab": 12}}
    assert first["settings"]["targets"] == [target | data]
    config = json.loads(next(machine.store.glob("train-*/model/config.json")).read_text())
    assert [one["layers"] for one in first["settings"]["encoders"]] == [config["num_hidden_layers"]]
    second = gathered(replace(ASKED, arms=ASKED.arms[:1], claims=(HELPS,)), machine)
    page = compare_reports.page(first, second, ("both", "one"))
    assert "gains only in both" in str(page)
    older = {**second, "settings": {**second["settings"], "targets": [{"name": QA, "metric": "squad"}]}}
    assert compare_reports.page(first, older, ("both", "one")) == page
    shown = {sheet.name: sheet for part in study_page.page(older).sections for sheet in part.tables()}
    assert shown["targets"].columns == ("target", "metric")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import math\n\nmath.nothing\n", "line 3: AttributeError: .*nothing"),
        ("def study(scale)\n    pass\n", "line 1: SyntaxError: expected ':'"),
        ("from xstilts import nothing\n", "line 1: ImportError: .*nothing"),
        ("x = 1\n\ndef study():\n    pass\n", r"line 3: study cannot be called with a scale \(too many"),
        ("def study(scale):\n    return {}[scale]\n", "line 2: KeyError: 'sandbox'"),
        ("def study(scale):\n    return 3\n", r"study\('sandbox'\) returned int"),
        ("study = 3\n", "has no function study"),
        ("raise SystemExit\n", "line 1: SystemExit;"),
        ("\0", ": (SyntaxError|ValueError): .*null bytes"),
    ],
)
def test_a_file_that_cannot_be_run_is_answered_in_a_line(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("mine.py")
    file.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        studies.load(file, "sandbox")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(file))
    assert "a study file is Python with a function study(scale)" in str(caught.value)


@pytest.mark.parametrize("verb", [("study",), ("plan",), ("watch", "--once")])
def test_every_verb_of_a_study_file_answers_so(verb: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("study = 3\n")
    result = CliRunner().invoke(app, [*verb, str(tmp_path / "mine.py"), "--store", str(tmp_path / "store")])
    assert isinstance(result.exception, InputError)
    assert "has no function study" in str(result.exception)


GAIN = Gain(CLOZE, QA, recipe="all")


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        (replace(GAIN, intermediate="sandbox_claze"), "intermediate 'sandbox_claze', .* did you mean 'sandbox_cloze'"),
        (replace(GAIN, target="sandbox_qq"), "target 'sandbox_qq', which no arm has; did you mean 'sandbox_qa'"),
        (
            replace(GAIN, over="x"),
            f"intermediate 'x', which no arm with target '{QA}' has: there are baseline, {CLOZE}",
        ),
        (replace(GAIN, recipe="al"), "recipe 'al'.*did you mean 'all'"),
        (replace(GAIN, recipe="best", over_recipe="heed"), "recipe 'heed'.*did you mean 'head'"),
        (replace(GAIN, encoder="sandbax"), "encoder 'sandbax'.*did you mean 'sandbox'"),
        (replace(GAIN, languages=("qaa", "qac")), "language 'qac', in which sandbox_qa is not measured"),
        (replace(GAIN, recipe=""), "several arms, of recipe all, best, head: name one"),
        (Level(CLOZE, QA, recipe="non"), "recipe 'non'"),
        (Mean((GAIN, replace(GAIN, target="x"))), "target 'x'"),
        (Growth(replace(GAIN, recipe="")), "several arms"),
        (Scaling("predict_seconds", "x", QA, "all"), "intermediate 'x'"),
        (Saving("predict_seconds", CLOZE, QA, "head", "x"), "recipe 'x'"),
        (Saving("predict_seconds", CLOZE, QA, "head", "all", languages=("xx",)), "language 'xx'"),
    ],
)
def test_a_claim_about_what_no_arm_has_is_refused_before_anything_is_run(measure: Any, said: str) -> None:
    wrong = Claim("It is so", measure, "grows" if isinstance(measure, Growth) else "above")
    with pytest.raises(InputError, match=f"the claim 'It is so' is about .*{said}"):
        replace(ASKED, claims=(wrong,), choices=(DevSelectedArm("best", ("all", "head")),))


def test_claims_about_what_there_is_are_taken() -> None:
    """All that an arm, a choice or several encoders have, and measures that the package does not know."""
    measures = (
        replace(GAIN, recipe="best", encoder="sandbox", languages=("qab",)),
        Mean((GAIN, replace(GAIN, recipe="head", over_recipe="best"))),
        Growth(GAIN),
        Scaling("predict_seconds", "baseline", QA, "head"),
        Saving("predict_seconds", CLOZE, QA, "head", "all", over="baseline"),
        Level("baseline", QA, recipe="all"),
        object(),
    )
    claims = tuple(Claim(f"Number {n}", one, "above") for n, one in enumerate(measures))  # type: ignore[arg-type]
    replace(ASKED, claims=claims, choices=(DevSelectedArm("best", ("all", "head")),))
    two = (ASKED.arms[0], Arm(replace(ASKED.arms[0].grid, encoder=Encoder("other", "main", "main")), "all"))
    replace(ASKED, arms=two, claims=(Claim("It grows", Growth(GAIN), "grows"),))
    with pytest.raises(InputError, match="of encoder other, sandbox: name one"):
        replace(ASKED, arms=two, claims=(HELPS,))


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ((HELPS, replace(HELPS, sentence="Cloze questions: help!")), "both called cloze-questions-help"),
        ((replace(HELPS, sentence="?!"),), "no words to call it by"),
        ((replace(HELPS, published="phang2020-first-squad-gains"),), "did you mean 'phang2020-first-squad-gain'"),
    ],
)
def test_claims_have_names_and_figures_of_their_own(claims: tuple[Claim, ...], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        replace(ASKED, claims=claims)


def test_choices_are_called_otherwise_than_arms() -> None:
    for choices in (
        (DevSelectedArm("all", ("head",)),),
        (DevSelectedArm("best", ("all",)), DevSelectedArm("best", ("head",))),
    ):
        with pytest.raises(InputError, match="give it a different one"):
            replace(ASKED, choices=choices)


FILE = """\"\"\"Does a rate that is too high help?\"\"\"
from test_study import AGAINST, ASKED, CLOZE, HELPS, QA, arm
from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain
from xstilts.experiments.study import DevSelectedArm, Study

WILDLY = Claim("It helps wildly", Gain(CLOZE, QA, recipe="wild"), "above")
TUNED = Claim("It helps when it is tuned", Gain(CLOZE, QA, recipe="tuned"), "above")


def study(scale):
    arms = (arm("all"), arm("wild", "learning_rate=1e30"))
    choices = (DevSelectedArm("tuned", ("wild",)),)
    return Study(__doc__, arms, (HELPS, WILDLY, TUNED), choices, prepare=("xstilts pretrain --out it",))
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study file of two arms, of which one fails, in the folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    for name in ("XSTILTS_DATA", "XSTILTS_STORE"):
        monkeypatch.delenv(name, raising=False)
    Path("mine.py").write_text(FILE)
    return Path("mine.py")


def test_an_arm_that_fails_is_a_gap_in_a_report_of_the_others(machine: Runtime, file: Path) -> None:
    store = ("--store", str(machine.store), "--device", "cpu", "--workers", "1", "--threads", "1")
    result = CliRunner().invoke(app, ["study", str(file), *store, "--out", "out"])
    assert result.exit_code == 1, result.output
    (last,) = [line for line in result.output.splitlines() if line.startswith("could not be built")]
    assert f"'{CLOZE}' on '{QA}' of sandbox, recipe 'wild', seeds 1 and 2: the loss became nan" in last
    found = study_report.read(Path("out"))
    verdicts = {one["sentence"]: one for one in found["verdicts"]}
    whole = {one.claim.sentence: one for one in check_all(ASKED.claims, studies.table(ASKED, machine))}
    assert verdicts[HELPS.sentence]["estimate"] == pytest.approx(whole[HELPS.sentence].estimate)
    for sentence in ("It helps wildly", "It helps when it is tuned"):
        assert verdicts[sentence]["status"] == "untested"
        assert "could not be built: " in verdicts[sentence]["why"]
        assert "the loss became nan" in verdicts[sentence]["why"]
    assert "the loss became nan" in found["failed"][0]
    assert "the loss became nan" in Path("out/report.md").read_text(encoding="utf-8")
    assert {row["recipe"] for row in found["rows"] if row["intermediate"] == CLOZE} == {"all"}
    checks = {one.sentence: one.status for one in verify(Path("out"), machine.store)}
    assert checks[HELPS.sentence] == "stands"


def test_a_report_says_how_to_make_it_again(machine: Runtime, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, given = studies.load(file, "sandbox"), replace(machine, store=Path("my store"), data=Path("data"))
    assert run_study.commands(file, "small", given) == (
        "xstilts study mine.py --scale small --out mine --store 'my store' --data data",
        "xstilts verify mine --store 'my store'",
    )
    monkeypatch.setenv("XSTILTS_STORE", str(machine.store))
    monkeypatch.setenv("XSTILTS_DATA", "/somewhere")
    lines = run_study.commands(file, "sandbox", replace(machine, data=Path("/somewhere")))
    assert lines[0] == 'xstilts study mine.py --scale sandbox --out mine --data "$XSTILTS_DATA"'
    monkeypatch.delenv("XSTILTS_DATA")
    healthy = replace(asked, arms=ASKED.arms[:1], claims=(HELPS,), choices=())
    monkeypatch.setattr(studies, "load", lambda path, scale, encoder: healthy)
    first, _ = (run_study.run_study(file, "sandbox", machine, Path(name)) for name in ("one", "two"))
    assert first.report["reproduce"]["commands"] == [
        "xstilts pretrain --out it",
        "xstilts study mine.py --scale sandbox --out mine",
        "xstilts verify mine",
    ]
    assert Path("one", study_report.REPORT).read_bytes() == Path("two", study_report.REPORT).read_bytes()
    assert not first.missing


def test_where_nothing_can_be_built_there_is_no_report(machine: Runtime, file: Path) -> None:
    wild = replace(ASKED.arms[0].grid.recipes, target=("steps=2", "max_train_examples=16", "learning_rate=1e30"))
    arm_ = replace(ASKED.arms[0], grid=replace(ASKED.arms[0].grid, recipes=wild))
    built, error = studies.attempt(replace(ASKED, arms=(arm_,), claims=()), machine)
    assert error is not None
    assert (built, studies.table(replace(ASKED, arms=(arm_,), claims=()), machine, error.reasons).rows) == (0, ())
    Path("none.py").write_text(
        "from dataclasses import replace\nfrom test_study import ASKED\n\n\ndef study(scale):\n"
        f"    recipes = replace(ASKED.arms[0].grid.recipes, target={wild.target!r})\n"
        "    grid = replace(ASKED.arms[0].grid, recipes=recipes)\n"
        "    return replace(ASKED, arms=(replace(ASKED.arms[0], grid=grid),), claims=())\n"
    )
    with pytest.raises(StageError, match="the loss became nan"):
        run_study.run_study(Path("none.py"), "sandbox", machine, Path("out"))
    assert not Path("out").exists()


def test_seeds_that_are_missing_are_told_of_a_claim_about_the_others(machine: Runtime) -> None:
    found = studies.table(ASKED, machine)
    seed = next(run for _, run in ASKED.arms[1].settings() if run.intermediate)
    failed = {one.key: "it broke" for one in seed.scores().values()}
    rows = studies.table(ASKED, machine, failed).rows
    assert len(rows) == len(found.rows) - 2
    lost = failed_arms.find(ASKED, machine, failed)
    assert [(gap.settings[0].recipe, gap.seeds, gap.why) for gap in lost] == [("head", (1,), "it broke")]
    helps, _, against = failed_arms.explained(check_all(ASKED.claims, replace(found, rows=rows)), lost)
    assert against.why.endswith(f"(without '{CLOZE}', seed 1, which could not be built)")
    assert against.n_replicates == 1
    assert helps.why == check_all(ASKED.claims, found)[0].why
    assert failed_arms.find(ASKED, machine, {}) == ()


def test_what_no_run_needs_and_fails_is_told_apart(machine: Runtime) -> None:
    probed = replace(ASKED, extras=(NoiseScales(ASKED.arms[0].grid),))
    stages = {one.key: one.label for one in probed.stages(machine)}
    own = {one.key for one in ASKED.stages(machine)}
    failed = {key: "it broke" for key in stages if key not in own}
    assert failed_arms.find(probed, machine, failed) == ()
    assert failed_arms.failed_extras(probed, machine, failed) == [
        f"{stages[key]}: it broke" for key in stages if key not in own
    ]
    assert [one["title"] for one in gathered(probed, machine)["extras"]] == [
        "The gains of tested claims by other tests"
    ]


def test_an_arm_that_cannot_be_built_is_left_out_before_the_others_are_built(
    machine: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Encoder("gone", "ab" * 32, str(tmp_path / "gone"))
    whole = Study("?", (*ARMS, Arm(replace(ARMS[0].grid, encoder=gone), "gone")), ())
    notes: list[str] = []
    monkeypatch.setattr(progress, "note", notes.append)
    built, error = studies.attempt(whole, machine)
    assert built == 0
    assert error is not None
    assert [note for note in notes if "is no longer there" in note]
    assert {reason.partition(":")[0] for reason in error.reasons.values()} == {
        "",
        f"the encoder's folder {gone.folder} is no longer there",
    }
    own = {stage.key for stage in Study("?", ARMS, ()).stages(machine)}
    assert not own & error.reasons.keys()
