"""The directions that a person reads in the demo's statements, from the file beside this one."""

from __future__ import annotations

from pathlib import Path

Read = tuple[str, str, str]


def read() -> list[Read]:
    """Return question, direction and text of each statement."""
    lines = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split(" | ", 2) for line in lines if line[:1] != "#"]
    return [(name, direction, text) for name, direction, text in rows]
