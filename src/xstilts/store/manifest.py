"""Record: `stage.json`, written last, by which a finished stage says how it came to be and what belongs to it.

Every file is listed with its size and SHA-256, so that a result that was cut short or changed is seen.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
from importlib import metadata
from pathlib import Path
from typing import Any

RECORD = "stage.json"
LIBRARIES = ("xstilts", "torch", "transformers", "tokenizers", "numpy")


def write(folder: Path, facts: dict[str, Any]) -> None:
    """Write the record of what is in a folder: `facts`, libraries, memory and files; bring all of it to the disk."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files = {name: _described(folder / name) for name in names if name != RECORD}
    libraries = {name: found for name in LIBRARIES if (found := version(name))}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    record = {**facts, "libraries": libraries, "process_peak_memory_mib": peak, "files": files}
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    (folder / RECORD).write_text(text, encoding="utf-8")
    for name in (*files, RECORD):
        sync(folder / name)
    sync(folder)


def read(folder: Path) -> dict[str, Any]:
    """Return what the record of a finished stage says."""
    record: dict[str, Any] = json.loads((folder / RECORD).read_bytes().decode())
    return record


def is_whole(folder: Path) -> bool:
    """Say whether a folder has its record, and every file that it lists at its recorded size."""
    try:
        return all((folder / name).stat().st_size == file["bytes"] for name, file in read(folder)["files"].items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def damaged_files(folder: Path) -> list[str]:
    """Return the files of a finished stage whose content is no longer what was recorded."""
    files = read(folder)["files"].items()
    return [name for name, file in files if not (folder / name).is_file() or sha256(folder / name) != file["sha256"]]


def replaced(path: Path, text: str) -> None:
    """Write a file so that a reader finds all of it, or the one before."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def sync(path: Path) -> None:
    """Bring a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _described(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def sha256(path: Path) -> str:
    """Return the digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def version(library: str) -> str | None:
    """Return the version of an installed library, None where it is not."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None
