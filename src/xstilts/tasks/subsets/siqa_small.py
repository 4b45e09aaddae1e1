"""Social IQa's test set (Sap et al. 2019, EMNLP), for training where its training set is missing."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task
from xstilts.tasks.datasets.siqa import ask

FOLDER = "intermediate/siqa"

task = Task(
    name="siqa_small",
    format="multiple_choice",
    languages=("en",),
    metric="accuracy",
    sources=(
        Source(
            "jsonl",
            {"train": f"{FOLDER}/socialIQa_v1.4_tst.jsonl", "validation": f"{FOLDER}/socialIQa_v1.4_dev.jsonl"},
            convert=ask,
        ),
    ),
    counts={"train": 2224, "validation": 1954},
    citation="Sap et al. 2019, Social IQa: Commonsense Reasoning about Social Interactions, EMNLP, arXiv 1904.09728",
    licence="CC BY 4.0",
)
