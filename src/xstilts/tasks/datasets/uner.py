"""Universal NER: people, organisations and places in UD treebanks, 12 languages, by hand (Mayhew et al. 2024, NAACL).

A second test for what PAN-X teaches: it has gold where PAN-X's files may not. "Other" entities count as none, as in the
paper. Where a language has two treebanks, both are read.
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

SPLITS = {"train": "train", "validation": "dev", "test": "test"}

task = Task(
    name="uner",
    format="token_classification",
    languages=("ceb", "da", "de", "en", "hr", "pt", "ru", "sk", "sr", "sv", "tl", "zh"),
    labels=("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"),
    metric="entity_f1",
    learned_from="panx",
    sources=(
        Source(
            "tagged",
            {split: f"nonenglish/uner/UNER_*/{{language}}_*-ud-{name}.iob2" for split, name in SPLITS.items()},
            options={"columns": ("number", "token", "tag", "other", "annotator"), "comments": 1},
            label_names={"B-OTH": "O", "I-OTH": "O"},
        ),
    ),
    citation="Mayhew et al. 2024, Universal NER: A Gold-Standard Multilingual NER Benchmark, NAACL",
    licence="CC BY-SA 4.0",
)
