"""Replies: what sources answered, kept on disk as it came, with its digest and the time it came.

A reply is known by source, address, path and parameters, never by a key or a port; so a later run is answered from here
at once and word for word, and what the stub or a mirror says is never taken for what the real source says. Failures are
kept too: a replay without a network then fails where the first run did, with its words and its time.

>>> row_of(Request("s2", "api", "/x", (("q", "a"),), 200, "t", "d" * 64, 2, ("200",)))["params"]
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

from xstilts.evidence.search.hosts import Host
from xstilts.evidence.search.http_requests import Request

Params = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class RequestRecord:
    """A line of the request log: what was asked of whom, when it was answered, by which bytes, after which tries."""

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
    """A request that got nothing of use: why, after which tries, and when it first did so."""

    source: str
    host: str
    path: str
    params: Params
    reason: str
    time: str
    tries: tuple[str, ...]


class ResponseCache:
    """A folder of replies; of many processes, the last that writes one wins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, host: Host, asked: Request) -> tuple[RequestRecord, bytes] | None:
        """Return the reply that is kept, None where there is none or its bytes are no longer what came."""
        place = self._place(host, asked)
        try:
            request = RequestRecord(**_read(place.with_suffix(".json")))
            body = place.with_suffix(".body").read_bytes()
        except (OSError, ValueError, TypeError, AttributeError):
            return None
        return (request, body) if hashlib.sha256(body).hexdigest() == request.sha256 else None

    def failure(self, host: Host, asked: Request) -> Failure | None:
        """Return the failure that is kept of a request, None where there is none."""
        try:
            return Failure(**_read(self._place(host, asked).with_suffix(".failed.json")))
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def keep(self, host: Host, asked: Request, request: RequestRecord, body: bytes) -> None:
        """Store a reply, and forget that the request ever failed."""
        place = self._place(host, asked)
        _write(place.with_suffix(".body"), body)
        _write(place.with_suffix(".json"), _json(request))
        place.with_suffix(".failed.json").unlink(missing_ok=True)

    def keep_failure(self, host: Host, asked: Request, failure: Failure) -> None:
        """Store a failure."""
        _write(self._place(host, asked).with_suffix(".failed.json"), _json(failure))

    def _place(self, host: Host, asked: Request) -> Path:
        named = json.dumps([asked.source, host.hostname + host.path, asked.path, sorted(asked.params)])
        return self.folder / asked.source / hashlib.sha256(named.encode()).hexdigest()[:32]


def to_row(logged: RequestRecord | Failure) -> dict[str, Any]:
    """Return a line of a log as JSON has it."""
    return {**asdict(logged), "params": dict(logged.params), "tries": list(logged.tries)}


def from_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a line of a log as `row_of` wrote it."""
    return {**row, "params": tuple(row["params"].items()), "tries": tuple(row["tries"])}


def to_jsonl(logged: Iterable[RequestRecord | Failure]) -> str:
    """Return a log as JSON lines."""
    return "".join(json.dumps(to_row(one), ensure_ascii=False) + "\n" for one in logged)


def _json(logged: RequestRecord | Failure) -> bytes:
    return json.dumps(to_row(logged), ensure_ascii=False, indent=1).encode() + b"\n"


def _read(path: Path) -> dict[str, Any]:
    return from_row(json.loads(path.read_bytes()))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(path)
