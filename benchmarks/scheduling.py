"""A study of some thousand stages on many GPUs, simulated: how long they are idle, in the order of each executor.

The stages are a study's own with all that they need from each other, as `xstilts plan` forecasts them: FLOPs by the
sizes of the data, seconds at a share of the GPU's peak, and some seconds for each job to start. The jobs are those that
`build_all` makes and in the order in which it does; only time is not real. Sides:

- `ray`: jobs whose inputs are built wait in the cluster, first come, first served.
- `slurm`: all jobs are in the queue from the beginning; of those that may run the one that was submitted first starts.
- `rounds`: as `ray`, and as `xstilts study` builds a study with repeated trainings: all trainings that start from an
  encoder, when they are finished those that start from these, then everything else. No training is repeated.
- `longest`: whenever a GPU is free, the job with the longest remaining path of seconds, which no executor knows.
- `followed`: the same with a path of stages instead of seconds.

No schedule is shorter than the longest path, nor than all work divided among the GPUs: `bound` is the larger.

    python benchmarks/scheduling.py --study replication --gpus 64
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from heapq import heappop, heappush
from pathlib import Path

import sides

from xstilts.experiments import study as studies
from xstilts.experiments.splits import NamedSplits
from xstilts.planning import forecast
from xstilts.runtime.machine import Runtime
from xstilts.store import local_executor
from xstilts.store.build import missing
from xstilts.store.build_log import BuildLog
from xstilts.store.executor import WITHOUT_NETWORK, Bundle, Executor, Failures, Job, Resources
from xstilts.store.memo import memoising
from xstilts.store.slurm_executor import _arrays
from xstilts.store.stage import Stage, with_inputs

STUDIES = Path(__file__).parents[1] / "studies"
HOUR = 3600.0


def main() -> None:
    """Tell the makespan of each side, against the least that is possible."""
    asked = options()
    machine = Runtime(Path("no-such-store"))
    stages, seconds = forecasted(asked, machine)
    todo = missing(tuple(stages), machine)
    side = {"ray": "ready", "slurm": "advance", "rounds": "ready", "longest": "longest", "followed": "followed"}
    below = {
        name: paths(todo, length) for name, length in (("longest", seconds), ("followed", dict.fromkeys(seconds, 1.0)))
    }
    found: sides.Figures = {"stages": len(todo), "gpus": asked.gpus}
    for name, kind in side.items():
        began = time.process_time()
        clock = Clock(asked.gpus, seconds, asked.start, kind, below.get(kind, {}))
        for part in rounds(todo) if name == "rounds" else [todo]:
            clock.build(part, machine)
        if name == "ray":
            work, critical = clock.work, max(paths(todo, clock.with_start).values())
            bound = max(critical, work / asked.gpus)
            found |= {"gpu_hours": work / HOUR, "critical_path_hours": critical / HOUR}
            found |= {"bound_hours": bound / HOUR}
        found[f"{name}_hours"] = clock.now / HOUR
        found[f"{name}_jobs"] = clock.jobs
        found[f"{name}_of_bound"] = clock.now / bound
        found[f"{name}_idle_percent"] = 100 * (1 - clock.work / (asked.gpus * clock.now))
        found[f"{name}_processor_ms_a_stage"] = 1000 * (time.process_time() - began) / len(todo)
    sides.tell(found, asked.json)


def options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="replication", help="of the folder studies")
    parser.add_argument("--scale", default="full")
    parser.add_argument("--encoder", default="", help="instead of the study's")
    parser.add_argument("--gpus", type=int, default=64)
    parser.add_argument("--start", type=float, default=15.0, help="seconds until a job's network is on its GPU")
    parser.add_argument("--quick", action="store_true", help="in miniature, to see that it runs")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    if "--quick" in sys.argv:
        parser.set_defaults(scale="sandbox", gpus=4)
    return parser.parse_args()


def forecasted(asked: argparse.Namespace, machine: Runtime) -> tuple[list[Stage], dict[str, float]]:
    """Return the stages of a study, and the seconds that each takes on a GPU by key; 0 of one that needs none."""
    study, splits, gpu = (
        studies.load(STUDIES / f"{asked.study}.py", asked.scale, asked.encoder),
        NamedSplits(),
        forecast.Gpu(),
    )
    with memoising():
        scores = [score for run in study.runs(splits) for score in run.scores().values()]
        stages = with_inputs(scores)
    estimator, seconds = forecast._Estimator(machine, splits), dict.fromkeys((stage.key for stage in stages), 0.0)
    for stage in stages:
        if stage.work.resumes:
            estimate = estimator.training(forecast.configuration(stage))
        elif {"model", "data", "format", "max_length"} <= stage.arguments.keys():
            estimate = estimator.prediction(stage)
        else:
            continue
        seconds[stage.key] = gpu.hours(estimate.flops) * HOUR if estimate else 0.0
    return stages, seconds


def paths(todo: Sequence[Stage], seconds: Mapping[str, float]) -> dict[str, float]:
    """Return the longest path from the begin of each stage to the end of all, by key."""
    below = dict.fromkeys((stage.key for stage in todo), 0.0)
    longest = {}
    for stage in reversed(todo):  # inputs come first
        longest[stage.key] = below[stage.key] + seconds[stage.key]
        for needed in stage.inputs:
            below[needed.key] = max(below[needed.key], longest[stage.key])
    return longest


def rounds(todo: Sequence[Stage]) -> Iterator[list[Stage]]:
    """Yield the stages in the parts in which a study with repeated trainings builds them."""
    depth: dict[str, int] = {}
    for stage in todo:
        before = max((depth[needed.key] for needed in stage.inputs), default=0)
        depth[stage.key] = before + bool(stage.work.resumes)
    done: set[str] = set()
    for level in range(1, max(depth.values()) + 1):
        wanted = {one.key for one in with_inputs(s for s in todo if s.work.resumes and depth[s.key] == level)} - done
        done |= wanted
        yield [stage for stage in todo if stage.key in wanted]
    yield [stage for stage in todo if stage.key not in done]


class Clock:
    """An executor whose jobs take the seconds that they are expected to take, and no time.

    kind: in which order jobs start for which there is no GPU at once; `advance` takes all jobs before the first ends.
    """

    gpus = 1

    def __init__(
        self, gpus: int, seconds: Mapping[str, float], start: float, kind: str, below: Mapping[str, float]
    ) -> None:
        self.seconds, self.start, self.kind, self.below = seconds, start, kind, below
        self.free, self.now, self.work, self.jobs = gpus, 0.0, 0.0, 0
        self.with_start: dict[str, float] = {}
        self.room, self.queues = 10**9, kind == "advance"
        self.running: list[tuple[float, int, Job]] = []

    def build(self, stages: Sequence[Stage], machine: Runtime) -> None:
        """Build stages, with those of earlier calls there."""
        self.ended_jobs: set[int] = set()
        self.ready: list[tuple[int, float, int, Job]] = []  # a heap: what needs no GPU is first
        self.held: list[Job] = []
        self.order: dict[int, int] = {}
        Side(stages, machine, BuildLog(frozenset()), executor=self).run()

    def submit(self, job: Job) -> None:
        """Take a job."""
        self.jobs += 1
        self.held.append(job)

    def _arrive(self) -> None:
        """Make those jobs ready whose inputs are built."""
        if self.queues and not self.order:
            arrays = _arrays(self.held, self.held)
            self.order = {job.number: place for place, job in enumerate(job for array in arrays for job in array)}
        held = []
        for job in self.held:
            if self.queues and not self.ended_jobs.issuperset(job.after):
                held.append(job)
                continue
            place = self.order.get(job.number, job.number)
            path = max((self.below.get(stage.key, 0.0) for stage in job.stages), default=0.0)
            heappush(self.ready, (job.needs.gpus, -path, place, job))
        self.held = held

    def ended(self, seconds: float) -> Iterator[tuple[Job, Failures]]:
        """Go to the end of the next job."""
        if self.held:
            self._arrive()
        while self.ready and self.ready[0][0] <= self.free:
            job = heappop(self.ready)[-1]
            start = self.start if job.needs.gpus else 0.0
            takes = start + sum(self.seconds[stage.key] for stage in job.stages)
            self.with_start |= {stage.key: self.seconds[stage.key] for stage in job.stages}
            self.with_start[job.stages[0].key] += start
            self.work += takes if job.needs.gpus else 0.0
            self.free -= job.needs.gpus
            heappush(self.running, (self.now + takes, job.number, job))
        if self.running:
            self.now, _, job = heappop(self.running)
            self.free += job.needs.gpus
            self.ended_jobs.add(job.number)
            yield job, {}

    def cancel(self, error: BaseException) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Side(local_executor._Side):
    """Decides what is built together and in which order, as every build does."""

    def _job(self, bundle: Bundle, executor: Executor, after: object = (), gated: bool = False) -> Job:
        """Return the job of a bundle, without its bytes."""
        self.submitted += 1
        networks = any(stage.work.name not in WITHOUT_NETWORK for stage in bundle)
        needs = Resources(1, int(networks))
        return Job(self.submitted, bundle, needs, _never, b"", tuple(sorted(after)), gated)  # type: ignore[call-overload]


def _never(packed: bytes) -> Failures:
    raise AssertionError("nothing is built")


if __name__ == "__main__":
    main()
