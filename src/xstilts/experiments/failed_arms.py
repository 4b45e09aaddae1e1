"""Gaps: what of a study could not be built, why, and what is said of the claims that are about it.

One arm that fails takes its own runs with it and no others: the report tells of the rest, and of the gap. A run is
left out whole, so that no mean is over fewer languages than another.

>>> from xstilts.claims.claim_validation import ArmSelector
>>> told(Gap((Aim("xquad", "mnli", "all", "tiny"),), (1, 3), "the loss became nan"))
"'mnli' on 'xquad' of tiny, recipe 'all', seeds 1 and 3: the loss became nan"
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from xstilts.claims import claim_validation
from xstilts.claims.claim import Verdict
from xstilts.claims.claim_validation import ArmSelector
from xstilts.experiments.collect_results import is_lost
from xstilts.experiments.run import Run
from xstilts.experiments.study import Arm, Study
from xstilts.models.naming import name_of
from xstilts.runtime.machine import Runtime
from xstilts.store.memo import memoising
from xstilts.store.stage import Stage, with_inputs

Failed = Mapping[str, str]
"""By the key of each stage that could not be built why; "" where something that it needs could not."""


@dataclass(frozen=True)
class Gap:
    """A setting of which some seeds could not be built; settings: the arm's own, then those under names of choices."""

    settings: tuple[ArmSelector, ...]
    seeds: tuple[int, ...]
    why: str


def find(study: Study, machine: Runtime, failed: Failed) -> tuple[Gap, ...]:
    """Return the settings of a study that lack seeds, because stages of these keys could not be built."""
    with memoising():
        return tuple(gap for arm in study.arms for gap in _of_arm(study, arm, machine, failed)) if failed else ()


def apart(study: Study, machine: Runtime, failed: Failed) -> list[str]:
    """Return what could not be built that no run needs: stages of tables of the study's own, overlaps."""
    with memoising():
        needed = {one.key for arm in study.arms for one in with_inputs(arm.grid.stages(machine))} if failed else set()
    promised = study.promised(machine) if failed else []
    return [f"{one.label}: {failed[one.key]}" for one in promised if failed.get(one.key) and one.key not in needed]


def explained(verdicts: Iterable[Verdict], gaps: Sequence[Gap]) -> tuple[Verdict, ...]:
    """Return verdicts which say what of their claims could not be built."""
    return tuple(_explained(one, [gap for gap in gaps if _touches(one, gap)]) for one in verdicts)


def describe(gap: Gap) -> str:
    """Return a gap in a line."""
    first, *_ = gap.settings
    recipe = f", recipe '{first.recipe}'" if first.recipe else ""
    return f"'{first.intermediate}' on '{first.target}' of {first.encoder}{recipe}, {_seeds(gap)}: {gap.why}"


def _of_arm(study: Study, arm: Arm, machine: Runtime, failed: Failed) -> Iterator[Gap]:
    names = (arm.label, *(one.label for one in study.choices if arm.label in one.among))
    for target in arm.grid.targets:
        for setting, runs in arm.grid.runs(target).items():
            lost = [run for run in runs if is_lost(run, machine, failed)]
            if lost:
                places = tuple(ArmSelector(target.name, setting, name, name_of(arm.grid.encoder)) for name in names)
                yield Gap(places, tuple(run.seed for run in lost), _why(lost[0], machine, failed))


def _why(run: Run, machine: Runtime, failed: Failed) -> str:
    """Return why a run could not be built: what is said of the first stage behind it that failed by itself."""
    behind: list[Stage] = with_inputs(run.scores(machine.data).values())
    return next(
        (failed[one.key] for one in behind if failed.get(one.key)), "something that it needs could not be built"
    )


def _touches(verdict: Verdict, gap: Gap) -> bool:
    asked = claim_validation.of(verdict.claim.measure)
    return any(claim_validation.meets(aim, place) for aim in asked for place in gap.settings)


def _explained(verdict: Verdict, gaps: Sequence[Gap]) -> Verdict:
    if not gaps:
        return verdict
    if verdict.status == "untested":
        return replace(verdict, why=f"could not be built: {'; '.join(map(describe, gaps))}")
    without = "; ".join(f"without '{gap.settings[0].intermediate}', {_seeds(gap)}" for gap in gaps)
    return replace(verdict, why=f"{verdict.why} ({without}, which could not be built)")


def _seeds(gap: Gap) -> str:
    *before, last = map(str, gap.seeds)
    return f"seeds {', '.join(before)} and {last}" if before else f"seed {last}"
