"""Verbs that share a trained model: write it as a folder with a model card, print the card, push it to the hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from xstilts.cli.app import VerbWithoutRecord, app
from xstilts.cli.options import OptionGroup, Store, grouped

if TYPE_CHECKING:
    from xstilts.sharing.export import ExportedFile

Checkpoint = Annotated[
    str, typer.Argument(help="Folder of a checkpoint or of a finished training, or a training's key in the store.")
]


@dataclass(frozen=True)
class CardOptions(OptionGroup):
    """What a model card says that the checkpoint's folder does not."""

    panel: ClassVar[str] = "Model card"

    name: Annotated[str, typer.Option(help="Name of the model in its card; default: the folder's.")] = ""
    format: Annotated[
        str | None, typer.Option(help="Task format of the head, where its configuration does not show it.")
    ] = None
    base_model: Annotated[
        str, typer.Option(metavar="OWNER/NAME", help="Hub id of the encoder, where training began from a local folder.")
    ] = ""
    licence: Annotated[
        str, typer.Option("--licence", "--license", help="Licence of the model; default: the strictest of its data.")
    ] = ""


@app.command(
    cls=VerbWithoutRecord,
    rich_help_panel="Models",
    examples=(
        "xstilts export work/train-xnli-seed1-0123456789abcdef --out model --base-model FacebookAI/xlm-roberta-base",
        "xstilts export 0123456789abcdef --out model --onnx --int8 --json",
    ),
)
@grouped
def export(
    checkpoint: Checkpoint,
    *,
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    onnx: Annotated[bool, typer.Option("--onnx", help="Also write an ONNX file, compared with torch.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Also write an ONNX file with int8 weights.")] = False,
    sentence_transformers: Annotated[
        bool,
        typer.Option("--sentence-transformers", help="Also write the files by which sentence-transformers loads it."),
    ] = False,
    card: CardOptions,
    store: Store = Path("work"),
) -> None:
    """Write a checkpoint as a self-contained Hugging Face folder with a model card."""
    from xstilts.runtime import progress
    from xstilts.runtime.console import console, result
    from xstilts.sharing.export import export as write

    with progress.shown():
        exported = write(
            checkpoint,
            out,
            onnx=onnx,
            int8=int8,
            sentence_transformers=sentence_transformers,
            store=store,
            **vars(card),
        )
    _print_files(exported.files)
    screen = console()
    for variant in exported.onnx:
        agreement = "" if variant.parity.agreement is None else f", {variant.parity.agreement:.1%} of decisions equal"
        screen.print(
            f"{variant.file} differs from torch by {variant.parity.difference:.2g} at most{agreement}", highlight=False
        )
    screen.print(f"model card: {exported.folder}/README.md", highlight=False)
    screen.print(f"share it with `xstilts push {exported.folder} OWNER/NAME`", highlight=False)
    result(exported)


@app.command(rich_help_panel="Models", examples=("xstilts card work/train-xnli-seed1-0123456789abcdef",))
@grouped
def card(
    checkpoint: Checkpoint,
    *,
    options: CardOptions,
    store: Store = Path("work"),
) -> None:
    """Print the model card of a checkpoint, as `export` writes it."""
    from xstilts.runtime.console import console, result
    from xstilts.sharing import export as exports
    from xstilts.sharing.model_card import model_card

    folder = exports.located(checkpoint, store)
    facts = exports.card_facts(folder, **vars(options))
    text = model_card(facts)
    console().out(text, end="", highlight=False)
    result({"folder": folder, "markdown": text})


@app.command(
    rich_help_panel="Models",
    examples=("xstilts push model OWNER/NAME --dry-run", "xstilts push model OWNER/NAME --private"),
)
def push(
    folder: Annotated[Path, typer.Argument(help="A folder that `xstilts export` wrote.")],
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Model repository on the hub.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    revision: Annotated[str, typer.Option(help="Branch to commit to.")] = "main",
    message: Annotated[str, typer.Option(help="Message of the commit.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")] = False,
) -> None:
    """Push an exported folder to the Hugging Face hub, with the token in HF_TOKEN."""
    from xstilts.runtime.console import console, result
    from xstilts.runtime.text import counted
    from xstilts.sharing.push import push as send

    pushed = send(folder, repository, private=private, revision=revision, message=message, dry_run=dry_run)
    _print_files(pushed.files)
    screen, size = console(), f"{counted(len(pushed.files), 'file')}, {pushed.size / 2**20:,.1f} MiB"
    if dry_run:
        visibility = "private" if private else "public"
        screen.print(
            f"would make the {visibility} model repository {repository} unless it exists, and commit {size} to its "
            f"branch {revision}; nothing was sent",
            highlight=False,
        )
    elif pushed.unchanged:
        screen.print(f"{repository} has all of it already; nothing was sent", highlight=False)
    else:
        screen.print(f"{size}: {pushed.url}", highlight=False)
    result({"sent": not (dry_run or pushed.unchanged), "result": pushed})


def _print_files(files: tuple[ExportedFile, ...]) -> None:
    from xstilts.runtime import tables
    from xstilts.runtime.console import console

    rows = [(file.path, file.size, file.sha256[:16]) for file in files]
    console().print(tables.table("", ("file", "size", "SHA-256"), rows, units=("", "bytes", "")).to_rich())
