"""Tables of a forecast in narrow terminals: no word of them is broken."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from xstilts.planning.render import ARMS, LINES, POWERS, SIZES, _table

ROWS = [["", "sandbox", *["4"] * 9, "yes"], ["the study", "", *["6.78e-08"] * 9, "no"]]


@pytest.mark.parametrize("width", [*range(48, 130, 9), 200])
def test_words_stay_whole_at_any_width(width: int) -> None:
    file = io.StringIO()
    Console(file=file, width=width).print(_table("what it takes", ARMS, ROWS))
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    words = {word for cells in (ARMS, *ROWS) for cell in cells for word in cell.split()}
    assert {word for word in words if not any(word in line.split() or word in line for line in lines)} == set()
    assert lines[0].strip() == "what it takes"


@pytest.mark.parametrize("columns", [ARMS, LINES, POWERS, SIZES])
def test_every_column_has_a_name_of_its_own(columns: tuple[str, ...]) -> None:
    assert all(columns)
    assert len(set(columns)) == len(columns)
