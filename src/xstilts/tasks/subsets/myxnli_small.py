"""XNLI's validation set in Burmese, Swahili and Urdu as training data: an intermediate task in any of the three.

Ask for `myxnli_small:sw`, or for several languages under one head, `myxnli_small:my+sw+ur`. Never choose anything on
XNLI's validation set after training on this one.
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task
from xstilts.tasks.datasets.myxnli import pair

task = Task(
    name="myxnli_small",
    format="classification",
    languages=("my", "sw", "ur"),
    labels=("entailment", "neutral", "contradiction"),
    metric="accuracy",
    trained_in=("my",),
    sources=(
        Source(
            "tsv",
            {"train": "nonenglish/myxnli/output/{language}/{language}.genre.dev.tsv"},
            options={"columns": ("genre", "label"), "header": 1},
            convert=pair,
        ),
    ),
    counts={"train": 2490},
    citation="Htet & Dras 2025, Myanmar XNLI: Building a Dataset and Exploring Low-resource Approaches",
    licence="CC BY-NC 4.0",
)
