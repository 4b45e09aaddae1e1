"""Contamination: which texts of a test set are also in a training set, exactly or nearly.

Passages of SQuAD recur in XQuAD, and corpora are split by sentences that repeat: a score then measures memory too. Two
texts match exactly if they differ in case, punctuation and white space only. They match nearly if the sets of their
word trigrams (character 5-grams, in scripts that do not space words) have a Jaccard similarity of at least 4/5. The
search is exact, no such pair is missed: n-grams are ordered from rare to common, two sets so similar share one of the
first few, and only for those pairs the intersection is counted (prefix filtering, Bayardo et al. 2007). The test side
is indexed, the training side is streamed, whatever its size.

A text of fewer than five words (ten characters) recurs by chance, such as "A man sleeps.": it is counted as short and
never as a match. As a part of a pair of texts it counts.

>>> train = ClassificationExample("0", "One two three four five.", None, "x")
>>> between([train], [ClassificationExample("7", "One, two, three: FOUR five!", None, "y")]).fields[0].exact
1
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from xstilts.data import examples, few_shot
from xstilts.data.dataset import EXAMPLES, DatasetSplit, read
from xstilts.data.examples import (
    BitextExample,
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    PassageExample,
    QAExample,
    TaggingExample,
    TextExample,
)
from xstilts.runtime.machine import Runtime
from xstilts.store import names
from xstilts.store.build import build, is_built
from xstilts.store.stage import BuildContext, Stage, folder_of, stage
from xstilts.tasks.base import Task

OVERLAP = "overlap.json"
SIMILAR, OF = 4, 5  # the least similarity, 4/5, in whole numbers, so that no rounding decides
WORDS, CHARACTERS = 3, 5  # of an n-gram
FEWEST_WORDS, FEWEST_CHARACTERS = 5, 10
SAMPLES = 10
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai and Lao, Burmese, Khmer
    "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"  # kana, Chinese characters
)
PLURAL = {
    "text_a": "first texts",
    "text_b": "second texts",
    "whole": "questions with their choices",
    "source": "source texts",
    "english": "English texts",
}

NGram = tuple[str, ...] | str


@dataclass(frozen=True)
class Field:
    """The matches of one field of the test examples.

    Attributes:
        name: Name of the field.
        examples: Test examples that have it.
        exact: Of these, how many have an exact match in the training set.
        near: How many have a near match and no exact one.
        short: How many are too short to match.
    """

    name: str
    examples: int
    exact: int
    near: int
    short: int


@dataclass(frozen=True)
class Pair:
    """A match.

    Attributes:
        field: Name of the field.
        test: Id of the test example.
        train: Id of the training example.
        similarity: Jaccard similarity; 1.0 for an exact match.
    """

    field: str
    test: str
    train: str
    similarity: float


@dataclass(frozen=True)
class Overlap:
    """What a test set and a training set have in common.

    Attributes:
        train: The training set.
        test: The test set.
        train_examples: Number of training examples.
        test_examples: Number of test examples.
        touched: Test examples of which any field has a match.
        fields: The matches by field.
        samples: Some of the matches.
    """

    train: str
    test: str
    train_examples: int
    test_examples: int
    touched: int
    fields: tuple[Field, ...]
    samples: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, order=True)
class Match:
    """The most similar text in training data.

    Attributes:
        exact: Whether it is the same, after normalisation.
        similarity: The Jaccard similarity of n-grams, in 0..1.
        train: The id of its example.
    """

    exact: bool
    similarity: float
    train: str


def _label(train: Stage, test: Stage, shots: int = 0, draw: int = 1) -> str:
    drawn = f"-{shots}shots" if shots else ""
    return f"overlap-{_data(train).label}{drawn}-{_data(test).label}"


@stage(name=names.CONTAMINATION, version=1, label=_label)
def contamination(context: BuildContext, train: Stage, test: Stage, shots: int = 0, draw: int = 1) -> None:
    """Write `overlap.json`: what the examples of `test` have in common with those of `train`.

    Args:
        context: Where the stage is built.
        train: The stage that reads the training split.
        test: The stage that reads the test split.
        shots: How many training examples are drawn and compared (`data.few_shot.drawn`); 0: all are.
        draw: Which of them are drawn.
    """
    test_examples = list(examples.read(context.path(test) / EXAMPLES, _data(test).format))
    train_examples = examples.read(context.path(train) / EXAMPLES, _data(train).format)
    overlap = between(few_shot.drawn(list(train_examples), shots, draw) if shots else train_examples, test_examples)
    name = _name(_data(train), "train") + (f" ({shots} shots)" if shots else "")
    overlap = replace(overlap, train=name, test=_name(_data(test), "test"))
    (context.folder / OVERLAP).write_text(json.dumps(asdict(overlap), indent=1, ensure_ascii=False) + "\n", "utf-8")
    context.record |= {"examples": overlap.test_examples, "touched": overlap.touched}


def read_overlap(folder: Path) -> Overlap:
    """Return the overlap that a finished check has written to its folder."""
    values = json.loads((folder / OVERLAP).read_text(encoding="utf-8"))
    values["fields"] = tuple(Field(**field) for field in values["fields"])
    values["samples"] = tuple(Pair(**pair) for pair in values["samples"])
    return Overlap(**values)


def stages(train: Task, target: Task, language: str, split: str, folder: Path | None) -> tuple[Stage, ...]:
    """Return the contamination checks of a target's split against a task's training data.

    Args:
        train: The task trained on.
        target: The task measured.
        language: Language of the target's split.
        split: Name of the split.
        folder: Data folder.

    Returns:
        A stage for each part and language of the training data.
    """
    test = read(target.data(split, language, folder))
    return tuple(contamination(read(part.data("train", code, folder)), test) for part, code in train.training_parts())


def of_tasks(train: Task, target: Task, language: str, split: str, machine: Runtime) -> tuple[Overlap, ...]:
    """Check a target's test data for texts of a task's training data.

    Builds the stages of `stages` that are not finished.

    Args:
        train: The task with the training data.
        target: The task with the test data.
        language: The language of the test data.
        split: The split of the test data.
        machine: Folders and workers.

    Returns:
        The overlap of each check.
    """
    checks = stages(train, target, language, split, machine.data)
    return tuple(read_overlap(build(check, machine)) for check in checks)


def summary(overlap: Overlap) -> str | None:
    """Return in one sentence how much of a test set is also in the training set.

    Args:
        overlap: The result of a check.

    Returns:
        The sentence; None where nothing is.
    """
    counts = [_counts(field) for field in overlap.fields if field.exact + field.near]
    if not counts:
        return None
    return f"{' and '.join(counts)} of {overlap.test} are also in the training data of {overlap.train}"


def describe(checks: Iterable[Stage], machine: Runtime) -> Iterator[str]:
    """Yield a sentence for each finished check that found common texts.

    Args:
        checks: Stages, as `stages` returns them.
        machine: Names the store.

    Yields:
        Summaries.
    """
    for check in checks:
        if is_built(check, machine) and (sentence := summary(read_overlap(folder_of(check, machine)))):
            yield sentence


def between(train: Iterable[Example], test: Sequence[Example]) -> Overlap:
    """Return what test examples have in common with training examples, which are read once.

    A text matches whatever field it is in: a question of one data set may be a premise of another.

    Args:
        train: The training examples.
        test: The test examples.

    Returns:
        The overlap, without the names of the data sets.
    """
    test_texts = [texts(example) for example in test]
    normal = {text: normalised(text) for fields in test_texts for text in fields.values()}
    index = Index(text for text in normal.values() if not is_short(text))
    matches, train_examples = _matches(index, train)
    rows = [{name: matches.get(normal[text]) for name, text in fields.items()} for fields in test_texts]
    names = dict.fromkeys(name for fields in test_texts for name in fields)
    short = Counter(name for fields in test_texts for name, text in fields.items() if is_short(normal[text]))
    return Overlap(
        train="",
        test="",
        train_examples=train_examples,
        test_examples=len(test),
        touched=sum(any(fields.values()) for fields in rows),
        fields=tuple(_field(name, rows, short[name]) for name in names),
        samples=tuple(_samples(names, rows, test)),
    )


def texts(example: Example) -> dict[str, str]:
    """Return the texts of an example that are compared.

    Args:
        example: An example of any task format.

    Returns:
        Texts by field, without empty ones.
    """
    match example:
        case ClassificationExample():
            second = example.text_b or ""
            fields = {"text_a": example.text_a, "text_b": second, "pair": second and f"{example.text_a}\n{second}"}
        case MultipleChoiceExample():
            # A question that only asks for cause or effect is the same in every example: it counts with its context.
            context = {"context": example.context} if example.context else {"question": example.question}
            fields = {**context, "whole": "\n".join((example.context, example.question, *example.choices))}
        case TaggingExample():
            fields = {"sentence": " ".join(example.tokens)}
        case QAExample():
            fields = {"context": example.context, "question": example.question}
        case BitextExample():
            fields = {"source": example.source, "english": example.english, "context": example.context or ""}
        case PassageExample():
            fields = {"text": example.text, "context": example.context or ""}
        case TextExample():
            fields = {"text": example.text, "pair": example.pair or ""}
        case _:
            raise TypeError(f"{type(example).__name__} has no texts to compare: add them to `contamination.texts`")
    return {name: text for name, text in fields.items() if text.strip()}


def normalised(text: str) -> str:
    """Return a text in NFKC and without case, with one space for anything but letters, marks and numbers."""
    # Twice, as folding case may leave what NFKC composes.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.translate(_SPACES).split())


def is_short(text: str) -> bool:
    """Return whether a normalised text is so short that it recurs by chance."""
    if is_unspaced(text):
        return len(text) - text.count(" ") < FEWEST_CHARACTERS
    return text.count(" ") + 1 < FEWEST_WORDS


def is_unspaced(text: str) -> bool:
    """Return whether most of a text is in a script that does not space words."""
    return not text.isascii() and 2 * len(UNSPACED.findall(text)) > len(text) - text.count(" ")


def ngrams(text: str) -> set[NGram]:
    """Return the n-grams by which texts are compared.

    Args:
        text: A normalised text.

    Returns:
        Word trigrams, or character 5-grams where words are not spaced.
    """
    if is_unspaced(text):
        text = text.replace(" ", "")
        return {text[n : n + CHARACTERS] for n in range(len(text) - CHARACTERS + 1)}
    words = text.split()
    return set(zip(*(words[n:] for n in range(WORDS)), strict=False))


class Index:
    """An index of normalised texts, none of them short, by the rarest of their n-grams."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = list(dict.fromkeys(texts))
        self.known = set(self.texts)
        by_text = [ngrams(text) for text in self.texts]
        counts = Counter(ngram for of_text in by_text for ngram in of_text)
        self.rank = {ngram: rank for rank, ngram in enumerate(sorted(counts, key=counts.__getitem__))}
        self.ranks = [{self.rank[ngram] for ngram in of_text} for of_text in by_text]
        self.by_rank: dict[int, list[int]] = {}
        for number, ranks in enumerate(self.ranks):
            # Prefix filter: two similar sets share so many n-grams that they must share one of their rarest few, so
            # only these are indexed.
            for rank in sorted(ranks)[: len(ranks) - _least_shared(len(ranks)) + 1]:
                self.by_rank.setdefault(rank, []).append(number)

    def find(self, text: str) -> dict[str, tuple[bool, float]]:
        """Return the indexed texts that match a text.

        Args:
            text: A text, not normalised; a short one matches nothing.

        Returns:
            By indexed text, whether the match is exact, and the Jaccard similarity (1.0 for an exact one).
        """
        text = normalised(text)
        if is_short(text):
            return {}
        near = {self.texts[number]: (False, similarity) for number, similarity in self._near(ngrams(text))}
        return {**near, text: (True, 1.0)} if text in self.known else near

    def _near(self, ngrams: set[NGram]) -> Iterator[tuple[int, float]]:
        """Yield the numbers of similar texts. N-grams that no text has are the rarest and come first in the order."""
        ranks = {self.rank[ngram] for ngram in ngrams if ngram in self.rank}
        # How many n-grams of this text may be missing in a similar one, beside those that no indexed text has.
        surplus = len(ranks) - _least_shared(len(ngrams))
        if surplus < 0:
            return
        for number in {n for rank in sorted(ranks)[: surplus + 1] for n in self.by_rank.get(rank, ())}:
            shared = len(ranks & self.ranks[number])
            union = len(ngrams) + len(self.ranks[number]) - shared
            if OF * shared >= SIMILAR * union:
                yield number, shared / union


def _least_shared(size: int) -> int:
    """Return how many n-grams a set shares, at least, with one that is similar to it."""
    return -(-SIMILAR * size // OF)


def _matches(index: Index, train: Iterable[Example]) -> tuple[dict[str, Match], int]:
    """Return the best match of each text that has one, and the number of training examples."""
    best: dict[str, Match] = {}
    count = 0
    find = lru_cache(maxsize=64)(index.find)  # a passage comes with each of its questions
    for example in train:
        count += 1
        for text in texts(example).values():
            for match, (exact, similarity) in find(text).items():
                if match not in best or (exact, similarity) > (best[match].exact, best[match].similarity):
                    best[match] = Match(exact, similarity, example.id)
    return best, count


def _field(name: str, rows: Sequence[Mapping[str, Match | None]], short: int) -> Field:
    matches = [fields[name] for fields in rows if name in fields]
    exact = sum(match is not None and match.exact for match in matches)
    return Field(name, len(matches), exact, sum(match is not None for match in matches) - exact, short)


def _samples(
    names: Iterable[str], rows: Sequence[Mapping[str, Match | None]], test: Sequence[Example]
) -> Iterator[Pair]:
    """Yield some pairs of each field, `SAMPLES` in all at most: the least similar first, which need a look."""
    by_field = {
        name: [(match, example.id) for example, row in zip(test, rows, strict=True) if (match := row.get(name))]
        for name in names
    }
    per_field = SAMPLES // max(1, sum(bool(pairs) for pairs in by_field.values()))
    for name, pairs in by_field.items():
        for match, id in sorted(pairs)[:per_field]:
            yield Pair(name, id, match.train, round(match.similarity, 4))


def _counts(field: Field) -> str:
    parts = [f"{count:,} {how}" for count, how in ((field.exact, "exactly"), (field.near, "nearly")) if count]
    plural = PLURAL.get(field.name, f"{field.name}s")
    return f"{field.exact + field.near:,} of {field.examples:,} {plural} ({', '.join(parts)})"


def _name(data: DatasetSplit, split: str) -> str:
    """Return the name of data in a sentence: with the split where it is not the usual one."""
    return f"{data.task} {data.language}" + ("" if data.split == split else f" ({data.split})")


def _data(stage: Stage) -> DatasetSplit:
    data = stage.arguments["data"]
    assert isinstance(data, DatasetSplit)
    return data


class _Spaces(dict[int, int]):
    """A table for `str.translate`, filled on demand: characters stay if they are letters, marks or numbers."""

    def __missing__(self, code: int) -> int:
        self[code] = code if unicodedata.category(chr(code))[0] in "LMN" else ord(" ")
        return self[code]


_SPACES = _Spaces()
