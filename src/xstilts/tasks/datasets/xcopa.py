"""XCOPA: the cause or the effect of an event, one of two, in 11 languages (Ponti et al. 2020, EMNLP).

The published Thai files ask for the effect in every row, the Turkish validation file too; they are read as published.
XTREME's test files have 0 for every label, which is read as no label.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from xstilts.data.readers import Row
from xstilts.data.source import Source
from xstilts.tasks.base import Task
from xstilts.tasks.datasets.copa import ask, ask_xtreme


def ask_unlabelled(row: Row) -> Mapping[str, Any]:
    """Return a question as `copa.ask` does, without the filler label."""
    asked = {"cause": "What was the cause of this?", "effect": "What happened as a result?"}
    choices = (row.values["choice1"], row.values["choice2"])
    question = asked[row.values["question"]]
    return {"context": row.values["premise"], "question": question, "choices": choices, "label": None}


def ask_xtreme_unlabelled(row: Row) -> Mapping[str, Any]:
    """Return a question as `copa.ask_xtreme` does, without the filler label."""
    asked = {"cause": "What was the cause?", "effect": "What was the effect?"}
    choices = (row.values["choice1"], row.values["choice2"])
    question = asked[row.values["question"]]
    return {"context": row.values["premise"], "question": question, "choices": choices, "label": None}


SOURCES = (
    *(
        Source(
            "jsonl",
            {
                "validation": f"{folder}/data/{{language}}/val.{{language}}.jsonl",
                "test": f"{folder}/data/{{language}}/test.{{language}}.jsonl",
            },
            convert=ask,
        )
        for folder in ("targets/xcopa", "xcopa")
    ),
    Source(
        "parquet",
        {split: f"hub/cambridgeltl/xcopa/{{language}}/{split}*.parquet" for split in ("validation", "test")},
        convert=ask,
    ),
    Source("jsonl", {"validation": "xtreme/xcopa/val-{language}.jsonl"}, convert=ask),
    Source("jsonl", {"test": "xtreme/xcopa/test-{language}.jsonl"}, convert=ask_unlabelled, withheld=True),
)

task = Task(
    name="xcopa",
    format="multiple_choice",
    languages=("et", "ht", "id", "it", "qu", "sw", "ta", "th", "tr", "vi", "zh"),
    metric="accuracy",
    learned_from="siqa+copa",
    sources=SOURCES,
    counts={"validation": 100, "test": 500},
    citation="Ponti et al. 2020, XCOPA: A Multilingual Dataset for Causal Commonsense Reasoning, EMNLP",
    licence="CC BY 4.0",
    forms={
        "xtreme-r": tuple(
            replace(source, convert=ask_xtreme_unlabelled if source.withheld else ask_xtreme) for source in SOURCES
        )
    },
)
