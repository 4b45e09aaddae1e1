"""Measured: statements of the literature bound to measures of a study of one's own, and made again from its results.

A `binding` says which measure decides which statement; those that are proposed are called so. REPRODUCED and
NOT_REPRODUCED need the paper's very setting, a binding that asks what the statement says, and an interval, so never a
single seed. What another encoder or split gives is a related measurement, and the statement stays UNTESTED. A statement
whose result files are gone or changed is UNTESTED too.

>>> bound = Binding("SQuAD helps.", {"type": "Gain", "intermediate": "squad", "target": "xquad"}, "above")
>>> unbound({"claims": []}, [bound])
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
from xstilts.evidence.claims.question import mentions, role_of
from xstilts.evidence.claims.study_binding import EXPECTED, Binding, effects, mismatch
from xstilts.evidence.claims.verdict import Decision, Recomputation, Status
from xstilts.evidence.report.to_json import decision
from xstilts.reporting import study_report
from xstilts.reporting.study_report import to_json
from xstilts.verification.verify import StoredStages, check_claims

Json = Mapping[str, Any]
Outcome = Literal["REPRODUCED", "NOT_REPRODUCED", "UNTESTED"]
BINDINGS, STUDY = "bindings.json", "study.json"
OUTCOMES = {  # a part of a figure's name -> what it is of, in the terms of the field; the first that fits
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
class Made:
    """What a study says on a report: a row a binding, its own claims, and the files that a bundle keeps.

    unbound: what is to be said of bindings of no statement.
    """

    rows: list[dict[str, Any]]
    unbound: list[str]
    study: dict[str, Any]
    beside: dict[str, Any]


def of_study(found: Json, study: Path, store: Path, bindings: Sequence[Binding] | None = None) -> Made:
    """Return what a study's results say on a report's statements; without bindings those that suggest themselves."""
    said = study_report.read(study)
    chosen = tuple(proposals(found, said) if bindings is None else bindings)
    beside = {BINDINGS: [asdict(one) for one in chosen], STUDY: said}
    disk = StoredStages(store, said["stages"])
    return Made(rows(found, said, disk, chosen), unbound(found, chosen), own(said, disk), beside)


def proposals(found: Json, study: Json) -> Iterator[Binding]:
    """Yield a binding for each statement that names one intermediate task and one target of a study."""
    tasks = {_bare(row["intermediate"]): row["intermediate"] for row in study["rows"]}
    targets = {_bare(row["target"]): row["target"] for row in study["rows"]}
    for one in found["claims"]:
        named = {_bare(mention.name) for mention in mentions(one["text"])}
        taught, asked = sorted(named & set(tasks)), sorted(named & set(targets))
        if len(taught) == len(asked) == 1 and one["direction"] in EXPECTED:
            measure = {"type": "Gain", "intermediate": tasks[taught[0]], "target": targets[asked[0]]}
            models = dict.fromkeys(number["model"] for number in one["numbers"] if number["model"])
            setting = {"encoder": next(iter(models), "")}
            expected, claimed = EXPECTED[one["direction"]], effects(one["text"], one["numbers"])
            sign = -1 if expected == "below" else 1
            published = sign * float(claimed[0]) if len(claimed) == 1 else None
            yield Binding(one["text"], measure, expected, setting=setting, published=published, proposed=True)


def rows(found: Json, study: Json, disk: StoredStages, bindings: Iterable[Binding]) -> list[dict[str, Any]]:
    """Return what became of each binding of a statement of the report, as JSON has it."""
    table = ResultsTable(tuple(disk.row(row) for row in study["rows"]))
    said = {one["text"]: one for one in found["claims"]}
    return [_row(said[one.statement], one, disk, table) for one in bindings if one.statement in said]


def unbound(found: Json, bindings: Iterable[Binding]) -> list[str]:
    """Return what the limits of a report say of bindings of no statement: one that lacks its full stop is another."""
    said = {one["text"] for one in found["claims"]}
    without = dict.fromkeys(one.statement for one in bindings if one.statement not in said)
    return [f"A binding is of no statement of this report, so it decides nothing: “{one}”" for one in without]


def own(said: Json, disk: StoredStages) -> dict[str, Any]:
    """Return what a study itself claims, each claim measured again from its results."""
    again = {one.name: one.status for one in check_claims(said, disk)}
    changed = {mention.name for mention in mentions(said["question"]) if role_of(mention) == "intervention"}
    return {
        "question": said["question"],
        "answer": said["answer"],
        "claims": [
            {
                "sentence": one["sentence"],
                "verdict": one["status"],
                "again": again[one["name"]],
                "why": one["why"],
                **{name: one[name] for name in ("estimate", "interval", "unit", "answers", "by_construction")},
                "terms": sorted(changed | _terms(one)),
            }
            for one in said["verdicts"]
        ],
    }


def _terms(one: Json) -> set[str]:
    """Return the terms of the field that a claim of a study is about: what its sentence names, and what it measures."""
    figure = one["measure"].get("figure", "score")
    named = {mention.name for mention in mentions(one["sentence"]) if role_of(mention) != "outcome"}
    return named.union(next(terms for part, terms in OUTCOMES.items() if part in figure))


def _row(said: Json, one: Binding, disk: StoredStages, table: ResultsTable) -> dict[str, Any]:
    verdict = _checked(one, table)
    faults = [fault[1] for key in verdict.keys if (fault := disk.fault(key))]
    relation = _relation(one, verdict)
    outcome, why = _outcome(one, verdict, faults[0] if faults else _undecided(one, said, verdict, relation))
    files = tuple(
        sorted({digest for key in verdict.keys if key in disk.stages for digest in disk.stages[key]["files"].values()})
    )
    rests = Recomputation(one.query, files) if files and outcome != "UNTESTED" else None
    made = decision(Decision(VERDICTS[outcome], why, recomputation=rests))
    found: dict[str, Any] = to_json(
        {
            "claim": said["name"],
            "query": one.query,
            "proposed": one.proposed,
            "status": outcome,
            "relation": relation,
            "verified": made["verified"],
            "why": why,
            "estimate": None if faults else verdict.estimate,
            "interval": (None, None) if faults else verdict.interval,
            "replicates": verdict.n_replicates,
            "keys": verdict.keys,
            "decision": made,
        }
    )
    return found


def _checked(one: Binding, table: ResultsTable) -> Verdict:
    """Return the verdict on what a binding asks; InputError where its measure has values of a wrong type."""
    try:
        asked = Claim(one.statement, measures.from_json(one.measure), cast(Expectation, one.expectation), one.margin)
        return claims.check(asked, table)
    except (TypeError, AttributeError) as error:
        raise InputError(f"{dict(one.measure)} is no measure ({error}); copy one from a report") from error


def _relation(one: Binding, verdict: Verdict) -> str:
    """Return whether a measure was taken in the paper's setting; what the binding does not say is another one."""
    if verdict.setting is None:
        return "not measured"
    asked = {name: one.setting.get(name) for name in ("encoder", "split")}
    same = all(value and getattr(verdict.setting, name) == value for name, value in asked.items())
    metric = one.setting.get("metric")
    return "same setting" if same and metric in (None, "", verdict.setting.metric) else "related measurement"


def _undecided(one: Binding, said: Json, verdict: Verdict, relation: str) -> str:
    """Return why a measurement decides nothing on a statement, "" where it does."""
    if relation != "same setting":
        return f"{relation}: {verdict.status} here, {verdict.why}"
    if wrong := mismatch(one, said["direction"], said["numbers"]):
        return f"the binding {wrong}: {verdict.status} here, {verdict.why}"
    low, high = verdict.interval
    return "" if low < high else f"no interval, so no comparison: {verdict.why}"


def _outcome(one: Binding, verdict: Verdict, undecided: str) -> tuple[Outcome, str]:
    """Return what becomes of a bound statement, and why."""
    if undecided:
        return "UNTESTED", undecided
    low, high = verdict.interval
    if verdict.status == "holds" and one.published is not None and not low <= one.published <= high:
        return "NOT_REPRODUCED", f"the paper's {one.published:g} lies outside of [{low:.2f}, {high:.2f}]"
    outcomes: dict[str, Outcome] = {"holds": "REPRODUCED", "fails": "NOT_REPRODUCED"}
    return outcomes.get(verdict.status, "UNTESTED"), verdict.why


def _bare(name: str) -> str:
    """Return a task's name without case and signs, so that "PAN-X" is "panx"."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())
