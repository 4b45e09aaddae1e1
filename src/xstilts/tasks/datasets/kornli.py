"""KorNLI: MNLI and SNLI by machine and XNLI by hand, in Korean (Ham et al. 2020, Findings of EMNLP).

As a target it is learned from English MNLI; as an intermediate task it trains on the Korean translations.
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

NAMED = {"text_a": "sentence1", "text_b": "sentence2", "label": "gold_label"}
FOLDER = "nonenglish/kornlu/KorNLI"

task = Task(
    name="kornli",
    format="classification",
    languages=("ko",),
    labels=("entailment", "neutral", "contradiction"),
    metric="accuracy",
    learned_from="mnli",
    trained_in=("ko",),
    sources=(
        Source(
            "tsv",
            {
                "train": (f"{FOLDER}/multinli.train.{{language}}.tsv", f"{FOLDER}/snli_1.0_train.{{language}}.tsv"),
                "validation": f"{FOLDER}/xnli.dev.{{language}}.tsv",
                "test": f"{FOLDER}/xnli.test.{{language}}.tsv",
            },
            columns=NAMED,
            options={"columns": tuple(NAMED.values()), "header": 1},
        ),
    ),
    counts={"validation": 2490, "test": 5010},
    citation="Ham et al. 2020, KorNLI and KorSTS: New Benchmark Datasets for Korean NLU, Findings of EMNLP",
    licence="CC BY-SA 4.0",
)
