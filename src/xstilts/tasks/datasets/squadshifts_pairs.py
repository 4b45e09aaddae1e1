"""SQuADShifts as pairs of a question and the sentence that answers it: a stand-in where SQuAD is missing."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task
from xstilts.tasks.datasets.squadshifts import FILES

task = Task(
    name="squadshifts_pairs",
    format="bitext_retrieval",
    languages=("en",),
    metric="retrieval_accuracy",
    sources=(Source("squad_pairs", {"train": FILES}, part={"train": (0, 25601)}),),
    counts={"train": 25601},
    citation="Miller et al. 2020, The Effect of Natural Distribution Shift on Question Answering Models, ICML",
    licence="CC BY 4.0",
)
