"""Manifest: `stage.json`, which is written last and describes a finished stage and its files.

It lists every file with its size and SHA-256, and has a digest of itself, so that an incomplete or changed result is
detected. Weights that nothing needs any more can be dropped (`weights`): the manifest then names them under "dropped",
and keeps their sizes and digests.
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from xstilts.errors import InputError
from xstilts.runtime import whole_files
from xstilts.runtime.machine import peak_memory_mib
from xstilts.store import names

RECORD = names.MANIFEST_FILE
DIGEST = "manifest_sha256"  # of the manifest without it and without what was dropped since
DROPPED = "dropped"
END = b"\n}\n"
LARGE = 2**20  # bytes of a model's file other than weights, from which it can be dropped
LIBRARIES = ("xstilts", "torch", "transformers", "tokenizers", "numpy")

_checked: dict[tuple[int, ...], str] = {}  # digests of files that this process has read or written, by `_identity`


def write(folder: Path, facts: dict[str, Any]) -> None:
    """Write the manifest of a folder and sync all of its files to the disk.

    What a save left that was killed is removed before: it is no result.

    Args:
        folder: Folder of the stage.
        facts: Fields of the manifest; versions (`versions`), peak memory, files and the digest of all of it are added.
    """
    sweep(folder)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files = {name: _described(folder / name) for name in names if name != RECORD}
    record = {**facts, "libraries": versions(), "process_peak_memory_mib": peak_memory_mib(), "files": files}
    text = (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode()
    (folder / RECORD).write_bytes(_with_field(text, DIGEST, _digest_of(text)))
    for name in (*files, RECORD):
        whole_files.sync(folder / name)
    whole_files.sync(folder)
    _checked.update({_identity(folder / name): file["sha256"] for name, file in files.items()})


def sweep(folder: Path) -> None:
    """Remove what a killed save left beside the files that it was to replace: `.tmp…`, `….new` and `….part`.

    Args:
        folder: Folder of a stage, with those in it.
    """
    for path in [*folder.rglob(".tmp*"), *folder.rglob("*.new"), *folder.rglob("*.part")]:
        if path.is_file():
            path.unlink()


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


def sound(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a finished stage if it is as it was written.

    Args:
        folder: Folder of the stage.

    Returns:
        The content of `stage.json`; None where there is none, or one that was changed.

    Raises:
        OSError: It cannot be read, for a reason that may pass: nothing is known of the stage then.
    """
    try:
        data = (folder / RECORD).read_bytes()
        record: dict[str, Any] = json.loads(data.decode())
        files = record["files"].values()
        usable = all(isinstance(file["bytes"], int) and isinstance(file["sha256"], str) for file in files)
        return record if usable and _is_unchanged(data, record) else None
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def is_manifest(record: Any) -> bool:
    """Return whether a JSON value can be a manifest: it names a stage, and what it has is of the right types.

    Args:
        record: The value.
    """
    try:
        texts = all(isinstance(record[name], str) for name in ("key", "label", "work"))
        tables = all(isinstance(record[name], dict) for name in ("arguments", "inputs", "record", "files"))
        sizes = tables and all(isinstance(file["bytes"], int) for file in record["files"].values())
        return texts and sizes and isinstance(record["seconds"], int | float)
    except (KeyError, TypeError, AttributeError):
        return False


def is_whole(folder: Path) -> bool:
    """Return whether a stage's folder is complete; contents are not read, which `damaged_files` does.

    Args:
        folder: Folder of the stage.

    Returns:
        Whether it has its manifest and every file that this lists, at the recorded size, but for dropped ones.
    """
    record = sound(folder)
    return record is not None and not absent(folder, record) - set(dropped(record))


def has_all_files(folder: Path) -> bool:
    """Return whether a stage's folder is complete and no file of it was dropped; contents are not read.

    Args:
        folder: Folder of the stage.
    """
    record = sound(folder)
    return record is not None and not absent(folder, record)


def absent(folder: Path, record: Mapping[str, Any]) -> set[str]:
    """Return the files of a stage that are not there, or not at the recorded size.

    Args:
        folder: Folder of the stage.
        record: Its manifest.

    Returns:
        Their paths within the folder, dropped ones included.
    """
    return {name for name, file in record["files"].items() if _size(folder / name) != file["bytes"]}


def dropped(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the files of a stage that were dropped, as its manifest says."""
    return tuple(record.get(DROPPED) or ())


def damaged_files(folder: Path) -> list[str]:
    """Return the files of a finished stage that are missing or have another content than recorded.

    Args:
        folder: Folder of the stage.

    Returns:
        Their paths within the folder; dropped files are not among them.
    """
    data = (folder / RECORD).read_bytes()
    record = json.loads(data.decode())
    gone = set(dropped(record))
    changed = [] if _is_unchanged(data, record) else [RECORD]
    return changed + [
        name
        for name, file in record["files"].items()
        if not (name in gone and not (folder / name).exists())
        and (not (folder / name).is_file() or sha256(folder / name) != file["sha256"])
    ]


def changed_files(folder: Path, record: Mapping[str, Any], names: Iterable[str] | None = None) -> list[str]:
    """Return the files of a stage that have another content than recorded; missing ones are not among them.

    A file is read once in a process: as long as it is the same one, by its inode, size and time, its digest is kept.

    Args:
        folder: Folder of the stage.
        record: Its manifest.
        names: Paths of files within the folder; None: all that the manifest lists.

    Returns:
        The paths of those that changed.
    """
    changed = []
    for name in record["files"] if names is None else names:
        path, file = folder / name, record["files"][name]
        try:
            now = _identity(path)
            if now not in _checked:
                _checked[now] = sha256(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if _checked[now] != file["sha256"]:
            changed.append(name)
    return changed


def weights(record: Mapping[str, Any]) -> dict[str, int]:
    """Return the files of a stage that can be dropped, with their bytes: what is large in the folder of a model.

    Args:
        record: The manifest of the stage.

    Returns:
        Sizes by path: of all safetensors and of every file of a model of at least `LARGE` bytes, as a tokenizer's. A
        stage that made no model has none.
    """
    files = record["files"]
    folders = (f"{names.MODEL_FOLDER}/", f"{names.SNAPSHOTS_FOLDER}/")
    if not any(name.startswith(folders) for name in files):
        return {}
    return {
        name: file["bytes"]
        for name, file in files.items()
        if name.endswith(".safetensors") or (name.startswith(folders) and file["bytes"] >= LARGE)
    }


def refuse_dropped(model: Path) -> None:
    """Refuse the folder of a model whose weights were dropped.

    Args:
        model: Folder with the weights, `model/` of a training or any other.

    Raises:
        InputError: The weights were dropped; the message says how they are built again.
    """
    record = sound(model.parent)
    if record and any(not (model.parent / name).exists() for name in dropped(record) if name.startswith(model.name)):
        raise InputError(
            f"the weights of {model.parent.name} were dropped (--keep): delete {model.parent} and run the command that "
            "trained it again, with `--keep all`"
        )


def mark_dropped(folder: Path, files: Iterable[str]) -> None:
    """Say in the manifest that files were dropped, before they are deleted.

    Args:
        folder: Folder of the stage.
        files: Paths within the folder.
    """
    whole_files.write(folder / RECORD, with_dropped((folder / RECORD).read_bytes(), files), synced=True)


def with_dropped(data: bytes, files: Iterable[str]) -> bytes:
    """Return a manifest that says which files were dropped.

    Args:
        data: The content of `stage.json`.
        files: Paths within the folder; none: as it was written.
    """
    gone = sorted(files)
    return _with_field(_undropped(data), DROPPED, gone) if gone else _undropped(data)


def digest(folder: Path) -> str:
    """Return the digest of a stage's manifest, which stays the same when files are dropped.

    Args:
        folder: Folder of the stage.
    """
    return _digest_of(_undropped((folder / RECORD).read_bytes()))


def _with_field(data: bytes, name: str, value: Any) -> bytes:
    """Return a manifest with one field more, the last one."""
    return data.removesuffix(END) + f',\n "{name}": {json.dumps(value, ensure_ascii=False)}'.encode() + END


def _before_field(data: bytes, name: str) -> bytes:
    """Return a manifest as it was before a field was added; unchanged without the field.

    No text in it has this line: line ends within texts are escaped.
    """
    place = data.rfind(f',\n "{name}": '.encode())
    return data if place < 0 else data[:place] + END


def _undropped(data: bytes) -> bytes:
    return _before_field(data, DROPPED)


def _digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_unchanged(data: bytes, record: Mapping[str, Any]) -> bool:
    """Return whether a manifest has the digest that it says; those of earlier versions say none."""
    return DIGEST not in record or bool(_digest_of(_before_field(data, DIGEST)) == record[DIGEST])


def _size(path: Path) -> int | None:
    """Return the size of a file; None where there is none."""
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def _identity(path: Path) -> tuple[int, ...]:
    """Return what changes when a file is replaced or written to."""
    facts = path.stat()
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


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
