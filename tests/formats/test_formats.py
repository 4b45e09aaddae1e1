from __future__ import annotations

import inspect
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as some
from torch import Tensor
from torch.nn.functional import cross_entropy

import writing
from families import FAMILIES, tokenizer
from given import TOYS
from quick import covering
from xstilts import formats
from xstilts.data.examples import (
    SHAPES,
    AnswerSpan,
    BitextExample,
    ClassificationExample,
    MultipleChoiceExample,
    QAExample,
    TaggingExample,
    TextExample,
)
from xstilts.errors import InputError
from xstilts.formats import Format, task_format
from xstilts.models.batch import IGNORED, Batch, ModelInput, batch, padded
from xstilts.models.heads import attach
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer

torch.set_num_threads(1)
XLMR = Tokenizer.of(tokenizer("xlm-roberta"))
WRITTEN = {name: Tokenizer.of(make()) for name, make in writing.TOKENIZERS.items()}
MASKLESS = ("mt5", "umt5", "t5", "qwen3")

words = some.text("abcdefgz", min_size=0, max_size=9)
lines = some.lists(words.filter(bool), min_size=1, max_size=60).map(" ".join)


def encode(name: str, examples: Any, max_length: int, labels: Any = (), tokens: Tokenizer = XLMR) -> list[ModelInput]:
    return task_format(name).encode(examples, tokens, max_length, tuple(labels), Counter())


def cut_of(name: str, examples: Any, max_length: int, labels: Any = ()) -> Counter[str]:
    cut: Counter[str] = Counter()
    task_format(name).encode(examples, XLMR, max_length, tuple(labels), cut)
    return +cut


def text_of(ids: Any, tokens: Tokenizer = XLMR) -> str:
    pieces = tokens.tokenizer.convert_ids_to_tokens(ids, skip_special_tokens=True)
    return "".join(pieces).replace("\u2581", " ").strip()


# What holds for every kind.


def test_there_is_a_kind_for_every_shape_of_example() -> None:
    folder = {path.stem for path in Path(str(formats.__file__)).parent.glob("*.py")} - {"__init__"}
    assert folder == set(SHAPES) == set(TOYS) | {"bitext_mining", "passage_ranking"}


@pytest.mark.parametrize("name", SHAPES)
def test_a_kind_has_what_the_protocol_says(name: str) -> None:
    module = task_format(name)
    traits = [trait for trait, annotation in Format.__annotations__.items() if annotation == "bool"]
    assert len(traits) == 7
    assert all(isinstance(getattr(module, trait), bool) for trait in traits)
    assert module.sequences_per_input >= 1
    for wanted in ("encode", "collate", "loss", "predict", "decode", "chance", "score", "features", "decisions"):
        promised = list(inspect.signature(getattr(Format, wanted)).parameters)[1:]
        assert list(inspect.signature(getattr(module, wanted)).parameters) == promised


@pytest.mark.parametrize(("family", "name"), covering(FAMILIES, TOYS))
def test_every_family_goes_through_every_kind(families: Any, family: str, name: str) -> None:
    """From text to gradients, and from gradients to an answer for each example, in the examples' order."""
    labels, _, examples = TOYS[name]
    tokens, how = Tokenizer.of(tokenizer(family)), task_format(name)
    torch.manual_seed(0)
    network = Network(families.backbone(family))
    if name != "bitext_retrieval":
        attach(network, "head", name, len(labels), families[family])
    units = how.encode(examples, tokens, 14, labels, Counter())
    assert max(unit.length for unit in units) <= 14
    if name == "masked_lm" and family in MASKLESS:
        with pytest.raises(InputError, match="no mask token"):
            how.collate(units, tokens)
        return
    batch = how.collate(units, tokens)
    loss = how.loss(network.train(), "head", batch)
    loss.backward()
    assert loss.shape == ()
    assert 0 < loss.item() < math.inf
    assert batch.labels > 0
    moved = [p.grad.abs().sum() for p in network.parameters() if p.grad is not None]
    assert sum(float(value) for value in moved) > 0
    assert all(torch.isfinite(value) for value in moved)
    with torch.inference_mode():
        answers = how.predict(network.eval(), "head", batch, units)
    found = how.decode(answers, units, examples, labels)
    assert [line["id"] for line in found] == [example.id for example in examples]
    for line, example in zip(found, examples, strict=True):
        assert fits(line["prediction"], example, labels, network.depth)


def fits(prediction: Any, example: Any, labels: tuple[str, ...], depth: int) -> bool:
    """Say whether a prediction is something that can be said of an example at all."""
    if isinstance(example, TaggingExample):
        return len(prediction) == len(example.tokens) and set(prediction) <= set(labels)
    if isinstance(example, MultipleChoiceExample):
        return prediction in range(len(example.choices))
    if isinstance(example, QAExample):
        return prediction in example.context and len(prediction) > 0
    if isinstance(example, BitextExample):
        return len(prediction) == depth + 1
    if isinstance(example, TextExample):
        return bool(prediction[0] > 0 and prediction[1] > 0) or prediction == [0.0, 0]
    return prediction in labels


@pytest.mark.parametrize("name", TOYS)
def test_no_kind_mixes_up_examples_whose_units_come_in_another_order(name: str, families: Any) -> None:
    labels, _, examples = TOYS[name]
    how, network = task_format(name), Network(families.backbone("xlm-roberta"))
    if name != "bitext_retrieval":
        torch.manual_seed(3)
        attach(network, "head", name, len(labels))
    network.eval()
    units = how.encode(examples, XLMR, 14, labels, Counter())
    torch.manual_seed(0)
    batch = how.collate(units, XLMR)
    with torch.inference_mode():
        answers = how.predict(network, "head", batch, units)
    assert len(answers) == len(units)
    order = list(range(len(units)))
    if name in ("token_classification", "extractive_qa", "masked_lm", "bitext_retrieval"):
        random.Random(5).shuffle(order)
    shuffled = [units[n] for n in order], [answers[n] for n in order]
    assert how.decode(shuffled[1], shuffled[0], examples, labels) == how.decode(answers, units, examples, labels)


def test_padding_is_on_the_right_and_masked() -> None:
    table = padded([np.array([5, 6, 7]), np.array([8])], 1)
    assert table.tolist() == [[5, 6, 7], [8, 1, 1]]
    units = [ModelInput(0, (np.array([1, 1, 1]),), np.array([0])), ModelInput(1, (np.array([4]),), np.array([1]))]
    made = batch(units, XLMR, torch.zeros(2))
    assert made.mask.tolist() == [[1, 1, 1], [1, 0, 0]]  # a padding id that was really in the text stays visible
    assert made.ids.dtype == torch.int64


def test_ignored_targets_do_not_count_as_labels() -> None:
    batch = Batch(torch.zeros(2, 2), torch.ones(2, 2), torch.tensor([[IGNORED, 3], [IGNORED, IGNORED]]))
    assert batch.labels == 1
    assert batch.to(torch.device("cpu")).labels == 1


# Classification.


@settings(max_examples=60, deadline=None)
@given(lines, some.none() | lines, some.integers(6, 40))
def test_classification_fits_and_keeps_the_beginning_of_both(a: str, b: str | None, max_length: int) -> None:
    unit = encode("classification", [ClassificationExample("1", a, b, "y")], max_length, ("x", "y"))[0]
    pieces = len(XLMR.segments([a])[0]) + len(XLMR.segments([b or ""])[0])
    special = 2 if b is None else 4
    assert unit.length == min(pieces + special, max_length)
    assert unit.target.tolist() == [1]
    sequence = unit.sequences[0].tolist()
    first = XLMR.segments([a])[0][: (unit.length - special) // 2].tolist()
    assert sequence[1 : 1 + len(first)] == first
    if b is not None:
        second = sequence[sequence.index(XLMR.special_tokens.middle[0]) + 2 : -1]
        assert second == XLMR.segments([b])[0][: len(second)].tolist()
    assert bool(cut_of("classification", [ClassificationExample("1", a, b, "y")], max_length, ("x", "y"))) == (
        pieces + special > max_length
    )


def test_an_empty_second_text_is_still_a_pair() -> None:
    one, two = (encode("classification", [ClassificationExample("1", "a", b, None)], 20)[0].length for b in (None, ""))
    assert two == one + 2


def test_a_hidden_label_is_ignored_and_gives_no_loss() -> None:
    units = encode(
        "classification",
        [ClassificationExample("1", "a", None, None), ClassificationExample("2", "b", None, "x")],
        20,
        ("x",),
    )
    assert [unit.target.tolist() for unit in units] == [[IGNORED], [0]]
    assert task_format("classification").collate(units, XLMR).labels == 1


def test_chance_is_the_majority_of_the_labels_there_are() -> None:
    rows = [ClassificationExample(str(n), "", None, label) for n, label in enumerate(["a", "a", "b", None])]
    assert task_format("classification").chance(rows) == pytest.approx(100 * 2 / 3)
    assert task_format("classification").chance([]) == 0
    assert (
        task_format("multiple_choice").chance(
            [MultipleChoiceExample("1", "", "", ("a", "b"), 1), MultipleChoiceExample("2", "", "", ("a", "b"), 0)]
        )
        == 50
    )


# Choice.


@settings(max_examples=60, deadline=None)
@given(lines, lines, some.integers(5, 40))
def test_choice_loses_the_start_of_the_story_and_keeps_the_candidate(context: str, right: str, max_length: int) -> None:
    example = MultipleChoiceExample("1", context, "", (right, "zoo"), 0)
    unit = encode("multiple_choice", [example], max_length)[0]
    room = XLMR.room(max_length, pair=True)
    story, candidates = XLMR.segments([context])[0].tolist(), XLMR.segments([right, "zoo"])
    assert unit.length <= max_length
    for sequence, candidate in zip(unit.sequences, candidates, strict=True):
        whole, kept = sequence.tolist(), candidate[-max(room - 1, 1) :].tolist()
        assert whole[len(whole) - 1 - len(kept) : -1] == kept
        left = whole[1 : len(whole) - 3 - len(kept)]
        assert left == story[len(story) - len(left) :]
        assert len(left) == min(len(story), room - len(kept))


def test_a_question_stands_after_its_context() -> None:
    unit = encode("multiple_choice", [MultipleChoiceExample("1", "a b", "c d", ("e", "f"), 1)], 40)[0]
    assert [text_of(sequence) for sequence in unit.sequences] == ["a b c d e", "a b c d f"]
    assert unit.target.tolist() == [1]


def test_every_candidate_is_scored_within_its_own_example(families: Any) -> None:
    """Two examples of three candidates: the log-probabilities of each sum to one, whatever stands beside it."""
    examples = [MultipleChoiceExample(str(n), "a b", "", ("cab", "dab", "fig"[n:]), 0) for n in range(2)]
    network = Network(families.backbone("xlm-roberta"))
    attach(network, "head", "multiple_choice")
    network.eval()
    units = encode("multiple_choice", examples, 20)
    how = task_format("multiple_choice")
    both = how.predict(network, "head", how.collate(units, XLMR), units)
    alone = [how.predict(network, "head", how.collate([unit], XLMR), [unit])[0] for unit in units]
    assert np.exp(both).sum(axis=1) == pytest.approx([1.0, 1.0], abs=1e-5)
    assert np.array(both) == pytest.approx(np.array(alone), abs=1e-5)


# Tagging.


@settings(max_examples=100, deadline=None)
@given(some.lists(some.tuples(words, some.sampled_from("OBIX")), max_size=40), some.integers(3, 40), some.randoms())
def test_a_sentence_cut_and_joined_again_is_itself(
    sentence: list[tuple[str, str]], max_length: int, order: random.Random
) -> None:
    """Whatever the words (empty ones too) and the length: what every first token is taught comes back as the tags."""
    labels = ("O", "B", "I", "X")
    rows = [
        TaggingExample("0", ("a",), ("I",)),
        TaggingExample("1", tuple(word for word, _ in sentence), tuple(tag for _, tag in sentence)),
        TaggingExample("2", ("zz", "", "b"), ("B", "O", "X")),
    ]
    units = encode("token_classification", rows, max_length, labels)
    assert all(unit.length <= max_length for unit in units)
    order.shuffle(units)
    answers = [unit.target[unit.places[1:]].tolist() for unit in units]
    assert all(IGNORED not in answer for answer in answers)
    found = task_format("token_classification").decode(answers, units, rows, labels)
    assert [line["prediction"] for line in found] == [list(row.tags) for row in rows]
    assert sum(int((unit.target != IGNORED).sum()) for unit in units) == sum(len(row.tokens) for row in rows)


@settings(max_examples=50, deadline=None)
@given(some.lists(words, min_size=1, max_size=30), some.integers(4, 30))
def test_no_piece_is_lost_but_of_a_word_too_long_by_itself(sentence: list[str], max_length: int) -> None:
    room = max_length - 2
    units = encode("token_classification", [TaggingExample("1", tuple(sentence), ())], max_length)
    together = [piece for unit in units for piece in unit.sequences[0].tolist()[1:-1]]
    assert together == [piece for word in XLMR.words([sentence])[0] for piece in word.tolist()[:room]]


def test_a_sentence_without_gold_tags_is_still_tagged() -> None:
    rows = [TaggingExample("1", ("a", "bb", "c"), ()), TaggingExample("2", (), ())]
    units = encode("token_classification", rows, 4, ("O",))
    assert all((unit.target == IGNORED).all() for unit in units)
    found = task_format("token_classification").decode(
        [[0] * (len(unit.places) - 1) for unit in units], units, rows, ("O",)
    )
    assert [line["prediction"] for line in found] == [["O"] * 3, []]


def test_only_the_first_piece_of_a_word_is_taught() -> None:
    unit = encode("token_classification", [TaggingExample("1", ("cab", "a"), ("B", "O"))], 20, ("O", "B"))[0]
    pieces = len(XLMR.words([["cab"]])[0][0])
    assert pieces > 1
    assert unit.target.tolist() == [IGNORED, 1, *[IGNORED] * (pieces - 1), 0, IGNORED]


def test_what_is_split_is_counted() -> None:
    rows = [TaggingExample("1", ("cab",) * 20, ("O",) * 20), TaggingExample("2", ("a",), ("O",))]
    assert cut_of("token_classification", rows, 12, ("O",)) == {"split": 1}


# Span.


def question(context: str, answer: str = "", asked: str = "who", start: int | None = None) -> QAExample:
    at = context.index(answer) if start is None else start
    return QAExample("1", context, asked, (AnswerSpan(answer, at),) if answer else (), not answer)


def pointing(unit: ModelInput, first: int, last: int, score: float = 9.0) -> np.ndarray[Any, Any]:
    """Return scores that point at a first and a last token of a window."""
    scores = np.zeros((2, unit.length), dtype=np.float32)
    scores[0, first] = scores[1, last] = score
    return scores


@settings(max_examples=100, deadline=None)
@given(lines, lines, some.integers(5, 60))
def test_windows_show_every_piece_of_the_context(context: str, asked: str, max_length: int) -> None:
    units = encode("extractive_qa", [question(context, asked=asked)], max_length)
    offsets = XLMR.segments_with_offsets([context])[0][1]
    shown = {tuple(place) for unit in units for place in unit.places.tolist() if place[0] >= 0}
    assert shown == {tuple(place) for place in offsets.tolist()}
    assert all(unit.length <= max_length for unit in units)
    assert all(unit.length == max_length for unit in units[:-1])
    assert all(len(unit.places) == unit.length for unit in units)


@settings(max_examples=100, deadline=None)
@given(some.data(), lines, some.integers(24, 60))
def test_an_answer_that_fits_is_taught_in_some_window_and_never_wrongly(
    data: some.DataObject, context: str, max_length: int
) -> None:
    pieces = len(XLMR.segments([context])[0])
    start = data.draw(some.integers(0, len(context) - 1))
    answer = context[start : data.draw(some.integers(start + 1, len(context)))]
    assume(answer.strip() == answer)
    units = encode("extractive_qa", [question(context, answer, start=start)], max_length)
    taught = [unit for unit in units if unit.target.any()]
    for unit in taught:
        first, last = unit.target
        cut = context[unit.places[first][0] : unit.places[last][1]]
        assert answer in cut
        assert len(cut) - len(answer) <= 3  # of a token of two characters, an answer may be one
    room = XLMR.room(max_length, pair=True) - min(3, max_length // 6)
    if len(XLMR.segments([answer])[0]) + 2 <= room - max_length // 3 or pieces <= room:
        assert taught


@pytest.mark.parametrize("name", writing.TOKENIZERS)
@pytest.mark.parametrize("script", writing.TEXTS)
def test_an_answer_comes_back_as_it_stands_in_the_text(name: str, script: str) -> None:
    """Taught tokens, pointed at, give the very characters of the answer, accents and all."""
    text, answer = writing.TEXTS[script]
    context = f"{text} {text}"
    example = question(context, answer, asked="q", start=context.rindex(answer))
    for max_length in (40, 200):
        units = encode("extractive_qa", [example], max_length, tokens=WRITTEN[name])
        answers = [
            pointing(unit, *(unit.target if unit.target.any() else (0, 0)), score=9.0 if unit.target.any() else -1.0)
            for unit in units
        ]
        if any(unit.target.any() for unit in units):
            assert task_format("extractive_qa").decode(answers, units, [example], ())[0]["prediction"] == answer
        else:
            assert max_length == 40
            assert len(WRITTEN[name].segments([answer])[0]) > 15


def test_white_space_around_an_answer_does_not_hide_it() -> None:
    example = question("cab  dab fig", "  dab ", start=3)
    unit = encode("extractive_qa", [example], 40, tokens=WRITTEN["wordpiece"])[0]
    first, last = unit.target
    assert example.context[unit.places[first][0] : unit.places[last][1]] == "dab"


def test_no_answer_points_at_the_first_piece_in_every_window() -> None:
    units = encode("extractive_qa", [question("a b c d e f g h " * 8)], 24)
    assert len(units) > 3
    assert all(unit.target.tolist() == [0, 0] for unit in units)
    assert task_format("extractive_qa").collate(units, XLMR).targets.tolist() == [[0, 0]] * len(units)


def test_half_an_answer_at_the_edge_of_a_window_is_no_answer() -> None:
    context = " ".join("abcdefghijklmnopqrstuvwxyz" * 2)
    answer = "h i j k l m n o p"
    units = encode("extractive_qa", [question(context, answer)], 24)
    start = context.index(answer)
    taught = [bool(unit.target.any()) for unit in units]
    shown = [(min(p for p in unit.places[:, 0] if p >= 0), unit.places[:, 1].max()) for unit in units]
    assert taught == [first <= start and last >= start + len(answer) for first, last in shown]
    assert sum(taught) == 1
    assert any(first < start + len(answer) and last > start for first, last in (shown[0], shown[2]))


@pytest.mark.parametrize("max_length", range(5, 13))
def test_a_window_of_hardly_any_room_still_moves_on(max_length: int) -> None:
    units = encode("extractive_qa", [question("a b c d e f", "e f", asked="who is it then")], max_length)
    assert 1 <= len(units) <= 6
    assert all(unit.length <= max_length for unit in units)


def test_what_is_windowed_and_what_is_cut_is_counted() -> None:
    rows = [question("a " * 60, asked="b " * 60), question("a", asked="b"), question("a " * 60, asked="b")]
    assert cut_of("extractive_qa", rows, 30) == {"question truncated": 1, "windowed": 2}


def test_the_best_of_all_windows_wins_and_no_answer_is_scored_by_the_least() -> None:
    example = question(" ".join("abcdefghijklmnopqrst" * 2), "a")
    units = encode("extractive_qa", [example], 24)
    answers = [pointing(unit, len(unit.places) - 3, len(unit.places) - 2, score) for score, unit in enumerate(units, 1)]
    for score, answer in enumerate(answers):
        answer[:, 0] = 5 - score
    found = task_format("extractive_qa").decode(answers, units, [example], ())[0]
    start, stop = units[-1].places[-3][0], units[-1].places[-2][1]
    assert found["prediction"] == example.context[start:stop].strip()
    assert found["score"] == pytest.approx(2 * len(units))
    assert found["null_score"] == pytest.approx(2 * (5 - (len(units) - 1)))


BEST = {
    "in the question": ((1, 2), False),
    "in the padding": ((199, 199), False),
    "backwards": ((40, 39), False),
    "of thirty-one tokens": ((50, 80), False),
    "of thirty tokens": ((50, 79), True),
    "of one token": ((50, 50), True),
}


@pytest.mark.parametrize("place", BEST)
def test_only_a_stretch_of_the_context_of_at_most_thirty_pieces_is_an_answer(place: str) -> None:
    """Pieces 30 and 31 are second best, and the answer where the best is none."""
    (first, last), fits = BEST[place]
    example = question(" ".join("abcdefghijklmnopqrstuvwxyz" * 5), "a", asked="a a a")
    unit = encode("extractive_qa", [example], 200)[0]
    scores = np.full((2, unit.length), -50.0, dtype=np.float32)
    scores[0, 30] = scores[1, 31] = 2.0
    scores[0, min(first, unit.length - 1)] = scores[1, min(last, unit.length - 1)] = 5.0
    scores[0, 31] = scores[1, 30] = -99.0
    first, last = (first, last) if fits else (30, 31)
    found = task_format("extractive_qa").decode([scores], [unit], [example], ())[0]
    if fits or place in ("in the question", "in the padding"):
        assert found["score"] == pytest.approx(10.0 if fits else 4.0)
        assert found["prediction"] == example.context[unit.places[first][0] : unit.places[last][1]].strip()
    else:  # either end of it may still go with another token
        assert found["score"] < 10.0
        assert len(XLMR.segments([found["prediction"]])[0]) <= 30


def test_a_question_without_a_context_has_no_answer() -> None:
    units = encode("extractive_qa", [QAExample("1", "", "who", ())], 30)
    found = task_format("extractive_qa").decode([pointing(units[0], 1, 1)], units, [QAExample("1", "", "who", ())], ())
    assert found == [{"id": "1", "prediction": "", "score": None, "null_score": 0.0}]


def test_padding_gets_no_probability(families: Any) -> None:
    examples = [question("a b", "b"), question("a b c d e f g h i j", "b")]
    network = Network(families.backbone("xlm-roberta"))
    attach(network, "head", "extractive_qa")
    network.eval()
    units, how = encode("extractive_qa", examples, 30), task_format("extractive_qa")
    both = how.loss(network, "head", how.collate(units, XLMR)).item()
    alone = sum(how.loss(network, "head", how.collate([unit], XLMR)).item() for unit in units)
    assert both == pytest.approx(alone, rel=1e-5)


# Masked-LM.


def masked(count: int, tokens: Tokenizer = XLMR) -> tuple[Batch, Tensor]:
    """Return a large batch with hidden tokens, and its ids as they were."""
    letters = random.Random(0)
    texts = ["".join(letters.choice("abcdefgh ") for _ in range(letters.randrange(20, 60))) for _ in range(count)]
    units = encode("masked_lm", [TextExample(str(n), text) for n, text in enumerate(texts)], 64)
    torch.manual_seed(1)
    return task_format("masked_lm").collate(units, tokens), padded(
        [unit.sequences[0] for unit in units], tokens.special_tokens.pad
    )


def test_masking_takes_its_shares() -> None:
    batch, whole = masked(800)
    hidden = batch.targets != IGNORED
    special = torch.isin(whole, torch.tensor(sorted(XLMR.special)))
    open_pieces = int((~special).sum())
    share = float(hidden.sum()) / open_pieces
    assert abs(share - 0.15) < 4 * (0.15 * 0.85 / open_pieces) ** 0.5
    count = int(hidden.sum())
    mask = float((batch.ids[hidden] == XLMR.mask).sum()) / count
    same = float((batch.ids[hidden] == whole[hidden]).sum()) / count
    error = 4 * 0.5 / count**0.5
    assert abs(mask - 0.8 - 0.1 / len(XLMR)) < error
    assert abs(same - 0.1 - 0.1 / len(XLMR)) < error
    assert len(set(batch.ids[hidden & (batch.ids != XLMR.mask) & (batch.ids != whole)].tolist())) > 30


def test_special_tokens_and_padding_are_never_hidden_and_nothing_else_changes() -> None:
    batch, whole = masked(300)
    hidden = batch.targets != IGNORED
    assert not hidden[torch.isin(whole, torch.tensor(sorted(XLMR.special)))].any()
    assert torch.equal(batch.ids[~hidden], whole[~hidden])
    assert torch.equal(batch.targets[hidden], whole[hidden])
    assert not hidden[batch.mask == 0].any()


def test_pieces_are_hidden_anew_each_time_and_again_the_same_for_the_same_seed() -> None:
    first, second = masked(20)[0], masked(20)[0]
    assert torch.equal(first.ids, second.ids)
    units = encode("masked_lm", [TextExample("1", "a b c d e f g h i j k l")], 40)
    drawn = {tuple(task_format("masked_lm").collate(units, XLMR).targets[0].tolist()) for _ in range(20)}
    assert len(drawn) > 10


def test_the_loss_is_that_of_the_hidden_pieces_alone(families: Any) -> None:
    network = Network(families.backbone("xlm-roberta"))
    attach(network, "head", "masked_lm")
    network.eval()
    batch, _ = masked(12)
    logits = network("head", batch.ids, batch.mask)
    wanted = cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED, reduction="sum")
    assert task_format("masked_lm").loss(network, "head", batch).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_a_batch_in_which_nothing_is_hidden_has_no_loss_and_a_gradient(families: Any) -> None:
    network = Network(families.backbone("xlm-roberta"))
    attach(network, "head", "masked_lm")
    units = encode("masked_lm", [TextExample("1", "")], 40)
    batch = task_format("masked_lm").collate(units, XLMR)
    loss = task_format("masked_lm").loss(network, "head", batch)
    loss.backward()
    assert loss.item() == 0
    assert batch.labels == 0
    assert task_format("masked_lm").predict(network, "head", batch, units) == [(0.0, 0)]


@settings(max_examples=50, deadline=None)
@given(lines, some.integers(4, 40))
def test_a_long_text_is_cut_into_units_and_nothing_of_it_is_lost(text: str, max_length: int) -> None:
    units = encode("masked_lm", [TextExample("1", text)], max_length)
    assert [piece for unit in units for piece in unit.sequences[0].tolist()[1:-1]] == XLMR.segments([text])[0].tolist()
    assert all(unit.length <= max_length for unit in units)


def test_a_text_and_its_translation_stay_in_one_sequence() -> None:
    rows = [TextExample("1", "a " * 30, "b " * 4), TextExample("2", "a", "b")]
    units = encode("masked_lm", rows, 20)
    assert [unit.example for unit in units] == [0, 1]
    assert text_of(units[0].sequences[0]).endswith("b b b b")
    assert units[0].length == 20
    assert cut_of("masked_lm", rows, 20) == {"truncated": 1}


# Retrieval.


class Table:
    """A network whose states are looked up: `table` (layers, vocabulary, width)."""

    def __init__(self, table: Tensor) -> None:
        self.table, self.heads = table, dict[str, Any]()

    def encode(self, ids: Tensor, mask: Tensor, packing: None = None, languages: Any = ()) -> Tensor:
        return self.table[-1][ids]

    def all_hidden_states(self, ids: Tensor, mask: Tensor, packing: None = None, languages: Any = ()) -> Tensor:
        return self.table[:, ids]


def looked_up(*layers: Tensor) -> Any:
    return Table(torch.stack(layers))


def pairs(*texts: tuple[str, str]) -> list[BitextExample]:
    return [BitextExample(f"row{n}", *both) for n, both in enumerate(texts)]


def test_the_ranking_loss_is_least_where_translations_are_alike() -> None:
    torch.manual_seed(0)
    network = looked_up(torch.randn(64, 12))
    letters = "abcdefgh"
    how, losses = task_format("bitext_retrieval"), {}
    for shift in (0, 1):
        rows = pairs(*((letter * 3, letters[(n + shift) % 8] * 3) for n, letter in enumerate(letters)))
        units = encode("bitext_retrieval", rows, 30)
        losses[shift] = float(how.loss(network, "", how.collate(units, XLMR)))
    assert losses[0] < 0.5
    assert losses[1] > 10 * losses[0]


def test_the_ranking_loss_of_vectors_all_alike_is_the_logarithm_of_the_batch() -> None:
    network = looked_up(torch.ones(64, 4))
    units = encode("bitext_retrieval", pairs(("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")), 30)
    loss = task_format("bitext_retrieval").loss(network, "", task_format("bitext_retrieval").collate(units, XLMR))
    assert float(loss) == pytest.approx(4 * math.log(4), rel=1e-5)


def test_the_nearest_is_found_in_every_layer_for_itself() -> None:
    """Layer 0 says nothing (the first row wins), layer 1 is a mirror image, layer 2 knows the translations."""
    a, b, c, d = (int(ids[-1]) for ids in XLMR.segments(["a", "b", "c", "d"]))
    silent, wrong, right = (torch.zeros(64, 2) for _ in range(3))
    silent += 1
    for one, other, table in ((a, c, right), (b, d, right), (a, d, wrong), (b, c, wrong)):
        table[[one, other]] = torch.eye(2)[int(one == b)]
    units = encode("bitext_retrieval", rows := pairs(("a", "c"), ("b", "d")), 30)
    how, network = task_format("bitext_retrieval"), looked_up(silent, wrong, right)
    answers = how.predict(network, "", how.collate(units, XLMR), units)
    found = how.decode(answers, units, rows, ())
    assert found == [
        {"id": "row0", "prediction": ["row0", "row1", "row0"]},
        {"id": "row1", "prediction": ["row0", "row0", "row1"]},
    ]


def test_each_english_sentence_looks_for_its_translation_and_not_the_other_way_round() -> None:
    """Both English sentences are nearest to the first translation, though each translation has its own nearest."""
    table = torch.zeros(64, 2)
    rows = pairs(("a", "c"), ("b", "d"))
    vectors = {"a": (1.0, 0.0), "b": (0.0, 1.0), "c": (1.0, 0.1), "d": (1.0, 0.5)}
    for letter, vector in vectors.items():
        table[int(XLMR.segments([letter])[0][-1])] = torch.tensor(vector)
    units, how = encode("bitext_retrieval", rows, 30), task_format("bitext_retrieval")
    found = how.decode(how.predict(looked_up(table), "", how.collate(units, XLMR), units), units, rows, ())
    assert [line["prediction"] for line in found] == [["row0"], ["row0"]]


def test_the_length_of_a_vector_does_not_matter_and_padding_neither() -> None:
    torch.manual_seed(0)
    table = torch.randn(64, 8)
    rows = pairs(("a", "aaaa a a"), ("bb b", "b"), ("ccc", "cc c ccccc"))
    units, how = encode("bitext_retrieval", rows, 30), task_format("bitext_retrieval")
    network = looked_up(table)
    whole = how.predict(network, "", how.collate(units, XLMR), units)
    alone = [how.predict(network, "", how.collate([unit], XLMR), [unit])[0] for unit in units]
    assert np.stack(whole) == pytest.approx(np.stack(alone), abs=1e-6)
    scaled = [answer * factor for answer, factor in zip(whole, (1, 50, 0.01), strict=True)]
    assert how.decode(scaled, units, rows, ()) == how.decode(whole, units, rows, ())


def test_what_is_too_long_for_retrieval_is_counted() -> None:
    assert cut_of("bitext_retrieval", pairs(("a " * 40, "b"), ("a", "b")), 20) == {"truncated": 1}
    assert all(unit.length <= 20 for unit in encode("bitext_retrieval", pairs(("a " * 40, "b " * 50)), 20))
