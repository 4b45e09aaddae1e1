"""The scheduler's own cost: a study of stages that do next to nothing, built in one process, by workers, and by Ray.

A stage writes one short file, and half of them need another one. What is left is what every stage costs: its lock, its
record and digests on the disk, the message to a worker and back. `one_process` is this alone, without messages. Seconds
are counted from the first stage's end to the last one's, when all workers are warm. Of a side's wall clock the
submitting process computes a share (`busy`): where that is close to 100 % it is what bounds the rate, else it is the
disk or the workers. `scheduler` is that process's processor time for each stage.

    python benchmarks/short_stages.py --sides local --workers 1,2,4,8
    python benchmarks/short_stages.py --sides ray
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from xstilts.runtime import progress
from xstilts.runtime.cluster import Cluster
from xstilts.runtime.machine import Runtime
from xstilts.runtime.progress import Event
from xstilts.store.local_executor import build_all
from xstilts.store.stage import BuildContext, Stage, stage

if TYPE_CHECKING:
    import sides


@stage(name="next_to_nothing", version=1, label=lambda number, of=(): f"nothing-{number}")
def nothing(site: BuildContext, number: int, of: tuple[Stage, ...] = ()) -> None:
    """Write a number."""
    (site.folder / "number").write_text(str(number))


def main() -> None:
    """Tell stages an hour, seconds until the first ends, and the cost of each stage."""
    import sides  # not in the workers, which import this file: it imports torch

    asked = options()
    workers = [int(count) for count in asked.workers.split(",")]
    found: sides.Figures = {"short_stages": asked.stages, "cores": os.cpu_count() or 1}
    if asked.sides == "local":
        found |= measured("one_process", Runtime(workers=1, threads=1, device="cpu"), asked)
    for count in workers:
        if asked.sides == "local" and count > 1:
            machine = Runtime(workers=count, threads=1, device="cpu")
            found |= measured(f"local_{count}", machine, asked)
        elif asked.sides == "ray":
            import ray

            found |= measured(
                f"ray_{count}", Runtime(workers=count, threads=1, device="cpu", cluster=Cluster("ray")), asked
            )
            ray.shutdown()
    sides.tell(found, asked.json)


def options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", choices=["local", "ray"], default="local")
    parser.add_argument("--workers", default="1,2,4,8")
    parser.add_argument("--stages", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="in miniature, to see that it runs")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    if "--quick" in sys.argv:
        parser.set_defaults(stages=8, rounds=1)
    return parser.parse_args()


def measured(side: str, machine: Runtime, asked: argparse.Namespace) -> sides.Figures:
    """Return the figures of a side."""
    import short_stages  # this file by its name, under which workers can import it

    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))
    rates, first, costs, busy = [], [], [], []
    for _ in range(asked.rounds):
        half = [short_stages.nothing(number) for number in range(asked.stages // 2)]
        stages = [*half, *(short_stages.nothing(number, (half[number],)) for number in range(len(half)))]
        ends: list[tuple[float, float, int]] = []

        def listen(event: Event, ends: list[tuple[float, float, int]] = ends) -> None:
            if event.label == "stages":
                ends.append((time.perf_counter(), time.process_time(), event.done))

        progress.listen(listen)
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            build_all(stages, replace(machine, store=Path(folder) / "store"))
        progress.listen(lambda event: None)
        wall, spent, count = (last - start for last, start in zip(ends[-1], ends[0], strict=True))
        first.append(ends[0][0] - began)
        rates.append(3600 * count / wall)
        costs.append(1000 * spent / count)
        busy.append(100 * spent / wall)
    figures = {"stages_an_hour": rates, "first_seconds": first, "scheduler_ms": costs, "busy_percent": busy}
    return {f"{side}_{name}": values for name, values in figures.items()}


if __name__ == "__main__":
    main()
