"""Does training on an English intermediate task first improve zero-shot cross-lingual transfer?

Every intermediate task, and a mix of all of them, before every target, against training on the target alone, after
Phang et al. 2020 (arXiv 2005.13013). Further arms train masked-LM beside the intermediate tasks, or train on
intermediate data in other languages than English.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain, Level, Mean
from xstilts.experiments.grid import Grid, tasks_of
from xstilts.experiments.run import MaskedLmMixing, Recipes
from xstilts.experiments.study import Arm, Study
from xstilts.models.encoder import Encoder
from xstilts.sandbox import LIMIT
from xstilts.tasks.base import Task, task, task_in_languages

PLAIN, MLM, TRANSLATED = "English", "with masked-LM", "translated"


@dataclass(frozen=True)
class Plan:
    """What differs by scale.

    Attributes:
        encoder: Name or folder of the encoder.
        intermediates: Names of the intermediate tasks.
        targets: The targets.
        translated: Intermediate tasks with training data in other languages than English.
        text: A task of raw text and its languages, for masked-LM.
        with_text: Intermediate tasks that masked-LM is mixed into.
        related: Pairs of an intermediate task and a target that should gain from it.
        recipes: Recipes of all runs.
        seeds: Number of seeds.
        target_training_tasks: Tasks to train on for a target instead of its own.
    """

    encoder: str
    intermediates: tuple[str, ...]
    targets: tuple[Task, ...]
    translated: tuple[str, ...]
    text: tuple[str, tuple[str, ...]]
    with_text: tuple[str, ...]
    related: tuple[tuple[str, str], ...]
    recipes: Recipes
    seeds: int
    target_training_tasks: dict[str, str]

    @property
    def mix(self) -> str:
        """The label of the mix of all intermediate tasks."""
        return "+".join(self.intermediates)


def plan(scale: str) -> Plan:
    """Return the setup of a scale."""
    if scale == "sandbox":
        return Plan(
            "sandbox",
            ("sandbox_cloze", "sandbox_inference", "sandbox_names"),
            tasks_of("sandbox_qa,sandbox_nli,sandbox_ner,sandbox_retrieval"),
            ("sandbox_cloze:qab+qac",),
            ("sandbox_text", ("qaa", "qab", "qac")),
            ("sandbox_cloze",),
            (("sandbox_cloze", "sandbox_qa"), ("sandbox_names", "sandbox_ner")),
            Recipes("sandbox", ("steps=200",)),
            2,
            {},
        )
    if scale == "small":
        return Plan(
            "work/small-encoder",
            ("snli_small", "squadshifts", "ccg_small", "csqa"),
            (
                task_in_languages("udpos", "en de es fi hi id ru tr vi wo zh"),
                task_in_languages("uner", "en da de hr pt ru sk sr sv tl zh"),
                task_in_languages("xnli", "en zh"),
                task_in_languages("tatoeba", "af ar de es fi hi id it nl pt ru sw tr vi"),
            ),
            ("kornli_small",),
            ("common_voice", ("en", "de", "es", "fi", "hi", "id", "ru", "tr", "vi", "zh")),
            ("ccg_small",),
            (("ccg_small", "udpos"), ("snli_small", "xnli")),
            Recipes("small", ("max_train_examples=2000", "epochs=1"), ("max_train_examples=2000", "epochs=1")),
            3,
            {"xnli": "snli_small", "uner": "panx"},
        )
    return Plan(
        "FacebookAI/xlm-roberta-large",
        ("anli_plus", "mnli", "qqp", "squad2", "squad", "hellaswag", "ccg", "cosmosqa", "csqa"),
        tasks_of("xnli,pawsx,udpos,panx,xquad,mlqa,tydiqa,bucc,tatoeba"),
        ("mnli:de+es+fr+hi+ru+sw+tr+zh",),
        ("common_voice", ("en", "ar", "de", "es", "fr", "hi", "ru", "sw", "tr", "zh")),
        ("mnli", "squad"),
        (("squad", "xquad"), ("squad", "mlqa"), ("squad", "tydiqa"), ("mnli", "bucc"), ("mnli", "tatoeba")),
        Recipes("phang2020"),
        3,
        {},
    )


def study(scale: str) -> Study:
    """Return the study at a scale."""
    setup = plan(scale)
    target_training_tasks = {target: tasks_of(names) for target, names in setup.target_training_tasks.items()}
    plain = Grid(
        Encoder.of(setup.encoder),
        setup.targets,
        (*((task(name),) for name in setup.intermediates), tasks_of(",".join(setup.intermediates))),
        setup.recipes,
        setup.seeds,
        target_training_tasks,
    )
    text = task(setup.text[0])
    mixed = replace(
        plain, settings=tuple((task(name),) for name in setup.with_text), mlm=MaskedLmMixing(text, setup.text[1])
    )
    translated = replace(plain, settings=tuple((task(name),) for name in setup.translated))
    arms = (Arm(plain, PLAIN), Arm(mixed, MLM), Arm(translated, TRANSLATED))
    return Study(__doc__ or "", arms, tuple(_claims(setup)), limits=_limits(scale))


def _claims(setup: Plan) -> list[Claim]:
    targets = [target.name for target in setup.targets]

    def over_all(name: str, recipe: str = PLAIN) -> Mean:
        return Mean(tuple(Gain(name, target, recipe=recipe) for target in targets))

    everywhere = Mean(tuple(gain for name in setup.intermediates for gain in over_all(name).gains))
    claims = [Claim("Intermediate training helps, over all tasks and targets", everywhere, "above", answers=True)]
    claims += [Claim(f"{name} helps, over all targets", over_all(name), "above") for name in setup.intermediates]
    mixed = over_all(setup.mix)
    claims.append(Claim("The mix of all intermediate tasks helps, over all targets", mixed, "above", answers=True))
    claims += [
        Claim(f"{name} helps {target}, which is like it", Gain(name, target, recipe=PLAIN), "above")
        for name, target in setup.related
    ]
    claims += [
        Claim(
            f"Without intermediate training {target} is better than chance",
            Level("baseline", target, recipe=PLAIN),
            "above",
            margin=chance,
            published=f"chung2021-xlmr-{target}-level",
        )
        for target, chance in (("xnli", 100 / 3), ("pawsx", 50.0))
        if target in targets
    ]
    name, target = setup.with_text[0], setup.related[0][1]
    beside = Gain(name, target, over=name, recipe=MLM, over_recipe=PLAIN)
    claims.append(Claim(f"Masked-LM beside {name} makes no difference to {target}", beside, "equivalent", margin=2.0))
    claims += [
        Claim(f"{task(name).label} helps, over all targets", over_all(task(name).name, TRANSLATED), "above")
        for name in setup.translated
    ]
    return claims


def _limits(scale: str) -> tuple[str, ...]:
    if scale == "sandbox":
        return (LIMIT,)
    if scale == "small":
        return (
            "The encoder has two million parameters and learned for twenty minutes: XNLI is at chance with it, and so "
            "are other targets; nothing here speaks of public encoders.",
            "UNER is learned from PAN-X, whose names are annotated by other rules.",
        )
    return ()
