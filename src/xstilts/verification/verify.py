"""Verify: whether a report still follows from the predictions on disk.

Nothing that the report says is believed: each file behind it is compared with the digest that the report recorded, each
score is made again from the predictions and the gold answers, each row is what its stages say, each claim is measured
again on these scores, and what else the report shows is made again. All of that stands, or it is changed, or a stage
behind it is gone and it is untested.

    for check in verify(Path("study"), Path("work")):
        print(check.status, check.name, check.why)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xstilts.claims import claim as claims
from xstilts.claims import measures, published
from xstilts.claims.claim import Claim, Verdict
from xstilts.claims.results_table import ResultsTable
from xstilts.errors import InputError
from xstilts.reporting import plain_json, study_report
from xstilts.reporting.report import REPORT, read
from xstilts.verification import provenance, recompute
from xstilts.verification.stage_integrity import Check, Fault, Status, StoredStages, bare, differing

__all__ = ["Check", "Status", "StoredStages", "checks", "verify"]
Plain = Mapping[str, Any]
Measured = Verdict | str  # or why it cannot be measured
OF_FAMILY = ("status", "why", "p_holm", "detectable", "seeds_needed")  # of a verdict: depends on the claims beside it


@dataclass(frozen=True)
class Recomputation:
    """What is measured again: the claims, the table from disk, and what is wrong with stages.

    behind: the stages of each claim, as its measure finds them in the rows, and as the report has them.
    """

    claims: tuple[Claim, ...]
    table: ResultsTable
    faults: Mapping[str, Fault]
    behind: tuple[frozenset[str], ...]

    def broken(self, number: int) -> list[Fault]:
        """Return what is wrong with the stages of a claim."""
        return [self.faults[key] for key in self.behind[number] if key in self.faults]


def verify(folder: Path, store: Path) -> tuple[Check, ...]:
    """Return a check of each claim of a report against the stages in a store, then of what else it says and shows.

    Raises InputError where there is no report, or where it is not one that was written by a study.
    """
    report = read(folder)
    try:
        asked = _asked(report)
        disk = StoredStages(store, report["stages"], report.get("sources", {}))
        disk.faults.update(provenance.faults(report, disk))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder / REPORT} is not as a study writes it ({error}): write it anew") from error
    again = _again(report, disk, asked)
    whole = _family(again.claims, again.table)
    return (
        *_claimed(report, again, whole),
        *_told(report, disk, again, whole),
        *recompute.views(report, folder, again.table),
    )


def checks(report: Plain, disk: StoredStages) -> tuple[Check, ...]:
    """Return a check of each claim of what a report says against its stages, and one of faults behind no claim."""
    again = _again(report, disk, _asked(report))
    return tuple(_claimed(report, again, _family(again.claims, again.table)))


def _asked(report: Plain) -> tuple[Claim, ...]:
    """Return a report's claims; KeyError, TypeError and the like where they or the rows are not as a study has them."""
    for said in report["rows"]:
        bare(said)
    return tuple(_claim(said) for said in report["verdicts"])


def _claim(said: Plain) -> Claim:
    published = said.get("published")
    return Claim(
        said["sentence"],
        measures.from_plain(said["measure"]),
        said["expectation"],
        said["margin"],
        published["name"] if isinstance(published, Mapping) else "",
        said["by_construction"],
        said["answers"],
    )


def _again(report: Plain, disk: StoredStages, asked: tuple[Claim, ...]) -> Recomputation:
    """Return what a report's claims are measured on, each of its stages looked at once."""
    keys = dict.fromkeys([*disk.stages, *(key for row in report["rows"] for key in row["keys"])])
    faults = {key: fault for key in keys if (fault := disk.fault(key))}
    written = ResultsTable(tuple(bare(row) for row in report["rows"]))
    found = [_alone(one, written) for one in asked] if faults else []
    behind = [frozenset(one.keys) if isinstance(one, Verdict) else frozenset(faults) for one in found]
    said = [frozenset(one["keys"]) for one in report["verdicts"]]
    return Recomputation(
        asked,
        ResultsTable(tuple(disk.row(row) for row in report["rows"])),
        faults,
        tuple(one | other for one, other in zip(behind or said, said, strict=True)),
    )


def _family(asked: Sequence[Claim], table: ResultsTable) -> list[Measured]:
    """Return the verdicts on claims checked together; one that cannot be measured keeps no other from it."""
    try:
        return list(claims.check_all(asked, table))
    except Exception:  # rows that contradict each other, and whatever else a report may say
        alone = [_alone(one, table) for one in asked]
        good = iter(claims.check_all([one.claim for one in alone if isinstance(one, Verdict)], table))
        return [next(good) if isinstance(one, Verdict) else one for one in alone]


def _alone(claim: Claim, table: ResultsTable) -> Measured:
    try:
        return claims.check(claim, table)
    except Exception as error:
        return f"it cannot be measured: {error}"


def _claimed(report: Plain, again: Recomputation, whole: Sequence[Measured]) -> Iterator[Check]:
    """Yield a check of each claim, and of faults behind none.

    Where there are faults, the claims without one are a family of their own: a status may be that, or the whole's.
    """
    sound = [number for number in range(len(again.claims)) if not again.broken(number)]
    part = _family([again.claims[number] for number in sound], again.table) if again.faults else whole
    family = dict(zip(sound, part, strict=True)) if again.faults else dict(enumerate(whole))
    known_figures = published.known()
    for number, said in enumerate(report["verdicts"]):
        name, sentence = said["name"], said["sentence"]
        if broken := again.broken(number):
            yield Check(name, sentence, *min(broken))  # changed before gone
        elif isinstance(found := family[number], str):
            yield Check(name, sentence, "changed", found)
        else:
            ruled = plain_json.plain(study_report.verdict_json(found, known_figures))
            others = whole[number] if again.faults else None
            yield _compared(said, ruled, others)
    loose = [fault for key, fault in again.faults.items() if not any(key in keys for keys in again.behind)]
    if loose:
        status, why = min(loose)
        more = f" (and {len(loose) - 1} more)" if len(loose) > 1 else ""
        yield Check("figures", "The figures of the report follow from the predictions", status, why + more)


def _compared(said: Plain, ruled: Plain, other: Measured | None) -> Check:
    """Return whether a claim comes out as the report has it; other: what it is among all claims."""
    name, sentence = said["name"], said["sentence"]
    wrong = differing(ruled, said)
    if isinstance(other, Verdict):
        same = said["status"] in (ruled["status"], other.status)
        wrong = [part for part in wrong if part not in OF_FAMILY] + ([] if same else ["status"])
    if wrong:
        why = f"measured again it {ruled['status']}: {ruled['why']}; the report says {said['status']}: {said['why']}"
        return Check(name, sentence, "changed", f"another {', '.join(wrong)}: {why}")
    if said["status"] == "untested":
        return Check(name, sentence, "untested", said["why"])
    return Check(name, sentence, "stands", f"{said['status']}: {said['why']}")


def _told(report: Plain, disk: StoredStages, again: Recomputation, whole: Sequence[Measured]) -> Iterator[Check]:
    """Yield a check of each part of a report beside its verdicts, and of these being there and the study's."""
    if report["rows"] and not again.claims:
        yield Check("verdicts", "The report has verdicts", "changed", f"{len(report['rows'])} scores, and no verdict")
    verdicts = [one for one in whole if isinstance(one, Verdict)]
    yield from recompute.asked(report, again.claims)
    if again.faults:
        yield from recompute.rest(report, again.table, again.faults.keys())
    elif len(verdicts) == len(whole):
        yield from recompute.parts(report, disk, again.table, verdicts)
