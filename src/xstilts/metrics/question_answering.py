"""Question-answering metrics: exact match and F1 of answers, as the SQuAD v1.1, SQuAD v2.0 and MLQA scorers give them.

Answers are compared as lists of words. What a word is depends on the scorer: SQuAD drops ASCII punctuation and English
articles whatever the language (XQuAD and TyDiQA too); MLQA drops all Unicode punctuation and the articles of the
language, and takes every Chinese character as a word.

>>> overlap_f1(squad_words("The black cat!"), squad_words("a cat"))
0.6666666666666666
"""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from xstilts.data.examples import Example, QAExample
from xstilts.errors import InputError
from xstilts.metrics.base import Array, Score, paired, require, require_examples

Words = Callable[[str], list[str]]

_ASCII_PUNCTUATION = frozenset(string.punctuation)
_ENGLISH_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_HAN = re.compile("([\u4e00-\u9fa5])")

# MLQA removes these before it compares. Arabic: every alef-lam, also inside a word; Hindi and Chinese: nothing.
_MLQA_ARTICLES: dict[str, re.Pattern[str] | None] = {
    "ar": re.compile("\u0627\u0644"),
    "de": re.compile(r"\b(?:ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b"),
    "en": _ENGLISH_ARTICLES,
    "es": re.compile(r"\b(?:un|una|unos|unas|el|la|los|las)\b"),
    "hi": None,
    "vi": re.compile("\\b(?:c\u1ee7a|l\u00e0|c\u00e1i|chi\u1ebfc|nh\u1eefng)\\b"),
    "zh": None,
}


def squad_words(text: str) -> list[str]:
    """Split an answer into words as SQuAD's scorers do, in any language.

    Args:
        text: The answer.

    Returns:
        The lower-cased words without ASCII punctuation and the English articles.
    """
    letters = "".join(char for char in text.lower() if char not in _ASCII_PUNCTUATION)
    return _ENGLISH_ARTICLES.sub(" ", letters).split()


def mlqa_words(text: str, language: str) -> list[str]:
    """Split an answer into words as MLQA's scorer does for the language of the context.

    Args:
        text: The answer.
        language: The language of the context.

    Returns:
        The lower-cased words without punctuation and articles; Chinese characters are words of their own.

    Raises:
        InputError: MLQA has no rules for the language.
    """
    if language not in _MLQA_ARTICLES:
        raise InputError(f"MLQA has no rules for language '{language}'; it has {', '.join(_MLQA_ARTICLES)}")
    letters = "".join(char for char in text.lower() if not _is_punctuation(char))
    articles = _MLQA_ARTICLES[language]
    letters = articles.sub(" ", letters) if articles else letters
    return (_HAN.sub(r" \1 ", letters) if language == "zh" else letters).split()


def _is_punctuation(char: str) -> bool:
    return char in _ASCII_PUNCTUATION or unicodedata.category(char).startswith("P")


def overlap_f1(predicted: Sequence[str], gold: Sequence[str]) -> float:
    """Return the F1 of two bags of words.

    Args:
        predicted: The words of the prediction.
        gold: The words of the gold answer.

    Returns:
        F1 in 0..1; 0 where they share no word, even if both are empty.
    """
    shared = sum((Counter(predicted) & Counter(gold)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(predicted), shared / len(gold)
    return 2 * precision * recall / (precision + recall)


def match(predicted: str, answers: Sequence[str], words: Words) -> list[float]:
    """Compare a prediction with gold answers.

    Args:
        predicted: A text.
        answers: Gold texts.
        words: Splits a text as the scorer does.

    Returns:
        [exact match, F1] in 0..1, each the best over the gold answers.
    """
    predicted_words, gold_words = words(predicted), [words(answer) for answer in answers]
    return [
        max(float(predicted_words == gold) for gold in gold_words),
        max(overlap_f1(predicted_words, gold) for gold in gold_words),
    ]


def squad(gold: Sequence[Example], predictions: Mapping[str, Any], *, language: str = "en") -> Score:
    """Score answers as SQuAD v1.1 does (Rajpurkar et al. 2016; also XQuAD and TyDiQA in XTREME), in percent.

    A missing prediction scores 0 and is counted in `missing`; one without a question is ignored; a question that
    occurs twice counts twice.

    Args:
        gold: Questions.
        predictions: The text of the answer, by example id.
        language: Ignored.

    Returns:
        The score, with exact match and F1; a question contributes both in 0..1.
    """
    return _score("squad", gold, predictions, squad_words)


def mlqa(gold: Sequence[Example], predictions: Mapping[str, Any], *, language: str = "en") -> Score:
    """Score answers as MLQA does for the context's language (Lewis et al. 2020), in percent.

    Args:
        gold: Questions.
        predictions: The text of the answer, by example id; a missing one scores 0.
        language: The language of the contexts, which has rules for punctuation and articles.

    Returns:
        The score, with exact match and F1; a question contributes both in 0..1.

    Raises:
        InputError: MLQA has no rules for the language.
    """
    return _score("mlqa", gold, predictions, partial(mlqa_words, language=language))


def pool(sums: Array, count: Array) -> Array:
    """Compute the mean of exact match and F1, also of resampled questions.

    Args:
        sums: Weighted sums of [exact match, F1], (..., 2).
        count: Weighted numbers of questions.

    Returns:
        The means in percent.
    """
    return 50 * (sums[..., 0] + sums[..., 1]) / count


def _score(metric: str, gold: Sequence[Example], predictions: Mapping[str, Any], words: Words) -> Score:
    require_examples(gold)
    examples, missing = [], 0
    for example in gold:
        answers = _answers(example, metric)
        predicted = predictions.get(example.id)
        missing += predicted is None
        examples.append([0.0, 0.0] if predicted is None else match(predicted, answers, words))
    exact, f1 = (100.0 * sum(column) / len(examples) for column in zip(*examples, strict=True))
    return Score({"exact_match": exact, "f1": f1, "missing": float(missing)}, (exact + f1) / 2, examples)


def _answers(example: Example, metric: str) -> list[str]:
    answers = [answer.text for answer in require(example, QAExample, metric).answers]
    if not answers:
        raise InputError(
            f"question '{example.id}' has no gold answer; score a split with answers, and questions that may have "
            "none with 'squad_v2'"
        )
    return answers


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A question of SQuAD v2.0 scored as if it had to be answered with what was predicted."""

    exact: float
    f1: float
    answerable: bool
    answered: bool
    null_score: float | None

    def beyond(self, threshold: float) -> list[float]:
        """Return [exact match, F1] when a null score above the threshold means: no answer."""
        if self.null_score is not None and self.null_score > threshold:
            return [float(not self.answerable)] * 2
        return [self.exact, self.f1]


def squad_v2(
    gold: Sequence[Example], predictions: Mapping[str, Any], *, language: str = "en", threshold: float = math.inf
) -> Score:
    """Score answers as SQuAD v2.0 does (Rajpurkar et al. 2018, evaluate-v2.0.py), in percent.

    With null scores, `best_exact` and `best_f1` are the values at the best threshold, and `pr_*_ap` the average
    precisions. HasAns and NoAns are the answerable and the unanswerable questions.

    Args:
        gold: Questions.
        predictions: By example id, a text ("": no answer) or {"answer": text, "null_score": number}, whose null score
            is the higher the less likely there is an answer.
        language: Ignored.
        threshold: Null scores above it replace the text by no answer. By default none does, so that the text is ""
            already where no answer is meant.

    Returns:
        The score; a question contributes exact match and F1 in 0..1.
    """
    outcomes = {example.id: _outcome(example, predicted) for example, predicted in paired(gold, predictions)}
    examples = [outcome.beyond(threshold) for outcome in outcomes.values()]
    answerable = [outcome.answerable for outcome in outcomes.values()]
    values = _means("", examples)
    for prefix, has_answer in (("HasAns_", True), ("NoAns_", False)):
        values |= _means(prefix, [pair for pair, has in zip(examples, answerable, strict=True) if has is has_answer])
    if all(outcome.null_score is not None for outcome in outcomes.values()):
        by_null_score = sorted((outcomes[id] for id in predictions), key=_null_score)
        values |= _best("exact", by_null_score) | _best("f1", by_null_score) | _average_precisions(by_null_score)
    return Score(values, (values["exact"] + values["f1"]) / 2, examples)


def _outcome(example: Example, predicted: str | Mapping[str, Any]) -> _Outcome:
    question = require(example, QAExample, "squad_v2")
    if not question.answers and not question.unanswerable:
        raise InputError(
            f"question '{question.id}' has no gold answers and is not marked as unanswerable (hidden split?)"
        )
    text, null_score = _text_and_null(question.id, predicted)
    predicted_words = squad_words(text)
    # Gold answers of punctuation and articles alone count as no answer, as in the official script.
    gold_words = [words for words in (squad_words(answer.text) for answer in question.answers) if words] or [[]]
    exact = max(float(predicted_words == words) for words in gold_words)
    f1 = max(
        overlap_f1(predicted_words, words) if predicted_words and words else float(predicted_words == words)
        for words in gold_words
    )
    return _Outcome(exact, f1, bool(question.answers), bool(text), null_score)


def _text_and_null(id: str, predicted: str | Mapping[str, Any]) -> tuple[str, float | None]:
    if isinstance(predicted, str):
        return predicted, None
    if "answer" not in predicted:
        raise InputError(f"prediction for question '{id}' has no 'answer'; give a text or {{'answer', 'null_score'}}")
    return predicted["answer"], predicted.get("null_score")


def _null_score(outcome: _Outcome) -> float:
    return 0.0 if outcome.null_score is None else outcome.null_score


def _means(prefix: str, pairs: Sequence[Sequence[float]]) -> dict[str, float]:
    if not pairs:
        return {}
    exact, f1 = (100.0 * sum(column) / len(pairs) for column in zip(*pairs, strict=True))
    return {f"{prefix}exact": exact, f"{prefix}f1": f1, f"{prefix}total": len(pairs)}


def _best(name: str, ordered: Sequence[_Outcome]) -> dict[str, float]:
    """Return the best score over thresholds and the first threshold that reaches it.

    As in the official scorer the threshold may stop within a run of equal null scores, so that with ties the best
    need not be reachable.
    """
    score = best = float(sum(not outcome.answerable for outcome in ordered))
    threshold = 0.0
    for outcome in ordered:
        score += getattr(outcome, name) if outcome.answerable else -float(outcome.answered)
        if score > best:
            best, threshold = score, _null_score(outcome)
    return {f"best_{name}": 100.0 * best / len(ordered), f"best_{name}_thresh": threshold}


def _average_precisions(ordered: Sequence[_Outcome]) -> dict[str, float]:
    """Return the areas below the precision-recall curves of answering the surest questions first."""
    if not any(outcome.answerable for outcome in ordered):
        return {}
    gains = {
        "pr_exact_ap": [outcome.answerable * outcome.exact for outcome in ordered],
        "pr_f1_ap": [outcome.answerable * outcome.f1 for outcome in ordered],
        "pr_oracle_ap": [float(outcome.answerable) for outcome in ordered],
    }
    answerable = sum(outcome.answerable for outcome in ordered)
    nulls = [_null_score(outcome) for outcome in ordered]
    return {name: 100.0 * _area(column, nulls, answerable) for name, column in gains.items()}


def _area(gains: Sequence[float], nulls: Sequence[float], answerable: int) -> float:
    """Sum precision times the step in recall at the last question of each run of equal null scores."""
    area = reached = total = 0.0
    for place, gain in enumerate(gains):
        total += gain
        if place + 1 == len(nulls) or nulls[place] != nulls[place + 1]:
            recall = total / answerable
            area += total / (place + 1) * (recall - reached)
            reached = recall
    return area
