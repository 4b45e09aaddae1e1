"""Sandbox parallel: translations into the English-like language, for pretraining; fewer for a further language."""

from xstilts.data.source import Source
from xstilts.sandbox import CITATION, CODES, GENERATOR, VERSION
from xstilts.tasks.base import Task

task = Task(
    name="sandbox_parallel",
    format="bitext_retrieval",
    languages=CODES[1:],
    metric="retrieval_accuracy",
    learned_from=None,
    sources=(
        Source("sandbox", {}, generator=GENERATOR, options={"make": "parallel", "version": VERSION, "train": 20000}),
    ),
    citation=CITATION,
    licence="Apache-2.0",
)
