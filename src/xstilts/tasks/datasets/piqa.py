"""PIQA: which of two ways reaches a physical goal? (Bisk et al. 2020, AAAI)."""

import json
from collections.abc import Mapping
from typing import Any

from xstilts.data.readers import Row
from xstilts.data.source import Source
from xstilts.tasks.base import Task


def ask(row: Row) -> Mapping[str, Any]:
    """Return the goal and its two solutions from a line of JSON."""
    found = json.loads(row.values["row"])
    return {"context": "", "question": found["goal"], "choices": (found["sol1"], found["sol2"])}


def ask_hub(row: Row) -> Mapping[str, Any]:
    """Return the same from the hub's columns."""
    choices = (row.values["sol1"], row.values["sol2"])
    return {"context": "", "question": row.values["goal"], "choices": choices}


FILES = {"train": "train", "validation": "valid"}
PUBLISHED, FOLDER = {"train": "train", "validation": "dev"}, "physicaliqa-train-dev"

task = Task(
    name="piqa",
    format="multiple_choice",
    languages=("en",),
    metric="accuracy",
    sources=(
        Source(
            "aligned",
            {
                s: (f"intermediate/piqa/{name}.jsonl", f"intermediate/piqa/{name}-labels.lst")
                for s, name in FILES.items()
            },
            options={"columns": ("row", "label")},
            convert=ask,
        ),
        Source(
            "aligned",
            {s: (f"{FOLDER}/{name}.jsonl", f"{FOLDER}/{name}-labels.lst") for s, name in PUBLISHED.items()},
            options={"columns": ("row", "label")},
            convert=ask,
        ),
        Source("parquet", {split: f"hub/ybisk/piqa/plain_text/{split}*.parquet" for split in FILES}, convert=ask_hub),
    ),
    counts={"train": 16113, "validation": 1838},
    citation="Bisk et al. 2020, PIQA: Reasoning about Physical Commonsense in Natural Language, AAAI, arXiv 1911.11641",
    licence="AFL 3.0",
)
