"""Translated splits: training and test data in other languages than they were made in, as options of a run.

Translate-train adds training data of the target in other languages, translated from the usual one. Translate-test
translates the test data into the language of the training data and predicts on that. The translations are a user's, in
`translated/<task>/` of the data folder, or those of a translation model (`translation.model`).

>>> Translation(train=("sw", "hi"), model="facebook/m2m100_418M").describe()
'translate-train (sw, hi); translated by facebook/m2m100_418M'
>>> Translation(test=True).describe()
'translate-test; translations as given'
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xstilts.data.dataset import DataFile, DatasetSplit
from xstilts.data.languages import codes, language
from xstilts.errors import InputError, did_you_mean
from xstilts.experiments.splits import DataFolder, Splits
from xstilts.models.encoder import Encoder
from xstilts.store import names
from xstilts.store.memo import memoised
from xstilts.store.stage import Stage
from xstilts.tasks.base import Task
from xstilts.translation import stages
from xstilts.translation.model import Translator
from xstilts.translation.texts import FORMATS, LABELLED

FIELDS = {
    "classification": ("text_a", "text_b"),
    "multiple_choice": ("context", "question", "choices"),
    "token_classification": ("text",),
    "extractive_qa": ("context", "question"),
}


@dataclass(frozen=True)
class Translation:
    """Which data of a run are translated, and by what.

    Attributes:
        train: Languages into which the target's training data are translated, beside those that it is trained in.
        test: Predict on test data that are translated into the language of the training data.
        model: A folder or a hub id of a translation model, with `{source}` and `{target}` where each pair of languages
            has a model of its own; "": translations are given as files.
        projection: How labels that are parts of a text are found in a model's translation: "markers" or "alignment".
        beams: Beams of the model's search; 1: greedy.

    Raises:
        InputError: A language or a projection is unknown, or there are less than one beam.
    """

    train: tuple[str, ...] = ()
    test: bool = False
    model: str = ""
    projection: str = stages.MARKERS
    beams: int = 1

    def __post_init__(self) -> None:
        for code in self.train:
            language(code)
        if len(set(self.train)) < len(self.train):
            raise InputError(f"a language is named twice in {', '.join(self.train)}: name each once")
        if self.projection not in stages.PROJECTIONS:
            hint = did_you_mean(self.projection, stages.PROJECTIONS, {"marks": "markers", "align": "alignment"})
            raise InputError(f"unknown projection '{self.projection}'; {hint}")
        if self.beams < 1:
            raise InputError(f"{self.beams} beams cannot be searched with: give 1 (greedy) or more")

    def trained_in(self, task: Task) -> Task:
        """Return a task with training data in the languages of translate-train too."""
        more = tuple(code for code in self.train if code not in task.trained_in)
        return task.with_training_languages((*task.trained_in, *more)) if more else task

    def describe(self) -> str:
        """Return what is translated, for tables."""
        forms = [f"translate-train ({', '.join(self.train)})"] if self.train else []
        forms += ["translate-test"] if self.test else []
        if not forms:
            return f"training data that are not there are translated by {self.model}"
        return f"{' and '.join(forms)}; {f'translated by {self.model}' if self.model else 'translations as given'}"

    def check(self, target: Task) -> None:
        """Check that a target's data can be translated.

        Raises:
            InputError: They cannot: texts of retrieval are compared across languages, raw text has no labels.
        """
        if (self.train or self.test) and target.format not in FORMATS:
            raise InputError(
                f"'{target.name}' ({target.format}) has no translate-train or translate-test: give a target of "
                f"{', '.join(FORMATS)}"
            )


@dataclass(frozen=True)
class TranslatedSplits:
    """The splits of a run, and training data that are translated where there are none in a language.

    Attributes:
        base: The splits that are there.
        translation: What is translated, and by what.
        aligner: The encoder that aligns words.
    """

    base: Splits
    translation: Translation
    aligner: Encoder | Stage

    def has(self, task: Task, split: str, language: str) -> bool:
        """Return whether a split exists in a language with its answers, or can be translated for training.

        Args:
            task: The task.
            split: "train", "validation" or "test".
            language: The code of the language.
        """
        if self.base.has(task, split, language):
            return True
        return split == "train" and bool(self._translations(task, split, pivot_of(task), language))

    def withheld(self, task: Task, split: str, language: str) -> bool:
        """Return whether a split exists in a language without its answers.

        Args:
            task: The task.
            split: "train", "validation" or "test".
            language: The code of the language.
        """
        return self.base.withheld(task, split, language)

    def read(self, task: Task, split: str, language: str) -> Stage:
        """Return the stage that reads a split in a language, or that translates it for training.

        Args:
            task: The task.
            split: "train", "validation" or "test".
            language: The code of the language.

        Raises:
            InputError: The split does not exist and cannot be translated; the message names every place looked at.
        """
        if split == "train" and not self.base.has(task, split, language):
            return memoised(task, ("translated train", self, language), lambda: self._translated_train(task, language))
        return self.base.read(task, split, language)

    def in_training_language(self, task: Task, split: str, language: str) -> Stage | None:
        """Return the stage of a split that is translated into the language of the training data.

        Args:
            task: The task.
            split: "train", "validation" or "test".
            language: The code of the language.

        Returns:
            The stage; None where the split is in that language.

        Raises:
            InputError: There are no translations and no model; the message names every place looked at.
        """
        pivot = pivot_of(task)
        if set(codes(language)) == {pivot}:
            return None
        return memoised(
            task, ("translated", self, split, language), lambda: self._translated_test(task, split, language)
        )

    def _translated_train(self, task: Task, language: str) -> Stage:
        pivot = pivot_of(task)
        if language == pivot or not self.base.has(task, "train", pivot):
            return self.base.read(task, "train", language)
        translations = self._translations(task, "train", pivot, language)
        if translations is None:
            raise self._missing(task, "train", pivot, language)
        # Given translations have no marks.
        aligned = translations.work.name == names.GIVEN_TRANSLATIONS or self._method(task) == stages.ALIGNMENT
        return self._examples(task, "train", pivot, language, translations, aligned, predicted=False)

    def _translated_test(self, task: Task, split: str, language: str) -> Stage:
        pivot = pivot_of(task)
        translations = self._translations(task, split, language, pivot)
        if translations is None:
            raise self._missing(task, split, language, pivot)
        return self._examples(task, split, language, pivot, translations, True, predicted=True)

    def _examples(
        self, task: Task, split: str, source: str, target: str, translations: Stage, aligned: bool, predicted: bool
    ) -> Stage:
        original = self.base.read(task, split, source)
        meaning = (("reader", "translation"), ("from", source))
        data = DatasetSplit(task.name, task.format, split, target, task.labels, meaning, ())
        labelled = task.format in LABELLED
        method = (stages.ALIGNMENT if aligned else stages.MARKERS) if labelled else ""
        aligner = self.aligner if labelled and aligned else None
        return stages.translated(data, original, translations, method, aligner, predicted)

    def _translations(self, task: Task, split: str, source: str, target: str) -> Stage | None:
        """Return the stage of the translations of a split: a user's files first, then the model's."""
        there = self.base.has(task, split, source) or self.base.withheld(task, split, source)
        if task.format not in FORMATS or not there:
            return None
        original = self.base.read(task, split, source)
        if isinstance(self.base, DataFolder):
            if given := self._given(task, split, source, target):
                files, fields = given
                return stages.given(original, files, fields, target)
        elif not self.translation.model:  # a forecast, which looks at no files
            return stages.given(original, (), (), target)
        if not self.translation.model:
            return None
        translators = tuple(
            (code, Translator.of(Translator.named(self.translation.model, code, target), self.translation.beams))
            for code in dict.fromkeys(codes(source))
            if code != target
        )
        marked = split == "train" and task.format in LABELLED and self._method(task) == stages.MARKERS
        return stages.translate(original, translators, target, marked)

    def _method(self, task: Task) -> str:
        """Return how labels are projected: a tag of every word, as a part of speech, cannot be marked."""
        every_word = task.format == "token_classification" and bool(task.labels) and "O" not in task.labels
        return stages.ALIGNMENT if every_word else self.translation.projection

    def _given(
        self, task: Task, split: str, source: str, target: str
    ) -> tuple[tuple[DataFile, ...], tuple[str, ...]] | None:
        folder = self.base.path if isinstance(self.base, DataFolder) else None
        if folder is None:
            return None
        rows, *texts = [folder / place for place in places(task, split, source, target)]
        if rows.is_file():
            return (DataFile.of(rows, folder),), ()
        there = [(path, field) for path, field in zip(texts, FIELDS[task.format], strict=True) if path.is_file()]
        if not there:
            return None
        return tuple(DataFile.of(path, folder) for path, _ in there), tuple(field for _, field in there)

    def _missing(self, task: Task, split: str, source: str, target: str) -> InputError:
        looked = ", ".join(places(task, split, source, target))
        folder: Path | str | None = self.base.path if isinstance(self.base, DataFolder) else None
        return InputError(
            f"there are no translations of the {split} data of '{task.name}' from '{source}' into '{target}' below "
            f"{folder or '(no --data given)'}: looked for {looked}; give them, or a translation model with "
            "--translate MODEL"
        )


def pivot_of(task: Task) -> str:
    """Return the language that a task's training data are translated from, and its test data into."""
    return task.usual_languages[0]


def places(task: Task, split: str, source: str, target: str) -> Iterator[str]:
    """Yield where translations of a split may be given in the data folder: JSON lines, then a text for each field."""
    stem = f"translated/{task.name}/{split}-{source}-{target}"
    yield f"{stem}.jsonl"
    yield from (f"{stem}.{field}.txt" for field in FIELDS[task.format])
