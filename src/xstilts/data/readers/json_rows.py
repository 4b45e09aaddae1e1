"""JSON rows: one JSON document whose rows are a list of objects, the document itself or one of its values.

A place is the path inside the file (`reviews.json:[4]`, `reviews.json:data[4]`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xstilts.data.readers.row import Input, Options, Report, Row, bad
from xstilts.data.readers.squad_json import document, items


def json_rows(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read a list of objects. Option: rows (the key of the document that holds it; without one, the document is it)."""
    key = str(options.get("rows", ""))
    for file in files:
        parsed = document(file, report)
        for values, place in items(parsed if key else {"": parsed}, key, f"{file.name}:"):
            if not isinstance(values, dict):
                raise bad(place, f"expected an object, found {type(values).__name__}", "write each row as {…}")
            yield Row(place, values)
