"""Slurm log: what was submitted to Slurm for a store, and how it ended, as plain files in the store.

Each submission has a folder `.slurm/<host>-<process>-<time>/`. Its `jobs.json` lists the jobs with their stages; a job
writes `<number>.json` when it begins or is requeued, and `<number>.ended.json` when it has built its stages or failed.
So any process that sees the store knows what is pending, running, done and failed, whether or not the one that
submitted the jobs lives. Slurm's own `squeue`, where there is one, says which jobs it still knows.

>>> read(Path("no-such-store"))
[]
"""

from __future__ import annotations

import getpass
import json
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xstilts.runtime import whole_files
from xstilts.store.build_log import BuildStatus

FOLDER, JOBS, LOGS = ".slurm", "jobs.json", "logs"
KEPT = 7 * 24 * 3600.0  # seconds after which the folder of an ended submission is deleted
ASKED_EVERY = 15.0  # seconds between two questions to Slurm
PENDING, RUNNING, REQUEUED, DONE, FAILED, LOST = "pending", "running", "requeued", "done", "failed", "lost"


@dataclass(frozen=True)
class SlurmJob:
    """A job that was submitted, an element of an array or one of its own.

    Attributes:
        id: Slurm's number, as "123" or "123_4".
        number: Its number within the submission.
        keys: Keys of its stages.
        after: Numbers of the jobs whose results it needs.
    """

    id: str
    number: int
    keys: tuple[str, ...]
    after: tuple[int, ...] = ()


@dataclass(frozen=True)
class Submission:
    """What one build submitted.

    Attributes:
        folder: Its folder.
        started: When it was submitted, in seconds since the epoch.
        stages: Label and function name of each stage, by key.
        arguments: Canonical arguments of trainings, by key.
        jobs: The jobs by number.
    """

    folder: Path
    started: float
    stages: dict[str, tuple[str, str]]
    arguments: dict[str, Any]
    jobs: dict[int, SlurmJob]

    @property
    def owner(self) -> str:
        """The user who submitted it; "" where the system knows no name."""
        with suppress(OSError, KeyError, NotImplementedError):
            return self.folder.owner()
        return ""

    def write(self) -> None:
        """Write `jobs.json`, in place of an earlier version."""
        jobs = [[job.id, job.number, job.keys, job.after] for job in self.jobs.values()]
        request = {"started": self.started, "stages": self.stages, "arguments": self.arguments, "jobs": jobs}
        whole_files.write(self.folder / JOBS, json.dumps(request, ensure_ascii=False))

    def outcome(self, number: int) -> dict[str, Any] | None:
        """Return what a job wrote at its end: `failed`, by key reason and whether the input was wrong, and `stop`.

        None where it has not ended.
        """
        return content(self.folder / f"{number}.ended.json")

    def ended(self) -> set[int]:
        """Return the numbers of the jobs that have written an outcome."""
        with suppress(OSError):
            return {int(path.name.partition(".")[0]) for path in self.folder.glob("*.ended.json")}
        return set()

    def states(self, queue: Mapping[str, str] | None) -> dict[int, str]:
        """Return the state of each job.

        Args:
            queue: What Slurm says of each job it knows (`Queue.states`); None where it cannot be asked.

        Returns:
            "pending", "running", "requeued", "done", "failed", or "lost" for one that Slurm no longer knows and that
            has written no outcome. A site may hide another user's jobs: where none is listed, files alone tell.
        """
        states = {}
        if queue is not None and self.owner not in ("", user()) and not any(j.id in queue for j in self.jobs.values()):
            queue = None
        for number, job in self.jobs.items():
            if outcome := self.outcome(number):
                states[number] = FAILED if outcome.get("failed") or outcome.get("stop") else DONE
                continue
            begun = (content(self.folder / f"{number}.json") or {}).get("state", PENDING)
            if queue is None:
                states[number] = begun
            elif job.id not in queue:
                states[number] = LOST
            elif queue[job.id] in ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"):
                states[number] = REQUEUED if begun != PENDING else PENDING
            elif queue[job.id] == "COMPLETING" and begun == REQUEUED:
                states[number] = REQUEUED  # its run is being cleared away
            else:
                states[number] = RUNNING
        return states


@dataclass
class Queue:
    """Slurm's queue of some users' jobs, asked at most every few seconds.

    Attributes:
        every: Seconds between two questions.
    """

    every: float = ASKED_EVERY
    _asked: float = field(default=float("-inf"), init=False)
    _states: dict[str, str] | None = field(default=None, init=False)

    def states(self, anew: bool = False, owners: Collection[str] = ()) -> dict[str, str] | None:
        """Return Slurm's state of each job that it has queued or runs, by id; None where it cannot be asked.

        Args:
            anew: Ask now, however short ago it was asked.
            owners: Whose jobs, beside this user's; not in an answer that is younger than `every`.
        """
        if anew or time.monotonic() - self._asked >= self.every:
            self._asked, self._states = time.monotonic(), None
            # All of their jobs: a question for certain ones is an error where Slurm has forgotten one of them.
            users = ",".join(sorted({user(), *owners} - {""}))
            command = ["squeue", "-h", "-r", "-u", users, "-o", "%i|%T"]
            with suppress(OSError, subprocess.SubprocessError):
                answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
                lines = (line.strip().split("|") for line in answer.stdout.splitlines())
                self._states = {line[0]: line[1] for line in lines if len(line) == 2}
        return self._states


def user() -> str:
    """Return the name of this process's user."""
    return getpass.getuser()


def final_state(job: str) -> str:
    """Return what Slurm says of a job that has left the queue, such as "OUT_OF_MEMORY"; "" if nothing.

    Its accounting does, where a site has one; the controller does for some minutes after a job's end.
    """
    commands = ["sacct", "-n", "-X", "-P", "-j", job, "-o", "State"], ["scontrol", "-o", "show", "job", job]
    for command, pattern in zip(commands, (r"^(\w+)", r"\bJobState=(\w+)"), strict=True):
        with suppress(OSError, subprocess.SubprocessError):
            answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
            if states := re.findall(pattern, answer.stdout, re.MULTILINE):
                return str(states[-1])
    return ""


def read(store: Path) -> list[Submission]:
    """Return the submissions of a store, the oldest first; unreadable ones are left out."""
    submissions = []
    for folder in _folders(store):
        with suppress(OSError, ValueError, KeyError, TypeError):
            request = json.loads((folder / JOBS).read_bytes().decode())
            jobs = [SlurmJob(id, number, tuple(keys), tuple(after)) for id, number, keys, after in request["jobs"]]
            stages = {key: (label, work) for key, (label, work) in request["stages"].items()}
            by_number = {job.number: job for job in jobs}
            submissions.append(Submission(folder, request["started"], stages, request["arguments"], by_number))
    return sorted(submissions, key=lambda submission: submission.started)


def status(store: Path, queue: Queue) -> tuple[list[BuildStatus], dict[str, int]]:
    """Return the submissions of a store as builds, and how many of the live ones' jobs are in each state.

    Args:
        store: Folder of the store.
        queue: Slurm's queue.

    Returns:
        The builds, whose running stages are all those of running jobs: the jobs' own logs say which of them have
            begun, and their steps. And how many jobs are in each state.
    """
    builds, counts = [], Counter[str]()
    submissions = read(store)
    known = queue.states(owners={submission.owner for submission in submissions}) if submissions else None
    for submission in submissions:
        states = submission.states(known)
        alive = bool({PENDING, RUNNING, REQUEUED} & set(states.values()))
        failed = {
            key: (reason or [""])[0]
            for number in submission.jobs
            for key, reason in ((submission.outcome(number) or {}).get("failed") or {}).items()
        }
        failed |= {
            key: "the job ended before its stages were built: run again to go on"
            for number, state in states.items()
            if state == LOST
            and not any(states.get(earlier) in (FAILED, LOST) for earlier in submission.jobs[number].after)
            for key in submission.jobs[number].keys
        }
        if alive:
            counts.update(states.values())
        running = {
            key: float((content(submission.folder / f"{number}.json") or {}).get("at", submission.started))
            for number, state in states.items()
            if state == RUNNING
            for key in submission.jobs[number].keys
        }
        about = submission.folder.name, submission.started, 0, submission.stages, submission.arguments
        builds.append(BuildStatus(*about, running, failed, {}, None, alive))
    return builds, dict(counts)


def sweep(store: Path, queue: Mapping[str, str] | None) -> None:
    """Delete the folders of submissions that ended a week ago."""
    for submission in read(store):
        with suppress(OSError):
            old = time.time() - submission.folder.stat().st_mtime > KEPT
            if old and not {PENDING, RUNNING, REQUEUED} & set(submission.states(queue).values()):
                shutil.rmtree(submission.folder, ignore_errors=True)


def _folders(store: Path) -> list[Path]:
    with suppress(OSError):
        return [path for path in sorted((store / FOLDER).iterdir()) if path.is_dir()]
    return []


def content(path: Path) -> dict[str, Any] | None:
    """Return a JSON object; None where there is none, or one that is half there."""
    with suppress(OSError, ValueError):
        value = json.loads(path.read_bytes().decode())
        return value if isinstance(value, dict) else None
    return None
