"""Store: finished stages looked at from outside, for people who ask what a folder is and how it came to be."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from xstilts.errors import InputError
from xstilts.store import manifest
from xstilts.store.manifest import read
from xstilts.store.stage import Stage

Record = dict[str, Any]
FINISHED = re.compile(r"-[0-9a-f]{12}$")  # not what is in the making (.part) or put aside (.damaged1)


def records(store: Path) -> Iterator[tuple[Path, Record]]:
    """Yield the folder and the record of every finished stage; what is damaged is none."""
    for name in sorted(os.listdir(store)) if store.is_dir() else ():
        if FINISHED.search(name):
            with suppress(OSError, ValueError):
                yield store / name, read(store / name)


def by_key(store: Path) -> dict[str, Record]:
    """Return the records of all finished stages by key."""
    return {record["key"]: record for _, record in records(store)}


def find(store: Path, key: str) -> tuple[Path, Record]:
    """Return the one finished stage whose key begins with `key`, or whose folder is called so; InputError otherwise."""
    every = records(store)
    found = [(folder, record) for folder, record in every if record["key"].startswith(key) or folder.name == key]
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(f"no finished stage in {store} has a key that begins with '{key}': `ls {store}` lists them")
    raise InputError(
        f"'{key}' is the beginning of {len(found)} keys: {', '.join(folder.name for folder, _ in found[:5])}"
    )


def nearest_sibling(store: Path, record: Record) -> tuple[Path, dict[str, tuple[Any, Any]]] | None:
    """Return the finished stage of the same work that differs least, and what differs (here, there)."""
    differences = [
        (folder, difference(record["arguments"], other["arguments"]))
        for folder, other in records(store)
        if other["work"] == record["work"] and other["key"] != record["key"]
    ]
    return min(differences, key=lambda pair: (len(pair[1]), pair[0].name), default=None)


def difference(one: Any, other: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Return the leaves in which two JSON values differ, by path."""
    if isinstance(one, Mapping) and isinstance(other, Mapping) and "float" not in one:
        names = [*one, *(name for name in other if name not in one)]
        parts = [difference(one.get(name), other.get(name), f"{path}.{name}".lstrip(".")) for name in names]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        parts = [difference(a, b, f"{path}[{number}]") for number, (a, b) in enumerate(zip(one, other, strict=True))]
    else:
        return {} if one == other else {path: (one, other)}
    return {name: pair for part in parts for name, pair in part.items()}


def expected_seconds(store: Path, todo: list[Stage]) -> float | None:
    """Return how long stages take if each takes the median of finished ones of its work; None where one is unknown."""
    known: dict[str, list[float]] = {}
    if not todo:
        return 0.0
    for _, record in records(store):
        known.setdefault(record["work"], []).append(record["seconds"])
    if not all(item.work.name in known for item in todo):
        return None
    return sum(median(known[item.work.name]) for item in todo)


def sources(keys: Iterable[str], store: Path) -> dict[str, str]:
    """Return the digests of the records of all stages behind those of a table, by key."""
    finished, table = {folder.name[-12:]: (folder, facts) for folder, facts in records(store)}, set(keys)
    todo, seen = list(table), set(table)
    while todo:
        new = [key for key in finished[todo.pop()][1]["inputs"] if key in finished and key not in seen]
        seen.update(new)
        todo += new
    return {key: manifest.sha256(finished[key][0] / manifest.RECORD) for key in sorted(seen - table)}
