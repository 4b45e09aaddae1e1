"""Translations: training and test data of the sandbox's tasks in another language, as files that a user would give.

Meanings are the same in all languages, so that these translations are exact: what translate-train and translate-test
gain with them is what they can gain at most.

>>> row = next(rows("sandbox_nli", "train", "qac", {"make": "entailment", "train": 400}))
>>> sorted(row)
['id', 'label', 'language', 'text_a', 'text_b']
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from xstilts.data.examples import QAExample
from xstilts.sandbox.languages import ENGLISH_LIKE, LANGUAGES
from xstilts.sandbox.tasks import TARGETS, translated_examples

Options = Mapping[str, str | int | tuple[str, ...]]


def rows(task: str, split: str, code: str, options: Options) -> Iterator[dict[str, Any]]:
    """Yield the rows of a split in a language, whether or not the task has it there.

    Args:
        task: The name of the task.
        split: "train", "validation" or "test".
        code: The code of the language.
        options: Those of the task's source.

    Yields:
        Rows in this package's own form, with their language.
    """
    for example in islice(translated_examples(task, split, code, options), int(str(options.get(split, 0)))):
        row = {"language": code, **asdict(example)}
        if isinstance(example, QAExample):
            row["answers"] = [{"text": answer.text, "answer_start": answer.start} for answer in example.answers]
            del row["unanswerable"]
        yield row


def write(task: str, options: Options, folder: Path) -> list[Path]:
    """Write a task's training data in all other languages, and its test data in the English-like one.

    Args:
        task: The name of the task.
        options: Those of the task's source.
        folder: The data folder; `translated/<task>/` is made in it.

    Returns:
        The files; none for a task that is trained in all languages, or is no task of labels.
    """
    if options["make"] not in TARGETS:
        return []
    codes = [tongue.code for tongue in LANGUAGES if tongue != ENGLISH_LIKE]
    translated, english = folder / "translated" / task, ENGLISH_LIKE.code
    files = {translated / f"train-{code}.jsonl": ("train", code) for code in codes}
    files |= {translated / f"test-{code}-{english}.jsonl": ("test", english) for code in codes}
    translated.mkdir(parents=True, exist_ok=True)
    for path, (split, code) in files.items():
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows(task, split, code, options))
        path.write_text("".join(lines), encoding="utf-8", newline="\n")
    return list(files)
