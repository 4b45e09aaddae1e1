"""Belebele: questions about a passage of FLORES-200, four answers, in 115 languages (Bandarkar et al. 2024, ACL).

A test set alone, of 900 questions: it is learned from Cosmos QA, which asks in the same form. Where Belebele has a
language in several scripts, one is read, as for SIB-200.
"""

from collections.abc import Mapping
from typing import Any

from xstilts.data.readers import Row
from xstilts.data.source import Source
from xstilts.tasks.base import Task
from xstilts.tasks.datasets.sib200 import flores

CODES = (
    "acm af am apc ar ars ary arz as az bg bm bn bo ca ceb ckb cs da de el en es et eu fa fi fr fuv gn gu ha he hi "
    "hr ht hu hy id ig ilo is it ja jv ka kac kea kk km kn ko ky lg ln lo lt luo lv mg mi mk ml mn mr ms mt my nb "
    "ne nl nso ny om or pa pl ps pt ro ru rw sd shn si sk sl sn so sq sr ss st su sv sw ta te tg th ti tl tn tr ts "
    "uk ur uz vi war wo xh yo zh zu"
)


def ask(row: Row) -> Mapping[str, Any]:
    """Return the passage, the question and the four answers, of which the right one is counted from 1."""
    choices = tuple(row.values[f"mc_answer{number}"] for number in range(1, 5))
    label = ("1", "2", "3", "4").index(str(row.values["correct_answer_num"]))
    return {"context": row.values["flores_passage"], "choices": choices, "label": label}


task = Task(
    name="belebele",
    format="multiple_choice",
    languages=tuple(CODES.split()),
    metric="accuracy",
    learned_from="cosmosqa",
    sources=tuple(
        Source("jsonl", {"test": f"{folder}/{{language}}.jsonl"}, convert=ask, names=flores(CODES))
        for folder in ("targets/belebele", "Belebele", "hub/facebook/belebele/data")
    ),
    counts={"test": 900},
    citation="Bandarkar et al. 2024, The Belebele Benchmark: a Parallel Reading Comprehension Dataset in 122 Language "
    "Variants, ACL, arXiv 2308.16884",
    licence="CC BY-SA 4.0",
)
