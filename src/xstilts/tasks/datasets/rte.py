"""RTE: does a sentence follow from a text? English (Dagan et al. 2006 and later rounds; as in GLUE)."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

NAMED = {"text_a": "sentence1", "text_b": "sentence2"}


def glue(name: str) -> tuple[Source, ...]:
    """Return the forms in which GLUE's inference data of two labels come."""
    small, form = f"intermediate/glue_small/{name}", "numbers" if name == "WNLI" else "names"
    return (
        Source(
            "tsv",
            {"train": f"glue/{name}/train.tsv", "validation": f"glue/{name}/dev.tsv"},
            columns=NAMED,
            options={"columns": ("sentence1", "sentence2", "label"), "header": 1},
            label_form=form,
        ),
        Source(  # GLUE's training data in two, of which only the first names its columns: a row whose label is "label"
            "tsv",
            {"train": (f"{small}/train.tsv", f"{small}/val.tsv"), "validation": f"{small}/dev.tsv"},
            columns=NAMED,
            options={"columns": ("index", "sentence1", "sentence2", "label")},
            dropped=("label",),
            label_form=form,
        ),
        Source(
            "parquet",
            {split: f"hub/nyu-mll/glue/{name.lower()}/{split}*.parquet" for split in ("train", "validation")},
            columns=NAMED,
        ),
    )


task = Task(
    name="rte",
    format="classification",
    languages=("en",),
    labels=("entailment", "not_entailment"),
    metric="accuracy",
    sources=glue("RTE"),
    counts={"train": 2490, "validation": 277},
    citation="Dagan et al. 2006, The PASCAL Recognising Textual Entailment Challenge; Wang et al. 2019, GLUE, ICLR",
    licence="research use",
)
