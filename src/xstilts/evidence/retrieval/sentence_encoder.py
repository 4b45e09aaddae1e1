"""Sentence encoders: any encoder of transformers, pooled as it was published, with the prefixes it was trained with.

Vectors are kept on disk by a digest of the encoder and its settings, so that each text is embedded once.

    encoder = SentenceEncoder.of("intfloat/multilingual-e5-small", Path("cache"))
    similarities = encoder.passages(["Larger batches help."]) @ encoder.query("does batch size matter")
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xstilts.evidence.retrieval.vector_store import VectorStore

if TYPE_CHECKING:
    from xstilts.models.encoder import Encoder

MAX_TOKENS = 128  # of a text: an abstract is cut there, its sentences are embedded one by one
TOKENS_PER_PASS = 4096
PROMPTS_FILE = "config_sentence_transformers.json"  # newer sentence encoders say there what they were trained with
# Prefixes of encoders that say them only in their description, by a part of the name: (of queries, of passages).
PREFIXES = {
    r"e5.*instruct": ("Instruct: Given a question, retrieve sentences that answer it\nQuery: ", ""),
    r"(?:^|[-_/])e5(?:[-_]|$)": ("query: ", "passage: "),
    r"nomic-embed": ("search_query: ", "search_document: "),
    r"bge-.*en": ("Represent this sentence for searching relevant passages: ", ""),
}


@dataclass(frozen=True)
class SentenceEncoder:
    """A sentence encoder and its vectors on disk.

    Attributes:
        encoder: Its identity.
        pooling: How token states become one vector, one of `pooling.CHOICES`.
        prefixes: What stands before a query and before a passage.
        cache: Folder of the vectors.
    """

    encoder: Encoder
    pooling: str
    prefixes: tuple[str, str]
    cache: Path

    @classmethod
    def of(cls, name: str | Path, cache: Path, prefixes: tuple[str, str] | None = None) -> SentenceEncoder:
        """Identify an encoder; its weights are loaded when the first new text is embedded.

        Args:
            name: Folder or hub id.
            cache: Folder of the vectors.
            prefixes: What stands before a query and before a passage; by default what the encoder was trained with,
                as far as its files or its name say.

        Raises:
            InputError: There is no such encoder.
        """
        from xstilts.models.configs import default_pooling
        from xstilts.models.encoder import Encoder
        from xstilts.models.pooling import FAMILY, MEAN

        encoder = Encoder.of(name).pinned()
        pooling = default_pooling(encoder)
        chosen = prefixes or published_prefixes(encoder.folder, encoder.name)
        return cls(encoder, MEAN if pooling == FAMILY else pooling, chosen, cache)

    def query(self, text: str) -> NDArray[np.float32]:
        """Return the unit vector of a query, (width,)."""
        vector: NDArray[np.float32] = self.queries([text])[0]
        return vector

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the unit vectors of queries, (queries, width)."""
        return self._store.vectors([self.prefixes[0] + text for text in texts])

    def passages(self, texts: Sequence[str], label: str = "") -> NDArray[np.float32]:
        """Return the unit vectors of passages.

        Args:
            texts: Passages.
            label: Name of the work for progress; "" for none.

        Returns:
            Vectors, (passages, width).
        """
        return self._store.vectors([self.prefixes[1] + text for text in texts], label)

    @cached_property
    def _store(self) -> VectorStore:
        import hashlib

        settings = json.dumps([self.encoder.name, self.encoder.digest, self.pooling, MAX_TOKENS])
        name = hashlib.sha256(settings.encode()).hexdigest()[:24]
        return VectorStore(self.cache / f"{name}.vectors", self._width, self._embed)

    @cached_property
    def _width(self) -> int:
        from xstilts.models.configs import config_of

        return int(config_of(self.encoder).hidden_size)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        import torch

        from xstilts.models.encoder import load_backbone, load_tokenizer

        location, revision = (
            (self.encoder.folder, None) if self.encoder.folder else (self.encoder.name, self.encoder.digest)
        )
        device = "cuda" if torch.cuda.is_available() else "cpu"
        network = load_backbone(location, revision).to(device=device, dtype=torch.bfloat16)
        return network.eval(), load_tokenizer(location, revision)

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the unit vectors of texts, which come sorted by length; (texts, width)."""
        import torch

        network, tokenizer = self._loaded
        device = next(network.parameters()).device
        ids = tokenizer(list(texts), truncation=True, max_length=MAX_TOKENS)["input_ids"]
        vectors = np.zeros((len(texts), self._width), dtype=np.float32)
        with torch.inference_mode():
            for rows in _batches([len(sequence) for sequence in ids]):
                padded = tokenizer.pad({"input_ids": [ids[row] for row in rows]}, return_tensors="pt").to(device)
                states = network(**padded).last_hidden_state.float()
                pooled = _pooled(states, padded["attention_mask"], self.pooling)
                vectors[rows] = torch.nn.functional.normalize(pooled, dim=-1).cpu().numpy()
        return vectors


def published_prefixes(folder: str, name: str) -> tuple[str, str]:
    """Return what an encoder was trained to see before a query and before a passage.

    Args:
        folder: Its folder, "" for a hub id.
        name: Its name.

    Returns:
        Both prefixes, "" for none.

    >>> published_prefixes("", "intfloat/multilingual-e5-small")
    ('query: ', 'passage: ')
    >>> published_prefixes("", "sentence-transformers/LaBSE")
    ('', '')
    """
    try:
        prompts = json.loads((Path(folder) / PROMPTS_FILE).read_text(encoding="utf-8"))["prompts"] if folder else {}
        named = [prompts.get(kind) for kind in ("query", "passage")]
        passage = named[1] if isinstance(named[1], str) else prompts.get("document")
        if isinstance(named[0], str):
            return named[0], passage if isinstance(passage, str) else ""
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        pass  # such a file is optional
    return next((both for part, both in PREFIXES.items() if re.search(part, name.lower())), ("", ""))


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Return rows in batches of similar length, at most `TOKENS_PER_PASS` tokens each with their padding."""
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: (lengths[row], row)):
        if not batches or (len(batches[-1]) + 1) * lengths[row] > TOKENS_PER_PASS:
            batches.append([])
        batches[-1].append(row)
    return batches


def _pooled(states: Any, mask: Any, pooling: str) -> Any:
    """Return the pooled state of each sequence, (sequences, width), of states (sequences, tokens, width)."""
    if pooling == "first":
        return states[:, 0]
    if pooling == "last":
        return states[range(len(states)), mask.sum(1) - 1]
    return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
