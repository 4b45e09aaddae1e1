"""BibTeX: what is written is read back, TeX becomes text, and a broken entry harms no other."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xstilts.evidence.search import bibtex

WORDS = st.text(
    st.characters(categories=["L", "N", "P", "S"], exclude_characters="“”–—…\u2260\u226e\u226f"), min_size=1
)


@settings(deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=5))
def test_what_is_written_is_read_back(words: list[str]) -> None:
    title = unicodedata.normalize("NFC", " ".join(words))
    (read,) = bibtex.entries(bibtex.format_entry("article", "key-1", {"title": title, "year": "2021", "doi": ""}))
    assert read == {"type": "article", "key": "key-1", "title": title, "year": "2021"}


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"{\'{e}}t\'e, na{\"\i}ve", "été, naïve"),
        (r"\v{C}apek and {\v c}", "Čapek and č"),
        (r"\c{c}a {\AA}se \o re Stra\ss{}e", "ça Åse øre Straße"),
        (r"{BERT} {S}tudy: 3{\%} \& more", "BERT Study: 3% & more"),
        ("1--2 and ``so'' --- then~now", "1–2 and “so” — then now"),
        (r"\textbf{bold} \emph{words}", "bold words"),
    ],
)
def test_tex_becomes_text(tex: str, text: str) -> None:
    assert bibtex.tex_to_text(tex) == text


def test_fields_are_in_quotes_in_braces_or_bare() -> None:
    (read,) = bibtex.entries('@Book{k,\n  a = "x {"}y{"} z",\n b={p {q} r},\n c = 2020 , month = dec\n}')
    assert read == {"type": "book", "key": "k", "a": 'x "y" z', "b": "p q r", "c": "2020", "month": "dec"}


def test_a_broken_entry_harms_no_other() -> None:
    good = bibtex.format_entry("misc", "good", {"title": "Whole"})
    for broken in ("@misc{bad,\n title = {never closed\n", "@misc{bad,\n ???\n}\n", "@misc{bad"):
        keys = [entry["key"] for entry in bibtex.entries(f"{good}{broken}\n{good.replace('good', 'too')}")]
        assert [key for key in keys if key != "bad"] == ["good", "too"]


def test_entries_can_be_looked_at_before_they_are_read() -> None:
    text = bibtex.format_entry("misc", "one", {"title": "Layers"}) + bibtex.format_entry(
        "misc", "two", {"title": "Batches"}
    )
    one, two = bibtex.raw_entries(text)
    assert ("Layers" in one.tex, "Batches" in one.tex) == (True, False)
    assert [one.parse(), two.parse()] == list(bibtex.entries(text))
