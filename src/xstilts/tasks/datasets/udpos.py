"""UD-POS: parts of speech in 38 languages (Universal Dependencies 2.5, Nivre et al. 2020, LREC), as XTREME joins it.

Words are surface forms, fused ones restored, except that English contractions are two words, as they were in UD 2.5
(later releases fuse them). The hub's form has syntactic words throughout: its figures differ.
"""

from xstilts.data.languages import language
from xstilts.data.source import Source
from xstilts.tasks.base import Task

CODES = (
    "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko lt mr nl pl pt ro ru ta te th tl tr uk ur vi wo yo zh"
)
LANGUAGES = tuple(CODES.split())
TAGS = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X"

task = Task(
    name="udpos",
    format="token_classification",
    languages=LANGUAGES,
    labels=tuple(TAGS.split()),
    metric="pos_f1",
    sources=(
        Source(
            "tagged",
            {"train": "xtreme/udpos/train-{language}.tsv", "validation": "xtreme/udpos/dev-{language}.tsv"},
            options={"columns": ("token", "tag")},
        ),
        Source("conllu", {"test": "targets/ud/UD_{language}-*/en_*-ud-test.conllu"}, names={"en": "English"}),
        Source("conllu", {"test": "targets/ud/UD_*/{language}_*-ud-test.conllu"}, options={"fused": 1}),
        Source(
            "conllu",
            {
                "train": "ud-treebanks-v2.5/UD_*/{language}_*-ud-train.conllu",
                "validation": "ud-treebanks-v2.5/UD_*/{language}_*-ud-dev.conllu",
                "test": "ud-treebanks-v2.5/UD_*/{language}_*-ud-test.conllu",
            },
            options={"fused": 1},
        ),
        Source(
            "parquet",
            {s: f"hub/google/xtreme/udpos.{{language}}/{s}*.parquet" for s in ("train", "validation", "test")},
            columns={"tags": "pos_tags"},
            names={code: language(code).name for code in LANGUAGES},
        ),
        Source("tagged", {"test": "xtreme/udpos/test-{language}.tsv"}, options={"columns": ("token",)}, withheld=True),
    ),
    counts={"train": 21253},
    citation="Nivre et al. 2020, Universal Dependencies v2, LREC; Zeman et al. 2019, UD 2.5, hdl 11234/1-3105",
    licence="by treebank: mostly CC BY-SA 4.0 and CC BY-NC-SA",
)
