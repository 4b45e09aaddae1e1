"""Conduct: a study from its file to the report in a folder, whatever of it can be built.

outcome = conduct(Path("studies/layerwise.py"), "sandbox", machine, Path("layerwise"))
outcome.report["answer"]
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xstilts.claims import claim
from xstilts.claims.claim import Verdict
from xstilts.experiments import failed_arms
from xstilts.experiments import study as studies
from xstilts.reporting import report, study_report
from xstilts.reporting.study_report import Origin
from xstilts.runtime.machine import Runtime

STORE = Path("work")  # where the command line keeps stages unless it is told otherwise


@dataclass(frozen=True)
class Outcome:
    """What became of a study: how many stages were built, the verdicts, the report, and lines of what is missing."""

    built: int
    verdicts: tuple[Verdict, ...]
    report: dict[str, Any]
    missing: tuple[str, ...]


def conduct(file: Path, scale: str, machine: Runtime, out: Path) -> Outcome:
    """Build a study and write its report to a folder; arms that cannot be built are gaps in it.

    Raises StageError where nothing at all could be built, and InputError where the file is no study.
    """
    asked = studies.load(file, scale)
    built, error = studies.attempt(asked, machine)
    failed = error.reasons if error else {}
    table = studies.table(asked, machine, failed)
    if error and not table.rows:
        raise error
    lost = failed_arms.find(asked, machine, failed)
    verdicts = failed_arms.explained(claim.check_all(asked.claims, table), lost)
    missing = (*map(failed_arms.describe, lost), *failed_arms.failed_extras(asked, machine, failed))
    origin = Origin(file.stem, scale, file, *commands(file, scale, machine))
    found = study_report.build_report(asked, table, verdicts, origin, machine, missing)
    studies.write(table, out)
    study_report.write(found, out)
    report.write(out)
    return Outcome(built, verdicts, found, missing)


def commands(file: Path, scale: str, machine: Runtime) -> tuple[str, str]:
    """Return the commands that build a study again and check its report, whatever folder this one is written to.

    Paths are as they were given. What the environment says is called by its name, so that a report has no path of the
    machine that nobody wrote; what only the machine decides (device, workers) is left out.
    """
    store = [] if machine.store in (STORE, _named("XSTILTS_STORE")) else ["--store", str(machine.store)]
    data = ["--data", str(machine.data)] if machine.data else []
    shared = '--data "$XSTILTS_DATA"' if machine.data and machine.data == _named("XSTILTS_DATA") else shlex.join(data)
    study = shlex.join(["xstilts", "study", str(file), "--scale", scale, "--out", file.stem, *store])
    return f"{study} {shared}".strip(), shlex.join(["xstilts", "verify", file.stem, *store])


def _named(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None
