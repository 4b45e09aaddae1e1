"""Tatoeba in all 112 languages that LASER has (Artetxe & Schwenk 2019, TACL); nothing is trained."""

from xstilts.data.languages import iso3
from xstilts.data.source import Source
from xstilts.tasks.base import Task

CODES = (
    "af am ang ar arq arz ast awa az be ber bg bn br bs ca cbk ceb ch cs csb cy da de dsb dtp el eo es et eu fa "
    "fi fo fr fy ga gd gl gsw he hi hr hsb hu hy ia id ie io is it ja jv ka kab kk km ko ku kw kzj la lfn lt lv "
    "max mhr mk ml mn mr ms nb nds nl nn nov oc orv pam pl pms pt ro ru sk sl sq sr sv sw swg ta te th tk tl tr "
    "tt tzl ug uk ur uz vi war wuu xh yi yue zh"
)
LANGUAGES = tuple(CODES.split())
NAMES = {code: iso3(code) for code in LANGUAGES}
LASER = "targets/tatoeba_laser/tatoeba.{language}-eng"

task = Task(
    name="tatoeba_wide",
    format="bitext_retrieval",
    languages=LANGUAGES,
    metric="retrieval_accuracy",
    learned_from=None,
    sources=(
        Source(
            "aligned",
            {"test": (f"{LASER}.{{language}}", f"{LASER}.eng")},
            options={"columns": ("source", "english")},
            names=NAMES,
        ),
        Source(
            "parquet",
            {"test": "hub/mteb/tatoeba-bitext-mining/{language}-eng/test*.parquet"},
            columns={"source": "sentence1", "english": "sentence2"},
            names=NAMES,
            revision="69e8f12da6e31d59addadda9a9c8a2e601a0e282",
        ),
    ),
    citation="Artetxe & Schwenk 2019, Massively Multilingual Sentence Embeddings, TACL, arXiv 1812.10464",
    licence="CC BY 2.0 FR",
)
