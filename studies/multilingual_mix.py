"""Are several non-English intermediate tasks better than English ones?

The same questions in English and in languages of several families, as translations have them, so that language is all
that differs: both arms see the same questions, equally many examples, for as many steps. As English data are seldom
short of questions, a further English arm has as many examples of different questions, each seen once, and a last one
adds English to the other languages. All are before the same targets, which are learned in English throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain, Mean, Saving
from xstilts.experiments.extra_tables import Lengths
from xstilts.experiments.grid import Grid, Tasks, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import Arm, Study
from xstilts.models.encoder import Encoder
from xstilts.models.naming import name_of
from xstilts.models.packaged_encoder import LIMIT as ENCODER_LIMIT
from xstilts.models.packaged_encoder import PREPARE, real_encoder
from xstilts.sandbox import LIMIT
from xstilts.tasks.base import Task, task, task_in_languages

Codes = Mapping[str, tuple[str, ...]]
SAME, OTHERS = "English, the same questions", "other languages, the same questions"
ENGLISH, UNION = "English, more questions", "English and other languages"


@dataclass(frozen=True)
class Mix:
    """An arm's intermediate tasks, and how often each of their examples is seen.

    Attributes:
        names: The tasks; their languages are one training split each, and all splits have equally many examples.
        passes: How often the examples are seen.
    """

    names: tuple[str, ...]
    passes: int = 1

    @property
    def tasks(self) -> Tasks:
        """The tasks."""
        return tuple(task(name) for name in self.names)

    @property
    def label(self) -> str:
        """The name of the setting in the results table."""
        return "+".join(one.name for one in self.tasks)

    @property
    def splits(self) -> int:
        """The number of training splits."""
        return sum(len(one.training_parts()) for one in self.tasks)


@dataclass(frozen=True)
class Plan:
    """What differs by scale.

    Attributes:
        recipes: By encoder.
        mixes: The mix of each arm, by its label.
        targets: The targets; none is trained on data of an intermediate task.
        examples: Examples that an epoch sees in each arm, repeated ones counted: a multiple of the number of splits of
            every mix times its passes.
        seeds: Number of seeds.
        target_training_tasks: Tasks to train on for a target instead of its own.
    """

    recipes: Mapping[Encoder, Recipes]
    mixes: Mapping[str, Mix]
    targets: Tasks
    examples: int
    seeds: int
    target_training_tasks: Mapping[str, Tasks] = field(default_factory=dict)


def plan(scale: str, encoder: str = "") -> Plan:
    """Return the setup of a scale, with another encoder where one is given."""
    if scale == "sandbox":
        english, others = ("sandbox_cloze", "sandbox_inference"), ("qab+qad", "qab+qad")
        return Plan(
            {Encoder.of(encoder or "sandbox"): Recipes("sandbox", ("steps=100",), ("steps=60",))},
            _mixes(english, others, "qaa"),
            tasks_of("sandbox_qa,sandbox_nli"),
            2400,
            3,
        )
    if scale == "small":
        translations = ("kornli_small", "myxnli_small:my+sw+ur")
        return Plan(
            {real_encoder(encoder): Recipes("e5-small")},
            {
                SAME: Mix(("xnli_small",), 4),
                OTHERS: Mix(translations),
                ENGLISH: Mix(("snli_small",)),
                UNION: Mix(("xnli_small", *translations)),
            },
            (
                task_in_languages("udpos", "en ar de fi hi id ko ta tr ur yo zh", 80),
                task_in_languages("uner", "en de pt ru sr sv tl zh", 80),
                task_in_languages("tatoeba", "ar de fi hi id ko sw ta tr ur zh", 150),
            ),
            2000,
            4,
            {"uner": tasks_of("panx")},
        )
    adapters = ("trainable=lora:16", "learning_rate=1e-4", "selection=none")
    recipes = Recipes("phang2020", ("epochs=1", *adapters), adapters)
    encoders = ("facebook/xlm-roberta-xl", "EuroBERT/EuroBERT-2.1B", "Qwen/Qwen3-4B")
    return Plan(
        dict.fromkeys(map(Encoder.of, (encoder,) if encoder else encoders), recipes),
        _mixes(("mnli", "pawsx"), ("hi+ru+sw+zh", "de+es+ja+zh"), "en"),
        tasks_of("xquad,panx,udpos"),
        80_000,
        5,
    )


def _mixes(english: tuple[str, ...], others: tuple[str, ...], base: str) -> dict[str, Mix]:
    """Return the mixes of tasks whose training data are translations, each in as many other languages."""
    pairs = list(zip(english, others, strict=True))
    return {
        SAME: Mix(english, len(others[0].split("+"))),
        OTHERS: Mix(tuple(f"{name}:{codes}" for name, codes in pairs)),
        ENGLISH: Mix(english),
        UNION: Mix(tuple(f"{name}:{base}+{codes}" for name, codes in pairs)),
    }


def study(scale: str, encoder: str = "") -> Study:
    """Return the study at a scale, with another encoder where one is given."""
    setup = plan(scale, encoder)
    retries = 0 if scale == "sandbox" else 2  # the sandbox's encoder stays at chance in some tasks, whatever the seed
    arms = tuple(
        Arm(_grid(setup, one, mix, retries), label) for one in setup.recipes for label, mix in setup.mixes.items()
    )
    lengths = tuple(Lengths(target.name, base) for target in setup.targets if (base := _base(target)))
    prepare = PREPARE if scale == "small" else ()
    return Study(__doc__ or "", arms, tuple(_claims(setup)), limits=_limits(scale), extras=lengths, prepare=prepare)


def _grid(setup: Plan, encoder: Encoder, mix: Mix, retries: int) -> Grid:
    recipes = setup.recipes[encoder]
    epochs = recipes.of(mix.tasks, "intermediate").epochs * mix.passes
    # All splits of a task draw the same rows, which are the same questions where the splits are translations.
    share = setup.examples // mix.splits // mix.passes
    changes = (f"max_train_examples={share}", f"epochs={epochs:g}")
    return Grid(
        encoder,
        setup.targets,
        (mix.tasks,),
        replace(recipes, intermediate=(*recipes.intermediate, *changes)),
        setup.seeds,
        setup.target_training_tasks,
        retries=retries,
    )


def _base(target: Task) -> str:
    """Return the language of a target that it is learned in; none where it is not learned."""
    target_training_tasks = target.target_training_tasks()
    return target_training_tasks[0].trained_in[0] if target_training_tasks else ""


def _claims(setup: Plan) -> list[Claim]:
    """Return what is claimed of all encoders together, and what is shown of each."""
    seen = {code for one in setup.mixes[OTHERS].tasks for code in one.trained_in}
    new = {
        target.name: tuple(code for code in target.languages if code not in seen and code != _base(target))
        for target in setup.targets
    }
    met = {target.name: tuple(code for code in target.languages if code in seen) for target in setup.targets}
    every = tuple(setup.recipes)

    def gains(mix: str, over: str = "", encoders: tuple[Encoder, ...] = every, among: Codes | None = None) -> Mean:
        against = {"over": setup.mixes[over].label, "over_recipe": over} if over else {}
        return Mean(
            tuple(
                Gain(
                    setup.mixes[mix].label,
                    target.name,
                    languages=among[target.name] if among else (),
                    encoder=name_of(encoder),
                    recipe=mix,
                    **against,
                )
                for encoder in encoders
                for target in setup.targets
                if not among or among[target.name]
            )
        )

    tested = [
        Claim(
            "The same questions are better in other languages than in English",
            gains(OTHERS, SAME),
            "above",
            answers=True,
        ),
        Claim(
            "As many examples are better in other languages than of more English questions",
            gains(OTHERS, ENGLISH),
            "above",
            answers=True,
        ),
        Claim("Intermediate tasks in other languages help", gains(OTHERS), "above"),
        Claim("English and other languages together are better than English alone", gains(UNION, ENGLISH), "above"),
        Claim(
            "The same questions are better in other languages where no intermediate task has the language",
            gains(OTHERS, SAME, among=new),
            "above",
        ),
        Claim(
            "Seeing English questions again is as good as seeing more of them", gains(SAME, ENGLISH), "equivalent", 2.0
        ),
    ]
    described = [
        Claim(
            "Other languages, the same questions, in the languages of these tasks",
            gains(OTHERS, SAME, among=met),
            "above",
        ),
        Claim("English, the same questions again, over no intermediate task", gains(SAME), "above"),
        Claim("English, more questions, over no intermediate task", gains(ENGLISH), "above"),
        Claim("English and other languages together, over no intermediate task", gains(UNION), "above"),
    ]
    for encoder in every:
        of = f" with {name_of(encoder)}"
        if len(every) > 1:
            described.append(
                Claim(
                    f"Other languages over English, the same questions,{of}", gains(OTHERS, SAME, (encoder,)), "above"
                )
            )
        described.append(
            Claim(f"Percent of time that other languages take less than English,{of}", _saved(setup, encoder), "above")
        )
    return [*tested, *(replace(claim, descriptive=True) for claim in described)]


def _saved(setup: Plan, encoder: Encoder) -> Saving:
    others, same = setup.mixes[OTHERS].label, setup.mixes[SAME].label
    target, name = setup.targets[0].name, name_of(encoder)
    return Saving("intermediate_seconds", others, target, OTHERS, SAME, name, same)


def _limits(scale: str) -> tuple[str, ...]:
    equal = (
        "Arms are equal in examples and steps, not in tokens. The same questions are the same rows of the data set, "
        "which are translations of each other where no row is missing in a language."
    )
    if scale == "sandbox":
        return (equal, LIMIT)
    if scale == "small":
        return (
            equal,
            ENCODER_LIMIT,
            "The questions are XNLI's validation set; more questions are SNLI's, which are another data set.",
        )
    return (
        equal,
        "The translations of MNLI and PAWS are made by machine.",
        "All encoders train adapters with one recipe: the rate that is best for one encoder may not be for another.",
    )
