"""XNLI: natural-language inference in 15 languages (Conneau et al. 2018, EMNLP), learned from English MNLI."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

PAIR = ("text_a", "text_b")
NAMED = {"text_a": "sentence1", "text_b": "sentence2", "label": "gold_label"}

task = Task(
    name="xnli",
    format="classification",
    languages=("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"),
    labels=("entailment", "neutral", "contradiction"),
    metric="accuracy",
    learned_from="mnli",
    sources=(
        Source(
            "tsv",
            {"validation": "xtreme/xnli/dev-{language}.tsv", "test": "targets/xnli_test_gold/test-{language}.tsv"},
            options={"columns": (*PAIR, "label"), "quotes": 1},
        ),
        Source(
            "tsv",
            {"validation": "XNLI-1.0/xnli.dev.tsv", "test": "XNLI-1.0/xnli.test.tsv"},
            columns=NAMED,
            options={"columns": ("language", *NAMED.values()), "header": 1, "language_column": "language"},
            label_names={"contradictory": "contradiction"},
        ),
        Source(
            "parquet",
            {split: f"hub/facebook/xnli/{{language}}/{split}*.parquet" for split in ("validation", "test")},
            columns={"text_a": "premise", "text_b": "hypothesis"},
        ),
        Source(
            "tsv", {"test": "xtreme/xnli/test-{language}.tsv"}, options={"columns": PAIR, "quotes": 1}, withheld=True
        ),
    ),
    counts={"validation": 2490, "test": 5010},
    citation="Conneau et al. 2018, XNLI: Evaluating Cross-lingual Sentence Representations, EMNLP, arXiv 1809.05053",
    licence="CC BY-NC 4.0",
)
