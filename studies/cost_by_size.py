"""How do time and memory grow with model size, for English and other languages?

Encoders of several sizes take an intermediate phase of as many examples on English data and on data in other languages,
on two tasks. Whether size and language interact is asked of the ratio of both costs: does it change with size? Time,
and memory and energy where the machine measures them, are measured; FLOPs, tokens and the memory of the largest pass
are counted from shapes. After the English data a target of each group of XTREME-R is learned and predicted, after the
others the one that needs no training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from xstilts.claims.claim import Claim
from xstilts.claims.measures import Saving, Scaling
from xstilts.data.languages import language
from xstilts.errors import InputError
from xstilts.experiments import sandbox_encoder
from xstilts.experiments.extra_tables import CostBySize, Lengths
from xstilts.experiments.grid import Grid, Tasks, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import Arm, Study
from xstilts.models.encoder import Encoder
from xstilts.models.naming import name_of
from xstilts.models.packaged_encoder import PREPARE, real_encoder
from xstilts.store.stage import Stage
from xstilts.tasks.base import task, task_in_languages
from xstilts.training.first_layers import depths

WIDTHS = (32, 48, 64, 96, 128)  # of the sandbox's encoders
SAME_EXPONENT = 0.15  # the largest difference of exponents that does not matter: 11 % with each doubling
SHAPES = "FLOPs follow from shapes: a language is in them only as far as attention depends on lengths"
ZERO_SHOT = "zero-shot transfer: all languages of the target are predicted after one training"

Pair = tuple[str, str]  # names of the two intermediate tasks in a language


@dataclass(frozen=True)
class Plan:
    """What differs by scale.

    Attributes:
        encoders: The encoders, the smallest first: five, as the interval of a slope has two degrees of freedom fewer.
        english: Names of the two intermediate tasks.
        others: The same in other languages.
        targets: The targets, one of each group; the last one needs no training.
        recipes: Recipes of all runs, with as many steps for every task and language.
        seeds: Number of seeds.
        with_energy: Whether the machine is expected to measure energy, as GPUs do.
        target_training_tasks: Tasks to train on for a target instead of its own.
    """

    encoders: tuple[Encoder | Stage, ...]
    english: Pair
    others: tuple[Pair, Pair]
    targets: Tasks
    recipes: Recipes
    seeds: int
    with_energy: bool = False
    target_training_tasks: Mapping[str, Tasks] = field(default_factory=dict)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The intermediate tasks by language, English first."""
        return (self.english, *self.others)


def plan(scale: str, encoder: str = "") -> Plan:
    """Return the setup of a scale.

    At sandbox, encoders have random weights, as costs do not depend on what an encoder knows. At small, they are the
    first layers of one that is given.
    """
    if encoder and scale != "small":
        raise InputError("the encoders of this study are its own: give one at --scale small alone")
    if scale == "sandbox":
        targets = [task_in_languages(name, "qaa qac qae") for name in ("sandbox_nli", "sandbox_ner", "sandbox_qa")]
        return Plan(
            tuple(untrained(width) for width in WIDTHS),
            ("sandbox_cloze", "sandbox_inference"),
            (("sandbox_cloze:qac", "sandbox_inference:qac"), ("sandbox_cloze:qae", "sandbox_inference:qae")),
            (*targets, task_in_languages("sandbox_retrieval", "qac qae")),
            Recipes("sandbox", ("steps=30",), ("steps=5",)),
            2,
        )
    if scale == "small":
        return Plan(
            depths(real_encoder(encoder)),
            ("snli_small", "tydiqa"),
            (("kornli_small", "tydiqa:ko"), ("myxnli_small:sw", "tydiqa:sw")),
            (
                task_in_languages("xnli", "en ru sw zh", 30),
                task_in_languages("udpos", "en ko ru zh", 30),
                task_in_languages("xquad", "en ru zh", 15),
                task_in_languages("tatoeba", "ko ru sw zh", 100),
            ),
            Recipes("e5-small", ("steps=8",), ("steps=4",)),
            3,
            target_training_tasks={"xnli": tasks_of("sick"), "xquad": tasks_of("squad_small")},
        )
    sizes = ("small", "base", "large", "xl", "xxl")  # of one family, with one tokenizer
    light = ("selection=none", "optimizer=adafactor:bf16", "batch_size=32")
    return Plan(
        tuple(Encoder.of(f"google/mt5-{size}") for size in sizes),
        ("mnli", "panx"),
        (("mnli:ru", "panx:ru"), ("mnli:sw", "panx:sw")),
        tasks_of("xcopa,udpos,tydiqa,tatoeba"),
        Recipes("phang2020", ("steps=1500", *light), ("steps=300", *light)),
        3,
        with_energy=True,
    )


def untrained(width: int) -> Stage:
    """Return the untrained encoder of the sandbox's pretraining at another width."""
    pretrained = sandbox_encoder.encoder_stage(shape=replace(sandbox_encoder.SHAPE, width=width))
    untrained = pretrained.arguments["encoder"]
    assert isinstance(untrained, Stage)
    return untrained


def study(scale: str, encoder: str = "") -> Study:
    """Return the study at a scale; at small, of the first layers of the encoder that is given."""
    setup = plan(scale, encoder)
    arms = tuple(
        Arm(_grid(setup, encoder, pair), language_of(pair)) for encoder in setup.encoders for pair in setup.pairs
    )
    base = task(setup.english[0]).trained_in[0]
    lengths = (Lengths(target.name, base) for target in setup.targets if base in target.languages)
    settings = dict.fromkeys(task(name).name for pair in setup.pairs for name in pair)
    prepare = PREPARE if scale == "small" else ()
    costs = (CostBySize(setting, setup.targets[-1].name) for setting in settings)
    return Study(
        __doc__ or "", arms, tuple(_claims(setup)), limits=_limits(scale), extras=(*lengths, *costs), prepare=prepare
    )


def language_of(pair: Pair) -> str:
    """Return the names of the languages that intermediate tasks are trained in: the label of their arm."""
    return "+".join(language(code).name for code in task(pair[0]).trained_in)


def _grid(setup: Plan, encoder: Encoder | Stage, pair: Pair) -> Grid:
    targets = setup.targets if pair == setup.english else setup.targets[-1:]
    settings = tuple((task(name),) for name in pair)
    return Grid(encoder, targets, settings, setup.recipes, setup.seeds, setup.target_training_tasks)


def _claims(setup: Plan) -> list[Claim]:
    return [*_of_growth(setup), *(claim for pair in setup.others for claim in _of_language(setup, pair))]


def _of_growth(setup: Plan) -> list[Claim]:
    """Return what is claimed of the growth with size, on English data and against it."""
    english, target = language_of(setup.english), setup.targets[-1].name

    def growth(figure: str) -> Scaling:
        return Scaling(figure, task(setup.english[0]).name, target, english)

    def against_english(figure: str, pair: Pair) -> Scaling:
        """Return by how much faster a cost grows in another language: the exponent of the ratio of both costs."""
        return replace(
            growth(figure),
            intermediate=task(pair[0]).name,
            recipe=language_of(pair),
            over=task(setup.english[0]).name,
            over_recipe=english,
        )

    def as_fast(what: str, figure: str, pair: Pair) -> Claim:
        sentence = f"{what} grows with size as fast on {language_of(pair)} data as on {english} data"
        return Claim(sentence, against_english(figure, pair), "equivalent", SAME_EXPONENT, answers=True)

    memory = "intermediate_measured_memory_mib"
    less = "grows less than in proportion to the encoder's size"
    last = (
        Claim(f"On {english} data, energy {less}", growth("intermediate_joules"), "below", 1.0)
        if setup.with_energy
        else Claim(f"The time of predictions {less}", growth("predict_seconds"), "below", 1.0)
    )
    return [
        *(as_fast("Time", "intermediate_seconds", pair) for pair in setup.others),
        as_fast("Memory", memory, setup.others[-1]),
        Claim(f"On {english} data, time {less}", growth("intermediate_seconds"), "below", 1.0),
        Claim(f"On {english} data, memory {less}", growth(memory), "below", 1.0),
        last,
    ]


def _of_language(setup: Plan, pair: Pair) -> list[Claim]:
    """Return what is claimed of another language's data against English, counted with the largest encoder."""
    english, other = language_of(setup.english), language_of(pair)

    def saving(figure: str, per: str = "") -> Saving:
        return Saving(
            f"intermediate_{figure}",
            task(pair[0]).name,
            setup.targets[-1].name,
            other,
            english,
            name_of(setup.encoders[-1]),
            task(setup.english[0]).name,
            per,
        )

    against = f"in {other} and in {english}"
    return [
        Claim(f"As many examples take as many tokens {against}", saving("tokens"), "equivalent", 10.0),
        Claim(
            f"A token takes the same FLOPs {against}",
            saving("flops", "intermediate_tokens"),
            "equivalent",
            10.0,
            by_construction=SHAPES,
        ),
    ]


def _limits(scale: str) -> tuple[str, ...]:
    measured = (
        "Memory is measured on a GPU, and on a CPU under Linux, there as what the process held during the training "
        "without what it held before, apart from the network. Energy is measured on GPUs with a counter and on "
        "processors whose counter may be read: where the tables have none, the machine did not measure it."
    )
    if scale == "sandbox":
        return (
            measured,
            "The languages are artificial, and Albic stands for English; the encoders are tiny and without any "
            "pretraining: their scores mean nothing, and on such sizes what each step takes besides arithmetic is a "
            "large part of the time.",
        )
    if scale == "small":
        return (
            measured,
            "The sizes are the first 2, 4, 6 and 9 layers of multilingual-e5-small and the whole of 12 layers, "
            "unless another encoder was given: the same width and vocabulary at every size, so that embeddings, "
            "which training hardly touches, are most of the smaller ones.",
            "Trainings are of few steps: costs alone are looked at here, and scores mean nothing.",
            "The English pairs are SNLI's, the others translations of XNLI's: they differ in more than language.",
        )
    return (
        measured,
        "All weights are trained with Adafactor on bf16 weights, so that the largest encoder fits on one GPU; AdamW "
        "needs more memory, and its share of it grows with size in the same way.",
        "PAN-X has a thousand Swahili examples, which are seen again and again until the steps are as many.",
    )
