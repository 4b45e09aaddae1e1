"""Statements of the literature compared with measurements of a study, recomputed from its results.

A `Binding` says which measure decides which statement; proposed ones are marked. REPRODUCED and NOT_REPRODUCED require
the paper's exact setting, a binding that asks what the statement says, and an interval, so more than one seed. With
another encoder or split it is a related measurement, and the statement stays UNTESTED, as it does if result files are
missing or have changed.

>>> binding = Binding("SQuAD helps.", {"type": "Gain", "intermediate": "squad", "target": "xquad"}, "above")
>>> unbound_notes({"claims": []}, [binding])
['A binding is of no statement of this report, so it decides nothing: “SQuAD helps.”']
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from xstilts.claims import claim as claims
from xstilts.claims import measures
from xstilts.claims.claim import Claim, Expectation, Verdict
from xstilts.claims.results_table import ResultsTable
from xstilts.errors import InputError
from xstilts.evidence.claims.question import find_terms, role_of
from xstilts.evidence.claims.study_binding import EXPECTATIONS, Binding, claimed_effects, mismatch
from xstilts.evidence.claims.verdict import Decision, Recomputation, Status
from xstilts.evidence.report.to_json import decision_to_json
from xstilts.reporting.study_report import read as read_study_report
from xstilts.reporting.study_report import to_json
from xstilts.verification.verify import StoredStages, check_claims

Json = Mapping[str, Any]
Outcome = Literal["REPRODUCED", "NOT_REPRODUCED", "UNTESTED"]
BINDINGS, STUDY = "bindings.json", "study.json"
FIGURE_TERMS = {  # part of a figure's name -> vocabulary terms; the first match counts
    "memory": ("efficiency", "memory"),
    "predict": ("efficiency", "inference cost"),
    "score": ("accuracy", "performance"),
    "": ("efficiency", "training cost"),
}
VERDICTS: dict[Outcome, Status] = {
    "REPRODUCED": "SUPPORTED",
    "NOT_REPRODUCED": "CONTRADICTED",
    "UNTESTED": "NOT_ENOUGH_INFO",
}


@dataclass(frozen=True)
class StudyComparison:
    """What a study says on the statements of a report.

    Attributes:
        rows: A row per binding, as JSON.
        unbound: Notes on bindings of no statement.
        study: The study's own claims, recomputed.
        files: Values by file name, to be stored with the report.
    """

    rows: list[dict[str, Any]]
    unbound: list[str]
    study: dict[str, Any]
    files: dict[str, Any]


def compare_with_study(
    evidence_report: Json, study: Path, store: Path, bindings: Sequence[Binding] | None = None
) -> StudyComparison:
    """Compare a report's statements with a study.

    Args:
        evidence_report: The report, as JSON.
        study: Folder of the study's report.
        store: The run store that holds its results.
        bindings: Bindings; by default those that `propose_bindings` finds.

    Returns:
        The comparison.
    """
    study_report = read_study_report(study)
    chosen = tuple(propose_bindings(evidence_report, study_report) if bindings is None else bindings)
    files = {BINDINGS: [asdict(binding) for binding in chosen], STUDY: study_report}
    stages = StoredStages(store, study_report["stages"])
    return StudyComparison(
        measured_rows(evidence_report, study_report, stages, chosen),
        unbound_notes(evidence_report, chosen),
        study_claims(study_report, stages),
        files,
    )


def propose_bindings(evidence_report: Json, study: Json) -> Iterator[Binding]:
    """Yield a binding for each statement that names one intermediate task and one target task of a study.

    Args:
        evidence_report: The report on the literature, as JSON.
        study: The study's report, as JSON.

    Yields:
        Bindings, marked as proposed: nobody has checked them.
    """
    tasks = {_name_key(row["intermediate"]): row["intermediate"] for row in study["rows"]}
    targets = {_name_key(row["target"]): row["target"] for row in study["rows"]}
    for claim in evidence_report["claims"]:
        names = {_name_key(mention.name) for mention in find_terms(claim["text"])}
        intermediates, target_names = sorted(names & set(tasks)), sorted(names & set(targets))
        if len(intermediates) == len(target_names) == 1 and claim["direction"] in EXPECTATIONS:
            measure = {"type": "Gain", "intermediate": tasks[intermediates[0]], "target": targets[target_names[0]]}
            models = dict.fromkeys(number["model"] for number in claim["numbers"] if number["model"])
            setting = {"encoder": next(iter(models), "")}
            expected, effects = EXPECTATIONS[claim["direction"]], claimed_effects(claim["text"], claim["numbers"])
            sign = -1 if expected == "below" else 1
            published = sign * float(effects[0]) if len(effects) == 1 else None
            yield Binding(claim["text"], measure, expected, setting=setting, published=published, proposed=True)


def measured_rows(
    evidence_report: Json, study: Json, stages: StoredStages, bindings: Iterable[Binding]
) -> list[dict[str, Any]]:
    """Return the outcome of each binding of a statement of the report, as JSON.

    Args:
        evidence_report: The report, as JSON.
        study: The study's report, as JSON.
        stages: The study's stages in the run store.
        bindings: The bindings.

    Returns:
        A row for each: the statement, the measure with its estimate, and whether they agree.
    """
    table = ResultsTable(tuple(stages.row(row) for row in study["rows"]))
    claims = {binding["text"]: binding for binding in evidence_report["claims"]}
    return [
        _row(claims[binding.statement], binding, stages, table) for binding in bindings if binding.statement in claims
    ]


def unbound_notes(evidence_report: Json, bindings: Iterable[Binding]) -> list[str]:
    """Return a note for each binding whose statement is not, word for word, in the report.

    Args:
        evidence_report: The report on the literature, as JSON.
        bindings: The bindings.

    Returns:
        Sentences.
    """
    texts = {binding["text"] for binding in evidence_report["claims"]}
    unmatched = dict.fromkeys(binding.statement for binding in bindings if binding.statement not in texts)
    return [f"A binding is of no statement of this report, so it decides nothing: “{binding}”" for binding in unmatched]


def study_claims(study_report: Json, stages: StoredStages) -> dict[str, Any]:
    """Return a study's question, answer and claims, each claim checked against its results.

    Args:
        study_report: The study's report, as JSON.
        stages: The study's stages in the run store.

    Returns:
        A JSON object with "question", "answer" and "claims".
    """
    statuses = {claim.name: claim.status for claim in check_claims(study_report, stages)}
    interventions = {
        mention.name for mention in find_terms(study_report["question"]) if role_of(mention) == "intervention"
    }
    return {
        "question": study_report["question"],
        "answer": study_report["answer"],
        "claims": [
            {
                "sentence": claim["sentence"],
                "verdict": claim["status"],
                "again": statuses[claim["name"]],
                "why": claim["why"],
                **{name: claim[name] for name in ("estimate", "interval", "unit", "answers", "by_construction")},
                "terms": sorted(interventions | _terms(claim)),
            }
            for claim in study_report["verdicts"]
        ],
    }


def _terms(claim: Json) -> set[str]:
    """Return the vocabulary terms that a study's claim is about: those it names, and what it measures."""
    figure = claim["measure"].get("figure", "score")
    terms = {mention.name for mention in find_terms(claim["sentence"]) if role_of(mention) != "outcome"}
    return terms.union(next(terms for part, terms in FIGURE_TERMS.items() if part in figure))


def _row(claim: Json, binding: Binding, stages: StoredStages, table: ResultsTable) -> dict[str, Any]:
    verdict = _check(binding, table)
    faults = [fault[1] for key in verdict.keys if (fault := stages.fault(key))]
    relation = _relation(binding, verdict)
    outcome, why = _outcome(binding, verdict, faults[0] if faults else _why_untested(binding, claim, verdict, relation))
    files = tuple(
        sorted(
            {digest for key in verdict.keys if key in stages.stages for digest in stages.stages[key]["files"].values()}
        )
    )
    recomputation = Recomputation(binding.query, files) if files and outcome != "UNTESTED" else None
    decision = decision_to_json(Decision(VERDICTS[outcome], why, recomputation=recomputation))
    row: dict[str, Any] = to_json(
        {
            "claim": claim["name"],
            "query": binding.query,
            "proposed": binding.proposed,
            "status": outcome,
            "relation": relation,
            "verified": decision["verified"],
            "why": why,
            "estimate": None if faults else verdict.estimate,
            "interval": (None, None) if faults else verdict.interval,
            "replicates": verdict.n_replicates,
            "keys": verdict.keys,
            "decision": decision,
        }
    )
    return row


def _check(binding: Binding, table: ResultsTable) -> Verdict:
    """Return the verdict on a binding's measure; InputError if the measure has values of a wrong type."""
    try:
        claim = Claim(
            binding.statement,
            measures.from_json(binding.measure),
            cast(Expectation, binding.expectation),
            binding.margin,
        )
        return claims.check(claim, table)
    except (TypeError, AttributeError) as error:
        raise InputError(f"{dict(binding.measure)} is no measure ({error}); copy one from a report") from error


def _relation(binding: Binding, verdict: Verdict) -> str:
    """Return whether a measure has the paper's setting; what the binding leaves out counts as different."""
    if verdict.setting is None:
        return "not measured"
    setting = {name: binding.setting.get(name) for name in ("encoder", "split")}
    same_setting = all(value and getattr(verdict.setting, name) == value for name, value in setting.items())
    metric = binding.setting.get("metric")
    return "same setting" if same_setting and metric in (None, "", verdict.setting.metric) else "related measurement"


def _why_untested(binding: Binding, claim: Json, verdict: Verdict, relation: str) -> str:
    """Return why a measurement decides nothing on a statement, "" if it does."""
    if relation != "same setting":
        return f"{relation}: {verdict.status} here, {verdict.why}"
    if difference := mismatch(binding, claim["direction"], claim["numbers"]):
        return f"the binding {difference}: {verdict.status} here, {verdict.why}"
    low, high = verdict.interval
    return "" if low < high else f"no interval, so no comparison: {verdict.why}"


def _outcome(binding: Binding, verdict: Verdict, undecided: str) -> tuple[Outcome, str]:
    """Return the outcome of a bound statement, and why."""
    if undecided:
        return "UNTESTED", undecided
    low, high = verdict.interval
    if verdict.status == "holds" and binding.published is not None and not low <= binding.published <= high:
        return "NOT_REPRODUCED", f"the paper's {binding.published:g} lies outside of [{low:.2f}, {high:.2f}]"
    outcomes: dict[str, Outcome] = {"holds": "REPRODUCED", "fails": "NOT_REPRODUCED"}
    return outcomes.get(verdict.status, "UNTESTED"), verdict.why


def _name_key(name: str) -> str:
    """Return a task's name without case and punctuation: "PAN-X" is "panx"."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())
