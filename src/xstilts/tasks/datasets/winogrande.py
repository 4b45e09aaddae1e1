"""WinoGrande: which of two nouns fills the gap? (Sakaguchi et al. 2020, AAAI)."""

from collections.abc import Mapping
from typing import Any

from xstilts.data.readers import Row
from xstilts.data.source import Source
from xstilts.tasks.base import Task


def ask(row: Row) -> Mapping[str, Any]:
    """Return the text before the gap as the context, and the two ways of filling it with what follows."""
    before, _, after = row.values["sentence"].partition("_")
    choices = tuple(row.values[f"option{number}"] + after for number in (1, 2))
    return {"context": before, "question": "", "choices": choices, "label": ("1", "2").index(row.values["answer"])}


task = Task(
    name="winogrande",
    format="multiple_choice",
    languages=("en",),
    metric="accuracy",
    sources=(
        *(
            Source("jsonl", {"train": f"{folder}/train_xl.jsonl", "validation": f"{folder}/dev.jsonl"}, convert=ask)
            for folder in ("intermediate/winogrande", "winogrande_1.1")
        ),
        Source(
            "parquet",
            {split: f"hub/allenai/winogrande/winogrande_xl/{split}*.parquet" for split in ("train", "validation")},
            convert=ask,
        ),
    ),
    counts={"train": 40398, "validation": 1267},
    citation="Sakaguchi et al. 2020, WinoGrande: An Adversarial Winograd Schema Challenge at Scale, AAAI",
    licence="CC BY 4.0",
)
