"""What does the batch size of the intermediate phase do to accuracy, and to inference?

Every batch size sees the same examples, so that a larger one takes fewer steps. Its learning rate is left as it is, or
grows with the square root of the batch size, or in proportion to it, or is another multiple of the usual one; "tuned"
is the one with which the intermediate task itself went best on development data. Each batch size has its rate tuned in
the same way, the usual one too. The target phase is the same for all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain, Saving
from xstilts.experiments.extra_tables import NoiseScales, TimeToQuality
from xstilts.experiments.grid import Grid, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import Arm, DevSelectedArm, Study
from xstilts.models.encoder import Encoder
from xstilts.sandbox import LIMIT
from xstilts.tasks.base import Task, task, task_in_languages

RULES = {"same rate": 0.0, "root rule": 0.5, "linear rule": 1.0}  # powers of the ratio of batch sizes
TUNED = "tuned"


@dataclass(frozen=True)
class Plan:
    """What differs by scale; the learning rate is that of the batch size `base`."""

    encoder: str
    target: Task
    intermediate: str
    recipes: Recipes
    seeds: int
    sizes: tuple[int, ...]
    base: int
    rate: float
    multiples: tuple[float, ...] = (0.5, 1.0, 2.0)


def plan(scale: str) -> Plan:
    """Return the setup of a scale."""
    if scale == "sandbox":
        recipes = Recipes("sandbox", ("steps=none", "max_train_examples=1600", "epochs=3"))
        return Plan("sandbox", task("sandbox_qa"), "sandbox_cloze", recipes, 2, (8, 32, 128), 32, 7e-4)
    if scale == "small":
        target = task_in_languages("udpos", "en de es fi hi id ru tr vi wo zh")
        recipes = Recipes("small", ("max_train_examples=4000", "epochs=2"), ("max_train_examples=2000", "epochs=1"))
        return Plan("work/small-encoder", target, "ccg_small", recipes, 3, (8, 32, 128), 32, 3e-4)
    recipes, sizes = Recipes("phang2020"), (8, 16, 32, 64, 128, 512)
    return Plan(
        "FacebookAI/xlm-roberta-large", task("xquad"), "mnli", recipes, 5, sizes, 32, 1e-5, (0.25, 0.5, 1.0, 2.0, 4.0)
    )


def study(scale: str) -> Study:
    """Return the study at a scale."""
    setup = plan(scale)
    grid = Grid(Encoder.of(setup.encoder), (setup.target,), (tasks_of(setup.intermediate),), setup.recipes, setup.seeds)
    arms = [
        Arm(replace(grid, recipes=_batched(setup, size, multiple)), label)
        for size in setup.sizes
        for label, multiple in _labels(setup, size).items()
    ]
    choices = tuple(DevSelectedArm(_named(size, TUNED), tuple(_labels(setup, size))) for size in setup.sizes)
    probes = (TimeToQuality(setup.intermediate), NoiseScales(grid))
    return Study(__doc__ or "", tuple(arms), tuple(_claims(setup)), choices, _limits(scale), probes)


def _batched(setup: Plan, size: int, multiple: float) -> Recipes:
    settings = (*setup.recipes.intermediate, f"batch_size={size}", f"learning_rate={setup.rate * multiple:.3g}")
    return replace(setup.recipes, intermediate=settings)


def _labels(setup: Plan, size: int) -> dict[str, float]:
    """Return the arms of a batch size and by how much the usual rate is multiplied in each, the lowest first."""
    rules = {round((size / setup.base) ** power, 6): rule for rule, power in reversed(RULES.items())}
    multiples = sorted({*setup.multiples, *rules})
    return {_named(size, rules.get(one, f"rate × {one:g}")): one for one in multiples}


def _named(size: int, rule: str) -> str:
    return f"batch {size}, {rule}"


def _claims(setup: Plan) -> list[Claim]:
    intermediate, target, base = setup.intermediate, setup.target.name, _named(setup.base, TUNED)
    others = [size for size in setup.sizes if size != setup.base]

    def against_base(size: int, rule: str) -> Gain:
        return Gain(intermediate, target, over=intermediate, recipe=_named(size, rule), over_recipe=base)

    def saved(figure: str, size: int) -> Saving:
        return Saving(figure, intermediate, target, _named(size, TUNED), base)

    claims = [
        Claim(
            f"Intermediate training in batches of {size} helps",
            Gain(intermediate, target, recipe=_named(size, TUNED)),
            "above",
        )
        for size in setup.sizes
    ]
    claims += [
        Claim(
            f"With a tuned rate, batches of {size} are as good as batches of {setup.base}",
            against_base(size, TUNED),
            "equivalent",
            margin=2.0,
            answers=True,
        )
        for size in others
    ]
    claims += [
        Claim(f"With the rate left as it is, batches of {size} are worse", against_base(size, "same rate"), "below")
        for size in others
    ]
    claims += [
        Claim(f"Training in batches of {size} takes less time", saved("intermediate_seconds", size), "above")
        for size in others
        if size > setup.base
    ]
    claims += [
        Claim(
            f"After batches of {size}, prediction takes the same FLOPs",
            saved("predict_flops", size),
            "equivalent",
            margin=0.01,
            by_construction="the trained network has the same shape, whatever batches it was trained in",
        )
        for size in others
    ]
    claims += [
        Claim(
            f"After batches of {size}, prediction takes the same time",
            saved("predict_seconds", size),
            "equivalent",
            margin=10.0,
        )
        for size in others
    ]
    return claims


def _limits(scale: str) -> tuple[str, ...]:
    if scale == "sandbox":
        return (LIMIT,)
    if scale == "small":
        return ("The encoder has two million parameters, and the intermediate phase sees eight thousand examples.",)
    return ()
