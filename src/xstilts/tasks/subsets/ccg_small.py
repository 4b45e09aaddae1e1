"""CCG supertagging on the English Web Treebank, derivations made from its dependencies: a stand-in for CCGbank."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

SPLITS = {"train": "train", "validation": "dev", "test": "test"}
FOLDER = "UD_English-EWT/en_ewt-ud"

task = Task(
    name="ccg_small",
    format="token_classification",
    languages=("en",),
    metric="tag_accuracy",
    sources=tuple(
        Source("auto", {split: f"intermediate/ud2ccg/{archive}{FOLDER}-{name}.auto" for split, name in SPLITS.items()})
        for archive in ("UD_English-EWT.tar.gz/", "")
    ),
    counts={"train": 11303, "validation": 1864, "test": 1956},
    citation="Tran & Miyao 2022, Development of a Multilingual CCG Treebank via UD Conversion, LREC",
    licence="CC BY-SA 4.0",
)
