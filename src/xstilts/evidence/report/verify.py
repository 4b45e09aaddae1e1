"""Recheck: whether an evidence report still follows from what lies beside it; no network is asked.

Nothing that the report says is believed: every stored text is compared with its digest, every quote is cut out at its
offsets again, the whole report is made again from the corpus and compared, measurements are made again from the results
in a store, reviews by the reviewers, and views by whoever writes them.

    for check in verify(Path("evidence/batch"), Path("work")):
        print(check.status, check.name, check.why)
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from xstilts import __version__
from xstilts.errors import InputError
from xstilts.evidence.claims import study_binding, study_measurements
from xstilts.evidence.claims.llm_proposals import Proposal
from xstilts.evidence.claims.question import parse_question
from xstilts.evidence.claims.synthesis import synthesise
from xstilts.evidence.claims.verdict import Entailment, NliFunction
from xstilts.evidence.report import bundle, review, ro_crate
from xstilts.evidence.report.to_json import synthesis_to_json
from xstilts.evidence.search import corpus as corpora
from xstilts.evidence.search.corpus import Corpus
from xstilts.reporting import study_report
from xstilts.store import manifest
from xstilts.verification.verify import Check, Status, StoredStages

Json = Mapping[str, Any]
ADDED_PARTS = ("reviews", "measured", "study", "opinion")  # of a report: added to what follows from the corpus
COMPARED_ACROSS_VERSIONS = (
    "question",
    "answer",
    "abstract",
    "findings",
    "limits",
)  # what another version must have said just so


def verify(folder: Path, store: Path) -> tuple[Check, ...]:
    """Return a check of each statement, then of the report, its measurements, its reviews and its views.

    Raises InputError where there is no evidence report, or one that was not written by xstilts.
    """
    try:
        return tuple(_checks(folder, study_report.read(folder), store))
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(f"{folder / study_report.REPORT} is damaged ({error!r}): write it again") from error


def _checks(folder: Path, found: Json, store: Path) -> Iterator[Check]:
    broken = corpora.changed_files(folder / bundle.CORPUS)
    if broken:
        yield from (_check_texts(folder, one) for one in found["claims"])
        yield Check("corpus", "The corpus is as it was gathered", "changed", f"not as written: {', '.join(broken)}")
        return
    corpus = corpora.read(folder / bundle.CORPUS)
    again = _rebuild(folder, found, corpus)
    names = {one["name"]: one for one in again["claims"]}
    yield from (_check_statement(folder, one, names.get(one["name"])) for one in found["claims"])
    yield _check_report(found, again)
    yield from _check_measurements(folder, found, store)
    yield _check_reviews(found, corpus)
    yield from _check_views(folder, found, corpus)


def _rebuild(folder: Path, found: Json, corpus: Corpus) -> Json:
    proposed = [Proposal(**one) for one in bundle.read_extra(folder, bundle.PROPOSALS) or ()]
    made = synthesis_to_json(
        synthesise(parse_question(found["question"]), corpus, _replay(found["entailments"]), proposed)
    )
    bound = bundle.read_extra(folder, bundle.BINDINGS)
    without = [] if bound is None else study_measurements.unbound_notes(made, study_binding.bindings_from_json(bound))
    return made | {"limits": [*made["limits"], *without]}


def _replay(heard: list[Json]) -> NliFunction | None:
    """Return a reader that says again what a model is on record with; of nothing else it knows anything."""
    said = {(one["claim"], one["text"]): one for one in heard}
    names = ("supports", "contradicts", "neutral", "calibrated", "threshold")

    def read(claim: str, text: str) -> Entailment:
        one = said.get((claim, text))
        return Entailment(**{name: one[name] for name in names}) if one else Entailment(0.0, 0.0, 1.0)

    return read if heard else None


def _check_texts(folder: Path, one: Json) -> Check:
    """Return whether a statement's texts are there and unchanged."""
    for where in one["locators"]:
        path = folder / bundle.CORPUS / f"texts/{where['sha256']}.txt"
        if not path.is_file():
            return _statement_check(one, "untested", f"the text of {where['work']}, {where['part']}, is gone")
        if manifest.sha256(path) != where["sha256"]:
            return _statement_check(
                one, "changed", f"the text of {where['work']}, {where['part']}, is not the one that was quoted"
            )
    return _statement_check(one, "stands", "its texts are as they were quoted")


def _check_statement(folder: Path, one: Json, again: Json | None) -> Check:
    if (broken := _check_texts(folder, one)).status != "stands":
        return broken
    if again is None:
        return _statement_check(one, "changed", "it does not follow from the corpus")
    differing = [name for name in again if one.get(name) != again[name]]
    if differing:
        return _statement_check(one, "changed", f"made again, another {', '.join(differing)} comes out")
    return _statement_check(
        one, "stands", f"{one['faithful']['status']} by its source, {one['corroborated']['status']} by others"
    )


def _check_report(found: Json, again: Json) -> Check:
    said = {name: value for name, value in found.items() if name not in ADDED_PARTS}
    exact = _is_ours(found)
    compared = sorted(said.keys() | again.keys()) if exact else COMPARED_ACROSS_VERSIONS
    differing = [name for name in compared if said.get(name) != again.get(name)]
    if not exact and _names(found["claims"]) != _names(again["claims"]):
        differing.append("names of statements")
    made = "made again" if exact else f"made by xstilts {found.get('version')}, made again by {__version__}"
    why = f"{made} it has another {', '.join(differing)}" if differing else f"{made} it is the same"
    status: Status = "changed" if differing else "stands" if exact else "untested"
    return Check("report", "The report follows from its corpus", status, why)


def _is_ours(found: Json) -> bool:
    """Return whether this very version made a report: only then all of it must come out again."""
    return bool(found.get("version") == __version__)


def _names(those: Iterable[Json]) -> list[str]:
    return [one["name"] for one in those]


def _check_measurements(folder: Path, found: Json, store: Path) -> Iterator[Check]:
    """Yield whether a report tells every measurement that its bindings ask for, each as it comes out again."""
    study, bindings = (
        bundle.read_extra(folder, study_measurements.STUDY),
        bundle.read_extra(folder, study_measurements.BINDINGS),
    )
    said = {one["name"]: one["text"] for one in found["claims"]}
    if study is None or bindings is None:
        for one in found.get("measured", ()):
            why = f"{study_measurements.STUDY} or {study_measurements.BINDINGS} is gone"
            yield Check(f"{one['claim']}, measured", said[one["claim"]], "untested", why)
        return
    disk = StoredStages(store, study["stages"])
    again = study_measurements.measured_rows(found, study, disk, study_binding.bindings_from_json(bindings))
    for one in found.get("measured", ()):
        now = _take_match(again, one)
        status: Status = "stands" if now == one else "untested" if not now or now["status"] == "UNTESTED" else "changed"
        why = f"{now['status']}: {now['why']}" if now else "its binding is gone"
        yield Check(f"{one['claim']}, measured", said[one["claim"]], status, why)
    for row in again:
        why = f"the report does not tell what its binding gives: {row['status']}, {row['why']}"
        yield Check(f"{row['claim']}, measured", said[row["claim"]], "changed", why)
    yield from _check_study(found["study"], study_measurements.study_claims(study, disk))


def _take_match(rows: list[dict[str, Any]], one: Json) -> Json | None:
    """Take the row that measures the same out of some, an equal one where there is one; None where there is none."""
    same = [row for row in rows if (row["claim"], row["query"]) == (one["claim"], one["query"])]
    if not same:
        return None
    return rows.pop(rows.index(next((row for row in same if row == one), same[0])))


def _check_study(said: Json, again: Json) -> Iterator[Check]:
    """Yield whether what the study itself claims is still what its results give."""
    same = [said[name] == again[name] for name in ("question", "answer")]
    same.append(len(said["claims"]) == len(again["claims"]))
    why = "as its report has it" if all(same) else "not what its report says"
    yield Check("study", said["question"], "stands" if all(same) else "changed", why)
    for number, (one, now) in enumerate(zip(said["claims"], again["claims"], strict=False), 1):
        status: Status = now["again"] if now["again"] != "stands" or now == one else "changed"
        yield Check(f"study, claim {number}", one["sentence"], status, f"{now['verdict']}: {now['why']}")


def _check_reviews(found: Json, corpus: Corpus) -> Check:
    again = review.review_panel(found, corpus)
    same = again == found.get("reviews")
    status: Status = "changed" if again["refused"] else "stands" if same else _mismatch_status(found)
    why = "; ".join(again["refused"]) or (
        f"reviewed again: {again['score']:g} of 10" + ("" if same else ", and not as it says")
    )
    return Check("reviews", "The reviews are those of the reviewers", status, why)


def _mismatch_status(found: Json) -> Status:
    """Return what becomes of a part that does not come out again: another version may rightly write another one."""
    return "changed" if _is_ours(found) else "untested"


def _check_views(folder: Path, found: Json, corpus: Corpus) -> Iterator[Check]:
    """Yield whether each view says what the report says: a PDF, which another typst sets otherwise, by its text."""
    made = bundle.portable_views(found, corpus)
    for name in (*bundle.VIEWS, bundle.PDF):
        path = folder / name
        if not path.is_file():
            if name != bundle.PDF:
                yield Check(name, "The view is there", "untested", "it is gone: write it with `xstilts report`")
        elif name == bundle.PDF:
            yield _check_pdf(path, found)
        else:
            same = path.read_bytes() == made[name]
            why = "as report.json has it" if same else "not what report.json says: write it with `xstilts report`"
            yield Check(name, "The view says what the report says", "stands" if same else _mismatch_status(found), why)
    yield _check_metadata(folder)


def _check_pdf(path: Path, found: Json) -> Check:
    from pypdf import PdfReader

    said = "The PDF holds every statement"
    try:
        text = _without_breaks("".join(page.extract_text() for page in PdfReader(io.BytesIO(path.read_bytes())).pages))
    except Exception as error:  # whatever reading a damaged file raises
        return Check(path.name, said, "changed", f"it cannot be read ({type(error).__name__})")
    missing = [
        one["name"] for one in found["claims"] if one["text"].isascii() and _without_breaks(one["text"]) not in text
    ]
    why = f"it lacks {', '.join(missing)}" if missing else "it holds every statement"
    return Check(path.name, said, "changed" if missing else "stands", why)


def _check_metadata(folder: Path) -> Check:
    """Return whether the files of a folder are those that its metadata list, by digest."""
    path, said = folder / ro_crate.METADATA, "The files are those that are listed"
    if not path.is_file():
        return Check(path.name, said, "untested", "it is gone: write it with `xstilts report`")
    try:
        graph = json.loads(path.read_text(encoding="utf-8"))["@graph"]
        files = {str(one["@id"]): one["sha256"] for one in graph if one["@type"] == "File"}
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        return Check(path.name, said, "changed", f"it cannot be read ({type(error).__name__})")
    wrong = [name for name, digest in files.items() if not _has_digest(folder / name, digest)]
    wrong += [name for name in (study_report.REPORT, *bundle.VIEWS) if name not in files]
    why = f"not as listed: {', '.join(wrong)}" if wrong else f"{len(files)} files are as listed"
    return Check(path.name, said, "changed" if wrong else "stands", why)


def _has_digest(path: Path, digest: str) -> bool:
    return path.is_file() and manifest.sha256(path) == digest


def _statement_check(one: Json, status: Status, why: str) -> Check:
    return Check(one["name"], one["text"], status, why)


def _without_breaks(text: str) -> str:
    """Return a text without what line breaks in print add: spaces and hyphens."""
    return "".join(letter for letter in text if not letter.isspace() and letter not in "-‐­")
