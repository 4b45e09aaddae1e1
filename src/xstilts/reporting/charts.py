"""Drawings: the plots of a study's report: what gains cost, how trainings went, how figures grow with an encoder.

>>> [one.name for one in of({})]
['costs', 'curves', 'scalings']
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from xstilts.reporting import cell_format
from xstilts.reporting.cell_format import known
from xstilts.reporting.page import Cell, Panel, Plot, Section, TableView
from xstilts.reporting.svg import Axes, Series, lines, power, scatter

Json = Mapping[str, Any]
COSTS = ("intermediate_seconds", "intermediate_flops", "intermediate_joules")
WORDS = {"flops": "FLOPs", "mib": "MiB"}
WIDE = 20  # costs that differ by more are drawn on a logarithmic axis
PANELS = 12  # of one figure; the next ones are folded


def of(report: Json) -> Iterator[Section]:
    """Yield a section for each kind of plot that has data."""
    yield Section("costs", "Gain against cost", tuple(_costs(report.get("costs", ()))))
    yield Section("curves", "Learning curves", tuple(_curves(report.get("curves", ()))))
    yield Section("scalings", "How cost grows with size", tuple(_scalings(report.get("scalings", ()))))


def axis_label(name: str) -> str:
    """Return a figure's name in words."""
    return " ".join(WORDS.get(word, word) for word in name.split("_"))


def _costs(rows: Sequence[Json]) -> Iterator[Plot]:
    """Yield gain against the first measured cost; the sheet has all figures."""
    gained = [row for row in rows if known(row.get("gain"))]
    axis = next((name for name in COSTS if any(known(row["figures"].get(name)) for row in gained)), None)
    drawn = [row for row in gained if axis and known(row["figures"].get(axis))]
    if not rows:
        return
    columns = varying(drawn, "intermediate", "recipe", "encoder")
    named = [(label(row, columns), row) for row in drawn]
    labels = tuple(dict.fromkeys(name for name, _ in named))
    targets = dict.fromkeys(row["target"] for row in drawn)
    panels = tuple(
        _cost_panel(target, [pair for pair in named if pair[1]["target"] == target], str(axis), labels)
        for target in targets
    )
    note = (
        "A mark a seed: the gain over the baseline, a mean over the languages that the target was not learned in, "
        "against what the intermediate phase took."
    )
    yield Plot("cost", "Gain against the cost of the intermediate phase", panels, _bill(rows), labels, note)


def _cost_panel(target: str, named: Sequence[tuple[str, Json]], axis: str, labels: tuple[str, ...]) -> Panel:
    points = [(name, row["figures"][axis], row["gain"]) for name, row in named]
    series = [
        Series(name, tuple((cost, gain) for of, cost, gain in points if of == name), tone)
        for tone, name in enumerate(labels)
        if any(of == name for of, _, _ in points)
    ]
    costs, gains = [cost for _, cost, _ in points], [gain for _, _, gain in points]
    says = (
        f"{target}: gains from {cell_format.signed(min(gains)).text} to {cell_format.signed(max(gains)).text} "
        f"at {axis_label(axis)} from {cell_format.figure(axis, min(costs)).text} "
        f"to {cell_format.figure(axis, max(costs)).text}"
    )
    wide = min(costs) > 0 and max(costs) / min(costs) > WIDE
    return Panel(target, scatter(series, Axes(axis_label(axis), "gain", log_x=wide), says), says)


def _bill(rows: Sequence[Json]) -> TableView:
    figures = list(dict.fromkeys(name for row in rows for name, value in row["figures"].items() if known(value)))
    made = tuple(
        (
            *(Cell(str(row.get(column) or "")) for column in ("encoder", "recipe", "intermediate", "target")),
            Cell(str(row["seed"]), row["seed"]),
            cell_format.plain(row.get("score"), 2, row["keys"]),
            cell_format.signed(row.get("gain")),
            *(cell_format.figure(name, row["figures"].get(name)) for name in figures),
        )
        for row in rows
    )
    columns = ("encoder", "recipe", "intermediate", "target", "seed", "score", "gain", *map(axis_label, figures))
    return TableView("bill", "What each run took", columns, made, folded=True).trimmed()


def varying(rows: Sequence[Json], *columns: str) -> tuple[str, ...]:
    """Return the first column and those others that differ among rows: what a label must say."""
    return (columns[0], *(column for column in columns[1:] if len({row.get(column) for row in rows}) > 1))


def label(row: Json, columns: Iterable[str]) -> str:
    """Return what a row is called by some of its columns."""
    return " · ".join(str(row[column]) for column in columns if row.get(column))


def _curves(curves: Sequence[Json]) -> Iterator[Plot]:
    """Yield loss, then scores on development data, for each role: a panel a training, a line a seed."""
    encoders = tuple(dict.fromkeys(one["encoder"] for one in curves))
    for role in dict.fromkeys(one["role"] for one in curves):
        for field, title in (("points", "loss"), ("looks", "score on development data")):
            found = [one for one in curves if one["role"] == role and one.get(field)]
            groups = list(_by_training(found).items())
            for first in range(0, len(groups), PANELS):
                part = dict(groups[first : first + PANELS])
                yield _curve_plot(
                    f"{role}-{field}-{first}", f"{role.capitalize()} phase: {title}", part, field, encoders
                )


def _by_training(curves: Sequence[Json]) -> dict[str, list[Json]]:
    columns = varying(curves, "label", "recipe")
    found: dict[str, list[Json]] = {}
    for one in curves:
        found.setdefault(label(one, columns), []).append(one)
    return found


def _curve_plot(name: str, title: str, groups: Mapping[str, list[Json]], field: str, encoders: tuple[str, ...]) -> Plot:
    panels = tuple(_curve_panel(name, group, field, encoders) for name, group in groups.items())
    rows = tuple(
        (
            Cell(name),
            Cell(one["encoder"]),
            Cell(str(one["seed"]), one["seed"]),
            cell_format.plain(one[field][0][1], 3),
            cell_format.plain(one[field][-1][1], 3, (one["key"],)),
            cell_format.count(one[field][-1][0]),
            cell_format.duration(one.get("seconds")),
        )
        for name, group in groups.items()
        for one in group
    )
    columns = ("training", "encoder", "seed", "first", "last", "steps", "time")
    return Plot(
        name, title, panels, TableView(f"{name}-data", title, columns, rows, folded=True), encoders, "A line a seed."
    )


def _curve_panel(label: str, group: Sequence[Json], field: str, encoders: tuple[str, ...]) -> Panel:
    series = [
        Series(
            one["encoder"],
            tuple((step, value) for step, value in one[field] if known(value)),
            encoders.index(one["encoder"]),
        )
        for one in group
    ]
    series = [one for one in series if one.points]
    ends = [one.points[-1][1] for one in series]
    last = max(one.points[-1][0] for one in series)
    says = (
        f"{label}: after {cell_format.count(last).text} steps between {cell_format.plain(min(ends), 3).text} "
        f"and {cell_format.plain(max(ends), 3).text}, {len(series)} trainings"
    )
    what = "loss" if field == "points" else "score"
    return Panel(label, lines(series, Axes("steps", what), says, marked=field == "looks"), says)


def _scalings(scalings: Sequence[Json]) -> Iterator[Plot]:
    """Yield each figure against the encoder's size on logarithmic axes, with the fitted exponent."""
    found = [one for one in scalings if one["points"]]
    if not found:
        return
    rows = tuple(
        (
            Cell(_rate(one)),
            cell_format.plain(one["exponent"], 3),
            cell_format.plain(one["low"], 3),
            cell_format.plain(one["high"], 3),
            cell_format.count(len(one["points"])),
            Cell("yes" if one.get("by_construction") else "no"),
            Cell(one.get("what") or ""),
        )
        for one in found
    )
    columns = ("figure", "exponent", "low", "high", "points", "by construction", "what")
    fits = TableView("exponents", "Fitted exponents", columns, rows, folded=False)
    note = (
        "Logarithmic axes; the line is the fitted power law, the band its exponent's interval, turned about the mean."
    )
    yield Plot("scaling", "Cost against parameters", tuple(_scaling_panel(one) for one in found), fits, (), note)


def _scaling_panel(one: Json) -> Panel:
    points = tuple((x, y) for x, y, *_ in one["points"] if known(x) and known(y) and x > 0 and y > 0)
    name, unit = _rate(one), one.get("unit") or ""
    fitted = f"exponent {cell_format.plain(one['exponent']).text} {cell_format.within(one['low'], one['high'])}".strip()
    says = f"{name}: {fitted}, {len(points)} points"
    exponents = (one["exponent"], one["low"], one["high"])
    drawing = power(Series(name, points), exponents, Axes("parameters", unit or name), says)
    return Panel(f"{name}: {fitted}", drawing, says)


def _rate(one: Json) -> str:
    """Return the figure in words, with what it is divided by and which arm it is of."""
    per = f" per {axis_label(one['per'])}" if one.get("per") else ""
    return f"{axis_label(one['figure'])}{per}{f', {of}' if (of := one.get('of')) else ''}"
