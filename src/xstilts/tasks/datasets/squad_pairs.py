"""SQuAD 1.1 as pairs of a question and the sentence that answers it, in its paragraph: what LAReQA is learned from."""

from dataclasses import replace

from xstilts.data.source import Source
from xstilts.tasks.base import Task

SOURCES = tuple(Source("squad_pairs", {"train": f"{folder}/train-v1.1.json"}) for folder in ("xtreme/squad", "squad"))

task = Task(
    name="squad_pairs",
    format="bitext_retrieval",
    languages=("en",),
    metric="retrieval_accuracy",
    sources=SOURCES,
    counts={"train": 87599},
    citation="Rajpurkar et al. 2016, SQuAD: 100,000+ Questions for Machine Comprehension of Text, EMNLP",
    licence="CC BY-SA 4.0",
    forms={"xtreme-r": tuple(replace(source, options={"texts": "xtreme-r"}) for source in SOURCES)},
)
