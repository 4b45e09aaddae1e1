"""Footnotes and tables: out of the sentences that they interrupt, whole, and behind the text; nothing else moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstilts.evidence.search.pdf_layout import set_apart
from xstilts.evidence.text.documents import Document, sentences

TABLE = "Model en de avg\nmBERT 81.0 70.2 75.6\nXLM-R 84.1 76.0 80.0"
FOOT = "1 We use the base model,\nas others do.\n2https://example.org/code"
FIRST = f"""3 Results
Larger batches improve
accuracy on XNLI (Table 2).
{TABLE}
The gain is largest for German,1 and the code is public.2 It does
{FOOT}
7"""
SECOND = "not differ for others. In GPT-3 it is 4 points.\n4 Discussion\nIt is so."


def whole(*pages: str) -> list[str]:
    text = set_apart(pages)
    return [" ".join(one.text.split()) for one in sentences(Document("doc:a", "full text", text)) if one.whole]


def test_a_sentence_is_whole_across_a_footnote_and_a_page() -> None:
    found = whole(FIRST, SECOND)
    assert "Larger batches improve accuracy on XNLI (Table 2)." in found
    assert "The gain is largest for German,1 and the code is public.2 It does 7 not differ for others." in found or (
        "It does 7 not differ for others." in found
    )
    assert not any("mBERT" in one or "example.org" in one for one in found)
    assert "It is so." in found


def test_what_is_set_apart_is_kept_as_it_is() -> None:
    text = set_apart([FIRST, SECOND])
    *pages, aside = text.split("\f")
    assert len(pages) == 2
    assert aside == f"{TABLE}\n\n{FOOT}"
    assert sorted(text.replace("\f", "").replace("\n", "")) == sorted((FIRST + SECOND).replace("\n", ""))


@pytest.mark.parametrize(
    "page",
    [
        "4 Discussion\nWe use GPT-4 for it.\nIt is so.",  # a heading, and no mark
        "We list two:\n1 The first.\n2 The second.",  # no mark above
        "It rises from 1.0 to 2.0 and then to 3.0 points.\nIt falls by 2.0 points.",
        "In 2019 and 2020\n10 11 12 of them fell.",
        "",
    ],
)
def test_a_page_without_either_is_left_alone(page: str) -> None:
    assert set_apart([page]) == page


@given(st.lists(st.text("a1 .\n", max_size=60), max_size=3))
def test_no_letter_is_lost(pages: list[str]) -> None:
    kept = set_apart(pages)
    assert sorted(kept.split()) == sorted(kept.split())
    assert sorted("".join(kept.split())) == sorted("".join("".join(pages).split()))
