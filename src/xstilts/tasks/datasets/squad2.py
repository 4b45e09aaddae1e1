"""SQuAD 2.0: SQuAD 1.1 and as many questions that have no answer, English (Rajpurkar et al. 2018, ACL)."""

from collections.abc import Mapping
from typing import Any

from xstilts.data.readers import Row
from xstilts.data.source import Source
from xstilts.tasks.base import Task


def unanswerable(row: Row) -> Mapping[str, Any]:
    """Return what the hub leaves out: a question without answers has none."""
    return {"is_impossible": not row.values["answers"]["text"]}


task = Task(
    name="squad2",
    format="extractive_qa",
    languages=("en",),
    metric="squad_v2",
    sources=(
        *(
            Source("squad", {"train": f"{folder}/train-v2.0.json", "validation": f"{folder}/dev-v2.0.json"})
            for folder in ("squad2", "squad")
        ),
        Source(
            "parquet",
            {split: f"hub/rajpurkar/squad_v2/squad_v2/{split}*.parquet" for split in ("train", "validation")},
            convert=unanswerable,
        ),
    ),
    contains=("squad",),
    counts={"train": 130319, "validation": 11873},
    citation="Rajpurkar et al. 2018, Know What You Don't Know: Unanswerable Questions for SQuAD, ACL, arXiv 1806.03822",
    licence="CC BY-SA 4.0",
)
