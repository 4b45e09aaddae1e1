"""COPA: the cause or the effect of an event, one of two, in English (Roemmele et al. 2011, AAAI symposium)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from xstilts.data.readers import Row
from xstilts.data.source import Source
from xstilts.tasks.base import Task


def ask(row: Row) -> Mapping[str, Any]:
    """Return the question in words (Roemmele et al.'s own), and its two answers."""
    asked = {"cause": "What was the cause of this?", "effect": "What happened as a result?"}
    choices = (row.values["choice1"], row.values["choice2"])
    return {"context": row.values["premise"], "question": asked[row.values["question"]], "choices": choices}


def ask_xtreme(row: Row) -> Mapping[str, Any]:
    """Return the question as XTREME-R's code asks it, and its two answers."""
    asked = {"cause": "What was the cause?", "effect": "What was the effect?"}
    choices = (row.values["choice1"], row.values["choice2"])
    return {"context": row.values["premise"], "question": asked[row.values["question"]], "choices": choices}


SOURCES = (
    Source(
        "jsonl",
        {"train": "xtreme/xcopa/train-{language}.jsonl", "validation": "xtreme/xcopa/val-{language}.jsonl"},
        convert=ask,
    ),
    Source(
        "jsonl",
        {"train": "super_glue/COPA/train.jsonl", "validation": "super_glue/COPA/val.jsonl"},
        convert=ask,
    ),
    Source(
        "parquet",
        {split: f"hub/aps/super_glue/copa/{split}*.parquet" for split in ("train", "validation")},
        convert=ask,
    ),
)

task = Task(
    name="copa",
    format="multiple_choice",
    languages=("en",),
    metric="accuracy",
    sources=SOURCES,
    counts={"train": 400, "validation": 100},
    citation="Roemmele et al. 2011, Choice of Plausible Alternatives, AAAI Spring Symposium",
    licence="BSD 2-Clause",
    forms={"xtreme-r": tuple(replace(source, convert=ask_xtreme) for source in SOURCES)},
)
