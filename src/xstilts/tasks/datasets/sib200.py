"""SIB-200: the topic of a sentence of FLORES-200, one of seven, in 197 languages (Adelani et al. 2024, EACL).

Where FLORES has a language in several scripts, one is read: that of the table of languages, for Chinese the simplified.
"""

from xstilts.data.languages import iso3, language
from xstilts.data.source import Source
from xstilts.tasks.base import Task

CODES = (
    "ace acm acq aeb af ajp ak am apc ar ars ary arz as ast awa aym az azb ba ban be bem bg bho bjn bm bn bo bs bug "
    "ca ceb cjk ckb crh cs cy da de dik dyu dz ee el en eo es et eu fa fi fj fo fon fr fur fuv ga gd gl gn gu ha he "
    "hi hne hr ht hu hy id ig ilo is it ja jv ka kab kac kam kbp kea kg ki kk km kmb kmr kn knc ko ks ky lb lg li "
    "lij lmo ln lo lt ltg lua luo lus lv mag mai mg mi min mk ml mn mni mos mr ms mt my nb ne nl nn nqo nso nus ny "
    "oc om or pa pag pap pl prs ps pt quy rn ro ru rw sa sat sc scn sd sg shn si sk sl sm sn so sq sr ss st su sv "
    "sw szl ta taq te tg th ti tk tl tn tpi tr ts tt tum tw tzm ug uk umb ur uz vec vi war wo xh yi yo yue zh zu"
)
# How FLORES-200 writes a language where it does not take the table's three letters and script.
WRITTEN = {
    "ar": "arb_Arab",
    "aym": "ayr_Latn",
    "az": "azj_Latn",
    "ko": "kor_Hang",
    "mg": "plt_Latn",
    "mn": "khk_Cyrl",
    "om": "gaz_Latn",
    "ps": "pbt_Arab",
    "sq": "als_Latn",
    "uz": "uzn_Latn",
    "yi": "ydd_Hebr",
    "yue": "yue_Hant",
    "zh": "zho_Hans",
}


def flores(codes: str) -> dict[str, str]:
    """Return how FLORES-200 and what was made from it write languages, by their codes."""
    return {code: WRITTEN.get(code, f"{iso3(code)}_{language(code).script}") for code in codes.split()}


SPLITS = {"train": "train", "validation": "dev", "test": "test"}

task = Task(
    name="sib200",
    format="classification",
    languages=tuple(CODES.split()),
    labels=("science/technology", "travel", "politics", "sports", "health", "entertainment", "geography"),
    metric="accuracy",
    sources=tuple(
        Source(
            "tsv",
            {split: f"{folder}/{{language}}/{name}.tsv" for split, name in SPLITS.items()},
            columns={"text_a": "text", "label": "category"},
            options={"columns": ("index_id", "category", "text"), "header": 1, "quotes": 1},
            names=flores(CODES),
        )
        for folder in ("targets/sib200", "sib-200/data/annotated", "hub/Davlan/sib200/data")
    ),
    counts={"train": 701, "validation": 99, "test": 204},
    citation="Adelani et al. 2024, SIB-200: A Simple, Inclusive, and Big Evaluation Dataset for Topic Classification "
    "in 200+ Languages and Dialects, EACL, arXiv 2309.07445",
    licence="CC BY-SA 4.0",
)
