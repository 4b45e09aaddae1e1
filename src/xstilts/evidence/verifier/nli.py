"""NLI: a cross-encoder that was taught entailment, neutral and contradiction, as a reader of sentences.

Any checkpoint of a finished classification training with just these labels, in any order: the premise is the sentence,
the hypothesis the claim. It decides only if the card beside it, made by `xstilts scifact --verifier`, says that it may.

    model = load("work/train-nli_small-seed1-…", Machine())
    reader(model)("Larger batches help.", "Batches do not help.").status
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
from xstilts.evaluation.predict import predict_units
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

KIND = "classification"
NAMES = ("entailment", "contradiction", "neutral")  # in the order of SUPPORT, CONTRADICT and NEUTRAL
MAX_TOKENS = 512  # pieces of a claim and a sentence


@dataclass(frozen=True)
class CrossEncoder:
    """A network, its tokens and its labels, by the digest of its files; `order`: where in its logits `NAMES` are."""

    name: str
    digest: str
    folder: Path
    labels: tuple[str, ...]
    order: tuple[int, ...]
    network: Network = field(repr=False)
    tokens: Tokenizer = field(repr=False)
    machine: Runtime = field(repr=False)

    def predict_logits(self, pairs: ClaimSentencePairs) -> Array:
        """Return log-probabilities (pairs, 3) of SUPPORT, CONTRADICT and NEUTRAL for claims and sentences."""
        asked = task_format(KIND)
        examples = [ClassificationExample(str(at), sentence, claim, None) for at, (claim, sentence) in enumerate(pairs)]
        length, cut = self.network.clip_max_length(MAX_TOKENS), Counter[str]()
        units = asked.encode(examples, self.tokens, length, self.labels, cut)
        said: list[Any] = predict_units(
            self.network, "head", asked, units, self.tokens, self.machine, f"reading {self.name}"
        )
        return np.array(said, dtype=np.float64).reshape(-1, len(NAMES))[:, list(self.order)]


def load(source: str | Path, machine: Runtime) -> CrossEncoder:
    """Load the folder of a checkpoint or of a finished training; InputError where its labels are others."""
    folder = located(source)
    network, tokenizer, labels = load_folder(folder, KIND)
    order = _order(folder, labels)
    network.eval().requires_grad_(False).to(machine.torch_device())
    identity = Encoder.of(folder)
    name = folder.parent.name if folder.name == "model" else identity.name
    tokens = replace(Tokenizer.of(tokenizer), shelf=None)
    return CrossEncoder(name, identity.digest, folder, labels, order, network, tokens, machine)


def nli_function(model: CrossEncoder) -> NliFunction:
    """Return a model as `decide` asks it; without a card, or with one that refuses, it is heard and decides nothing."""
    card = cards.read(model.folder, model.digest)

    @lru_cache(maxsize=1 << 16)
    def hear(claim: str, sentence: str) -> Entailment:
        return entailment(model.predict_logits([(claim, sentence)])[0], card)

    return hear


def entailment(logits: Array, card: ModelCard | None) -> Entailment:
    """Return what logits (3) of SUPPORT, CONTRADICT and NEUTRAL say, by the scaling and threshold of a card."""
    scaling = card.scaling if card else Scaling()
    supports, contradicts, neutral = (float(one) for one in scaling.probabilities(logits))
    if card is None or card.threshold is None or not card.calibrated:
        return Entailment(supports, contradicts, neutral)
    return Entailment(supports, contradicts, neutral, True, card.threshold)


def _order(folder: Path, labels: tuple[str, ...]) -> tuple[int, ...]:
    known = [label.casefold() for label in labels]
    if sorted(known) != sorted(NAMES):
        raise InputError(
            f"{folder} tells {', '.join(labels)} apart; give a model of {', '.join(sorted(NAMES))}, "
            "as `xstilts run --learn-from nli_small` trains one"
        )
    return tuple(known.index(name) for name in NAMES)
