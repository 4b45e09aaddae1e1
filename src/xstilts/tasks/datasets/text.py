"""Text: lines of any language from a folder of one's own, for masked-LM: `<language>/*.txt` or `<language>.txt`."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

task = Task(
    name="text",
    format="masked_lm",
    languages=(),
    metric="mlm_loss",
    learned_from=None,
    sources=(
        Source("text", {"train": "{language}/*.txt"}),
        Source("text", {"train": "{language}.txt"}),
    ),
    citation="the user's own",
    licence="the user's own",
)
