from __future__ import annotations

import pytest

from xstilts.evidence.corpus import Corpus, Screened
from xstilts.evidence.dossier import compiled
from xstilts.evidence.ids import ids
from xstilts.evidence.question import ask
from xstilts.evidence.text import Document
from xstilts.evidence.work import stated

SAID = "MNLI as intermediate task improves accuracy on XNLI by 1.2 points."
QUESTION = "Does MNLI as intermediate task improve accuracy on XNLI?"


def said(title: str, text: str) -> list[str]:
    work = stated("folder", ids(doi="10.5555/own.1"), title=title, authors=["Doe, A"], year=2024)
    row = Screened(work.id, True, "full text")
    found = compiled(ask(QUESTION), Corpus((work,), {work.id: (Document(work.id, "full text", text),)}, (row,)))
    return [one.statement.text for one in found.said]


def test_a_sentence_that_a_page_runs_together_with_its_title_is_left_out() -> None:
    title = "What MNLI Does to Other Tasks"
    assert said(title, f"{title}\n{SAID}") == []
    assert said(title, f"{title}.\n\n{SAID}") == [SAID]


@pytest.mark.parametrize("title", ["MNLI", "b", "Accuracy on XNLI"])
def test_a_title_of_few_words_leaves_out_no_sentence(title: str) -> None:
    assert said(title, SAID) == [SAID]
