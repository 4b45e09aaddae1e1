"""Bundle: the folder of an evidence report: the truth, what it rests on, and its views.

    report.json        the truth
    corpus/            works, texts, screening and requests, by digest
    bindings.json      which statements are bound to which measures of a study (with --study)
    proposals.json     what a language model proposed (with --llm)
    report.html, report.md, report.pdf, references.bib, references.json, claims.jsonl, ro-crate-metadata.json

Every view is written from report.json and the corpus alone; written twice, all have the same bytes. The PDF needs the
extra `pdf`, and is left out without it.

>>> is_bundle(Path("no-such-folder"))
False
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xstilts.errors import InputError
from xstilts.evidence.report import citations, page, pdf, ro_crate
from xstilts.evidence.report.to_json import KIND
from xstilts.evidence.search import corpus as corpora
from xstilts.evidence.search.corpus import Corpus
from xstilts.reporting import study_report as report
from xstilts.reporting.page import html, markdown

CORPUS, BINDINGS, PROPOSALS = "corpus", "bindings.json", "proposals.json"
HTML, MARKDOWN, PDF, BIB, CSL, CLAIMS = (
    "report.html",
    "report.md",
    "report.pdf",
    "references.bib",
    "references.json",
    "claims.jsonl",
)
VIEWS = (HTML, MARKDOWN, BIB, CSL, CLAIMS)
TEMPLATE = "evidence.html"
Json = Mapping[str, Any]


def is_bundle(folder: Path) -> bool:
    """Return whether a folder holds an evidence report."""
    path = folder / report.REPORT
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("kind") == KIND


def write(found: Json, corpus: Corpus, folder: Path, beside: Mapping[str, Any] | None = None) -> tuple[Path, ...]:
    """Write a report, its corpus, and what else it was made with (by file name), then all views; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    corpora.save(corpus, folder / CORPUS)
    for name, value in (beside or {}).items():
        (folder / name).write_text(_json(value), encoding="utf-8")
    (folder / report.REPORT).write_text(_json(found), encoding="utf-8")
    return write_views(folder)


def write_views(folder: Path) -> tuple[Path, ...]:
    """Write all views of the report in a folder anew; return the files."""
    found, corpus = report.read(folder), corpora.read(folder / CORPUS)
    written = [folder / report.REPORT]
    for name, content in render_views(found, corpus).items():
        (folder / name).write_bytes(content)
        written.append(folder / name)
    date = max((request.time for request in corpus.requests), default="")[:10]
    (folder / ro_crate.METADATA).write_text(ro_crate.crate_metadata(found, folder, date), encoding="utf-8")
    return (*written, folder / ro_crate.METADATA)


def render_views(found: Json, corpus: Corpus) -> dict[str, bytes]:
    """Return the views of a report by file name; the PDF only where its library is installed."""
    printed = pdf.render_pdf(found)
    return portable_views(found, corpus) | ({PDF: printed} if printed else {})


def portable_views(found: Json, corpus: Corpus) -> dict[str, bytes]:
    """Return the views that are the same on every machine, all but the PDF, by file name."""
    sheet = page.build_page(found)
    texts = {text.sha256: text for text in corpus.texts()}
    return {
        HTML: html(sheet, TEMPLATE).encode(),
        MARKDOWN: markdown(sheet).encode(),
        BIB: citations.bibtex(found["works"]).encode(),
        CSL: _json(citations.csl(found["works"])).encode(),
        CLAIMS: ro_crate.claims_jsonl(found, texts).encode(),
    }


def read_extra(folder: Path, name: str) -> Any:
    """Return what a file of a bundle holds; None where it is not there."""
    try:
        return json.loads((folder / name).read_text(encoding="utf-8")) if (folder / name).is_file() else None
    except ValueError as error:
        raise InputError(f"{folder / name} is no JSON ({error}); make the report again") from error


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
