"""SQuADShifts: SQuAD-like questions on new Wikipedia, Amazon and Reddit texts (Miller et al. 2020, ICML), for training.

A stand-in where SQuAD is missing: the three domains' test sets; the last part of Reddit is kept for validation, and no
passage is in both.
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

FILES = tuple(f"intermediate/squadshifts/{domain}_v1.0.json" for domain in ("new_wiki", "amazon_reviews", "reddit"))

task = Task(
    name="squadshifts",
    format="extractive_qa",
    languages=("en",),
    metric="squad",
    sources=(
        Source(
            "squad",
            {"train": FILES, "validation": FILES},
            part={"train": (0, 25601), "validation": (25601, None)},
        ),
    ),
    counts={"train": 25601, "validation": 2025},
    citation="Miller et al. 2020, The Effect of Natural Distribution Shift on Question Answering Models, ICML",
    licence="CC BY 4.0",
)
