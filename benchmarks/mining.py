"""Mine translations among random vectors: how long it takes and how much memory, against the whole table at once.

Both sides are mined from the same vectors in turn, the blocked search of `xstilts.metrics.mine` first. The whole table
of similarities is what a plain program would hold; it is only tried where it fits (`--table-rows`).

    python benchmarks/mining.py --rows 150000 --width 256
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import sides

from xstilts.metrics import mine, normalise


def main() -> None:
    """Tell seconds and peak memory of both ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=150_000, help="sentences a side")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--table-rows", type=int, default=8_000, help="sentences a side for the comparison")
    parser.add_argument("--quick", action="store_true", help="in miniature, to see that it runs")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    if "--quick" in sys.argv:
        parser.set_defaults(rows=300, width=16, table_rows=100)
    asked = parser.parse_args()
    small = vectors(asked.table_rows, asked.width)
    seconds = sides.in_turn({"table": lambda n: tabled(*small), "blocks": lambda n: blocked(*small)}, 3)
    found: sides.Figures = {"table_rows": asked.table_rows, "rows": asked.rows, "width": asked.width}
    found["times_as_fast_as_table"] = sides.ratios(seconds["table"], seconds["blocks"])
    found["before_mib"] = sides.peak("cpu")
    large = vectors(asked.rows, asked.width)
    found["seconds"] = blocked(*large)
    found["peak_mib"], found["table_mib"] = sides.peak("cpu"), 4 * asked.rows**2 / 2**20
    found["vectors_mib"] = 2 * large[0].nbytes / 2**20
    sides.tell(found, asked.json)


def vectors(rows: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two sides of random vectors, each row of the second near a row of the first."""
    random = np.random.default_rng(0)
    first = random.standard_normal((rows, width), dtype=np.float32)
    second = first[random.permutation(rows)]
    second += random.standard_normal((rows, width), dtype=np.float32)
    return first, second


def blocked(first: np.ndarray, second: np.ndarray) -> float:
    """Return the seconds that mining takes."""
    names = [[f"{side}{n}" for n in range(len(first))] for side in "ab"]
    started = time.perf_counter()
    mine(names[0], first, names[1], second)
    return time.perf_counter() - started


def tabled(first: np.ndarray, second: np.ndarray) -> float:
    """Return the seconds that the neighbours alone take from the whole table."""
    started = time.perf_counter()
    table = normalise(first) @ normalise(second).T
    for one in (table, table.T):
        best = np.argpartition(-one, 4, axis=1)[:, :4]
        np.take_along_axis(one, best, axis=1).mean(axis=1)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
