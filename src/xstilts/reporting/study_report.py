"""Findings: all that a study has found, as the plain JSON that its report is a view of.

Nothing of it is typed by hand: every figure is measured in the table, with the keys of the stages behind it, so that
`verify` can measure it again. What is not known is null.

    found = gather(study, study.table(...), verdicts, Origin("layerwise", "sandbox", path), machine)
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from xstilts.claims import measures, published
from xstilts.claims.claim import Claim, Verdict
from xstilts.claims.claim_validation import slug
from xstilts.claims.measures import Gain
from xstilts.claims.results_table import Result, ResultsTable
from xstilts.data.languages import Language, codes, language
from xstilts.evaluation import contamination
from xstilts.experiments.collect_results import EARLIER, INTERMEDIATE, PREDICT, TARGET
from xstilts.experiments.extra_tables import ExtraTable, PairedTests, StageTable
from xstilts.experiments.study import Study, chosen
from xstilts.models import configs
from xstilts.reporting import report_data
from xstilts.reporting.plain_json import Plain, entry, plain, row_of
from xstilts.reporting.report import FORMAT, REPORT
from xstilts.reporting.report_data import distinct
from xstilts.runtime.machine import Runtime
from xstilts.store import manifest, names, query
from xstilts.store.build import is_built
from xstilts.training.train import MODEL

TRAININGS = (EARLIER, INTERMEDIATE, TARGET)  # roles of stages that have a network


@dataclass(frozen=True)
class Origin:
    """Where a study comes from: its name, its scale, its file, the command that ran it and one that checks it."""

    name: str
    scale: str
    file: Path
    command: str
    check: str = ""


def build_report(
    study: Study,
    table: ResultsTable,
    verdicts: Sequence[Verdict],
    origin: Origin,
    machine: Runtime,
    failed: Sequence[str] = (),
) -> Plain:
    """Return the findings of a finished study; every row of the table must have been read from the machine's store.

    failed: lines of what could not be built.
    """
    question, _, about = study.question.strip().partition("\n")
    records = _records(table, machine)
    found = derived_sections(table, verdicts, records)
    return plain(  # type: ignore[no-any-return]
        {
            "format": FORMAT,
            "study": {
                "name": origin.name,
                "scale": origin.scale,
                "file": origin.file.name,
                "digest": manifest.sha256(origin.file)[:12],
            },
            "question": question,
            "about": about.strip(),
            **found,
            "extras": [
                *_choices(study, table),
                *_extras((*study.extras, *tests(study.claims)), table, records, machine),
            ],
            "failed": list(failed),
            "repaired": _repaired(records, machine),
            "shared": sorted(_shared(study, machine)),
            "limits": list(study.limits),
            "reproduce": {
                "commands": [*study.prepare, *filter(None, (origin.command, origin.check))],
                **found["reproduce"],
            },
            "rows": [row_of(row) for row in table.rows],
            "stages": {key: entry(facts) for key, facts in sorted(records.items())},
            "sources": query.sources(records, machine.store),
        }
    )


def derived_sections(table: ResultsTable, verdicts: Sequence[Verdict], records: Mapping[str, Plain]) -> Plain:
    """Return what follows from a table, its verdicts and the records behind it alone, so that it can be made again."""
    known_figures = published.known()
    said = [verdict_json(one, known_figures) for one in verdicts]
    return {
        "answer": answer(said),
        "verdicts": said,
        "settings": _settings(table, records),
        "levels": list(report_data.levels(table)),
        "gains": list(report_data.gains(table)),
        "costs": list(report_data.costs(table)),
        "curves": list(report_data.curves(table, records)),
        "scalings": list(report_data.scalings((one.claim for one in verdicts), table)),
        "collapsed": list(_collapsed(records)),
        "missing": [f"{one['sentence']}: {one['why']}" for one in said if one["status"] == "untested"],
        "reproduce": _made_with(records),
    }


def write(found: Plain, folder: Path) -> None:
    """Write `report.json`, the truth of which a report's pages are views."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = (f"{json.dumps(name)}: {_lines(value)}" for name, value in found.items())
    (folder / REPORT).write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def _lines(value: Any) -> str:
    """Return a value as JSON, each member of a list or a mapping in a line of its own."""
    if isinstance(value, list) and value:
        return "[\n " + ",\n ".join(json.dumps(one, ensure_ascii=False) for one in value) + "\n]"
    if isinstance(value, dict) and value:
        members = (f"{json.dumps(name)}: {json.dumps(one, ensure_ascii=False)}" for name, one in value.items())
        return "{\n " + ",\n ".join(members) + "\n}"
    return json.dumps(value, ensure_ascii=False)


def answer(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """Return the answer in a few sentences: the claims that answer the question, and how many came out how."""
    if not verdicts:
        return "Nothing was claimed."
    chosen = [one for one in verdicts if one["answers"]] or verdicts[:1]
    counts = Counter(one["status"] for one in verdicts)
    said = [f"{count} {_verb(status, count)}" for status, count in sorted(counts.items())]
    return " ".join([*map(_answered, chosen), f"Of {len(verdicts)} claims {', '.join(said)}."])


def _answered(verdict: Mapping[str, Any]) -> str:
    found, (low, high) = verdict["estimate"], verdict["interval"]
    measured = "" if math.isnan(found) else f", {found:+.2f} {verdict['unit']} [{low:+.2f}, {high:+.2f}]"
    return f"“{verdict['sentence']}” {_verb(verdict['status'], 1)}{measured}."


def _verb(status: str, count: int) -> str:
    """Return what claims do, as a verb: one holds, two hold, one is undecided."""
    plural = count > 1
    words = {"holds": "hold" if plural else "holds", "fails": "fail" if plural else "fails"}
    return words.get(status, f"{'are' if plural else 'is'} {status}")


def _extras(
    asked: Iterable[ExtraTable | StageTable], table: ResultsTable, records: Mapping[str, Plain], machine: Runtime
) -> Iterator[Plain]:
    """Yield a study's own tables, but those whose stages could not be built."""
    for one in asked:
        if not isinstance(one, StageTable):
            yield one.made(table, records)
        elif all(is_built(stage, machine) for stage in one.stages(machine).values()):
            yield one.probed(machine)


def tests(claims: Iterable[Claim]) -> list[ExtraTable]:
    """Return the table of other tests of the gains that are claimed, if any are."""
    gains = tuple((one.sentence, one.measure) for one in claims if isinstance(one.measure, Gain))
    return [PairedTests(gains)] if gains else []


def _choices(study: Study, table: ResultsTable) -> Iterator[Plain]:
    """Yield the table of what was chosen among which arms; an edge says that better ones may lie beyond."""
    rows = []
    for choice in study.choices:
        for encoder, label in chosen(choice, table.rows).items():
            tried = {name: table.select(encoder=encoder, recipe=name).rows for name in choice.among}
            scores = {name: fmean(row.dev for row in found) for name, found in tried.items() if found}
            said = ", ".join(f"{name} {score:.1f}" for name, score in scores.items())
            edge = len(scores) > 1 and label in (choice.among[0], choice.among[-1])
            rows.append([choice.label, encoder, label, said, "yes" if edge else "no"])
    if rows:
        columns = ["name", "encoder", "chosen", "mean development score of each", "the first or the last tried"]
        note = "What is chosen at an end of what was tried may not be the best there is."
        yield {"title": "What was chosen by development data", "columns": columns, "rows": rows, "note": note}


def _records(table: ResultsTable, machine: Runtime) -> dict[str, Plain]:
    """Return the records of all stages behind a table, by key."""
    keys = {key for row in table.rows for key in row.keys}
    folders = {name.name.rpartition("-")[2]: name for name in machine.store.iterdir()}
    return {key: manifest.read(folders[key]) | {"folder": folders[key]} for key in sorted(keys)}


def verdict_json(verdict: Verdict, known_figures: Mapping[str, published.Published]) -> Plain:
    """Return a verdict as the report has it, beside the published figure that its claim names."""
    claim = verdict.claim
    compared = None
    if claim.published in known_figures:
        figure = known_figures[claim.published]
        found = published.compare(verdict, figure)
        compared = {**vars(figure), "status": found.status, "why": found.why}
    return {
        "name": slug(claim.sentence),
        "sentence": claim.sentence,
        "expectation": claim.expectation,
        "margin": claim.margin,
        "measure": measures.plain(claim.measure),
        "status": verdict.status,
        "why": verdict.why,
        "by_construction": claim.by_construction,
        "answers": claim.answers,
        "estimate": verdict.estimate,
        "interval": verdict.interval,
        "unit": _unit(claim.measure),
        "p": verdict.p,
        "p_holm": verdict.p_holm,
        "n_replicates": verdict.n_replicates,
        "detectable": verdict.detectable,
        "seeds_needed": verdict.seeds_needed,
        "keys": verdict.keys,
        "published": compared,
    }


def _unit(measure: Any) -> str:
    return {"Saving": "percent", "Scaling": "exponent", "Growth": "points a doubling"}.get(
        type(measure).__name__, "points"
    )


def _settings(table: ResultsTable, records: Mapping[str, Plain]) -> Plain:
    spoken = sorted({row.language for row in table.rows})
    encoders = {row.encoder: row for row in table.rows}
    targets = {row.target: row for row in table.rows}
    return {
        "encoders": [
            {"name": name, "parameters": row.size, "layers": _layers(row, records)} for name, row in encoders.items()
        ],
        "recipes": distinct(row.recipe for row in table.rows),
        "intermediates": distinct(row.intermediate for row in table.rows),
        "targets": [
            {"name": name, "format": _format(row, records), "metric": row.metric} for name, row in targets.items()
        ],
        "seeds": sorted({row.seed for row in table.rows}),
        "languages": {code: _language(code) for code in spoken},
    }


def _format(row: Result, records: Mapping[str, Plain]) -> str:
    return names.format_from_key(records[row.keys[row.roles.index(PREDICT)]]["arguments"]["kind_name"])


def _layers(row: Result, records: Mapping[str, Plain]) -> int | None:
    """Return the layers of a row's encoder, as its last training has written them; None where nothing was trained."""
    trained = [records[key]["folder"] for role, key in zip(row.roles, row.keys, strict=True) if role in TRAININGS]
    config = configs.read(trained[-1] / MODEL / configs.CONFIG) if trained else None
    return getattr(config, "num_hidden_layers", None)


def _language(code: str) -> Plain:
    known = [language(one) for one in codes(code)]
    facts = {
        name: "-".join(dict.fromkeys(getattr(one, name) for one in known)) for name in ("name", "family", "script")
    }
    return {**facts, "distance": _distance(code)}


def _distance(code: str) -> float:
    """Return how far a language is from English: 0 itself, 1 of its branch, 2 of its family, 3 of another one.

    An artificial language's is from the English-like one, from 0 to 1. Of a pair it is that of the one further off.
    """
    from xstilts import sandbox

    if code in sandbox.CODES:
        return sandbox.distance(sandbox.language(code))
    english, known = language("en"), [language(one) for one in codes(code)]
    steps = [
        0 if one == english else 1 if one.family == english.family else 2 if _stem(one) == _stem(english) else 3
        for one in known
    ]
    return float(max(steps))


def _stem(one: Language) -> str:
    return one.family.partition(":")[0]


def _collapsed(records: Mapping[str, Plain]) -> Iterator[Plain]:
    for key, facts in records.items():
        for name, task in facts["record"].get("dev", {}).items():
            if task["collapsed"]:
                why = f"{name} ended at {task['score']:.1f} on development data, where chance is {task['chance']:.1f}"
                yield {"stage": f"{facts['label']}-{key}", "key": key, "why": why}


def _repaired(records: Mapping[str, Plain], machine: Runtime) -> list[str]:
    damaged = {path.name.rpartition(".damaged")[0] for path in machine.store.glob("*.damaged*")}
    return [name for key, facts in records.items() if (name := f"{facts['label']}-{key}") in damaged]


def _shared(study: Study, machine: Runtime) -> set[str]:
    """Return which test texts were also in training, in sentences."""
    looked = {stage.key: stage for arm in study.arms for stage in arm.grid.overlaps(machine)}
    return set(contamination.describe(looked.values(), machine))


def _made_with(records: Mapping[str, Plain]) -> Plain:
    versions: dict[str, dict[str, None]] = {}
    for facts in records.values():
        for name, version in facts["libraries"].items():
            versions.setdefault(name, {})[version] = None
    devices = {(facts["record"].get("cost") or {}).get("device") for facts in records.values()} - {None}
    return {"versions": {name: ", ".join(found) for name, found in versions.items()}, "devices": sorted(devices)}
