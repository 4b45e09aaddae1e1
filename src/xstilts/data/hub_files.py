"""Hub files: the files of a data set on the Hugging Face hub, their metadata and their download.

All requests to the hub go through this module and `huggingface_hub`, so that HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE
have their usual meaning. Answers of the hub are not trusted: names that lead out of a folder are refused, and bytes are
compared with the size and the digest that the commit lists. Error messages quote nothing of an answer.

The library is imported at the first request: `xstilts tasks` and `xstilts data` start faster without it.

>>> Remote("sw/test-0.parquet", "sw/test-0.parquet", "c" * 40, 3, "").size
3
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any, cast

from xstilts.errors import InputError
from xstilts.runtime import progress

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

SECONDS = 30.0  # to wait for the hub's list of files
COMMIT = re.compile("[0-9a-f]{40}")


class Unreachable(InputError):
    """The hub cannot be reached at all, so that other requests would fail too."""


@dataclass(frozen=True)
class Remote:
    """A file of a repository.

    Attributes:
        path: Its path in the repository.
        name: Its path below the local folder.
        commit: The commit.
        size: Its size in bytes.
        digest: SHA-256 of a large file, git's SHA-1 of a small one, "" where the hub has none.
    """

    path: str
    name: str
    commit: str
    size: int
    digest: str

    def is_at(self, path: Path) -> bool:
        """Return whether a local file is this one, by size and digest."""
        return path.stat().st_size == self.size and self.digest in ("", _digest(path, len(self.digest)))


@dataclass(frozen=True)
class Listing:
    """The files of a repository at a commit."""

    commit: str
    files: tuple[Remote, ...]


def listed(repository: str, revision: str) -> Listing | None:
    """Return the files of a data set at the present commit of a revision; None where there is no such revision.

    Raises:
        Unreachable: The hub cannot be reached.
        InputError: The hub refuses the request, or lists unsafe file names.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RevisionNotFoundError

    with _answered(repository, revision):
        try:
            info = HfApi().dataset_info(repository, revision=revision, files_metadata=True, timeout=SECONDS)
        except RevisionNotFoundError:
            return None
        commit, siblings = str(info.sha), info.siblings or ()
    if not COMMIT.fullmatch(commit) or (COMMIT.fullmatch(revision) and commit != revision):
        raise InputError(f"the hub answers {commit[:50]!r} for commit {revision!r} of {repository}; check HF_ENDPOINT")
    return Listing(commit, tuple(_remote(sibling, commit, repository) for sibling in siblings))


def fetch(repository: str, files: Sequence[Remote], folder: Path) -> None:
    """Download files to their paths below a folder, except those that an earlier call finished.

    Raises:
        InputError: The disk is too small, the connection breaks, or a file differs from its commit.
    """
    from huggingface_hub import hf_hub_download

    folder.mkdir(parents=True, exist_ok=True)
    needed, free = sum(file.size for file in files), shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(f"{repository} needs {needed:,} bytes below {folder}, and {free:,} are free; make room")
    for file in files:
        with _answered(repository, file.commit), _quiet():
            path = hf_hub_download(
                repository,
                file.path,
                repo_type="dataset",
                revision=file.commit,
                local_dir=folder,
                tqdm_class=cast(Any, _Bar),
            )
        if not file.is_at(Path(path)):
            Path(path).unlink()
            raise InputError(
                f"{file.path} of {repository} is not the file that commit {file.commit} lists (by size or digest): it "
                "changed on the server, or on its way; try again later, and do not trust a mirror that keeps doing it"
            )


class _Bar:
    """A progress bar for `huggingface_hub` that sends the number of bytes to `progress`."""

    def __init__(self, desc: str = "", total: int | None = None, initial: int = 0, **ignored: object) -> None:
        self.desc, self.total, self.n = desc, total, initial

    def update(self, n: int = 1) -> None:
        self.n += n
        if self.total:
            progress.step(self.desc, self.n, self.total, "bytes")

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *ignored: object) -> None:
        pass

    def close(self, *ignored: object, **more: object) -> None:
        pass

    refresh = set_postfix_str = update_transfer = set_transfer_postfix_str = close


def _remote(sibling: RepoSibling, commit: str, repository: str) -> Remote:
    name = sibling.rfilename
    if any(part in ("", ".", "..") for part in name.split("/")) or "\\" in name or PureWindowsPath(name).drive:
        raise InputError(f"{repository} lists {name!r}, which leads out of its folder; nothing of it is downloaded")
    large = sibling.lfs
    size = large.size if large else sibling.size
    if size is None:
        raise InputError(f"the hub does not say how large {name!r} of {repository} is; check HF_ENDPOINT")
    return Remote(name, name, commit, size, large.sha256 if large else sibling.blob_id or "")


def _digest(path: Path, length: int) -> str:
    """Hash a file as the hub does: SHA-256, or (40 digits) git's SHA-1, which begins with the size."""
    with path.open("rb") as file:
        if length != 40:
            return hashlib.file_digest(file, "sha256").hexdigest()
        total = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()


@contextmanager
def _answered(repository: str, revision: str) -> Iterator[None]:
    """Turn errors of `huggingface_hub` into InputError; errors of the disk pass through."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise _meaning(error, repository, revision) from error


def _meaning(error: Exception, repository: str, revision: str) -> InputError:
    """Return the InputError for an error of the library."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    token = "set HF_TOKEN to a token of an account that may read it"
    match error:
        case OfflineModeIsEnabled():
            return Unreachable("HF_HUB_OFFLINE is set, and nothing is downloaded; unset it, or copy the files here")
        case GatedRepoError():
            return InputError(f"{repository} is gated: accept its terms on its page on the hub, then {token}")
        case RepositoryNotFoundError():
            return InputError(f"the hub has no data set {repository}, or it is private; check the name, or {token}")
        case HfHubHTTPError() if error.response.status_code in (401, 403):
            return InputError(f"the hub refuses {repository} ({error.response.status_code}); {token}")
        case HfHubHTTPError() if error.response.status_code < 500:
            asked = f"{repository} at {revision!r}"
            return InputError(f"the hub answers {error.response.status_code} for {asked}; check HF_ENDPOINT, try again")
        case HfHubHTTPError() | LocalEntryNotFoundError() | ConnectionError() | TimeoutError():
            return _unreachable(repository)
        case ValueError() | KeyError() | TypeError():
            return InputError(f"what answers for {repository} does not speak the hub's language; check HF_ENDPOINT")
        case _ if type(error).__name__ in ("ConnectError", "ConnectTimeout", "ProxyError", "UnsupportedProtocol"):
            return _unreachable(repository)
    return InputError(f"the download of {repository} broke off; run it again, finished files are kept")


def _unreachable(repository: str) -> Unreachable:
    from huggingface_hub import constants

    host = constants.ENDPOINT.rpartition("@")[2].removeprefix("https://").removeprefix("http://")
    return Unreachable(f"cannot reach {host} for {repository}; check network and HF_ENDPOINT, and try again")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the library's messages within this context."""
    from huggingface_hub.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
