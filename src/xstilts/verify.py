"""Verify: whether a report's claims still follow from the predictions on disk.

Nothing that the report says is believed: each file behind a claim is compared with the digest that the report recorded,
each score is made again from the predictions and the gold answers, each claim is measured again on these scores. A
claim stands, or it is changed, or a stage behind it is gone and it is untested.

    for check in verify(Path("study"), Path("work")):
        print(check.status, check.name, check.why)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from xstilts import claim as claims
from xstilts import example, findings, measures, progress, record, tabulate
from xstilts import store as stores
from xstilts.claim import Claim, Verdict
from xstilts.data import EXAMPLES
from xstilts.example import BadInput, Example
from xstilts.report import REPORT, read
from xstilts.score import CONTRIBUTIONS, SCORE, read_lines, read_score, scored
from xstilts.tidy import Row, Table

Plain = Mapping[str, Any]
Status = Literal["stands", "changed", "untested"]


@dataclass(frozen=True)
class Check:
    """What became of one claim, and why."""

    name: str
    sentence: str
    status: Status
    why: str


def verify(folder: Path, store: Path) -> tuple[Check, ...]:
    """Return a check of each claim of a report against the stages in a store.

    Raises BadInput where there is no report, or where it is not one that was written by a study.
    """
    report = read(folder)
    try:
        return checks(report, Disk(store, report["stages"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{folder / REPORT} is not as a study writes it ({error}): write it anew") from error


@dataclass(frozen=True)
class Disk:
    """The stages of a report as they lie in a store.

    gold: the answers that were read, None where they have changed. faults: what is wrong with the stages looked at.
    """

    store: Path
    stages: Mapping[str, Plain]
    gold: dict[str, list[Example] | None] = field(default_factory=dict, repr=False)
    faults: dict[str, tuple[Status, str] | None] = field(default_factory=dict, repr=False)

    @cached_property
    def records(self) -> dict[str, stores.Record]:
        """The records of all finished stages of the store."""
        return stores.by_key(self.store)

    def folder(self, key: str) -> Path:
        """Return the folder of a stage that is there."""
        return self.store / f"{self.records[key]['label']}-{key}"

    def fault(self, key: str) -> tuple[Status, str] | None:
        """Return what is wrong with a stage: it is gone, a file is not as recorded, or its score does not follow."""
        if key not in self.faults:
            self.faults[key] = self._fault(key)
            progress.step("verify", min(len(self.faults), len(self.stages)), len(self.stages))
        return self.faults[key]

    def _fault(self, key: str) -> tuple[Status, str] | None:
        said = self.stages[key]
        if key not in self.records:
            return "untested", f"{said['label']}-{key} is not in {self.store}: build the study again"
        name = self.folder(key).name
        for file, digest in said["files"].items():
            path = self.folder(key) / file
            if not path.is_file():
                return "untested", f"{file} of {name} is gone: build the study again"
            if record.sha256(path) != digest:
                return "changed", f"{file} of {name} is not the file that the report was made from"
        return self._unscored(key) if said["work"] == "score" else None

    def _unscored(self, key: str) -> tuple[Status, str] | None:
        """Return what is wrong with a score that its files do not tell."""
        arguments = self.records[key]["arguments"]
        needed = {name: part["stage"] for name, part in arguments.items() if isinstance(part, dict) and "stage" in part}
        for other in needed.values():
            if other not in self.records:
                return "untested", f"the stage {other} behind {self.folder(key).name} is gone: build the study again"
        gold = self.folder(needed["gold"])
        if needed["gold"] not in self.gold:
            self.gold[needed["gold"]] = _gold(gold, self.records[needed["gold"]]["arguments"]["data"]["kind"])
        answers = self.gold[needed["gold"]]
        if answers is None:
            return "changed", f"the gold answers in {gold.name} are not those that were read"
        tuned = read_score(self.folder(needed["tuned_from"])) if "tuned_from" in needed else None
        about = self.records[needed["gold"]]["arguments"]["data"]
        again = scored(
            answers,
            read_lines(self.folder(needed["predictions"])),
            (about["kind"], about["language"]),
            arguments["metric"],
            tuned,
        )
        for file in (SCORE, CONTRIBUTIONS):
            if again[file] != (self.folder(key) / file).read_text(encoding="utf-8"):
                return "changed", f"{file} of {self.folder(key).name} does not follow from its predictions"
        return None

    def row(self, said: Plain) -> Row:
        """Return a row as the disk has it; what is gone keeps what the report says."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in said.items()
        }
        values |= {name: math.nan for name in ("size", "stderr", "dev") if values.get(name) is None}
        key = values["keys"][-1]
        row = Row(**values)
        if any(one not in self.records for one in row.keys):
            return row
        behind = [(role, self.records[one], self.folder(one)) for role, one in zip(row.roles, row.keys, strict=True)]
        score = float(read_score(self.folder(key))["headline"])
        return replace(row, score=score, costs=tabulate.costs(behind), examples=self.folder(key) / CONTRIBUTIONS)


def _gold(folder: Path, kind: str) -> list[Example] | None:
    """Return the examples of a stage that read them; None where its files are not as recorded."""
    return None if record.damaged_files(folder) else list(example.read(folder / EXAMPLES, kind))


def checks(report: Plain, disk: Disk) -> tuple[Check, ...]:
    """Return a check of each claim of what a report says against its stages."""
    return tuple(_checks(report, disk))


def _checks(report: Plain, disk: Disk) -> Iterator[Check]:
    faults = {key: fault for key in disk.stages if (fault := disk.fault(key))}
    table = Table(tuple(disk.row(row) for row in report["rows"]))
    asked = [_claim(said) for said in report["verdicts"]]
    family = claims.check_all(asked, table) if not faults else ()
    for number, said in enumerate(report["verdicts"]):
        broken = [faults[key] for key in said["keys"] if key in faults]
        if said["status"] == "untested" or broken:
            worst: tuple[Status, str] = min(broken, default=("untested", said["why"]))  # changed before gone
            yield Check(said["name"], said["sentence"], *worst)
        else:
            again = family[number] if family else claims.check(asked[number], table)
            yield _compared(said, again, whole=bool(family))


def _claim(said: Plain) -> Claim:
    measure = measures.from_plain(said["measure"])
    expectation, margin = said["expectation"], said["margin"]
    return Claim(
        said["sentence"],
        measure,
        expectation,
        margin,
        by_construction=said["by_construction"],
        answers=said["answers"],
    )


def _compared(said: Plain, again: Verdict, whole: bool) -> Check:
    """Return whether a claim comes out as the report has it; its status counts where the whole family is measured."""
    found = findings.plain([again.estimate, again.interval, again.p, again.n_replicates])
    wanted = [said["estimate"], said["interval"], said["p"], said["n_replicates"]]
    if not _close(found, wanted) or (whole and again.status != said["status"]):
        why = f"measured again it {again.status}: {again.why}; the report says {said['status']}: {said['why']}"
        return Check(said["name"], said["sentence"], "changed", why)
    return Check(said["name"], said["sentence"], "stands", f"{said['status']}: {said['why']}")


def _close(one: Any, other: Any) -> bool:
    if isinstance(one, Sequence) and isinstance(other, Sequence):
        return len(one) == len(other) and all(map(_close, one, other))
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
