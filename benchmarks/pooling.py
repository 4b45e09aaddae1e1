"""Why a sentence encoder stays at chance on inference: a plain loop and this package, by pooled state.

A plain loop over `AutoModelForSequenceClassification`, which reads the first token, or over the same class with a head
on the mean of the states, trains on the very batches of this package's training, in the same order. What decides is
then seen: the loop, the pooled state, the rate, the batch, or the seed. Prints a row for each cell, as a table of
Markdown: what each seed reached, and how many ended at chance.

    python benchmarks/pooling.py --encoder work/multilingual-e5-small-4bit --data DATA --rates 2e-4 --examples 2000 8000
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from xstilts.experiments.run import Recipes, training_set
from xstilts.models.encoder import Encoder, load_tokenizer, quiet
from xstilts.models.heads import mean_pool
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.store.manifest import read as read_record
from xstilts.store.names import HISTORY_FILE
from xstilts.store.stage import BuildContext
from xstilts.tasks.base import task
from xstilts.training import batch_schedule
from xstilts.training.optimizer import learning_rate
from xstilts.training.recipe import Recipe
from xstilts.training.train import train
from xstilts.training.training_set import EncodedTrainingSet, encode_training_set

CHANCE = 40.0  # accuracy in percent below which a training of three labels has learned nothing
POOLINGS = {"first": "first token", "mean": "mean"}
Row = tuple[list[float], int, float]
"""The losses that are known, in order, the number of steps, the accuracy on development data."""


def main() -> None:
    """Train each cell and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", type=Path, required=True, help="folder of an encoder")
    parser.add_argument("--data", type=Path, required=True, help="data folder")
    parser.add_argument("--task", default="snli_small", help="a classification task")
    parser.add_argument("--rates", nargs="+", default=["2e-4"], help="peak learning rates")
    parser.add_argument("--examples", nargs="+", default=["2000"], help="training examples, seen once")
    parser.add_argument("--batch-sizes", nargs="+", default=["16"])
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each cell")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--loops", nargs="+", choices=list(LOOPS), default=list(LOOPS))
    parser.add_argument("--poolings", nargs="+", choices=list(POOLINGS), default=list(POOLINGS))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print("| loop | state | batch | rate | examples | steps | loss at the end | dev accuracy | at chance | seconds |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        machine = Runtime(Path(folder), asked.data, device="cpu", threads=1, precision=asked.precision)
        cells = product(asked.examples, asked.batch_sizes, asked.rates, asked.poolings, asked.loops)
        for examples, batch_size, rate, pooling, loop in cells:
            recipe = recipe_of(asked, pooling, rate, examples, batch_size)
            start = time.process_time()
            rows = [LOOPS[loop](asked, machine, recipe, seed) for seed in range(1, asked.seeds + 1)]
            ends = [losses[-max(1, len(losses) // 5) :] for losses, _, _ in rows]
            lost = ", ".join(f"{sum(last) / len(last):.3f}" for last in ends)
            scores = ", ".join(f"{score:.1f}" for _, _, score in rows)
            chance = sum(score < CHANCE for _, _, score in rows)
            spent = (time.process_time() - start) / len(rows)
            figures = f"{rows[0][1]} | {lost} | {scores} | {chance} of {len(rows)} | {spent:.0f}"
            print(f"| {loop} | {POOLINGS[pooling]} | {batch_size} | {rate} | {examples} | {figures} |", flush=True)


def recipe_of(asked: argparse.Namespace, pooling: str, rate: str, examples: str, batch_size: str) -> Recipe:
    """Return the recipe of both loops."""
    settings = (f"pooling={pooling}", f"learning_rate={rate}", f"max_train_examples={examples}")
    recipes = Recipes("e5-small", (), (*settings, f"batch_size={batch_size}"))
    return recipes.of((task(asked.task),), "target", Encoder.of(asked.encoder))


def ours(asked: argparse.Namespace, machine: Runtime, recipe: Recipe, seed: int) -> Row:
    """Train in this package, whose history has a loss for each hundredth of the steps."""
    given = task(asked.task)
    folder = build(train(Encoder.of(asked.encoder), (training_set(given, machine.data),), recipe, seed), machine)
    history = [json.loads(line) for line in (folder / HISTORY_FILE).read_text(encoding="utf-8").splitlines()]
    facts = read_record(folder)["record"]
    return [line["loss"] for line in history if "loss" in line], facts["steps"], facts["dev"][given.name]["score"]


def plain(asked: argparse.Namespace, machine: Runtime, recipe: Recipe, seed: int) -> Row:
    """Train in a plain loop, on the same batches in the same order."""
    given = training_set(task(asked.task), machine.data)
    for data in (*given.train, given.dev):
        if data is not None:
            build(data, machine)
    tokenizer = Tokenizer.of(load_tokenizer(asked.encoder))
    encoded = encode_training_set(given, BuildContext(machine.store, machine), tokenizer, recipe)
    torch.manual_seed(seed)
    with quiet():
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            asked.encoder, num_labels=len(encoded.labels)
        )
    if recipe.pooling == "mean":
        model.classifier = MeanHead(model.config)
    decayed = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate)
    sizes = (len(encoded.inputs),)
    total = recipe.steps or batch_schedule.steps_of(sizes, recipe.epochs, recipe.batch_size, recipe.sampling)
    order = batch_schedule.schedule((encoded.scheduled(),), total, recipe.batch_size, recipe.sampling, seed)
    losses = []
    model.train()
    for number, (part,) in enumerate(order):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, number, total)
        with torch.autocast("cpu", torch.bfloat16, enabled=asked.precision == "bf16"):
            logits, targets = logits_of(model, encoded, [encoded.inputs[place] for place in part.inputs], tokenizer)
        loss = nn.functional.cross_entropy(logits.float(), targets)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
        optimizer.step()
        losses.append(loss.item())
    return losses, total, accuracy(model, encoded, tokenizer)


class MeanHead(nn.Module):
    """The head of XLM-R's class on the mean of the states, of which the model gives the mask."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.dense, self.out_proj = (nn.Linear(config.hidden_size, n) for n in (config.hidden_size, config.num_labels))
        self.dropout, self.mask = nn.Dropout(config.hidden_dropout_prob), torch.empty(0)
        for layer in (self.dense, self.out_proj):
            nn.init.normal_(layer.weight, std=config.initializer_range)
            nn.init.zeros_(layer.bias)

    def forward(self, states: Tensor, **_: Any) -> Tensor:
        """Return logits (sequences, labels) of states (sequences, tokens, width)."""
        pooled = self.dropout(mean_pool(states, self.mask))
        logits: Tensor = self.out_proj(self.dropout(torch.tanh(self.dense(pooled))))
        return logits


def logits_of(
    model: Any, encoded: EncodedTrainingSet, inputs: list[Any], tokenizer: Tokenizer
) -> tuple[Tensor, Tensor]:
    """Return the logits of model inputs, and their labels."""
    made = encoded.format.collate(inputs, tokenizer)
    if isinstance(model.classifier, MeanHead):
        model.classifier.mask = made.mask
    return model(input_ids=made.ids, attention_mask=made.mask).logits, made.targets


def accuracy(model: Any, encoded: EncodedTrainingSet, tokenizer: Tokenizer) -> float:
    """Return the accuracy on development data, in percent."""
    right = 0
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(encoded.dev_inputs), 50):
            logits, targets = logits_of(model, encoded, encoded.dev_inputs[start : start + 50], tokenizer)
            right += int((logits.argmax(-1) == targets).sum())
    return 100 * right / len(encoded.dev_inputs)


LOOPS = {"ours": ours, "plain": plain}

if __name__ == "__main__":
    main()
