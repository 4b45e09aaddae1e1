"""Failed arms: the runs of a study that could not be built, why, and which claims they concern.

One arm that fails takes its own runs with it and no others: the report has all other runs, and names those that are
missing. A run is left out in all languages, so that no mean is over fewer languages than another.

>>> from xstilts.claims.claim_validation import ArmSelector
>>> describe(FailedArm((ArmSelector("xquad", "mnli", "all", "tiny"),), (1, 3), "the loss became nan"))
"'mnli' on 'xquad' of tiny, recipe 'all', seeds 1 and 3: the loss became nan"
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from xstilts.claims import claim_validation
from xstilts.claims.claim import Verdict
from xstilts.claims.claim_validation import ArmSelector
from xstilts.experiments.collect_results import has_failed
from xstilts.experiments.run import Run
from xstilts.experiments.study import Arm, Study
from xstilts.models.naming import name_of
from xstilts.runtime.machine import Runtime
from xstilts.store.memo import memoising
from xstilts.store.stage import with_inputs

Failures = Mapping[str, str]
"""The reason by the key of each stage that could not be built; "" where one of its inputs could not."""


@dataclass(frozen=True)
class FailedArm:
    """A setting of an arm of which some seeds could not be built.

    Attributes:
        settings: The setting under the arm's own label, then under the labels of choices that the arm is among.
        seeds: The seeds that are missing.
        why: Why the first of them could not be built.
    """

    settings: tuple[ArmSelector, ...]
    seeds: tuple[int, ...]
    why: str


def find(study: Study, machine: Runtime, failed: Failures) -> tuple[FailedArm, ...]:
    """Return the settings of a study with seeds that could not be built.

    Args:
        study: The study.
        machine: Names the store and the data folder.
        failed: The stages that could not be built, as `store.local_executor.Unbuilt` has them.

    Returns:
        The failed arms with their seeds and reasons; none where all stages were built.
    """
    if not failed:
        return ()
    with memoising():
        return tuple(arm for study_arm in study.arms for arm in _of_arm(study, study_arm, machine, failed))


def failed_extras(study: Study, machine: Runtime, failed: Failures) -> list[str]:
    """Describe the failed stages that belong to no run: those of extra tables, and contamination checks.

    Args:
        study: The study.
        machine: Names the store and the data folder.
        failed: The stages that could not be built, as `store.local_executor.Unbuilt` has them.

    Returns:
        A line for each: the stage's label and the reason.
    """
    if not failed:
        return []
    with memoising():
        run_keys = {stage.key for arm in study.arms for stage in with_inputs(arm.grid.score_stages(machine))}
    return [
        f"{stage.label}: {failed[stage.key]}"
        for stage in study.stages(machine)
        if failed.get(stage.key) and stage.key not in run_keys
    ]


def explained(verdicts: Iterable[Verdict], failed: Sequence[FailedArm]) -> tuple[Verdict, ...]:
    """Add to verdicts which failed arms their claims are about.

    Args:
        verdicts: The verdicts.
        failed: The failed arms, of `find`.

    Returns:
        The verdicts; the reason of each that is about a failed arm names it.
    """
    return tuple(_explained(verdict, [arm for arm in failed if _concerns(verdict, arm)]) for verdict in verdicts)


def describe(arm: FailedArm) -> str:
    """Describe a failed arm in one line.

    Args:
        arm: The failed arm.

    Returns:
        Its setting, target, encoder, recipe and seeds, and the reason.
    """
    first, *_ = arm.settings
    recipe = f", recipe '{first.recipe}'" if first.recipe else ""
    return f"'{first.intermediate}' on '{first.target}' of {first.encoder}{recipe}, {_seeds(arm)}: {arm.why}"


def _of_arm(study: Study, arm: Arm, machine: Runtime, failed: Failures) -> Iterator[FailedArm]:
    for target in arm.grid.targets:
        for setting, runs in arm.grid.runs(target, machine.data).items():
            missing = [run for run in runs if has_failed(run, failed)]
            if missing:
                encoder = name_of(arm.grid.encoder)
                labels = study.labels(arm.label, setting, runs[0].repeats_training_data)
                settings = tuple(ArmSelector(target.name, setting, label, encoder) for label in labels)
                yield FailedArm(settings, tuple(run.seed for run in missing), _why(missing[0], failed))


def _why(run: Run, failed: Failures) -> str:
    """Return the reason of the first stage of a run that failed by itself."""
    behind = with_inputs(run.scores().values())
    return next(
        (failed[stage.key] for stage in behind if failed.get(stage.key)), "one of its inputs could not be built"
    )


def _concerns(verdict: Verdict, arm: FailedArm) -> bool:
    selectors = claim_validation.of(verdict.claim.measure)
    return any(claim_validation.meets(selector, setting) for selector in selectors for setting in arm.settings)


def _explained(verdict: Verdict, failed: Sequence[FailedArm]) -> Verdict:
    if not failed:
        return verdict
    if verdict.status == "untested":
        return replace(verdict, why=f"could not be built: {'; '.join(map(describe, failed))}")
    without = "; ".join(f"without '{arm.settings[0].intermediate}', {_seeds(arm)}" for arm in failed)
    return replace(verdict, why=f"{verdict.why} ({without}, which could not be built)")


def _seeds(arm: FailedArm) -> str:
    *before, last = map(str, arm.seeds)
    return f"seeds {', '.join(before)} and {last}" if before else f"seed {last}"
