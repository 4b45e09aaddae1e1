"""Plots: drawings as inline SVG whose bytes are the same each time and whose colours are the page's.

matplotlib draws; its colours are then replaced by CSS variables, so that one drawing suits light and dark, and its
texts stay texts in the page's own type. Series differ by mark and dash as well as by colour (after Okabe and Ito, for
all kinds of colour vision). Each panel is a small drawing of its own, so that a narrow screen shows one beside none.

>>> "viewBox" in scatter([Series("a", ((1, 2), (2, 3)))], Axes("seconds", "gain"), "cost")
True
"""

from __future__ import annotations

import hashlib
import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from xstilts.reporting.cell_format import amount

INK, MUTED, RULE, BAND = "#010101", "#020202", "#030303", "#040404"
NAMED = {INK: "var(--ink)", MUTED: "var(--muted)", RULE: "var(--rule)", BAND: "var(--band)"}
COUNT = 7  # series that differ in colour; the marks go on
MARKS = "osD^vPX"
WIDTH = 88  # of a strip, in px
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1)), (0, (8, 2)), (0, (2, 2)))
SIZE = (4.2, 2.9)  # inches at 72 px: what a phone's width shows at full size
PLACE = (0.125, 0.17, 0.835, 0.73)  # of the axes, the same in all panels, so that they line up
SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "xstilts",
    "text.parse_math": False,
    "font.size": 10.5,
    "axes.unicode_minus": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": MUTED,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "text.color": INK,
    "lines.linewidth": 1.5,
}
Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """Points of one label; `tone` is the number of its colour, mark and dash."""

    label: str
    points: tuple[Point, ...]
    tone: int = 0


@dataclass(frozen=True)
class Axes:
    """What the axes measure, and whether either is logarithmic."""

    x: str
    y: str
    log_x: bool = False
    log_y: bool = False


def colour(tone: int) -> str:
    """Return the stand-in colour of a series, which becomes `var(--series-N)`."""
    return f"#0500{tone % COUNT:02x}"


def lines(series: Sequence[Series], axes: Axes, says: str, marked: bool = False) -> Markup:
    """Return lines; `marked` shows each point too, where there are few."""

    def paint(ax: Any) -> None:
        for one in series:
            tone = one.tone % COUNT
            style = {"marker": MARKS[tone], "markersize": 4} if marked else {}
            ax.plot(*zip(*one.points, strict=True), color=colour(tone), linestyle=DASHES[tone], alpha=0.85, **style)

    return drawn(paint, axes, says)


def scatter(series: Sequence[Series], axes: Axes, says: str) -> Markup:
    """Return points, with a line at zero where gains are drawn on the second axis."""

    def paint(ax: Any) -> None:
        ax.axhline(0, color=RULE, linewidth=1, zorder=0)
        for one in series:
            tone = one.tone % COUNT
            look = {"marker": MARKS[tone], "s": 34, "facecolor": colour(tone), "edgecolor": "none", "alpha": 0.85}
            ax.scatter(*zip(*one.points, strict=True), **look)

    return drawn(paint, axes, says)


def power(series: Series, exponents: tuple[float | None, ...], axes: Axes, says: str) -> Markup:
    """Return points on logarithmic axes with a fitted power law; exponents: the fit's, its lowest and its highest.

    The lines go through the mean of the logarithms, where the least-squares line does.
    """
    x, y = (sorted(values) for values in zip(*series.points, strict=True))
    centre = [math.exp(sum(map(math.log, values)) / len(values)) for values in (x, y)]
    ends = (x[0] * 0.8, x[-1] * 1.25)

    def at(exponent: float) -> list[float]:
        return [centre[1] * (end / centre[0]) ** exponent for end in (ends[0], centre[0], ends[1])]

    def paint(ax: Any) -> None:
        fit, low, high = exponents
        if low is not None and high is not None:
            ax.fill_between([ends[0], centre[0], ends[1]], at(low), at(high), color=BAND, linewidth=0, zorder=0)
        if fit is not None:
            ax.plot([ends[0], centre[0], ends[1]], at(fit), color=MUTED, linewidth=1.2, zorder=1)
        ax.scatter(*zip(*series.points, strict=True), s=34, facecolor=colour(series.tone), edgecolor="none", zorder=2)

    return drawn(paint, Axes(axes.x, axes.y, True, True), says)


def drawn(paint: Callable[[Any], None], axes: Axes, says: str) -> Markup:
    """Return what `paint` draws on matplotlib axes, as SVG for the page; `says` is read to those who do not see it."""
    import matplotlib
    from matplotlib.figure import Figure

    settings: Any = SETTINGS
    with matplotlib.rc_context(settings):
        sheet = Figure(figsize=SIZE)
        ax = sheet.add_axes(PLACE)
        paint(ax)
        ax.set_title(axes.y)
        ax.set_xlabel(axes.x)
        ax.grid(axis="y", color=RULE, linewidth=0.5, alpha=0.6)
        ax.set_axisbelow(True)
        _ticked(ax.xaxis, axes.log_x, ax.set_xscale)
        _ticked(ax.yaxis, axes.log_y, ax.set_yscale)
        file = io.StringIO()
        none = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        sheet.savefig(file, format="svg", transparent=True, metadata=none)
    return dressed(file.getvalue(), says)


def dressed(svg: str, says: str) -> Markup:
    """Return matplotlib's SVG as part of a page: named colours, the page's type, no sizes, no ids but those used."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<!--.*?-->\s*|<(metadata|style)\b.*?</\1>\s*", "", body, flags=re.DOTALL)  # a style of all pages
    body = _renamed(body.replace("xlink:href", "href"), hashlib.sha256((says + body).encode()).hexdigest()[:8])
    for stand_in, name in NAMED.items():
        body = body.replace(stand_in, name)
    body = re.sub(r"#0500(\d\d)", lambda found: f"var(--series-{int(found.group(1))})", body)
    body = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", body)
    body = re.sub(r" ?font-family: [^;\"]*;?", "", body)
    box = re.search(r'viewBox="[^"]*"', body)
    head = f'<svg role="img" aria-label="{escape(says)}" {box.group(0) if box else ""}>'
    return Markup(re.sub(r"^<svg[^>]*>", lambda _: head, body.strip(), count=1))  # texts were escaped by matplotlib


def _renamed(body: str, prefix: str) -> str:
    """Return a drawing whose ids are no other drawing's, and only those that it uses."""
    used = re.compile(r'(url\(#|href="#)([^)"]+)')
    names = {name for _, name in used.findall(body)}
    body = re.sub(r' id="([^"]*)"', lambda found: found.group(0) if found.group(1) in names else "", body)
    return used.sub(rf"\g<1>{prefix}-\g<2>", body.replace(' id="', f' id="{prefix}-'))


def strip(
    value: float,
    interval: tuple[float, float] | None,
    bounds: tuple[float, float],
    decided: bool,
    ticks: tuple[float, ...] = (0.0,),
) -> Markup:
    """Return an estimate and its interval as a mark on a line of a cell's width, full where something is decided."""
    low, high = bounds
    reach = (high - low) or 1.0

    def at(x: float) -> str:
        return f"{4 + (WIDTH - 8) * (min(max(x, low), high) - low) / reach:.1f}"

    tick = "".join(f'<path class="null" d="M{at(tick)} 1V15"/>' for tick in ticks)
    line = f'<path class="reach" d="M{at(interval[0])} 8H{at(interval[1])}"/>' if interval else ""
    mark = f'<circle class="{"full" if decided else "hollow"}" cx="{at(value)}" cy="8" r="3.2"/>'
    return Markup(f'<svg class="strip" viewBox="0 0 {WIDTH} 16" aria-hidden="true">{tick}{line}{mark}</svg>')


def _ticked(axis: Any, logarithmic: bool, scale: Callable[[str], None]) -> None:
    from matplotlib import ticker

    if logarithmic:
        scale("log")
        low, high = axis.get_view_interval()
        subs = (1.0,) if high / low > 100 else (1.0, 3.0) if high / low > 8 else (1.0, 2.0, 5.0)
        axis.set_major_locator(ticker.LogLocator(subs=subs, numticks=8))
        axis.set_minor_locator(ticker.NullLocator())
    else:
        axis.set_major_locator(ticker.MaxNLocator(5))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: amount(round(value, 10)).text))
