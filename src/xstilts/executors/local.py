"""Local: stages built on this machine, by this process or by a few warm worker processes side by side.

Trainings are handed out one by one; what follows one trained network (its predictions in all languages and their
scores) goes to one worker in one piece, so that the network is loaded once.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import replace
from multiprocessing.queues import Queue

from xstilts import progress, stage
from xstilts.machine import Machine
from xstilts.progress import Event
from xstilts.stage import Stage, StageError

Bundle = tuple[Stage, ...]


def build_all(stages: Sequence[Stage], machine: Machine) -> int:
    """Build stages and all they need; return how many were not there yet.

    A stage that fails does not stop those that do not need it; then StageError names it at the end.
    """
    todo = stage.missing(tuple(stages), machine)
    if machine.workers <= 1 or len(todo) <= 1:
        for number, item in enumerate(todo, start=1):
            stage.build(item, machine)
            progress.step("stages", number, len(todo), item.label)
        return len(todo)
    _Side(todo, machine).run()
    return len(todo)


class _Side:
    """Stages being built side by side: what is ready goes to the workers, what is done makes more ready."""

    def __init__(self, todo: Sequence[Stage], machine: Machine) -> None:
        self.machine = machine
        self.waiting = {item.key: item for item in todo}
        self.needs = {item.key: {n.key for n in item.inputs if n.key in self.waiting} for item in todo}
        self.failed: dict[str, BaseException] = {}
        self.total, self.done = len(todo), 0

    def run(self) -> None:
        """Build everything that can be built."""
        context = multiprocessing.get_context("spawn")
        events: Queue[Event] = context.Queue()
        threads = self.machine.threads or max(1, (os.cpu_count() or 1) // self.machine.workers)
        machine = replace(self.machine, workers=1, threads=threads)
        with ProcessPoolExecutor(self.machine.workers, context, _start_worker, (events,)) as pool:
            try:
                self._feed(pool, machine, events)
            except BaseException:
                for worker in multiprocessing.active_children():
                    worker.terminate()  # SIGTERM: a training saves where it is
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        if self.failed:
            self._raise()

    def _feed(self, pool: ProcessPoolExecutor, machine: Machine, events: Queue[Event]) -> None:
        running: dict[Future[None], Bundle] = {}
        while self.waiting or running:
            for bundle in self._ready(self.machine.workers - len(running)):
                running[pool.submit(_build, bundle, machine)] = bundle
            if not running:
                break
            finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            _pass_on(events)
            for future in finished:
                self._finish(running.pop(future), future.exception())

    def _ready(self, room: int) -> Iterator[Bundle]:
        """Yield up to `room` bundles of stages whose inputs are built, taking them off the list."""
        ready = [item for item in self.waiting.values() if not self.needs[item.key]]
        for item in ready[: max(room, 0)]:
            if item.key in self.waiting:
                bundle = (item, *self._companions(item))
                for part in bundle:
                    del self.waiting[part.key]
                yield bundle

    def _companions(self, first: Stage) -> Bundle:
        """Return what belongs with a prediction: the other predictions of its network, and what needs only these."""
        if "model" not in first.arguments:
            return ()
        held = {first.key: first}
        for item in self.waiting.values():
            needs = self.needs[item.key]
            sibling = item.arguments.get("model") == first.arguments["model"] and not needs
            if sibling or (needs and needs <= held.keys() and not item.work.resumes):
                held[item.key] = item
        return tuple(held.values())[1:]

    def _finish(self, bundle: Bundle, error: BaseException | None) -> None:
        if isinstance(error, KeyboardInterrupt):
            raise error
        for item in bundle:
            if error is not None and not stage.is_built(item, self.machine):
                self._fail(item, error)
                continue
            self.done += 1
            for needs in self.needs.values():
                needs.discard(item.key)
        progress.step("stages", self.done, self.total, bundle[-1].label)

    def _fail(self, item: Stage, error: BaseException) -> None:
        """Give up a stage and all that need it."""
        self.failed[item.label] = error
        for other in list(self.waiting.values()):
            if item.key in self.needs[other.key]:
                del self.waiting[other.key]
                self._fail(other, StageError(f"needs {item.label}"))

    def _raise(self) -> None:
        reasons = [f"{label}: {error}" for label, error in self.failed.items() if not str(error).startswith("needs ")]
        raise StageError(
            f"{len(self.failed)} of {self.total} stages could not be built; the others are kept.\n" + "\n".join(reasons)
        ) from next(iter(self.failed.values()))


def _start_worker(events: Queue[Event]) -> None:
    """Prepare a worker: its events go to the parent, SIGTERM interrupts it, and it does not outlive the parent."""
    progress.listen(events.put)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _build(bundle: Bundle, machine: Machine) -> None:
    for item in bundle:
        stage.build(item, machine)


def _pass_on(events: Queue[Event]) -> None:
    for event in _drained(events):
        progress.step(event.label, event.done, event.total, event.detail) if event.total else progress.note(event.label)


def _drained(events: Queue[Event]) -> Iterable[Event]:
    while True:
        try:
            yield events.get_nowait()
        except queue.Empty:
            return
