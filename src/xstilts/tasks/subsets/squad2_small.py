"""Half of SQuAD 2.0's development set (Rajpurkar et al. 2018, ACL), for training where SQuAD 2.0 is missing.

It shares passages with XQuAD and LAReQA: never train on it and report those.
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

FILE = "intermediate/squad2_cs224n/dev-v2.0.json"

task = Task(
    name="squad2_small",
    format="extractive_qa",
    languages=("en",),
    metric="squad_v2",
    sources=(
        Source(
            "squad",
            {"train": FILE, "validation": FILE},
            part={"train": (0, 5402), "validation": (5402, None)},
        ),
    ),
    counts={"train": 5402, "validation": 676},
    citation="Rajpurkar et al. 2018, Know What You Don't Know: Unanswerable Questions for SQuAD, ACL, arXiv 1806.03822",
    licence="CC BY-SA 4.0",
)
