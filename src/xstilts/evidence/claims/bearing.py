"""How far a finding answers a question: whether its work is on the topic, and what its sentence holds of the question.

The question is cut into phrases of content words at function words, verbs of effect and punctuation. Words are compared
by their roots ("typological", "typology"). If the best finding has less than `ANSWERABLE` of the phrases, nothing among
them answers the question. A finding of a work that does not speak of the question's field (`screening`) does not bear.
The others are ranked by a linear model: how much of both field and subject of the question the sentence holds, alone
and with the title, how often the text has words of the field, and, where an encoder is given, cosine similarity.
Weights and threshold are in `bearing.json`. A finding's score does not depend on the others.

>>> phrases("Does subword overlap between languages improve zero-shot transfer, compared to parsing?")
('subword overlap', 'languages', 'zero-shot transfer', 'parsing')
>>> Candidate("Overlap of subwords helps transfer.", "On subword overlap").covers(("subword overlap", "parsing"))
0.5
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from xstilts.evidence.retrieval.screening import Topic
from xstilts.evidence.text.stemming import load_table

Vectors = Callable[[Sequence[str]], NDArray[np.float32]]  # texts to unit vectors [texts, dimensions]
Similarity = Callable[[str, Sequence[str]], Sequence[float]]  # a question and texts to cosines
ANSWERABLE = 0.65  # share of a question's phrases that some work with a finding must mention
MENTIONED = 0.6  # share of a phrase's roots that mention it
TOKEN = re.compile(r"[^\W_]+(?:[-–/'’][^\W_]+)*")
PARTS = re.compile(r"[-–/'’]")
MIN_ROOT = 4  # letters


@dataclass(frozen=True)
class Candidate:
    """A finding that may bear on a question.

    Attributes:
        text: Its sentences.
        title: Title of its work.
        context: The text that it stands in, such as the abstract.
    """

    text: str
    title: str = ""
    context: str = ""

    def covers(self, asked: Sequence[str]) -> float:
        """Return the share of phrases that the sentence, the title or the text mentions.

        Args:
            asked: Phrases of a question.

        Returns:
            The share, from 0 to 1.
        """
        places = [roots(self.text), roots(self.title), roots(self.context)]
        return _mean([float(any(_share(phrase, place) >= MENTIONED for place in places)) for phrase in asked])

    @property
    def whole(self) -> str:
        """The text that it stands in, or its sentences alone."""
        return self.context or self.text

    def features(self, topic: Topic) -> dict[str, float]:
        """Return how much of a topic's field and subject it holds, and how often its text speaks of the field.

        Args:
            topic: What a question asks.
        """
        return {
            "in the sentence": topic.joint("", [self.text]),
            "with the title": topic.joint(self.title, [self.text]),
            "field": topic.features(self.title, [self.whole])["field"],
        }


@dataclass(frozen=True)
class Bearing:
    """How far a finding answers a question.

    Attributes:
        score: From 0 to 1, higher for what answers more.
        bears: Whether it is shown.
    """

    score: float
    bears: bool


def bearings(
    question: str,
    candidates: Sequence[Candidate],
    similarity: Similarity | None = None,
    model: Mapping[str, Mapping[str, float]] | None = None,
) -> tuple[Bearing, ...]:
    """Return how far findings answer a question.

    Args:
        question: The question.
        candidates: Findings.
        similarity: Cosine similarity of a sentence encoder; without one, words alone decide.
        model: Weights and threshold; by default those of `bearing.json`.

    Returns:
        A bearing per finding, in their order. By words alone, a sentence with no word of the question does not bear,
        and none of a work that does not speak of the question's field.
    """
    if not candidates:
        return ()
    has_answer = answerable(question, candidates)
    table = feature_table(question, candidates, similarity)
    weights = (model or _model())["words" if similarity is None else "words and similarity"]
    scores = [_sigmoid(weights["intercept"] + sum(weights[name] * row[name] for name in row)) for row in table]
    question_roots, topic = frozenset().union(*map(roots, phrases(question))), _topic(question)
    named = [
        (similarity is not None or not question_roots.isdisjoint(roots(item.text)))
        and not topic.missing(item.title, item.whole)
        for item in candidates
    ]
    return tuple(
        Bearing(score, has_answer and is_named and score >= weights["threshold"])
        for score, is_named in zip(scores, named, strict=True)
    )


def answerable(question: str, candidates: Sequence[Candidate]) -> bool:
    """Return whether some finding's sentence, title and text mention most of what a question asks.

    Args:
        question: The question.
        candidates: Findings.

    Returns:
        Whether the best has `ANSWERABLE` of the question's phrases.
    """
    terms = phrases(question)
    return any(candidate.covers(terms) >= ANSWERABLE for candidate in candidates)


def feature_table(
    question: str, candidates: Sequence[Candidate], similarity: Similarity | None = None
) -> list[dict[str, float]]:
    """Return the features of each finding; none depends on the others at hand.

    Args:
        question: The question.
        candidates: Findings.
        similarity: Cosine similarity of a sentence encoder, or None.

    Returns:
        A row per finding.
    """
    if not candidates:
        return []
    topic = _topic(question)
    rows = [candidate.features(topic) for candidate in candidates]
    if similarity is not None:
        cosines = similarity(question, [candidate.text for candidate in candidates])
        rows = [{**row, "similar sentence": cosine} for row, cosine in zip(rows, cosines, strict=True)]
    return rows


def similarity_of(vectors: Vectors) -> Similarity:
    """Return the cosine similarity of an encoder's vectors.

    Args:
        vectors: Gives a unit vector for each text, shape [texts, dimensions].

    Returns:
        A function of a question and texts; every text is encoded once.
    """
    known: dict[str, NDArray[np.float32]] = {}

    def similarity(question: str, texts: Sequence[str]) -> list[float]:
        missing = [text for text in dict.fromkeys([question, *texts]) if text not in known]
        if missing:
            known.update(zip(missing, vectors(missing), strict=True))
        return [round(float(known[question] @ known[text]), 6) for text in texts]

    return similarity


@lru_cache(maxsize=1 << 8)
def phrases(question: str) -> tuple[str, ...]:
    """Return the phrases of content words of a question.

    Args:
        question: The question.

    Returns:
        Phrases in order, each once.
    """
    result: list[list[str]] = [[]]
    end = 0
    for match in TOKEN.finditer(question):
        is_cut = bool(re.search(r"[,;()?.:]", question[end : match.start()]))
        is_function = match[0].lower() in _scaffold()
        if (is_cut or is_function) and result[-1]:
            result.append([])
        if not is_function:
            result[-1].append(match[0])
        end = match.end()
    texts = (" ".join(words) for words in result)
    return tuple(dict.fromkeys(text for text in texts if len(text) > 1))


@lru_cache(maxsize=1 << 14)
def roots(text: str) -> frozenset[str]:
    """Return the roots of the content words of a text; parts of a compound count as words."""
    words = (part.lower() for match in TOKEN.finditer(text) for part in PARTS.split(match[0]))
    return frozenset(root(word) for word in words if word and word not in _scaffold_functions())


@lru_cache(maxsize=1 << 14)
def specific_roots(text: str) -> frozenset[str]:
    """Return the roots of a text without those that nearly any noun phrase of the field has."""
    return roots(text) - _general()


@lru_cache(maxsize=1 << 14)
def root(word: str) -> str:
    """Return a word without its endings: "typological" and "typology" have one root."""
    for _ in range(3):
        ending = next((end for end in _endings() if word.endswith(end) and len(word) - len(end) >= MIN_ROOT), "")
        word = word.removesuffix(ending) if ending else word
    return word[:-1] if len(word) > MIN_ROOT and word[-1] == word[-2] else word


def _share(phrase: str, place: frozenset[str]) -> float:
    own = roots(phrase)
    return len(own & place) / len(own) if own else 0.0


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0


def _sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


@lru_cache(maxsize=1 << 8)
def _topic(question: str) -> Topic:
    return Topic.of(question, {})


@cache
def _endings() -> tuple[str, ...]:
    """Return the endings of words, longest first."""
    return tuple(sorted(load_table("bearing.toml")["endings"].split(), key=len, reverse=True))


@cache
def _scaffold() -> frozenset[str]:
    table = load_table("bearing.toml")
    return frozenset(f"{table['function_words']} {table['effect_words']}".split())


@cache
def _scaffold_functions() -> frozenset[str]:
    return frozenset(load_table("bearing.toml")["function_words"].split())


@cache
def _general() -> frozenset[str]:
    return roots(load_table("bearing.toml")["general_words"])


@cache
def _model() -> dict[str, dict[str, float]]:
    content: dict[str, dict[str, float]] = json.loads(Path(__file__).with_name("bearing.json").read_text("utf-8"))
    return content
