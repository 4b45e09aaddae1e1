"""Cache of the replies of literature sources: bodies as received, with digest and time.

A reply is keyed by source, address, path and parameters, never by an API key or a port. So a later run is answered from
the cache byte for byte, and a reply of the stub or a mirror is never taken for one of the real source. Failures are
cached too: a replay without a network fails where the first run did, with the same reason and time.

>>> to_row(RequestRecord("s2", "api", "/x", (("q", "a"),), 200, "t", "d" * 64, 2, ("200",)))["params"]
{'q': 'a'}
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xstilts.errors import refusing
from xstilts.evidence.search.hosts import Host
from xstilts.evidence.search.http_requests import Request
from xstilts.runtime.disk_cache import user_folder

CACHE = user_folder() / "evidence"  # by default
Params = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class RequestRecord:
    """An answered request, as a line of the request log.

    Attributes:
        source: Name of the source.
        host: Host name that was asked.
        path: Path below the source's address.
        params: Query parameters, without the API key.
        status: HTTP status.
        time: When the reply came (ISO 8601, UTC).
        sha256: Digest of the body.
        bytes: Size of the body.
        tries: Outcome of each attempt, the last one successful.
    """

    source: str
    host: str
    path: str
    params: Params
    status: int
    time: str
    sha256: str
    bytes: int
    tries: tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """A request without a usable reply, as a line of the failure log.

    Attributes:
        source: Name of the source.
        host: Host name that was asked.
        path: Path below the source's address.
        params: Query parameters, without the API key.
        reason: Why the last attempt failed.
        time: When the request first failed this way (ISO 8601, UTC).
        tries: Outcome of each attempt.
    """

    source: str
    host: str
    path: str
    params: Params
    reason: str
    time: str
    tries: tuple[str, ...]


class ResponseCache:
    """Cache folder of replies. Processes may share it: files are replaced atomically, and the last writer wins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, host: Host, request: Request) -> tuple[RequestRecord, bytes] | None:
        """Return the cached reply to a request.

        Args:
            host: Where the request goes to.
            request: The request.

        Returns:
            Record and body; None if there is none or its bytes do not match its digest.
        """
        path = self._path(host, request)
        try:
            record = RequestRecord(**_read(path.with_suffix(".json")))
            body = path.with_suffix(".body").read_bytes()
        except (OSError, ValueError, TypeError, AttributeError):
            return None
        return (record, body) if hashlib.sha256(body).hexdigest() == record.sha256 else None

    def find_failure(self, host: Host, request: Request) -> Failure | None:
        """Return the cached failure of a request.

        Args:
            host: Where the request goes to.
            request: The request.

        Returns:
            The failure; None if there is none.
        """
        try:
            return Failure(**_read(self._path(host, request).with_suffix(".failed.json")))
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def store(self, host: Host, request: Request, record: RequestRecord, body: bytes) -> None:
        """Store a reply, and delete the request's cached failure.

        Args:
            host: Where the request went to.
            request: The request.
            record: What is logged of the request, with the digest of the body.
            body: The bytes of the reply.
        """
        path = self._path(host, request)
        _write(path.with_suffix(".body"), body)
        _write(path.with_suffix(".json"), _json(record))
        path.with_suffix(".failed.json").unlink(missing_ok=True)

    def store_failure(self, host: Host, request: Request, failure: Failure) -> None:
        """Store the failure of a request.

        Args:
            host: Where the request went to.
            request: The request.
            failure: The failure.
        """
        _write(self._path(host, request).with_suffix(".failed.json"), _json(failure))

    def _path(self, host: Host, request: Request) -> Path:
        identity = json.dumps([request.source, host.hostname + host.path, request.path, sorted(request.params)])
        return self.folder / request.source / hashlib.sha256(identity.encode()).hexdigest()[:32]


def to_row(record: RequestRecord | Failure) -> dict[str, Any]:
    """Return a record as a JSON object; `from_row` reverses it."""
    return {**asdict(record), "params": dict(record.params), "tries": list(record.tries)}


def from_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return the constructor arguments of a record from the JSON object that `to_row` made."""
    return {**row, "params": tuple(row["params"].items()), "tries": tuple(row["tries"])}


def to_jsonl(records: Iterable[RequestRecord | Failure]) -> str:
    """Return records as JSON lines."""
    return "".join(json.dumps(to_row(record), ensure_ascii=False) + "\n" for record in records)


def _json(record: RequestRecord | Failure) -> bytes:
    return json.dumps(to_row(record), ensure_ascii=False, indent=1).encode() + b"\n"


def _read(path: Path) -> dict[str, Any]:
    with refusing(lambda: path, "remove it: the source is asked again"):
        return from_row(json.loads(path.read_bytes()))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(path)
