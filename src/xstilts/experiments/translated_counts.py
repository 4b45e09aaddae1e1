"""Translated counts: how many examples of a finished run were translated with their labels, in sentences for tables.

sentences(run, machine)  # ["376 of 400 training examples in sw: 24 dropped (a mark is lost 24)"]
"""

from __future__ import annotations

from collections.abc import Iterator

from xstilts.experiments.run import Run
from xstilts.runtime.machine import Runtime
from xstilts.store import manifest, names
from xstilts.store.stage import Stage, folder_of


def sentences(run: Run, machine: Runtime) -> Iterator[str]:
    """Yield how many examples were kept of each training split that was translated.

    Args:
        run: A finished run.
        machine: Names the store.
    """
    parts: list[Stage] = [
        part for phase in run.phases() for training_set in phase.training_sets for part in training_set.train
    ]
    for part in dict.fromkeys(parts):
        if part.work.name == names.TRANSLATED:
            record = manifest.read(folder_of(part, machine))["record"]
            reasons = ", ".join(f"{reason}: {count:,}" for reason, count in record["dropped"].items())
            projection = f" by {record['projection']}" if record["projection"] else ""
            split = part.arguments["data"]
            yield (
                f"{split.task} in {split.language}: {record['examples']:,} of {record['of']:,} training examples "
                f"translated with their labels{projection}{f'; dropped: {reasons}' if reasons else ''}"
            )
