"""XQuAD: questions on SQuAD passages, translated into 12 languages (Artetxe et al. 2020, ACL)."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

task = Task(
    name="xquad",
    format="extractive_qa",
    languages=("ar", "de", "el", "en", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh"),
    metric="squad",
    learned_from="squad",
    sources=(
        Source("squad", {"test": "targets/xquad/xquad.{language}.json"}),
        Source("parquet", {"test": "hub/google/xquad/xquad.{language}/validation*.parquet"}),
        Source("squad", {"test": "xtreme/xquad/xquad.{language}.json"}),
    ),
    counts={"test": 1190},
    citation="Artetxe et al. 2020, On the Cross-lingual Transferability of Monolingual Representations, ACL",
    licence="CC BY-SA 4.0",
)
