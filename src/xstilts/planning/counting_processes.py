"""Counting processes: what a plan counts of many networks, counted in several processes.

FLOPs and memory are counted by running small twins of networks, which is nothing but Python. The figures are kept
(`flops_estimate.KNOWN`, `memory_fit.KNOWN`); processes that are forked from this one work out a share each and send
theirs back, so that the plan itself finds them all. Where processes cannot be forked safely, or one of them fails, the
plan counts by itself: the figures are the same.

>>> count_ahead(str, [[1, 2], [3]], 1)
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar, cast

import torch

from xstilts.planning import flops_estimate, memory_fit
from xstilts.runtime import progress

FEWEST = 2  # groups that are worth a process
LABEL = "counting"

T = TypeVar("T")


def count_ahead(count: Callable[[T], object], groups: Sequence[Sequence[T]], processes: int) -> None:
    """Call a function for each item, in several processes, and keep what was counted on the way.

    Args:
        count: Counts the networks of an item; what it returns is not used.
        groups: The items; those of a group share counts, and are counted by one process. A process takes the next
            group when it is done with one.
        processes: How many processes.
    """
    processes = min(processes, len(groups) // FEWEST)
    if processes < 2 or sys.platform != "linux" or torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return
    context = multiprocessing.get_context("fork")
    taken = context.Value("i", 0)
    readers: list[Connection] = []
    workers = []
    for _ in range(processes):
        reader, writer = context.Pipe(duplex=False)
        worker = context.Process(target=_count, args=(count, groups, taken, writer), daemon=True)
        worker.start()
        workers.append(worker)
        writer.close()
        readers.append(reader)
    done = 0
    while readers:
        for reader in cast("list[Connection]", wait(readers)):
            try:
                counted = reader.recv()
            except EOFError:
                readers.remove(reader)
                continue
            if counted:
                for known, new in zip(_known(), counted, strict=True):
                    known.update(new)
            else:
                done += 1
                progress.step(LABEL, done, sum(map(len, groups)))
    for worker in workers:
        worker.join()


def _known() -> tuple[dict[Any, Any], ...]:
    return flops_estimate.KNOWN, memory_fit.KNOWN


def _count(count: Callable[[T], object], groups: Sequence[Sequence[T]], taken: Any, writer: Connection) -> None:
    """Count one group after the other; send an empty message after each item, and at the end what was counted."""
    progress.listen(lambda event: None)
    torch.set_num_threads(1)  # threads of the process that was forked are not there
    before = [set(known) for known in _known()]
    while True:
        with taken.get_lock():
            number, taken.value = taken.value, taken.value + 1
        if number >= len(groups):
            break
        for item in groups[number]:
            count(item)
            writer.send(())
    writer.send(
        [
            {identity: value for identity, value in known.items() if identity not in earlier}
            for known, earlier in zip(_known(), before, strict=True)
        ]
    )
    writer.close()
