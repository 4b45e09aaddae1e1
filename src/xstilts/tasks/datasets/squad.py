"""SQuAD 1.1: questions on Wikipedia passages, English (Rajpurkar et al. 2016, EMNLP)."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

task = Task(
    name="squad",
    format="extractive_qa",
    languages=("en",),
    metric="squad",
    sources=(
        *(
            Source("squad", {"train": f"{folder}/train-v1.1.json", "validation": f"{folder}/dev-v1.1.json"})
            for folder in ("xtreme/squad", "squad")
        ),
        Source("parquet", {s: f"hub/rajpurkar/squad/plain_text/{s}*.parquet" for s in ("train", "validation")}),
    ),
    counts={"train": 87599, "validation": 10570},
    citation="Rajpurkar et al. 2016, SQuAD: 100,000+ Questions for Machine Comprehension of Text, EMNLP",
    licence="CC BY-SA 4.0",
)
