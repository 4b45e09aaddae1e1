"""Verification of an evidence report from the files beside it, without a network.

Nothing in the report is trusted: every stored text is compared with its digest, every quote is cut out at its offsets,
the report is computed again from the corpus, measurements from the results in a store, reviews by the reviewers, and
views from the report.

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
from xstilts.errors import refusing
from xstilts.evidence.claims import study_binding, study_measurements
from xstilts.evidence.claims.bearing import Similarity
from xstilts.evidence.claims.comparison import Cosine
from xstilts.evidence.claims.llm_proposals import Proposal
from xstilts.evidence.claims.question import parse_question
from xstilts.evidence.claims.synthesis import synthesise
from xstilts.evidence.claims.verdict import Entailment, NearFunction, NliFunction
from xstilts.evidence.report import bundle, review, ro_crate
from xstilts.evidence.report.to_json import synthesis_to_json
from xstilts.evidence.search import corpus as corpora
from xstilts.evidence.search.corpus import Corpus
from xstilts.reporting import study_report
from xstilts.runtime import extras
from xstilts.runtime.text import counted
from xstilts.store import manifest
from xstilts.verification.verify import Check, Status, StoredStages

Json = Mapping[str, Any]
ADDED_PARTS = ("reviews", "measured", "study", "opinion")  # parts of a report that do not follow from its corpus
COMPARED_ACROSS_VERSIONS = (
    "question",
    "answer",
    "abstract",
    "findings",
    "limits",
)  # parts that must be equal even if another version made them


def verify(folder: Path, store: Path) -> tuple[Check, ...]:
    """Verify an evidence report.

    Args:
        folder: Folder of the report.
        store: Run store with the results of its study, if it has one.

    Returns:
        A check per statement, then of the report, its measurements, its reviews and its views.

    Raises:
        InputError: There is no evidence report, or it was not written by xstilts.
    """
    with refusing(lambda: folder / study_report.REPORT, "it is damaged: write it again"):
        return tuple(_checks(folder, study_report.read(folder), store))


def _checks(folder: Path, content: Json, store: Path) -> Iterator[Check]:
    changed = corpora.changed_files(folder / bundle.CORPUS)
    if changed:
        yield from (_check_texts(folder, claim) for claim in content["claims"])
        yield Check("corpus", "The corpus is unchanged", "changed", f"not as written: {', '.join(changed)}")
        return
    corpus = corpora.read(folder / bundle.CORPUS)
    rebuilt = _rebuild(folder, content, corpus)
    names = {claim["name"]: claim for claim in rebuilt["claims"]}
    yield from (_check_statement(folder, claim, names.get(claim["name"])) for claim in content["claims"])
    yield _check_report(content, rebuilt)
    yield from _check_measurements(folder, content, store)
    yield _check_reviews(content, corpus)
    yield from _check_views(folder, content, corpus)


def _rebuild(folder: Path, content: Json, corpus: Corpus) -> Json:
    proposals = [Proposal(**row) for row in bundle.read_extra(folder, bundle.PROPOSALS) or ()]
    rebuilt = synthesis_to_json(
        synthesise(
            parse_question(content["question"]),
            corpus,
            _replay(content["entailments"]),
            proposals,
            _replay_similarity(content["similarities"]),
            _replay_cosine(content.get("cosines", [])),
            _replay_near(content["entailments"]),
        )
    )
    bindings = bundle.read_extra(folder, bundle.BINDINGS)
    notes = (
        []
        if bindings is None
        else study_measurements.unbound_notes(rebuilt, study_binding.bindings_from_json(bindings))
    )
    return rebuilt | {"limits": [*rebuilt["limits"], *notes]}


def _replay(entailments: list[Json]) -> NliFunction | None:
    """Return an NLI function that replays recorded results; anything else is neutral."""
    recorded = {(row["claim"], row["text"]): row for row in entailments}
    names = ("supports", "contradicts", "neutral", "calibrated", "threshold")

    def read(claim: str, text: str) -> Entailment:
        row = recorded.get((claim, text))
        return Entailment(**{name: row[name] for name in names}) if row else Entailment(0.0, 0.0, 1.0)

    return read if entailments else None


def _replay_near(entailments: list[Json]) -> NearFunction:
    """Return a function by which the NLI model reads the sentences that it has read."""
    recorded = {(row["claim"], row["text"]) for row in entailments}
    return lambda claim, texts: [(claim, text) in recorded for text in texts]


def _replay_cosine(cosines: list[Json]) -> Cosine | None:
    """Return the cosine of two texts as recorded; that of any others is 0."""
    recorded = {frozenset((row["one"], row["other"])): float(row["cosine"]) for row in cosines}
    return (lambda one, other: recorded.get(frozenset((one, other)), 0.0)) if recorded else None


def _replay_similarity(similarities: list[Json]) -> Similarity | None:
    """Return a similarity that replays recorded cosines; that of any other text is 0."""
    recorded = {row["text"]: float(row["cosine"]) for row in similarities}
    return (lambda _, texts: [recorded.get(text, 0.0) for text in texts]) if recorded else None


def _check_texts(folder: Path, claim: Json) -> Check:
    """Check that a statement's texts exist and are unchanged."""
    for locator in claim["locators"]:
        path = folder / bundle.CORPUS / f"texts/{locator['sha256']}.txt"
        if not path.is_file():
            return _statement_check(claim, "untested", f"the text of {locator['work']}, {locator['part']}, is gone")
        if manifest.sha256(path) != locator["sha256"]:
            return _statement_check(
                claim, "changed", f"the text of {locator['work']}, {locator['part']}, has changed since it was quoted"
            )
    return _statement_check(claim, "stands", "its texts are unchanged")


def _check_statement(folder: Path, claim: Json, rebuilt: Json | None) -> Check:
    if (text_check := _check_texts(folder, claim)).status != "stands":
        return text_check
    if rebuilt is None:
        return _statement_check(claim, "changed", "it does not follow from its corpus")
    differing = [name for name in rebuilt if claim.get(name) != rebuilt[name]]
    if differing:
        return _statement_check(claim, "changed", f"recomputed, it differs in {', '.join(differing)}")
    return _statement_check(
        claim, "stands", f"{claim['faithful']['status']} by its source, {claim['corroborated']['status']} by others"
    )


def _check_report(content: Json, rebuilt: Json) -> Check:
    own_part = {name: value for name, value in content.items() if name not in ADDED_PARTS}
    same_version = _is_ours(content)
    compared = sorted(own_part.keys() | rebuilt.keys()) if same_version else COMPARED_ACROSS_VERSIONS
    differing = [name for name in compared if own_part.get(name) != rebuilt.get(name)]
    if not same_version and _names(content["claims"]) != _names(rebuilt["claims"]):
        differing.append("names of statements")
    how = "made again" if same_version else f"made by xstilts {content.get('version')}, made again by {__version__}"
    why = f"{how} it has another {', '.join(differing)}" if differing else f"{how} it is the same"
    status: Status = "changed" if differing else "stands" if same_version else "untested"
    return Check("report", "The report follows from its corpus", status, why)


def _is_ours(content: Json) -> bool:
    """Return whether this very version made the report: only then all of it must come out the same."""
    return bool(content.get("version") == __version__)


def _names(claims: Iterable[Json]) -> list[str]:
    return [claim["name"] for claim in claims]


def _check_measurements(folder: Path, content: Json, store: Path) -> Iterator[Check]:
    """Check that the report contains every measurement that its bindings ask for, as recomputed."""
    study, bindings = (
        bundle.read_extra(folder, study_measurements.STUDY),
        bundle.read_extra(folder, study_measurements.BINDINGS),
    )
    texts = {row["name"]: row["text"] for row in content["claims"]}
    if study is None or bindings is None:
        for row in content.get("measured", ()):
            why = f"{study_measurements.STUDY} or {study_measurements.BINDINGS} is gone"
            yield Check(f"{row['claim']}, measured", texts[row["claim"]], "untested", why)
        return
    stages = StoredStages(store, study["stages"])
    recomputed = study_measurements.measured_rows(content, study, stages, study_binding.bindings_from_json(bindings))
    for row in content.get("measured", ()):
        recomputed_row = _take_match(recomputed, row)
        status: Status = (
            "stands"
            if recomputed_row == row
            else "untested"
            if not recomputed_row or recomputed_row["status"] == "UNTESTED"
            else "changed"
        )
        why = f"{recomputed_row['status']}: {recomputed_row['why']}" if recomputed_row else "its binding is missing"
        yield Check(f"{row['claim']}, measured", texts[row["claim"]], status, why)
    for row in recomputed:
        why = f"the report lacks what its binding gives: {row['status']}, {row['why']}"
        yield Check(f"{row['claim']}, measured", texts[row["claim"]], "changed", why)
    yield from _check_study(content["study"], study_measurements.study_claims(study, stages))


def _take_match(rows: list[dict[str, Any]], expected: Json) -> Json | None:
    """Remove and return the row of the same measurement, preferably an equal one; None if there is none."""
    candidates = [row for row in rows if (row["claim"], row["query"]) == (expected["claim"], expected["query"])]
    if not candidates:
        return None
    return rows.pop(rows.index(next((row for row in candidates if row == expected), candidates[0])))


def _check_study(study: Json, recomputed: Json) -> Iterator[Check]:
    """Check that the study's own claims still follow from its results."""
    equal = [study[name] == recomputed[name] for name in ("question", "answer")]
    equal.append(len(study["claims"]) == len(recomputed["claims"]))
    why = "as its report has it" if all(equal) else "not what its report says"
    yield Check("study", study["question"], "stands" if all(equal) else "changed", why)
    for number, (claim, recomputed_claim) in enumerate(zip(study["claims"], recomputed["claims"], strict=False), 1):
        status: Status = (
            recomputed_claim["again"]
            if recomputed_claim["again"] != "stands" or recomputed_claim == claim
            else "changed"
        )
        yield Check(
            f"study, claim {number}",
            claim["sentence"],
            status,
            f"{recomputed_claim['verdict']}: {recomputed_claim['why']}",
        )


def _check_reviews(content: Json, corpus: Corpus) -> Check:
    recomputed = review.review_panel(content, corpus)
    equal = recomputed == content.get("reviews")
    status: Status = "changed" if recomputed["refused"] else "stands" if equal else _mismatch_status(content)
    why = "; ".join(recomputed["refused"]) or (
        f"recomputed: {recomputed['score']:g} of 10" + ("" if equal else ", which differs from the report")
    )
    return Check("reviews", "The reviews can be reproduced", status, why)


def _mismatch_status(content: Json) -> Status:
    """Return the status of a part that comes out different: another version may rightly write another one."""
    return "changed" if _is_ours(content) else "untested"


def _check_views(folder: Path, content: Json, corpus: Corpus) -> Iterator[Check]:
    """Check that each view matches the report; a PDF by its text, since typst versions differ in layout."""
    rendered = bundle.portable_views(content, corpus)
    for name in (*bundle.VIEWS, bundle.PDF):
        path = folder / name
        if not path.is_file():
            if name != bundle.PDF:
                yield Check(name, "The view exists", "untested", "it is missing: write it with `xstilts report`")
        elif name == bundle.PDF:
            yield _check_pdf(path, content)
        else:
            equal = path.read_bytes() == rendered[name]
            why = (
                "it matches report.json"
                if equal
                else "it does not match report.json: write it again with `xstilts report`"
            )
            yield Check(name, "The view matches the report", "stands" if equal else _mismatch_status(content), why)
    yield _check_metadata(folder)


def _check_pdf(path: Path, content: Json) -> Check:
    extras.require("evidence", "the check of a PDF")
    from pypdf import PdfReader

    name = "The PDF holds every statement"
    try:
        text = _without_breaks("".join(page.extract_text() for page in PdfReader(io.BytesIO(path.read_bytes())).pages))
    except Exception as error:  # pypdf raises any exception for a damaged file
        return Check(path.name, name, "changed", f"it cannot be read ({type(error).__name__})")
    missing = [
        claim["name"]
        for claim in content["claims"]
        if claim["text"].isascii() and _without_breaks(claim["text"]) not in text
    ]
    why = f"it lacks {', '.join(missing)}" if missing else "it holds every statement"
    return Check(path.name, name, "changed" if missing else "stands", why)


def _check_metadata(folder: Path) -> Check:
    """Check that the files of a folder match the digests in its metadata."""
    path, name = folder / ro_crate.METADATA, "The files match their listed digests"
    if not path.is_file():
        return Check(path.name, name, "untested", "it is missing: write it with `xstilts report`")
    try:
        graph = json.loads(path.read_text(encoding="utf-8"))["@graph"]
        files = {str(entry["@id"]): entry["sha256"] for entry in graph if entry["@type"] == "File"}
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        return Check(path.name, name, "changed", f"it cannot be read ({type(error).__name__})")
    wrong = [name for name, digest in files.items() if not _has_digest(folder / name, digest)]
    wrong += [name for name in (study_report.REPORT, *bundle.VIEWS) if name not in files]
    why = f"not as listed: {', '.join(wrong)}" if wrong else f"{counted(len(files), 'file')} as listed"
    return Check(path.name, name, "changed" if wrong else "stands", why)


def _has_digest(path: Path, digest: str) -> bool:
    return path.is_file() and manifest.sha256(path) == digest


def _statement_check(claim: Json, status: Status, why: str) -> Check:
    return Check(claim["name"], claim["text"], status, why)


def _without_breaks(text: str) -> str:
    """Return a text without what line breaks add: white space and hyphens."""
    return "".join(character for character in text if not character.isspace() and character not in "-‐­")
