"""SNLI: natural-language inference on captions, English (Bowman et al. 2015, EMNLP)."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

NAMED = {"text_a": "sentence1", "text_b": "sentence2", "label": "gold_label"}
SPLITS = {"train": "train", "validation": "dev", "test": "test"}
FOLDER, COLUMNS = "intermediate/snli_infersent", ("s1", "s2", "labels")

task = Task(
    name="snli",
    format="classification",
    languages=("en",),
    labels=("entailment", "neutral", "contradiction"),
    metric="accuracy",
    sources=(
        Source(
            "jsonl",
            {
                "train": "snli_1.0/snli_1.0_train.jsonl",
                "validation": "snli_1.0/snli_1.0_dev.jsonl",
                "test": "snli_1.0/snli_1.0_test.jsonl",
            },
            columns=NAMED,
            dropped=("-",),
        ),
        Source(
            "tsv",
            {s: f"snli_1.0/snli_1.0_{name}.txt" for s, name in SPLITS.items()},
            columns=NAMED,
            options={"columns": tuple(NAMED.values()), "header": 1},
            dropped=("-",),
        ),
        Source(
            "parquet",
            {s: f"hub/stanfordnlp/snli/plain_text/{s}*.parquet" for s in ("train", "validation", "test")},
            columns={"text_a": "premise", "text_b": "hypothesis"},
            dropped=("-1",),
        ),
        Source(
            "aligned",
            {
                "validation": tuple(f"{FOLDER}/{column}.dev" for column in COLUMNS),
                "test": tuple(f"{FOLDER}/{column}.test" for column in COLUMNS),
            },
            options={"columns": ("text_a", "text_b", "label")},
        ),
    ),
    counts={"train": 549367, "validation": 9842, "test": 9824},
    citation="Bowman et al. 2015, A large annotated corpus for learning natural language inference, EMNLP",
    licence="CC BY-SA 4.0",
)
