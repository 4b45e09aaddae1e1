"""Development scores of finished runs: what their trainings reached in the language that they were trained in.

A training measures itself on the first development examples when it ends (`training.dev_evaluation`) and keeps the
score in its manifest. It is what a user without labels in other languages can see, and what `selection` goes by; it is
shown beside the table of test scores, which it often does not predict.

    print(remark(runs, machine))  # "on development data: baseline 84.2, mnli 86.0"
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from xstilts.experiments.run import Run
from xstilts.runtime.machine import Runtime
from xstilts.store import manifest, names
from xstilts.store.stage import folder_of


def remark(runs: Mapping[str, Sequence[Run]], machine: Runtime) -> str | None:
    """Return a line with the mean development score of each setting over its seeds.

    Args:
        runs: Finished runs of one target by setting, one a seed.
        machine: Names the store.

    Returns:
        None where no training of the target has development data.
    """
    means = {setting: fmean(scores) for setting, seeds in runs.items() if (scores := _scores(seeds, machine))}
    if not means:
        return None
    shown = ", ".join(f"{setting} {mean:.1f}" for setting, mean in means.items())
    return f"on development data of the training language: {shown}"


def _scores(seeds: Sequence[Run], machine: Runtime) -> list[float]:
    """Return the score of each seed's last training for the target; those without development data are left out."""
    scores = []
    for run in seeds:
        if run.average:  # the scores of its trainings are not that of the average
            continue
        last = [phase for phase in run.shared_phases() if phase.role == names.TARGET][-1:]
        for phase in last:
            dev = manifest.read(folder_of(phase.stage, machine))["record"].get("dev") or {}
            scores += [float(of_task["score"]) for of_task in dev.values()]
    return scores
