"""Vectors of texts on disk, kept for good: each text is embedded once by an encoder.

The file is a sequence of records of one length: digest of a text, its unit vector in float16. It is only ever appended
to, in whole records, under a lock; a record that a kill cut short is dropped by the next writer. A vector that has lost
its length was damaged on disk and is embedded again.

    store = VectorStore(Path("vectors"), 384, embed)
    store.vectors(["query: does it help"])   # (1, 384), float32
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xstilts.runtime import file_system, progress

Vectors = NDArray[np.float32]
DIGEST_BYTES = 16
BLOCK = 512  # texts that are embedded and then written together
TOLERANCE = 0.02  # by which the length of a stored vector may differ from 1; float16 alone gives 0.001


class VectorStore:
    """Vectors of one encoder, in one file."""

    def __init__(self, file: Path, width: int, embed: Callable[[Sequence[str]], Vectors]) -> None:
        """Open a store; nothing is read or written yet.

        Args:
            file: The file; made with the first vector.
            width: Width of a vector.
            embed: Returns the unit vectors of texts, (texts, width).
        """
        self.file, self.embed = file, embed
        self.record = np.dtype([("digest", f"V{DIGEST_BYTES}"), ("vector", np.float16, (width,))])
        self._rows: dict[bytes, int] = {}
        self._known = 0  # records of the file whose digests are in `_rows`

    def vectors(self, texts: Sequence[str], label: str = "") -> Vectors:
        """Return the vectors of texts, embedding those that are new.

        Args:
            texts: Texts; equal ones are embedded once.
            label: Name of the work for progress; "" for none.

        Returns:
            Unit vectors, (texts, width).
        """
        digests = [text_digest(text) for text in texts]
        self._read_digests()
        rows = np.array([self._rows.get(digest, -1) for digest in digests], dtype=np.int64)
        held = self._stored(rows)
        new = {digest: text for digest, text, stored in zip(digests, texts, held, strict=True) if not stored}
        if new:
            # Texts of similar length side by side need little padding; blocks bound what a kill can lose.
            waiting = sorted(new.items(), key=lambda item: (len(item[1]), item[0]))
            for start in range(0, len(waiting), BLOCK):
                block = waiting[start : start + BLOCK]
                self._append([digest for digest, _ in block], self.embed([text for _, text in block]))
                if label:
                    progress.step(label, min(start + BLOCK, len(waiting)), len(waiting), "texts")
            self._read_digests()
            rows = np.array([self._rows[digest] for digest in digests], dtype=np.int64)
        return self._gathered(rows)

    def _stored(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which rows hold a vector of length 1."""
        usable = rows >= 0
        if usable.any():
            lengths = np.linalg.norm(self._gathered(rows[usable]), axis=1)
            usable[usable] = np.abs(lengths - 1) < TOLERANCE
        return usable

    def _gathered(self, rows: NDArray[np.int64]) -> Vectors:
        width = self.record["vector"].shape[0]
        if not len(rows):
            return np.zeros((0, width), dtype=np.float32)
        mapped = self._mapped()
        vectors = np.empty((len(rows), width), dtype=np.float32)
        for start in range(0, len(rows), 8192):  # never all in both precisions
            vectors[start : start + 8192] = mapped["vector"][rows[start : start + 8192]]
        return vectors

    def _mapped(self) -> Any:
        count = self.file.stat().st_size // self.record.itemsize if self.file.exists() else 0
        return np.memmap(self.file, dtype=self.record, mode="r", shape=(count,)) if count else np.zeros(0, self.record)

    def _read_digests(self) -> None:
        """Learn the digests that this or another process has appended; of equal ones the last counts."""
        mapped = self._mapped()
        digests = np.ascontiguousarray(mapped["digest"][self._known :]).tobytes()
        for place in range(len(mapped) - self._known):
            self._rows[digests[place * DIGEST_BYTES : (place + 1) * DIGEST_BYTES]] = self._known + place
        self._known = len(mapped)

    def _append(self, digests: Sequence[bytes], vectors: Vectors) -> None:
        records = np.zeros(len(digests), dtype=self.record)
        records["digest"] = np.frombuffer(b"".join(digests), dtype=f"V{DIGEST_BYTES}")
        records["vector"] = vectors
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with file_system.lock(self.file.with_suffix(".lock")), self.file.open("ab") as file:
            torn = file.tell() % self.record.itemsize
            if torn:  # a kill cut the last record short
                file.truncate(file.tell() - torn)
                file.seek(0, os.SEEK_END)
            file.write(records.tobytes())


def text_digest(text: str) -> bytes:
    """Return the digest by which a text is known."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:DIGEST_BYTES]
