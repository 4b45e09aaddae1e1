"""QQP: do two questions from Quora ask the same? English (Iyer et al. 2017; as in GLUE)."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

NAMED = {"text_a": "question1", "text_b": "question2"}

task = Task(
    name="qqp",
    format="classification",
    languages=("en",),
    labels=("not_duplicate", "duplicate"),
    metric="accuracy",
    more_metrics=("f1:duplicate",),
    sources=(
        Source(
            "tsv",
            {"train": "glue/QQP/train.tsv", "validation": "glue/QQP/dev.tsv"},
            columns={**NAMED, "label": "is_duplicate"},
            options={
                "columns": ("question1", "question2", "is_duplicate"),
                "header": 1,
                "ids": "position",
                "quotes": 1,
            },
            label_form="numbers",
        ),
        Source(
            "parquet",
            {split: f"hub/nyu-mll/glue/qqp/{split}*.parquet" for split in ("train", "validation")},
            columns=NAMED,
            label_form="numbers",
        ),
    ),
    counts={"train": 363846, "validation": 40430},
    citation="Iyer et al. 2017, First Quora Dataset Release: Question Pairs; Wang et al. 2019, GLUE, ICLR",
    licence="Quora's terms of service, non-commercial",
)
