"""Mewsli-X: which of a million entities does a mention in the news name? 11 languages (Ruder et al. 2021, EMNLP).

Mewsli-X's script writes a file of mentions a split; XTREME-R's one a split and language, without the test's answers.
"""

from dataclasses import replace

from xstilts.data.source import Source
from xstilts.tasks.base import Task

SPLITS = {"validation": "dev", "test": "test"}
HUB = "hub/izhx/mewsli-x"
MENTIONS = {split: f"{HUB}/wikinews_mentions/{{language}}/{name}.jsonl" for split, name in SPLITS.items()}

SOURCES = (
    *(
        Source(
            "mewslix",
            {
                split: (f"{folder}/wikinews_mentions-{name}.jsonl", f"{folder}/candidate_set_entities.jsonl")
                for split, name in SPLITS.items()
            },
            layouts=(
                {
                    split: (
                        f"{folder}/wikinews_mentions/{name}-{{language}}.jsonl",
                        f"{folder}/candidate_set_entities.jsonl",
                    )
                    for split, name in SPLITS.items()
                },
            ),
        )
        for folder in ("xtreme/mewslix", "mewslix")
    ),
    Source(
        "mewslix_hub",
        {split: (mentions, f"{HUB}/candidate_entities/test*.parquet") for split, mentions in MENTIONS.items()},
        layouts=(
            {split: (mentions, f"{HUB}/candidate_entities.jsonl.tar.gz/*") for split, mentions in MENTIONS.items()},
        ),
    ),
)

task = Task(
    name="mewslix",
    format="passage_ranking",
    languages=("ar", "de", "en", "es", "fa", "ja", "pl", "ro", "ta", "tr", "uk"),
    metric="map20",
    learned_from="mewslix_pairs",
    sources=SOURCES,
    citation="Ruder et al. 2021, XTREME-R: Towards More Challenging and Nuanced Multilingual Evaluation, EMNLP",
    licence="CC BY-SA 4.0 and CC BY 2.5, as Wikipedia and WikiNews",
    forms={
        "xtreme-r": tuple(
            # The hub's copy has these texts already.
            replace(source, options={"texts": "xtreme-r"}) if source.reader == "mewslix" else source
            for source in SOURCES
        )
    },
)
