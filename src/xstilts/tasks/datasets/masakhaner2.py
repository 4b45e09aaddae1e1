"""MasakhaNER 2.0: people, organisations and places in the news of 20 African languages (Adelani et al. 2022, EMNLP).

Learned from PAN-X, which has no dates: dates, the fourth type of entity, count as none, as in the paper's transfer from
other data.
"""

from xstilts.data.languages import iso3
from xstilts.data.source import Source
from xstilts.tasks.base import Task

CODES = "bbj bm ee fon ha ig lg luo mos ny pcm rw sn sw tn tw wo xh yo zu"
NAMES = {code: iso3(code) for code in CODES.split()} | {"sw": "swa"}
SPLITS = {"train": "train", "validation": "dev", "test": "test"}
DATES = {"B-DATE": "O", "I-DATE": "O"}

task = Task(
    name="masakhaner2",
    format="token_classification",
    languages=tuple(CODES.split()),
    labels=("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"),
    metric="entity_f1",
    learned_from="panx",
    sources=(
        *(
            Source(
                "tagged",
                {split: f"{folder}/{{language}}/{name}.txt" for split, name in SPLITS.items()},
                options={"columns": ("token", "tag"), "separator": " "},
                names=NAMES,
                label_names=DATES,
            )
            for folder in ("targets/masakhaner2", "masakhane-ner/MasakhaNER2.0/data")
        ),
        Source(
            "parquet",
            {split: f"hub/masakhane/masakhaner2/{{language}}/{split}/*.parquet" for split in SPLITS},
            columns={"tags": "ner_tags"},
            names=NAMES,
            label_names=DATES,
            revision="refs/convert/parquet",
        ),
    ),
    citation="Adelani et al. 2022, MasakhaNER 2.0: Africa-centric Transfer Learning for Named Entity Recognition, "
    "EMNLP",
    licence="CC BY-NC 4.0",
)
