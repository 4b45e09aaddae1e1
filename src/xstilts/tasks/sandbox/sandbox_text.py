"""Sandbox text: lines, related lines and translations in all six languages, for pretraining."""

from xstilts.data.source import Source
from xstilts.sandbox import CITATION, CODES, GENERATOR, NOTE, VERSION
from xstilts.tasks.base import Task

task = Task(
    name="sandbox_text",
    format="masked_lm",
    languages=CODES,
    metric="mlm_loss",
    learned_from=None,
    sources=(
        Source(
            "sandbox",
            {},
            generator=GENERATOR,
            options={"make": "text", "version": VERSION, "train": 20000, "test": 200},
        ),
    ),
    citation=CITATION,
    licence="Apache-2.0",
    trained_in=CODES[:1],
    note=NOTE,
)
