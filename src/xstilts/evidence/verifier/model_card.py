"""Model card of a verifier: its quality on SciFact, and whether it may decide.

A pair of claim and abstract is judged by the one of the three nearest sentences that the verifier finds least neutral.
Scaling and threshold are chosen on the training claims by cross-validation; the development claims are used once. A
verifier may decide only if it tells support from contradiction (AUC), a threshold guarantees enough precision, its
probabilities are calibrated, and the development claims do not contradict this. The decision is derived from the
figures and never stored. A verifier that was trained on the training claims is measured on them by models that were
trained without a fold of them each.

    card = measure(verifier, scifact.read(folder))
    card.refusals            # why it may not decide; empty if it may
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
from xstilts.evidence.verifier.candidates import CandidateRule, CandidateScores
from xstilts.evidence.verifier.scifact import LABELS, Claim, Pair, Prediction, SciFact
from xstilts.runtime import whole_files

FILE = "card.json"
FORMAT = 2
AUC, PRECISION, ECE = 0.75, calibration.PRECISION, 0.1
FOLDS, SHUFFLES, RETRIEVED = 5, 20, (1, 3)
COVERAGES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


@dataclass(frozen=True)
class VerifierScores:
    """Quality of a verifier on pairs of claims and abstracts.

    Attributes:
        pairs: Number of pairs.
        auc: AUC of SUPPORT against CONTRADICT.
        ece: Expected calibration error of the most probable label.
        brier: Brier score of all three labels.
        risks: Share of wrong verdicts at each of `COVERAGES`, most confident first.
        decided: Verdicts above the threshold; 0 without one.
        right: How many of those are right.
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
        """Share of right verdicts above the threshold; NaN without any."""
        return self.right / self.decided if self.decided else math.nan

    @property
    def bound(self) -> float:
        """Lower bound of that share with 95 % confidence."""
        return calibration.lower_bound(self.right, self.decided)


@dataclass(frozen=True)
class ModelCard:
    """Figures of a verifier.

    Attributes:
        verifier: Name of the verifier.
        digest: Its digest.
        data: Digest of the data.
        scaling: Scaling fitted on the training claims.
        threshold: Threshold chosen on them; None if none qualifies.
        train: Scores on the training claims, cross-validated.
        dev: Scores on the development claims.
        chance: Lowest and highest AUC with shuffled training labels, and for how many shuffles a threshold was found.
        f1: SciFact's scores on the development claims, by origin of the abstracts.
        held_out_models: Number of models, each trained without a fold of the training claims, that predicted these; 0
            for a verifier that no training claim has trained.
        candidates: Which sentences it reads for their meaning; None: those alone that share the claim's words.
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
    held_out_models: int = 0
    candidates: CandidateRule | None = None

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why the verifier may not decide; empty if it may."""
        reasons = []
        if not self.train.auc >= AUC:
            reasons.append(f"tells support from contradiction with AUC {self.train.auc:.2f}, below the required {AUC}")
        if self.threshold is None:
            reasons.append(f"no threshold guarantees a precision of {PRECISION}")
        elif not self.dev.precision >= PRECISION:
            reasons.append(f"on dev its precision is {self.dev.precision:.2f} at threshold {self.threshold}")
        worst = max(self.train.ece, self.dev.ece)
        return (*reasons, *([] if worst <= ECE else [f"its ECE is {worst:.2f}, above the allowed {ECE}"]))

    @property
    def calibrated(self) -> bool:
        """Whether the verifier may decide."""
        return not self.refusals


@dataclass(frozen=True)
class Predictions:
    """Predictions of a verifier for pairs of claims and abstracts.

    Attributes:
        pairs: The pairs.
        logits: Logits of the least neutral sentence (pairs, 3).
        each: Logits of all sentences of a pair (sentences, 3).
    """

    pairs: tuple[Pair, ...]
    logits: Array
    each: tuple[Array, ...]

    @property
    def labels(self) -> LabelArray:
        """True labels as class indices (pairs,)."""
        return np.array([LABELS.index(pair.label) for pair in self.pairs])

    @property
    def folds(self) -> LabelArray:
        """Fold of each pair."""
        return folds_of(self.pairs)

    def first(self, limit: int) -> Predictions:
        """Return the predictions for the first `limit` pairs of each claim."""
        ranks = Counter[int]()
        indices = []
        for index, pair in enumerate(self.pairs):
            ranks[pair.claim.id] += 1
            indices += [index] if ranks[pair.claim.id] <= limit else []
        return Predictions(
            tuple(self.pairs[index] for index in indices),
            self.logits[indices],
            tuple(self.each[index] for index in indices),
        )


def folds_of(pairs: Sequence[Pair]) -> LabelArray:
    """Return the fold of each pair, 0 to `FOLDS` - 1 (pairs,).

    Pairs that share a claim or an abstract are in one fold, as a claim and its denial would give each other away. The
    largest groups come first, each into the fold that has the fewest pairs so far.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    _, claims = np.unique([pair.claim.id for pair in pairs], return_inverse=True)
    _, abstracts = np.unique([pair.abstract.id for pair in pairs], return_inverse=True)
    n_claims, n_abstracts = len({*claims}), len({*abstracts})
    shape = (n_claims + n_abstracts,) * 2
    links = coo_array((np.ones(len(pairs)), (claims, n_claims + abstracts)), shape=shape)
    group = connected_components(links, directed=False)[1][claims]
    sizes, fold_of = np.bincount(group), {}
    held = np.zeros(FOLDS, dtype=int)
    for number in np.argsort(-sizes, kind="stable"):
        fold_of[number] = int(np.argmin(held))
        held[fold_of[number]] += sizes[number]
    return np.array([fold_of[number] for number in group], dtype=int)


def without_fold(pairs: Sequence[Pair], fold: int) -> tuple[Pair, ...]:
    """Return the pairs outside a fold."""
    return tuple(pair for pair, number in zip(pairs, folds_of(pairs), strict=True) if number != fold)


def predict(verifier: Verifier, pairs: Sequence[Pair]) -> Predictions:
    """Predict all near sentences of all pairs in one call.

    Args:
        verifier: The verifier.
        pairs: Pairs; those without a near sentence are left out.

    Returns:
        Logits of each sentence, and of each pair those of its least neutral sentence.
    """
    nonempty = tuple(pair for pair in pairs if pair.near)
    if not nonempty:
        return Predictions((), np.zeros((0, 3)), ())
    inputs = [(pair.claim.text, pair.abstract.sentences[index]) for pair in nonempty for index in pair.near]
    ends = np.cumsum([len(pair.near) for pair in nonempty])
    by_pair = tuple(np.split(np.asarray(verifier.predict_logits(inputs), dtype=np.float64), ends[:-1]))
    logits = [pair[np.argmin(Scaling().probabilities(pair)[:, 2])] for pair in by_pair]
    return Predictions(nonempty, np.array(logits).reshape(-1, 3), by_pair)


def predict_by_fold(verifiers: Sequence[Verifier], pairs: Sequence[Pair]) -> Predictions:
    """Predict each pair by the verifier that was trained without its fold.

    Args:
        verifiers: Verifiers, the first trained without fold 0 and so on.
        pairs: Pairs.

    Returns:
        Predictions as of `predict`, in the order of the pairs.
    """
    folds = folds_of(pairs)
    parts = [
        predict(verifier, [pair for pair, number in zip(pairs, folds, strict=True) if number == fold])
        for fold, verifier in enumerate(verifiers)
    ]
    rows = {
        pair.key: (pair, logits, by_sentence)
        for part in parts
        for pair, logits, by_sentence in zip(part.pairs, part.logits, part.each, strict=True)
    }
    ordered = [rows[pair.key] for pair in pairs if pair.key in rows]
    return Predictions(
        tuple(pair for pair, _, _ in ordered),
        np.array([logits for _, logits, _ in ordered]).reshape(-1, 3),
        tuple(by_sentence for _, _, by_sentence in ordered),
    )


def measure(verifier: Verifier, data: SciFact, by_fold: Sequence[Verifier] = ()) -> ModelCard:
    """Measure a verifier on SciFact.

    Args:
        verifier: The verifier.
        data: SciFact's training and development claims.
        by_fold: Where training claims have trained the verifier: the same trained without fold 0, without fold 1 and so
            on.

    Returns:
        Its model card.
    """
    train_pairs = scifact.pairs(data, data.train)
    train = predict_by_fold(by_fold, train_pairs) if by_fold else predict(verifier, train_pairs)
    dev = predict(verifier, scifact.pairs(data, data.dev))
    held_out = calibration.cross_validated(train.logits, train.labels, train.folds)
    limit = calibration.threshold(*likelier_verdicts(held_out, train.labels))
    scaling = calibration.fit(train.logits, train.labels)
    retrieved = predict(verifier, scifact.retrieved_pairs(data, data.dev, max(RETRIEVED)))
    by_origin = {f"BM25's first {k}": retrieved.first(k) for k in RETRIEVED}
    return ModelCard(
        verifier.name,
        verifier.digest,
        data.sha256,
        scaling,
        limit,
        score(train.logits, held_out, train.labels, limit),
        score(dev.logits, scaling.probabilities(dev.logits), dev.labels, limit),
        shuffled_label_control(train),
        {source: f1(predictions, scaling, data.dev) for source, predictions in {"cited": dev, **by_origin}.items()},
        len(by_fold),
    )


def score(logits: Array, probabilities: Array, labels: LabelArray, limit: float | None) -> VerifierScores:
    """Return the scores of predictions.

    Args:
        logits: Logits (pairs, 3), for the AUC, which needs no fit.
        probabilities: Calibrated probabilities (pairs, 3).
        labels: True labels as class indices (pairs,).
        limit: Threshold, or None.

    Returns:
        The scores.
    """
    margins = logits[:, 0] - logits[:, 1]
    confidence, right = likelier_verdicts(probabilities, labels)
    passed = confidence >= (2.0 if limit is None else limit)
    curve = calibration.risk_coverage(confidence, right)
    risks = tuple(next(risk for share, risk in curve if share >= least - 1e-9) for least in COVERAGES)
    return VerifierScores(
        len(labels),
        calibration.auc(margins[labels == 0], margins[labels == 1]),
        calibration.ece(probabilities.max(1), probabilities.argmax(1) == labels),
        calibration.brier(probabilities, labels),
        risks,
        int(passed.sum()),
        int(right[passed].sum()),
    )


def likelier_verdicts(probabilities: Array, labels: LabelArray) -> tuple[Array, LabelArray]:
    """Return the likelier of SUPPORT and CONTRADICT for each pair.

    Args:
        probabilities: Probabilities (pairs, 3).
        labels: True labels as class indices (pairs,).

    Returns:
        Its probability, and whether it is right, which it never is for NEUTRAL pairs.
    """
    two = probabilities[:, :2]
    return two.max(1), two.argmax(1) == labels


def shuffled_label_control(train: Predictions) -> tuple[float, float, int]:
    """Fit and score with shuffled labels, as a control: nothing should be found.

    Args:
        train: Predictions for the training claims.

    Returns:
        Lowest and highest AUC, and for how many shuffles a threshold was found.
    """
    random = np.random.default_rng(1)
    aucs, n_thresholds = [], 0
    for _ in range(SHUFFLES):
        labels = random.permutation(train.labels)
        held_out = calibration.cross_validated(train.logits, labels, train.folds)
        limit = calibration.threshold(*likelier_verdicts(held_out, labels))
        aucs.append(score(train.logits, held_out, labels, limit).auc)
        n_thresholds += limit is not None
    return min(aucs), max(aucs), n_thresholds


def f1(predictions: Predictions, scaling: Scaling, claims: Sequence[Claim]) -> dict[str, float]:
    """Return SciFact's scores of the most probable labels, without abstention.

    Args:
        predictions: The logits of pairs and of their sentences.
        scaling: From logits to probabilities.
        claims: The claims that are scored.

    Returns:
        Scores by name, as `scifact.scores`.
    """
    labels = scaling.probabilities(predictions.logits).argmax(1)
    by_pair = [scaling.probabilities(logits).argmax(1) for logits in predictions.each]
    return scifact.scores(claims, [*map(_prediction, predictions.pairs, labels, by_pair)])


def _prediction(pair: Pair, label: int, sentence_labels: LabelArray) -> Prediction:
    """Return a label with the sentences, of those read, for which it is the most probable."""
    return Prediction(
        pair,
        LABELS[label],
        tuple(index for index, predicted in zip(pair.near, sentence_labels, strict=True) if predicted == label),
    )


def write(card: ModelCard, folder: Path) -> Path:
    """Write a card into the model's folder.

    Args:
        card: The card.
        folder: The folder of the model.

    Returns:
        The path of `card.json`.
    """
    path = folder / FILE
    text = json.dumps({"format": FORMAT, **asdict(card)}, indent=1) + "\n"
    whole_files.write(path, text)
    return path


def read(folder: Path, digest: str) -> ModelCard | None:
    """Read the card in a model's folder.

    Args:
        folder: The model's folder.
        digest: The model's digest.

    Returns:
        The card; None if there is none.

    Raises:
        InputError: The card is damaged, or that of another model.
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
    scaling = Scaling(float(row["scaling"]["scale"]), tuple(float(value) for value in row["scaling"]["biases"]))
    limit = row["threshold"]
    if set(row) != {value.name for value in fields(ModelCard)} or len(scaling.biases) != len(LABELS):
        raise ValueError("other fields")
    if limit is not None and limit not in calibration.GRID:
        raise ValueError(f"threshold {limit}")
    low, high, n_thresholds = row["chance"]
    by_split = {
        split: VerifierScores(**{**row[split], "risks": tuple(row[split]["risks"])}) for split in ("train", "dev")
    }
    chance, rule = (float(low), float(high), int(n_thresholds)), row["candidates"]
    if rule is not None:
        both = {name: CandidateScores(**rule[name]) for name in ("by_words", "by_both")}
        rule = CandidateRule(**{**rule, **both, "least": float(rule["least"])})
    return ModelCard(**{**row, **by_split, "scaling": scaling, "chance": chance, "candidates": rule})
