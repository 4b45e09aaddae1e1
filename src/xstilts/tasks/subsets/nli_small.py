"""SNLI's, MNLI's, ConjNLI's and SICK's local parts in one heap under one head: a stand-in for ANLI+."""

from xstilts.tasks.base import Task

task = Task(
    name="nli_small",
    format="classification",
    languages=("en",),
    labels=("entailment", "neutral", "contradiction"),
    metric="accuracy",
    joined=("snli_small", "mnli_small", "conjnli", "sick"),
    sources=(),
    citation="Bowman et al. 2015 (SNLI), Williams et al. 2018 (MNLI), Saha et al. 2020 (ConjNLI), Marelli et al. 2014",
    licence="that of each of the four",
)
