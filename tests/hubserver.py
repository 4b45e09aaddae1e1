"""A hub for tests: repositories in memory, served on a local port in as much of the hub's protocol as downloads of data
sets and uploads of models need."""

from __future__ import annotations

import base64
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
    objects: large files that were uploaded, by digest. visibility: of repositories that were made. writes_refused:
    status by step of an upload ("create", "branch", "preupload", "batch", "upload", "commit", "validate").
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
    objects: dict[str, bytes] = field(default_factory=dict)
    visibility: dict[str, str] = field(default_factory=dict)
    writes_refused: dict[str, int] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
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

    def do_POST(self) -> None:
        """Take a step of an upload, as `huggingface_hub` 1.0 and later calls them."""
        path, body = unquote(urlsplit(self.path).path), self.body()
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        if path == "/api/repos/create":
            step, repository, rest = "create", "", ""
        elif path == "/api/validate-yaml":
            step, repository, rest = "validate", "", ""
        elif path.endswith(".git/info/lfs/objects/batch"):
            step, repository, rest = "batch", path.strip("/").partition(".git/")[0], ""
        else:
            _, _, _, owner, name, step, rest = path.split("/", 6)
            repository = f"{owner}/{name}"
        self.hub.writes.append(step)
        if step in self.hub.writes_refused:
            status = self.hub.writes_refused[step]
            error = {"error": "refused", "errors": [{"message": "license is unknown"}]}
            return self.answer_json(error, status, {"X-Error-Message": "refused"})
        if repository and repository not in self.hub.refs:
            return self.refuse(404, "RepoNotFound")
        getattr(self, f"post_{step}")(body, repository, rest)

    def do_PUT(self) -> None:
        """Take a large file."""
        content = self.body()
        self.hub.writes.append("upload")
        if "upload" in self.hub.writes_refused:
            return self.answer_json({"error": "refused"}, self.hub.writes_refused["upload"])
        oid = urlsplit(self.path).path.rpartition("/")[2]
        assert hashlib.sha256(content).hexdigest() == oid
        self.hub.objects[oid] = content
        self.answer(200, b"", {})

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def post_create(self, body: bytes, repository: str, rest: str) -> None:
        wanted = json.loads(body)
        repository = f"{wanted['organization']}/{wanted['name']}"
        made = {"url": f"{self.hub.url}/{repository}", "id": repository}
        if repository in self.hub.refs:
            return self.answer_json({**made, "error": "You already created this model repo"}, 409)
        self.hub.put(repository, {".gitattributes": b"*.safetensors filter=lfs\n"})
        self.hub.visibility[repository] = wanted.get("visibility", "public")
        self.answer_json(made)

    def post_validate(self, body: bytes, repository: str, rest: str) -> None:
        content = json.loads(body)["content"]
        assert content.startswith("---\n")
        self.answer_json({"errors": [], "warnings": []})

    def post_branch(self, body: bytes, repository: str, rest: str) -> None:
        if rest in self.hub.refs[repository]:
            return self.answer_json({"error": "Reference already exists"}, 409)
        self.hub.refs[repository][rest] = dict(self.hub.refs[repository]["main"])
        self.answer_json({})

    def post_preupload(self, body: bytes, repository: str, rest: str) -> None:
        present = self.hub.files(repository, rest)
        if present is None:
            return self.refuse(404, "RevisionNotFound")
        answers = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["size"] >= LARGE else "regular",
                "shouldIgnore": False,
                "oid": digest(present[file["path"]]) if file["path"] in present else None,
            }
            for file in json.loads(body)["files"]
        ]
        self.answer_json({"files": answers})

    def post_batch(self, body: bytes, repository: str, rest: str) -> None:
        wanted = json.loads(body)["objects"]
        upload = {o["oid"]: {"upload": {"href": f"{self.hub.url}/lfs/{o['oid']}", "header": {}}} for o in wanted}
        objects = [o | ({} if o["oid"] in self.hub.objects else {"actions": upload[o["oid"]]}) for o in wanted]
        self.answer_json({"transfer": "basic", "objects": objects})

    def post_commit(self, body: bytes, repository: str, rest: str) -> None:
        header, *operations = map(json.loads, body.splitlines())
        files = dict(self.hub.refs[repository][rest])
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            else:
                assert operation["key"] == "file"
                files[value["path"]] = base64.b64decode(value["content"])
        commit = self.hub.put(repository, files, rest)
        self.hub.commits.append(header["value"]["summary"])
        self.answer_json({"commitUrl": f"{self.hub.url}/{repository}/commit/{commit}", "commitOid": commit})

    def answer_json(self, values: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.answer(status, json.dumps(values).encode(), {"Content-Type": "application/json", **(headers or {})})

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
        if self.command != "HEAD":
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
