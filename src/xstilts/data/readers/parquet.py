"""Parquet: the form in which the Hugging Face hub keeps data sets.

Label numbers are turned into names where the file says what they mean (the hub writes the features of a data set into
the schema); otherwise they stay numbers, which index a task's labels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from xstilts.data.readers.row import Input, Options, Report, Row, bad, columns_of
from xstilts.errors import may_pass

DAMAGED = "the file is cut or damaged: get it again"
Names = dict[str, list[str]]


def parquet(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read rows of Parquet files; places are row numbers from 1. Option: columns (that must be there)."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    for file in files:
        try:
            table = ParquetFile(file.path)
        except (ArrowException, OSError) as error:
            if may_pass(error):
                raise
            raise bad(file.name, f"expected Parquet: {error}", DAMAGED) from None
        with table:
            _check(file, table.schema_arrow.names, columns_of(options))
            names = _label_names(table.schema_arrow.metadata or {})
            for number, values in enumerate(_values(file, table), 1):
                yield Row(f"{file.name}:row {number}", _named(values, names))


def _values(file: Input, table: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table; InputError with the row (or the first of its batch) where it cannot be read."""
    from pyarrow import ArrowException

    read = 0
    try:
        for batch in table.iter_batches():
            yield from _decoded(file, batch, read)
            read += batch.num_rows
    except (ArrowException, OSError) as error:
        if may_pass(error):
            raise
        raise bad(f"{file.name}:row {read + 1}", f"expected Parquet: {error}", DAMAGED) from None


def _decoded(file: Input, batch: Any, read: int) -> list[dict[str, Any]]:
    """Return the rows of a batch; InputError with the row that has text which is not UTF-8."""
    try:
        found: list[dict[str, Any]] = batch.to_pylist()
        return found
    except UnicodeDecodeError as error:
        wrong = next(row for row in range(batch.num_rows) if not _decodable(batch.slice(row, 1)))
        problem = f"expected UTF-8, found byte 0x{error.object[error.start]:02x}"
        raise bad(f"{file.name}:row {read + wrong + 1}", problem, DAMAGED) from None


def _decodable(rows: Any) -> bool:
    try:
        rows.to_pylist()
    except UnicodeDecodeError:
        return False
    return True


def _check(file: Input, found: list[str], needed: tuple[str, ...]) -> None:
    missing = [name for name in needed if name not in found]
    if missing:
        expected = f"expected the columns {', '.join(needed)}, found {', '.join(found)}"
        raise bad(file.name, expected, f"the missing {', '.join(missing)} may be called otherwise in this revision")


def _label_names(metadata: dict[bytes, bytes]) -> Names:
    """Return the names of label numbers by column; nothing where the schema does not say them in the hub's form."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        types = {column: feature.get("feature", feature) for column, feature in features.items()}
        return {column: list(type["names"]) for column, type in types.items() if "names" in type}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _named(values: dict[str, Any], names: Names) -> dict[str, Any]:
    return {column: _name(value, names[column]) if column in names else value for column, value in values.items()}


def _name(value: Any, names: list[str]) -> Any:
    if isinstance(value, list):
        return [_name(item, names) for item in value]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value
