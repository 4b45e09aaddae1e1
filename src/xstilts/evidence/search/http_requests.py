"""HTTP requests to untrusted servers: bounded in size and time, with restricted redirects.

A reply is cut off when it grows too large or too slow. Redirects are followed within the same origin or to https only,
and never carry an API key to another origin. Error messages hold no address and no part of a reply, since either may
hold a key.

>>> retry_after_seconds("7")
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
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import xstilts
from xstilts.evidence.search.hosts import LOOPBACK, Host

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 5
TOO_LARGE = "the reply is larger than"  # does not count as a failure of the source
LOOPBACK_PATTERNS = tuple(f"[{name}]" if ":" in name else name for name in LOOPBACK)  # as written in addresses
RETRY_STATUSES = (408, 425, 429, 500, 502, 503, 504)


class RequestError(Exception):
    """A request without a usable reply.

    Attributes:
        reason: What went wrong, without addresses.
        retryable: Whether another attempt may succeed.
        retry_after: Seconds to wait before it, if the source says so.
    """

    def __init__(self, reason: str, retryable: bool = False, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.retryable, self.retry_after = reason, retryable, retry_after


@dataclass(frozen=True)
class Request:
    """A GET request without its API key.

    Attributes:
        source: Name of the source.
        path: Path below the source's address.
        params: Query parameters.
        not_found_ok: Whether 404 is an answer (the source has no such record) rather than a failure.
    """

    source: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    not_found_ok: bool = False


class HttpSession:
    """A pool of HTTP connections.

    Args:
        timeout: Timeout in seconds without a byte; a whole reply may take four times as long.
    """

    def __init__(self, timeout: float) -> None:
        import httpx

        self.timeout = timeout
        mounts: dict[str, httpx.BaseTransport | None] = {
            f"all://{name}": None for name in LOOPBACK_PATTERNS
        }  # no proxy
        self.http = httpx.Client(
            timeout=timeout,
            follow_redirects=False,
            mounts=mounts,
            headers={"User-Agent": f"xstilts/{xstilts.__version__}"},
        )

    def close(self) -> None:
        """Close all connections."""
        self.http.close()

    def send(self, host: Host, request: Request) -> tuple[int, bytes]:
        """Send a request and return the reply.

        Args:
            host: Address, limits and API key of the source.
            request: What to request.

        Returns:
            Status (200, or 404 where `request.not_found_ok`) and body.

        Raises:
            RequestError: Anything else: other statuses, timeouts, oversized replies, refused redirects.
        """
        import httpx

        key, params = host.key(), list(request.params)
        headers = {host.key_header: key} if key and host.key_header else {}
        if key and host.key_parameter:
            params.append((host.key_parameter, key))
        url = str(httpx.URL(host.url + request.path, params=params))
        for _ in range(MAX_REDIRECTS + 1):
            status, body, location = self._reply(url, headers, host.max_bytes)
            if not location:
                if status == 404 and not request.not_found_ok:
                    raise RequestError("HTTP 404")
                return status, _redacted(key, body)
            target = _redirect_target(url, location)
            url, headers = target, headers if _stays_at_origin(url, target) else {}
        raise RequestError(f"more than {MAX_REDIRECTS} redirects")

    def _reply(self, url: str, headers: dict[str, str], most: int) -> tuple[int, bytes, str]:
        """Return status, body and redirect target ("" if it is no redirect)."""
        # httpx limits the time of each read alone: a reply that trickles in would never end.
        deadline = time.monotonic() + 4 * self.timeout
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
                if time.monotonic() > deadline:
                    raise RequestError("the reply takes too long", retryable=True)
                blocks.append(block)
            return response.status_code, b"".join(blocks), ""


def retry_after_seconds(retry_after: str) -> float | None:
    """Return the seconds of a Retry-After header, given as a number or a date; None if it is neither."""
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


def _redirect_target(url: str, location: str) -> str:
    """Return the address that a redirect leads to; RequestError if it is invalid."""
    try:
        target = urljoin(url, location)
        urlsplit(target)
    except ValueError as error:
        raise RequestError("redirected to an invalid address") from error
    return target


def _stays_at_origin(url: str, target: str) -> bool:
    """Return whether a redirect stays at its origin, so that a key may go along; RequestError if it is not allowed."""
    origin, destination = urlsplit(url), urlsplit(target)
    same_origin = origin[:2] == destination[:2]
    if not same_origin and destination.scheme != "https":
        raise RequestError("redirected to another origin without https, which is not followed")
    return same_origin


def _redacted(key: str, body: bytes) -> bytes:
    """Replace a key that a reply repeats: replies are stored."""
    return body.replace(key.encode(), b"[key]") if len(key) >= 4 else body


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Turn httpx's exceptions into RequestError with fixed messages: httpx's own may hold an address with a key."""
    import httpx

    try:
        yield
    except httpx.TimeoutException as error:
        raise RequestError("timed out", retryable=True) from error
    except httpx.RemoteProtocolError as error:
        raise RequestError("the reply was cut off", retryable=True) from error
    except httpx.DecodingError as error:
        raise RequestError("the reply cannot be decompressed", retryable=True) from error
    except httpx.TransportError as error:
        raise RequestError("cannot be reached", retryable=True) from error
    except (httpx.InvalidURL, httpx.StreamError, UnicodeError) as error:
        raise RequestError("redirected to an invalid address") from error


@contextmanager
def _quiet_loggers(names: Sequence[str] = ("httpx", "httpcore")) -> Iterator[None]:
    """Keep addresses, which may hold a key, out of the library's log."""
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
