"""Sandbox choice: which event comes next in this world?"""

from xstilts.data.source import Source
from xstilts.sandbox import CITATION, CODES, GENERATOR, NOTE, VERSION
from xstilts.tasks.base import Task

task = Task(
    name="sandbox_choice",
    format="multiple_choice",
    languages=CODES,
    metric="accuracy",
    sources=(
        Source(
            "sandbox",
            {},
            generator=GENERATOR,
            options={"make": "next", "version": VERSION, "train": 2000, "validation": 200, "test": 200},
        ),
    ),
    counts={"train": 2000, "validation": 200, "test": 200},
    citation=CITATION,
    licence="Apache-2.0",
    trained_in=CODES[:1],
    note=NOTE,
)
