"""Status: where a study stands, from its store and from what the builds in it report; nothing is written or disturbed.

The stages that count are those of the study, where its file is given, else those that the current builds have asked
for. A build reports how far its stages are. Where none does, a training's checkpoint tells; where that does not either,
the time left is estimated from finished stages of the same name (seeds apart), or else of the same function.

    status = StudyMonitor(Path("work")).look()
    print(status.finished, status.total, status.seconds)
"""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from xstilts.monitoring import best_so_far
from xstilts.monitoring.best_so_far import Standing
from xstilts.runtime.machine import Runtime
from xstilts.store import build_log, slurm_log
from xstilts.store.build import missing
from xstilts.store.build_log import BuildStatus
from xstilts.store.live_view import Part, StoreView, state_of
from xstilts.store.slurm_log import Queue
from xstilts.store.stage import Stage, with_inputs

FRESH = 600.0  # seconds without a change after which an unfinished folder that no build reports counts as left behind
SEED = re.compile(r"-seed\d+$")
TIME_LEFT = re.compile(r"\s*(\d+):(\d\d) left")


@dataclass(frozen=True)
class Running:
    """A stage that is being built.

    Attributes:
        label: Its label.
        key: Its key.
        done: Steps done.
        total: All its steps; 0 where not known.
        figures: Its last figures, such as the loss, as text.
        seconds: The time left; None where not known.
    """

    label: str
    key: str
    done: int = 0
    total: int = 0
    figures: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Stopped:
    """A build that ended early.

    Attributes:
        started: When it began, in seconds since 1970.
        lacking: How many of its stages are missing.
        stages: How many stages it was to build.
    """

    started: float
    lacking: int
    stages: int


@dataclass(frozen=True)
class Status:
    """Where a study stands.

    Attributes:
        finished: How many of the stages that count are in the store.
        total: How many stages count; None where neither a study nor a build says so.
        running: The stages that are being built.
        failed: Label and reason of each stage that failed.
        lost: How many stages cannot be built because they need one that failed.
        waiting: How many stages are still to be begun, by function.
        left_behind: Unfinished folders that no build works on any more.
        stopped: Builds that ended early and lack stages that nobody else builds.
        alive: How many builds are going on.
        seconds: The time left with these builds' workers; None where it is not known of some stage.
        unknown: The number of stages whose time is not known.
        best: The best setting of each target so far.
        jobs: How many of Slurm's jobs are pending, running, requeued, done, failed or lost; empty without live ones.
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
    jobs: Mapping[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether all stages that count are in the store."""
        return self.finished == self.total and not self.running


@dataclass
class StudyMonitor:
    """Looks at a store again and again; what was read once is kept.

    Attributes:
        store: The store.
        stages: The stages of the study, where its file is known.
        view: What has been read of the store.
        eta: Estimates the time left of a stage.
        queue: Slurm's queue, which is asked where builds of the store are in it.
    """

    store: Path
    stages: Sequence[Stage] = ()
    view: StoreView = field(init=False)
    eta: EtaEstimator = field(init=False)
    queue: Queue = field(default_factory=Queue)
    _functions: dict[str, tuple[str, str]] = field(init=False)  # label and function of the study's stages, by key
    _steps: dict[str, int] = field(init=False)
    _missing: set[str] = field(init=False)
    _best: tuple[Standing, ...] = ()
    _scores: int = -1  # from how many scores `_best` is

    def __post_init__(self) -> None:
        self.view = StoreView(self.store)
        self.eta = EtaEstimator(self.view)
        every = with_inputs(self.stages)
        self._functions = {stage.key: (stage.label, stage.work.name) for stage in every}
        self._steps = {stage.key: getattr(stage.arguments.get("recipe"), "steps", None) or 0 for stage in every}
        self._missing = {stage.key for stage in missing(tuple(self.stages), Runtime(self.store), contents=False)}

    def look(self) -> Status:
        """Return where the study stands now."""
        # Builds are read before the store, so that a stage that finishes meanwhile does not count as running.
        submitted, jobs = slurm_log.status(self.store, self.queue)
        builds = sorted([*build_log.read(self.store), *submitted], key=lambda build: build.started)
        self.view.refresh()
        alive = [build for build in builds if build.alive]
        # Without a study file, what the running builds are to build is all that is known.
        counted = self._functions or {key: names for build in alive for key, names in build.stages.items()}
        finished = self.view.records.keys()
        unfinished = (self._missing if self._functions else counted.keys()) - finished
        failed = _failed(builds, finished)
        running, left_behind = self._parts(builds, failed)
        waiting = unfinished - failed.keys() - {stage.key for stage in running}
        seconds = [stage.seconds for stage in running] + [self.eta.usual(*counted[key]) for key in waiting]
        estimates = [estimate for estimate in seconds if estimate is not None]
        workers = max(1, sum(build.workers for build in alive))
        return Status(
            finished=len(counted) - len(unfinished) if counted else len(finished),
            total=len(counted) or None,
            running=running,
            failed=tuple(sorted((label, why) for label, why in failed.values() if why)),
            lost=sum(not why for _, why in failed.values()),
            waiting=Counter(counted[key][1].rpartition(".")[2] for key in waiting),
            left_behind=left_behind,
            stopped=tuple(_stopped(builds, {*finished, *counted})),
            alive=len(alive),
            seconds=sum(estimates) / workers if len(estimates) == len(seconds) else None,
            unknown=len(seconds) - len(estimates),
            best=self._best_so_far(),
            jobs=jobs,
        )

    def _parts(
        self, builds: Sequence[BuildStatus], failed: Collection[str]
    ) -> tuple[tuple[Running, ...], tuple[Part, ...]]:
        """Return the stages that are being built, and the unfinished folders that no build works on any more."""
        begun = {key: build for build in builds for key in build.running if build.alive}
        reported = {key for build in builds for key in (build.stages if build.alive else build.running)}
        running, left_behind = [], []
        for key, part in self.view.parts.items():
            steps = self._steps.get(key, 0)
            if key in begun:
                running.append(self.eta.reported(part, begun[key], steps))
            elif key not in reported and key not in failed and part.idle < FRESH:
                running.append(self.eta.from_checkpoint(part, self._functions.get(key, ("", ""))[1], steps))
            elif key not in failed and key not in self.view.records:
                left_behind.append(part)
        return tuple(running), tuple(left_behind)

    def _best_so_far(self) -> tuple[Standing, ...]:
        if self._scores != len(self.view.scores):
            self._best, self._scores = tuple(best_so_far.best(self.view)), len(self.view.scores)
        return self._best


@dataclass
class EtaEstimator:
    """Estimates how long stages take from the finished stages of a store: medians by label, else by function.

    Attributes:
        view: The store.
    """

    view: StoreView
    _counted: int = -1
    _medians: Mapping[str, float] = field(default_factory=dict)

    def usual(self, label: str, function: str) -> float | None:
        """Return the seconds that a stage usually takes.

        Args:
            label: The stage's label; stages that differ in the seed alone count as the same.
            function: The name of its function, for where no stage of that label is finished.

        Returns:
            The median; None where no stage of either is finished.
        """
        if self._counted != len(self.view.records):
            seconds: dict[str, list[float]] = defaultdict(list)
            for record in self.view.records.values():
                seconds[SEED.sub("", record["label"])].append(record["seconds"])
                seconds[record["work"]].append(record["seconds"])
            self._medians = {name: median(durations) for name, durations in seconds.items()}
            self._counted = len(self.view.records)
        return self._medians.get(SEED.sub("", label), self._medians.get(function))

    def reported(self, part: Part, build: BuildStatus, steps: int) -> Running:
        """Return how far a running stage is, by the report of its build, or else by its checkpoint.

        Args:
            part: The stage's unfinished folder.
            build: The build that is building it.
            steps: How many steps it has; 0 where not known.

        Returns:
            The stage, with the seconds left where they can be estimated.
        """
        report, begun = build.steps.get(part.key), build.running[part.key]
        if not report or not report["done"]:
            return self.from_checkpoint(part, build.stages[part.key][1], steps, time.time() - begun)
        remaining = (report["at"] - begun) / report["done"] * (report["total"] - report["done"])
        if time_left := TIME_LEFT.search(report["detail"]):
            remaining = int(time_left[1]) * 60.0 + int(time_left[2])
        remaining = max(0.0, remaining - (time.time() - report["at"]))
        return Running(
            part.label, part.key, report["done"], report["total"], TIME_LEFT.sub("", report["detail"]), remaining
        )

    def from_checkpoint(self, part: Part, function: str = "", steps: int = 0, passed: float = 0.0) -> Running:
        """Return how far a stage is by its checkpoint.

        Args:
            part: Its unfinished folder.
            function: The name of its function.
            steps: How many steps it has; 0 where not known.
            passed: The seconds since it was begun.

        Returns:
            The stage, with the time left where that can be estimated.
        """
        state = state_of(part.folder)
        cost = state.get("cost") or {}
        steps_done, spent = int(state.get("step", 0)), float(cost.get("seconds", 0.0))
        remaining = self.usual(part.label, function)
        if steps_done and steps and spent:
            # Since the checkpoint was written the training has gone on.
            remaining = spent / steps_done * (steps - steps_done) - part.idle
        elif remaining is not None:
            remaining -= max(spent, passed)
        return Running(
            part.label, part.key, steps_done, steps, _figures(state, cost), remaining and max(0.0, remaining)
        )


def _figures(state: Mapping[str, Any], cost: Mapping[str, Any]) -> str:
    """Return the last loss and the tokens per second in a checkpoint."""
    losses = [line["loss"] for line in state.get("history", ()) if "loss" in line]
    tokens = sum(sums.get("tokens", 0) for sums in cost.get("taught", {}).values())
    figures = [f"loss {losses[-1]:.3f}"] if losses else []
    figures += [f"{tokens / cost['seconds']:,.0f} tokens/s"] if tokens and cost.get("seconds") else []
    return "  ".join(figures)


def _failed(builds: Sequence[BuildStatus], finished: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return label and reason of each failed stage by key, except those finished by now or tried again by a build."""
    failed: dict[str, tuple[str, str]] = {}
    for build in builds:
        for key, (label, _) in build.stages.items():
            # Builds come oldest first: a later one that still works on the stage takes the failure back.
            if key in build.failed:
                failed[key] = label, build.failed[key]
            elif build.alive:
                failed.pop(key, None)
    return {key: reason for key, reason in failed.items() if key not in finished}


def _stopped(builds: Sequence[BuildStatus], known: Collection[str]) -> Iterator[Stopped]:
    """Yield the builds that ended early and lack stages that are not known otherwise."""
    for build in builds:
        lacking = sum(key not in known and key not in build.failed for key in build.stages)
        if lacking and not build.alive:
            yield Stopped(build.started, lacking, len(build.stages))
