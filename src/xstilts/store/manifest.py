"""Manifest: `stage.json`, which is written last and describes a finished stage and its files.

It lists every file with its size and SHA-256, so that an incomplete or changed result is detected.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from xstilts.runtime.machine import peak_memory_mib
from xstilts.store import names

RECORD = names.MANIFEST_FILE
LIBRARIES = ("xstilts", "torch", "transformers", "tokenizers", "numpy")


def write(folder: Path, facts: dict[str, Any]) -> None:
    """Write the manifest of a folder and sync all of its files to the disk.

    Args:
        folder: Folder of the stage.
        facts: Fields of the manifest; versions (`versions`), peak memory and files are added.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files = {name: _described(folder / name) for name in names if name != RECORD}
    record = {**facts, "libraries": versions(), "process_peak_memory_mib": peak_memory_mib(), "files": files}
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    (folder / RECORD).write_text(text, encoding="utf-8")
    for name in (*files, RECORD):
        sync(folder / name)
    sync(folder)


def read(folder: Path) -> dict[str, Any]:
    """Return the manifest of a finished stage.

    Args:
        folder: Folder of the stage.

    Returns:
        The content of `stage.json`.

    Raises:
        OSError: There is no manifest.
        ValueError: It is no JSON.
    """
    record: dict[str, Any] = json.loads((folder / RECORD).read_bytes().decode())
    return record


def is_whole(folder: Path) -> bool:
    """Return whether a stage's folder is complete; contents are not read, which `damaged_files` does.

    Args:
        folder: Folder of the stage.

    Returns:
        Whether it has its manifest and every file that this lists, at the recorded size.
    """
    try:
        return all((folder / name).stat().st_size == file["bytes"] for name, file in read(folder)["files"].items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def damaged_files(folder: Path) -> list[str]:
    """Return the files of a finished stage that are missing or have another content than recorded.

    Args:
        folder: Folder of the stage.

    Returns:
        Their paths within the folder.
    """
    files = read(folder)["files"].items()
    return [name for name, file in files if not (folder / name).is_file() or sha256(folder / name) != file["sha256"]]


def replaced(path: Path, text: str) -> None:
    """Write a text file atomically: a reader finds the old text or the new one.

    Args:
        path: The file; `.new` beside it is written first.
        text: The new text.
    """
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk; on Windows, which does not open folders, a file alone."""
    if sys.platform == "win32" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
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


@cache
def version(library: str) -> str | None:
    """Return the version of an installed library, None where it is not."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results depend on, and the commit of xstilts if known."""
    libraries = {name: installed for name in LIBRARIES if (installed := version(name))}
    of_commit = {"xstilts commit": known} if (known := commit()) else {}
    return {**libraries, "python": platform.python_version(), **of_commit}


@cache
def commit() -> str | None:
    """Return the commit that xstilts was installed from, or of the repository that it is run from.

    Returns:
        Twelve hexadecimal digits, with "-dirty" where files of the repository were changed since; None where neither
        pip nor git knows it.
    """
    with suppress(metadata.PackageNotFoundError, ValueError, KeyError, TypeError):
        origin = json.loads(metadata.distribution("xstilts").read_text("direct_url.json") or "{}")
        return str(origin["vcs_info"]["commit_id"])[:12]
    package = ["git", "-C", str(Path(__file__).parents[1])]
    with suppress(OSError, subprocess.SubprocessError):
        # A package that only lies below somebody's repository, as in a virtual environment, is not of its commit.
        _output([*package, "ls-files", "--error-unmatch", "__init__.py"])
        return _output([*package, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])
    return None


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
