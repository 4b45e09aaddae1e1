"""History: what a checkpoint was trained on, in what order, at what cost, and how it scored, from manifests alone.

A finished training lies in a store beside the stages that it was made from and those that were made from it. Their
manifests say everything a model card needs, so that no experiment has to be declared again. A folder that no store
holds, such as a download, has an empty history. `export` writes the history into the exported folder (`xstilts.json`),
so that the folder keeps it when it leaves the store.

>>> from xstilts.models.encoder import SANDBOX
>>> history(SANDBOX).trainings
()
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from xstilts import metrics
from xstilts.cost import summary
from xstilts.data.dataset import EXAMPLES
from xstilts.evaluation.score import CONTRIBUTIONS, read_score
from xstilts.models.encoder import Encoder
from xstilts.store import manifest, names, query
from xstilts.store.query import Record
from xstilts.store.stage import generations

FILE = names.EXPORT_FILE
MODELS = (names.TRAIN, names.LAYER_RESET, names.COMBINE)  # stages that write a model from other models
RESAMPLES = 1000
RECIPE = {
    "learning_rate": "learning_rate",
    "batch_size": "batch_size",
    "epochs": "epochs",
    "steps": "steps",
    "examples": "max_train_examples",
    "max_length": "max_length",
    "warmup": "warmup_steps",
    "weight_decay": "weight_decay",
    "clip_norm": "clip_norm",
    "trained": "trainable",
    "sampling": "sampling",
    "selection": "selection",
    "optimiser": "optimizer",
}


@dataclass(frozen=True)
class Split:
    """A split of a data set in one language.

    Attributes:
        task: Name of the task.
        split: "train", "validation" or "test".
        language: Code of the language.
        examples: How many examples were read; None where the store no longer says.
        repository: The data set on the hub from which they were read; "" for other files.
    """

    task: str
    split: str
    language: str
    examples: int | None = None
    repository: str = ""


@dataclass(frozen=True)
class TaskTraining:
    """One training set of a training.

    Attributes:
        task: Name of the task, with the languages of its training data where they are not the usual ones.
        format: Its task format.
        labels: How many labels it has.
        data: The splits that were trained on.
        dev: The development split; None where there was none.
        dev_score: Score on it at the end of the training.
        chance: Score of the best constant prediction there.
        collapsed: Whether the training ended no better than that.
        inputs: Model inputs that were made of the examples.
        cut: Examples that did not fit, by what was done with them.
        metric: The metric of the development score.
        shots: How many examples were drawn for few-shot training; 0 where all were trained on.
    """

    task: str
    format: str
    labels: int
    data: tuple[Split, ...]
    dev: Split | None = None
    dev_score: float | None = None
    chance: float | None = None
    collapsed: bool = False
    inputs: int | None = None
    cut: Mapping[str, int] = field(default_factory=dict)
    metric: str = ""
    shots: int = 0


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        role: "pretraining", "intermediate" or "target".
        key: Key of its stage.
        tasks: What was trained on, together.
        recipe: The hyperparameters that were given.
        seed: The seed.
        steps: Steps taken.
        max_length: Most tokens of a sequence.
        seconds: Duration.
        flops: Floating-point operations.
        device: What it ran on.
        parameters: Parameters of the network.
        trained_parameters: Those that were trained.
        date: When it began, ISO 8601.
        layers_reset: Layers that got their earlier weights back afterwards; "" for none.
    """

    role: str
    key: str
    tasks: tuple[TaskTraining, ...]
    recipe: Mapping[str, Any]
    seed: int
    steps: int | None = None
    max_length: int | None = None
    seconds: float | None = None
    flops: int | None = None
    device: str = ""
    parameters: int | None = None
    trained_parameters: int | None = None
    date: str = ""
    layers_reset: str = ""


@dataclass(frozen=True)
class LanguageScore:
    """A score of the checkpoint in one language.

    Attributes:
        data: The split that was scored.
        metric: Name of the metric.
        value: The score, mostly in percent.
        low: Lower end of the 95 % interval over examples; None where examples were not kept.
        high: Its upper end.
        key: Key of the score's stage.
        tuned_on: The data on which a layer or a threshold was chosen; None where nothing was chosen.
        layer: The layer whose vectors were compared (retrieval).
        seen_in_training: Examples whose text is also in the training data; None where it was not checked.
    """

    data: Split
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    key: str = ""
    tuned_on: Split | None = None
    layer: int | None = None
    seen_in_training: int | None = None


@dataclass(frozen=True)
class History:
    """What is known about a checkpoint.

    Attributes:
        encoder: Name of the encoder that everything started from: a hub id, or the name of a folder.
        revision: Its commit on the hub, or the digest of its files.
        trainings: The trainings, the first one first.
        scores: Its scores by task and language.
        total_seconds: Duration of all stages behind the checkpoint.
        total_flops: Their floating-point operations.
        libraries: Versions of the libraries of the last training.
        pairs: Whether the inputs of the last training are pairs of texts.
        combined: How the weights of several of the trainings were combined, such as "average"; none where they follow
            each other.
    """

    encoder: str = ""
    revision: str = ""
    trainings: tuple[Training, ...] = ()
    scores: tuple[LanguageScore, ...] = ()
    total_seconds: float | None = None
    total_flops: int | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)
    pairs: bool = False
    combined: tuple[str, ...] = ()

    @property
    def last(self) -> Training | None:
        """The last training."""
        return self.trainings[-1] if self.trainings else None

    @property
    def on_hub(self) -> bool:
        """Whether the encoder is named by its id on the hub."""
        return "/" in self.encoder

    def splits(self) -> list[Split]:
        """Return the splits that were trained on, each once."""
        parts = (split for training in self.trainings for part in training.tasks for split in part.data)
        return list(dict.fromkeys(parts))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> History:
        """Return the history that `to_dict` gave."""
        trainings = tuple(
            Training(**{**training, "tasks": tuple(_task_training(values) for values in training["tasks"])})
            for training in values["trainings"]
        )
        scores = tuple(
            LanguageScore(**{**score, "data": Split(**score["data"]), "tuned_on": _split(score["tuned_on"])})
            for score in values["scores"]
        )
        combined = tuple(values.get("combined", ()))
        return cls(**{**values, "trainings": trainings, "scores": scores, "combined": combined})


def _split(values: Mapping[str, Any] | None) -> Split | None:
    return Split(**values) if values else None


def _task_training(values: Mapping[str, Any]) -> TaskTraining:
    data = tuple(Split(**split) for split in values["data"])
    return TaskTraining(**{**values, "data": data, "dev": _split(values["dev"])})


def history(folder: Path, roles: Mapping[str, str] | None = None) -> History:
    """Return the history of a checkpoint.

    Args:
        folder: Folder of the checkpoint, `model/` in the folder of a finished training, or an exported folder.
        roles: The role of each training by key, from the run that asked for it; without it the last training is the
            target's, and those before it are intermediate (pretraining, where an encoder was made from raw text).

    Returns:
        The history; empty for a folder that neither lies in a store nor was exported from one.
    """
    kept = folder / FILE
    if kept.is_file():
        return History.from_dict(json.loads(kept.read_text(encoding="utf-8"))["history"])
    stage = folder.parent
    if folder.name != names.MODEL_FOLDER or not (stage / manifest.RECORD).is_file():
        return History()
    return _Store(stage.parent).history(manifest.read(stage), roles or {})


class _Store:
    """The manifests of a store, each read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folders: dict[str, Path] = {}
        self.records: dict[str, Record] = {}
        for path, record in query.records(folder):
            self.folders[record["key"]], self.records[record["key"]] = path, record

    def history(self, record: Record, roles: Mapping[str, str]) -> History:
        chain, encoder = self._chain(record)
        trainings: list[Training] = []
        members = self._before(record["key"]) if record["arguments"].get("members") else []
        trained = [stage for stage in chain if stage["work"] == names.TRAIN]
        final = [stage["key"] for stage in trained][-max(1, len(members)) :]
        # Few-shot training goes on with the target of the one before.
        few_shot = [stage for stage in trained if any(part.get("shots") for part in stage["arguments"]["lessons"])]
        final += [stage["arguments"]["encoder"].get("stage") for stage in few_shot]
        combined = [str(stage["record"].get("method", "")) for stage in chain if stage["work"] == names.COMBINE]
        for stage in chain:
            if stage["work"] == names.TRAIN:
                role = roles.get(stage["key"]) or self._role(stage, encoder, stage["key"] in final)
                trainings.append(self._training(stage, role))
            elif stage["work"] == names.LAYER_RESET:
                reset = str(stage["arguments"].get("layers") or "some layers")
                keys = set(generations(stage["key"], self._before))
                last = [number for number, training in enumerate(trainings) if training.key in keys][-1:]
                for number in last:
                    trainings[number] = replace(trainings[number], layers_reset=reset)
        total = summary.total(summary.behind(self.records, [record["key"]]))
        scores = sorted(self._scores(record["key"]), key=lambda score: (score.data.task, score.data.language))
        return History(
            _encoder_name(encoder),
            str(encoder.get("digest") or ""),
            tuple(trainings),
            tuple(scores),
            total.seconds,
            total.flops,
            record.get("libraries", {}),
            self._pairs(self._trained(record)),
            tuple(combined),
        )

    def _trained(self, record: Record) -> Record:
        """Return the training whose head a checkpoint has: itself, or the first member of an average."""
        while members := record["arguments"].get("members"):
            if members[0]["stage"] not in self.records:
                break
            record = self.records[members[0]["stage"]]
        return record

    def _before(self, key: str) -> list[str]:
        """Return the keys of the stages that a model was made from directly, as far as they are in the store."""
        record = self.records.get(key)
        if record is None or record["work"] not in MODELS:
            return []
        arguments = record["arguments"]
        sources = arguments.get("members") or [arguments.get("encoder") or arguments.get("trained") or {}]
        return [source["stage"] for source in sources if source.get("stage") in self.records]

    def _chain(self, record: Record) -> tuple[list[Record], Mapping[str, Any]]:
        """Return the stages from the first training to this one, and what the first started from."""
        behind = [self.records[key] for key in generations(record["key"], self._before)]
        chain = [stage for stage in behind if stage["work"] in MODELS] or [record]
        arguments = chain[0]["arguments"]
        source = arguments.get("encoder") or arguments.get("trained") or {}
        if "stage" not in source:
            return chain, source
        before = self.records.get(source["stage"])
        return chain, {"label": before["label"]} if before else {"name": "", "label": ""}

    def _role(self, record: Record, encoder: Mapping[str, Any], last: bool) -> str:
        formats = {stored.get("kind") for stored in record["arguments"]["lessons"]}
        if formats == {names.format_in_keys("masked_lm")} and not encoder.get("digest"):
            return names.PRETRAINING
        return names.TARGET if last else names.INTERMEDIATE

    def _training(self, record: Record, role: str) -> Training:
        arguments, facts = record["arguments"], record["record"]
        cost = facts.get("cost") or {}
        flops = cost.get("flops")
        recipe = {
            RECIPE.get(name, name): _plain(value) for name, value in arguments["recipe"].items() if name != "type"
        }
        return Training(
            role,
            record["key"],
            tuple(self._task(stored, facts) for stored in arguments["lessons"]),
            recipe,
            int(arguments["seed"]),
            facts.get("steps"),
            facts.get("max_length"),
            record["seconds"] + cost.get("earlier_seconds", 0.0),
            sum(flops.values()) if flops else None,
            str(cost.get("device") or ""),
            facts.get("parameters"),
            facts.get("trained_parameters"),
            str(record.get("started", "")),
        )

    def _task(self, stored: Mapping[str, Any], facts: Mapping[str, Any]) -> TaskTraining:
        name = stored["task"]
        dev = (facts.get("dev") or {}).get(name) or {}
        measured = (facts.get("lessons") or {}).get(name) or {}
        return TaskTraining(
            name,
            names.format_from_key(stored.get("kind", "")),
            len(stored.get("labels") or ()),
            tuple(self._split(reference) for reference in stored.get("train") or ()),
            self._split(stored["dev"]) if stored.get("dev") else None,
            dev.get("score"),
            dev.get("chance"),
            bool(dev.get("collapsed")),
            measured.get("units"),
            {reason: count for reason, count in (measured.get("cut") or {}).items() if count},
            stored.get("metric", ""),
            int(stored.get("shots", 0)),
        )

    def _split(self, reference: Mapping[str, str]) -> Split:
        record = self.records.get(reference["stage"])
        if record is None:
            return Split("", "", "")
        data, facts = record["arguments"]["data"], record["record"]
        repositories = [name.split("/")[1:3] for name in facts.get("files") or () if name.startswith("hub/")]
        repository = "/".join(repositories[0]) if repositories else ""
        return Split(data["task"], data["split"], data["language"], facts.get("examples"), repository)

    def _scores(self, key: str) -> Iterator[LanguageScore]:
        """Yield the scores of predictions that this training's network made, those that only chose a layer apart."""
        choosing = {_key(record["arguments"].get("tuned_from")) for record in self._of(names.SCORE)}
        trained_on = set(summary.closure(self.records, [key]))
        for record in self._of(names.SCORE):
            predictions = self.records.get(_key(record["arguments"]["predictions"]))
            if predictions is None or _key(predictions["arguments"]["model"]) != key:
                continue
            if predictions["arguments"].get("translated"):  # a score of the network with a translation before it
                continue
            folder = self.folders[record["key"]]
            values = read_score(folder)
            data = self._split(record["arguments"]["gold"])
            if record["key"] in choosing and data.split == "validation":
                continue
            low, high = _interval(folder / CONTRIBUTIONS, values["metric"])
            tuned = self.records.get(_key(record["arguments"].get("tuned_from")))
            yield LanguageScore(
                replace(data, examples=values.get("examples", data.examples)),
                values["metric"],
                float(values["headline"]),
                low,
                high,
                record["key"],
                self._split(tuned["arguments"]["gold"]) if tuned else None,
                values.get("layer"),
                self._seen(_key(record["arguments"]["gold"]), trained_on),
            )

    def _seen(self, gold: str, trained_on: Collection[str]) -> int | None:
        """Return how many examples of a split have a text of a training split, None where that was not checked."""
        counts = [
            record["record"].get("touched")
            for record in self._of(names.CONTAMINATION)
            if _key(record["arguments"]["test"]) == gold and _key(record["arguments"]["train"]) in trained_on
        ]
        return max((int(count) for count in counts if count is not None), default=None)

    def _of(self, work: str) -> list[Record]:
        return [record for record in self.records.values() if record["work"] == work]

    def _pairs(self, record: Record) -> bool:
        """Return whether the first example of a training is a pair of texts."""
        for stored in record["arguments"].get("lessons") or ():
            for reference in stored.get("train") or ():
                path = self.folders.get(reference["stage"], self.folder) / EXAMPLES
                if path.is_file():
                    with path.open(encoding="utf-8") as file:
                        line = file.readline()
                    return bool(line) and bool(json.loads(line).get("text_b"))
        return False


def _encoder_name(encoder: Mapping[str, Any]) -> str:
    """Return the name of the first encoder: the hub id or folder, "sandbox" for the one that is shipped."""
    if encoder.get("digest") and encoder["digest"] == Encoder.of("sandbox").digest:
        return "sandbox"
    return str(encoder.get("name") or encoder.get("label") or "")


def _key(reference: Any) -> str:
    return str(reference.get("stage", "")) if isinstance(reference, Mapping) else ""


def _plain(value: Any) -> Any:
    """Return a value of a manifest as a number or a text."""
    if isinstance(value, Mapping):
        if "float" in value:
            return float(value["float"])
        return {name: _plain(part) for name, part in value.items() if name != "type"}
    return value


def _interval(path: Path, metric: str) -> tuple[float | None, float | None]:
    """Return the 95 % interval of a score by resampling its examples; nothing where they were not kept."""
    if not path.is_file():
        return None, None
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) < 2:
        return None, None
    parts: Sequence[Any] = [json.loads(line) for line in lines]
    random = np.random.default_rng(0)
    drawn = random.multinomial(len(parts), np.full(len(parts), 1 / len(parts)), size=RESAMPLES).astype(np.float64)
    low, high = np.percentile(metrics.headlines(metric, parts, drawn), (2.5, 97.5))
    return float(low), float(high)
