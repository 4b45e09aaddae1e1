"""CCG supertagging: the category of every word, English (CCGbank, Hockenmaier & Steedman 2007).

CCGbank is sold by the LDC (LDC2005T13): its `.auto` files are read where the disc has them, in the usual split
(sections 02-21, 00, 23). Words and tags in columns, or as JSON lines, do as well. The training data say
which categories there are.
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

SECTIONS = {"train": range(2, 22), "validation": range(1), "test": range(23, 24)}
SPLITS = {"train": "train", "validation": "dev", "test": "test"}

task = Task(
    name="ccg",
    format="token_classification",
    languages=("en",),
    metric="tag_accuracy",
    sources=(
        Source(
            "auto",
            {
                split: tuple(f"ccgbank_1_1/data/AUTO/{section:02}/wsj_*.auto" for section in sections)
                for split, sections in SECTIONS.items()
            },
        ),
        Source(
            "tagged",
            {split: f"ccg/{name}.tsv" for split, name in SPLITS.items()},
            options={"columns": ("token", "tag")},
        ),
        Source("jsonl", {split: f"ccg/{name}.jsonl" for split, name in SPLITS.items()}),
    ),
    citation="Hockenmaier & Steedman 2007, CCGbank, Computational Linguistics 33(3)",
    licence="LDC User Agreement (LDC2005T13)",
)
