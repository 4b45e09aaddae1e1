"""Sandbox QA: who, whom, what or where, answered from three sentences. Its training set is small on purpose."""

from xstilts.data.source import Source
from xstilts.sandbox import CITATION, CODES, GENERATOR, NOTE, VERSION
from xstilts.tasks.base import Task

task = Task(
    name="sandbox_qa",
    format="extractive_qa",
    languages=CODES,
    metric="squad",
    sources=(
        Source(
            "sandbox",
            {},
            generator=GENERATOR,
            options={"make": "question", "version": VERSION, "train": 400, "validation": 200, "test": 200},
        ),
    ),
    counts={"train": 400, "validation": 200, "test": 200},
    citation=CITATION,
    licence="Apache-2.0",
    trained_in=CODES[:1],
    note=NOTE,
)
