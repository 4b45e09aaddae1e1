"""Ray executor: each job is a task of a Ray cluster, this computer's cores alone or many machines.

The cluster sees the same store, data and packages under the same paths. Ray hands a job to a machine that has the
cores, GPUs and memory that it needs, and runs it again elsewhere where its machine is lost: the stage's lock has gone
with the process, and a training continues from its checkpoint. Jobs end with the process that submitted them; started
again, it submits only what is missing.

    build_all(stages, Runtime(store=Path("work"), cluster=Cluster("ray")))
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from xstilts.errors import InputError
from xstilts.runtime import extras, progress, signals
from xstilts.runtime.machine import Runtime, let_threads_sleep, usable_cores
from xstilts.runtime.progress import Event
from xstilts.store import build
from xstilts.store.executor import Failures, Job, Resources
from xstilts.store.stage import StageError

TRIES = 5  # runs of a job whose process or machine is lost, beside the first
AHEAD = 64  # jobs that wait in the cluster, at least: more than it runs, so that none of its machines is idle
EVERY = 0.2  # seconds between two messages of a job about its progress
SAVING = 60.0  # seconds in which trainings save their state at Ctrl-C
LOCAL = "local"  # as `ray.init` calls a cluster of this computer
# Variables that decide what a job finds and how; the machines of a cluster were started without them.
PASSED_ON = ("XSTILTS_", "HF_", "TRANSFORMERS_", "TOKENIZERS_")


@dataclass(frozen=True)
class _Stopped:
    """The outcome of a job that stops the whole build."""

    message: str


@dataclass
class RayExecutor:
    """Submits jobs to a Ray cluster, to which it connects when it is made.

    Attributes:
        machine: Names the cluster; `threads` are the cores of a job (0: one), `workers` those that a cluster of this
            computer has (0: all).

    Raises:
        InputError: Ray is not installed, or there is no cluster at the address.
    """

    machine: Runtime
    queues: bool = field(default=False, init=False)
    gpus: int = field(default=0, init=False)
    running: dict[Any, Job] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        extras.require("ray", "the executor 'ray'")
        ray = _connected(self.machine)
        self.ray = ray
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        self.most = Resources(
            int(max((node.get("CPU", 0) for node in nodes), default=1)),
            int(max((node.get("GPU", 0) for node in nodes), default=0)),
            int(max((node.get("memory", 0) for node in nodes), default=0)),
        )
        self.gpus = min(1, self.most.gpus)
        self.ahead = max(AHEAD, int(4 * sum(node.get("CPU", 0) for node in nodes)))
        # On the machine of this process, so that no other's end loses it.
        pinned = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=True
        )
        actor = ray.remote(_Events).options(num_cpus=0, scheduling_strategy=pinned, max_restarts=-1)
        self.events = actor.remote()
        self.asked: Any = None  # the answer of the events that is under way
        self.task = ray.remote(_run)
        self.settings = _Settings(os.getcwd(), _variables())

    @property
    def room(self) -> int:
        """How many more jobs may wait in the cluster."""
        return self.ahead - len(self.running)

    def submit(self, job: Job) -> None:
        """Give a job to the cluster.

        Raises:
            StageError: No machine of the cluster has its cores or GPUs.
        """
        needs = job.needs
        if needs.cpus > self.most.cpus or needs.gpus > self.most.gpus:
            raise StageError(
                f"{job.name} needs {needs.cpus} cores and {needs.gpus} GPUs; the largest machine of the cluster has "
                f"{self.most.cpus} and {self.most.gpus}: give fewer --threads"
            )
        if needs.memory > self.most.memory:
            gib = needs.memory / 2**30, self.most.memory / 2**30
            progress.note(f"{job.name} may need {gib[0]:.1f} GiB of memory, more than any machine's {gib[1]:.1f} GiB")
            needs = replace(needs, memory=self.most.memory)
        options = {"num_cpus": needs.cpus, "num_gpus": needs.gpus, "memory": needs.memory or None}
        task = self.task.options(**options, max_retries=TRIES, retry_exceptions=False, name=job.name)
        self.running[task.remote(job.run, job.packed, self.events, self.settings)] = job

    def ended(self, seconds: float) -> Iterator[tuple[Job, Failures]]:
        """Wait for jobs, and yield those that have ended.

        Raises:
            StageError: The disk is full.
        """
        done, _ = self.ray.wait(
            list(self.running), num_returns=len(self.running), timeout=0, fetch_local=False
        )  # all that are done: where many end at once, one call serves them all
        if not done:
            done, _ = self.ray.wait(list(self.running), num_returns=1, timeout=seconds, fetch_local=False)
        self._pass_on()
        for reference in done:
            job = self.running.pop(reference)
            yield job, self._outcome(reference, job)
        if not self.running:
            self._pass_on(patience=1.0)

    def cancel(self, error: BaseException) -> None:
        """Interrupt the running jobs as Ctrl-C does, and wait until their trainings have saved their state."""
        with suppress(Exception):
            for reference in self.running:
                self.ray.cancel(reference, force=False)
            self.ray.wait(list(self.running), num_returns=len(self.running), timeout=SAVING, fetch_local=False)

    def close(self) -> None:
        """Take what jobs have said; the connection stays, for the next build of this process."""
        with suppress(Exception):
            self.ray.kill(self.events)

    def _outcome(self, reference: Any, job: Job) -> Failures:
        """Return which stages of a job failed."""
        try:
            outcome: Failures | _Stopped = self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            lines = str(error).strip().splitlines()
            reason = StageError(
                f"its process was lost {TRIES + 1} times, perhaps because memory ran out "
                f"({type(error).__name__}: {lines[0] if lines else ''})"
            )
            machine = replace(self.machine, store=self.machine.store.absolute())
            return {item.key: reason for item in job.stages if not build.is_built(item, machine)}
        if isinstance(outcome, _Stopped):
            raise StageError(outcome.message)
        return outcome

    def _pass_on(self, patience: float = 0.0) -> None:
        """Send what jobs have said to this process's listener; without waiting for an answer that is under way."""
        ray = self.ray
        with suppress(Exception):  # the machine of the events may be lost: nothing depends on them
            if self.asked is None:
                self.asked = self.events.take.remote()
            ready, _ = ray.wait([self.asked], timeout=patience)
            if ready:
                events, self.asked = ray.get(self.asked), None
                for event in events:
                    if event.total:
                        progress.step(event.label, event.done, event.total, event.detail)
                    else:
                        progress.note(event.label)


@dataclass(frozen=True)
class _Settings:
    """What a job finds as the submitting process has it: the working directory and some environment variables."""

    folder: str
    variables: dict[str, str]


class _Events:
    """An actor that keeps what jobs say until the submitting process takes it."""

    def __init__(self) -> None:
        self.kept: list[Event] = []

    def put(self, events: list[Event]) -> None:
        """Keep events."""
        self.kept += events

    def take(self) -> list[Event]:
        """Return the events since the last call."""
        kept, self.kept = self.kept, []
        return kept


class _Sender:
    """Sends a job's events: messages at once, of the steps of each work the last one of each interval."""

    def __init__(self, events: Any) -> None:
        self.events, self.steps, self.sent, self.lock = events, dict[str, Event](), 0.0, threading.Lock()

    def __call__(self, event: Event) -> None:
        with self.lock:
            batch = [] if event.total else [event]
            if event.total:
                self.steps[event.label] = event
            if batch or event.done >= event.total or time.monotonic() - self.sent >= EVERY:
                batch, self.steps = [*self.steps.values(), *batch], {}
                self.sent = time.monotonic()
                with suppress(Exception):  # a job does not fail for what it cannot say
                    self.events.put.remote(batch)


def _run(run: Callable[[bytes], Failures], packed: bytes, events: Any, settings: _Settings) -> Failures | _Stopped:
    """Run a job in a process of the cluster."""
    os.environ.update(settings.variables)
    with suppress(OSError):
        os.chdir(settings.folder)  # relative paths mean what they mean in the submitting process
    progress.listen(_Sender(events))
    try:
        return run(packed)
    except (StageError, InputError) as error:
        return _Stopped(str(error))
    except (signals.Interrupted, KeyboardInterrupt):
        return _Stopped("stopped: run again to go on from here")
    finally:
        progress.listen(lambda event: None)


def _connected(machine: Runtime) -> Any:
    """Return the module `ray`, connected to a cluster."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    import ray
    import ray.util.scheduling_strategies

    if ray.is_initialized():
        return ray
    address = machine.cluster.ray_address or os.environ.get("RAY_ADDRESS") or LOCAL
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        let_threads_sleep()
        cores = max(machine.workers * max(1, machine.threads), machine.threads) or usable_cores()
        options |= {"num_cpus": cores, "include_dashboard": False}
    try:
        ray.init(address=address, **options)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"no Ray cluster at '{address}' ({reason}): correct --ray-address, or leave it out") from error
    return ray


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
