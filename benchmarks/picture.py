"""Picture: gains by language of a study's report as one SVG file, for a page outside the report.

    python benchmarks/picture.py replication docs/results/replication.svg --panel udpos --panel xnli

Nothing is measured here: every mark is a figure of `report.json`. The file is light or dark as its reader's screen is.
"""

from __future__ import annotations

import argparse
import html
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xstilts.errors import InputError
from xstilts.reporting import charts, study_report
from xstilts.reporting.page import PAGES, Panel, Plot
from xstilts.runtime import tables

WIDTH, GAP, HEAD, LINE = 303.0, 18.0, 26.0, 17.0  # px: of a panel, between panels, of its title, of the legend


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, help="folder of the report")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--panel", action="append", required=True, help="title of a panel, from the left")
    parser.add_argument("--title", action="append", default=[], help="what stands above it instead, in the same order")
    asked = parser.parse_args()
    plots = list(charts.language_plots(study_report.read(asked.report)))
    asked.picture.write_text(drawn(plots, asked.panel, asked.title or asked.panel), encoding="utf-8")


def drawn(plots: Sequence[Plot], names: Sequence[str], titles: Sequence[str]) -> str:
    """Return panels side by side as an SVG file, the legend above them.

    Args:
        plots: The plots of gains by language.
        names: Titles of the panels that are wanted.
        titles: What stands above each.

    Returns:
        The file's text.

    Raises:
        InputError: There is no such panel.
    """
    panels = {panel.title: panel for plot in plots for panel in plot.panels}
    if unknown := [name for name in names if name not in panels]:
        raise InputError(f"no panel '{unknown[0]}': there are {', '.join(panels)}")
    swatch: Any = tables.templates(PAGES).get_template("parts.html").module
    boxes = [_box(panels[name]) for name in names]
    shown = "".join(inner for inner, _ in boxes)
    legend = [
        _key(swatch.swatch, label, tone)
        for tone, label in enumerate(plots[0].legend)
        if f"var(--series-{tone})" in shown
    ]
    top = HEAD + LINE * len(legend)
    parts = [
        f'<text x="{at * (WIDTH + GAP) + 4:.0f}" y="{top - 8:.0f}" class="title">{html.escape(title)}</text>'
        f'<g transform="translate({at * (WIDTH + GAP):.0f} {top:.0f})">{inner}</g>'
        for at, (title, (inner, _)) in enumerate(zip(titles, boxes, strict=True))
    ]
    keys = [f'<g transform="translate(4 {6 + LINE * at:.0f})">{key}</g>' for at, key in enumerate(legend)]
    width, height = len(boxes) * (WIDTH + GAP) - GAP, top + max(height for _, height in boxes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" font-family="system-ui, sans-serif">\n<style>{_colours()}</style>\n'
        f'<rect width="100%" height="100%" fill="var(--paper)"/>\n' + "\n".join([*keys, *parts]) + "\n</svg>\n"
    )


def _box(panel: Panel) -> tuple[str, float]:
    """Return a panel's drawing at the common width, and its height."""
    svg = str(panel.drawing)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert box, "drawings of charts have a viewBox"
    height = WIDTH * float(box[2]) / float(box[1])
    return svg.replace("<svg ", f'<svg width="{WIDTH:.0f}" height="{height:.0f}" ', 1), height


def _key(swatch: Callable[[int], str], label: str, tone: int) -> str:
    """Return an entry of the legend: the series' mark as the report's page has it, and its label."""
    mark = str(swatch(tone)).replace("<svg ", '<svg width="24" height="10" y="2" ', 1)
    return f'{mark}<text x="30" y="11" class="key">{html.escape(label)}</text>'


def _colours() -> str:
    """Return the style sheet: the variables of the reports' pages, light and dark."""
    sheets = [(PAGES / name).read_text(encoding="utf-8") for name in ("page.css", "dark.css")]
    light, dark = ("; ".join(re.findall(r"--[\w-]+: #[0-9a-f]{3,6}", sheet)) for sheet in sheets)
    texts = (
        ".title, .key { fill: var(--ink); font-size: 11px } .title { font-weight: 600 } "
        ".glyph { fill: currentColor } .run { stroke: currentColor; stroke-width: 1.4; fill: none }"
    )
    return f":root {{ {light} }} @media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }} {texts}"


if __name__ == "__main__":
    main()
