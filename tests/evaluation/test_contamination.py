"""Overlap: what a test set shares with a training set is found, all of it, and what recurs by chance is no finding."""

from __future__ import annotations

import os
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from test_dataset import put, question, squad

from given import promised as data_of
from xstilts.data.dataset import examples
from xstilts.data.examples import (
    SHAPES,
    AnswerSpan,
    BitextExample,
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    PassageExample,
    QAExample,
    TaggingExample,
    TextExample,
)
from xstilts.data.readers import Report
from xstilts.evaluation.contamination import (
    Field,
    Overlap,
    Pair,
    between,
    contamination,
    is_short,
    ngrams,
    normalised,
    of_tasks,
    read_overlap,
    stages,
    summary,
    texts,
)
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.tasks.base import task

LONG = "The quick brown fox jumps over the lazy dog and runs back into the dark wood"
CHINESE = "敏捷的棕色狐狸跳过懒狗,然后跑回黑暗的树林里去了"
WORDS = st.lists(st.sampled_from("abcdef"), min_size=5, max_size=14).map(" ".join)
CHARACTERS = st.text("一二三四", min_size=10, max_size=24)


def said(text: str, id: str = "0") -> TextExample:
    return TextExample(id, text)


def field_of(train: str, test: str) -> Field:
    return between([said(train)], [said(test)]).fields[0]


# What is the same.


@pytest.mark.parametrize(
    "other",
    [LONG, LONG.upper(), f"  “{LONG}” !", LONG.replace(" ", ",\t"), LONG.replace("fox", "ｆｏｘ"), f"({LONG}...)"],
)
def test_case_punctuation_and_space_make_no_other_text(other: str) -> None:
    assert field_of(LONG, other) == field_of(other, LONG) == Field("text", 1, 1, 0, 0)


@given(st.text(min_size=1, max_size=60))
def test_any_text_is_the_same_as_itself(text: str) -> None:
    found = between([said(text)], [said(text, "7")])
    if not text.strip():
        assert found.fields == ()
    else:
        short = is_short(normalised(text))
        assert found.fields == (Field("text", 1, not short, 0, short),)
        assert found.samples == (() if short else (Pair("text", "7", "0", 1.0),))


@given(WORDS, st.sampled_from([str.upper, str.title, lambda text: text.replace(" ", " - ") + "?!"]))
def test_a_written_variant_is_the_same(text: str, change: object) -> None:
    assert callable(change)
    assert field_of(text, change(text)).exact == 1


def test_marks_are_part_of_words() -> None:
    assert normalised("हिन्दी") == "हिन्दी"
    assert normalised("ภาษาไทยที่ดี") == "ภาษาไทยที่ดี"
    assert normalised("snake_case, Ⅳ½") == "snake case iv1 2"


# What is nearly the same: exactly what the similarity says, whichever way it is found.


def similarity(a: str, b: str) -> tuple[int, int]:
    one, other = ngrams(normalised(a)), ngrams(normalised(b))
    return len(one & other), len(one | other)


@settings(max_examples=150)
@given(st.lists(WORDS | CHARACTERS, min_size=1, max_size=12), st.lists(WORDS | CHARACTERS, min_size=1, max_size=12))
@example([LONG], [LONG + " again"])
def test_near_duplicates_are_those_that_comparing_all_with_all_finds(train: list[str], test: list[str]) -> None:
    found = between(
        [said(text, str(n)) for n, text in enumerate(train)], [said(text, str(n)) for n, text in enumerate(test)]
    )
    exact = sum(text in train for text in test)
    alike = [any(5 * shared >= 4 * union for shared, union in (similarity(a, b) for a in train)) for b in test]
    assert (found.fields[0].exact, found.fields[0].exact + found.fields[0].near) == (exact, sum(alike))
    for pair in found.samples:
        shared, union = similarity(train[int(pair.train)], test[int(pair.test)])
        assert pair.similarity == round(shared / union, 4)


@settings(max_examples=60)
@given(st.integers(5, 60), st.integers(0, 8), st.randoms(use_true_random=False))
def test_a_text_with_some_words_changed_is_found_if_it_is_alike_enough(
    length: int, changed: int, order: random.Random
) -> None:
    words = [f"w{number}" for number in range(length)]
    other = [*words]
    for place in order.sample(range(length), min(changed, length)):
        other[place] = "x"
    assume(other != words)
    shared, union = similarity(" ".join(words), " ".join(other))
    assert field_of(" ".join(words), " ".join(other)).near == (5 * shared >= 4 * union)


def test_texts_without_spaces_are_compared_by_characters() -> None:
    assert field_of(CHINESE, CHINESE.replace(",", " ")).exact == 1
    assert field_of(CHINESE, CHINESE[:-1]).near == 1
    assert field_of(CHINESE, CHINESE[:12] + "完全不同的另一句话") == Field("text", 1, 0, 0, 0)


def test_the_most_similar_is_named_and_the_same_comes_before_the_nearly_same() -> None:
    train = [said(LONG + " again", "near"), said(LONG + " oh", "also near"), said(LONG, "same"), said(LONG, "later")]
    assert between(train, [said(LONG)]).samples == (Pair("text", "0", "same", 1.0),)
    assert between(train[:2], [said(LONG)]).samples[0].train == "near"


@pytest.mark.parametrize("text", ["A man sleeps.", "one two three four", "狐狸跳过懒狗", "?"])
def test_short_texts_are_counted_apart(text: str) -> None:
    assert field_of(text, text) == Field("text", 1, 0, 0, 1)


def test_short_texts_count_as_a_pair() -> None:
    pair = ClassificationExample("0", "A man sleeps.", "A person rests.", "entailment")
    found = between([pair], [replace(pair, id="1")])
    assert {one.name: (one.exact, one.short) for one in found.fields} == {
        "text_a": (0, 1),
        "text_b": (0, 1),
        "pair": (1, 0),
    }
    other = replace(pair, text_b="A man is awake.")
    assert between([other], [pair]).touched == 0


# Examples of every shape.

SHOWN: list[tuple[Example, set[str]]] = [
    (ClassificationExample("0", LONG, None, None), {"text_a"}),
    (ClassificationExample("0", LONG, "No.", None), {"text_a", "text_b", "pair"}),
    (MultipleChoiceExample("0", LONG, "Why?", ("a", "b"), 0), {"context", "whole"}),
    (MultipleChoiceExample("0", "", LONG, ("a", "b"), 0), {"question", "whole"}),
    (TaggingExample("0", tuple(LONG.split()), ()), {"sentence"}),
    (QAExample("0", LONG, "Why did it jump so high?", (AnswerSpan("fox", 16),)), {"context", "question"}),
    (BitextExample("0", LONG, CHINESE), {"source", "english"}),
    (BitextExample("0", "Why did it jump so high?", LONG, CHINESE), {"source", "english", "context"}),
    (PassageExample("0", LONG, CHINESE, "query"), {"text", "context"}),
    (TextExample("0", LONG, CHINESE), {"text", "pair"}),
]


@pytest.mark.parametrize(("shown", "names"), SHOWN)
def test_every_shape_has_texts(shown: Example, names: set[str]) -> None:
    assert set(texts(shown)) == names
    found = between([shown], [shown])
    assert {one.name for one in found.fields} == names
    assert found.touched == 1


def test_no_shape_is_forgotten() -> None:
    assert {type(shown) for shown, _ in SHOWN} == set(SHAPES.values())
    with pytest.raises(TypeError, match=r"str has no texts to compare: add them to `contamination\.texts`"):
        texts("no example")  # type: ignore[arg-type]


def test_a_text_counts_wherever_it_stands_in_training() -> None:
    found = between(
        [QAExample("q", LONG, CHINESE, ())], [PassageExample("p", CHINESE, None, "query"), TextExample("t", LONG)]
    )
    assert (found.touched, found.fields[0].exact) == (2, 2)


def test_a_question_that_is_the_same_for_all_is_no_finding() -> None:
    asked = "What was the cause of this?"
    train, test = (
        MultipleChoiceExample("0", f"The {it} fell from the roof.", asked, (it, "no"), 0) for it in ("tile", "rain")
    )
    assert between([train], [test]).touched == 0


def test_at_most_ten_pairs_are_shown_of_every_field_some() -> None:
    many = [ClassificationExample(str(n), f"{LONG} {n}", f"{n} times it was {n} {n} {n}", None) for n in range(40)]
    found = between(many, many)
    assert {pair.field for pair in found.samples} == {"text_a", "text_b", "pair"}
    assert len(found.samples) == 9


# In words, and in the store.


def test_a_finding_is_one_sentence_and_nothing_found_is_none() -> None:
    found = Overlap(
        "squad2_small en",
        "xquad en",
        5402,
        1190,
        12,
        (Field("context", 1190, 9, 3, 0), Field("question", 1190, 0, 1, 4), Field("pair", 1190, 0, 0, 0)),
        (),
    )
    assert summary(found) == (
        "12 of 1,190 contexts (9 exactly, 3 nearly) and 1 of 1,190 questions (1 nearly) of xquad en are also in the "
        "training data of squad2_small en"
    )
    assert summary(replace(found, fields=found.fields[2:])) is None


def test_the_stage_writes_what_is_found(machine: Runtime) -> None:
    train = [QAExample(str(n), f"{LONG} {n}", f"Who ran back {n} times?", ()) for n in range(3)]
    stage = contamination(
        data_of("extractive_qa", train, "seen"),
        data_of("extractive_qa", [*train[:1], replace(train[1], context="?")], "new"),
    )
    assert stage.label == "overlap-seen-train-en-new-train-en"
    found = read_overlap(build(stage, machine))
    assert found == replace(
        between(train, [*train[:1], replace(train[1], context="?")]), train=found.train, test=found.test
    )
    assert (found.train, found.test, found.train_examples, found.test_examples, found.touched) == (
        "seen en",
        "new en (train)",
        3,
        2,
        2,
    )


def test_tasks_are_compared_part_by_part(tmp_path: Path) -> None:
    put(tmp_path, "targets/xquad/xquad.en.json", squad(question("x", ("Ada", 0)), context=LONG))
    put(tmp_path, "squad/train-v1.1.json", squad(question("y", ("The", 0)), context=LONG))
    machine = Runtime(tmp_path / "store", tmp_path, allow_unexpected_data=True)
    (found,) = of_tasks(task("squad"), task("xquad"), "en", "test", machine)
    assert summary(found) == "1 of 1 contexts (1 exactly) of xquad en are also in the training data of squad en"
    assert found.samples == (Pair("context", "x", "y", 1.0),)


def test_every_part_and_language_of_the_training_data_is_looked_at(tmp_path: Path) -> None:
    put(tmp_path, "targets/xnli_test_gold/test-en.tsv", "A\tB\tneutral\n")
    put(tmp_path, "intermediate/mnli_sample/mnli_matched", "neutral\tA\tB\n")
    (one,) = stages(task("mnli_small"), task("xnli"), "en", "test", tmp_path)
    assert one.label == "overlap-mnli_small-train-en-xnli-test-en"
    put(tmp_path, "xtreme/panx/train-de.tsv", "Ann\tB-PER\n\n")
    put(tmp_path, "xtreme/panx/train-sw.tsv", "Ann\tB-PER\n\n")
    put(tmp_path, "xtreme/panx/dev-en.tsv", "Ann\tB-PER\n\n")
    found = stages(task("panx:de+sw"), task("panx"), "en", "validation", tmp_path)
    assert [stage.label[: len("overlap-panx-train-de")] for stage in found] == [
        "overlap-panx-train-de",
        "overlap-panx-train-sw",
    ]


def test_many_texts_take_seconds() -> None:
    order = random.Random(0)
    words = [f"w{number}" for number in range(2000)]
    train = [" ".join(order.choices(words, k=14)) for _ in range(20000)]
    test = [*train[:10], *(" ".join(order.choices(words, k=14)) for _ in range(990))]
    started = time.perf_counter()
    found = between((said(text, str(n)) for n, text in enumerate(train)), [said(text) for text in test])
    assert found.fields[0] == Field("text", 1000, 10, 0, 0)
    assert time.perf_counter() - started < 20


# The real files.

DATA = Path(os.environ.get("XSTILTS_DATA") or "no-such-folder")
real = pytest.mark.skipif(not DATA.is_dir(), reason="XSTILTS_DATA does not name a folder with the real data")


def shared_by(train: str, test: str, split: str, code: str = "en") -> Overlap:
    seen = examples(task(train).data("train", "en", DATA), DATA, Report())
    return between(seen, list(examples(task(test).data(split, code, DATA), DATA, Report())))


@real
@pytest.mark.parametrize(
    ("train", "test", "split"),
    [("squadshifts", "xquad", "test"), ("squad_small", "xquad", "test"), ("mnli_small", "xnli", "test")],
)
def test_real_stand_ins_share_nothing_with_what_they_are_for(train: str, test: str, split: str) -> None:
    assert shared_by(train, test, split).touched == 0


@real
def test_real_passages_of_squad2_are_in_xquad_and_lareqa() -> None:
    contexts = shared_by("squad2_small", "xquad", "test").fields[0]
    assert (contexts.name, contexts.exact, contexts.near) == ("context", 310, 0)
    assert shared_by("squad2_small", "lareqa", "test").touched > 600
