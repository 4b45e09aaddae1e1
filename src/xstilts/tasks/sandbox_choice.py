"""Sandbox choice: which event comes next in this world?"""

from xstilts.sandbox import CODES, VERSION
from xstilts.task import Source, Task

task = Task(
    name="sandbox_choice",
    kind="choice",
    languages=CODES,
    metric="accuracy",
    sources=(
        Source(
            "sandbox", {}, options={"make": "next", "version": VERSION, "train": 2000, "validation": 200, "test": 200}
        ),
    ),
    counts={"train": 2000, "validation": 200, "test": 200},
    citation="Artificial languages of this package, made after K et al. 2020 (ICLR) and Dufter & Schütze 2020 (EMNLP)",
    licence="Apache-2.0",
    trained_in=CODES[0],
)
