"""ANLI: natural-language inference that fooled models, rounds 1 to 3, English (Nie et al. 2020, ACL).

The "ANLI" of Phang et al. (2020) is this with MNLI and SNLI: train on the three tasks together.
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

ROUNDS = (1, 2, 3)
SPLITS = {"train": "train", "validation": "dev", "test": "test"}
NAMED = {"text_a": "context", "text_b": "hypothesis"}

task = Task(
    name="anli",
    format="classification",
    languages=("en",),
    labels=("entailment", "neutral", "contradiction"),
    metric="accuracy",
    sources=(
        Source(
            "jsonl",
            {split: tuple(f"anli_v1.0/R{r}/{name}.jsonl" for r in ROUNDS) for split, name in SPLITS.items()},
            columns=NAMED,
            label_names={"e": "entailment", "n": "neutral", "c": "contradiction"},
        ),
        Source(
            "parquet",
            {
                split: tuple(f"hub/facebook/anli/plain_text/{name}_r{r}*.parquet" for r in ROUNDS)
                for split, name in SPLITS.items()
            },
            columns={"text_a": "premise", "text_b": "hypothesis"},
        ),
    ),
    counts={"train": 162865, "validation": 3200, "test": 3200},
    citation="Nie et al. 2020, Adversarial NLI: A New Benchmark for Natural Language Understanding, ACL",
    licence="CC BY-NC 4.0",
)
