"""Hostile texts in reports: whatever a work or a study is called, its page has the elements and addresses of a harmless one."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fuzzing import Lost, Tally
from test_fuzz_files import QUESTION, shortened

import made_report
from xstilts.evidence.pipeline import ReportOptions, make_report
from xstilts.evidence.report import verify as evidence_verify
from xstilts.reporting import study_page

pytestmark = [pytest.mark.chaos, pytest.mark.filterwarnings("ignore:Glyph")]  # fonts lack some characters
HOSTILE = [
    *("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'><svg/onload=alert(1)>", "javascript:alert(1)"),
    *("</title><script>x</script>", "</style><script>x</script>", "</script><script>x</script>", "<!-- ", "]]>"),
    *("&lt;script&gt;", "${7*7}{{7*7}}{% raw %}", "\\input{/etc/passwd}\\write18{id}", "}, note={x", "@string{a=b}"),
    *('#eval("1")#import "x"', "[x](javascript:alert(1))", "![i](http://evil/x.png)", "`a`|b|\n# heading", "\x1b[31mred"),
    *('=HYPERLINK("http://evil")', "\u202egnp.exe", "$\\frac$", "%s%n", "\u2028line", "<http://evil>", "http://evil.example/x"),
]  # fmt: skip
FIXED = ("format", "keys", "status", "expectation", "kind", "files", "digest", "key", "measure", "inputs")
TAGS = ("script", "img", "iframe", "object", "embed", "form", "link", "base", "meta", "style", "svg")
ADDRESS = re.compile(r"#|https?://|data:,$|data:image/")


class Elements(HTMLParser):
    """The elements of a page that could do something, and attributes that would."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.harm: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.counts[tag] += tag in TAGS
        for name, value in attributes:
            address = name in ("href", "src", "action", "xlink:href", "formaction") and value
            if name.startswith("on") or (address and not ADDRESS.match(str(value))):
                self.harm.append(f"<{tag} {name}={str(value)[:40]!r}>")
            if name == "style" and re.search(r"url\(|expression", value or ""):
                self.harm.append(f"<{tag} style={str(value)[:40]!r}>")


def elements(page: Path) -> Counter[str]:
    """Return the counts of elements; Lost where one would do harm."""
    found = Elements()
    found.feed(page.read_text(encoding="utf-8"))
    if found.harm:
        raise Lost(f"{page.name}: {found.harm[0]}")
    return found.counts


def tainted(value: Any, text: str) -> Any:
    """Return a report with a text in every text of it that is not a name."""
    if isinstance(value, str):
        return f"{value} {text}"
    if isinstance(value, list):
        return [tainted(part, text) for part in value]
    if isinstance(value, dict):
        return {key: part if key in FIXED else tainted(part, text) for key, part in value.items()}
    return value


def test_pages_of_studies(tmp_path: Path) -> None:
    tally = Tally("hostile texts in studies")
    report = shortened(made_report.made())

    def page(text: str) -> Counter[str]:
        (tmp_path / "report.json").write_text(json.dumps(tainted(report, text)))
        study_page.write_pages(tmp_path)
        return elements(tmp_path / study_page.HTML)

    harmless = page("harmless")

    def same(text: str) -> None:
        if (found := page(text)) != harmless:
            raise Lost(f"another number of elements: {found - harmless}")

    for text in HOSTILE:
        tally.attempt(lambda text=text: same(text), repr(text))  # type: ignore[misc]
    broken = tally.verdict()
    assert not broken, f"\n{broken}"


def test_reports_of_literature(tmp_path: Path) -> None:
    tally = Tally("hostile texts in literature")
    base = "A larger batch size improves zero-shot transfer on XTREME by 2.1 points. "

    def report(number: int, text: str) -> Counter[str]:
        texts, out = tmp_path / f"{number}", tmp_path / f"{number}-out"
        texts.mkdir()
        words = f"Batch size {text} and transfer\nAbstract\n{base} The batch size helps {text}.\n1 Introduction\n{base}{text}"
        (texts / "a.txt").write_text(words, encoding="utf-8")
        facts = {"title": f"Batch size {text} and zero-shot transfer", "authors": [f"Eve {text}", text], "year": 2020, "venue": text, "url": text, "doi": f"10.1234/{text}", "arxiv": text, "acl": text}  # fmt: skip
        (texts / "a.json").write_text(json.dumps(facts))
        make_report(QUESTION, ReportOptions(out, tmp_path / "replies", (str(texts),)))
        wrong = [one.name for one in evidence_verify.verify(out, tmp_path / "none") if one.status == "changed"]
        if wrong:
            raise Lost(f"a new report does not stand: {wrong[0]}")
        return elements(out / "report.html")

    harmless = report(0, "harmless")

    def same(number: int, text: str) -> None:
        if (found := report(number, text))["script"] != harmless["script"] or found["img"] != harmless["img"]:
            raise Lost(f"another number of elements: {found - harmless}")

    for number, text in enumerate(HOSTILE, 1):
        tally.attempt(lambda number=number, text=text: same(number, text), repr(text))  # type: ignore[misc]
    broken = tally.verdict()
    assert not broken, f"\n{broken}"
