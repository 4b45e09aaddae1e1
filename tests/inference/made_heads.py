"""Checkpoints for tests: the sandbox's encoder with random heads of every format, made in a moment, not trained."""

from __future__ import annotations

from pathlib import Path

import torch

from xstilts.models.encoder import SANDBOX, load_backbone, load_tokenizer
from xstilts.models.heads import attach
from xstilts.models.hf_format import save
from xstilts.models.network import Network

LABELS = {
    "classification": ("contradiction", "entailment", "neutral"),
    "token_classification": ("O", "B-PER", "I-PER", "B-LOC"),
}
WORDS = [
    "Anna",
    "Boris",
    "Clara",
    "sleeps",
    "sees",
    "the",
    "cherry",
    "bridge",
    "doctor",
    "near",
    "Northfield",
    ".",
    "quickly",
    "who",
    "?",
]


def made(format: str, folder: Path, seed: int = 5) -> Path:
    """Write the sandbox's encoder with a head whose outputs differ from text to text."""
    torch.manual_seed(seed)
    network, labels = Network(load_backbone(SANDBOX)), LABELS.get(format, ())
    attach(network, "toy", format, len(labels))
    with torch.no_grad():
        for parameter in network.heads["toy"].parameters():
            parameter.normal_(std=0.5)
    save(network, "toy", format, labels, load_tokenizer(SANDBOX), folder)
    return folder
