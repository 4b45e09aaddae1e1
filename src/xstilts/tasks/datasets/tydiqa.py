"""TyDiQA-GoldP: questions asked by people who did not know the answer, in 9 languages (Clark et al. 2020, TACL).

Training is on the 3,696 English questions only; their ids repeat, so that they are numbered. XTREME's files for the
other end have the answers blanked out; the originals and the hub have them.
"""

from collections.abc import Mapping
from typing import Any

from xstilts.data.readers import Row
from xstilts.data.source import Source
from xstilts.tasks.base import Task


def spoken(row: Row) -> Mapping[str, Any]:
    """Return the language that the id begins with."""
    return {"spoken_in": row.values["id"].split("-")[0]}


HUB = "hub/google-research-datasets/tydiqa/secondary_task"
LOCAL = "xtreme/tydiqa/tydiqa-goldp-v1.1"
ORIGINAL = "tydiqa/tydiqa-goldp-v1.1"

task = Task(
    name="tydiqa",
    format="extractive_qa",
    languages=("ar", "bn", "en", "fi", "id", "ko", "ru", "sw", "te"),
    metric="squad",
    sources=(
        Source("squad", {"train": f"{LOCAL}-train/tydiqa.goldp.{{language}}.train.json"}, options={"ids": "position"}),
        Source(
            "parquet",
            {"train": f"{HUB}/train*.parquet", "test": f"{HUB}/validation*.parquet"},
            options={"language_column": "spoken_in"},
            convert=spoken,
        ),
        Source(
            "squad",
            {"train": f"{ORIGINAL}-train.json", "test": f"{ORIGINAL}-dev.json"},
            options={"language_column": "spoken_in"},
            convert=spoken,
        ),
        Source("squad", {"test": f"{LOCAL}-dev/tydiqa.goldp.{{language}}.dev.json"}, withheld=True),
    ),
    counts={"train": 3696},
    citation="Clark et al. 2020, TyDi QA: A Benchmark for Information-Seeking QA, TACL, arXiv 2003.05002",
    licence="Apache 2.0",
)
