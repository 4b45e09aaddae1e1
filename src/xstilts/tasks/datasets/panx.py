"""PAN-X (WikiANN): names of people, organisations and places in 48 languages (Pan et al. 2017, ACL)."""

from collections.abc import Mapping
from typing import Any

from xstilts.data.readers import Row
from xstilts.data.source import Source
from xstilts.tasks.base import Task

SPLITS = ("train", "validation", "test")
ARCHIVED = ("train", "dev", "test")


def bare(row: Row) -> Mapping[str, Any]:
    """Return the words without the language that the original files put before each ("sw:Mto")."""
    return {"tokens": tuple(token.split(":", 1)[1] for token in row.values["tokens"])}


CODES = (
    "af ar az bg bn de el en es et eu fa fi fr gu he hi hu id it ja jv ka kk ko lt ml mr ms my nl pa pl pt qu ro "
    "ru sw ta te th tl tr uk ur vi yo zh"
)
OF_XTREME_R = ("az", "gu", "lt", "pa", "pl", "qu", "ro", "uk")  # which google/xtreme does not have
task = Task(
    name="panx",
    format="token_classification",
    languages=tuple(CODES.split()),
    labels=("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"),
    metric="entity_f1",
    sources=(
        Source(
            "tagged",
            {"train": "xtreme/panx/train-{language}.tsv", "validation": "xtreme/panx/dev-{language}.tsv"},
            options={"columns": ("token", "tag")},
        ),
        Source(
            "parquet",
            {split: f"hub/google/xtreme/PAN-X.{{language}}/{split}*.parquet" for split in SPLITS},
            columns={"tags": "ner_tags"},
            languages=tuple(code for code in CODES.split() if code not in OF_XTREME_R),
        ),
        Source(
            "parquet",
            {split: f"hub/unimelb-nlp/wikiann/{{language}}/{split}*.parquet" for split in SPLITS},
            columns={"tags": "ner_tags"},
        ),
        Source(
            "tagged",
            {s: f"panx_dataset/{{language}}.tar.gz/{name}" for s, name in zip(SPLITS, ARCHIVED, strict=True)},
            options={"columns": ("token", "tag")},
            convert=bare,
        ),
        Source("tagged", {"test": "xtreme/panx/test-{language}.tsv"}, options={"columns": ("token",)}, withheld=True),
    ),
    counts={"train": 20000},
    citation="Pan et al. 2017, Cross-lingual Name Tagging and Linking, ACL; split by Rahimi et al. 2019",
    licence="not stated by its makers; texts are Wikipedia's, CC BY-SA 3.0",
)
