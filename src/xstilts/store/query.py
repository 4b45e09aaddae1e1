"""Query: finished stages of a store and their manifests, by key or by folder.

`xstilts show` and the reports read a store through these functions; none of them changes it.
"""

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
FINISHED = re.compile(r"-[0-9a-f]{12}$")  # neither unfinished (.part) nor damaged (.damaged1) folders


def records(store: Path) -> Iterator[tuple[Path, Record]]:
    """Yield every finished stage of a store.

    Args:
        store: Folder of the store; one that does not exist has none.

    Yields:
        Folder and manifest, in the order of the folders' names; folders without a readable manifest, or with something
        else in its place, are left out.
    """
    for name in sorted(os.listdir(store)) if store.is_dir() else ():
        if FINISHED.search(name):
            record = None
            with suppress(OSError, ValueError, RecursionError):
                record = read(store / name)
            if manifest.is_manifest(record):
                yield store / name, record  # type: ignore[misc]


def by_key(store: Path) -> dict[str, Record]:
    """Return the manifests of all finished stages.

    Args:
        store: Folder of the store.

    Returns:
        Manifests by key.
    """
    return {record["key"]: record for _, record in records(store)}


def find(store: Path, key: str) -> tuple[Path, Record]:
    """Return the folder and the manifest of a finished stage.

    Args:
        store: Folder of the store.
        key: The beginning of a key, or the name of a folder.

    Returns:
        The folder and the manifest.

    Raises:
        InputError: No stage, or several, have such a key.
    """
    every = records(store)
    matches = [(folder, record) for folder, record in every if record["key"].startswith(key) or folder.name == key]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise InputError(f"no finished stage in {store} has a key that begins with '{key}': `ls {store}` lists them")
    raise InputError(
        f"'{key}' is the beginning of {len(matches)} keys: {', '.join(folder.name for folder, _ in matches[:5])}"
    )


def nearest_sibling(store: Path, record: Record) -> tuple[Path, dict[str, tuple[Any, Any]]] | None:
    """Return the finished stage of the same function whose arguments differ least, and how they differ.

    Args:
        store: Folder of the store.
        record: The manifest of a stage.

    Returns:
        The folder, and by path the values (of `record`, of the other stage); None where there is no other stage.
    """
    differences = [
        (folder, difference(record["arguments"], other["arguments"]))
        for folder, other in records(store)
        if other["work"] == record["work"] and other["key"] != record["key"]
    ]
    return min(differences, key=lambda pair: (len(pair[1]), pair[0].name), default=None)


def difference(one: Any, other: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Return the leaves in which two JSON values differ.

    Args:
        one: A JSON value.
        other: Another one.
        path: The path of both, which the paths of the leaves begin with.

    Returns:
        By path the value in either; None where one does not have it.

    >>> difference({"a": 1, "b": [1, 2]}, {"a": 1, "b": [1, 3]})
    {'b[1]': (2, 3)}
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping) and "float" not in one:
        names = [*one, *(name for name in other if name not in one)]
        parts = [difference(one.get(name), other.get(name), f"{path}.{name}".lstrip(".")) for name in names]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        parts = [difference(a, b, f"{path}[{number}]") for number, (a, b) in enumerate(zip(one, other, strict=True))]
    else:
        return {} if one == other else {path: (one, other)}
    return {name: pair for part in parts for name, pair in part.items()}


def expected_seconds(store: Path, todo: list[Stage]) -> float | None:
    """Return the seconds that stages take if each takes the median of the finished ones of its function.

    Args:
        store: Folder of the store.
        todo: Stages to be built.

    Returns:
        The sum; None where the store has no finished stage of one of the functions.
    """
    by_function: dict[str, list[float]] = {}
    if not todo:
        return 0.0
    for _, record in records(store):
        by_function.setdefault(record["work"], []).append(record["seconds"])
    if not all(item.work.name in by_function for item in todo):
        return None
    return sum(median(by_function[item.work.name]) for item in todo)


def sources(keys: Iterable[str], store: Path) -> dict[str, str]:
    """Return digests of what some stages depend on.

    Args:
        keys: Keys of finished stages.
        store: Folder of the store.

    Returns:
        By key the SHA-256 of the manifest of every transitive input, without the stages themselves.
    """
    finished, table = {folder.name[-12:]: (folder, facts) for folder, facts in records(store)}, set(keys)
    todo, reached = list(table), set(table)
    while todo:
        new = [key for key in finished[todo.pop()][1]["inputs"] if key in finished and key not in reached]
        reached.update(new)
        todo += new
    return {key: manifest.digest(finished[key][0]) for key in sorted(reached - table)}
