"""References: works as readers cite them: a key, a line, BibTeX and CSL-JSON; nothing but what a source said.

>>> from xstilts.evidence.search.identifiers import ids
>>> from xstilts.evidence.search.work import stated
>>> work = stated("arxiv", ids(arxiv="2113.00001"), title="On tasks", authors=["Ada de Boer"], year=2021)
>>> keys([work])
{'arxiv:2113.00001': 'deboer2021'}
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from string import ascii_lowercase
from typing import Any

from xstilts.evidence.search.bibtex import format_entry as bibtex_entry
from xstilts.evidence.search.work import Work

MAX_NAMED_AUTHORS = 2  # authors above whom a short reference says "et al."


def citation_keys(works: Iterable[Work]) -> dict[str, str]:
    """Return a key for each work by its id, "family2021", with a letter where two would be the same."""
    found: dict[str, list[str]] = {}
    for work in works:
        found.setdefault(_stem(work), []).append(work.id)
    return {
        work: stem + (_letters(number) if len(those) > 1 else "")
        for stem, those in found.items()
        for number, work in enumerate(those)
    }


def short_citation(work: Mapping[str, Any]) -> str:
    """Return how a work is named in a text: "Boer and Doe (2021)"."""
    families = [name.partition(",")[0] for name in work["authors"]]
    named = f"{families[0]} et al." if len(families) > MAX_NAMED_AUTHORS else " and ".join(families)
    return f"{named or work['title']} ({work['year'] or 'no year'})"


def bibtex(works: Sequence[Mapping[str, Any]]) -> str:
    """Return the works of a report as BibTeX."""
    return "\n".join(bibtex_entry(*_kind(work), _fields(work)) for work in works)


def csl(works: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the works of a report as CSL-JSON has them."""
    return [_csl(work) for work in works]


def work_url(work: Mapping[str, Any]) -> str:
    """Return where a work is found: by its DOI, its arXiv or Anthology id, else where a source says; "" if nowhere."""
    ids = work["ids"]
    for kind, place in (
        ("doi", "https://doi.org/"),
        ("arxiv", "https://arxiv.org/abs/"),
        ("acl", "https://aclanthology.org/"),
    ):
        if ids[kind]:
            return place + str(ids[kind])
    return str(work["url"])


def _stem(work: Work) -> str:
    family = work.authors[0].partition(",")[0] if work.authors else "anonymous"
    plain = unicodedata.normalize("NFKD", family).encode("ascii", "ignore").decode()
    return (re.sub(r"[^a-z]", "", plain.lower()) or "work") + str(work.year or "")


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
    }


def _csl(work: Mapping[str, Any]) -> dict[str, Any]:
    names = [name.partition(", ") for name in work["authors"]]
    made: dict[str, Any] = {
        "id": work["key"],
        "type": "paper-conference" if work["ids"]["acl"] else "article-journal" if work["venue"] else "article",
        "title": work["title"],
        "author": [{"family": family, "given": given} if given else {"literal": family} for family, _, given in names],
        "container-title": work["venue"],
        "DOI": work["ids"]["doi"],
        "URL": work_url(work),
    }
    if work["year"]:
        made["issued"] = {"date-parts": [[work["year"]]]}
    return {name: value for name, value in made.items() if value}
