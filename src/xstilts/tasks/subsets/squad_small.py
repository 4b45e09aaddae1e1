"""A part of SQuAD 1.1's training set (Rajpurkar et al. 2016, EMNLP): a stand-in where the whole is missing."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

FILE = "intermediate/squad_train_subset/train-v1.1-subset.json"

task = Task(
    name="squad_small",
    format="extractive_qa",
    languages=("en",),
    metric="squad",
    sources=(
        Source(
            "squad",
            {"train": FILE, "validation": FILE},
            part={"train": (0, 6501), "validation": (6501, None)},
        ),
    ),
    counts={"train": 6501, "validation": 727},
    citation="Rajpurkar et al. 2016, SQuAD: 100,000+ Questions for Machine Comprehension of Text, EMNLP",
    licence="CC BY-SA 4.0",
)
