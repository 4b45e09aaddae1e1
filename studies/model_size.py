"""Does the benefit of intermediate training grow or shrink with model size?

The same intermediate phase, and the same targets, with five or more encoders of a family: the gain over training on the
target alone, against the number of parameters. Every size counts as one observation, so that an interval of the slope
comes from how far the gains lie off a line, and a family has a slope of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain, Growth, Mean, Scaling
from xstilts.errors import InputError
from xstilts.experiments import sandbox_encoder
from xstilts.experiments.extra_tables import GainBySize
from xstilts.experiments.grid import Grid, Tasks, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import Arm, Study
from xstilts.models.encoder import Encoder
from xstilts.models.naming import name_of
from xstilts.models.packaged_encoder import PREPARE, real_encoder
from xstilts.store.stage import Stage
from xstilts.tasks.base import task_in_languages
from xstilts.training.first_layers import depths

ALL = "all"
WIDTHS = (24, 32, 48, 64, 96)  # of the sandbox's encoders
FULL = {
    "masked-LM encoders": (
        "jhu-clsp/mmBERT-small",
        "FacebookAI/xlm-roberta-base",
        "jhu-clsp/mmBERT-base",
        "FacebookAI/xlm-roberta-large",
        "facebook/xlm-roberta-xl",
        "facebook/xlm-roberta-xxl",
    ),
    "mT5": tuple(f"google/mt5-{size}" for size in ("small", "base", "large", "xl", "xxl")),
    "Qwen3": tuple(f"Qwen/Qwen3-{size}" for size in ("0.6B", "1.7B", "4B", "8B", "14B")),
}


@dataclass(frozen=True)
class Plan:
    """What differs by scale.

    Attributes:
        families: Encoders by the name of their family, the smallest first: at least five, as the interval of a slope
            has two degrees of freedom fewer than there are sizes.
        intermediate: The intermediate task.
        targets: The targets.
        recipes: The recipes of all encoders.
        seeds: Number of seeds of each family's encoders, the smallest first: small ones are cheap.
        target_training_tasks: Tasks to train on for a target instead of its own.
    """

    families: Mapping[str, tuple[Encoder | Stage, ...]]
    intermediate: str
    targets: Tasks
    recipes: Recipes
    seeds: Mapping[str, tuple[int, ...]]
    target_training_tasks: Mapping[str, Tasks] = field(default_factory=dict)


def plan(scale: str, encoder: str = "") -> Plan:
    """Return the setup of a scale; at small, of the first layers of the encoder that is given."""
    if encoder and scale != "small":
        raise InputError("the encoders of this study are its own: give one at --scale small alone")
    if scale == "sandbox":
        recipes = Recipes("sandbox", ("steps=100",), ("steps=60",))
        encoders = tuple(pretrained(width) for width in WIDTHS)
        return _one_family(encoders, "sandbox_cloze", tasks_of("sandbox_qa"), recipes, 2)
    if scale == "small":
        targets = (
            task_in_languages("udpos", "en ar de fi hi id ru ta tr yo zh", 80),
            task_in_languages("uner", "en de pt ru sr sv tl zh", 80),
        )
        encoders = depths(real_encoder(encoder))
        return _one_family(encoders, "ccg_small", targets, Recipes("e5-small"), 3, {"uner": tasks_of("panx")})
    adapters = ("trainable=lora:16", "learning_rate=1e-4")
    return Plan(
        {family: tuple(Encoder.of(name) for name in names) for family, names in FULL.items()},
        "mnli",
        tasks_of("xquad,panx"),
        Recipes("phang2020", adapters, adapters),
        {"masked-LM encoders": (5, 5, 5, 5, 3, 3), "mT5": (5, 5, 5, 3, 3), "Qwen3": (5, 3, 3, 3, 3)},
    )


def _one_family(
    encoders: tuple[Encoder | Stage, ...],
    intermediate: str,
    targets: Tasks,
    recipes: Recipes,
    seeds: int,
    sources: Mapping[str, Tasks] | None = None,
) -> Plan:
    return Plan({ALL: encoders}, intermediate, targets, recipes, {ALL: (seeds,) * len(encoders)}, sources or {})


def pretrained(width: int) -> Stage:
    """Return the sandbox's encoder at another width, after a few steps of its pretraining."""
    recipe = replace(sandbox_encoder.RECIPE, steps=200, batch_size=32)
    return sandbox_encoder.encoder_stage(recipe, replace(sandbox_encoder.SHAPE, width=width))


def study(scale: str, encoder: str = "") -> Study:
    """Return the study at a scale; at small, of the first layers of the encoder that is given."""
    setup = plan(scale, encoder)
    retries = 0 if scale == "sandbox" else 2  # the sandbox's encoder stays at chance in some tasks, whatever the seed
    setting = tasks_of(setup.intermediate)
    arms = tuple(
        Arm(
            Grid(size, setup.targets, (setting,), setup.recipes, seeds, setup.target_training_tasks, retries=retries),
            family,
        )
        for family, encoders in setup.families.items()
        for size, seeds in zip(encoders, setup.seeds[family], strict=True)
    )
    gains = [Gain(setup.intermediate, one.name, recipe=family) for family in setup.families for one in setup.targets]
    extras = tuple(GainBySize(gain) for gain in gains)
    prepare = PREPARE if scale == "small" else ()
    return Study(__doc__ or "", arms, tuple(_claims(setup)), limits=_limits(scale), extras=extras, prepare=prepare)


def _claims(setup: Plan) -> list[Claim]:
    def gain(family: str, encoder: str = "") -> Mean:
        targets = [target.name for target in setup.targets]
        return Mean(tuple(Gain(setup.intermediate, name, encoder=encoder, recipe=family) for name in targets))

    claims = [
        Claim(
            f"The gain grows with the encoder's size{_of(setup, family)}", Growth(gain(family)), "grows", answers=True
        )
        for family in setup.families
    ]
    for family, encoders in setup.families.items():
        for which, encoder in (("smallest", encoders[0]), ("largest", encoders[-1])):
            claims.append(
                Claim(
                    f"The gain of the {which} encoder{_of(setup, family)}",
                    gain(family, name_of(encoder)),
                    "above",
                    descriptive=True,
                )
            )
        if len(setup.targets) > 1:
            claims += [
                Claim(
                    f"Growth of the gain on {target.name}{_of(setup, family)}",
                    Growth(Gain(setup.intermediate, target.name, recipe=family)),
                    "grows",
                    descriptive=True,
                )
                for target in setup.targets
            ]
        claims.append(
            Claim(
                f"The exponent with which the time of intermediate training grows with size{_of(setup, family)}",
                Scaling("intermediate_seconds", setup.intermediate, setup.targets[0].name, family),
                "above",
                descriptive=True,
            )
        )
    return claims


def _of(setup: Plan, family: str) -> str:
    """Return which family is meant, where there are several."""
    return "" if len(setup.families) == 1 else f", {family}"


def _limits(scale: str) -> tuple[str, ...]:
    alike = "One recipe for all sizes: the rate that is best for one encoder may not be for another."
    if scale == "sandbox":
        return (
            alike,
            "The languages are artificial, the encoders tiny and hardly pretrained: this shows that the machinery "
            "works.",
        )
    if scale == "small":
        return (
            alike,
            "The sizes are the first 2, 4, 6 and 9 layers of multilingual-e5-small and the whole of 12 layers, "
            "unless another encoder was given. Encoders that were cut off stand in for smaller ones, which were "
            "trained at their size and are better: this shows growth with depth in one encoder, and not what public "
            "encoders of other sizes gain.",
            "Each training sees 600 examples, and targets are measured on 80 test examples of each language.",
        )
    return (
        f"{alike} All encoders train adapters alone, as all weights of the largest do not fit beside their optimizer.",
        "The masked-LM encoders are of two families, mmBERT and XLM-R, which were pretrained on other text, and the "
        "two largest XLM-R longer than the others (Goyal et al. 2021): size is not all that differs.",
        "Size is counted without embeddings, which are most of a small multilingual encoder and cost no arithmetic.",
    )
