"""1,000 rows of HellaSwag's validation set (Zellers et al. 2019, ACL): a stand-in where HellaSwag is missing."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task
from xstilts.tasks.datasets.hellaswag import ask

FILE = "intermediate/hellaswag_1k/data/hellaswag.jsonl"

task = Task(
    name="hellaswag_small",
    format="multiple_choice",
    languages=("en",),
    metric="accuracy",
    sources=(
        Source(
            "jsonl",
            {"train": FILE, "validation": FILE},
            convert=ask,
            part={"train": (0, 800), "validation": (800, None)},
        ),
    ),
    counts={"train": 800, "validation": 200},
    citation="Zellers et al. 2019, HellaSwag: Can a Machine Really Finish Your Sentence?, ACL, arXiv 1905.07830",
    licence="MIT",
)
