"""Run study: from a study file to the report in a folder, as far as its stages can be built.

outcome = run_study(Path("studies/layerwise.py"), "sandbox", machine, Path("layerwise"))
print(outcome.report["answer"])
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
from xstilts.reporting import study_page, study_report
from xstilts.reporting.study_report import Origin
from xstilts.runtime import extras
from xstilts.runtime.machine import Runtime

STORE = Path("work")  # the default of --store


@dataclass(frozen=True)
class Outcome:
    """The outcome of a study.

    Attributes:
        built: How many stages were built now; those already in the store do not count.
        verdicts: The verdicts on its claims.
        report: The content of `report.json`.
        missing: What could not be built and why, a line each.
    """

    built: int
    verdicts: tuple[Verdict, ...]
    report: dict[str, Any]
    missing: tuple[str, ...]


def run_study(file: Path, scale: str, machine: Runtime, out: Path, encoder: str = "") -> Outcome:
    """Build a study and write its report; claims about arms that cannot be built stay untested.

    Args:
        file: The study file.
        scale: One of the study's scales, e.g. "sandbox".
        machine: Holds the store, the data folder and the device.
        out: The folder for `report.json`, its pages and `table.csv`.
        encoder: A folder or hub id, instead of the encoder that the study takes at this scale.

    Returns:
        The outcome.

    Raises:
        StageError: Nothing at all could be built.
        InputError: The file is no study.
    """
    extras.require("report", "the report of a study")
    study = studies.load(file, scale, encoder)
    built, error = studies.attempt(study, machine)
    reasons = error.reasons if error else {}
    study = studies.resolved(study, machine)
    table = studies.table(study, machine, reasons)
    if error and not table.rows:
        raise error
    lost = failed_arms.find(study, machine, reasons)
    verdicts = failed_arms.explained(claim.check_all(study.claims, table), lost)
    missing = (*map(failed_arms.describe, lost), *failed_arms.failed_extras(study, machine, reasons))
    origin = Origin(file.stem, scale, file, *commands(file, scale, machine, encoder), encoder)
    report = study_report.build_report(study, table, verdicts, origin, machine, missing)
    studies.write(table, out)
    study_report.write(report, out)
    study_page.write_pages(out)
    return Outcome(built, verdicts, report, missing)


def commands(file: Path, scale: str, machine: Runtime, encoder: str = "") -> tuple[str, str]:
    """Return the commands that build a study again and verify its report.

    Paths are written as they were given, and values of environment variables as these variables, so that a report
    shows no absolute path that the user did not type. What depends on the computer alone (device, workers) is left out.

    Args:
        file: The study file.
        scale: The scale of the study.
        machine: Names the store and the data folder.
        encoder: The encoder that was given; "": that of the study.

    Returns:
        The commands `xstilts study …` and `xstilts verify …`, quoted for a shell.
    """
    store = [] if machine.store in (STORE, _path_in("XSTILTS_STORE")) else ["--store", str(machine.store)]
    data = ["--data", str(machine.data)] if machine.data else []
    from_variable = machine.data and machine.data == _path_in("XSTILTS_DATA")
    data_option = '--data "$XSTILTS_DATA"' if from_variable else shlex.join(data)
    given = ["--encoder", encoder] if encoder else []
    study = shlex.join(["xstilts", "study", str(file), "--scale", scale, *given, "--out", file.stem, *store])
    return f"{study} {data_option}".strip(), shlex.join(["xstilts", "verify", file.stem, *store])


def _path_in(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None
