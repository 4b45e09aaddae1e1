"""Sandbox paraphrase: do two sentences of the same words mean the same? Active and passive, before and after."""

from xstilts.data.source import Source
from xstilts.sandbox import CITATION, CODES, GENERATOR, LABELS, NOTE, VERSION
from xstilts.tasks.base import Task

task = Task(
    name="sandbox_paraphrase",
    format="classification",
    languages=CODES,
    labels=LABELS["paraphrase"],
    metric="accuracy",
    sources=(
        Source(
            "sandbox",
            {},
            generator=GENERATOR,
            options={"make": "paraphrase", "version": VERSION, "train": 2000, "validation": 200, "test": 200},
        ),
    ),
    counts={"train": 2000, "validation": 200, "test": 200},
    citation=CITATION,
    licence="Apache-2.0",
    trained_in=CODES[:1],
    note=NOTE,
)
