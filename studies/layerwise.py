"""Is tuning some layers in the intermediate phase as good as tuning all, and how much cheaper?

The intermediate phase trains all weights, the upper or the lower half of the layers, or adapters; the target phase
always trains all weights. What trains fewer weights needs another learning rate, so every arm chooses its own from the
same few, by the score on development data. A further arm trains all weights and then gives the upper half of the layers
their old weights back: where the gain is lost, those layers carried it. There are two intermediate tasks and a target
of each group of XTREME-R.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain, Mean, Saving
from xstilts.experiments.grid import Grid, Tasks, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import Arm, Study
from xstilts.models.encoder import Encoder
from xstilts.sandbox import LIMIT
from xstilts.tasks.base import task_in_languages

ALL, RESTORED = "all", "all, upper half restored"
UPPER, LOWER, ADAPTERS = "upper half", "lower half", "adapters"
PARTIAL = (UPPER, LOWER, ADAPTERS)


@dataclass(frozen=True)
class Plan:
    """What differs by scale.

    Attributes:
        encoder: Name or folder of the encoder.
        targets: The targets, one of each group; no intermediate task is the training set of one.
        intermediates: Names of the intermediate tasks.
        recipes: Recipes of all runs.
        seeds: Number of seeds.
        half: Half the number of the encoder's layers.
        rates: Learning rates that every arm chooses from.
        target_training_tasks: Tasks to train on for a target instead of its own.
    """

    encoder: str
    targets: Tasks
    intermediates: tuple[str, str]
    recipes: Recipes
    seeds: int
    half: int
    rates: tuple[float, ...]
    target_training_tasks: dict[str, str] = field(default_factory=dict)


def plan(scale: str) -> Plan:
    """Return the setup of a scale."""
    if scale == "sandbox":
        targets = [task_in_languages(name, "qaa qac qae") for name in ("sandbox_nli", "sandbox_ner", "sandbox_qa")]
        retrieval = task_in_languages("sandbox_retrieval", "qac qae")
        recipes = Recipes("sandbox", ("steps=100",), ("steps=40",))
        tasks = ("sandbox_cloze", "sandbox_inference")
        return Plan("sandbox", (*targets, retrieval), tasks, recipes, 2, 2, (1e-3, 3e-3, 1e-2))
    if scale == "small":
        targets = (
            task_in_languages("xcopa", "et id it sw tr vi zh"),
            task_in_languages("udpos", "en de es fi hi id ru tr vi zh"),
            task_in_languages("xquad", "en de es hi ru tr vi zh"),
            task_in_languages("tatoeba", "de es fi hi id ru sw tr vi zh"),
        )
        recipes = Recipes("small", ("max_train_examples=4000", "epochs=2"), ("max_train_examples=2000", "epochs=1"))
        sources = {"xcopa": "siqa_small,copa", "xquad": "squad_small"}
        return Plan(
            "work/small-encoder", targets, ("ccg_small", "snli_small"), recipes, 3, 2, (1e-4, 3e-4, 1e-3), sources
        )
    return Plan(
        "FacebookAI/xlm-roberta-large",
        tasks_of("xcopa,udpos,tydiqa,tatoeba"),
        ("mnli", "squad"),
        Recipes("phang2020"),
        5,
        12,
        (1e-5, 3e-5, 1e-4),
    )


def trained(half: int) -> dict[str, str]:
    """Return by arm the weights that are trained in the intermediate phase."""
    return {ALL: "all", UPPER: f"top:{half}", LOWER: f"bottom:{half}", ADAPTERS: "lora:8"}


def study(scale: str) -> Study:
    """Return the study at a scale."""
    setup = plan(scale)
    grid = Grid(
        Encoder.of(setup.encoder),
        setup.targets,
        tuple(tasks_of(name) for name in setup.intermediates),
        setup.recipes,
        setup.seeds,
        {target: tasks_of(names) for target, names in setup.target_training_tasks.items()},
    )
    arms = {
        name: Arm(replace(grid, recipes=_training(setup.recipes, part)), name, setup.rates)
        for name, part in trained(setup.half).items()
    }
    # It shares the trainings of the arm that trains all weights, and so its learning rate.
    restored = Arm(replace(arms[ALL].grid, reset_layers=f"top:{setup.half}"), RESTORED, setup.rates)
    return Study(__doc__ or "", (*arms.values(), restored), tuple(_claims(setup)), limits=_limits(scale))


def _training(recipes: Recipes, part: str) -> Recipes:
    return replace(recipes, intermediate=(*recipes.intermediate, f"trainable={part}"))


def _claims(setup: Plan) -> list[Claim]:
    pairs = [(name, target.name) for name in setup.intermediates for target in setup.targets]
    largest, first = setup.intermediates[0], setup.targets[0].name

    def against_all(arm: str) -> Mean:
        return Mean(tuple(Gain(name, target, name, recipe=arm, over_recipe=ALL) for name, target in pairs))

    def saved(figure: str, arm: str) -> Saving:
        return Saving(f"intermediate_{figure}", largest, first, arm, ALL)

    helps = Mean(tuple(Gain(name, target, recipe=ALL) for name, target in pairs))
    claims = [
        Claim(f"Training the {arm} alone is as good as training all", against_all(arm), "equivalent", 2.0, answers=True)
        for arm in PARTIAL
    ]
    claims += [
        Claim(f"Training the {UPPER} alone takes less time", saved("seconds", UPPER), "above", answers=True),
        Claim("Intermediate training of all weights helps, over all tasks and targets", helps, "above"),
        Claim(f"The gain is smaller with the {UPPER} restored", against_all(RESTORED), "below"),
    ]
    return claims + [
        Claim(
            f"Training the {arm} alone takes fewer FLOPs",
            saved("flops", arm),
            "above",
            by_construction="gradients of frozen weights are not computed",
        )
        for arm in PARTIAL
    ]


def _limits(scale: str) -> tuple[str, ...]:
    tuned = (
        "A learning rate is chosen with one seed, by the mean development score of both intermediate tasks, and not "
        "for each target."
    )
    if scale == "sandbox":
        return (LIMIT, tuned)
    if scale == "small":
        return (
            "The encoder has two million parameters and four layers: halves of it are two layers each. XCOPA is at "
            "chance with it.",
            tuned,
        )
    return (tuned,)
