"""SQuAD JSON: the format of SQuAD 1.1 and 2.0, and of XQuAD, MLQA, TyDiQA and ARCD.

A place is the path inside the file (`xquad.sw.json:data[4].paragraphs[0].qas[2]`), since such files often are one line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from xstilts.data.readers.field_types import parsed
from xstilts.data.readers.row import Input, Options, Report, Row, bad
from xstilts.data.readers.text_lines import lines


def squad(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read questions: id, context, question, answers (a list of text and answer_start), is_impossible in version 2."""
    for file in files:
        for article, at_article in items(document(file, report), "data", f"{file.name}:"):
            for paragraph, at_paragraph in items(article, "paragraphs", f"{at_article}."):
                context = field(paragraph, "context", at_paragraph)
                for question, place in items(paragraph, "qas", f"{at_paragraph}."):
                    field(question, "id", place)
                    yield Row(place, {**question, "context": context})


def document(file: Input, report: Report) -> Any:
    """Return the JSON of a file; InputError with line and column where it breaks."""
    whole = "\n".join(line for _, line in lines(file, report))
    try:
        return parsed(whole)
    except json.JSONDecodeError as error:
        problem = f"expected JSON, found text that ends or breaks at column {error.colno}"
        raise bad(f"{file.name}:{error.lineno}", problem, "the file is cut or damaged: get it again") from None
    except ValueError as error:
        raise bad(f"{file.name}:1", f"expected JSON: {error}", "is this file in SQuAD's format?") from None


def items(parent: Any, key: str, place: str) -> Iterator[tuple[Any, str]]:
    """Return the items of a list in an object, each with its place; InputError where there is no such list."""
    found = field(parent, key, place.rstrip(".:"))
    if not isinstance(found, list):
        raise bad(f"{place}{key}", f"expected a list, found {type(found).__name__}", "is this file in SQuAD's format?")
    return ((item, f"{place}{key}[{number}]") for number, item in enumerate(found))


def field(parent: Any, key: str, place: str) -> Any:
    """Return a value of an object; InputError where it has none of that name."""
    if not isinstance(parent, dict) or key not in parent:
        found = f"the keys {', '.join(parent)}" if isinstance(parent, dict) else type(parent).__name__
        raise bad(place, f"expected '{key}', found {found}", "is this file in SQuAD's format (data, paragraphs, qas)?")
    return parent[key]
