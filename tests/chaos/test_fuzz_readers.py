"""Mutated files of every form that a task reads: each is refused, or every row of it is read or counted."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzzing import SEED, Lost, Tally, inputs, mutated_bytes, mutated_json, mutated_json_lines, mutated_value
from test_corrupt_files import DOCUMENTS, JSON_LINES, PARQUET, made, of_tests

from forms import Form
from xstilts.data import examples

pytestmark = pytest.mark.chaos
METADATA = [
    *(b"{", b"[]", b"null", b"\xff", b"[" * 3000, b'{"info": []}', b'{"info": {"features": []}}'),
    *(b'{"info": {"features": {"label": %s}}}' % part for part in (b"[]", b'{"names": null}', b'{"names": ["a"]}', b'{"names": {"0": "a"}}', b'{"feature": []}')),
]  # fmt: skip


def mutated_parquet(raw: bytes, dice: Random) -> bytes:
    """Return a Parquet file with a column emptied, doubled or of another type, other metadata, or other values."""
    table, stream = pq.read_table(io.BytesIO(raw)), io.BytesIO()
    name = dice.choice(table.column_names)
    place = table.schema.get_field_index(name)
    try:
        match dice.randrange(8):
            case 0:
                table = table.set_column(place, name, pa.nulls(table.num_rows))
            case 1:
                table = table.append_column(name, table.column(dice.randrange(table.num_columns)))
            case 2:
                table = table.set_column(place, name, pa.array([dice.choice([1, 2.5, -7])] * table.num_rows))
            case 3:
                table = table.replace_schema_metadata({b"huggingface": dice.choice(METADATA)})
            case 4 | 5:
                table = pa.Table.from_pylist([mutated_value(row, dice) for row in table.to_pylist()])
            case _:
                return mutated_bytes(raw, dice, dice.randint(1, 3))
        pq.write_table(table, stream)
    except (pa.ArrowException, ValueError, TypeError, OverflowError, LookupError):
        return mutated_bytes(raw, dice)
    return stream.getvalue()


def mutated(form: Form, path: str, raw: bytes, dice: Random) -> bytes:
    """Return a file of a form, mutated as what it is: a table, a document, lines of JSON, or text."""
    if form.source.reader in PARQUET or path.endswith(".parquet"):
        return mutated_parquet(raw, dice)
    if form.source.reader in DOCUMENTS:
        return mutated_json(raw, dice)
    if form.source.reader in JSON_LINES:
        return mutated_json_lines(raw, dice)
    return mutated_bytes(raw, dice, dice.choice([1, 1, 1, 2, 4]))


def records(form: Form, raw: bytes) -> int | None:
    """Return how many records a file holds, by a count of its own; None where that is not simple."""
    text = raw.decode("utf-8", "replace")
    reader, header = form.source.reader, bool(form.source.options.get("header"))
    blocks = [block for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")) if block.strip()]
    try:
        match reader:
            case "jsonl":
                return sum(bool(line.strip()) for line in text.split("\n"))
            case "tsv" if not form.source.options.get("quotes"):
                return sum(bool(line.strip()) for line in text.split("\n")) - header
            case "text":
                return len(text.removesuffix("\n").split("\n")) if text else 0
            case "squad" | "squad_pairs":
                return sum(len(p["qas"]) for article in json.loads(raw)["data"] for p in article["paragraphs"])
            case "parquet":
                return int(pq.read_metadata(io.BytesIO(raw)).num_rows)
            case "bible":
                return len(re.findall("<seg[ >/]", text))
            case "tagged" if not form.source.options.get("comments"):
                return len(blocks)
            case "conllu":
                return sum(any(line and line[0] != "#" for line in block.split("\n")) for block in blocks)
    except (ValueError, LookupError, TypeError, RecursionError, pa.ArrowException):
        pass
    return None


COUNTED = re.compile(r"dropped: |noted: (not in|of another split)")  # what a report says of rows that are not read


def read_whole(form: Form, files: dict[str, bytes], folder: Path) -> None:
    """Read files, write the examples, read them again; Lost where a record is neither read nor counted."""
    found, report = form.read(files, folder)
    examples.write(found, folder / "examples.jsonl")
    again = list(examples.read(folder / "examples.jsonl", form.task.format))
    if again != found:
        raise Lost(f"{form.source.reader}: examples that were written are read otherwise")
    if form.source.held_out:
        return
    counts = [records(form, raw) for raw in files.values()]
    if None not in counts:
        told = sum(times for reason, times in report.counts.items() if COUNTED.match(reason))
        total = sum(count for count in counts if count)
        if total != len(found) + told:
            raise Lost(f"{form.source.reader}: {total} records, {len(found)} read, {told} counted: {report.counts}")


def test_every_row_is_read_or_counted_or_the_file_refused(tmp_path: Path) -> None:
    dice, tally = Random(SEED), Tally("readers")
    forms = of_tests()
    for number in range(inputs(2500)):
        form = dice.choice(forms)
        files: dict[str, Any] = dict(made(form))
        path = dice.choice(sorted(files))
        files[path] = mutated(form, path, files[path], dice)
        folder = tmp_path / str(number)
        folder.mkdir()
        kinds = len(tally.broken)
        tally.attempt(lambda form=form, files=files, folder=folder: read_whole(form, files, folder), f"{form.label}, {path}, in {folder}", folder)  # type: ignore[misc]  # fmt: skip
        if len(tally.broken) == kinds:
            shutil.rmtree(folder)
    broken = tally.verdict()
    assert not broken, f"\n{broken}"
