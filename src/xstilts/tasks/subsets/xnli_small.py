"""XNLI's validation set in English as training data: the same questions as `kornli_small` and `myxnli_small` hold.

Never choose anything on XNLI's validation set after training on this one.
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

task = Task(
    name="xnli_small",
    format="classification",
    languages=("en",),
    labels=("entailment", "neutral", "contradiction"),
    metric="accuracy",
    sources=(
        Source(
            "tsv",
            {"train": "nonenglish/myxnli/output/my/my.genre.dev.tsv"},
            columns={"text_a": "sentence1_en", "text_b": "sentence2_en"},
            options={"columns": ("label", "sentence1_en", "sentence2_en"), "header": 1},
        ),
    ),
    counts={"train": 2490},
    citation="Conneau et al. 2018, XNLI: Evaluating Cross-lingual Sentence Representations, EMNLP, arXiv 1809.05053",
    licence="CC BY-NC 4.0",
)
