"""The designs of the studies of replication, model size and multilingual mixes: what their claims need, at each scale."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from xstilts.claims.claim import MOST_TESTED, Claim, check_all, level_shares
from xstilts.claims.measures import Gain, Growth, Mean
from xstilts.claims.results_table import Result, ResultsTable
from xstilts.data.examples import ClassificationExample
from xstilts.errors import InputError
from xstilts.experiments import study as studies
from xstilts.experiments.extra_tables import GainBySize
from xstilts.experiments.run import repeats_training_data
from xstilts.experiments.study import SCALES, DevSelectedTask, Study
from xstilts.models.configs import config_of
from xstilts.models.encoder import Encoder
from xstilts.models.naming import name_of
from xstilts.planning import power, render
from xstilts.runtime import progress
from xstilts.store.names import INTERMEDIATE
from xstilts.tasks.base import Task, task
from xstilts.training.recipe import Recipe
from xstilts.training.training_set import _drawn

FOLDER = Path(__file__).parents[2] / "studies"
REPLICATION, SIZES, MIXES = "replication", "model_size", "multilingual_mix"
ALL = [(name, scale) for name in (REPLICATION, SIZES, MIXES) for scale in SCALES]
EACH = pytest.mark.parametrize("scale", SCALES)


@cache
def loaded(name: str, scale: str) -> Study:
    return studies.load(FOLDER / f"{name}.py", scale)


def gains(measure: Any) -> Iterator[Gain]:
    if isinstance(measure, Gain):
        yield measure
    elif isinstance(measure, Mean):
        yield from measure.gains
    elif isinstance(measure, Growth):
        yield from gains(measure.gain)


def split(claims: tuple[Claim, ...]) -> tuple[list[Claim], list[Claim]]:
    """Return the claims that are tested, and those that are only described."""
    return [claim for claim in claims if claim.is_tested], [claim for claim in claims if claim.descriptive]


# Claims that can be decided.


@pytest.mark.parametrize(("name", "scale"), ALL)
def test_at_most_six_claims_are_tested_and_those_that_answer_come_first(name: str, scale: str) -> None:
    claims = loaded(name, scale).claims
    tested, described = split(claims)
    assert len(claims) == len(tested) + len(described)
    assert 1 <= len(tested) <= MOST_TESTED
    answers = [claim.answers for claim in tested]
    assert answers == sorted(answers, reverse=True)
    answering = sum(level_shares(answers, [True] * len(answers))[: sum(answers)])
    assert answering == pytest.approx(0.5 if not all(answers) else 1.0)


def scores(*settings: str, seeds: int = 3) -> tuple[Result, ...]:
    return tuple(
        Result("e", name, "xnli", "sw", seed, 40.0 + at + seed / 10 + at * seed / 9, (f"{name}{seed}",))
        for at, name in enumerate(settings)
        for seed in range(1, seeds + 1)
    )


def test_a_described_claim_changes_no_verdict_and_has_none() -> None:
    table = ResultsTable(scores("baseline", "a", "b"))
    tested = [Claim(name, Gain(name, "xnli"), "above") for name in ("a", "b")]
    described = Claim("more", Gain("a", "xnli", over="b"), "below", descriptive=True)
    with_it, alone = check_all([*tested, described], table), check_all(tested, table)
    assert with_it[:2] == alone
    assert with_it[2].status == "descriptive"
    assert with_it[2].interval[0] < with_it[2].estimate < with_it[2].interval[1]
    assert str(with_it[2].p_holm) == "nan"
    with pytest.raises(InputError, match="answer a question and be descriptive"):
        Claim("both", Gain("a", "xnli"), "above", answers=True, descriptive=True)


def test_a_study_with_too_many_claims_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "many.py"
    path.write_text(
        "from dataclasses import replace\n"
        + (FOLDER.parent / "examples" / "study.py")
        .read_text(encoding="utf-8")
        .replace("from __future__ import annotations", "")
        .replace("(helps,)", "(helps, *(replace(helps, sentence=f'Number {n}', answers=False) for n in range(6)))"),
        encoding="utf-8",
    )
    notes: list[str] = []
    with progress.also_listening(lambda event: notes.append(event.label)):
        studies.load(path, "sandbox")
    assert any("7 claims are tested together" in note for note in notes)


# Replication.

FULL_PAIRS = {
    ("mnli", "xnli"), ("anli_plus", "xnli"), ("squad", "xquad"), ("squad", "mlqa"), ("squad2", "xquad"), ("squad2", "mlqa")
}  # fmt: skip


def repeated(asked: Study) -> set[tuple[str, str]]:
    pairs = ((setting, run) for arm in asked.arms for setting, run in arm.settings())
    return {(setting, run.target.name) for setting, run in pairs if run.repeats_training_data}


def test_pairs_that_repeat_the_targets_training_data_are_known() -> None:
    found = repeated(loaded(REPLICATION, "full"))
    mix = next(setting for setting, _ in found if "+" in setting)
    assert found == FULL_PAIRS | {(mix, target) for target in ("xnli", "xquad", "mlqa")}
    assert repeats_training_data((task("mnli:sw"),), task("xnli").target_training_tasks())
    assert not repeats_training_data((task("xquad"),), task("tydiqa").target_training_tasks())


@EACH
def test_pairs_that_repeat_training_data_are_in_no_mean_and_stand_apart(scale: str) -> None:
    asked = loaded(REPLICATION, scale)
    tested, described = split(asked.claims)
    pairs = repeated(asked)
    assert pairs
    assert not pairs & {(gain.intermediate, gain.target) for claim in tested for gain in gains(claim.measure)}
    apart = {
        (claim.measure.intermediate, claim.measure.target) for claim in described if isinstance(claim.measure, Gain)
    }
    assert pairs <= apart
    assert all(choice.with_repeated == ("own data" in choice.label) for choice in asked.choices)  # type: ignore[union-attr]


@EACH
def test_the_translated_arm_has_as_many_examples_as_the_english_one_and_is_compared_with_it(scale: str) -> None:
    asked = loaded(REPLICATION, scale)
    english = asked.arms[0].grid.recipes
    others = [arm for arm in asked.arms if arm.label.startswith("translated")]
    assert others
    for arm in others:
        ((setting,),) = arm.grid.settings
        compared = [
            gain
            for claim in split(asked.claims)[0]
            for gain in gains(claim.measure)
            if gain.recipe == arm.label and gain.over_recipe == "English"
        ]
        (over,) = {gain.over for gain in compared}
        whole = english.of((task(over),), INTERMEDIATE).max_train_examples or task(over).counts["train"]
        share = arm.grid.recipes.of((setting,), INTERMEDIATE).max_train_examples
        assert share is not None
        assert whole - len(setting.trained_in) < share * len(setting.trained_in) <= whole


@EACH
def test_masked_lm_is_on_several_pairs_and_the_mix_is_held_against_the_best_single_task(scale: str) -> None:
    asked = loaded(REPLICATION, scale)
    tested, _ = split(asked.claims)
    every = [gain for claim in tested for gain in gains(claim.measure)]
    assert len({(gain.intermediate, gain.target) for gain in every if gain.recipe == "with masked-LM"}) > 1
    mixed = next(arm.grid.mlm for arm in asked.arms if arm.grid.mlm)
    assert mixed.task.name == {"full": "wikipedia", "small": "common_voice", "sandbox": "sandbox_text"}[scale]
    against = [gain for gain in every if gain.over_recipe == "best on dev"]
    assert against
    assert all("+" in gain.intermediate for gain in against)
    headline = tested[0]
    assert headline.answers
    assert {(gain.recipe, gain.target) for gain in gains(headline.measure)} == {
        ("best on dev", target.name) for target in asked.arms[0].grid.targets
    }
    assert any(claim.published == "phang2020-best-gain" for claim in asked.claims)


def row(setting: str, target: str, dev: float, seed: int = 1, repeats: bool = False) -> Result:
    return Result("e", setting, target, "sw", seed, 50.0, (), "arm", target_dev=dev, repeats_training_data=repeats)


def test_the_best_task_is_chosen_by_development_scores_of_the_target() -> None:
    nan = float("nan")
    rows = [
        *(row("baseline", target, 60.0) for target in ("xnli", "panx")),
        *(row("mnli", target, dev, repeats=target == "xnli") for target, dev in (("xnli", 99.0), ("panx", 61.0))),
        *(row("squad", target, dev) for target, dev in (("xnli", 62.0), ("panx", 70.0))),
        *(row("ccg", target, dev) for target, dev in (("xnli", 61.0), ("panx", 60.5))),
        *(row(name, "tatoeba", nan) for name in ("baseline", "mnli", "squad", "ccg")),
        row("squad", "panx", 0.0, seed=2),  # a mean over seeds, so that one lucky seed does not decide
    ]
    among = ("mnli", "squad", "ccg")
    chosen = studies.chosen_tasks(DevSelectedTask("best", "arm", among), rows)
    assert chosen == {("e", "xnli"): "squad", ("e", "panx"): "mnli", ("e", "tatoeba"): "mnli"}
    every = studies.chosen_tasks(DevSelectedTask("best", "arm", among, with_repeated=True), rows)
    assert every["e", "xnli"] == "mnli"
    relabelled = list(studies._chosen(DevSelectedTask("best", "arm", among), rows, ()))
    assert {(one.recipe, one.target, one.intermediate) for one in relabelled} == {
        ("best", target, setting) for (_, target), setting in chosen.items()
    }


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (DevSelectedTask("best", "Englisch", ("squad",)), "no arm is labelled 'Englisch'"),
        (DevSelectedTask("best", "English", ("squat",)), "no setting 'squat'"),
        (DevSelectedTask("English", "English", ("squad",)), "is that of another arm"),
    ],
)
def test_a_choice_among_what_is_not_there_is_refused(choice: DevSelectedTask, said: str) -> None:
    asked = loaded(REPLICATION, "full")
    with pytest.raises(InputError, match=said):
        Study("?", asked.arms[:1], (), (choice,))


# Model size.


@EACH
def test_every_slope_is_over_five_sizes_or_more(scale: str) -> None:
    asked = loaded(SIZES, scale)
    for claim in asked.claims:
        if isinstance(claim.measure, Growth):
            (label,) = {gain.recipe for gain in gains(claim.measure)}
            encoders = {name_of(arm.grid.encoder) for arm in asked.arms if arm.label == label}
            assert len(encoders) >= 5
    if scale == "full":
        public = [arm.grid.encoder for arm in asked.arms]
        assert all(isinstance(encoder, Encoder) and config_of(encoder) is not None for encoder in public)
        seeds = [arm.grid.seeds for arm in asked.arms if arm.label == "mT5"]
        assert seeds == sorted(seeds, reverse=True)  # small encoders are cheap


def test_the_growth_of_a_mean_is_the_slope_of_means() -> None:
    rows = tuple(
        Result(f"e{at}", name, target, "sw", 1, 40.0 + gain * at, (f"{name}{target}{at}",), size=1e8 * 2**at)
        for at in range(5)
        for target, gained in (("xquad", 1.0), ("panx", 3.0))
        for name, gain in (("baseline", 0.0), ("mnli", gained))
    )
    both = Growth(Mean((Gain("mnli", "xquad"), Gain("mnli", "panx"))))
    assert both.of(ResultsTable(rows)).estimate.value == pytest.approx(2.0)


def test_an_encoder_has_one_size_whatever_heads_its_targets_have() -> None:
    rows = tuple(
        Result(f"e{at}", name, target, "sw", 1, 40.0 + at, (f"{name}{target}{at}",), size=1e8 * 2**at + head)
        for at in range(3)
        for target, head in (("udpos", 6000), ("uner", 2000))
        for name in ("baseline", "ccg")
    )
    table = ResultsTable(rows)
    assert table.sizes() == {f"e{at}": 1e8 * 2**at + 2000 for at in range(3)}
    made = GainBySize(Gain("ccg", "udpos")).made(table, {})
    assert [row[:2] for row in made["rows"]] == [[f"e{at}", 10**8 * 2**at + 2000] for at in range(3)]


# Multilingual mixes.


def mixes(asked: Study) -> Iterator[tuple[str, tuple[Task, ...], Recipe]]:
    for arm in asked.arms:
        (setting,) = arm.grid.settings
        yield arm.label, setting, arm.grid.recipes.of(setting, INTERMEDIATE)


def test_there_are_several_families_of_one_to_ten_billion_parameters() -> None:
    encoders = {arm.grid.encoder for arm in loaded(MIXES, "full").arms}
    configs = [config_of(encoder) for encoder in encoders if isinstance(encoder, Encoder)]
    assert len({config.model_type for config in configs}) >= 2
    for config in configs:
        width, wide = config.hidden_size, config.intermediate_size
        assert config.num_hidden_layers * (2 * width**2 + 2 * width * wide) > 1e9
        assert config.num_hidden_layers * (4 * width**2 + 3 * width * wide) + config.vocab_size * width < 10e9


@EACH
def test_mixes_have_the_same_questions_and_as_many_examples(scale: str) -> None:
    asked = loaded(MIXES, scale)
    by_label = {label: (setting, recipe) for label, setting, recipe in mixes(asked)}
    same, others = by_label["English, the same questions"], by_label["other languages, the same questions"]
    assert same[1].max_train_examples == others[1].max_train_examples
    if scale != "small":  # whose translations are of one set, in a task for each data set
        assert [one.name for one in same[0]] == [one.name for one in others[0]]
    seen = {
        (recipe.max_train_examples or 0) * sum(len(one.training_parts()) for one in setting) * recipe.epochs
        for setting, recipe in by_label.values()
    }
    assert len(seen) == 1
    assert all(recipe.selection is None for _, recipe in by_label.values())  # which would hold out other questions


def test_training_draws_the_same_questions_of_translations() -> None:
    english, other = (
        [ClassificationExample(f"{at}", f"{code} {at}", None, "yes") for at in range(50)] for code in ("en", "sw")
    )
    drawn = [[example.id for example in _drawn(list(examples), 20)] for examples in (english, other)]
    assert drawn[0] == drawn[1]


# Power.


def test_a_plan_says_what_each_tested_claim_detects_and_that_it_is_a_guess() -> None:
    asked = loaded(REPLICATION, "full")
    planned = power.plan(asked, power.Variances())
    assert [entry.claim for entry in planned] == split(asked.claims)[0]
    assert all(entry.replicates == 5 and 0 < entry.detectable < 5 for entry in planned)
    assert planned[0].share == 0.25
    (equivalent,) = (entry for entry in planned if entry.claim.expectation == "equivalent")
    assert "equivalence within" in equivalent.describe()
    written = power.to_json(planned, asked, power.Variances())
    assert written["variances"]["guessed"]
    assert len(written["described"]) == len(split(asked.claims)[1])
    assert any("assumed variances" in line and "--pilot" in line for line in written["notes"])
    table, *lines = render.power_parts(planned, written["notes"])
    assert getattr(table, "row_count", 0) == len(planned)
    assert any("80 %" in str(line) for line in lines)


def test_more_seeds_detect_less_and_a_margin_that_is_too_small_is_said() -> None:
    gain = Gain("mnli", "xquad")
    same = Claim("They are the same", gain, "equivalent", margin=0.5)

    def detectable(seeds: int) -> power.ClaimPower:
        arm = loaded(REPLICATION, "full").arms[0]
        one = replace(arm, grid=replace(arm.grid, seeds=seeds, targets=(task("xquad"),)))
        return power.plan(Study("?", (one,), (same,)), power.Variances(examples=0.1))[0]

    few, many = detectable(3), detectable(200)
    assert few.detectable > many.detectable
    assert few.too_weak
    assert few.seeds_needed is not None
    assert few.seeds_needed > 3
    assert "not enough for the margin" in few.describe()
    assert not many.too_weak
    (single,) = [detectable(1)]
    assert str(single.detectable) == "nan"
    assert "is not known" in single.describe()


def test_slopes_need_the_sizes_of_their_encoders() -> None:
    names = {name_of(arm.grid.encoder): 1e6 * 2**at for at, arm in enumerate(loaded(SIZES, "sandbox").arms)}
    (known,) = power.plan(loaded(SIZES, "sandbox"), power.Variances(), names)
    (unknown,) = power.plan(loaded(SIZES, "sandbox"), power.Variances())
    assert known.replicates == 5
    assert 0 < known.detectable < 10
    assert str(unknown.detectable) == "nan"


def test_a_pilot_gives_the_variances_of_its_gains_and_of_the_very_measures_that_it_has(tmp_path: Path) -> None:
    rows = [
        {
            name: getattr(one, name)
            for name in ("encoder", "intermediate", "target", "language", "seed", "score", "keys")
        }
        | {"stderr": 0.3}
        for one in scores("baseline", "mnli", seeds=4)
    ]
    (tmp_path / "report.json").write_text(json.dumps({"rows": rows}), encoding="utf-8")
    pilot = power.Variances.of(tmp_path)
    measured = Gain("mnli", "xnli").of(ResultsTable(scores("baseline", "mnli", seeds=4))).estimate
    assert pilot.seed**2 == pytest.approx(measured.between)
    assert pilot.examples > 0
    assert str(tmp_path) in pilot.source
    planned = power.plan(loaded(REPLICATION, "full"), pilot)
    assert all(entry.source == pilot.source for entry in planned)
    arm = loaded(REPLICATION, "full").arms[0]
    one = Claim("It helps", Gain("mnli", "xnli"), "above")
    (direct,) = power.plan(Study("?", (arm,), (one,)), pilot)
    assert "this very measure" in direct.source
    assert direct.replicates == 5
    for folder, text in ((tmp_path / "none", None), (tmp_path, "{}"), (tmp_path, json.dumps({"rows": rows[:1]}))):
        if text:
            (folder / "report.json").write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match="give"):
            power.Variances.of(folder)
