"""A study in one file: a question, its runs, and a claim that is written before they are run.

$ python examples/study.py --steps 200
$ xstilts study examples/study.py --out answer

The function `study` is all that `xstilts study` needs; `main` does the same from Python.
"""

from __future__ import annotations

import argparse
import os

import xstilts as xs
from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain
from xstilts.experiments.grid import Grid, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import Arm, Study


def study(scale: str) -> Study:
    """Return the study; `scale` is "sandbox", "small" or "full", and this one has only the first."""
    steps = (f"steps={os.environ.get('STEPS', '200')}",)
    recipes = Recipes("sandbox", steps, steps)
    grid = Grid(xs.Encoder.of("sandbox"), tasks_of("sandbox_qa"), (tasks_of("sandbox_cloze"),), recipes, seeds=2)
    helps = Claim("Cloze questions help question answering", Gain("sandbox_cloze", "sandbox_qa"), "above", answers=True)
    return Study("Does a related intermediate task help?", (Arm(grid),), (helps,))


def main() -> None:
    """Build the study and print its verdicts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200, help="training steps of each phase")
    os.environ["STEPS"] = str(parser.parse_args().steps)

    result = xs.run_study(__file__, scale="sandbox", out="answer", store="work", workers=1)
    print(result)
    for verdict in result.verdicts:
        print(verdict.status, verdict.claim.sentence)
    print("report:", result.report)


if __name__ == "__main__":
    main()
