"""Does training on an English intermediate task first improve zero-shot cross-lingual transfer?

Every intermediate task, and a mix of all of them, before every target, against training on the target alone, after
Phang et al. 2020 (arXiv 2005.13013). The paper's headline takes for each target the intermediate task with the best
English development score. Further arms train masked-LM beside intermediate tasks, or train on as many examples of an
intermediate task in other languages than English.

An intermediate phase on the target's own training data, such as MNLI before XNLI, is a longer training on one task and
not another task first. Such pairs are marked, are left out of the means, and stand by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain, Level, Mean
from xstilts.experiments.grid import Grid, Tasks, tasks_of
from xstilts.experiments.run import MaskedLmMixing, Recipes, repeats_training_data
from xstilts.experiments.study import Arm, DevSelectedTask, Study
from xstilts.models.encoder import Encoder
from xstilts.models.packaged_encoder import LIMIT as ENCODER_LIMIT
from xstilts.models.packaged_encoder import PREPARE, real_encoder
from xstilts.sandbox import LIMIT
from xstilts.tasks.base import Task, task, task_in_languages

PLAIN, MLM, TRANSLATED = "English", "with masked-LM", "translated"
BEST, BEST_OF_ALL = "best on dev", "best on dev, own data among them"


@dataclass(frozen=True)
class Plan:
    """What differs by scale.

    Attributes:
        encoder: The encoder.
        intermediates: Names of the intermediate tasks.
        targets: The targets.
        translated: Intermediate tasks with training data in other languages, each with the English one that it is
            compared with.
        text: A task of raw text and its languages, for masked-LM.
        with_text: Intermediate tasks that masked-LM is mixed into.
        related: Pairs of an intermediate task and a target that should gain from it.
        recipes: Recipes of all runs.
        seeds: Number of seeds.
        target_training_tasks: Tasks to train on for a target instead of its own.
        beside: Names of the targets of the arms with masked-LM and with translations; none: all.
        text_weight: Weight of the masked-LM loss.
    """

    encoder: Encoder
    intermediates: tuple[str, ...]
    targets: tuple[Task, ...]
    translated: Mapping[str, str]
    text: tuple[str, tuple[str, ...]]
    with_text: tuple[str, ...]
    related: tuple[tuple[str, str], ...]
    recipes: Recipes
    seeds: int
    target_training_tasks: Mapping[str, str]
    beside: tuple[str, ...] = ()
    text_weight: float = 1.0

    @property
    def mix(self) -> str:
        """The label of the mix of all intermediate tasks."""
        return "+".join(self.intermediates)

    def repeats(self, setting: str, target: Task) -> bool:
        """Return whether a setting trains on the target's own training data, or on translations of them."""
        given = self.target_training_tasks.get(target.name)
        learned_from = tasks_of(given) if given else target.target_training_tasks()
        return repeats_training_data(tasks_of(setting, "+"), learned_from)

    def others(self, setting: str) -> list[str]:
        """Return the names of the targets whose own training data a setting does not repeat."""
        return [target.name for target in self.targets if not self.repeats(setting, target)]

    def others_beside(self, setting: str) -> list[str]:
        """Return those of them that the arms with masked-LM and with translations have."""
        return [name for name in self.others(setting) if name in self.beside or not self.beside]


def plan(scale: str, encoder: str = "") -> Plan:
    """Return the setup of a scale, with another encoder where one is given."""
    if scale == "sandbox":
        return Plan(
            Encoder.of(encoder or "sandbox"),
            ("sandbox_cloze", "sandbox_nli", "sandbox_names"),
            tasks_of("sandbox_qa,sandbox_nli,sandbox_ner,sandbox_retrieval"),
            {"sandbox_cloze:qab+qac": "sandbox_cloze"},
            ("sandbox_text", ("qaa", "qab", "qac")),
            ("sandbox_cloze",),
            (("sandbox_cloze", "sandbox_qa"), ("sandbox_names", "sandbox_ner")),
            Recipes("sandbox", ("steps=110",), ("steps=75",)),
            3,
            {},
        )
    if scale == "small":
        return Plan(
            real_encoder(encoder),
            ("snli_small", "squadshifts", "ccg_small"),
            (
                task_in_languages("xnli", "en ar de hi ru sw tr zh", 80),
                task_in_languages("udpos", "en ar de fi hi id ru ta tr yo zh", 80),
                task_in_languages("uner", "en de pt ru sr sv tl zh", 80),
                task_in_languages("xquad", "en ar hi ru zh", 25),
                task_in_languages("tatoeba", "ar de fi hi id ru sw ta tr zh", 100),
            ),
            {"kornli_small": "snli_small"},
            ("common_voice", ("en", "de", "es", "fi", "hi", "id", "ru", "tr", "vi", "zh")),
            ("ccg_small",),
            (("ccg_small", "udpos"), ("squadshifts", "xquad")),
            Recipes("e5-small"),
            4,
            {"xnli": "snli_small", "uner": "panx", "xquad": "squad_small"},
            ("udpos", "uner", "tatoeba"),
            0.1,
        )
    return Plan(
        Encoder.of(encoder or "FacebookAI/xlm-roberta-large"),
        ("anli_plus", "mnli", "qqp", "squad2", "squad", "hellaswag", "ccg", "cosmosqa", "csqa"),
        tasks_of("xnli,pawsx,udpos,panx,xquad,mlqa,tydiqa,bucc,tatoeba"),
        {"mnli:de+es+fr+hi+ru+sw+tr+zh": "mnli"},
        ("wikipedia", ("en", "ar", "de", "es", "fr", "hi", "ru", "sw", "tr", "zh")),
        ("mnli", "squad"),
        (("squad", "tydiqa"), ("mnli", "bucc"), ("mnli", "tatoeba")),
        Recipes("phang2020"),
        5,
        {},
    )


def study(scale: str, encoder: str = "") -> Study:
    """Return the study at a scale, with another encoder where one is given."""
    setup = plan(scale, encoder)
    retries = 0 if scale == "sandbox" else 2  # the sandbox's encoder stays at chance in some tasks, whatever the seed
    target_training_tasks = {target: tasks_of(names) for target, names in setup.target_training_tasks.items()}
    plain = Grid(
        setup.encoder,
        setup.targets,
        (*((task(name),) for name in setup.intermediates), tasks_of(",".join(setup.intermediates))),
        setup.recipes,
        setup.seeds,
        target_training_tasks,
        retries=retries,
    )
    text = task(setup.text[0])
    beside = replace(plain, targets=tuple(one for one in setup.targets if not setup.beside or one.name in setup.beside))
    mixed = replace(
        beside,
        settings=tuple((task(name),) for name in setup.with_text),
        mlm=MaskedLmMixing(text, setup.text[1], setup.text_weight),
    )
    translated = [
        Arm(replace(beside, settings=((task(name),),), recipes=_shared_out(setup, name)), _translated(setup, name))
        for name in setup.translated
    ]
    arms = (Arm(plain, PLAIN), Arm(mixed, MLM), *translated)
    choices = (
        DevSelectedTask(BEST, PLAIN, setup.intermediates),
        DevSelectedTask(BEST_OF_ALL, PLAIN, setup.intermediates, with_repeated=True),
    )
    prepare = PREPARE if scale == "small" else ()
    return Study(__doc__ or "", arms, tuple(_claims(setup)), choices, _limits(scale), prepare=prepare)


def _translated(setup: Plan, name: str) -> str:
    """Return the label of the arm of a task in other languages."""
    return TRANSLATED if len(setup.translated) == 1 else f"{TRANSLATED}, {task(name).label}"


def _shared_out(setup: Plan, name: str) -> Recipes:
    """Return recipes by which a task in other languages has as many examples in all as the English one."""
    english: Tasks = (task(setup.translated[name]),)
    most = setup.recipes.of(english, "intermediate").max_train_examples or english[0].counts["train"]
    share = f"max_train_examples={most // len(task(name).trained_in)}"
    return replace(setup.recipes, intermediate=(*setup.recipes.intermediate, share))


def _claims(setup: Plan) -> list[Claim]:
    def over_others(name: str, recipe: str = PLAIN) -> Mean:
        return Mean(tuple(Gain(name, target, recipe=recipe) for target in setup.others(name)))

    everywhere = Mean(tuple(gain for name in setup.intermediates for gain in over_others(name).gains))
    targets = [target.name for target in setup.targets]
    selected = {
        label: Mean(tuple(Gain("", target, recipe=label, over_recipe=PLAIN) for target in targets))
        for label in (BEST, BEST_OF_ALL)
    }
    beside = Mean(
        tuple(
            Gain(name, target, over=name, recipe=MLM, over_recipe=PLAIN)
            for name in setup.with_text
            for target in setup.others_beside(name)
        )
    )
    against_best = Mean(
        tuple(Gain(setup.mix, target, over="", recipe=PLAIN, over_recipe=BEST) for target in setup.others(setup.mix))
    )
    against_english = Mean(
        tuple(
            Gain(task(name).name, target, over=english, recipe=_translated(setup, name), over_recipe=PLAIN)
            for name, english in setup.translated.items()
            for target in setup.others_beside(english)
        )
    )
    with_text = " and ".join(setup.with_text)
    tested = [
        Claim(
            "The intermediate task that is best on English development data improves transfer, over all targets",
            selected[BEST],
            "above",
            answers=True,
        ),
        Claim(
            "Intermediate training helps, over all pairs of a task and another target",
            everywhere,
            "above",
            answers=True,
        ),
        Claim("The mix of all intermediate tasks helps", over_others(setup.mix), "above"),
        Claim("The mix is better than the single task that is best on English development data", against_best, "above"),
        Claim(f"Masked-LM beside {with_text} makes no difference", beside, "equivalent", margin=2.0),
        Claim("As many examples in other languages are better than English ones", against_english, "above"),
    ]
    return [
        *tested,
        *(replace(claim, descriptive=True) for claim in _described(setup, over_others, selected[BEST_OF_ALL])),
    ]


def _described(setup: Plan, over_others: Callable[..., Mean], best_of_all: Mean) -> list[Claim]:
    """Return what is shown and not tested."""
    targets = [target.name for target in setup.targets]
    claims = [Claim(f"{name}, over all other targets", over_others(name), "above") for name in setup.intermediates]
    claims += [
        Claim(f"{name} before {target}, which is like it", Gain(name, target, recipe=PLAIN), "above")
        for name, target in setup.related
    ]
    claims += [
        Claim(
            f"{'the mix' if name == setup.mix else name} before {target.name}, which is trained on the same data",
            Gain(name, target.name, recipe=PLAIN),
            "above",
        )
        for name in (*setup.intermediates, setup.mix)
        for target in setup.targets
        if setup.repeats(name, target)
    ]
    claims += [
        Claim(
            "The best intermediate task for each target, its own training data among them, as in the paper",
            best_of_all,
            "above",
            published="phang2020-best-gain",
        )
    ]
    claims += [
        Claim(
            f"{task(name).label}, over all other targets",
            Mean(
                tuple(
                    Gain(task(name).name, target, recipe=_translated(setup, name))
                    for target in setup.others_beside(task(name).name)
                )
            ),
            "above",
        )
        for name in setup.translated
    ]
    claims += [
        Claim(
            f"{target} without intermediate training, above chance",
            Level("baseline", target, recipe=PLAIN),
            "above",
            margin=chance,
            published=f"chung2021-xlmr-{target}-level",
        )
        for target, chance in (("xnli", 100 / 3), ("pawsx", 50.0))
        if target in targets
    ]
    return claims


def _limits(scale: str) -> tuple[str, ...]:
    choice = (
        "Targets that nothing is trained for have no development data: they get the task that is best on the other "
        "targets' development data."
    )
    translations = (
        "Examples in other languages are as many as the English ones, but of fewer questions, each in every language; "
        "the study multilingual_mix takes the two apart."
    )
    if scale == "sandbox":
        return (choice, translations, LIMIT)
    if scale == "small":
        return (
            choice,
            ENCODER_LIMIT,
            "XNLI is learned from SNLI, UNER from PAN-X, whose names are annotated by other rules, and XQuAD from a "
            "part of SQuAD's training set; squadshifts stands for SQuAD and CCG derivations of a treebank for "
            "CCGbank as intermediate tasks.",
            "The arms with masked-LM and with translations have the targets that cost least. The sentence encoder has "
            "no masked-LM head: a new one is trained, whose loss counts a tenth.",
            "The Korean examples are translations of XNLI's, the English ones are SNLI's: they differ in more than "
            "language.",
        )
    return (
        choice,
        translations,
        "The masked-LM text is the beginning of each language's Wikipedia; Phang et al. took other text.",
    )
