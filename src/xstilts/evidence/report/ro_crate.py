"""Exports: claims in SciFact's format, and the folder's content as an RO-Crate with PROV provenance (JSON-LD).

>>> claims_jsonl({"claims": [], "works": []}, {})
''
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xstilts import __version__
from xstilts.evidence.report import citations
from xstilts.evidence.search.work import INVENTED
from xstilts.evidence.text.documents import Document, sentences

Json = Mapping[str, Any]
LABELS = {"SUPPORTED": "SUPPORT", "CONTRADICTED": "CONTRADICT"}
METADATA = "ro-crate-metadata.json"
CONTEXT = ["https://w3id.org/ro/crate/1.1/context", {"prov": "http://www.w3.org/ns/prov#"}]
FORMATS = {
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".html": "text/html",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".bib": "application/x-bibtex",
    ".txt": "text/plain",
}


def claims_jsonl(report: Json, documents: Mapping[str, Document]) -> str:
    """Return claims in SciFact's format, one per line.

    Args:
        report: The report, as JSON.
        documents: Texts by sha256.

    Returns:
        JSON lines; sentences are numbered from 0 within a part.
    """
    keys = {work["id"]: work["key"] for work in report["works"]}
    made_up = {work["id"] for work in report["works"] if work.get("invented")}
    rows = (
        _scifact(number, claim, keys, documents, claim["work"] in made_up)
        for number, claim in enumerate(report["claims"], 1)
    )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def crate_metadata(report: Json, folder: Path, date: str) -> str:
    """Return the RO-Crate metadata of a folder.

    Args:
        report: The report, as JSON.
        folder: The folder.
        date: Date of the search (ISO 8601), "" if unknown.

    Returns:
        JSON-LD with its files by digest, the works quoted, and each claim with its provenance.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != METADATA]
    names = [path.relative_to(folder).as_posix() for path in files]
    graph = [*_about(report, names, date)]
    graph += [_file(name, path) for name, path in zip(names, files, strict=True)]
    graph += [_work(work) for work in report["works"] if work["claims"]]
    graph += [_claim(claim, report) for claim in report["claims"]]
    return json.dumps({"@context": CONTEXT, "@graph": graph}, indent=1, ensure_ascii=False) + "\n"


def _scifact(
    number: int, claim: Json, keys: Mapping[str, str], documents: Mapping[str, Document], invented: bool
) -> Json:
    verdict = claim["faithful"]
    evidence: dict[str, list[Json]] = {}
    for locator in verdict["locators"] if verdict["status"] in LABELS else ():
        positions = [
            position
            for position, sentence in enumerate(sentences(documents[locator["sha256"]]))
            if sentence.start < locator["end"] and locator["start"] < sentence.end
        ]
        row = {
            "sentences": positions,
            "label": LABELS[verdict["status"]],
            "part": locator["part"],
            "sha256": locator["sha256"],
        }
        evidence.setdefault(keys[locator["work"]], []).append(row)
    cited = list(dict.fromkeys(keys[locator["work"]] for locator in claim["locators"]))
    marked = {"invented": True} if invented else {}
    return {"id": number, "claim": claim["text"], "evidence": evidence, "cited_doc_ids": cited, **marked}


def _about(report: Json, names: list[str], date: str) -> Iterator[Json]:
    yield {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }
    root: dict[str, Any] = {
        "@id": "./",
        "@type": "Dataset",
        "name": report["question"],
        "description": " ".join(filter(None, (report.get("notice"), report["answer"]))),
        "hasPart": [{"@id": name} for name in names],
        "mentions": [{"@id": f"#{claim['name']}"} for claim in report["claims"]],
    }
    yield root | ({"datePublished": date} if date else {})
    yield {"@id": "#xstilts", "@type": "SoftwareApplication", "name": "xstilts", "version": __version__}
    yield {
        "@id": "#compilation",
        "@type": ["CreateAction", "prov:Activity"],
        "name": "search, screening, quotation and verification",
        "instrument": {"@id": "#xstilts"},
        "prov:wasAssociatedWith": {"@id": "#xstilts"},
        "object": [{"@id": citations.work_url(work) or work["id"]} for work in report["works"] if work["claims"]],
        "result": {"@id": "report.json"},
    }


def _file(name: str, path: Path) -> Json:
    content = path.read_bytes()
    return {
        "@id": name,
        "@type": "File",
        "contentSize": len(content),
        "encodingFormat": FORMATS.get(path.suffix, "application/octet-stream"),
        "sha256": hashlib.sha256(content).hexdigest(),
        **({"prov:wasGeneratedBy": {"@id": "#compilation"}} if name == "report.json" else {}),
    }


def _work(work: Json) -> Json:
    return {
        "@id": citations.work_url(work) or work["id"],
        "@type": "ScholarlyArticle",
        "identifier": work["id"],
        "name": work["title"],
        "author": [{"@type": "Person", "name": name} for name in work["authors"]],
        **({"datePublished": str(work["year"])} if work["year"] else {}),
        **({"creativeWorkStatus": INVENTED} if work.get("invented") else {}),
    }


def _claim(claim: Json, report: Json) -> Json:
    work = next(work for work in report["works"] if work["id"] == claim["work"])
    texts = dict.fromkeys(f"corpus/texts/{locator['sha256']}.txt" for locator in claim["locators"])
    return {
        "@id": f"#{claim['name']}",
        "@type": ["Claim", "prov:Entity"],
        "text": claim["text"],
        "appearance": {"@id": citations.work_url(work) or work["id"]},
        "prov:wasQuotedFrom": [{"@id": text} for text in texts],
        "prov:wasGeneratedBy": {"@id": "#compilation"},
        "additionalProperty": [
            {"@type": "PropertyValue", "name": column, "value": claim[column]["status"]}
            for column in ("faithful", "corroborated")
        ],
    }
