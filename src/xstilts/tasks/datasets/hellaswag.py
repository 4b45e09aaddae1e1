"""HellaSwag: how does a scene go on? Four endings (Zellers et al. 2019, ACL)."""

from collections.abc import Mapping
from typing import Any

from xstilts.data.readers import Row
from xstilts.data.source import Source
from xstilts.tasks.base import Task


def ask(row: Row) -> Mapping[str, Any]:
    """Return the first sentence as the context, and four ways in which the second may go on."""
    begun = row.values["ctx_b"]
    choices = tuple(f"{begun} {ending}" for ending in row.values["endings"])
    return {"context": row.values["ctx_a"], "question": "", "choices": choices}


SPLITS = {"train": "train", "validation": "val"}

task = Task(
    name="hellaswag",
    format="multiple_choice",
    languages=("en",),
    metric="accuracy",
    sources=(
        Source("jsonl", {split: f"hellaswag/hellaswag_{name}.jsonl" for split, name in SPLITS.items()}, convert=ask),
        Source("parquet", {split: f"hub/Rowan/hellaswag/default/{split}*.parquet" for split in SPLITS}, convert=ask),
    ),
    counts={"train": 39905, "validation": 10042},
    citation="Zellers et al. 2019, HellaSwag: Can a Machine Really Finish Your Sentence?, ACL, arXiv 1905.07830",
    licence="MIT",
)
