"""Screening: which works of a ranking only look alike, and why.

A look-alike shares words with a question and is on another topic: it has what the question varies, but in another field
("forgetting" of one language), or the field alone. So a work is shown only where its text has words of the question's
field (`screening.toml`) and where its chance of being on the topic, a logistic model of two features, is high enough:

    joint    the field's and the subject's share of the question's words, the smaller of both, in the best sentence with
             the title; each word weighs by its rarity
    field    logarithm of how often its text has words of the field

Words that nearly every text of the field has are the field's words, other content words are the subject's. Weights and
threshold are in `screening.json`. If too few works pass, fewer are shown. A question within no field that is known is
not screened, and no collection that is too small for the rarity of its words to say anything.

>>> topic = Topic.of("Does pruning reduce forgetting in multilingual models?", {"pruning": 5.0, "forgetting": 5.0})
>>> topic.features("Pruning", ["We prune models of Thai and other languages."])["joint"]
0.5
>>> topic.missing("Forgetting", "We study forgetting in English.")
'it does not speak of several languages'
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from xstilts.evidence.claims.own_words import is_common, is_relating
from xstilts.evidence.retrieval.query_words import ContentWord, content_stems, content_words
from xstilts.evidence.text.documents import Document, sentences
from xstilts.evidence.text.stemming import load_table

Weights = Mapping[str, Mapping[str, float]]
FEATURES = ("joint", "field")
FEWEST = 1000  # works of a collection that is screened: in a few works on one topic its own words are the frequent ones
MOST = 12  # words of a field that count: a whole paper has more than an abstract, and is no nearer to the topic
NEUTRAL = math.log1p(4)  # of the feature "field" where a question has none that is known
THRESHOLD = "threshold"  # in the weights, beside the models


@dataclass(frozen=True)
class Screened:
    """A work of a ranking, as screened.

    Attributes:
        row: Its row in the index.
        chance: Chance that it is on the topic.
        reason: Why it is set aside; "" where it is shown.
        features: What the chance follows from, by name.
    """

    row: int
    chance: float
    reason: str
    features: Mapping[str, float]


@dataclass(frozen=True)
class Topic:
    """What a question asks: its fields, and the words of field and subject with their weights.

    Attributes:
        fields: Names of the fields that it asks within.
        field: Weight of each stem of the field.
        subject: Weight of each stem of the subject.
        words: The subject's words, as written.
    """

    fields: tuple[str, ...]
    field: Mapping[str, float]
    subject: Mapping[str, float]
    words: tuple[ContentWord, ...]

    @classmethod
    def of(cls, question: str, rarities: Mapping[str, float]) -> Topic:
        """Read a question.

        Args:
            question: The question.
            rarities: Weight of each stem; 1 where there is none.

        Returns:
            Its topic. A question of only common words has these as its subject.
        """
        words = [word for word in content_words(question) if not is_relating(word.text)]
        subject = [word for word in words if not is_common(word.text)]
        field = [word for word in words if word not in subject] if subject else []
        subject = subject or words
        fields = tuple(
            name for name in load_table("screening.toml")["fields"] if _words_of(name, "asked").search(question)
        )
        weigh = {word.stem: rarities.get(word.stem, 1.0) for word in words}
        return cls(
            fields,
            {word.stem: weigh[word.stem] for word in field},
            {word.stem: weigh[word.stem] for word in subject},
            tuple(subject),
        )

    def missing(self, title: str, text: str) -> str:
        """Return which field a work does not speak of, in words; "" where it speaks of all."""
        without = [name for name in self.fields if not _words_of(name, "held").search(f"{title}\n{text}")]
        return f"it does not speak of {' and '.join(without)}" if without else ""

    def features(self, title: str, sentences: Sequence[str]) -> dict[str, float]:
        """Return the features of a work.

        Args:
            title: Its title.
            sentences: The sentences of its abstract.

        Returns:
            Values by the names of `FEATURES`.
        """
        text = "\n".join([title, *sentences])
        counts = [len(_words_of(name, "held").findall(text)) for name in self.fields]
        field = math.log1p(min(MOST, *counts)) if counts else NEUTRAL
        return {"joint": self.joint(title, sentences), "field": field}

    def joint(self, title: str, sentences: Sequence[str]) -> float:
        """Return how much of both field and subject one sentence with the title holds; 0 to 1."""
        named = frozenset(content_stems(title))
        places = [named.union(content_stems(sentence)) for sentence in sentences] or [named]
        return max(min(_share(self.field, place), _share(self.subject, place)) for place in places)

    def lacking(self, title: str, sentences: Sequence[str]) -> str:
        """Return in words what no sentence of a work holds together."""
        named = frozenset(content_stems(title)).union(*map(content_stems, sentences))
        absent = [word.text for word in self.words if word.stem not in named]
        if absent:
            return f"it has too few of the words asked for: not {', '.join(absent)}"
        return "no sentence has the words of subject and field together"


def sentences_of(title: str, abstract: str) -> tuple[str, ...]:
    """Return the sentences of an abstract, the title where it has none."""
    return tuple(sentence.text for sentence in sentences(Document("", "abstract", abstract))) or (title,)


def chance(features: Mapping[str, float], weights: Weights | None = None) -> float:
    """Return the chance that a work is on the topic, the mean of the models of `weights`.

    Args:
        features: Values by name.
        weights: By model, weight of each feature and "intercept"; by default those of `screening.json`.

    Returns:
        0 to 1.
    """
    models = [model for name, model in (weights or shipped()).items() if name != THRESHOLD]
    sums = [model["intercept"] + sum(model[name] * value for name, value in features.items()) for model in models]
    return sum(1 / (1 + math.exp(-total)) for total in sums) / len(sums)


def threshold(weights: Weights | None = None) -> float:
    """Return the chance from which a work is shown."""
    return (weights or shipped())[THRESHOLD]["chance"]


@cache
def shipped() -> Weights:
    """Return the weights of `screening.json`."""
    content: Weights = json.loads(Path(__file__).with_name("screening.json").read_text("utf-8"))
    return content


def _share(weights: Mapping[str, float], place: frozenset[str]) -> float:
    """Return the weighted share of stems that a place has; 1 of none."""
    total = sum(weights.values())
    return sum(weight for stem, weight in weights.items() if stem in place) / total if total else 1.0


@cache
def _words_of(field: str, use: str) -> re.Pattern[str]:
    return re.compile("|".join(load_table("screening.toml")["fields"][field][use]), re.IGNORECASE)
