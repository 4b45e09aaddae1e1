"""Bitext: two monolingual texts, and the pairs of lines that are translations: BUCC's files and the hub's.

Rows are the sentences of both sides, the foreign ones first. With the option `asked` ("even" or "odd") only foreign
sentences of such line numbers (from 0) are queries; the others are bystanders, which are searched but not scored, so
that one set of files gives a part to choose a threshold on and a part to score.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xstilts.data.readers import field_types
from xstilts.data.readers.parquet import parquet
from xstilts.data.readers.row import Input, Options, Report, Row, bad
from xstilts.data.readers.text_lines import lines

Sentence = tuple[str, str, str]  # place, id, text
PARITY = {"even": 0, "odd": 1}


def bitext(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read `id TAB sentence` of the foreign and the English side and, third, `foreign id TAB English id` of the gold.

    Without a third file no pair is known.
    """
    foreign, english = (list(_fields(file, report)) for file in files[:2])
    gold = list(_fields(files[2], report)) if len(files) > 2 else []
    known = [{id for _, id, _ in side} for side in (foreign, english)]
    targets: dict[str, list[str]] = {}
    for place, source, target in gold:
        for id, side, file in ((source, known[0], files[0]), (target, known[1], files[1])):
            if id not in side:
                raise bad(
                    place, f"expected ids of both sides, found {id!r}", f"it is not in {file.name}: get both again"
                )
        if target in targets.setdefault(source, []):
            raise bad(place, f"expected pairs that occur once, found {source!r} {target!r} again", "remove the line")
        targets[source].append(target)
    yield from _rows(foreign, english, targets, options)


def bitext_parquet(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read the hub's form: one row with both sides as lists and the gold as pairs of places from 1."""
    for row in parquet(files, {"columns": ("sentence1", "sentence2", "gold")}, report):
        foreign, english = (
            [
                (f"{row.place}, {column}[{n}]", f"{side}-{n + 1}", text)
                for n, text in enumerate(field_types.texts(row.values[column], column, row.place, report))
            ]
            for side, column in (("xx", "sentence1"), ("en", "sentence2"))
        )
        targets: dict[str, list[str]] = {}
        for number, (a, b) in enumerate(_gold(row.values["gold"], row.place)):
            if not (1 <= a <= len(foreign) and 1 <= b <= len(english)):
                place = f"{row.place}, gold[{number}]"
                raise bad(place, f"expected places in both lists, found {(a, b)}", "the file is damaged: get it again")
            targets.setdefault(foreign[a - 1][1], []).append(english[b - 1][1])
        yield from _rows(foreign, english, targets, options)


def _gold(pairs: Any, place: str) -> list[tuple[int, int]]:
    """Return the gold pairs of a row; InputError where they are no pairs of numbers."""
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise bad(place, f"expected pairs in 'gold', found {field_types.shown(pairs)}", "get the file again")
    a, b = ([field_types.integer(pair[side], "gold", place) for pair in pairs] for side in (0, 1))
    return list(zip(a, b, strict=True))


def _rows(
    foreign: Sequence[Sentence], english: Sequence[Sentence], targets: Mapping[str, list[str]], options: Options
) -> Iterator[Row]:
    parity = PARITY.get(str(options.get("asked")))
    for number, (place, id, text) in enumerate(foreign):
        side = "query" if parity is None or number % 2 == parity else "bystander"
        yield Row(place, _passage(id, text, side, tuple(targets.get(id, ())) if side == "query" else ()))
    for place, id, text in english:
        yield Row(place, _passage(id, text, "candidate", ()))


def _passage(id: str, text: str, side: str, targets: tuple[str, ...]) -> dict[str, Any]:
    return {"id": id, "text": text, "side": side, "targets": targets}


def _fields(file: Input, report: Report) -> Iterator[Sentence]:
    for number, line in lines(file, report):
        place, fields = f"{file.name}:{number}", line.split("\t")
        if len(fields) != 2 or not all(field.strip() for field in fields):
            problem = f"expected two fields with a tab between, found {len(fields)} in {line[:60]!r}"
            raise bad(place, problem, "the line is cut or damaged: get the file again")
        yield place, fields[0], fields[1]
