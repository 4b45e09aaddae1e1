"""Small corpora of made-up works, and what is known from them."""

from __future__ import annotations

from collections.abc import Sequence

from xstilts.evidence.claims.question import parse_question
from xstilts.evidence.claims.synthesis import Synthesis, synthesise
from xstilts.evidence.search.corpus import Corpus, ScreeningDecision
from xstilts.evidence.search.identifiers import parse_ids
from xstilts.evidence.search.work import Work, work_from_record
from xstilts.evidence.text.documents import Document

SAID = "MNLI as intermediate task improves accuracy on XNLI by 1.2 points."
DENIED = "MNLI as intermediate task does not improve accuracy on XNLI."
QUESTION = "Does MNLI as intermediate task improve accuracy on XNLI?"


def work(number: int, title: str = "", authors: Sequence[str] = ("Doe, A",)) -> Work:
    return work_from_record(
        "folder", parse_ids(doi=f"10.5555/own.{number}"), title=title, authors=list(authors), year=2024
    )


def synthesis_of(question: str, *texts: tuple[Work, Sequence[str]]) -> Synthesis:
    documents = {
        one.id: tuple(Document(one.id, f"part {n}", text) for n, text in enumerate(those)) for one, those in texts
    }
    rows = tuple(ScreeningDecision(one.id, True, "full text") for one, _ in texts)
    return synthesise(parse_question(question), Corpus(tuple(one for one, _ in texts), documents, rows))


def told(question: str, *texts: str) -> Synthesis:
    """Return a dossier of a work with one text each, all of different authors."""
    return synthesis_of(question, *((work(n, authors=[f"Name{n}, A"]), (text,)) for n, text in enumerate(texts)))
