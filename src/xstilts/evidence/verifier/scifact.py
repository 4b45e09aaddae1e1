"""SciFact: claims, the abstracts that support or contradict them, and the scores of Wadden et al. 2020.

It is what a model of inference is asked before it may decide anything: biomedical claims, with the sentences that
decide them. A claim is paired with each abstract that its makers cited for it; an abstract that decides nothing is
NEUTRAL.

    data = read(Path("data/literature/scifact"))
    pairs(data, data.dev)[0]
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from xstilts.data.readers.row import Input, Report, bad
from xstilts.data.readers.text_lines import lines
from xstilts.errors import InputError
from xstilts.evidence.text.hedges import content_stems

FOLDER = "literature/scifact"  # below the data folder
FILES = ("corpus.jsonl", "claims_train.jsonl", "claims_dev.jsonl")
LABELS = ("SUPPORT", "CONTRADICT", "NEUTRAL")  # the order of all probabilities
SENTENCES_READ = 3  # sentences of an abstract that are read, as in SciFact's own evaluation


@dataclass(frozen=True)
class Abstract:
    """An abstract, in the sentences that its annotators saw."""

    id: int
    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Claim:
    """A claim, the abstracts cited for it, and of those that decide it the label and sufficient sets of sentences."""

    id: int
    text: str
    cited: tuple[int, ...]
    labels: Mapping[int, str]
    rationales: Mapping[int, tuple[frozenset[int], ...]]


Row = TypeVar("Row", Abstract, Claim)


@dataclass(frozen=True)
class SciFact:
    """The abstracts by id, the claims of both labelled splits, and the sha256 of the files that they were read from."""

    abstracts: Mapping[int, Abstract]
    train: tuple[Claim, ...]
    dev: tuple[Claim, ...]
    sha256: str

    @cached_property
    def index(self) -> Any:
        """BM25 over titles and abstracts, in the order of `abstracts`."""
        import bm25s

        found = bm25s.BM25()
        told = [[*content_stems(f"{one.title} {' '.join(one.sentences)}")] for one in self.abstracts.values()]
        found.index(told, show_progress=False)
        return found

    def search(self, claim: str, limit: int) -> tuple[int, ...]:
        """Return the ids of the abstracts that share most with a claim, best first."""
        asked = [stem for stem in content_stems(claim) if stem in self.index.vocab_dict]
        if not asked:
            return ()
        scores, ids = self.index.get_scores(asked), [*self.abstracts]
        return tuple(ids[at] for at in np.argsort(-scores, kind="stable")[:limit])


@dataclass(frozen=True)
class Pair:
    """A claim and an abstract, its label for the claim, and the sentences (their numbers) that share most with it."""

    claim: Claim
    abstract: Abstract
    label: str
    near: tuple[int, ...]

    @property
    def key(self) -> tuple[int, int]:
        """The ids of claim and abstract."""
        return self.claim.id, self.abstract.id


def read(folder: Path) -> SciFact:
    """Read the three files of a folder; InputError, with file and line, where they are missing, damaged or at odds."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder} has no {missing[0]}; unpack SciFact there, or name the folder above {FOLDER} by --data"
        )
    abstracts = {one.id: one for one in _unique(_abstract(place, row) for place, row in _rows(folder / FILES[0]))}
    train, dev = (
        tuple(_unique(_claim(place, row, abstracts) for place, row in _rows(folder / name))) for name in FILES[1:]
    )
    total = hashlib.sha256(b"".join(hashlib.sha256((folder / name).read_bytes()).digest() for name in FILES))
    return SciFact(abstracts, train, dev, total.hexdigest())


def pairs(data: SciFact, claims: Sequence[Claim]) -> tuple[Pair, ...]:
    """Return each claim with each abstract cited for it."""
    return tuple(make_pair(one, data.abstracts[cited]) for one in claims for cited in dict.fromkeys(one.cited))


def retrieved_pairs(data: SciFact, claims: Sequence[Claim], limit: int) -> tuple[Pair, ...]:
    """Return each claim with the abstracts that BM25 finds for it among all."""
    return tuple(make_pair(one, data.abstracts[found]) for one in claims for found in data.search(one.text, limit))


def make_pair(claim: Claim, abstract: Abstract) -> Pair:
    """Return a claim with an abstract, and its sentences that have most of the claim's content, in their order."""
    shares = [content_overlap(claim.text, one) for one in abstract.sentences]
    near = sorted(sorted(range(len(shares)), key=lambda at: -shares[at])[:SENTENCES_READ])
    return Pair(claim, abstract, claim.labels.get(abstract.id, LABELS[2]), tuple(near))


def content_overlap(claim: str, sentence: str) -> float:
    """Return the share of a claim's content that stands in a sentence, 0 to 1."""
    wanted = set(content_stems(claim))
    return len(wanted & set(content_stems(sentence))) / max(len(wanted), 1)


def retrieval_recall(data: SciFact, claims: Sequence[Claim], limits: Sequence[int]) -> dict[int, float]:
    """Return the share of deciding abstracts that are among the first so many that BM25 finds."""
    found = [(one.labels, data.search(one.text, max(limits))) for one in claims]
    return {
        limit: float(np.mean([gold in ids[:limit] for golden, ids in found for gold in golden])) for limit in limits
    }


def rationale_coverage(those: Sequence[Pair]) -> float:
    """Return the share of deciding abstracts of which a sentence that is read belongs to a sufficient set."""
    deciding = [one for one in those if one.label != LABELS[2]]
    return float(
        np.mean([any(gold & {*one.near} for gold in one.claim.rationales[one.abstract.id]) for one in deciding])
    )


@dataclass(frozen=True)
class Prediction:
    """What is said of a claim and an abstract: a label, and the sentences that it rests on."""

    pair: Pair
    label: str
    sentences: tuple[int, ...]


def scores(claims: Sequence[Claim], said: Sequence[Prediction]) -> dict[str, float]:
    """Return SciFact's four F1 (Wadden et al. 2020, section 4): 0 to 1.

    Of abstracts: the label is right; and a sufficient set is among the sentences. Of sentences: each counts that
    belongs to a sufficient set all of which is named; and has the right label. NEUTRAL names nothing.
    """
    told = [one for one in said if one.label != LABELS[2]]
    right = [one for one in told if one.pair.label == one.label]
    abstracts = len(told), sum(len(one.labels) for one in claims)
    golden = sum(len(frozenset().union(*sets)) for one in claims for sets in one.rationales.values())
    sentences = sum(len(one.sentences) for one in told), golden
    return {
        "abstract, label": _f1(len(right), *abstracts),
        "abstract, label and rationale": _f1(sum(bool(_supported_sentences(one)) for one in right), *abstracts),
        "sentence": _f1(sum(len(_supported_sentences(one)) for one in told), *sentences),
        "sentence and label": _f1(sum(len(_supported_sentences(one)) for one in right), *sentences),
    }


def _supported_sentences(said: Prediction) -> frozenset[int]:
    """Return the sentences named that belong to a sufficient set all of which is named."""
    named = frozenset(said.sentences)
    sets = said.pair.claim.rationales.get(said.pair.abstract.id, ())
    return frozenset().union(*(gold for gold in sets if gold <= named))


def _f1(right: int, named: int, golden: int) -> float:
    return 2 * right / (named + golden) if named + golden else 0.0


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the place and the object of each line."""
    for number, line in lines(Input(path, path.name), Report()):
        place = f"{path.name}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise bad(place, f"expected a JSON object ({error})", "get SciFact's file again") from None
        if not isinstance(row, dict):
            raise bad(place, f"expected a JSON object, found {line[:40]!r}", "get SciFact's file again")
        yield place, row


def _unique(found: Iterable[Row]) -> list[Row]:
    by_id: dict[int, Row] = {}
    for one in found:
        if one.id in by_id:
            raise InputError(f"{type(one).__name__.lower()} {one.id} stands there twice; get SciFact's files again")
        by_id[one.id] = one
    return [by_id[number] for number in by_id]


def _abstract(place: str, row: Mapping[str, Any]) -> Abstract:
    told, number, title = row.get("abstract"), row.get("doc_id"), row.get("title")
    fits = isinstance(told, list) and all(isinstance(one, str) for one in told)
    if not (fits and isinstance(told, list) and type(number) is int and isinstance(title, str)):
        raise bad(place, "expected doc_id, title and abstract, a list of sentences", "get SciFact's file again")
    return Abstract(number, title, tuple(told))


def _claim(place: str, row: Mapping[str, Any], abstracts: Mapping[int, Abstract]) -> Claim:
    try:
        evidence = {int(document): tuple(sets) for document, sets in row["evidence"].items()}
        labels = {document: {str(one["label"]) for one in sets} for document, sets in evidence.items()}
        chosen = {
            document: tuple(frozenset(int(at) for at in one["sentences"]) for one in sets)
            for document, sets in evidence.items()
        }
        cited = tuple(int(one) for one in row["cited_doc_ids"])
        single = {document: " and ".join(sorted(ones)) for document, ones in labels.items()}
        found = Claim(int(row["id"]), str(row["claim"]), cited, single, chosen)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise bad(place, f"expected a labelled claim ({error!r})", "get SciFact's file again") from None
    _check(place, found, abstracts)
    return found


def _check(place: str, claim: Claim, abstracts: Mapping[int, Abstract]) -> None:
    """Refuse a claim that names what is not there."""
    for document in {*claim.cited, *claim.labels}:
        if document not in abstracts or document not in claim.cited:
            raise bad(place, f"abstract {document} is not in the corpus, or not cited", "take files of one release")
    for document, label in claim.labels.items():
        if label not in LABELS[:2]:
            raise bad(place, f"expected {' or '.join(LABELS[:2])}, found '{label}'", "get SciFact's file again")
        last = len(abstracts[document].sentences)
        if not all(0 <= at < last for one in claim.rationales[document] for at in one):
            raise bad(place, f"abstract {document} has {last} sentences, not those named", "take files of one release")
