"""SICK: entailment between simple sentences, English (Marelli et al. 2014, LREC)."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

NAMED = {"text_a": "sentence_A", "text_b": "sentence_B", "label": "entailment_judgment"}
FOLDER = "intermediate/sick/data/SICK"

task = Task(
    name="sick",
    format="classification",
    languages=("en",),
    labels=("entailment", "neutral", "contradiction"),
    metric="accuracy",
    sources=(
        Source(
            "tsv",
            {
                "train": f"{FOLDER}/SICK_train.txt",
                "validation": f"{FOLDER}/SICK_trial.txt",
                "test": f"{FOLDER}/SICK_test_annotated.txt",
            },
            columns=NAMED,
            options={"columns": tuple(NAMED.values()), "header": 1},
            label_names={"ENTAILMENT": "entailment", "NEUTRAL": "neutral", "CONTRADICTION": "contradiction"},
        ),
    ),
    counts={"train": 4500, "validation": 500, "test": 4927},
    citation="Marelli et al. 2014, A SICK cure for the evaluation of compositional semantic models, LREC",
    licence="CC BY-NC-SA 3.0",
)
