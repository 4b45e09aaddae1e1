"""PDF of an evidence report, typeset by typst (the extra `pdf`); without the extra there is none.

Texts reach typst as data, never as markup, so that no text of a work can act as a command. The PDF names the scripts
that its fonts do not cover, and embeds report.json.

>>> map_texts({"a": ["Gain", 3]}, str.upper)
{'a': ['GAIN', 3]}
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xstilts.evidence.claims import answer
from xstilts.evidence.report import citations, fonts
from xstilts.evidence.report.page import FAITHFUL, STATUS, review_scores

Json = Mapping[str, Any]
TEMPLATE = Path(__file__).with_name("paper.typ")


def render_pdf(report: Json) -> bytes | None:
    """Return a report as PDF; None if the extra is not installed."""
    if not fonts.installed():
        return None
    import typst

    content = json.dumps(_content(report), ensure_ascii=False)
    report_json = json.dumps(report, ensure_ascii=False, indent=1)
    compiled = typst.compile(
        TEMPLATE.read_bytes(),
        sys_inputs={"report": content, "whole": report_json},
        font_paths=typst.Fonts(include_system_fonts=False, font_paths=[fonts.font_folder()[0].name]),
        timestamp=int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()),
    )
    return bytes(compiled)


def map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Apply a function to every text of a JSON value.

    Args:
        value: The value; keys of mappings stay.
        change: From a text to another one.

    Returns:
        A new value of the same structure.
    """
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: map_texts(part, change) for name, part in value.items()}
    return [map_texts(part, change) for part in value] if isinstance(value, list | tuple) else value


def _content(report: Json) -> Json:
    cited = [work for work in report["works"] if work["claims"]]
    content = {
        "title": report["question"],
        "notice": report.get("notice", ""),
        "answer": report["answer"],
        "abstract": report["abstract"],
        "study": _study(report),
        "fonts": fonts.FAMILIES,
        "findings": [
            {"head": f"{item['role']}: {item['term']}", "status": item["status"], "said": item["said"]}
            for item in report["findings"]
        ],
        "constructions": report["constructions"],
        "claims": [_claim(report, item) for item in report["claims"]],
        "reviews": _reviews(report),
        "limits": report["limits"],
        "searched": search_summary(report),
        "references": [_reference(work) for work in cited],
    }
    return {
        **map_texts(content, fonts.replace_missing),
        "missing": fonts.missing_scripts(json.dumps(content, ensure_ascii=False)),
    }


def search_summary(report: Json) -> str:
    """Return how many records and works were found, included and cited, and the queries."""
    flow = report["search"]["flow"]
    records = answer.count_phrase(sum(flow["records"].values()), "record")
    return (
        f"{records}, {answer.count_phrase(flow['works'], 'work')}, {flow['included']} included, {flow['cited']} cited; "
        f"queries: {'; '.join(report['search']['queries'])}."
    )


def _claim(report: Json, claim: Json) -> Json:
    measured = [row for row in report.get("measured", ()) if row["claim"] == claim["name"]]
    locator = claim["locators"][0]
    return {
        "name": claim["name"],
        "text": claim["text"],
        "backwards": fonts.is_right_to_left(claim["text"]),
        "source": f"{claim['by']}, {locator['part']}, characters {locator['start']} to {locator['end']}",
        "faithful": FAITHFUL[claim["faithful"]["status"]],
        "corroborated": STATUS[claim["corroborated"]["status"]],
        "measured": "; ".join(f"{row['status']}, {row['relation']}" for row in measured) or "untested",
    }


def _study(report: Json) -> Json | None:
    """Return the study's own claims, if there is a study."""
    study = report.get("study")
    if not study:
        return None
    claims = [
        {"sentence": claim["sentence"], "verdict": claim["verdict"], "why": claim["why"], "again": claim["again"]}
        for claim in study["claims"]
    ]
    return {"question": study["question"], "answer": study["answer"], "claims": claims}


def _reviews(report: Json) -> Json | None:
    """Return the lines of the reviews, as on the page; None where there are none."""
    if not report.get("reviews"):
        return None
    scores = review_scores(report["reviews"])
    return {"scores": [": ".join(cell.text for cell in row) for row in scores.rows], "said": scores.note}


def _reference(work: Json) -> Json:
    return {
        "key": work["key"],
        "text": ". ".join(
            filter(None, ("; ".join(work["authors"]), f"{work['year'] or 'no year'}", work["title"], work["venue"]))
        ),
        "url": citations.work_url(work),
    }
