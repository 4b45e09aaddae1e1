"""Compare stores: stages that two stores share should hold the same files; those that differ are named.

The same key stands for the same function and arguments, so that other bytes mean another computer, other libraries, or
a computation that is less repeatable than it claims. What differs from run to run, such as times, is in `stage.json`,
which is not compared as a file.

    page(Path("work"), Path("/mnt/other/work"))
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xstilts.evaluation.score import SCORE, read_score
from xstilts.reporting.page import Listing, Page, Section
from xstilts.runtime import tables
from xstilts.runtime.tables import Cell, TableView
from xstilts.store import query

Json = Mapping[str, Any]
Stages = Mapping[str, tuple[Path, Json]]  # folder and manifest by key


def is_store(folder: Path) -> bool:
    """Return whether a folder holds finished stages."""
    return next(query.records(folder), None) is not None


def page(first: Path, second: Path) -> Page:
    """Return the page that compares two stores.

    Args:
        first: A store.
        second: Another one.

    Returns:
        The page: how many stages both have, which of these differ in files, seconds, scores, and libraries.
    """
    first_stages, second_stages = (
        {record["key"]: (folder, record) for folder, record in query.records(at)} for at in (first, second)
    )
    shared = [key for key in first_stages if key in second_stages]
    different = [key for key in shared if _different_files(first_stages[key][1], second_stages[key][1])]
    sections = (
        Section("counts", "Stages", (_counts(first_stages, second_stages, (str(first), str(second))),)),
        Section("unlike", "Same key, other files", _differences(different, first_stages, second_stages)),
        Section("seconds", "Time of the stages that both have", _times(shared, first_stages, second_stages)),
        Section("libraries", "Libraries", _libraries(shared, first_stages, second_stages)),
        Section("apart", "What cannot be compared", _incomparable(first_stages, second_stages)),
    )
    equal = len(shared) - len(different)
    return Page(
        source="comparison of stores",
        title=f"How does the store {second} differ from {first}?",
        answer=f"Of {len(shared)} stages that both have, {equal} hold the same files, {len(different)} others.",
        sections=tuple(section for section in sections if section.blocks),
    )


def _counts(first: Stages, second: Stages, names: tuple[str, str]) -> TableView:
    rows = []
    for work in sorted({record["work"] for stages in (first, second) for _, record in stages.values()}):
        first_keys, second_keys = (
            {key for key, (_, record) in stages.items() if record["work"] == work} for stages in (first, second)
        )
        counts = (
            tables.count(len(keys))
            for keys in (first_keys & second_keys, first_keys - second_keys, second_keys - first_keys)
        )
        rows.append((Cell(work.rpartition(".")[2]), *counts))
    columns = ("stage", "in both", f"only in {names[0]}", f"only in {names[1]}")
    return TableView("counts", "Stages by function", columns, tuple(rows))


def _different_files(first: Json, second: Json) -> list[str]:
    """Return the files that differ, or that only one side has."""
    first_files, second_files = (
        {name: file["sha256"] for name, file in record["files"].items()} for record in (first, second)
    )
    return sorted(name for name in {*first_files, *second_files} if first_files.get(name) != second_files.get(name))


def _differences(keys: list[str], first: Stages, second: Stages) -> tuple[TableView, ...]:
    rows = []
    for key in keys:
        (first_folder, record), (second_folder, other) = first[key], second[key]
        score, other_score = _headline(first_folder), _headline(second_folder)
        change = None if score is None or other_score is None else other_score - score
        figures = (tables.number(score), tables.number(other_score), tables.signed(change))
        rows.append((Cell(f"{record['label']}-{key}"), Cell(", ".join(_different_files(record, other))), *figures))
    columns = ("stage", "files that differ", "first score", "second score", "difference")
    return (TableView("unlike", "Stages with other files", columns, tuple(rows)),) if rows else ()


def _headline(folder: Path) -> float | None:
    return float(read_score(folder)["headline"]) if (folder / SCORE).is_file() else None


def _times(keys: list[str], first: Stages, second: Stages) -> tuple[TableView, ...]:
    seconds: dict[str, list[float]] = {}
    for key in keys:
        pair = seconds.setdefault(first[key][1]["work"].rpartition(".")[2], [0.0, 0.0])
        pair[0] += first[key][1]["seconds"]
        pair[1] += second[key][1]["seconds"]
    rows = tuple(
        (
            Cell(work),
            tables.duration(first_seconds),
            tables.duration(second_seconds),
            tables.number(second_seconds / first_seconds if first_seconds else None),
        )
        for work, (first_seconds, second_seconds) in sorted(seconds.items())
    )
    columns = ("stage", "first", "second", "second over first")
    return (TableView("seconds", "Time by function", columns, rows),) if rows else ()


def _libraries(keys: list[str], first: Stages, second: Stages) -> tuple[TableView, ...]:
    versions: dict[str, tuple[set[str], set[str]]] = {}
    for key in keys:
        for side, stages in enumerate((first, second)):
            record = stages[key][1]
            facts = {**record.get("libraries", {}), "device": record.get("machine", {}).get("device", "unknown")}
            for name, version in facts.items():
                versions.setdefault(name, (set(), set()))[side].add(str(version))
    rows = tuple(
        (Cell(name), *(Cell(", ".join(sorted(unique))) for unique in pair)) for name, pair in sorted(versions.items())
    )
    columns = ("name", "first", "second")
    return (TableView("libraries", "Libraries and devices", columns, rows, quiet=True),) if rows else ()


def _incomparable(first: Stages, second: Stages) -> tuple[Listing, ...]:
    """Return the labels that both have under other keys: their arguments, data or versions differ."""
    shared = set(first) & set(second)
    first_labels, second_labels = (
        {record["label"] for key, (_, record) in stages.items() if key not in shared} for stages in (first, second)
    )
    lines = tuple(
        f"{label}: other arguments, data or version under each key" for label in sorted(first_labels & second_labels)
    )
    return (Listing("", lines),) if lines else ()
