"""Measured: statements of the literature bound to measures of a study of one's own, and made again from its results.

A binding is data that a person reads and changes (`bindings.json`): a statement, a measure as `measures.plain` writes
it, what is expected of it, and the setting in which the paper measured. Bindings that are proposed are called so.
REPRODUCED and NOT_REPRODUCED need that very setting and an interval, so never a single seed. What another encoder or
split gives is a related measurement, and the statement stays UNTESTED. A statement whose result files are gone or
changed is UNTESTED too.

>>> bound = Binding("SQuAD helps XQuAD.", {"type": "Gain", "intermediate": "squad", "target": "xquad"}, "above")
>>> bound.query
'squad on xquad, Gain, above 0'
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from xstilts import claim as claims
from xstilts import measures, report
from xstilts.claim import Claim, Expectation, Verdict
from xstilts.evidence.decision import Decision, Recomputation, Status
from xstilts.evidence.question import mentions, role_of
from xstilts.evidence.telling import decision
from xstilts.example import BadInput
from xstilts.findings import plain
from xstilts.tidy import Table
from xstilts.verify import Disk, checks

Json = Mapping[str, Any]
Outcome = Literal["REPRODUCED", "NOT_REPRODUCED", "UNTESTED"]
BINDINGS, STUDY = "bindings.json", "study.json"
EXPECTED = {"up": "above", "down": "below"}
SETTING = ("encoder", "split", "metric")
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
class Binding:
    """A statement, word for word, and the measure that would decide it; setting: encoder, split, metric of the paper.

    published: the paper's number, which the interval must hold, if it has one.
    """

    statement: str
    measure: Json
    expectation: str
    margin: float = 0.0
    setting: Json = field(default_factory=dict)
    published: float | None = None
    proposed: bool = False

    def __post_init__(self) -> None:
        if self.expectation not in get_args(Expectation):
            raise BadInput(f"unknown expectation '{self.expectation}'; one of {', '.join(get_args(Expectation))}")
        if unknown := set(self.setting) - set(SETTING):
            raise BadInput(f"unknown entry of a setting {', '.join(sorted(unknown))}; known are {', '.join(SETTING)}")
        measures.from_plain(self.measure)

    @property
    def query(self) -> str:
        """The measure in words."""
        said = {name: value for name, value in self.measure.items() if name not in ("type", "intermediate", "target")}
        where = f"{self.measure.get('intermediate', '')} on {self.measure.get('target', '')}"
        more = f" ({json.dumps(said, sort_keys=True)})" if said else ""
        return f"{where}, {self.measure['type']}{more}, {self.expectation} {self.margin:g}"


@dataclass(frozen=True)
class Made:
    """What a study says on a report: a row a binding, its own claims, and the files that a bundle keeps."""

    rows: list[dict[str, Any]]
    study: dict[str, Any]
    beside: dict[str, Any]


def read(path: Path) -> tuple[Binding, ...]:
    """Return the bindings of a JSON file; BadInput for what is none."""
    try:
        return from_plain(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path}: {error}; write a JSON list of bindings") from error


def from_plain(given: Any) -> tuple[Binding, ...]:
    """Return the bindings that JSON has; BadInput for what is none."""
    try:
        return tuple(Binding(**one) for one in given)
    except TypeError as error:
        raise BadInput(f"{given!r:.80} are no bindings: {error}; each has statement, measure, expectation") from error


def of_study(found: Json, study: Path, store: Path, bindings: Sequence[Binding] | None = None) -> Made:
    """Return what a study's results say on a report's statements; without bindings those that suggest themselves."""
    said = report.read(study)
    chosen = tuple(proposals(found, said) if bindings is None else bindings)
    beside = {BINDINGS: [asdict(one) for one in chosen], STUDY: said}
    disk = Disk(store, said["stages"])
    return Made(rows(found, said, disk, chosen), own(said, disk), beside)


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
            yield Binding(one["text"], measure, EXPECTED[one["direction"]], setting=setting, proposed=True)


def rows(found: Json, study: Json, disk: Disk, bindings: Iterable[Binding]) -> list[dict[str, Any]]:
    """Return what became of each binding, as JSON has it; one whose statement is not in the report is left out."""
    table = Table(tuple(disk.row(row) for row in study["rows"]))
    names = {one["text"]: one["name"] for one in found["claims"]}
    return [_row(names[one.statement], one, disk, table) for one in bindings if one.statement in names]


def own(said: Json, disk: Disk) -> dict[str, Any]:
    """Return what a study itself claims, each claim measured again from its results."""
    again = {one.name: one.status for one in checks(said, disk)}
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


def _row(name: str, one: Binding, disk: Disk, table: Table) -> dict[str, Any]:
    asked = Claim(one.statement, measures.from_plain(one.measure), cast(Expectation, one.expectation), one.margin)
    verdict = claims.check(asked, table)
    faults = [fault[1] for key in verdict.keys if (fault := disk.fault(key))]
    relation = _relation(one, verdict)
    outcome, why = _outcome(one, verdict, relation, faults)
    files = tuple(
        sorted({digest for key in verdict.keys if key in disk.stages for digest in disk.stages[key]["files"].values()})
    )
    rests = Recomputation(one.query, files) if files and outcome != "UNTESTED" else None
    made = decision(Decision(VERDICTS[outcome], why, recomputation=rests))
    found: dict[str, Any] = plain(
        {
            "claim": name,
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


def _relation(one: Binding, verdict: Verdict) -> str:
    """Return whether a measure was taken in the paper's setting; what the binding does not say is another one."""
    if verdict.setting is None:
        return "not measured"
    asked = {name: one.setting.get(name) for name in ("encoder", "split")}
    same = all(value and getattr(verdict.setting, name) == value for name, value in asked.items())
    metric = one.setting.get("metric")
    return "same setting" if same and metric in (None, "", verdict.setting.metric) else "related measurement"


def _outcome(one: Binding, verdict: Verdict, relation: str, faults: Sequence[str]) -> tuple[Outcome, str]:
    """Return what becomes of a bound statement, and why."""
    if faults:
        return "UNTESTED", faults[0]
    if relation != "same setting":
        return "UNTESTED", f"{relation}: {verdict.status} here, {verdict.why}"
    low, high = verdict.interval
    if not low < high:
        return "UNTESTED", f"no interval, so no comparison: {verdict.why}"
    if verdict.status == "holds" and one.published is not None and not low <= one.published <= high:
        return "NOT_REPRODUCED", f"the paper's {one.published:g} lies outside of [{low:.2f}, {high:.2f}]"
    outcomes: dict[str, Outcome] = {"holds": "REPRODUCED", "fails": "NOT_REPRODUCED"}
    return outcomes.get(verdict.status, "UNTESTED"), verdict.why


def _bare(name: str) -> str:
    """Return a task's name without case and signs, so that "PAN-X" is "panx"."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())
