"""Paper: the report as PDF, set by typst (the extra `pdf`); without it there is none, and the report lacks nothing.

Texts reach typst as data and never as markup, so that nothing that a paper says can be read as a command. The PDF says
which scripts its fonts have not, and carries report.json in itself, whole.

>>> shown({"a": ["Gain", 3]}, str.upper)
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
from xstilts.evidence.report.page import FAITHFUL, STATUS

Json = Mapping[str, Any]
TEMPLATE = Path(__file__).with_name("paper.typ")


def render_pdf(report: Json) -> bytes | None:
    """Return a report as PDF; None where the extra is not installed."""
    if not fonts.installed():
        return None
    import typst

    said = json.dumps(_content(report), ensure_ascii=False)
    whole = json.dumps(report, ensure_ascii=False, indent=1)
    made = typst.compile(
        TEMPLATE.read_bytes(),
        sys_inputs={"report": said, "whole": whole},
        font_paths=typst.Fonts(include_system_fonts=False, font_paths=[fonts.font_folder()[0].name]),
        timestamp=int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()),
    )
    return bytes(made)


def map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return plain data with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: map_texts(part, change) for name, part in value.items()}
    return [map_texts(part, change) for part in value] if isinstance(value, list | tuple) else value


def _content(report: Json) -> Json:
    cited = [work for work in report["works"] if work["claims"]]
    content = {
        "title": report["question"],
        "answer": report["answer"],
        "abstract": report["abstract"],
        "study": _study(report),
        "fonts": fonts.FAMILIES,
        "findings": [
            {"head": f"{one['role']}: {one['term']}", "status": one["status"], "said": one["said"]}
            for one in report["findings"]
        ],
        "constructions": report["constructions"],
        "claims": [_claim(report, one) for one in report["claims"]],
        "reviews": report.get("reviews"),
        "limits": report["limits"],
        "searched": search_summary(report),
        "references": [_reference(work) for work in cited],
    }
    return {
        **map_texts(content, fonts.replace_missing),
        "missing": fonts.missing_scripts(json.dumps(content, ensure_ascii=False)),
    }


def search_summary(report: Json) -> str:
    """Return how many works were found, left out and cited."""
    flow = report["search"]["flow"]
    records = answer.count_phrase(sum(flow["records"].values()), "record")
    return (
        f"{records}, {answer.count_phrase(flow['works'], 'work')}, {flow['included']} included, {flow['cited']} cited; "
        f"queries: {'; '.join(report['search']['queries'])}."
    )


def _claim(report: Json, one: Json) -> Json:
    measured = [each for each in report.get("measured", ()) if each["claim"] == one["name"]]
    where = one["locators"][0]
    return {
        "name": one["name"],
        "text": one["text"],
        "backwards": fonts.is_right_to_left(one["text"]),
        "source": f"{one['by']}, {where['part']}, characters {where['start']} to {where['end']}",
        "faithful": FAITHFUL[one["faithful"]["status"]],
        "corroborated": STATUS[one["corroborated"]["status"]],
        "measured": "; ".join(f"{each['status']}, {each['relation']}" for each in measured) or "untested",
    }


def _study(report: Json) -> Json | None:
    """Return what a study of one's own claims, if one was given."""
    study = report.get("study")
    if not study:
        return None
    said = [
        {"sentence": one["sentence"], "verdict": one["verdict"], "why": one["why"], "again": one["again"]}
        for one in study["claims"]
    ]
    return {"question": study["question"], "answer": study["answer"], "claims": said}


def _reference(work: Json) -> Json:
    return {
        "key": work["key"],
        "text": ". ".join(
            filter(None, ("; ".join(work["authors"]), f"{work['year'] or 'no year'}", work["title"], work["venue"]))
        ),
        "url": citations.work_url(work),
    }
