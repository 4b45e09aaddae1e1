"""Common Voice: sentences that people read aloud, in 88 languages, as text for masked-LM (Ardila et al. 2020, LREC).

Chinese is the mainland's, Cantonese that of Hong Kong; the two written Romansh idioms are one language here. A few
languages have hardly a hundred lines: look at the counts.
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

CODES = (
    "ab ace af ar as ast az bas be bg bn br ca ckb cnh cs cv cy da de dv el en eo es et eu fa fi fr fy ga gl gn "
    "ha hi hr hsb hu ia id is it ja ka kab kk kmr ko kpv ky lg lt lv mk ml mn mr ms mt my nb ne nl oc or pa pl pt "
    "rm ro ru sah scn si sk sl sr sv sw ta te th tl tr tt ug uk ur uz vi vot yue zh"
)

task = Task(
    name="common_voice",
    format="masked_lm",
    languages=tuple(CODES.split()),
    metric="mlm_loss",
    learned_from=None,
    sources=(
        Source(
            "text",
            dict.fromkeys(("train", "test"), "text/common_voice/{language}/*.txt"),
            part={"test": (-200, None)},
            names={
                "fy": "fy-NL",
                "ga": "ga-IE",
                "nb": "nb-NO",
                "ne": "ne-NP",
                "pa": "pa-IN",
                "rm": "rm-*",
                "sv": "sv-SE",
                "yue": "zh-HK",
                "zh": "zh-CN",
            },
        ),
    ),
    citation="Ardila et al. 2020, Common Voice: A Massively-Multilingual Speech Corpus, LREC, arXiv 1912.06670",
    licence="CC0 1.0",
    note="loss on the last 200 lines of each language, which training on this text takes as well",
)
