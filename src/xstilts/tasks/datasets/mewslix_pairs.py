"""Mewsli-X's training data: English mentions in Wikipedia and the entities that they name (Ruder et al. 2021)."""

from dataclasses import replace

from xstilts.data.source import Source
from xstilts.tasks.base import Task

HUB = "hub/izhx/mewsli-x/wikipedia_pairs"

SOURCES = (
    *(
        Source("mewslix_pairs", {"train": f"{folder}/wikipedia_pairs-train.jsonl"})
        for folder in ("xtreme/mewslix", "mewslix")
    ),
    Source("parquet", {"train": f"{HUB}/train*.parquet"}, columns={"source": "mention", "english": "entity"}),
)

task = Task(
    name="mewslix_pairs",
    format="bitext_retrieval",
    languages=("en",),
    metric="retrieval_accuracy",
    sources=SOURCES,
    citation="Ruder et al. 2021, XTREME-R: Towards More Challenging and Nuanced Multilingual Evaluation, EMNLP",
    licence="CC BY-SA 4.0 and CC BY 2.5, as Wikipedia and WikiNews",
    forms={
        "xtreme-r": tuple(
            # The hub's copy has these texts already.
            replace(source, options={"texts": "xtreme-r"}) if source.reader == "mewslix_pairs" else source
            for source in SOURCES
        )
    },
)
