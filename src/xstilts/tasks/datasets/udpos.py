"""UD-POS: parts of speech in 38 languages (Universal Dependencies, Nivre et al. 2020, LREC), as XTREME joins it.

The 33 languages of XTREME are read from UD 2.5, the five that XTREME-R adds from UD 2.7 (from 2.5 where that is all
there is); the treebanks of a language follow each other by the names of their files. Words are surface forms, fused
ones restored, except that English contractions are two words, as they were in UD 2.5 (later releases fuse them). The
hub's form has syntactic words throughout: its figures differ.
"""

from xstilts.data.languages import language
from xstilts.data.source import Source
from xstilts.tasks.base import Task

CODES = (
    "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko lt mr nl pl pt ro ru ta te th tl tr uk ur vi wo yo zh"
)
LANGUAGES = tuple(CODES.split())
OF_XTREME_R = ("lt", "pl", "ro", "uk", "wo")
OF_XTREME = tuple(code for code in LANGUAGES if code not in OF_XTREME_R)
TEST_ALONE = ("th", "tl", "yo")  # what there is in these languages
LACKS = {"train": TEST_ALONE, "validation": ("kk", *TEST_ALONE)}
SPLITS = {"train": "train", "validation": "dev", "test": "test"}
RELEASE_25, RELEASE_27 = (
    {split: f"ud-treebanks-v{release}/UD_*/{{language}}_*-ud-{name}.conllu" for split, name in SPLITS.items()}
    for release in ("2.5", "2.7")
)
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
            lacks=LACKS,
        ),
        Source(
            "conllu",
            {"test": "targets/ud/UD_{language}-*/en_*-ud-test.conllu"},
            names={"en": "English"},
            by_name=True,
        ),
        Source("conllu", {"test": "targets/ud/UD_*/{language}_*-ud-test.conllu"}, options={"fused": 1}, by_name=True),
        Source("conllu", RELEASE_25, options={"fused": 1}, languages=OF_XTREME, lacks=LACKS, by_name=True),
        Source(
            "parquet",
            {split: f"hub/google/xtreme/udpos.{{language}}/{split}*.parquet" for split in SPLITS},
            columns={"tags": "pos_tags"},
            names={code: language(code).name for code in LANGUAGES},
            languages=OF_XTREME,
            lacks=LACKS,
        ),
        Source("tagged", {"test": "xtreme/udpos/test-{language}.tsv"}, options={"columns": ("token",)}, withheld=True),
        Source("conllu", RELEASE_27, options={"fused": 1}, languages=OF_XTREME_R, by_name=True, layouts=(RELEASE_25,)),
        Source(
            "parquet",
            {"test": "hub/izhx/xtreme-r-udpos/{language}/test*.parquet"},
            columns={"tags": "pos_tags"},
            languages=OF_XTREME_R,
        ),
    ),
    counts={"train": 21253},
    citation="Nivre et al. 2020, Universal Dependencies v2, LREC; Zeman et al. 2019, UD 2.5, hdl 11234/1-3105; "
    "Zeman et al. 2020, UD 2.7, hdl 11234/1-3424",
    licence="by treebank: mostly CC BY-SA 4.0 and CC BY-NC-SA",
)
