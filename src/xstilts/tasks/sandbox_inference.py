"""Sandbox inference: how two sentences relate in natural logic; plenty of it, to learn before `sandbox_nli`."""

from xstilts.sandbox import CODES, LABELS, VERSION
from xstilts.task import Source, Task

task = Task(
    name="sandbox_inference",
    kind="classification",
    languages=CODES,
    labels=LABELS["relation"],
    metric="accuracy",
    sources=(
        Source(
            "sandbox",
            {},
            options={"make": "relation", "version": VERSION, "train": 6000, "validation": 200, "test": 200},
        ),
    ),
    counts={"train": 6000, "validation": 200, "test": 200},
    citation="Artificial languages of this package, made after K et al. 2020 (ICLR) and Dufter & Schütze 2020 (EMNLP)",
    licence="Apache-2.0",
    trained_in=CODES[0],
)
