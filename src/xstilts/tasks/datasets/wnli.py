"""WNLI: what does the pronoun mean? English (Levesque et al. 2011; as in GLUE, with its adversarial split)."""

from xstilts.tasks.base import Task
from xstilts.tasks.datasets.rte import glue

task = Task(
    name="wnli",
    format="classification",
    languages=("en",),
    labels=("not_entailment", "entailment"),
    metric="accuracy",
    sources=glue("WNLI"),
    counts={"train": 635, "validation": 71},
    citation="Levesque et al. 2011, The Winograd Schema Challenge; Wang et al. 2019, GLUE, ICLR",
    licence="CC BY 4.0",
)
