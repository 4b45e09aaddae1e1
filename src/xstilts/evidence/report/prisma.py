"""PRISMA flow diagram of the search: records found, merged, screened, excluded and cited.

It is drawn as SVG with the page's colours; a table beside it holds the same numbers.

>>> counts = {"works": 2, "duplicates": 0, "included": 2, "cited": 1, "statements": 3}
>>> counts |= {"records": {"s2": 2}, "left_out": {}}
>>> "viewBox" in draw(counts)
True
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup, escape

from xstilts.reporting.page import Cell, Panel, Plot, TableView

WIDTH, GAP, LINE, PAD = 250, 30, 17, 14
Box = tuple[str, ...]


def steps(flow: Mapping[str, Any]) -> tuple[tuple[Box, Box], ...]:
    """Return the boxes of the flow diagram.

    Args:
        flow: Counts, as `answer.prisma_counts` returns them.

    Returns:
        For each step the lines of its box, and those of the box of what was removed.
    """
    records = sum(flow["records"].values())
    sources = tuple(f"{name}: {count}" for name, count in flow["records"].items())
    excluded = tuple(f"{reason}: {count}" for reason, count in flow["left_out"].items())
    n_excluded = flow["works"] - flow["included"]
    return (
        ((f"Records found: {records}", *sources), (f"Duplicates merged: {flow['duplicates']}",)),
        ((f"Works screened: {flow['works']}",), (f"Excluded: {n_excluded}", *excluded)),
        (
            (f"Works included: {flow['included']}",),
            (f"Without a statement on the question: {flow['included'] - flow['cited']}",),
        ),
        ((f"Works cited: {flow['cited']}", f"statements: {flow['statements']}"), ()),
    )


def plot(flow: Mapping[str, Any]) -> Plot:
    """Return the diagram with the table of its numbers."""
    rows = tuple(
        (Cell(label), Cell(number, float(number)))
        for boxes in steps(flow)
        for box in boxes
        for label, _, number in (line.rpartition(": ") for line in box)
    )
    sheet = TableView("flow-data", "Works, step by step", ("step", "number"), rows, folded=True, quiet=True)
    return Plot("flow", "From records to cited works", (Panel("", draw(flow), describe(flow)),), sheet)


def describe(flow: Mapping[str, Any]) -> str:
    """Return the diagram in words."""
    return "; ".join(", ".join(box) for boxes in steps(flow) for box in boxes if box)


def draw(flow: Mapping[str, Any]) -> Markup:
    """Return the diagram as SVG."""
    parts, top = [], 0
    places = []
    for left, right in steps(flow):
        height = 2 * PAD + LINE * max(len(left), len(right), 1) - 4
        places.append((top, height, left, right))
        top += height + GAP
    for number, (y, height, left, right) in enumerate(places):
        parts += [*_box(0, y, height, left), *(_box(WIDTH + 2 * GAP, y, height, right) if right else ())]
        if right:
            parts.append(_arrow(WIDTH, y + height / 2, WIDTH + 2 * GAP, y + height / 2))
        if number + 1 < len(places):
            parts.append(_arrow(WIDTH / 2, y + height, WIDTH / 2, y + height + GAP))
    box = f"-1 -1 {2 * WIDTH + 2 * GAP + 2} {top - GAP + 2}"
    head = f'<svg class="flow" role="img" aria-label="{escape(describe(flow))}" viewBox="{box}">'
    return Markup(head + "".join(parts) + "</svg>")


def _box(x: float, y: float, height: float, lines: Box) -> Iterator[str]:
    look = "fill: var(--raised); stroke: var(--rule)"
    yield f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{height}" rx="3" style="{look}"/>'
    for number, line in enumerate(lines):
        at, size = (x + PAD, 13) if number == 0 else (x + PAD + 10, 12)
        ink = "var(--ink)" if number == 0 else "var(--muted)"
        place = y + PAD + LINE * number + 10
        yield f'<text x="{at}" y="{place}" style="font-size: {size}px; fill: {ink}">{escape(line)}</text>'


def _arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    head = f"M{to_x - 5} {to_y - 4}L{to_x} {to_y}L{to_x - 5} {to_y + 4}" if y == to_y else ""
    head = head or f"M{to_x - 4} {to_y - 5}L{to_x} {to_y}L{to_x + 4} {to_y - 5}"
    return f'<path d="M{x} {y}L{to_x} {to_y}{head}" style="fill: none; stroke: var(--muted)"/>'
