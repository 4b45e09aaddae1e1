"""Client: everything that is asked of a source of literature is asked here, politely, once, and on record.

One reply is asked for once in the life of its folder; later runs are answered from there, so that they take no network
and give the same bytes. A source that fails is data: `ask` returns None, and `failures` says what, why and when. What a
reply means is for the caller's `parse`; a reply that it cannot use is tried again, and never kept.

>>> Client(Path("no-such-folder"), offline=True).ask(Ask("s2", "/graph/v1/paper/x"), len) is None
True
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from xstilts.errors import InputError
from xstilts.evidence.search.hosts import Host, configured_hosts
from xstilts.evidence.search.http_requests import TOO_LARGE, HttpSession, Request, RequestError
from xstilts.evidence.search.response_cache import Failure, RequestRecord, ResponseCache, to_jsonl
from xstilts.runtime import progress

T = TypeVar("T")
MAX_FAILURES = 2  # failed requests one after another, from which a source is left alone
# What reading a hostile reply raises.
PARSE_ERRORS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True)
class RetryPolicy:
    """How patient a client is: tries a request, seconds of the first wait, of the longest, and to wait for bytes.

    A source that asks for a longer wait than `longest` is not asked again.
    """

    tries: int = 5
    first: float = 1.0
    longest: float = 60.0
    seconds: float = 30.0


class Client:
    """Asks sources, paced for each host; `requests` and `failures` grow as it does."""

    def __init__(
        self,
        cache: Path,
        hosts: Mapping[str, Host] | None = None,
        manners: RetryPolicy | None = None,
        offline: bool = False,
    ) -> None:
        """Keep replies in the folder `cache`; `offline`: answer from it alone."""
        self.hosts = dict(configured_hosts() if hosts is None else hosts)
        self.manners = manners or RetryPolicy()
        self.offline = offline
        self.requests: list[RequestRecord] = []
        self.failures: list[Failure] = []
        self.cache = cache
        self._replies = ResponseCache(cache)
        self._wire: HttpSession | None = None  # made when something is sent: a replay needs none
        self._free: dict[str, float] = {}
        self._failed: dict[str, int] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._wire:
            self._wire.close()

    def ask(self, asked: Request, parse: Callable[[bytes], T]) -> T | None:
        """Return what a source answers, as `parse` reads it; None where it has nothing (404) or fails.

        `parse` raises Trouble, or whatever reading what is not there raises, for a reply that is of no use.
        """
        host = self._host(asked.source)
        kept = self._replies.find(host, asked)
        if kept is not None:
            try:
                return self._accept(kept[0], _parse(parse, kept[0].status, kept[1]))
            except RequestError:
                pass  # kept by a version that could read it; asked again
        return None if self._is_down(asked.source) else self._fetched(host, asked, parse)

    def read(self, source: str, path: str, content: bytes) -> None:
        """Note in the log what was read of a source that is asked without a network."""
        digest = hashlib.sha256(content).hexdigest()
        self.requests.append(RequestRecord(source, "", path, (), 200, "", digest, len(content), ()))

    def fail(self, source: str, reason: str) -> None:
        """Note that a source is of no use, for a reason that no request shows."""
        self.failures.append(Failure(source, "", "", (), reason, "", ()))

    def _host(self, source: str) -> Host:
        if source not in self.hosts:
            raise InputError(f"unknown source {source!r}; known are {', '.join(self.hosts)}")
        return self.hosts[source]

    def _is_down(self, source: str) -> bool:
        return self._failed.get(source, 0) >= MAX_FAILURES

    def _accept(self, request: RequestRecord, meaning: T) -> T:
        if not self._is_down(request.source):  # a reply that is kept does not say that a source is well again
            self._failed[request.source] = 0
        self.requests.append(request)
        return meaning

    def _fetched(self, host: Host, asked: Request, parse: Callable[[bytes], T | None]) -> T | None:
        """Ask the network, up to so many times, and keep what came of it."""
        tries: list[str] = []
        wait = 0.0
        trouble = RequestError("not in the folder of replies, and nothing is asked offline")
        for attempt in range(0 if self.offline else self.manners.tries):
            self._rest(host, wait)
            try:
                status, body = self._open().send(host, asked)
                meaning = _parse(parse, status, body)
                return self._accept(self._kept(host, asked, (status, body), (*tries, str(status))), meaning)
            except RequestError as error:
                trouble = error
            tries.append(trouble.reason)
            wait = max(min(self.manners.first * 2**attempt, self.manners.longest), trouble.wait or 0.0)
            if not trouble.again or wait > self.manners.longest:
                break
        self._note_failure(host, asked, trouble.reason, tuple(tries))
        return None

    def _open(self) -> HttpSession:
        self._wire = self._wire or HttpSession(self.manners.seconds)
        return self._wire

    def _rest(self, host: Host, wait: float) -> None:
        """Wait as long as the source asks for, and for its pace."""
        rest = max(wait, self._free.get(host.name, 0.0) - time.monotonic())
        if rest > 0:
            time.sleep(rest)
        self._free[host.name] = time.monotonic() + host.pace

    def _kept(self, host: Host, asked: Request, reply: tuple[int, bytes], tries: tuple[str, ...]) -> RequestRecord:
        status, body = reply
        digest = hashlib.sha256(body).hexdigest()
        where = (asked.source, host.hostname, asked.path, asked.params)
        request = RequestRecord(*where, status, _now(), digest, len(body), tries)
        self._replies.keep(host, asked, request, body)
        with (self.cache / "requests.jsonl").open("a", encoding="utf-8") as log:
            log.write(to_jsonl([request]))
        return request

    def _note_failure(self, host: Host, asked: Request, reason: str, tries: tuple[str, ...]) -> None:
        """Put a failure on record; one that repeats itself keeps the time of the first, and so its bytes."""
        where = (asked.source, host.hostname, asked.path, asked.params)
        before = self._replies.failure(host, asked)
        failure = Failure(*where, reason, "" if self.offline else _now(), tries)
        if before and (self.offline or (before.reason, before.tries) == (reason, tries)):
            failure = before
        elif not self.offline:
            self._replies.keep_failure(host, asked, failure)
        if not failure.reason.startswith(TOO_LARGE):
            self._failed[asked.source] = self._failed.get(asked.source, 0) + 1
        self.failures.append(failure)
        progress.note(f"{asked.source}: {failure.reason} ({asked.path})")


def _parse(parse: Callable[[bytes], T | None], status: int, body: bytes) -> T | None:
    """Return what a reply means, None where it says that there is nothing; Trouble where it makes no sense."""
    if status == 404:
        return None
    try:
        return parse(body)
    except PARSE_ERRORS as error:
        raise RequestError("the reply cannot be read", again=True) from error


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
