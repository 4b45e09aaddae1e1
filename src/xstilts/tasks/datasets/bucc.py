"""BUCC 2018: which sentences of two monolingual texts are translations? German, French, Russian, Chinese and English.

Nothing is trained; the threshold is chosen on the development part (Zweigenbaum et al. 2018). The hub's copy has the
test sentences and their pairs alone: no development part, and not the shared task's ids, which leaderboards know.
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

SIDES = ("{language}-en.{split}.{language}", "{language}-en.{split}.en")
SPLITS = {"validation": "dev", "test": "test"}


def _files(folder: str, gold: bool) -> dict[str, tuple[str, ...]]:
    names = (*SIDES, "{language}-en.{split}.gold") if gold else SIDES
    return {split: tuple(folder + name.replace("{split}", there) for name in names) for split, there in SPLITS.items()}


task = Task(
    name="bucc",
    format="bitext_mining",
    languages=("de", "fr", "ru", "zh"),
    metric="mined_f1",
    learned_from=None,
    sources=(
        Source("bitext", _files("xtreme/bucc2018/", gold=True)),
        Source("bitext", _files("bucc2018/", gold=True)),
        Source(
            "bitext_parquet",
            {"test": "hub/mteb/BUCC/{language}-en/test*.parquet"},
            revision="414572247440f0ccacf7eb0bb70a31533a0e5443",
        ),
        Source("bitext", {"test": _files("xtreme/bucc2018/", gold=False)["test"]}, withheld=True),
    ),
    citation="Zweigenbaum et al. 2018, Overview of the Third BUCC Shared Task, BUCC workshop",
    licence="for research, from the shared task's organisers; texts are Wikipedia's and news",
)
