"""Findings against judged rows: kinds of sentences, bearing, stance, pairs, and questions that nothing answers.

The model of bearing is fitted on all questions but one and measured on that one, in turn. Rows are those of a folder of
judged questions (`questions.jsonl`, `works.jsonl`, `statements.jsonl`, `pairs.jsonl`); abstracts are given by key.

>>> ratio(3, 4), ratio(0, 0)
(0.75, None)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xstilts.evidence.claims.bearing import Candidate, Similarity, answerable, bearings, feature_table, roots
from xstilts.evidence.claims.comparison import ALIKE, Meaning, relate
from xstilts.evidence.claims.finding_record import NOT_STATED, TURNED, FindingRecord, Stance, oriented, read_finding
from xstilts.evidence.claims.sentence_kind import Kind, kinds
from xstilts.evidence.evaluation.logistic import logistic
from xstilts.evidence.text.documents import Document, sentences

Row = Mapping[str, Any]
Weights = dict[str, float]
TRADE_OFF = (0.45, 0.55, 0.75, 0.85)  # other recalls that the threshold may be set for
STEP = 0.002  # above the most alike pair of other things, from which on subjects are alike by meaning
MIN_PART = 40  # characters from which a part of a sentence is taken for the sentence
AIMED_RECALL = 0.66  # recall of judged findings, on the questions that it is fitted on, that the threshold is set for


@dataclass(frozen=True)
class Abstract:
    """Title and abstract of a work."""

    title: str
    abstract: str


@dataclass(frozen=True)
class _Sentence:
    """A sentence of a judged work under a question; `label` is True, False, or None where it is not judged."""

    question: str
    key: str
    text: str
    kind: Kind
    label: bool | None
    row: bool
    candidate: Candidate


def evaluate_findings(
    questions: Sequence[Row],
    works: Sequence[Row],
    statements: Sequence[Row],
    pairs: Sequence[Row],
    abstracts: Mapping[str, Abstract],
    similarity: Similarity | None = None,
) -> dict[str, float | int | None]:
    """Return all measures of findings.

    Args:
        questions: Rows with "question" and "text".
        works: Rows with "question", "key" and "grade" (2: a finding of its own answers, at least in part).
        statements: Rows with "question", "key", "sentence", "kind", "bears"; those that bear with "stance", "subject"
            and "compared_with".
        pairs: Rows with "key_a", "sentence_a", "key_b", "sentence_b" and "relation".
        abstracts: Title and abstract by key.
        similarity: Cosine similarity of a sentence encoder, or None.

    Returns:
        Measures by name; None where there is nothing to measure. "… of all" counts every sentence of works of lower
        grade as not bearing, "… of judged" only the judged rows.
    """
    texts = {str(row["question"]): str(row["text"]) for row in questions}
    every = list(_sentences(works, statements, abstracts))
    return {
        **kind_measures(statements, abstracts),
        **bearing_measures(texts, every, similarity),
        **stance_measures(texts, statements, abstracts),
        **pair_measures(pairs, abstracts, similarity),
    }


def kind_measures(statements: Sequence[Row], abstracts: Mapping[str, Abstract]) -> dict[str, float | int | None]:
    """Return precision and recall of the kind "finding" over distinct judged sentences, and what is let through.

    Args:
        statements: Judged rows.
        abstracts: Title and abstract by key.

    Returns:
        Measures by name.
    """
    counts: Counter[tuple[str, bool]] = Counter()
    for key, sentence, kind in {(row["key"], row["sentence"], row["kind"]) for row in statements}:
        if key in abstracts:
            counts[kind, _kind_of(abstracts[key], sentence) == "finding"] += 1
    right, shown = counts["finding", True], sum(number for (_, result), number in counts.items() if result)
    return {
        "kind precision": ratio(right, shown),
        "kind recall": ratio(right, right + counts["finding", False]),
        "aims and backgrounds taken for findings": counts["aim", True] + counts["background", True],
    }


def bearing_measures(
    texts: Mapping[str, str], every: Sequence[_Sentence], similarity: Similarity | None = None
) -> dict[str, float | int | None]:
    """Return precision and recall of the findings shown, each question by a model of the others.

    Args:
        texts: Text by question.
        every: Sentences of judged works.
        similarity: Cosine similarity of a sentence encoder, or None.

    Returns:
        Measures by name.
    """
    findings = {name: [item for item in every if item.question == name and item.kind == "finding"] for name in texts}
    answered = [name for name in texts if any(item.label for item in every if item.question == name)]
    tables = {
        name: feature_table(texts[name], [item.candidate for item in findings[name]], similarity) for name in texts
    }
    mode = "words" if similarity is None else "words and similarity"
    counts: Counter[str] = Counter()
    at: dict[float, Counter[bool | None]] = {aimed: Counter() for aimed in TRADE_OFF}
    for name in texts:
        others = [other for other in answered if other != name and findings[other]]
        candidates = [item.candidate for item in findings[name]]
        rows = [(tables[other], [item.label for item in findings[other]]) for other in others]
        # One question alone is judged by the model that is shipped.
        judged = bearings(texts[name], candidates, similarity, {mode: fit_weights(rows)} if rows else None)
        for aimed in TRADE_OFF if rows else ():
            rated = bearings(texts[name], candidates, similarity, {mode: fit_weights(rows, aimed)})
            at[aimed].update(item.label for item, bearing in zip(findings[name], rated, strict=True) if bearing.bears)
        shown = [item for item, bearing in zip(findings[name], judged, strict=True) if bearing.bears]
        if name not in answered:
            counts["unanswerable"] += 1
            counts["said so"] += not answerable(texts[name], candidates)
        counts["right"] += sum(item.label is True for item in shown)
        counts["wrong rows"] += sum(item.label is False and item.row for item in shown)
        counts["wrong"] += sum(item.label is False for item in shown)
        counts["bearing"] += sum(item.label is True for item in every if item.question == name)
    trade_off = {
        name: value
        for aimed, labels in at.items()
        for name, value in (
            (f"bear, of all, aimed at recall {aimed}", ratio(labels[True], labels[True] + labels[False])),
            (f"finding recall, aimed at recall {aimed}", ratio(labels[True], counts["bearing"])),
        )
    }
    return trade_off | {
        "bear, of judged": ratio(counts["right"], counts["right"] + counts["wrong rows"]),
        "bear, of all": ratio(counts["right"], counts["right"] + counts["wrong"]),
        "finding recall": ratio(counts["right"], counts["bearing"]),
        "unanswerable, said so": ratio(counts["said so"], counts["unanswerable"]),
    }


def stance_measures(
    texts: Mapping[str, str], statements: Sequence[Row], abstracts: Mapping[str, Abstract]
) -> dict[str, float | int | None]:
    """Return how often a stance is stated and right, over judged findings.

    A stance on the other side of a comparison is right if it is turned: where the subject read is what the row compares
    with. "As written" counts such a stance as wrong.

    Args:
        texts: Text by question.
        statements: Judged rows.
        abstracts: Title and abstract by key.

    Returns:
        Measures by name.
    """
    counts: Counter[str] = Counter()
    for row in statements:
        if not row["bears"] or row["key"] not in abstracts:
            continue
        counts["all"] += 1
        record = oriented(_read(abstracts[row["key"]], row["sentence"]), texts[row["question"]])
        if record.stance != "not stated":
            counts["stated"] += 1
            expected: Stance = "depends" if row["stance"] == "mixed" else row["stance"]
            counts["as written"] += record.stance == expected
            other = _overlap(record.subject, row["compared_with"]) > _overlap(record.subject, row["subject"])
            counts["right"] += record.stance == (TURNED.get(expected, expected) if other else expected)
    return {
        "stance stated": ratio(counts["stated"], counts["all"]),
        "stance right, of stated": ratio(counts["right"], counts["stated"]),
        "stance right, as written": ratio(counts["as written"], counts["stated"]),
    }


def pair_measures(
    pairs: Sequence[Row], abstracts: Mapping[str, Abstract], similarity: Similarity | None = None
) -> dict[str, float | int | None]:
    """Return how pairs are related.

    Args:
        pairs: Judged pairs.
        abstracts: Title and abstract by key.
        similarity: Cosine similarity of a sentence encoder, or None.

    Returns:
        Measures by name. "Held out" are those with a threshold of meaning that was set on pairs of other works.
    """
    known = [row for row in pairs if row["key_a"] in abstracts and row["key_b"] in abstracts]
    read = [[_read(abstracts[row[f"key_{side}"]], row[f"sentence_{side}"]) for side in "ab"] for row in known]
    meaning = Meaning(lambda one, other: float(similarity(one, [other])[0])) if similarity else None
    result = _relation_measures(
        [(row["relation"], relate(sides[0], sides[1], meaning).kind) for row, sides in zip(known, read, strict=True)]
    )
    if meaning is None:
        return result
    scores = [_alikeness(sides[0], sides[1], meaning) for sides in read]
    kinds_held_out = []
    for row, sides in zip(known, read, strict=True):
        keys = {row["key_a"], row["key_b"]}
        others = [
            score
            for other, score in zip(known, scores, strict=True)
            if keys.isdisjoint((other["key_a"], other["key_b"]))
            and other["relation"] in ("apparent conflict", "unrelated")
        ]
        alike = max(others, default=ALIKE) + STEP
        kinds_held_out.append((row["relation"], relate(sides[0], sides[1], replace(meaning, alike=alike)).kind))
    return result | {f"{name}, held out": value for name, value in _relation_measures(kinds_held_out).items()}


def _alikeness(one: FindingRecord, other: FindingRecord, meaning: Meaning) -> float:
    """Return how alike subjects are by meaning, as they are or exchanged; 0 where a direction is not read."""
    if NOT_STATED in (one.stance, other.stance):
        return 0.0
    texts = one.text, other.text
    crossed = min(
        meaning.subjects(one.subject, other.compared_with, texts),
        meaning.subjects(one.compared_with, other.subject, texts),
    )
    return max(meaning.subjects(one.subject, other.subject, texts), crossed)


def _relation_measures(related: Sequence[tuple[str, str]]) -> dict[str, float | int | None]:
    """Return the measures of pairs of a judged and a called relation."""
    counts = Counter(related)
    called = sum(number for (_, kind), number in counts.items() if kind == "real conflict")
    real = sum(number for (relation, _), number in counts.items() if relation == "real conflict")
    same = sum(number for (relation, _), number in counts.items() if relation == "same finding")
    called_same = sum(number for (_, kind), number in counts.items() if kind == "same finding")
    return {
        "real conflicts called": called,
        "real conflict precision": ratio(counts["real conflict", "real conflict"], called),
        "real conflict recall": ratio(counts["real conflict", "real conflict"], real),
        "apparent conflicts called real": counts["apparent conflict", "real conflict"],
        "same findings called": called_same,
        "same finding precision": ratio(counts["same finding", "same finding"], called_same),
        "same finding recall": ratio(counts["same finding", "same finding"], same),
    }


def fit_weights(
    tables: Sequence[tuple[Sequence[Mapping[str, float]], Sequence[bool | None]]], aimed: float = AIMED_RECALL
) -> Weights:
    """Fit the model of bearing: a ridge logistic regression in which every question weighs the same.

    Args:
        tables: For each question, the features of its findings and whether each bears; None is left out.
        aimed: Recall on them that the threshold is set for.

    Returns:
        Weight by feature, the intercept, and the threshold.

    Raises:
        ValueError: No finding is judged.
    """
    judged = [
        [(row, label) for row, label in zip(table, labels, strict=True) if label is not None]
        for table, labels in tables
    ]
    names = list(next(row for part in judged for row, _ in part)) if any(judged) else []
    if not names:
        raise ValueError("no finding is judged; give the sentences of judged works")
    features = np.array([[row[name] for name in names] for part in judged for row, _ in part])
    labels_all = np.array([float(bool(label)) for part in judged for _, label in part])
    weights = np.array([100 / len(part) for part in judged for _ in part])
    mean, scale = features.mean(0), features.std(0) + 1e-9
    solved = logistic(np.c_[(features - mean) / scale, np.ones(len(features))], labels_all, weights)
    slopes = np.round(solved[:-1] / scale, 3)
    intercept = round(float(solved[-1] - slopes @ mean), 3)
    scores = 1 / (1 + np.exp(-(features @ slopes + intercept)))
    threshold = float(np.quantile(scores[labels_all == 1], 1 - aimed)) if labels_all.any() else 1.0
    return {
        "intercept": intercept,
        **{name: float(slope) for name, slope in zip(names, slopes, strict=True)},
        "threshold": math.floor(threshold * 1000) / 1000,
    }


def ratio(part: int, whole: int) -> float | None:
    """Return a share, or None of nothing."""
    return part / whole if whole else None


def _sentences(
    works: Sequence[Row], statements: Sequence[Row], abstracts: Mapping[str, Abstract]
) -> Sequence[_Sentence]:
    judged: dict[tuple[str, str], list[Row]] = {}
    for row in statements:
        judged.setdefault((row["question"], row["key"]), []).append(row)
    result = []
    for work in works:
        if work["key"] not in abstracts:
            continue
        abstract = abstracts[work["key"]]
        texts = _split(abstract)
        for text, kind in zip(texts, kinds(texts), strict=True):
            rows = [row for row in judged.get((work["question"], work["key"]), ()) if _is_same(text, row["sentence"])]
            label = rows[0]["bears"] if rows else False if work["grade"] < 2 else None
            candidate = Candidate(text, abstract.title, abstract.abstract)
            result.append(_Sentence(work["question"], work["key"], text, kind, label, bool(rows), candidate))
    return result


def _kind_of(abstract: Abstract, sentence: str) -> Kind:
    texts = _split(abstract)
    return next((kind for text, kind in zip(texts, kinds(texts), strict=True) if _is_same(text, sentence)), "")


def _read(abstract: Abstract, sentence: str) -> FindingRecord:
    return read_finding(" ".join(sentence.split()), [abstract.title, *_split(abstract)])


def _split(abstract: Abstract) -> list[str]:
    return [" ".join(item.text.split()) for item in sentences(Document("judged", "abstract", abstract.abstract))]


def _is_same(text: str, sentence: str) -> bool:
    judged = " ".join(sentence.split())
    return text == judged or (len(judged) > MIN_PART and judged in text) or (len(text) > MIN_PART and text in judged)


def _overlap(one: str, other: str) -> float:
    own, others = roots(one), roots(other)
    return len(own & others) / max(1, min(len(own), len(others)))
