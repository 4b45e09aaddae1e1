"""Translated data as stages of a run: identity changes nothing, counts add up, and nothing finished is done twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny_translators
from quick import first, parameters
from xstilts.cli.options import ExperimentOptions
from xstilts.data.examples import read as read_examples
from xstilts.errors import InputError
from xstilts.evaluation.score import read_lines
from xstilts.experiments import preflight
from xstilts.experiments.grid import Grid
from xstilts.experiments.run import Recipes, Run
from xstilts.experiments.splits import DataFolder, NamedSplits
from xstilts.experiments.translated_splits import TranslatedSplits, Translation
from xstilts.models.encoder import Encoder
from xstilts.planning.forecast import planned
from xstilts.runtime.machine import Runtime
from xstilts.sandbox import translations
from xstilts.store import manifest, names
from xstilts.store.build import build
from xstilts.store.stage import Stage, folder_of, with_inputs
from xstilts.tasks.base import Task, task
from xstilts.translation import stages
from xstilts.translation.model import Translator
from xstilts.translation.texts import texts_of

pytestmark = pytest.mark.usefixtures("few_examples")

TASKS = ("sandbox_nli", "sandbox_ner", "sandbox_qa")
SHORT = ("steps=1", "max_train_examples=8", "selection=none")


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Callable[[str], str]], str]:
    """Return a function that puts a function of a text in the place of a translation model; it gives the model's name."""

    def instead(function: Callable[[str], str]) -> str:
        class Model:
            divided = cut = tokens = 0

            def translate(self, texts: Sequence[str]) -> list[str]:
                return [function(text) for text in texts]

        (tmp_path / "model").mkdir(exist_ok=True)
        (tmp_path / "model/config.json").write_text("{}")
        (tmp_path / "model/model.safetensors").write_text("")
        monkeypatch.setattr(Translator, "load", lambda *_: Model())
        monkeypatch.setattr(Translator, "check", lambda *_: None)
        return str(tmp_path / "model")

    return instead


def examples_of(stage: Stage, machine: Runtime) -> list[Any]:
    return list(read_examples(build(stage, machine) / names.EXAMPLES_FILE, stage.arguments["data"].format))


def splits_with(translation: Translation, encoder: Encoder, folder: Path | None = None) -> TranslatedSplits:
    return TranslatedSplits(DataFolder(folder), translation, encoder)


@pytest.mark.parametrize("projection", first(1, stages.PROJECTIONS))
@pytest.mark.parametrize("name", TASKS)
def test_a_model_that_changes_nothing_changes_no_example(
    name: str, projection: str, model: Any, encoder: Encoder, machine: Runtime
) -> None:
    splits = splits_with(Translation(("qab",), True, model(str), projection), encoder)
    assert splits.has(task(name), "train", "qab")
    translated = splits.read(task(name), "train", "qab")
    originals = examples_of(splits.read(task(name), "train", "qaa"), machine)
    assert examples_of(translated, machine) == originals
    record = manifest.read(folder_of(translated, machine))["record"]
    assert (record["examples"], record["of"], record["dropped"]) == (60, 60, {})
    lines = [
        json.loads(line)
        for line in (folder_of(translated.arguments["translations"], machine) / stages.TRANSLATIONS)
        .read_text()
        .splitlines()
    ]
    assert [line["id"] for line in lines] == [example.id for example in originals]
    assert all(text["source"] == text["target"] for line in lines for text in line["texts"].values())


def test_what_loses_its_marks_is_counted_and_dropped(model: Any, encoder: Encoder, machine: Runtime) -> None:
    name = model(lambda text: text.replace("]", "").replace("</b>", ""))
    splits = splits_with(Translation(("qab",), model=name), encoder)
    translated = splits.read(task("sandbox_ner"), "train", "qab")
    kept = examples_of(translated, machine)
    record = manifest.read(folder_of(translated, machine))["record"]
    assert 0 < len(kept) < 60
    assert record["dropped"] == {"a mark is lost": 60 - len(kept)}
    assert record["projection"] == "markers"
    everything = splits.read(task("sandbox_qa"), "train", "qab")
    with pytest.raises(InputError, match=r"none of 60 examples .* \(a mark is lost\): take the other projection"):
        build(everything, machine)


def test_a_killed_translation_goes_on(
    model: Any, encoder: Encoder, machine: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "PORTION", 25)
    seen: list[str] = []

    def killed(text: str) -> str:
        seen.append(text)
        if len(seen) == 60:
            raise KeyboardInterrupt
        return text.upper()

    stage = splits_with(Translation(("qab",), model=model(killed)), encoder).read(task("sandbox_nli"), "train", "qab")
    translate = stage.arguments["translations"]
    with pytest.raises(KeyboardInterrupt):
        build(translate, machine)
    part = folder_of(translate, machine).with_name(folder_of(translate, machine).name + ".part")
    with (part / stages.FINISHED).open("a") as file:
        file.write('{"language": "qaa", "te')  # a line that was cut off
    folder = build(translate, machine)
    assert len(seen) - len(set(seen)) == 10  # those of the portion that was not finished
    assert sorted(path.name for path in folder.iterdir()) == ["stage.json", stages.TRANSLATIONS]
    assert all(
        text["target"] == text["source"].upper()
        for line in (folder / stages.TRANSLATIONS).read_text().splitlines()
        for text in json.loads(line)["texts"].values()
    )


def put_identity(name: str, code: str, folder: Path, machine: Runtime, as_text: bool) -> None:
    """Write "translations" of a test set that are its own texts, as JSON lines or as files of text."""
    stage = DataFolder().read(task(name), "test", code)
    texts = [(example.id, texts_of(example)) for example in examples_of(stage, machine)]
    place = folder / "translated" / name
    place.mkdir(parents=True)
    if not as_text:
        rows = [json.dumps({"id": id, **fields}) for id, fields in reversed(texts)]
        (place / f"test-{code}-qaa.jsonl").write_text("\n".join(rows) + "\n")
    for field in texts[0][1] if as_text else ():
        lines = [fields[field] for _, fields in texts]
        (place / f"test-{code}-qaa.{field}.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("name", "as_text"),
    parameters(
        [("sandbox_ner", True), ("sandbox_qa", False), ("sandbox_nli", False)],
        [("sandbox_ner", True)],
    ),
)
def test_translate_test_by_identity_predicts_the_same(
    name: str, as_text: bool, encoder: Encoder, machine: Runtime, tmp_path: Path
) -> None:
    put_identity(name, "qab", tmp_path / "data", machine, as_text)
    machine = replace(machine, data=tmp_path / "data")
    plain = Run(
        encoder, (), task(name), Recipes("sandbox", target=SHORT), 1, only_languages=("qaa", "qab"), data=machine.data
    )
    run = replace(plain, translation=Translation(test=True))
    for code in ("qaa", "qab"):
        before, after = plain.scores()[code], run.scores()[code]
        assert (before == after) == (code == "qaa")
        build(before, machine), build(after, machine)
        predictions = [folder_of(score.arguments["predictions"], machine) for score in (before, after)]
        assert read_lines(predictions[0]) == read_lines(predictions[1])
    if name == "sandbox_qa":
        assert manifest.read(predictions[1])["record"]["projected_back"] == {"examples": 12, "unaligned": 0}


def test_given_training_data_are_those_of_the_task_in_these_languages(encoder: Encoder, tmp_path: Path) -> None:
    target = task("sandbox_nli")
    translations.write(target.name, target.sources[0].options, tmp_path)
    run = Run(encoder, (), target, Recipes("sandbox"), 1, data=tmp_path, translation=Translation(("qab", "qac")))
    other = replace(
        run, target_training_tasks=(target.with_training_languages(("qaa", "qab", "qac")),), translation=None
    )
    assert run.phases()[0].stage == other.phases()[0].stage
    assert run.learned_in == {"qaa", "qab", "qac"}
    assert not run.zero_shot()
    assert run.phases()[0].training_sets[0].task == "sandbox_nli:qaa+qab+qac"


def test_a_run_without_translation_has_the_keys_that_it_had(encoder: Encoder) -> None:
    run = Run(encoder, (), task("sandbox_nli"), Recipes("sandbox"), 1)
    predictions = run.scores()["qab"].arguments["predictions"]
    assert "translated" not in predictions.canonical_arguments
    assert replace(run, translation=Translation(test=True)).phases() == run.phases()


def test_given_lines_are_aligned_and_a_model_fills_what_is_missing(
    model: Any, encoder: Encoder, machine: Runtime, tmp_path: Path
) -> None:
    splits = splits_with(Translation(("qab",), model=model(str)), encoder, tmp_path)
    originals = examples_of(splits.read(task("sandbox_ner"), "train", "qaa"), machine)
    place = tmp_path / "translated/sandbox_ner"
    place.mkdir(parents=True)
    assert splits.read(task("sandbox_ner"), "train", "qab").arguments["translations"].work.name == names.TRANSLATE
    (place / "train-qaa-qab.text.txt").write_text("\n".join(" ".join(example.tokens) for example in originals))
    machine = replace(machine, data=tmp_path)
    stage = splits_with(Translation(("qab",), model=model(str), beams=2), encoder, tmp_path).read(
        task("sandbox_ner"), "train", "qab"
    )
    assert stage.arguments["translations"].work.name == names.GIVEN_TRANSLATIONS
    assert examples_of(stage, machine) == originals
    (place / "train-qaa-qac.text.txt").write_text("one\n")
    short = splits_with(Translation(("qac",)), encoder, tmp_path).read(task("sandbox_ner"), "train", "qac")
    with pytest.raises(InputError, match=r"has 1 lines, and there are 60 texts 'text' to translate"):
        build(short, machine)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"id": "test-0", "text_a": "x"}', "has no translation of 11 of 12 examples, the first with id 'test-1'"),
        ('{"text_a": "x"}', "has 1 rows without ids, and there are 12 examples"),
        ("x", "line 1: .*each line must be a JSON object"),
    ],
)
def test_given_rows_that_do_not_fit_are_refused(
    row: str, message: str, encoder: Encoder, machine: Runtime, tmp_path: Path
) -> None:
    file = tmp_path / "translated/sandbox_nli/test-qab-qaa.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text(row)
    stage = splits_with(Translation(test=True), encoder, tmp_path).in_training_language(
        task("sandbox_nli"), "test", "qab"
    )
    assert stage is not None
    with pytest.raises(InputError, match=message):
        build(stage, replace(machine, data=tmp_path))


def test_what_cannot_be_translated_is_refused_in_a_plan(encoder: Encoder, machine: Runtime) -> None:
    recipes = Recipes("sandbox")
    with pytest.raises(InputError, match=r"'sandbox_retrieval' .* has no translate-train or translate-test"):
        Run(encoder, (), task("sandbox_retrieval"), recipes, 1, translation=Translation(test=True))
    missing = Grid(encoder, (task("sandbox_nli"),), (), recipes, 1, translation=Translation(test=True))
    with pytest.raises(InputError, match=r"looked for translated/sandbox_nli/test-qab-qaa\.jsonl, .*--translate MODEL"):
        missing.stages(machine)
    with pytest.raises(InputError, match=r"unknown projection 'marks'; did you mean 'markers'"):
        Translation(projection="marks")
    with pytest.raises(InputError, match="unknown language 'xx'"):
        Translation(("xx",))
    with pytest.raises(InputError, match="named twice"):
        Translation(("sw", "sw"))


def test_tags_of_every_word_are_aligned(model: Any, encoder: Encoder, machine: Runtime) -> None:
    every: Task = task("sandbox_pos")
    splits = splits_with(Translation(model=model(str)), encoder)
    tagged = replace(every, sources=task("sandbox_ner").sources, name="sandbox_ner")
    stage = splits.read(replace(tagged, labels=every.labels), "train", "qab")
    assert stage.arguments["method"] == stages.ALIGNMENT


def test_a_plan_checks_the_model(
    encoder: Encoder, machine: Runtime, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(
        encoder, (), task("sandbox_nli"), Recipes("sandbox"), 1, translation=Translation(test=True, model=model(str))
    )

    def refuse(self: Translator, source: str, target: str) -> None:
        raise InputError(f"no {source} to {target}")

    monkeypatch.setattr(Translator, "check", refuse)
    with pytest.raises(InputError, match="no qab to qaa"):
        preflight.check([run.scores()["qab"]], machine)
    assert any(stage.work.name == names.TRANSLATE for stage in with_inputs([run.scores()["qab"]]))


def test_a_marian_model_translates_a_run(encoder: Encoder, machine: Runtime, tmp_path: Path) -> None:
    marian = tiny_translators.marian(tmp_path)
    run = Run(
        encoder, (), task("sandbox_nli"), Recipes("sandbox"), 1, translation=Translation(("qac",), True, str(marian))
    )
    (training_set,) = run.phases()[0].training_sets
    for stage in (training_set.train[1], run.predictions()["qab"].arguments["translated"]):
        made, originals = examples_of(stage, machine), examples_of(stage.arguments["original"], machine)
        assert [(example.id, example.label) for example in made] == [
            (example.id, example.label) for example in originals
        ]
        assert [example.text_a for example in made] != [example.text_a for example in originals]


def test_a_forecast_counts_what_a_run_trains_and_predicts(encoder: Encoder) -> None:
    """Without files, translations count as given; the trainings are those of the languages."""
    given, by_model = Translation(("qab",), True), Translation(("qab",), True, "owner/model@" + "0" * 40)
    for translation in (given, by_model):
        splits = NamedSplits()
        run = Run(encoder, (), task("sandbox_ner"), Recipes("sandbox"), 1, data=splits, translation=translation)
        plan = planned(run)
        (training_set,) = plan.trainings[0].training_sets
        assert [splits.task_of(data).name for data in training_set.train] == ["sandbox_ner"] * 2
        translated = [stage.arguments["translated"] for stage in plan.predictions]
        assert [stage is None for stage in translated] == [True, False, False, False, False, False]
        works = {stage.arguments["translations"].work.name for stage in translated if stage}
        assert works == {names.TRANSLATE if translation.model else names.GIVEN_TRANSLATIONS}


def test_all_of_a_run_s_options_reach_its_grid(encoder: Encoder) -> None:
    options = ExperimentOptions(
        str(encoder.folder), target=["sandbox_ner"], translate_train="qab, qac", translate="m", projection="alignment"
    )
    assert options.translation() == Translation(("qab", "qac"), False, "m", "alignment")
    grid = Grid(encoder, (task("sandbox_ner"),), (), Recipes("sandbox"), 1, translation=options.translation())
    assert [run.translation for run in grid.all_runs()] == [options.translation()]
    assert ExperimentOptions("sandbox").translation() is None
