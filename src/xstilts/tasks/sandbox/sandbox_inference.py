"""Sandbox inference: how two sentences relate in natural logic; plenty of it, to learn before `sandbox_nli`."""

from xstilts.data.source import Source
from xstilts.sandbox import CITATION, CODES, GENERATOR, LABELS, NOTE, VERSION
from xstilts.tasks.base import Task

task = Task(
    name="sandbox_inference",
    format="classification",
    languages=CODES,
    labels=LABELS["relation"],
    metric="accuracy",
    sources=(
        Source(
            "sandbox",
            {},
            generator=GENERATOR,
            options={"make": "relation", "version": VERSION, "train": 6000, "validation": 200, "test": 200},
        ),
    ),
    counts={"train": 6000, "validation": 200, "test": 200},
    citation=CITATION,
    licence="Apache-2.0",
    trained_in=CODES[:1],
    note=NOTE,
)
