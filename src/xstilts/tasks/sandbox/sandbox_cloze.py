"""Sandbox cloze: which words of the text fill the gap in a sentence of it? Plenty, to learn pointing from."""

from xstilts.data.source import Source
from xstilts.sandbox import CITATION, CODES, GENERATOR, NOTE, VERSION
from xstilts.tasks.base import Task

task = Task(
    name="sandbox_cloze",
    format="extractive_qa",
    languages=CODES,
    metric="squad",
    sources=(
        Source(
            "sandbox",
            {},
            generator=GENERATOR,
            options={"make": "cloze", "version": VERSION, "train": 6000, "validation": 200, "test": 200},
        ),
    ),
    counts={"train": 6000, "validation": 200, "test": 200},
    citation=CITATION,
    licence="Apache-2.0",
    trained_in=CODES[:1],
    note=NOTE,
)
