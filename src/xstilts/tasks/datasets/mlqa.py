"""MLQA: questions in 7 languages, context and question in the same one (Lewis et al. 2020, ACL)."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

SPLITS = {"validation": "dev", "test": "test"}
PAIR = "context-{language}-question-{language}.json"

task = Task(
    name="mlqa",
    format="extractive_qa",
    languages=("ar", "de", "en", "es", "hi", "vi", "zh"),
    metric="mlqa",
    learned_from="squad",
    sources=(
        Source("squad", {split: f"MLQA_V1/{name}/{name}-{PAIR}" for split, name in SPLITS.items()}),
        Source("parquet", {s: f"hub/google/xtreme/MLQA.{{language}}.{{language}}/{s}*.parquet" for s in SPLITS}),
        Source("squad", {"validation": f"xtreme/mlqa/MLQA_V1/dev/dev-{PAIR}"}),
        Source("squad", {"test": f"xtreme/mlqa/MLQA_V1/test/test-{PAIR}"}, withheld=True),
    ),
    citation="Lewis et al. 2020, MLQA: Evaluating Cross-lingual Extractive Question Answering, ACL, arXiv 1910.07475",
    licence="CC BY-SA 3.0",
)
