"""Console: standard output, on which every command prints.

>>> console().is_terminal
False
"""

from __future__ import annotations

from rich.console import Console


def console() -> Console:
    """Return standard output, wide enough for a table where it is a file or a pipe; `NO_COLOR` is honoured."""
    wide = Console(markup=False)
    return wide if wide.is_terminal else Console(width=200, markup=False)
