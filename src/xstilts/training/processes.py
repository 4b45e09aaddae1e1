"""Processes: several processes that compute one training together, on a GPU each.

The process that builds the stage is the first; it alone writes to the store, so that locks, checkpoints and manifests
are as without others. It starts the others, or finds them started by `torchrun`. They wait for trainings, load the same
encoder and data, and take every step with it; each of its calls below is a call of all. A training reaches them as a
file in the store, which only those can write who may write the results too.

    with together(context, train.work, arguments) as group:
        total = group.totals([targets])[0]

>>> ALONE.totals([3, 4]), ALONE.first
([3, 4], True)
"""

from __future__ import annotations

import atexit
import json
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count as counting
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor

from xstilts.errors import InputError
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime, launched, usable_cores
from xstilts.runtime.signals import Interrupted
from xstilts.store.stage import BuildContext, StageError, StageFunction

Store = Any  # of torch.distributed, whose stubs do not name it
TCPStore: Any = dist.TCPStore  # type: ignore[attr-defined]
PrefixStore: Any = dist.PrefixStore  # type: ignore[attr-defined]
FOLDER = ".processes"  # in the store: trainings on their way to other processes
PATIENCE = timedelta(minutes=30)  # for another process in one call: it may be writing a checkpoint
READY_SECONDS = 300.0  # for other processes to start, which import torch


@dataclass(frozen=True)
class Group:
    """The processes of a training, as one of them sees them.

    Attributes:
        rank: The number of this process, from 0.
        count: How many there are.
        device: The device of this process; None: as the machine says.
        folder: The folder of the stage, which others than the first only read; None: the context's.
    """

    rank: int = 0
    count: int = 1
    device: torch.device | None = None
    folder: Path | None = None

    @property
    def first(self) -> bool:
        """Whether this process builds the stage."""
        return self.rank == 0

    def placed(self, machine: Runtime) -> Runtime:
        """Return a machine with the device of this process."""
        return machine if self.device is None else replace(machine, device=str(self.device))

    def add(self, value: Tensor) -> Tensor:
        """Replace a tensor, which lies on the device, by its sum over processes, and return it."""
        if self.count > 1:
            dist.all_reduce(value)
        return value

    def totals(self, counts: list[int]) -> list[int]:
        """Return the sum over processes of each of some numbers; does not wait for the device."""
        if self.count == 1:
            return counts
        summed = torch.tensor(counts, dtype=torch.int64)
        dist.all_reduce(summed)
        return cast(list[int], summed.tolist())

    def least(self, value: int) -> int:
        """Return the least of the processes' numbers."""
        if self.count == 1:
            return value
        tensor = torch.tensor(value)
        dist.all_reduce(tensor, dist.ReduceOp.MIN)
        return int(tensor)

    def decided(self, value: float) -> float:
        """Return the first process's number, exactly."""
        if self.count == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64)
        dist.broadcast(tensor, 0)
        return float(tensor)

    def gathered(self, value: Tensor) -> list[Tensor]:
        """Return the tensors of all processes, which have the same shape and type, in the first; in others nothing."""
        if self.count == 1:
            return [value]
        # As bytes, since not every backend sends every type.
        flat = value.contiguous().view(-1).view(torch.uint8)
        parts = [torch.empty_like(flat) for _ in range(self.count)] if self.first else None
        dist.gather(flat, parts, 0)
        return [part.view(value.dtype).view(value.shape) for part in parts or ()]

    def collected(self, value: Any) -> list[Any]:
        """Return the JSON values of all processes in the first; in others nothing."""
        if self.count == 1:
            return [value]
        text = json.dumps(value).encode()
        sizes = [0] * self.count
        sizes[self.rank] = len(text)
        sizes = self.totals(sizes)
        padded = torch.frombuffer(bytearray(text.ljust(max(sizes))), dtype=torch.uint8)
        return [json.loads(part.numpy().tobytes()) for part in self.gathered(padded)]


ALONE = Group()


@contextmanager
def together(context: BuildContext, work: StageFunction, arguments: dict[str, Any]) -> Iterator[Group]:
    """Within this context the processes of a machine run the same function, each in a group of its own.

    Args:
        context: Where the stage is built; its machine says how many processes there are.
        work: The stage's function, which calls this.
        arguments: Its arguments.

    Yields:
        The group; `ALONE` where the machine has one process.

    Raises:
        InputError: There are fewer GPUs than processes.
        StageError: Another process failed.
    """
    if _called is not None:
        yield _called
    elif context.machine.processes <= 1:
        yield ALONE
    else:
        with _assembled(context.machine).training(context, work, arguments) as group:
            yield group


def follow_launched() -> bool:
    """In a process that `torchrun` started, and that is not the first, take part in trainings until the first ends.

    Returns:
        Whether this was such a process.
    """
    if launched() == 1 or os.environ["RANK"] == "0":
        return False
    _follow(_rendezvous(False), int(os.environ["RANK"]), launched(), int(os.environ["LOCAL_RANK"]))
    return True


def dismiss_launched() -> None:
    """In the first process that `torchrun` started, tell the others that no training follows, if any did."""
    if launched() > 1 and os.environ["RANK"] == "0":
        (_team or _Team(launched(), _rendezvous(True), [])).end()


# The first process


@dataclass
class _Team:
    """The other processes, warm between trainings.

    Attributes:
        count: How many there are, the first included.
        store: Where they meet.
        others: Those that this process has started.
        trainings: How many they were called to.
        broken: Whether some may be gone.
    """

    count: int
    store: Store
    others: list[Any]
    trainings: int = 0
    broken: bool = False

    @contextmanager
    def training(self, context: BuildContext, work: StageFunction, arguments: dict[str, Any]) -> Iterator[Group]:
        """Within this context the others run a stage's function too."""
        number, self.trainings = self.trainings, self.trainings + 1
        path = context.machine.store / FOLDER / f"{uuid.uuid4().hex}.training"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.write_bytes(_sendable(work, arguments, context))
            self._await("ready", number)
            self.store.set(f"call{number}", str(path.resolve()))
            self._await(f"read{number}.", number)
            with _joined(self.store, number, 0, self.count, 0, context.machine) as group:
                yield group
        except (InputError, Interrupted):
            raise  # of all processes alike: the others wait for the next training
        except BaseException as error:
            self.broken = True
            # Where another process failed first, this one only sees the end of a connection.
            cause = self._cause(number) if isinstance(error, RuntimeError) and not isinstance(error, StageError) else ""
            self.end()
            if cause:
                raise StageError(f"{cause}. What is finished stays: run again to go on") from error
            raise
        finally:
            path.unlink(missing_ok=True)

    def end(self) -> None:
        """End the processes that this one has started; tell others that no training follows."""
        with suppress(RuntimeError):
            self.store.set(f"call{self.trainings}", "")
        for process in self.others:
            process.join(0.0 if self.broken else 5.0)
            process.kill()

    def alive(self) -> bool:
        """Whether all processes that this one has started are there."""
        return not self.broken and all(process.is_alive() for process in self.others)

    def _await(self, key: str, number: int) -> None:
        """Wait until all others have said something; StageError where one cannot."""
        keys = [f"{key}{rank}" for rank in range(1, self.count)]
        until = time.monotonic() + READY_SECONDS
        while not self.store.check(keys):
            if not all(process.is_alive() for process in self.others) or time.monotonic() > until:
                raise StageError(
                    self._cause(number)
                    or "a process of the training did not start; a script that uses several processes must start under "
                    "`if __name__ == '__main__':`"
                )
            time.sleep(0.01)

    def _cause(self, number: int) -> str:
        for _ in range(20):  # what failed there may be seen here before its message is
            for rank in range(1, self.count):
                if self.store.check([f"failed{number}.{rank}"]):
                    message = self.store.get(f"failed{number}.{rank}").decode()
                    return f"process {rank} of {self.count} failed ({message})"
            time.sleep(0.05)
        return ""


_team: _Team | None = None


def _assembled(machine: Runtime) -> _Team:
    """Return the other processes: those of the training before, those of `torchrun`, or new ones."""
    global _team
    if _team and _team.alive() and _team.count == machine.processes:
        return _team
    if launched() > 1:
        if _team:
            raise StageError("a process of an earlier training failed: start torchrun again, what is finished stays")
        if launched() != machine.processes:
            raise InputError(f"torchrun has started {launched()} processes, not {machine.processes}")
        _team = _Team(launched(), _rendezvous(True), [])
    else:
        if _team:
            _team.end()
        _require_devices(machine)
        store = TCPStore("127.0.0.1", 0, None, True, PATIENCE, wait_for_workers=False)
        context = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads and their locks
        others = [
            context.Process(target=_start, args=(store.port, rank, machine.processes), daemon=True)
            for rank in range(1, machine.processes)
        ]
        for process in others:
            process.start()
        _team = _Team(machine.processes, store, others)
    atexit.register(_team.end)
    return _team


def _require_devices(machine: Runtime) -> None:
    device = machine.torch_device()
    if device.type == "cpu":
        return
    if device.type != "cuda" or device.index:
        raise InputError(f"several processes work on all GPUs or on a CPU, not on {machine.device}: give --device cuda")
    if torch.cuda.device_count() < machine.processes:
        raise InputError(
            f"{machine.processes} processes need as many GPUs, and this computer has {torch.cuda.device_count()}"
        )


def _sendable(work: StageFunction, arguments: dict[str, Any], context: BuildContext) -> bytes:
    try:
        return pickle.dumps((work, arguments, context.machine, context.folder.resolve()))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"{context.folder.stem} cannot be trained by several processes ({error}): define its functions at the top "
            "level of a module or a script, or give one process"
        ) from error


# The others


_called: Group | None = None  # in a process that the first has called, while it trains


def _start(port: int, rank: int, count: int) -> None:
    """Follow the process that has started this one, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first hears Ctrl-C too, and tells the others when to stop
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _follow(TCPStore("127.0.0.1", port, None, False, PATIENCE), rank, count, rank)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _follow(store: Store, rank: int, count: int, place: int) -> None:
    """Take part in one training after another, until the first process ends."""
    global _called
    progress.listen(lambda event: None)
    store.set(f"ready{rank}", "")
    for number in counting():
        if not (path := _next(store, f"call{number}")):
            return
        try:
            work, arguments, machine, folder = pickle.loads(Path(path).read_bytes())
            store.set(f"read{number}.{rank}", "")
            with (
                tempfile.TemporaryDirectory(prefix="xstilts-") as own,
                _joined(store, number, rank, count, place, machine, folder) as _called,
            ):
                work.function(BuildContext(Path(own), machine), **arguments)
        except (InputError, Interrupted) as error:
            store.set(f"failed{number}.{rank}", str(error))  # the first process nearly always raises it too
        except BaseException as error:
            store.set(f"failed{number}.{rank}", f"{type(error).__name__}: {error}")
            # At once: the first process waits for this one, and sees by the closed connection that it is gone.
            os._exit(1)
        finally:
            _called = None


def _next(store: Store, key: str) -> str:
    """Wait for a call; "" where there will be none."""
    while True:
        try:
            store.wait([key], timedelta(hours=1))
            return str(store.get(key).decode())
        except dist.DistStoreError:
            continue  # no training for an hour
        except dist.DistNetworkError:
            return ""  # the first process is gone


# All


def _rendezvous(first: bool) -> Store:
    """Return the store of the processes that `torchrun` has started, apart from torchrun's own."""
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    # The agent of torchrun keeps a store at this port, which outlives workers that are started again.
    agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    store = TCPStore(address, port, None, first and not agent, PATIENCE, wait_for_workers=False)
    return PrefixStore(f"xstilts{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


@contextmanager
def _joined(
    store: Store, number: int, rank: int, count: int, place: int, machine: Runtime, folder: Path | None = None
) -> Iterator[Group]:
    """Join the processes of a training: small numbers travel over the CPU, tensors between GPUs."""
    device = machine.torch_device()
    if device.type == "cuda":
        place = int(os.environ.get("LOCAL_RANK", place)) if launched() > 1 else place
        device = torch.device("cuda", place)
        torch.cuda.set_device(device)
    elif not machine.threads and launched() == 1:
        torch.set_num_threads(max(1, usable_cores() // count))
    if launched() == 1 and os.path.exists("/sys/class/net/lo"):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # on one computer: its name need not have an address
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    meeting = PrefixStore(f"training{number}", store)
    dist.init_process_group(backend, store=meeting, rank=rank, world_size=count, timeout=PATIENCE)
    try:
        yield Group(rank, count, device, folder)
    finally:
        dist.destroy_process_group()
