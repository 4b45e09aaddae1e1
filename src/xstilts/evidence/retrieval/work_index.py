"""Index of works on disk: their records and a BM25 index over title and abstract, memory-mapped.

An index is built once for a list of records and kept under their digest. It is built in blocks: after a kill, finished
blocks are taken as they are. The folder gets its name when it is complete, and an index of which a file has changed is
built again. The order of the records changes nothing: rows are in the order of the records' keys.

    records.jsonl    one record a line
    offsets.npy      where each line begins, and the end of the file
    vocabulary.txt   stems, sorted, one a line
    starts.npy       first posting of each stem, and the number of postings
    postings.npy     rows of the works that hold the stem
    weights.npy      BM25 weight of the stem in each of them
    index.json       number of works, and digest of every file

Source of the weights: Robertson & Zaragoza 2009, with Lucene's inverse document frequency, which is never negative.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from xstilts.evidence.retrieval.query_words import content_stems
from xstilts.runtime import file_system, progress, whole_files
from xstilts.store import manifest

Record = Mapping[str, str]
K1, B = 1.2, 0.75
BLOCK = 8192  # works of a block
VERSION = 1  # of the files and of how words are stemmed: an index of another version is another index
FILES = ("records.jsonl", "offsets.npy", "vocabulary.txt", "starts.npy", "postings.npy", "weights.npy")
RECORD = "index.json"


@dataclass(frozen=True)
class WorkIndex:
    """An index that is open.

    Attributes:
        records: Lines of the records, as bytes.
        offsets: First byte of each record, and the end; (works + 1).
        rows_by_stem: Number of each stem, by stem.
        starts: First posting of each stem, and the end; (stems + 1).
        postings: Row of the work of each posting.
        weights: BM25 weight of each posting.
    """

    records: Any
    offsets: NDArray[np.int64]
    rows_by_stem: Mapping[str, int]
    starts: NDArray[np.int64]
    postings: NDArray[np.int32]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def record(self, row: int) -> dict[str, str]:
        """Return the record of a row."""
        line = bytes(self.records[self.offsets[row] : self.offsets[row + 1]])
        record: dict[str, str] = json.loads(line)
        return record

    def rows_with(self, stem: str) -> NDArray[np.int32]:
        """Return the rows of the works that hold a stem, ascending."""
        number = self.rows_by_stem.get(stem)
        return self.postings[:0] if number is None else self.postings[self.starts[number] : self.starts[number + 1]]

    def rarity(self, stem: str) -> float:
        """Return the inverse document frequency of a stem; that of a stem that no work holds is the highest."""
        return inverse_frequency(len(self.rows_with(stem)), len(self))

    def scores(self, query: Mapping[str, float]) -> NDArray[np.float32]:
        """Return the BM25 score of every work.

        Args:
            query: Weight of each stem; 1 for a word that occurs once in a query.

        Returns:
            Scores, 0 for works without any of the stems; (works).
        """
        scores = np.zeros(len(self), dtype=np.float32)
        for stem in sorted(query):
            number = self.rows_by_stem.get(stem)
            if number is not None:
                span = slice(self.starts[number], self.starts[number + 1])
                scores[self.postings[span]] += np.float32(query[stem]) * self.weights[span]
        return scores


def inverse_frequency(holding: int, works: int) -> float:
    """Return log(1 + (N - n + 0.5) / (n + 0.5)), where n of N works hold a stem."""
    return float(np.log1p((works - holding + 0.5) / (holding + 0.5)))


def best_rows(scores: NDArray[np.float32], limit: int) -> list[int]:
    """Return the rows with the highest scores above 0, best first; of equal scores the lower row first."""
    positive = np.flatnonzero(scores > 0)
    if len(positive) > 4 * limit:  # all that may be among the best, ties included
        least = np.partition(scores[positive], -limit)[-limit]
        positive = positive[scores[positive] >= least]
    return [int(row) for row in positive[np.argsort(-scores[positive], kind="stable")][:limit]]


def text_of(record: Record) -> str:
    """Return the text by which a work is found: title and abstract."""
    return f"{record.get('title', '')}. {record.get('abstract', '')}"


def build_in_memory(records: Iterable[Record]) -> WorkIndex:
    """Index records without any file.

    Args:
        records: Records with "key", "title" and "abstract"; of those with the same key the last counts.

    Returns:
        The index.
    """
    ordered = _ordered(records)
    blocks = [_block(ordered[start : start + BLOCK], start) for start in range(0, len(ordered), BLOCK)]
    return _opened(_merged(blocks))


def open_or_build(folder: Path, digest: str, records: Iterable[Record]) -> WorkIndex:
    """Return the index of a dump, built if it is not there yet.

    Args:
        folder: Folder of indexes.
        digest: Digest of what the records were read from.
        records: Records with "key", "title" and "abstract"; read only if the index has to be built or repaired.

    Returns:
        The index, memory-mapped.
    """
    path = folder / f"{digest[:24]}-{VERSION}"
    if is_whole(path):
        return open_index(path)
    folder.mkdir(parents=True, exist_ok=True)
    with file_system.lock(folder / f"{path.name}.lock"):
        if not is_whole(path):  # another process may have built it in the meantime
            shutil.rmtree(path, ignore_errors=True)
            _build(path, records)
    return open_index(path)


def open_index(path: Path) -> WorkIndex:
    """Open an index that `open_or_build` wrote, memory-mapped.

    Args:
        path: Its folder.

    Returns:
        The index.
    """
    arrays: dict[str, Any] = {
        Path(name).stem: np.load(path / name, mmap_mode="r") for name in FILES if name.endswith(".npy")
    }
    records = path / "records.jsonl"
    mapped = np.memmap(records, dtype=np.uint8, mode="r") if records.stat().st_size else np.zeros(0, np.uint8)
    return _opened({"records": mapped, "vocabulary": (path / "vocabulary.txt").read_text(encoding="utf-8"), **arrays})


def is_whole(path: Path) -> bool:
    """Return whether a folder holds an index whose files all have their digests."""
    try:
        files = json.loads((path / RECORD).read_bytes())["files"]
        return set(files) == set(FILES) and all(manifest.sha256(path / name) == files[name] for name in FILES)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def _opened(parts: Mapping[str, Any]) -> WorkIndex:
    stems = str(parts["vocabulary"]).split("\n") if parts["vocabulary"] else []
    names = ("records", "offsets", "starts", "postings", "weights")
    return WorkIndex(
        rows_by_stem={stem: row for row, stem in enumerate(stems)}, **{name: parts[name] for name in names}
    )


def _ordered(records: Iterable[Record]) -> list[Record]:
    unique = {
        record["key"]: record for record in sorted(records, key=lambda record: json.dumps(record, sort_keys=True))
    }
    return [unique[key] for key in sorted(unique)]


def _build(path: Path, records: Iterable[Record]) -> None:
    """Write an index: blocks to a folder beside it, then the index to another, which gets its name at the end."""
    ordered, part = _ordered(records), path.with_name(f"{path.name}.part")
    part.mkdir(exist_ok=True)
    blocks, starts = [], range(0, len(ordered), BLOCK)
    for number, start in enumerate(starts, 1):
        blocks.append(_kept_block(part / f"block-{start:09d}.npz", ordered[start : start + BLOCK], start))
        progress.step("index", number, len(starts), f"{min(start + BLOCK, len(ordered)):,} works")
    complete = path.with_name(f"{path.name}.new")
    shutil.rmtree(complete, ignore_errors=True)
    complete.mkdir()
    for name, value in _merged(blocks).items():
        if name == "records":
            (complete / "records.jsonl").write_bytes(value.tobytes())
        elif name == "vocabulary":
            (complete / "vocabulary.txt").write_text(value, encoding="utf-8")
        else:
            np.save(complete / f"{name}.npy", value)
    digests = {name: manifest.sha256(complete / name) for name in FILES}
    (complete / RECORD).write_text(json.dumps({"works": len(ordered), "files": digests}, indent=1), encoding="utf-8")
    for name in (*FILES, RECORD):
        whole_files.sync(complete / name)
    complete.rename(path)
    shutil.rmtree(part, ignore_errors=True)


def _kept_block(path: Path, records: Sequence[Record], start: int) -> dict[str, Any]:
    """Return a block: the one that an earlier attempt wrote, or a new one, which is then kept."""
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            block = {name: file[name] for name in file.files}
            if bytes(block["digest"]) == _digest(records):
                return block
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        pass  # not written yet, or cut short
    block = _block(records, start)
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        np.savez(file, **block)
    new.replace(path)
    return block


def _block(records: Sequence[Record], start: int) -> dict[str, Any]:
    """Return the records of a block as lines, and how often each stem occurs in each of them."""
    numbers: dict[str, int] = {}
    lines, lengths, counts = [], [], []
    for row, record in enumerate(records, start):
        occurrences: dict[int, int] = {}
        stems = content_stems(text_of(record))
        for stem in stems:
            number = numbers.setdefault(stem, len(numbers))
            occurrences[number] = occurrences.get(number, 0) + 1
        counts += [(number, row, count) for number, count in occurrences.items()]
        lengths.append(len(stems))
        lines.append(_line(record))
    return {
        "digest": np.frombuffer(_digest(records), dtype=np.uint8),
        "records": np.frombuffer(b"".join(lines), dtype=np.uint8),
        "line_lengths": np.array([len(line) for line in lines], dtype=np.int64),
        "stems": np.frombuffer("\n".join(numbers).encode(), dtype=np.uint8),
        "lengths": np.array(lengths, dtype=np.int64),
        "counts": np.array(counts, dtype=np.int32).reshape(-1, 3),
    }


def _merged(blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the parts of an index from its blocks."""
    stems_of = [bytes(block["stems"]).decode().split("\n") if len(block["stems"]) else [] for block in blocks]
    vocabulary = sorted({stem for stems in stems_of for stem in stems})
    number_of = {stem: number for number, stem in enumerate(vocabulary)}
    empty = np.zeros((0, 3), dtype=np.int32)
    counts = [
        empty,
        *(_renumbered(block["counts"], stems, number_of) for block, stems in zip(blocks, stems_of, strict=True)),
    ]
    stems, rows, times = np.concatenate(counts).T
    order = np.lexsort((rows, stems))
    stems, rows, times = stems[order], rows[order], times[order].astype(np.float64)
    lengths = _joined(blocks, "lengths", np.int64)
    holding = np.bincount(stems, minlength=len(vocabulary))
    rarity = np.log1p((len(lengths) - holding + 0.5) / (holding + 0.5))
    relative = lengths / max(float(lengths.mean()), 1.0) if len(lengths) else lengths.astype(np.float64)
    weights = rarity[stems] * times * (K1 + 1) / (times + K1 * (1 - B + B * relative[rows]))
    return {
        "records": _joined(blocks, "records", np.uint8),
        "offsets": np.concatenate([[0], np.cumsum(_joined(blocks, "line_lengths", np.int64))]).astype(np.int64),
        "vocabulary": "\n".join(vocabulary),
        "starts": np.concatenate([[0], np.cumsum(holding)]).astype(np.int64),
        "postings": rows.astype(np.int32),
        "weights": weights.astype(np.float32),
    }


def _renumbered(counts: NDArray[np.int32], stems: Sequence[str], number_of: Mapping[str, int]) -> NDArray[np.int32]:
    """Return the counts of a block with the numbers of its stems in the whole vocabulary."""
    counts = counts.copy()
    counts[:, 0] = np.array([number_of[stem] for stem in stems], dtype=np.int32)[counts[:, 0]]
    return counts


def _joined(blocks: Sequence[Mapping[str, Any]], name: str, dtype: Any) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype=dtype), *(block[name] for block in blocks)])


def _line(record: Record) -> bytes:
    return json.dumps(record, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass") + b"\n"


def _digest(records: Sequence[Record]) -> bytes:
    total = hashlib.sha256()
    for record in records:
        total.update(_line(record))
    return total.digest()
