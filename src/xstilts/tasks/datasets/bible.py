"""The New Testament (for Estonian, parts) in 8 languages, as text for masked-LM (Christodouloupoulos & Steedman 2015).

Ids are verses, the same in all languages. The last 500 verses are for validation and test.
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

NAMES = {
    "ee": "Ewe",
    "et": "Estonian",
    "eu": "Basque",
    "lv": "Latvian",
    "sw": "Swahili",
    "uk": "Ukranian",
    "wo": "Wolof",
    "zu": "Zulu",
}

task = Task(
    name="bible",
    format="masked_lm",
    languages=tuple(NAMES),
    metric="mlm_loss",
    learned_from=None,
    sources=(
        Source(
            "bible",
            dict.fromkeys(("train", "validation", "test"), "text/bible/{language}-*.xml"),
            names=NAMES,
            part={"train": (0, -500), "validation": (-500, None), "test": (-500, None)},
        ),
    ),
    citation="Christodouloupoulos & Steedman 2015, A massively parallel corpus: the Bible in 100 languages, LRE 49",
    licence="CC0 1.0",
)
