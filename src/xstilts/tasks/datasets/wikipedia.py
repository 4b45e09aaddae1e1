"""Wikipedia: articles in the languages of XTREME, as encyclopedic text for masked-LM (the dump of 1 November 2023).

The first 20,000 articles of a language: the first file of each language on the hub has at least as many where the
language has. Text files, a paragraph a line, are read first from `text/wikipedia/<language>/`.
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

CODES = (
    "af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw ta te th tl tr ur vi "
    "yo zh"
)
MOST = 20_000

task = Task(
    name="wikipedia",
    format="masked_lm",
    languages=tuple(CODES.split()),
    metric="mlm_loss",
    learned_from=None,
    sources=(
        Source("text", {"train": "text/wikipedia/{language}/*.txt"}),
        Source(
            "parquet",
            {"train": "hub/wikimedia/wikipedia/20231101.{language}/train-00000-of-*.parquet"},
            part={"train": (0, MOST)},
        ),
    ),
    citation="Wikimedia Foundation 2023, Wikimedia Downloads, https://dumps.wikimedia.org",
    licence="CC BY-SA 4.0",
    note="training text only: it has no test split",
)
