"""Board: what `xstilts watch` shows of where things stand: live in a terminal, else a plain line where things change.

show(Watch(Path("work")), once=True, every=2.0)
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from xstilts.errors import InputError
from xstilts.monitoring.eta import Running
from xstilts.monitoring.status import State, StudyMonitor
from xstilts.runtime.console import console
from xstilts.runtime.machine import Runtime
from xstilts.runtime.signals import Interrupted
from xstilts.store.stage import Stage

MOST = 12  # lines of each kind that are shown
MINUTE, HOUR, DAY = 60, 3600, 86400


def show(watch: StudyMonitor, once: bool, every: float) -> None:
    """Print where things stand, once or until all that is asked for is there or nobody works on it any more."""
    screen, state = console(), watch.look()
    try:
        if once:
            screen.print(drawn(state))
        elif screen.is_terminal:
            _live(watch, state, screen, every)
        else:
            _lines(watch, state, screen, every)
    except (Interrupted, KeyboardInterrupt):
        return  # Ctrl-C is how one stops watching


def promised(file: Path | None, scale: str, store: Path, data: Path | None) -> Sequence[Stage]:
    """Return the stages of a study file at a scale; none without a file. InputError where there is no such store."""
    if file:
        from xstilts.experiments import study

        return study.load(file, scale).stages(Runtime(store, data))
    if not store.is_dir():
        raise InputError(f"no store {store}: give the folder that a run or a study has as --store")
    return ()


def _live(watch: StudyMonitor, state: State, screen: Console, every: float) -> None:
    with Live(drawn(state), console=screen, auto_refresh=False) as live:
        for now in _states(watch, state, every):
            live.update(drawn(now), refresh=True)


def _lines(watch: StudyMonitor, state: State, screen: Console, every: float) -> None:
    said, failed = list[str](), set[str]()
    for now in _states(watch, state, every):
        for label, why in now.failed:
            if label not in failed:
                failed.add(label)
                screen.print(f"failed: {label}: {why}", highlight=False, soft_wrap=True)
        if (counts := _counts(now)) != said:
            screen.print(in_a_line(now), highlight=False, soft_wrap=True)
            said = counts
    screen.print(drawn(now))


def _states(watch: StudyMonitor, state: State, every: float) -> Iterator[State]:
    """Yield where things stand, now and after every pause, for as long as there is something to wait for."""
    had_builders = False
    while True:
        yield state
        busy = bool(state.alive or state.running)
        if state.complete or (had_builders and not busy):
            return
        had_builders = had_builders or busy
        time.sleep(every)
        state = watch.look()


def in_a_line(state: State) -> str:
    """Return where things stand as one line."""
    return ", ".join(_counts(state) + ([_rest(state)] if state.waiting or state.running else []))


def _counts(state: State) -> list[str]:
    said = [f"{state.finished:,} of {state.total:,} finished" if state.total else f"{state.finished:,} finished"]
    said += [f"{len(state.running)} running"] if state.running else []
    said += [f"{len(state.failed)} failed"] if state.failed else []
    return said + ([f"{sum(state.waiting.values()):,} waiting"] if state.waiting else [])


def drawn(state: State) -> RenderableType:
    """Return where things stand as it is shown to people."""
    parts: list[RenderableType] = [Text(in_a_line(state), "bold")]
    if not (state.alive or state.running) and not state.complete:
        parts.append(Text("nobody is building here", "dim"))
    parts += [_running(state)] if state.running else []
    parts += [Text(line, "red") for line in _cut([f"failed  {label}: {why}" for label, why in state.failed])]
    parts += [Text(f"lost  {state.lost:,} stages that need one that failed", "red")] if state.lost else []
    if state.waiting:
        works = ", ".join(f"{count:,} {name}" for name, count in sorted(state.waiting.items()))
        parts.append(Text(f"waiting  {works}", "dim"))
    parts += [Text(line, "dim") for line in _cut(list(_remarks(state)))]
    parts += [_best(state)] if state.best else []
    return Group(*parts)


def _remarks(state: State) -> Iterator[str]:
    for one in state.stopped:
        yield (
            f"stopped  a build begun {duration(time.time() - one.started)} ago lacks {one.lacking:,} of {one.stages:,} "
            "stages: run it again to go on"
        )
    for part in state.left_behind:
        yield f"left behind  {part.folder.name}, unchanged for {duration(part.idle)}"


def _running(state: State) -> Table:
    table = Table("running", "step", "", "left", box=None, padding=(0, 2, 0, 0), header_style="dim")
    for one in state.running[:MOST]:
        left = "" if one.seconds is None else f"~{duration(one.seconds)}"
        table.add_row(one.label, _steps(one), one.figures, left)
    if len(state.running) > MOST:
        table.add_row(f"and {len(state.running) - MOST} more")
    return table


def _steps(one: Running) -> str:
    if not one.done:
        return ""
    return f"{one.done:,}/{one.total:,} {100 * one.done // one.total} %" if one.total else f"{one.done:,}"


def _best(state: State) -> Table:
    table = Table("best so far", "encoder", "setting", "of", box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("score", "gain", "seeds", "languages", "metric"):
        table.add_column(column)
    for one in state.best:
        gain = "" if one.gain is None else f"{one.gain:+.2f}"
        figures = (f"{one.score:.2f}", gain, str(one.seeds), str(one.languages), one.metric)
        table.add_row(one.target, one.origin, one.setting, str(one.over), *figures)
    return table


def _rest(state: State) -> str:
    if state.seconds is None:
        return f"time left not known of {state.unknown:,}: nothing of the kind is finished here"
    return f"about {duration(state.seconds)} left"


def _cut(lines: list[str]) -> list[str]:
    return lines[:MOST] + ([f"and {len(lines) - MOST} more"] if len(lines) > MOST else [])


def duration(seconds: float) -> str:
    """Return seconds for people, in the two largest units that they fill.

    >>> duration(3725), duration(42)
    ('1 h 2 min', '42 s')
    """
    whole = round(seconds)
    for unit, name, below, part in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", 1, "s")):
        if whole >= unit:
            return f"{whole // unit} {name} {whole % unit // below} {part}"
    return f"{whole} s"
