"""What does the batch size of the intermediate phase do to accuracy, and to inference?

Every batch size sees exactly as many examples, so that a larger one takes fewer steps, and keeps the last weights:
nothing stops a training early or chooses among its checkpoints. Each batch size chooses its learning rate from as many,
around the usual one times the square root of the ratio of batch sizes, by the score on development data; in one further
arm the largest batch keeps the usual rate. The target phase is the same for all. There are two intermediate tasks and a
target of each group of XTREME-R.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain, Mean, Saving
from xstilts.experiments.extra_tables import NoiseScales, TimeToQuality
from xstilts.experiments.grid import Grid, Tasks, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import Arm, Study
from xstilts.models.encoder import Encoder
from xstilts.models.packaged_encoder import LIMIT as ENCODER_LIMIT
from xstilts.models.packaged_encoder import PREPARE, real_encoder
from xstilts.sandbox import LIMIT
from xstilts.tasks.base import task_in_languages

MULTIPLES = (0.5, 1.0, 2.0)  # of the rate by the root rule: what every batch size chooses from


@dataclass(frozen=True)
class Plan:
    """What differs by scale.

    Attributes:
        encoder: The encoder.
        targets: The targets, one of each group but at small; no intermediate task is the training set of one.
        intermediates: Names of the intermediate tasks.
        recipes: Recipes of all runs.
        seeds: Number of seeds.
        sizes: The batch sizes, the smallest first; each divides `examples`.
        base: The usual one of them, to which the others are compared.
        rate: The usual learning rate, that of the batch size `base`.
        examples: How many examples an intermediate phase sees, those seen twice counted twice.
        target_training_tasks: Tasks to train on for a target instead of its own.
    """

    encoder: Encoder
    targets: Tasks
    intermediates: tuple[str, str]
    recipes: Recipes
    seeds: int
    sizes: tuple[int, ...]
    base: int
    rate: float
    examples: int
    target_training_tasks: dict[str, str] = field(default_factory=dict)

    @property
    def others(self) -> tuple[int, ...]:
        """The batch sizes that are compared with the usual one."""
        return tuple(size for size in self.sizes if size != self.base)


def plan(scale: str, encoder: str = "") -> Plan:
    """Return the setup of a scale, with another encoder where one is given."""
    if scale == "sandbox":
        targets = [task_in_languages(name, "qaa qac qae") for name in ("sandbox_nli", "sandbox_ner", "sandbox_qa")]
        retrieval = task_in_languages("sandbox_retrieval", "qac qae")
        tasks = ("sandbox_cloze", "sandbox_inference")
        recipes = Recipes("sandbox", (), ("steps=40",))
        return Plan(
            Encoder.of(encoder or "sandbox"), (*targets, retrieval), tasks, recipes, 3, (8, 32, 128), 32, 2e-3, 2560
        )
    if scale == "small":
        targets = (
            task_in_languages("udpos", "en ar de fi hi id ru ta tr yo zh", 80),
            task_in_languages("uner", "en de pt ru sr sv tl zh", 80),
            task_in_languages("tatoeba", "ar de fi hi id ru sw ta tr zh", 150),
        )
        sources = {"uner": "panx"}
        tasks, recipes = ("ccg_small", "sick"), Recipes("e5-small", ("max_train_examples=1024",))
        return Plan(real_encoder(encoder), targets, tasks, recipes, 4, (8, 32, 128), 32, 1.5e-4, 1024, sources)
    return Plan(
        Encoder.of(encoder or "FacebookAI/xlm-roberta-large"),
        tasks_of("xcopa,udpos,tydiqa,tatoeba"),
        ("mnli", "squad"),
        Recipes("phang2020"),
        5,
        (8, 32, 128, 512),
        32,
        1e-5,
        2**18,
    )


def study(scale: str, encoder: str = "") -> Study:
    """Return the study at a scale, with another encoder where one is given."""
    setup = plan(scale, encoder)
    retries = 0 if scale == "sandbox" else 2  # the sandbox's encoder stays at chance in some tasks, whatever the seed
    grid = Grid(
        setup.encoder,
        setup.targets,
        tuple(tasks_of(name) for name in setup.intermediates),
        setup.recipes,
        setup.seeds,
        {target: tasks_of(names) for target, names in setup.target_training_tasks.items()},
        retries=retries,
    )
    arms = [Arm(_batched(grid, setup, size), tuned(size), rates(setup, size)) for size in setup.sizes]
    usual = _batched(grid, setup, setup.sizes[-1])
    arms.append(Arm(usual, same_rate(setup.sizes[-1]), (setup.rate,)).planned())
    measured = replace(Arm(_batched(grid, setup, setup.base), "", (setup.rate,)).planned().grid, seeds=1)
    extras = (*map(TimeToQuality, setup.intermediates), NoiseScales(measured))
    prepare = PREPARE if scale == "small" else ()
    return Study(
        __doc__ or "", tuple(arms), tuple(_claims(setup)), limits=_limits(scale), extras=extras, prepare=prepare
    )


def rates(setup: Plan, size: int) -> tuple[float, ...]:
    """Return the learning rates that a batch size chooses from."""
    return tuple(float(f"{setup.rate * math.sqrt(size / setup.base) * part:.3g}") for part in MULTIPLES)


def tuned(size: int) -> str:
    """Return the label of the arm of a batch size that chooses its learning rate."""
    return f"batch {size}, tuned"


def same_rate(size: int) -> str:
    """Return the label of the arm of a batch size with the usual learning rate."""
    return f"batch {size}, usual rate"


def _batched(grid: Grid, setup: Plan, size: int) -> Grid:
    if setup.examples % size:
        raise ValueError(f"{setup.examples} examples are no whole number of batches of {size}")
    settings = (f"batch_size={size}", f"steps={setup.examples // size}", "selection=none")
    recipes = replace(setup.recipes, intermediate=(*setup.recipes.intermediate, *settings))
    return replace(grid, recipes=recipes)


def _claims(setup: Plan) -> list[Claim]:
    pairs = [(name, target.name) for name in setup.intermediates for target in setup.targets]
    base, largest = tuned(setup.base), setup.sizes[-1]

    def against_base(label: str) -> Mean:
        return Mean(tuple(Gain(name, target, name, recipe=label, over_recipe=base) for name, target in pairs))

    def saved(figure: str) -> Saving:
        return Saving(figure, setup.intermediates[0], setup.targets[0].name, tuned(largest), base)

    helps = Mean(tuple(Gain(name, target, recipe=base) for name, target in pairs))
    return [
        *(
            Claim(
                f"Batches of {size} are as good as batches of {setup.base}, each with its own rate",
                against_base(tuned(size)),
                "equivalent",
                margin=2.0,
                answers=True,
            )
            for size in setup.others
        ),
        Claim(
            f"After batches of {largest}, prediction takes the same time",
            saved("predict_seconds"),
            "equivalent",
            margin=10.0,
            answers=True,
        ),
        Claim(
            f"Intermediate training in batches of {setup.base} helps, over all tasks and targets",
            helps,
            "above",
        ),
        Claim(
            f"With the usual rate, batches of {largest} are worse than batches of {setup.base}",
            against_base(same_rate(largest)),
            "below",
        ),
        Claim(
            f"After batches of {largest}, prediction takes the same FLOPs",
            saved("predict_flops"),
            "equivalent",
            margin=0.01,
            by_construction="the trained network has the same shape, whatever batches it was trained in",
        ),
    ]


def _limits(scale: str) -> tuple[str, ...]:
    tuned = (
        "A learning rate is chosen with one seed, by the mean development score of both intermediate tasks, and not "
        "for each target.",
        "Of a question with a long context every window counts as an example.",
    )
    if scale == "sandbox":
        return (LIMIT, *tuned)
    if scale == "small":
        return (
            ENCODER_LIMIT,
            "UNER is learned from PAN-X, whose names are annotated by other rules.",
            "Inference and question answering, which take most time, are targets of the study replication alone.",
            *tuned,
        )
    return tuned
