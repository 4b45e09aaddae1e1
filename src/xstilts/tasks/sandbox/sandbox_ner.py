"""Sandbox NER: names of persons, organisations and places (IOB2). Its training set is small on purpose."""

from xstilts.data.source import Source
from xstilts.sandbox import CITATION, CODES, GENERATOR, LABELS, NOTE, VERSION
from xstilts.tasks.base import Task

task = Task(
    name="sandbox_ner",
    format="token_classification",
    languages=CODES,
    labels=LABELS["ner"],
    metric="entity_f1",
    sources=(
        Source(
            "sandbox",
            {},
            generator=GENERATOR,
            options={"make": "ner", "version": VERSION, "train": 100, "validation": 200, "test": 200},
        ),
    ),
    counts={"train": 100, "validation": 200, "test": 200},
    citation=CITATION,
    licence="Apache-2.0",
    trained_in=CODES[:1],
    note=NOTE,
)
