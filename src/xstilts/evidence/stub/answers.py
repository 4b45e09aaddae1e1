"""Replies of the five sources about the stub's works, each in the source's own format.

Each is a function from a request to a status and a body.
"""

from __future__ import annotations

import gzip
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from xstilts.evidence.search.identifiers import parse_ids
from xstilts.evidence.search.work import family_first
from xstilts.evidence.stub.print import text_to_pdf
from xstilts.evidence.stub.works import FictionalWork, search_works, works

ATOM = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom" '
    'xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" xmlns:arxiv="http://arxiv.org/schemas/atom">'
)


@dataclass(frozen=True)
class StubRequest:
    """A request to a source, and how to spoil the reply.

    Attributes:
        path: Path below the source's address.
        params: Query parameters.
        empty: Whether to return a page without works but with their total.
        bare: Whether to leave out every abstract.
    """

    path: str
    params: Mapping[str, str]
    empty: bool = False
    bare: bool = False

    def among(self) -> dict[str, FictionalWork]:
        """Return the works by name, without abstracts if `bare`."""
        return {name: replace(work, abstract="") for name, work in works().items()} if self.bare else works()

    def page(self, source: str, query: str, start: str, size: str) -> tuple[int, list[FictionalWork]]:
        """Return a page of search results.

        Args:
            source: Name of the source.
            query: Words to search for.
            start: Name of the parameter that holds the page's offset.
            size: Name of the parameter that holds the page's size.

        Returns:
            Number of matching works, and the works on the page.
        """
        among = self.among()
        matching = [among[work.name] for work in search_works(source, query, works())]
        first = int(self.params.get(start, "0"))
        return len(matching), [] if self.empty else matching[first : first + int(self.params.get(size, "10"))]

    def work_with_id(self, source: str, id: str) -> FictionalWork | None:
        """Return the work of a source with an id.

        Args:
            source: The name of the source.
            id: The id with its prefix ("doi:...").

        Returns:
            The work; None if the source has none.
        """
        candidates = (work for work in self.among().values() if work.held_by(source))
        return next((work for work in candidates if id.lower() in map(str.lower, prefixed_ids(work))), None)


Response = tuple[int, bytes]
ABSENT: Response = (404, b'{"error": "not found"}')


def prefixed_ids(work: FictionalWork) -> list[str]:
    """Return every identifier of a work with its scheme."""
    head = work.header
    identifiers = parse_ids(head.get("doi"), head.get("arxiv"), head.get("acl"), work.s2, work.openalex)
    return [*identifiers.prefixed(), f"doi:{head.get('doi', '')}", f"doi:10.48550/arxiv.{head.get('arxiv', '')}"]


def arxiv(request: StubRequest) -> Response:
    """Reply as arXiv: an Atom feed, or the PDF of a work."""
    if request.path.startswith("/pdf/"):
        return _pdf(request.work_with_id("arxiv", f"arxiv:{request.path.removeprefix('/pdf/')}"))
    if "id_list" in request.params:
        works = [
            work
            for id in request.params["id_list"].split(",")
            if (work := request.work_with_id("arxiv", f"arxiv:{id}"))
        ]
        total, works = len(works), [] if request.empty else works
    else:
        query = " ".join(part.removeprefix("all:") for part in request.params["search_query"].split(" AND "))
        total, works = request.page("arxiv", query, "start", "max_results")
    entries = "".join(_entry(work) for work in works)
    return 200, f"{ATOM}<opensearch:totalResults>{total}</opensearch:totalResults>{entries}</feed>".encode()


def s2(request: StubRequest) -> Response:
    """Reply as Semantic Scholar: a page of search results, or one paper."""
    if not request.path.endswith("/search"):
        id_type, _, value = unquote(request.path).removeprefix("/graph/v1/paper/").rpartition(":")
        work = request.work_with_id("s2", f"{id_type.lower() or 's2'}:{value}")
        return _json(_paper(work)) if work else ABSENT
    total, works = request.page("s2", request.params["query"], "offset", "limit")
    start = int(request.params.get("offset", "0"))
    after = {"next": start + len(works)} if works and start + len(works) < total else {}
    return _json({"total": total, "offset": start, **after, "data": [_paper(work) for work in works]})


def openalex(request: StubRequest) -> Response:
    """Reply as OpenAlex: a page of works, or one; an empty key is refused."""
    if request.params.get("api_key", "none") in ("", "bad"):
        return 401, b'{"error": "Invalid API key"}'
    if request.path != "/works":
        name = unquote(request.path).removeprefix("/works/")
        work = request.work_with_id("openalex", name if ":" in name else f"openalex:{name}")
        return _json(_indexed(work)) if work else ABSENT
    size = int(request.params.get("per-page", "25"))
    start = str((int(request.params.get("page", "1")) - 1) * size)
    at = replace(request, params={**request.params, "start": start})
    total, works = at.page("openalex", request.params["search"], "start", "per-page")
    return _json({"meta": {"count": total, "per_page": size}, "results": [_indexed(work) for work in works]})


def crossref(request: StubRequest) -> Response:
    """Reply as Crossref: a page of works, one of them, or its BibTeX."""
    if request.path == "/works":
        total, works = request.page("crossref", request.params["query"], "offset", "rows")
        items = [_registered(work) for work in works]
        return _json({"status": "ok", "message": {"total-results": total, "items": items}})
    doi, _, transform = unquote(request.path).removeprefix("/works/").partition("/transform/")
    work = request.work_with_id("crossref", f"doi:{doi}")
    if work is None:
        return ABSENT
    return (200, _bib(work, "crossref").encode()) if transform else _json({"message": _registered(work)})


def acl(request: StubRequest) -> Response:
    """Reply as the ACL Anthology: its compressed export, the BibTeX of a work, or its PDF."""
    if request.path.endswith(".bib.gz"):
        works_held = [work for work in request.among().values() if work.held_by("acl") and not request.empty]
        return 200, gzip.compress("\n".join(_bib(work, "acl") for work in works_held).encode(), mtime=0)
    name, _, ending = request.path.removeprefix("/").rpartition(".")
    work = request.work_with_id("acl", f"acl:{name}")
    if work is None:
        return ABSENT
    return _pdf(work) if ending == "pdf" else (200, _bib(work, "acl").encode())


def _entry(work: FictionalWork) -> str:
    say = {key: html.escape(work.field("arxiv", key)) for key in ("arxiv", "title", "year", "doi", "venue")}
    people = "".join(f"<author><name>{html.escape(name)}</name></author>" for name in work.authors("arxiv"))
    version = work.field("arxiv", "version") or "1"
    doi = f"<arxiv:doi>{say['doi']}</arxiv:doi>" if say["doi"] else ""
    return (
        f"<entry><id>http://arxiv.org/abs/{say['arxiv']}v{version}</id><title>{say['title']}</title>"
        f"<published>{say['year']}-03-04T00:00:00Z</published><summary>\n  {html.escape(work.abstract)}\n</summary>"
        f"{people}{doi}</entry>"
    )


def _paper(work: FictionalWork) -> dict[str, Any]:
    names = {"DOI": work.header.get("doi"), "ArXiv": work.header.get("arxiv"), "ACL": work.header.get("acl")}
    return {
        "paperId": work.s2,
        "externalIds": {id_type: value for id_type, value in names.items() if value},
        "title": work.field("s2", "title"),
        "abstract": work.abstract or None,
        "year": int(work.field("s2", "year")),
        "venue": work.field("s2", "venue"),
        "authors": [{"name": name} for name in work.authors("s2")],
        "citationCount": int(work.field("s2", "citations")),
        "url": f"https://www.semanticscholar.org/paper/{work.s2}",
    }


def _indexed(work: FictionalWork) -> dict[str, Any]:
    places: dict[str, list[int]] = {}
    for place, word in enumerate(work.abstract.split()):
        places.setdefault(word, []).append(place)
    doi = work.header.get("doi")
    return {
        "id": f"https://openalex.org/{work.openalex}",
        "doi": f"https://doi.org/{doi}" if doi else None,
        "display_name": work.field("openalex", "title"),
        "publication_year": int(work.field("openalex", "year")),
        "authorships": [{"author": {"display_name": name}} for name in work.authors("openalex")],
        "primary_location": {
            "source": {"display_name": work.field("openalex", "venue")},
            "landing_page_url": _home(work),
        },
        "abstract_inverted_index": places or None,
        "is_retracted": bool(work.header.get("retracted")),
        "cited_by_count": int(work.field("openalex", "citations")),
    }


def _registered(work: FictionalWork) -> dict[str, Any]:
    retraction = [{"type": "retraction", "DOI": work.header["doi"]}] if work.header.get("retracted") else []
    return {
        "DOI": work.header["doi"],
        "title": [work.field("crossref", "title")],
        "author": [_registered_name(name) for name in work.authors("crossref")],
        "issued": {"date-parts": [[int(work.field("crossref", "year"))]]},
        "container-title": [work.field("crossref", "venue")],
        "URL": f"https://doi.org/{work.header['doi']}",
        "is-referenced-by-count": int(work.field("crossref", "citations")),
        **({"updated-by": retraction} if retraction else {}),
        **({"abstract": f"<jats:p>{html.escape(work.abstract)}</jats:p>"} if work.abstract else {}),
    }


def _registered_name(name: str) -> dict[str, str]:
    family, _, given = family_first(name).partition(", ")
    return {"family": family, "given": given} if given else {"name": family}


def _bib(work: FictionalWork, source: str) -> str:
    people = " and\n      ".join(work.authors(source))
    fields = {
        "title": work.field(source, "title"),
        "author": people,
        "booktitle": work.field(source, "venue"),
        "year": work.field(source, "year"),
        "url": f"https://aclanthology.org/{work.header['acl']}/" if "acl" in work.header else "",
        "doi": work.header.get("doi", ""),
        "abstract": work.abstract.replace("%", "\\%"),
    }
    lines = ",\n".join(f'    {name} = "{value}"' for name, value in fields.items() if value)
    return f"@inproceedings{{{work.name},\n{lines}\n}}\n"


def _home(work: FictionalWork) -> str:
    arxiv, doi = work.header.get("arxiv"), work.header.get("doi")
    return f"https://doi.org/{doi}" if doi else f"http://arxiv.org/abs/{arxiv}"


def _pdf(work: FictionalWork | None) -> Response:
    if work is None or not work.body:
        return ABSENT
    head = [work.header["title"], work.header["authors"].replace("; ", ", "), "", "Abstract", work.abstract, ""]
    body = work.body.replace("== ", "")
    return 200, text_to_pdf("\n".join([*head, body]), work.header.get("print") == "ligatures")


def _json(value: object) -> Response:
    return 200, json.dumps(value, ensure_ascii=False).encode()
