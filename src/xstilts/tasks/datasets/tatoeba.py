"""Tatoeba: which English sentence is the translation? 41 languages (Artetxe & Schwenk 2019, TACL); nothing is trained.

XTREME's own folder has the English side sorted, the gold order removed: it can be predicted for the leaderboard, and
not scored. LASER's files keep translations on one line. Danish, which the benchmarks leave out, may choose the layer.
"""

from xstilts.data.languages import iso3
from xstilts.data.source import Source
from xstilts.tasks.base import Task

CODES = (
    "af ar az bg bn de el es et eu fa fi fr he hi hu id it ja jv ka kk ko lt ml mr nl pl pt ro ru sw ta te th tl "
    "tr uk ur vi zh"
)
LANGUAGES = tuple(CODES.split())
NAMES = {code: iso3(code) for code in (*LANGUAGES, "da")}
PAIR = ("source", "english")
LASER = "tatoeba.{language}-eng"
XTREME = "af ar bg bn de el es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr nl pt ru sw ta te th tl tr ur vi zh"

task = Task(
    name="tatoeba",
    format="bitext_retrieval",
    languages=LANGUAGES,
    metric="retrieval_accuracy",
    learned_from=None,
    dev_language="da",
    sources=(
        Source(
            "aligned",
            {"test": (f"targets/tatoeba_laser/{LASER}.{{language}}", f"targets/tatoeba_laser/{LASER}.eng")},
            options={"columns": PAIR},
            names=NAMES,
        ),
        Source(
            "parquet",
            {"test": "hub/google/xtreme/tatoeba.{language}/validation*.parquet"},
            columns={"source": "source_sentence", "english": "target_sentence"},
            names=NAMES,
            languages=tuple(XTREME.split()),
        ),
        Source(
            "parquet",
            {"test": "hub/mteb/tatoeba-bitext-mining/{language}-eng/test*.parquet"},
            columns={"source": "sentence1", "english": "sentence2"},
            names=NAMES,
            revision="69e8f12da6e31d59addadda9a9c8a2e601a0e282",
        ),
        Source(
            "aligned",
            {"test": ("xtreme/tatoeba/{language}-en.{language}", "xtreme/tatoeba/{language}-en.en")},
            options={"columns": PAIR},
            languages=LANGUAGES,
            withheld=True,
        ),
    ),
    citation="Artetxe & Schwenk 2019, Massively Multilingual Sentence Embeddings, TACL, arXiv 1812.10464",
    licence="CC BY 2.0 FR",
)
