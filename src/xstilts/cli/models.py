"""Verbs of single models: pretrain an encoder, measure how fast a checkpoint predicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xstilts.cli.app import VerbWithoutRecord, app
from xstilts.cli.options import AllowUnexpectedData, Device, JsonFile, MaxTokensPerPass, Resume, Store, Threads


@app.command(
    cls=VerbWithoutRecord,
    rich_help_panel="Models",
    examples=(
        "xstilts pretrain --text texts --out encoder",
        "xstilts pretrain --text texts --languages en,sw --layers 4 --steps 500 --out encoder",
    ),
)
def pretrain(
    text: Annotated[Path, typer.Option(help="Folder with one folder (or one .txt file) of lines per language.")],
    out: Annotated[Path, typer.Option(help="Folder for the encoder, in Hugging Face format.")],
    languages: Annotated[str | None, typer.Option(help="Only these languages, 'en,sw'; default: all.")] = None,
    parallel: Annotated[
        Path | None, typer.Option(help="Folder of aligned files NAME.xx-yy.xx and NAME.xx-yy.yy.")
    ] = None,
    layers: Annotated[int, typer.Option(help="Transformer layers.")] = 6,
    width: Annotated[int, typer.Option(help="Hidden size.")] = 256,
    heads: Annotated[int, typer.Option(help="Attention heads per layer.")] = 4,
    vocabulary: Annotated[int, typer.Option(help="Tokens in the vocabulary.")] = 16000,
    steps: Annotated[int, typer.Option(help="Training steps.")] = 2000,
    batch_size: Annotated[int, typer.Option(help="Texts per step.")] = 64,
    max_length: Annotated[int, typer.Option(help="Tokens per text, at most.")] = 64,
    learning_rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 1e-3,
    alpha: Annotated[float, typer.Option(help="Draw languages in proportion to size ** alpha.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Seed of the initial weights and of the data order.")] = 1,
    store: Store = Path("work"),
    device: Device = "auto",
    threads: Threads = 0,
    max_tokens_per_pass: MaxTokensPerPass = 0,
    allow_unexpected_data: AllowUnexpectedData = False,
    resume: Resume = False,
) -> None:
    """Train a tokenizer and an XLM-R-shaped encoder from folders of text."""
    from xstilts.models.configs import Shape
    from xstilts.runtime import progress
    from xstilts.runtime.console import result
    from xstilts.runtime.machine import Runtime
    from xstilts.training.pretrain import deliver, from_folders
    from xstilts.training.recipe import Recipe

    machine = Runtime(
        store,
        device=device,
        threads=threads,
        max_tokens_per_pass=max_tokens_per_pass,
        allow_unexpected_data=allow_unexpected_data,
    )
    shape = Shape(width, layers, heads, vocabulary=vocabulary)
    recipe = Recipe(
        learning_rate,
        batch_size,
        epochs=1,
        steps=steps,
        max_length=max_length,
        warmup_steps=0.06,
        weight_decay=0.01,
        sampling="0.75,0.25" if parallel else "proportional",  # a quarter of the steps: translation ranking
    )
    chosen = tuple(languages.split(",")) if languages else None
    with progress.shown():
        deliver(from_folders(text, parallel, chosen, shape, recipe, seed, alpha), machine, out)
    result({"encoder": out})


@app.command(
    "convert-weights",
    rich_help_panel="Models",
    examples=("xstilts convert-weights google/mt5-small --out work/mt5-small",),
)
def convert_weights(
    source: Annotated[str, typer.Argument(help="Folder with pytorch_model.bin, or a hub id.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the converted encoder; needed for a hub id.")] = None,
) -> None:
    """Write an encoder's pickled weights as model.safetensors: a subprocess reads tensors and nothing else."""
    from xstilts.models.convert_weights import convert
    from xstilts.runtime.console import console, result

    folder = convert(source, out)
    console().print(f"{folder / 'model.safetensors'} is written: give --encoder {folder}", highlight=False)
    result({"encoder": folder})


@app.command(
    "bench-inference",
    rich_help_panel="Models",
    examples=(
        "xstilts bench-inference sandbox",
        "xstilts bench-inference work/train-xnli-seed1-0123456789abcdef --variants fp32,int8 --seconds 60 --json",
    ),
)
def bench_inference(
    checkpoint: Annotated[str, typer.Argument(help="Folder of a checkpoint or of a finished training, or 'sandbox'.")],
    variants: Annotated[str, typer.Option(help="Variants to measure.")] = "fp32,bf16,int8,onnx,onnx-int8",
    batch: Annotated[str, typer.Option(help="Batch sizes in sequences.")] = "1,8,32",
    length: Annotated[str, typer.Option(help="Sequence lengths in tokens.")] = "32,128,384",
    rounds: Annotated[int, typer.Option(help="Calls of each variant at each shape, at most.")] = 100,
    seconds: Annotated[float, typer.Option(help="Approximate duration of the whole benchmark.")] = 120.0,
    format: Annotated[
        str | None, typer.Option(help="Task format of the head, where its configuration does not show it.")
    ] = None,
    device: Device = "auto",
    threads: Threads = 0,
    json_file: JsonFile = None,
) -> None:
    """Measure latency, throughput and memory of a checkpoint in fp32, bf16, int8 and ONNX Runtime."""
    from xstilts.inference import benchmark, render
    from xstilts.runtime import progress
    from xstilts.runtime.console import result
    from xstilts.runtime.machine import Runtime

    load = benchmark.Load.of(batch, length, rounds, seconds)
    with progress.shown():
        report = benchmark.bench(checkpoint, format, variants.split(","), load, Runtime(device=device, threads=threads))
    render.show(report, json_file)
    result(report)
