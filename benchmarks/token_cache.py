"""Cut texts into pieces: what the cache below the store saves the second time, and what it costs the first time.

The three sides take turns in one process, on the same texts: `cut` without a cache, `first` with an empty one, `again`
with what `first` has put there. The last two find out each time which tokenizer it is, as a new process would. What a
training starts with is measured, the list of all texts' pieces, and that all sides give the same is checked.

    python benchmarks/token_cache.py --texts 40000 --tokenizer FOLDER --lines shared/xtreme/xnli/dev-sw.tsv
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import sides

from xstilts.models import token_cache
from xstilts.models.encoder import SANDBOX, load_tokenizer
from xstilts.models.tokenization import FOLDER, Tokenizer
from xstilts.runtime.machine import Runtime

LETTERS = np.array(list("aaabcdeeeefghiiijklmnoooprstuuvwyz"))
MIB = 2**20


def main() -> None:
    """Tell seconds of each side, how many times as fast it is, and what lies on the disk, without and with offsets."""
    asked = options()
    tokens = Tokenizer.of(load_tokenizer(asked.tokenizer))
    texts = lines(asked.lines, asked.texts) if asked.lines else made(asked.texts)
    figures: sides.Figures = {"texts": len(texts), "distinct": len(set(texts)), "letters": sum(map(len, texts))}
    for offsets in (False, True):
        found: dict[str, list[float]] = {"cut": [], "first": [], "again": []}
        sizes = [measured(tokens, texts, offsets, found) for _ in range(asked.rounds)]
        name = "with_offsets" if offsets else "without_offsets"
        figures[f"{name}_stored_mib"] = sizes[0] / MIB
        figures |= {f"{name}_{side}_seconds": seconds for side, seconds in found.items()}
        for side in ("first", "again"):
            figures[f"{name}_{side}_times_as_fast_as_cutting"] = sides.ratios(found["cut"], found[side])
    sides.tell(figures, asked.json)


def options() -> argparse.Namespace:
    """Return the options of the command line; by default the shipped tokenizer and artificial texts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokenizer", type=Path, default=SANDBOX, help="folder of a real one")
    parser.add_argument("--texts", type=int, default=20_000, help="most texts")
    parser.add_argument("--lines", type=Path, nargs="*", help="files of texts, a line each, or several parted by tabs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="in miniature, to see that it runs")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    if "--quick" in sys.argv:
        parser.set_defaults(texts=1500, rounds=1)
    return parser.parse_args()


def made(count: int) -> list[str]:
    """Return texts of made words, about as long as a pair's, words being as frequent as words are."""
    random = np.random.default_rng(0)
    words = ["".join(random.choice(LETTERS, random.integers(1, 11))) for _ in range(20_000)]
    chance = 1 / np.arange(1, len(words) + 1)
    lengths = random.lognormal(2.4, 0.5, count).astype(int).clip(1, 80)
    drawn = iter(random.choice(len(words), p=chance / chance.sum(), size=lengths.sum()).tolist())
    return [" ".join(words[next(drawn)] for _ in range(length)) for length in lengths.tolist()]


def lines(paths: list[Path], most: int) -> list[str]:
    """Return the texts in files of lines."""
    rows = (line for path in paths for line in path.read_text(encoding="utf-8").splitlines())
    return [text for row in rows for text in row.split("\t")][:most]


def measured(tokens: Tokenizer, texts: list[str], offsets: bool, found: dict[str, list[float]]) -> int:
    """Add the seconds of each side in one round; return the bytes that are stored."""
    with tempfile.TemporaryDirectory() as store:
        kept = tokens.cached(Runtime(Path(store)))
        results = []
        for side, one in (("cut", tokens), ("first", kept), ("again", kept)):
            token_cache._identity.cache_clear()
            asked: Callable[[], list[Any]] = partial(one.segments_with_offsets if offsets else one.segments, texts)
            started = time.perf_counter()
            results.append(asked())
            found[side].append(time.perf_counter() - started)
        if not all(equal(results[0], other) for other in results[1:]):
            raise SystemExit("the sides differ: what was stored is not what is cut")
        return sum(path.stat().st_size for path in (Path(store) / FOLDER).glob("*.segments"))


def equal(one: list[Any], other: list[Any]) -> bool:
    """Say whether two lists of arrays, or of pairs of arrays, are the same."""
    return all(
        np.array_equal(np.column_stack(a), np.column_stack(b)) for a, b in zip(rows(one), rows(other), strict=True)
    )


def rows(found: list[Any]) -> list[tuple[Any, ...]]:
    """Return each text's arrays as a tuple."""
    return [one if isinstance(one, tuple) else (one,) for one in found]


if __name__ == "__main__":
    main()
