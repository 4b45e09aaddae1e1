"""Small corpora of made-up works, and what is known from them."""

from __future__ import annotations

from collections.abc import Sequence

from xstilts.evidence.claims.question import ask
from xstilts.evidence.claims.synthesis import Dossier, compiled
from xstilts.evidence.search.corpus import Corpus, Screened
from xstilts.evidence.search.identifiers import ids
from xstilts.evidence.search.work import Work, stated
from xstilts.evidence.text.documents import Document

SAID = "MNLI as intermediate task improves accuracy on XNLI by 1.2 points."
DENIED = "MNLI as intermediate task does not improve accuracy on XNLI."
QUESTION = "Does MNLI as intermediate task improve accuracy on XNLI?"


def work(number: int, title: str = "", authors: Sequence[str] = ("Doe, A",)) -> Work:
    return stated("folder", ids(doi=f"10.5555/own.{number}"), title=title, authors=list(authors), year=2024)


def dossier(question: str, *texts: tuple[Work, Sequence[str]]) -> Dossier:
    documents = {
        one.id: tuple(Document(one.id, f"part {n}", text) for n, text in enumerate(those)) for one, those in texts
    }
    rows = tuple(Screened(one.id, True, "full text") for one, _ in texts)
    return compiled(ask(question), Corpus(tuple(one for one, _ in texts), documents, rows))


def told(question: str, *texts: str) -> Dossier:
    """Return a dossier of a work with one text each, all of different authors."""
    return dossier(question, *((work(n, authors=[f"Name{n}, A"]), (text,)) for n, text in enumerate(texts)))
