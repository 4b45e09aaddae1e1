"""The answer counts what works say, each once for an outcome, and quotes both sides where they differ."""

from __future__ import annotations

import re
from collections.abc import Sequence

import directions
import pytest
from small_corpus import DENIED, QUESTION, SAID, synthesis_of, told, work

from xstilts.evidence.claims.answer import abstract, answer, limits, opposed_pair
from xstilts.evidence.demo import QUESTIONS

BOTH = "Does MNLI as intermediate task change accuracy and memory on XNLI?"


def on(count: str, outcome: str = "accuracy") -> str:
    return f"({count} on MNLI and {outcome})."


@pytest.mark.parametrize(
    ("question", "texts", "expected"),
    [
        (QUESTION, (), "No evidence found on MNLI and accuracy."),
        (QUESTION, (SAID,), f"One work only: more or better in one work {on('one statement of one work')}"),
        (
            QUESTION,
            (SAID, "Cats sleep."),
            f"One work only: more or better in one work {on('one statement of one work')}",
        ),
        (
            QUESTION,
            (SAID, DENIED),
            f"Disputed: more or better in one work, no clear difference in one {on('2 statements of 2 works')}",
        ),
        (
            QUESTION,
            (SAID, SAID.replace("1.2", "1.3"), SAID.replace("improves", "hurts")),
            f"Disputed: more or better in 2 works, less or worse in one {on('3 statements of 3 works')}",
        ),
        (
            QUESTION,
            (SAID, SAID.replace("1.2", "1.3")),
            f"Not disputed: more or better in 2 works {on('2 statements of 2 works')}",
        ),
        (
            QUESTION,
            ("MNLI as intermediate task reduces memory on XNLI.",),
            "No evidence found on MNLI and accuracy, only one statement on MNLI.",
        ),
    ],
)
def test_an_answer_counts_works_by_direction(question: str, texts: Sequence[str], expected: str) -> None:
    assert answer(told(question, *texts)) == expected


def test_outcomes_are_told_apart_and_of_costs_there_is_more_and_not_better() -> None:
    said = answer(told(BOTH, f"{SAID} MNLI as intermediate task doubles memory on XNLI.", DENIED))
    assert said.startswith(
        "Disputed: on accuracy more or better in one work, no clear difference in one; on memory more in one work ("
    )


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_ends_with_what_holds_by_construction(name: str) -> None:
    texts = [text for one, _, text in directions.read() if one == name]
    works = (work(n, QUESTIONS[name], [f"Name{n}, A"]) for n in range(len(texts)))
    found = synthesis_of(QUESTIONS[name], *((one, (text,)) for one, text in zip(works, texts, strict=True)))
    said = answer(found)
    assert said.startswith(("Disputed: ", "Works differ, but are not comparable: "))
    assert said.endswith(f"). {' '.join(one.statement for one in found.constructions)}".rstrip())


def test_both_sides_are_quoted_where_works_differ() -> None:
    found = told(QUESTION, DENIED, SAID)
    pair = opposed_pair(found)
    assert pair is not None
    sides = abstract(found)[0]
    assert all(f"“{one.statement.text}”" in sides for one in pair)
    assert sides.startswith("On one side Name")
    assert " On the other Name" in sides
    assert opposed_pair(told(QUESTION, SAID)) is None
    assert abstract(told(QUESTION, SAID))[0] == f"Name0 (2024): “{SAID}”"


def test_gaps_are_told() -> None:
    question = "Does MNLI as intermediate task improve accuracy on XNLI and PAWS-X?"
    assert "No evidence found for the benchmark 'PAWS-X'." in abstract(told(question, SAID))
    assert abstract(told(QUESTION, SAID))[2] == "Every term of the question is mentioned by at least one statement."


def test_what_others_found_is_no_statement_and_one_seed_is_among_the_limits() -> None:
    found = told(QUESTION, SAID, f"It has been reported that {SAID}", f"With one seed, {SAID}")
    names = {one.statement.text: one.name for one in found.statements}
    assert {*names} == {SAID, f"With one seed, {SAID}"}
    said = list(limits(found))
    assert f"Based on one seed, by their own account: {names[f'With one seed, {SAID}']}." in said
    assert all("one seed" not in one for one in limits(told(QUESTION, SAID)))


def test_works_that_differ_without_being_comparable_are_told_so() -> None:
    other = "Over full fine-tuning, MNLI as intermediate task worsens accuracy on XNLI."
    found = told(QUESTION, f"Compared to SQuAD, {SAID}", other)
    if opposed_pair(found) is None:
        assert answer(found).startswith("Works differ, but are not comparable: ")
        assert "They are not comparable, because " in abstract(found)[0]


def test_where_nothing_answers_the_nearest_works_are_quoted_word_for_word() -> None:
    made = told(QUESTION, "Bricks are red. We study MNLI as intermediate task for XNLI.", "Bricks are red.")
    nearest = abstract(made)[0]
    assert nearest.startswith("Nearest to the question, without a finding that answers it: ")
    quotes = re.findall("“(.*?)”", nearest)
    assert quotes[0] == "We study MNLI as intermediate task for XNLI."
    assert all(any(quote in document.text for document in made.corpus.texts()) for quote in quotes)
    assert "Nearest" not in " ".join((*abstract(told(QUESTION)), *abstract(told(QUESTION, SAID))))
