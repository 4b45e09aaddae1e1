"""ANLI+: MNLI, SNLI and ANLI in one heap under one head, as in Phang et al. (2020)."""

from xstilts.tasks.base import Task

task = Task(
    name="anli_plus",
    format="classification",
    languages=("en",),
    labels=("entailment", "neutral", "contradiction"),
    metric="accuracy",
    joined=("mnli", "snli", "anli"),
    sources=(),
    citation="Nie et al. 2020 (ANLI), Williams et al. 2018 (MNLI), Bowman et al. 2015 (SNLI)",
    licence="that of each of the three; CC BY-NC 4.0 for ANLI",
)
