"""Ids: the names under which a work is known, each in one spelling, so that the same work is seen to be the same.

A DOI is lower case, an arXiv id has no version, and what one id says of another is used: arXiv's own DOIs are arXiv
ids, and those of the ACL hold the Anthology's id.

>>> ids(doi="https://doi.org/10.48550/arXiv.2005.13013v2").best
'arxiv:2005.13013'
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

DOI = re.compile(r"10\.\d{4,9}/[^\s\ud800-\udfff]+")
ARXIV = re.compile(r"(?:(?<![\d.])\d{4}\.\d{4,5}|[a-z-]+(?:\.[a-z]{2})?/\d{7})(?=v\d|[^\d]|$)", re.IGNORECASE)
ACL = re.compile(r"[A-Z]\d{2}-\d{4}|\d{4}\.[a-z0-9_]+-[a-z0-9_]+\.\d+", re.IGNORECASE)
S2 = re.compile(r"[0-9a-f]{40}")
OPENALEX = re.compile(r"W\d+")
ARXIV_DOI_PREFIX, ACL_DOI_PREFIX = "10.48550/arxiv.", "10.18653/v1/"


@dataclass(frozen=True)
class WorkIds:
    """The ids of a work, "" where it has none of a kind; made by `ids`, which brings them into one spelling."""

    doi: str = ""
    arxiv: str = ""
    acl: str = ""
    s2: str = ""
    openalex: str = ""

    @property
    def best(self) -> str:
        """The id that a work is called by: "doi:...", else "arxiv:...", and so on; "" without any."""
        return next(self.named(), "")

    def named(self) -> Iterator[str]:
        """Yield every id with its kind, the strongest kind first."""
        for kind in ("doi", "arxiv", "acl", "s2", "openalex"):
            if value := getattr(self, kind):
                yield f"{kind}:{value}"

    def contradicts(self, other: WorkIds) -> bool:
        """Say whether two works cannot be one: both have an id of a kind that publishers give, and not the same."""
        return any(
            getattr(self, kind) and getattr(other, kind) and getattr(self, kind) != getattr(other, kind)
            for kind in ("doi", "arxiv", "acl")
        )


def parse_ids(
    doi: object = "", arxiv: object = "", acl: object = "", s2: object = "", openalex: object = ""
) -> WorkIds:
    """Return ids from whatever a source calls them (addresses, versions, any case); what is no id is left out."""
    doi_found = unquote(_first_match(DOI, doi)).lower().rstrip(".,;")
    arxiv_found, acl_found = _first_match(ARXIV, arxiv).lower(), _acl(acl)
    if doi_found.startswith(ARXIV_DOI_PREFIX):
        arxiv_found = arxiv_found or _first_match(ARXIV, doi_found.removeprefix(ARXIV_DOI_PREFIX))
        doi_found = ""
    if doi_found.startswith(ACL_DOI_PREFIX):
        acl_found = acl_found or _acl(doi_found.removeprefix(ACL_DOI_PREFIX))
    return WorkIds(doi_found, arxiv_found, acl_found, _first_match(S2, s2), _first_match(OPENALEX, openalex))


def _first_match(pattern: re.Pattern[str], value: object) -> str:
    found = pattern.search(value) if isinstance(value, str) else None
    return found.group() if found else ""


def _acl(value: object) -> str:
    """Return an Anthology id as the Anthology writes it: old ones begin with a capital, new ones are lower case."""
    found = _first_match(ACL, value).lower()
    return found.capitalize() if found[1:2].isdigit() and found[:1].isalpha() else found
