"""PAWS-X: is it a paraphrase? In 7 languages (Yang et al. 2019, EMNLP); its own English training data."""

from xstilts.data.readers import Options
from xstilts.data.source import Source
from xstilts.tasks.base import Task

SPLITS = ("train", "validation", "test")
NAMED = {"text_a": "sentence1", "text_b": "sentence2"}
HEADED: Options = {"columns": ("sentence1", "sentence2", "label"), "header": 1, "quotes": 1, "ids": "position"}

task = Task(
    name="pawsx",
    format="classification",
    languages=("de", "en", "es", "fr", "ja", "ko", "zh"),
    labels=("different", "paraphrase"),
    metric="accuracy",
    sources=(
        Source(
            "tsv",
            {"train": "xtreme/pawsx/train-{language}.tsv", "validation": "xtreme/pawsx/dev-{language}.tsv"},
            options={"columns": ("text_a", "text_b", "label"), "quotes": 1},
            label_form="numbers",
        ),
        Source(
            "tsv",
            {
                "train": "x-final/{language}/train.tsv",
                "validation": "x-final/{language}/dev_2k.tsv",
                "test": "x-final/{language}/test_2k.tsv",
            },
            columns=NAMED,
            options=HEADED,
            label_form="numbers",
        ),
        Source(
            "tsv",
            {"train": "x-final/{language}/translated_train.tsv"},
            columns=NAMED,
            options=HEADED,
            label_form="numbers",
        ),
        Source(
            "tsv",
            {"test": "targets/pawsx_xfinal/test-{language}.tsv"},
            columns=NAMED,
            options=HEADED,
            label_form="numbers",
            names={"zh": "00000-of-00001"},
        ),
        Source(
            "parquet",
            {split: f"hub/google-research-datasets/paws-x/{{language}}/{split}*.parquet" for split in SPLITS},
            columns=NAMED,
            options={"ids": "position"},
            label_form="numbers",
        ),
        Source(
            "tsv",
            {"test": "xtreme/pawsx/test-{language}.tsv"},
            options={"columns": ("text_a", "text_b"), "quotes": 1},
            withheld=True,
        ),
    ),
    counts={"train": 49401, "validation": 2000, "test": 2000},
    citation="Yang et al. 2019, PAWS-X: A Cross-lingual Adversarial Dataset for Paraphrase Identification, EMNLP",
    licence="free for any purpose, with attribution to Google (data/paws README)",
)
