"""Interrupt: Ctrl-C and SIGTERM as a question that long work asks between two steps.

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
    """Work was stopped from outside, after saving where it was; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}: run again to go on from here")
        self.number = number

    def __reduce__(self) -> tuple[type[Interrupted], tuple[int]]:
        return Interrupted, (self.number,)


def raised() -> None:
    """Let signals raise `Interrupted` in the main thread, wherever work does not defer them."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    for number in SIGNALS:
        signal.signal(number, stop)


@contextmanager
def deferred() -> Iterator[list[int]]:
    """Collect signals in a list instead of dying of them; a second one of the same work kills at once."""
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
