from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from xstilts.runtime import console, logs
from xstilts.runtime.progress import Event, Lines, NotebookView, left, listen, note, shown, step


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr("xstilts.runtime.progress.time.monotonic", lambda: self.now)


@pytest.fixture
def shown_logs() -> Iterator[None]:
    """Log messages on standard error, as the command line shows them."""
    with logs.shown(logging.INFO):
        yield


def test_events_reach_the_last_listener_only() -> None:
    first: list[Event] = []
    last: list[Event] = []
    listen(first.append)
    listen(last.append)
    step("train", 3, 10, "loss 0.5")
    note("the disk is nearly full")
    assert first == []
    assert last == [Event("train", 3, 10, "loss 0.5"), Event("the disk is nearly full")]


@pytest.mark.parametrize(
    ("done", "total", "seconds", "wanted"),
    [(1, 2, 60.0, "1:00"), (10, 10, 5.0, "0:00"), (0, 10, 3.0, "0:30"), (1, 3601, 1.0, "60:00"), (3, 4, 29.9, "0:09")],
)
def test_the_time_left_is_that_of_the_pace_so_far(done: int, total: int, seconds: float, wanted: str) -> None:
    assert left(done, total, seconds) == wanted


@given(some.integers(0, 1000), some.integers(0, 1000), some.floats(0, 1e6))
def test_the_time_left_is_always_minutes_and_seconds(done: int, more: int, seconds: float) -> None:
    minutes, rest = left(done, done + more, seconds).split(":")
    assert int(minutes) >= 0
    assert 0 <= int(rest) < 60
    assert len(rest) == 2


@pytest.mark.usefixtures("shown_logs")
def test_lines_are_told_now_and_then_and_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, lines = Clock(monkeypatch), Lines(every=10)
    for second in range(1, 26):
        clock.now += 1
        lines(Event("train", second, 25, f"loss {second}"))
    assert capsys.readouterr().err.splitlines() == [
        "train 11/25 loss 11",
        "train 21/25 loss 21",
        "train 25/25 loss 25",
    ]


@pytest.mark.usefixtures("shown_logs")
def test_remarks_are_told_at_once_and_each_label_has_its_own_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, lines = Clock(monkeypatch), Lines(every=10)
    lines(Event("one", 1, 9))
    clock.now += 6
    lines(Event("two", 1, 9))
    lines(Event("be careful"))
    lines(Event("be careful"))
    clock.now += 6
    lines(Event("two", 2, 9))
    lines(Event("one", 2, 9))
    assert capsys.readouterr().err.splitlines() == ["be careful", "be careful", "one 2/9"]


@pytest.mark.usefixtures("shown_logs")
def test_without_a_terminal_nothing_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with shown():
        note("hello")
        step("train", 1, 1)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["hello", "train 1/1"]


@pytest.mark.usefixtures("shown_logs")
def test_with_quiet_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with console.output(console.Output(quiet=True)), shown():
        note("hello")
        step("train", 1, 1)
    assert capsys.readouterr() == ("", "")


def test_a_library_shows_nothing_unless_logging_is_configured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with shown():
        note("hello")
    assert capsys.readouterr() == ("", "")
    messages: list[str] = []

    class Handler(logging.Handler):
        def emit(self, entry: logging.LogRecord) -> None:
            messages.append(entry.getMessage())

    logger, handler = logging.getLogger("xstilts"), Handler()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with shown():
            note("hello")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert messages == ["hello"]


def test_in_a_terminal_remarks_are_printed_to_the_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path or an error may hold what looks like markup: it must neither vanish nor break the display."""
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    monkeypatch.setenv("TERM", "dumb")
    remark = "the checkpoint /tmp/[bold]/x is damaged ([/red] and [link]): training begins again"
    with shown():
        for done in range(4):
            step("train-a-seed1", done, 4, "loss 1.0")
        note(remark)
        step("train-a-seed1", 4, 4)
        step("unknown", 4, 4)
    assert remark in " ".join(screen.getvalue().split())


def test_after_an_error_no_event_goes_to_a_display_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    monkeypatch.setenv("TERM", "dumb")

    def work() -> None:
        with shown():
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    before = screen.getvalue()
    note("too late")
    assert screen.getvalue() == before


class Cell:
    """The output of a notebook's cell, as `IPython.display.display` gives it."""

    def __init__(self) -> None:
        self.bundles: list[dict[str, str]] = []

    def __call__(self, bundle: dict[str, str], *, raw: bool, display_id: bool) -> Cell:
        assert raw
        assert display_id
        self.bundles.append(bundle)
        return self

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        self.bundles.append(bundle)


def test_a_notebook_has_a_bar_for_each_work_and_keeps_the_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, cell = Clock(monkeypatch), Cell()
    view = NotebookView(cell, every=0.2)
    view(Event("train <b>", 1, 10, "loss 0.5"))
    assert len(cell.bundles) == 1  # too soon
    clock.now += 1
    view(Event("train <b>", 2, 10, "loss 0.4"))
    assert cell.bundles[-1]["text/plain"] == "train <b> 2/10 loss 0.4"
    assert '<progress value="2" max="10"></progress> train &lt;b&gt; 2/10 loss 0.4' in cell.bundles[-1]["text/html"]
    view(Event("read as CSV"))
    view(Event("train <b>", 10, 10))
    view.close()
    assert cell.bundles[-1]["text/plain"] == "read as CSV"
    assert "<progress" not in cell.bundles[-1]["text/html"]


def test_progress_is_shown_in_the_cell_of_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    cell: Any = Cell()
    kernel: Any = ModuleType("IPython")
    kernel.get_ipython = lambda: SimpleNamespace(kernel=object())
    display: Any = ModuleType("IPython.display")
    display.display = cell
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    with shown():
        note("three labels")
    note("not heard")
    assert cell.bundles[-1]["text/plain"] == "three labels"
    kernel.get_ipython = lambda: SimpleNamespace()  # IPython in a terminal
    with shown():
        note("a line of the log")
    assert cell.bundles[-1]["text/plain"] == "three labels"


@pytest.mark.parametrize("terminal", [False, True])
def test_what_is_written_to_a_file_does_not_pass_through_the_bars(
    monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    output, errors = Terminal() if terminal else io.StringIO(), Terminal()
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setenv("TERM", "xterm")
    with shown():
        print("a prediction of " + "many " * 30 + "words")
    written = f"a prediction of {'many ' * 30}words\n"
    assert (output.getvalue() == written) is not terminal
    if terminal:
        with shown(live=False):
            print("a prediction")
        assert output.getvalue() == "a prediction\n"
