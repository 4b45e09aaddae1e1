"""Few-shot draws: laws over formats, labels, numbers and draws."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from given import TOYS
from xstilts.data.examples import ClassificationExample, Example, QAExample, TaggingExample
from xstilts.data.few_shot import check, drawn
from xstilts.errors import InputError

labels = some.lists(some.sampled_from(["a", "b", "c", None]), min_size=1, max_size=30)


@settings(max_examples=40)
@given(labels, some.data(), some.integers(1, 5))
def test_more_shots_begin_with_the_fewer_and_labels_take_turns(
    labels: list[str], data: some.DataObject, draw: int
) -> None:
    rows = [ClassificationExample(str(n), f"text {n % 7}", None, label) for n, label in enumerate(labels)]
    there = Counter(label for label in labels if label is not None)
    if not there:
        return
    count = data.draw(some.integers(1, there.total()))
    all_drawn, some_drawn = drawn(rows, there.total(), draw), drawn(rows, count, draw)
    assert all_drawn[:count] == some_drawn
    assert sorted(int(row.id) for row in all_drawn) == [n for n, label in enumerate(labels) if label is not None]
    counts = Counter(row.label for row in some_drawn)  # type: ignore[union-attr]
    for label, times in there.items():  # a label has fewer than another one only where it has no more
        assert counts[label] == times or counts[label] >= max(counts.values()) - 1
    check(rows, there.total())
    for too_many in (drawn, lambda rows, count, draw: check(rows, count)):
        with pytest.raises(InputError, match=f"{there.total() + 1} shots, but there are {there.total()} training"):
            too_many(rows, there.total() + 1, draw)


@pytest.mark.parametrize("format", sorted(TOYS))
def test_every_format_is_drawn_from(format: str) -> None:
    rows = TOYS[format][2]
    draws = [tuple(example.id for example in drawn(rows, 8, draw)) for draw in range(1, 9)]
    assert all(len(set(ids)) == 8 for ids in draws)
    assert len(set(draws)) > 4
    check(rows, len(rows))


def test_examples_without_an_answer_are_left_out() -> None:
    rows: list[Example] = [QAExample(str(n), "c", "q", (), unanswerable=n == 2) for n in range(4)]
    assert drawn(rows, 1, 1) == rows[2:3]
    assert drawn([TaggingExample("1", ("a",), ()), TaggingExample("2", ("a",), ("O",))], 1, 1)[0].id == "2"


def test_a_draw_stays_what_it_was() -> None:
    """Written by the first release with prompts: a draw is part of results."""
    rows = [ClassificationExample(str(n), f"text {n}", None, "abc"[n % 3]) for n in range(30)]
    assert [example.id for example in drawn(rows, 6, 1)] == ["3", "19", "5", "18", "7", "29"]
