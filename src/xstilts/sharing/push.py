"""Push: an exported folder to the Hugging Face hub, as one commit.

Only files that belong to an exported model are accepted; anything else in the folder, such as optimizer states, data or
pickles, stops the push before a byte is sent. Files that the hub already has are not sent again, so that a push that
was interrupted goes on where it stopped, and a second push of the same folder changes nothing. The token is read from
HF_TOKEN (or the login of the `hf` command) by huggingface_hub; it is never printed.

    push("xnli-sw", "lab/xnli-sw", dry_run=True).files   # what would be sent
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from xstilts.errors import InputError
from xstilts.models.encoder import IDENTITY_FILES
from xstilts.sharing import usage
from xstilts.sharing.export import CARD, VOCABULARY, WEIGHTS, ExportedFile, described
from xstilts.store.names import EXPORT_FILE

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
ALLOWED = {
    CARD,
    "LICENSE",
    ".gitattributes",
    EXPORT_FILE,
    *IDENTITY_FILES,
    *VOCABULARY,
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
    "2_Dense/config.json",
    "2_Dense/model.safetensors",
}
ALLOWED_PATTERN = re.compile(r"onnx/model(_int8)?\.onnx(\.data)?")
TEXTS = (".md", ".json", ".txt")
TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{30,}\b")
MAIN = "main"


@dataclass(frozen=True)
class Push:
    """What a push sends, or has sent.

    Attributes:
        repository: "owner/name" on the hub.
        revision: The branch.
        private: Whether a new repository is private.
        files: The files, as they are sent.
        url: The commit on the hub; "" after a dry run.
        commit: Its hash; "" after a dry run.
        unchanged: Whether the hub already had all of it.
    """

    repository: str
    revision: str
    private: bool
    files: tuple[ExportedFile, ...]
    url: str = ""
    commit: str = ""
    unchanged: bool = False

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def rows(self) -> list[dict[str, Any]]:
        """Return one dictionary a file: `path`, `size` and `sha256`."""
        return [vars(file).copy() for file in self.files]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**vars(self), "files": self.rows(), "size": self.size}


def push(
    folder: str | Path,
    repository: str,
    *,
    private: bool = False,
    revision: str = MAIN,
    message: str = "",
    dry_run: bool = False,
) -> Push:
    """Push an exported folder to a model repository on the hub, which is made if it is not there.

    Args:
        folder: A folder that `export` wrote.
        repository: "owner/name".
        private: Make a new repository private; an existing one stays as it is.
        revision: The branch to commit to, which is made from the main one if it is not there.
        message: Of the commit.
        dry_run: Check everything here and send nothing.

    Returns:
        What was sent, or would be.

    Raises:
        InputError: The folder holds files that are not part of an exported model, the name is invalid, or the hub
            refuses the token, the repository or the model card.
        ConnectionError: The hub cannot be reached or does not answer as it should; what was sent is kept there.
    """
    source = Path(folder).expanduser()
    if not REPOSITORY.fullmatch(repository):
        raise InputError(f"'{repository}' is no repository: give OWNER/NAME")
    contents = checked(source)
    card = usage.renamed((source / CARD).read_text(encoding="utf-8"), repository).encode()
    files = tuple(
        ExportedFile(CARD, len(card), hashlib.sha256(card).hexdigest()) if file.path == CARD else file
        for file in contents
    )
    planned = Push(repository, revision, private, files)
    if dry_run:
        return planned
    if get_token() is None:
        raise InputError(
            f"no token for the hub: make one with write access at {_endpoint()}/settings/tokens and give it as the "
            "environment variable HF_TOKEN"
        )
    api = HfApi(endpoint=_endpoint())
    operations = [CommitOperationAdd(file.path, card if file.path == CARD else source / file.path) for file in files]
    with _explained(repository, revision):
        api.create_repo(repository, private=private or None, exist_ok=True)
        if revision != MAIN:
            api.create_branch(repository, branch=revision, exist_ok=True)
        before = api.model_info(repository, revision=revision).sha
        commit = api.create_commit(
            repository, operations, commit_message=message or f"Upload {source.resolve().name}", revision=revision
        )
    return Push(repository, revision, private, files, commit.commit_url, commit.oid, commit.oid == before)


def checked(folder: Path) -> tuple[ExportedFile, ...]:
    """Return the files of an exported folder.

    Raises:
        InputError: A file does not belong to an exported model, or one that it needs is missing.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: write one with `xstilts export CHECKPOINT --out {folder}`")
    entries = sorted(folder.rglob("*"))
    refused = [
        path.relative_to(folder).as_posix()
        for path in entries
        if path.is_symlink() or not (_allowed(path, folder) or path in _unsent(folder))
    ]
    if refused:
        shown = ", ".join(refused[:5]) + (f" and {len(refused) - 5} more" if len(refused) > 5 else "")
        raise InputError(
            f"{folder} holds what is no part of an exported model ({shown}): push a folder that `xstilts export` wrote"
        )
    files = tuple(file for file in described(folder) if folder / file.path not in _unsent(folder))
    present = {file.path for file in files}
    missing = [name for name in (CARD, "config.json") if name not in present]
    missing += [] if any(WEIGHTS.fullmatch(name) for name in present) else ["model.safetensors"]
    if missing:
        raise InputError(f"{folder} has no {' and no '.join(missing)}: write it with `xstilts export CHECKPOINT`")
    for path in (path for path in entries if path.suffix in TEXTS and path.stat().st_size < 1 << 24):
        if TOKEN.search(path.read_text(encoding="utf-8", errors="replace")):
            raise InputError(f"{path} holds a token of the hub: remove it, and revoke the token")
    return files


def _allowed(path: Path, folder: Path) -> bool:
    name = path.relative_to(folder).as_posix()
    if path.is_dir():
        return name in ("onnx", "1_Pooling")
    return path.is_file() and bool(name in ALLOWED or WEIGHTS.fullmatch(name) or ALLOWED_PATTERN.fullmatch(name))


def _unsent(folder: Path) -> tuple[Path, ...]:
    """Return the records of `fit` and of a verb's options, which stay here: they name folders of this machine."""
    return folder / "fit.json", folder / "run.json"


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or constants.ENDPOINT


@contextmanager
def _explained(repository: str, revision: str) -> Iterator[None]:
    """Turn the errors of the hub into messages with a remedy; none of them holds the token."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError | TimeoutError):
            raise  # of this machine's disk
        raise _meaning(error, repository, revision) from error


def _meaning(error: Exception, repository: str, revision: str) -> Exception:
    """Return the error for one of the library: the hub's answer, the network, or an invalid card."""
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, HfHubHTTPError):  # a large file did not arrive
        error = error.__cause__
    if isinstance(error, HfHubHTTPError):
        return _answered(error, repository, revision)
    network = type(error).__module__.startswith("httpx") or isinstance(error, OSError | OfflineModeIsEnabled)
    if network or type(error.__cause__).__module__.startswith("httpx"):
        return ConnectionError(
            f"cannot reach {_endpoint()} ({type(error).__name__}): check network, HF_ENDPOINT and HF_HUB_OFFLINE, and "
            "push again; files that arrived are not sent twice"
        )
    reason = " ".join(str(error).split())
    if isinstance(error, ValueError):
        return InputError(f"the hub does not take {repository}: {reason}")
    return ConnectionError(f"the push to {repository} broke off ({reason}): push again; files that arrived are kept")


def _answered(error: HfHubHTTPError, repository: str, revision: str) -> Exception:
    """Return the error for an answer of the hub."""
    owner, status = repository.partition("/")[0], error.response.status_code
    tokens = f"{_endpoint()}/settings/tokens"
    remedies = {
        401: f"the hub does not accept the token: make a new one at {tokens} and give it as HF_TOKEN",
        403: f"the token may not write to {repository}: make one at {tokens} with write access to '{owner}'",
        404: f"the hub has no {repository} at '{revision}' that the token may see: check owner, name and revision",
        409: f"another commit to {repository} came in between: push again",
        413: f"the hub refuses the size of the files of {repository}: check the limits of '{owner}'",
    }
    if status in remedies:
        return InputError(remedies[status])
    return ConnectionError(f"the hub answers {status} for {repository}: push again later; files that arrived are kept")
