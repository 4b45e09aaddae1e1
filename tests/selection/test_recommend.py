from __future__ import annotations

import json
import math
import runpy
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tables import study
from xstilts import cli
from xstilts.errors import InputError
from xstilts.evaluation.score import CONTRIBUTIONS
from xstilts.experiments import grid
from xstilts.experiments.run import Recipes
from xstilts.experiments.score_table import BASELINE
from xstilts.models.encoder import Encoder
from xstilts.runtime.machine import Runtime
from xstilts.sandbox import CODES
from xstilts.selection import render, successive_halving
from xstilts.selection.backtest import COMBINED
from xstilts.selection.budget import Budget
from xstilts.selection.probes import CandidateSearch, ProbeStages, candidates_of, development, shortened
from xstilts.selection.recommend import CandidateScorer, of_rounds, recommend, standing
from xstilts.selection.recommendation import Advice, Figure, known
from xstilts.selection.successive_halving import Round, Rung, Standing
from xstilts.stats import Estimate
from xstilts.store import build, local_executor, manifest
from xstilts.store.stage import Stage, folder_of
from xstilts.tasks.base import task
from xstilts.training.recipe import Recipe

SETTINGS = ("batch_size=8", "max_length=48")
RECIPES = Recipes("small", SETTINGS, SETTINGS)
NAMES = ("sandbox_parity", "sandbox_roles")
RUNG = Rung(0, 2, 2)
ROOT = Path(__file__).parents[2]


def search(encoder: Encoder, target: str = "sandbox_ner", names: tuple[str, ...] = NAMES) -> CandidateSearch:
    return CandidateSearch(encoder, task(target), tuple(map(task, names)), RECIPES, seeds=2, steps=2, examples=24)


# From the command to the advice, on a tiny encoder.


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, few_examples: None) -> Runtime:
    return Runtime(tmp_path_factory.mktemp("recommend") / "store", device="cpu", threads=1)


@pytest.fixture(scope="module")
def found(families: Any, kept: Runtime) -> Advice:
    return recommend(search(Encoder.of(families["xlm-roberta"])), kept)


def test_every_method_has_a_figure_for_every_candidate(found: Advice) -> None:
    assert list(found.figures) == ["logme", "h_score", "knn", "textemb", "taskemb", "probe"]
    assert set(found.figures) < set(render.METHODS)
    for held in found.figures.values():
        assert set(held) == set(NAMES)
        assert all(math.isfinite(one.value) for one in held.values())
    assert sorted(found.combined()) == sorted(NAMES)
    assert found.missing == ()


def test_figures_of_several_seeds_have_intervals(found: Advice) -> None:
    for method in ("logme", "knn", "taskemb", "probe"):
        assert all(one.low <= one.value <= one.high for one in found.figures[method].values()), method


def test_a_second_call_builds_nothing_and_says_the_same(found: Advice, families: Any, kept: Runtime) -> None:
    again = recommend(search(Encoder.of(families["xlm-roberta"])), kept)
    assert found.built > 0 == again.built
    assert replace(again, built=found.built) == found


def test_a_target_is_trained_on_what_is_named_instead_of_its_own_data(encoder: Encoder) -> None:
    own = search(encoder)
    for names, last in (
        ("", "sandbox_ner"),
        ("sandbox_names", "sandbox_names"),
        ("sandbox_roles+sandbox_pos", "sandbox_pos"),
    ):
        stages = ProbeStages(replace(own, target=grid.trained_on(own.target, names)), None)
        trained = stages.probe_on_target(BASELINE, RUNG, 1)
        assert isinstance(trained, Stage)
        assert [one.task for one in trained.arguments["training_sets"]] == [last]
    with pytest.raises(InputError, match="unknown task"):
        grid.trained_on(own.target, "sandbox_nothing")


def test_a_budget_leaves_out_what_it_does_not_reach_and_says_so(found: Advice, families: Any, kept: Runtime) -> None:
    poor = recommend(search(Encoder.of(families["xlm-roberta"])), kept, hours=1e-9)  # enough for the first payment
    assert sum(poor.spent.values()) < sum(found.spent.values())
    assert poor.rounds == ()
    assert any("the budget did not reach" in one for one in poor.missing)
    assert known(poor) is None
    assert next(render.summary_lines(poor)).startswith("nothing is known")


def test_what_is_printed_has_every_candidate_and_the_price(found: Advice, tmp_path: Path, capsys: Any) -> None:
    render.show(found, tmp_path)
    printed = capsys.readouterr().out
    assert all(name in printed for name in NAMES)
    assert "spent" in printed
    assert "not known" in printed  # two steps tell nothing
    plain = json.loads((tmp_path / render.ADVICE).read_text())
    assert plain["budget_seconds"] is None
    assert plain["ranks"].keys() == found.figures.keys()
    assert plain["rounds"][0]["gains"].keys() == set(NAMES)


def test_the_command_ranks_and_judges(
    families: Any, kept: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    encoder = Encoder.of(families["xlm-roberta"]).name
    gains = {name: (number, number + 1) for number, name in enumerate(NAMES)}
    study(tmp_path / "table.csv", gains, target="sandbox_ner", encoder=encoder)
    asked = [
        "--target",
        "sandbox_ner",
        "--candidates",
        ",".join(NAMES),
        "--steps",
        "2",
        "--seeds",
        "2",
        "--examples",
        "24",
    ]
    more = ["--recipe", "small", *(part for one in SETTINGS for part in ("--set", one)), "--against", str(tmp_path)]
    where = ["--store", str(kept.store), "--device", "cpu", "--threads", "1"]
    command = ["xstilts", "recommend", "--encoder", str(families["xlm-roberta"]), *asked, *more, *where]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    printed = capsys.readouterr().out
    assert "0 stages built now" in printed
    assert "at random" in printed


def test_an_untrained_target_is_asked_by_pairs_and_probes_alone(encoder: Encoder, machine: Runtime) -> None:
    asked = search(encoder, "sandbox_retrieval", NAMES[:1])
    advised = recommend(replace(asked, steps=1, seeds=1), machine)
    assert set(advised.figures) == {"knn", "probe"}
    assert any("no training data to embed" in one for one in advised.missing)


# The promises.


def test_peeks_are_short_and_share_what_they_can(encoder: Encoder) -> None:
    stages = ProbeStages(search(encoder), None)
    model = stages.probe("sandbox_roles", RUNG, 1)
    assert isinstance(model, Stage)
    assert (model.arguments["recipe"].steps, model.arguments["recipe"].max_train_examples) == (2, 16)
    assert model in stages.score("sandbox_roles", RUNG, 1).arguments["predictions"].arguments["model"].inputs
    assert model in stages.features("sandbox_roles", RUNG, 1).inputs
    assert stages.probe(BASELINE, RUNG, 1) is encoder
    assert stages.features(BASELINE, RUNG, 1) == stages.features(BASELINE, RUNG, 2)


def test_nothing_is_measured_on_test_data_or_in_another_language(encoder: Encoder) -> None:
    for name in ("sandbox_ner", "sandbox_qa", "sandbox_nli"):
        _, data = development(search(encoder, name), None)
        assert (data.arguments["data"].split, data.arguments["data"].language) == ("validation", CODES[0])
        assert data.arguments["data"].sample == search(encoder, name).examples
    _, data = development(search(encoder, "sandbox_retrieval"), None)
    assert data.arguments["data"].language == task("sandbox_retrieval").dev_language


def test_a_shortened_training_keeps_what_it_can() -> None:
    whole = Recipe(batch_size=10, epochs=2, warmup_steps=40)
    short = shortened(whole, 50, 1000)
    assert (short.steps, short.max_train_examples, short.warmup_steps) == (50, 500, 0.2)
    assert shortened(whole, 500, 1000).steps == 200  # never longer than it would have been
    assert shortened(Recipe(steps=30), 50, None).steps == 30
    assert shortened(replace(whole, max_train_examples=100), 50, 1000).max_train_examples == 100
    assert shortened(replace(whole, max_train_examples=100), 50, 1000).steps == 20
    assert shortened(whole, 50, None).warmup_steps == 0.1
    assert shortened(replace(whole, warmup_steps=0.06), 50, None).warmup_steps == 0.06


def test_candidates_are_the_labelled_tasks_that_can_be_trained_on_here() -> None:
    found = {one.name for one in candidates_of(task("sandbox_ner"), None, None)}
    assert "sandbox_ner" not in found
    assert {"sandbox_cloze", "sandbox_names", "sandbox_nli"} <= found
    assert not {"sandbox_text", "sandbox_parallel", "mnli"} & found
    assert [one.name for one in candidates_of(task("sandbox_ner"), "mnli, sandbox_text", None)] == [
        "mnli",
        "sandbox_text",
    ]
    with pytest.raises(InputError, match="no task has training data"):
        candidates_of(task("xnli"), None, None)


def test_questions_without_sense_are_refused(encoder: Encoder) -> None:
    with pytest.raises(InputError, match="different candidates"):
        search(encoder, names=("sandbox_roles", "sandbox_roles"))
    with pytest.raises(InputError, match="different candidates"):
        search(encoder, names=())
    with pytest.raises(InputError, match="cannot be learned from"):
        search(encoder, names=("bucc",))
    with pytest.raises(InputError, match="neither training data nor a language"):
        search(encoder, target="common_voice")


# The budget.

THREE = ("sandbox_roles", "sandbox_parity", "sandbox_cloze")
RIGHT = {"sandbox_roles": 30, "sandbox_parity": 25, "sandbox_cloze": 20}
DEAR = "sandbox_cloze"


def behind(one: Stage) -> set[str]:
    """Return the tasks that were learned on the way to a stage."""
    own = {lesson.task for lesson in one.arguments.get("training_sets", ())}
    return own.union(*map(behind, one.inputs))


def seconds(one: Stage) -> float:
    """Return what a stage shall have cost: half a second a step of trainings, forty times that on one task; else one."""
    if "recipe" not in one.arguments:
        return 1.0
    steps: int = one.arguments["recipe"].steps
    return steps / 2 * (40 if one.arguments["training_sets"][0].task == DEAR else 1)


def pretended(promised: Sequence[Stage], machine: Runtime) -> int:
    """Leave records as if stages had been built, and what scores count."""
    todo = build.missing(tuple(promised), machine)
    for one in todo:
        folder = folder_of(one, machine)
        folder.mkdir(parents=True)
        right = max((RIGHT.get(name, 0) for name in behind(one)), default=0) + int(one.key[0], 16) % 3
        (folder / CONTRIBUTIONS).write_text("".join(f"[{int(n < right)}]\n" for n in range(40)))
        manifest.write(folder, {"seconds": seconds(one)})
    return len(todo)


@pytest.fixture
def scorer(encoder: Encoder, machine: Runtime, monkeypatch: pytest.MonkeyPatch) -> CandidateScorer:
    """Nothing paid yet, and nothing trained."""
    monkeypatch.setattr(local_executor, "build_all", pretended)
    return CandidateScorer(ProbeStages(search(encoder, "sandbox_nli", THREE), None), Budget(machine))


# Of each seed of the second round: a peek and a training on the target of four steps, predictions and a score; the
# baseline has no peek.
LONGER = Rung(1, 4, 3)
PLAIN, CHEAP, COSTLY = 3 * (2 + 2), 3 * (2 + 2 + 2), 3 * (80 + 2 + 2)


def leave(scorer: CandidateScorer, seconds: float) -> None:
    scorer.budget.seconds = sum(scorer.budget.spent.values()) + seconds


def test_a_round_has_room_for_all_but_the_dear_ones_that_come_last(scorer: CandidateScorer) -> None:
    scorer.standings(THREE, RUNG)
    for left, rooms in (
        (PLAIN + 2 * CHEAP + COSTLY, 3),
        (PLAIN + 2 * CHEAP + COSTLY - 1, 2),
        (PLAIN + 2 * CHEAP, 2),
    ):
        leave(scorer, left)
        assert scorer.room(THREE, LONGER) == rooms
    assert scorer.unpaid == []
    assert scorer.room(THREE[::-1], LONGER) == 0  # the dear one comes first, and nothing goes before it
    leave(scorer, PLAIN + 2 * CHEAP - 1)
    assert scorer.room(THREE, LONGER) == 1
    assert scorer.unpaid[1] == "round 2 (the baseline, sandbox_roles and sandbox_parity: about 48 s, 47 s left)"


def test_a_dear_candidate_keeps_no_other_from_the_next_round_and_again_the_same(scorer: CandidateScorer) -> None:
    rungs = successive_halving.ladder(3, steps=2, seeds=2)
    scorer.standings(THREE, RUNG)
    budget = sum(scorer.budget.spent.values()) + PLAIN + 2 * CHEAP + 10
    found = []
    for _ in range(2):  # at first the second round is not there
        again = CandidateScorer(scorer.stages, Budget(scorer.budget.machine, budget))
        found.append(
            (successive_halving.halve(THREE, rungs, again.standings, again.room), again.budget.spent, again.unpaid)
        )
    (first, last), spent, unpaid = found[0]
    assert first.dropped.keys() == {DEAR}
    assert {one.name for one in last.standings} == {"sandbox_roles", "sandbox_parity"}
    assert (sum(spent.values()), unpaid) == (budget - 10, [])
    assert found[1] == found[0]


# From figures to what is known.


def contributions(share: float, seeds: int = 3, examples: int = 200) -> np.ndarray[Any, Any]:
    """Return right and wrong answers of which a share is right, a little differently for each seed."""
    right = np.zeros((seeds, examples, 1))
    for seed in range(seeds):
        right[seed, : round(share * examples) + seed, 0] = 1
    return right


def test_standings_are_gains_over_the_baseline_the_best_first() -> None:
    scores = {BASELINE: contributions(0.5), "a": contributions(0.4), "b": contributions(0.9), "c": contributions(0.6)}
    found = standing(scores, "accuracy")
    assert [one.name for one in found] == ["b", "c", "a"]
    assert [one.gain.value for one in found] == pytest.approx([40, 10, -10])
    assert found[0].behind is None
    assert [one.behind.value for one in found[1:] if one.behind] == pytest.approx([30, 50])


def sure(value: float) -> Estimate:
    return Estimate(value, 0.01, 3)


def unsure(value: float) -> Estimate:
    return Estimate(value, 1e4, 3)


def told(gain: Estimate, behind: Estimate, favourites: str = "aaa") -> Advice:
    """Return an advice of three methods with these favourites, and probes of two candidates."""
    rounds = (Round(Rung(0, 10, 3), (Standing("a", gain), Standing("b", gain, behind)), {}),)
    figures = {
        str(number): {name: Figure(float(name == favourite)) for name in "ab"}
        for number, favourite in enumerate(favourites)
    }
    return Advice("e", "t", ("a", "b"), figures, rounds)


def test_it_is_known_only_where_methods_agree_and_intervals_are_clear() -> None:
    found = known(told(sure(5), sure(3)))
    assert found
    assert (found.favourite, found.effect, found.best) == ("a", "helps", True)
    close = known(told(sure(5), unsure(3)))
    assert close
    assert (close.best, close.close) == (False, ("b",))
    split = told(sure(5), sure(3), "aab"), told(sure(5), sure(3), "aabb")
    assert [one.best for one in map(known, split) if one] == [True, False]
    assert "methods disagree (2: b; 3: b)" in " ".join(render.summary_lines(split[1]))


def test_what_is_said_of_the_effect_is_what_the_interval_allows() -> None:
    said = [
        " ".join(render.summary_lines(told(gain, sure(3))))
        for gain in (sure(5), sure(-5), unsure(5), Estimate(5.0, math.nan, 1))
    ]
    assert "it helps" in said[0]
    assert "it harms" in said[1]
    assert ["take none of these" in one for one in said] == [False, True, False, False]  # in said[1] both harm
    assert "not known whether it helps" in said[2]
    assert "no interval: one seed" in said[3]


def probed(*gains: Estimate | None, ranks: str = "abc") -> Advice:
    """Return an advice of one method that ranks candidates so, and of a round of those that have a gain."""
    standings = [Standing(name, gain) for name, gain in zip("abc", gains, strict=False) if gain]
    figures = {"one": {name: Figure(-float(ranks.index(name))) for name in ranks}}
    return Advice("e", "t", tuple(ranks), figures, (Round(Rung(0, 10, 3), tuple(standings), {}),))


def test_what_probes_show_to_harm_is_no_favourite_while_another_is_not_so() -> None:
    found = probed(sure(-4), unsure(-1), sure(-2))
    assert list(found.combined().items()) == [("b", 2.0), ("a", 1.0), ("c", 3.0)]
    assert list(render.rows(found)) == ["b", "a", "c"]
    what = known(found)
    assert what
    assert (what.favourite, what.effect, what.harmful) == ("b", "", ("a", "c"))
    scores = found.scores()[COMBINED]
    assert sorted(scores, key=lambda name: -scores[name]) == ["b", "a", "c"]
    said = " ".join(render.summary_lines(found))
    assert "b has the best mean rank of those that probes do not show to harm" in said
    assert "do not take a, c" in said
    assert "none of these" not in said


def test_a_candidate_that_was_not_probed_is_not_known_to_harm() -> None:
    found = known(probed(sure(-4), ranks="ab"))
    assert found
    assert (found.favourite, found.harmful) == ("b", ("a",))


def test_where_all_harm_the_ranks_decide_and_none_is_to_be_taken() -> None:
    found = probed(sure(-1), sure(-2), sure(-3), ranks="cab")
    what = known(found)
    assert what
    assert (what.favourite, what.effect) == ("c", "harms")
    said = " ".join(render.summary_lines(found))
    assert "take none of these" in said
    assert "do not take" not in said
    assert "of those" not in said


def test_the_last_round_decides_what_harms() -> None:
    short = Round(Rung(0, 10, 3), (Standing("a", sure(-4)), Standing("b", sure(-4))), {})
    longer = Round(Rung(1, 20, 4), (Standing("a", sure(4)), Standing("b", sure(-4))), {})
    figures = {"one": {"a": Figure(1.0), "b": Figure(2.0)}}
    found = known(Advice("e", "t", ("a", "b"), figures, (short, longer)))
    assert found
    assert (found.favourite, found.effect) == ("a", "helps")


def test_a_method_that_does_not_know_all_is_shown_and_not_combined() -> None:
    figures = {"one": {"a": Figure(1.0), "b": Figure(2.0)}, "two": {"a": Figure(9.0)}}
    found = Advice("e", "t", ("a", "b"), figures)
    assert found.combined() == {"b": 1.0, "a": 2.0}
    assert render.rows(found)["b"] == ["2.000 #1", "-", "1.0"]
    assert list(found.scores()) == ["one", "two", COMBINED]


def test_halving_ranks_who_went_further_first_whatever_the_gain() -> None:
    first = Round(Rung(0, 10, 2), (Standing("a", sure(9)), Standing("b", sure(8)), Standing("c", sure(7))), {"c": "x"})
    last = Round(Rung(1, 20, 3), (Standing("b", sure(2)), Standing("a", sure(1))), {})
    figures = of_rounds((first, last))
    found = Advice("e", "t", ("a", "b", "c"), figures, (first, last))
    assert found.ranks()["probe"] == {"a": 1, "b": 2, "c": 3}
    assert found.ranks()["halving"] == {"a": 2, "b": 1, "c": 3}
    assert figures["halving"]["c"].value == 7
    assert set(of_rounds((first,))) == {"probe"}
    assert of_rounds(()) == {}


def test_every_method_is_explained() -> None:
    text = (ROOT / "docs/experiments/recommend.md").read_text(encoding="utf-8")
    assert [method for method in render.METHODS if f"| `{method}` |" not in text] == []


def test_the_page_of_results_is_what_its_file_says() -> None:
    script = runpy.run_path(str(ROOT / "benchmarks/recommend.py"))
    results = json.loads((ROOT / "docs/results/recommend.json").read_text(encoding="utf-8"))
    assert script["written"](results) == (ROOT / "docs/results/recommend.md").read_text(encoding="utf-8")


def test_an_encoder_that_cannot_be_loaded_is_refused_before_any_stage(tmp_path: Path) -> None:
    machine = Runtime(tmp_path / "store", device="cpu", threads=1)
    with pytest.raises(InputError, match="is no longer there"):
        recommend(search(Encoder("gone", "ab" * 32, str(tmp_path / "gone"))), machine)
    assert not machine.store.exists()
