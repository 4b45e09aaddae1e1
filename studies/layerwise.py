"""Is tuning some layers in the intermediate phase as good as tuning all, and how much cheaper?

The intermediate phase trains all weights, some layers, only the norms, or adapters, or frees all layers one by one
from the top; the target phase always trains all of them. Two further arms train all weights and then give half of the
layers their old weights back: where the gain is lost, those layers carried it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain, Saving
from xstilts.experiments.grid import Grid, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import Arm, Study
from xstilts.models.encoder import Encoder
from xstilts.sandbox import LIMIT
from xstilts.tasks.base import Task, task, task_in_languages

ALL, GRADUAL = "all", "layers one by one"
ANSWERING = ("upper half", "adapters")


@dataclass(frozen=True)
class Plan:
    """What differs by scale.

    Attributes:
        encoder: Name or folder of the encoder.
        target: The target.
        intermediate: Name of the intermediate task.
        recipes: Recipes of all runs.
        seeds: Number of seeds.
        half: Half the number of the encoder's layers.
    """

    encoder: str
    target: Task
    intermediate: str
    recipes: Recipes
    seeds: int
    half: int


def plan(scale: str) -> Plan:
    """Return the setup of a scale."""
    if scale == "sandbox":
        return Plan("sandbox", task("sandbox_qa"), "sandbox_cloze", Recipes("sandbox"), 2, 2)
    if scale == "small":
        target = task_in_languages("udpos", "en de es fi hi id ru tr vi wo zh")
        recipes = Recipes("small", ("max_train_examples=4000", "epochs=2"), ("max_train_examples=2000", "epochs=1"))
        return Plan("work/small-encoder", target, "ccg_small", recipes, 3, 2)
    return Plan("FacebookAI/xlm-roberta-large", task("xquad"), "mnli", Recipes("phang2020"), 5, 12)


def parts(half: int) -> dict[str, str]:
    """Return by arm the weights that are trained in the intermediate phase."""
    return {
        ALL: "all",
        "upper half": f"top:{half}",
        "lower half": f"bottom:{half}",
        "middle half": f"layers:{half // 2}-{half // 2 + half - 1}",
        "every second layer": "alternate",
        "norms": "layernorm",
        "adapters": "lora:8",
        GRADUAL: "gradual",
    }


def restored(half: int) -> dict[str, str]:
    """Return by arm the layers that get the encoder's weights back after the intermediate phase."""
    return {"all, upper half restored": f"top:{half}", "all, lower half restored": f"bottom:{half}"}


def study(scale: str) -> Study:
    """Return the study at a scale."""
    setup = plan(scale)
    grid = Grid(Encoder.of(setup.encoder), (setup.target,), (tasks_of(setup.intermediate),), setup.recipes, setup.seeds)
    arms = [
        Arm(replace(grid, recipes=_training(setup.recipes, part)), name) for name, part in parts(setup.half).items()
    ]
    arms += [Arm(replace(grid, reset_layers=layers), name) for name, layers in restored(setup.half).items()]
    return Study(__doc__ or "", tuple(arms), tuple(_claims(setup)), limits=_limits(scale))


def _training(recipes: Recipes, part: str) -> Recipes:
    return replace(recipes, intermediate=(*recipes.intermediate, f"trainable={part}"))


def _claims(setup: Plan) -> list[Claim]:
    intermediate, target = setup.intermediate, setup.target.name
    partial = [name for name in parts(setup.half) if name not in (ALL, GRADUAL)]

    def against_all(name: str) -> Gain:
        return Gain(intermediate, target, over=intermediate, recipe=name, over_recipe=ALL)

    def saved(figure: str, name: str) -> Saving:
        return Saving(figure, intermediate, target, name, ALL)

    claims = [Claim("Intermediate training helps", Gain(intermediate, target, recipe=ALL), "above")]
    claims += [
        Claim(f"It helps when it trains {_the(name)} alone", Gain(intermediate, target, recipe=name), "above")
        for name in partial
    ]
    claims += [
        Claim(
            f"Training {_the(name)} alone is as good as training all",
            against_all(name),
            "equivalent",
            margin=2.0,
            answers=name in ANSWERING,
        )
        for name in partial
    ]
    claims += [
        Claim(f"The gain is smaller with the {name.removeprefix('all, ')}", against_all(name), "below")
        for name in restored(setup.half)
    ]
    claims.append(Claim("Freeing the layers one by one is better than training all", against_all(GRADUAL), "above"))
    claims += [
        Claim(
            f"Training {_the(name)} alone takes fewer FLOPs",
            saved("intermediate_flops", name),
            "above",
            by_construction="gradients of frozen weights are not computed",
        )
        for name in partial
    ]
    claims += [
        Claim(
            f"Training {_the(name)} alone takes less time",
            saved("intermediate_seconds", name),
            "above",
            answers=name in ANSWERING,
        )
        for name in partial
    ]
    return claims


def _the(name: str) -> str:
    return name if name.startswith("every") else f"the {name}"


def _limits(scale: str) -> tuple[str, ...]:
    if scale == "sandbox":
        return (LIMIT,)
    if scale == "small":
        return ("The encoder has two million parameters and four layers: halves of it are two layers each.",)
    return ()
