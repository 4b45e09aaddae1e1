"""The client: each reply is asked for once, politely and on record; a source that fails is data; no key is anywhere."""

from __future__ import annotations

import http.server
import io
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from xstilts.errors import InputError
from xstilts.evidence.search import client as clients
from xstilts.evidence.search import http_requests
from xstilts.evidence.search.client import MAX_FAILURES, Client, RetryPolicy
from xstilts.evidence.search.hosts import Host, configured_hosts
from xstilts.evidence.search.http_requests import Request
from xstilts.evidence.search.markup import parse_json_object
from xstilts.evidence.search.response_cache import to_jsonl
from xstilts.evidence.stub.server import Fault, FaultKind, Stub, serving

SEARCH = Request("s2", "/graph/v1/paper/search", (("query", "batch size"), ("offset", "0"), ("limit", "5")))
OTHER = Request("s2", "/graph/v1/paper/search", (("query", "layers"), ("offset", "0"), ("limit", "5")))
KEY = "secret-key-0123456789"
QUICK = RetryPolicy(first_wait=0.0, timeout=5.0)


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving() as served:
        yield served


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the client slept, on a clock that only sleeping moves."""
    slept: list[float] = []
    now = SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append)
    monkeypatch.setattr(clients, "time", now)
    return slept


def client_of(stub: Stub, folder: Path, policy: RetryPolicy = QUICK, offline: bool = False) -> Client:
    return Client(folder, stub.hosts(), policy, offline)


def stored(folder: Path) -> bytes:
    """Return everything below a folder, names too."""
    return b"".join(str(path).encode() + path.read_bytes() for path in folder.rglob("*") if path.is_file())


# Once, and from then on from the folder.


def test_a_reply_is_asked_for_once(stub: Stub, tmp_path: Path) -> None:
    first = client_of(stub, tmp_path)
    found = first.fetch(SEARCH, parse_json_object)
    later = client_of(stub, tmp_path, offline=True)
    assert found is not None
    assert found["total"] > 3
    assert first.fetch(SEARCH, parse_json_object) == later.fetch(SEARCH, parse_json_object) == found
    assert stub.requests == ["s2 /graph/v1/paper/search"]
    assert to_jsonl(first.requests[:1]) == to_jsonl(later.requests)


def test_a_reply_that_is_parsed_once_is_recorded_as_often_as_it_is_asked_for(stub: Stub, tmp_path: Path) -> None:
    parsed: list[bytes] = []
    own, other = client_of(stub, tmp_path), client_of(stub, tmp_path)
    found = [own.fetch_once(SEARCH, lambda body: parsed.append(body) or {"of": body}) for _ in range(3)]
    assert len(parsed) == 1
    assert found[0] is found[1] is found[2] is not None
    assert [other.fetch(SEARCH, parse_json_object) for _ in range(3)]
    assert own.requests == other.requests
    stub.faults["s2"] = Fault("broken")
    assert own.fetch_once(OTHER, parse_json_object) is None
    del stub.faults["s2"]
    assert own.fetch_once(OTHER, parse_json_object) == other.fetch(OTHER, parse_json_object)


def test_a_replay_needs_no_server_and_knows_no_port(tmp_path: Path) -> None:
    with serving() as one:
        found = client_of(one, tmp_path).fetch(SEARCH, parse_json_object)
    with serving() as other:
        assert client_of(other, tmp_path).fetch(SEARCH, parse_json_object) == found
        assert other.requests == []


def test_what_one_mirror_says_is_not_what_another_of_its_machine_says(stub: Stub, tmp_path: Path) -> None:
    found = client_of(stub, tmp_path).fetch(SEARCH, parse_json_object)
    other = Client(tmp_path, {"s2": replace(stub.hosts()["s2"], url=f"{stub.url}/other-mirror")}, QUICK)
    assert found is not None
    assert other.fetch(SEARCH, parse_json_object) is None
    assert [failure.reason for failure in other.failures] == ["HTTP 404"]


def test_what_one_machine_says_is_not_what_another_says(stub: Stub, tmp_path: Path) -> None:
    client_of(stub, tmp_path).fetch(SEARCH, parse_json_object)
    elsewhere = {"s2": replace(stub.hosts()["s2"], url=stub.hosts()["s2"].url.replace("127.0.0.1", "localhost"))}
    named = Client(tmp_path, elsewhere, QUICK)
    assert named.fetch(SEARCH, parse_json_object)
    assert len(stub.requests) == 2
    assert [request.host for request in named.requests] == ["localhost"]


def test_a_damaged_reply_is_asked_for_again(stub: Stub, tmp_path: Path) -> None:
    found = client_of(stub, tmp_path).fetch(SEARCH, parse_json_object)
    (body,) = tmp_path.rglob("*.body")
    body.write_bytes(body.read_bytes().replace(b"total", b"totem"))
    assert client_of(stub, tmp_path, offline=True).fetch(SEARCH, parse_json_object) is None
    assert client_of(stub, tmp_path).fetch(SEARCH, parse_json_object) == found
    assert len(stub.requests) == 2


def test_the_log_says_what_was_asked_and_by_which_bytes_it_was_answered(stub: Stub, tmp_path: Path) -> None:
    client = client_of(stub, tmp_path)
    client.fetch(SEARCH, parse_json_object)
    client.fetch(OTHER, parse_json_object)
    rows = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text().splitlines()]
    assert rows == [json.loads(line) for line in to_jsonl(client.requests).splitlines()]
    assert [row["params"]["query"] for row in rows] == ["batch size", "layers"]
    assert sorted(row["bytes"] for row in rows) == sorted(len(p.read_bytes()) for p in tmp_path.rglob("*.body"))


def test_nobody_having_it_is_an_answer_and_not_a_failure(stub: Stub, tmp_path: Path) -> None:
    client = client_of(stub, tmp_path)
    asked = Request("s2", "/graph/v1/paper/DOI:10.5555/none", not_found_ok=True)
    assert client.fetch(asked, parse_json_object) is None
    assert client.failures == []
    assert [request.status for request in client.requests] == [404]
    assert (
        client.fetch(replace(asked, path="/graph/v1/paper/DOI:10.5555/nil", not_found_ok=False), parse_json_object)
        is None
    )
    assert [failure.reason for failure in client.failures] == ["HTTP 404"]


# Failing.


def test_a_source_that_recovers_is_waited_for(stub: Stub, tmp_path: Path, waited: list[float]) -> None:
    stub.faults["s2"] = Fault("busy", times=2, seconds=7)
    client = client_of(stub, tmp_path)
    assert client.fetch(SEARCH, parse_json_object)
    assert waited == [7.0, 7.0]
    assert client.requests[0].tries == ("HTTP 429", "HTTP 429", "200")
    assert client.failures == []


def test_a_source_that_asks_for_too_long_a_wait_is_left_alone(stub: Stub, tmp_path: Path, waited: list[float]) -> None:
    stub.faults["s2"] = Fault("busy", seconds=3600)
    client = client_of(stub, tmp_path)
    assert client.fetch(SEARCH, parse_json_object) is None
    assert (waited, len(stub.requests)) == ([], 1)
    assert client.failures[0].reason == "HTTP 429"


def test_waits_grow_and_end(stub: Stub, tmp_path: Path, waited: list[float]) -> None:
    stub.faults["s2"] = Fault("broken")
    client = client_of(stub, tmp_path, RetryPolicy(max_attempts=6, first_wait=1.0, max_wait=5.0))
    assert client.fetch(SEARCH, parse_json_object) is None
    assert waited == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert client.failures[0].tries == ("HTTP 500",) * 6


REASONS: dict[FaultKind, str] = {
    "busy": "HTTP 429",
    "broken": "HTTP 500",
    "cut": "cut off",
    "key": "HTTP 401; check the key",
    "nonsense": "not whole JSON",
    "doctype": "not whole JSON",
    "elsewhere": "redirected",
    "moved": "more than 5 redirects",
}


@pytest.mark.parametrize("kind", REASONS)
def test_a_failure_is_data_with_a_reason(stub: Stub, tmp_path: Path, kind: FaultKind) -> None:
    stub.faults["s2"] = Fault(kind)
    client = client_of(stub, tmp_path)
    assert client.fetch(SEARCH, parse_json_object) is None
    assert [failure.source for failure in client.failures] == ["s2"]
    assert REASONS[kind] in client.failures[0].reason
    assert client.requests == []
    assert client.fetch(Request("crossref", "/works", (("query", "batch"),)), parse_json_object)


def test_a_slow_source_is_not_waited_for(stub: Stub, tmp_path: Path) -> None:
    stub.faults["s2"] = Fault("slow", seconds=60)
    client = client_of(stub, tmp_path, RetryPolicy(max_attempts=2, first_wait=0.0, timeout=0.05))
    assert client.fetch(SEARCH, parse_json_object) is None
    assert client.failures[0].tries == ("timed out", "timed out")


def test_a_server_that_is_gone_is_a_failure(tmp_path: Path) -> None:
    with serving() as stub:
        client = client_of(stub, tmp_path)
    assert client.fetch(SEARCH, parse_json_object) is None
    assert client.failures[0].reason == "cannot be reached"


def test_a_reply_too_large_is_cut_off(stub: Stub, tmp_path: Path) -> None:
    client = Client(tmp_path, {"s2": replace(stub.hosts()["s2"], max_bytes=100)}, QUICK)
    assert client.fetch(SEARCH, parse_json_object) is None
    assert client.failures[0].reason == "the reply is larger than 100 bytes"
    assert len(stub.requests) == 1


def test_a_source_that_keeps_failing_is_asked_no_more(stub: Stub, tmp_path: Path) -> None:
    stub.faults["s2"] = Fault("key")
    client = client_of(stub, tmp_path)
    for n in range(5):
        assert client.fetch(replace(SEARCH, params=(("query", str(n)),)), parse_json_object) is None
    assert len(stub.requests) == len(client.failures) == MAX_FAILURES


def test_replies_that_are_too_large_say_nothing_against_their_source(stub: Stub, tmp_path: Path) -> None:
    small = {"s2": replace(stub.hosts()["s2"], max_bytes=100)}
    several = [replace(SEARCH, params=(("query", f"batch {n}"),)) for n in range(2 * MAX_FAILURES)]
    runs = [Client(tmp_path, small, QUICK, offline=offline) for offline in (False, True)]
    for run in runs:
        assert [run.fetch(asked, parse_json_object) for asked in several] == [None] * len(several)
    assert len(stub.requests) == len(several)
    assert to_jsonl(runs[0].failures) == to_jsonl(runs[1].failures)


def test_what_is_kept_is_told_even_where_its_source_is_down(stub: Stub, tmp_path: Path) -> None:
    found = client_of(stub, tmp_path).fetch(SEARCH, parse_json_object)
    stub.faults["s2"] = Fault("key")
    client = client_of(stub, tmp_path)
    for n in range(MAX_FAILURES):
        assert client.fetch(replace(SEARCH, params=(("query", str(n)),)), parse_json_object) is None
    asked = len(stub.requests)
    assert client.fetch(SEARCH, parse_json_object) == found
    assert client.fetch(OTHER, parse_json_object) is None  # and is not asked for
    assert len(stub.requests) == asked


class Odd(http.server.BaseHTTPRequestHandler):
    """A server that redirects to nowhere; `head` is of its replies, a status and one header."""

    head: tuple[int, tuple[str, str]] = (302, ("X-None", ""))

    def log_message(self, *ignored: object) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(self.head[0])
        self.send_header(*self.head[1])
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def odd() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ((302, ("X-None", "")), "HTTP 302"),
        ((304, ("X-None", "")), "HTTP 304"),
        ((302, ("Location", "https://[oops/x")), "redirected to an invalid address"),
        ((302, ("Location", "http://127.0.0.1:99999/")), "redirected to another origin"),
        ((429, ("Retry-After", "Sun, 06 Nov 99999999999999999999 08:49:37 GMT")), "HTTP 429"),
    ],
)
def test_a_reply_that_leads_nowhere_is_a_failure(
    odd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: tuple[int, tuple[str, str]], reason: str
) -> None:
    monkeypatch.setattr(Odd, "head", head)
    client = Client(tmp_path, {"s2": Host("s2", odd, 0.0)}, QUICK)
    assert client.fetch(SEARCH, parse_json_object) is None
    assert client.failures[0].reason.startswith(reason)


def test_this_machine_is_asked_without_a_proxy(stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert client_of(stub, tmp_path).fetch(SEARCH, parse_json_object)
    opened = http_requests.HttpSession(1.0)
    mounted = {pattern.pattern: proxy for pattern, proxy in opened.http._mounts.items()}
    opened.close()
    assert all(mounted[f"all://{name}"] is None for name in ("127.0.0.1", "localhost", "[::1]"))


def test_failures_are_replayed_and_keep_their_time(stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.faults["s2"] = Fault("broken")
    monkeypatch.setattr(clients, "_now", iter(f"time {n}" for n in range(9)).__next__)
    runs = [client_of(stub, tmp_path, offline=offline) for offline in (False, False, True)]
    for run in runs:
        assert run.fetch(SEARCH, parse_json_object) is None
    assert to_jsonl(runs[0].failures) == to_jsonl(runs[1].failures) == to_jsonl(runs[2].failures)
    stub.faults.clear()
    assert client_of(stub, tmp_path).fetch(SEARCH, parse_json_object)
    assert client_of(stub, tmp_path, offline=True).fetch(SEARCH, parse_json_object)


def test_what_was_never_asked_fails_offline(stub: Stub, tmp_path: Path) -> None:
    client = client_of(stub, tmp_path, offline=True)
    assert client.fetch(SEARCH, parse_json_object) is None
    assert (stub.requests, len(client.failures), stored(tmp_path)) == ([], 1, b"")


# Manners, keys and addresses.


def test_each_host_has_its_pace(stub: Stub, tmp_path: Path, waited: list[float]) -> None:
    hosts = {name: replace(host, min_interval=3.0) for name, host in stub.hosts().items()}
    client = Client(tmp_path, hosts, QUICK)
    for asked in (SEARCH, Request("crossref", "/works", (("query", "batch"),)), OTHER, SEARCH):
        assert client.fetch(asked, parse_json_object)
    assert waited == [3.0]  # for the second to the same host; the last was not sent


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that is logged."""
    text, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(text), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.setLevel(level)
    root.removeHandler(handler)


def test_keys_are_sent_and_are_in_no_file_log_or_message(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    monkeypatch.setenv("S2_API_KEY", KEY)
    monkeypatch.setenv("OPENALEX_API_KEY", KEY + "-oa")
    client = client_of(stub, tmp_path)
    assert client.fetch(SEARCH, parse_json_object)
    works = Request("openalex", "/works", (("search", "batch size"),))
    assert client.fetch(works, parse_json_object)
    stub.faults |= {"s2": Fault("echo", times=1), "openalex": Fault("broken")}
    assert client.fetch(OTHER, parse_json_object) == {"total": 0, "data": [], "key": "[key]"}
    assert client.fetch(replace(works, params=(("search", "layers"),)), parse_json_object) is None
    assert stub.keys == {KEY, KEY + "-oa"}
    told = repr((client.requests, client.failures, client.hosts)) + log.getvalue()
    assert KEY.encode() not in stored(tmp_path) + told.encode()


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_blank_key_is_not_sent(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("OPENALEX_API_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("OPENALEX_API_KEY", value)
    client = client_of(stub, tmp_path)
    assert client.fetch(Request("openalex", "/works", (("search", "batch size"),)), parse_json_object)
    assert stub.keys == set()


def test_a_key_never_travels_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2_API_KEY", KEY)
    urls = {"http://mirror.example": "", "https://mirror.example": KEY, "http://localhost:1": KEY}
    for url, sent in urls.items():
        assert configured_hosts({"XSTILTS_S2_URL": url})["s2"].key() == sent


def test_a_redirect_may_stay_or_lead_to_https_and_takes_no_key_along(stub: Stub, tmp_path: Path) -> None:
    stub.faults["s2"] = Fault("moved", times=1)
    assert client_of(stub, tmp_path).fetch(SEARCH, parse_json_object)
    assert http_requests._stays_at_origin("https://a.example/x", "https://a.example/y") is True
    assert http_requests._stays_at_origin("http://a.example/x", "https://b.example/x") is False
    for here, there in (("https://a.example", "http://a.example"), ("http://a.example", "file:///etc/passwd")):
        with pytest.raises(http_requests.RequestError):
            http_requests._stays_at_origin(here, there)


@pytest.mark.parametrize(
    "url",
    [
        "export.arxiv.org",
        "http://[::1",
        "http://x:99999",
        "http://x:y",
        "ftp://x",
        "https://me:word@x.example",
        "https://x.example?key=1",
    ],
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="XSTILTS_ARXIV_URL"):
        configured_hosts({"XSTILTS_ARXIV_URL": url})


def test_paces_are_the_sources_own_but_on_this_machine() -> None:
    assert configured_hosts({})["arxiv"].min_interval >= 3.0
    assert configured_hosts({"XSTILTS_ARXIV_URL": "http://127.0.0.1:1/arxiv/"})["arxiv"] == Host(
        "arxiv", "http://127.0.0.1:1/arxiv", 0.0
    )


def test_an_unknown_source_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pubmed"):
        Client(tmp_path).fetch(Request("pubmed", "/"), len)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("12", 12.0),
        ("soon", None),
        ("-3", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", None),
        ("9" * 400, float("inf")),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert http_requests.retry_after_seconds(header) == seconds
