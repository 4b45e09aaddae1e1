"""NLI cross-encoders as verifiers: any checkpoint of a classification training with the three NLI labels.

The premise is the sentence, the hypothesis the claim. A model decides only if the card in its folder, made by `xstilts
scifact --verifier`, allows it.

    model = load("work/train-nli_small-seed1-…", Runtime())
    nli_function(model)("Larger batches help.", "Batches do not help.").status
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from xstilts.data.examples import ClassificationExample
from xstilts.errors import InputError
from xstilts.evaluation.predict import predict_inputs
from xstilts.evidence.claims.verdict import Entailment, NliFunction
from xstilts.evidence.verifier import model_card as cards
from xstilts.evidence.verifier.baselines import ClaimSentencePairs
from xstilts.evidence.verifier.calibration import Array, Scaling
from xstilts.evidence.verifier.model_card import ModelCard
from xstilts.formats import task_format
from xstilts.inference.backends import located
from xstilts.models.encoder import Encoder
from xstilts.models.hf_format import load as load_folder
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime.machine import Runtime
from xstilts.store.names import MODEL_FOLDER

KIND = "classification"
NAMES = ("entailment", "contradiction", "neutral")  # in the order of SUPPORT, CONTRADICT and NEUTRAL
MAX_TOKENS = 512  # tokens of claim and sentence together


@dataclass(frozen=True)
class CrossEncoder:
    """An NLI cross-encoder.

    Attributes:
        name: Name for display.
        digest: Digest of its files.
        folder: Its folder.
        labels: Its labels, in the order of its head.
        order: Index among them of each of `NAMES`.
        network: Encoder and head.
        tokens: Tokenizer.
        machine: Device and threads.
    """

    name: str
    digest: str
    folder: Path
    labels: tuple[str, ...]
    order: tuple[int, ...]
    network: Network = field(repr=False)
    tokens: Tokenizer = field(repr=False)
    machine: Runtime = field(repr=False)

    def predict_logits(self, pairs: ClaimSentencePairs) -> Array:
        """Return log-probabilities of pairs of claim and sentence.

        Shape:
            (pairs, 3): SUPPORT, CONTRADICT and NEUTRAL.
        """
        task_format_ = task_format(KIND)
        examples = [
            ClassificationExample(str(index), sentence, claim, None) for index, (claim, sentence) in enumerate(pairs)
        ]
        length, cut = self.network.clip_max_length(MAX_TOKENS), Counter[str]()
        inputs = task_format_.encode(examples, self.tokens, length, self.labels, cut)
        outputs: list[Any] = predict_inputs(
            self.network, "head", task_format_, inputs, self.tokens, self.machine, f"reading {self.name}"
        )
        return np.array(outputs, dtype=np.float64).reshape(-1, len(NAMES))[:, list(self.order)]


def load(source: str | Path, machine: Runtime) -> CrossEncoder:
    """Load an NLI model.

    Args:
        source: Folder of a checkpoint or of a finished training stage.
        machine: Device and threads.

    Returns:
        The model.

    Raises:
        InputError: Its labels are not those of NLI.
    """
    folder = located(source)
    network, tokenizer, labels = load_folder(folder, KIND)
    order = _order(folder, labels)
    network.eval().requires_grad_(False).to(machine.torch_device())
    identity = Encoder.of(folder)
    name = folder.parent.name if folder.name == MODEL_FOLDER else identity.name
    tokens = replace(Tokenizer.of(tokenizer), cache=None)
    return CrossEncoder(name, identity.digest, folder, labels, order, network, tokens, machine)


def nli_function(model: CrossEncoder) -> NliFunction:
    """Return a model as the function that `decide` calls.

    Without a card, or with one that refuses, its probabilities are reported but decide nothing.
    """
    card = cards.read(model.folder, model.digest)

    @lru_cache(maxsize=1 << 16)
    def judge(claim: str, sentence: str) -> Entailment:
        return entailment(model.predict_logits([(claim, sentence)])[0], card)

    return judge


def entailment(logits: Array, card: ModelCard | None) -> Entailment:
    """Return the probabilities that a sentence supports or contradicts a claim.

    Args:
        logits: Logits (3,) of SUPPORT, CONTRADICT and NEUTRAL.
        card: The model's card, with its scaling and threshold; None for an uncalibrated model.

    Returns:
        The probabilities; only with a calibrated card may they decide.
    """
    scaling = card.scaling if card else Scaling()
    supports, contradicts, neutral = (float(p) for p in scaling.probabilities(logits))
    if card is None or card.threshold is None or not card.calibrated:
        return Entailment(supports, contradicts, neutral)
    return Entailment(supports, contradicts, neutral, True, card.threshold)


def _order(folder: Path, labels: tuple[str, ...]) -> tuple[int, ...]:
    folded = [label.casefold() for label in labels]
    if sorted(folded) != sorted(NAMES):
        raise InputError(
            f"{folder} has the labels {', '.join(labels)}; give a model of {', '.join(sorted(NAMES))}, "
            "as `xstilts run --learn-from nli_small` trains one"
        )
    return tuple(folded.index(name) for name in NAMES)
