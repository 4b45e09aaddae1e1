"""BM25 index over the sentences of documents, independent of the order in which these are added.

It is used to find candidates only and never decides a verdict: a BM25 score depends on all other texts, a verdict must
not.

>>> from xstilts.evidence.text.documents import Document
>>> document = Document("doc:made-up", "body", "Larger batches help. Adapters are small. Layers are frozen.")
>>> [hit.sentence.text for hit in SentenceIndex.of([document]).search("does the batch size help", 1)]
['Larger batches help.']
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from xstilts.errors import InputError
from xstilts.evidence.text.documents import Document, Locator, Sentence, sentences
from xstilts.evidence.text.hedges import content_stems


@dataclass(frozen=True)
class Hit:
    """A sentence of a search result.

    Attributes:
        sentence: The sentence.
        locator: Its place.
        score: Its BM25 score, which is comparable within one search only.
    """

    sentence: Sentence
    locator: Locator
    score: float


@dataclass(frozen=True)
class SentenceIndex:
    """Index of sentences in the order of their locators; built by `of`.

    Attributes:
        sentences: The indexed sentences.
        locators: Place of each sentence.
        scores: The `bm25s` index, None without sentences.
    """

    sentences: tuple[Sentence, ...]
    locators: tuple[Locator, ...]
    scores: Any

    @staticmethod
    def of(documents: Iterable[Document]) -> SentenceIndex:
        """Index all whole sentences of documents that have content words; each sentence of a text once."""
        rows = sorted(
            (document.locator(sentence.start, sentence.end), sentence)
            for document in set(documents)
            for sentence in sentences(document)
            if sentence.whole and content_stems(sentence.text)
        )
        return SentenceIndex(
            tuple(sentence for _, sentence in rows), tuple(locator for locator, _ in rows), _scores(rows)
        )

    def search(self, query: str, limit: int = 10) -> tuple[Hit, ...]:
        """Return the best sentences for a query.

        Args:
            query: Words to search for.
            limit: Largest number of results.

        Returns:
            Sentences that share content words with the query, best first; ties by place.

        Raises:
            InputError: `limit` is below 1.
        """
        if limit < 1:
            raise InputError(f"a search for {limit} sentences finds none; ask for 1 or more")
        stems = [stem for stem in content_stems(query) if self.scores and stem in self.scores.vocab_dict]
        if not stems:
            return ()
        scores = np.asarray(self.scores.get_scores(stems), dtype=np.float64)
        ranked = [int(position) for position in np.argsort(-scores, kind="stable")[:limit] if scores[position] > 0]
        return tuple(
            Hit(self.sentences[position], self.locators[position], float(scores[position])) for position in ranked
        )


def _scores(rows: list[tuple[Locator, Sentence]]) -> Any:
    """Return the bm25s index of sentences; None without any."""
    import bm25s

    if not rows:
        return None
    scores = bm25s.BM25()
    scores.index([list(content_stems(sentence.text)) for _, sentence in rows], show_progress=False)
    return scores
