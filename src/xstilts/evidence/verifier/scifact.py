"""SciFact: claims, the abstracts that support or contradict them, and the scores of Wadden et al. 2020.

It measures whether an NLI model may decide: biomedical claims with the sentences that decide them. A claim is paired
with each abstract cited for it; an abstract that does not decide it is NEUTRAL.

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
LABELS = ("SUPPORT", "CONTRADICT", "NEUTRAL")  # order of all probabilities
SENTENCES_READ = 3  # sentences of an abstract that are read, as in SciFact's own evaluation


@dataclass(frozen=True)
class Abstract:
    """An abstract of the data set.

    Attributes:
        id: Its id.
        title: Its title.
        sentences: Its sentences, as the data set splits them.
    """

    id: int
    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Claim:
    """A claim of SciFact.

    Attributes:
        id: Its number.
        text: The claim.
        cited: Ids of the abstracts cited for it.
        labels: Label of each abstract that decides it.
        rationales: By abstract, the sets of sentences that each suffice.
    """

    id: int
    text: str
    cited: tuple[int, ...]
    labels: Mapping[int, str]
    rationales: Mapping[int, tuple[frozenset[int], ...]]


Row = TypeVar("Row", Abstract, Claim)


@dataclass(frozen=True)
class SciFact:
    """The data set.

    Attributes:
        abstracts: Abstracts by id.
        train: Training claims.
        dev: Development claims.
        sha256: Digest of its files.
    """

    abstracts: Mapping[int, Abstract]
    train: tuple[Claim, ...]
    dev: tuple[Claim, ...]
    sha256: str

    @cached_property
    def index(self) -> Any:
        """BM25 index over titles and abstracts, in the order of `abstracts`."""
        import bm25s

        index = bm25s.BM25()
        stems = [
            [*content_stems(f"{abstract.title} {' '.join(abstract.sentences)}")] for abstract in self.abstracts.values()
        ]
        index.index(stems, show_progress=False)
        return index

    def search(self, claim: str, limit: int) -> tuple[int, ...]:
        """Search the abstracts by BM25.

        Args:
            claim: The claim, as the query.
            limit: Most abstracts.

        Returns:
            Ids of abstracts, best first.
        """
        stems = [stem for stem in content_stems(claim) if stem in self.index.vocab_dict]
        if not stems:
            return ()
        scores, ids = self.index.get_scores(stems), [*self.abstracts]
        return tuple(ids[position] for position in np.argsort(-scores, kind="stable")[:limit])


@dataclass(frozen=True)
class Pair:
    """A claim and an abstract.

    Attributes:
        claim: The claim.
        abstract: The abstract.
        label: Label of the abstract for the claim.
        near: Numbers of the sentences that share most content words with the claim.
    """

    claim: Claim
    abstract: Abstract
    label: str
    near: tuple[int, ...]

    @property
    def key(self) -> tuple[int, int]:
        """Ids of claim and abstract."""
        return self.claim.id, self.abstract.id


def read(folder: Path) -> SciFact:
    """Read SciFact from a folder.

    Raises:
        InputError: A file is missing, damaged or inconsistent with the others; the message names file and line.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder} has no {missing[0]}; unpack SciFact there, or name the folder above {FOLDER} by --data"
        )
    abstracts = {
        abstract.id: abstract for abstract in _unique(_abstract(place, row) for place, row in _rows(folder / FILES[0]))
    }
    train, dev = (
        tuple(_unique(_claim(place, row, abstracts) for place, row in _rows(folder / name))) for name in FILES[1:]
    )
    total = hashlib.sha256(b"".join(hashlib.sha256((folder / name).read_bytes()).digest() for name in FILES))
    return SciFact(abstracts, train, dev, total.hexdigest())


def pairs(data: SciFact, claims: Sequence[Claim]) -> tuple[Pair, ...]:
    """Return each claim with each abstract cited for it.

    Args:
        data: The data set.
        claims: Claims of it.

    Returns:
        Labelled pairs.
    """
    return tuple(make_pair(claim, data.abstracts[cited]) for claim in claims for cited in dict.fromkeys(claim.cited))


def retrieved_pairs(data: SciFact, claims: Sequence[Claim], limit: int) -> tuple[Pair, ...]:
    """Return each claim with the best abstracts by BM25.

    Args:
        data: The data set.
        claims: Claims of it.
        limit: Abstracts of each claim.

    Returns:
        Labelled pairs; an abstract without a label for the claim is NEUTRAL.
    """
    return tuple(
        make_pair(claim, data.abstracts[abstract]) for claim in claims for abstract in data.search(claim.text, limit)
    )


def make_pair(claim: Claim, abstract: Abstract) -> Pair:
    """Return a pair with its label and the sentences nearest to the claim.

    Args:
        claim: The claim.
        abstract: The abstract.

    Returns:
        The pair; its sentences are in their order in the abstract.
    """
    shares = [content_overlap(claim.text, sentence) for sentence in abstract.sentences]
    near = sorted(sorted(range(len(shares)), key=lambda index: -shares[index])[:SENTENCES_READ])
    return Pair(claim, abstract, claim.labels.get(abstract.id, LABELS[2]), tuple(near))


def content_overlap(claim: str, sentence: str) -> float:
    """Return the share of a claim's content words that occur in a sentence.

    Args:
        claim: The claim.
        sentence: The sentence.

    Returns:
        The share by stems, 0 to 1.
    """
    claim_words = set(content_stems(claim))
    return len(claim_words & set(content_stems(sentence))) / max(len(claim_words), 1)


def retrieval_recall(data: SciFact, claims: Sequence[Claim], limits: Sequence[int]) -> dict[int, float]:
    """Return the recall of BM25 for abstracts that decide a claim.

    Args:
        data: The data set.
        claims: Claims of it.
        limits: How many first results count.

    Returns:
        By limit, the share of deciding abstracts among the results, 0 to 1.
    """
    results = [(claim.labels, data.search(claim.text, max(limits))) for claim in claims]
    return {
        limit: float(np.mean([gold in ids[:limit] for golden, ids in results for gold in golden])) for limit in limits
    }


def rationale_coverage(all_pairs: Sequence[Pair]) -> float:
    """Return how often the sentences that are read contain evidence.

    Args:
        all_pairs: Labelled pairs; those of abstracts that decide nothing do not count.

    Returns:
        The share of deciding abstracts of which a sentence that is read belongs to a sufficient set, 0 to 1.
    """
    deciding = [pair for pair in all_pairs if pair.label != LABELS[2]]
    return float(
        np.mean([any(gold & {*pair.near} for gold in pair.claim.rationales[pair.abstract.id]) for pair in deciding])
    )


@dataclass(frozen=True)
class Prediction:
    """A prediction for a pair.

    Attributes:
        pair: The pair.
        label: The predicted label.
        sentences: The positions of the sentences that it rests on.
    """

    pair: Pair
    label: str
    sentences: tuple[int, ...]


def scores(claims: Sequence[Claim], predictions: Sequence[Prediction]) -> dict[str, float]:
    """Return SciFact's four F1 scores, 0 to 1.

    Args:
        claims: The claims.
        predictions: A prediction per pair; NEUTRAL predicts nothing.

    Returns:
        F1 of abstracts with the right label, of those with a sufficient set among the sentences, of sentences that
        belong to a sufficient set all of which is predicted, and of those with the right label.

    Source:
        Wadden et al. 2020, section 4.
    """
    decided = [prediction for prediction in predictions if prediction.label != LABELS[2]]
    right = [prediction for prediction in decided if prediction.pair.label == prediction.label]
    abstracts = len(decided), sum(len(prediction.labels) for prediction in claims)
    golden = sum(len(frozenset().union(*sets)) for prediction in claims for sets in prediction.rationales.values())
    sentences = sum(len(prediction.sentences) for prediction in decided), golden
    return {
        "abstract, label": _f1(len(right), *abstracts),
        "abstract, label and rationale": _f1(
            sum(bool(_supported_sentences(prediction)) for prediction in right), *abstracts
        ),
        "sentence": _f1(sum(len(_supported_sentences(prediction)) for prediction in decided), *sentences),
        "sentence and label": _f1(sum(len(_supported_sentences(prediction)) for prediction in right), *sentences),
    }


def _supported_sentences(prediction: Prediction) -> frozenset[int]:
    """Return the predicted sentences that belong to a sufficient set all of which is predicted."""
    predicted = frozenset(prediction.sentences)
    sets = prediction.pair.claim.rationales.get(prediction.pair.abstract.id, ())
    return frozenset().union(*(gold for gold in sets if gold <= predicted))


def _f1(right: int, predicted: int, golden: int) -> float:
    return 2 * right / (predicted + golden) if predicted + golden else 0.0


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield place and object of each line."""
    for number, line in lines(Input(path, path.name), Report()):
        place = f"{path.name}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise bad(place, f"expected a JSON object ({error})", "get SciFact's file again") from None
        if not isinstance(row, dict):
            raise bad(place, f"expected a JSON object, found {line[:40]!r}", "get SciFact's file again")
        yield place, row


def _unique(rows: Iterable[Row]) -> list[Row]:
    by_id: dict[int, Row] = {}
    for row in rows:
        if row.id in by_id:
            raise InputError(f"{type(row).__name__.lower()} {row.id} stands there twice; get SciFact's files again")
        by_id[row.id] = row
    return [by_id[number] for number in by_id]


def _abstract(place: str, row: Mapping[str, Any]) -> Abstract:
    text, number, title = row.get("abstract"), row.get("doc_id"), row.get("title")
    fits = isinstance(text, list) and all(isinstance(sentence, str) for sentence in text)
    if not (fits and isinstance(text, list) and type(number) is int and isinstance(title, str)):
        raise bad(place, "expected doc_id, title and abstract, a list of sentences", "get SciFact's file again")
    return Abstract(number, title, tuple(text))


def _claim(place: str, row: Mapping[str, Any], abstracts: Mapping[int, Abstract]) -> Claim:
    try:
        evidence = {int(document): tuple(sets) for document, sets in row["evidence"].items()}
        labels = {document: {str(value["label"]) for value in sets} for document, sets in evidence.items()}
        chosen = {
            document: tuple(frozenset(int(at) for at in value["sentences"]) for value in sets)
            for document, sets in evidence.items()
        }
        cited = tuple(int(value) for value in row["cited_doc_ids"])
        single = {document: " and ".join(sorted(values)) for document, values in labels.items()}
        claim = Claim(int(row["id"]), str(row["claim"]), cited, single, chosen)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise bad(place, f"expected a labelled claim ({error!r})", "get SciFact's file again") from None
    _check(place, claim, abstracts)
    return claim


def _check(place: str, claim: Claim, abstracts: Mapping[int, Abstract]) -> None:
    """Raise InputError for a claim that names missing abstracts, sentences or labels."""
    for document in {*claim.cited, *claim.labels}:
        if document not in abstracts or document not in claim.cited:
            raise bad(place, f"abstract {document} is not in the corpus, or not cited", "take files of one release")
    for document, label in claim.labels.items():
        if label not in LABELS[:2]:
            raise bad(place, f"expected {' or '.join(LABELS[:2])}, found '{label}'", "get SciFact's file again")
        last = len(abstracts[document].sentences)
        if not all(0 <= index < last for rationale in claim.rationales[document] for index in rationale):
            raise bad(place, f"abstract {document} has {last} sentences, not those named", "take files of one release")
