"""Dashboard: what `xstilts watch` shows of where a study stands.

In a terminal the view is redrawn in place; elsewhere a line is printed whenever something has changed.

    show(StudyMonitor(Path("work")), once=True, every=2.0)
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from xstilts.errors import InputError
from xstilts.monitoring.status import Running, Status, StudyMonitor
from xstilts.runtime import tables
from xstilts.runtime.console import console, current, record
from xstilts.runtime.machine import Runtime
from xstilts.runtime.signals import Interrupted
from xstilts.runtime.text import counted
from xstilts.store.stage import Stage

SHOWN = 12  # lines of each part
MINUTE, HOUR, DAY = 60, 3600, 86400


def show(monitor: StudyMonitor, once: bool, every: float) -> None:
    """Print where a study stands.

    Args:
        monitor: Looks at the store.
        once: Whether to print it once; else until the study is complete or no build works on it any more.
        every: Seconds between two looks.
    """
    screen, status = console(), monitor.look()
    try:
        if once:
            screen.print(drawn(status))
            record(status)
        elif current().json:
            for now in _statuses(monitor, status, every):
                record(now)
        elif screen.is_terminal:
            _live(monitor, status, screen, every)
        else:
            _lines(monitor, status, screen, every)
    except (Interrupted, KeyboardInterrupt):
        return  # Ctrl-C is how a user ends the view


def planned_stages(file: Path | None, scale: str, store: Path, data: Path | None, encoder: str = "") -> Sequence[Stage]:
    """Return the stages that a study file plans.

    Args:
        file: The study file; None for none.
        scale: The scale of the study.
        store: The folder of the store.
        data: The data folder; None for none.
        encoder: A folder or hub id, instead of the encoder that the study takes at this scale.

    Returns:
        The stages; empty without a file.

    Raises:
        InputError: There is neither a file nor the store.
    """
    if file:
        from xstilts.experiments import study

        machine = Runtime(store, data)
        return study.resolved(study.load(file, scale, encoder), machine, partly=False).stages(machine)
    if not store.is_dir():
        raise InputError(f"no store {store}: give the folder that a run or a study has as --store")
    return ()


def _live(monitor: StudyMonitor, status: Status, screen: Console, every: float) -> None:
    with Live(drawn(status), console=screen, auto_refresh=False) as live:
        for now in _statuses(monitor, status, every):
            live.update(drawn(now), refresh=True)


def _lines(monitor: StudyMonitor, status: Status, screen: Console, every: float) -> None:
    printed, failed = list[str](), set[str]()
    for now in _statuses(monitor, status, every):
        for label, why in now.failed:
            if label not in failed:
                failed.add(label)
                screen.print(f"failed: {label}: {why}", highlight=False, soft_wrap=True)
        if (counts := _counts(now)) != printed:
            screen.print(one_line(now), highlight=False, soft_wrap=True)
            printed = counts
    screen.print(drawn(now))


def _statuses(monitor: StudyMonitor, status: Status, every: float) -> Iterator[Status]:
    """Yield the status now and after every pause, until the study is complete or no build works on it any more."""
    had_builds = False
    while True:
        yield status
        busy = bool(status.alive or status.running)
        if status.complete or (had_builds and not busy):
            return
        had_builds = had_builds or busy
        time.sleep(every)
        status = monitor.look()


def one_line(status: Status) -> str:
    """Return the state of a study in one line.

    Args:
        status: The state.

    Returns:
        Counts of stages, and the time left.
    """
    return ", ".join(_counts(status) + ([_time_left(status)] if status.waiting or status.running else []))


def _counts(status: Status) -> list[str]:
    total = f" of {status.total:,}" if status.total else ""
    counts = [f"{status.finished:,}{total} finished"]
    counts += [f"{len(status.running)} running"] if status.running else []
    counts += [f"{len(status.failed)} failed"] if status.failed else []
    return counts + ([f"{sum(status.waiting.values()):,} waiting"] if status.waiting else [])


def _time_left(status: Status) -> str:
    if status.seconds is None:
        return f"time left not known of {counted(status.unknown, 'stage')}: none of their function is finished here"
    return f"about {duration(status.seconds)} left"


def drawn(status: Status) -> RenderableType:
    """Return where a study stands, for the terminal."""
    parts: list[RenderableType] = [Text(one_line(status), "bold")]
    if not (status.alive or status.running) and not status.complete:
        parts.append(Text("no build is running in this store", "dim"))
    if status.jobs:
        parts.append(Text("Slurm  " + ", ".join(f"{count:,} {state}" for state, count in status.jobs.items()), "dim"))
    parts += [_running(status)] if status.running else []
    parts += [Text(line, "red") for line in _cut([f"failed  {label}: {why}" for label, why in status.failed])]
    if status.lost:
        needs = "needs" if status.lost == 1 else "need"
        parts.append(Text(f"lost  {counted(status.lost, 'stage')} that {needs} one that failed", "red"))
    if status.waiting:
        functions = ", ".join(f"{count:,} {name}" for name, count in sorted(status.waiting.items()))
        parts.append(Text(f"waiting  {functions}", "dim"))
    parts += [Text(line, "dim") for line in _cut(list(_remarks(status)))]
    parts += [_best(status)] if status.best else []
    return Group(*parts)


def _remarks(status: Status) -> Iterator[str]:
    for build in status.stopped:
        yield (
            f"stopped  a build begun {duration(time.time() - build.started)} ago lacks {build.lacking:,} of "
            f"{counted(build.stages, 'stage')}: run it again to continue"
        )
    for part in status.left_behind:
        yield f"left behind  {part.folder.name}, unchanged for {duration(part.idle)}"


def _running(status: Status) -> RenderableType:
    rows = [
        (stage.label, _steps(stage), stage.figures, "" if stage.seconds is None else f"~{duration(stage.seconds)}")
        for stage in status.running[:SHOWN]
    ]
    if len(status.running) > SHOWN:
        rows.append((f"and {len(status.running) - SHOWN} more", "", "", ""))
    return tables.table("", ("running", "step", "", "left"), rows).to_rich(lines=False)


def _steps(stage: Running) -> str:
    if not stage.done:
        return ""
    return f"{stage.done:,}/{stage.total:,} {100 * stage.done // stage.total} %" if stage.total else f"{stage.done:,}"


def _best(status: Status) -> RenderableType:
    columns = ("best so far", "encoder", "setting", "of", "score", "gain", "seeds", "languages", "metric")
    rows = [
        (
            best.target,
            best.encoder,
            best.setting,
            best.of,
            tables.number(best.score),
            "" if best.gain is None else tables.signed(best.gain),
            best.seeds,
            best.languages,
            best.metric,
        )
        for best in status.best
    ]
    return tables.table("", columns, rows).to_rich(lines=False)


def _cut(lines: list[str]) -> list[str]:
    return lines[:SHOWN] + ([f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else [])


def duration(seconds: float) -> str:
    """Return a time in its two largest units.

    >>> duration(3725), duration(42)
    ('1 h 2 min', '42 s')
    """
    total = round(seconds)
    for unit, name, below, part in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", 1, "s")):
        if total >= unit:
            return f"{total // unit} {name} {total % unit // below} {part}"
    return f"{total} s"
