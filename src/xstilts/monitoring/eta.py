"""Pace: how far a stage in the making is, and how long what is left will take.

A build says how far its stages are. Where none does, a training tells by its checkpoint; and where that does not tell
either, finished stages of the same name, or else of the same work, have taken so long.

    Pace(sight).usual("train-xnli-seed4", "xstilts.training.train.train")  # 512.0, as seeds 1 to 3 have taken
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from xstilts.store.build_log import BuildStatus
from xstilts.store.live_view import Part, StoreView, state_of

SEED = re.compile(r"-seed\d+$")
LEFT = re.compile(r"\s*(\d+):(\d\d) left")


@dataclass(frozen=True)
class Running:
    """A stage in the works. total: steps, 0 where not known; seconds: that it has still to go, None where not known."""

    label: str
    key: str
    done: int = 0
    total: int = 0
    figures: str = ""
    seconds: float | None = None


@dataclass
class EtaEstimator:
    """What finished stages have taken, by name and by work, as medians."""

    sight: StoreView
    counted: int = -1
    medians: Mapping[str, float] = field(default_factory=dict)

    def usual(self, label: str, work: str) -> float | None:
        """Return the seconds that a stage takes, by its name (seeds apart) or its work; None where none is known."""
        if self.counted != len(self.sight.records):
            taken: dict[str, list[float]] = defaultdict(list)
            for one in self.sight.records.values():
                taken[SEED.sub("", one["label"])].append(one["seconds"])
                taken[one["work"]].append(one["seconds"])
            self.medians = {name: median(seconds) for name, seconds in taken.items()}
            self.counted = len(self.sight.records)
        return self.medians.get(SEED.sub("", label), self.medians.get(work))

    def told(self, part: Part, build: BuildStatus, steps: int) -> Running:
        """Return how far a stage is by what its build says, or else by its folder."""
        step, begun = build.steps.get(part.key), build.running[part.key]
        if not step or not step["done"]:
            return self.seen(part, build.stages[part.key][1], steps, time.time() - begun)
        said = LEFT.search(step["detail"])
        rest = (step["at"] - begun) / step["done"] * (step["total"] - step["done"])
        rest = int(said[1]) * 60.0 + int(said[2]) if said else rest
        rest = max(0.0, rest - (time.time() - step["at"]))
        return Running(part.label, part.key, step["done"], step["total"], LEFT.sub("", step["detail"]), rest)

    def seen(self, part: Part, work: str = "", steps: int = 0, passed: float = 0.0) -> Running:
        """Return how far a stage is by its checkpoint. steps: all that it takes; passed: seconds since it was begun."""
        state = state_of(part.folder)
        spent = state.get("cost") or {}
        done, taken = int(state.get("step", 0)), float(spent.get("seconds", 0.0))
        rest = self.usual(part.label, work)
        if done and steps and taken:
            rest = taken / done * (steps - done) - part.idle
        elif rest is not None:
            rest -= max(taken, passed)
        return Running(part.label, part.key, done, steps, _figures(state, spent), rest and max(0.0, rest))


def _figures(state: Mapping[str, Any], spent: Mapping[str, Any]) -> str:
    """Return the last loss and the tokens a second that a checkpoint knows of."""
    losses = [line["loss"] for line in state.get("history", ()) if "loss" in line]
    tokens = sum(sums.get("tokens", 0) for sums in spent.get("taught", {}).values())
    said = [f"loss {losses[-1]:.3f}"] if losses else []
    return "  ".join(said + ([f"{tokens / spent['seconds']:,.0f} tokens/s"] if tokens and spent.get("seconds") else []))
