"""A small study, of which the tests of studies and of their verification each get a finished store.

Its stages are built once in a test run, by the process that is first; each test file gets a copy to do anything with.
"""

from __future__ import annotations

import os
import shutil

import pytest
from filelock import FileLock

from xstilts.experiments import study as studies
from xstilts.experiments.grid import Grid, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import Arm, Study
from xstilts.models.encoder import Encoder
from xstilts.runtime.machine import Runtime

QA, CLOZE = "sandbox_qa", "sandbox_cloze"
SHORT = ("steps=2", "max_train_examples=16")


def arm(label: str, *settings: str) -> Arm:
    """Return an arm of two seeds and two languages, with settings of the intermediate phase."""
    recipes = Recipes("sandbox", (*SHORT, *settings), SHORT)
    return Arm(
        Grid(Encoder.of("sandbox"), tasks_of(QA), (tasks_of(CLOZE),), recipes, 2, only_languages=("qaa", "qab")), label
    )


ARMS = arm("all"), arm("head", "trainable=head")


def finished_store(folders: pytest.TempPathFactory) -> Runtime:
    """Return a store of its own in which the stages of `ARMS` are finished, and nothing else; needs `few_examples`."""
    base = folders.getbasetemp()
    built = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "built-study"
    with FileLock(f"{built}.lock"):
        studies.build(Study("Does it help?", ARMS, ()), Runtime(built, device="cpu", threads=1))
    machine = Runtime(folders.mktemp("finished") / "store", device="cpu", threads=1)
    shutil.copytree(built, machine.store)
    return machine
