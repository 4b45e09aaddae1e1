"""Texts made to be slow: whatever reads a text takes time in proportion to its length.

A text of `LETTERS` letters takes a function of linear time some tenths of a second, and one of quadratic time many
minutes: no clock is compared, a text that is not read within `fuzzing.PATIENCE` seconds hangs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

import pytest
from fuzzing import SEED, Tally, inputs

from xstilts.data.readers.ccg_auto import LEAF
from xstilts.data.readers.delimited import FIELD, OPEN, QUOTED
from xstilts.data.readers.xquad_r import sentence_at
from xstilts.evidence.claims import effect_direction, finding_record, sentence_kind, statement
from xstilts.evidence.search import bibtex, identifiers, markup, pdf_layout, pdf_text, work
from xstilts.evidence.search.sources import folder
from xstilts.evidence.text import documents, hedges, numbers, stemming
from xstilts.evidence.text.documents import Document
from xstilts.translation import markers

pytestmark = pytest.mark.chaos
LETTERS = 60_000
PIECES = [
    *("!", "a. ", ".", "1", "1,", "1.", "1 ", "(", "(1999 ", "[1,", "a-", " ", "\n", " \n", "\t", "<", "<a", "<a ", "</", "&"),
    *("{\\", "\\", "%", "5% ", "5 ", "et al. ", '"', "A", "A ", "A, ", "(<L a a a a ", "± ", "1 ± ", "Abstract\n", "1 Introduction\n"),
    *("https://", "10.1234/", "a.b/", "2021.acl-", "doi:", "{", "}", "@a{b,", "c = {", '\t"', '"\t', '""', "of ", "and ", "1 and "),
    *("to ", "1 to ", "we ", "than ", "more ", "not ", "improves ", "points ", ";", ", ", ",", "e", "1e", "-", "\u3002", "\u2028", "ab "),
]  # fmt: skip
Reader = Callable[[str], object]


def _all(found: Iterable[object]) -> list[object]:
    return list(found)


READERS: dict[str, Reader] = {
    "LEAF": LEAF.findall,
    "FIELD": lambda text: _all(FIELD.finditer(text)),
    "QUOTED": QUOTED.fullmatch,
    "OPEN": OPEN.search,
    "sentence_at": lambda text: sentence_at(text, len(text) - 1),
    "sentences": lambda text: documents.sentences(Document("w", "abstract", text)),
    "sentences of a full text": lambda text: documents.sentences(Document("w", "full text", text)),
    "numbers": numbers.numbers,
    "readings": numbers.readings,
    "hedges": hedges.hedges,
    "direction_words": hedges.direction_words,
    "content_stems": hedges.content_stems,
    "words": stemming.words,
    "kinds": lambda text: sentence_kind.kinds([text]),
    "direction": effect_direction.direction,
    "outcome_directions": effect_direction.outcome_directions,
    "size_trend": effect_direction.size_trend,
    "states_result": statement.states_result,
    "read_finding": finding_record.read_finding,
    "BibTeX entries": lambda text: _all(bibtex.entries("@article{k,\n title = {" + text)),
    "tex_to_text": bibtex.tex_to_text,
    "strip_tags": markup.strip_tags,
    "plain_text": markup.plain_text,
    "ids": lambda text: identifiers.parse_ids(text, text, text),
    "single_line": work.single_line,
    "family_first": work.family_first,
    "fold_text": work.fold_text,
    "split_opening": folder.split_opening,
    "set_apart": lambda text: pdf_layout.set_apart(text.split("\f")),
    "decode": lambda text: pdf_text.decode(text.encode()),
    "mark": lambda text: markers.mark(text, [(0, 1)]),
}


def hostile(dice: Random, letters: int) -> str:
    """Return a text of one or two pieces, repeated, perhaps between others."""
    piece = "".join(dice.choice(PIECES) for _ in range(dice.choice([1, 1, 2])))
    start, end = (dice.choice(["", "a", "(", '"', "<a ", "1"]) for _ in range(2))
    return start + piece * (letters // len(piece)) + end


def test_time_grows_with_the_length_and_no_faster() -> None:
    dice, tally = Random(SEED), Tally("slow texts", told=(ValueError,))
    for _ in range(inputs(600)):
        name, text = dice.choice(sorted(READERS)), hostile(dice, LETTERS)
        tally.attempt(lambda name=name, text=text: READERS[name](text), f"{name} of {text[:20]!r} …")  # type: ignore[misc]
    broken = tally.verdict()
    assert not broken, f"\n{broken}"
