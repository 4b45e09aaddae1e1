"""A dossier: works are strangers, statements opposed, and headings left out, only where that is sure."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from small_corpus import DENIED, QUESTION, SAID, synthesis_of, told, work

from xstilts.evidence.claims.synthesis import (
    Synthesis,
    central_statements,
    conflicts,
    directions_by_outcome,
    independent_works,
)


def pairs(found: Synthesis) -> set[frozenset[str]]:
    return {frozenset((one.statement.text, other.statement.text)) for one, other in conflicts(found.statements)}


def said(title: str, *texts: str, authors: Sequence[str] = ("Doe, A",)) -> list[str]:
    return [one.statement.text for one in synthesis_of(QUESTION, (work(1, title, authors), texts)).statements]


# Headings.


def test_a_sentence_that_a_page_runs_together_with_its_title_is_left_out_where_it_stands_elsewhere() -> None:
    title = "What MNLI Does to Other Tasks"
    assert said(title, f"{title}\n{SAID}", SAID) == [SAID]
    assert said(title, f"{title}\nAda Doe, Bo Ng\nAbstract\n{SAID}", SAID, authors=["Ada Doe", "Bo Ng"]) == [SAID]
    assert said(title, f"{title}.\n\n{SAID}") == [SAID]


def test_a_sentence_is_not_lost_for_the_title_in_it() -> None:
    title = "MNLI as intermediate task"
    assert said(title, SAID) == [SAID]
    assert said(title, SAID, "It improves accuracy on XNLI by 1.2 points.") == [SAID]
    assert said("Tasks that improve accuracy on XNLI", f"We see that {SAID}") == [f"We see that {SAID}"]
    fused = f"What MNLI Does to Other Tasks {SAID}"
    assert said("What MNLI Does to Other Tasks", fused) == [fused]


@pytest.mark.parametrize("title", ["MNLI", "b", "Accuracy on XNLI"])
def test_a_title_of_few_words_leaves_out_no_sentence(title: str) -> None:
    assert said(title, SAID) == [SAID]
    assert {*said("MNLI", f"MNLI {SAID}", SAID)} == {SAID, f"MNLI {SAID}"}


# Strangers.


def test_only_works_that_name_other_authors_are_strangers() -> None:
    own = work(1, authors=["Müller, A", "Ng, B"])
    others = {name: work(n, authors=name) for n, name in enumerate((("Doe, A",), ("Muller, Ann",), ("NG, Bo",), ()), 2)}
    assert independent_works(own, [own, *others.values()]) == (others["Doe, A",],)
    assert independent_works(others[()], [own, *others.values()]) == ()


@pytest.mark.parametrize(
    ("others", "status"),
    [((), "NOT_ENOUGH_INFO"), (("Doe, Ada",), "NOT_ENOUGH_INFO"), (("Ng, B",), "NOT_ENOUGH_INFO")],
)
def test_words_that_are_repeated_corroborate_nothing(others: Sequence[str], status: str) -> None:
    found = synthesis_of(QUESTION, (work(1), (SAID,)), (work(2, authors=others), (f"We go on. {SAID}",)))
    assert [one.corroborated.status for one in found.statements] == [status]
    copies = synthesis_of(QUESTION, (work(1, authors=()), (SAID,)), (work(2, authors=()), (f"We go on. {SAID}",)))
    assert [one.corroborated.status for one in copies.statements] == ["NOT_ENOUGH_INFO"]


# Conflicts.


def test_works_are_opposed_on_an_outcome_that_is_asked_for() -> None:
    assert pairs(told(QUESTION, SAID, DENIED)) == {frozenset((SAID, DENIED))}
    assert pairs(told(QUESTION, SAID, SAID.replace("MNLI", "In Thai, MNLI"))) == set()
    assert pairs(synthesis_of(QUESTION, (work(1), (SAID, DENIED)))) == set()


def test_statements_on_other_outcomes_oppose_none() -> None:
    slower = "MNLI as intermediate task reduces memory on XNLI."
    bare = "MNLI as intermediate task depends on nothing in XNLI and does not grow."
    assert pairs(told(QUESTION, SAID, slower, bare)) == set()
    both = "Does MNLI as intermediate task improve accuracy or memory on XNLI?"
    assert pairs(told(both, SAID, slower)) == set()
    assert pairs(told(both, SAID, slower, slower.replace("reduces", "increases"))) != set()


def test_what_is_retold_or_holds_under_a_condition_opposes_none() -> None:
    assert pairs(told(QUESTION, DENIED, f"It has been reported that {SAID}")) == set()
    assert pairs(told(QUESTION, DENIED, SAID.replace(" by 1.2 points", " if it is large"))) == set()


def test_a_text_that_says_so_speaks_against_others() -> None:
    against = f"Contrary to earlier reports, {SAID.replace('1.2', '0.3')}"
    assert pairs(told(QUESTION, SAID, against)) == {frozenset((SAID, against))}


def test_a_work_counts_once_for_an_outcome() -> None:
    thai = "In Thai, MNLI as intermediate task hurts accuracy on XNLI."
    found = synthesis_of(QUESTION, (work(1), (f"{SAID} {thai}",)), (work(2, authors=["Ng, B"]), (DENIED,)))
    assert directions_by_outcome(found.statements) == {
        "accuracy": {"doi:10.5555/own.1": "mixed", "doi:10.5555/own.2": "level"}
    }


def test_what_is_on_no_outcome_that_is_asked_for_is_not_central_and_has_no_side() -> None:
    other = "MNLI as intermediate task reduces memory on XNLI."
    found = told(QUESTION, SAID, other)
    assert {one.statement.text for one in found.statements} == {SAID, other}
    assert [one.statement.text for one in central_statements(found.question, found.statements)] == [SAID]
    task = next(one for one in found.findings if one.coverage.term == "MNLI")
    assert task.works == {"unsaid": ("doi:10.5555/own.1",), "up": ("doi:10.5555/own.0",)}
