"""Choice of a snapshot: by development data of the training language, and of the target language (oracle).

Zero-shot transfer may see no labels of the target language, not even to choose a checkpoint; development data of the
training language are a poor guide (Keung et al. 2020). How much a choice on the target language's own would gain is an
upper bound, labelled *oracle*. Both choose among the same last snapshots of the target's training, those at tenths of
its steps, and are measured on the same test set.

    grid = Grid(encoder, targets, settings, recipes, seeds=3, oracle=5)  # the tables have a row for each choice
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xstilts.evaluation.predict import predict
from xstilts.evaluation.score import read_score, score
from xstilts.experiments.run import Run
from xstilts.runtime.machine import Runtime
from xstilts.store.memo import memoised
from xstilts.store.names import TARGET
from xstilts.store.stage import Stage, folder_of
from xstilts.training.combine import snapshot

ORACLE = "snapshot by its own dev data (oracle)"

# Scores on development data and on the measured split, one pair a snapshot, the earliest first.
Pairs = tuple[tuple[Stage, Stage], ...]


def _trained_in(run: Run) -> str:
    """Return the language of the target's training data, the first of several."""
    return run.shared_phases()[-1].tasks[0].trained_in[0]


def pairs(run: Run) -> Mapping[str, Pairs]:
    """Return the scores that choices need, by language.

    Args:
        run: A run whose `oracle` says how many snapshots there are.

    Returns:
        For each language with development data its pairs. Nothing without an oracle, for a target that is not trained,
        and where the training language or all others have no development data.
    """
    return memoised(run, ("snapshot choice",), lambda: _pairs(run))


def _pairs(run: Run) -> dict[str, Pairs]:
    last = run.shared_phases()[-1:]
    if not run.oracle or not last or last[0].role != TARGET:
        return {}
    english, measured = _trained_in(run), run.languages()
    codes = [code for code in (*measured, english) if run.splits.has(run.target, "validation", code)]
    if english not in codes or len(set(codes)) < 2:
        return {}
    models = [snapshot(last[0].stage, number) for number in range(run.oracle, 0, -1)]
    on_dev = {code: [_score(run, model, "validation", code) for model in models] for code in codes}
    on_test = {code: [_score(run, model, run.split, code) for model in models] for code in codes if code in measured}
    return {code: tuple(zip(dev, on_test.get(code, dev), strict=True)) for code, dev in on_dev.items()}


def _score(run: Run, model: Stage, split: str, code: str) -> Stage:
    data = run.splits.read(run.target, split, code)
    return score(predict(model, data, run.target.format, run.max_length()), data, run.target.metric)


def stages(run: Run) -> list[Stage]:
    """Return the stages of all scores that choices need."""
    return [stage for of_language in pairs(run).values() for pair in of_language for stage in pair]


def scores(runs: Sequence[Run], machine: Runtime) -> dict[str, dict[str, tuple[float, ...]]]:
    """Return what the chosen snapshots of finished runs score.

    Args:
        runs: The runs of one setting, one a seed.
        machine: Names the store.

    Returns:
        By how a snapshot is chosen, then by language: a score for each run. Nothing where nothing is chosen.
    """
    by_run = [_chosen(run, machine) for run in runs]
    return {how: {code: tuple(chosen[how][code] for chosen in by_run) for code in by_run[0][how]} for how in by_run[0]}


def _chosen(run: Run, machine: Runtime) -> dict[str, dict[str, float]]:
    values = {
        code: [(_headline(dev, machine), _headline(test, machine)) for dev, test in of_language]
        for code, of_language in pairs(run).items()
    }
    if not values:
        return {}
    english, codes = _trained_in(run), [code for code in run.languages() if code in values]
    number = _best([dev for dev, _ in values[english]])
    return {
        f"snapshot by {english} dev data": {code: values[code][number][1] for code in codes},
        ORACLE: {code: values[code][_best([dev for dev, _ in values[code]])][1] for code in codes},
    }


def _headline(stage: Stage, machine: Runtime) -> float:
    return float(read_score(folder_of(stage, machine))["headline"])


def _best(dev: Sequence[float]) -> int:
    """Return the number of the best score; of equal ones the last.

    >>> _best([0.5, 0.7, 0.7, 0.1])
    2
    """
    return max(range(len(dev)), key=lambda number: (dev[number], number))
