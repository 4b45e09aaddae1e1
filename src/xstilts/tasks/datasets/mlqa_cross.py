"""MLQA across languages: context in one language and question in another, 42 pairs (Lewis et al. 2020, ACL).

A pair is written context-question ("de-ar"); answers are in the language of the context, by which they are scored.
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

SPLITS = {"validation": "dev", "test": "test"}
CODES = ("ar", "de", "en", "es", "hi", "vi", "zh")
PAIRS = tuple(f"{context}-{question}" for context in CODES for question in CODES if context != question)
FILES = {pair: "context-{}-question-{}".format(*pair.split("-")) for pair in PAIRS}

task = Task(
    name="mlqa_cross",
    format="extractive_qa",
    languages=PAIRS,
    metric="mlqa",
    learned_from="squad",
    sources=(
        Source("squad", {s: f"MLQA_V1/{name}/{name}-{{language}}.json" for s, name in SPLITS.items()}, names=FILES),
        Source("squad", {"validation": "xtreme/mlqa/MLQA_V1/dev/dev-{language}.json"}, names=FILES),
        Source("squad", {"test": "xtreme/mlqa/MLQA_V1/test/test-{language}.json"}, names=FILES, withheld=True),
        Source(
            "parquet",
            {split: f"hub/google/xtreme/MLQA.{{language}}/{split}*.parquet" for split in SPLITS},
            names={pair: pair.replace("-", ".") for pair in PAIRS},
        ),
    ),
    citation="Lewis et al. 2020, MLQA: Evaluating Cross-lingual Extractive Question Answering, ACL, arXiv 1910.07475",
    licence="CC BY-SA 3.0",
)
