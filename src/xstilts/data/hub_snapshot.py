"""Hub snapshot: a data set of the hub at one commit, in a local folder.

The first download writes the present commit of the revision to `revision.json` beside the files, and every later
download uses that commit, so that a folder never mixes two. The files of a pattern are moved into place together, when
all of them are downloaded and checked.

>>> Repository("google/xquad", "main", Path("data")).folder.as_posix()
'data/hub/google/xquad'
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from filelock import BaseFileLock

from xstilts.data.hub_files import Listing, Remote, fetch, listed
from xstilts.errors import UNFORESEEN, InputError
from xstilts.runtime import file_system

LOCK = "revision.json"
CONVERTED = "refs/convert/parquet"  # where the hub keeps data sets as <configuration>/<split>/0000.parquet


def downloading(data: Path) -> BaseFileLock:
    """Return the lock under which one process at a time downloads to a data folder, for a `with` statement."""
    parts = data / "hub" / ".part"
    parts.mkdir(parents=True, exist_ok=True)
    return file_system.lock(parts / "lock")


@dataclass(frozen=True)
class Pin:
    """The pinned state of a folder.

    Attributes:
        revision: The revision of the first download.
        commit: Its commit.
        converted: The commit of the hub's Parquet copy; "" where none of its files is used.
        files: The files in the folder.
    """

    revision: str
    commit: str
    converted: str = ""
    files: tuple[Remote, ...] = ()


@dataclass(frozen=True)
class Repository:
    """A data set on the hub, and its folder below a data folder.

    Attributes:
        id: "owner/name".
        revision: A branch, a tag or a commit.
        data: The data folder.
    """

    id: str
    revision: str
    data: Path

    @property
    def folder(self) -> Path:
        """Where its files are read from."""
        return self.data / "hub" / self.id

    @property
    def part(self) -> Path:
        """Folder of the files that are being downloaded."""
        return self.data / "hub" / ".part" / self.id.replace("/", "--")

    @property
    def pin(self) -> Pin | None:
        """The pinned state; None before the first download. InputError where it is that of another revision."""
        found = _read(self.folder / LOCK)
        if found and self.revision not in (found.revision, found.commit):
            raise InputError(
                f"{self.folder} holds {self.id} at {found.revision!r} (commit {found.commit}), and the task asks for "
                f"{self.revision!r}; remove that folder and download again, or name another one with --data DIR"
            )
        return found

    @cached_property
    def listing(self) -> Listing:
        """The files at the pinned commit, else at the one that the revision names now."""
        asked = self.pin.commit if self.pin else self.revision
        found = listed(self.id, asked)
        if not found:
            raise InputError(f"{self.id} has no revision {asked!r} on the hub; correct `revision` in the task's source")
        return _unchanged(found, self)

    @cached_property
    def converted(self) -> Listing:
        """The hub's own Parquet copy, under names that patterns find: <configuration>/<split>-0000.parquet."""
        found = listed(self.id, (self.pin and self.pin.converted) or CONVERTED) or Listing("", ())
        named = [(file, re.fullmatch(r"([^/]+)/([^/]+)/(\d+\.parquet)", file.path)) for file in found.files]
        files = tuple(replace(file, name=f"{match[1]}/{match[2]}-{match[3]}") for file, match in named if match)
        return _unchanged(Listing(found.commit, files), self)

    def matching(self, pattern: str) -> tuple[Remote, ...]:
        """Return the files of a pattern: as downloaded if all of them are still here, else as the hub has them."""
        kept = _named(pattern, self.pin.files if self.pin else ())
        if kept and all(_size(self.folder / file.name) == file.size for file in kept):
            return kept
        return _named(pattern, self.listing.files) or _named(pattern, self.converted.files)

    def get(self, pattern: str) -> list[Path]:
        """Download the files of a pattern that are not here, put them in place together, return all their paths."""
        files, known = self.matching(pattern), self.pin.files if self.pin else ()
        self._refuse_strangers(pattern, files)
        absent = [file for file in files if not self._has(file, file in known)]
        if absent or not set(files) <= set(known):
            fetch(self.id, absent, self.part)
            self._hold(files)
            self._put(absent)
        return [self.folder / file.name for file in files]

    def _has(self, file: Remote, known: bool) -> bool:
        """Return whether a file is in place; InputError where another one has its name."""
        path = self.folder / file.name
        if not path.exists():
            return False
        if not (_size(path) == file.size if known else file.is_at(path)):
            raise InputError(
                f"{path} is not the file of {self.id} at commit {file.commit}; remove it, and run this again"
            )
        return True

    def _hold(self, files: Collection[Remote]) -> None:
        """Pin the folder to its commit and its files."""
        old = self.pin or Pin(self.revision, self.listing.commit)
        converted = next((file.commit for file in files if file.path != file.name), old.converted)
        every = {file.name: file for file in (*old.files, *files)}
        pin = replace(old, converted=converted, files=tuple(every[name] for name in sorted(every)))
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(pin, self.id, self.folder / LOCK)

    def _put(self, fetched: Iterable[Remote]) -> None:
        for file in fetched:
            target = self.folder / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.parent.resolve().is_relative_to(self.folder.resolve()):
                raise InputError(f"{target} would lie outside {self.folder}; remove the link that leads there")
            os.replace(self.part / file.path, target)

    def _refuse_strangers(self, pattern: str, files: Iterable[Remote]) -> None:
        """Raise InputError where a file would be read with those of a pattern and is none of them."""
        strange = sorted(set(self.folder.glob(pattern)) - {self.folder / file.name for file in files})
        if strange:
            raise InputError(
                f"{strange[0]} would be read with the files of {self.id} at its pinned commit and is none of them; "
                "remove it, and run this again"
            )


def _named(pattern: str, files: Iterable[Remote]) -> tuple[Remote, ...]:
    """Return the files that a pattern finds, as it would find them in a folder: `*` stays within a name."""
    depth = pattern.count("/")
    return tuple(file for file in files if file.name.count("/") == depth and PurePosixPath(file.name).match(pattern))


def _unchanged(found: Listing, repository: Repository) -> Listing:
    """Return a listing that agrees with what was downloaded of the same commit; raise InputError otherwise."""
    known = {(file.name, file.commit): file for file in (repository.pin.files if repository.pin else ())}
    changed = [file.name for file in found.files if known.get((file.name, file.commit), file) != file]
    if changed:
        raise InputError(
            f"{changed[0]} of {repository.id} changed on the hub under commit {found.commit}, to which "
            f"{repository.folder} is pinned; keep the files you have, or remove that folder to download all again"
        )
    return found


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _read(path: Path) -> Pin | None:
    if not path.exists():
        return None
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(Remote(**file) for file in fields["files"])
        return Pin(fields["revision"], fields["commit"], fields["converted"], files)
    except UNFORESEEN:
        raise InputError(f"{path} is damaged; remove its folder, and download again") from None


def _write(pin: Pin, repository: str, path: Path) -> None:
    text = json.dumps({"repository": repository, **asdict(pin)}, indent=1) + "\n"
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
