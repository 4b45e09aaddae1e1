"""Report: the page of a study, out of its `report.json`, for people: `report.html` and, in short, `report.md`.

All numbers are the file's own; nothing is computed here but what is said of them. Written twice, it has the same bytes.

>>> page({"question": "Does it help?", "answer": "Not decided."}).title
'Does it help?'
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xstilts.errors import InputError
from xstilts.reporting import cell_format, markdown, sections
from xstilts.reporting.cell_format import known
from xstilts.reporting.page import Cell, Page, VerdictView, html
from xstilts.reporting.svg import strip

REPORT, HTML, MARKDOWN = "report.json", "report.html", "report.md"
FORMAT = 1
ROW = ("encoder", "intermediate", "target", "language", "estimate", "low", "high", "keys", "n")
MEMBERS = {  # what each member of a list in a study's report must have for the pages to be written
    "verdicts": ("name", "sentence", "status", "why", "expectation", "margin"),
    "levels": ROW,
    "gains": ROW,
    "costs": ("encoder", "intermediate", "target", "seed", "figures", "keys"),
    "curves": ("label", "role", "encoder", "seed", "key"),
    "scalings": ("figure", "points", "exponent", "low", "high"),
    "extras": ("title", "columns", "rows"),
    "collapsed": ("stage", "why"),
}
Json = Mapping[str, Any]


def read(folder: Path) -> dict[str, Any]:
    """Return what the `report.json` of a folder says; InputError where there is none, or one of another format."""
    path = folder / REPORT
    if not path.is_file():
        raise InputError(f"no {REPORT} in {folder}: write one with `xstilts study FILE --out {folder}`")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}); write it again with `xstilts study`") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        form = found.get("format") if isinstance(found, dict) else None
        raise InputError(f"{path} has format {form}, this xstilts reads {FORMAT}; write it again with `xstilts study`")
    if fault := _fault(found):
        raise InputError(f"{path} is not as a study writes it ({fault}); write it anew with `xstilts study`")
    return found


def _fault(found: Json) -> str:
    """Return what a report lacks that its pages need; "" where it has all of it. Evidence says its own members."""
    for name in ("question", "answer"):
        if not isinstance(found.get(name), str):
            return f"no {name}"
    for name, needed in () if "kind" in found else MEMBERS.items():
        members = found.get(name, [])
        if not isinstance(members, list):
            return f"{name} is no list"
        for number, one in enumerate(members, 1):
            lacking = [key for key in needed if not isinstance(one, dict) or key not in one]
            if lacking:
                return f"number {number} of {name} has no {lacking[0]}"
    parts = [name for name in ("study", "settings", "reproduce", "stages") if not isinstance(found.get(name, {}), dict)]
    return f"{parts[0]} is no object" if parts else ""


def write(folder: Path, out: Path | None = None) -> tuple[Path, ...]:
    """Write `report.html` and `report.md` from a folder's `report.json`, beside it or to `out`; return the files."""
    return save(page(read(folder)), out or folder, HTML, MARKDOWN)


def save(made: Page, out: Path, *names: str) -> tuple[Path, ...]:
    """Write a page as the HTML file and the Markdown file of these names."""
    out.mkdir(parents=True, exist_ok=True)
    paths = tuple(out / name for name in names)
    for path, text in zip(paths, (html(made), markdown.text(made)), strict=True):
        path.write_text(text, encoding="utf-8", newline="\n")
    return paths


def page(report: Json) -> Page:
    """Return the page of a report."""
    study, last = report.get("study", {}), sections.stages(report)
    bounds, fallen = _bounds(report), sections.fallen(report)
    return Page(
        " · ".join(filter(None, ("study", study.get("name"), study.get("scale")))),
        report["question"],
        " ".join(filter(None, (report["answer"], _fallen(len(fallen))))),
        tuple(filter(None, (report.get("about") or "").split("\n\n"))),
        tuple(_ruling(verdict, bounds, fallen) for verdict in report.get("verdicts", ())),
        sections.of(report) + ((last,) if last else ()),
        {key: tuple(one.get("inputs", ())) for key, one in report.get("stages", {}).items()},
    )


def _fallen(count: int) -> str:
    """Return how many trainings learned nothing, in a sentence; "" where none is known of."""
    return f"{count} training{'s' if count > 1 else ''} behind this ended no better than chance." if count else ""


def _ruling(verdict: Json, bounds: Mapping[str, tuple[float, float]], fallen: frozenset[str]) -> VerdictView:
    published = verdict.get("published")
    beside = None
    if published:
        beside = VerdictView("", _place(published), published["status"], published["why"])
    facts = tuple(_facts(verdict, bounds))
    if count := len(fallen.intersection(verdict.get("keys", ()))):
        facts += (("no better than chance", Cell(f"{count} of the trainings behind it")),)
    return VerdictView(verdict["name"], verdict["sentence"], verdict["status"], verdict["why"], facts, beside)


def _facts(verdict: Json, bounds: Mapping[str, tuple[float, float]]) -> Iterator[tuple[str, Cell]]:
    """Yield the numbers behind a verdict, those that there are."""
    unit, keys = verdict.get("unit") or "", tuple(verdict.get("keys", ()))
    if known(verdict.get("estimate")):
        yield "estimate", _estimate(verdict, keys, unit, bounds)
    yield "asked", Cell(f"{verdict['expectation']} {cell_format.free(float(verdict['margin'])).text} {unit}".strip())
    if known(verdict.get("p_holm")):
        yield "p, corrected", cell_format.p_value(verdict["p_holm"])
    if verdict.get("n_replicates"):
        yield "replicates", cell_format.count(verdict["n_replicates"])
    if known(verdict.get("detectable")):
        yield (
            "detectable",
            Cell(f"{cell_format.plain(verdict['detectable']).text} {unit}".strip(), verdict["detectable"]),
        )
    if verdict.get("seeds_needed"):
        yield "replicates needed", cell_format.count(verdict["seeds_needed"])
    if verdict.get("by_construction"):
        yield "note", Cell("true by construction")


def _estimate(verdict: Json, keys: tuple[str, ...], unit: str, bounds: Mapping[str, tuple[float, float]]) -> Cell:
    low, high = verdict.get("interval") or (None, None)
    value = verdict["estimate"]
    margin = verdict["margin"]
    asked = (-margin, margin) if verdict["expectation"] == "equivalent" else (margin,)
    decided = verdict["status"] in ("holds", "fails")
    interval = verdict["interval"] if known(low) and known(high) else None
    drawing = strip(value, interval, bounds[unit], decided, asked)
    said = f"{cell_format.signed(value).text} {unit} {cell_format.between(low, high)}"
    return Cell(" ".join(said.split()), value, keys, drawing=drawing)


def _bounds(report: Json) -> dict[str, tuple[float, float]]:
    """Return for each unit the scale on which all its verdicts are drawn."""
    found: dict[str, list[float]] = {}
    for verdict in report.get("verdicts", ()):
        asked = (verdict["margin"], -verdict["margin"] if verdict["expectation"] == "equivalent" else None)
        values = (verdict.get("estimate"), *asked, *(verdict.get("interval") or ()))
        found.setdefault(verdict.get("unit") or "", [0.0]).extend(value for value in values if known(value))
    return {unit: (min(values), max(values)) for unit, values in found.items()}


def _place(published: Json) -> str:
    where = (published.get(column) for column in ("paper", "table", "row", "column"))
    return ", ".join(str(part) for part in where if part)
