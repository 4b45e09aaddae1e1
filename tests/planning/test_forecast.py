"""A forecast is what the ledgers will say, and says what it does not know."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from xstilts.cost import flops
from xstilts.cost.activation_memory import Device
from xstilts.errors import InputError
from xstilts.experiments import study as studies
from xstilts.experiments.grid import Grid, tasks_of
from xstilts.experiments.run import MaskedLmMixing, Recipes
from xstilts.experiments.splits import NamedSplits
from xstilts.experiments.study import Arm, Study
from xstilts.models.configs import config_of
from xstilts.models.encoder import SANDBOX, Encoder, load_backbone
from xstilts.models.freezing import freeze
from xstilts.models.heads import attach
from xstilts.models.network import Network
from xstilts.planning import dataset_sizes, flops_estimate, render
from xstilts.planning.forecast import Forecast, Gpu, PlannedRun, configuration, forecast, planned
from xstilts.runtime.machine import Runtime
from xstilts.store.manifest import read as read_record
from xstilts.store.stage import Stage
from xstilts.tasks.base import task
from xstilts.training.memory import GIB, Setting, estimate
from xstilts.training.recipe import Recipe
from xstilts.training.training_set import TrainingSet

LARGE, XL = "FacebookAI/xlm-roberta-large", "facebook/xlm-roberta-xl"
NINE = ("anli_plus", "mnli", "qqp", "squad", "squad2", "hellaswag", "ccg", "cosmosqa", "csqa")
TARGETS = "xnli,pawsx,udpos,panx,xquad,mlqa,tydiqa,bucc,tatoeba"
MNLI = (task("mnli"), None, None, 128)
HERE = Runtime(device="cpu", threads=1)


def arm(encoder: str | Encoder | Path, intermediate: str = "mnli", target: str = "xnli", **more: Any) -> Arm:
    """One intermediate setting and one target, so that a forecast is quick."""
    chosen = encoder if isinstance(encoder, Encoder) else Encoder.of(encoder)
    recipes = Recipes(more.pop("recipe", "xtreme"), more.pop("set", ()), more.pop("set_target", ()))
    label, seeds = more.pop("label", ""), more.pop("seeds", 1)
    return Arm(Grid(chosen, tasks_of(target), (tasks_of(intermediate),), recipes, seeds, **more), label)


def ahead(*arms: Arm, gpu: Gpu | None = None, machine: Runtime = HERE) -> Forecast:
    return forecast(Study("How much is it?", arms, ()), gpu or Gpu(), machine)


@pytest.fixture(scope="module")
def tiny(families: Any) -> Path:
    found: Path = families["xlm-roberta"]
    return found


@pytest.fixture(scope="module")
def large() -> Forecast:
    """Two public encoders, of which no file is here."""
    return ahead(arm(LARGE), arm(XL), gpu=Gpu("A100", gib=64.0))


# Sharing.


@cache
def runs(encoder: str, seeds: int) -> list[Any]:
    grid = Grid(Encoder.of(encoder), tasks_of(TARGETS), tuple(map(tasks_of, NINE)), Recipes("phang2020"), seeds)
    return [planned(run) for run in grid.all_runs(NamedSplits())]


def stages_of(run: PlannedRun) -> list[Stage]:
    return [phase.stage for phase in run.trainings]


@pytest.mark.parametrize(("encoder", "seeds"), [(LARGE, 2), pytest.param(XL, 1, marks=pytest.mark.slow)])
def test_the_papers_grid_shares_its_trainings(encoder: str, seeds: int) -> None:
    """Nine intermediate tasks and six target_training_tasks a seed; two targets learn nothing, and two learn from SQuAD."""
    every = [stage for run in runs(encoder, seeds) for stage in stages_of(run)]
    assert len(every) == seeds * (9 * 9 + 10 * 7)
    assert len(set(every)) == seeds * (9 + 10 * 6)


def test_a_baseline_that_learns_nothing_is_asked_once_for_all_seeds() -> None:
    every = [
        one
        for run in runs(LARGE, 2)
        for one in run.predictions
        if one.arguments["data"].arguments["data"].task == "tatoeba"
    ]
    bare = [one for one in every if not isinstance(one.arguments["model"], Stage)]
    languages = len(task("tatoeba").languages) + 1  # and the one by which the layer is chosen
    assert (len(bare), len(set(bare))) == (2 * languages, languages)


def test_mining_is_also_asked_of_the_development_data_of_its_threshold() -> None:
    (run,) = Grid(Encoder.of(LARGE), tasks_of("bucc"), (), Recipes(), 1).all_runs(NamedSplits())
    data = [one.arguments["data"].arguments["data"] for one in planned(run).predictions]
    assert [(one.split, one.language) for one in data] == [
        (split, code) for split in ("test", "validation") for code in ("de", "fr", "ru", "zh")
    ]


def test_masked_lm_beside_is_another_training_by_its_languages() -> None:
    def of(*languages: str) -> Stage:
        mlm = MaskedLmMixing(task("common_voice"), languages)
        grid = arm(LARGE, mlm=mlm).grid
        return planned(grid.runs(grid.targets[0], NamedSplits())["mnli"][0]).trainings[0].stage

    assert of("sw", "de") != of("sw")
    assert configuration(of("sw", "de")).tasks == "mnli+common_voice:sw+de"


@pytest.mark.slow
def test_arms_share_their_baseline_and_the_total_counts_it_once(tiny: Path) -> None:
    found = ahead(arm(tiny, label="all"), arm(tiny, label="head", set=("trainable=head",)))
    assert [one.shared.trainings for one in found.arms] == [3, 3]
    assert (found.total.naive.trainings, found.total.shared.trainings) == (6, 5)
    assert found.total.shared.flops < sum(one.shared.flops for one in found.arms)
    assert found.total.shared.predictions < found.total.naive.predictions


@pytest.mark.parametrize("targets", ["xnli", "xnli,xquad", "xquad,mlqa,tatoeba"])
def test_sharing_never_costs_more(tiny: Path, targets: str) -> None:
    for one in (found := ahead(arm(tiny, target=targets, seeds=2))).arms:
        assert one.shared.flops <= one.naive.flops
    assert all(line.shared <= line.naive for line in found.lines)


def test_lines_and_arms_say_the_same(tiny: Path) -> None:
    found = ahead(arm(tiny, target="xnli,xquad"))
    for plan, count in ((found.total.naive, "naive"), (found.total.shared, "shared")):
        each = [(line.each, getattr(line, count)) for line in found.lines]
        assert plan.trained.flops == pytest.approx(sum(one.flops * times for one, times in each if one))
        assert plan.trainings == sum(times for _, times in each)


# FLOPs.


def test_seeds_cost_as_many_times_as_much(tiny: Path) -> None:
    one, five = (ahead(arm(tiny, seeds=seeds)).total.shared for seeds in (1, 5))
    assert five.flops == pytest.approx(5 * one.flops)
    assert five.trainings == 5 * one.trainings


def test_what_is_frozen_costs_less(tiny: Path) -> None:
    """Even embeddings, which are looked up: nothing has to be brought back to them."""
    lesson, size = (
        TrainingSet("mnli", "classification", ("a", "b"), (), None, "accuracy"),
        dataset_sizes.training(*MNLI),
    )
    parts = ("all", "no-embeddings", "top:2", "top:1", "head")
    found = [
        flops_estimate.training(config_of(tiny), Recipe(trainable=part), [lesson], [size], [None]) for part in parts
    ]
    counts = [one.flops for one in found if one]
    assert counts == sorted(set(counts), reverse=True)
    assert len(counts) == len(parts)


def test_flops_are_the_ledgers_polynomial() -> None:
    """Of sequences of one length, as `flops.spent` says it of the sums of their shapes."""
    network = Network(load_backbone(SANDBOX))
    attach(network, "head", "classification", 3)
    freeze(network, "top:1")
    size = dataset_sizes.Size("x", "classification", "train", 64.0, 1.0, 10.0, 100.0, "")
    lesson = TrainingSet("x", "classification", ("a", "b", "c"), (), None, "accuracy")
    recipe = Recipe(batch_size=32, epochs=3.0, trainable="top:1")
    found = flops_estimate.training(network.config, recipe, [lesson], [size], [None])
    shapes = [flops.Shape(32, 10)] * 6
    sums = {name: sum(term(shape) for shape in shapes) for name, term in flops.TERMS.items()}
    assert found
    assert {name: round(value) for name, value in vars(found).items() if name in flops.PARTS} == flops.spent(
        network, "head", sums, True
    )
    assert found.tokens == 64 * 3 * 10


def test_a_forecast_is_what_the_ledgers_say(tmp_path: Path, few_examples: None) -> None:
    """Where lengths are taken from the data: of trainings, looks and predictions within a few percent."""
    recipe = ("steps=24", "selection=12", "batch_size=8")
    machine = Runtime(tmp_path, device="cpu", threads=1, packing="on")
    asked = arm("sandbox", "sandbox_cloze", "sandbox_ner", recipe="sandbox", set=recipe, set_target=recipe)
    asked = replace(asked, grid=replace(asked.grid, only_languages=("qaa", "qab")))
    study = Study("How much is it?", (asked,), ())
    studies.build(study, machine)
    ledgers = [read_record(folder)["record"] for folder in tmp_path.iterdir() if folder.name[:5] in ("train", "predi")]
    taught = [one["cost"] for one in ledgers if "lessons" in one]
    asked_of = [one["cost"] for one in ledgers if "lessons" not in one]
    found = forecast(study, Gpu(), machine).total
    assert (found.shared.trainings, found.shared.predictions) == (len(taught), len(asked_of))
    for part in (*flops.PARTS, "looks"):
        assert getattr(found.shared.trained, part) == pytest.approx(sum(one["flops"][part] for one in taught), rel=0.06)
    spent = sum(sum(one["flops"].values()) for one in asked_of)
    assert found.shared.predicted.flops == pytest.approx(spent, rel=0.03)
    assert found.shared.trained.tokens == pytest.approx(sum(one["tokens"] for one in taught), rel=0.06)


def test_hours_are_flops_by_what_the_device_does() -> None:
    assert Gpu(utilisation=0.25).hours(989e12 * 3600) == pytest.approx(4)
    assert Gpu(utilisation=0.5).hours(7.0) == pytest.approx(Gpu(utilisation=0.25).hours(7.0) / 2)


@pytest.mark.parametrize("wrong", [{"name": "Abacus"}, {"utilisation": 0.0}, {"utilisation": 1.2}, {"name": "V100"}])
def test_a_device_that_nobody_knows_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Gpu(**wrong)


def test_only_an_h200s_memory_is_known() -> None:
    assert Gpu.of("H200", 0, 0.3) == Gpu()
    assert Gpu.of("A100", 80, 0.3).gib == 80
    with pytest.raises(InputError, match="--memory"):
        Gpu.of("A100", 0, 0.3)


# Memory.


def test_memory_is_that_of_the_plan_of_a_run(large: Forecast) -> None:
    line = large.lines[0]
    setting = Setting(Device("cuda", "bf16"))
    said = estimate(config_of(LARGE), Recipe(), "classification", 3, setting)
    assert line.memory
    assert line.memory.total == pytest.approx(said.total, rel=1e-3)


def test_what_does_not_fit_is_said_with_what_would(large: Forecast) -> None:
    fits = {
        line.configuration.encoder.name: line for line in large.lines if isinstance(line.configuration.encoder, Encoder)
    }
    assert (fits[LARGE].fits, fits[LARGE].remedy) == (True, "")
    assert fits[XL].fits is False
    assert fits[XL].remedy in ("--max-tokens-per-pass 4096", "--recompute", "--recompute --max-tokens-per-pass 4096")
    assert fits[XL].memory
    assert fits[XL].memory.total > 0.95 * 64 * GIB
    said = [part for part in render.parts(large) if isinstance(part, str)]
    assert any(XL in line and "does not fit in 64 GiB (A100)" in line for line in said)
    assert any(XL in line and "sharded over 2 GPUs (" in line for line in said)
    assert (fits[LARGE].shards, fits[XL].shards and fits[XL].shards.gpus) == (None, 2)
    shown = render.to_json(large)["configurations"]
    assert {line["encoder"].rpartition("-")[2]: (line["shards"] or {}).get("gpus") for line in shown} == {
        "large": None,
        "xl": 2,
    }
    assert not any(LARGE in line for line in said)


# What is not known.


def test_an_encoder_of_which_nothing_is_here_is_not_guessed() -> None:
    found = ahead(arm("someone/something"))
    assert {(line.each, line.memory, line.fits) for line in found.lines} == {(None, None, None)}
    assert found.total.shared.flops == 0
    assert found.total.shared.unknown == found.total.shared.trainings + found.total.shared.predictions
    assert any("not known of someone/something" in part for part in render.parts(found) if isinstance(part, str))


def test_a_training_set_of_which_nobody_knows_the_size_is_not_guessed(tiny: Path) -> None:
    assert dataset_sizes.training(task("bible"), None, None, 128).examples is None
    mlm = MaskedLmMixing(task("common_voice"), ("sw", "de"))
    mixed = ahead(arm(tiny, mlm=mlm))
    assert mixed.total.shared.unknown == 0  # it accompanies each step, so its size does not matter
    alone = ahead(arm(tiny, intermediate="bible"))
    assert alone.total.naive.unknown == 1
    assert ahead(arm(tiny, intermediate="bible", set=("steps=5",))).total.naive.unknown == 0


def test_held_out_examples_are_announced() -> None:
    alone = ahead(arm(LARGE, target="tydiqa", recipe="phang2020"))
    assert alone.held_out == ("tydiqa has no development data: about 370 of 3,696 training examples are held out",)
    assert any(alone.held_out[0] in part for part in render.parts(alone) if isinstance(part, str))
    assert render.to_json(alone)["held_out"] == list(alone.held_out)
    assert ahead(arm(LARGE, target="tydiqa", recipe="xtreme")).held_out == ()
    assert ahead(arm(LARGE, target="tydiqa", recipe="phang2020", set_target=("selection=none",))).held_out == ()


def test_training_data_that_cannot_be_divided_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(dataset_sizes.training(task("tydiqa"), None, None, 128), examples=9.0)
    monkeypatch.setattr(dataset_sizes, "of_parts", lambda *_: few)
    with pytest.raises(InputError, match=r"'tydiqa' has no validation split, and 9 .* selection=none"):
        ahead(arm(LARGE, target="tydiqa", recipe="phang2020", intermediate="mnli"))


# Sizes.


def test_sizes_say_where_they_are_from(few_examples: None) -> None:
    heap = dataset_sizes.training(task("anli_plus"), None, None, 128)
    assert heap.examples == sum(task(name).counts["train"] for name in ("mnli", "snli", "anli"))
    assert dataset_sizes.training(task("ccg"), None, None, 128).source == "examples: assumed; tokens: assumed"
    here = dataset_sizes.training(task("sandbox_nli"), None, Encoder.of("sandbox"), 96)
    assert (here.examples, here.source) == (60.0, "examples: data; tokens: data")
    assert here.squares >= here.tokens**2


def test_sizes_follow_the_recipe() -> None:
    one = task("mnli")
    assert dataset_sizes.training(one, None, None, 16).tokens == 16
    assert dataset_sizes.training(one, None, None, 128, most=1000).examples == 1000
    assert dataset_sizes.training(task("csqa"), None, None, 128).model_inputs == task("csqa").counts["train"]


def test_what_is_assumed_is_of_tasks_and_kinds_that_there_are() -> None:
    from xstilts.tasks.base import names

    assert set(dataset_sizes.ASSUMED) <= set(names())
    assert {task(name).format for name in names()} <= set(dataset_sizes.FORMATS)


def test_a_mix_takes_its_turns(tiny: Path) -> None:
    mixed = ahead(arm(tiny, intermediate="mnli,snli", set=("sampling=uniform",))).lines
    line = next(line for line in mixed if line.configuration.tasks == "mnli+snli")
    shown = [dataset_sizes.training(task(name), None, None, 128) for name in ("mnli", "snli")]
    counts = flops_estimate.model_inputs(line.configuration.recipe, line.configuration.training_sets, shown)
    assert counts
    assert counts[0] == counts[1] == pytest.approx(sum(one.examples or 0 for one in shown) * 3 / 2, rel=1e-3)


# The page.


def test_everything_is_printed_and_written(large: Forecast) -> None:
    tables = [part for part in render.parts(large) if not isinstance(part, str)]
    assert [table.row_count for table in tables] == [
        3,
        len(large.lines),
        len({(one.task, one.split) for one in large.sizes}),
    ]
    plain = render.to_json(large)
    assert plain["total"]["shared"]["flops"] == large.total.shared.flops
    assert plain["configurations"][0]["each"]["flops"] > 0
    assert len(plain["configurations"]) == len(large.lines)


STUDY = """
from xstilts.models.encoder import SANDBOX, Encoder, load_backbone
from xstilts.experiments.grid import Grid, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import Arm, Study


def study(scale):
    grid = Grid(Encoder.of("{encoder}"), tasks_of("xnli"), (tasks_of("mnli"),), Recipes("xtreme"), 2)
    return Study("Is it dear?", (Arm(grid, scale),), ())
"""


def test_the_command_line_tells_a_study_from_a_run(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from typer.testing import CliRunner

    from xstilts import cli

    monkeypatch.chdir(tmp_path)
    file = tmp_path / "dear.py"
    file.write_text(STUDY.format(encoder=tiny), encoding="utf-8")
    said = CliRunner().invoke(cli.app, ["plan", "--scale", "full", str(file), "--json", "found.json"])
    assert said.exit_code == 0, said.output
    for words in ("Is it dear?", "trainings, naive", "GPU-hours", "30%", "139.8 GiB", "assumed", "task file"):
        assert words in said.output
    assert (tmp_path / "found.json").is_file()
    of_run = CliRunner().invoke(cli.app, ["plan", "--help"])
    assert "--encoder" in of_run.output
    assert "--scale" in CliRunner().invoke(cli.app, ["plan", "x.py", "--help"]).output
    assert "plan FILE.py" in CliRunner().invoke(cli.app, ["--help"]).output
