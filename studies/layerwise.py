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
from xstilts.models.configs import config_of
from xstilts.models.encoder import Encoder
from xstilts.models.packaged_encoder import LIMIT as ENCODER_LIMIT
from xstilts.models.packaged_encoder import PREPARE, real_encoder
from xstilts.sandbox import LIMIT
from xstilts.tasks.base import task_in_languages

ALL, RESTORED = "all", "all, upper half restored"
UPPER, LOWER, ADAPTERS = "upper half", "lower half", "adapters"
PARTIAL = (UPPER, LOWER, ADAPTERS)


@dataclass(frozen=True)
class Plan:
    """What differs by scale.

    Attributes:
        encoder: The encoder.
        targets: The targets, one of each group but at small; no intermediate task is the training set of one.
        intermediates: Names of the intermediate tasks.
        recipes: Recipes of all runs.
        seeds: Number of seeds.
        half: Half the number of the encoder's layers.
        rates: Learning rates that every arm chooses from.
        target_training_tasks: Tasks to train on for a target instead of its own.
    """

    encoder: Encoder
    targets: Tasks
    intermediates: tuple[str, str]
    recipes: Recipes
    seeds: int
    half: int
    rates: tuple[float, ...]
    target_training_tasks: dict[str, str] = field(default_factory=dict)


def plan(scale: str, encoder: str = "") -> Plan:
    """Return the setup of a scale, with another encoder where one is given."""
    if scale == "sandbox":
        targets = [task_in_languages(name, "qaa qac qae") for name in ("sandbox_nli", "sandbox_ner", "sandbox_qa")]
        retrieval = task_in_languages("sandbox_retrieval", "qac qae")
        recipes = Recipes("sandbox", ("steps=100",), ("steps=40",))
        tasks = ("sandbox_cloze", "sandbox_inference")
        whole = Encoder.of(encoder or "sandbox")
        return Plan(whole, (*targets, retrieval), tasks, recipes, 2, half_of(whole), (1e-3, 3e-3, 1e-2))
    if scale == "small":
        targets = (
            task_in_languages("udpos", "en ar de fi hi id ru ta tr yo zh", 80),
            task_in_languages("uner", "en de pt ru sr sv tl zh", 80),
            task_in_languages("tatoeba", "ar de fi hi id ru sw ta tr zh", 150),
        )
        sources = {"uner": "panx"}
        tasks, rates = ("ccg_small", "sick"), (5e-5, 1e-4, 2e-4)
        whole = real_encoder(encoder)
        return Plan(
            whole, targets, tasks, Recipes("e5-small", ("max_train_examples=1000",)), 4, half_of(whole), rates, sources
        )
    whole = Encoder.of(encoder or "FacebookAI/xlm-roberta-large")
    return Plan(
        whole,
        tasks_of("xcopa,udpos,tydiqa,tatoeba"),
        ("mnli", "squad"),
        Recipes("phang2020"),
        5,
        half_of(whole),
        (1e-5, 3e-5, 1e-4),
    )


def half_of(encoder: Encoder) -> int:
    """Return half the number of an encoder's layers; of 12 where its configuration is not known."""
    return int(getattr(config_of(encoder), "num_hidden_layers", 12)) // 2


def trained(half: int) -> dict[str, str]:
    """Return by arm the weights that are trained in the intermediate phase."""
    return {ALL: "all", UPPER: f"top:{half}", LOWER: f"bottom:{half}", ADAPTERS: "lora:8"}


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
    arms = {
        name: Arm(replace(grid, recipes=_training(setup.recipes, part)), name, setup.rates)
        for name, part in trained(setup.half).items()
    }
    prepare = PREPARE if scale == "small" else ()
    # It shares the trainings of the arm that trains all weights, and so its learning rate.
    restored = Arm(replace(arms[ALL].grid, reset_layers=f"top:{setup.half}"), RESTORED, setup.rates)
    return Study(
        __doc__ or "", (*arms.values(), restored), tuple(_claims(setup)), limits=_limits(scale), prepare=prepare
    )


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
            ENCODER_LIMIT,
            "UNER is learned from PAN-X, whose names are annotated by other rules.",
            "Inference and question answering, which take most time, are targets of the study replication alone.",
            tuned,
        )
    return (tuned,)
