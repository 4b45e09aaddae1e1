"""Training of a verifier: inference in general first, then claims with sentences of abstracts, and its model card.

An intermediate task and a target task: the encoder is trained on NLI data, then on the training claims of SciFact. What
the card says of these claims comes from models that have not seen them: each fold of the claims is left out once, and
predicted by the model that was trained without it. The development claims train nothing.

    train(VerifierTraining(Encoder.of("FacebookAI/xlm-roberta-large")), Path("verifier"), Runtime(data=Path("data")))
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from xstilts.errors import InputError
from xstilts.evidence.retrieval.sentence_encoder import SentenceEncoder
from xstilts.evidence.verifier import candidates, model_card, nli, scifact
from xstilts.evidence.verifier.model_card import FOLDS, ModelCard
from xstilts.evidence.verifier.scifact import LABELS, Pair, SciFact
from xstilts.experiments import preflight
from xstilts.experiments.grid import tasks_of
from xstilts.experiments.run import Recipes, training_data
from xstilts.models.encoder import Encoder
from xstilts.runtime import whole_files
from xstilts.runtime.machine import Runtime
from xstilts.store import local_executor
from xstilts.store.names import MODEL_FOLDER
from xstilts.store.stage import Stage, folder_of
from xstilts.tasks.base import Task
from xstilts.training.train import train as train_stage

Row = dict[str, str]
CITATION = "Wadden et al. 2020, Fact or Fiction: Verifying Scientific Claims (arXiv 2004.14974)"
LICENCE = "CC BY-NC 2.0"


@dataclass(frozen=True)
class VerifierTraining:
    """How a verifier is trained.

    Attributes:
        encoder: The encoder.
        intermediate: Name of a task with the three labels of NLI, or a mix ("a,b"); "" to train on SciFact alone.
        recipes: Recipes of both phases.
        seed: Seed of all trainings.
        sentence_encoder: Chooses which sentences the verifier reads, beside those that share the claim's words; None:
            no others.
    """

    encoder: Encoder
    intermediate: str = "nli_small"
    recipes: Recipes = field(default_factory=lambda: Recipes("xtreme"))
    seed: int = 1
    sentence_encoder: SentenceEncoder | None = None


def train(training: VerifierTraining, out: Path, machine: Runtime) -> ModelCard:
    """Train a verifier, measure it, and write its folder.

    Finished trainings are kept in the store; a call that was interrupted continues.

    Args:
        training: What to train.
        out: Folder of the verifier, which must not exist or be empty.
        machine: Data folder, store, device and processes.

    Returns:
        The card, which is also in the folder.

    Raises:
        InputError: SciFact or a training set is missing or damaged, or the folder holds something.
        StageError: A training failed.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} holds something already; name another folder for the verifier")
    data = scifact.read((machine.data or Path()) / scifact.FOLDER)
    stages = training_stages(training, data, machine)
    machine.require_device()
    preflight.check(stages, machine)
    local_executor.build_all(stages, machine)
    last, *without = [folder_of(stage, machine) / MODEL_FOLDER for stage in stages]
    with whole_files.folder(out) as new:
        shutil.copytree(last, new)
        card = model_card.measure(nli.load(new, machine), data, [nli.load(folder, machine) for folder in without])
        if training.sentence_encoder:
            card = replace(card, candidates=candidates.measure(training.sentence_encoder, data))
        model_card.write(card, new)
    return card


def training_stages(training: VerifierTraining, data: SciFact, machine: Runtime) -> list[Stage]:
    """Return the trainings on all training claims and, for each fold, on those outside it.

    Args:
        training: What to train.
        data: SciFact.
        machine: Data folder.

    Returns:
        The training on all claims, then one without each fold in order.
    """
    pairs = scifact.pairs(data, data.train)
    kept = [pairs, *(model_card.without_fold(pairs, fold) for fold in range(FOLDS))]
    start = _intermediate(training, machine)
    tasks = [_task("scifact" + (f"_without_fold_{number}" if number else ""), part) for number, part in enumerate(kept)]
    return [_stage((task,), "target", start, training, machine) for task in tasks]


def _intermediate(training: VerifierTraining, machine: Runtime) -> Encoder | Stage:
    """Return the training on NLI data, or the encoder where there is none."""
    if not training.intermediate:
        return training.encoder
    tasks = tasks_of(training.intermediate)
    for task in tasks:
        if sorted(label.casefold() for label in task.labels) != sorted(nli.NAMES):
            raise InputError(
                f"{task.name} has the labels {', '.join(task.labels) or '(none)'}; a verifier is trained on "
                f"{', '.join(nli.NAMES)} first, as nli_small or mnli teach them"
            )
    return _stage(tasks, "intermediate", training.encoder, training, machine)


def _stage(
    tasks: Sequence[Task], role: str, start: Encoder | Stage, training: VerifierTraining, machine: Runtime
) -> Stage:
    training_sets, recipe = training_data(tasks, role, training.recipes, start, machine.data)
    return train_stage(start, training_sets, recipe, training.seed)


def _task(name: str, pairs: Sequence[Pair]) -> Task:
    """Return a classification task of claims and sentences."""
    return Task.from_dataset(
        name,
        [*labelled_sentences(pairs)],
        format=nli.KIND,
        text="sentence",
        text_pair="claim",
        label="label",
        labels=nli.NAMES,
        citation=CITATION,
        licence=LICENCE,
    )


def labelled_sentences(pairs: Sequence[Pair]) -> Iterator[Row]:
    """Yield claims with single sentences and the label of each.

    A sentence of a rationale has the label of its abstract. In an abstract that decides nothing the sentences nearest
    to the claim are neutral. Other sentences of an abstract that decides are left out: they may say the same again.

    Args:
        pairs: Claims with abstracts.

    Yields:
        Rows with `sentence`, `claim` and `label`, one of `nli.NAMES`.
    """
    for pair in pairs:
        rationales = pair.claim.rationales.get(pair.abstract.id, ())
        chosen = pair.near if pair.label == LABELS[2] else sorted(frozenset[int]().union(*rationales))
        label = nli.NAMES[LABELS.index(pair.label)]
        for index in chosen:
            yield {"sentence": pair.abstract.sentences[index], "claim": pair.claim.text, "label": label}
