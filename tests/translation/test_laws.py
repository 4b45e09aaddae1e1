"""Laws of translation: marks that are put in come out again, a sentence is aligned with itself, identity changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from xstilts.data.examples import (
    AnswerSpan,
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    QAExample,
    TaggingExample,
)
from xstilts.models.encoder import Encoder
from xstilts.runtime.machine import Runtime
from xstilts.translation import markers, projection
from xstilts.translation.alignment import Aligner, Alignment, alignment_of
from xstilts.translation.markers import LostMarks
from xstilts.translation.projection import Dropped
from xstilts.translation.texts import joined, texts_of, words_of

# Letters, spaces, marks and their parts, combining marks, scripts without spaces, a joiner and a right-to-left letter.
CHARACTERS = some.sampled_from(
    [*"ab .'<>/[]", "\u0301", "\u093f", "क", "東", "京", "ก", "\u0e34", "\u200d", "א", "5", ","]
)
TEXTS = some.text(CHARACTERS, max_size=14)
TOKENS = some.lists(
    some.text(CHARACTERS, min_size=1, max_size=3).filter(str.strip).map(str.strip), min_size=1, max_size=7
)
TAGS = some.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])


@some.composite
def spanned(draw: Any) -> tuple[str, list[tuple[int, int]]]:
    """Draw a text and spans of it that can be marked."""
    text = draw(TEXTS)
    cuts = sorted(draw(some.sets(some.integers(0, len(text)), max_size=6)))
    pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
    return text, [(a, b) for a, b in pairs if text[a:b].strip() and text[a:b] == text[a:b].strip()]


@some.composite
def examples(draw: Any) -> Example:
    """Draw an example of any format that is translated."""
    text = TEXTS.filter(str.strip)
    match draw(some.sampled_from(["classification", "choice", "tagging", "qa"])):
        case "classification":
            return ClassificationExample("1", draw(text), draw(some.none() | text), "yes")
        case "choice":
            return MultipleChoiceExample("1", draw(text), draw(TEXTS), (draw(text), draw(text)), 1)
        case "tagging":
            tokens = draw(TOKENS)
            return TaggingExample("1", tuple(tokens), tuple(draw(TAGS) for _ in tokens))
    context = draw(text)
    start = draw(some.integers(0, len(context) - 1))
    answer = context[start : draw(some.integers(start + 1, len(context)))]
    answers = (AnswerSpan(answer, start),) if answer.strip() else ()
    return QAExample("1", context, draw(text), answers, not answers)


@given(spanned())
@example(("[a] <a>b</a>", [(0, 3), (4, 12)]))
@settings(max_examples=60, deadline=None)
def test_marks_that_are_put_in_come_out_again(drawn: tuple[str, list[tuple[int, int]]]) -> None:
    text, spans = drawn
    marked = markers.mark(text, spans)
    assert markers.unmarked(marked.text, marked.marks) == (text, tuple(spans))


@given(examples())
@settings(max_examples=60, deadline=None)
def test_translation_by_identity_changes_nothing(original: Example) -> None:
    texts = texts_of(original)
    around = projection.marked(original)
    with_marks = (
        texts if around is None else {**texts, **{name: around.text for name in ("text", "context") if name in texts}}
    )
    assert projection.by_markers(original, with_marks, around.marks if around else ()) == original
    pair = projection.pair_of(original, texts.get("text") or texts.get("context"))
    itself = Alignment(*[tuple((n, n) for n in range(len(pair.original)))], *[tuple(range(len(pair.original)))] * 2)
    words = {word.text for word in pair.original}
    if isinstance(original, TaggingExample | QAExample) and words:
        assert projection.by_alignment(original, texts, itself) == original


@given(TOKENS, some.data())
@settings(max_examples=30, deadline=None)
def test_predictions_on_an_identical_translation_stay(tokens: list[str], data: Any) -> None:
    tags = [data.draw(TAGS) for _ in tokens]
    itself = Alignment(tuple((n, n) for n in range(len(tokens))), *[tuple(range(len(tokens)))] * 2)
    back, lost = projection.tags_back(tags, itself, len(tokens))
    assert projection.spans(back) == projection.spans(tags)
    assert lost == 0


@given(TOKENS)
@settings(max_examples=40, deadline=None)
def test_words_lie_where_they_are_said_to_be(tokens: list[str]) -> None:
    text, words = joined(tokens)
    assert [text[word.start : word.stop] for word in words] == tokens
    cut = words_of(text)
    assert [text[word.start : word.stop] for word in cut] == [word.text for word in cut]
    assert "".join(word.text for word in cut) == "".join(text.split())


def test_marks_may_move_and_gain_spaces() -> None:
    marked = markers.mark("Anna sees Oslo .", [(0, 4), (10, 14)])
    assert markers.unmarked("In <b> Oslo </b>, <a>Anna</a>", marked.marks) == ("In Oslo, Anna", ((9, 13), (3, 7)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Oslo <a>Anna</a>", markers.LOST),
        ("<a>x</a> <b>y</b> <b>", markers.DOUBLED),
        ("<a>x <b>y</a></b>", markers.DISORDERED),
        ("<a>x</a> <b> </b>", markers.EMPTY),
    ],
)
def test_lost_marks_are_named(text: str, reason: str) -> None:
    with pytest.raises(LostMarks, match=reason):
        markers.unmarked(text, (("<a>", "</a>"), ("<b>", "</b>")))


def test_labels_follow_their_marks_and_their_words() -> None:
    original = TaggingExample("1", ("Anna", "sees", "South", "Oslo"), ("B-PER", "O", "B-LOC", "I-LOC"))
    found = projection.by_markers(
        original, {"text": "<b>Oslo Sud</b> Anna-k <a>Anna</a>."}, (("<a>", "</a>"), ("<b>", "</b>"))
    )
    assert found == TaggingExample(
        "1", ("Oslo", "Sud", "Anna", "-", "k", "Anna", "."), ("B-LOC", "I-LOC", "O", "O", "O", "B-PER", "O")
    )
    crossed = Alignment(((0, 2), (2, 1), (3, 0)), (3, 2, 0, 1), (2, 3, 1, 0))
    aligned = projection.by_alignment(original, {"text": "Oslo Sud Anna sieht"}, crossed)
    assert aligned == TaggingExample("1", ("Oslo", "Sud", "Anna", "sieht"), ("B-LOC", "I-LOC", "B-PER", "O"))
    lost = Alignment(((2, 1), (3, 0)), (3, 2, 0, 1), (2, 3, 1, 0))
    with pytest.raises(Dropped, match="aligned with no word"):
        projection.by_alignment(original, {"text": "Oslo Sud Anna sieht"}, lost)


def test_tags_of_every_word_go_by_the_most_similar_word() -> None:
    original = TaggingExample("1", ("the", "dog"), ("DET", "NOUN"))
    only = Alignment(((1, 0),), (1, 1), (1, 0))
    found = projection.by_alignment(original, {"text": "hundin da"}, only)
    assert found == TaggingExample("1", ("hundin", "da"), ("NOUN", "NOUN"))
    assert projection.tags_back(("NOUN", "X"), only, 2) == (("X", "NOUN"), 0)


def test_an_answer_is_projected_to_whole_words_and_back() -> None:
    original = QAExample("1", "Anna sees Oslo", "Who?", (AnswerSpan("Oslo", 10),))
    crossed = Alignment(((0, 1), (2, 0)), (2, 0), (1, 0, 0))
    found = projection.by_alignment(original, {"context": "Osloin Anna", "question": "Wer?"}, crossed)
    assert found == QAExample("1", "Osloin Anna", "Wer?", (AnswerSpan("Osloin", 0),))
    pair = projection.pair_of(original, "Osloin Anna")
    assert projection.answer_back((0, 6), original.context, pair, crossed) == "Oslo"


def test_words_are_aligned_where_each_is_the_other_s_nearest() -> None:
    similar = np.array([[0.9, 0.8, 0.1], [0.95, 0.2, 0.1]])
    assert alignment_of(similar) == Alignment(((1, 0),), (1, 0, 1), (0, 0))
    assert alignment_of(np.ones((3, 3))).pairs == ((0, 0), (1, 1), (2, 2))
    assert alignment_of(np.ones((0, 2))) == Alignment((), (-1, -1), ())


def test_a_sentence_is_aligned_with_itself(encoder: Encoder, machine: Runtime) -> None:
    sentences = [["ab", "cd", "ab", "ab"], ["x"], list("abcdefgh") * 20, ["東", "京"], [], [*"東京東京", "a", *"กขก"]]
    for sentence, alignment in zip(
        sentences, Aligner(encoder.location, machine).align([(s, s) for s in sentences]), strict=True
    ):
        itself = tuple(range(len(sentence)))
        assert alignment == Alignment(tuple((n, n) for n in itself), itself, itself)
