"""Golden sets: real questions, graded works, statements that bear on them or do not, and pairs of findings.

A golden set is a folder of JSON-lines files:

    questions.jsonl    question (its id), text
    works.jsonl        question, key, grade: 2 has a finding of its own that answers, 1 is on the topic, 0 is off topic
    statements.jsonl   question, key, sentence, bears, and what a reader saw in it (optional)
    pairs.jsonl        key_a, sentence_a, key_b, sentence_b, relation (optional)

A work that a question has no grade of is unjudged, which is not the same as wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xstilts.errors import InputError

OFF_TOPIC, ON_TOPIC, ANSWERS = GRADES = (0, 1, 2)
QUESTIONS, WORKS, STATEMENTS, PAIRS = ("questions.jsonl", "works.jsonl", "statements.jsonl", "pairs.jsonl")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class GoldenQuestion:
    """A question of a golden set.

    Attributes:
        id: Its id.
        text: The question, as a user asks it.
        grades: Grade of each judged work, by its key.
    """

    id: str
    text: str
    grades: Mapping[str, int]


@dataclass(frozen=True)
class GoldenSet:
    """A golden set.

    Attributes:
        folder: Where it was read from.
        questions: Its questions with the works judged for them, in the order of the file.
        statements: Rows of statements.jsonl.
        pairs: Rows of pairs.jsonl.
    """

    folder: Path
    questions: tuple[GoldenQuestion, ...]
    statements: tuple[Row, ...] = ()
    pairs: tuple[Row, ...] = ()


def read(folder: Path) -> GoldenSet:
    """Read a golden set.

    Args:
        folder: Its folder.

    Returns:
        The golden set.

    Raises:
        InputError: A file is missing or no JSON lines, a row lacks a field, or a grade is none.
    """
    texts = {row["question"]: row["text"] for row in _rows(folder / QUESTIONS, ("question", "text"))}
    grades: dict[str, dict[str, int]] = {question: {} for question in texts}
    for row in _rows(folder / WORKS, ("question", "key", "grade")):
        if row["question"] not in grades:
            raise InputError(f"{folder / WORKS}: question {row['question']!r} is not in {QUESTIONS}")
        if row["grade"] not in GRADES:
            raise InputError(f"{folder / WORKS}: grade {row['grade']!r} of {row['key']}; grades are 0, 1 and 2")
        grades[row["question"]][row["key"]] = row["grade"]
    if not texts:
        raise InputError(f"{folder / QUESTIONS} holds no question")
    questions = tuple(GoldenQuestion(name, text, grades[name]) for name, text in texts.items())
    statements = _rows(folder / STATEMENTS, ("question", "key", "sentence", "bears"), optional=True)
    pairs = _rows(folder / PAIRS, ("key_a", "sentence_a", "key_b", "sentence_b", "relation"), optional=True)
    return GoldenSet(folder, questions, tuple(statements), tuple(pairs))


def _rows(path: Path, fields: tuple[str, ...], optional: bool = False) -> list[dict[str, Any]]:
    if optional and not path.exists():
        return []
    try:
        # not splitlines(): texts contain other line separators
        rows = [json.loads(line) for line in path.read_bytes().decode().split("\n") if line.strip()]
    except FileNotFoundError as error:
        raise InputError(f"{path.parent} is no golden set: it has no {path.name}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON lines ({error})") from error
    for number, row in enumerate(rows, 1):
        absent = [name for name in fields if not isinstance(row, dict) or name not in row]
        if absent:
            raise InputError(f"{path}, row {number}: no {', '.join(absent)}; a row has {', '.join(fields)}")
    return rows
