"""Sandbox POS: the part of speech of every word."""

from xstilts.data.source import Source
from xstilts.sandbox import CITATION, CODES, GENERATOR, LABELS, NOTE, VERSION
from xstilts.tasks.base import Task

task = Task(
    name="sandbox_pos",
    format="token_classification",
    languages=CODES,
    labels=LABELS["pos"],
    metric="pos_f1",
    sources=(
        Source(
            "sandbox",
            {},
            generator=GENERATOR,
            options={"make": "pos", "version": VERSION, "train": 2000, "validation": 200, "test": 200},
        ),
    ),
    counts={"train": 2000, "validation": 200, "test": 200},
    citation=CITATION,
    licence="Apache-2.0",
    trained_in=CODES[:1],
    note=NOTE,
)
