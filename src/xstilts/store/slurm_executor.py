"""Slurm executor: the jobs of a build as job arrays, each after the jobs that build its inputs.

Everything is submitted at once, by submitit, and runs on where the submitting process ends. Jobs that wait for the same
trainings and need the same resources are one array. Before its time limit Slurm sends a job SIGUSR2: the training saves
its state, the job is queued again, and goes on from there to the same bytes. What was submitted, runs, is done or
failed is in the store as plain files (`slurm_log`); a build that is started again waits for the jobs that are still
queued and submits only what none of them builds.

    build_all(stages, Runtime(store=Path("work"), cluster=Cluster("slurm", partition="gpu", gpus=1)))
"""

from __future__ import annotations

import json
import math
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from xstilts.errors import InputError
from xstilts.runtime import extras, progress, signals, whole_files
from xstilts.runtime.cluster import Cluster
from xstilts.runtime.machine import Runtime
from xstilts.runtime.text import counted
from xstilts.store import build, build_log, slurm_log
from xstilts.store.executor import Failures, Job, Refused, Resources
from xstilts.store.identity import canonical
from xstilts.store.slurm_log import LOST, Queue, SlurmJob, Submission
from xstilts.store.stage import StageError

LOOK = 2.0  # seconds between two looks at the files of jobs
PATIENCE = 60.0  # seconds that a job waits for its inputs to appear: other hosts' files are seen late
RUNS = 10_000  # times that a job may be queued again at its time limit
SAVING = 300  # seconds before the time limit at which a job saves its state, at most a quarter of the limit
LARGEST = 1001  # elements of an array, where Slurm does not say: its own default
# How Slurm says that a user, or everybody, may have no more jobs queued at present.
FULL = re.compile(r"Submit\w*Limit|job submit limit|temporarily un(?:available|able to accept)")
NAMED = 20  # jobs that a dependency lists one by one; of more in one array it waits for the whole array
TOO_LONG = StageError("it takes longer than a job may, and cannot be continued: give a longer --slurm-time")
Place = tuple[Path, int]  # folder of a submission, number of a job


class Full(InputError):
    """Slurm takes no more jobs at present."""


class Requeued:
    """A job that Slurm may end before its time limit, and runs again: submitit calls it."""

    def __call__(self) -> None:
        """Do the work; at SIGUSR2 let it save its state, and queue the job again."""
        # Submitit's handler stores this object for the next run, tells Slurm to queue the job again, and exits.
        again: Any = signal.getsignal(signal.SIGUSR2)
        received: list[int] = []

        def stop(number: int, frame: FrameType | None) -> None:
            received.append(number)
            os.kill(os.getpid(), signal.SIGTERM)

        signals.raised()
        signal.signal(signal.SIGUSR2, stop)
        try:
            self.work()
        except (signals.Interrupted, SystemExit) as error:
            if received and callable(again):
                self.interrupted()
                again(received[0], None)
            if isinstance(error, signals.Interrupted):
                raise SystemExit(128 + error.number) from error
            raise

    def work(self) -> None:
        """Do the work."""
        raise NotImplementedError

    def interrupted(self) -> None:
        """Note that the job will run again."""

    def checkpoint(self) -> Any:
        """Return what submitit stores for the next run: this object, since all state is in the store."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


@dataclass
class BundleTask(Requeued):
    """Builds the stages of a job.

    Attributes:
        folder: Folder of the submission.
        number: Number of the job there.
        run: Builds the stages.
        packed: The stages and the machine.
        after: Places of the jobs that build its inputs.
        patience: Seconds to wait for inputs that are not to be seen.
        left: How many stages were missing when its file was last written.
    """

    folder: Path
    number: int
    run: Callable[..., Failures]
    packed: bytes
    after: tuple[Place, ...]
    patience: float
    left: int = 0

    def work(self) -> None:
        """Build the stages whose inputs are there, and write which of them failed."""
        bundle, machine = pickle.loads(self.packed)
        before = slurm_log.content(self.folder / f"{self.number}.json") or {}
        (self.folder / f"{self.number}.ended.json").unlink(missing_ok=True)  # it may have been queued again by hand
        left = [item for item in bundle if not build.is_built(item, machine)]
        if before.get("state") == slurm_log.REQUEUED and before.get("left") == len(left) and not left[0].work.resumes:
            self._end({item.key: TOO_LONG for item in left})
        self.left = len(left)
        self._write("running")
        own = {item.key for item in bundle}
        needed = {before.key: before for item in bundle for before in item.inputs if before.key not in own}
        start = time.monotonic()
        while lost := {key for key, before in needed.items() if not build.is_built(before, machine)}:
            if lost & self._failed() or time.monotonic() - start > self.patience:
                break
            time.sleep(1)
        try:
            self._end(self.run(self.packed, lost, True))
        except (StageError, InputError) as error:
            self._end({}, str(error))

    def interrupted(self) -> None:
        """Note that the job is queued again."""
        bundle, machine = pickle.loads(self.packed)
        self.left = sum(not build.is_built(item, machine) for item in bundle)
        self._write(slurm_log.REQUEUED)

    def _write(self, state: str) -> None:
        job = os.environ.get("SLURM_JOB_ID")
        about = {"state": state, "left": self.left, "host": socket.gethostname(), "at": time.time(), "job": job}
        whole_files.write(self.folder / f"{self.number}.json", json.dumps(about))

    def _end(self, failed: Failures, stop: str = "") -> None:
        """Write the outcome; where something failed, end the process so that Slurm, too, knows it as failed."""
        reasons = {
            key: error and [str(error), isinstance(error, InputError | Refused)] for key, error in failed.items()
        }
        text = json.dumps({"failed": reasons, "stop": stop}, ensure_ascii=False)
        whole_files.write(self.folder / f"{self.number}.ended.json", text)
        if failed or stop:
            raise SystemExit(1)

    def _failed(self) -> set[str]:
        """Return the keys of which the jobs before this one say that they failed."""
        outcomes = [Submission(folder, 0, {}, {}, {}).outcome(number) for folder, number in self.after]
        return {key for outcome in outcomes if outcome for key in outcome.get("failed", {})}


@dataclass
class SlurmExecutor:
    """Submits the jobs of a build to Slurm, at the first `ended` all that the site's limits let it.

    Attributes:
        machine: Its `cluster` says what Slurm is asked for; `threads` are the cores of a job (0: one).
        submission: What was submitted.
        jobs: The jobs that have not ended.
        arrays: Those that are not submitted yet, inputs before what needs them.

    Raises:
        InputError: Submitit is not installed, or there is no Slurm.
    """

    machine: Runtime
    queues: bool = field(default=True, init=False)
    room: int = field(default=sys.maxsize, init=False)
    gpus: int = field(init=False)
    submission: Submission | None = field(default=None, init=False)
    jobs: list[Job] = field(default_factory=list, init=False)
    places: dict[int, tuple[Place, ...]] = field(default_factory=dict, init=False)  # of the jobs that build a job
    ids: dict[Place, str] = field(default_factory=dict, init=False)
    arrays: list[list[Job]] = field(default_factory=list, init=False)
    gate: tuple[Place, ...] = field(default=(), init=False)  # jobs without whose success no gated one may run

    def __post_init__(self) -> None:
        extras.require("slurm", "the executor 'slurm'")
        self.gpus = self.machine.cluster.gpus
        self.store = self.machine.store.absolute()
        self.queue, self.missed, self.looked, self.asked, self.tried = Queue(), set[str](), 0.0, 0.0, 0.0
        self.earlier: dict[Path, Submission] = {}
        self.owners = set[str]()  # who has submitted these

    def submit(self, job: Job) -> None:
        """Take a job; it is submitted together with all others."""
        self.jobs.append(job)

    def ended(self, seconds: float) -> Iterator[tuple[Job, Failures]]:
        """Wait, and yield the jobs that have ended.

        Raises:
            StageError: The disk is full.
            InputError: Slurm refuses a job.
        """
        if self.submission is None:
            yield from self._submit_all()
        time.sleep(seconds)
        if time.monotonic() - self.looked < LOOK:
            return
        self._show_steps()
        gone = self._gone()
        over = {folder: submission.ended() for folder, submission in self._submissions().items()}
        for job in tuple(self.jobs):
            places = self.places[job.number]
            if all(number in over[folder] or self.ids.get((folder, number)) in gone for folder, number in places):
                self.jobs.remove(job)
                yield job, self._failures(job, places)
        if self.arrays and time.monotonic() - self.tried >= self.queue.every:
            yield from self._submit_more()
        self.looked = time.monotonic()

    def cancel(self, error: BaseException) -> None:
        """Cancel the jobs that are left; after Ctrl-C they go on, and a note says so."""
        ids = sorted({id.partition("_")[0] for id in self.ids.values()})
        if not ids:
            return
        if isinstance(error, signals.Interrupted | KeyboardInterrupt):
            progress.note(f"the jobs go on: run again to wait for them, or end them with `scancel {' '.join(ids)}`")
            return
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run(["scancel", *ids], capture_output=True, check=False, timeout=60)

    def close(self) -> None:
        """Nothing: the jobs are Slurm's."""

    # Submission.

    def _submit_all(self) -> Iterator[tuple[Job, Failures]]:
        """Submit every job that no queued job of an earlier build does already; yield what cannot be built."""
        name = f"{re.sub(r'[^A-Za-z0-9]', '_', socket.gethostname())}-{os.getpid()}-{time.time_ns()}"
        folder = self.store / slurm_log.FOLDER / name
        held = self._held()
        slurm_log.sweep(self.store, self.queue.states())
        stages = {item.key: (item.label, item.work.name) for job in self.jobs for item in job.stages}
        arguments = {
            item.key: canonical(item.arguments) for job in self.jobs for item in job.stages if item.work.resumes
        }
        self.submission = Submission(folder, time.time(), stages, arguments, {})
        new = []
        for job in self.jobs:
            if all(item.key in held for item in job.stages):
                self.places[job.number] = tuple(dict.fromkeys(held[item.key] for item in job.stages))
            else:
                new.append(job)
                self.places[job.number] = ((folder, job.number),)
        if len(new) < len(self.jobs):
            progress.note(f"{counted(len(self.jobs) - len(new), 'job')} of an earlier build are queued already")
        if not new:
            return
        folder.mkdir(parents=True)
        if any(job.gated for job in self.jobs):
            self.gate = tuple(place for job in self.jobs if not job.gated for place in self.places[job.number])
        most = _largest_array()
        for jobs in _arrays(new, self.jobs):
            self.arrays += [jobs[start : start + most] for start in range(0, len(jobs), most)]
        yield from self._submit_more()
        ids = sorted({job.id.partition("_")[0] for job in self.submission.jobs.values()}, key=int)
        shown = ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
        later = sum(map(len, self.arrays))
        if later:
            progress.note(f"{counted(later, 'job')} follow when the site's limit allows: this process submits them")
        progress.note(
            f"{counted(len(new) - later, 'job')} submitted to Slurm ({shown}); they go on if this process ends, "
            f"`xstilts watch {self.machine.store}` shows them"
        )

    def _submit_more(self) -> Iterator[tuple[Job, Failures]]:
        """Submit jobs until all are or Slurm takes no more for now; yield those that must not run any more.

        Raises:
            Full: Slurm takes none, though no job of this build is queued.
        """
        self.tried = time.monotonic()
        while self.arrays:
            jobs = self.arrays[0]
            if jobs[0].gated and self._gate_failed():
                for job in self.arrays.pop(0):
                    self.jobs.remove(job)
                    yield job, {item.key: None for item in job.stages}
                continue
            try:
                self._submit_array(jobs)
            except Full:
                if len(jobs) > 1:
                    self.arrays[:1] = [jobs[: len(jobs) // 2], jobs[len(jobs) // 2 :]]
                    continue
                if not any(self.ids.keys() & set(self.places[job.number]) for job in self.jobs):
                    raise
                return
            del self.arrays[0]

    def _gate_failed(self) -> bool:
        """Return whether a job has failed without whose success no gated one may run."""
        submissions = self._submissions()
        outcomes = [submissions[folder].outcome(number) for folder, number in self.gate]
        return any(outcome and (outcome.get("failed") or outcome.get("stop")) for outcome in outcomes)

    def _submit_array(self, jobs: Sequence[Job]) -> None:
        """Submit jobs as one array, and write down their numbers."""
        assert self.submission is not None
        folder = self.submission.folder
        gate = self.gate if jobs[0].gated else ()
        before = {place for job in jobs for number in job.after for place in self.places[number]}
        parts = {"afterok": _listed(self.ids[place] for place in gate)}
        parts["afterany"] = _listed(self.ids[place] for place in before - set(gate))
        dependency = ",".join(":".join((kind, *ids)) for kind, ids in parts.items() if ids)
        tasks = []
        for job in jobs:
            after = tuple(place for number in job.after for place in self.places[number])
            tasks.append(BundleTask(folder, job.number, job.run, job.packed, after, PATIENCE))
        name = jobs[0].name if len(jobs) == 1 else f"{jobs[0].stages[0].work.short}-x{len(jobs)}"
        ids = submitted(tasks, folder / slurm_log.LOGS, self.machine.cluster, jobs[0].needs, name, dependency)
        for job, id in zip(jobs, ids, strict=True):
            self.ids[folder, job.number] = id
            keys = tuple(item.key for item in job.stages)
            self.submission.jobs[job.number] = SlurmJob(id, job.number, keys, job.after)
        # After each array, so that nothing that was submitted is unknown where this process ends now.
        self.submission.write()

    def _held(self) -> dict[str, Place]:
        """Return the stages that queued or running jobs of earlier builds will build, with the job of each."""
        held: dict[str, Place] = {}
        submissions = slurm_log.read(self.store)
        self.owners = {submission.owner for submission in submissions}
        queue = self.queue.states(anew=True, owners=self.owners) or {}
        for submission in submissions:
            states = submission.states(queue)
            for number, job in submission.jobs.items():
                if states[number] in (slurm_log.PENDING, slurm_log.RUNNING, slurm_log.REQUEUED) and job.id in queue:
                    place = submission.folder, number
                    held |= dict.fromkeys(job.keys, place)
                    self.ids[place], self.earlier[submission.folder] = job.id, submission
        return held

    # How the jobs end.

    def _submissions(self) -> dict[Path, Submission]:
        assert self.submission is not None
        return self.earlier | {self.submission.folder: self.submission}

    def _gone(self) -> set[str]:
        """Return the ids that Slurm did not know at two questions, one after the other."""
        if time.monotonic() - self.asked < self.queue.every:
            return set()
        self.asked = time.monotonic()
        queue = self.queue.states(anew=True, owners=self.owners)
        if queue is None:
            return set()
        absent = {id for id in self.ids.values() if id not in queue}
        gone, self.missed = absent & self.missed, absent
        return gone

    def _failures(self, job: Job, places: Sequence[Place]) -> Failures:
        """Return which stages of an ended job failed."""
        failed: Failures = {}
        keys = {item.key for item in job.stages}
        submissions = self._submissions()
        for folder, number in places:
            outcome = submissions[folder].outcome(number)
            if outcome is None:
                failed |= self._lost(job, folder, number)
                continue
            if outcome["stop"]:
                raise StageError(outcome["stop"])
            for key, reason in outcome["failed"].items():
                if key in keys:
                    failed[key] = reason and (Refused if reason[1] else StageError)(reason[0])
        return failed

    def _lost(self, job: Job, folder: Path, number: int) -> Failures:
        """Return what is missing of a job that ended without a word."""
        id = self.ids[folder, number]
        missing = [item for item in job.stages if not build.is_built(item, self.machine)]
        inputs_missing = any(
            not build.is_built(before, self.machine)
            for item in missing
            for before in item.inputs
            if before not in missing
        )
        if inputs_missing:
            return {item.key: None for item in missing}
        state = slurm_log.final_state(id) or LOST
        error = StageError(
            f"Slurm's job {id} ended as {state} before it was built: its messages are in {folder / slurm_log.LOGS}; "
            "run again to go on from its checkpoint"
        )
        return {item.key: error for item in missing}

    def _show_steps(self) -> None:
        """Show the steps of running jobs, which their own logs have."""
        keys = {item.key: item.label for job in self.jobs for item in job.stages}
        for log in build_log.read(self.store):
            for key, step in log.steps.items() if log.alive else ():
                if key in keys:
                    progress.step(f"{keys[key]}-{key}", step["done"], step["total"], step["detail"])


def submitted(
    tasks: Sequence[Requeued], logs: Path, cluster: Cluster, needs: Resources, name: str, dependency: str = ""
) -> list[str]:
    """Submit tasks to Slurm, several as one array.

    Args:
        tasks: What is called in each job.
        logs: Folder for submitit's files and the jobs' messages, which all machines see.
        cluster: Partition, account, constraint, time and memory.
        needs: Cores, GPUs and memory of each.
        name: Name of the job in Slurm.
        dependency: As `sbatch --dependency` takes it; "": none.

    Returns:
        Slurm's ids.

    Raises:
        Full: Slurm takes no more jobs at present.
        InputError: There is no Slurm here, or it refuses the job.
    """
    import submitit

    minutes = cluster.minutes
    wanted: dict[str, Any] = {
        "job_name": re.sub(r"[^\w.+-]", "_", name)[:60],
        "time": minutes,
        "cpus_per_task": needs.cpus,
        "gpus_per_node": needs.gpus or None,
        "partition": cluster.partition or None,
        "account": cluster.account or None,
        "constraint": cluster.constraint or None,
        "dependency": dependency or None,
        "signal_delay_s": min(SAVING, minutes * 60 // 4),
        "array_parallelism": 100_000,
        "additional_parameters": {"requeue": True, "kill-on-invalid-dep": "yes"},
        # Since Slurm 22.05 a step no longer has its job's cores unless it asks for them.
        "srun_args": [f"--cpus-per-task={needs.cpus}"],
    }
    memory = cluster.memory_gib or needs.memory / 2**30
    if memory:
        wanted["mem"] = f"{math.ceil(max(1.0, memory) * 1024)}M"  # a number with a fraction is no size for sbatch
    try:
        executor = submitit.SlurmExecutor(logs, max_num_timeout=RUNS)
        given = {key: value for key, value in wanted.items() if value is not None}
        executor.update_parameters(**given, wckey=None)  # submitit's own key is refused at a site that has a list
        with executor.batch():
            jobs = [executor.submit(task) for task in tasks]
    except submitit.core.utils.FailedJobError as error:
        reason = str(error).strip()
        if FULL.search(reason):
            raise Full(
                f"Slurm takes no more jobs ({reason}): wait until some of yours have ended, and run again"
            ) from None
        raise InputError(f"Slurm refuses the job '{name}': {reason}; correct the --slurm-… options") from None
    except RuntimeError as error:
        raise InputError(f"no Slurm here ({error}): submit from a machine that has sbatch and srun") from None
    return [str(job.job_id) for job in jobs]


def _largest_array() -> int:
    """Return how many elements an array may have at this site."""
    with suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, check=True, timeout=60)
        if match := re.search(r"^MaxArraySize\s*=\s*(\d+)", answer.stdout, re.MULTILINE):
            return max(1, int(match[1]))  # 0: the site has no arrays
    return LARGEST


def _arrays(jobs: Sequence[Job], every: Sequence[Job]) -> list[list[Job]]:
    """Return jobs as arrays: one for those of a level that need the same and wait for the same trainings.

    Those that all others wait for come first, then inputs before what needs them.

    Args:
        jobs: The jobs to submit, inputs first.
        every: These and those that others have submitted.
    """
    levels: dict[int, int] = {}
    trains = {job.number for job in every if any(item.work.resumes for item in job.stages)}
    for job in every:
        levels[job.number] = 1 + max((levels[number] for number in job.after), default=0)
    arrays: dict[tuple[Any, ...], list[Job]] = {}
    for job in jobs:
        kind = job.stages[0].work.resumes, job.needs, frozenset(trains & set(job.after))
        arrays.setdefault((job.gated, levels[job.number], *kind), []).append(job)
    return [arrays[kind] for kind in sorted(arrays, key=lambda kind: kind[:2])]


def _listed(ids: Iterable[str]) -> list[str]:
    """Return the ids of jobs for a dependency: an array's own where many of its elements are meant."""
    of_array: dict[str, list[str]] = {}
    for id in sorted(set(ids)):
        of_array.setdefault(id.partition("_")[0], []).append(id)
    return [id for array, elements in of_array.items() for id in ([array] if len(elements) > NAMED else elements)]
