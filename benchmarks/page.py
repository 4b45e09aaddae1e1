"""Page: the results of all benchmarks as a page for readers, each number taken from the JSON that they wrote.

What was not run says so, and so does what falls short of what is wanted. The page can be written again without
measuring anything.

    python benchmarks/page.py docs/results/performance.json docs/results/performance.md
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from parts import CPU, GPU, Part, Row
from sides import said

Results = Mapping[str, Any]

HEAD = """# Performance

Speed and memory against what a user would run instead, as `make bench` and, with a GPU, `make bench-gpu` measured them;
both write this page from `performance.json` beside it. Sides of a comparison take turns in one process. A figure of
several rounds is their median, with the least and the most in brackets; what is wanted is wanted of the median. Where
nothing is wanted, the figure is there for scale. What earlier versions measured is in the [log](../log.md).
"""


def main() -> None:
    """Write the page named second from the results named first."""
    results, page = map(Path, sys.argv[1:])
    page.write_text(written(json.loads(results.read_text(encoding="utf-8"))), encoding="utf-8")


def written(results: Results) -> str:
    """Return the page."""
    blocks = [HEAD]
    for title, key, parts in (("On a CPU", "cpu", CPU), ("On a GPU", "gpu", GPU)):
        measured = results.get(key, {})
        blocks += [f"## {title}\n", *_where(measured), *_short(measured, parts)]
        blocks += [block for part in parts for block in _section(part, measured.get("parts", {}).get(part.name))]
    return "\n".join(blocks)


def _where(measured: Results) -> Iterator[str]:
    """Yield what it was measured on, and with what."""
    if not measured:
        yield "Not run.\n"
        return
    machine, versions = measured["machine"], measured["versions"]
    device = f", {machine['gpu']}" if machine.get("gpu") else ""
    cores = f"{machine['cores']} cores, {machine['memory_gib']:.0f} GiB of memory{device}"
    libraries = ", ".join(f"{name} {version}" for name, version in versions.items())
    yield _wrapped(f"{machine['cpu']}, {cores}; {libraries}.")


def _short(measured: Results, parts: Sequence[Part]) -> Iterator[str]:
    """Yield what falls short, in one line."""
    if not measured:
        return
    found = measured["parts"]
    rows = [(part, row) for part in parts for row in part.rows]
    short = [
        f"{row.what} ({part.title.lower()})"
        for part, row in rows
        if _verdict(row, _figures(found.get(part.name)).get(row.figure)) == "short"
    ]
    yield _wrapped(f"Short of what is wanted: {'; '.join(short) or 'nothing that was measured'}.")


def _section(part: Part, result: Results | None) -> Iterator[str]:
    yield f"### {part.title}\n"
    yield _wrapped(part.prose)
    if result is None or "failed" in result:
        yield _wrapped(f"Not run: {result['failed']}" if result else "Not run.")
        return
    figures = _figures(result)
    yield "| | measured | wanted | |\n| --- | ---: | ---: | --- |"
    yield from (_line(row, figures.get(row.figure)) for row in part.rows)
    yield f"\n`{result['command']}` ({result['date']}, {result['seconds']:,.0f} s)\n"


def _figures(result: Results | None) -> Results:
    found: Results = (result or {}).get("figures", {})
    return found


def _line(row: Row, value: Any) -> str:
    """Return a row of a table."""
    wanted = "" if row.at_least is None else f"≥ {row.at_least:g}"
    wanted = wanted if row.at_most is None else f"≤ {row.at_most:g}"
    measured = "not run" if value is None else f"{said(value)} {row.unit}".strip()
    return f"| {row.what} | {measured} | {wanted} | {_verdict(row, value)} |"


def _verdict(row: Row, value: Any) -> str:
    """Say whether a figure is as it is wanted: "met", "short", or nothing where it is not known."""
    if value is None or row.at_least is row.at_most is None:
        return ""
    median = float(np.median(value))
    low, high = -np.inf if row.at_least is None else row.at_least, np.inf if row.at_most is None else row.at_most
    return "met" if low <= median <= high else "short"


def _wrapped(text: str) -> str:
    """Return a paragraph, 120 letters a line at most."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False) + "\n"


if __name__ == "__main__":
    main()
