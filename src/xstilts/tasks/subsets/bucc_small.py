"""BUCC 2018's development texts mined whole, each second foreign sentence scored: where the test pairs are missing.

The threshold is chosen on the sentences at odd places and scored on those at even ones (Zweigenbaum et al. 2018).
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

FILES = tuple(f"xtreme/bucc2018/{{language}}-en.dev.{side}" for side in ("{language}", "en", "gold"))

task = Task(
    name="bucc_small",
    format="bitext_mining",
    languages=("de", "fr", "ru", "zh"),
    metric="mined_f1",
    learned_from=None,
    sources=(
        Source("bitext", {"validation": FILES}, options={"asked": "odd"}),
        Source("bitext", {"test": FILES}, options={"asked": "even"}),
    ),
    citation="Zweigenbaum et al. 2018, Overview of the Third BUCC Shared Task, BUCC workshop",
    licence="for research, from the shared task's organisers; texts are Wikipedia's and news",
    note="mined from BUCC's development texts: not comparable with published figures",
)
