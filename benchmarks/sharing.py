"""The paper's grid, planned run by run and by shared stages: trainings and FLOPs of each. Nothing is trained.

Ten intermediate settings, none among them, times nine targets, times three seeds (Phang et al. 2020, XTREME). Planned
naively, every run trains its intermediate task and its target's teacher for itself. By stages, equal trainings are one:
an intermediate task is trained once a seed for all targets, SQuAD once for XQuAD and MLQA, and two targets learn
nothing. Both plans are written down with the package's own promises; FLOPs come from the counted polynomial of XLM-R's
shape, which has no numbers (on torch's meta device), and the table below. Looks at development data are left out.

    python benchmarks/sharing.py --shape large
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import sides
import torch

from xstilts import flops
from xstilts.encoder import Encoder
from xstilts.heads import attach
from xstilts.lesson import Lesson
from xstilts.network import Network
from xstilts.run import Recipes, Run
from xstilts.stage import Stage
from xstilts.task import task
from xstilts.train import train

INTERMEDIATE = ("anli_plus", "mnli", "qqp", "squad", "squad2", "hellaswag", "ccg", "cosmosqa", "csqa")
TARGETS = ("xnli", "pawsx", "udpos", "panx", "xquad", "mlqa", "tydiqa", "bucc", "tatoeba")
SEEDS = (1, 2, 3)
RECIPES = Recipes("phang2020")
# Of a task's training set: examples (as the paper counts them), sequences an example, mean pieces a sequence. Pieces
# are words times 1.3 and the special pieces, from the parts of these data sets at hand; estimated for QQP, ANLI,
# HellaSwag's longer half, CCG and Cosmos QA. A sequence of mean length stands for all, so squares are underestimated.
TEXTS: dict[str, tuple[int, float, int]] = {
    "anli_plus": (1_104_934, 1, 48),
    "mnli": (392_702, 1, 45),
    "qqp": (363_846, 1, 33),
    "squad": (87_599, 1.01, 172),
    "squad2": (130_319, 1.01, 172),
    "hellaswag": (39_905, 4, 90),
    "ccg": (38_015, 1, 32),
    "cosmosqa": (25_588, 4, 115),
    "csqa": (9_741, 5, 23),
    "pawsx": (49_401, 1, 59),
    "udpos": (21_253, 1, 24),
    "panx": (20_000, 1, 13),
    "tydiqa": (3_696, 1.03, 141),
}
LABELS = {"classification": 3, "tagging": 18, "choice": 1, "span": 0}


def main() -> None:
    """Tell the trainings and FLOPs of both plans, and their ratios."""
    asked = options()
    each = list(trainings())
    shared = list({stage.key: stage for stage in each}.values())
    network = shape(asked)
    naive_flops, shared_flops = (sum(cost(network, stage) for stage in stages) for stages in (each, shared))
    runs = (len(INTERMEDIATE) + 1) * len(TARGETS) * len(SEEDS)
    found: sides.Figures = {"runs": runs, "naive_trainings": len(each), "shared_trainings": len(shared)}
    found |= {"naive_exaflops": naive_flops / 1e18, "shared_exaflops": shared_flops / 1e18}
    found["times_fewer_trainings"] = len(each) / len(shared)
    found["times_fewer_flops"] = naive_flops / shared_flops
    sides.tell(found, asked.json)


def options() -> argparse.Namespace:
    """Return what is asked for: XLM-R large unless something else is."""
    parser, quick = sides.options(__doc__.splitlines()[0])
    parser.set_defaults(shape="large")
    return sides.asked(parser, quick)


def trainings() -> Iterator[Stage]:
    """Yield the trainings of every run, one after another; those of two runs that agree are equal."""
    encoder = Encoder.of("FacebookAI/xlm-roberta-large")
    for setting in ((), *((task(name),) for name in INTERMEDIATE)):
        for target in TARGETS:
            for seed in SEEDS:
                model: Encoder | Stage = encoder
                for tasks, role in Run(encoder, setting, task(target), RECIPES, seed).phases():
                    # Without data, which need not be here to be planned with: a lesson is told from others by its task.
                    lessons = tuple(Lesson(one.name, one.kind, one.labels, (), None, one.metric) for one in tasks)
                    model = train(model, lessons, RECIPES.of(tasks, role), seed)
                    yield model


def shape(asked: argparse.Namespace) -> Network:
    """Return a network without numbers, with a head of each kind that is trained."""
    with torch.device("meta"):
        network = Network(sides.backbone(sides.config(asked)))
    for kind, labels in LABELS.items():
        attach(network, kind, kind, labels)
    return network


def cost(network: Network, stage: Stage) -> int:
    """Return the FLOPs of a training, forward and backward, its sequences all of mean length."""
    lesson, recipe = stage.arguments["lessons"][0], stage.arguments["recipe"]
    examples, sequences, pieces = TEXTS[lesson.task]
    shown = round(examples * sequences * recipe.epochs)
    sums = dict.fromkeys(flops.TERMS, 0)
    sums |= {"sequences": shown, "padded_tokens": shown * pieces, "attended": shown * pieces**2}
    return sum(flops.spent(network, lesson.kind, sums, True).values())


if __name__ == "__main__":
    main()
