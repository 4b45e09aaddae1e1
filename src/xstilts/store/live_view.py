"""Live view: a read-only view of a store while other processes write to it.

It has the finished stages, which never change, so that each manifest is read once, and the unfinished ones (`.part`
folders). Half-written or damaged files are skipped. The progress of a training comes from the header of its checkpoint;
no weights are read, and torch is not imported.

>>> view = StoreView(Path("no-such-store"))
>>> view.refresh()
>>> view.records
{}
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

PART = re.compile(r"^(?P<label>.+)-(?P<key>[0-9a-f]{12})\.part\d*$")
USED = ("label", "key", "work", "arguments", "started", "seconds", "record")
HEADER = 64 * 2**20  # bytes that the header of a checkpoint has at most


@dataclass(frozen=True)
class Part:
    """An unfinished stage: one that is being built, or that a killed process left.

    Attributes:
        folder: Its `.part` folder.
        label: Label of the stage.
        key: Its key.
        changed: When a file in it last changed, in seconds since the epoch.
    """

    folder: Path
    label: str
    key: str
    changed: float

    @property
    def idle(self) -> float:
        """Seconds since a file last changed."""
        return max(0.0, time.time() - self.changed)


@dataclass
class StoreView:
    """The stages of a store at the last `refresh`.

    Attributes:
        store: Folder of the store.
        records: Manifests of finished stages by key, of which the fields in `USED` are kept.
        folders: Their folders by key.
        parts: Unfinished stages by key.
        scores: Headline scores of finished score stages by key.
    """

    store: Path
    records: dict[str, Record] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)

    def refresh(self) -> None:
        """Read the store again: new stages are added, deleted ones removed."""
        names = _names(self.store)
        finished = {name.rpartition("-")[2]: name for name in names if FINISHED.search(name)}
        for key in self.records.keys() - finished.keys():
            for by_key in (self.records, self.folders, self.scores):
                by_key.pop(key, None)
        for key, name in finished.items():
            if key not in self.records:
                with suppress(OSError, ValueError, KeyError, TypeError):
                    self._read(key, self.store / name)
        self.parts = {part.key: part for name in names if (part := _part(self.store, name))}

    def _read(self, key: str, folder: Path) -> None:
        record = manifest.read(folder)
        if "predictions" in record["arguments"] and (folder / SCORE).exists():
            self.scores[key] = float(json.loads((folder / SCORE).read_bytes().decode())["headline"])
        self.records[key], self.folders[key] = {name: record[name] for name in USED}, folder


def state_of(part: Path) -> dict[str, Any]:
    """Return how far an unfinished training is, from its checkpoint.

    Args:
        part: Its `.part` folder.

    Returns:
        The training state (`step`, `history`, `cost` and the like); empty without a readable checkpoint.
    """
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError), (part / CHECKPOINT).open("rb") as file:
        # The header of a safetensors file, read without torch: its length, then JSON. Tensors are never read.
        length = int.from_bytes(file.read(8), "little")
        if length <= HEADER:
            state: dict[str, Any] = json.loads(json.loads(file.read(length))["__metadata__"]["state"])
            return state if isinstance(state, dict) else {}
    return {}


def history_of(folder: Path) -> list[dict[str, Any]]:
    """Return the history of a finished training.

    Args:
        folder: Folder of the stage.

    Returns:
        An entry for each line: a step with its loss (`loss`, `tasks`, `task_losses`; of old trainings without tasks),
        or with scores on development data (`dev`); empty for other stages.
    """
    with suppress(OSError, ValueError):
        return [json.loads(line) for line in (folder / HISTORY).read_text(encoding="utf-8").splitlines()]
    return []


def _part(store: Path, name: str) -> Part | None:
    match = PART.match(name)
    if not match:
        return None
    changed = 0.0
    for path in (store / name, *_inside(store / name)):
        with suppress(OSError):
            changed = max(changed, path.stat().st_mtime)
    return Part(store / name, match["label"], match["key"], changed)


def _inside(folder: Path) -> list[Path]:
    return [folder / name for name in _names(folder)]


def _names(folder: Path) -> list[str]:
    with suppress(OSError):
        return sorted(os.listdir(folder))
    return []
