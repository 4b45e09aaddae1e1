"""Identifiers of works (DOI, arXiv, ACL Anthology, Semantic Scholar, OpenAlex), each in one canonical spelling.

Works are merged by them. A DOI is lower case, an arXiv id has no version. What one identifier says of another is used:
DOIs that arXiv registers become arXiv ids, and those of the ACL yield the Anthology's id.

>>> parse_ids(doi="https://doi.org/10.48550/arXiv.2005.13013v2").primary
'arxiv:2005.13013'
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

DOI = re.compile(r"10\.\d{4,9}/[^\s\ud800-\udfff]+")
ARXIV = re.compile(
    r"(?:(?<![\d.])\d{4}\.\d{4,5}|(?<![a-z-])[a-z-]++(?:\.[a-z]{2})?/\d{7})(?=v\d|[^\d]|$)", re.IGNORECASE
)
ACL = re.compile(r"[A-Z]\d{2}-\d{4}|\d{4}\.[a-z0-9_]+-[a-z0-9_]+\.\d+", re.IGNORECASE)
S2 = re.compile(r"[0-9a-f]{40}")
OPENALEX = re.compile(r"W\d+")
# No real work has such an identifier: the stub's DOIs, its volumes of the Anthology, and months of arXiv beyond twelve.
INVENTED = re.compile(r"doi:10\.5555/stub\.|acl:\d{4}\.stub-|arxiv:\d{2}(?:1[3-9]|[2-9]\d)\.", re.IGNORECASE)
ARXIV_DOI_PREFIX, ACL_DOI_PREFIX = "10.48550/arxiv.", "10.18653/v1/"


@dataclass(frozen=True)
class WorkIds:
    """Identifiers of a work, "" where it has none; `parse_ids` makes them canonical.

    Attributes:
        doi: DOI.
        arxiv: arXiv id without version.
        acl: Id in the ACL Anthology.
        s2: Id of Semantic Scholar.
        openalex: Id of OpenAlex.
    """

    doi: str = ""
    arxiv: str = ""
    acl: str = ""
    s2: str = ""
    openalex: str = ""

    @property
    def primary(self) -> str:
        """The identifier that names the work: "doi:...", else "arxiv:...", and so on; "" without any."""
        return next(self.prefixed(), "")

    def prefixed(self) -> Iterator[str]:
        """Yield every identifier with its scheme ("doi:..."), the most authoritative scheme first."""
        for scheme in ("doi", "arxiv", "acl", "s2", "openalex"):
            if value := getattr(self, scheme):
                yield f"{scheme}:{value}"

    @property
    def invented(self) -> bool:
        """Whether no real work can have these identifiers: the work is one of the stub's (`evidence.stub`)."""
        return any(map(INVENTED.match, self.prefixed()))

    def contradicts(self, other: WorkIds) -> bool:
        """Return whether two works must differ: both have an identifier of a publisher's scheme, and these differ."""
        return any(
            getattr(self, scheme) and getattr(other, scheme) and getattr(self, scheme) != getattr(other, scheme)
            for scheme in ("doi", "arxiv", "acl")
        )


def parse_ids(
    doi: object = "", arxiv: object = "", acl: object = "", s2: object = "", openalex: object = ""
) -> WorkIds:
    """Return canonical identifiers from a source's spellings (addresses, versions, any case).

    Args:
        doi: DOI, or an address with one. Values that hold no identifier, also of other types, are ignored.
        arxiv: arXiv id, or an address with one.
        acl: ACL Anthology id, or an address with one.
        s2: Semantic Scholar's paper id.
        openalex: OpenAlex work id, or an address with one.

    Returns:
        The identifiers found.
    """
    doi_found = unquote(_first_match(DOI, doi)).lower().rstrip(".,;")
    arxiv_found, acl_found = _first_match(ARXIV, arxiv).lower(), _acl(acl)
    if doi_found.startswith(ARXIV_DOI_PREFIX):
        arxiv_found = arxiv_found or _first_match(ARXIV, doi_found.removeprefix(ARXIV_DOI_PREFIX))
        doi_found = ""
    if doi_found.startswith(ACL_DOI_PREFIX):
        acl_found = acl_found or _acl(doi_found.removeprefix(ACL_DOI_PREFIX))
    return WorkIds(doi_found, arxiv_found, acl_found, _first_match(S2, s2), _first_match(OPENALEX, openalex))


def _first_match(pattern: re.Pattern[str], value: object) -> str:
    match = pattern.search(value) if isinstance(value, str) else None
    return match.group() if match else ""


def _acl(value: object) -> str:
    """Return an Anthology id as the Anthology writes it: old ones begin with a capital, new ones are lower case."""
    identifier = _first_match(ACL, value).lower()
    return identifier.capitalize() if identifier[1:2].isdigit() and identifier[:1].isalpha() else identifier
