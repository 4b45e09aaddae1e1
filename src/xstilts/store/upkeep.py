"""Upkeep: what a store holds, what of it nothing needs any more, and what of it is damaged.

A stage is needed if it is pinned, if a report or a study that is named is made of it, if a running build is to build it
or reads it, or if a stage that is needed was made from it. All else can be collected: deleted whole, or only its
weights. Nothing is decided by guess: without a pin, a report or a study nothing is collected.

    plan = collectable(Path("work"), needed=keys_of_report(report), older_than=30.0)
    delete(plan)
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xstilts.errors import InputError
from xstilts.store import build_log, manifest, pins, query
from xstilts.store.build import REPLACED
from xstilts.store.leases import PART, held
from xstilts.store.weights import drop, unused

DAY = 24 * 3600.0
DELETED = ".deleted"
LEFT_BEHIND = (PART, REPLACED, DELETED)  # of builds and deletions that were killed
DAMAGED = ".damaged"


@dataclass(frozen=True)
class Stored:
    """A finished stage as it lies in a store.

    Attributes:
        folder: Its folder.
        record: Its manifest.
    """

    folder: Path
    record: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Its key."""
        return str(self.record["key"])

    @property
    def bytes(self) -> int:
        """The bytes of its files, without dropped ones."""
        gone = set(manifest.dropped(self.record))
        return sum(file["bytes"] for name, file in self.record["files"].items() if name not in gone)

    @property
    def weight_bytes(self) -> int:
        """The bytes of its files that can be dropped, and are not yet."""
        gone = set(manifest.dropped(self.record))
        return sum(size for name, size in manifest.weights(self.record).items() if name not in gone)

    @property
    def dropped_bytes(self) -> int:
        """The bytes of its files that were dropped."""
        return sum(self.record["files"][name]["bytes"] for name in manifest.dropped(self.record))

    @property
    def age(self) -> float:
        """Days since its manifest was written."""
        return (time.time() - (self.folder / manifest.RECORD).stat().st_mtime) / DAY


def stored(store: Path) -> Iterator[Stored]:
    """Yield the finished stages of a store.

    Args:
        store: Folder of the store.

    Yields:
        The stages by the names of their folders; those whose manifest is not one are left out (`damage` has them).
    """
    for folder, record in query.records(store):
        if "files" in record:
            yield Stored(folder, record)


def keys_of_report(report: Mapping[str, Any]) -> set[str]:
    """Return the keys of the stages that a report is made of.

    Args:
        report: The content of its `report.json`.
    """
    return {*report.get("stages", {}), *report.get("sources", {})}


def needed(stages: Iterable[Stored], store: Path, roots: Iterable[str]) -> set[str]:
    """Return the keys of the stages that must stay.

    Args:
        stages: The finished stages of the store.
        store: Folder of the store.
        roots: Keys of what is named: of reports and studies. Pins and running builds are added.

    Returns:
        These keys and those of all that these stages were made from.
    """
    inputs = {stage.key: list(stage.record.get("inputs") or ()) for stage in stages}
    stack = [*roots, *pins.read(store)]
    for build in build_log.read(store):
        if build.alive:
            stack += [*build.stages, *(key for keys in build.inputs.values() for key in keys)]
    reached: set[str] = set()
    while stack:
        key = stack.pop()
        if key not in reached:
            reached.add(key)
            stack += inputs.get(key, ())
    return reached


@dataclass(frozen=True)
class Collectable:
    """What can be deleted of a store.

    Attributes:
        stages: Finished stages that nothing needs, to be deleted whole or of which the weights are to be dropped.
        left: Folders of builds and deletions that were killed, and damaged ones that were put aside, with their bytes.
        weights: Whether only weights are dropped.
        kept: How many stages are needed, or too young.
    """

    stages: tuple[Stored, ...]
    left: tuple[tuple[Path, int], ...]
    weights: bool
    kept: int

    @property
    def bytes(self) -> int:
        """How many bytes become free."""
        of_stages = sum(stage.weight_bytes if self.weights else stage.bytes for stage in self.stages)
        return of_stages + sum(size for _, size in self.left)


def collectable(store: Path, roots: Collection[str], older_than: float = 0.0, weights: bool = False) -> Collectable:
    """Return what can be deleted of a store.

    Args:
        store: Folder of the store.
        roots: Keys of the stages of the reports and studies that must stay.
        older_than: Days; what is younger stays.
        weights: Drop only weights: also those of stages behind reports and studies, which need only their records.
            Pins, and what running builds need, keep theirs.

    Returns:
        The stages and leftovers.

    Raises:
        InputError: There is no such store, or nothing that must stay is named or pinned.
    """
    if not store.is_dir():
        raise InputError(f"no store {store}: name it with --store")
    if not roots and not pins.read(store) and not weights:
        raise InputError(
            "nothing is named that must stay, so that everything would be deleted: give --report, --study, or pin "
            "stages with `xstilts store pin`; or drop only weights, with --weights"
        )
    stages = list(stored(store))
    must_stay = needed(stages, store, () if weights else roots)
    free = [stage for stage in stages if stage.key not in must_stay and stage.age >= older_than]
    if weights:
        free = [stage for stage in free if stage.weight_bytes]
    left = [] if weights else [path for path in _left_behind(store) if _age(path) >= older_than]
    # Of what is needed, the checkpoint of a training stays, from which it would go on.
    left = [
        path for path in left if path.suffix.rstrip("0123456789") != PART or _finished_name(path)[-12:] not in must_stay
    ]
    return Collectable(tuple(free), tuple((path, _size(path)) for path in left), weights, len(stages) - len(free))


def delete(plan: Collectable) -> int:
    """Delete what can be deleted, but for what another process reads or builds now.

    A folder is renamed before its files go, so that a kill in between leaves nothing that looks finished.

    Args:
        plan: What can be deleted.

    Returns:
        How many bytes are free now.
    """
    freed = 0
    for stage in plan.stages:
        if plan.weights:
            freed += drop(stage.folder)
            continue
        with unused(stage.folder) as is_unused:
            if is_unused and stage.folder.is_dir():
                size, gone = _size(stage.folder), stage.folder.with_name(stage.folder.name + DELETED)
                shutil.rmtree(gone, ignore_errors=True)
                stage.folder.rename(gone)
                shutil.rmtree(gone, ignore_errors=True)
                freed += size
    for path, size in plan.left:
        with held(path.with_name(_finished_name(path))), suppress(FileNotFoundError):
            shutil.rmtree(path)
            freed += size
    return freed


def _left_behind(store: Path) -> list[Path]:
    """Return the folders of killed builds and deletions and the damaged ones, of stages that no process builds now."""
    folders = []
    for path in sorted(store.iterdir()):
        name = _finished_name(path)
        if name != path.name and path.is_dir() and query.FINISHED.search(name):
            with unused(path.with_name(name)) as is_unused:
                if is_unused:
                    folders.append(path)
    return folders


def _finished_name(path: Path) -> str:
    """Return the name of the finished stage that a leftover is of; the name itself where it is none."""
    stem, dot, suffix = path.name.rpartition(".")
    known = dot + suffix in LEFT_BEHIND or (dot + suffix).rstrip("0123456789") in (PART, DAMAGED)
    return stem if known else path.name


def damage(store: Path, keys: Collection[str] = ()) -> Iterator[tuple[str, list[str], list[str]]]:
    """Read every byte of finished stages and compare it with the manifests.

    Args:
        store: Folder of the store.
        keys: Keys of stages; none: all.

    Yields:
        For each folder its name, the files that are damaged or missing, and the files that no manifest lists.
    """
    for path in sorted(store.iterdir()):
        if not query.FINISHED.search(path.name) or (keys and path.name.rpartition("-")[2] not in keys):
            continue
        record = manifest.sound(path)
        if record is None or not manifest.is_manifest(record):
            yield path.name, [manifest.RECORD], []
            continue
        listed = {manifest.RECORD, *record["files"]}
        there = (file.relative_to(path).as_posix() for file in sorted(path.rglob("*")) if file.is_file())
        yield path.name, manifest.damaged_files(path), [name for name in there if name not in listed]


def caches(store: Path) -> dict[str, int]:
    """Return the bytes of the hidden folders of a store, which can be deleted at any time, by name.

    Args:
        store: Folder of the store.
    """
    return {path.name: _size(path) for path in sorted(store.glob(".*")) if path.is_dir()}


def left_behind(store: Path) -> dict[str, int]:
    """Return the bytes of folders that killed builds left and of damaged ones that were put aside, by name.

    Args:
        store: Folder of the store.
    """
    return {path.name: _size(path) for path in _left_behind(store)}


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def _age(path: Path) -> float:
    return (time.time() - path.stat().st_mtime) / DAY
