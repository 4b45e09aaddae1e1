"""Card: what a verifier is worth on SciFact, and whether it may decide anything; its word on that is never stored.

A pair of claim and abstract is judged by the sentence, of the three nearest, of which the verifier is least neutral.
Scaling and threshold are chosen on the training claims by cross-validation, and looked at once on the development
claims. A verifier decides only if, on training claims, it tells support from contradiction (AUC), a threshold promises
enough precision, and its probabilities mean what they say; and if the development claims do not belie it.

    card = measure(verifier, scifact.read(folder))
    card.refusals            # why it decides nothing; empty: it decides
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from xstilts.errors import InputError
from xstilts.evidence.verifier import calibration, scifact
from xstilts.evidence.verifier.baselines import Verifier
from xstilts.evidence.verifier.calibration import Array, LabelArray, Scaling
from xstilts.evidence.verifier.scifact import LABELS, Claim, Pair, Prediction, SciFact
from xstilts.store import manifest

FILE = "card.json"
FORMAT = 1
AUC, PRECISION, ECE = 0.75, calibration.PRECISION, 0.1
FOLDS, SHUFFLES, RETRIEVED = 5, 20, (1, 3)
COVERAGES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


@dataclass(frozen=True)
class VerifierScores:
    """What a verifier is worth on pairs of claims and abstracts.

    auc: of telling SUPPORT from CONTRADICT. ece: of the most probable of the three labels. brier: of all three.
    risks: the share of wrong verdicts at each of `COVERAGES`, most confident first. decided, right: verdicts at the
    threshold, and how many are true; none without a threshold.
    """

    pairs: int
    auc: float
    ece: float
    brier: float
    risks: tuple[float, ...]
    decided: int = 0
    right: int = 0

    @property
    def precision(self) -> float:
        """The share of true verdicts among those that the threshold lets pass; NaN of none."""
        return self.right / self.decided if self.decided else math.nan

    @property
    def bound(self) -> float:
        """What that share is at least, with 95 % confidence."""
        return calibration.lower_bound(self.right, self.decided)


@dataclass(frozen=True)
class ModelCard:
    """A verifier by its digest, the data by theirs, what was fitted, and how it stood.

    train: by cross-validation. dev: with what was fitted on all of train. chance: the lowest and the highest AUC on
    train with labels shuffled, and how many of the shuffles found a threshold. f1: SciFact's scores on dev, by whence
    the abstracts are.
    """

    verifier: str
    digest: str
    data: str
    scaling: Scaling
    threshold: float | None
    train: VerifierScores
    dev: VerifierScores
    chance: tuple[float, float, int]
    f1: Mapping[str, Mapping[str, float]]

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why the verifier decides nothing; empty where it may."""
        said = []
        if not self.train.auc >= AUC:
            said.append(f"tells support from contradiction with AUC {self.train.auc:.2f}, and {AUC} is asked for")
        if self.threshold is None:
            said.append(f"no threshold promises a precision of {PRECISION}")
        elif not self.dev.precision >= PRECISION:
            said.append(f"on dev its precision is {self.dev.precision:.2f} at threshold {self.threshold}")
        worst = max(self.train.ece, self.dev.ece)
        return (*said, *([] if worst <= ECE else [f"its ECE is {worst:.2f}, and at most {ECE} is asked for"]))

    @property
    def calibrated(self) -> bool:
        """Whether its probabilities may be shown, and it may decide."""
        return not self.refusals


@dataclass(frozen=True)
class Predictions:
    """What a verifier said of pairs: logits (pairs, 3) of the least neutral sentence, and those of all it read."""

    pairs: tuple[Pair, ...]
    logits: Array
    each: tuple[Array, ...]

    @property
    def labels(self) -> LabelArray:
        """The true labels as numbers."""
        return np.array([LABELS.index(one.label) for one in self.pairs])

    @property
    def folds(self) -> LabelArray:
        """The fold of each pair: all pairs of a claim in one."""
        numbers = {claim: number for number, claim in enumerate(dict.fromkeys(one.claim.id for one in self.pairs))}
        return np.array([numbers[one.claim.id] % FOLDS for one in self.pairs])

    def first(self, limit: int) -> Predictions:
        """Return what was said of the first so many pairs of each claim."""
        ranks = Counter[int]()
        keep = []
        for at, one in enumerate(self.pairs):
            ranks[one.claim.id] += 1
            keep += [at] if ranks[one.claim.id] <= limit else []
        return Predictions(tuple(self.pairs[at] for at in keep), self.logits[keep], tuple(self.each[at] for at in keep))


def predict(verifier: Verifier, pairs: Sequence[Pair]) -> Predictions:
    """Ask a verifier about the near sentences of all pairs at once."""
    kept = tuple(one for one in pairs if one.near)
    asked = [(one.claim.text, one.abstract.sentences[at]) for one in kept for at in one.near]
    ends = np.cumsum([len(one.near) for one in kept])
    each = tuple(np.split(np.asarray(verifier.predict_logits(asked), dtype=np.float64), ends[:-1]))
    least = [one[np.argmin(Scaling().probabilities(one)[:, 2])] for one in each]
    return Predictions(kept, np.array(least).reshape(-1, 3), each)


def measure(verifier: Verifier, data: SciFact) -> ModelCard:
    """Return the card of a verifier."""
    train = predict(verifier, scifact.pairs(data, data.train))
    dev = predict(verifier, scifact.pairs(data, data.dev))
    held_out = calibration.cross_validated(train.logits, train.labels, train.folds)
    limit = calibration.threshold(*likelier_verdicts(held_out, train.labels))
    scaling = calibration.fit(train.logits, train.labels)
    most = predict(verifier, scifact.retrieved_pairs(data, data.dev, max(RETRIEVED)))
    found = {f"BM25's first {k}": most.first(k) for k in RETRIEVED}
    return ModelCard(
        verifier.name,
        verifier.digest,
        data.sha256,
        scaling,
        limit,
        score(train.logits, held_out, train.labels, limit),
        score(dev.logits, scaling.probabilities(dev.logits), dev.labels, limit),
        shuffled_label_control(train),
        {source: f1(one, scaling, data.dev) for source, one in {"cited": dev, **found}.items()},
    )


def score(logits: Array, probabilities: Array, labels: LabelArray, limit: float | None) -> VerifierScores:
    """Return the worth of probabilities (pairs, 3); the AUC is that of the logits, for which nothing is fitted."""
    lean = logits[:, 0] - logits[:, 1]
    sure, right = likelier_verdicts(probabilities, labels)
    passed = sure >= (2.0 if limit is None else limit)
    curve = calibration.risk_coverage(sure, right)
    risks = tuple(next(risk for share, risk in curve if share >= least - 1e-9) for least in COVERAGES)
    return VerifierScores(
        len(labels),
        calibration.auc(lean[labels == 0], lean[labels == 1]),
        calibration.ece(probabilities.max(1), probabilities.argmax(1) == labels),
        calibration.brier(probabilities, labels),
        risks,
        int(passed.sum()),
        int(right[passed].sum()),
    )


def likelier_verdicts(probabilities: Array, labels: LabelArray) -> tuple[Array, LabelArray]:
    """Return how sure the likelier of SUPPORT and CONTRADICT is, and whether it is true: never of a NEUTRAL pair."""
    two = probabilities[:, :2]
    return two.max(1), two.argmax(1) == labels


def shuffled_label_control(train: Predictions) -> tuple[float, float, int]:
    """Return what shuffled labels give: the lowest and the highest AUC, and how often a threshold is found."""
    random = np.random.default_rng(1)
    aucs, found = [], 0
    for _ in range(SHUFFLES):
        labels = random.permutation(train.labels)
        held_out = calibration.cross_validated(train.logits, labels, train.folds)
        limit = calibration.threshold(*likelier_verdicts(held_out, labels))
        aucs.append(score(train.logits, held_out, labels, limit).auc)
        found += limit is not None
    return min(aucs), max(aucs), found


def f1(readings: Predictions, scaling: Scaling, claims: Sequence[Claim]) -> dict[str, float]:
    """Return SciFact's scores of the most probable labels, without abstention."""
    labels = scaling.probabilities(readings.logits).argmax(1)
    each = [scaling.probabilities(one).argmax(1) for one in readings.each]
    return scifact.scores(claims, [*map(_prediction, readings.pairs, labels, each)])


def _prediction(pair: Pair, label: int, each: LabelArray) -> Prediction:
    """Return a label and, of the sentences read, those of which it is the most probable one."""
    return Prediction(pair, LABELS[label], tuple(at for at, one in zip(pair.near, each, strict=True) if one == label))


def write(card: ModelCard, folder: Path) -> Path:
    """Write a card beside the model that it is about."""
    path = folder / FILE
    text = json.dumps({"format": FORMAT, **asdict(card)}, indent=1) + "\n"
    manifest.replaced(path, text)
    return path


def read(folder: Path, digest: str) -> ModelCard | None:
    """Return the card that lies beside a model, None where there is none.

    Raises InputError where it is damaged, or is that of another model: its figures say nothing of this one.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        card = _card(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error!r}); make it again: xstilts scifact --verifier {folder}") from None
    if card.digest != digest:
        raise InputError(
            f"{path} is the card of another model ({card.digest[:12]}, not {digest[:12]}); "
            f"make this one's: xstilts scifact --verifier {folder}"
        )
    return card


def _card(row: dict[str, Any]) -> ModelCard:
    if row.pop("format") != FORMAT:
        raise ValueError("another format")
    scaling = Scaling(float(row["scaling"]["scale"]), tuple(float(one) for one in row["scaling"]["biases"]))
    limit = row["threshold"]
    if set(row) != {one.name for one in fields(ModelCard)} or len(scaling.biases) != len(LABELS):
        raise ValueError("other fields")
    if limit is not None and limit not in calibration.GRID:
        raise ValueError(f"threshold {limit}")
    low, high, found = row["chance"]
    both = {split: VerifierScores(**{**row[split], "risks": tuple(row[split]["risks"])}) for split in ("train", "dev")}
    return ModelCard(**{**row, **both, "scaling": scaling, "chance": (float(low), float(high), int(found))})
