"""Does the benefit of intermediate training grow or shrink with model size?

The same intermediate phase, and the same target, with encoders of several sizes that are alike in all else: the gain
over training on the target alone, against the number of parameters. Every size counts as one observation, so that an
interval of the slope comes from how far the gains lie off a line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain, Growth, Scaling
from xstilts.experiments import sandbox_encoder
from xstilts.experiments.extra_tables import GainBySize
from xstilts.experiments.grid import Grid, Tasks, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import Arm, Study
from xstilts.models.encoder import Encoder
from xstilts.models.naming import name_of
from xstilts.store.stage import Stage
from xstilts.tasks.base import task_in_languages

ALL, ADAPTERS = "all", "adapters"
WIDTHS = (32, 48, 64, 96)  # of the sandbox's encoders


@dataclass(frozen=True)
class Plan:
    """What differs by scale; encoders: the smallest first. recipes: by arm, and with which encoders.

    A margin is in points a doubling of the encoder.
    """

    encoders: tuple[Encoder | Stage, ...]
    intermediate: str
    targets: Tasks
    recipes: dict[str, tuple[Recipes, int]]
    seeds: int
    margin: float


def plan(scale: str) -> Plan:
    r"""Return the setup of a scale; the number beside a recipe is that of its encoders, from the smallest on.

    The encoders of the small scale are made by these commands, in half an hour, one, and twenty minutes more on two
    cores; DATA is the folder of unpacked data sets, and LANGUAGES is
    en,fr,ar,de,bg,zh-CN,eu,fa,hi,nl,pt,pl,tr,uk,sv-SE,ro,it,es,ur,et,hu,el,fi,ja,vi,ko,ru,ta,id,sw,th,te:

        xstilts pretrain --text DATA/text/common_voice --languages LANGUAGES --vocabulary 8000 --steps 4000 \
            --batch-size 128 --learning-rate 2e-3 --layers 2 --width 64 --heads 2 --out work/small-encoder-2
        xstilts pretrain --text DATA/text/common_voice --languages LANGUAGES --vocabulary 8000 --steps 4000 \
            --batch-size 128 --learning-rate 2e-3 --layers 3 --width 96 --heads 3 --out work/small-encoder-3
        xstilts pretrain --text DATA/text/common_voice --languages LANGUAGES --vocabulary 8000 --steps 4000 \
            --batch-size 128 --learning-rate 2e-3 --layers 4 --width 128 --heads 4 --out work/small-encoder
        xstilts pretrain --text DATA/text/common_voice --languages LANGUAGES --vocabulary 8000 --steps 4000 \
            --batch-size 128 --learning-rate 2e-3 --layers 6 --width 192 --heads 6 --out work/small-encoder-6
    """
    if scale == "sandbox":
        recipes = Recipes("sandbox", ("steps=120",), ("steps=60",))
        encoders = tuple(pretrained(width) for width in WIDTHS)
        return Plan(encoders, "sandbox_cloze", tasks_of("sandbox_qa"), {ALL: (recipes, len(WIDTHS))}, 2, 2.0)
    if scale == "small":
        names = ("small-encoder-2", "small-encoder-3", "small-encoder", "small-encoder-6")
        target = task_in_languages("udpos", "en de es fi hi id ru tr vi wo zh")
        recipes = Recipes("small", ("max_train_examples=4000", "epochs=2"), ("max_train_examples=2000", "epochs=1"))
        encoders = tuple(Encoder.of(f"work/{name}") for name in names)
        return Plan(encoders, "ccg_small", (target,), {ALL: (recipes, len(names))}, 3, 1.0)
    names = ("FacebookAI/xlm-roberta-base", "FacebookAI/xlm-roberta-large")
    names += ("facebook/xlm-roberta-xl", "facebook/xlm-roberta-xxl")
    adapters = ("trainable=lora:16", "learning_rate=1e-4")
    return Plan(
        tuple(Encoder.of(name) for name in names),
        "mnli",
        tasks_of("xquad,panx"),
        {ADAPTERS: (Recipes("phang2020", adapters, adapters), 4), ALL: (Recipes("phang2020"), 3)},
        3,
        0.5,
    )


def pretrained(width: int) -> Stage:
    """Return the sandbox's encoder at another width, after a few steps of its pretraining."""
    recipe = replace(sandbox_encoder.RECIPE, steps=200, batch_size=32)
    return sandbox_encoder.encoder_stage(recipe, replace(sandbox_encoder.SHAPE, width=width))


def study(scale: str) -> Study:
    """Return the study at a scale."""
    setup = plan(scale)
    setting = tasks_of(setup.intermediate)
    arms = tuple(
        Arm(Grid(encoder, setup.targets, (setting,), recipes, setup.seeds), label)
        for label, (recipes, count) in setup.recipes.items()
        for encoder in setup.encoders[:count]
    )
    gains = [Gain(setup.intermediate, one.name, recipe=label) for label in setup.recipes for one in setup.targets]
    extras = tuple(GainBySize(gain) for gain in gains)
    return Study(__doc__ or "", arms, tuple(_claims(setup, gains)), limits=_limits(scale), extras=extras)


def _claims(setup: Plan, gains: list[Gain]) -> list[Claim]:
    claims = [
        Claim(f"The gain on {_describe(setup, gain)} grows with the encoder's size", Growth(gain), "grows")
        for gain in gains
    ]
    claims += [
        Claim(
            f"The gain on {_describe(setup, gain)} is the same at all sizes", Growth(gain), "equivalent", setup.margin
        )
        for gain in gains
    ]
    for gain in gains:
        _, count = setup.recipes[gain.recipe]
        for which, encoder in (("smallest", setup.encoders[0]), ("largest", setup.encoders[count - 1])):
            sentence = f"Intermediate training of the {which} encoder helps on {_describe(setup, gain)}"
            claims.append(Claim(sentence, replace(gain, encoder=name_of(encoder)), "above"))
    return claims + [
        Claim(
            f"What the gain costs in time grows with the encoder's size{_with(setup, label)}",
            Scaling("intermediate_seconds", setup.intermediate, setup.targets[0].name, label),
            "above",
        )
        for label in setup.recipes
    ]


def _describe(setup: Plan, gain: Gain) -> str:
    return f"{gain.target}{_with(setup, gain.recipe)}"


def _with(setup: Plan, label: str) -> str:
    """Return which weights are trained, where there are arms that train others."""
    return "" if len(setup.recipes) == 1 else f", training {'all weights' if label == ALL else label}"


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
            "The encoders have half a million to five million parameters and saw as many sentences in pretraining, "
            "which is little for the larger ones: nothing here speaks of public encoders.",
        )
    return (
        alike,
        "The two larger encoders were pretrained on other settings and longer than the two smaller ones (Goyal et al. "
        "2021), so size is not all that differs.",
        "The largest encoder trains adapters alone, as all of its weights do not fit beside their optimiser.",
    )
