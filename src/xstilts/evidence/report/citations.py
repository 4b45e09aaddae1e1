"""Citations of works: keys, short references, BibTeX and CSL-JSON, from the sources' records only.

>>> from xstilts.evidence.search.identifiers import parse_ids
>>> from xstilts.evidence.search.work import work_from_record
>>> work = work_from_record("arxiv", parse_ids(arxiv="2113.00001"), authors=["Ada de Boer"], year=2021)
>>> citation_keys([work])
{'arxiv:2113.00001': 'deboer2021'}
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from string import ascii_lowercase
from typing import Any

from xstilts.evidence.search.bibtex import format_entry as bibtex_entry
from xstilts.evidence.search.work import INVENTED, Work

MAX_NAMED_AUTHORS = 2  # with more authors a short reference says "et al."


def citation_keys(works: Iterable[Work]) -> dict[str, str]:
    """Return a citation key per work id: "family2021", with a letter where two would be equal."""
    by_stem: dict[str, list[str]] = {}
    for work in works:
        by_stem.setdefault(_stem(work), []).append(work.id)
    return {
        work: stem + (_letters(number) if len(works_of_stem) > 1 else "")
        for stem, works_of_stem in by_stem.items()
        for number, work in enumerate(works_of_stem)
    }


def short_citation(work: Mapping[str, Any]) -> str:
    """Return a short reference to a work: "Boer and Doe (2021)"."""
    families = [name.partition(",")[0] for name in work["authors"]]
    authors = f"{families[0]} et al." if len(families) > MAX_NAMED_AUTHORS else " and ".join(families)
    return f"{authors or work['title']} ({work['year'] or 'no year'})"


def bibtex(works: Sequence[Mapping[str, Any]]) -> str:
    """Return works of a report as BibTeX."""
    return "\n".join(bibtex_entry(*_kind(work), _fields(work)) for work in works)


def csl(works: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return works of a report as CSL-JSON."""
    return [_csl(work) for work in works]


def work_url(work: Mapping[str, Any]) -> str:
    """Return the address of a work by DOI, arXiv or Anthology id, else the one that a source gives; "" without any."""
    ids = work["ids"]
    for scheme, prefix in (
        ("doi", "https://doi.org/"),
        ("arxiv", "https://arxiv.org/abs/"),
        ("acl", "https://aclanthology.org/"),
    ):
        if ids[scheme]:
            return prefix + str(ids[scheme])
    return str(work["url"])


def _stem(work: Work) -> str:
    family = work.authors[0].partition(",")[0] if work.authors else "anonymous"
    ascii_family = unicodedata.normalize("NFKD", family).encode("ascii", "ignore").decode()
    return (re.sub(r"[^a-z]", "", ascii_family.lower()) or "work") + str(work.year or "")


def _letters(number: int) -> str:
    return ascii_lowercase[number] if number < len(ascii_lowercase) else f"-{number}"


def _kind(work: Mapping[str, Any]) -> tuple[str, str]:
    return ("inproceedings" if work["ids"]["acl"] else "article" if work["venue"] else "misc"), str(work["key"])


def _fields(work: Mapping[str, Any]) -> dict[str, str]:
    ids, where = work["ids"], "booktitle" if work["ids"]["acl"] else "journal"
    return {
        "title": work["title"],
        "author": " and ".join(work["authors"]),
        "year": str(work["year"] or ""),
        where: work["venue"],
        "doi": ids["doi"],
        "eprint": ids["arxiv"],
        "archiveprefix": "arXiv" if ids["arxiv"] else "",
        "url": work_url(work),
        "note": INVENTED if work.get("invented") else "",
    }


def _csl(work: Mapping[str, Any]) -> dict[str, Any]:
    names = [name.partition(", ") for name in work["authors"]]
    item: dict[str, Any] = {
        "id": work["key"],
        "type": "paper-conference" if work["ids"]["acl"] else "article-journal" if work["venue"] else "article",
        "title": work["title"],
        "author": [{"family": family, "given": given} if given else {"literal": family} for family, _, given in names],
        "container-title": work["venue"],
        "DOI": work["ids"]["doi"],
        "URL": work_url(work),
        "note": INVENTED if work.get("invented") else "",
    }
    if work["year"]:
        item["issued"] = {"date-parts": [[work["year"]]]}
    return {name: value for name, value in item.items() if value}
