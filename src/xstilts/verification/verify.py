"""Verify: whether a report still follows from the predictions in a store, in one pass.

Nothing in the report is trusted. The stages behind it are compared with the digests that it recorded, scores with
predictions, rows with the manifests of their stages; then the whole report is recomputed from the results table and the
store, and what is written is compared with what follows, path by path. Each claim and each part of the report gets a
check: it stands, it has changed, or it is untested because a stage behind it is gone.

    for check in verify(Path("study"), Path("work")):
        print(check.status, check.name, check.why)
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from xstilts.claims import claim as claims
from xstilts.claims import measures, published
from xstilts.claims.claim import Claim, Verdict
from xstilts.claims.results_table import ResultsTable
from xstilts.errors import UNFORESEEN, refusing
from xstilts.experiments import study as studies
from xstilts.reporting import page, study_page, study_report
from xstilts.reporting.study_report import REPORT, to_json
from xstilts.store import manifest
from xstilts.verification import json_diff, provenance
from xstilts.verification.json_diff import Difference, differences
from xstilts.verification.stage_integrity import Fault, Status, StoredStages, result_of

__all__ = ["Check", "Status", "StoredStages", "check_claims", "verify"]

Json = Mapping[str, Any]
Outcome = Verdict | str  # of a claim that is measured again, or why it cannot be
STUDIES = Path("studies")  # where `verify` looks for the study file, below the current folder
ARM = ("encoder", "recipe", "over_recipe", "intermediate", "target", "language")
OF_FAMILY = ("status", "why", "p_holm", "detectable", "seeds_needed")  # of a verdict: depend on the other claims
SECTIONS = {
    "answer": "The answer is what the verdicts say",
    "measured_on": "What the answer was measured on is what was run",
    "settings": "The settings are those of the scores",
    "trainings": "Hyperparameters, data sizes and steps are those that were recorded",
    "levels": "The scores of each setting follow from the predictions",
    "gains": "The gains of each setting follow from the predictions",
    "costs": "The costs of each run are those that were recorded",
    "curves": "The learning curves are those that were recorded",
    "scalings": "The growth with size follows from the predictions",
    "collapsed": "The trainings that ended no better than chance are named",
    "repeated": "The trainings that were repeated are those that ended no better than chance",
    "missing": "The claims that could not be measured are named",
    "reproduce": "The versions and devices are those that were recorded",
    "extras": "The further tests of gains follow from the predictions",
}
LATER_SECTIONS = ("repeated",)  # which older reports lack
REST = "The rest of the report follows from its stages"


@dataclass(frozen=True)
class Check:
    """The outcome of the check of one claim, or of one part of a report.

    Attributes:
        name: The claim's name, or the name of the part.
        sentence: What was checked.
        status: It "stands", it has "changed", or it is "untested".
        why: The reason.
    """

    name: str
    sentence: str
    status: Status
    why: str


def verify(folder: Path, store: Path) -> tuple[Check, ...]:
    """Check a report against the stages in a store.

    Args:
        folder: The folder of the report, with its pages and `table.csv` if they are there.
        store: The store in which the study was built.

    Returns:
        A check of each claim, then of each other part of the report.

    Raises:
        InputError: There is no report, or it is not one that a study wrote.
    """
    report = study_report.read(folder)
    with refusing(lambda: folder / REPORT, "it is not as a study writes it: write it again with `xstilts study`"):
        written_claims = _claims(report)
        stages = StoredStages(store, report["stages"], report.get("sources", {}))
        stages.faults.update(provenance.faults(report, stages))
        recomputed = _recompute(report, written_claims, stages)
        changes = differences(recomputed.written, recomputed.parts)
        return (
            *_claim_checks(report, recomputed, changes),
            *_loose_fault_check(recomputed),
            *_study_check(report, written_claims),
            *_commands_check(report),
            *_section_checks(report, recomputed, changes),
            *_page_checks(report, folder, recomputed.table),
        )


def check_claims(report: Json, stages: StoredStages) -> tuple[Check, ...]:
    """Check the claims of a report alone.

    Args:
        report: The report.
        stages: Its stages in a store.

    Returns:
        A check of each claim, and one of stages with faults that are behind no claim, if there are any.
    """
    recomputed = _recompute(report, _claims(report), stages, verdicts_only=True)
    changes = differences(recomputed.written, recomputed.parts)
    return (*_claim_checks(report, recomputed, changes), *_loose_fault_check(recomputed))


def _claims(report: Json) -> tuple[Claim, ...]:
    """Return a report's claims; KeyError, TypeError and the like where they or its rows are incomplete."""
    for row in report["rows"]:
        result_of(row)
    return tuple(
        Claim(
            verdict["sentence"],
            measures.from_json(verdict["measure"]),
            verdict["expectation"],
            verdict["margin"],
            verdict["published"]["name"] if isinstance(verdict.get("published"), Mapping) else "",
            verdict["by_construction"],
            verdict["answers"],
            verdict.get("descriptive", False),
        )
        for verdict in report["verdicts"]
    )


# 1. Recompute the report, as far as its stages have no faults.


@dataclass(frozen=True)
class Recomputed:
    """A report as it follows from a store.

    Attributes:
        table: The results, read from the store where their stages have no faults.
        faults: The faults of the report's stages, by key.
        behind: The keys of the stages behind each claim.
        outcomes: The outcome of each claim; None for one with a fault behind it.
        parts: The parts of the report that could be recomputed.
        written: The same parts as they are written.
        error: Why no part but the verdicts could be recomputed; "" where they could.
    """

    table: ResultsTable
    faults: Mapping[str, Fault]
    behind: tuple[frozenset[str], ...]
    outcomes: tuple[Outcome | None, ...]
    parts: Json
    written: Json
    error: str = ""

    def faults_behind(self, claim: int) -> list[Fault]:
        """Return the faults of the stages behind a claim."""
        return [self.faults[key] for key in self.behind[claim] if key in self.faults]


def _recompute(
    report: Json, written_claims: Sequence[Claim], stages: StoredStages, verdicts_only: bool = False
) -> Recomputed:
    of_rows = (key for row in report["rows"] for key in (*row["keys"], *row.get("repeated", ())))
    keys = dict.fromkeys([*stages.stages, *of_rows])
    faults = {key: fault for key in keys if (fault := stages.fault(key))}
    table = ResultsTable(tuple(stages.row(row) for row in report["rows"]))
    behind = _stages_behind(report, written_claims, faults.keys())
    full_family = _family(written_claims, table)
    if faults:
        # Claims without faults are a family of their own, as the others cannot be measured.
        sound = [at for at, keys in enumerate(behind) if not keys & faults.keys()]
        measured = dict(zip(sound, _family([written_claims[at] for at in sound], table), strict=True))
    else:
        measured = dict(enumerate(full_family))
    outcomes = tuple(measured.get(at) for at in range(len(written_claims)))
    verdicts, written_verdicts = _verdicts(report, outcomes, full_family if faults else None)
    parts: dict[str, Any] = {"verdicts": verdicts}
    written: dict[str, Any] = {"verdicts": written_verdicts}
    error = ""
    if not verdicts_only:
        try:
            if faults:
                _add_sound_figures(report, table, faults.keys(), parts, written)
            elif all(isinstance(outcome, Verdict) for outcome in full_family):
                _add_sections(
                    report, table, [out for out in full_family if isinstance(out, Verdict)], stages, parts, written
                )
            else:
                error = "not compared: not all claims can be measured"
        except Exception as raised:  # rows that contradict each other, parts of another type
            error = f"it cannot be recomputed: {type(raised).__name__}: {raised}"
    return Recomputed(table, faults, behind, outcomes, parts, written, error)


def _stages_behind(report: Json, written_claims: Sequence[Claim], faulty: Iterable[str]) -> tuple[frozenset[str], ...]:
    """Return the keys behind each claim: those that it lists and, where there are faults, those of its measure.

    A changed report may list fewer stages than its measure uses, so that a fault would go unnoticed.
    """
    faulty = frozenset(faulty)
    listed = [frozenset(verdict["keys"]) for verdict in report["verdicts"]]
    if not faulty:
        return tuple(listed)
    rows = ResultsTable(tuple(result_of(row) for row in report["rows"]))
    outcomes = [_alone(claim, rows) for claim in written_claims]
    measured_keys = [frozenset(out.keys) if isinstance(out, Verdict) else faulty for out in outcomes]
    return tuple(left | right for left, right in zip(measured_keys, listed, strict=True))


def _family(family: Sequence[Claim], table: ResultsTable) -> list[Outcome]:
    """Return the outcomes of claims checked together; one that cannot be measured does not keep the others from it."""
    try:
        return list(claims.check_all(family, table))
    except Exception:  # rows that contradict each other, and whatever else a report may contain
        alone = [_alone(claim, table) for claim in family]
        together = iter(claims.check_all([out.claim for out in alone if isinstance(out, Verdict)], table))
        return [next(together) if isinstance(out, Verdict) else out for out in alone]


def _alone(claim: Claim, table: ResultsTable) -> Outcome:
    try:
        return claims.check(claim, table)
    except Exception as error:
        return f"it cannot be measured: {error}"


def _verdicts(
    report: Json, outcomes: Sequence[Outcome | None], full_family: Sequence[Outcome] | None
) -> tuple[list[Any], list[Any]]:
    """Return the recomputed and the written verdicts; both are None where a claim could not be measured.

    Args:
        report: The report.
        outcomes: The outcomes of the claims without faults, checked as one family.
        full_family: Where there are faults, the outcomes of all claims. The family that the report was written for is
            then not known: a status may be that of either, and what else depends on the family is not compared.

    Returns:
        Both lists, of the same length.
    """
    figures = published.known()
    recomputed: list[Any] = []
    written: list[Any] = []
    for at, (verdict, outcome) in enumerate(zip(report["verdicts"], outcomes, strict=True)):
        if not isinstance(outcome, Verdict):
            recomputed.append(None)
            written.append(None)
            continue
        expected, stated = to_json(study_report.verdict_json(outcome, figures)), dict(verdict)
        other = full_family[at] if full_family else None
        if isinstance(other, Verdict):
            statuses = (expected["status"], other.status)
            # A written status counts as right if either family gives it.
            status = stated["status"] if stated["status"] in statuses else expected["status"]
            expected = {name: value for name, value in expected.items() if name not in OF_FAMILY} | {"status": status}
            stated = {name: value for name, value in stated.items() if name == "status" or name not in OF_FAMILY}
        recomputed.append(expected)
        written.append(stated)
    return recomputed, written


def _add_sections(
    report: Json,
    table: ResultsTable,
    verdicts: Sequence[Verdict],
    stages: StoredStages,
    parts: dict[str, Any],
    written: dict[str, Any],
) -> None:
    """Add all sections, recomputed and as written; the stages must be without faults."""
    keys = sorted({key for row in table.rows for key in (*row.keys, *row.repeated)})
    records = {key: stages.record(key) | {"folder": stages.folder(key)} for key in keys}
    recomputed = to_json(study_report.derived_sections(table, verdicts, records))
    # Of the tables that a study may add, those that follow from the claims can be recomputed; they are found by title.
    tests = to_json([extra.made(table, records) for extra in study_report.paired_tests(v.claim for v in verdicts)])
    titles = {test["title"] for test in tests}
    for name in SECTIONS:
        if name == "extras":
            parts[name] = tests
            written[name] = [extra for extra in report.get(name, ()) if extra.get("title") in titles][: len(tests)]
        else:
            parts[name] = recomputed[name]
            if name in report or name in LATER_SECTIONS:
                written[name] = report.get(name, [])
    # The commands are the user's own, and reports may lack what later versions record.
    written["reproduce"] = {
        name: report["reproduce"][name] for name in parts["reproduce"] if name in report["reproduce"]
    }
    parts["reproduce"] = {name: parts["reproduce"][name] for name in written["reproduce"]}


def _add_sound_figures(
    report: Json, table: ResultsTable, faulty: Iterable[str], parts: dict[str, Any], written: dict[str, Any]
) -> None:
    """Add the scores and gains of the arms behind which no stage has a fault, by arm."""
    faulty = frozenset(faulty)
    for name, recompute in (("levels", study_report.levels), ("gains", study_report.gains)):
        sound = {_arm(entry): entry for entry in to_json(list(recompute(table))) if not faulty & set(entry["keys"])}
        parts[name] = sound
        written[name] = {_arm(entry): entry for entry in report.get(name, ()) if _arm(entry) in sound}


def _arm(entry: Json) -> str:
    return " · ".join(str(entry[name]) for name in ARM if entry.get(name))


# 2. Map the differences to claims and parts of the report.


def _claim_checks(report: Json, recomputed: Recomputed, changes: Mapping[str, Difference]) -> Iterator[Check]:
    """Yield a check of each claim."""
    for at, (verdict, outcome) in enumerate(zip(report["verdicts"], recomputed.outcomes, strict=True)):
        name, sentence = verdict["name"], verdict["sentence"]
        differing = _below(f"verdicts[{at}]", changes)
        if faults := recomputed.faults_behind(at):
            yield Check(name, sentence, *min(faults))
        elif isinstance(outcome, str):
            yield Check(name, sentence, "changed", outcome)
        elif isinstance(outcome, Verdict) and differing:
            fields = ", ".join(dict.fromkeys(path.partition(".")[2] for path in differing))
            why = f"recomputed it {outcome.status}: {outcome.why}; the report has {verdict['status']}: {verdict['why']}"
            yield Check(name, sentence, "changed", f"another {fields}: {why}")
        elif verdict["status"] == "untested":
            yield Check(name, sentence, "untested", verdict["why"])
        else:
            yield Check(name, sentence, "stands", f"{verdict['status']}: {verdict['why']}")


def _loose_fault_check(recomputed: Recomputed) -> Iterator[Check]:
    """Yield a check of the stages with faults that are behind no claim, if there are any."""
    covered = frozenset().union(*recomputed.behind)
    loose = [fault for key, fault in recomputed.faults.items() if key not in covered]
    if loose:
        status, why = min(loose)
        more = f" (and {len(loose) - 1} more)" if len(loose) > 1 else ""
        yield Check("figures", "The figures of the report follow from the predictions", status, why + more)


def _section_checks(report: Json, recomputed: Recomputed, changes: Mapping[str, Difference]) -> Iterator[Check]:
    """Yield a check of each section of the report."""
    if report["rows"] and not recomputed.outcomes:
        yield Check("verdicts", "The report has verdicts", "changed", f"{len(report['rows'])} scores, but no verdict")
    for name, sentence in SECTIONS.items():
        if name not in recomputed.parts:
            continue
        differing = _below(name, changes)
        scope = ", as far as their stages are there" if recomputed.faults else ""
        why = f"recomputed it differs: {json_diff.summary(differing)}" if differing else "recomputed it is the same"
        yield Check(name, sentence + scope, "changed" if differing else "stands", why)
    if recomputed.error:
        yield Check("report", REST, "changed", recomputed.error)
    elif recomputed.faults:
        others = ", ".join(name for name in SECTIONS if name not in recomputed.parts)
        yield Check("report", REST, "untested", f"not compared: {others}")


def _below(path: str, changes: Mapping[str, Difference]) -> dict[str, Difference]:
    """Return the differences at a path or below it."""
    return {
        at: difference for at, difference in changes.items() if at == path or at.startswith((f"{path}.", f"{path}["))
    }


# 3. What lies beside the report: the study file, the pages, the table.


def _study_check(report: Json, written_claims: Sequence[Claim]) -> Iterator[Check]:
    """Yield whether question, claims and preparing commands are the study's, if its file lies in `studies/`."""
    origin, sentence = report.get("study") or {}, "Question and claims are the study's"
    path = STUDIES / Path(str(origin.get("file"))).name
    if not path.is_file():
        return
    if manifest.sha256(path)[:12] != origin.get("digest"):
        why = f"{path} is not the file that the report was made from: not compared"
        yield Check("study", sentence, "untested", why)
        return
    try:
        study = studies.load(path, origin["scale"], origin.get("encoder", ""))
    except UNFORESEEN as error:  # another scale, or the study needs what is not here
        yield Check("study", sentence, "untested", f"the study cannot be loaded as the report says: {error}")
        return
    question, _, about = study.question.strip().partition("\n")
    expected = {
        "question": question,
        "about": about.strip(),
        "limits": list(study.limits),
        **({"retries": study.retries} if study.retries or "retries" in report else {}),
        "claims": [_claim_json(claim) for claim in study.claims],
        "prepare": list(study.prepare),
    }
    written = {name: report[name] for name in expected if name in report}
    written["claims"] = [_claim_json(claim) for claim in written_claims]
    written["prepare"] = _commands(report)[: len(study.prepare)]
    wrong = [name for name in expected if _below(name, differences(written, expected))]
    why = f"{path} has another {', '.join(wrong)}" if wrong else f"as {path} has them"
    yield Check("study", sentence, "changed" if wrong else "stands", why)


def _commands(report: Json) -> list[str]:
    return [str(command) for command in (report.get("reproduce") or {}).get("commands", ())]


def _commands_check(report: Json) -> Iterator[Check]:
    """Yield whether the commands that build and verify the study name its file, its scale and its encoder."""
    study = report.get("study") or {}
    expected = {"file": study.get("file"), "--scale": study.get("scale"), "--encoder": study.get("encoder", "")}
    places: dict[str, set[str]] = {"--out": {str(study.get("name"))}, "--store": set()}
    wrong, built = [], False
    for command in _commands(report):
        try:
            verb, *words = shlex.split(command.removeprefix("xstilts "))
        except ValueError:
            verb, words = "", [""]
        if verb not in ("study", "verify") or not command.startswith("xstilts ") or not words:
            continue
        options = dict(zip(words[1::2], words[2::2], strict=False))
        if verb == "study":
            built = True
            named = {"file": Path(words[0]).name, "--encoder": "", **options}
            wrong += [name for name, value in expected.items() if value not in (None, named.get(name, value))]
        else:
            options["--out"] = words[0]
        for name, known in places.items():
            known.update({options[name]} if name in options else {""} if name == "--store" else ())
    wrong += [name for name, known in places.items() if len(known) > 1]
    if built and study:
        why = f"they have another {', '.join(wrong)}" if wrong else "as the report says where it comes from"
        yield Check("commands", "The commands are those of this study", "changed" if wrong else "stands", why)


def _claim_json(claim: Claim) -> Any:
    return to_json({**vars(claim), "measure": measures.to_json(claim.measure)})


def _page_checks(report: Json, folder: Path, table: ResultsTable) -> Iterator[Check]:
    """Yield a check of each page and of the table that lie beside the report."""
    renderings: dict[str, tuple[Callable[[], bytes], str, str]] = {
        study_page.HTML: (lambda: page.html(study_page.page(report)).encode(), "report.json has it", "report"),
        study_page.MARKDOWN: (lambda: page.markdown(study_page.page(report)).encode(), "report.json has it", "report"),
        studies.TABLE: (lambda: _csv(table), "the scores are", "study"),
    }
    for name, (render, source, command) in renderings.items():
        path = folder / name
        if not path.is_file():
            continue
        expected = b""
        with suppress(Exception):  # whatever a changed report makes of its page
            expected = render()
        if path.read_bytes() == expected:
            yield Check(name, "It shows what the report says", "stands", f"as {source}")
        else:
            why = f"not as {source}: write it again with `xstilts {command}`"
            yield Check(name, "It shows what the report says", "changed", why)


def _csv(table: ResultsTable) -> bytes:
    with TemporaryDirectory() as folder:
        studies.write(table, Path(folder))
        return (Path(folder) / studies.TABLE).read_bytes()
