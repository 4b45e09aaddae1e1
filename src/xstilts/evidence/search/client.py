"""HTTP client for the literature sources: rate-limited, with retries, a response cache and a request log.

Each request is sent once and its reply is cached, so that later runs need no network and give the same bytes. A failing
source raises nothing: `Client.fetch` returns None, and `Client.failures` says what failed, why and when. The caller's
`parse` decides whether a reply is usable; an unusable reply is requested again and never cached.

>>> Client(Path("no-such-folder"), offline=True).fetch(Request("s2", "/graph/v1/paper/x"), len) is None
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
from typing import Any, TypeVar, cast

from xstilts.errors import InputError
from xstilts.evidence.search.hosts import Host, configured_hosts
from xstilts.evidence.search.http_requests import TOO_LARGE, HttpSession, Request, RequestError
from xstilts.evidence.search.response_cache import Failure, RequestRecord, ResponseCache, to_jsonl
from xstilts.runtime import progress

T = TypeVar("T")
MAX_FAILURES = 2  # failed requests in a row after which a source is not asked again
# What parsing a malformed or hostile reply raises.
PARSE_ERRORS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long a client retries a request.

    Attributes:
        max_attempts: Requests sent before giving up.
        first_wait: Seconds before the second attempt; doubled for each further one.
        max_wait: Longest wait in seconds. A source that asks for a longer one (Retry-After) is not asked again.
        timeout: Seconds without a byte after which an attempt has failed.
    """

    max_attempts: int = 5
    first_wait: float = 1.0
    max_wait: float = 60.0
    timeout: float = 30.0


class Client:
    """Client of all sources; a context manager that closes its connections.

    Attributes:
        hosts: Address and limits of each source, by name.
        requests: A record of each answered request so far, also of those answered from the cache.
        failures: Each request without a usable reply so far.
    """

    def __init__(
        self,
        cache: Path,
        hosts: Mapping[str, Host] | None = None,
        policy: RetryPolicy | None = None,
        offline: bool = False,
    ) -> None:
        """Set up a client; no request is sent.

        Args:
            cache: Folder of cached replies and of the request log.
            hosts: Hosts by source; by default those of the environment (`configured_hosts`).
            policy: Retries and timeouts.
            offline: Answer from the cache alone.
        """
        self.hosts = dict(configured_hosts() if hosts is None else hosts)
        self.policy = policy or RetryPolicy()
        self.offline = offline
        self.requests: list[RequestRecord] = []
        self.failures: list[Failure] = []
        self.cache = cache
        self._cache = ResponseCache(cache)
        self._session: HttpSession | None = None  # opened with the first request that is sent: a replay needs none
        self._free: dict[str, float] = {}  # by host: monotonic time from which it may be asked again
        self._failed: dict[str, int] = {}  # by source: failures in a row
        self._parsed: dict[Request, tuple[RequestRecord, Any]] = {}  # replies that are parsed once

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            self._session.close()

    def fetch(self, request: Request, parse: Callable[[bytes], T]) -> T | None:
        """Return the parsed reply to a request, from the cache or the network.

        Args:
            request: What to request.
            parse: Reads the body; raises RequestError or any of `PARSE_ERRORS` for an unusable reply.

        Returns:
            What `parse` returns; None if the source has no such record (404) or fails.

        Raises:
            InputError: `request.source` is not among the hosts.
        """
        host = self._host(request.source)
        cached = self._cache.find(host, request)
        if cached is not None:
            try:
                return self._accept(cached[0], _parse(parse, cached[0].status, cached[1]))
            except RequestError:
                pass  # cached by a version that could read it: request it again
        return None if self._is_down(request.source) else self._fetch_from_network(host, request, parse)

    def fetch_once(self, request: Request, parse: Callable[[bytes], T]) -> T | None:
        """Return what `fetch` does, parsed by the first call alone; every call is recorded.

        Args:
            request: What to request.
            parse: As of `fetch`; the same for all calls with this request.

        Returns:
            What `parse` returned; None if the source has no such record or fails.
        """
        if request in self._parsed:
            record, kept = self._parsed[request]
            return cast(T, self._accept(record, kept))
        parsed = self.fetch(request, parse)
        if parsed is not None:
            self._parsed[request] = self.requests[-1], parsed
        return parsed

    def log_read(self, source: str, path: str, content: bytes) -> None:
        """Log a file that was read from a source that needs no network.

        Args:
            source: The name of the source.
            path: The path of the file.
            content: Its bytes, of which the digest and the number are logged.
        """
        digest = hashlib.sha256(content).hexdigest()
        self.requests.append(RequestRecord(source, "", path, (), 200, "", digest, len(content), ()))

    def log_failure(self, source: str, reason: str) -> None:
        """Log that a source cannot be used, where no request shows it.

        Args:
            source: The name of the source.
            reason: The reason and the remedy.
        """
        self.failures.append(Failure(source, "", "", (), reason, "", ()))

    def _host(self, source: str) -> Host:
        if source not in self.hosts:
            raise InputError(f"unknown source {source!r}; known are {', '.join(self.hosts)}")
        return self.hosts[source]

    def _is_down(self, source: str) -> bool:
        return self._failed.get(source, 0) >= MAX_FAILURES

    def _accept(self, record: RequestRecord, parsed: T) -> T:
        if not self._is_down(record.source):  # a cached reply does not show that a source works again
            self._failed[record.source] = 0
        self.requests.append(record)
        return parsed

    def _fetch_from_network(self, host: Host, request: Request, parse: Callable[[bytes], T | None]) -> T | None:
        """Send a request up to `policy.max_attempts` times; store the reply, or log the failure and return None."""
        tries: list[str] = []
        wait = 0.0
        failure = RequestError("not in the cache, and offline mode sends no requests")
        for attempt in range(0 if self.offline else self.policy.max_attempts):
            self._wait(host, wait)
            try:
                status, body = self._open().send(host, request)
                parsed = _parse(parse, status, body)
                return self._accept(self._store(host, request, (status, body), (*tries, str(status))), parsed)
            except RequestError as error:
                failure = error
            tries.append(failure.reason)
            wait = max(min(self.policy.first_wait * 2**attempt, self.policy.max_wait), failure.retry_after or 0.0)
            if not failure.retryable or wait > self.policy.max_wait:
                break
        self._note_failure(host, request, failure.reason, tuple(tries))
        return None

    def _open(self) -> HttpSession:
        self._session = self._session or HttpSession(self.policy.timeout)
        return self._session

    def _wait(self, host: Host, wait: float) -> None:
        """Sleep until the host may be asked again: `wait` seconds, or the rest of its minimum interval."""
        delay = max(wait, self._free.get(host.name, 0.0) - time.monotonic())
        if delay > 0:
            time.sleep(delay)
        self._free[host.name] = time.monotonic() + host.min_interval

    def _store(self, host: Host, request: Request, reply: tuple[int, bytes], tries: tuple[str, ...]) -> RequestRecord:
        """Write a reply to the cache and the request log; return its record."""
        status, body = reply
        digest = hashlib.sha256(body).hexdigest()
        where = (request.source, host.hostname, request.path, request.params)
        record = RequestRecord(*where, status, _now(), digest, len(body), tries)
        self._cache.store(host, request, record, body)
        with (self.cache / "requests.jsonl").open("a", encoding="utf-8") as log:
            log.write(to_jsonl([record]))
        return record

    def _note_failure(self, host: Host, request: Request, reason: str, tries: tuple[str, ...]) -> None:
        """Log a failure; the same failure again keeps the time of the first, so that a replay gives the same bytes."""
        where = (request.source, host.hostname, request.path, request.params)
        before = self._cache.find_failure(host, request)
        failure = Failure(*where, reason, "" if self.offline else _now(), tries)
        if before and (self.offline or (before.reason, before.tries) == (reason, tries)):
            failure = before
        elif not self.offline:
            self._cache.store_failure(host, request, failure)
        # An oversized reply does not show that the source is down.
        if not failure.reason.startswith(TOO_LARGE):
            self._failed[request.source] = self._failed.get(request.source, 0) + 1
        self.failures.append(failure)
        progress.note(f"{request.source}: {failure.reason} ({request.path})")


def _parse(parse: Callable[[bytes], T | None], status: int, body: bytes) -> T | None:
    """Return the parsed body, None for 404; RequestError if it cannot be parsed."""
    if status == 404:
        return None
    try:
        return parse(body)
    except PARSE_ERRORS as error:
        raise RequestError("the reply cannot be parsed", retryable=True) from error


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
