"""Sandbox names: given and family names, towns, firms and trades, word by word; to learn before `sandbox_ner`."""

from xstilts.data.source import Source
from xstilts.sandbox import CITATION, CODES, GENERATOR, LABELS, VERSION
from xstilts.tasks.base import Task

task = Task(
    name="sandbox_names",
    format="token_classification",
    languages=CODES,
    labels=LABELS["names"],
    metric="pos_f1",
    sources=(
        Source(
            "sandbox",
            {},
            generator=GENERATOR,
            options={"make": "names", "version": VERSION, "train": 2000, "validation": 200, "test": 200},
        ),
    ),
    counts={"train": 2000, "validation": 200, "test": 200},
    citation=CITATION,
    licence="Apache-2.0",
    trained_in=CODES[:1],
)
