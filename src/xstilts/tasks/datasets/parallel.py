"""Parallel: translations, line by line, from a folder of one's own: `NAME.xx-yy.xx` beside `NAME.xx-yy.yy`."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

task = Task(
    name="parallel",
    format="bitext_retrieval",
    languages=(),
    metric="retrieval_accuracy",
    learned_from=None,
    sources=(Source("aligned", {"train": "*.{language}.*"}, options={"columns": ("source", "english")}),),
    citation="the user's own",
    licence="the user's own",
)
