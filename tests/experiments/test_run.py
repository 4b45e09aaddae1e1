from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from quick import together
from xstilts.data.dataset import DataFile, DatasetSplit, examples
from xstilts.data.examples import ClassificationExample
from xstilts.data.readers import Report
from xstilts.errors import InputError
from xstilts.evaluation.predict import predict
from xstilts.evaluation.score import score as scored
from xstilts.experiments.grid import tasks_of
from xstilts.experiments.run import MaskedLmMixing, Recipes, Run, training_data, training_roles, training_set
from xstilts.experiments.splits import NamedSplits, read
from xstilts.models.encoder import Encoder
from xstilts.runtime.machine import Runtime
from xstilts.sandbox import CODES
from xstilts.store.build import missing
from xstilts.store.memo import memoising
from xstilts.store.stage import Stage
from xstilts.tasks.base import names, task
from xstilts.training.layer_reset import reset_layers
from xstilts.training.recipe import Recipe, Selection, named
from xstilts.training.train import train
from xstilts.training.training_set import TrainingSet

ENCODER = Encoder("tiny", "0" * 64, "/nowhere")
NLI, POS, QA, RETRIEVAL = (task(f"sandbox_{name}") for name in ("nli", "pos", "qa", "retrieval"))
PARAPHRASE, CLOZE, TEXT = (task(f"sandbox_{name}") for name in ("paraphrase", "cloze", "text"))
BASELINE = Run(ENCODER, (), NLI, Recipes("small"), seed=1)


def behind(promises: Any) -> dict[str, list[Stage]]:
    """Return all stages behind promised scores by the name of their work, each once."""
    found: dict[str, list[Stage]] = {"read": [], "train": [], "predict": [], "score": []}
    for stage in missing(tuple(promises), Runtime(store=Path("/nowhere"))):
        found.setdefault(stage.work.function.__name__, []).append(stage)
    return found


def keys(*runs: Run) -> dict[str, set[str]]:
    stages = behind(score for run in runs for score in run.scores().values())
    return {name: {stage.key for stage in found} for name, found in stages.items()}


def trained(run: Run) -> list[Stage]:
    """Return the trainings of a run in their order."""
    chain: list[Stage] = []
    model = run.model()
    while isinstance(model, Stage):
        chain.insert(0, model)
        model = model.arguments["encoder"]
    return chain


def lessons(run: Run) -> list[list[str]]:
    return [[taught.task for taught in stage.arguments["training_sets"]] for stage in trained(run)]


def test_a_baseline_and_a_mix_differ_in_the_length_of_a_tuple() -> None:
    assert lessons(BASELINE) == [["sandbox_nli"]]
    assert lessons(replace(BASELINE, intermediate=(QA,))) == [["sandbox_qa"], ["sandbox_nli"]]
    assert lessons(replace(BASELINE, intermediate=(QA, POS))) == [["sandbox_qa", "sandbox_pos"], ["sandbox_nli"]]
    assert lessons(replace(BASELINE, target=RETRIEVAL)) == []
    assert lessons(replace(BASELINE, target=RETRIEVAL, intermediate=(QA,))) == [["sandbox_qa"]]


def test_phases_say_what_each_training_is() -> None:
    mlm = MaskedLmMixing(TEXT, ("qab", "qac"), weight=0.5)
    run = replace(BASELINE, intermediate=(QA,), mlm=mlm, reset_layers="top:2")
    first, second = run.phases()
    assert [(phase.role, phase.tasks) for phase in (first, second)] == [("intermediate", (QA,)), ("target", (NLI,))]
    assert [given.task for given in first.training_sets] == ["sandbox_qa", "sandbox_text"]
    assert first.stage.arguments["recipe"] == first.recipe
    assert first.model != first.stage
    assert second.stage.arguments["encoder"] == first.model
    assert (second.model, second.stage) == (run.model(), run.model())


def test_trainings_that_made_the_encoder_are_pretraining() -> None:
    """And are still what they were to the run that asked for them."""
    baseline = replace(BASELINE, seed=3)
    continued = replace(BASELINE, encoder=baseline.model(), target=QA)
    assert [phase.role for phase in continued.phases()] == ["pretraining", "target"]
    assert continued.phases()[0].training_sets == baseline.phases()[0].training_sets
    ours, theirs = (phase.stage.key for phase in continued.phases())
    assert training_roles([continued]) == {ours: "pretraining", theirs: "target"}
    assert training_roles([continued, baseline]) == {ours: "target", theirs: "target"}


def test_the_data_folder_is_no_part_of_equality(tmp_path: Path) -> None:
    assert replace(BASELINE, data=tmp_path) == BASELINE
    assert replace(BASELINE, data=tmp_path).scores() == BASELINE.scores()


def test_runs_over_named_splits_are_equal_where_real_ones_are() -> None:
    runs = [replace(BASELINE, intermediate=first, target=target) for target in (NLI, QA) for first in ((), (QA,))]
    runs += [replace(run, seed=2) for run in runs] + [BASELINE]
    splits = NamedSplits()
    named = [replace(run, data=splits) for run in runs]
    for one, other in product(range(len(runs)), repeat=2):
        assert (runs[one].model() == runs[other].model()) == (named[one].model() == named[other].model())
    assert [list(run.scores()) for run in runs] == [list(run.scores()) for run in named]
    assert splits.task_of(named[0].phases()[0].training_sets[0].train[0]) == NLI


def test_a_score_for_every_language_from_one_network() -> None:
    found = BASELINE.scores()
    assert tuple(found) == CODES
    stages = behind(found.values())
    assert len(stages["train"]) == 1
    assert len(stages["predict"]) == len(stages["score"]) == len(CODES)
    assert all(stage.arguments["model"] == stages["train"][0] for stage in stages["predict"])
    data = {code: score.arguments["gold"].arguments["data"] for code, score in found.items()}
    assert all(item.language == code and item.split == "test" for code, item in data.items())


def test_promising_builds_nothing_and_is_the_same_each_time() -> None:
    assert keys(BASELINE) == keys(replace(BASELINE, recipes=Recipes("small")))


def test_one_intermediate_training_serves_every_target() -> None:
    on_qa, on_pos, on_retrieval = (
        Run(ENCODER, (PARAPHRASE,), target, Recipes("small"), 1) for target in (QA, POS, RETRIEVAL)
    )
    assert trained(on_qa)[0] == trained(on_pos)[0] == trained(on_retrieval)[0]
    assert trained(on_qa)[1] != trained(on_pos)[1]
    assert trained(replace(on_qa, seed=2))[0] != trained(on_qa)[0]


def test_the_order_of_a_mix_is_part_of_what_it_is() -> None:
    one, other = (replace(BASELINE, intermediate=mix) for mix in ((QA, POS), (POS, QA)))
    assert trained(one)[0] != trained(other)[0]


def test_an_added_language_adds_predictions_and_scores_but_no_training() -> None:
    few, more = (keys(replace(BASELINE, target=replace(NLI, languages=CODES[:count]))) for count in (2, 3))
    assert few["train"] == more["train"]
    for name in ("read", "predict", "score"):
        assert few[name] < more[name]
        assert len(more[name] - few[name]) == 1


@pytest.mark.parametrize("change", [{"citation": "Someone 2031"}, {"licence": "CC0"}, {"counts": {"test": 3}}])
def test_what_decides_no_result_changes_no_key(change: dict[str, Any]) -> None:
    assert keys(replace(BASELINE, target=replace(NLI, **change))) == keys(BASELINE)


def test_every_setting_changes_the_training_and_what_follows() -> None:
    other = replace(BASELINE, recipes=Recipes("small", target=("learning_rate=1e-5",)))
    assert not keys(other)["train"] & keys(BASELINE)["train"]
    assert not keys(other)["score"] & keys(BASELINE)["score"]
    assert keys(other)["read"] == keys(BASELINE)["read"]


def test_each_phase_has_its_own_recipe_and_its_own_changes() -> None:
    recipes = Recipes("xtreme", ("steps=7",), ("steps=9",))
    first, second = trained(Run(ENCODER, (PARAPHRASE,), POS, recipes, 1))
    assert first.arguments["recipe"] == replace(
        named("xtreme", "sandbox_paraphrase", "classification", "intermediate"), steps=7
    )
    assert second.arguments["recipe"] == replace(
        named("xtreme", "sandbox_pos", "token_classification", "target"), steps=9
    )


def test_a_mix_is_long_enough_for_every_task_and_else_goes_by_the_first() -> None:
    found = Recipes("xtreme").of((PARAPHRASE, QA), "intermediate")
    assert found.max_length == 384
    assert found.learning_rate == named("xtreme", "sandbox_paraphrase", "classification", "intermediate").learning_rate
    assert Recipes("xtreme", ("max_length=50",)).of((PARAPHRASE, QA), "intermediate").max_length == 50


def test_in_some_sets_each_task_of_a_mix_has_its_own_number_of_examples() -> None:
    tasks = tasks_of("sandbox_nli,sandbox_qa,sandbox_ner")
    encoder = Encoder.of("sandbox")
    alone = {each.name: Recipes("e5-small").of((each,), "intermediate", encoder).max_train_examples for each in tasks}
    assert len(set(alone.values())) == 3
    sets, recipe = training_data(tasks, "intermediate", Recipes("e5-small"), encoder, None)
    assert {each.task: each.most_examples(recipe) for each in sets} == alone
    given, _ = training_data(tasks, "intermediate", Recipes("e5-small", ("max_train_examples=50",)), encoder, None)
    for name in ("sandbox", "xtreme"):
        others, _ = training_data(tasks, "intermediate", Recipes(name), encoder, None)
        assert {each.max_train_examples for each in (*given, *others)} == {None}
    (single,), _ = training_data(tasks[:1], "target", Recipes("e5-small"), encoder, None)
    assert single.max_train_examples is None


def test_predictions_are_as_long_as_the_target_was_trained() -> None:
    run = Run(ENCODER, (PARAPHRASE,), QA, Recipes("xtreme", target=("max_length=77",)), 1)
    assert {stage.arguments["max_length"] for stage in run.predictions().values()} == {77}
    bare = replace(run, target=RETRIEVAL, recipes=Recipes("xtreme"))
    assert {stage.arguments["max_length"] for stage in bare.predictions().values()} == {512}


BASE, LARGE = (Encoder(f"FacebookAI/xlm-roberta-{size}", "main") for size in ("base", "large"))


@pytest.mark.parametrize(
    ("encoder", "rate"),
    [
        (BASE, 2e-5),
        (LARGE, 3e-5),
        (Encoder("facebook/xlm-roberta-xl", "main"), 3e-5),
        (Encoder("google/rembert", "main"), 2e-5),
        (Encoder("someone/unknown", "main"), 2e-5),
        (reset_layers(train(BASE, (training_set(NLI, None),), Recipe(), 1), BASE, "top:2"), 2e-5),
        (reset_layers(train(LARGE, (training_set(NLI, None),), Recipe(), 1), LARGE, "top:2"), 3e-5),
    ],
)
def test_a_large_encoder_has_the_rate_of_xtremes_scripts(encoder: Encoder | Stage, rate: float) -> None:
    assert Recipes("xtreme").of((task("mnli"),), "target", encoder).learning_rate == rate
    assert Recipes("xtreme").of((task("pawsx"),), "target", encoder).learning_rate == 2e-5
    assert Recipes("phang2020").of((task("mnli"),), "target", encoder).learning_rate == 1e-5
    run = Run(encoder, (task("mnli"),), task("xnli"), Recipes("xtreme"), 1, data=NamedSplits())
    assert [phase.recipe.learning_rate for phase in run.phases() if phase.role != "pretraining"] == [rate, rate]


@pytest.mark.parametrize(
    ("recipe", "code", "dev"),
    [("xtreme", "", "xnli"), ("xtreme", ":sw", "xnli"), ("xtreme-last", "", "mnli"), ("phang2020", "", "mnli")],
)
def test_xnli_is_selected_on_its_own_development_data(recipe: str, code: str, dev: str) -> None:
    """XTREME's folder has MNLI's training data beside XNLI's development data; jiant takes MNLI's."""
    run = Run(BASE, (task("mnli"),), task("xnli"), Recipes(recipe), 1, (task(f"mnli{code}"),), data=NamedSplits())
    (intermediate,), (target,) = (phase.training_sets for phase in run.phases())
    assert intermediate.dev is not None
    assert target.dev is not None
    assert intermediate.dev.arguments["data"].task == "mnli"
    data = target.dev.arguments["data"]
    assert (data.task, data.split, data.language) == (dev, "validation", code.strip(":") or "en")


def test_an_encoder_that_is_not_trained_is_one_result_for_all_seeds() -> None:
    runs = [Run(ENCODER, (), RETRIEVAL, Recipes("small"), seed) for seed in (1, 2, 3)]
    assert all(keys(run) == keys(runs[0]) for run in runs)
    after = [replace(run, intermediate=(PARAPHRASE,)) for run in runs]
    assert not keys(after[0])["score"] & keys(after[1])["score"]


def test_the_layer_is_chosen_on_development_pairs_of_one_language() -> None:
    for score in Run(ENCODER, (PARAPHRASE,), RETRIEVAL, Recipes("small"), 1).scores().values():
        chosen = score.arguments["tuned_from"]
        data = chosen.arguments["gold"].arguments["data"]
        assert data.language == RETRIEVAL.dev_language
        assert data.split == ("validation" if RETRIEVAL.has("validation", "qab", None) else "test")
        assert chosen.arguments["predictions"].arguments["model"] == score.arguments["predictions"].arguments["model"]
        assert chosen.arguments["tuned_from"] is None
    fixed = Run(ENCODER, (), replace(RETRIEVAL, dev_language=None), Recipes("small"), 1)
    assert {score.arguments["tuned_from"] for score in fixed.scores().values()} == {None}
    assert {score.arguments["tuned_from"] for score in BASELINE.scores().values()} == {None}


def test_a_target_is_learned_from_what_its_file_says_or_from_what_is_given() -> None:
    chain = replace(NLI, learned_from="sandbox_inference+sandbox_nli")
    assert lessons(replace(BASELINE, target=chain)) == [["sandbox_inference"], ["sandbox_nli"]]
    given = replace(BASELINE, target=QA, target_training_tasks=(CLOZE, QA), intermediate=(POS,))
    assert lessons(given) == [["sandbox_pos"], ["sandbox_cloze"], ["sandbox_qa"]]
    assert {stage.arguments["data"].arguments["data"].task for stage in given.predictions().values()} == {"sandbox_qa"}
    zero = replace(BASELINE, target=QA, target_training_tasks=(CLOZE,))
    assert lessons(zero) == [["sandbox_cloze"]]


@pytest.mark.parametrize(
    ("target_training_tasks", "says"),
    [
        ((), "learned from 'nothing'"),
        ((QA,), r"'sandbox_nli' \(classification\) cannot be learned from 'sandbox_qa'"),
        ((NLI, POS), "cannot be learned from 'sandbox_pos'"),
        ((PARAPHRASE,), "cannot be learned from 'sandbox_paraphrase'.*have all of its labels"),
    ],
)
def test_what_cannot_answer_the_target_is_refused_before_it_is_trained(target_training_tasks: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        replace(BASELINE, target_training_tasks=target_training_tasks)


def test_a_target_has_languages_and_a_task_is_in_a_mix_once() -> None:
    with pytest.raises(InputError, match="'text' has no languages to measure"):
        replace(BASELINE, target=task("text"))
    with pytest.raises(InputError, match="different tasks in a mix, found sandbox_qa, sandbox_pos, sandbox_qa"):
        replace(BASELINE, intermediate=(QA, POS, QA))


def test_masked_lm_runs_beside_the_intermediate_tasks_alone() -> None:
    mlm = MaskedLmMixing(TEXT, ("qab", "qac"), weight=0.25, alpha=0.5)
    first, second = trained(replace(BASELINE, intermediate=(PARAPHRASE, POS), mlm=mlm))
    *tasks, beside = first.arguments["training_sets"]
    assert [taught.weight for taught in tasks] == [None, None]
    assert (beside.task, beside.format, beside.weight, beside.alpha) == ("sandbox_text", "masked_lm", 0.25, 0.5)
    assert [data.arguments["data"].language for data in beside.train] == ["qab", "qac"]
    assert beside.dev is None
    assert [taught.task for taught in second.arguments["training_sets"]] == ["sandbox_nli"]
    assert keys(replace(BASELINE, mlm=mlm)) == keys(BASELINE)


def test_text_can_be_an_intermediate_task_of_its_own() -> None:
    taught = trained(replace(BASELINE, intermediate=(TEXT,)))[0].arguments["training_sets"][0]
    assert (taught.format, taught.weight, taught.dev) == ("masked_lm", None, None)


@pytest.mark.parametrize("name", [name for name in names() if name.startswith("sandbox_")])
def test_every_artificial_task_that_teaches_has_something_to_teach(name: str) -> None:
    asked = task(name)
    if asked.learned_from == "itself" and asked.format != "bitext_retrieval":
        taught = training_set(asked, None)
        assert taught.train[0].arguments["data"].language == CODES[0]
        assert all(asked.has("train", code, None) for code in asked.trained_in)
        assert (taught.dev is not None) == (asked.format != "masked_lm")


@together("name", names())
def test_every_task_with_a_score_makes_a_run(name: str) -> None:
    """What a task is learned from must be able to answer it, whatever file says so."""
    asked = task(name)
    if not asked.languages:
        return
    run = Run(ENCODER, (), asked, Recipes("xtreme"), 1, data=NamedSplits())
    assert [phase.role for phase in run.phases()] == ["target"] * len(asked.target_training_tasks())


def test_data_that_is_not_there_is_named_with_every_place_looked_at() -> None:
    with pytest.raises(InputError, match=r"task 'xnli' has no test data in 'ar' .*no --data given.*looked for"):
        replace(BASELINE, target=task("xnli"), target_training_tasks=(task("xnli"),)).languages()
    with pytest.raises(InputError, match="task 'snli' has no train data in 'en'"):
        replace(BASELINE, intermediate=(task("snli"),)).model()


def test_another_split_is_measured_in_the_languages_that_have_it() -> None:
    found = replace(BASELINE, split="validation").scores()
    assert tuple(found) == CODES[:1]
    assert found["qaa"].arguments["gold"].arguments["data"].split == "validation"


def test_only_some_languages_are_measured_in_the_order_of_the_target() -> None:
    run = replace(BASELINE, only_languages=("qac", "qaa"))
    assert tuple(run.scores()) == ("qaa", "qac")
    assert keys(run)["train"] == keys(BASELINE)["train"]
    assert keys(run)["score"] < keys(BASELINE)["score"]
    for code, says in {
        "sw": "has no language 'sw': there are qaa, qab",
        "swahili": "did you mean 'sw'",
        "qax": "unknown",
    }.items():
        with pytest.raises(InputError, match=says):
            replace(BASELINE, only_languages=("qaa", code))


def test_the_layer_is_chosen_on_its_language_even_if_that_is_not_measured() -> None:
    whole, some = (
        Run(ENCODER, (), RETRIEVAL, Recipes("small"), 1, only_languages=only).scores() for only in ((), ("qac",))
    )
    assert some["qac"] == whole["qac"]
    assert tuple(some) == ("qac",)


def test_a_study_shares_all_that_is_the_same() -> None:
    """Three targets, two settings, two seeds: 2 intermediate and 2 x 2 x 2 target trainings, and none for retrieval."""
    runs = [
        Run(ENCODER, setting, target, Recipes("small"), seed)
        for target in (NLI, POS, RETRIEVAL)
        for setting in ((), (PARAPHRASE,))
        for seed in (1, 2)
    ]
    found = keys(*runs)
    assert len(found["train"]) == 2 + 2 * 2 * 2
    retrieval_models = 1 + 2
    others = (len(RETRIEVAL.languages) + 1) if RETRIEVAL.has("validation", "qab", None) else len(RETRIEVAL.languages)
    assert len(found["predict"]) == 2 * 2 * 2 * len(CODES) + retrieval_models * others


def test_only_some_languages_are_measured_and_another_one_is_refused(encoder: Encoder) -> None:
    run = Run(encoder, (), task("sandbox_nli"), Recipes("sandbox"), 1, only_languages=("qaf", "qab"))
    assert list(run.scores()) == ["qab", "qaf"]
    every = replace(run, only_languages=())
    assert every.scores()["qaf"].key == run.scores()["qaf"].key
    with pytest.raises(InputError, match="'sandbox_nli' has no language 'sw'"):
        replace(run, only_languages=("sw",))
    with pytest.raises(InputError, match="unknown language 'xx'"):
        replace(run, only_languages=("xx",))


# Tasks in other languages, several as one, and data that others have translated.


def put(folder: Path, name: str, lines: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(lines, encoding="utf-8")


def languages(stages: tuple[Stage, ...]) -> list[tuple[str, str]]:
    return [(stage.arguments["data"].task, stage.arguments["data"].language) for stage in stages]


def test_a_task_can_be_trained_in_another_language_and_in_several_under_one_head(tmp_path: Path) -> None:
    for code in ("ar", "sw"):
        put(tmp_path, f"xtreme/panx/train-{code}.tsv", "Ada\tB-PER\n")
    put(tmp_path, "xtreme/panx/dev-sw.tsv", "Ada\tB-PER\n")
    taught = training_set(task("panx:sw+ar"), tmp_path)
    assert taught.task == "panx:sw+ar"
    assert languages(taught.train) == [("panx", "sw"), ("panx", "ar")]
    assert taught.dev is not None
    assert languages((taught.dev,)) == [("panx", "sw")]
    with pytest.raises(InputError, match="unknown language 'swa'; did you mean 'sw'"):
        task("panx:swa")
    with pytest.raises(InputError, match="unknown task 'pan'; did you mean 'panx'"):
        task("pan:sw")


def test_a_task_in_two_languages_is_two_tasks_of_a_mix(tmp_path: Path) -> None:
    for code in ("ar", "sw"):
        put(tmp_path, f"xtreme/panx/train-{code}.tsv", "Ada\tB-PER\n")
    mixed = replace(BASELINE, intermediate=(task("panx:sw"), task("panx:ar")), data=tmp_path)
    model = mixed.model()
    assert isinstance(model, Stage)
    assert [taught.task for taught in model.arguments["encoder"].arguments["training_sets"]] == ["panx:sw", "panx:ar"]


def test_joined_tasks_are_one_lesson_under_one_head(tmp_path: Path) -> None:
    nli = '{"sentence1": "a", "sentence2": "b", "gold_label": "neutral"}\n'
    put(tmp_path, "multinli_1.0/multinli_1.0_train.jsonl", nli)
    put(tmp_path, "snli_1.0/snli_1.0_train.jsonl", nli)
    for number in (1, 2, 3):
        put(tmp_path, f"anli_v1.0/R{number}/train.jsonl", '{"context": "a", "hypothesis": "b", "label": "e"}\n')
    taught = training_set(task("anli_plus"), tmp_path)
    assert (taught.task, taught.labels) == ("anli_plus", task("mnli").labels)
    assert languages(taught.train) == [("mnli", "en"), ("snli", "en"), ("anli", "en")]


def test_translated_data_stand_in_for_any_task(tmp_path: Path) -> None:
    line = '{"language": "sw", "text_a": "a", "text_b": "b", "label": "neutral"}\n'
    put(tmp_path, "translated/mnli/train-sw.jsonl", line + line.replace("sw", "de"))
    taught = training_set(task("mnli:sw"), tmp_path)
    assert languages(taught.train) == [("mnli", "sw")]
    found = list(examples(taught.train[0].arguments["data"], tmp_path, Report()))
    assert found == [ClassificationExample("0", "a", "b", "neutral")]


def test_english_files_are_never_taken_for_another_language(tmp_path: Path) -> None:
    put(tmp_path, "glue/MNLI/train.tsv", "sentence1\tsentence2\tgold_label\na\tb\tneutral\n")
    assert languages(training_set(task("mnli"), tmp_path).train) == [("mnli", "en")]
    with pytest.raises(InputError, match=r"task 'mnli' has no train data in 'sw'.*translated/mnli/train-sw\.jsonl"):
        training_set(task("mnli:sw"), tmp_path)
    put(tmp_path, "hub/facebook/xnli/sw/train-0.parquet", "")
    assert languages(training_set(task("mnli:sw"), tmp_path).train) == [("mnli", "sw")]


def test_a_target_learned_in_another_language_says_so(tmp_path: Path) -> None:
    assert BASELINE.zero_shot()
    assert replace(BASELINE, intermediate=(task("panx:sw"),)).zero_shot()
    assert not replace(BASELINE, target=task("panx"), target_training_tasks=(task("panx:sw"),)).zero_shot()


def test_mining_takes_its_threshold_from_development_pairs_of_the_language(tmp_path: Path) -> None:
    for split in ("dev", "test"):
        for code in ("de", "zh"):
            for side, lines in ((code, "x\tu\n"), ("en", "e\tw\n"), ("gold", "x\te\n")):
                put(tmp_path, f"bucc2018/{code}-en.{split}.{side}", lines)
    found = replace(BASELINE, target=task("bucc"), data=tmp_path).scores()
    assert [*found] == ["de", "zh"]
    for code, promise in found.items():
        tuned = promise.arguments["tuned_from"].arguments["gold"].arguments["data"]
        assert (tuned.language, tuned.split) == (code, "validation")
    on_dev = replace(BASELINE, target=task("bucc"), split="validation", data=tmp_path).scores()
    assert {promise.arguments["tuned_from"] for promise in on_dev.values()} == {None}


def test_raw_text_is_measured_before_and_after_without_training_for_it() -> None:
    before, after = (replace(BASELINE, target=TEXT, intermediate=tasks) for tasks in ((), (POS,)))
    assert lessons(before) == []
    assert lessons(after) == [["sandbox_pos"]]
    assert {stage.arguments["model"] for stage in after.predictions().values()} == {after.model()}


def of_version(version: int, stage: Stage) -> Stage:
    """Return a stage as if its work were at a version, so that a key says nothing but what it is made of."""
    return Stage(replace(stage.work, version=version), stage.arguments)


def test_keys_are_those_of_the_stores_that_there_are() -> None:
    """Whatever makes keys faster: a key that changes makes every finished result be built again."""
    source, rest = (("reader", "tsv"), ("options", "[('ä', 1)]")), (("reader", "jsonl"),)
    labels, format = ("yes", "no"), "classification"
    test = DatasetSplit("xnli", format, "test", "sw", labels, source, (DataFile("a/b.tsv", "f" * 64),))
    files = (DataFile("x", "a" * 64), DataFile("y", "b" * 64))
    gold, taught = read(test), read(DatasetSplit("mnli", format, "train", "en", labels, rest, files, (-10, None)))
    alone = TrainingSet("mnli", format, labels, (taught,), None, "accuracy")
    beside = TrainingSet("text", "masked_lm", (), (taught, gold), gold, "mlm_loss", weight=0.5, alpha=0.3)
    recipe = Recipe(1e-5, 16, 2.0, warmup_steps=0.1, selection=Selection(100, 3, 50))
    encoder = Encoder("owner/model", "0123", "/anywhere")
    first = of_version(3, train(encoder, (alone, beside), recipe, 7))
    second = of_version(3, train(first, (alone,), Recipe(), seed=7))
    said = of_version(2, predict(second, gold, format, 128))
    found = scored(said, gold, "accuracy")
    tuned = scored(of_version(2, predict(encoder, gold, "bitext_retrieval", 512)), gold, "accuracy", found)
    assert {stage.label: stage.key for stage in (gold, taught, first, second, said)} == {
        "data-xnli-test-sw": "6d347731ae6a",
        "data-mnli-train-en": "1f53c18585d6",
        "train-mnli+text-seed7": "dc65dd66df9c",
        "train-mnli-seed7": "8bc32b136634",
        "predict-xnli-test-sw": "b72f425a160d",
    }
    assert [stage.key for stage in (found, tuned)] == ["77cf3fd4318f", "0cd11c7591be"]


def test_a_survey_answers_each_task_as_one_that_is_asked_alone() -> None:
    """Tasks that share a name and their sources, and differ in labels or languages, are not taken for each other."""
    fewer = replace(NLI, languages=CODES[:2])
    other = replace(NLI, labels=NLI.labels[::-1])
    runs = [
        replace(BASELINE, target=target, intermediate=first) for target in (NLI, fewer, other) for first in ((), (QA,))
    ]
    runs += [replace(BASELINE, target=RETRIEVAL), replace(BASELINE, target=NLI, seed=2), BASELINE]
    alone = [{code: stage.key for code, stage in run.scores().items()} for run in runs]
    with memoising():
        together = [{code: stage.key for code, stage in run.scores().items()} for run in runs]
        again = [{code: stage.key for code, stage in run.scores().items()} for run in runs]
    assert together == again == alone
    assert len({tuple(found.values()) for found in alone}) == len(runs) - 1


def test_the_next_survey_looks_at_the_disk_again(tmp_path: Path) -> None:
    """Nothing that was found for one plan is taken for the next: files change, come and go."""
    target, file = task("xnli"), tmp_path / "translated" / "xnli" / "train-sw.jsonl"
    with memoising():
        assert not target.has("train", "sw", tmp_path)
    file.parent.mkdir(parents=True)
    found = []
    for text in ("one", "another"):
        file.write_text(text)
        with memoising():
            assert target.has("train", "sw", tmp_path)
            found.append(target.data("train", "sw", tmp_path))
            assert target.data("train", "sw", tmp_path) is found[-1]
    assert found[0] != found[1]
    file.unlink()
    with memoising():
        assert not target.has("train", "sw", tmp_path)


# Weights that are combined.


def test_an_average_over_seeds_starts_all_heads_alike() -> None:
    run = replace(BASELINE, intermediate=(QA,), average="seeds:3", seed=2)
    members = run.model().arguments["members"]  # type: ignore[union-attr]
    assert {(stage.arguments["seed"], stage.arguments["head_seed"]) for stage in members} == {(2, None), (3, 2), (4, 2)}
    single = replace(run, average="").model()
    assert single in members
    assert [phase.role for phase in run.phases()] == ["intermediate"] * 3 + ["target"] * 3
    assert [phase.stage for phase in run.phases()][3:] == list(members)
    assert [phase.stage for phase in run.phases()][:3] == [stage.arguments["encoder"] for stage in members]
    assert len(behind(run.scores().values())["train"]) == 6
    assert replace(BASELINE, target=RETRIEVAL, average="seeds:3").model() == ENCODER


def test_an_average_of_last_snapshots_is_of_one_training() -> None:
    run = replace(BASELINE, intermediate=(QA,), average="last:5")
    first, second = run.phases()
    assert (first.recipe.snapshots, second.recipe.snapshots) == (0, 5)
    assert first == replace(BASELINE, intermediate=(QA,)).phases()[0]
    kept = replace(run, average="", recipes=Recipes("small", target=("snapshots=5",)))
    assert run.model().arguments["members"] == (kept.model(),)  # type: ignore[union-attr]
    assert second.model == run.model()


def test_intermediate_trainings_are_composed_before_the_target() -> None:
    run = replace(BASELINE, intermediate=(QA, POS), combine="add:0.5")
    *intermediate, target = run.phases()
    assert sorted(phase.tasks[0].name for phase in intermediate) == ["sandbox_pos", "sandbox_qa"]
    assert all(phase.stage == replace(BASELINE, intermediate=phase.tasks).phases()[0].stage for phase in intermediate)
    assert target.stage.arguments["encoder"] == intermediate[0].model == intermediate[1].model
    assert run.scores() == replace(run, intermediate=(POS, QA)).scores()
    swapped = replace(run, combine="swap@top:2")
    assert swapped.scores() != replace(swapped, intermediate=(POS, QA)).scores()
    assert replace(BASELINE, combine="add:0.5").scores() == BASELINE.scores()
    with pytest.raises(InputError, match="has 3 scales for 2 trainings"):
        replace(run, combine="add:1,1,1")


def test_a_run_continues_from_a_combination() -> None:
    """Its trainings are pretraining then, in the order in which they were a run's own."""
    first = replace(BASELINE, intermediate=(QA, POS), combine="ties:0.2", average="seeds:2,last:3")
    continued = replace(BASELINE, encoder=first.model(), target=QA)
    assert [phase.stage for phase in continued.phases()[:-1]] == [phase.stage for phase in first.phases()]
    assert [phase.role for phase in continued.phases()] == ["pretraining"] * 6 + ["target"]
