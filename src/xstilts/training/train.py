"""Train: the one loop of every phase, from an encoder and training sets to a trained encoder.

Pretraining, intermediate and target training differ only in their data and recipe. The order of all examples is decided
beforehand (`batch_schedule`), and the randomness of each step is a function of seed and step, so that a run that is
killed and started again ends in the same bits.

    encoder = Encoder.of("FacebookAI/xlm-roberta-base")
    stage = train(encoder, (training_set(task("mnli"), data_folder),), Recipe(), seed=1)  # a promise: nothing runs yet
    folder = build(stage, Runtime())  # trains; folder / "model" is an ordinary Hugging Face folder
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
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
from xstilts.models.configs import config_before
from xstilts.models.embedding_pruning import pruned_embeddings
from xstilts.models.encoder import Encoder, load_backbone, load_tokenizer
from xstilts.models.families import FAMILIES
from xstilts.models.freezing import freeze
from xstilts.models.heads import DualEncoderHead, attach, attach_dual_encoder
from xstilts.models.hf_format import load_head, save, save_encoder
from xstilts.models.network import Network
from xstilts.models.pooling import choose_pooling
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.runtime.signals import Interrupted, deferred
from xstilts.runtime.text import counted
from xstilts.store import names
from xstilts.store.stage import BuildContext, Stage, stage
from xstilts.training import batch_schedule, memory
from xstilts.training.batch_schedule import ScheduledSet, Step
from xstilts.training.checkpoint import Checkpoint, remove
from xstilts.training.combine import head_training
from xstilts.training.dev_evaluation import evaluate_on_dev, evaluate_on_seen
from xstilts.training.frozen_layer_cache import NOTHING, FrozenLayerCache, cached_states
from xstilts.training.optimizer import learning_rate, make_optimizer, suited
from xstilts.training.optimizer import prepare as prepare_weights
from xstilts.training.processes import Group, together
from xstilts.training.recipe import CONTINUED, ONE_WAY, Recipe
from xstilts.training.sharding import Whole, lay_out
from xstilts.training.snapshots import Snapshots
from xstilts.training.step import Stepper
from xstilts.training.training_set import EncodedTrainingSet, TrainingSet, encode_training_set

CHECKPOINT = names.CHECKPOINT_FILE
MODEL = names.MODEL_FOLDER
HEADS = "heads.safetensors"
HISTORY = names.HISTORY_FILE
LOWER = "lower learning_rate or raise warmup_steps"


def _label(
    encoder: Encoder | Stage,
    training_sets: tuple[TrainingSet, ...],
    recipe: Recipe,
    seed: int,
    head_seed: int | None = None,
) -> str:
    tasks = "+".join(training_set.task for training_set in training_sets)
    shots = "".join(f"-{training_set.shots}shots" for training_set in training_sets if training_set.shots)
    return f"train-{tasks}{shots}-seed{seed}"


def _memory(
    machine: Runtime,
    encoder: Encoder | Stage,
    training_sets: tuple[TrainingSet, ...],
    recipe: Recipe,
    seed: int,
    head_seed: int | None = None,
) -> int:
    """Return the bytes of main memory that a training takes on a CPU, about; 0 where the encoder is not known yet."""
    config = config_before(encoder, machine)
    if config is None or config.model_type not in FAMILIES:
        return 0
    try:
        return memory.in_process(config, recipe, tuple(training_set.format for training_set in training_sets))
    except InputError:  # the training will say it
        return 0


@dataclass
class State:
    """How far a training is. Checkpoints hold these fields by name.

    Attributes:
        step: Steps taken.
        history: Losses and development scores so far.
        task_losses: By task, the sum of its losses and the number of its steps since the last loss in the history.
        best_score: The best mean development score; the weights of its step are kept.
        looks_since_best: Evaluations without an improvement, for patience.
        best_step: The step of the best score; 0 without a selection.
        micro_tokens: Most tokens of a pass, as memory has allowed so far.
        undecayed: At the end, the share of an embedding without gradients that weight decay has left.
        cost: What was spent, also by earlier calls that were killed.
    """

    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    task_losses: dict[str, tuple[float, int]] = field(default_factory=dict)
    best_score: float = -math.inf
    looks_since_best: int = 0
    best_step: int = 0
    micro_tokens: int = 0
    undecayed: float = 1.0
    cost: ledger.Spent = field(default_factory=ledger.nothing)


@stage(
    name=names.TRAIN,
    version=3,
    label=_label,
    resumes=(names.CHECKPOINT_FILE, f"{names.SNAPSHOTS_FOLDER}/**/*"),
    memory=_memory,
    renamed={"training_sets": "lessons"},
)
def train(
    context: BuildContext,
    encoder: Encoder | Stage,
    training_sets: tuple[TrainingSet, ...],
    recipe: Recipe,
    seed: int,
    head_seed: int | None = None,
) -> None:
    """Train an encoder; write `model/`, an ordinary Hugging Face folder, and `history.jsonl`.

    A line of the history is a step with its loss, the names of the tasks that this loss is of, and for each task the
    mean of its losses since the line before, or a step with scores on development data by task.

    A single training set that takes turns is saved with its head; the heads of several are in `heads.safetensors`.

    Args:
        context: Where the stage is built; a folder with a checkpoint is continued.
        encoder: A public encoder, or the stage of an earlier phase, of which only the encoder is taken.
        training_sets: Training sets that take turns, and those that add their loss to every step.
        recipe: How the weights are optimized.
        seed: The seed of new heads, order, dropout and masking.
        head_seed: Another seed of new heads (and adapters), for runs whose weights are averaged; None: `seed`.

    Raises:
        InputError: A training set is empty, the loss, the weights or a development score are not finite, or a selection
            has no development data.
        Interrupted: A signal came; the checkpoint was written before.
    """
    arguments = {"encoder": encoder, "training_sets": training_sets, "recipe": recipe, "seed": seed}
    with together(context, train.work, {**arguments, "head_seed": head_seed}) as group:  # type: ignore[attr-defined]
        _train(context, group, encoder, training_sets, recipe, seed, head_seed)


def _train(
    context: BuildContext,
    group: Group,
    encoder: Encoder | Stage,
    training_sets: tuple[TrainingSet, ...],
    recipe: Recipe,
    seed: int,
    head_seed: int | None,
) -> None:
    """Train as one of a group of processes; the first writes the results."""
    machine = suited(group.placed(context.machine), recipe)
    context = replace(context, machine=machine)

    # Load the encoder. Of an earlier phase, heads are left behind: each phase begins with new ones, unless the recipe
    # continues them.
    source = context.path(encoder) / MODEL if isinstance(encoder, Stage) else encoder.location
    tokenizer = Tokenizer.of(load_tokenizer(source)).cached(machine)
    torch.manual_seed(seed if head_seed is None else head_seed)
    network = Network(load_backbone(source))
    choose_pooling(network.config, recipe.pooling)
    recipe = replace(recipe, max_length=network.clip_max_length(recipe.max_length))

    if recipe.head == CONTINUED:
        training_sets = tuple(_with_labels_of_head(training_set, network, source) for training_set in training_sets)

    # Encode the training sets, attach a head for each, freeze what the recipe does not train.
    by_language = bool(network.family.adapters)
    sets = [
        encode_training_set(training_set, context, tokenizer, recipe, by_language) for training_set in training_sets
    ]
    trained_parameters = _attach_and_freeze(network, sets, recipe, source)
    if recipe.head == CONTINUED and len(sets) == 1 and isinstance(encoder, Stage):
        context.record["head_continued"] = _continue_head(network, sets[0], encoder, source)
        if sets[0].training_set.shots and not context.record["head_continued"]:
            raise InputError(f"{source} has no {sets[0].training_set.format} head to train further on few examples")

    # Most rows of a multilingual embedding matrix never occur in the data. They have no gradient, so the network works
    # on the rows that do occur; `matrix` is the whole one, into which they are written back at the end.
    keep_all = any(encoded.format.language_model for encoded in sets)
    with pruned_embeddings(network, _inputs(sets), tokenizer, keep_all=keep_all, folder=context.folder) as matrix:
        prepare_weights(network, recipe)
        layout = lay_out(network, group, machine, recipe)
        running = layout.network
        context.record["embedding_rows"] = len(network.embedding_matrix)

        # Decide the order of all steps, then go to where an earlier, killed call stopped: weights, optimizer and state
        # come from the checkpoint, and everything else is a function of the step.
        scheduled = tuple(encoded.scheduled() for encoded in sets)
        sizes = tuple(len(scheduled_set.lengths) for scheduled_set in scheduled if not scheduled_set.every_step)
        total = recipe.steps or batch_schedule.steps_of(sizes, recipe.epochs, recipe.batch_size, recipe.sampling)
        if group.first:
            _note_small_sets(sets, scheduled, recipe, context)
        steps = enumerate(batch_schedule.schedule(scheduled, total, recipe.batch_size, recipe.sampling, seed))
        optimizer = make_optimizer(running, recipe, layout.trained.values(), layout.divided())
        checkpoint = Checkpoint((group.folder or context.folder) / CHECKPOINT, running, optimizer, layout)
        state = State(**checkpoint.load([item.name for item in fields(State)]))
        if not group.first:  # what was spent is in the sums of the first process
            state.cost = ledger.nothing()
        if state.step:
            progress.note(f"{context.folder.stem}: continuing from step {state.step} of {total}")

        frozen_states = NOTHING
        if not layout.sharded:
            frozen_states = _frozen_states(network, sets, tokenizer, total * recipe.batch_size, machine)
        if network.prefix:  # the results are equal up to rounding, and a setting may decide which it is
            context.record["frozen_layers"] = "stored states" if frozen_states.starts else "run in every step"
        snapshots = Snapshots(context.folder, recipe.snapshots)
        heads = {encoded.training_set.task: encoded.training_set.format for encoded in sets}
        shards = group.count if layout.sharded else 1
        max_tokens = state.micro_tokens or memory.max_tokens_per_pass(network, recipe, heads, machine, shards)
        max_tokens = group.least(max_tokens)
        stepper = Stepper(running, sets, tokenizer, recipe, machine, optimizer, seed, frozen_states, max_tokens, layout)
        context.record["batches"] = batching.describe_batches(stepper.packed, machine)

        recent: list[tuple[Step, Tensor]] = []  # losses that are still on the device
        # Signals are held back until a step is over, so that a checkpoint never holds half of one.
        saved = time.monotonic()
        with deferred() as interrupted, ledger.metered(state.cost, machine, network) as meter:
            for prepared in stepper.prefetch(islice(steps, state.step, None)):
                losses = stepper.take(prepared, total)
                recent.append((prepared.step, losses))
                state.step, state.micro_tokens = prepared.number + 1, stepper.max_tokens_per_pass

                if state.step % max(1, total // 100) == 0 or state.step == total:
                    meter.read()
                    _add_task_losses(state, recent, sets)
                    _log(state, losses.sum(), [sets[part.training_set] for part in prepared.step], total, context)
                snapshots.take(state.step, total, layout.weights)
                if recipe.selection and (state.step % recipe.selection.every_steps == 0 or state.step == total):
                    _select(state, stepper, checkpoint)
                    if state.looks_since_best >= recipe.selection.patience:
                        break
                stop = int(group.decided(interrupted[0] if interrupted else 0))  # the number of a signal
                if stop or group.decided(time.monotonic() - saved > machine.checkpoint_seconds):
                    meter.read()
                    _add_task_losses(state, recent, sets)
                    checkpoint.save({**vars(state), "cost": ledger.summed(group.collected(state.cost))})
                    saved = time.monotonic()
                if stop:
                    raise Interrupted(stop)

        # End with the best weights (without a selection: the last), and measure them. Rows that do not occur decay as
        # they would have, had they been there.
        checkpoint.restore_best()
        _refuse_infinite(network, layout, state.step)
        state.undecayed = _undecayed(network, recipe, state.best_step or state.step, total)
        dev = evaluate_on_dev(running, sets, tokenizer, machine, recipe.dev_examples)
        seen = evaluate_on_seen(running, sets, tokenizer, machine)
        _refuse_infinite_scores({**dev, **seen}, state.step)
        layout.write_back()
        state.cost = ledger.summed(group.collected(state.cost))
        if not group.first:
            return
        matrix *= state.undecayed

    context.record["cost"] = ledger.ledger(state.cost, network, machine, group.count)
    if group.count > 1:
        context.record["processes"] = {"count": group.count, "sharded": layout.sharded}
    lora.merge(network)
    _save(network, sets, tokenizer, context.folder)
    (context.folder / HISTORY).write_text("".join(json.dumps(line) + "\n" for line in state.history), encoding="utf-8")
    parameters = sum(parameter.numel() for parameter in network.parameters())
    context.record |= {"steps": state.step, "parameters": parameters, "trained_parameters": trained_parameters}
    context.record |= {"dev": dev, "max_length": recipe.max_length} | ({"seen": seen} if seen else {})
    context.record["lessons"] = {
        encoded.training_set.task: {"units": len(encoded.inputs), "cut": dict(encoded.cut)} | _held_out(encoded)
        for encoded in sets
    }
    for step, weights, folder in snapshots.taken():
        _write_snapshot(step, weights, folder, source, sets, recipe, tokenizer, total, keep_all)
    snapshots.finish()
    remove(context.folder / CHECKPOINT)


def _with_labels_of_head(training_set: TrainingSet, network: Network, source: str | Path) -> TrainingSet:
    """Return a few-shot training set with the labels of a saved head, in its order; others as they are."""
    if not training_set.shots:
        return training_set
    _, labels = load_head(network.config, source, training_set.format)
    if unknown := [label for label in training_set.labels if label not in labels]:
        raise InputError(
            f"the head of {source} cannot be trained further on '{training_set.task}': it has no label '{unknown[0]}', "
            f"but {', '.join(labels) or 'none'}"
        )
    return replace(training_set, labels=labels)


def _attach_and_freeze(network: Network, sets: list[EncodedTrainingSet], recipe: Recipe, source: str | Path) -> int:
    """Give a network a new head for each training set; return how many parameters the recipe trains."""
    for encoded in sets:
        name, format = encoded.training_set.task, encoded.training_set.format
        if not encoded.format.headless:
            attach(network, name, format, len(encoded.labels), source)
        elif recipe.ranking == ONE_WAY:
            attach_dual_encoder(network, name, source)
    return freeze(network, recipe.trainable)


def _write_snapshot(
    step: int,
    weights: dict[str, Tensor],
    folder: Path,
    source: str | Path,
    sets: list[EncodedTrainingSet],
    recipe: Recipe,
    tokenizer: Tokenizer,
    total: int,
    keep_all: bool,
) -> None:
    """Write the folder that the training would have written, had it ended at a snapshot's step."""
    network = Network(load_backbone(source))
    choose_pooling(network.config, recipe.pooling)
    _attach_and_freeze(network, sets, recipe, source)
    with pruned_embeddings(network, _inputs(sets), tokenizer, keep_all=keep_all, folder=folder.parent) as matrix:
        prepare_weights(network, recipe)
        for name, parameter in network.named_parameters():
            if name in weights:
                parameter.data.copy_(weights[name])
        matrix *= _undecayed(network, recipe, step, total)
    lora.merge(network)
    folder.mkdir(exist_ok=True)
    _save(network, sets, tokenizer, folder)


def _continue_head(network: Network, encoded: EncodedTrainingSet, encoder: Stage, source: str | Path) -> bool:
    """Give the new head the weights of the head of the phase before; return False where that is of another kind."""
    before = head_training(encoder).arguments.get("training_sets", ())
    name, format = encoded.training_set.task, encoded.training_set.format
    if encoded.format.headless or [training_set.format for training_set in before] != [format]:
        return False
    head, labels = load_head(network.config, source, format)
    if labels != encoded.labels and labels:
        return False
    network.heads[name].load_state_dict(head.state_dict())
    return True


def _held_out(encoded: EncodedTrainingSet) -> dict[str, int]:
    """Return, for the record, how many training examples became development data; nothing where none did."""
    return {"held_out": len(encoded.dev)} if encoded.training_set.held_out else {}


def _inputs(sets: list[EncodedTrainingSet]) -> Iterator[ModelInput]:
    """Yield every model input that the network sees during a training."""
    for encoded in sets:
        yield from encoded.inputs
        yield from encoded.dev_inputs


def _note_small_sets(
    sets: list[EncodedTrainingSet], scheduled: Sequence[ScheduledSet], recipe: Recipe, context: BuildContext
) -> None:
    """Say where a batch is larger than a training set, which every step then repeats."""
    for encoded, order in zip(sets, scheduled, strict=True):
        if len(order.lengths) < recipe.batch_size:
            progress.note(
                f"{context.folder.stem}: a batch of {recipe.batch_size:,} holds the {len(order.lengths):,} inputs of "
                f"{encoded.training_set.task} {recipe.batch_size / len(order.lengths):,.1f} times: give a smaller "
                "batch_size to take each once"
            )


def _frozen_states(
    network: Network, sets: list[EncodedTrainingSet], tokenizer: Tokenizer, examples: int, machine: Runtime
) -> FrozenLayerCache:
    """Return the cached states of frozen layers, if each input is seen at least twice and always as it is."""
    inputs = [model_input for encoded in sets for model_input in encoded.inputs]
    if examples < 2 * len(inputs) or any(encoded.format.language_model for encoded in sets):  # masked anew each time
        return NOTHING
    return cached_states(network, inputs, tokenizer, machine)


def _add_task_losses(state: State, recent: list[tuple[Step, Tensor]], sets: list[EncodedTrainingSet]) -> None:
    """Add losses from the device to the sums of their tasks, without the weights of these; empty the list.

    The sums are the same however often this is called, so that a resumed training writes the same history.
    """
    values = torch.cat([losses for _, losses in recent]).tolist() if recent else []
    parts = [sets[part.training_set].training_set for step, _ in recent for part in step]
    for part, value in zip(parts, values, strict=True):
        total, count = state.task_losses.get(part.task, (0.0, 0))
        state.task_losses[part.task] = total + value / (part.weight or 1.0), count + 1
    recent.clear()


def _log(state: State, loss: Tensor, taken: list[EncodedTrainingSet], total: int, context: BuildContext) -> None:
    """Add a step's loss and the mean losses of tasks to the history, show progress; refuse an infinite loss."""
    value = float(loss)
    state.history.append(
        {
            "step": state.step,
            "loss": round(value, 6),
            "tasks": [encoded.training_set.task for encoded in taken],
            "task_losses": {task: round(summed / count, 6) for task, (summed, count) in state.task_losses.items()},
        }
    )
    state.task_losses = {}
    seconds = state.cost["seconds"]
    speed = ledger.tokens(state.cost) / max(seconds, 1e-9)
    time_left = progress.left(state.step, total, seconds)
    detail = f"loss {value:.3f}  {speed:,.0f} tokens/s  {time_left} left"
    progress.step(context.folder.stem, state.step, total, detail)
    if not math.isfinite(value):
        raise InputError(f"the loss became {value} at step {state.step}: {LOWER}")


def _refuse_infinite(network: Network, layout: Whole, step: int) -> None:
    """Refuse trained weights that are NaN or infinite: the losses of the last steps need not show them."""
    weights = {**dict(network.named_parameters()), **layout.trained}
    # All processes refuse what is wrong in one.
    counts = layout.group.totals([int(not torch.isfinite(value).all()) for value in weights.values()])
    wrong = [name for name, count in zip(weights, counts, strict=True) if count]
    if wrong:
        raise InputError(
            f"{counted(len(wrong), 'tensor')} of the weights, the first of them {wrong[0]}, are NaN or infinite after "
            f"step {step}: {LOWER}"
        )


def _refuse_infinite_scores(scores: Mapping[str, Any], step: int) -> None:
    for task, score in scores.items():
        if not math.isfinite(score["score"]):
            raise InputError(f"the development score of '{task}' is {score['score']} at step {step}: {LOWER}")


def _select(state: State, stepper: Stepper, checkpoint: Checkpoint) -> None:
    """Evaluate on development data; keep the weights if their mean score over tasks is the best so far."""
    selection = stepper.recipe.selection
    assert selection is not None
    scores = evaluate_on_dev(
        stepper.network, stepper.training_sets, stepper.tokenizer, stepper.machine, selection.examples
    )
    if not scores:
        raise InputError("a selection needs a training set with development data: give selection=none")
    _refuse_infinite_scores(scores, state.step)
    score = stepper.group.decided(sum(task["score"] for task in scores.values()) / len(scores))
    state.history.append({"step": state.step, "dev": {name: task["score"] for name, task in scores.items()}})
    state.looks_since_best += 1
    if score > state.best_score:
        state.best_score, state.best_step, state.looks_since_best = score, state.step, 0
        checkpoint.keep_best()


def _undecayed(network: Network, recipe: Recipe, steps: int, total: int) -> float:
    """Return the share of an embedding without gradients that weight decay has left after a number of steps."""
    if not network.embedding_matrix.requires_grad:
        return 1.0
    count = len(freezing.groups(network, recipe.trainable))  # embeddings are in the last group
    rates = (
        learning_rate(recipe, number, total)
        for number in range(steps)
        if freezing.unfrozen_groups(number, total, count) >= count
    )
    return math.prod(1 - rate * recipe.weight_decay for rate in rates)


def _save(network: Network, sets: list[EncodedTrainingSet], tokenizer: Tokenizer, folder: Path) -> None:
    """Save the encoder with the head of the set that takes turns; of several such sets, the heads in another file."""
    headed = [encoded for encoded in sets if encoded.training_set.weight is None and not encoded.format.headless]
    if len(headed) == 1:
        saved = headed[0].training_set
        save(network, saved.task, saved.format, headed[0].labels, tokenizer.tokenizer, folder / MODEL)
        return
    dual_encoders = [head for head in network.heads.values() if isinstance(head, DualEncoderHead)]
    dual_encoder = dual_encoders[0] if len(sets) == 1 and dual_encoders else None
    save_encoder(network, tokenizer.tokenizer, folder / MODEL, dual_encoder)
    if headed:
        heads = {name: value.contiguous() for name, value in network.heads.state_dict().items()}
        save_file(heads, folder / HEADS)
