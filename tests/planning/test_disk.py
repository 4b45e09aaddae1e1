"""What a plan says of the disk is what a build takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quick import covering
from toy_models import WEIGHTS, data, put_machine, study, train, weights
from xstilts.experiments.grid import Grid, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import Arm, Study
from xstilts.inference.backends import located
from xstilts.models.encoder import Encoder
from xstilts.planning import disk, render
from xstilts.planning.forecast import Gpu, forecast
from xstilts.runtime import whole_files
from xstilts.runtime.machine import KEEPS, Runtime
from xstilts.store import weights as store_weights
from xstilts.store.build import build, missing
from xstilts.store.local_executor import build_all

EACH = 64  # bytes of the weights of a toy


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_files, "sync", lambda path: None)


@pytest.mark.parametrize(("keep", "begun"), covering(KEEPS, [False, True]))
def test_the_most_at_a_time_is_what_a_build_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: str, begun: bool
) -> None:
    machine, stages, counts = put_machine(tmp_path, keep), study(4), [0]
    if begun:
        build(train("target1", data("target1")), machine)
    monkeypatch.setattr(disk, "_bytes", lambda model, machine: EACH)
    todo = missing(tuple(stages), machine)
    needed = disk.of_stages(todo, machine, stages)
    before = len(weights(stages, machine))
    after = store_weights.Dropping.after

    def counted(self: store_weights.Dropping, stage: Any) -> None:
        counts.append(len(list(machine.store.glob(f"train*/{WEIGHTS}"))) - before)
        after(self, stage)

    monkeypatch.setattr(store_weights.Dropping, "after", counted)
    build_all(stages, machine, keep=stages)
    assert needed.models == 9 - begun
    assert needed.peaks["all"] == needed.left["all"] == EACH * needed.models
    left = {"all": 9, "intermediate": 1, "none": 0}[keep]
    assert len(list(machine.store.glob(f"train*/{WEIGHTS}"))) == left
    if not begun:
        assert needed.peaks[keep] == EACH * max(counts)
        assert needed.left[keep] == EACH * left
    assert disk.of_stages(missing(tuple(stages), machine), machine, stages).sentence() == ""


@pytest.mark.slow
def test_a_forecast_has_the_weights_of_all_models(tmp_path: Path) -> None:
    grid = Grid(
        Encoder.of("sandbox"),
        tasks_of("sandbox_qa"),
        (tasks_of("sandbox_cloze"),),
        Recipes("sandbox", ("steps=4",), ("steps=4",)),
        2,
    )
    needed = forecast(Study("?", (Arm(grid),), ()), Gpu(), Runtime(tmp_path, device="cpu")).disk
    assert needed is not None
    file = (located("sandbox") / "model.safetensors").stat().st_size
    assert (needed.models, needed.unknown) == (6, 0)
    assert needed.peaks["all"] == pytest.approx(6 * file, rel=0.05)
    assert needed.peaks["none"] == pytest.approx(2 * file, rel=0.05)
    assert needed.left == {**needed.left, "intermediate": needed.peaks["all"] // 3, "none": 0}
    found = forecast(Study("?", (Arm(replace(grid, settings=())),), ()), Gpu(), Runtime(tmp_path, device="cpu"))
    assert found.disk is not None
    assert found.disk.sentence() in "\n".join(str(part) for part in render.parts(found))
    assert render.to_json(found)["disk"] == found.disk.to_json()
