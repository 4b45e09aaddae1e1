"""Few-shot target training: what a run promises, what is refused, and that a head is trained further."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from built_study import SHORT, finished_store
from given import lesson, promised
from quick import first
from xstilts.data.examples import ClassificationExample
from xstilts.errors import InputError
from xstilts.evaluation.contamination import contamination, read_overlap
from xstilts.evaluation.predict import PREDICTIONS, predict
from xstilts.experiments import preflight, score_table
from xstilts.experiments import study as studies
from xstilts.experiments.few_shot import FewShot
from xstilts.experiments.grid import Grid, tasks_of
from xstilts.experiments.run import Recipes, Run, training_roles
from xstilts.experiments.splits import NamedSplits
from xstilts.experiments.study import Arm, Study
from xstilts.experiments.translated_splits import Translation
from xstilts.models.encoder import Encoder
from xstilts.planning.forecast import Gpu, forecast, planned
from xstilts.reporting import study_report
from xstilts.runtime.machine import Runtime
from xstilts.sandbox import CODES
from xstilts.sharing.history import history
from xstilts.store.build import build, missing
from xstilts.store.stage import folder_of
from xstilts.tasks.base import task
from xstilts.training.recipe import SETS, Recipe
from xstilts.training.train import train
from xstilts.verification.verify import verify

ENCODER = Encoder("tiny", "0" * 64, "/nowhere")
POS = task("sandbox_pos")
ZERO = Run(ENCODER, (task("sandbox_roles"),), POS, Recipes("small"), seed=2)
TEN = replace(ZERO, few_shot=FewShot(10))


def test_each_language_has_a_training_of_its_own_that_goes_on_from_the_target() -> None:
    assert TEN.languages() == tuple(code for code in ZERO.languages() if code != "qaa")
    assert TEN.shared_phases() == ZERO.phases()
    assert TEN.model() == ZERO.model()
    for code, predictions in TEN.predictions().items():
        *shared, last = TEN.phases(code)
        assert tuple(shared) == ZERO.phases()
        assert (last.role, last.tasks[0].label) == ("target", f"sandbox_pos:{code}")
        arguments, (given,) = last.stage.arguments, last.training_sets
        assert (arguments["encoder"], arguments["recipe"].head, arguments["seed"]) == (ZERO.model(), "continued", 2)
        assert predictions.arguments["model"] == last.stage == TEN.model(code)
        assert predictions.arguments["data"] == ZERO.predictions()[code].arguments["data"]
        assert [data.arguments["data"].language for data in given.train] == [code]
        assert (given.shots, given.draw, given.dev) == (10, 1, None)
    assert len(TEN.phases()) == len(ZERO.phases()) + len(TEN.languages())
    assert set(training_roles([TEN]).values()) == {"intermediate", "target"}
    assert TEN.learned_in == set(POS.languages)
    assert not TEN.zero_shot()
    stages = {stage.key for stage in missing(tuple(TEN.scores().values()), Runtime(store=Path("/nowhere")))}
    assert {phase.stage.key for phase in TEN.phases()} <= stages


def test_shots_draw_and_settings_are_part_of_what_a_training_is() -> None:
    others = [FewShot(10), FewShot(20), FewShot(10, 2), FewShot(10, settings=("epochs=3",))]
    assert len({replace(ZERO, few_shot=few).model("qab") for few in others}) == len(others)


def test_runs_over_named_splits_are_counted_as_the_real_ones() -> None:
    named = replace(TEN, data=NamedSplits())
    assert named.languages() == TEN.languages()
    run, real = (planned(each) for each in (named, TEN))
    assert (len(run.trainings), len(run.predictions)) == (len(real.trainings), len(real.predictions))


@pytest.mark.slow
def test_the_forecast_counts_the_shots_alone() -> None:
    grid = Grid(Encoder.of("sandbox"), (POS,), (), Recipes("small"), 2, few_shot=FewShot(10))
    expected = forecast(Study("How many?", (Arm(grid, "ten"),), ()), Gpu(), Runtime())
    assert expected.total.shared.trainings == 2 * (1 + len(TEN.languages()))
    each = {line.configuration.tasks: line.each for line in expected.lines}
    assert 0 < each["sandbox_pos:qab (10 shots)"].flops < each["sandbox_pos"].flops / 2  # type: ignore[union-attr]


@pytest.mark.parametrize("name", sorted(SETS))
def test_a_recipe_fits_few_examples(name: str) -> None:
    for role in ("classification", "token_classification", "extractive_qa", "multiple_choice"):
        target = Recipes(name).of((next(each for each in TASKS if each.format == role),), "target")
        recipe = FewShot(10).recipe(target)
        assert (recipe.selection, recipe.snapshots, recipe.steps, recipe.epochs) == (None, 0, None, 10)
        assert recipe.batch_size <= 10
        assert recipe.steps_of_warmup(10) < 10
        assert (recipe.learning_rate, recipe.max_length) == (target.learning_rate, target.max_length)


TASKS = [task(name) for name in ("mnli", "panx", "squad", "siqa")]

REFUSED: dict[str, dict[str, Any]] = {
    "trains a head further, and 'sandbox_retrieval' has none": {"target": task("sandbox_retrieval")},
    "leave --average out": {"average": "last:2"},
    "leave --oracle out": {"oracle": 3},
    "leave translations out": {"translation": Translation(test=True)},
    "drawn from the training split": {"split": "train"},
    "for other languages than qaa": {"only_languages": ("qaa",)},
}


@pytest.mark.parametrize("says", REFUSED)
def test_what_cannot_be_done_is_refused(says: str) -> None:
    with pytest.raises(InputError, match=says):
        replace(TEN, intermediate=(), **REFUSED[says])


def test_a_target_without_training_data_in_its_languages_is_refused() -> None:
    with pytest.raises(
        InputError, match="'sandbox_nli' has training data in none of qab, qac, qad, qae, qaf: few-shot"
    ):
        replace(TEN, target=task("sandbox_nli")).scores()


@pytest.mark.parametrize(
    ("text", "says"),
    [("x", "is not understood"), ("10:", "is not understood"), ("0", "shots must be"), ("5:0", "draw must be")],
)
def test_a_text_that_is_no_number_of_shots_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        FewShot.of(text)


def test_settings_that_need_development_data_are_refused() -> None:
    for setting in ("selection=5", "snapshots=2"):
        with pytest.raises(InputError, match="no development data of the target language"):
            FewShot(10, settings=(setting,))
    with pytest.raises(InputError, match="unknown setting 'lr'"):
        FewShot(10, settings=("lr=1",))
    with pytest.raises(InputError, match="there is none: give --few-shot 10"):
        FewShot.of("", ("epochs=1",))
    assert FewShot.of("") is None


def test_too_few_examples_are_refused_before_anything_is_trained(encoder: Encoder, machine: Runtime) -> None:
    most = POS.counts["train"]
    run = Run(encoder, (), POS, Recipes("sandbox"), 1, only_languages=CODES[:2], few_shot=FewShot(most + 1))
    with pytest.raises(InputError, match=f"sandbox_pos-train-qab: {most + 1} shots, but there are {most} training"):
        preflight.check(run.scores().values(), machine)
    preflight.check(replace(run, few_shot=FewShot(most)).scores().values(), machine)


@pytest.mark.parametrize(
    "format", first(1, ["token_classification", "classification", "multiple_choice", "extractive_qa"])
)
def test_a_training_that_moves_no_weight_keeps_the_predictions(format: str, encoder: Encoder, machine: Runtime) -> None:
    recipe = Recipe(learning_rate=1e-2, batch_size=8, steps=2, max_length=24)
    before = train(encoder, (lesson(format),), recipe, 1)
    shots = replace(lesson(format, "other"), dev=None, shots=4, labels=tuple(reversed(lesson(format).labels)))
    after = train(before, (shots,), replace(recipe, learning_rate=1e-44, batch_size=4, head="continued"), 1)
    data = lesson(format).train[0]
    texts = [(build(predict(model, data, format, 24), machine) / PREDICTIONS).read_text() for model in (before, after)]
    assert texts[0] == texts[1]
    record = json.loads((folder_of(after, machine) / "stage.json").read_text())["record"]
    assert record["lessons"]["other"]["units"] == 4
    assert record["dev"] == {}


def test_a_head_that_is_not_there_is_not_trained_further(encoder: Encoder, machine: Runtime) -> None:
    recipe = Recipe(batch_size=4, steps=1, max_length=24, head="continued")
    before = train(encoder, (lesson("bitext_retrieval"),), recipe, 1)
    with pytest.raises(InputError, match=r"model; give another folder|no multiple_choice head"):
        build(train(before, (replace(lesson("multiple_choice"), shots=4),), recipe, 1), machine)
    before = train(encoder, (lesson("classification"),), recipe, 1)
    other = replace(lesson("classification"), shots=4, labels=("no", "maybe"))
    with pytest.raises(InputError, match="no label 'maybe', but no, yes"):
        build(train(before, (other,), recipe, 1), machine)


def test_the_drawn_examples_alone_are_compared_with_the_test_set(machine: Runtime) -> None:
    train_data = promised("classification", SENTENCES, labels=("a", "b"))
    test = promised("classification", SENTENCES, "test", labels=("a", "b"))
    few, every = (read_overlap(build(contamination(train_data, test, shots), machine)) for shots in (3, 0))
    assert (few.touched, few.train_examples, every.touched) == (3, 3, 8)
    assert "(3 shots)" in few.train


SENTENCES = [ClassificationExample(str(n), " ".join(f"w{n}{m}" for m in range(9)), None, "ab"[n % 2]) for n in range(8)]


def test_a_report_of_few_shot_runs_stands(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, few_examples: None
) -> None:
    machine = finished_store(tmp_path_factory)  # where the target is trained already, as an intermediate task
    grid = Grid(
        Encoder.of("sandbox"),
        tasks_of("sandbox_cloze"),
        (),
        Recipes("sandbox", SHORT, SHORT),
        1,
        only_languages=("qaa", "qab"),
    )
    arms = (Arm(grid, "zero-shot"), Arm(replace(grid, few_shot=FewShot(4, settings=("steps=1",))), "4 shots"))
    study = Study("Do four examples help?", arms, ())
    studies.build(study, machine)
    table = studies.table(study, machine)
    assert {(row.recipe, row.language) for row in table.rows} == {
        ("zero-shot", "qaa"),
        ("zero-shot", "qab"),
        ("4 shots", "qab"),
    }
    few = arms[1].grid.runs(grid.targets[0])["baseline"][0]
    for row in table.rows:
        assert row.in_training_language == (row.language == "qaa" or row.recipe == "4 shots")
        if row.recipe == "4 shots":
            assert row.keys[:-2] == tuple(phase.stage.key for phase in few.phases(row.language))
            assert row.roles == ("target", "target", "predict", "score")
            assert row.target_dev == table.rows[0].target_dev  # of the training before the shots
    origin = study_report.Origin("small", "sandbox", Path(__file__), f"xstilts study {Path(__file__).name}")
    study_report.write(study_report.build_report(study, table, [], origin, machine), tmp_path / "report")
    checks = verify(tmp_path / "report", machine.store)
    changed = {check.sentence: check.why for check in checks if check.status == "changed"}
    assert changed == {"The report has verdicts": "3 scores, but no verdict"}  # the study has no claims
    known = history(folder_of(few.model("qab"), machine) / "model")  # type: ignore[arg-type]
    assert [(training.role, training.tasks[0].shots) for training in known.trainings] == [("target", 0), ("target", 4)]
    (shown,) = arms[1].grid.tables(machine)
    assert shown.title == "sandbox_cloze (squad, 4 shots)"
    assert any("trained on 4 examples of its training data (draw 1)" in note for note in score_table.remarks(shown))
    assert shown.missing == ()
