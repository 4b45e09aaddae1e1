"""Sentences cover a text and are never cut; a locator reads only the text that it names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xstilts.errors import InputError
from xstilts.evidence.search import pdf_text
from xstilts.evidence.text import documents as texts
from xstilts.evidence.text.documents import LONGEST_BRACKET, Document, Locator, is_whole, sentences

WORDS = [
    "We train",
    " on XNLI",
    "et al.",
    "e.g.",
    "(see A.",
    "12",
    "3.5",
    "[4]",
    "Results",
    "1 Results\n",
    "Abstract\n",
]
MARKS = [
    ".",
    "!",
    "?",
    " ",
    "\n",
    "\n\n",
    "\f",
    ")",
    "”",
    "मॉडल।",
    "効果がある。",
    "mBERT",
    "fi\u00adne-",
    "\u00a0",
    "؟",
]
PIECES = st.sampled_from([*WORDS, *MARKS])


def told(text: str) -> Document:
    return Document("doc:made-up", "body", text)


def split(text: str) -> list[str]:
    return [sentence.text for sentence in sentences(told(text))]


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_sentences_are_in_order_and_leave_only_white_space_between(text: str) -> None:
    at = 0
    for sentence in sentences(told(text)):
        assert not text[at : sentence.start].strip()
        assert sentence.start < sentence.end
        assert sentence.text == text[sentence.start : sentence.end] == sentence.text.strip()
        at = sentence.end
    assert not text[at:].strip()


@pytest.mark.parametrize(
    "text",
    [
        "We follow Doe et al. (2019) in this.",
        "As Doe et al. We do so.",
        "Tasks, e.g. MNLI, help a lot.",
        "See Fig. 3 and Sec. 4.1 for more.",
        "It gains 8.2 points on XTREME-R v1.0 here.",
        "J. Doe found this.",
        "The U.S. English part is small.",
        "It helps (as was shown. Before this) in every case.",
        "Tasks vs. Languages is what we compare.",
        "What follows\ngoes on over lines.",
        "A page ends\f here.",
        "A page ends\n\n12\n\nbefore this.",
        "A page ends\n12\nbefore this.",
        "A column ends\n\nbefore this.",
        "We do not claim that\n\nXNLI improves.",
        "We do not claim that\n\n12\n\nXNLI improves.",
        "We train on MNLI,\n\nXNLI and more.",
        "It rises ... and falls.",
        "We do not think ... MNLI improves XNLI.",
        "We do not think … MNLI improves XNLI.",
        "We do not think [...]. MNLI improves XNLI.",
        "We do not think.. MNLI improves XNLI.",
        "“It helps. MNLI improves XNLI. So it is” is what Doe wrongly says.",
        "No row of Tbl. 3 shows that a larger batch size improves accuracy on XNLI by 2.0 points.",
        "Unlike Def. 2 the batch size improves accuracy on XNLI.",
        "By Alg. 1, Thm. B and Suppl. C it helps.",
        "9 BERT models did not show that\nMNLI improves XNLI by 2 points.",
        "9 BERT models did not show\nMNLI improves XNLI by 2 points.",
        "We deny two things: 1. MNLI improves XNLI.",
    ],
)
def test_what_may_be_one_sentence_stays_one(text: str) -> None:
    assert split(text) == [text]


@pytest.mark.parametrize(
    "parts",
    [
        ["It helps.", "It costs more."],
        ["Does it help?", "Yes!", "It does."],
        ["It helps XLM-R.", "We go on."],
        ["He said “it helps.”", "We agree."],
        ["It gains 8.2.", "The rest loses."],
        ["It helps [4].", "mBERT is smaller."],
        ["これは有効です。", "費用は高い。"],
        ["यह मदद करता है।", "लागत अधिक है।"],
        ["هل يساعد؟", "نعم يساعد."],
    ],
)
def test_sentences_end_where_they_end(parts: list[str]) -> None:
    assert split(" ".join(parts)) == parts


def test_a_heading_is_no_part_of_a_sentence() -> None:
    parts = ["Abstract", "It helps.", "5.1 Main Results", "It costs more."]
    assert split("\n".join(parts)) == parts
    assert [sentence.whole for sentence in sentences(told("\n".join(parts)))] == [False, True, False, True]


def test_an_empty_line_ends_what_no_full_stop_did() -> None:
    assert split("A title of a work\n\nIt helps.") == ["A title of a work", "It helps."]


CLAIM = "MNLI improves XNLI by 2 points."


@pytest.mark.parametrize(
    "before",
    [
        "We could not confirm",
        "It is so. We could not confirm",
        "It is so.\n\nWe could not confirm\n\n12",
        "We do not think ...",
        "We do not think …",
        "Contrary to Doe",
        "It is so. Prior work on small",
        "No gain is found in general for our proposal",
        "It is so.\n\nNone of Forty Models Shows\n\n- a list of what",
    ],
)
def test_what_follows_a_piece_that_did_not_end_is_not_whole(before: str) -> None:
    last = sentences(told(f"{before}\n\n{CLAIM} It costs more."))[-2:]
    assert [(one.text, one.whole) for one in last] == [(CLAIM, False), ("It costs more.", True)]


@pytest.mark.parametrize(
    "before",
    [
        "It is so.",
        "It is so.\n\n12",
        "Abstract",
        "RELATED WORK",
        "A title of a work",
        "Larger Batches for Every Task of Ours",
        "## Larger batches",
        "It is so.\n\nExperimental setup",
        "It is so.\n\n3.1 Larger batches",
        "A title of a work\n\nJane Doe, Jo Roe\n\nAbstract",
    ],
)
def test_what_follows_a_heading_or_a_sentence_is_whole(before: str) -> None:
    assert [(one.text, one.whole) for one in sentences(told(f"{before}\n\n{CLAIM}"))][-1] == (CLAIM, True)


def test_the_items_of_a_list_keep_their_numbers() -> None:
    assert split("We deny that: 1. MNLI improves. 2. SQuAD improves.") == [
        "We deny that: 1. MNLI improves.",
        "2. SQuAD improves.",
    ]


@pytest.mark.parametrize("text", ["we train on xnli (see there. the mean. " * 400, "We train [on xnli. Go. " * 400])
def test_a_long_text_is_read_a_little_at_a_time(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read, inside = [0], texts._in_brackets

    def counted(piece: str) -> bool:
        read.append(len(piece))
        return inside(piece)

    monkeypatch.setattr(texts, "_in_brackets", counted)
    assert sentences(told(text))
    assert max(read) <= LONGEST_BRACKET
    assert len(read) <= 2 + text.count(". W") + text.count(". G")  # not where the text goes on in lower case


def test_what_is_kept_of_a_text_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_text, "MAX_CHARACTERS", 8)
    assert pdf_text.storable_text("It\x00 helps. More.") == "It help"


def test_what_a_cut_left_over_is_not_whole() -> None:
    assert not is_whole("improvements on the sentence retrieval tas")
    assert not is_whole("We study the effect of ...")
    assert not is_whole("We study the effect of…")
    assert not is_whole("We follow Doe et al.")
    assert is_whole("It helps (much.)”")
    assert is_whole("It helps on XNLI, XQuAD etc.")


def test_a_locator_reads_its_own_text_only() -> None:
    document = told("It helps. It costs more.")
    locator = document.locator(10, 24)
    assert locator.read(document) == "It costs more."
    assert locator.read(Document("other:id", "same words", document.text)) == "It costs more."
    with pytest.raises(InputError, match="restore the text"):
        locator.read(told("It helps. It costs less."))


@pytest.mark.parametrize(("start", "end"), [(3, 3), (-1, 2), (4, 2), (0, 99)])
def test_a_place_that_is_none_is_refused(start: int, end: int) -> None:
    with pytest.raises(InputError, match=r"characters|past"):
        told("It helps.").locator(start, end)


@pytest.mark.parametrize(("work", "sha256"), [("", "0" * 64), ("doc:made-up", "0" * 63), ("doc:made-up", "Z" * 64)])
def test_a_locator_names_a_work_and_a_digest(work: str, sha256: str) -> None:
    with pytest.raises(InputError, match="name a work"):
        Locator(work, "body", sha256, 0, 1)
