"""Remade: what a report says and shows beside its verdicts, made again and compared.

Figures are made again from the table as the disk has it, pages from `report.json`, `table.csv` from the table. Where
something is wrong with a stage, only the figures that do not rest on it are compared.

    for check in parts(report, disk, table, verdicts):
        print(check.status, check.name, check.why)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from xstilts.claims import measures
from xstilts.claims.claim import Claim, Verdict
from xstilts.claims.results_table import ResultsTable
from xstilts.experiments import study as studies
from xstilts.reporting import markdown, report_data, study_report
from xstilts.reporting.page import html
from xstilts.reporting.plain_json import plain
from xstilts.reporting.report import HTML, MARKDOWN, page
from xstilts.store import manifest
from xstilts.verification.stage_integrity import ABSENT, Check, StoredStages, alike, differing

Plain = Mapping[str, Any]
STUDIES = Path("studies")
ARM = ("encoder", "recipe", "over_recipe", "intermediate", "target", "language")
SENTENCES = {
    "answer": "The answer is what the verdicts say",
    "settings": "The settings are those of the scores",
    "levels": "The scores of each setting follow from the predictions",
    "gains": "The gains of each setting follow from the predictions",
    "costs": "What each run took is what was recorded",
    "curves": "The learning curves are those that were recorded",
    "scalings": "The growth with size follows from the predictions",
    "collapsed": "The trainings that learned nothing are named",
    "missing": "The claims that could not be measured are named",
    "reproduce": "The versions and devices are those that were recorded",
    "extras": "The other tests of gains follow from the predictions",
}


def parts(report: Plain, disk: StoredStages, table: ResultsTable, verdicts: Sequence[Verdict]) -> Iterator[Check]:
    """Yield a check of each part of a report; the stages behind its rows must be without fault."""
    keys = sorted({key for row in table.rows for key in row.keys})
    records = {key: disk.facts(key) | {"folder": disk.folder(key)} for key in keys}
    try:
        yield from list(_parts(report, table, verdicts, records))
    except Exception as error:  # rows that contradict each other, parts that are none
        why = f"it cannot be made again: {type(error).__name__}: {error}"
        yield Check("report", "The rest of the report follows from its stages", "changed", why)


def _parts(report: Plain, table: ResultsTable, verdicts: Sequence[Verdict], records: Plain) -> Iterator[Check]:
    again = study_report.derived_sections(table, verdicts, records)
    for name, sentence in SENTENCES.items():
        if name == "extras":
            yield from _tests(report, table, verdicts, records)
        else:
            said = report.get(name, ABSENT)
            known = {part: said[part] for part in again[name] if part in said} if name == "reproduce" else said
            yield _compared(name, sentence, plain(again[name]), known)


def rest(report: Plain, table: ResultsTable, faults: Set[str]) -> Iterator[Check]:
    """Yield a check of the scores and gains that rest on no stage with a fault, and one of what cannot be compared."""
    made: dict[str, Callable[[ResultsTable], Iterable[Plain]]] = {
        "levels": report_data.levels,
        "gains": report_data.gains,
    }
    for name, again in made.items():
        sentence = f"{SENTENCES[name]}, as far as their stages are there"
        try:
            whole = [one for one in plain(list(again(table))) if not faults & set(one["keys"])]
            wanted = {_arm(one) for one in whole}
            said = [one for one in report.get(name, ()) if _arm(one) in wanted]
        except Exception as error:  # rows that contradict each other, figures that are none
            yield Check(name, sentence, "changed", f"it cannot be made again: {error}")
        else:
            yield _compared(name, sentence, whole, said)
    others = ", ".join(name for name in SENTENCES if name not in made)
    yield Check("report", "The rest of the report follows from its stages", "untested", f"not compared: {others}")


def views(report: Plain, folder: Path, table: ResultsTable) -> Iterator[Check]:
    """Yield a check of each page and of the table that lie beside a report."""
    for name, write in (
        (HTML, lambda: html(page(report)).encode()),
        (MARKDOWN, lambda: markdown.text(page(report)).encode()),
        (studies.TABLE, lambda: _table(table)),
    ):
        path = folder / name
        if path.is_file():
            same = path.read_bytes() == _tried(write)
            why = f"as {'the scores are' if name == studies.TABLE else 'report.json has it'}"
            anew = "`xstilts study`" if name == studies.TABLE else "`xstilts report`"
            why = why if same else f"not {why}: write it anew with {anew}"
            yield Check(name, "It says what the report says", "stands" if same else "changed", why)


def asked(report: Plain, claims: Sequence[Claim]) -> Iterator[Check]:
    """Yield whether question and claims are the study's, where its file lies below `studies/` and is the same."""
    said = report.get("study") or {}
    path = STUDIES / Path(str(said.get("file"))).name
    if not path.is_file() or manifest.sha256(path)[:12] != said.get("digest"):
        return
    with suppress(Exception):  # a program of the user's, with whatever it needs
        study = studies.load(path, said["scale"])
        question, _, about = study.question.strip().partition("\n")
        again = {"question": question, "about": about.strip(), "limits": list(study.limits)}
        wrong = differing(again, report)
        wrong += ["claims"] if [*map(_written, study.claims)] != [*map(_written, claims)] else []
        why = f"{path} has another {', '.join(wrong)}" if wrong else f"as {path} has them"
        yield Check("study", "Question and claims are the study's", "changed" if wrong else "stands", why)


def _written(claim: Claim) -> Any:
    return plain({**vars(claim), "measure": measures.plain(claim.measure)})


def _tests(report: Plain, table: ResultsTable, verdicts: Sequence[Verdict], records: Plain) -> Iterator[Check]:
    """Yield a check of the table of other tests, which is the one of the extras that claims alone give."""
    for one in study_report.tests(verdict.claim for verdict in verdicts):
        again = plain(one.made(table, records))
        said = [extra for extra in report.get("extras", ()) if extra.get("title") == again["title"]]
        yield _compared("extras", SENTENCES["extras"], again, said[0] if said else ABSENT)


def _compared(name: str, sentence: str, again: Any, said: Any) -> Check:
    if alike(again, said):
        return Check(name, sentence, "stands", "made again it is the same")
    return Check(name, sentence, "changed", f"made again it is not the same: {_where(again, said)}")


def _where(again: Any, said: Any) -> str:
    """Return in a few words where what was made again differs from what a report says."""
    if isinstance(again, Mapping) and isinstance(said, Mapping):
        return f"another {', '.join(differing(again, said) or sorted(said.keys() - again.keys()))}"
    if not isinstance(again, list) or not isinstance(said, list):
        return "it is not there" if said is ABSENT else f"{str(again)[:200]!r}"
    if len(again) != len(said):
        return f"{len(again)} entries, the report has {len(said)}"
    at = next(number for number, (one, other) in enumerate(zip(again, said, strict=True)) if not alike(one, other))
    return f"entry {at + 1} of {len(again)} has {_where(again[at], said[at])}"


def _arm(one: Plain) -> tuple[Any, ...]:
    return tuple(one.get(name) for name in ARM)


def _table(table: ResultsTable) -> bytes:
    with TemporaryDirectory() as folder:
        studies.write(table, Path(folder))
        return (Path(folder) / studies.TABLE).read_bytes()


def _tried(write: Callable[[], bytes]) -> bytes:
    with suppress(Exception):  # whatever a report that was changed makes of it
        return write()
    return b""
