"""Sandbox parity: has a sentence an even or an odd number of words? A control that no other task needs."""

from xstilts.sandbox import CODES, LABELS, VERSION
from xstilts.task import Source, Task

task = Task(
    name="sandbox_parity",
    kind="classification",
    languages=CODES,
    labels=LABELS["parity"],
    metric="accuracy",
    sources=(
        Source(
            "sandbox", {}, options={"make": "parity", "version": VERSION, "train": 6000, "validation": 200, "test": 200}
        ),
    ),
    counts={"train": 6000, "validation": 200, "test": 200},
    citation="Artificial languages of this package, made after K et al. 2020 (ICLR) and Dufter & Schütze 2020 (EMNLP)",
    licence="Apache-2.0",
    trained_in=CODES[0],
)
