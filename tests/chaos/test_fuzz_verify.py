"""One leaf of a report changed, and its pages written again: does `verify` see it?

The counts are of kinds of leaves, by their path without numbers and keys. What it cannot see is listed with the reason.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fuzzing import SEED, at, inputs
from test_verify import STUDY, told

from built_study import finished_store
from xstilts.claims import claim
from xstilts.errors import InputError
from xstilts.evidence.pipeline import ReportOptions, make_report
from xstilts.evidence.report import bundle
from xstilts.evidence.report import verify as evidence_verify
from xstilts.experiments import study as studies
from xstilts.reporting import study_page, study_report
from xstilts.reporting.run_study import commands
from xstilts.runtime.machine import Runtime
from xstilts.verification.verify import Check, verify

pytestmark = pytest.mark.chaos
STUDY_FILE = "import test_verify\n\n\ndef study(scale):\n    return test_verify.STUDY\n"
UNSEEN_OF_STUDY = {  # kinds of leaves, and why no file tells otherwise
    "study.file": "a report of a study file that is not at hand is checked without it",
}
UNSEEN_OF_LITERATURE = {"format": "another format is another program's report"}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the path and the value of everything in a JSON value that is no list and no object."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if parts is None:
        yield path, value
        return
    for key, part in parts:
        yield from leaves(part, (*path, key))


def kind(path: tuple[Any, ...]) -> str:
    """Return a path without numbers and keys of stages."""
    return ".".join("*" if isinstance(key, int) or re.fullmatch(r"[0-9a-f]{12}", key) else key for key in path)


def changed(value: Any) -> Any:
    """Return another value of the same sort."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value * 1.5 + 0.37
        case None:
            return 0.5
    return f"{value}x"


def unseen(report: dict[str, Any], check: Callable[[dict[str, Any]], bool], name: str, usual: int) -> dict[str, Any]:
    """Change leaves of every kind; return those kinds that were not seen, with an example."""
    dice, by_kind = Random(SEED), defaultdict(list)
    for path, value in leaves(report):
        by_kind[kind(path)].append((path, value))
    missed: dict[str, Any] = {}
    chosen = dice.sample(sorted(by_kind), min(len(by_kind), inputs(usual)))
    for one in chosen:
        path, value = dice.choice(by_kind[one])
        forged = json.loads(json.dumps(report))
        at(forged, path[:-1])[path[-1]] = changed(value)
        if not check(forged):
            missed[one] = (value, changed(value))
    print(f"\n{name}: {len(chosen)} kinds of leaves changed: {len(chosen) - len(missed)} seen, {len(missed)} unseen (CHAOS_SEED={SEED})")  # fmt: skip
    return missed


def sees(verified: Callable[[], tuple[Check, ...]], before: frozenset[str]) -> bool:
    """Return whether a check fails that does not fail for the report as it was written."""
    try:
        return any(one.status != "stands" and one.name not in before for one in verified())
    except InputError:
        return True


def failing(checks: tuple[Check, ...]) -> frozenset[str]:
    return frozenset(one.name for one in checks if one.status != "stands")


def test_leaves_of_a_study(
    tmp_path_factory: pytest.TempPathFactory, few_examples: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine: Runtime = finished_store(tmp_path_factory)
    told(machine, tmp_path / "report")
    (tmp_path / "studies").mkdir()
    file = tmp_path / "studies" / "small.py"
    file.write_text(STUDY_FILE)
    monkeypatch.chdir(tmp_path)
    table = studies.table(STUDY, machine)
    origin = study_report.Origin("small", "sandbox", file, *commands(file, "sandbox", machine))
    verdicts = claim.check_all(STUDY.claims, table)
    report = study_report.build_report(STUDY, table, verdicts, origin, machine)
    folder = tmp_path / "report"

    def check(forged: dict[str, Any]) -> bool:
        study_report.write(forged, folder)
        try:
            study_page.write_pages(folder)
        except InputError:
            return True
        return sees(lambda: verify(folder, machine.store), before)

    study_report.write(report, folder)
    study_page.write_pages(folder)
    before = failing(verify(folder, machine.store))
    assert before == {"it-grows"}  # the claim that cannot be measured
    missed = unseen(dict(report), check, "verification of studies", 80)
    assert not missed.keys() - UNSEEN_OF_STUDY.keys(), missed


QUESTION = "Does a larger batch size improve zero-shot transfer?"
TEXT = "Batch size and transfer\nAbstract\nA larger batch size improves zero-shot transfer on XTREME by 2.1 points.\n1 Introduction\nWe find that a larger batch size improves transfer to Swahili by 3 points.\n"  # fmt: skip


def test_leaves_of_literature(tmp_path: Path) -> None:
    texts, folder, good = tmp_path / "texts", tmp_path / "report", tmp_path / "good"
    texts.mkdir()
    (texts / "a.txt").write_text(TEXT)
    (texts / "b.txt").write_text(TEXT.replace("improves", "does not improve"))
    make_report(QUESTION, ReportOptions(good, tmp_path / "replies", (str(texts),)))
    before = failing(evidence_verify.verify(good, tmp_path / "none"))

    def check(forged: dict[str, Any]) -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(good, folder)
        (folder / "report.json").write_text(json.dumps(forged, ensure_ascii=False))
        try:
            bundle.write_views(folder)
        except InputError:
            return True
        return sees(lambda: evidence_verify.verify(folder, tmp_path / "none"), before)

    missed = unseen(json.loads((good / "report.json").read_text()), check, "verification of literature", 60)
    assert not missed.keys() - UNSEEN_OF_LITERATURE.keys(), missed
