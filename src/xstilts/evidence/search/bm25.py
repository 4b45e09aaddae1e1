"""Index: BM25 over the sentences of documents, the same whatever the order in which they were gathered.

It finds what to read, and decides nothing: a rank depends on all other texts, a verdict must not.

>>> from xstilts.evidence.text.documents import Document
>>> told = Document("doc:made-up", "body", "Larger batches help. Adapters are small. Layers are frozen.")
>>> [hit.sentence.text for hit in Index.of([told]).search("does the batch size help", 1)]
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
    """A sentence, where it stands, and its BM25 score: comparable within one search only."""

    sentence: Sentence
    locator: Locator
    score: float


@dataclass(frozen=True)
class SentenceIndex:
    """Sentences in the order of their locators, and their scores; build it with `of`."""

    sentences: tuple[Sentence, ...]
    locators: tuple[Locator, ...]
    scores: Any

    @staticmethod
    def of(documents: Iterable[Document]) -> SentenceIndex:
        """Return the index of all whole sentences that have words; each text of a part once."""
        those = sorted(
            (document.locator(sentence.start, sentence.end), sentence)
            for document in set(documents)
            for sentence in sentences(document)
            if sentence.whole and content_stems(sentence.text)
        )
        return SentenceIndex(tuple(one for _, one in those), tuple(where for where, _ in those), _scores(those))

    def search(self, query: str, limit: int = 10) -> tuple[Hit, ...]:
        """Return the sentences that share words with a query, best first, of equal ones in order of place."""
        if limit < 1:
            raise InputError(f"a search for {limit} sentences finds none; ask for 1 or more")
        asked = [stem for stem in content_stems(query) if self.scores and stem in self.scores.vocab_dict]
        if not asked:
            return ()
        found = np.asarray(self.scores.get_scores(asked), dtype=np.float64)
        best = [int(at) for at in np.argsort(-found, kind="stable")[:limit] if found[at] > 0]
        return tuple(Hit(self.sentences[at], self.locators[at], float(found[at])) for at in best)


def _scores(those: list[tuple[Locator, Sentence]]) -> Any:
    """Return bm25s' matrix of scores; None where there is nothing to search."""
    import bm25s

    if not those:
        return None
    scores = bm25s.BM25()
    scores.index([list(content_stems(sentence.text)) for _, sentence in those], show_progress=False)
    return scores
