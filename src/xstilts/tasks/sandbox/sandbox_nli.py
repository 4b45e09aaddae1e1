"""Sandbox NLI: does a sentence follow from another, contradict it, or neither? Its training set is small on purpose."""

from xstilts.data.source import Source
from xstilts.sandbox import CITATION, CODES, GENERATOR, LABELS, NOTE, VERSION
from xstilts.tasks.base import Task

task = Task(
    name="sandbox_nli",
    format="classification",
    languages=CODES,
    labels=LABELS["entailment"],
    metric="accuracy",
    sources=(
        Source(
            "sandbox",
            {},
            generator=GENERATOR,
            options={"make": "entailment", "version": VERSION, "train": 400, "validation": 200, "test": 200},
        ),
    ),
    counts={"train": 400, "validation": 200, "test": 200},
    citation=CITATION,
    licence="Apache-2.0",
    trained_in=CODES[:1],
    note=NOTE,
)
