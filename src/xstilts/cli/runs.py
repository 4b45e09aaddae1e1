"""Verbs that build: run and plan, submit, pretrain, and how fast a trained network answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from xstilts.cli.app import app
from xstilts.cli.options import (
    Compiled,
    DataFolder,
    Device,
    EncoderName,
    Forgetting,
    Intermediate,
    Languages,
    LearnFrom,
    MemoryGib,
    MicroTokens,
    MlmAlpha,
    MlmTask,
    MlmWeight,
    Out,
    Packing,
    Partial,
    Precision,
    RecipeName,
    Recompute,
    Revision,
    Seeds,
    SetIntermediate,
    SetTarget,
    Setting,
    Split,
    Store,
    SuiteName,
    Target,
    Threads,
    Workers,
)


@app.command("run", help="Train, predict and score: baseline and intermediate settings, in all languages of targets.")
@app.command(
    "plan",
    help="Say what `run` with the same options would find finished and what it would build; of a study file, see "
    "`plan FILE.py --help`.",
)
@app.command("submit", help="Build one seed and write its predictions as a leaderboard takes them, to --out.")
def run_or_plan(
    context: typer.Context,
    encoder: EncoderName,
    target: Target = None,
    suite: SuiteName = None,
    intermediate: Intermediate = None,
    learn_from: LearnFrom = None,
    recipe: RecipeName = "xtreme",
    setting: Setting = None,
    set_intermediate: SetIntermediate = None,
    set_target: SetTarget = None,
    seeds: Seeds = 1,
    forgetting: Forgetting = None,
    mlm: MlmTask = None,
    mlm_weight: MlmWeight = 1.0,
    mlm_alpha: MlmAlpha = 0.3,
    split: Split = "test",
    languages: Languages = None,
    revision: Revision = "main",
    data: DataFolder = None,
    store: Store = Path("work"),
    device: Device = "auto",
    workers: Workers = 1,
    threads: Threads = 0,
    micro_tokens: MicroTokens = 0,
    precision: Precision = "auto",
    packing: Packing = "auto",
    recompute: Recompute = False,
    compiled: Compiled = False,
    memory: MemoryGib = 0.0,
    partial: Partial = False,
    out: Out = None,
) -> None:
    from xstilts.cli import show_runs
    from xstilts.experiments import grid
    from xstilts.experiments.run import Recipes
    from xstilts.models.encoder import Encoder
    from xstilts.runtime.machine import Runtime

    machine = Runtime(
        store, data, device, micro_tokens, workers, threads, allow_unexpected_data=partial, memory_gib=memory
    )
    machine = replace(machine, precision=precision, packing=packing, recompute=recompute, compiled=compiled)
    both = tuple(setting or ())
    targets = grid.targets_of(target or (), suite)
    spoken = tuple(dict.fromkeys(code for one in targets for code in one.languages))
    asked = grid.Grid(
        Encoder.of(encoder, revision).pinned(),
        targets + grid.untrained(forgetting),
        tuple(grid.tasks_of(names) for names in intermediate or ()),
        Recipes(recipe, both + tuple(set_intermediate or ()), both + tuple(set_target or ())),
        seeds,
        grid.teachers_of(learn_from or ()),
        grid.mlm_of(mlm, spoken, mlm_weight, mlm_alpha, machine),
        split,
        tuple(languages.split(",")) if languages else (),
    )
    verb = {"run": show_runs.run, "plan": show_runs.plan, "submit": show_runs.submission}[str(context.info_name)]
    verb(asked, suite, machine, out)


@app.command()
def pretrain(
    text: Annotated[Path, typer.Option(help="Folder with one folder (or one .txt file) of text lines per language.")],
    out: Annotated[Path, typer.Option(help="Where the encoder goes: an ordinary Hugging Face folder.")],
    languages: Annotated[str | None, typer.Option(help="Only these, 'en,sw'; default: every one there is.")] = None,
    parallel: Annotated[Path | None, typer.Option(help="Folder of aligned NAME.xx-yy.xx and NAME.xx-yy.yy.")] = None,
    layers: int = 6,
    width: int = 256,
    heads: int = 4,
    vocabulary: int = 16000,
    steps: int = 2000,
    batch_size: int = 64,
    max_length: int = 64,
    learning_rate: float = 1e-3,
    alpha: Annotated[float, typer.Option(help="Languages are drawn as n ** alpha.")] = 0.5,
    seed: int = 1,
    store: Store = Path("work"),
    device: Device = "auto",
    threads: Threads = 0,
    micro_tokens: MicroTokens = 0,
    partial: Partial = False,
) -> None:
    """Train a tokenizer and an XLM-R-shaped encoder from folders of text."""
    from xstilts.models.configs import Shape
    from xstilts.runtime import progress
    from xstilts.runtime.machine import Runtime
    from xstilts.training.pretrain import deliver, from_folders
    from xstilts.training.recipe import Recipe

    machine = Runtime(store, None, device, micro_tokens, threads=threads, allow_unexpected_data=partial)
    shape = Shape(width, layers, heads, vocabulary=vocabulary)
    turns = "0.75,0.25" if parallel else "proportional"  # translation ranking: a quarter of the steps
    recipe = Recipe(learning_rate, batch_size, 1, steps, None, max_length, 0.06, 0.01, sampling=turns)
    with progress.shown():
        chosen = tuple(languages.split(",")) if languages else None
        deliver(from_folders(text, parallel, chosen, shape, recipe, seed, alpha), machine, out)


@app.command("bench-inference")
def bench_inference(
    checkpoint: Annotated[str, typer.Argument(help="Folder of a checkpoint or of a finished training, or 'sandbox'.")],
    variants: Annotated[str, typer.Option(help="Forms to measure.")] = "fp32,bf16,int8,onnx,onnx-int8",
    batch: Annotated[str, typer.Option(help="Sequences at once.")] = "1,8,32",
    length: Annotated[str, typer.Option(help="Pieces a sequence.")] = "32,128,384",
    rounds: Annotated[int, typer.Option(help="Most calls of each form at each shape.")] = 100,
    seconds: Annotated[float, typer.Option(help="About how long to measure, all together.")] = 120.0,
    format: Annotated[
        str | None, typer.Option(help="What the head is for, if that is not seen; retrieval: none.")
    ] = None,
    device: Device = "auto",
    threads: Threads = 0,
    json: Annotated[Path | None, typer.Option(help="Also write all of it to this file.")] = None,
) -> None:
    """Measure how fast a checkpoint answers: latency, throughput and memory in fp32, bf16, int8 and ONNX Runtime."""
    from xstilts.inference import benchmark, render
    from xstilts.runtime import progress
    from xstilts.runtime.machine import Runtime

    load = benchmark.Load.of(batch, length, rounds, seconds)
    with progress.shown():
        found = benchmark.bench(checkpoint, format, variants.split(","), load, Runtime(device=device, threads=threads))
    render.show(found, json)
