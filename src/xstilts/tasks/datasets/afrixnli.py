"""AfriXNLI: XNLI's test questions in 16 African languages, English and French (Adelani et al. 2025, NAACL).

Part of IrokoBench; learned from English MNLI, as XNLI.
"""

from xstilts.data.languages import iso3
from xstilts.data.source import Source
from xstilts.tasks.base import Task

CODES = "am ee en fr ha ig lg ln om rw sn st sw tw wo xh yo zu"
SPLITS = {"validation": "dev", "test": "test"}

task = Task(
    name="afrixnli",
    format="classification",
    languages=tuple(CODES.split()),
    labels=("entailment", "neutral", "contradiction"),
    metric="accuracy",
    learned_from="mnli",
    sources=tuple(
        Source(
            "tsv",
            {split: f"{folder}/{{language}}/{name}.tsv" for split, name in SPLITS.items()},
            columns={"text_a": "premise", "text_b": "hypothesis"},
            options={"columns": ("premise", "hypothesis", "label"), "header": 1, "quotes": 1},
            label_form="numbers",
            names={code: iso3(code) for code in CODES.split()} | {"sw": "swa"},
        )
        for folder in ("targets/afrixnli", "hub/masakhane/afrixnli/data")
    ),
    counts={"validation": 450, "test": 600},
    citation="Adelani et al. 2025, IrokoBench: A New Benchmark for African Languages in the Age of Large Language "
    "Models, NAACL, arXiv 2406.03368",
    licence="Apache 2.0; the texts of XNLI are CC BY-NC 4.0",
)
