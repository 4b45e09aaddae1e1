"""Stage integrity: whether the stages behind a report still lie in the store as they were when it was written.

A stage has a fault if it is gone, if one of its files is not the one whose digest the report recorded, or if its score
does not follow from its predictions and gold answers. An error while a damaged file is read is a fault of its stage and
never stops the check of the others.

    stages = StoredStages(Path("work"), report["stages"])
    stages.fault("5f1c0a9b3d2e")  # None where nothing is wrong
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from xstilts.claims.results_table import Result
from xstilts.data import examples
from xstilts.data.dataset import EXAMPLES
from xstilts.data.examples import Example
from xstilts.evaluation.score import CONTRIBUTIONS, SCORE, read_lines, read_score, scored
from xstilts.experiments import collect_results
from xstilts.runtime import progress
from xstilts.store import manifest, names, query

Json = Mapping[str, Any]
Status = Literal["stands", "changed", "untested"]
OPTIONAL_FIGURES = ("size", "stderr", "dev", "target_dev")  # of a row, which may not be known


class Fault(NamedTuple):
    """What is wrong with a stage. The smallest of several is the gravest: "changed" comes before "untested"."""

    status: Status
    why: str


@dataclass(frozen=True)
class StoredStages:
    """The stages of a report as they lie in a store.

    Attributes:
        store: The store.
        stages: The report's "stages", by key.
        sources: The report's "sources": digests of the manifests of further stages, by key.
        gold: The test examples read so far, by key of their stage.
        faults: What is wrong with the stages checked so far, by key.
    """

    store: Path
    stages: Mapping[str, Json]
    sources: Mapping[str, str] = field(default_factory=dict)
    gold: dict[str, list[Example]] = field(default_factory=dict, repr=False)
    faults: dict[str, Fault | None] = field(default_factory=dict, repr=False)

    @cached_property
    def finished(self) -> dict[str, tuple[Path, query.Record]]:
        """The folder and the manifest of each finished stage of the store, by the key in the folder's name."""
        return {folder.name.rpartition("-")[2]: (folder, record) for folder, record in query.records(self.store)}

    def folder(self, key: str) -> Path:
        """Return the folder of a finished stage.

        Args:
            key: The key of the stage.

        Returns:
            Its folder.

        Raises:
            KeyError: It is not in the store.
        """
        return self.finished[key][0]

    def record(self, key: str) -> query.Record:
        """Return the manifest of a finished stage.

        Args:
            key: The key of the stage.

        Returns:
            The content of its `stage.json`.

        Raises:
            KeyError: It is not in the store.
        """
        return self.finished[key][1]

    def fault(self, key: str) -> Fault | None:
        """Check a stage, once: that it is there, its files are unchanged, and a score follows from its inputs.

        Args:
            key: The key of the stage.

        Returns:
            What is wrong with it; None where nothing is.
        """
        if key not in self.faults:
            self.faults[key] = self._check(key)
            if key in self.stages:
                progress.step("verify", len(self.faults.keys() & self.stages.keys()), len(self.stages))
        return self.faults[key]

    def _check(self, key: str) -> Fault | None:
        try:
            return self._absence(key) or self._changed_file(key) or self._wrong_score(key)
        except Exception as error:  # a damaged file may raise anything
            name = self.folder(key).name if key in self.finished else key
            return Fault("changed", f"{name} cannot be read: {type(error).__name__}: {error}")

    def row(self, written: Json) -> Result:
        """Return a row of the report with its figures read from the store; unchanged if one of its stages has a fault.

        Args:
            written: The row as the report has it.

        Returns:
            The result.
        """
        row = result_of(written)
        if any(self.fault(key) for key in row.keys):
            return row
        behind = [(role, self.record(key), self.folder(key)) for role, key in zip(row.roles, row.keys, strict=True)]
        return replace(row, **collect_results.measured(behind, self.folder(row.keys[-1]), row.metric))

    def _absence(self, key: str) -> Fault | None:
        if key in self.finished:
            return None
        damaged = [path.name for path in self.store.glob(f"*-{key}")]
        if damaged:
            return Fault("changed", f"{damaged[0]} cannot be read: its {manifest.RECORD} is gone or damaged")
        label = self.stages[key]["label"] if key in self.stages else "the stage"
        return Fault("untested", f"{label}-{key} is not in {self.store}: build the study again")

    def _changed_file(self, key: str) -> Fault | None:
        """Return which file of a stage is not the one that the report was made from."""
        folder, written = self.folder(key), self.stages.get(key)
        if written is None:
            return self._changed_source(key)
        dropped = manifest.dropped(self.record(key))
        for file, digest in [*written["files"].items(), (manifest.RECORD, written.get("record"))]:
            if not (folder / file).is_file():
                if file in dropped:
                    continue
                return Fault("untested", f"{file} of {folder.name} is gone: build the study again")
            if digest and _digest(folder, file) != digest:
                return Fault("changed", f"{file} of {folder.name} is not the file that the report was made from")
        return None

    def _changed_source(self, key: str) -> Fault | None:
        """Return what is wrong with a stage whose files the report does not list: data, and scores to tune by."""
        folder = self.folder(key)
        if key in self.sources and manifest.digest(folder) != self.sources[key]:
            return Fault("changed", f"{manifest.RECORD} of {folder.name} is not the file that the report was made from")
        damaged = manifest.damaged_files(folder)
        return Fault("changed", f"{', '.join(damaged)} of {folder.name} is not as it was written") if damaged else None

    def _wrong_score(self, key: str) -> Fault | None:
        """Return what is wrong with a score stage whose files do not follow from its predictions."""
        record = self.record(key)
        if record["work"] != names.SCORE:
            return None
        inputs = {name: value["stage"] for name, value in record["arguments"].items() if isinstance(value, dict)}
        # With a damaged input, that is the fault to report, not the score that no longer follows from it.
        broken = [fault for other in inputs.values() if (fault := self.fault(other))]
        if broken:
            return min(broken)
        tuned_from = read_score(self.folder(inputs["tuned_from"])) if "tuned_from" in inputs else None
        data = self.record(inputs["gold"])["arguments"]["data"]
        task_format = names.format_from_key(data["kind"])
        recomputed = scored(
            self._gold(inputs["gold"], task_format),
            read_lines(self.folder(inputs["predictions"])),
            (task_format, data["language"]),
            record["arguments"]["metric"],
            tuned_from,
        )
        for file in (SCORE, CONTRIBUTIONS):
            if recomputed[file] != (self.folder(key) / file).read_text(encoding="utf-8"):
                return Fault("changed", f"{file} of {self.folder(key).name} does not follow from its predictions")
        return None

    def _gold(self, key: str, task_format: str) -> list[Example]:
        if key not in self.gold:
            self.gold[key] = list(examples.read(self.folder(key) / EXAMPLES, task_format))
        return self.gold[key]


def _digest(folder: Path, file: str) -> str:
    """Return the digest of a stage's file; that of a manifest as it was before files were dropped."""
    return manifest.digest(folder) if file == manifest.RECORD else manifest.sha256(folder / file)


def result_of(written: Json) -> Result:
    """Return the result that a row of a report describes, without its examples."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in written.items()
    }
    return Result(**(values | {name: math.nan for name in OPTIONAL_FIGURES if values.get(name) is None}))
