"""CommonsenseQA: a question of common sense with five answers (Talmor et al. 2019, NAACL)."""

from collections.abc import Mapping
from typing import Any

from xstilts.data.readers import Row
from xstilts.data.source import Source
from xstilts.tasks.base import Task


def ask(row: Row) -> Mapping[str, Any]:
    """Return the question without a context, and the answers from A to E."""
    asked, label = row.values["question"], ("A", "B", "C", "D", "E").index(row.values["answerKey"])
    choices = tuple(choice["text"] for choice in asked["choices"])
    return {"context": "", "question": asked["stem"], "choices": choices, "label": label}


def ask_hub(row: Row) -> Mapping[str, Any]:
    """Return the same from the hub's columns."""
    choices = tuple(row.values["choices"]["text"])
    return {"context": "", "choices": choices, "label": ("A", "B", "C", "D", "E").index(row.values["answerKey"])}


task = Task(
    name="csqa",
    format="multiple_choice",
    languages=("en",),
    metric="accuracy",
    sources=(
        *(
            Source(
                "jsonl",
                {"train": f"{folder}/train_rand_split.jsonl", "validation": f"{folder}/dev_rand_split.jsonl"},
                convert=ask,
            )
            for folder in ("intermediate/commonsenseqa_v1.11", "commonsenseqa")
        ),
        Source(
            "parquet",
            {split: f"hub/tau/commonsense_qa/default/{split}*.parquet" for split in ("train", "validation")},
            convert=ask_hub,
        ),
    ),
    counts={"train": 9741, "validation": 1221},
    citation="Talmor et al. 2019, CommonsenseQA: A Question Answering Challenge Targeting Commonsense Knowledge, NAACL",
    licence="MIT",
)
