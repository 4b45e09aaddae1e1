"""StoredStages: the stages behind a report as they lie in a store, and what is wrong with them.

Whatever a damaged file makes of the reading is a fault of its stage, named, and never an error: one stage that cannot
be read must not keep a reader from what became of the others.

    disk = StoredStages(Path("work"), report["stages"])
    disk.fault("5f1c0a9b3d2e")
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from xstilts.claims.results_table import Result
from xstilts.data import examples
from xstilts.data.dataset import EXAMPLES
from xstilts.data.examples import Example
from xstilts.evaluation.score import CONTRIBUTIONS, SCORE, read_lines, read_score, scored
from xstilts.experiments import collect_results
from xstilts.runtime import progress
from xstilts.store import manifest, names
from xstilts.store import query as stores

Plain = Mapping[str, Any]
Status = Literal["stands", "changed", "untested"]
Fault = tuple[Status, str]
FIGURES = ("size", "stderr", "dev")  # of a row, that may not be known


@dataclass(frozen=True)
class Check:
    """What became of one claim, or of one part of a report, and why."""

    name: str
    sentence: str
    status: Status
    why: str


@dataclass(frozen=True)
class StoredStages:
    """The stages of a report as they lie in a store.

    sources: digests of the records of stages that are behind these, by key. gold: the answers that were read. faults:
    what is wrong with the stages looked at.
    """

    store: Path
    stages: Mapping[str, Plain]
    sources: Mapping[str, str] = field(default_factory=dict)
    gold: dict[str, list[Example]] = field(default_factory=dict, repr=False)
    faults: dict[str, Fault | None] = field(default_factory=dict, repr=False)

    @cached_property
    def finished(self) -> dict[str, tuple[Path, stores.Record]]:
        """The folders and the records of all finished stages of the store, by the key in the folder's name."""
        return {folder.name.rpartition("-")[2]: (folder, found) for folder, found in stores.records(self.store)}

    def folder(self, key: str) -> Path:
        """Return the folder of a stage that is there."""
        return self.finished[key][0]

    def facts(self, key: str) -> stores.Record:
        """Return the record of a stage that is there."""
        return self.finished[key][1]

    def fault(self, key: str) -> Fault | None:
        """Return what is wrong with a stage: it is gone, a file is not as recorded, or its score does not follow."""
        if key not in self.faults:
            self.faults[key] = self._read(key)
            if key in self.stages:
                progress.step("verify", len(self.faults.keys() & self.stages.keys()), len(self.stages))
        return self.faults[key]

    def _read(self, key: str) -> Fault | None:
        try:
            return _gone(self, key) or _changed(self, key) or _unscored(self, key)
        except Exception as error:  # whatever a damaged file makes of it
            name = self.folder(key).name if key in self.finished else key
            return "changed", f"{name} cannot be read: {type(error).__name__}: {error}"

    def row(self, said: Plain) -> Result:
        """Return a row as the disk has it; where something is wrong with a stage of it, as the report has it."""
        row = bare(said)
        if any(self.fault(key) for key in row.keys):
            return row
        behind = [(role, self.facts(key), self.folder(key)) for role, key in zip(row.roles, row.keys, strict=True)]
        return replace(row, **collect_results.measured(behind, self.folder(row.keys[-1]), row.metric))


def _gone(disk: StoredStages, key: str) -> Fault | None:
    if key in disk.finished:
        return None
    torn = [path.name for path in disk.store.glob(f"*-{key}")]
    if torn:
        return "changed", f"{torn[0]} cannot be read: its {manifest.RECORD} is gone or torn"
    label = disk.stages[key]["label"] if key in disk.stages else "the stage"
    return "untested", f"{label}-{key} is not in {disk.store}: build the study again"


def _changed(disk: StoredStages, key: str) -> Fault | None:
    """Return which file of a stage is not the one that the report was made from."""
    folder, said = disk.folder(key), disk.stages.get(key)
    if said is None:
        return _source(disk, key)
    for file, digest in [*said["files"].items(), (manifest.RECORD, said.get("record"))]:
        if not (folder / file).is_file():
            return "untested", f"{file} of {folder.name} is gone: build the study again"
        if digest and manifest.sha256(folder / file) != digest:
            return "changed", f"{file} of {folder.name} is not the file that the report was made from"
    return None


def _source(disk: StoredStages, key: str) -> Fault | None:
    """Return what is wrong with a stage that the report shows no files of: data, and scores to choose by."""
    folder = disk.folder(key)
    if key in disk.sources and manifest.sha256(folder / manifest.RECORD) != disk.sources[key]:
        return "changed", f"{manifest.RECORD} of {folder.name} is not the file that the report was made from"
    damaged = manifest.damaged_files(folder)
    return ("changed", f"{', '.join(damaged)} of {folder.name} is not as it was written") if damaged else None


def _unscored(disk: StoredStages, key: str) -> Fault | None:
    """Return what is wrong with a score that its files do not tell."""
    facts = disk.facts(key)
    if facts["work"].rpartition(".")[2] != "score":
        return None
    needed = {name: part["stage"] for name, part in facts["arguments"].items() if isinstance(part, dict)}
    broken = [fault for other in needed.values() if (fault := disk.fault(other))]
    if broken:
        return min(broken)  # changed before gone
    tuned = read_score(disk.folder(needed["tuned_from"])) if "tuned_from" in needed else None
    about = disk.facts(needed["gold"])["arguments"]["data"]
    format = names.format_from_key(about["kind"])
    again = scored(
        _answers(disk, needed["gold"], format),
        read_lines(disk.folder(needed["predictions"])),
        (format, about["language"]),
        facts["arguments"]["metric"],
        tuned,
    )
    for file in (SCORE, CONTRIBUTIONS):
        if again[file] != (disk.folder(key) / file).read_text(encoding="utf-8"):
            return "changed", f"{file} of {disk.folder(key).name} does not follow from its predictions"
    return None


def _answers(disk: StoredStages, key: str, format: str) -> list[Example]:
    if key not in disk.gold:
        disk.gold[key] = list(examples.read(disk.folder(key) / EXAMPLES, format))
    return disk.gold[key]


def bare(said: Plain) -> Result:
    """Return a row as a report has it, without examples."""
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
    return Result(**(values | {name: math.nan for name in FIGURES if values.get(name) is None}))


ABSENT = object()


def alike(one: Any, other: Any) -> bool:
    """Say whether two values are the same."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(alike(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if _number(one) and _number(other):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return type(one) is type(other) and bool(one == other)


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the names of the entries of one mapping that another has not, or has otherwise."""
    return [name for name, value in one.items() if not alike(value, other.get(name, ABSENT))]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
