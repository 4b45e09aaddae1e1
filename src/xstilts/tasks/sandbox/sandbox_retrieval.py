"""Sandbox retrieval: find the translation of a sentence in the English-like language among all of them."""

from xstilts.data.source import Source
from xstilts.sandbox import CITATION, CODES, GENERATOR, VERSION
from xstilts.tasks.base import Task

task = Task(
    name="sandbox_retrieval",
    format="bitext_retrieval",
    languages=CODES[1:],
    metric="retrieval_accuracy",
    learned_from=None,
    dev_language="qab",
    sources=(
        Source(
            "sandbox",
            {},
            generator=GENERATOR,
            options={"make": "translation", "version": VERSION, "validation": 200, "test": 300},
        ),
    ),
    citation=CITATION,
    licence="Apache-2.0",
)
