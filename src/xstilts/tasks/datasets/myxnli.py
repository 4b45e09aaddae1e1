"""myXNLI: XNLI's validation and test sets in Burmese, Swahili and Urdu (arXiv 2504.09645)."""

from collections.abc import Mapping
from typing import Any

from xstilts.data.readers import Row
from xstilts.data.source import Source
from xstilts.tasks.base import Task


def pair(row: Row) -> Mapping[str, Any]:
    """Return the pair in the language that is not English."""
    (language,) = {name.rpartition("_")[2] for name in row.values if name.startswith("sentence1_")} - {"en"}
    return {"text_a": row.values[f"sentence1_{language}"], "text_b": row.values[f"sentence2_{language}"]}


task = Task(
    name="myxnli",
    format="classification",
    languages=("my", "sw", "ur"),
    labels=("entailment", "neutral", "contradiction"),
    metric="accuracy",
    learned_from="mnli",
    sources=(
        Source(
            "tsv",
            {
                split: f"nonenglish/myxnli/output/{{language}}/{{language}}.genre.{name}.tsv"
                for split, name in (("validation", "dev"), ("test", "test"))
            },
            options={"columns": ("genre", "label"), "header": 1},
            convert=pair,
        ),
    ),
    counts={"validation": 2490, "test": 5010},
    citation="Htet & Dras 2025, Myanmar XNLI: Building a Dataset and Exploring Low-resource Approaches",
    licence="CC BY-NC 4.0",
)
