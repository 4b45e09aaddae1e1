"""Console: standard output, on which every command prints.

>>> console().is_terminal
False
"""

from __future__ import annotations

from rich.console import Console


def console() -> Console:
    """Return a console on standard output that honours `NO_COLOR`; 200 columns wide where it is a file or a pipe."""
    wide = Console(markup=False)
    return wide if wide.is_terminal else Console(width=200, markup=False)
