"""Social IQa: why, and what next, among people? Three answers (Sap et al. 2019, EMNLP)."""

import json
from collections.abc import Mapping
from typing import Any

from xstilts.data.readers import Row
from xstilts.data.source import Source
from xstilts.tasks.base import Task


def ask(row: Row) -> Mapping[str, Any]:
    """Return the three answers; the label is a letter, of which only the position counts."""
    choices = tuple(row.values[f"answer{letter}"] for letter in "ABC")
    return {"choices": choices, "label": ("A", "B", "C").index(row.values["correct"])}


def ask_line(row: Row) -> Mapping[str, Any]:
    """Return the same from a line of JSON beside a file of labels "1" to "3"."""
    found = json.loads(row.values["row"])
    choices = tuple(found[f"answer{letter}"] for letter in "ABC")
    label = ("1", "2", "3").index(row.values["label"])
    return {"context": found["context"], "question": found["question"], "choices": choices, "label": label}


def ask_hub(row: Row) -> Mapping[str, Any]:
    """Return the same from the hub's columns, where labels are "1" to "3"."""
    choices = tuple(row.values[f"answer{letter}"] for letter in "ABC")
    return {"choices": choices, "label": ("1", "2", "3").index(row.values["label"])}


FILES = {"train": "trn", "validation": "dev", "test": "tst"}
PUBLISHED, FOLDER = {"train": "train", "validation": "dev"}, "socialiqa-train-dev"

task = Task(
    name="siqa",
    format="multiple_choice",
    languages=("en",),
    metric="accuracy",
    sources=(
        Source(
            "jsonl",
            {split: f"intermediate/siqa/socialIQa_v1.4_{name}.jsonl" for split, name in FILES.items()},
            convert=ask,
            layouts=({split: f"xtreme/siqa/socialIQa_v1.4_{name}.jsonl" for split, name in FILES.items()},),
        ),
        Source(
            "aligned",
            {s: (f"{FOLDER}/{name}.jsonl", f"{FOLDER}/{name}-labels.lst") for s, name in PUBLISHED.items()},
            options={"columns": ("row", "label")},
            convert=ask_line,
        ),
        Source(
            "parquet",
            {split: f"hub/lighteval/siqa/default/{split}*.parquet" for split in ("train", "validation")},
            convert=ask_hub,
        ),
    ),
    counts={"train": 33410, "validation": 1954, "test": 2224},
    citation="Sap et al. 2019, Social IQa: Commonsense Reasoning about Social Interactions, EMNLP, arXiv 1904.09728",
    licence="CC BY 4.0",
)
