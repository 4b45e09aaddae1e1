"""Sight: a store as those see it who only look, while others write: what is finished, and what is in the making.

Finished stages do not change, so each record is read once; whatever is half-written, damaged or gone is passed over.
A training in the making tells of itself by its checkpoint, whose first bytes hold its state as text: no weights are
read, and nothing here needs torch.

    seen = Sight(Path("work"))
    seen.refresh()
    seen.records["5f1c0a9b3d2e"]["seconds"]
"""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xstilts.store import manifest
from xstilts.store.names import CHECKPOINT_FILE as CHECKPOINT
from xstilts.store.names import HISTORY_FILE as HISTORY
from xstilts.store.names import SCORE_FILE as SCORE
from xstilts.store.query import FINISHED, Record

PART = re.compile(r"^(?P<label>.+)-(?P<key>[0-9a-f]{12})\.part$")
USED = ("label", "key", "work", "arguments", "started", "seconds", "record")
HEADER = 64 * 2**20  # bytes that the header of a checkpoint has at most


@dataclass(frozen=True)
class Part:
    """A stage in the making, or left behind by who was killed: its folder, and when something in it last changed."""

    folder: Path
    label: str
    key: str
    changed: float

    @property
    def idle(self) -> float:
        """The seconds since something changed."""
        return max(0.0, time.time() - self.changed)


@dataclass
class StoreView:
    """What has been seen of a store: the records of finished stages by key, their scores, and what is in the making."""

    store: Path
    records: dict[str, Record] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)

    def refresh(self) -> None:
        """Look again; what is gone is forgotten."""
        names = _names(self.store)
        finished = {name.rpartition("-")[2]: name for name in names if FINISHED.search(name)}
        for key in self.records.keys() - finished.keys():
            for known in (self.records, self.folders, self.scores):
                known.pop(key, None)
        for key, name in finished.items():
            if key not in self.records:
                with suppress(OSError, ValueError, KeyError, TypeError):
                    self._read(key, self.store / name)
        self.parts = {part.key: part for name in names if (part := _part(self.store, name))}

    def _read(self, key: str, folder: Path) -> None:
        found = manifest.read(folder)
        if "predictions" in found["arguments"] and (folder / SCORE).exists():
            self.scores[key] = float(json.loads((folder / SCORE).read_bytes().decode())["headline"])
        self.records[key], self.folders[key] = {name: found[name] for name in USED}, folder


def state_of(part: Path) -> dict[str, Any]:
    """Return the state that a training has saved in its folder: step, history, cost; empty where there is none."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError), (part / CHECKPOINT).open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length <= HEADER:
            state: dict[str, Any] = json.loads(json.loads(file.read(length))["__metadata__"]["state"])
            return state if isinstance(state, dict) else {}
    return {}


def history_of(folder: Path) -> list[dict[str, Any]]:
    """Return the history of a finished training: lines with a step, and a loss or looks at development data."""
    with suppress(OSError, ValueError):
        return [json.loads(line) for line in (folder / HISTORY).read_text(encoding="utf-8").splitlines()]
    return []


def _part(store: Path, name: str) -> Part | None:
    found = PART.match(name)
    if not found:
        return None
    changed = 0.0
    for path in (store / name, *_inside(store / name)):
        with suppress(OSError):
            changed = max(changed, path.stat().st_mtime)
    return Part(store / name, found["label"], found["key"], changed)


def _inside(folder: Path) -> list[Path]:
    return [folder / name for name in _names(folder)]


def _names(folder: Path) -> list[str]:
    with suppress(OSError):
        return sorted(os.listdir(folder))
    return []
