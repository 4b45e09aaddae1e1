"""Sandbox parity: has a sentence an even or an odd number of words? A control that no other task needs."""

from xstilts.data.source import Source
from xstilts.sandbox import CITATION, CODES, GENERATOR, LABELS, NOTE, VERSION
from xstilts.tasks.base import Task

task = Task(
    name="sandbox_parity",
    format="classification",
    languages=CODES,
    labels=LABELS["parity"],
    metric="accuracy",
    sources=(
        Source(
            "sandbox",
            {},
            generator=GENERATOR,
            options={"make": "parity", "version": VERSION, "train": 6000, "validation": 200, "test": 200},
        ),
    ),
    counts={"train": 6000, "validation": 200, "test": 200},
    citation=CITATION,
    licence="Apache-2.0",
    trained_in=CODES[:1],
    note=NOTE,
)
