"""Verbs of stores, `xstilts store`: list, size, pin, gc, export, import and verify."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from xstilts.cli.app import VerbWithoutRecord, store
from xstilts.cli.options import DataFolder, Scale, Store, StudyEncoder, TaskFolders
from xstilts.runtime.text import bytes_text, counted

Keys = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY…]", help="Beginnings of keys, or names of folders; default: all.")
]
Report = Annotated[
    list[Path] | None, typer.Option("--report", help="Folder of a study's report, whose stages; repeat for several.")
]


@store.command("list", examples=("xstilts store list", "xstilts store list train-xnli --store work --json"))
def list_(
    text: Annotated[str, typer.Argument(help="Only folders with this text in their names.")] = "",
    store: Store = Path("work"),
) -> None:
    """List finished stages: bytes on disk, bytes that were dropped, and whether they are pinned."""
    from xstilts.runtime.console import console, result
    from xstilts.store import pins, upkeep

    pinned, screen = pins.read(store), console()
    stages = [stage for stage in upkeep.stored(store) if text in stage.folder.name]
    rows: list[dict[str, Any]] = [
        {
            "folder": stage.folder.name,
            "stage": stage.record["work"].rpartition(".")[2],
            "bytes": stage.bytes,
            "dropped_bytes": stage.dropped_bytes,
            "finished": stage.record.get("started", ""),
            "pinned": stage.key in pinned,
        }
        for stage in stages
    ]
    # Plain lines: a table of thousands of rows takes seconds to draw.
    lines = []
    for row in rows:
        more = f"  (and {bytes_text(row['dropped_bytes'])} dropped)" if row["dropped_bytes"] else ""
        lines.append(f"{bytes_text(row['bytes']):>10}  {row['folder']}{more}{'  pinned' if row['pinned'] else ''}")
    screen.out("\n".join([*lines, f"{counted(len(rows), 'stage')} in {store}"]), highlight=False)
    result({"stages": rows})


@store.command(examples=("xstilts store size", "xstilts store size --json"))
def size(store: Store = Path("work")) -> None:
    """Show what takes the disk: stages by function, weights that can be dropped, caches, what killed builds left."""
    from rich.table import Table

    from xstilts.runtime.console import console, result
    from xstilts.store import upkeep

    sizes, weights, dropped, counts = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for stage in upkeep.stored(store):
        name = stage.record["work"].rpartition(".")[2]
        sizes[name] += stage.bytes
        weights[name] += stage.weight_bytes
        dropped[name] += stage.dropped_bytes
        counts[name] += 1
    table = Table("", "stages", "bytes", "of them weights", "dropped")
    for name, count in sorted(counts.items()):
        table.add_row(name, f"{count:,}", bytes_text(sizes[name]), bytes_text(weights[name]), bytes_text(dropped[name]))
    caches, left = (upkeep.caches(store), upkeep.left_behind(store)) if store.is_dir() else ({}, {})
    for name, number in caches.items():
        table.add_row(name, "", bytes_text(number), "", "")
    table.add_row("left behind, damaged", f"{len(left):,}", bytes_text(sum(left.values())), "", "")
    total = sizes.total() + sum(caches.values()) + sum(left.values())
    table.add_row(
        "all", f"{counts.total():,}", bytes_text(total), bytes_text(weights.total()), bytes_text(dropped.total())
    )
    console().print(table)
    by_stage = {
        name: {"stages": counts[name], "bytes": sizes[name], "weights": weights[name], "dropped": dropped[name]}
        for name in sorted(counts)
    }
    result({"stages": by_stage, "caches": caches, "left_behind": left, "bytes": total})


@store.command(examples=("xstilts store pin 0123456789ab", "xstilts store pin 0123456789ab --remove"))
def pin(
    key: Annotated[list[str], typer.Argument(help="Beginnings of keys, or names of folders.")],
    store: Store = Path("work"),
    remove: Annotated[bool, typer.Option("--remove", help="Take the pins away.")] = False,
) -> None:
    """Keep stages, and all that they were made from, with their weights, whatever is collected or dropped."""
    from xstilts.runtime.console import console, result
    from xstilts.store import pins, query

    keys = [query.find(store, each)[1]["key"] for each in key]
    for each in keys:
        (pins.remove if remove else pins.add)(store, each)
    pinned = sorted(pins.read(store))
    console().print(f"{counted(len(pinned), 'stage')} pinned in {store}", highlight=False)
    result({"pinned": pinned})


@store.command(
    examples=(
        "xstilts store gc --report study --older-than 30",
        "xstilts store gc --report study --study studies/replication.py --scale small --delete",
        "xstilts store gc --weights --older-than 30 --delete",
    ),
)
def gc(
    store: Store = Path("work"),
    report: Report = None,
    study: Annotated[
        list[Path] | None,
        typer.Option("--study", help="Study file (it is run), whose stages stay; repeat for several."),
    ] = None,
    scale: Scale = "sandbox",
    encoder: StudyEncoder = "",
    data: DataFolder = None,
    tasks: TaskFolders = None,
    older_than: Annotated[float, typer.Option(min=0, metavar="DAYS", help="Delete only what is older.")] = 7.0,
    weights: Annotated[
        bool, typer.Option("--weights", help="Drop only the weights of models; records, scores and reports stay.")
    ] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Do it; without this, only show what would go.")] = False,
) -> None:
    """Delete stages that no pin, named report, named study or running build needs; by default only shows them."""
    from xstilts.runtime.console import console, result
    from xstilts.store import upkeep

    roots = {key for folder in report or () for key in _keys_of_report(folder)}
    for file in study or ():
        roots |= _keys_of_study(file, scale, encoder, store, data)
    plan = upkeep.collectable(store, roots, older_than, weights)
    screen = console()
    lines = [
        f"{bytes_text(stage.weight_bytes if weights else stage.bytes):>10}  {stage.folder.name}"
        for stage in plan.stages
    ]
    lines += [f"{bytes_text(number):>10}  {path.name}" for path, number in plan.left]
    what = "weights" if weights else "stages"
    verb = "were" if delete else "would be"
    freed = upkeep.delete(plan) if delete else plan.bytes
    screen.out(
        "\n".join(
            [*lines, f"{len(plan.stages)} {what} and {len(plan.left)} leftovers {verb} deleted: {bytes_text(freed)}"]
        ),
        highlight=False,
    )
    screen.out(f"{counted(plan.kept, 'stage')} kept", highlight=False)
    if not delete and lines:
        screen.out("nothing was deleted: give --delete", highlight=False)
    folders = [stage.folder.name for stage in plan.stages]
    left = [path.name for path, _ in plan.left]
    result({"stages": folders, "left_behind": left, "bytes": freed, "deleted": delete, "kept": plan.kept})


@store.command(
    cls=VerbWithoutRecord,
    examples=("xstilts store export study.tar --report study", "xstilts store export all.tar.gz --no-weights"),
)
def export(
    archive: Annotated[Path, typer.Argument(help="File to write: .tar, .tar.gz or .tar.xz.")],
    key: Keys = None,
    store: Store = Path("work"),
    report: Report = None,
    weights: Annotated[bool, typer.Option("--weights/--no-weights", help="With the weights of models.")] = True,
) -> None:
    """Write stages and all that they were made from to an archive, with a list of digests."""
    from xstilts.runtime import progress
    from xstilts.runtime.console import console, result
    from xstilts.store import archive as archives
    from xstilts.store import query

    keys = {query.find(store, each)[1]["key"] for each in key or ()}
    keys |= {each for folder in report or () for each in _keys_of_report(folder)}
    with progress.shown():
        stages = archives.write(archive, store, keys, weights)
    number = archive.stat().st_size
    console().print(f"{counted(len(stages), 'stage')} in {archive}, {bytes_text(number)}", highlight=False)
    result({"archive": archive, "stages": [stage.folder.name for stage in stages], "bytes": number})


@store.command("import", examples=("xstilts store import study.tar", "xstilts store import study.tar --store other"))
def import_(
    archive: Annotated[Path, typer.Argument(help="Archive that `export` wrote.")], store: Store = Path("work")
) -> None:
    """Take the stages of an archive into a store; every file is compared with its digest."""
    from xstilts.runtime import progress
    from xstilts.runtime.console import console, result
    from xstilts.store import archive as archives

    with progress.shown():
        taken = archives.read(archive, store)
    console().print(
        f"{counted(len(taken.new), 'stage')} new in {store}, {len(taken.there)} were there", highlight=False
    )
    result({"new": taken.new, "there": taken.there})


@store.command(examples=("xstilts store verify", "xstilts store verify train-xnli-seed1 --store work --json"))
def verify(key: Keys = None, store: Store = Path("work")) -> None:
    """Read every byte of finished stages and say what is damaged; exit code 1 where something is."""
    from xstilts.errors import InputError
    from xstilts.runtime import progress
    from xstilts.runtime.console import console, result
    from xstilts.store import query, upkeep

    if not store.is_dir():
        raise InputError(f"no store {store}: name it with --store")
    keys = {query.find(store, each)[1]["key"] for each in key or ()}
    screen, checked = console(), 0
    damaged: dict[str, list[str]] = {}
    unlisted: dict[str, list[str]] = {}
    with progress.shown():
        for name, wrong, more in upkeep.damage(store, keys):
            checked += 1
            damaged |= {name: wrong} if wrong else {}
            unlisted |= {name: more} if more else {}
            progress.step("verify", checked, 0, name)
    for name, wrong in damaged.items():
        screen.print(f"DAMAGED  {name}: {', '.join(wrong)}", highlight=False, soft_wrap=True)
    for name, more in unlisted.items():
        screen.print(f"no result  {name}: {', '.join(more)}", highlight=False, soft_wrap=True)
    screen.print(f"{counted(checked, 'stage')} read, {len(damaged)} damaged", highlight=False)
    if damaged:
        screen.print("what needs a damaged stage builds it again by itself", highlight=False)
    result({"stages": checked, "damaged": damaged, "unlisted": unlisted})
    raise typer.Exit(bool(damaged))


def _keys_of_report(folder: Path) -> set[str]:
    from xstilts.reporting import study_report
    from xstilts.store import upkeep

    return upkeep.keys_of_report(study_report.read(folder))


def _keys_of_study(file: Path, scale: str, encoder: str, store: Path, data: Path | None) -> set[str]:
    """Return the keys of a study's stages, as far as the trainings in the store decide them."""
    from xstilts.experiments import study as studies
    from xstilts.runtime.machine import Runtime

    machine = Runtime(store, data)
    return {stage.key for stage in studies.resolved(studies.load(file, scale, encoder), machine).stages(machine)}
