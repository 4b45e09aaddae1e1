"""Submission formats: the files that the benchmarks' own scorer takes: a folder a task, one file a language, its text.

There is one form for each task format; other folders and other names of labels are in two small tables. Every form can
be read back, so that what was written can be scored as the leaderboard will score it. Files are ASCII, because
google-research/xtreme opens them in whatever encoding its machine has.

>>> layout("pawsx", "classification").path("de")
'pawsx/test-de.tsv'
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xstilts.data.examples import BitextExample, Example
from xstilts.errors import InputError

Answers = Mapping[str, Any]

FOLDERS = {"bucc": "bucc2018"}
SPELLED = {"pawsx": {"different": "0", "paraphrase": "1"}}


@dataclass(frozen=True)
class Form:
    """The files of a task format.

    Attributes:
        ending: Ending of the file names, without the dot.
        text: From examples and answers by example id to the text of a file.
        answers: From examples and the text of a file to answers by example id.
        prefixed: Whether ids begin with the language's code, as BUCC's do.
    """

    ending: str
    text: Callable[[Sequence[Any], Answers], str]
    answers: Callable[[Sequence[Any], str], dict[str, Any]]
    prefixed: bool = False


@dataclass(frozen=True)
class Layout:
    """The files of a task.

    Attributes:
        folder: Folder below the submission.
        form: Form of the files.
        spelled: The leaderboard's names of labels, by label.
    """

    folder: str
    form: Form
    spelled: Mapping[str, str]

    def path(self, language: str) -> str:
        """Return the path of a language's file below the submission."""
        return f"{self.folder}/test-{language}.{self.form.ending}"

    def text(self, examples: Sequence[Example], answers: Answers) -> str:
        """Return the text of a submission's file.

        Args:
            examples: The examples, in the order of the file.
            answers: The prediction of each example, by id, as the task's metric takes it.

        Returns:
            The text.
        """
        return self.form.text(examples, _renamed(answers, self.spelled))

    def answers(self, examples: Sequence[Example], text: str) -> dict[str, Any]:
        """Return the answers in a file's text.

        Args:
            examples: The examples that the file must answer.
            text: The text of the file.

        Returns:
            The prediction of each example, by id, as the task's metric takes it.

        Raises:
            InputError: It does not answer exactly these examples.
        """
        return _renamed(self.form.answers(examples, text), {official: own for own, official in self.spelled.items()})

    def note(self, examples: Sequence[Example], language: str) -> str:
        """Return what keeps a leaderboard from scoring the file, such as ids that it does not know.

        Args:
            examples: The examples of the file.
            language: The code of their language, with which the benchmark's ids begin.

        Returns:
            A sentence; "" for nothing.
        """
        unknown = [example.id for example in examples if not example.id.startswith(f"{language}-")]
        if not (self.form.prefixed and unknown):
            return ""
        return f"ids such as '{unknown[0]}' are not the benchmark's: predict on its own files to submit"


def layout(task: str, format: str) -> Layout:
    """Return the files of a task.

    Args:
        task: Name of the task.
        format: Its task format.

    Returns:
        Folder, form and spelling of the files.

    Raises:
        InputError: No leaderboard has such a format.
    """
    if format not in FORMS:
        raise InputError(f"'{task}' ({format}) is in no leaderboard: give a target of format {', '.join(FORMS)}")
    return Layout(FOLDERS.get(task, task), FORMS[format], SPELLED.get(task, {}))


def _renamed(answers: Answers, names: Mapping[str, str]) -> dict[str, Any]:
    return {id: names[answer] for id, answer in answers.items()} if names else dict(answers)


def _label_text(examples: Sequence[Example], answers: Answers) -> str:
    return "".join(f"{answers[example.id]}\n" for example in examples)


def _labels(examples: Sequence[Example], text: str) -> dict[str, Any]:
    return _one_each(examples, _lines(text))


def _choice_text(examples: Sequence[Example], answers: Answers) -> str:
    return "".join(json.dumps({"label": answers[example.id]}) + "\n" for example in examples)


def _choices(examples: Sequence[Example], text: str) -> dict[str, Any]:
    return _one_each(examples, [json.loads(line)["label"] for line in _lines(text)])


def _tag_text(examples: Sequence[Example], answers: Answers) -> str:
    """Return one tag a line; a blank line ends every sentence, the last too, so that an empty one is not lost."""
    return "".join("".join(f"{tag}\n" for tag in answers[example.id]) + "\n" for example in examples)


def _tags(examples: Sequence[Example], text: str) -> dict[str, Any]:
    sentences: list[list[str]] = [[]]
    for line in _lines(text):
        if line:
            sentences[-1].append(line)
        else:
            sentences.append([])
    return _one_each(examples, sentences[:-1])


def _json_text(examples: Sequence[Example], answers: Answers) -> str:
    return json.dumps({example.id: answers[example.id] for example in examples}, indent=1) + "\n"


def _json_answers(examples: Sequence[Example], text: str) -> dict[str, Any]:
    answers: dict[str, Any] = json.loads(text)
    _same_ids([example.id for example in examples], answers)
    return answers


def _row_text(examples: Sequence[BitextExample], answers: Answers) -> str:
    """Return for each English line, in the order of XTREME's file, the predicted row, counted from 0."""
    rows = {example.id: row for row, example in enumerate(examples)}
    return "".join(f"{rows[answers[example.id]]}\n" for example in _by_english(examples))


def _rows(examples: Sequence[BitextExample], text: str) -> dict[str, Any]:
    ids = [example.id for example in examples]
    return _one_each(_by_english(examples), [ids[int(line)] for line in _lines(text)])


def _by_english(examples: Sequence[BitextExample]) -> list[BitextExample]:
    """Return pairs as XTREME orders its English lines: sorted, and equal lines as they were."""
    return sorted(examples, key=lambda example: example.english)


def _pair_text(examples: Sequence[Example], answers: Answers) -> str:
    pairs = [(example.id, answers[example.id]) for example in examples]
    return "".join(f"{source}\t{english}\n" for source, english in pairs if english is not None)


def _pairs(examples: Sequence[Example], text: str) -> dict[str, Any]:
    pairs = [(source, english) for source, _, english in (line.partition("\t") for line in _lines(text))]
    answers: dict[str, Any] = {example.id: None for example in examples}
    _same_ids(answers, {**answers, **dict(pairs)})
    return {**answers, **dict(pairs)}


FORMS = {
    "classification": Form("tsv", _label_text, _labels),
    "token_classification": Form("tsv", _tag_text, _tags),
    "extractive_qa": Form("json", _json_text, _json_answers),
    "multiple_choice": Form("jsonl", _choice_text, _choices),
    "bitext_retrieval": Form("tsv", _row_text, _rows),
    "bitext_mining": Form("tsv", _pair_text, _pairs, prefixed=True),
    "passage_ranking": Form("json", _json_text, _json_answers),
}


def _lines(text: str) -> list[str]:
    return text.split("\n")[:-1]


def _one_each(examples: Sequence[Example], answers: Sequence[Any]) -> dict[str, Any]:
    if len(answers) != len(examples):
        raise InputError(
            f"expected an answer to each of {len(examples)} examples, found {len(answers)}: write them again"
        )
    return {example.id: answer for example, answer in zip(examples, answers, strict=True)}


def _same_ids(expected: Iterable[str], answered: Iterable[str]) -> None:
    different = sorted(set(expected) ^ set(answered))
    if different:
        raise InputError(f"expected answers to the ids of the test set, found '{different[0]}' on one side only")
