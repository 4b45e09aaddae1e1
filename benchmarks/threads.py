"""Train with several threads beside other work, and in one process or several: what waiting and sharing cores cost.

Threads that wait for each other may spin or sleep. Where another process takes a core, spinning threads keep it from
the one they wait for. A process of its own takes steps on all cores with the waiting that OpenMP has by default, and
with the waiting that `xstilts` sets (`machine.WAITING`), alone and beside a process that is busy. Then as many
trainings as there are cores are taken one after another by one process with all threads, and side by side by a process
a core. Sides take turns, and the clock on the wall counts, as this is about waiting: run it on an idle machine.

    python benchmarks/threads.py --rounds 5
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial

import sides
from learning import SHAPES, learner, steps_of

from xstilts.runtime.machine import WAITING, Runtime, usable_cores

BUSY = [sys.executable, "-c", "while True: pass"]


def main() -> None:
    """Tell seconds a step and the ratios of each two sides."""
    asked = options()
    if asked.threads:
        train(asked)
        return
    cores = usable_cores()
    each = {
        "spinning": partial(seconds, asked, {}, 1, cores, asked.steps),
        "sleeping": partial(seconds, asked, WAITING, 1, cores, asked.steps),
        "spinning_beside": partial(seconds, asked, {}, 1, cores, asked.steps, busy=1),
        "sleeping_beside": partial(seconds, asked, WAITING, 1, cores, asked.steps, busy=1),
        "one_process": partial(seconds, asked, WAITING, 1, cores, cores * asked.steps),
        "process_a_core": partial(seconds, asked, WAITING, cores, 1, asked.steps),
    }
    taken = sides.in_turn({name: lambda number, side=side: side() for name, side in each.items()}, asked.rounds)
    found: sides.Figures = {}
    for name in each:
        steps = asked.steps * (cores if name in ("one_process", "process_a_core") else 1)
        found[f"{name}_seconds_a_step"] = [one / steps for one in taken[name]]
    found["sleeping_times_as_fast"] = sides.ratios(taken["spinning"], taken["sleeping"])
    found["sleeping_beside_times_as_fast"] = sides.ratios(taken["spinning_beside"], taken["sleeping_beside"])
    found["process_a_core_times_as_fast"] = sides.ratios(taken["one_process"], taken["process_a_core"])
    found["cores"] = cores
    sides.tell(found, asked.json)


def options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser, quick = sides.options(__doc__.splitlines()[0], rounds=1, batch=4, steps=1)
    parser.set_defaults(shape="small", pieces=9_000)
    parser.add_argument("--lengths", choices=list(SHAPES), default="udpos", help="like those of which data set")
    parser.add_argument("--batch", type=int, default=32, help="examples a step")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="train in this process when standard input says so")
    return sides.asked(parser, quick)


def seconds(
    asked: argparse.Namespace, environment: Mapping[str, str], processes: int, threads: int, steps: int, busy: int = 0
) -> float:
    """Return the seconds until processes, started beforehand, have each taken so many steps."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_", "MKL_"))}
    # The last of two options counts.
    command = [sys.executable, __file__, *sys.argv[1:], "--steps", str(steps), "--threads", str(threads)]
    started = [
        subprocess.Popen(command, env=own | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    others: list[subprocess.Popen[bytes]] = []
    try:
        for one in started:
            assert one.stdout is not None
            if one.stdout.readline() != "ready\n":
                raise SystemExit(f"a process that trains ended with {one.wait()}")
        others += [subprocess.Popen(BUSY) for _ in range(busy)]
        began = time.perf_counter()
        for one in started:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.close()
        for one in started:
            assert one.stdout is not None
            one.stdout.readline()
        return time.perf_counter() - began
    finally:
        for one in (*started, *others):
            one.kill()
            one.wait()


def train(asked: argparse.Namespace) -> None:
    """Take a step, say "ready", wait for a line, take the steps, and say "done"."""
    total = 1 + asked.steps
    with learner(asked, Runtime(device="cpu", threads=asked.threads)) as stepper:
        for prepared in steps_of(stepper, total):
            stepper.take(prepared, total)
            if prepared.number == 0:
                print("ready", flush=True)
                sys.stdin.readline()
    print("done", flush=True)


if __name__ == "__main__":
    main()
