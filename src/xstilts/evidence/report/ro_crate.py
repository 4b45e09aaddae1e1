"""Exports: claims under SciFact's field names, and what the folder holds as RO-Crate with PROV (JSON-LD).

>>> claims({"claims": [], "works": []}, {})
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
    """Return a line a claim, as SciFact has them; documents by sha256. Sentences are counted from 0 within a part."""
    keys = {work["id"]: work["key"] for work in report["works"]}
    rows = (_scifact(number, one, keys, documents) for number, one in enumerate(report["claims"], 1))
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def crate_metadata(report: Json, folder: Path, date: str) -> str:
    """Return the RO-Crate of a folder: its files by digest, the works quoted, and each claim with its provenance."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != METADATA]
    named = [path.relative_to(folder).as_posix() for path in files]
    graph = [*_about(report, named, date)]
    graph += [_file(name, path) for name, path in zip(named, files, strict=True)]
    graph += [_work(work) for work in report["works"] if work["claims"]]
    graph += [_claim(one, report) for one in report["claims"]]
    return json.dumps({"@context": CONTEXT, "@graph": graph}, indent=1, ensure_ascii=False) + "\n"


def _scifact(number: int, one: Json, keys: Mapping[str, str], documents: Mapping[str, Document]) -> Json:
    verdict = one["faithful"]
    evidence: dict[str, list[Json]] = {}
    for where in verdict["locators"] if verdict["status"] in LABELS else ():
        touched = [
            place
            for place, sentence in enumerate(sentences(documents[where["sha256"]]))
            if sentence.start < where["end"] and where["start"] < sentence.end
        ]
        row = {
            "sentences": touched,
            "label": LABELS[verdict["status"]],
            "part": where["part"],
            "sha256": where["sha256"],
        }
        evidence.setdefault(keys[where["work"]], []).append(row)
    cited = list(dict.fromkeys(keys[where["work"]] for where in one["locators"]))
    return {"id": number, "claim": one["text"], "evidence": evidence, "cited_doc_ids": cited}


def _about(report: Json, named: list[str], date: str) -> Iterator[Json]:
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
        "description": report["answer"],
        "hasPart": [{"@id": name} for name in named],
        "mentions": [{"@id": f"#{one['name']}"} for one in report["claims"]],
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
    }


def _claim(one: Json, report: Json) -> Json:
    work = next(work for work in report["works"] if work["id"] == one["work"])
    texts = dict.fromkeys(f"corpus/texts/{where['sha256']}.txt" for where in one["locators"])
    return {
        "@id": f"#{one['name']}",
        "@type": ["Claim", "prov:Entity"],
        "text": one["text"],
        "appearance": {"@id": citations.work_url(work) or work["id"]},
        "prov:wasQuotedFrom": [{"@id": text} for text in texts],
        "prov:wasGeneratedBy": {"@id": "#compilation"},
        "additionalProperty": [
            {"@type": "PropertyValue", "name": column, "value": one[column]["status"]}
            for column in ("faithful", "corroborated")
        ],
    }
