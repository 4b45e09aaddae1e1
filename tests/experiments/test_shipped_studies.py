"""The studies that are shipped, each at its smallest: from the file to a report whose claims all stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from xstilts.claims import claim
from xstilts.claims.measures import Gain
from xstilts.data.dataset import read
from xstilts.experiments import study as studies
from xstilts.experiments.grid import Grid
from xstilts.experiments.study import SCALES, Arm, DevSelectedTask, Study
from xstilts.models.encoder import Encoder
from xstilts.models.naming import name_of
from xstilts.planning.forecast import Gpu, forecast
from xstilts.reporting import study_page, study_report
from xstilts.reporting.study_report import Origin
from xstilts.runtime.machine import Runtime
from xstilts.store.stage import Stage
from xstilts.tasks.base import task
from xstilts.training.pretrain import pretrain, tokenizer, untrained
from xstilts.training.recipe import Recipe
from xstilts.verification.verify import verify

FILES = sorted((Path(__file__).parents[2] / "studies").glob("*.py"))
NEW = ("cost_by_size", "model_size", "multilingual_mix")
MANY = 5  # arms (or several targets), of which one seed is enough here


@cache
def little(encoder: Encoder | Stage) -> Encoder | Stage:
    """Return an encoder of the same shape that learned from a handful of sentences, if it is one that is made."""
    if isinstance(encoder, Encoder):
        return encoder
    texts = tuple(read(task("sandbox_text").data("train", code, None)) for code in ("qaa", "qab"))
    if "shape" in encoder.arguments:
        return untrained(tokenizer(texts, 300, 0.5), encoder.arguments["shape"], 1)
    shape = encoder.arguments["encoder"].arguments["shape"]
    return pretrain(texts, (), replace(shape, vocabulary=300), Recipe(steps=2), 1)


def named(value: Any) -> Iterator[str]:
    """Yield the languages that a measure names."""
    if isinstance(value, tuple):
        for part in value:
            yield from named(part)
    elif is_dataclass(value):
        for one in fields(value):
            found = getattr(value, one.name)
            yield from found if one.name.endswith("languages") else named(found)


def smallest(asked: Study) -> Study:
    """Return a study of the smallest and the largest encoder, few seeds, two steps and the languages it must have."""
    wanted = {code for one in asked.claims for code in named(one.measure)}
    few = len(asked.arms) < MANY and all(len(arm.grid.targets) == 1 for arm in asked.arms)
    seeds = 2 if few else 1
    ends = {name_of(asked.arms[at].grid.encoder) for at in (0, -1)}

    def shrunk(grid: Grid) -> Grid:
        two = ("steps=2", "max_train_examples=16")
        recipes = replace(
            grid.recipes, intermediate=(*grid.recipes.intermediate, *two), target=(*grid.recipes.target, *two)
        )
        targets = tuple(
            replace(one, languages=tuple(c for c in one.languages if c in wanted or c in one.languages[:2]))
            for one in grid.targets
        )
        return replace(
            grid,
            encoder=little(grid.encoder),
            targets=targets,
            recipes=recipes,
            seeds=seeds,
        )

    arms = tuple(
        Arm(shrunk(arm.grid), arm.label, arm.rates[:2]) for arm in asked.arms if name_of(arm.grid.encoder) in ends
    )
    return replace(asked, arms=arms)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, few_examples: None) -> Runtime:
    """One store for all studies, as they share much, in which every split has a handful of examples."""
    return Runtime(tmp_path_factory.mktemp("store"), device="cpu", threads=1)


@pytest.mark.slow  # `make test` takes a study of the tests all the way: test_study, test_verify, docs/how-to/own-task.md
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_study_goes_from_its_file_to_a_report_that_stands(path: Path, machine: Runtime, tmp_path: Path) -> None:
    asked = smallest(studies.load(path, "sandbox"))
    studies.build(asked, machine)
    assert studies.build(asked, machine) == 0
    asked = studies.tuned(asked, machine)
    assert not any(arm.rates for arm in asked.arms)
    table = studies.table(asked, machine)
    verdicts = claim.check_all(asked.claims, table)
    found = study_report.build_report(
        asked, table, verdicts, Origin(path.stem, "sandbox", path, "xstilts study"), machine
    )
    study_report.write(found, tmp_path)
    written = {file.name: file.read_bytes() for file in study_page.write_pages(tmp_path)}
    assert found["question"].endswith("?")
    # Gains that are tested have a table of other tests, choices of arms one table, choices of tasks one each.
    gains = any(isinstance(one.measure, Gain) and one.is_tested for one in asked.claims)
    choices = [isinstance(choice, DevSelectedTask) for choice in asked.choices]
    assert len(found["extras"]) == len(asked.extras) + gains + sum(choices) + (not all(choices))
    assert all(row for extra in found["extras"] for row in extra["rows"])
    assert all(f"{one['title']}".encode() in written["report.md"] for one in found["extras"])
    assert not [one for one in verdicts if one.status == "untested" and "two or more" not in one.why]
    checks = verify(tmp_path, machine.store)
    assert len(checks) > len(asked.claims)
    assert {check.status for check in checks} == {"stands"}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_study_can_be_written_down_without_network_and_data(path: Path, scale: str) -> None:
    found = studies.load(path, scale)
    labels = {(arm.label, name_of(arm.grid.encoder)) for arm in found.arms}
    assert len(labels) == len(found.arms)
    assert found.limits or scale == "full"


@pytest.mark.slow
@pytest.mark.parametrize("name", NEW)
def test_a_forecast_knows_encoders_that_are_not_made_yet(name: str, tmp_path: Path) -> None:
    asked = studies.load(FILES[0].with_name(f"{name}.py"), "sandbox")
    found = forecast(replace(asked, arms=asked.arms[-2:], claims=()), Gpu(), Runtime(tmp_path, device="cpu"))
    unknown = [line.why for line in found.lines if line.each is None]
    assert set(unknown) <= {"how many examples there are is not known"}  # of the texts of a pretraining
    assert len(unknown) < len(found.lines)
