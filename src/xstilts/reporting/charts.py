"""Charts: the plots of a study's report, as inline SVG: gains by language and by cost, learning curves, cost by size.

matplotlib draws each panel; its colours are then replaced by CSS variables, so that one drawing suits light and dark
pages, and its texts stay text in the page's font. The same report gives the same bytes. Series differ by mark and dash
as well as by colour (palette after Okabe and Ito, readable with every type of colour vision). A panel is a drawing of
its own, so that a narrow screen shows panels below each other.

>>> [section.name for section in sections({})]
['costs', 'curves', 'scalings']
>>> "viewBox" in scatter([Series("a", ((1, 2), (2, 3)))], Axes("seconds", "gain"), "gain against cost")
True
"""

from __future__ import annotations

import hashlib
import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from xstilts.experiments.collect_results import TRAININGS
from xstilts.reporting.page import Panel, Plot, Section
from xstilts.runtime import tables
from xstilts.runtime.tables import Cell, TableView, is_known
from xstilts.runtime.text import counted

Json = Mapping[str, Any]
Point = tuple[float, float]

COSTS = ("intermediate_seconds", "intermediate_flops", "intermediate_joules")  # the first one known is drawn
SPELLED = {"flops": "FLOPs", "mib": "MiB"}
LOG_FROM = 20  # ratio of the largest to the smallest cost from which the axis is logarithmic
PANELS = 12  # of one plot; further ones make another plot

# Stand-in colours for matplotlib, which only knows hexadecimal ones, and the page's variables that replace them.
INK, MUTED, RULE, BAND = "#010101", "#020202", "#030303", "#040404"
NAMED = {INK: "var(--ink)", MUTED: "var(--muted)", RULE: "var(--rule)", BAND: "var(--band)"}
COUNT = 7  # colours of series; from the eighth on they repeat
MARKS = "osD^vPX"
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1)), (0, (8, 2)), (0, (2, 2)))
SIZE = (4.2, 2.9)  # inches at 72 px: the width of a phone
PLACE = (0.125, 0.17, 0.835, 0.73)  # of the axes, the same in all panels, so that they line up
STRIP_WIDTH = 120  # px
FAR = 3.0  # distances between the quartiles: what lies further away does not stretch a scale
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


@dataclass(frozen=True)
class Series:
    """The points of one label.

    Attributes:
        label: The label in the legend.
        points: The points, (x, y).
        tone: The number of its colour, mark and dash.
    """

    label: str
    points: tuple[Point, ...]
    tone: int = 0


@dataclass(frozen=True)
class Axes:
    """The two axes of a chart.

    Attributes:
        x: The label of the horizontal axis.
        y: The label of the vertical axis.
        log_x: Whether the horizontal axis is logarithmic.
        log_y: Whether the vertical axis is logarithmic.
    """

    x: str
    y: str
    log_x: bool = False
    log_y: bool = False


# The plots of a report.


def sections(report: Json) -> Iterator[Section]:
    """Return the sections of a report that hold plots.

    Args:
        report: A study's report.

    Yields:
        Sections; one without data has no blocks.
    """
    yield Section("costs", "Gain against cost", tuple(_cost_plots(report.get("costs", ()))))
    yield Section("curves", "Learning curves", tuple(_curve_plots(report.get("curves", ()))))
    yield Section("scalings", "How cost grows with size", tuple(_scaling_plots(report.get("scalings", ()))))


def axis_label(name: str) -> str:
    """Return the name of a figure of cost in words.

    >>> axis_label("intermediate_flops")
    'intermediate FLOPs'
    """
    return " ".join(SPELLED.get(word, word) for word in name.split("_"))


def varying(rows: Sequence[Json], *columns: str) -> tuple[str, ...]:
    """Return the columns by which rows are told apart in a legend.

    Args:
        rows: Rows of a report.
        columns: Columns that may tell them apart.

    Returns:
        Those columns that differ among the rows; the first one where none does.
    """
    differing = tuple(column for column in columns if len({row.get(column) for row in rows}) > 1)
    return differing or columns[:1]


def label(row: Json, columns: Iterable[str]) -> str:
    """Return the label of a row of a report.

    Args:
        row: The row.
        columns: The columns to name.

    Returns:
        The values that are not empty, joined by "·".
    """
    return " · ".join(str(row[column]) for column in columns if row.get(column))


def language_plots(report: Json) -> Iterator[Plot]:
    """Yield the gains in each language, those of one family together: a panel for each target, encoder and recipe.

    Args:
        report: A study's report.

    Yields:
        Plots of at most `PANELS` panels; none for a report without gains.
    """
    languages = report.get("settings", {}).get("languages", {})
    rows = [
        row
        for row in report.get("gains", ())
        if row["language"] in languages and is_known(row["estimate"]) and not row.get("repeats_training_data")
    ]
    settings = tuple(dict.fromkeys(row["intermediate"] for row in rows))
    columns = tuple(name for name in ("recipe", "encoder") if len({row.get(name) for row in rows}) > 1)
    panels: dict[str, list[Json]] = {}
    for row in rows:
        panels.setdefault(label(row, ("target", *columns)), []).append(row)
    note = (
        "The gain over the baseline with its 95 % interval over seeds, each by itself; languages of a family stand "
        "together, those nearer to English first. Settings that repeat the target's own training data are left out. "
        "An interval that ends at the edge goes on beyond it."
    )
    names = list(panels)
    for first in range(0, len(names), PANELS):
        part = {name: panels[name] for name in names[first : first + PANELS]}
        drawn = tuple(_language_panel(name, group, languages, settings) for name, group in part.items())
        yield Plot(f"by-language-{first}", "Gain in each language", drawn, None, settings, note)


def _language_panel(name: str, rows: Sequence[Json], languages: Json, settings: tuple[str, ...]) -> Panel:
    order = _by_family({row["language"]: languages[row["language"]] for row in rows})
    gains = [row["estimate"] for row in rows]
    low, high = tables.signed(min(gains)).text, tables.signed(max(gains)).text
    description = f"{name}: gains from {low} to {high} in {counted(len(order), 'language')}"
    places = {code: place for place, code in enumerate(order)}
    series = {setting: [row for row in rows if row["intermediate"] == setting] for setting in settings}
    drawing = intervals(
        [
            Series(setting, tuple((row["estimate"], places[row["language"]]) for row in group), tone)
            for tone, (setting, group) in enumerate(series.items())
            if group
        ],
        [[(row["low"], row["high"]) for row in group] for group in series.values() if group],
        [(languages[code]["name"], languages[code]["family"]) for code in order],
        description,
    )
    return Panel(name, drawing, description)


def _by_family(languages: Json) -> list[str]:
    """Return the codes of languages, the nearest family first, and in it the nearest language."""
    nearest: dict[str, float] = {}
    for about in languages.values():
        distance = about["distance"] if is_known(about.get("distance")) else math.inf
        nearest[about["family"]] = min(distance, nearest.get(about["family"], math.inf))

    def place(code: str) -> tuple[float, str, float, str]:
        about = languages[code]
        return nearest[about["family"]], about["family"], about.get("distance") or 0.0, about["name"]

    return sorted(languages, key=place)


def _cost_plots(rows: Sequence[Json]) -> Iterator[Plot]:
    """Yield the plot of gain against the first known cost; its table has all figures."""
    if not rows:
        return
    with_gain = [row for row in rows if is_known(row.get("gain"))]
    axis = next((name for name in COSTS if any(is_known(row["figures"].get(name)) for row in with_gain)), None)
    drawn = [row for row in with_gain if axis and is_known(row["figures"].get(axis))]
    columns = varying(drawn, "intermediate", "recipe", "encoder")
    labelled = [(label(row, columns), row) for row in drawn]
    labels = tuple(dict.fromkeys(name for name, _ in labelled))
    targets = dict.fromkeys(row["target"] for row in drawn)
    panels = tuple(
        _cost_panel(target, [pair for pair in labelled if pair[1]["target"] == target], str(axis), labels)
        for target in targets
    )
    note = (
        "One mark per seed: the gain over the baseline, averaged over the zero-shot languages, against the cost of the "
        "intermediate phase."
    )
    yield Plot("cost", "Gain against the cost of the intermediate phase", panels, _cost_table(rows), labels, note)


def _cost_panel(target: str, labelled: Sequence[tuple[str, Json]], axis: str, labels: tuple[str, ...]) -> Panel:
    points = [(name, row["figures"][axis], row["gain"]) for name, row in labelled]
    series = [
        Series(name, tuple((cost, gain) for label, cost, gain in points if label == name), tone)
        for tone, name in enumerate(labels)
        if any(label == name for label, _, _ in points)
    ]
    costs, gains = [cost for _, cost, _ in points], [gain for _, _, gain in points]
    description = (
        f"{target}: gains from {tables.signed(min(gains)).text} to {tables.signed(max(gains)).text} "
        f"at {axis_label(axis)} from {tables.cost_figure(axis, min(costs)).text} "
        f"to {tables.cost_figure(axis, max(costs)).text}"
    )
    wide = min(costs) > 0 and max(costs) / min(costs) > LOG_FROM
    drawing = scatter(series, Axes(axis_label(axis), "gain", log_x=wide), description)
    return Panel(target, drawing, description)


def _cost_table(rows: Sequence[Json]) -> TableView:
    figures = list(dict.fromkeys(name for row in rows for name, value in row["figures"].items() if is_known(value)))
    cells = tuple(
        (
            *(Cell(str(row.get(column) or "")) for column in ("encoder", "recipe", "intermediate", "target")),
            Cell(str(row["seed"]), row["seed"]),
            tables.number(row.get("score"), 2, row["keys"]),
            tables.signed(row.get("gain")),
            *(tables.cost_figure(name, row["figures"].get(name)) for name in figures),
        )
        for row in rows
    )
    columns = ("encoder", "recipe", "intermediate", "target", "seed", "score", "gain", *map(axis_label, figures))
    return TableView("run-costs", "Cost of each run", columns, cells, folded=True).trimmed()


def _curve_plots(curves: Sequence[Json]) -> Iterator[Plot]:
    """Yield the loss, then the dev scores of each role's trainings: a panel for each task of a training."""
    encoders = tuple(dict.fromkeys(curve["encoder"] for curve in curves))
    for role in sorted({curve["role"] for curve in curves}, key=_phase):
        for field, title in (("points", "training loss"), ("dev_scores", "score on development data")):
            drawn = [curve for curve in curves if curve["role"] == role and curve.get(field)]
            groups = list(_by_training(drawn).items())
            for first in range(0, len(groups), PANELS):
                part = dict(groups[first : first + PANELS])
                name = f"{role}-{field}-{first}"
                yield _curve_plot(name, f"{role.capitalize()} phase: {title}", part, field, encoders)


def _phase(role: str) -> int:
    """Return the place of a role in the order of phases; unknown ones come last."""
    return TRAININGS.index(role) if role in TRAININGS else len(TRAININGS)


def _by_training(curves: Sequence[Json]) -> dict[str, list[Json]]:
    """Return curves by task and training; the recipe is named where several have trainings of the same name."""
    by_label: dict[str, list[Json]] = {}
    for curve in curves:
        by_label.setdefault(curve["label"], []).append(curve)
    groups: dict[str, list[Json]] = {}
    for name, same in by_label.items():
        recipes = {curve.get("recipe") for curve in same}
        for curve in same:
            groups.setdefault(label(curve, ("label", "recipe")) if len(recipes) > 1 else name, []).append(curve)
    return groups


def _curve_plot(name: str, title: str, groups: Mapping[str, list[Json]], field: str, encoders: tuple[str, ...]) -> Plot:
    panels = tuple(_curve_panel(name, group, field, encoders) for name, group in groups.items())
    rows = tuple(
        (
            Cell(name),
            Cell(curve["encoder"]),
            Cell(str(curve["seed"]), curve["seed"]),
            tables.number(curve[field][0][1], 3),
            tables.number(curve[field][-1][1], 3, (curve["key"],)),
            tables.count(curve[field][-1][0]),
            tables.duration(curve.get("seconds")),
        )
        for name, group in groups.items()
        for curve in group
    )
    columns = ("task and training", "encoder", "seed", "first", "last", "steps", "time")
    table = TableView(f"{name}-data", title, columns, rows, folded=True)
    note = "One line for each seed, of one task."
    if field == "points":
        note += " A point is the mean loss of the task's steps in the hundredth of the training before it."
    return Plot(name, title, panels, table, encoders, note)


def _curve_panel(label: str, group: Sequence[Json], field: str, encoders: tuple[str, ...]) -> Panel:
    every = [
        Series(
            curve["encoder"],
            tuple((step, value) for step, value in curve[field] if is_known(value)),
            encoders.index(curve["encoder"]),
        )
        for curve in group
    ]
    series = [line for line in every if line.points]
    ends = [line.points[-1][1] for line in series]
    last = max(line.points[-1][0] for line in series)
    description = (
        f"{label}: after {tables.count(last).text} steps between {tables.number(min(ends), 3).text} "
        f"and {tables.number(max(ends), 3).text}, {counted(len(series), 'training')}"
    )
    axes = Axes("steps", "loss" if field == "points" else "score")
    return Panel(label, lines(series, axes, description, marked=field == "dev_scores"), description)


def _scaling_plots(scalings: Sequence[Json]) -> Iterator[Plot]:
    """Yield each figure against the encoder's size on logarithmic axes, with the fitted exponent."""
    drawn = [scaling for scaling in scalings if scaling["points"]]
    if not drawn:
        return
    rows = tuple(
        (
            Cell(_figure_label(scaling)),
            tables.number(scaling["exponent"], 3),
            tables.number(scaling["low"], 3),
            tables.number(scaling["high"], 3),
            tables.count(len(scaling["points"])),
            Cell("yes" if scaling.get("by_construction") else "no"),
            Cell(scaling.get("what") or ""),
        )
        for scaling in drawn
    )
    columns = ("figure", "exponent", "low", "high", "points", "by construction", "claim")
    fits = TableView("exponents", "Fitted exponents", columns, rows, folded=False)
    note = (
        "Logarithmic axes. The line is the fitted power law; the band shows the interval of its exponent, with all "
        "lines through the mean of the points."
    )
    yield Plot(
        "scaling", "Cost against parameters without embeddings", tuple(map(_scaling_panel, drawn)), fits, (), note
    )


def _scaling_panel(scaling: Json) -> Panel:
    points = tuple((x, y) for x, y, *_ in scaling["points"] if is_known(x) and is_known(y) and x > 0 and y > 0)
    name, unit = _figure_label(scaling), scaling.get("unit") or ""
    interval = tables.interval(scaling["low"], scaling["high"])
    fit = f"exponent {tables.number(scaling['exponent']).text} {interval}".strip()
    description = f"{name}: {fit}, {counted(len(points), 'point')}"
    exponents = (scaling["exponent"], scaling["low"], scaling["high"])
    drawing = power(Series(name, points), exponents, Axes("parameters without embeddings", unit or name), description)
    return Panel(f"{name}: {fit}", drawing, description)


def _figure_label(scaling: Json) -> str:
    """Return a figure of cost in words, with the figure that it is divided by and the arm that it belongs to."""
    per = f" per {axis_label(scaling['per'])}" if scaling.get("per") else ""
    arm = f", {scaling['of']}" if scaling.get("of") else ""
    return f"{axis_label(scaling['figure'])}{per}{arm}"


# Drawings.


def lines(series: Sequence[Series], axes: Axes, description: str, marked: bool = False) -> Markup:
    """Draw lines.

    Args:
        series: The lines.
        axes: The labels of the axes.
        description: What the drawing shows, for screen readers.
        marked: Whether each point has a mark, where there are few.

    Returns:
        The drawing as SVG.
    """

    def paint(ax: Any) -> None:
        for line in series:
            tone = line.tone % COUNT
            style = {"marker": MARKS[tone], "markersize": 4} if marked else {}
            ax.plot(*zip(*line.points, strict=True), color=colour(tone), linestyle=DASHES[tone], alpha=0.85, **style)

    return draw(paint, axes, description)


def scatter(series: Sequence[Series], axes: Axes, description: str) -> Markup:
    """Draw points, with a horizontal line at zero.

    Args:
        series: The points, by label.
        axes: The labels and scales of the axes.
        description: The alternative text, for readers who do not see the chart.

    Returns:
        The chart as SVG.
    """

    def paint(ax: Any) -> None:
        ax.axhline(0, color=RULE, linewidth=1, zorder=0)
        for group in series:
            tone = group.tone % COUNT
            look = {"marker": MARKS[tone], "s": 34, "facecolor": colour(tone), "edgecolor": "none", "alpha": 0.85}
            ax.scatter(*zip(*group.points, strict=True), **look)

    return draw(paint, axes, description)


def intervals(
    series: Sequence[Series],
    ends: Sequence[Sequence[tuple[float | None, float | None]]],
    names: Sequence[tuple[str, str]],
    description: str,
) -> Markup:
    """Draw estimates with their intervals in named lines, groups of lines apart.

    Args:
        series: The estimates (x) and the numbers of their lines (y), by label.
        ends: Both ends of each point's interval, in the order of the series; None where there is none.
        names: The name of each line and of its group; lines of a group follow each other.
        description: What the drawing shows, for screen readers.

    Returns:
        The drawing as SVG, as high as its lines need.
    """
    drawn = [x for group in series for x, _ in group.points]
    left, right = scale([*drawn, *(end for group in ends for pair in group for end in pair)])
    margin = 0.04 * ((right - left) or 1.0)
    step = 0.7 / max(len(series), 1)
    family = {"color": MUTED, "fontsize": 8}

    def paint(ax: Any) -> None:
        ax.axvline(0, color=RULE, linewidth=1, zorder=0)
        for number, (group, reaches) in enumerate(zip(series, ends, strict=True)):
            tone = group.tone % COUNT
            for (x, line), (low, high) in zip(group.points, reaches, strict=True):
                y = line + (number - (len(series) - 1) / 2) * step
                if low is not None and high is not None and is_known(low) and is_known(high):
                    reach = (max(low, left - margin), min(high, right + margin))
                    ax.plot(reach, (y, y), color=colour(tone), linewidth=1.2, alpha=0.7, zorder=1)
                ax.scatter(x, y, s=22, marker=MARKS[tone], facecolor=colour(tone), edgecolor="none", zorder=2)
        for first in (at for at in range(len(names)) if not at or names[at][1] != names[at - 1][1]):
            if first:
                ax.axhline(first - 0.5, color=RULE, linewidth=0.8)
            ax.text(1.02, first, names[first][1], transform=ax.get_yaxis_transform(), va="center", **family)
        ax.set_xlim(left - margin, right + margin)
        ax.set_ylim(len(names) - 0.5, -0.5)

    height = 0.8 + len(names) * max(0.2, 0.09 * len(series))
    size = (SIZE[0], height)
    place = (0.22, 0.48 / height, 0.56, 1 - 0.68 / height)
    return draw(paint, Axes("gain", ""), description, size, place, tuple(name for name, _ in names))


def power(series: Series, exponents: tuple[float | None, ...], axes: Axes, description: str) -> Markup:
    """Draw points on logarithmic axes with a fitted power law.

    Args:
        series: The points, all above 0.
        exponents: The fitted exponent and both ends of its interval; None where not known.
        axes: The labels of the axes.
        description: What the drawing shows, for screen readers.

    Returns:
        The drawing as SVG. Its lines go through the mean of the logarithms, as the least-squares line does.
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

    return draw(paint, Axes(axes.x, axes.y, True, True), description)


def scale(values: Iterable[float | None], marks: Iterable[float] = (0.0,)) -> tuple[float, float]:
    """Return the ends of a scale on which intervals can be seen: a few far ends do not stretch it.

    Args:
        values: Estimates and the ends of their intervals; unknown ones are passed over.
        marks: Values that the scale always has.

    Returns:
        The smallest and the largest of the marks and of the values, without values that lie further beyond the
        quartiles than `FAR` times their distance.

    >>> scale([1.0, 2.0, 3.0, 2.5, 1.5, 400.0])
    (0.0, 3.0)
    """
    known = sorted(value for value in values if value is not None and is_known(value))
    if len(known) > 3:
        lower, upper = known[len(known) // 4], known[-1 - len(known) // 4]
        reach = FAR * (upper - lower)
        known = [value for value in known if lower - reach <= value <= upper + reach]
    every = [*known, *marks]
    return min(every), max(every)


def strip(
    value: float,
    interval: tuple[float, float] | None,
    bounds: tuple[float, float],
    decided: bool,
    ticks: tuple[float, ...] = (0.0,),
) -> Markup:
    """Draw an estimate with its interval on a line that fits into a table cell.

    Args:
        value: The estimate; one beyond the scale is not drawn.
        interval: Its interval, if there is one; an arrow stands where it goes on beyond the scale.
        bounds: Both ends of the scale, which all strips of a table share.
        decided: Whether the mark is full: the interval decides the claim.
        ticks: The values to mark on the scale.

    Returns:
        The drawing as SVG.
    """
    low, high = bounds
    width = (high - low) or 1.0

    def at(x: float) -> str:
        return f"{6 + (STRIP_WIDTH - 12) * (min(max(x, low), high) - low) / width:.1f}"

    ends = (*(interval or ()), value)
    tick = "".join(f'<path class="null" d="M{at(tick)} 1V15"/>' for tick in ticks)
    line = f'<path class="reach" d="M{at(interval[0])} 8H{at(interval[1])}"/>' if interval else ""
    left = '<path class="beyond" d="M0 8L6 4.5V11.5z"/>' if min(ends) < low else ""
    right = f'<path class="beyond" d="M{STRIP_WIDTH} 8L{STRIP_WIDTH - 6} 4.5V11.5z"/>' if max(ends) > high else ""
    mark = f'<circle class="{"full" if decided else "hollow"}" cx="{at(value)}" cy="8" r="3.2"/>'
    drawn = f"{tick}{line}{left}{right}{mark if low <= value <= high else ''}"
    return Markup(f'<svg class="strip" viewBox="0 0 {STRIP_WIDTH} 16" aria-hidden="true">{drawn}</svg>')


def colour(tone: int) -> str:
    """Return the stand-in colour of a series, which the page replaces by `var(--series-N)`."""
    return f"#0500{tone % COUNT:02x}"


def draw(
    paint: Callable[[Any], None],
    axes: Axes,
    description: str,
    size: tuple[float, float] = SIZE,
    place: tuple[float, float, float, float] = PLACE,
    lines_named: tuple[str, ...] = (),
) -> Markup:
    """Draw a panel.

    Args:
        paint: Draws the data on the matplotlib axes that it is given.
        axes: The labels of the axes, and which are logarithmic.
        description: What the drawing shows, for screen readers.
        size: Width and height in inches at 72 px.
        place: Left, bottom, width and height of the axes, as shares of the size.
        lines_named: Names of horizontal lines at 0, 1, …, in place of numbers on the vertical axis.

    Returns:
        The drawing as SVG for the page.
    """
    import matplotlib
    from matplotlib.figure import Figure

    settings: Any = SETTINGS
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=size)
        ax = figure.add_axes(place)
        paint(ax)
        ax.set_title(axes.y)
        ax.set_xlabel(axes.x)
        ax.grid(axis="x" if lines_named else "y", color=RULE, linewidth=0.5, alpha=0.6)
        ax.set_axisbelow(True)
        _set_ticks(ax.xaxis, axes.log_x, ax.set_xscale)
        if lines_named:
            ax.set_yticks(range(len(lines_named)), lines_named)
        else:
            _set_ticks(ax.yaxis, axes.log_y, ax.set_yscale)
        file = io.StringIO()
        no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=no_metadata)
    return _for_page(file.getvalue(), description)


def _set_ticks(axis: Any, logarithmic: bool, set_scale: Callable[[str], None]) -> None:
    from matplotlib import ticker

    if logarithmic:
        set_scale("log")
        low, high = axis.get_view_interval()
        subs = (1.0,) if high / low > 100 else (1.0, 3.0) if high / low > 8 else (1.0, 2.0, 5.0)
        axis.set_major_locator(ticker.LogLocator(subs=subs, numticks=8))
        axis.set_minor_locator(ticker.NullLocator())
    else:
        axis.set_major_locator(ticker.MaxNLocator(5))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: tables.amount(round(value, 10)).text))


def _for_page(svg: str, description: str) -> Markup:
    """Return matplotlib's SVG as part of a page: CSS variables for colours, the page's font, no size, no unused ids."""
    body = svg[svg.index("<svg") :]
    # matplotlib's style sheet would apply to the whole page.
    body = re.sub(r"<!--.*?-->\s*|<(metadata|style)\b.*?</\1>\s*", "", body, flags=re.DOTALL)
    body = _with_own_ids(
        body.replace("xlink:href", "href"), hashlib.sha256((description + body).encode()).hexdigest()[:8]
    )
    for stand_in, name in NAMED.items():
        body = body.replace(stand_in, name)
    body = re.sub(r"#0500(\d\d)", lambda match: f"var(--series-{int(match.group(1))})", body)
    body = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", body)
    body = re.sub(r" ?font-family: [^;\"]*;?", "", body)
    box = re.search(r'viewBox="[^"]*"', body)
    head = f'<svg role="img" aria-label="{escape(description)}" {box.group(0) if box else ""}>'
    # matplotlib has escaped all texts.
    return Markup(re.sub(r"^<svg[^>]*>", lambda _: head, body.strip(), count=1))


def _with_own_ids(body: str, prefix: str) -> str:
    """Return a drawing whose ids are those it uses, made unique on the page by a prefix."""
    references = re.compile(r'(url\(#|href="#)([^)"]+)')
    names = {name for _, name in references.findall(body)}
    body = re.sub(r' id="([^"]*)"', lambda match: match.group(0) if match.group(1) in names else "", body)
    return references.sub(rf"\g<1>{prefix}-\g<2>", body.replace(' id="', f' id="{prefix}-'))
