"""1,000 pairs of each of MNLI's development sets (Williams et al. 2018), tokenised: a stand-in where MNLI is missing.

The matched genres are for training, the mismatched ones for validation.
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

task = Task(
    name="mnli_small",
    format="classification",
    languages=("en",),
    labels=("entailment", "neutral", "contradiction"),
    metric="accuracy",
    sources=(
        Source(
            "tsv",
            {
                "train": "intermediate/mnli_sample/mnli_matched",
                "validation": "intermediate/mnli_sample/mnli_mismatched",
            },
            options={"columns": ("label", "text_a", "text_b")},
        ),
    ),
    counts={"train": 1000, "validation": 1000},
    citation="Williams et al. 2018, A Broad-Coverage Challenge Corpus for Sentence Understanding, NAACL",
    licence="OANC, CC BY-SA 3.0, CC BY 3.0 by genre",
)
