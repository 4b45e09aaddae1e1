"""Overlap: which texts of a test set are also in a training set, word for word or nearly.

SQuAD's passages come back in XQuAD, a corpus is split by sentences that repeat: then a score measures memory too. Two
texts are the same if nothing but case, punctuation and white space tells them apart. They are nearly the same if the
sets of their runs of three words (five characters, in scripts that do not space words) have at least four fifths of
their union in common (Jaccard). Every such pair is found, none is missed: runs are ordered from rare to common, two
sets so much alike share one of the first few, and what they share is then counted (prefix filtering, Bayardo et al.
2007). The test side is indexed, the training side passes by, whatever its size.

A text of fewer than five words (ten characters) recurs by chance, "A man sleeps." for one: it is counted as short and
never a finding. As a part of a pair of texts it counts.

>>> seen = ClassificationExample("0", "One two three four five.", None, "x")
>>> between([seen], [ClassificationExample("7", "One, two, three: FOUR five!", None, "y")]).fields[0].exact
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

from xstilts.data import examples
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
ALIKE, OF = 4, 5  # the least similarity, 4/5, in whole numbers, so that no rounding decides
RUN_OF_WORDS, RUN_OF_CHARACTERS = 3, 5
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

Run = tuple[str, ...] | str


@dataclass(frozen=True)
class Field:
    """What was found of one field: how many test examples have it, have it seen in training, or have it too short."""

    name: str
    examples: int
    exact: int
    near: int
    short: int


@dataclass(frozen=True)
class Pair:
    """A field of a test example and the training example that has its text too; how alike they are (1.0: the same)."""

    field: str
    test: str
    train: str
    similarity: float


@dataclass(frozen=True)
class Overlap:
    """What a test set and a training set have in common.

    touched: test examples of which any field was seen. samples: a few of the pairs, by field.
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
    """How much like a text the most similar one in training is, and the example that has it."""

    exact: bool
    similarity: float
    train: str


def _label(train: Stage, test: Stage) -> str:
    return f"overlap-{_data(train).label}-{_data(test).label}"


@stage(name=names.CONTAMINATION, version=1, label=_label)
def contamination(site: BuildContext, train: Stage, test: Stage) -> None:
    """Write `overlap.json`: what the examples of `test` have in common with those of `train`, both stages of data."""
    asked = list(examples.read(site.path(test) / EXAMPLES, _data(test).format))
    found = between(examples.read(site.path(train) / EXAMPLES, _data(train).format), asked)
    found = replace(found, train=_called(_data(train), "train"), test=_called(_data(test), "test"))
    (site.folder / OVERLAP).write_text(json.dumps(asdict(found), indent=1, ensure_ascii=False) + "\n", "utf-8")
    site.record |= {"examples": found.test_examples, "touched": found.touched}


def read_overlap(folder: Path) -> Overlap:
    """Return what `overlap.json` says."""
    said = json.loads((folder / OVERLAP).read_text(encoding="utf-8"))
    said["fields"] = tuple(Field(**one) for one in said["fields"])
    said["samples"] = tuple(Pair(**one) for one in said["samples"])
    return Overlap(**said)


def promised(train: Task, target: Task, language: str, split: str, folder: Path | None) -> tuple[Stage, ...]:
    """Promise what a split of a target shares with a task's training data, one stage a part and language of these."""
    test = read(target.data(split, language, folder))
    return tuple(contamination(read(part.data("train", code, folder)), test) for part, code in train.training_parts())


def of_tasks(train: Task, target: Task, language: str, split: str, machine: Runtime) -> tuple[Overlap, ...]:
    """Return what `promised` promises, built unless it is there."""
    stages = promised(train, target, language, split, machine.data)
    return tuple(read_overlap(build(one, machine)) for one in stages)


def summary(found: Overlap) -> str | None:
    """Return in one sentence how much of a test set was seen in training; None where nothing was."""
    said = [_counted(one) for one in found.fields if one.exact + one.near]
    if not said:
        return None
    return f"{' and '.join(said)} of {found.test} are also in the training data of {found.train}"


def describe(stages: Iterable[Stage], machine: Runtime) -> Iterator[str]:
    """Yield in a sentence each what finished stages of `overlap` found; nothing for those that found nothing."""
    for one in stages:
        if is_built(one, machine) and (said := summary(read_overlap(folder_of(one, machine)))):
            yield said


def between(train: Iterable[Example], test: Sequence[Example]) -> Overlap:
    """Return what test examples have in common with training examples; over these it passes once.

    A text counts as seen wherever it stands in training: a question of one set may be a plain text in another.
    """
    asked = [texts(one) for one in test]
    plain = {text: normalised(text) for one in asked for text in one.values()}
    index = Index(text for text in plain.values() if not is_short(text))
    matches, passed = _matches(index, train)
    seen = [{name: matches.get(plain[text]) for name, text in one.items()} for one in asked]
    names = dict.fromkeys(name for one in asked for name in one)
    short = Counter(name for one in asked for name, text in one.items() if is_short(plain[text]))
    return Overlap(
        train="",
        test="",
        train_examples=passed,
        test_examples=len(test),
        touched=sum(any(one.values()) for one in seen),
        fields=tuple(_field(name, seen, short[name]) for name in names),
        samples=tuple(_samples(names, seen, test)),
    )


def texts(one: Example) -> dict[str, str]:
    """Return the texts of an example that are compared, by field; those that are empty are left out."""
    match one:
        case ClassificationExample():
            second = one.text_b or ""
            found = {"text_a": one.text_a, "text_b": second, "pair": second and f"{one.text_a}\n{second}"}
        case MultipleChoiceExample():
            # A question that only asks for cause or effect is the same in every example: it counts with its context.
            asked = {"context": one.context} if one.context else {"question": one.question}
            found = {**asked, "whole": "\n".join((one.context, one.question, *one.choices))}
        case TaggingExample():
            found = {"sentence": " ".join(one.tokens)}
        case QAExample():
            found = {"context": one.context, "question": one.question}
        case BitextExample():
            found = {"source": one.source, "english": one.english, "context": one.context or ""}
        case PassageExample():
            found = {"text": one.text, "context": one.context or ""}
        case TextExample():
            found = {"text": one.text, "pair": one.pair or ""}
        case _:
            raise TypeError(f"{type(one).__name__} has no texts to compare: name them in `overlap.texts`")
    return {name: text for name, text in found.items() if text.strip()}


def normalised(text: str) -> str:
    """Return a text in NFKC and without case, with one space for whatever is no letter, mark or number."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.translate(_SPACES).split())


def is_short(text: str) -> bool:
    """Say whether a normalised text is too short for its recurring to mean anything."""
    if is_unspaced(text):
        return len(text) - text.count(" ") < FEWEST_CHARACTERS
    return text.count(" ") + 1 < FEWEST_WORDS


def is_unspaced(text: str) -> bool:
    """Say whether most of a text is in a script that does not space words."""
    return not text.isascii() and 2 * len(UNSPACED.findall(text)) > len(text) - text.count(" ")


def runs(text: str) -> set[Run]:
    """Return the runs of three words, or of five characters where words are not spaced, of a normalised text."""
    if is_unspaced(text):
        text = text.replace(" ", "")
        return {text[n : n + RUN_OF_CHARACTERS] for n in range(len(text) - RUN_OF_CHARACTERS + 1)}
    words = text.split()
    return set(zip(*(words[n:] for n in range(RUN_OF_WORDS)), strict=False))


class Index:
    """Normalised texts, none of them short, by the rarest of their runs."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = list(dict.fromkeys(texts))
        self.known = set(self.texts)
        found = [runs(text) for text in self.texts]
        often = Counter(run for one in found for run in one)
        self.rank = {run: number for number, run in enumerate(sorted(often, key=often.__getitem__))}
        self.runs = [{self.rank[run] for run in one} for one in found]
        self.holding: dict[int, list[int]] = {}
        for number, ranks in enumerate(self.runs):
            for rank in sorted(ranks)[: len(ranks) - _least(len(ranks)) + 1]:
                self.holding.setdefault(rank, []).append(number)

    def find(self, text: str) -> dict[str, tuple[bool, float]]:
        """Return the texts that are the same as a text or nearly: is it exact, and the similarity."""
        text = normalised(text)
        if is_short(text):
            return {}
        found = {self.texts[number]: (False, alike) for number, alike in self._near(runs(text))}
        return {**found, text: (True, 1.0)} if text in self.known else found

    def _near(self, found: set[Run]) -> Iterator[tuple[int, float]]:
        """Yield the texts that are alike enough. Runs that no text has come first in the order, being the rarest."""
        ranks = {self.rank[run] for run in found if run in self.rank}
        surplus = len(ranks) - _least(len(found))
        if surplus < 0:
            return
        for number in {n for rank in sorted(ranks)[: surplus + 1] for n in self.holding.get(rank, ())}:
            shared = len(ranks & self.runs[number])
            union = len(found) + len(self.runs[number]) - shared
            if OF * shared >= ALIKE * union:
                yield number, shared / union


def _least(size: int) -> int:
    """Return how many runs a set must share with any that is like it."""
    return -(-ALIKE * size // OF)


def _matches(index: Index, train: Iterable[Example]) -> tuple[dict[str, Match], int]:
    """Return the best match of each text that has one, and the number of training examples."""
    best: dict[str, Match] = {}
    passed = 0
    find = lru_cache(maxsize=64)(index.find)  # a passage comes with each of its questions
    for one in train:
        passed += 1
        for text in texts(one).values():
            for found, (exact, similarity) in find(text).items():
                if found not in best or (exact, similarity) > (best[found].exact, best[found].similarity):
                    best[found] = Match(exact, similarity, one.id)
    return best, passed


def _field(name: str, seen: Sequence[Mapping[str, Match | None]], short: int) -> Field:
    found = [one[name] for one in seen if name in one]
    exact = sum(one is not None and one.exact for one in found)
    return Field(name, len(found), exact, sum(one is not None for one in found) - exact, short)


def _samples(
    names: Iterable[str], seen: Sequence[Mapping[str, Match | None]], test: Sequence[Example]
) -> Iterator[Pair]:
    """Yield a few pairs of each field, at most ten in all: those that are least alike first, which want a look."""
    found = {name: [(m, one.id) for one, row in zip(test, seen, strict=True) if (m := row.get(name))] for name in names}
    each = SAMPLES // max(1, sum(bool(pairs) for pairs in found.values()))
    for name, pairs in found.items():
        for match, id in sorted(pairs)[:each]:
            yield Pair(name, id, match.train, round(match.similarity, 4))


def _counted(one: Field) -> str:
    how = [f"{count:,} {said}" for count, said in ((one.exact, "exactly"), (one.near, "nearly")) if count]
    return f"{one.exact + one.near:,} of {one.examples:,} {PLURAL.get(one.name, f'{one.name}s')} ({', '.join(how)})"


def _called(data: DatasetSplit, split: str) -> str:
    """Return what a sentence calls data: with the split where it is not the usual one."""
    return f"{data.task} {data.language}" + ("" if data.split == split else f" ({data.split})")


def _data(stage: Stage) -> DatasetSplit:
    data = stage.arguments["data"]
    assert isinstance(data, DatasetSplit)
    return data


class _Spaces(dict[int, int]):
    """A table for `str.translate` that learns: a character stays if it is a letter, a mark or a number."""

    def __missing__(self, code: int) -> int:
        self[code] = code if unicodedata.category(chr(code))[0] in "LMN" else ord(" ")
        return self[code]


_SPACES = _Spaces()
