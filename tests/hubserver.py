"""A hub for tests: data sets in memory, served on a local port in as much of the hub's protocol as downloads need."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = 100  # bytes from which a file is stored as the hub stores large ones


def commit_of(files: dict[str, bytes]) -> str:
    return hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()


@dataclass
class Hub:
    """What the server serves, and what it was asked.

    refs: files by data set and branch. cut: after how many bytes of a file the connection ends, once. altered: other
    bytes than the commit lists. refused: status and error code by data set; `files_refused` only for its files.
    """

    refs: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    kept: dict[str, dict[str, bytes]] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    altered: dict[str, bytes] = field(default_factory=dict)
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)
    files_refused: dict[str, tuple[int, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    url: str = ""

    def put(self, repository: str, files: dict[str, bytes], ref: str = "main") -> str:
        """Commit files to a branch; return the commit. Earlier commits stay."""
        commit = commit_of(files)
        self.refs.setdefault(repository, {})[ref] = files
        self.kept[commit] = files
        return commit

    def files(self, repository: str, revision: str) -> dict[str, bytes] | None:
        return self.refs.get(repository, {}).get(revision) or self.kept.get(revision)

    @property
    def fetched(self) -> list[str]:
        """The files whose bytes were asked for, in order."""
        return [
            line.split("/resolve/")[1].partition("/")[2] for line in self.asked if line.startswith("GET /datasets/")
        ]


@contextmanager
def serving() -> Iterator[Hub]:
    """Serve a hub until the end of the block."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answers", (_Answers,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Answers(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.0"

    def log_message(self, *ignored: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        parts = path.removeprefix("/api").split("/")
        repository, rest = "/".join(parts[2:4]), "/".join(parts[5:])
        refused = self.hub.refused.get(repository)
        if refused or repository not in self.hub.refs:
            self.refuse(*(refused or (404, "RepoNotFound")))
        elif path.startswith("/api/"):
            self.list(repository, rest)
        elif repository in self.hub.files_refused:
            self.refuse(*self.hub.files_refused[repository])
        else:
            revision, _, name = rest.partition("/")
            self.serve(revision, name)

    def refuse(self, status: int, code: str) -> None:
        self.answer(status, b"", {"X-Error-Code": code, "X-Error-Message": code})

    def list(self, repository: str, revision: str) -> None:
        files = self.hub.files(repository, revision)
        if files is None:
            return self.refuse(404, "RevisionNotFound")
        siblings = [described(name, content) for name, content in files.items()]
        told = {"id": repository, "sha": commit_of(files), "siblings": siblings}
        self.answer(200, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def serve(self, revision: str, name: str) -> None:
        content = self.hub.kept.get(revision, {}).get(name)
        if content is None:
            return self.refuse(404, "EntryNotFound")
        headers = {"X-Repo-Commit": revision, "ETag": f'"{digest(content)}"', "Accept-Ranges": "bytes"}
        if len(content) >= LARGE:
            headers |= {"X-Linked-Etag": f'"{digest(content)}"', "X-Linked-Size": str(len(content))}
        content, status = self.hub.altered.get(name, content), 200
        asked = self.headers.get("Range", "")
        if asked:
            self.hub.ranges.append(asked)
            start, status = int(asked.removeprefix("bytes=").partition("-")[0]), 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content = content[start:]
        self.answer(status, content, headers, self.hub.cut.pop(name, None) if self.command == "GET" else None)

    def answer(self, status: int, content: bytes, headers: dict[str, str], stop: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[:stop])


def digest(content: bytes) -> str:
    if len(content) >= LARGE:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def described(name: str, content: bytes) -> dict[str, Any]:
    if len(content) < LARGE:
        return {"rfilename": name, "size": len(content), "blobId": digest(content)}
    large = {"size": len(content), "sha256": digest(content), "pointerSize": 134}
    return {"rfilename": name, "size": len(content), "blobId": "f" * 40, "lfs": large}
