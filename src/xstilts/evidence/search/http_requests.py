"""Wire: one request and its reply, with nothing believed: how large, how slow, where it leads.

A reply is cut off where it grows too large or too slow, redirects are followed to the same origin or to https alone and
never take a key along, and what went wrong is told in our own words, which hold no address and no part of a reply.

>>> waits("7")
7.0
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

import httpx

import xstilts
from xstilts.evidence.search.hosts import LOOPBACK, Host

MAX_REDIRECTS = 5
TOO_LARGE = "the reply is larger than"  # which says nothing against its source
LOOPBACK_PATTERNS = tuple(f"[{name}]" if ":" in name else name for name in LOOPBACK)  # as addresses have them
RETRY_STATUSES = (408, 425, 429, 500, 502, 503, 504)


class RequestError(Exception):
    """Why a request got nothing of use; `again` where another try may, after `wait` seconds if the source says so."""

    def __init__(self, reason: str, again: bool = False, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.again, self.wait = reason, again, wait


@dataclass(frozen=True)
class Request:
    """A request without its secrets: source, path below its address, parameters.

    may_be_absent: whether "404 not found" is an answer (nobody has such a work) instead of a failure.
    """

    source: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    may_be_absent: bool = False


class HttpSession:
    """A connection that lasts for many requests."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        here: dict[str, httpx.BaseTransport | None] = {f"all://{name}": None for name in LOOPBACK_PATTERNS}  # no proxy
        self.http = httpx.Client(
            timeout=seconds,
            follow_redirects=False,
            mounts=here,
            headers={"User-Agent": f"xstilts/{xstilts.__version__}"},
        )

    def close(self) -> None:
        """End the connections."""
        self.http.close()

    def send(self, host: Host, asked: Request) -> tuple[int, bytes]:
        """Return the status (200, or 404 where that is an answer) and the body; raise Trouble otherwise."""
        key, params = host.key(), list(asked.params)
        headers = {host.key_header: key} if key and host.key_header else {}
        if key and host.key_parameter:
            params.append((host.key_parameter, key))
        url = str(httpx.URL(host.url + asked.path, params=params))
        for _ in range(MAX_REDIRECTS + 1):
            status, body, to = self._reply(url, headers, host.most_bytes)
            if not to:
                if status == 404 and not asked.may_be_absent:
                    raise RequestError("HTTP 404")
                return status, _redacted(key, body)
            target = _redirect_target(url, to)
            url, headers = target, headers if _stays_at_origin(url, target) else {}
        raise RequestError(f"more than {MAX_REDIRECTS} redirects")

    def _reply(self, url: str, headers: dict[str, str], most: int) -> tuple[int, bytes, str]:
        """Return status, body and where a redirect leads to ("" where it is none)."""
        until = time.monotonic() + 4 * self.seconds
        with _translated_errors(), _quiet_loggers(), self.http.stream("GET", url, headers=headers) as response:
            if response.has_redirect_location:
                return response.status_code, b"", response.headers["location"]
            if response.status_code not in (200, 404):
                raise _error_from_status(response)
            blocks, size = [], 0
            for block in response.iter_bytes():
                size += len(block)
                if size > most:
                    raise RequestError(f"{TOO_LARGE} {most:,} bytes")
                if time.monotonic() > until:
                    raise RequestError("the reply takes too long", again=True)
                blocks.append(block)
            return response.status_code, b"".join(blocks), ""


def retry_after_seconds(retry_after: str) -> float | None:
    """Return the seconds that a Retry-After header asks for, written as a number or as a date; None where neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _error_from_status(response: httpx.Response) -> RequestError:
    status = response.status_code
    remedy = "; check the key in its variable" if status in (401, 403) else ""
    return RequestError(
        f"HTTP {status}{remedy}", status in RETRY_STATUSES, retry_after_seconds(response.headers.get("retry-after", ""))
    )


def _redirect_target(url: str, to: str) -> str:
    """Return where a redirect leads to; raise Trouble where that is no address."""
    try:
        target = urljoin(url, to)
        urlsplit(target)
    except ValueError as error:
        raise RequestError("redirected to what is no address") from error
    return target


def _stays_at_origin(url: str, target: str) -> bool:
    """Say whether a redirect stays at its origin (so that a key may go along); raise Trouble where it may not lead."""
    here, there = urlsplit(url), urlsplit(target)
    same = here[:2] == there[:2]
    if not same and there.scheme != "https":
        raise RequestError("redirected away from where it was asked, and not to https; it is not followed")
    return same


def _redacted(key: str, body: bytes) -> bytes:
    """Take a key out of a reply that repeats it: replies are stored."""
    return body.replace(key.encode(), b"[key]") if len(key) >= 4 else body


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Turn what the library raises into Trouble, in words of our own (its own may hold an address with a key)."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise RequestError("timed out", again=True) from error
    except httpx.RemoteProtocolError as error:
        raise RequestError("the reply broke off", again=True) from error
    except httpx.DecodingError as error:
        raise RequestError("the reply cannot be unpacked", again=True) from error
    except httpx.TransportError as error:
        raise RequestError("cannot be reached", again=True) from error
    except (httpx.InvalidURL, httpx.StreamError, UnicodeError) as error:
        raise RequestError("redirected to what is no address") from error


@contextmanager
def _quiet_loggers(names: Sequence[str] = ("httpx", "httpcore")) -> Iterator[None]:
    """Keep addresses, in which a key may stand, out of the library's log."""
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
