"""KorNLI's validation set as training data in Korean: a stand-in where its training files are missing.

It is XNLI's validation set in translation: never choose anything on that set after training on this one.
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task
from xstilts.tasks.datasets.kornli import FOLDER, NAMED

task = Task(
    name="kornli_small",
    format="classification",
    languages=("ko",),
    labels=("entailment", "neutral", "contradiction"),
    metric="accuracy",
    trained_in=("ko",),
    sources=(
        Source(
            "tsv",
            {"train": f"{FOLDER}/xnli.dev.{{language}}.tsv"},
            columns=NAMED,
            options={"columns": tuple(NAMED.values()), "header": 1},
        ),
    ),
    counts={"train": 2490},
    citation="Ham et al. 2020, KorNLI and KorSTS: New Benchmark Datasets for Korean NLU, Findings of EMNLP",
    licence="CC BY-SA 4.0",
)
