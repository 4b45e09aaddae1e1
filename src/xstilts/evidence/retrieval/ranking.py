"""Ranking of the works of an index for a question: several rankings fused, then re-ranked in three steps.

Every content word of the question takes part. These rankings are fused by their ranks:

    question     BM25 with all content words
    coverage     share of the content words that title and abstract hold, each word weighted by its rarity
    expanded     BM25 with the synonyms of terms that the vocabulary knows, at a lower weight; they only add
    meaning      similarity of title and abstract to the question (with a sentence encoder)
    feedback     BM25 with the most characteristic words of the best works so far, half and half (Rocchio 1971)

The works are re-ranked by the mean of standardised signals of equal weight, so that no weight is fitted: all of them by
feedback and coverage; with an encoder the first `CANDIDATES` by these and the similarity of title and abstract to the
question and the best works, and the first `RERANKED` by this similarity and the coverage and similarity of their best
sentence. Rankings by the question's phrases, or pairs of them, were measured and are left out: they lose.

The first `SCREENED` works are then screened (`screening`), and only those that pass are shown: by their chance of being
on the topic, and with half its weight by the rank so far, both standardised. A question within no known field and an
index of a few works are not screened.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from xstilts.evidence.claims.question import find_terms, vocabulary
from xstilts.evidence.retrieval import screening
from xstilts.evidence.retrieval.fusion import fused
from xstilts.evidence.retrieval.query_words import content_stems, content_words
from xstilts.evidence.retrieval.screening import Screened, Topic
from xstilts.evidence.retrieval.sentence_encoder import SentenceEncoder
from xstilts.evidence.retrieval.work_index import Record, WorkIndex, best_rows, text_of

T = TypeVar("T")
LIMIT = 2000  # works of a ranking
CANDIDATES = 300  # works whose title and abstract are embedded, unless all are
RERANKED = 200  # works whose sentences are embedded
SCREENED = 1000  # works that are screened; those after them are not shown
RANK_WEIGHT = 0.5  # of a work's rank beside its chance of being on the topic, which has 1
FEEDBACK_WORKS, FEEDBACK_WORDS = 10, 20
SYNONYM_WEIGHT = 0.3  # of a synonym that the question does not hold; a word of the question has 1
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RankedWork:
    """A work of a ranking.

    Attributes:
        row: Its row in the index.
        record: Its record.
        sentence: Its sentence that fits the question best; its title where it has no abstract.
        matched: Content words of the question that title and abstract hold.
        reason: Why it is set aside; "" where it is shown.
    """

    row: int
    record: Record
    sentence: str
    matched: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True)
class Ranking:
    """What was found for a question.

    Attributes:
        works: Works, best first.
        words: Content words of the question.
        absent: Those of them that no work of the index holds.
        unmatched: Those that some works of the index hold, but none of `works`.
        method: "lexical only", or what the encoder embedded.
        set_aside: Works that would be among the first without screening, each with the reason.
    """

    works: tuple[RankedWork, ...]
    words: tuple[str, ...]
    absent: tuple[str, ...]
    unmatched: tuple[str, ...]
    method: str
    set_aside: tuple[RankedWork, ...] = ()


class Ranker:
    """Ranks the works of an index for one question; what one ranking needs of another is computed once."""

    def __init__(
        self, index: WorkIndex, question: str, encoder: SentenceEncoder | None = None, embed_all: bool = False
    ) -> None:
        """Read the question; nothing is searched yet.

        Args:
            index: The index.
            question: The question, or words to search for.
            encoder: A sentence encoder; None for words alone.
            embed_all: Compare the meaning of all works with the question, not only of those found by words.
        """
        self.index, self.question, self.encoder, self.embed_all = index, question, encoder, embed_all
        self.words = content_words(question)
        self._kept: dict[str, Any] = {}

    def bm25(self) -> list[int]:
        """Return rows by BM25 with the question's content words, best first."""
        return self._once("bm25", lambda: best_rows(self.index.scores(_counted(self.question)), LIMIT))

    def by_meaning(self) -> list[int]:
        """Return rows by similarity of title and abstract to the question, best first; none without an encoder."""
        return self._once("meaning", self._by_meaning)

    def fused(self) -> list[int]:
        """Return rows by all rankings fused, best first."""
        return self._once("fused", self._fused)

    def reranked(self) -> list[int]:
        """Return rows by all rankings fused, the first of them re-ranked; best first."""
        return self._once("reranked", self._reranked)

    def screened(self, weights: screening.Weights | None = None) -> list[Screened]:
        """Return the first works as screened: those that are shown, then those that are set aside by their chance.

        Args:
            weights: Weights of the screening; by default those that are shipped.
        """
        if not self._topic().fields or len(self.index) < screening.FEWEST:
            return [Screened(row, 1.0, "", {}) for row in self.reranked()[:SCREENED]]
        limit = screening.threshold(weights)
        result: list[Screened] = []
        for row, missing, features in self._once("screening", self._screening):
            chance = screening.chance(features, weights)
            reason = missing or ("" if chance >= limit else self._lacking(row))
            result.append(Screened(row, chance, reason, features))
        places = {work.row: place for place, work in enumerate(result)}
        shown = [work for work in result if not work.reason]
        odds = standardised(np.array([math.log(work.chance / (1 - work.chance)) for work in shown]))
        ranks = standardised(np.array([math.log1p(places[work.row]) for work in shown]))
        best = np.argsort(RANK_WEIGHT * ranks - odds, kind="stable")
        aside = sorted((work for work in result if work.reason), key=lambda work: -work.chance)
        return [*(shown[place] for place in best), *aside]

    def shown(self) -> list[int]:
        """Return the rows that pass the screening, best first."""
        return [work.row for work in self._once("screened", self.screened) if not work.reason]

    def ordered(self) -> list[int]:
        """Return all rows: those that are shown, those that were set aside, and those that were not screened."""
        return [*(work.row for work in self._once("screened", self.screened)), *self.reranked()[SCREENED:]]

    def ranking(self, top: int) -> Ranking:
        """Return the best works with the sentences that match.

        Args:
            top: Largest number of works.

        Returns:
            The works, and the content words of the question that none of them holds.
        """
        works = tuple(self._ranked_work(row) for row in self.shown()[:top])
        reasons = {work.row: work.reason for work in self._once("screened", self.screened)}
        aside = [row for row in self.reranked()[:top] if reasons.get(row)]
        set_aside = tuple(replace(self._ranked_work(row), reason=reasons[row]) for row in aside)
        matched = {word for work in works for word in work.matched}
        absent = tuple(word.text for word in self.words if not len(self.index.rows_with(word.stem)))
        unmatched = tuple(word.text for word in self.words if word.text not in matched and word.text not in absent)
        words = tuple(word.text for word in self.words)
        return Ranking(works, words, absent, unmatched, self.method, set_aside)

    @property
    def method(self) -> str:
        """How works are found, for the reader."""
        if self.encoder is None:
            return "lexical only"
        scope = "all works" if self.embed_all else f"the {CANDIDATES} works that share most words with the question"
        return f"words, and meaning by {self.encoder.encoder.name} in {scope}"

    def _once(self, name: str, compute: Callable[[], T]) -> T:
        if name not in self._kept:
            self._kept[name] = compute()
        kept: T = self._kept[name]
        return kept

    def _lexical(self) -> list[list[int]]:
        """Return the rankings by words."""
        query = _counted(self.question)
        rankings = [self.bm25(), best_rows(self._coverages() + 1e-6 * self.index.scores(query), LIMIT)]
        if synonyms := _synonyms(self.question):
            scores = self.index.scores({**dict.fromkeys(synonyms, SYNONYM_WEIGHT), **query})
            rankings.append(best_rows(scores, LIMIT))
        return rankings

    def _coverages(self) -> NDArray[np.float32]:
        """Return the share of the question's content words in each work, weighted by their rarity; (works)."""
        return self._once("coverages", self._compute_coverages)

    def _compute_coverages(self) -> NDArray[np.float32]:
        coverages = np.zeros(len(self.index), dtype=np.float32)
        rarities = self._rarities()
        for word in self.words:
            coverages[self.index.rows_with(word.stem)] += np.float32(rarities[word.stem])
        return coverages

    def _candidates(self) -> list[int]:
        """Return the rows that are compared by meaning."""
        if self.embed_all:
            return list(range(len(self.index)))
        return fused(self._lexical())[:CANDIDATES]

    def _passages(self, rows: Sequence[int]) -> NDArray[np.float32]:
        assert self.encoder is not None
        return self.encoder.passages([text_of(self.index.record(row)) for row in rows], "embed")

    def _by_meaning(self) -> list[int]:
        if self.encoder is None:
            return []
        rows = sorted(self._candidates())
        if not rows:
            return []
        similarities = self._passages(rows) @ self.encoder.query(self.question)
        return [rows[place] for place in np.argsort(-similarities, kind="stable")[:LIMIT]]

    def _first_fused(self) -> list[int]:
        return self._once("first", lambda: fused([*self._lexical(), *filter(None, [self.by_meaning()])]))

    def _fused(self) -> list[int]:
        rankings = [*self._lexical(), best_rows(self._feedback_scores(), LIMIT)]
        return fused([*rankings, *filter(None, [self.by_meaning()])])[:LIMIT]

    def _feedback_scores(self) -> NDArray[np.float32]:
        """Return BM25 scores with the question's words and those of the best works, half and half."""
        return self._once("feedback", lambda: self.index.scores(self._feedback_query()))

    def _feedback_query(self) -> dict[str, float]:
        question, characteristic = _counted(self.question), defaultdict[str, float](float)
        for row in self._first_fused()[:FEEDBACK_WORKS]:
            stems = content_stems(text_of(self.index.record(row)))
            for stem, times in Counter(stems).items():
                characteristic[stem] += times / len(stems) * self.index.rarity(stem)
        chosen = sorted(characteristic.items(), key=lambda item: (-item[1], item[0]))[:FEEDBACK_WORDS]
        total, own = sum(weight for _, weight in chosen) or 1.0, sum(question.values()) or 1.0
        query = {stem: times / own / 2 for stem, times in question.items()}
        for stem, weight in chosen:
            query[stem] = query.get(stem, 0.0) + weight / total / 2
        return query

    def _reranked(self) -> list[int]:
        rows = self._by_signals(self.fused(), self._word_signals)
        if self.encoder is not None:
            rows = self._by_signals(rows[:CANDIDATES], self._work_signals) + rows[CANDIDATES:]
            rows = self._by_signals(rows[:RERANKED], self._sentence_signals) + rows[RERANKED:]
        return rows

    def _topic(self) -> Topic:
        return self._once("topic", lambda: Topic.of(self.question, self._rarities()))

    def _lacking(self, row: int) -> str:
        return self._topic().lacking(self.index.record(row).get("title", ""), self._sentences(row))

    def topical(self, row: int) -> tuple[str, dict[str, float]]:
        """Return which field of the question a work does not speak of, "" for none, and its features for screening."""
        title, texts = self.index.record(row).get("title", ""), self._sentences(row)
        return self._topic().missing(title, "\n".join(texts)), self._topic().features(title, texts)

    def _screening(self) -> list[tuple[int, str, dict[str, float]]]:
        return [(row, *self.topical(row)) for row in self.reranked()[:SCREENED]]

    def _by_signals(self, rows: list[int], signals: Callable[[Sequence[int]], list[Floats]]) -> list[int]:
        """Return rows by the mean of their standardised signals, best first; of equals the earlier one first."""
        if not rows:
            return []
        means = np.mean([standardised(np.asarray(signal, dtype=np.float64)) for signal in signals(rows)], axis=0)
        return [rows[place] for place in np.argsort(-means, kind="stable")]

    def _word_signals(self, rows: Sequence[int]) -> list[Any]:
        return [self._feedback_scores()[list(rows)], self._coverages()[list(rows)]]

    def _work_signals(self, rows: Sequence[int]) -> list[Any]:
        return [*self._word_signals(rows), self._meaning(rows)]

    def _sentence_signals(self, rows: Sequence[int]) -> list[Any]:
        covered = [max(self._coverage(text) for text in self._sentences(row)) for row in rows]
        return [covered, self._meaning(rows), [float(of_work.max()) for of_work in self._similarities(rows)]]

    def _meaning(self, rows: Sequence[int]) -> Any:
        """Return the similarity of works to the question and the best works, half and half; (works)."""
        assert self.encoder is not None
        best = self._passages(self._first_fused()[:FEEDBACK_WORKS]).mean(axis=0)
        return self._passages(rows) @ (self.encoder.query(self.question) + best)

    def _coverage(self, text: str) -> float:
        """Return the share of the question's content words that a text holds, each weighted by its rarity."""
        rarities, held = self._rarities(), set(content_stems(text))
        total = sum(rarities.values())
        return sum(rarity for stem, rarity in rarities.items() if stem in held) / total if total else 0.0

    def _rarities(self) -> dict[str, float]:
        return self._once("rarities", lambda: {word.stem: self.index.rarity(word.stem) for word in self.words})

    def _sentences(self, row: int) -> tuple[str, ...]:
        """Return the sentences of a work's abstract, its title where it has none."""
        known: dict[int, tuple[str, ...]] = self._once("sentences", dict)
        if row not in known:
            record = self.index.record(row)
            known[row] = screening.sentences_of(record.get("title", ""), record.get("abstract", ""))
        return known[row]

    def _similarities(self, rows: Sequence[int]) -> list[NDArray[np.float32]]:
        """Return the similarity of each sentence of each work to the question, (sentences) a work."""
        assert self.encoder is not None
        known: dict[int, NDArray[np.float32]] = self._once("similarities", dict)
        if new := [row for row in rows if row not in known]:
            texts = [self._sentences(row) for row in new]
            vectors = self.encoder.passages([text for of_work in texts for text in of_work], "sentences")
            ends = np.cumsum([len(of_work) for of_work in texts])[:-1]
            known.update(zip(new, np.split(vectors @ self.encoder.query(self.question), ends), strict=True))
        return [known[row] for row in rows]

    def _ranked_work(self, row: int) -> RankedWork:
        record = self.index.record(row)
        held = set(content_stems(text_of(record)))
        return RankedWork(
            row, record, self._best_sentence(row), tuple(word.text for word in self.words if word.stem in held)
        )

    def _best_sentence(self, row: int) -> str:
        texts = self._sentences(row)
        signals = [np.array([self._coverage(text) for text in texts])]
        if self.encoder is not None:
            signals.append(self._similarities([row])[0].astype(np.float64))
        place = int(np.argmax(np.mean([standardised(signal) for signal in signals], axis=0)))
        return " ".join(texts[place].split())


def standardised(signal: Floats) -> Floats:
    """Return a signal with mean 0 and standard deviation 1; zeros where it is the same for all."""
    deviation = float(signal.std()) if len(signal) else 0.0
    return (signal - signal.mean()) / deviation if deviation > 1e-12 else np.zeros_like(signal, dtype=np.float64)


def _counted(text: str) -> dict[str, float]:
    return {stem: float(times) for stem, times in Counter(content_stems(text)).items()}


def _synonyms(question: str) -> list[str]:
    """Return stems of the synonyms of the terms that a question mentions, without those that it holds itself."""
    tables = vocabulary()["terms"].values()
    variants = [
        variant for mention in find_terms(question) for names in tables for variant in names.get(mention.name, ())
    ]
    own = {word.stem for word in content_words(question)}
    return sorted({stem for variant in variants for stem in content_stems(variant)} - own)
