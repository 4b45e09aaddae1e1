"""The stub's HTTP server: the five sources on one local port, each below its name, with optional faults.

>>> with serving({"s2": Fault("busy")}) as stub:
...     stub.url.startswith("http://127.0.0.1:"), sorted(stub.environment())[0]
(True, 'XSTILTS_ACL_URL')
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, get_args
from urllib.parse import parse_qsl, urlsplit

from xstilts.evidence.search.hosts import Host, configured_hosts
from xstilts.evidence.stub import answers
from xstilts.evidence.stub.answers import Response, StubRequest

FaultKind = Literal[
    "busy", "broken", "empty", "null", "cut", "slow", "key", "nonsense", "doctype", "elsewhere", "moved", "echo"
]
FAULT_KINDS: tuple[str, ...] = get_args(FaultKind)
SOURCES: dict[str, Callable[[StubRequest], Response]] = {
    "arxiv": answers.arxiv,
    "s2": answers.s2,
    "openalex": answers.openalex,
    "crossref": answers.crossref,
    "acl": answers.acl,
}
BOMB = b'<?xml version="1.0"?><!DOCTYPE f [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><feed>&b;</feed>'


@dataclass(frozen=True)
class Fault:
    """How a source fails.

    Attributes:
        kind: busy: 429 with Retry-After of `seconds`; broken: 500; empty: no works although there are matches; null: no
            abstracts; cut: half a body; slow: silent for `seconds`; key: 401; nonsense: an HTML page; doctype: XML with
            entities; elsewhere: a redirect to another machine; moved: a redirect to itself; echo: the API key in the
            reply.
        times: How often it fails before it recovers; -1: always.
        seconds: Duration of a wait.
    """

    kind: FaultKind
    times: int = -1
    seconds: float = 0.0


@dataclass
class Stub:
    """State of a running stub.

    Attributes:
        faults: Fault by source; may be changed while it serves.
        requests: Source and path of each request so far.
        keys: API keys received.
        url: Address of the server.
        ended: Set when the server stops.
    """

    faults: dict[str, Fault] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    url: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    def environment(self) -> dict[str, str]:
        """Return the environment variables that direct a client to the stub."""
        return {f"XSTILTS_{name.upper()}_URL": f"{self.url}/{name}" for name in SOURCES}

    def hosts(self) -> dict[str, Host]:
        """Return the hosts that direct a client to the stub."""
        return configured_hosts(self.environment())

    def fault(self, source: str) -> Fault | None:
        """Return the fault of a source for this request, and count it."""
        fault = self.faults.get(source)
        if fault and fault.times > 0:
            self.faults[source] = replace(fault, times=fault.times - 1)
        return fault if fault and fault.times else None


@contextmanager
def serving(faults: Mapping[str, Fault] | None = None, port: int = 0) -> Iterator[Stub]:
    """Serve the sources within a `with` block.

    Args:
        faults: Fault by source.
        port: Port; by default any free one.

    Yields:
        The running stub.
    """
    stub = Stub(dict(faults or {}))
    server = ThreadingHTTPServer(("127.0.0.1", port), type("Answers", (_Answers,), {"stub": stub}))
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        stub.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Answers(BaseHTTPRequestHandler):
    stub: Stub
    protocol_version = "HTTP/1.0"

    def log_message(self, *ignored: object) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        name, _, rest = parts.path.lstrip("/").partition("/")
        params = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.stub.requests.append(f"{name} /{rest}")
        self.stub.keys |= {self.key(), params.get("api_key", "")} - {""}
        if name not in SOURCES:
            return self.answer(404, b"")
        fault = self.stub.fault(name)
        try:
            self.fail(name, StubRequest(f"/{rest}", params), fault)
        except (KeyError, ValueError):
            self.answer(400, b'{"error": "bad request"}')
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has hung up

    def key(self) -> str:
        return str(self.headers.get("x-api-key", ""))

    def fail(self, name: str, request: StubRequest, fault: Fault | None) -> None:
        """Reply as the fault demands, or normally without one."""
        match fault.kind if fault else None:
            case "busy":
                return self.answer(429, b"slow down", {"Retry-After": f"{fault.seconds:g}" if fault else "0"})
            case "broken":
                return self.answer(500, b"oh no")
            case "key":
                return self.answer(401, b'{"message": "bad key"}')
            case "nonsense":
                return self.answer(200, b"<!-- <html> --><p>We are having a rest &nbsp;")
            case "doctype":
                return self.answer(200, BOMB)
            case "elsewhere":
                return self.answer(302, b"", {"Location": "http://127.0.0.2:9/latest/meta-data"})
            case "moved":
                return self.answer(302, b"", {"Location": self.path})
            case "echo":
                return self.answer(200, json.dumps({"total": 0, "data": [], "key": self.key()}).encode())
            case "slow":
                self.stub.ended.wait(fault.seconds if fault else 0)
        fault_kind = fault.kind if fault else None
        status, body = SOURCES[name](replace(request, empty=fault_kind == "empty", bare=fault_kind == "null"))
        self.answer(status, body, stop=len(body) // 2 if fault_kind == "cut" else None)

    def answer(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, stop: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:stop])
