"""A4: what printing does to a text is undone, what changes its meaning is not; other works' words are misattributed."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xstilts.errors import InputError
from xstilts.evidence.claims.quote import QuoteMatch, Status, locate, normalise, on_one_line, same_text
from xstilts.evidence.text.documents import Document

SAID = 'The first zero-shot scores of fine-tuned models don\'t rise by 5-7 points, "mostly".'
BEFORE, AFTER = "We trained six of them. ", " All else is as before."
OURS, THEIRS = "doc:ours", "doc:theirs"


def told(text: str, work: str = OURS, around: bool = True) -> Document:
    return Document(work, "body", f"{BEFORE}{text}{AFTER}" if around else text)


def status(quote: str, printed: str) -> Status:
    return locate(quote, [told(printed)], OURS).status


def test_a4_the_same_characters_are_exact_and_are_read_back() -> None:
    document = told(SAID)
    found = locate(SAID, [document], OURS)
    assert found.status == "EXACT"
    assert found.locator is not None
    assert found.locator.read(document) == SAID


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("first", "ﬁrst"),
        ("fine", "ﬁne"),
        ("first", "ﬁr\u00adst"),
        ("scores", "sco-\nres"),
        ("scores", "sco-  \n   res"),
        ("scores", "sco-\n\n12\n\n\fres"),
        ("scores", "sco-\f12\nres"),
        ("zero-shot", "zero-\nshot"),
        ("zero-shot", "zero‑shot"),
        ("fine-tuned", "fine–tuned"),
        ("5-7", "5–7"),
        ("5-7", "5−7"),
        ("5-7", "5-\n7"),
        ("don't", "don’t"),
        ('"mostly"', "“mostly”"),
        (" models ", "\u00a0models\u2009"),
        (" models ", "\nmodels  \n"),
        (" models ", "\n12\fmodels "),
        (" models ", "\n\n12\n\n\fmodels "),
        (" models ", " \f12\nmodels "),
        (" models ", " models\n\n1234\n \f "),
        ("scores", "sco\u200bres"),
    ],
)
def test_a4_what_printing_does_is_undone(old: str, new: str) -> None:
    printed = SAID.replace(old, new)
    assert printed != SAID
    found = locate(SAID, [told(printed)], OURS)
    assert found.status == "NORMALISED"
    assert found.locator is not None
    assert found.locator.read(told(printed)) == printed


@pytest.mark.parametrize(
    ("plain_dash", "printed"), [("task—we", "task — we"), ("task—we", "task--we"), ("task—we", "task – we")]
)
def test_a4_a_dash_is_one_however_it_is_printed(plain_dash: str, printed: str) -> None:
    assert status(f"It is a {plain_dash} mean it.", f"It is a {printed} mean it.") == "NORMALISED"


@pytest.mark.parametrize(
    "quote",
    [
        SAID.replace("don't ", "do "),
        SAID.replace("don't rise", "rise"),
        SAID.replace("rise", "increase"),
        SAID.replace("first ", ""),
        SAID.replace("5-7", "7-5"),
        SAID.replace("5-7", "57"),
        SAID.replace("fine-tuned", "finetuned"),
        SAID.replace("models", "Models"),
        SAID[:-20],
        SAID[: SAID.index(" by")] + ".",
        SAID[4:],
        SAID[SAID.index("scores") :],
        f"{SAID[:30]} ... {SAID[-30:]}",
    ],
)
def test_a4_what_says_something_else_or_less_fails(quote: str) -> None:
    assert status(quote, SAID) == "NOT_FOUND"


@given(st.integers(0, 12), st.integers(0, 12))
def test_a4_no_part_of_a_sentence_is_a_quote(left: int, right: int) -> None:
    words = SAID.split()
    part = " ".join(words[left : len(words) - right])
    if part:
        assert locate(part, [told(SAID)], OURS).matched == (left == right == 0)
        assert locate(f"{part.rstrip('.')}.", [told(SAID)], OURS).matched == (left == right == 0)


@pytest.mark.parametrize(
    ("quote", "printed"),
    [
        ("Accuracy falls below points.", "Accuracy falls below\n50\npoints."),
        ("Accuracy falls below points.", "Accuracy falls below\n\n50\n\npoints."),
        ("Training with batch size improves XNLI.", "Training with batch size\n12\nimproves XNLI."),
        ("BERT layers help.", "BERT-\n12\nlayers help."),
        ("BERTlayers help.", "BERT-\n12\nlayers help."),
    ],
)
def test_a4_a_number_in_the_middle_of_a_page_is_none_of_a_page(quote: str, printed: str) -> None:
    assert status(quote, printed) == "NOT_FOUND"
    assert not same_text(quote, printed)


def test_a4_a_number_on_a_line_of_its_own_is_quoted_with_the_rest() -> None:
    assert status("Accuracy falls below 50 points.", "Accuracy falls below\n50\npoints.") == "NORMALISED"


@pytest.mark.parametrize("end", ["?", "!", "...", "…", "?!", ".)", ".”"])
def test_a4_only_a_full_stop_may_be_left_out(end: str) -> None:
    assert status("Scores rise", f"Scores rise{end}") == "NOT_FOUND"
    assert status("Scores rise.", f"Scores rise{end}") == "NOT_FOUND"
    assert not same_text("Scores rise.", f"Scores rise{end}")


@pytest.mark.parametrize("end", [".", "。", "।", "۔"])
def test_a4_a_full_stop_of_any_script_may_be_left_out(end: str) -> None:
    assert status("Scores rise", f"Scores rise{end}") == "NORMALISED"


def test_a4_a_sign_is_no_printing() -> None:
    assert status("It rises by 2.3 points.", "It rises by -2.3 points.") == "NOT_FOUND"
    assert status("It has 10 layers.", "It has 10² layers.") == "NOT_FOUND"


def test_a4_a_true_sentence_of_another_work_is_misattributed() -> None:
    found = locate(SAID, [told("Nothing of it."), told(SAID, THEIRS)], OURS)
    assert found.status == "MISATTRIBUTED"
    assert found.why == "these words occur in doc:theirs, not in doc:ours"
    assert found.locator is not None
    assert found.locator.work == THEIRS


def test_a4_what_stands_in_both_is_not_misattributed() -> None:
    assert locate(SAID, [told(SAID, THEIRS), told(SAID)], OURS).status == "EXACT"


def test_with_no_work_named_any_will_do() -> None:
    assert locate(SAID, [told(SAID, THEIRS)]).status == "EXACT"


def test_several_sentences_are_quoted_together() -> None:
    assert status(f"{SAID} It is so.", f"{SAID}\nIt is so.") == "NORMALISED"
    assert status(f"{SAID} It is", f"{SAID}\nIt is so.") == "NOT_FOUND"


def test_a_full_stop_may_be_left_out_and_the_place_has_it() -> None:
    found = locate("Scores rise", [told("Scores rise.")], OURS)
    assert found.status == "NORMALISED"
    assert found.locator is not None
    assert found.locator.read(told("Scores rise.")) == "Scores rise."


def test_what_a_cut_left_over_is_never_quoted() -> None:
    cut = "We see large improvements on the retrieval tas"
    assert locate(cut, [told(cut, around=False)], OURS).status == "NOT_FOUND"


def test_the_order_of_documents_changes_nothing() -> None:
    printed = SAID.replace("first", "ﬁrst")
    documents = [told(SAID), told(printed), told(SAID, THEIRS), told(f"More. {SAID}")]
    assert len({locate(SAID, order, OURS) for order in permutations(documents)}) == 1


def test_a_hyphen_at_a_line_end_may_be_either() -> None:
    assert same_text("a zero-shot re-form.", "a zero-\nshot re-\nform.")
    assert same_text("a reform.", "a re-\nform.")
    assert not same_text("a reform.", "a re-form.")
    assert not same_text("a form.", "a form of it.")


def test_one_line_reads_as_a_person_would_type_it() -> None:
    assert (
        on_one_line("It is a zero-\nshot, inter-\n mediate\n12\fﬁne—task\u00a0of “ours”.")
        == 'It is a zero-shot, intermediate fine—task of "ours".'
    )


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab- \n—ﬁ\u00ad1”́", max_size=40))
def test_what_is_on_one_line_is_the_same_text(text: str) -> None:
    typed = on_one_line(text, False)
    assert "\n" not in typed
    assert len(normalise(text, False).starts) == len(normalise(text, False).text)
    assert list(normalise(text, False).starts) == sorted(normalise(text, False).starts)


def test_a_quote_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="quote a sentence"):
        locate("  ", [told(SAID)])


@pytest.mark.parametrize("found", ["EXACT", "NORMALISED", "MISATTRIBUTED"])
def test_what_is_found_has_a_place(found: Status) -> None:
    with pytest.raises(InputError, match="what is found has a place"):
        QuoteMatch(SAID, found)
    with pytest.raises(InputError, match="has a place"):
        QuoteMatch(SAID, "NOT_FOUND", told(SAID).locator(0, 3))
