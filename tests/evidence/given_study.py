"""A finished study written by hand: scores of a baseline and of MNLI on XNLI, and the report that tells of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from plain_store import put
from xstilts.claims.claim import Claim, check
from xstilts.claims.measures import Gain
from xstilts.claims.results_table import ResultsTable
from xstilts.reporting import study_report
from xstilts.verification.verify import StoredStages

ENCODER = "xlm-roberta-large"
EXAMPLES = 60
SENTENCE = "MNLI as intermediate task improves accuracy on the XNLI test set by 10.0 points with XLM-R Large."


def write(folder: Path, seeds: int, gain: int = 6) -> tuple[Path, Path]:
    """Write a store and a study's folder; return both. gain: examples of 60 that are right only after MNLI."""
    store, study = folder / "store", folder / "study"
    rows, stages = [], {}
    for seed in range(1, seeds + 1):
        for name, right in (("baseline", 30), ("mnli", 30 + gain)):
            key, stage = _scored(store, f"{name}-seed{seed}", right + seed % 2)
            stages[key] = stage
            rows.append(_row(name, seed, key, 100 * (right + seed % 2) / EXAMPLES))
    disk = StoredStages(store, stages)
    helps = Claim("MNLI helps XNLI", Gain("mnli", "xnli"), "above", answers=True)
    verdict = check(helps, ResultsTable(tuple(disk.row(row) for row in rows)))
    said = {
        "format": 2,
        "question": "Does MNLI as intermediate task help XNLI?",
        "answer": f"“{helps.sentence}” {verdict.status}.",
        "verdicts": [study_report.to_json(study_report.verdict_json(verdict, {}))],
        "rows": rows,
        "stages": stages,
    }
    study.mkdir(parents=True)
    (study / "report.json").write_text(json.dumps(said))
    return study, store


def scores(store: Path) -> list[Path]:
    """Return the result files of the store."""
    return sorted(store.glob("*/contributions.jsonl"))


def _scored(store: Path, label: str, right: int) -> tuple[str, dict[str, Any]]:
    lines = "".join(f"[{float(number < right)}]\n" for number in range(EXAMPLES))
    said = json.dumps({"metric": "accuracy", "headline": 100 * right / EXAMPLES})
    key = put(store, label, "toy", {"label": label}, score_json=said, contributions_jsonl=lines)
    files = {"score.json": said, "contributions.jsonl": lines}
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    return key, {"label": label, "work": "toy", "seconds": 1.0, "inputs": [], "files": digests}


def _row(name: str, seed: int, key: str, score: float) -> dict[str, Any]:
    where = {"encoder": ENCODER, "intermediate": name, "target": "xnli", "language": "sw", "seed": seed}
    return where | {
        "score": score,
        "keys": [key],
        "recipe": "",
        "metric": "accuracy",
        "split": "test",
        "roles": ["score"],
    }
