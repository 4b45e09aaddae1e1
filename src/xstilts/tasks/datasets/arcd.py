"""ARCD: questions on Arabic Wikipedia passages (Mozannar et al. 2019, WANLP); a few answers are nowhere in them."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

FOLDER = "nonenglish/arcd/data"

task = Task(
    name="arcd",
    format="extractive_qa",
    languages=("ar",),
    metric="squad",
    trained_in=("ar",),
    sources=(Source("squad", {"train": f"{FOLDER}/arcd-train.json", "test": f"{FOLDER}/arcd-test.json"}),),
    counts={"train": 693, "test": 702},
    citation="Mozannar et al. 2019, Neural Arabic Question Answering, WANLP, arXiv 1906.05394",
    licence="MIT",
)
