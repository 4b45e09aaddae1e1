"""Progress: events of long work, sent to one listener.

Work calls `step` and `note`. A process has one sink for these events: live bars in a terminal, lines in a log, or a
queue to the process that shows all workers.

>>> listen(lambda event: print(event.label, event.done, event.total))
>>> step("train", 3, 10)
train 3 10
>>> listen(lambda event: None)
"""

from __future__ import annotations

import html
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from xstilts.runtime.console import current

LOG = logging.getLogger("xstilts.progress")


@dataclass(frozen=True, slots=True)
class Event:
    """A step of work (`total` > 0) or a message (`total` = 0).

    Attributes:
        label: What is at work, or the message.
        done: Steps that are done.
        total: All steps; 0 for a message.
        detail: Figures of the work, such as the loss or tokens per second.
    """

    label: str
    done: int = 0
    total: int = 0
    detail: str = ""


Sink = Callable[[Event], None]


def _silent(event: Event) -> None:
    pass


_sink: Sink = _silent


def listen(sink: Sink) -> None:
    """Send all further events of this process to a sink, instead of the one before.

    Args:
        sink: Called with each event.
    """
    global _sink
    _sink = sink


@contextmanager
def also_listening(beside: Sink) -> Iterator[None]:
    """Send every event within this context to a second sink too.

    Args:
        beside: Called with each event, after the first sink.
    """
    before = _sink

    def both(event: Event) -> None:
        before(event)
        beside(event)

    listen(both)
    try:
        yield
    finally:
        listen(before)


def step(label: str, done: int, total: int, detail: str = "") -> None:
    """Send how far a piece of work is.

    Args:
        label: Name of the work, the same in all of its steps.
        done: Steps that are done.
        total: All steps.
        detail: Figures of the work: loss, tokens per second, time left.
    """
    _sink(Event(label, done, total, detail))


def note(text: str) -> None:
    """Send a message to the user."""
    _sink(Event(text))


def left(done: int, total: int, seconds: float) -> str:
    """Return the time left at the pace so far.

    Args:
        done: Steps that are done; 0 counts as 1.
        total: All steps.
        seconds: The time that the done steps took.

    Returns:
        Minutes and seconds, m:ss.

    >>> left(done=10, total=40, seconds=60)
    '3:00'
    """
    rest = int(seconds / max(done, 1) * (total - done))
    return f"{rest // 60}:{rest % 60:02d}"


class Lines:
    """A sink for logs: messages at once, steps of each label at most once in `every` seconds and at their end.

    They go to the logger `xstilts.progress`, which the command line writes to standard error.
    """

    def __init__(self, every: float = 10.0) -> None:
        self.every = every
        self.last: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        due = event.done == event.total or now - self.last.setdefault(event.label, now) >= self.every
        if due:
            self.last[event.label] = now
            figures = f" {event.done}/{event.total} {event.detail}" if event.total else ""
            LOG.info("%s", f"{event.label}{figures}".rstrip())


class NotebookView:
    """A sink for notebooks: one output of the cell, with the messages so far and a bar for each work that goes on.

    It is HTML that is displayed again under the same id, so that it needs no widgets.

    Args:
        display: `IPython.display.display`.
        every: Seconds between two updates of the bars; messages are shown at once.
    """

    def __init__(self, display: Callable[..., Any], every: float = 0.2) -> None:
        self.every = every
        self.messages: list[str] = []
        self.works: dict[str, Event] = {}
        self.updated = time.monotonic()
        self.handle = display(self._bundle(), raw=True, display_id=True)

    def __call__(self, event: Event) -> None:
        if not event.total:
            self.messages.append(event.label)
        elif event.done >= event.total:
            self.works.pop(event.label, None)
        else:
            self.works[event.label] = event
        if not event.total or time.monotonic() - self.updated >= self.every:
            self.update()

    def close(self) -> None:
        """Remove the bars; the messages stay."""
        self.works.clear()
        self.update()

    def update(self) -> None:
        """Display the messages and bars again in their place."""
        self.updated = time.monotonic()
        self.handle.update(self._bundle(), raw=True)

    def _bundle(self) -> dict[str, str]:
        steps = [f"{work.label} {work.done}/{work.total} {work.detail}".rstrip() for work in self.works.values()]
        bars = (f'<progress value="{work.done}" max="{work.total}"></progress> ' for work in self.works.values())
        lines = [
            *map(html.escape, self.messages),
            *(bar + html.escape(words) for bar, words in zip(bars, steps, strict=True)),
        ]
        shown = "".join(f'<div style="font-size: smaller">{line}</div>' for line in lines)
        return {"text/html": shown, "text/plain": "\n".join([*self.messages, *steps])}


def _notebook_display() -> Callable[..., Any] | None:
    """Return the function that displays in the cell of a notebook; None outside of one."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display  # type: ignore[import-not-found, unused-ignore]

    return display  # type: ignore[no-any-return, unused-ignore]


@contextmanager
def shown(live: bool = True) -> Iterator[None]:
    """Show events within this context: as bars in a terminal or a notebook, else as lines of the log.

    Nothing is shown with `--quiet`; with `--verbose` there are lines everywhere.

    Args:
        live: Whether there may be bars; False where the terminal shows results as they come.
    """
    if current().quiet:
        listen(_silent)
        yield
        return
    display = None if current().verbose else _notebook_display()
    if display:
        view = NotebookView(display)
        listen(view)
        try:
            yield
        finally:
            listen(_silent)
            view.close()
        return
    if current().verbose or not live or not sys.stderr.isatty():
        listen(Lines())
        yield
        return
    with _bars() as sink:
        listen(sink)
        try:
            yield
        finally:
            listen(_silent)


@contextmanager
def _bars() -> Iterator[Sink]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
    from rich.progress import Progress as Bars

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[detail]}")
    # What is written to a file or a pipe must not pass through the bars, which would send it to standard error.
    redirected = sys.stdout.isatty()
    screen = Console(stderr=True, highlight=False)
    with Bars(*columns, console=screen, transient=True, redirect_stdout=redirected) as bars:
        task_ids: dict[str, TaskID] = {}

        def sink(event: Event) -> None:
            if not event.total:
                bars.console.print(event.label, markup=False)
            elif event.done >= event.total:
                if event.label in task_ids:
                    bars.remove_task(task_ids.pop(event.label))
            else:
                if event.label not in task_ids:
                    task_ids[event.label] = bars.add_task(event.label, total=event.total, detail="")
                bars.update(task_ids[event.label], completed=event.done, detail=event.detail)

        yield sink
