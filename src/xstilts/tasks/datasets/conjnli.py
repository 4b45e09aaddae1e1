"""ConjNLI: inference over "and", "or", "but", "nor", English (Saha et al. 2020, EMNLP); training data made by rules."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

NAMED = {"text_a": "Premise", "text_b": "Hypothesis", "label": "Label"}
FOLDER = "intermediate/conjnli/data/NLI"

task = Task(
    name="conjnli",
    format="classification",
    languages=("en",),
    labels=("entailment", "neutral", "contradiction"),
    metric="accuracy",
    sources=(
        Source(
            "tsv",
            {"train": f"{FOLDER}/adversarial_train_15k.tsv", "validation": f"{FOLDER}/conj_dev.tsv"},
            columns=NAMED,
            options={"columns": tuple(NAMED.values()), "header": 1},
        ),
        Source(
            "tsv",
            {"test": f"{FOLDER}/conj_test.tsv"},
            columns={"text_a": "Premise", "text_b": "Hypothesis"},
            options={"columns": ("Premise", "Hypothesis"), "header": 1},
            withheld=True,
        ),
    ),
    counts={"train": 15000, "validation": 623, "test": 1000},
    citation="Saha et al. 2020, ConjNLI: Natural Language Inference Over Conjunctive Sentences, EMNLP",
    licence="MIT",
)
