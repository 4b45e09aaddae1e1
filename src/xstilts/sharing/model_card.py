"""Model card: the README.md of an exported folder, with the metadata that the hub reads.

The card says how to load the model, what it was trained on and in what order, which licences the data have, how it
scored in each language, what it cost and where its limits are. All of it comes from the manifests of the store
(`history`) and the task files; what they do not say is called unknown. A card holds no text of any data set, no path of
this machine and no secret.

>>> print(model_card(CardFacts("toy", "classification", "xlm-roberta", 128, ("no", "yes"), History())))
... # doctest: +ELLIPSIS
---
library_name: transformers
...
# toy
...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

import xstilts
from xstilts.data.languages import codes, language, languages
from xstilts.errors import InputError
from xstilts.inference.parity import Parity
from xstilts.models.heads import HEADLESS, LABELLED
from xstilts.models.pooling import FAMILY
from xstilts.runtime import tables
from xstilts.runtime.text import counted, listed, markdown
from xstilts.sandbox import notice
from xstilts.sharing import licences, usage
from xstilts.sharing.history import History, LanguageScore, Split, TaskTraining, Training
from xstilts.sharing.licences import UNKNOWN, Licence
from xstilts.store import names
from xstilts.tasks.base import OWN, Task
from xstilts.tasks.base import task as registered

TITLES = {
    "classification": "text classification",
    "token_classification": "token classification",
    "extractive_qa": "extractive question answering",
    "multiple_choice": "multiple choice",
    HEADLESS: "sentence embeddings",
}


def _title(format: str) -> str:
    """Return what a model of a task format is for; of other formats than those above, their name."""
    return TITLES.get(format, format.replace("_", " "))


ROLES = {
    names.PRETRAINING: "pretraining",
    names.INTERMEDIATE: "intermediate training",
    names.TARGET: "target training",
}
METRICS = {
    "accuracy": "accuracy",
    "retrieval_accuracy": "accuracy",
    "tag_accuracy": "accuracy",
    "squad": "f1",
    "squad_v2": "f1",
    "mlqa": "f1",
    "entity_f1": "f1",
    "pos_f1": "f1",
    "mined_f1": "f1",
    "map20": "mean_average_precision",
}
SETTINGS = (
    "learning_rate",
    "batch_size",
    "epochs",
    "steps",
    "max_train_examples",
    "max_length",
    "warmup_steps",
    "weight_decay",
    "clip_norm",
    "optimizer",
    "trainable",
    "sampling",
    "selection",
)
LISTED = 30  # languages that a sentence names


@dataclass(frozen=True)
class OnnxVariant:
    """An ONNX file of the folder, and how near its outputs are to torch's.

    Attributes:
        file: Its path within the folder.
        title: What it is.
        mebibytes: Its size with its weights.
        parity: Its outputs beside those of torch in float32.
        sequences: On how many sequences they were compared.
        real: Whether these are texts of the task's data; else random tokens.
    """

    file: str
    title: str
    mebibytes: float
    parity: Parity
    sequences: int
    real: bool


@dataclass(frozen=True)
class CardFacts:
    """What a card is written from.

    Attributes:
        name: Name of the model.
        format: Task format of its head; "bitext_retrieval" for an encoder without one.
        model_type: Family of the encoder.
        max_length: Most tokens of a sequence.
        labels: Labels in the order of the outputs.
        history: What it was trained on, and its scores.
        base_model: Hub id of the encoder, where the history does not name one.
        licence: Licence that the model is published under; "": the strictest of its data.
        onnx: ONNX files in the folder.
        sentence_transformers: Whether the folder has the layout of sentence-transformers.
        tasks: Tasks of the user's own that no registry has, for their licences and citations.
        dual_encoder: Whether an encoder embeds by the pooler of a dual encoder.
        pooling: Which state of a sequence its head reads, as `Recipe.pooling`.
    """

    name: str
    format: str
    model_type: str
    max_length: int
    labels: tuple[str, ...]
    history: History
    base_model: str = ""
    licence: str = ""
    onnx: tuple[OnnxVariant, ...] = ()
    sentence_transformers: bool = False
    tasks: tuple[Task, ...] = ()
    dual_encoder: bool = False
    pooling: str = FAMILY

    def task(self, name: str) -> Task | None:
        """Return a task by the name that the history has; None where neither the tasks nor the registry know it."""
        given = next((task for task in self.tasks if name in (task.name, task.label)), None)
        try:
            return given or registered(name)
        except InputError:
            return None


@dataclass(frozen=True)
class DataSource:
    """A data set behind a model.

    Attributes:
        task: Name of the task.
        used: What for.
        splits: The splits.
        licence: Its licence; None where no task file of this name states one.
        citation: The paper to cite; "" where it is not known.
    """

    task: str
    used: str
    splits: tuple[Split, ...]
    licence: Licence | None
    citation: str

    @property
    def stated(self) -> str:
        """The licence as the task file states it."""
        if self.licence is None:
            return UNKNOWN
        return self.licence.text if self.licence.known else f"{self.licence.text} ({UNKNOWN})"


def model_card(facts: CardFacts) -> str:
    """Return the card as Markdown with metadata in front."""
    body = "\n".join(_lines(facts)).rstrip() + "\n"
    return f"---\n{metadata(facts).to_yaml()}\n---\n\n{body}"


def metadata(facts: CardFacts) -> ModelCardData:
    """Return the metadata that the hub reads: languages, licence, encoder, data sets, results."""
    history = facts.history
    base = base_model(facts)
    sources = data_sources(facts)
    trained = [source for source in sources if source.used != "scores"]
    data_sets = dict.fromkeys(name for source in trained for name in _hub_names(facts, source))
    tags = ["xstilts", "cross-lingual-transfer", facts.model_type, facts.format.replace("_", "-")]
    tags += ["intermediate-task-training"] if any(t.role == names.INTERMEDIATE for t in history.trainings) else []
    tags += ["sentence-transformers"] if facts.sentence_transformers else []
    tags += ["onnx"] if facts.onnx else []
    tags += ["artificial-languages"] if notice(_languages(history)) else []
    shown = dict.fromkeys(code for code in _languages(history) if code in languages())
    identifier, named = _licence(facts, sources)
    scored = [result for score in history.scores for result in _results(facts, score)]
    library = "sentence-transformers" if facts.sentence_transformers else "transformers"
    optional: dict[str, Any] = {
        "language": list(shown) or None,
        "license": identifier or None,
        "license_name": named or None,
        "base_model": base or None,
        "datasets": list(data_sets) or None,
        "metrics": list(dict.fromkeys(METRICS[s.metric] for s in history.scores if s.metric in METRICS)) or None,
        **({"model_name": facts.name, "eval_results": scored} if scored else {}),
    }
    return ModelCardData(
        library_name=library if usable(facts) else "xstilts",
        pipeline_tag="sentence-similarity" if facts.sentence_transformers else usage.pipeline_of(facts.format),
        tags=tags,
        **{name: value for name, value in optional.items() if value is not None},
    )


def usable(facts: CardFacts) -> bool:
    """Tell whether plain transformers loads the model with its head."""
    return _usage_of(facts).plain


def _usage_of(facts: CardFacts) -> usage.Usage:
    return usage.usage(
        facts.format,
        facts.model_type,
        facts.max_length,
        facts.name,
        facts.labels,
        facts.history.pairs,
        facts.dual_encoder,
        facts.pooling,
    )


def base_model(facts: CardFacts) -> str:
    """Return the hub id of the encoder; "" where it is not known."""
    return facts.base_model or (facts.history.encoder if facts.history.on_hub else "")


def data_sources(facts: CardFacts) -> list[DataSource]:
    """Return the data sets behind a model, those that it was trained on first."""
    history = facts.history
    uses: dict[tuple[str, str], list[Split]] = {}
    for training in history.trainings:
        for part in training.tasks:
            for split in part.data:
                uses.setdefault((split.task, ROLES[training.role]), []).append(split)
            if part.dev and training.recipe.get("selection"):
                uses.setdefault((part.dev.task, "selection of weights"), []).append(part.dev)
    for score in history.scores:
        uses.setdefault((score.data.task, "scores"), []).append(score.data)
    return [_source(facts, name, used, splits) for (name, used), splits in uses.items() if name]


def _source(facts: CardFacts, name: str, used: str, splits: Sequence[Split]) -> DataSource:
    known = facts.task(name)
    licence = None if known is None or known.licence == OWN else _licence_of(known)
    citation = "" if known is None or known.citation == OWN else known.citation
    return DataSource(name, used, tuple(dict.fromkeys(splits)), licence, citation)


def _licence_of(known: Task) -> Licence:
    """Return a task's licence; of a task that joins others, the strictest of theirs."""
    if known.joined:
        parts = [licences.parsed(part.licence) for part in known.parts()]
        strictest = licences.strictest(parts)
        rank, identifier = (strictest.rank, strictest.identifier) if strictest else (-1, "")
        text = listed(dict.fromkeys(part.text for part in parts))
        return Licence(text, rank, identifier, all(part.known for part in parts))
    return licences.parsed(known.licence)


def _hub_names(facts: CardFacts, source: DataSource) -> Iterator[str]:
    """Yield the ids of a data set on the hub: where its splits were read from, else those of its task's sources."""
    repositories = [split.repository for split in source.splits if split.repository]
    if repositories:
        yield from repositories
        return
    known = facts.task(source.task)
    for part in known.parts() if known else ():
        patterns = [
            pattern for form in part.sources for split in form.files for pattern in form.patterns(split, "{language}")
        ]
        repositories = ["/".join(pattern.split("/")[1:3]) for pattern in patterns if pattern.startswith("hub/")]
        yield from repositories[:1]


def _licence(facts: CardFacts, sources: Sequence[DataSource]) -> tuple[str, str]:
    """Return the identifier for the metadata, and the name that goes with "other"."""
    if facts.licence:
        near = licences.parsed(facts.licence).identifier
        return (near, "") if near else (facts.licence, "")
    trained = [source for source in sources if source.used != "scores"]
    if not trained:
        return "", ""
    strictest = licences.strictest(source.licence for source in trained if source.licence)
    if strictest and strictest.identifier and all(source.licence and source.licence.known for source in trained):
        return strictest.identifier, ""
    return "other", "see-data-and-licences"


def _languages(history: History) -> Iterator[str]:
    for split in history.splits():
        yield from codes(split.language)
    for score in history.scores:
        yield from codes(score.data.language)


def _results(facts: CardFacts, score: LanguageScore) -> Iterator[EvalResult]:
    if score.metric not in METRICS:
        return
    source = _source(facts, score.data.task, "scores", (score.data,))
    yield EvalResult(
        task_type=usage.pipeline_of(facts.format) or facts.format,
        task_name=_title(facts.format),
        dataset_type=next(_hub_names(facts, source), score.data.task),
        dataset_name=f"{score.data.task} ({named(score.data.language)})",
        dataset_config=score.data.language,
        dataset_split=score.data.split,
        metric_type=METRICS[score.metric],
        metric_name=score.metric,
        metric_value=round(score.value, 2),
    )


# The text.


def _lines(facts: CardFacts) -> Iterator[str]:
    yield f"# {markdown(facts.name)}"
    yield ""
    if marked := notice(_languages(facts.history)):
        yield f"> **{marked}**"
        yield ""
    yield _summary(facts)
    yield ""
    yield from _use(facts)
    yield from _training(facts)
    yield from _data(facts)
    yield from _scores(facts)
    yield from _limits(facts)
    yield from _onnx(facts)
    yield from _cost(facts)


def named(code: str) -> str:
    """Return the name of a language, or of a pair of languages.

    >>> named("sw"), named("de-ar")
    ('Swahili', 'German–Arabic')
    """
    try:
        return "–".join(language(part).name for part in codes(code))
    except InputError:
        return code


def _is_shipped(facts: CardFacts) -> bool:
    return facts.history.encoder == "sandbox" and not facts.base_model


def _encoder(facts: CardFacts) -> str:
    base, history = base_model(facts), facts.history
    if _is_shipped(facts):
        return "the encoder that xstilts ships for its artificial languages"
    if base:
        return f"[{base}](https://huggingface.co/{base})"
    return f"`{history.encoder}`" if history.encoder else "an encoder that is not recorded"


def _summary(facts: CardFacts) -> str:
    history, title = facts.history, _title(facts.format)
    labels = f" with {counted(len(facts.labels), 'label')}" if facts.format in LABELLED else ""
    if not history.trainings:
        return (
            f"A model for {title}{labels} (encoder family {facts.model_type}). How it was trained is not recorded in "
            "this folder."
        )
    *before, last = history.trainings
    steps = [f"{ROLES[training.role]} on {_tasks(training)}" for training in before]
    first = f"{listed(steps)}, and then " if steps else ""
    return (
        f"A model for {title}{labels}: {_encoder(facts)} after {first}{ROLES[last.role]} on {_tasks(last)}."
        f"{_zero_shot(facts)}"
    )


def _tasks(training: Training) -> str:
    return " + ".join(f"`{part.task}`" for part in training.tasks)


def _trained_in(history: History) -> tuple[str, ...]:
    """Return the languages of the labels that the head was trained with."""
    last = history.last
    return tuple(dict.fromkeys(split.language for part in last.tasks for split in part.data)) if last else ()


def _zero_shot(facts: CardFacts) -> str:
    trained, scored = _trained_in(facts.history), [score.data.language for score in facts.history.scores]
    zero = [code for code in dict.fromkeys(scored) if code not in trained]
    if not trained or not zero:
        return ""
    return (
        f" Its head has seen labels in {_named(trained)} only; in {_named(zero)} it is used zero-shot, without any "
        "labelled example of the language."
    )


def _named(some: Iterable[str]) -> str:
    shown = [named(code) for code in some]
    more = f" and {len(shown) - LISTED} more" if len(shown) > LISTED else ""
    return listed(shown[:LISTED]) + more


def _use(facts: CardFacts) -> Iterator[str]:
    shown = _usage_of(facts)
    yield "## Use"
    yield ""
    if facts.labels and len(facts.labels) <= LISTED:
        yield f"Labels: {', '.join(f'`{label}`' for label in facts.labels)}."
        yield ""
    yield f"```python\n{shown.code.rstrip()}\n```"
    yield ""
    yield "`name` is the path of this folder, or its repository on the hub."
    yield ""
    for note in shown.notes:
        yield note
        yield ""
    if facts.sentence_transformers:
        yield "Or with sentence-transformers:"
        yield ""
        yield f"```python\n{usage.sentence_transformers_usage(facts.name).rstrip()}\n```"
        yield ""


def _training(facts: CardFacts) -> Iterator[str]:
    history = facts.history
    if not history.trainings:
        return
    yield "## Training"
    yield ""
    yield f"Encoder: {_encoder(facts)}, {_revision(history)}. It was trained in this order:"
    yield ""
    for number, training in enumerate(history.trainings, 1):
        yield f"{number}. {_phase(training)}"
    yield ""
    if history.combined:
        yield f"The weights of several of these trainings were combined: {listed(history.combined)}."
        yield ""
    for line in _dev_labels(history):
        yield line
        yield ""
    yield from _recipes(history)


def _revision(history: History) -> str:
    if not history.revision:
        return "from random weights"
    if history.on_hub:
        return f"revision `{history.revision[:12]}`"
    return f"read from a local folder (SHA-256 of its files `{history.revision[:12]}`)"


def _phase(training: Training) -> str:
    parts = [_task_line(part) for part in training.tasks]
    steps = f", {training.steps:,} steps" if training.steps else ""
    layers = training.layers_reset
    reset = f" Afterwards the layers {layers} got their earlier weights back." if layers else ""
    text = f"**{ROLES[training.role].capitalize()}** on {'; '.join(parts)}{steps}, seed {training.seed}.{reset}"
    dev = [
        f"{markdown(part.metric)} {part.dev_score:.1f} on the development data of `{part.task}`"
        for part in training.tasks
        if part.dev_score is not None
    ]
    return text + (f" At its end: {listed(dev)}." if dev else "")


def _task_line(part: TaskTraining) -> str:
    in_languages = _named(dict.fromkeys(split.language for split in part.data))
    read = sum(split.examples or 0 for split in part.data)
    figures = f"{part.inputs:,} model inputs" if part.inputs is not None else ""
    figures += f"{' of ' if figures else ''}{read:,} examples" if read else ""
    title = TITLES.get(part.format, part.format.replace("_", " "))
    return f"`{part.task}` ({', '.join(filter(None, (title, in_languages, figures)))})"


def _dev_labels(history: History) -> Iterator[str]:
    """Yield where labels of development data decided something."""
    selected = [training for training in history.trainings if training.recipe.get("selection")]
    for training in selected:
        data = [part.dev for part in training.tasks if part.dev]
        where = listed(dict.fromkeys(f"`{split.task}` ({named(split.language)})" for split in data))
        yield (
            f"Development labels of {where} chose the weights of the {ROLES[training.role]}: those of the step with "
            "the best score on them were kept."
        )
    if not selected and any(part.dev for training in history.trainings for part in training.tasks):
        yield "No development label chose anything: the weights are those of the last step."


def _recipes(history: History) -> Iterator[str]:
    columns = [f"{number}. {ROLES[training.role]}" for number, training in enumerate(history.trainings, 1)]
    rows = [(name, *(_setting(name, training) for training in history.trainings)) for name in SETTINGS]
    used = [row for row in rows if set(row[1:]) != {tables.NOTHING}]
    align: list[tables.Align] = ["left"] * (1 + len(columns))
    yield tables.table("", ("hyperparameter", *columns), used, align=align).to_markdown()
    yield ""


def _setting(name: str, training: Training) -> str:
    value = training.recipe.get(name)
    if name == "epochs" and training.recipe.get("steps"):
        value = None  # a number of steps takes the place of epochs
    if name == "sampling" and len(training.tasks) == 1:
        value = None  # there is nothing to choose from
    if name == "max_length" and training.max_length:
        value = training.max_length
    if isinstance(value, Mapping):
        return ", ".join(f"{part} {number}" for part, number in value.items())
    if value is None:
        return tables.NOTHING
    return f"{value:g}" if isinstance(value, float) else str(value)


def _data(facts: CardFacts) -> Iterator[str]:
    sources = data_sources(facts)
    if not sources:
        return
    yield "## Data and licences"
    yield ""
    rows = []
    for name in dict.fromkeys(source.task for source in sources):
        of_task = [source for source in sources if source.task == name]
        used = listed(dict.fromkeys(source.used for source in of_task))
        in_languages = listed(dict.fromkeys(split.language for source in of_task for split in source.splits))
        rows.append((name, used, in_languages, of_task[0].stated, of_task[0].citation or "not known"))
    yield tables.table("", ("data set", "used for", "languages", "licence", "cite"), rows).to_markdown()
    yield ""
    yield _strictest(facts, sources)
    yield ""


def _strictest(facts: CardFacts, sources: Sequence[DataSource]) -> str:
    trained = [source for source in sources if source.used != "scores"]
    strictest = licences.strictest(source.licence for source in trained if source.licence)
    unknown = list(dict.fromkeys(s.task for s in trained if s.licence is None or not s.licence.known))
    parts = []
    if strictest:
        of_rank = [s for s in trained if s.licence and s.licence.rank == strictest.rank]
        named_by = listed(dict.fromkeys(f"`{source.task}`" for source in of_rank))
        parts.append(
            f"The strictest licence of the training data is that of {named_by}: "
            f"**{markdown(strictest.text)}** ({strictest.rule})."
        )
    if unknown:
        parts.append(f"The licence of {listed(f'`{name}`' for name in unknown)} is **{UNKNOWN}**.")
    if facts.licence:
        parts.append(f"The model is published under {markdown(facts.licence)}.")
    if _is_shipped(facts):
        parts.append("The encoder is part of xstilts: Apache License 2.0.")
    else:
        stated = f"which [its page]({_page(facts)}) states" if base_model(facts) else f"which is {UNKNOWN}"
        parts.append(f"The encoder has a licence of its own, {stated}.")
    parts.append("Whether a model inherits the licence of its data is a legal question that this card does not answer.")
    return " ".join(parts)


def _page(facts: CardFacts) -> str:
    return f"https://huggingface.co/{base_model(facts)}"


def _scores(facts: CardFacts) -> Iterator[str]:
    history = facts.history
    if not history.trainings:
        return
    yield "## Scores"
    yield ""
    if not history.scores:
        yield "No score of this checkpoint is in its store."
        yield ""
        return
    trained = _trained_in(history)
    for name in dict.fromkeys(score.data.task for score in history.scores):
        scores = [score for score in history.scores if score.data.task == name]
        scores.sort(key=lambda score: (score.data.language not in trained, score.data.language))
        rows = [
            (
                named(score.data.language),
                score.data.split,
                score.data.examples,
                tables.number(score.value, _decimals(score)),
                tables.Cell(tables.interval(score.low, score.high, _decimals(score)) or tables.NOTHING),
                "yes" if score.data.language in trained else "no (zero-shot)",
            )
            for score in scores
        ]
        metric = listed(dict.fromkeys(score.metric for score in scores))
        columns = ("language", "split", "examples", metric, "95 % interval", "labels in training")
        yield f"On `{name}`:"
        yield ""
        yield tables.table("", columns, rows, align=("left", "left", "right", "right", "left", "left")).to_markdown()
        yield ""
    yield (
        "Shares are in percent. The interval is from 1,000 resamples of the test examples; it does not cover what "
        f"another seed would change (this is seed {history.last.seed if history.last else '?'} alone)."
    )
    yield ""
    for line in _tuned(history):
        yield line
        yield ""


def _decimals(score: LanguageScore) -> int:
    return 3 if score.metric.endswith("_loss") else 1


def _tuned(history: History) -> Iterator[str]:
    tuned = {score.tuned_on: score for score in history.scores if score.tuned_on}
    for data in tuned:
        yield (
            f"The layer or threshold of the scores was chosen with the labels of `{data.task}` {data.split} in "
            f"{named(data.language)}."
        )
    layers = sorted({score.layer for score in history.scores if score.layer is not None})
    if layers:
        yield (
            f"The scores compare vectors of layer {listed(layers)} (0 is the embedding layer); the code above takes "
            "the last layer."
        )
    on_dev = [score for score in history.scores if score.data.split == "validation"]
    if on_dev:
        yield (
            f"In {_named(dict.fromkeys(score.data.language for score in on_dev))} the score is on development data"
            + (", which also chose the weights." if _selected_on(history, on_dev) else ".")
        )


def _selected_on(history: History, scores: Sequence[LanguageScore]) -> bool:
    chosen = {
        (part.dev.task, part.dev.language)
        for training in history.trainings
        if training.recipe.get("selection")
        for part in training.tasks
        if part.dev
    }
    return any((score.data.task, score.data.language) in chosen for score in scores)


def _limits(facts: CardFacts) -> Iterator[str]:
    yield "## Limits"
    yield ""
    yield from (f"- {line}" for line in _limit_lines(facts))
    yield ""


CUT = {
    "classification": "longer texts are truncated, the longer text of a pair first",
    "token_classification": "longer sentences must be split between words (`xstilts predict` does it)",
    "extractive_qa": "longer contexts are read in overlapping windows, and longer questions are truncated",
    "multiple_choice": "of longer inputs the start of the context is truncated",
    HEADLESS: "longer texts are truncated",
}


def _limit_lines(facts: CardFacts) -> Iterator[str]:
    history = facts.history
    for training in history.trainings:
        for part in training.tasks:
            if part.collapsed:
                chance = "" if part.chance is None else f" ({part.dev_score:.1f}, chance {part.chance:.1f})"
                yield (
                    f"**The {ROLES[training.role]} on `{part.task}` collapsed**: on development data the network is "
                    f"no better than a constant prediction{chance}. Do not use this model."
                )
    scored = list(dict.fromkeys(score.data.language for score in history.scores))
    yield (
        f"Languages: measured in {_named(scored)} only. In any other language its quality is unknown, even if the "
        "encoder was pretrained on it."
        if scored
        else "Languages: it was measured in none; its quality is unknown in all of them."
    )
    yield from _weak(history)
    yield from _unmeasured(facts, scored)
    cut = CUT.get(facts.format, "longer inputs are truncated")
    yield f"Length: {facts.max_length} tokens at most, special tokens included; {cut}."
    for training in history.trainings:
        for part in training.tasks:
            if part.cut:
                cut = listed(f"{count:,} ({reason})" for reason, count in part.cut.items())
                yield f"Examples of `{part.task}` that were too long in training: {cut}."
    most = history.last.recipe.get("max_train_examples") if history.last else None
    if most:
        yield f"The last training used at most {most:,} examples of its training data."
    for shots in (part.shots for part in (history.last.tasks if history.last else ()) if part.shots):
        yield f"The last training used {shots:,} examples of its training data."
    seen = [score for score in history.scores if score.seen_in_training]
    if seen:
        counts = [f"{named(s.data.language)} {s.seen_in_training:,} of {s.data.examples or 0:,}" for s in seen]
        yield f"Test examples with a text that is also in the training data: {listed(counts)}."
    if history.last and len(history.last.tasks) > 1 and facts.format == HEADLESS:
        yield "It was trained on a mix of tasks, whose heads are not part of this folder: it is the encoder alone."
    yield "It was not checked for social biases, nor for texts of other domains than those of the data above."


def _weak(history: History) -> Iterator[str]:
    """Yield the languages whose score is less than half of that in the languages with labels."""
    trained = _trained_in(history)
    for name in dict.fromkeys(score.data.task for score in history.scores if not score.metric.endswith("_loss")):
        scores = [score for score in history.scores if score.data.task == name]
        best = max((score.value for score in scores if score.data.language in trained), default=0.0)
        weak = [named(score.data.language) for score in scores if score.value < best / 2]
        if weak:
            yield f"**Weak in {listed(weak)}**: the score on `{name}` is less than half of that with labels."


def _unmeasured(facts: CardFacts, scored: Sequence[str]) -> Iterator[str]:
    for name in dict.fromkeys(score.data.task for score in facts.history.scores):
        known = facts.task(name)
        missing = [code for code in known.languages if code not in scored] if known else []
        if missing:
            yield f"Languages of `{name}` that were not measured here: {_named(missing)}."


def _onnx(facts: CardFacts) -> Iterator[str]:
    if not facts.onnx:
        return
    yield "## ONNX"
    yield ""
    rows = [
        (
            variant.file,
            variant.title,
            f"{variant.mebibytes:,.1f} MiB",
            f"{variant.parity.difference:.2g}",
            f"{variant.parity.largest:.3g}",
            f"{variant.parity.equal:,} of {variant.parity.decisions:,}" if variant.parity.decisions else tables.NOTHING,
        )
        for variant in facts.onnx
    ]
    output = "output" if facts.format == HEADLESS else "logit"
    columns = ("file", "form", "size", f"largest difference of a {output}", f"largest {output}", "equal decisions")
    yield tables.table("", columns, rows).to_markdown()
    yield ""
    first = facts.onnx[0]
    data = "texts of the task's own data" if first.real else "sequences of random tokens"
    yield (
        f"Compared with torch in float32 on {first.sequences:,} {data}. Inputs are `input_ids` and `attention_mask` "
        f"(int64); the output is {_output(facts)}."
    )
    yield ""
    yield f"```python\n{usage.onnx_usage(facts.format, facts.name, first.file).rstrip()}\n```"
    yield ""


def _output(facts: CardFacts) -> str:
    if facts.dual_encoder:
        return "the pooled state of each text, (sequences, width)"
    return {
        "classification": "a logit for each label, (sequences, labels)",
        "token_classification": "a logit for each label of each token, (sequences, tokens, labels)",
        "extractive_qa": "the logits of start and end of each token, (sequences, tokens, 2)",
        "multiple_choice": "a logit for each sequence of prompt and choice, (sequences, 1)",
    }.get(facts.format, "the mean of the last hidden states, (sequences, width)")


def _cost(facts: CardFacts) -> Iterator[str]:
    history = facts.history
    if not history.trainings:
        return
    yield "## Cost"
    yield ""
    rows = [
        (
            f"{number}. {ROLES[training.role]}",
            tables.duration(training.seconds),
            tables.Cell(f"{training.flops:.2e}" if training.flops else tables.NOTHING),
            training.device or tables.NOTHING,
            training.parameters,
            training.trained_parameters,
        )
        for number, training in enumerate(history.trainings, 1)
    ]
    columns = ("training", "time", "FLOPs", "device", "parameters", "trained")
    align: tuple[tables.Align, ...] = ("left", "right", "right", "left", "right", "right")
    yield tables.table("", columns, rows, align=align).to_markdown()
    yield ""
    versions = listed(f"{name} {version}" for name, version in history.libraries.items())
    seconds, flops = tables.duration(history.total_seconds).text, history.total_flops
    total = f"With reading the data: {seconds}" + (f", {flops:.2e} FLOPs. " if flops else ". ")
    made_with = versions or f"xstilts {xstilts.__version__}"
    yield f"{total}Made with {made_with}. Key of the training: `{history.trainings[-1].key}`."
    yield ""
