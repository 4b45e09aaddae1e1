from __future__ import annotations

import re
from io import StringIO

import pytest
from rich.console import Console

from xstilts.runtime.tables import NOTHING, Cell, TableView, number, signed, table


def gains() -> TableView:
    return table(
        "Gains <b>",
        ("task", "gain", "runs"),
        [("mnli", signed(1.2, keys=("a",)), 3), ("a|b", None, 12345)],
        units=("", "points", ""),
        note="Paired by seed.",
    )


def printed(view: TableView, **options: bool) -> str:
    file = StringIO()
    Console(file=file, width=80).print(view.to_rich(**options))
    return file.getvalue()


def test_all_renderings_show_the_same_cells_and_units() -> None:
    for shown in (gains().to_markdown(), str(gains().to_html()), printed(gains())):
        for text in ("task", "gain (points)", "mnli", "+1.20", NOTHING, "12,345", "Paired by seed."):
            assert text in shown


def test_texts_are_escaped_in_html_and_markdown_and_no_markup_in_the_terminal() -> None:
    assert "Gains &lt;b&gt;" in gains().to_html()
    assert r"| a\|b |" in gains().to_markdown()
    assert "[red]" in printed(table("T", ("a",), [("[red]x",)]))


def test_numbers_are_right_aligned_unless_the_table_says_otherwise() -> None:
    assert gains().alignments == ("left", "right", "right")
    assert gains().to_markdown().splitlines()[1] == "| --- | ---: | ---: |"
    centred = table("T", ("a", "b"), [("x", 1)], align=("left", "center"))
    assert centred.to_markdown().splitlines()[1] == "| --- | :---: |"
    assert re.search(r'<td class="number" data-value="3">3</td>', str(gains().to_html()))


def test_a_table_that_stands_alone_links_nothing() -> None:
    assert "href" not in gains().to_html()
    assert gains()._repr_html_() == gains().to_html()


def test_a_live_table_has_neither_title_nor_lines() -> None:
    shown = printed(gains(), lines=False)
    assert "Gains" not in shown
    assert "│" not in shown


def test_columns_keep_their_units_and_alignment_when_others_go() -> None:
    view = table("T", ("a", "b", "c"), [("x", "y", 1), ("x", "z", 2)], units=("", "", "s")).trimmed()
    assert view.columns == ("b", "c")
    assert view.headings == ("b", "c (s)")
    assert view.note == "In all rows: a x."


def test_columns_to_drop_may_come_from_a_generator() -> None:
    assert gains().without_columns(at for at in (0, 2)).columns == ("gain",)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_what_is_not_known_is_a_dash(value: float | None) -> None:
    assert number(value, keys=("k",)) == signed(value, keys=("k",)) == Cell(NOTHING, None, ("k",))
