"""Signals: Ctrl-C and SIGTERM as a flag that long work reads between two steps.

>>> with deferred() as interrupted:
...     bool(interrupted)
False
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """A signal stopped the work, which has saved its state first.

    Attributes:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}: run again to go on from here")
        self.number = number

    def __reduce__(self) -> tuple[type[Interrupted], tuple[int]]:
        return Interrupted, (self.number,)


def raised() -> None:
    """Make SIGINT and SIGTERM raise `Interrupted` in the main thread, except within `deferred`."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    for number in SIGNALS:
        signal.signal(number, stop)


@contextmanager
def deferred() -> Iterator[list[int]]:
    """Collect signals in a list within this context; a second signal has its usual effect at once.

    Yields:
        The numbers of the signals received so far: true as soon as the work should stop.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, remember)
    try:
        yield received
    finally:
        for number in SIGNALS:
            signal.signal(number, before[number])
