"""CCG auto: CCG derivations in CCGbank's `.auto` files, read for their words and supertags.

A sentence is a line `ID=…` and a line with its tree, in which each leaf is `(<L category tag tag word category>)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from xstilts.data.readers.row import Input, Options, Report, Row, bad
from xstilts.data.readers.text_lines import lines

LEAF = re.compile(r"\(<L (\S+) (\S+) (\S+) (\S+) (\S+)>\)")


def auto(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read one sentence a tree: tokens, and as tags the categories of its leaves."""
    for file in files:
        id = ""
        for number, line in lines(file, report):
            if line.startswith("ID="):
                id = next(iter(line.removeprefix("ID=").split()), "")
                continue
            if not line.strip():
                continue
            place = f"{file.name}:{number}"
            leaves = LEAF.findall(line)
            _check(line, id, leaves, place)
            tokens, tags = zip(*((word, category) for category, _, _, word, _ in leaves), strict=True)
            yield Row(place, {"id": id, "tokens": tokens, "tags": tags})
            id = ""


def _check(line: str, id: str, leaves: Sequence[tuple[str, ...]], place: str) -> None:
    """Raise InputError unless a tree is whole and stands below its ID."""
    rest = LEAF.sub("", line)
    whole = leaves and "(<L" not in rest and rest.startswith("(<T") and rest.count("(") == rest.count(")")
    if not id or not (whole or (len(leaves) == 1 and not rest.strip())):
        what = "a tree below a line 'ID=…'" if not id else "a whole tree of (<T …> … ) and (<L …>)"
        raise bad(place, f"expected {what}, found {line[:60]!r}", "the line is cut or damaged: get the file again")
