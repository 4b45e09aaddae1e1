"""SNLI's validation and test sets (Bowman et al. 2015, EMNLP), used for training where SNLI and MNLI are missing.

17,664 pairs for training, the last 2,002 for validation; no premise is in both. Never report SNLI after it.
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

FOLDER, COLUMNS = "intermediate/snli_infersent", ("s1", "s2", "labels")
FILES = tuple(f"{FOLDER}/{column}.{split}" for split in ("dev", "test") for column in COLUMNS)

task = Task(
    name="snli_small",
    format="classification",
    languages=("en",),
    labels=("entailment", "neutral", "contradiction"),
    metric="accuracy",
    sources=(
        Source(
            "aligned",
            {"train": FILES, "validation": FILES},
            options={"columns": ("text_a", "text_b", "label")},
            part={"train": (0, 17664), "validation": (17664, None)},
        ),
    ),
    counts={"train": 17664, "validation": 2002},
    citation="Bowman et al. 2015, A large annotated corpus for learning natural language inference, EMNLP",
    licence="CC BY-SA 4.0",
)
