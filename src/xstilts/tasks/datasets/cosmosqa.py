"""Cosmos QA: what is likely, said between the lines of a blog? Four answers (Huang et al. 2019, EMNLP)."""

from collections.abc import Mapping
from typing import Any

from xstilts.data.readers import Row
from xstilts.data.source import Source
from xstilts.tasks.base import Task


def ask(row: Row) -> Mapping[str, Any]:
    """Return the four answers."""
    return {"choices": tuple(row.values[f"answer{number}"] for number in range(4))}


COLUMNS = ("id", "context", "question", "answer0", "answer1", "answer2", "answer3", "label")

task = Task(
    name="cosmosqa",
    format="multiple_choice",
    languages=("en",),
    metric="accuracy",
    sources=(
        *(
            Source(
                "csv",
                {"train": f"{folder}/train.csv", "validation": f"{folder}/valid.csv"},
                options={"columns": COLUMNS, "header": 1},
                convert=ask,
            )
            for folder in ("intermediate/cosmosqa/data", "cosmosqa/data")
        ),
        Source(
            "parquet",
            {split: f"hub/allenai/cosmos_qa/default/{split}*.parquet" for split in ("train", "validation")},
            convert=ask,
        ),
    ),
    counts={"train": 25262, "validation": 2985},
    citation="Huang et al. 2019, Cosmos QA: Machine Reading Comprehension with Contextual Commonsense Reasoning, EMNLP",
    licence="CC BY 4.0",
)
