"""Hosts: where each source of literature is asked, how often, and which variable of the environment holds its key.

Addresses come from the environment (XSTILTS_ARXIV_URL, XSTILTS_S2_URL ...), so that a mirror or the stub takes the
place of the real ones; XSTILTS_FOLDER names a folder of files of one's own. A key is read when it is sent and kept
nowhere: no object, file or message holds one.

>>> configured({"XSTILTS_S2_URL": "http://127.0.0.1:8000/s2"})["s2"].pace
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
    """A source's address and what it asks of its guests.

    pace: least seconds between two requests. key_variable: of the environment; the key goes into `key_header`, or where
    there is none into the parameter `key_parameter`. most_bytes: of a reply, unpacked.
    """

    name: str
    url: str
    pace: float
    key_variable: str = ""
    key_header: str = ""
    key_parameter: str = ""
    most_bytes: int = 64 * MIB

    @property
    def hostname(self) -> str:
        """The name of the machine, without the port: part of what a reply is known by."""
        return urlsplit(self.url).hostname or ""

    @property
    def path(self) -> str:
        """What stands before every path that is asked for, "" without any: a machine may have several mirrors."""
        return urlsplit(self.url).path

    def key(self) -> str:
        """Return the key, "" where there is none or where it would travel in the clear."""
        private = self.url.startswith("https://") or self.hostname in LOOPBACK
        return os.environ.get(self.key_variable, "").strip() if self.key_variable and private else ""


# The paces are what the sources ask for: arXiv one request in three seconds, Semantic Scholar one a second with a key.
KNOWN_HOSTS = (
    Host("arxiv", "https://export.arxiv.org", 3.0),
    Host("s2", "https://api.semanticscholar.org", 1.1, "S2_API_KEY", key_header="x-api-key"),
    Host("openalex", "https://api.openalex.org", 0.2, "OPENALEX_API_KEY", key_parameter="api_key"),
    Host("crossref", "https://api.crossref.org", 0.2),
    Host("acl", "https://aclanthology.org", 1.0, most_bytes=512 * MIB),
    Host("folder", "", 0.0),
)


def configured_hosts(environment: Mapping[str, str] | None = None) -> dict[str, Host]:
    """Return the hosts by name, at the addresses that the environment gives; one on this machine has no pace.

    Raises InputError for an address that is none, or that holds a password (it would be written into logs).
    """
    given = os.environ if environment is None else environment
    found = {}
    for host in KNOWN_HOSTS:
        variable = "XSTILTS_FOLDER" if host.name == "folder" else f"XSTILTS_{host.name.upper()}_URL"
        url = given.get(variable, "").strip() or host.url
        found[host.name] = replace(host, url=url) if host.name == "folder" else _at_url(host, url, variable)
    return found


def parse_url(url: str) -> SplitResult | None:
    """Return the parts of an address of the web, None for what is none."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if known else None


def _at_url(host: Host, url: str, variable: str) -> Host:
    parts = parse_url(url)
    if parts is None:
        raise InputError(f"{variable} is {url!r}, which is no address; give one that begins with https://")
    if parts.username or parts.password or parts.query:
        raise InputError(f"{variable} holds a password or parameters; give the bare address, and a key in its variable")
    return replace(host, url=url.rstrip("/"), pace=0.0 if parts.hostname in LOOPBACK else host.pace)
