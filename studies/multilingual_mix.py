"""Are several non-English intermediate tasks better than English ones?

English tasks alone, tasks in languages of several families alone, and all of them together, each with the same number
of examples in all, before the same targets; the targets are learned in English throughout. The languages of a task
are one training split each, and the splits of a mix have equal numbers of examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain, Mean, Saving
from xstilts.experiments.extra_tables import Lengths
from xstilts.experiments.grid import Grid, Tasks, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import Arm, Study
from xstilts.models.encoder import Encoder
from xstilts.models.naming import name_of
from xstilts.sandbox import LIMIT
from xstilts.tasks.base import Task, task, task_in_languages

ENGLISH, OTHERS, UNION = "English", "other languages", "all together"


@dataclass(frozen=True)
class Plan:
    """What differs by scale.

    examples: of each mix in all, a multiple of the number of training splits of every mix. recipes: by encoder, with
    words for what they train where it is not everything.
    """

    recipes: Mapping[str, tuple[Recipes, str]]
    english: tuple[str, ...]
    others: tuple[str, ...]
    targets: Tasks
    examples: int
    seeds: int


def plan(scale: str) -> Plan:
    """Return the setup of a scale."""
    if scale == "sandbox":
        return Plan(
            {"sandbox": (Recipes("sandbox", ("steps=150",)), "")},
            ("sandbox_cloze", "sandbox_inference"),
            ("sandbox_cloze:qab+qad", "sandbox_inference:qac+qae"),
            tasks_of("sandbox_qa,sandbox_nli"),
            2400,
            2,
        )
    if scale == "small":
        return Plan(
            {"work/small-encoder": (Recipes("small", ("epochs=2",), ("max_train_examples=2000", "epochs=1")), "")},
            ("snli_small", "squad_small"),
            ("kornli_small", "myxnli_small:my+sw+ur", "arcd"),
            (
                task_in_languages("udpos", "en ar de es fi hi id ko ru ta tr ur vi wo zh"),
                task_in_languages("tatoeba", "ar de es fi hi id ko ru sw ta tr ur vi zh"),
            ),
            3360,
            3,
        )
    adapters = ("trainable=lora:16", "learning_rate=1e-4")
    one = ("epochs=1",)
    return Plan(
        {
            "facebook/xlm-roberta-xl": (Recipes("phang2020", one), ""),
            "facebook/xlm-roberta-xxl": (Recipes("phang2020", (*one, *adapters), adapters), "adapters"),
        },
        ("mnli", "squad"),
        ("mnli:hi+sw+tr+zh", "tydiqa:ar+fi+id+te"),
        tasks_of("xquad,panx,udpos"),
        16000,
        3,
    )


def study(scale: str) -> Study:
    """Return the study at a scale."""
    setup = plan(scale)
    arms = tuple(
        Arm(_grid(setup, encoder, names), label) for encoder in setup.recipes for label, names in _mixes(setup).items()
    )
    lengths = tuple(Lengths(target.name, base) for target in setup.targets if (base := _base(target)))
    return Study(__doc__ or "", arms, tuple(_claims(setup)), limits=_limits(scale), extras=lengths)


def _mixes(setup: Plan) -> dict[str, tuple[str, ...]]:
    """Return the tasks of each mix, by the label of its arm."""
    return {ENGLISH: setup.english, OTHERS: setup.others, UNION: (*setup.english, *setup.others)}


def _grid(setup: Plan, encoder: str, names: tuple[str, ...]) -> Grid:
    recipes, _ = setup.recipes[encoder]
    share = f"max_train_examples={setup.examples // sum(len(task(name).training_parts()) for name in names)}"
    shared = replace(recipes, intermediate=(*recipes.intermediate, share))
    return Grid(Encoder.of(encoder), setup.targets, (_setting(names),), shared, setup.seeds)


def _setting(names: tuple[str, ...]) -> Tasks:
    return tuple(task(name) for name in names)


def _base(target: Task) -> str:
    """Return the language of a target that it is learned in; none where it is not learned."""
    target_training_tasks = target.target_training_tasks()
    return target_training_tasks[0].trained_in[0] if target_training_tasks else ""


def _claims(setup: Plan) -> list[Claim]:
    return [claim for encoder in setup.recipes for claim in _of_encoder(setup, encoder)]


def _of_encoder(setup: Plan, encoder: str) -> list[Claim]:
    """Return the claims about one encoder."""
    named = name_of(Encoder.of(encoder))
    label = {mix: "+".join(one.name for one in _setting(names)) for mix, names in _mixes(setup).items()}
    after = "" if len(setup.recipes) == 1 else f", with {', '.join(filter(None, (named, setup.recipes[encoder][1])))}"

    def gain(mix: str, target: Task, over: str, languages: tuple[str, ...] = ()) -> Gain:
        before = {"over": label[over], "over_recipe": over} if over else {}
        return Gain(label[mix], target.name, languages=languages, encoder=named, recipe=mix, **before)

    def all_of(mix: str, over: str = "") -> Mean:
        return Mean(tuple(gain(mix, target, over) for target in setup.targets))

    def some_of(codes: list[tuple[str, ...]], mix: str, over: str) -> Mean:
        pairs = zip(setup.targets, codes, strict=True)
        return Mean(tuple(gain(mix, target, over, chosen) for target, chosen in pairs if chosen))

    seen = {code for name in setup.others for code in task(name).trained_in}
    met = [tuple(code for code in target.languages if code in seen) for target in setup.targets]
    new = [tuple(code for code in one.languages if code not in seen and code != _base(one)) for one in setup.targets]
    saved = Saving("intermediate_seconds", label[OTHERS], setup.targets[0].name, OTHERS, ENGLISH, named, label[ENGLISH])
    return [
        Claim(f"Tasks in other languages are better than English ones{after}", all_of(OTHERS, ENGLISH), "above"),
        Claim(f"English intermediate tasks help{after}", all_of(ENGLISH), "above"),
        Claim(f"Intermediate tasks in other languages help{after}", all_of(OTHERS), "above"),
        Claim(f"All of them together help{after}", all_of(UNION), "above"),
        Claim(f"All together are better than English ones alone{after}", all_of(UNION, ENGLISH), "above"),
        Claim(f"All together are better than other languages alone{after}", all_of(UNION, OTHERS), "above"),
        Claim(
            f"Other languages are better than English in the languages of these tasks{after}",
            some_of(met, OTHERS, ENGLISH),
            "above",
        ),
        Claim(
            f"Other languages are better than English where no intermediate task has the language{after}",
            some_of(new, OTHERS, ENGLISH),
            "above",
        ),
        Claim(f"As many examples in other languages take the same time{after}", saved, "equivalent", 20.0),
    ]


def _limits(scale: str) -> tuple[str, ...]:
    equal = (
        "Data are equal in the number of examples, not in tokens; all together means fewer examples of each. A task's "
        "languages are data of one question, so that more languages are not more questions."
    )
    if scale == "sandbox":
        return (
            equal,
            LIMIT,
            "Other languages' data are translations of the English-like data, of which fewer meanings are then seen.",
        )
    if scale == "small":
        return (
            equal,
            "The encoder has two million parameters: nothing here speaks of public encoders.",
            "The non-English pairs are translations of one set of XNLI's, so that four languages hold much the same "
            "meanings; the English ones are SNLI's.",
        )
    return (
        equal,
        "MNLI's other languages are machine translations; TyDi QA's questions were asked in their languages.",
    )
