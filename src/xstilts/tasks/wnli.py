"""WNLI: what does the pronoun mean? English (Levesque et al. 2011; as in GLUE, with its adversarial split)."""

from xstilts.task import Source, Task

NAMED = {"text_a": "sentence1", "text_b": "sentence2"}
SMALL = "intermediate/glue_small/WNLI"

task = Task(
    name="wnli",
    kind="classification",
    languages=("en",),
    labels=("not_entailment", "entailment"),
    metric="accuracy",
    sources=(
        Source(
            "tsv",
            {"train": "glue/WNLI/train.tsv", "validation": "glue/WNLI/dev.tsv"},
            columns=NAMED,
            options={"columns": ("sentence1", "sentence2", "label"), "header": 1},
        ),
        Source(  # GLUE's training data in two, of which only the first names its columns: a row whose label is "label"
            "tsv",
            {"train": (f"{SMALL}/train.tsv", f"{SMALL}/val.tsv"), "validation": f"{SMALL}/dev.tsv"},
            columns=NAMED,
            options={"columns": ("index", "sentence1", "sentence2", "label")},
            dropped=("label",),
        ),
        Source(
            "parquet",
            {split: f"hub/nyu-mll/glue/wnli/{split}*.parquet" for split in ("train", "validation")},
            columns=NAMED,
        ),
    ),
    counts={"train": 635, "validation": 71},
    citation="Levesque et al. 2011, The Winograd Schema Challenge; Wang et al. 2019, GLUE, ICLR",
    licence="CC BY 4.0",
)
