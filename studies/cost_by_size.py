"""How do time and memory grow with model size, for English and other languages?

Encoders of several sizes take an intermediate phase of as many examples on English data and on data in other languages,
and then learn the same target. Time is measured; FLOPs, tokens and memory are counted from shapes. What could not be
otherwise is marked as true by construction: FLOPs know nothing of languages but how long their sentences are, and
zero-shot transfer trains on no language of the target but English.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from xstilts.claims.claim import Claim
from xstilts.claims.measures import Saving, Scaling
from xstilts.data.languages import language
from xstilts.experiments import sandbox_encoder
from xstilts.experiments.extra_tables import CostBySize, Lengths
from xstilts.experiments.grid import Grid, Tasks
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import Arm, Study
from xstilts.models.encoder import Encoder
from xstilts.models.naming import name_of
from xstilts.store.stage import Stage
from xstilts.tasks.base import Task, task

WIDTHS = (32, 64, 96, 128)  # of the sandbox's encoders
COUNTED = "FLOPs follow from shapes: embeddings take none, and are a smaller part of a larger encoder"
SHAPES = "FLOPs follow from shapes: a language is in them only as far as attention depends on lengths"
LARGEST = "the largest pass is as long as the recipe allows; only the rows of the embeddings that are used differ"
ZERO_SHOT = "zero-shot transfer: all languages of the target are predicted after one training"


@dataclass(frozen=True)
class Plan:
    """What differs by scale; encoders: the smallest first. others: intermediate tasks in other languages."""

    encoders: tuple[Encoder | Stage, ...]
    english: str
    others: tuple[str, ...]
    target: Task
    recipes: Recipes
    seeds: int
    target_training_tasks: Mapping[str, Tasks] = field(default_factory=dict)


def plan(scale: str) -> Plan:
    """Return the setup of a scale.

    At sandbox, encoders have random weights, as costs do not depend on what an encoder knows. At small, those of
    `xstilts pretrain` are taken: see studies/model_size.py for the commands.
    """
    if scale == "sandbox":
        return Plan(
            tuple(untrained(width) for width in WIDTHS),
            "sandbox_cloze",
            ("sandbox_cloze:qac", "sandbox_cloze:qae"),
            task("sandbox_qa"),
            Recipes("sandbox", ("steps=40",), ("steps=10",)),
            3,
        )
    if scale == "small":
        names = ("small-encoder-2", "small-encoder-3", "small-encoder", "small-encoder-6")
        return Plan(
            tuple(Encoder.of(f"work/{name}") for name in names),
            "snli_small",
            ("kornli_small", "myxnli_small:sw", "myxnli_small:ur"),
            replace(task("xnli"), languages=("en", "ru", "sw", "ur", "vi", "zh")),
            Recipes("small", ("max_train_examples=2400", "epochs=1"), ("max_train_examples=1000", "epochs=1")),
            3,
            {"xnli": (task("snli_small"),)},
        )
    names = ("FacebookAI/xlm-roberta-base", "FacebookAI/xlm-roberta-large")
    names += ("facebook/xlm-roberta-xl", "facebook/xlm-roberta-xxl")
    light = ("epochs=1", "selection=none", "optimizer=adafactor:bf16")
    return Plan(
        tuple(Encoder.of(name) for name in names),
        "mnli",
        ("mnli:ru", "mnli:sw", "mnli:zh"),
        task("xquad"),
        Recipes("phang2020", ("max_train_examples=50000", *light), ("max_train_examples=20000", *light)),
        3,
    )


def untrained(width: int) -> Stage:
    """Return the untrained encoder of the sandbox's pretraining at another width."""
    pretrained = sandbox_encoder.encoder_stage(shape=replace(sandbox_encoder.SHAPE, width=width))
    untrained = pretrained.arguments["encoder"]
    assert isinstance(untrained, Stage)
    return untrained


def study(scale: str) -> Study:
    """Return the study at a scale."""
    setup = plan(scale)
    arms = tuple(Arm(_grid(setup, one, name), languages_of(name)) for one in setup.encoders for name in _names(setup))
    lengths = Lengths(setup.target.name, _base(setup))
    costs = tuple(CostBySize(name, setup.target.name) for name in dict.fromkeys(map(_setting, _names(setup))))
    return Study(__doc__ or "", arms, tuple(_claims(setup)), limits=_limits(scale), extras=(lengths, *costs))


def languages_of(name: str) -> str:
    """Return the names of the languages that a task is trained in: the label of its arm."""
    return "+".join(language(code).name for code in task(name).trained_in)


def _grid(setup: Plan, encoder: Encoder | Stage, name: str) -> Grid:
    return Grid(encoder, (setup.target,), ((task(name),),), setup.recipes, setup.seeds, setup.target_training_tasks)


def _names(setup: Plan) -> tuple[str, ...]:
    return (setup.english, *setup.others)


def _setting(name: str) -> str:
    return task(name).name


def _base(setup: Plan) -> str:
    return task(setup.english).trained_in[0]


def _claims(setup: Plan) -> list[Claim]:
    return [
        *(claim for name in _names(setup) for claim in _by_size(setup, name)),
        *(claim for name in setup.others for claim in _by_language(setup, name)),
        *_of_predictions(setup),
    ]


def _by_size(setup: Plan, name: str) -> list[Claim]:
    """Return what is claimed of the growth with size on the data of one language."""

    def scaling(figure: str, per: str = "") -> Scaling:
        return Scaling(f"intermediate_{figure}", _setting(name), setup.target.name, languages_of(name), per)

    on = f"On {languages_of(name)} data"
    per_token = scaling("flops", "intermediate_tokens")
    return [
        Claim(f"{on}, time grows less than in proportion to the encoder's size", scaling("seconds"), "below", 1.0),
        Claim(f"{on}, larger encoders take more time", scaling("seconds"), "above"),
        Claim(f"{on}, memory grows less than in proportion to the encoder's size", scaling("memory_mib"), "below", 1.0),
        Claim(f"{on}, the FLOPs of a token grow faster than the encoder", per_token, "above", 1.0, "", COUNTED),
    ]


def _by_language(setup: Plan, name: str) -> list[Claim]:
    """Return what is claimed of another language's data against English, with the largest encoder."""
    english, other = languages_of(setup.english), languages_of(name)

    def saving(figure: str, per: str = "") -> Saving:
        return Saving(
            f"intermediate_{figure}",
            _setting(name),
            setup.target.name,
            other,
            english,
            name_of(setup.encoders[-1]),
            _setting(setup.english),
            per,
        )

    tokens = "intermediate_tokens"
    against = f"in {other} and in {english}"
    return [
        Claim(f"As many examples take the same time {against}", saving("seconds"), "equivalent", 20.0),
        Claim(f"As many examples take as many tokens {against}", saving("tokens"), "equivalent", 10.0),
        Claim(f"A token takes the same time {against}", saving("seconds", tokens), "equivalent", 10.0),
        Claim(f"A token takes the same FLOPs {against}", saving("flops", tokens), "equivalent", 10.0, "", SHAPES),
        Claim(f"Training needs the same memory {against}", saving("memory_mib"), "equivalent", 10.0, "", LARGEST),
    ]


def _of_predictions(setup: Plan) -> list[Claim]:
    """Return what is claimed of the cost of measuring in all languages."""
    name, target, label, base = _setting(setup.english), setup.target.name, languages_of(setup.english), _base(setup)

    def saving(figure: str, code: str) -> Saving:
        encoder = name_of(setup.encoders[-1])
        return Saving(figure, name, target, label, label, encoder, languages=(code,), over_languages=(base,))

    measured = {code for other in setup.others for code in task(other).trained_in if code in setup.target.languages}
    last = next(code for code in reversed(setup.target.languages) if code != base)
    seconds = Scaling("predict_seconds", name, target, label)
    return [
        Claim("The time of predictions grows less than in proportion to the encoder's size", seconds, "below", 1.0),
        *(
            Claim(
                f"Test examples in {language(code).name} have as many tokens as in {language(base).name}",
                saving("predict_tokens", code),
                "equivalent",
                margin=10.0,
            )
            for code in sorted(measured)
        ),
        Claim(
            "Another target language takes no further training",
            saving("target_flops", last),
            "equivalent",
            margin=0.01,
            by_construction=ZERO_SHOT,
        ),
    ]


def _limits(scale: str) -> tuple[str, ...]:
    memory = (
        "Memory is counted, not measured: a process that trains one encoder after another has one peak for all. "
        "Peaks are measured by `xstilts bench`, and on a GPU in the ledger of every training (`xstilts cost`)."
    )
    if scale == "sandbox":
        return (
            memory,
            "The languages are artificial, and Albic stands for English; the encoders are tiny and without any "
            "pretraining: their scores mean nothing, and on such sizes what each step takes besides arithmetic is a "
            "large part of the time.",
        )
    if scale == "small":
        return (
            memory,
            "XNLI is at chance with these encoders: costs alone are looked at here.",
            "The English pairs are SNLI's, the others translations of XNLI's: they differ in more than language. Test "
            "sets are translations of each other.",
        )
    return (
        memory,
        "All weights are trained with Adafactor on bf16 weights, so that the largest encoder fits on one GPU; AdamW "
        "needs more memory, and its share of it grows with size in the same way.",
    )
