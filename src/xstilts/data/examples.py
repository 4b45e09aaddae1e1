"""Examples: the rows of data sets, in one dataclass for each group of task formats.

Every reader ends in one of them and every task format starts from one. The store has them as readable JSON lines:
exactly what a model was trained and scored on.

>>> ClassificationExample("3", "A dog runs.", "An animal moves.", "entailment").label
'entailment'
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ClassificationExample:
    """A text or a pair of texts with a label (None where the data set withholds it)."""

    id: str
    text_a: str
    text_b: str | None
    label: str | None


@dataclass(frozen=True, slots=True)
class MultipleChoiceExample:
    """A context, a question about it (may be empty) and the choices, of which the one numbered `label` is right."""

    id: str
    context: str
    question: str
    choices: tuple[str, ...]
    label: int | None


@dataclass(frozen=True, slots=True)
class TaggingExample:
    """The words of a sentence with a tag for each (no tags where the data set withholds them)."""

    id: str
    tokens: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnswerSpan:
    """An answer and the offset in the context at which it starts, in characters (-1: unknown)."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class QAExample:
    """A question about a context; no answers where it is `unanswerable` (or where the data set withholds them)."""

    id: str
    context: str
    question: str
    answers: tuple[AnswerSpan, ...]
    unanswerable: bool = False


@dataclass(frozen=True, slots=True)
class BitextExample:
    """Two texts that belong together: a sentence and its English translation, or a question and its answer.

    Attributes:
        id: Identifier.
        source: The first text.
        english: The second text.
        context: The paragraph around the second text, which is encoded with it; None where there is none.
    """

    id: str
    source: str
    english: str
    context: str | None = None


@dataclass(frozen=True, slots=True)
class PassageExample:
    """One text of a search.

    Attributes:
        id: Identifier.
        text: The text.
        context: The paragraph around it, which is encoded with it; None where there is none.
        side: "query", "candidate", or "bystander" for a query that is encoded but not scored.
        targets: Ids of the right candidates of a query.
    """

    id: str
    text: str
    context: str | None
    side: str
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextExample:
    """A text for masked LM; `pair` is its translation or a paraphrase, where there is one."""

    id: str
    text: str
    pair: str | None = None


Example = (
    ClassificationExample
    | MultipleChoiceExample
    | TaggingExample
    | QAExample
    | BitextExample
    | PassageExample
    | TextExample
)

SHAPES: dict[str, type[Example]] = {
    "classification": ClassificationExample,
    "multiple_choice": MultipleChoiceExample,
    "token_classification": TaggingExample,
    "extractive_qa": QAExample,
    "bitext_retrieval": BitextExample,
    "bitext_mining": PassageExample,
    "passage_ranking": PassageExample,
    "masked_lm": TextExample,
}


def shared_text(example: Example) -> str:
    """Return the text that other examples of a data set may share: premise, passage, question or sentence.

    >>> shared_text(QAExample("1", "Anna sleeps.", "Who sleeps?", ()))
    'Anna sleeps.'
    """
    match example:
        case ClassificationExample():
            return example.text_a
        case MultipleChoiceExample():
            return example.context or example.question
        case TaggingExample():
            return " ".join(example.tokens)
        case QAExample():
            return example.context
        case BitextExample():
            return example.english
        case PassageExample() | TextExample():
            return example.text


def sequence_languages(example: Example, language: str) -> tuple[str, ...]:
    """Return the language of each text that is read by itself, of data in a language.

    Args:
        example: One of the data.
        language: Code of the data; of a pair such as MLQA's "de-ar", the context's comes first.

    Returns:
        One code for each text of a pair to retrieve, of which the second is English; else one code for all. What is
        searched in (candidates) has many languages, or an unknown one: it is taken for English.

    >>> sequence_languages(BitextExample("1", "Hallo.", "Hello."), "de")
    ('de', 'en')
    """
    own = language.split("-")[0]
    if isinstance(example, BitextExample):
        return own, "en"
    return ("en",) if isinstance(example, PassageExample) and example.side == "candidate" else (own,)


def write(examples: Iterable[Example], path: Path) -> int:
    """Write examples as JSON lines; return their number."""
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for example in examples:
            file.write(json.dumps(asdict(example), ensure_ascii=False) + "\n")
            count += 1
    return count


def read(path: Path, format: str) -> Iterator[Example]:
    """Yield the examples of a file that `write` wrote, of a task format."""
    shape = SHAPES[format]
    with path.open(encoding="utf-8") as file:
        for line in file:
            line_fields = json.loads(line).items()
            fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in line_fields}
            if shape is QAExample:
                fields["answers"] = tuple(AnswerSpan(**answer) for answer in fields["answers"])
            yield shape(**fields)
