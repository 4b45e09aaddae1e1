"""Counting processes: what a plan counts of many networks, counted in several processes.

FLOPs and activation memory are counted by running small twins of networks, which is nothing but Python. The counts are
kept by the structure of a network (`cost.flops`, `cost.activation_memory`); processes that are forked from this one
count a share each and send theirs back, so that the plan itself finds them all. Where processes cannot be forked
safely, or one of them fails, the plan counts by itself: the figures are the same.

>>> count_ahead(str, [1, 2, 3], 1)
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import TypeVar, cast

import torch

from xstilts.cost import activation_memory, flops
from xstilts.runtime import progress

FEWEST = 4  # items that are worth a process
LABEL = "counting"

T = TypeVar("T")


def count_ahead(count: Callable[[T], object], items: Sequence[T], processes: int) -> None:
    """Call a function for each item, in several processes, and keep what was counted on the way.

    Args:
        count: Counts the networks of an item; what it returns is not used.
        items: The items; those next to each other are often of one encoder and are shared out in turn.
        processes: How many processes.
    """
    processes = min(processes, len(items) // FEWEST)
    if processes < 2 or sys.platform != "linux" or torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return
    context = multiprocessing.get_context("fork")
    readers: list[Connection] = []
    workers = []
    for number in range(processes):
        reader, writer = context.Pipe(duplex=False)
        worker = context.Process(target=_count, args=(count, items[number::processes], writer), daemon=True)
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
                flops.remember(counted[0])
                activation_memory.remember(counted[1])
            else:
                done += 1
                progress.step(LABEL, done, len(items))
    for worker in workers:
        worker.join()


def _count(count: Callable[[T], object], items: Sequence[T], writer: Connection) -> None:
    """Count the share of one process; send an empty message after each item, and at the end what was counted."""
    progress.listen(lambda event: None)
    torch.set_num_threads(1)  # threads of the process that was forked are not there
    counted, saved = flops.known(), activation_memory.known()
    for item in items:
        count(item)
        writer.send(())
    new = {structure: value for structure, value in flops.known().items() if structure not in counted}
    more = {structure: value for structure, value in activation_memory.known().items() if structure not in saved}
    writer.send((new, more))
    writer.close()
