"""CoLA: is a sentence acceptable English? (Warstadt et al. 2019, TACL; accuracy, and GLUE's Matthews beside it)."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

PARTS = (
    "intermediate/glue_small/CoLA/train.tsv",
    "intermediate/glue_small/CoLA/val.tsv",
)  # GLUE's training data in two

task = Task(
    name="cola",
    format="classification",
    languages=("en",),
    labels=("unacceptable", "acceptable"),
    metric="accuracy",
    more_metrics=("matthews",),
    sources=(
        *(
            Source(
                "tsv",
                {"train": train, "validation": f"{folder}/CoLA/dev.tsv"},
                options={"columns": ("source", "label", "star", "text_a")},
                label_form="numbers",
            )
            for folder, train in (("glue", "glue/CoLA/train.tsv"), ("intermediate/glue_small", PARTS))
        ),
        Source(
            "parquet",
            {split: f"hub/nyu-mll/glue/cola/{split}*.parquet" for split in ("train", "validation")},
            columns={"text_a": "sentence"},
            label_form="numbers",
        ),
    ),
    counts={"train": 8551, "validation": 1043},
    citation="Warstadt et al. 2019, Neural Network Acceptability Judgments, TACL, arXiv 1805.12471",
    licence="research use",
)
