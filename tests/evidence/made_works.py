"""Made-up works with random titles and abstracts, and a stand-in for a sentence encoder."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from xstilts.evidence.retrieval.query_words import content_stems

NOUNS = [
    "anchor",
    "basin",
    "copper",
    "delta",
    "ember",
    "fjord",
    "glacier",
    "harbour",
    "island",
    "jungle",
    "kettle",
    "lagoon",
    "meadow",
    "nickel",
    "orchard",
]
RECORD = dict[str, str]


def records(count: int, seed: int = 0) -> list[RECORD]:
    """Return works of random words; some have no abstract."""
    draw = random.Random(seed)
    return [
        {
            "key": f"w{number:04d}",
            "title": " ".join(draw.choices(NOUNS, k=3)).capitalize(),
            "abstract": " ".join(
                f"{' '.join(draw.choices(NOUNS, k=4)).capitalize()}." for _ in range(draw.choice([0, 1, 3]))
            ),
            "year": "2020",
        }
        for number in range(count)
    ]


def bibtex(works: Sequence[RECORD]) -> str:
    """Return works as BibTeX."""
    entries = (
        f'@inproceedings{{{work["key"]},\n title = "{work["title"]}",\n abstract = "{work["abstract"]}",\n'
        f' year = "{work["year"]}",\n url = "https://example.org/{work["key"]}/"\n}}\n'
        for work in works
    )
    return "\n".join(entries)


class BagOfWords:
    """Embeds a text as the sum of random vectors of its stems: texts with the same words are near each other."""

    encoder = SimpleNamespace(name="bag-of-words")

    def query(self, text: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self.passages([text])[0]
        return vector

    def passages(self, texts: Sequence[str], label: str = "") -> NDArray[np.float32]:
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> NDArray[np.float32]:
        total = np.full(32, 1e-3)
        for stem in sorted(content_stems(text)):
            seed = int.from_bytes(hashlib.sha256(stem.encode()).digest()[:4], "big")
            total += np.random.default_rng(seed).normal(size=32)
        return (total / np.linalg.norm(total)).astype(np.float32)
