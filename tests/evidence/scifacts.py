"""A made-up SciFact: short claims about made-up things, with abstracts that support, contradict or pass over them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xstilts.evidence.verifier.calibration import Array

TOLD = {"SUPPORT": "does raise", "CONTRADICT": "does not raise", None: "was seen beside"}
LABELS = ("SUPPORT", "CONTRADICT", None)


def rows(count: int, first: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Claims and their abstracts, labels in turn; every fifth has a second abstract that decides nothing."""
    claims, abstracts = [], []
    for number in range(first, first + count):
        label = LABELS[number % 3]
        thing = f"compound{number}"
        middle = f"Here {thing} {TOLD[label]} pressure{number}."
        told = ["We looked at many samples.", middle, "More work is asked for."]
        abstracts.append({"doc_id": number, "title": f"On {thing}", "abstract": told, "structured": False})
        evidence = {str(number): [{"sentences": [1], "label": label}]} if label else {}
        claims.append({"id": number, "claim": f"{thing} raises pressure{number}.", "evidence": evidence})
        passing = first + (2 - first) % 3
        claims[-1]["cited_doc_ids"] = [number] + ([passing] if number % 5 == 0 and number != passing else [])
    return claims, abstracts


def put(folder: Path, count: int = 90, changes: Mapping[str, Sequence[str]] | None = None) -> Path:
    """Write the three files below a data folder; `changes`: lines instead of those of a file. Return their folder."""
    train, first = rows(count, 1000)
    dev, second = rows(count // 2, 5001)
    home = folder / "literature/scifact"
    home.mkdir(parents=True, exist_ok=True)
    files = {"corpus.jsonl": first + second, "claims_train.jsonl": train, "claims_dev.jsonl": dev}
    for name, those in files.items():
        lines = [json.dumps(row) for row in those]
        (home / name).write_text("\n".join([*(changes or {}).get(name, lines), ""]), encoding="utf-8")
    return home


@dataclass(frozen=True)
class Told:
    """A verifier that knows the made-up abstracts' ways of speaking; blind: of support and contradiction alike."""

    name: str = "told"
    digest: str = "told"
    sure: float = 4.0
    blind: bool = False

    def predict_logits(self, pairs: Sequence[tuple[str, str]]) -> Array:
        """Return logits of SUPPORT, CONTRADICT and NEUTRAL."""
        return np.array([self._one(sentence) for _, sentence in pairs])

    def _one(self, sentence: str) -> list[float]:
        if self.blind:
            return [self.sure * ("raise" in sentence), 0.0, 0.0]
        denies, says = "not raise" in sentence, "does raise" in sentence
        return [self.sure * says, self.sure * denies, self.sure * (not says and not denies)]
