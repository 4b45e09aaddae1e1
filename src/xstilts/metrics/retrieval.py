"""Retrieval metrics: nearest sentences (Tatoeba), mining (BUCC) and mean average precision (LAReQA, Mewsli-X).

Mining is `mine` on dev and test, `identify` to get ids, `tune_threshold` on dev, `extract` and `bitext_f1` on test.

>>> average_precision({3, 7}, [3, 1, 7], 20)
0.8333333333333333
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstilts.data.examples import Example, PassageExample
from xstilts.errors import InputError
from xstilts.metrics.base import Score, f1, found_scores, paired, require

if TYPE_CHECKING:
    import torch

Vectors = NDArray[np.floating[Any]]
Rows = NDArray[np.int64]
Pair = tuple[str, str]

RANKED = 20  # candidates that count for LAReQA and Mewsli-X
# Rows of queries and keys compared at once: 64 MiB of similarities, whatever the number of sentences.
QUERY_ROWS = 1024
KEY_ROWS = 16384


class Candidate(NamedTuple):
    """A sentence and its presumed translation.

    Attributes:
        score: The margin score: cosine over the mean cosine of the neighbours; about 1 is no better than chance.
        source: The text of the sentence.
        english: The text of its translation.
    """

    score: float
    source: str
    english: str


def normalise(vectors: Vectors) -> Vectors:
    """Scale vectors to length 1.

    Args:
        vectors: (rows, width).

    Returns:
        The unit vectors; rows of zeros stay.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths == 0, 1, lengths)


def nearest_source(source: Vectors, english: Vectors) -> Rows:
    """Return for each English row the row of the source side with the highest cosine (Tatoeba in XTREME).

    The English side queries; the other direction gives other figures. Cosines that agree to six decimals are ties,
    and the first row wins: the last bits of a product decide nothing.

    Args:
        source: Sentence vectors of the source side, (sources, width).
        english: Sentence vectors of the English side, (queries, width).

    Returns:
        Row numbers of the source side, (queries,).
    """
    keys = normalise(source.astype(np.float64)).T
    queries = normalise(english.astype(np.float64))
    starts = range(0, len(queries), QUERY_ROWS)
    best = [np.round(queries[start : start + QUERY_ROWS] @ keys, 6).argmax(axis=1) for start in starts]
    return np.concatenate(best).astype(np.int64)


def neighbours(queries: Vectors, keys: Vectors, count: int, *, device: str = "cpu") -> tuple[Vectors, Rows]:
    """Return the `count` largest inner products of each query with the keys, in falling order, and the keys' rows.

    Works block by block in float32: memory is that of the vectors and one block.

    Args:
        queries: (queries, width).
        keys: (keys, width).
        count: How many neighbours; at most all keys are returned.
        device: The torch device that computes.

    Returns:
        Inner products and row numbers of keys, both (queries, count).
    """
    import torch

    key_tensor = torch.tensor(np.asarray(keys, dtype=np.float32), device=device)
    values, rows = [], []
    for start in range(0, len(queries), QUERY_ROWS):
        block = torch.tensor(np.asarray(queries[start : start + QUERY_ROWS], dtype=np.float32), device=device)
        best, places = _best_keys(block, key_tensor, min(count, len(keys)))
        values.append(best.cpu().numpy())
        rows.append(places.cpu().numpy())
    return np.concatenate(values), np.concatenate(rows)


def _best_keys(queries: torch.Tensor, keys: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    values = queries.new_empty(len(queries), 0)
    rows = torch.empty(len(queries), 0, dtype=torch.int64, device=queries.device)
    for start in range(0, len(keys), KEY_ROWS):
        similarities = queries @ keys[start : start + KEY_ROWS].T
        best, places = similarities.topk(min(count, similarities.shape[1]), dim=1)
        values, rows = torch.cat([values, best], dim=1), torch.cat([rows, places + start], dim=1)
        # A stable sort keeps the earlier row where similarities are equal, whatever the block size.
        values, order = values.sort(dim=1, descending=True, stable=True)
        values, rows = values[:, :count], rows.gather(1, order[:, :count])
    return values, rows


def mine(
    source_texts: Sequence[str],
    source_vectors: Vectors,
    english_texts: Sequence[str],
    english_vectors: Vectors,
    *,
    count: int = 4,
    device: str = "cpu",
) -> list[Candidate]:
    """Mine translations by the ratio margin over `count` neighbours both ways, best first (Artetxe & Schwenk 2019).

    Repeated texts are taken once, with the vector of the last. The best candidates of either side are taken greedily
    by score, each sentence at most once; scores that are not above 0 block their sentences but are left out.

    Args:
        source_texts: Sentences of the source side.
        source_vectors: Their vectors, (sources, width).
        english_texts: Sentences of the English side.
        english_vectors: Their vectors, (targets, width).
        count: The number of neighbours in the margin.
        device: The torch device that computes.

    Returns:
        The candidates, best first.
    """
    sources, x = _unique(source_texts, source_vectors)
    targets, y = _unique(english_texts, english_vectors)
    forward, forward_rows = neighbours(x, y, count, device=device)
    backward, backward_rows = neighbours(y, x, count, device=device)
    x_mean, y_mean = forward.mean(axis=1), backward.mean(axis=1)
    chosen, scores = _best_margin(forward, forward_rows, x_mean, y_mean)
    chosen_back, scores_back = _best_margin(backward, backward_rows, y_mean, x_mean)
    rows = np.concatenate([np.arange(len(x)), chosen_back])
    columns = np.concatenate([chosen, np.arange(len(y))])
    pairs = _greedy(rows, columns, np.concatenate([scores, scores_back]))
    return [Candidate(score, sources[row], targets[column]) for score, row, column in pairs if score > 0]


def _unique(texts: Sequence[str], vectors: Vectors) -> tuple[list[str], Vectors]:
    """Return the distinct texts in order of appearance, and the unit vector of the last appearance of each."""
    if len(texts) != len(vectors):
        raise InputError(f"{len(texts)} sentences but {len(vectors)} vectors; give one vector a sentence")
    if not texts:
        raise InputError("no sentences to mine; check that the files are not empty")
    last = {text: row for row, text in enumerate(texts)}
    return list(last), normalise(np.asarray(vectors, dtype=np.float32)[list(last.values())])


def _best_margin(similarities: Vectors, rows: Rows, own: Vectors, others: Vectors) -> tuple[Rows, Vectors]:
    """Return for each row its neighbour with the highest ratio of similarity to the mean of both neighbourhoods."""
    means = (own[:, None] + others[rows]) / 2
    scores = np.divide(similarities, means, out=np.zeros_like(means), where=means != 0)
    best = scores.argmax(axis=1)
    every = np.arange(len(rows))
    return rows[every, best], scores[every, best]


def _greedy(rows: Rows, columns: Rows, scores: Vectors) -> Iterator[tuple[float, int, int]]:
    used_rows: set[int] = set()
    used_columns: set[int] = set()
    for place in np.argsort(-scores, kind="stable"):
        row, column = int(rows[place]), int(columns[place])
        if row not in used_rows and column not in used_columns:
            used_rows.add(row)
            used_columns.add(column)
            yield float(scores[place]), row, column


def unambiguous(ids: Sequence[str], texts: Sequence[str]) -> dict[str, str]:
    """Return the ids of texts that occur once; BUCC's scorer drops the others with their pairs.

    Args:
        ids: The id of each text.
        texts: The texts, compared without surrounding white space.

    Returns:
        Ids by stripped text.
    """
    stripped = [text.strip() for text in texts]
    times = Counter(stripped)
    return {text: id for id, text in zip(ids, stripped, strict=True) if times[text] == 1}


def identify(
    candidates: Iterable[Candidate], sources: Mapping[str, str], english: Mapping[str, str]
) -> dict[Pair, float]:
    """Return the scores of candidates by (source id, English id), the highest where a pair repeats.

    Args:
        candidates: The result of `mine`; those with other texts are dropped.
        sources: Ids by text, as `unambiguous` gives them.
        english: The same of the other side.

    Returns:
        Scores by (source id, English id).
    """
    scores: dict[Pair, float] = {}
    for score, source, target in candidates:
        if (a := sources.get(source.strip())) is not None and (b := english.get(target.strip())) is not None:
            scores[a, b] = max(score, scores.get((a, b), score))
    return scores


def tune_threshold(scores: Mapping[Pair, float], gold: Set[Pair]) -> float:
    """Return the threshold with the best F1 against gold pairs, midway between two scores; 0 if no pair is right.

    To be called on dev only. Where the best is to take all candidates the lowest score is returned; the official
    script (google-research/xtreme, utils_retrieve.py) stops with an IndexError there.

    Args:
        scores: Scores of candidate pairs.
        gold: The right pairs.

    Returns:
        The threshold.
    """
    ordered = sorted(scores.items(), key=lambda item: -item[1])
    threshold, best, correct = 0.0, 0.0, 0
    for place, (pair, score) in enumerate(ordered):
        correct += pair in gold
        reached = f1(correct, place + 1, len(gold))
        if reached > best:
            following = ordered[place + 1][1] if place + 1 < len(ordered) else score
            best, threshold = reached, (score + following) / 2
    return threshold


def extract(scores: Mapping[Pair, float], threshold: float) -> list[Pair]:
    """Return the pairs that score at least a threshold.

    Args:
        scores: Scores of candidate pairs.
        threshold: The result of `tune_threshold` on development data.

    Returns:
        The pairs in the order of `scores`.
    """
    return [pair for pair, score in scores.items() if score >= threshold]


def bitext_f1(gold: Iterable[Pair], predicted: Iterable[Pair]) -> dict[str, float]:
    """Return F1, precision and recall of mined pairs; repeats count once.

    Args:
        gold: The right pairs, (source id, English id).
        predicted: The mined pairs.

    Returns:
        "f1", "precision" and "recall" in percent.
    """
    gold_pairs, mined = set(gold), set(predicted)
    return found_scores(len(gold_pairs & mined), len(mined), len(gold_pairs))


def average_precision(targets: Collection[object], ranking: Sequence[object], count: int | None = 20) -> float:
    """Return the average precision of a ranking, as LAReQA defines it.

    The sum of precisions at each new target found is divided by the targets that could have been: min(all, count).

    Args:
        targets: The right candidates; at least one.
        ranking: Candidates, best first.
        count: Rank at which the ranking is cut; None: not cut.

    Returns:
        The average precision in 0..1.

    Raises:
        InputError: There is no target.
    """
    right, retrieved, precisions = set(targets), set(), 0.0
    if not right:
        raise InputError("a query without any right candidate has no average precision; leave it out")
    for rank, item in enumerate(ranking[:count], start=1):
        if item in right and item not in retrieved:
            retrieved.add(item)
            precisions += len(retrieved) / rank
    return precisions / (len(right) if count is None else min(len(right), count))


def ranked_precisions(
    queries: Vectors, candidates: Vectors, targets: Sequence[Collection[int]], count: int | None = 20
) -> list[float]:
    """Return each query's average precision (0..1) over candidates by inner product; their mean is LAReQA's mAP.

    Args:
        queries: (queries, width).
        candidates: (candidates, width).
        targets: For each query, the rows of all correct candidates, in every language.
        count: Rank at which rankings are cut; None: not cut.

    Returns:
        One average precision for each query.

    Raises:
        InputError: A query has no correct candidate.
    """
    precisions = []
    for query, right in zip(queries, targets, strict=True):
        ranking = np.argsort(-(candidates @ query), kind="stable")
        precisions.append(average_precision(right, ranking[:count].tolist(), count))
    return precisions


def reciprocal_ranks(gold: Mapping[str, str], rankings: Mapping[str, Sequence[str]], count: int = 20) -> list[float]:
    """Return 1 / rank of the gold entity of each mention, 0 if not among the first `count`, as for Mewsli-X.

    Their mean is the benchmark's mAP@20, there being one right entity. A missing ranking scores 0, one without a
    mention is ignored; gold is stripped of white space, rankings are not (google-research/xtreme, utils_mewslix.py).

    Args:
        gold: The gold entity of each mention.
        rankings: Entities by mention, best first.
        count: Rank at which rankings are cut.

    Returns:
        A reciprocal rank for each mention, in the order of `gold`.
    """
    ranks = []
    for mention, entity in gold.items():
        first = list(rankings.get(mention, ()))[:count]
        ranks.append(1 / (first.index(entity.strip()) + 1) if entity.strip() in first else 0.0)
    return ranks


def mined_f1(gold: Sequence[Example], predictions: Mapping[str, Any], *, language: str = "en") -> Score:
    """Score mined sentence pairs by F1, in percent (BUCC).

    Args:
        gold: Passage examples: a sentence, with the ids of its translations as targets.
        predictions: By example id, the id of the mined translation; None for none.
        language: Ignored.

    Returns:
        The score; an example contributes [right, predicted, gold] pairs.
    """
    parts = []
    for example, mined_id in paired(gold, predictions):
        targets = require(example, PassageExample, "mined_f1").targets
        parts.append([float(mined_id in targets), float(mined_id is not None), float(len(targets))])
    values = found_scores(*(sum(column) for column in zip(*parts, strict=True)))
    return Score(values, values["f1"], parts)


def map20(gold: Sequence[Example], predictions: Mapping[str, Any], *, language: str = "en") -> Score:
    """Score rankings by mean average precision over the first 20 candidates, in percent (LAReQA, Mewsli-X).

    Args:
        gold: Passage examples with the ids of their right candidates.
        predictions: By example id, ids of candidates, best first.
        language: Ignored.

    Returns:
        The score; an example contributes its average precision in 0..1.

    Raises:
        InputError: A query has no right candidate.
    """
    pairs = paired(gold, predictions)
    parts = [average_precision(require(e, PassageExample, "map20").targets, ranking, RANKED) for e, ranking in pairs]
    mean = sum(parts) / len(parts) * 100
    return Score({"map@20": mean}, mean, parts)
