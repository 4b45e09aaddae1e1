"""Local executor: builds stages on this computer, in this process or in several worker processes, or has them built.

Trainings go to the workers one by one. The predictions of one trained network in all languages, with their scores, go
to one worker together, so that the network is loaded once. The same jobs go to another executor (`executor.Executor`)
where the machine names one.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import queue
import signal
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from functools import cache, partial
from heapq import heappop, heappush
from multiprocessing.queues import Queue

from xstilts.errors import InputError
from xstilts.runtime import progress
from xstilts.runtime.cluster import Cluster
from xstilts.runtime.machine import Runtime, available_memory_bytes, busy, let_threads_sleep, usable_cores
from xstilts.runtime.progress import Event
from xstilts.runtime.text import bytes_text, counted
from xstilts.store import build, build_log, leases, names
from xstilts.store.build_log import BuildLog
from xstilts.store.executor import (
    WITHOUT_NETWORK,
    Bundle,
    Executor,
    Failures,
    Job,
    Refused,
    Resources,
    resources,
)
from xstilts.store.executor import message as _said
from xstilts.store.executor import sendable as _sent
from xstilts.store.identity import SORTED, canonical
from xstilts.store.stage import Stage, StageError, with_inputs
from xstilts.store.weights import Dropping

TOGETHER = 25  # short stages in one job of a scheduler
NAMED = 10  # failures that a message lists
LABELS = 5  # stages of one failure that it names


class Unbuilt(StageError):
    """Some stages could not be built; all that do not depend on them were.

    Attributes:
        reasons: The errors by key; "" where an input could not be built.
        built: How many stages were built.
        wrong_input: Whether all that failed did so for what is in the user's files.
    """

    def __init__(self, message: str, reasons: dict[str, str], built: int, wrong_input: bool = False) -> None:
        super().__init__(message)
        self.reasons, self.built, self.wrong_input = reasons, built, wrong_input


def build_all(
    stages: Sequence[Stage],
    machine: Runtime,
    first: str = "",
    keep: Sequence[Stage] = (),
    executor: Executor | None = None,
) -> int:
    """Build stages and their inputs.

    A stage that fails does not stop those that do not depend on it.

    Args:
        stages: The stages.
        machine: Where and how to build them; `workers` processes side by side.
        first: Name of a function. Its stages are built before all others, and where one of them fails no other stage
            is built: data that cannot be read cost no training.
        keep: The stages of the whole study, where the weights of models are to be dropped as `machine.keep` says; a
            model of which one of these stages has still to be made keeps them. None: nothing is dropped.
        executor: Runs the jobs; None: the one that `machine.cluster` names.

    Returns:
        How many stages were not in the store yet, or not with the files that others need.

    Raises:
        Unbuilt: Some stages failed; raised when all others are built.
        StageError: The disk is full, a worker process died, or a stage has a function that workers cannot import.
    """
    build.recover(machine.store)
    todo = build.missing(tuple(stages), machine)
    if todo:
        _require_store(machine)
        if executor is None and machine.cluster.remote:
            executor = _remote(machine)
            if machine.device.startswith("cuda") and not executor.gpus:
                remedy = "give --slurm-gpus 1" if executor.queues else "no machine of the cluster has a GPU"
                raise InputError(f"device '{machine.device}', but jobs get no GPU: {remedy}, or --device cpu")
        if executor is None:
            workers = machine.workers or (1 if machine.processes > 1 else _suited_workers(todo, machine))
            machine = machine if machine.workers else replace(machine, workers=workers)
            _remark_on_other_work()
    if todo and (finished := len(with_inputs(stages)) - len(todo)):
        progress.note(f"continuing: {finished} of {counted(finished + len(todo), 'stage')} finished")
    early = [item for item in todo if item.work.name == first and not item.inputs]
    failed: Failures = {}
    dropping = Dropping(with_inputs((*keep, *stages)) if keep else (), machine, build.is_sound)
    dropping.sweep()  # what an earlier, killed call did not come to
    queues = executor is not None and executor.queues
    parts = [early, [item for item in todo if item.work.name != first or item.inputs] if early else todo]
    # Jobs that outlive this process have a log each.
    with closing(executor) if executor else nullcontext(), build_log.noted([] if queues else todo, machine) as note:
        if queues and todo:
            early_keys = frozenset(item.key for item in early)
            failed = _Side(todo, machine, note, 0, dropping, executor, early_keys).run()
            failed = {key: error for key, error in failed.items() if key in early_keys} or failed
        for part in [] if queues else parts:
            if failed:
                break
            done = len(early) if part is not early else 0
            if executor is None and (machine.workers <= 1 or len(part) <= 1):
                failed = _one_by_one(part, machine, note, partial(_tell, done, len(todo)), dropping)
            elif part:
                failed = _Side(part, machine, note, done, dropping, executor).run()
    dropping.sweep()  # what another build held
    if dropping.freed:
        progress.note(f"weights that nothing needs any more were dropped: {bytes_text(dropping.freed)}")
    if failed:
        reasons = [(item.label, error) for item in todo if (error := failed.get(item.key))]
        alike: dict[str, list[str]] = {}  # one row of a user's file may fail the training, development and test split
        for label, error in reasons:
            alike.setdefault(_said(error), []).append(label)
        lines = [f"{_first(labels)}: {reason}" for reason, labels in alike.items()]
        lines = [*lines[:NAMED], f"and {len(lines) - NAMED} more"] if len(lines) > NAMED else lines
        stopped = bool(early) and failed.keys() <= {item.key for item in early} and len(early) < len(todo)
        kept = ", so nothing else was built" if stopped else "; the others are kept"
        tried = early if stopped else todo
        raise Unbuilt(
            f"{len(failed)} of {counted(len(tried), 'stage')} could not be built{kept}.\n" + "\n".join(lines),
            {key: _said(error) if error else "" for key, error in failed.items()},
            len(tried) - len(failed),
            all(_is_wrong_input(item, failed[item.key]) for item in todo if failed.get(item.key)),
        ) from reasons[0][1]
    return len(todo)


def _remote(machine: Runtime) -> Executor:
    """Return the executor that a machine's cluster names."""
    if machine.cluster.executor == "ray":
        from xstilts.store.ray_executor import RayExecutor

        return RayExecutor(machine)
    from xstilts.store.slurm_executor import SlurmExecutor

    return SlurmExecutor(machine)


@cache
def _remark_on_other_work() -> None:
    """Say that the machine is busy, where it is at the first build of this process."""
    if remark := busy():
        progress.note(remark)


def _suited_workers(todo: Sequence[Stage], machine: Runtime) -> int:
    """Return how many processes build stages side by side: on a CPU one a core, if trainings and memory suffice.

    Processes with a thread each share no work and never wait for each other; where trainings follow each other, only
    one process with all threads uses the cores. Without trainings each network whose predictions are missing is one's
    work.

    Args:
        todo: The stages to be built, inputs first.
        machine: Device and store.

    Returns:
        The number, at least 1.
    """
    depth: dict[str, int] = {}  # how many trainings follow each other up to a stage
    levels: dict[int, list[Stage]] = {}
    for item in todo:
        below = max((depth.get(before.key, 0) for before in item.inputs), default=0)
        depth[item.key] = below + bool(item.work.resumes)
        if item.work.resumes:
            levels.setdefault(below, []).append(item)
    predicted = len({_model(item) for item in todo if "model" in item.arguments})
    most = min(usable_cores(), max(map(len, levels.values()), default=max(1, predicted)))
    if most <= 1 or machine.torch_device().type != "cpu":
        return 1
    trainings = [item for level in levels.values() for item in level if item.work.memory]
    needs = sorted((item.work.memory(machine, **item.arguments) for item in trainings), reverse=True)  # type: ignore[misc]
    free = available_memory_bytes()
    fitting = max(count for count in range(1, most + 1) if count == 1 or sum(needs[:count]) <= free)
    if fitting < most:
        progress.note(f"{counted(fitting, 'worker')} instead of {most}: {free / 2**30:.1f} GiB of memory are free")
    return fitting


def _first(labels: Sequence[str]) -> str:
    """Return the first labels and how many more there are."""
    more = len(labels) - LABELS
    return ", ".join(labels[:LABELS]) + (f" and {more} more" if more > 0 else "")


def _require_store(machine: Runtime) -> None:
    """Raise InputError where nothing can be written to the store, or its file system can hold none."""
    try:
        machine.store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the store {machine.store} cannot be made ({error.strerror}): give another --store") from None
    if not os.access(machine.store, os.W_OK):
        raise InputError(f"the store {machine.store} cannot be written: change its rights, or give another --store")
    with suppress(OSError):  # as of a full disk, which the first stage names
        leases.require_store(machine.store)


def _one_by_one(
    todo: Sequence[Stage],
    machine: Runtime,
    note: BuildLog,
    tell: Callable[[int, Stage], None],
    dropping: Dropping | None = None,
    lost: Collection[str] = (),
) -> Failures:
    """Build stages in an order that has inputs first; return those that failed and those that needed them or `lost`."""
    failed: Failures = {}
    for number, item in enumerate(todo, start=1):
        if any(input_stage.key in failed or input_stage.key in lost for input_stage in item.inputs):
            failed[item.key] = None
            note.fail(item, "")
            continue
        note.begin((item,))
        try:
            if dropping is None or not dropping.is_over(item):
                build.build(item, machine)
            note.end(item)
            if dropping:
                dropping.after(item)
        except StageError as error:
            note.fail(item, str(error))
            raise
        except Exception as error:
            failed[item.key] = error
            note.fail(item, _said(error))
        tell(number, item)
    return failed


def _tell(before: int, total: int, number: int, item: Stage) -> None:
    progress.step("stages", before + number, total, item.label)


class _Side:
    """Stages being built side by side: what is ready goes to the workers, what is done makes more ready."""

    def __init__(
        self,
        todo: Sequence[Stage],
        machine: Runtime,
        note: BuildLog,
        before: int = 0,
        dropping: Dropping | None = None,
        executor: Executor | None = None,
        first: Collection[str] = (),
    ) -> None:
        self.machine, self.note, self.dropping = machine, note, dropping
        self.executor, self.first = executor, first
        self.submitted = 0
        self.waiting = {item.key: item for item in todo}
        self.place = {item.key: number for number, item in enumerate(todo)}
        self.needs = {item.key: {n.key for n in item.inputs if n.key in self.waiting} for item in todo}
        self.needed_by: dict[str, list[Stage]] = {}
        self.of_model: dict[str, list[Stage]] = {}
        for item in todo:
            for key in self.needs[item.key]:
                self.needed_by.setdefault(key, []).append(item)
            if "model" in item.arguments:
                self.of_model.setdefault(_model(item), []).append(item)
        self.beside: dict[str, list[Stage]] = {}  # predictions that wait for the data of another one of their network
        for siblings in self.of_model.values():
            data = {key for item in siblings for key in self.needs[item.key] if _is_data(self.waiting[key])}
            for item in siblings:
                for key in data - self.needs[item.key]:
                    self.beside.setdefault(key, []).append(item)
                self.needs[item.key] |= data
        self.ready = [number for number, item in enumerate(todo) if not self.needs[item.key]]  # a heap: it is sorted
        self.todo = todo
        self.failed: Failures = {}
        self.total, self.done = before + len(todo), before

    def run(self) -> Failures:
        """Build everything that can be built; return the rest."""
        executor = self.executor or _Workers(self.machine)
        try:
            self._feed(executor)
        except BaseException as error:
            executor.cancel(error)
            if isinstance(error, BrokenProcessPool):
                raise StageError(
                    "a worker process died, perhaps because memory ran out: run again to go on, with fewer workers "
                    "or a smaller max_tokens_per_pass; a script that uses workers must start under "
                    "`if __name__ == '__main__':`. What is finished stays"
                ) from error
            raise
        finally:
            if self.executor is None:
                executor.close()
        return self.failed

    def _feed(self, executor: Executor) -> None:
        running = 0
        if executor.queues:
            for job in self._in_advance(executor):
                executor.submit(job)
                running += 1
        while self.waiting or running:
            for bundle in self._bundles(executor.room):
                if self.dropping and all(map(self.dropping.is_over, bundle)):
                    self._finish(bundle, {})
                    continue
                executor.submit(self._job(bundle, executor))
                running += 1
            if not running:
                if self.ready:
                    continue
                break
            # Wakes up often, so that the progress of running stages is shown.
            for job, failed in executor.ended(0.2):
                running -= 1
                self._finish(job.stages, failed)

    def _job(self, bundle: Bundle, executor: Executor, after: Collection[int] = (), gated: bool = False) -> Job:
        """Return the job of a bundle."""
        needs, machine = Resources(), replace(self.machine, workers=1, cluster=Cluster())
        if isinstance(executor, _Workers):
            machine = replace(machine, threads=executor.threads)
        else:
            needs = resources(bundle, machine, max(1, machine.threads), executor.gpus)
            # On a machine of a cluster a job sees its own GPUs alone, or those of others.
            device = "cuda" if needs.gpus else "cpu"
            device = device if machine.device == "auto" or machine.device.startswith("cuda") else machine.device
            store, data = machine.store.absolute(), machine.data and machine.data.absolute()
            machine = replace(machine, threads=needs.cpus, device=device, store=store, data=data)
        self.submitted += 1
        packed = _packed(bundle, machine)
        return Job(self.submitted, bundle, needs, _build, packed, tuple(sorted(after)), gated)

    def _in_advance(self, executor: Executor) -> Iterator[Job]:
        """Yield jobs for everything that is to be built, with those that each has to wait for."""
        job_of: dict[str, int] = {}
        while bundles := list(self._bundles(len(self.waiting))):
            for bundle in _merged(bundles, self.first):
                after = {job_of[needed.key] for item in bundle for needed in item.inputs if needed.key in job_of}
                job = self._job(bundle, executor, after, bool(self.first) and bundle[0].key not in self.first)
                job_of |= {item.key: job.number for item in bundle}
                yield job
            for item in (item for bundle in bundles for item in bundle):
                self._release(item)

    def _bundles(self, room: int) -> Iterator[Bundle]:
        """Yield up to `room` bundles of stages whose inputs are built, taking them off the list."""
        while self.ready and room > 0:
            item = self.todo[heappop(self.ready)]
            # A stage may have left the list: as a companion of another one, or because an input failed.
            if item.key in self.waiting:
                bundle = self._with_companions(item)
                for part in bundle:
                    del self.waiting[part.key]
                self.note.begin(bundle)
                room -= 1
                yield bundle

    def _with_companions(self, first: Stage) -> Bundle:
        """Return with a prediction what belongs to it: the others of its network, and what needs only these."""
        siblings = self.of_model.get(_model(first), [first])
        bundle = {item.key: item for item in siblings if item.key in self.waiting and not self.needs[item.key]}
        more = list(bundle.values()) if "model" in first.arguments else []
        # `more` grows within the loop: a score joins its prediction, then what needs only these.
        for item in more:
            for other in self.needed_by.get(item.key, ()):
                new = other.key not in bundle and other.key in self.waiting and not other.work.resumes
                if new and self.needs[other.key] <= bundle.keys():
                    bundle[other.key] = other
                    more.append(other)
        return tuple(sorted(bundle.values(), key=lambda item: self.place[item.key]))

    def _finish(self, bundle: Bundle, failed: Failures) -> None:
        for item in bundle:
            if item.key in failed:
                self._give_up(item, failed[item.key])
                continue
            self.done += 1
            self.note.end(item)
            if self.dropping:
                self.dropping.after(item)
            self._release(item)
        _tell(0, self.total, self.done, bundle[-1])

    def _release(self, item: Stage) -> None:
        """Make ready what waited for a stage alone."""
        self._free((*self.needed_by.get(item.key, ()), *self.beside.get(item.key, ())), item)

    def _free(self, others: Iterable[Stage], item: Stage) -> None:
        """Let stages no longer wait for another one."""
        for other in others:
            self.needs[other.key].discard(item.key)
            if not self.needs[other.key] and other.key in self.waiting:
                heappush(self.ready, self.place[other.key])

    def _give_up(self, item: Stage, error: Exception | None) -> None:
        """Take a stage off the list, and all that need it."""
        self.failed[item.key] = error
        self.note.fail(item, _said(error) if error else "")
        for other in self.needed_by.get(item.key, ()):
            if self.waiting.pop(other.key, None):
                self._give_up(other, None)
        self._free(self.beside.get(item.key, ()), item)


class _Workers:
    """The executor of this computer: processes that stay warm for the whole build."""

    queues, gpus = False, 0

    def __init__(self, machine: Runtime) -> None:
        let_threads_sleep()
        # A forked worker would inherit torch's threads and their locks as they are at that moment.
        context = multiprocessing.get_context("spawn")
        self.events: Queue[Event] = context.Queue()
        self.threads = machine.threads or max(1, usable_cores() // machine.workers)
        self.workers = machine.workers
        self.pool = ProcessPoolExecutor(machine.workers, context, _start_worker, (self.events,))
        self.running: dict[Future[Failures], Job] = {}

    @property
    def room(self) -> int:
        """How many workers have nothing to do."""
        return self.workers - len(self.running)

    def submit(self, job: Job) -> None:
        """Give a job to a worker."""
        self.running[self.pool.submit(job.run, job.packed)] = job

    def ended(self, seconds: float) -> Iterator[tuple[Job, Failures]]:
        """Yield the jobs that have ended, of which there may be none."""
        finished, _ = wait(self.running, timeout=seconds, return_when=FIRST_COMPLETED)
        _pass_on(self.events)
        for future in finished:
            yield self.running.pop(future), future.result()

    def cancel(self, error: BaseException) -> None:
        """End the workers."""
        for worker in multiprocessing.active_children():
            worker.terminate()  # SIGTERM: a training saves where it is
        self.pool.shutdown(wait=True, cancel_futures=True)

    def close(self) -> None:
        """Wait for the workers' end."""
        self.pool.shutdown(wait=True)


def _merged(bundles: Sequence[Bundle], first: Collection[str]) -> Iterator[Bundle]:
    """Yield bundles, short ones without inputs together: a scheduler takes longer to start one than it runs."""
    short: list[Stage] = []
    for bundle in bundles:
        if bundle[0].inputs or bundle[0].work.resumes or bundle[0].work.name not in WITHOUT_NETWORK:
            yield bundle
        else:
            short += bundle
    for part in ([item for item in short if (item.key in first) == early] for early in (True, False)):
        yield from (tuple(part[start : start + TOGETHER]) for start in range(0, len(part), TOGETHER))


def _is_data(item: Stage) -> bool:
    """Return whether a stage is short and needs nothing, as one that reads data."""
    return not item.inputs and not item.work.resumes and item.work.name in WITHOUT_NETWORK


def _model(item: Stage) -> str:
    """Return what names the network that a prediction is made with."""
    return SORTED.encode(canonical(item.arguments.get("model")))


def _start_worker(events: Queue[Event]) -> None:
    """Prepare a worker: its events go to the parent, SIGTERM ends it, and it does not outlive the parent."""
    progress.listen(events.put)
    events.cancel_join_thread()  # a worker that gets SIGTERM does not wait until its last events are read
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C too, and sends SIGTERM
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        # Returns when the parent is gone, even if it was killed: an orphan would hold its stages' locks.
        parent.join()
        os._exit(1)


def _packed(bundle: Bundle, machine: Runtime) -> bytes:
    """Return stages as bytes for a worker; StageError where they hold a function that no other process can import."""
    try:
        return pickle.dumps((bundle, machine))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise StageError(_unsendable(bundle[0].label, error)) from error


def _unsendable(item: str, error: Exception) -> str:
    return (
        f"{item} cannot be built by a worker process ({error}): define its functions with `def` at the top level of a "
        "module or a script, not in a notebook or within another function, or build with one worker"
    )


def _build(packed: bytes, lost: Collection[str] = (), logged: bool = False) -> Failures:
    """Build a bundle in another process; an error travels by its message, since not every one can be pickled.

    Args:
        packed: The bundle and the machine.
        lost: Keys of inputs that could not be built.
        logged: Whether the bundle has a log of its own.
    """
    try:
        bundle, machine = pickle.loads(packed)
    except (ImportError, AttributeError) as error:
        raise StageError(_unsendable("a stage", error)) from error
    with build_log.noted(bundle if logged else (), machine) as note:
        failed = _one_by_one(bundle, machine, note, lambda number, item: None, lost=lost)
    return {key: error and _sent(error) for key, error in failed.items()}


def _is_wrong_input(item: Stage, error: Exception | None) -> bool:
    """Return whether a file could not be read; a training that diverges has read its input."""
    return item.work.name == names.READ and isinstance(error, InputError | Refused)


def _pass_on(events: Queue[Event]) -> None:
    for event in _drained(events):
        progress.step(event.label, event.done, event.total, event.detail) if event.total else progress.note(event.label)


def _drained(events: Queue[Event]) -> Iterable[Event]:
    while True:
        try:
            yield events.get_nowait()
        except queue.Empty:
            return
