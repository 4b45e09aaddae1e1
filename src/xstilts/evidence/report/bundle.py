"""Folder of an evidence report: the report, its corpus, and the files derived from them.

    report.json        the report
    corpus/            works, texts, screening and requests, by digest
    bindings.json      which statements are bound to which measures of a study (with --study)
    proposals.json     what a language model proposed (with --llm)
    report.html, report.md, report.pdf, references.bib, references.json, claims.jsonl, ro-crate-metadata.json

Every view is derived from report.json and the corpus alone, and has the same bytes when written again. The PDF needs
the extra `pdf`, and is left out without it.

>>> is_bundle(Path("no-such-folder"))
False
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xstilts.errors import InputError, refusing
from xstilts.evidence.report import citations, page, pdf, ro_crate
from xstilts.evidence.report.to_json import KIND
from xstilts.evidence.search import corpus as corpora
from xstilts.evidence.search.corpus import Corpus
from xstilts.reporting import study_report
from xstilts.reporting.page import html, markdown
from xstilts.runtime import whole_files

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
Json = Mapping[str, Any]


def is_bundle(folder: Path) -> bool:
    """Return whether a folder holds an evidence report."""
    path = folder / study_report.REPORT
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND


def write(content: Json, corpus: Corpus, folder: Path, extra: Mapping[str, Any] | None = None) -> tuple[Path, ...]:
    """Write a report with its corpus and all views.

    Args:
        content: The report, as JSON.
        corpus: Its corpus.
        folder: Where to.
        extra: Other values to store as JSON, by file name.

    Returns:
        The files of the report and its views.
    """
    folder.mkdir(parents=True, exist_ok=True)
    corpora.save(corpus, folder / CORPUS)
    for name, value in (extra or {}).items():
        whole_files.write(folder / name, _json(value))
    whole_files.write(folder / study_report.REPORT, _json(content))
    return write_views(folder)


def write_views(folder: Path) -> tuple[Path, ...]:
    """Write all views of the report in a folder again; return the files."""
    content, corpus = study_report.read(folder), corpora.read(folder / CORPUS)
    written = [folder / study_report.REPORT]
    with refusing(lambda: folder / study_report.REPORT, "make the report again"):
        views = render_views(content, corpus)
    for name, data in views.items():
        whole_files.write(folder / name, data)
        written.append(folder / name)
    date = max((request.time for request in corpus.requests), default="")[:10]
    whole_files.write(folder / ro_crate.METADATA, ro_crate.crate_metadata(content, folder, date))
    return (*written, folder / ro_crate.METADATA)


def render_views(content: Json, corpus: Corpus) -> dict[str, bytes]:
    """Render all views of a report.

    Args:
        content: The report, as JSON.
        corpus: Its corpus.

    Returns:
        Bytes by file name; the PDF only if its library is installed.
    """
    printed = pdf.render_pdf(content)
    return portable_views(content, corpus) | ({PDF: printed} if printed else {})


def portable_views(content: Json, corpus: Corpus) -> dict[str, bytes]:
    """Render the views that have the same bytes on every machine: all but the PDF.

    Args:
        content: The report, as JSON.
        corpus: Its corpus.

    Returns:
        Bytes by file name.
    """
    sheet = page.build_page(content)
    texts = {text.sha256: text for text in corpus.texts()}
    return {
        HTML: html(sheet).encode(),
        MARKDOWN: markdown(sheet).encode(),
        BIB: citations.bibtex(content["works"]).encode(),
        CSL: _json(citations.csl(content["works"])).encode(),
        CLAIMS: ro_crate.claims_jsonl(content, texts).encode(),
    }


def read_extra(folder: Path, name: str) -> Any:
    """Return the JSON value of a file of a report's folder; None if there is no such file.

    Args:
        folder: The report's folder.
        name: The name of the file.

    Returns:
        The value, or None.

    Raises:
        InputError: The file is no JSON.
    """
    try:
        return json.loads((folder / name).read_text(encoding="utf-8")) if (folder / name).is_file() else None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{folder / name} is no JSON ({error}); make the report again") from error


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
