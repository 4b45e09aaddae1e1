"""MNLI: natural-language inference across genres, English (Williams et al. 2018, NAACL).

XNLI's data set on the hub has its training data translated by machine into 14 languages: `mnli:sw` trains on those.
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

NAMED = {"text_a": "sentence1", "text_b": "sentence2", "label": "gold_label"}

task = Task(
    name="mnli",
    format="classification",
    languages=("en",),
    labels=("entailment", "neutral", "contradiction"),
    metric="accuracy",
    sources=(
        Source(
            "tsv",
            {"train": "xtreme/xnli/train-{language}.tsv"},
            options={"columns": ("text_a", "text_b", "label"), "quotes": 1},
        ),
        Source(
            "tsv",
            {"train": "glue/MNLI/train.tsv", "validation": "glue/MNLI/dev_matched.tsv"},
            columns=NAMED,
            options={"columns": tuple(NAMED.values()), "header": 1},
        ),
        Source(
            "jsonl",
            {
                "train": "multinli_1.0/multinli_1.0_train.jsonl",
                "validation": "multinli_1.0/multinli_1.0_dev_matched.jsonl",
            },
            columns=NAMED,
            dropped=("-",),
        ),
        Source(
            "parquet",
            {
                "train": "hub/nyu-mll/glue/mnli/train*.parquet",
                "validation": "hub/nyu-mll/glue/mnli/validation_matched*.parquet",
            },
            columns={"text_a": "premise", "text_b": "hypothesis"},
        ),
        Source(
            "parquet",
            {"train": "hub/facebook/xnli/{language}/train*.parquet"},
            columns={"text_a": "premise", "text_b": "hypothesis"},
        ),
    ),
    counts={"train": 392702, "validation": 9815},
    citation="Williams et al. 2018, A Broad-Coverage Challenge Corpus for Sentence Understanding, NAACL",
    licence="OANC, CC BY-SA 3.0, CC BY 3.0 by genre",
)
