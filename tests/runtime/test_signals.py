from __future__ import annotations

import pickle
import signal
import threading
from collections.abc import Iterator

import pytest

from xstilts.runtime.signals import SIGNALS, Interrupted, deferred, raised


@pytest.fixture(autouse=True)
def usual_handlers() -> Iterator[None]:
    """Let Ctrl-C raise, as in a terminal: a program started in the background has it ignored."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_collected_and_work_goes_on(number: int) -> None:
    before = handlers()
    with deferred() as interrupted:
        assert not interrupted
        signal.raise_signal(number)
        assert interrupted == [number]
    assert handlers() == before


def test_a_second_signal_of_the_same_kind_ends_at_once() -> None:
    with deferred() as interrupted:
        signal.raise_signal(signal.SIGINT)
        assert interrupted == [signal.SIGINT]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_signal_is_collected_too() -> None:
    with deferred() as interrupted:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert interrupted == [signal.SIGINT, signal.SIGTERM]


def test_handlers_come_back_after_an_error_and_after_a_signal() -> None:
    before = handlers()

    def work() -> None:
        with deferred():
            signal.raise_signal(signal.SIGTERM)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert handlers() == before


def test_nested_work_hands_back_to_the_outer_one() -> None:
    with deferred() as outer:
        with deferred() as inner:
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    assert (inner, outer) == ([signal.SIGTERM], [signal.SIGTERM])


def test_beside_the_main_thread_nothing_is_collected_and_nothing_breaks() -> None:
    found: list[list[int]] = []

    def work() -> None:
        with deferred() as interrupted:
            found.append(interrupted)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [[]]


def test_an_interruption_says_what_happened_and_survives_the_way_from_a_worker() -> None:
    stopped = pickle.loads(pickle.dumps(Interrupted(signal.SIGTERM)))
    assert not isinstance(stopped, Exception)  # so that no work takes it for an error of its own
    assert stopped.number == signal.SIGTERM
    assert str(stopped) == "stopped by SIGTERM: run again to go on from here"


def test_once_raised_a_signal_names_itself_where_no_work_defers_it() -> None:
    before = handlers()
    try:
        raised()
        with pytest.raises(Interrupted, match="stopped by SIGTERM"):
            signal.raise_signal(signal.SIGTERM)
        with deferred() as interrupted:
            signal.raise_signal(signal.SIGTERM)
        assert interrupted == [signal.SIGTERM]
        with pytest.raises(Interrupted, match="stopped by SIGINT"):
            signal.raise_signal(signal.SIGINT)
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)
