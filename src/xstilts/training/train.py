"""Train: the one loop of every phase, from an encoder and lessons to an encoder that has learned them.

Pretraining, intermediate and target training differ only in what is taught. The order of all examples is decided
beforehand (`schedule`), and the randomness of each step is a function of seed and step, so a run that is killed and
started again ends in the same bits. Losses are summed over a step's labels and divided by their number, however many
passes the step takes.

    model = train(Encoder.of("FacebookAI/xlm-roberta-base"), (Lesson.of(task("mnli")),), Recipe(), seed=1)
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from xstilts.cost import ledger
from xstilts.errors import InputError
from xstilts.models import batching, freezing, lora
from xstilts.models.batch import ModelInput
from xstilts.models.embedding_pruning import pruned_embeddings
from xstilts.models.encoder import Encoder, load_backbone, load_tokenizer
from xstilts.models.freezing import freeze
from xstilts.models.heads import attach
from xstilts.models.hf_format import save, save_encoder
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.runtime.signals import Interrupted, deferred
from xstilts.store import names
from xstilts.store.stage import BuildContext, Stage, stage
from xstilts.training import batch_schedule, memory
from xstilts.training.checkpoint import Checkpoint, remove
from xstilts.training.dev_evaluation import look
from xstilts.training.frozen_layer_cache import NOTHING, FrozenLayerCache, computed
from xstilts.training.optimizer import optimiser_of, rate, suited
from xstilts.training.optimizer import prepare as prepare_weights
from xstilts.training.recipe import Recipe
from xstilts.training.step import Loop
from xstilts.training.training_set import DEV_EXAMPLES, EncodedTrainingSet, TrainingSet, encode_training_set

CHECKPOINT = "checkpoint.safetensors"
MODEL = "model"
HEADS = "heads.safetensors"
HISTORY = "history.jsonl"


def _label(encoder: Encoder | Stage, lessons: tuple[TrainingSet, ...], recipe: Recipe, seed: int) -> str:
    return f"train-{'+'.join(lesson.task for lesson in lessons)}-seed{seed}"


@stage(name=names.TRAIN, version=3, label=_label, resumes=True)
def train(
    site: BuildContext, encoder: Encoder | Stage, lessons: tuple[TrainingSet, ...], recipe: Recipe, seed: int
) -> None:
    """Train an encoder on lessons; write `model/`, an ordinary Hugging Face folder, and `history.jsonl`.

    encoder: a public one, or the stage of an earlier phase, of which only the encoder is taken: heads begin anew.
    A lesson that takes turns alone is saved with its head; of several, the heads are in `heads.safetensors`.
    """
    site = replace(site, machine=suited(site.machine, recipe))
    source = site.path(encoder) / MODEL if isinstance(encoder, Stage) else encoder.location
    tokens = Tokenizer.of(load_tokenizer(source)).kept(site.machine)
    torch.manual_seed(seed)
    network = Network(load_backbone(source))
    recipe = replace(recipe, max_length=network.clip_max_length(recipe.max_length))
    pupils = [encode_training_set(lesson, site, tokens, recipe) for lesson in lessons]
    for pupil in pupils:
        if not pupil.format.headless:
            attach(network, pupil.lesson.task, pupil.lesson.format, len(pupil.labels), source)
    trained = freeze(network, recipe.trainable)
    formats = [pupil.lesson.format for pupil in pupils]
    with pruned_embeddings(network, formats, _units(pupils), tokens, site.folder) as table:
        prepare_weights(network, recipe)
        network.to(site.machine.torch_device())
        site.record["embedding_rows"] = len(network.embedding_matrix)
        state = _optimise(network, pupils, tokens, recipe, seed, site)
        dev = look(network, pupils, tokens, site.machine, DEV_EXAMPLES)
        table *= state.undecayed  # what no text touches decays like the rest
    site.record["cost"] = ledger.ledger(state.cost, network, site.machine)
    lora.merge(network)
    _save(network, pupils, tokens, site.folder)
    (site.folder / HISTORY).write_text("".join(json.dumps(line) + "\n" for line in state.history), encoding="utf-8")
    total = sum(parameter.numel() for parameter in network.parameters())
    site.record |= {"steps": state.step, "parameters": total, "trained_parameters": trained, "dev": dev}
    site.record["max_length"] = recipe.max_length
    site.record["lessons"] = {p.lesson.task: {"units": len(p.units), "cut": dict(p.cut)} for p in pupils}
    remove(site.folder / CHECKPOINT)


@dataclass
class State:
    """Where a training is: the step, the figures so far, the best weights by development score, and the cost.

    micro_tokens: most in a pass, as the memory has allowed. undecayed: at the end, the share that weight decay has left
    of embeddings without a gradient.
    """

    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_score: float = -math.inf
    looks_since_best: int = 0
    best_step: int = 0
    micro_tokens: int = 0
    undecayed: float = 1.0
    cost: ledger.Spent = field(default_factory=ledger.nothing)


def _units(pupils: list[EncodedTrainingSet]) -> Iterator[ModelInput]:
    """Yield whatever a training shows its network."""
    for pupil in pupils:
        yield from pupil.units
        yield from pupil.dev_units


def _optimise(
    network: Network, pupils: list[EncodedTrainingSet], tokens: Tokenizer, recipe: Recipe, seed: int, site: BuildContext
) -> State:
    """Take the steps, or those that an earlier call did not take."""
    lessons = tuple(pupil.scheduled() for pupil in pupils)
    sizes = tuple(len(lesson.lengths) for lesson in lessons if not lesson.every_step)
    total = recipe.steps or batch_schedule.steps_of(sizes, recipe.epochs, recipe.batch_size, recipe.sampling)
    optimiser = optimiser_of(network, recipe)
    checkpoint = Checkpoint(site.folder / CHECKPOINT, network, optimiser)
    state = State(**checkpoint.load())
    below = _below(network, pupils, tokens, total * recipe.batch_size, site.machine)
    heads = {pupil.lesson.task: pupil.lesson.format for pupil in pupils}
    most = state.micro_tokens or memory.max_tokens_per_pass(network, recipe, heads, site.machine)
    loop = Loop(network, pupils, tokens, recipe, site.machine, optimiser, seed, below, most)
    site.record["batches"] = batching.describe_batches(loop.packs, site.machine)
    steps = enumerate(batch_schedule.schedule(lessons, total, recipe.batch_size, recipe.sampling, seed))
    saved = time.monotonic()
    with deferred() as interrupted, ledger.metered(state.cost, site.machine) as meter:
        for prepared in loop.ahead(islice(steps, state.step, None)):
            loss = loop.take(prepared, total)
            state.step, state.micro_tokens = prepared.number + 1, loop.micro_tokens
            if state.step % max(1, total // 100) == 0 or state.step == total:
                meter.read()
                _tell(state, loss, total, site)
            if _stops(state, loop, checkpoint, total):
                break
            if interrupted or time.monotonic() - saved > site.machine.checkpoint_seconds:
                meter.read()
                checkpoint.save(vars(state))
                saved = time.monotonic()
            if interrupted:
                raise Interrupted(interrupted[0])
    checkpoint.restore_best()
    if network.embedding_matrix.requires_grad:
        count = len(freezing.groups(network, recipe.trainable))  # embeddings are in the last
        taken = range(state.best_step or state.step)
        rates = (
            rate(recipe, number, total) for number in taken if freezing.unfrozen_groups(number, total, count) >= count
        )
        state.undecayed = math.prod(1 - one * recipe.weight_decay for one in rates)
    return state


def _below(
    network: Network, pupils: list[EncodedTrainingSet], tokens: Tokenizer, examples: int, machine: Runtime
) -> FrozenLayerCache:
    """Return the states of frozen layers where each unit is shown twice or more, and as it is."""
    units = [unit for pupil in pupils for unit in pupil.units]
    if examples < 2 * len(units) or any(pupil.lesson.format == "masked_lm" for pupil in pupils):
        return NOTHING
    return computed(network, units, tokens, machine)


def _stops(state: State, loop: Loop, checkpoint: Checkpoint, total: int) -> bool:
    """Look at the development data where it is time to; say whether patience has run out."""
    selection = loop.recipe.selection
    if selection is None or (state.step % selection.every_steps and state.step < total):
        return False
    looked = look(loop.network, loop.pupils, loop.tokens, loop.machine, selection.examples)
    if not looked:
        raise InputError("a selection on development data needs a lesson with development data: give selection=none")
    score = sum(task["score"] for task in looked.values()) / len(looked)
    state.history.append({"step": state.step, "dev": {name: task["score"] for name, task in looked.items()}})
    state.looks_since_best += 1
    if score > state.best_score:
        state.best_score, state.best_step, state.looks_since_best = score, state.step, 0
        checkpoint.keep_best()
    return state.looks_since_best >= selection.patience


def _tell(state: State, loss: Tensor, total: int, site: BuildContext) -> None:
    value = float(loss)
    state.history.append({"step": state.step, "loss": round(value, 6)})
    seconds = state.cost["seconds"]
    pace = ledger.tokens(state.cost) / max(seconds, 1e-9)
    rest = progress.left(state.step, total, seconds)
    detail = f"loss {value:.3f}  {pace:,.0f} tokens/s  {rest} left"
    progress.step(site.folder.stem, state.step, total, detail)
    if not math.isfinite(value):
        raise InputError(f"the loss became {value} at step {state.step}: lower learning_rate or raise warmup")


def _save(network: Network, pupils: list[EncodedTrainingSet], tokens: Tokenizer, folder: Path) -> None:
    """Save the one head that takes turns with its encoder, or several as a bare encoder and a file of heads."""
    headed = [pupil for pupil in pupils if pupil.lesson.weight is None and not pupil.format.headless]
    if len(headed) == 1:
        lesson = headed[0].lesson
        save(network, lesson.task, lesson.format, headed[0].labels, tokens.tokenizer, folder / MODEL)
        return
    save_encoder(network, tokens.tokenizer, folder / MODEL)
    if headed:
        heads = {name: value.contiguous() for name, value in network.heads.state_dict().items()}
        save_file(heads, folder / HEADS)
