"""Start, plan and find everything finished: what a user waits for when nothing is computed.

`help` is `xstilts --help` in a new process; `transformers`, for scale, a new process that imports that library alone.
Planning is done in one process over the sandbox's tasks, whose data are made and need no files: promise the scores of
all runs, then list what has to be built for them, against a store that is empty. The finished study is a small grid of
the sandbox that is built first; then it is built again and its tables are made. Each study of `studies/` is planned at
full scale (`xstilts plan`) in a new process, whose caches are empty; what counts is the processor's time.

    python benchmarks/startup.py --runs 5000 --rounds 3
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import sides

from xstilts.experiments.grid import Grid
from xstilts.experiments.run import Recipes
from xstilts.models.encoder import SANDBOX, Encoder
from xstilts.runtime.machine import Runtime
from xstilts.store.build import missing
from xstilts.tasks.base import task

TARGETS = ("sandbox_nli", "sandbox_pos", "sandbox_ner", "sandbox_qa", "sandbox_choice")
SETTINGS = (
    *("sandbox_inference", "sandbox_paraphrase", "sandbox_parity", "sandbox_names", "sandbox_roles", "sandbox_cloze"),
    *("sandbox_inference+sandbox_names", "sandbox_cloze+sandbox_roles", "sandbox_parity+sandbox_paraphrase"),
)
STUDIES = Path(__file__).parents[1] / "studies"
SMALL = ("steps=2", "max_train_examples=32", "max_length=64")
PROGRAMS = {
    "help": "import sys; sys.argv = ['xstilts', '--help']; from xstilts.cli import main; main()",
    "transformers": "import transformers",
    "python": "pass",
}


def main() -> None:
    """Tell seconds of each, and how many runs and stages they are of."""
    asked = options()
    calls = {name: partial(process, code) for name, code in PROGRAMS.items()}
    calls["help"](0)  # from then on its files are in memory
    found: sides.Figures = {f"{name}_seconds": taken for name, taken in sides.in_turn(calls, asked.rounds).items()}
    found |= planned(asked)
    found |= forecast(asked)
    found |= finished(asked)
    sides.tell(found, asked.json)


def options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=2, help="of the small study that is built")
    parser.add_argument("--quick", action="store_true", help="in miniature, to see that it runs")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    if "--quick" in sys.argv:
        parser.set_defaults(runs=50, rounds=1, seeds=1)
    return parser.parse_args()


def process(code: str, number: int) -> float:
    """Return the seconds of a new process that runs a program and prints nothing here."""
    return timed(partial(subprocess.run, [sys.executable, "-c", code], check=True, capture_output=True))[0]


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of a call, and what it gives."""
    began = time.perf_counter()
    found = call()
    return time.perf_counter() - began, found


def planned(asked: argparse.Namespace) -> sides.Figures:
    """Return the seconds that promising a large grid takes, and listing what is to be built."""
    settings = tuple(tuple(task(name) for name in setting.split("+")) for setting in SETTINGS)
    seeds = max(1, asked.runs // (len(TARGETS) * (len(settings) + 1)))
    targets = tuple(task(name) for name in TARGETS)
    promising, listing, todo = [], [], 0
    for _ in range(asked.rounds):
        grid = Grid(Encoder.of(SANDBOX), targets, settings, Recipes("sandbox"), seeds)
        with tempfile.TemporaryDirectory() as store:
            machine = Runtime(Path(store), device="cpu")
            seconds, stages = timed(partial(grid.stages, machine))
            promising.append(seconds)
            seconds, wanted = timed(partial(missing, tuple(stages), machine))
            listing.append(seconds)
            todo = len(wanted)
    runs = len(targets) * (len(settings) + 1) * seeds
    whole = [one + other for one, other in zip(promising, listing, strict=True)]
    figures: sides.Figures = {"planned_runs": runs, "planned_stages": todo, "planning_seconds": whole}
    return figures | {"promising_seconds": promising, "listing_seconds": listing}


def forecast(asked: argparse.Namespace) -> sides.Figures:
    """Return the processor's seconds that the forecast of each study takes, and those of the longest."""
    files, scale = sorted(STUDIES.glob("*.py")), "full"
    if asked.quick:
        files, scale = [STUDIES / "layerwise.py"], "sandbox"
    seconds = {}
    for file in files:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = f"import sys; sys.argv = ['xstilts', 'plan', {str(file)!r}, '--scale', {scale!r}, '--json']"
        process(f"{command}; from xstilts.cli import main; main()", 0)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds[f"forecast_{file.stem}_processor_seconds"] = (
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        )
    return seconds | {"forecast_processor_seconds": max(seconds.values())}


def finished(asked: argparse.Namespace) -> sides.Figures:
    """Return the seconds that a study takes of which everything is there: nothing is built, and tables are made."""
    targets = (task("sandbox_nli"), task("sandbox_pos"))
    recipes = Recipes("sandbox", SMALL, SMALL)
    building, tables = [], []
    with tempfile.TemporaryDirectory() as store:
        machine = Runtime(Path(store), device="cpu")
        grid = Grid(
            Encoder.of(SANDBOX),
            targets,
            ((task("sandbox_names"),),),
            recipes,
            asked.seeds,
            only_languages=("qaa", "qab"),
        )
        built = grid.build(machine)
        for _ in range(asked.rounds):
            seconds, again = timed(partial(grid.build, machine))
            if again:
                raise SystemExit(f"{again} stages were built a second time")
            building.append(seconds)
            tables.append(timed(partial(grid.tables, machine))[0])
    return {"finished_stages": built, "finished_build_seconds": building, "finished_tables_seconds": tables}


if __name__ == "__main__":
    main()
