"""Logs: messages of the package on standard error, by the standard library's `logging`.

Modules log to `logging.getLogger("xstilts.…")`; progress goes to `xstilts.progress`. The package installs no handler,
so a program that uses it reads nothing unless it configures logging. The command line installs one for the time of a
command.

>>> import logging
>>> with shown(logging.ERROR):
...     logging.getLogger("xstilts.progress").info("stages 3/10")
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ROOT = logging.getLogger("xstilts")
PLAIN, WITH_TIMES = "%(message)s", "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class _ToStandardError(logging.Handler):
    """Writes to the standard error of the moment, which progress bars and tests replace."""

    def emit(self, entry: logging.LogRecord) -> None:
        print(self.format(entry), file=sys.stderr, flush=True)


@contextmanager
def shown(level: int, times: bool = False) -> Iterator[None]:
    """Write the package's log messages to standard error within this context.

    Args:
        level: The least level that is written, such as `logging.INFO`.
        times: Whether each line begins with the time, the level and the logger's name.
    """
    handler, before = _ToStandardError(), ROOT.level
    handler.setFormatter(logging.Formatter(WITH_TIMES if times else PLAIN))
    ROOT.addHandler(handler)
    ROOT.setLevel(level)
    try:
        yield
    finally:
        ROOT.removeHandler(handler)
        ROOT.setLevel(before)
