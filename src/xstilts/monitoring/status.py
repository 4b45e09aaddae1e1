"""Watch: where a study stands, from its store alone and what the builds in it say; nothing is disturbed or written.

What is asked for is a study's stages where its file is given, else what the builds that go on have said. What nobody
says is told by the store: a training by its checkpoint, the time left by what finished stages of the kind have taken.

    state = Watch(Path("work")).look()
    state.finished, state.total, state.seconds
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xstilts.monitoring import best_so_far
from xstilts.monitoring.best_so_far import Standing
from xstilts.monitoring.eta import EtaEstimator, Running
from xstilts.runtime.machine import Runtime
from xstilts.store import build_log
from xstilts.store import stage as stages
from xstilts.store.build import missing
from xstilts.store.build_log import BuildStatus
from xstilts.store.live_view import Part, StoreView
from xstilts.store.stage import Stage

FRESH = 600.0  # seconds without a change after which a folder in the making that nobody speaks for is left behind
Runnings = tuple[Running, ...]
Parts = tuple[Part, ...]
Names = dict[str, tuple[str, str]]  # by key the label and the work's name


@dataclass(frozen=True)
class Stopped:
    """A build that came to no end: when it began, and how many of its stages are not there."""

    started: float
    lacking: int
    stages: int


@dataclass(frozen=True)
class State:
    """Where things stand.

    total: stages asked for, None where nobody says. failed: labels and reasons; lost: how many need one that failed.
    waiting: how many of each work. left_behind: folders in which nobody works any more. alive: builds that go on.
    seconds: that are left in all, None where some are not known, of `unknown` stages.
    """

    finished: int
    total: int | None
    running: tuple[Running, ...]
    failed: tuple[tuple[str, str], ...]
    lost: int
    waiting: Mapping[str, int]
    left_behind: tuple[Part, ...]
    stopped: tuple[Stopped, ...]
    alive: int
    seconds: float | None
    unknown: int
    best: tuple[Standing, ...]

    @property
    def complete(self) -> bool:
        """Say whether all that is asked for is there."""
        return self.finished == self.total and not self.running


@dataclass
class StudyMonitor:
    """One who watches a store, and what he has seen of it. promised: the stages of a study, where its file is known."""

    store: Path
    promised: Sequence[Stage] = ()
    best: tuple[Standing, ...] = ()
    scored: int = -1
    sight: StoreView = field(init=False)
    pace: EtaEstimator = field(init=False)
    asked: Names = field(init=False)
    steps: dict[str, int] = field(init=False)
    todo: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.sight = StoreView(self.store)
        self.pace = EtaEstimator(self.sight)
        every = stages.with_inputs(self.promised)
        self.asked = {item.key: (item.label, item.work.name) for item in every}
        self.steps = {item.key: getattr(item.arguments.get("recipe"), "steps", None) or 0 for item in every}
        self.todo = {item.key for item in missing(tuple(self.promised), Runtime(self.store))}

    def look(self) -> State:
        """Return where things stand now."""
        found = build_log.read(self.store)  # before the store: what is finished meanwhile is no longer in the works
        self.sight.refresh()
        live = [build for build in found if build.alive]
        asked = self.asked or {key: names for build in live for key, names in build.stages.items()}
        there = self.sight.records.keys()
        unfinished = (self.todo if self.asked else asked.keys()) - there
        failed = _failed(found, there)
        running, left_behind = self._parts(found, failed)
        waiting = unfinished - failed.keys() - {one.key for one in running}
        seconds = [one.seconds for one in running] + [self.pace.usual(*asked[key]) for key in waiting]
        known = [each for each in seconds if each is not None]
        return State(
            len(asked) - len(unfinished) if asked else len(there),
            len(asked) or None,
            running,
            tuple(sorted(said for said in failed.values() if said[1])),
            sum(not why for _, why in failed.values()),
            Counter(asked[key][1].rpartition(".")[2] for key in waiting),
            left_behind,
            tuple(_stopped(found, {*there, *asked})),
            len(live),
            sum(known) / max(1, sum(build.workers for build in live)) if len(known) == len(seconds) else None,
            len(seconds) - len(known),
            self._best(),
        )

    def _parts(self, found: Sequence[BuildStatus], failed: Collection[str]) -> tuple[Runnings, Parts]:
        """Return what is in the works, and folders in which nobody works any more."""
        begun = {key: build for build in found for key in build.running if build.alive}
        spoken = {key for build in found for key in (build.stages if build.alive else build.running)}
        running, left_behind = [], []
        for key, part in self.sight.parts.items():
            if key in begun:
                running.append(self.pace.told(part, begun[key], self.steps.get(key, 0)))
            elif key not in spoken and key not in failed and part.idle < FRESH:
                running.append(self.pace.seen(part, self.asked.get(key, ("", ""))[1], self.steps.get(key, 0)))
            elif key not in failed and key not in self.sight.records:
                left_behind.append(part)
        return tuple(running), tuple(left_behind)

    def _best(self) -> tuple[Standing, ...]:
        if self.scored != len(self.sight.scores):
            self.best, self.scored = tuple(best_so_far.best(self.sight)), len(self.sight.scores)
        return self.best


def _failed(found: Sequence[BuildStatus], there: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return by key the label of what failed and why, unless it is there by now or a later build tries again."""
    failed: dict[str, tuple[str, str]] = {}
    for build in found:
        for key, (label, _) in build.stages.items():
            if key in build.failed:
                failed[key] = label, build.failed[key]
            elif build.alive:
                failed.pop(key, None)
    return {key: said for key, said in failed.items() if key not in there}


def _stopped(found: Sequence[BuildStatus], known: Collection[str]) -> Iterable[Stopped]:
    """Yield builds that came to no end and lack stages that nobody else asks for."""
    for build in found:
        lacking = sum(key not in known and key not in build.failed for key in build.stages)
        if lacking and not build.alive:
            yield Stopped(build.started, lacking, len(build.stages))
