"""A language model: whatever it answers, and wherever it is, no run breaks and no key goes astray."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from xstilts.errors import InputError
from xstilts.evidence.claims import llm_client
from xstilts.evidence.claims.llm_client import LanguageModel
from xstilts.evidence.claims.llm_proposals import parse_quotes
from xstilts.evidence.report import llm_opinion
from xstilts.evidence.report.llm_opinion import parse_opinion

KEY = "secret-key-of-nobody-0123456789"
DEEP = "[" * 100_000 + "]"


class Answers(http.server.BaseHTTPRequestHandler):
    """A language model that answers `body`; what it was sent as a key is in `heard`."""

    body = b""
    heard: ClassVar[list[str]] = []

    def log_message(self, *ignored: object) -> None:
        pass

    def do_POST(self) -> None:
        self.heard.append(str(self.headers.get("Authorization", "")))
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)


def served(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Answers, "heard", [])
    yield from served(Answers)


def said(text: str) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}}]}).encode()


@pytest.mark.parametrize("reply", [DEEP, f"Sure: {DEEP}", "[1", "[", "{}", "", '["a", 3', "[" + "9" * 5000 + "]"])
def test_a_reply_without_a_list_proposes_nothing_and_says_nothing(reply: str) -> None:
    assert list(parse_quotes(reply)) == parse_opinion(reply) == []


def test_what_no_file_can_hold_is_taken_out_of_a_reply() -> None:
    assert list(parse_quotes('["A \\ud800 b.\\u0000"]')) == ["A   b. "]
    (check,) = parse_opinion('[{"check": 1, "passed": true, "why": "It\\ud800 does\\u0000."}]')
    assert check["why"] == "It does ."


@pytest.mark.parametrize(
    "body", [DEEP.encode(), b"\xff", b"[]", b"{}", said(""), b'{"choices": [{"message": {"content": 5}}]}']
)
def test_a_reply_that_is_no_answer_is_none(
    here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(Answers, "body", body)
    assert not LanguageModel(here, "m", tmp_path).complete("Say.", "Text.")
    assert llm_opinion.parse_opinion(LanguageModel(here, "m", tmp_path).complete("Say.", "Text.") or "") == []


def test_a_reply_too_large_is_cut_off(here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Answers, "body", said("long"))
    assert LanguageModel(here, "m", tmp_path / "one").complete("Say.", "Text.") == "long"
    monkeypatch.setattr(llm_client, "MAX_BYTES", 10)
    assert LanguageModel(here, "m", tmp_path / "other").complete("Say.", "Text.") is None


def test_this_machine_is_asked_without_a_proxy(here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Proxy(Answers):
        heard: ClassVar[list[str]] = []
        body = said("I am the proxy.")

    monkeypatch.setattr(Answers, "body", said("I am here."))
    monkeypatch.setenv(llm_client.KEY_VARIABLE, KEY)
    for proxy in served(Proxy):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        assert LanguageModel(here, "m", tmp_path).complete("Say.", "Text.") == "I am here."
        away = LanguageModel("http://model.example/v1", "m", tmp_path).complete("Say.", "Text.")
    assert Answers.heard == [f"Bearer {KEY}"]
    assert (away, Proxy.heard) == ("I am the proxy.", [""])  # another machine is, and gets no key in the clear


@pytest.mark.parametrize("url", ["http://[::1", "http://x:99999", "model", "ftp://x", "http://me@x", "http://x?key=1"])
def test_an_address_that_is_none_is_named(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match="not a bare address"):
        LanguageModel(url, "m", tmp_path)


def test_a_kept_reply_that_is_damaged_is_asked_for_again(
    here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answers, "body", said("long"))
    model = LanguageModel(here, "m", tmp_path)
    assert model.complete("Say.", "Text.") == "long"
    (kept,) = tmp_path.glob("*.json")
    kept.write_text(DEEP)
    assert model.complete("Say.", "Text.") == "long"
    assert len(Answers.heard) == 2
