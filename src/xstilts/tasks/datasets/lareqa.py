"""LAReQA (XQuAD-R): which sentence, of all languages', answers a question? 11 languages (Roy et al. 2020, EMNLP).

Questions of one language are put to the sentences of all. The hub's copy has no sentence breaks and is not read.
"""

from dataclasses import replace

from xstilts.data.source import Source
from xstilts.tasks.base import Task

SOURCES = (
    Source("xquad_r", {"test": "targets/lareqa/xquad-r/*.json"}),
    Source("xquad_r", {"test": "xtreme/lareqa/xquad-r/*.json"}),
)

task = Task(
    name="lareqa",
    format="passage_ranking",
    languages=("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"),
    metric="map20",
    learned_from="squad_pairs",
    sources=SOURCES,
    citation="Roy et al. 2020, LAReQA: Language-Agnostic Answer Retrieval from a Multilingual Pool, EMNLP",
    licence="CC BY-SA 4.0",
    forms={"xtreme-r": tuple(replace(source, options={"texts": "xtreme-r"}) for source in SOURCES)},
)
