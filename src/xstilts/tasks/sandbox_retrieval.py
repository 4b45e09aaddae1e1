"""Sandbox retrieval: find the translation of a sentence in the English-like language among all of them."""

from xstilts.sandbox import CODES, VERSION
from xstilts.task import Source, Task

task = Task(
    name="sandbox_retrieval",
    kind="retrieval",
    languages=CODES[1:],
    metric="retrieval_accuracy",
    learned_from=None,
    dev_language="qab",
    sources=(
        Source("sandbox", {}, options={"make": "translation", "version": VERSION, "validation": 200, "test": 300}),
    ),
    citation="Artificial languages of this package, made after K et al. 2020 (ICLR) and Dufter & Schütze 2020 (EMNLP)",
    licence="Apache-2.0",
)
