"""Compare stores: stages that two stores share ought to hold the same files; what differs is named.

The same key is the same promise, so other bytes mean another machine, other libraries, or something that is not as
repeatable as it says. What is measured anew each time is in `stage.json`, whose times are compared and no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xstilts.evaluation.score import SCORE, read_score
from xstilts.reporting import cell_format
from xstilts.reporting.page import Cell, Listing, Page, Section, TableView
from xstilts.store import query

Json = Mapping[str, Any]


def is_store(folder: Path) -> bool:
    """Say whether a folder holds finished stages."""
    return next(query.records(folder), None) is not None


def page(one: Path, other: Path) -> Page:
    """Return the page that compares two stores: the same keys' files, seconds and scores."""
    first, second = ({record["key"]: (folder, record) for folder, record in query.records(at)} for at in (one, other))
    shared = [key for key in first if key in second]
    unlike = [key for key in shared if _differing(first[key][1], second[key][1])]
    sections = (
        Section("counts", "Stages", (_counts(first, second, (str(one), str(other))),)),
        Section("unlike", "Same key, other files", tuple(_unlike(unlike, first, second))),
        Section("seconds", "Time of what both have", tuple(_times(shared, first, second))),
        Section("libraries", "Libraries", tuple(_libraries(shared, first, second))),
        Section("apart", "What cannot be compared", tuple(_apart(first, second))),
    )
    alike = len(shared) - len(unlike)
    answer = f"Of {len(shared)} stages that both have, {alike} hold the same files, {len(unlike)} others."
    title = f"How does the store {other} differ from {one}?"
    return Page("comparison of stores", title, answer, sections=tuple(part for part in sections if part.blocks))


Found = Mapping[str, tuple[Path, Json]]


def _counts(first: Found, second: Found, names: tuple[str, str]) -> TableView:
    rows = []
    for work in sorted({record["work"] for found in (first, second) for _, record in found.values()}):
        one, other = (
            {key for key, (_, record) in found.items() if record["work"] == work} for found in (first, second)
        )
        counts = (cell_format.count(len(keys)) for keys in (one & other, one - other, other - one))
        rows.append((Cell(work.rpartition(".")[2]), *counts))
    columns = ("work", "in both", f"only in {names[0]}", f"only in {names[1]}")
    return TableView("counts", "Stages by work", columns, tuple(rows))


def _differing(one: Json, other: Json) -> list[str]:
    """Return the files that differ or that one has not."""
    files = [{name: file["sha256"] for name, file in record["files"].items()} for record in (one, other)]
    return sorted(name for name in {*files[0], *files[1]} if files[0].get(name) != files[1].get(name))


def _unlike(keys: list[str], first: Found, second: Found) -> list[TableView]:
    rows = []
    for key in keys:
        (here, one), (there, other) = first[key], second[key]
        scores = [_headline(folder) for folder in (here, there)]
        apart = None if None in scores else scores[1] - scores[0]  # type: ignore[operator]
        figures = (*(cell_format.plain(score) for score in scores), cell_format.signed(apart))
        rows.append((Cell(f"{one['label']}-{key}"), Cell(", ".join(_differing(one, other))), *figures))
    columns = ("stage", "files that differ", "first score", "second score", "difference")
    return [TableView("unlike", "Stages with other files", columns, tuple(rows))] if rows else []


def _headline(folder: Path) -> float | None:
    return float(read_score(folder)["headline"]) if (folder / SCORE).is_file() else None


def _times(keys: list[str], first: Found, second: Found) -> list[TableView]:
    seconds: dict[str, list[float]] = {}
    for key in keys:
        pair = seconds.setdefault(first[key][1]["work"].rpartition(".")[2], [0.0, 0.0])
        pair[0] += first[key][1]["seconds"]
        pair[1] += second[key][1]["seconds"]
    rows = tuple(
        (
            Cell(work),
            cell_format.duration(one),
            cell_format.duration(other),
            cell_format.plain(other / one if one else None),
        )
        for work, (one, other) in sorted(seconds.items())
    )
    return (
        [TableView("seconds", "Time by work", ("work", "first", "second", "second over first"), rows)] if rows else []
    )


def _libraries(keys: list[str], first: Found, second: Found) -> list[TableView]:
    facts: dict[str, tuple[set[str], set[str]]] = {}
    for key in keys:
        for side, found in enumerate((first, second)):
            record = found[key][1]
            told = {**record.get("libraries", {}), "device": record.get("machine", {}).get("device", "unknown")}
            for name, version in told.items():
                facts.setdefault(name, (set(), set()))[side].add(str(version))
    rows = tuple(
        (Cell(name), *(Cell(", ".join(sorted(part))) for part in pair)) for name, pair in sorted(facts.items())
    )
    return (
        [TableView("libraries", "Libraries and devices", ("what", "first", "second"), rows, quiet=True)] if rows else []
    )


def _apart(first: Found, second: Found) -> list[Listing]:
    """Return labels that both have under other keys: other settings, data or versions."""
    shared = set(first) & set(second)
    one, other = (
        {record["label"] for key, (_, record) in found.items() if key not in shared} for found in (first, second)
    )
    lines = tuple(f"{label}: other arguments, data or version under each key" for label in sorted(one & other))
    return [Listing("", lines)] if lines else []
