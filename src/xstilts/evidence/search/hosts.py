"""Addresses, rate limits and API keys of the literature sources.

Addresses come from the environment (XSTILTS_ARXIV_URL, XSTILTS_S2_URL, ...), so that a mirror or the stub can replace
the real ones; XSTILTS_FOLDER names a local folder of papers. A key is read from the environment when it is sent and
stored nowhere: no object, file or message holds one.

>>> configured_hosts({"XSTILTS_S2_URL": "http://127.0.0.1:8000/s2"})["s2"].min_interval
0.0
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, urlsplit

from xstilts.errors import InputError

MIB = 1 << 20
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Host:
    """Address and limits of a source.

    Attributes:
        name: Name of the source.
        url: Base address; for the source "folder" a path.
        min_interval: Least seconds between two requests.
        key_variable: Environment variable of the API key, "" if the source has none.
        key_header: HTTP header that carries the key.
        key_parameter: Query parameter that carries the key, where there is no header for it.
        max_bytes: Largest accepted reply, decompressed.
    """

    name: str
    url: str
    min_interval: float
    key_variable: str = ""
    key_header: str = ""
    key_parameter: str = ""
    max_bytes: int = 64 * MIB

    @property
    def hostname(self) -> str:
        """Host name without the port; part of a reply's cache key."""
        return urlsplit(self.url).hostname or ""

    @property
    def path(self) -> str:
        """The path of the base address, "" if it has none: one machine may hold mirrors of several sources."""
        return urlsplit(self.url).path

    def key(self) -> str:
        """Return the API key; "" without one, or if it would be sent unencrypted to another machine."""
        private = self.url.startswith("https://") or self.hostname in LOOPBACK
        return os.environ.get(self.key_variable, "").strip() if self.key_variable and private else ""


# Intervals that the sources ask for: arXiv one request in three seconds, Semantic Scholar one a second with a key.
KNOWN_HOSTS = (
    Host("arxiv", "https://export.arxiv.org", 3.0),
    Host("s2", "https://api.semanticscholar.org", 1.1, "S2_API_KEY", key_header="x-api-key"),
    Host("openalex", "https://api.openalex.org", 0.2, "OPENALEX_API_KEY", key_parameter="api_key"),
    Host("crossref", "https://api.crossref.org", 0.2),
    Host("acl", "https://aclanthology.org", 1.0, max_bytes=512 * MIB),
    Host("folder", "", 0.0),
)


def configured_hosts(environment: Mapping[str, str] | None = None) -> dict[str, Host]:
    """Return the host of each source, with addresses from the environment.

    Args:
        environment: Variables; by default `os.environ`.

    Returns:
        Hosts by source name. A host on this machine has no minimum interval.

    Raises:
        InputError: An address is invalid, or holds a password or parameters (which would be written to logs).
    """
    variables = os.environ if environment is None else environment
    hosts = {}
    for host in KNOWN_HOSTS:
        variable = "XSTILTS_FOLDER" if host.name == "folder" else f"XSTILTS_{host.name.upper()}_URL"
        url = variables.get(variable, "").strip() or host.url
        hosts[host.name] = replace(host, url=url) if host.name == "folder" else _at_url(host, url, variable)
    return hosts


def parse_url(url: str) -> SplitResult | None:
    """Return the parts of an http(s) address, or None if it is not one."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if valid else None


def _at_url(host: Host, url: str, variable: str) -> Host:
    parts = parse_url(url)
    if parts is None:
        raise InputError(f"{variable} is {url!r}, which is no address; give an https:// address")
    if parts.username or parts.password or parts.query:
        raise InputError(f"{variable} holds a password or parameters; give the bare address, and a key in its variable")
    return replace(host, url=url.rstrip("/"), min_interval=0.0 if parts.hostname in LOOPBACK else host.min_interval)
