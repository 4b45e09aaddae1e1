"""The paper's grid, planned run by run and by shared stages: trainings and FLOPs of each. Nothing is trained.

Ten intermediate settings, none among them, times nine targets, times three seeds (Phang et al. 2020, XTREME). Planned
naively, every run trains its intermediate task and its target for itself. By stages, equal trainings are one:
an intermediate task is trained once a seed for all targets, SQuAD once for XQuAD and MLQA, and two targets learn
nothing. Both plans are written down with the package's own promises; FLOPs are those that `xstilts plan` forecasts for
a study, of XLM-R's shape and the sizes assumed in `sizes.py`. Looks at development data are left out.

    python benchmarks/sharing.py --shape large
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import sides

from xstilts.experiments.grid import Grid
from xstilts.experiments.run import Recipes
from xstilts.experiments.splits import NamedSplits
from xstilts.models.encoder import Encoder
from xstilts.planning import dataset_sizes, flops_estimate
from xstilts.store.stage import Stage
from xstilts.tasks.base import task

INTERMEDIATE = ("anli_plus", "mnli", "qqp", "squad", "squad2", "hellaswag", "ccg", "cosmosqa", "csqa")
TARGETS = ("xnli", "pawsx", "udpos", "panx", "xquad", "mlqa", "tydiqa", "bucc", "tatoeba")
SEEDS = 3
RECIPES = Recipes("phang2020")


def main() -> None:
    """Tell the trainings and FLOPs of both plans, and their ratios."""
    asked = options()
    each = list(trainings())
    shared = list({stage.key: stage for stage in each}.values())
    config = sides.config(asked)
    naive_flops, shared_flops = (sum(cost(config, stage) for stage in stages) for stages in (each, shared))
    runs = (len(INTERMEDIATE) + 1) * len(TARGETS) * SEEDS
    found: sides.Figures = {"runs": runs, "naive_trainings": len(each), "shared_trainings": len(shared)}
    found |= {"naive_exaflops": naive_flops / 1e18, "shared_exaflops": shared_flops / 1e18}
    found["times_fewer_trainings"] = len(each) / len(shared)
    found["times_fewer_flops"] = naive_flops / shared_flops
    sides.tell(found, asked.json)


def options() -> argparse.Namespace:
    """Return the options of the command line; by default of XLM-R large."""
    parser, quick = sides.options(__doc__.splitlines()[0])
    parser.set_defaults(shape="large")
    return sides.asked(parser, quick)


def trainings() -> Iterator[Stage]:
    """Yield the trainings of every run, one after another; those of two runs that agree are equal."""
    grid = Grid(
        Encoder.of("FacebookAI/xlm-roberta-large"),
        tuple(task(name) for name in TARGETS),
        tuple((task(name),) for name in INTERMEDIATE),
        RECIPES,
        SEEDS,
    )
    return (phase.stage for run in grid.all_runs(NamedSplits()) for phase in run.phases())


def cost(config: Any, stage: Stage) -> float:
    """Return the FLOPs of a training, forward and backward, its sequences all of mean length."""
    training_sets, recipe = stage.arguments["training_sets"], stage.arguments["recipe"]
    trained_sizes = [dataset_sizes.training(task(one.task), None, None, recipe.max_length) for one in training_sets]
    found = flops_estimate.training(config, recipe, training_sets, trained_sizes, [None] * len(training_sets))
    assert found is not None
    return found.flops


if __name__ == "__main__":
    main()
