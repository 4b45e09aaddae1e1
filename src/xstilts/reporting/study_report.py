"""Study report: `report.json`, all that a study measured, of which the pages are views.

Every figure is computed from the results table and carries the keys of the stages behind it, so that
`xstilts.verification.verify` can recompute it. Values that are not known are null.

    report = build_report(study, table, verdicts, Origin("layerwise", "sandbox", path, command), machine)
    write(report, Path("layerwise"))

>>> to_json({"p": float("nan")})
{'p': None}
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from xstilts import sandbox
from xstilts.claims import measures, published
from xstilts.claims.claim import LEVEL, Claim, Verdict
from xstilts.claims.claim_validation import slug
from xstilts.claims.measures import FIXED, Gain, Level, Measured, Scaling
from xstilts.claims.results_table import Missing, Result, ResultsTable
from xstilts.data.languages import Language, codes, language
from xstilts.errors import InputError
from xstilts.evaluation import contamination
from xstilts.experiments import retries
from xstilts.experiments.collect_results import INTERMEDIATE, PREDICT, TARGET, TRAININGS
from xstilts.experiments.extra_tables import ExtraTable, PairedTests, StageTable
from xstilts.experiments.study import DevSelectedTask, Study, chosen, chosen_tasks
from xstilts.models import configs
from xstilts.reporting.answer import answer, measured_on
from xstilts.reporting.trainings import trainings
from xstilts.runtime import whole_files
from xstilts.runtime.machine import Runtime
from xstilts.store import manifest, names, query
from xstilts.store.build import is_built
from xstilts.store.live_view import history_of
from xstilts.store.names import BASELINE
from xstilts.training.train import MODEL

Json = dict[str, Any]
Records = Mapping[str, Json]
"""The manifest of each stage by key, with its folder as "folder"."""

REPORT = "report.json"
FORMAT = 2
FORMAT_OF_KINDS = 1  # of reports with a `kind`, which have other content
MEAN, ZERO_SHOT = "mean", "zero-shot"  # languages of rows that average over several
MEAN_AT_FIXED_LAYER = "mean at the fixed layer"  # of retrieval
NOT_WRITTEN = ("examples", "costs", "at_fixed_layer")  # fields of a row: costs are written apart, others read again
POINTS = 60  # of a learning curve
ROW = ("encoder", "intermediate", "target", "language", "estimate", "low", "high", "keys", "n")
MEMBERS = {  # what the pages need of each entry of a report's lists
    "verdicts": ("name", "sentence", "status", "why", "expectation", "margin"),
    "levels": ROW,
    "gains": ROW,
    "costs": ("encoder", "intermediate", "target", "seed", "figures", "keys"),
    "trainings": ("encoder", "role", "arms", "seeds", "hyperparameters", "data", "steps", "tokens", "keys"),
    "curves": ("label", "role", "encoder", "task", "seed", "key"),
    "scalings": ("figure", "points", "exponent", "low", "high"),
    "extras": ("title", "columns", "rows"),
    "collapsed": ("stage", "why"),
    "repeated": ("training", "role", "seed", "tries"),
}


@dataclass(frozen=True)
class Origin:
    """Where a study comes from.

    Attributes:
        name: Its name.
        scale: The scale it was run at.
        file: The study file.
        command: The command that builds it.
        check: The command that verifies its report.
        encoder: The encoder that was given instead of the study's own; "": none.
    """

    name: str
    scale: str
    file: Path
    command: str
    check: str = ""
    encoder: str = ""


# The file.


def write(report: Mapping[str, Any], folder: Path) -> None:
    """Write `report.json`, one line for each entry of a list or a mapping.

    Args:
        report: The report.
        folder: The folder; made where it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = (f"{json.dumps(name)}: {_lines(value)}" for name, value in report.items())
    whole_files.write(folder / REPORT, "{\n" + ",\n".join(parts) + "\n}\n")


def _lines(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n " + ",\n ".join(json.dumps(entry, ensure_ascii=False) for entry in value) + "\n]"
    if isinstance(value, dict) and value:
        members = (f"{json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}" for name, entry in value.items())
        return "{\n " + ",\n ".join(members) + "\n}"
    return json.dumps(value, ensure_ascii=False)


def read(folder: Path) -> Json:
    """Read the `report.json` of a folder.

    Args:
        folder: The folder that a study was written to.

    Returns:
        The report.

    Raises:
        InputError: There is no report, it has another format, or it lacks what its pages need.
    """
    path = folder / REPORT
    if not path.is_file():
        raise InputError(f"no {REPORT} in {folder}: write one with `xstilts study FILE --out {folder}`")
    try:
        report: Json = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON ({error}); write it again with `xstilts study`") from error
    form = report.get("format") if isinstance(report, dict) else None
    wanted = FORMAT_OF_KINDS if isinstance(report, dict) and "kind" in report else FORMAT
    if form != wanted:
        raise InputError(f"{path} has format {form}, this xstilts reads {wanted}; write it again with `xstilts study`")
    if lack := _lack(report):
        raise InputError(f"{path} is not as a study writes it ({lack}); write it again with `xstilts study`")
    return report


def _lack(report: Mapping[str, Any]) -> str:
    """Return what a report lacks that its pages need; "" for nothing. A report with a `kind` checks its own lists."""
    for name in ("question", "answer"):
        if not isinstance(report.get(name), str):
            return f"no {name}"
    for name, required in () if "kind" in report else MEMBERS.items():
        entries = report.get(name, [])
        if not isinstance(entries, list):
            return f"{name} is no list"
        for number, entry in enumerate(entries, 1):
            lacking = [key for key in required if not isinstance(entry, dict) or key not in entry]
            if lacking:
                return f"number {number} of {name} has no {lacking[0]}"
    parts = [
        name for name in ("study", "settings", "reproduce", "stages") if not isinstance(report.get(name, {}), dict)
    ]
    return f"{parts[0]} is no object" if parts else ""


def to_json(value: Any) -> Any:
    """Return a value in types that JSON has.

    Args:
        value: A value of dataclasses, mappings, sequences, paths and numbers.

    Returns:
        The same with NaN and infinities as None, tuples as lists, and paths as texts.

    >>> to_json({"p": float("nan"), "interval": (0.5, 1.5)})
    {'p': None, 'interval': [0.5, 1.5]}
    """
    if isinstance(value, Mapping):
        return {str(key): to_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


# The report.


def build_report(
    study: Study,
    table: ResultsTable,
    verdicts: Sequence[Verdict],
    origin: Origin,
    machine: Runtime,
    failed: Sequence[str] = (),
) -> Json:
    """Build the report of a finished study.

    Args:
        study: The study.
        table: Its results, read from the machine's store.
        verdicts: The verdicts on its claims.
        origin: Where the study comes from.
        machine: Holds the store.
        failed: What could not be built, a line each.

    Returns:
        The content of `report.json`.
    """
    question, _, about = study.question.strip().partition("\n")
    records = _records(table, machine)
    derived = derived_sections(table, verdicts, records)
    notice = sandbox.notice(row.language for row in table.rows)
    own_tables = _extra_tables((*study.extras, *paired_tests(study.claims)), table, records, machine)
    report = {
        "format": FORMAT,
        "study": {
            "name": origin.name,
            "scale": origin.scale,
            "file": origin.file.name,
            "digest": manifest.sha256(origin.file)[:12],
            **({"encoder": origin.encoder} if origin.encoder else {}),
        },
        **({"notice": notice} if notice else {}),
        "question": question,
        "about": about.strip(),
        **derived,
        "extras": [*_dev_selections(study, table), *own_tables],
        "failed": list(failed),
        "repaired": _repaired(records, machine),
        "shared": sorted(_contaminated(study, machine)),
        "limits": list(study.limits),
        **({"retries": study.retries} if study.retries else {}),
        "reproduce": {
            "commands": [*study.prepare, *filter(None, (origin.command, origin.check))],
            **derived["reproduce"],
        },
        "rows": [row_json(row) for row in table.rows],
        "stages": {key: stage_json(record) for key, record in sorted(records.items())},
        "sources": query.sources(records, machine.store),
    }
    return to_json(report)  # type: ignore[no-any-return]


def derived_sections(table: ResultsTable, verdicts: Sequence[Verdict], records: Records) -> Json:
    """Return the parts of a report that follow from results, verdicts and manifests alone; `verify` recomputes them.

    Args:
        table: The results of the study.
        verdicts: The verdicts on its claims.
        records: The manifests of the stages behind the results, by key.

    Returns:
        The parts by name.
    """
    figures = published.known()
    verdicts_json = [verdict_json(verdict, figures) for verdict in verdicts]
    settings, trained, collapsed = (
        _settings(table, records),
        list(trainings(table, records)),
        list(_collapsed(table, records)),
    )
    return {
        "answer": answer(verdicts_json),
        "measured_on": measured_on(settings, trained, collapsed),
        "verdicts": verdicts_json,
        "settings": settings,
        "trainings": trained,
        "levels": list(levels(table)),
        "gains": list(gains(table)),
        "costs": list(costs(table)),
        "curves": list(curves(table, records)),
        "scalings": list(scalings((verdict.claim for verdict in verdicts), table)),
        "collapsed": collapsed,
        "repeated": list(_repeated(table, records)),
        "missing": [
            f"{verdict['sentence']}: {verdict['why']}" for verdict in verdicts_json if verdict["status"] == "untested"
        ],
        "reproduce": _made_with(records),
    }


def row_json(row: Result) -> Json:
    """Return a result as the report has it.

    Args:
        row: A row of the results table.

    Returns:
        The JSON object; `verification.stage_integrity.result_of` reverses it.
    """
    unwritten = NOT_WRITTEN if row.repeated else (*NOT_WRITTEN, "seeds_used", "repeated")
    values = {name: value for name, value in vars(row).items() if name not in unwritten}
    return values | {"costs": row.costs} if row.costs else values


def stage_json(record: Json) -> Json:
    """Return a stage as the report has it, with digests of its files and of its manifest.

    Args:
        record: The stage's manifest, with its folder as "folder".

    Returns:
        The entry. Model weights have no digest in it; only stages whose costs were measured have their seconds.
    """
    return {
        "label": record["label"],
        "work": record["work"].rpartition(".")[2],
        "seconds": record["seconds"] if record["record"].get("cost") else None,
        "inputs": list(record["inputs"]),
        "files": {name: file["sha256"] for name, file in record["files"].items() if not name.startswith("model/")},
        "record": manifest.digest(record["folder"]),
    }


def _records(table: ResultsTable, machine: Runtime) -> dict[str, Json]:
    """Return the manifests of all stages behind a table, by key."""
    keys = {key for row in table.rows for key in (*row.keys, *row.repeated)}
    folders = {folder.name.rpartition("-")[2]: folder for folder in machine.store.iterdir()}
    return {key: manifest.read(folders[key]) | {"folder": folders[key]} for key in sorted(keys)}


# Verdicts and the answer.


def verdict_json(verdict: Verdict, figures: Mapping[str, published.Published]) -> Json:
    """Return a verdict as the report has it.

    Args:
        verdict: The verdict.
        figures: Published figures by name; the verdict is compared with the one that its claim names.

    Returns:
        The JSON object.
    """
    claim = verdict.claim
    comparison = None
    if claim.published in figures:
        figure = figures[claim.published]
        outcome = published.compare(verdict, figure)
        comparison = {**vars(figure), "status": outcome.status, "why": outcome.why}
    return {
        "name": slug(claim.sentence),
        "sentence": claim.sentence,
        "expectation": claim.expectation,
        "margin": claim.margin,
        "measure": measures.to_json(claim.measure),
        "measured": measures.described(claim.measure),
        "status": verdict.status,
        "why": verdict.why,
        "by_construction": claim.by_construction,
        "answers": claim.answers,
        **({"descriptive": True} if claim.descriptive else {}),
        "estimate": verdict.estimate,
        "interval": verdict.interval,
        "unit": claim.unit,
        "p": verdict.p,
        "p_holm": verdict.p_holm,
        "n_replicates": verdict.n_replicates,
        "detectable": verdict.detectable,
        "seeds_needed": verdict.seeds_needed,
        "keys": verdict.keys,
        "published": comparison,
    }


# Figures of the results table.


def levels(table: ResultsTable) -> Iterator[Json]:
    """Yield the mean score of each arm.

    Args:
        table: The results of the study.

    Yields:
        A JSON object for each arm over its languages, and in each of them.
    """
    learned, layered = _training_languages(table), _layered(table)
    for (encoder, recipe, intermediate, target), languages in _arms(table).items():
        for name, group, layer in _language_groups(languages, learned[target], target in layered):
            estimate = _estimate(Level(intermediate, target, group, encoder, recipe, layer=layer), table)
            if estimate:
                setting = {"encoder": encoder, "recipe": recipe, "intermediate": intermediate, "target": target}
                yield {**setting, "language": name, **estimate}


def gains(table: ResultsTable) -> Iterator[Json]:
    """Yield the gain of each arm over its baseline.

    Args:
        table: The results of the study.

    Yields:
        A JSON object for each arm over its languages, and in each of them.
    """
    learned, layered = _training_languages(table), _layered(table)
    repeated = {(row.intermediate, row.target) for row in table.rows if row.repeats_training_data}
    for (encoder, recipe, intermediate, target), languages in _arms(table).items():
        if intermediate == BASELINE:
            continue
        for name, group, layer in _language_groups(languages, learned[target], target in layered):
            gain = Gain(intermediate, target, languages=group, encoder=encoder, recipe=recipe, layer=layer)
            estimate = _estimate(gain, table)
            if estimate:
                yield {
                    "encoder": encoder,
                    "recipe": recipe,
                    "over_recipe": recipe,
                    "intermediate": intermediate,
                    "target": target,
                    "language": name,
                    "in_training_language": name in learned[target],
                    **({"repeats_training_data": True} if (intermediate, target) in repeated else {}),
                    **estimate,
                    "by_seed": list(gain.by_seed(table).values()),
                }


def _arms(table: ResultsTable) -> dict[tuple[str, str, str, str], list[str]]:
    """Return the languages of each arm, by encoder, recipe, intermediate setting and target."""
    arms: dict[tuple[str, str, str, str], dict[str, None]] = {}
    for row in table.rows:
        arms.setdefault((row.encoder, row.recipe, row.intermediate, row.target), {})[row.language] = None
    return {arm: list(languages) for arm, languages in arms.items()}


LanguageGroup = tuple[str, tuple[str, ...], str]  # the name, the languages and the layer


def _language_groups(languages: list[str], learned: set[str], layered: bool) -> list[LanguageGroup]:
    """Return all languages, those of zero-shot transfer if these are others, and each language, with their names.

    All languages follow once more at the fixed layer where another one is chosen.
    """
    zero_shot = tuple(code for code in languages if code not in learned)
    means = [(MEAN, tuple(languages), "")] + [(ZERO_SHOT, zero_shot, "")] * (0 < len(zero_shot) < len(languages))
    fixed = [(MEAN_AT_FIXED_LAYER, tuple(languages), FIXED)] * layered
    return means + [(code, (code,), "") for code in languages] + fixed


def _layered(table: ResultsTable) -> set[str]:
    """Return the targets that are scored at a chosen layer, which is not the fixed one in every row."""
    return {row.target for row in table.rows if row.at_fixed_layer and row.at_fixed_layer.examples != row.examples}


def _training_languages(table: ResultsTable) -> dict[str, set[str]]:
    """Return the languages of each target's training data."""
    languages: dict[str, set[str]] = {row.target: set() for row in table.rows}
    for row in table.rows:
        languages[row.target] |= {row.language} if row.in_training_language else set()
    return languages


def _estimate(measure: Level | Gain, table: ResultsTable) -> Json | None:
    """Return the estimate of a measure with its interval; None where rows are missing."""
    try:
        measured: Measured = measure.of(table)
    except Missing:
        return None
    estimate = measured.estimate
    low, high = estimate.interval(LEVEL)
    has_error = estimate.error > 0
    return {
        "estimate": estimate.value,
        "low": low if has_error else None,
        "high": high if has_error else None,
        "deviation": math.sqrt(estimate.between) if estimate.between >= 0 else None,
        "p": estimate.p() if has_error else None,
        "n": estimate.count,
        "keys": measured.keys,
    }


def costs(table: ResultsTable) -> Iterator[Json]:
    """Yield the costs of each run.

    Args:
        table: The results of the study.

    Yields:
        A JSON object with the costs, the mean score and the gain.
    """
    runs: dict[tuple[str, str, str, str, int], list[Result]] = {}
    for row in table.rows:
        runs.setdefault((row.encoder, row.recipe, row.intermediate, row.target, row.seed), []).append(row)
    for (encoder, recipe, intermediate, target, seed), rows in runs.items():
        score = _mean_score(rows)
        baseline = runs.get((encoder, recipe, BASELINE, target, seed), [])
        gain = score - _mean_score(baseline) if baseline and intermediate != BASELINE else None
        figures = {name: value for name, value in rows[0].costs.items() if not name.startswith("predict")}
        # Each row has the costs of predicting its own language.
        predicting = {name for row in rows for name in row.costs if name.startswith("predict")}
        figures |= {name: sum(row.costs.get(name, math.nan) for row in rows) for name in sorted(predicting)}
        arm = {"encoder": encoder, "recipe": recipe, "intermediate": intermediate, "target": target, "seed": seed}
        keys = distinct(key for row in rows for key in row.keys)
        yield {**arm, "score": score, "gain": gain, "figures": figures, "keys": keys}


def _mean_score(rows: Sequence[Result]) -> float:
    """Return the mean score of a run over its zero-shot languages, or over all where there are none."""
    return fmean(row.score for row in [row for row in rows if not row.in_training_language] or rows)


def curves(table: ResultsTable, records: Records) -> Iterator[Json]:
    """Yield the learning curves of each training, one for each of its tasks, once, under the first arm that has it.

    Args:
        table: The results of the study.
        records: The manifests of the stages behind them, by key.

    Yields:
        A JSON object for each: [step, loss] points, thinned, and [step, dev score] points of the one task `task`. A
        loss is the task's mean since the point before. Old trainings on several tasks did not name the task of a loss:
        the losses of their steps are one curve, of all tasks.
    """
    yielded: set[str] = set()
    for row in table.rows:
        for role, key in zip(row.roles, row.keys, strict=True):
            history = [] if key in yielded else history_of(records[key]["folder"])
            if not history:
                continue
            yielded.add(key)
            tasks = [stored["task"] for stored in records[key]["arguments"]["lessons"]]
            after = f", {BASELINE if row.intermediate == BASELINE else f'after {row.intermediate}'}" * (role == TARGET)
            for task, losses in _losses(history, tasks).items():
                of_mix = f", in the mix {' + '.join(tasks)}" if task in tasks else ", steps of all tasks together"
                of_mix = of_mix if len(tasks) > 1 else ""
                yield {
                    "label": f"{task}{of_mix}{after}",
                    "role": role,
                    "encoder": row.encoder,
                    "recipe": row.recipe,
                    "task": task,
                    "tasks": tasks,
                    "seed": row.seed,
                    "key": key,
                    "points": _thinned(losses),
                    "dev_scores": [[at["step"], at["dev"][task]] for at in history if task in at.get("dev", ())],
                    "seconds": records[key]["record"].get("cost", {}).get("seconds"),
                }


def _losses(history: Sequence[Json], tasks: Sequence[str]) -> dict[str, list[list[float]]]:
    """Return the losses of a training by task; those of an old training on several tasks together."""
    lines = [line for line in history if "loss" in line]
    if all("task_losses" in line for line in lines):
        by_task = {
            task: [[at["step"], at["task_losses"][task]] for at in lines if task in at["task_losses"]] for task in tasks
        }
        return {task: losses for task, losses in by_task.items() if losses}
    return {" + ".join(tasks): [[line["step"], line["loss"]] for line in lines]}


def _thinned(points: Sequence[list[float]]) -> list[list[float]]:
    """Return at most `POINTS` points of a curve, the last one always."""
    every = max(1, math.ceil(len(points) / POINTS))
    return [*points[(len(points) - 1) % every :: every]]


def scalings(claims: Iterable[Claim], table: ResultsTable) -> Iterator[Json]:
    """Yield the points and the fit of each claim about growth with size.

    Args:
        claims: The claims; those with other measures than `Scaling` are passed over.
        table: The results of the study.

    Yields:
        A JSON object for each: [size, cost, encoder] points, and the exponent with its interval.
    """
    for claim in claims:
        measure = claim.measure
        if not isinstance(measure, Scaling):
            continue
        try:
            fit = measure.of(table).estimate
            sizes = table.sizes()
            values = {name: measure.at(table, name).estimate.value for name in distinct(sizes)}
        except Missing:
            continue
        low, high = fit.interval(LEVEL)
        yield {
            "figure": measure.figure,
            "per": measure.per,
            "of": _scaled(measure),
            "what": claim.sentence,
            "points": [[sizes[name], value, name] for name, value in values.items()],
            "exponent": fit.value,
            "low": low,
            "high": high,
            "by_construction": bool(claim.by_construction),
        }


def _scaled(measure: Scaling) -> str:
    """Return the arm of a growth with size, and the one that it is divided by."""
    first = measure.recipe or measure.intermediate
    second = measure.over_recipe if measure.over_recipe != measure.recipe else measure.over
    return f"{first} by {second}" if measure.over else first


# Tables of the study's own.


def paired_tests(claims: Iterable[Claim]) -> list[ExtraTable]:
    """Return the table of further tests of the gains that are claimed and tested, if any are."""
    gains = tuple(
        (claim.sentence, claim.measure) for claim in claims if isinstance(claim.measure, Gain) and not claim.descriptive
    )
    return [PairedTests(gains)] if gains else []


def _extra_tables(
    extras: Iterable[ExtraTable | StageTable], table: ResultsTable, records: Records, machine: Runtime
) -> Iterator[Json]:
    """Yield the study's own tables, except those whose stages could not be built."""
    for extra in extras:
        if not isinstance(extra, StageTable):
            yield extra.made(table, records)
        elif all(is_built(stage, machine) for stage in extra.stages(machine).values()):
            yield extra.probed(machine)


def _dev_selections(study: Study, table: ResultsTable) -> Iterator[Json]:
    """Yield the table of recipes selected by dev score; a recipe at an end may not be the best there is."""
    rows = []
    for choice in study.choices:
        if isinstance(choice, DevSelectedTask):
            yield _tasks_selected(choice, table)
            continue
        for encoder, label in chosen(choice, table.rows).items():
            tried = {name: table.select(encoder=encoder, recipe=name).rows for name in choice.among}
            scores = {name: fmean(row.dev for row in rows) for name, rows in tried.items() if rows}
            scores_text = ", ".join(f"{name} {score:.1f}" for name, score in scores.items())
            at_end = len(scores) > 1 and label in (choice.among[0], choice.among[-1])
            rows.append([choice.label, encoder, label, scores_text, "yes" if at_end else "no"])
    if rows:
        columns = ["name", "encoder", "selected", "mean dev score of each", "first or last of those tried"]
        note = "If the first or the last recipe tried is selected, a better one may lie beyond it."
        yield {"title": "Recipes selected on development data", "columns": columns, "rows": rows, "note": note}


def _tasks_selected(choice: DevSelectedTask, table: ResultsTable) -> Json:
    """Return the table of the intermediate settings selected for each target, with their gains on test data."""
    rows = []
    for (encoder, target), setting in chosen_tasks(choice, table.rows).items():
        tried = {
            name: [
                row.target_dev
                for row in table.select(encoder=encoder, recipe=choice.arm, target=target, intermediate=name).rows
                if choice.with_repeated or not row.repeats_training_data
            ]
            for name in (BASELINE, *choice.among)
        }
        known = {name: mean for name, values in tried.items() if values and not math.isnan(mean := fmean(values))}
        scores = ", ".join(f"{name} {score:.1f}" for name, score in known.items())
        gain = _estimate(Gain(setting, target, encoder=encoder, recipe=choice.arm), table)
        figures = [gain[name] for name in ("estimate", "low", "high")] if gain else [None] * 3
        rows.append([encoder, target, setting, scores or "no scores: as on the other targets", *figures])
    return {
        "title": f"Intermediate settings selected on development data: {choice.label}",
        "columns": ["encoder", "target", "selected", "mean dev score of each", "gain on test", "low", "high"],
        "rows": rows,
        "note": "Development data are in the target's training language. The gain is over the baseline, in the "
        "zero-shot languages."
        + ("" if choice.with_repeated else " Settings that repeat the target's own training data are left out."),
    }


# Settings and provenance.


def _settings(table: ResultsTable, records: Records) -> Json:
    languages = sorted({row.language for row in table.rows})
    encoders, targets = {row.encoder: row for row in table.rows}, {row.target: row for row in table.rows}
    learned, sizes = _training_languages(table), table.sizes()
    return {
        "encoders": [
            {"name": name, "parameters": row.parameters, "without_embeddings": sizes[name], **_shape(row, records)}
            for name, row in encoders.items()
        ],
        "recipes": distinct(row.recipe for row in table.rows),
        "intermediates": distinct(row.intermediate for row in table.rows),
        "targets": [
            {
                "name": name,
                "format": _format(row, records),
                "metric": row.metric,
                "split": row.split,
                "trained_in": sorted(learned[name]),
                "test_examples": _test_examples(name, table, records),
            }
            for name, row in targets.items()
        ],
        "seeds": sorted({row.seed for row in table.rows}),
        "languages": {code: _language(code) for code in languages},
    }


def _format(row: Result, records: Records) -> str:
    return names.format_from_key(records[row.keys[row.roles.index(PREDICT)]]["arguments"]["kind_name"])


def _test_examples(target: str, table: ResultsTable, records: Records) -> dict[str, int | None]:
    """Return how many test examples a target has in each language."""
    rows = {row.language: row for row in table.rows if row.target == target}
    return {code: records[row.keys[row.roles.index(PREDICT)]]["record"].get("examples") for code, row in rows.items()}


def _shape(row: Result, records: Records) -> Json:
    """Return the layers and the width of a row's encoder, and the digest or the commit of its files.

    Layers and width are those of the row's last training's network; None where nothing was trained.
    """
    keys = [key for role, key in zip(row.roles, row.keys, strict=True) if role in TRAININGS]
    config = configs.read(records[keys[-1]]["folder"] / MODEL / configs.CONFIG) if keys else None
    sources = [records[key]["arguments"]["encoder"] for key in keys]
    sources += [records[row.keys[row.roles.index(PREDICT)]]["arguments"]["model"]]
    return {
        "layers": getattr(config, "num_hidden_layers", None),
        "width": getattr(config, "hidden_size", None),
        "revision": next((source["digest"] for source in sources if source.get("digest")), None),
    }


def _language(code: str) -> Json:
    parts = [language(part) for part in codes(code)]
    facts = {
        name: "-".join(dict.fromkeys(getattr(part, name) for part in parts)) for name in ("name", "family", "script")
    }
    return {**facts, "distance": _distance(code)}


def _distance(code: str) -> float:
    """Return how far a language is from English: 0 itself, 1 the same branch, 2 the same family, 3 another family.

    An artificial language's distance is from the English-like one, from 0 to 1. A pair has that of the farther one.
    """
    from xstilts import sandbox

    if code in sandbox.CODES:
        return sandbox.distance(sandbox.language(code))
    english, parts = language("en"), [language(part) for part in codes(code)]
    steps = [
        0
        if part == english
        else 1
        if part.family == english.family
        else 2
        if _top_family(part) == _top_family(english)
        else 3
        for part in parts
    ]
    return float(max(steps))


def _top_family(language: Language) -> str:
    return language.family.partition(":")[0]


def _collapsed(table: ResultsTable, records: Records) -> Iterator[Json]:
    behind = {key for row in table.rows for key in row.keys}
    for key, record in records.items():
        for name, task in retries.judged(record).items():
            if task["collapsed"] and key in behind:
                seen = name in (record["record"].get("seen") or {})
                data = "its own training data" if seen else "development data"
                why = f"{name} ended at {task['score']:.1f} on {data}, where chance is {task['chance']:.1f}"
                yield {"stage": f"{record['label']}-{key}", "key": key, "why": why}


def _repeated(table: ResultsTable, records: Records) -> Iterator[Json]:
    """Yield each training that repeats others, once, with all its tries: the last one is behind the results."""
    yielded: set[str] = set()
    for row in (row for row in table.rows if row.repeated):
        for role, key in zip(row.roles, row.keys, strict=True):
            if role not in (INTERMEDIATE, TARGET) or key in yielded:
                continue
            earlier = [earlier for earlier in retries.earlier_keys(records[key]) if earlier in row.repeated]
            if not earlier:
                continue
            yielded.add(key)
            task = records[key]["label"].removeprefix("train-").rpartition("-seed")[0]
            yield {
                "training": f"{task} after {row.intermediate}" if role == TARGET else task,
                "role": role,
                "encoder": row.encoder,
                "recipe": row.recipe,
                "seed": retries.first_seed(records[key]["arguments"]["seed"]),
                "tries": [_try(tried, records[tried]) for tried in (*earlier, key)],
            }


def _try(key: str, record: Json) -> Json:
    return {
        "key": key,
        "seed": record["arguments"]["seed"],
        "dev": retries.judged(record),
        "collapsed": retries.is_collapsed(record),
        "seconds": (record["record"].get("cost") or {}).get("seconds"),
    }


def _repaired(records: Records, machine: Runtime) -> list[str]:
    damaged = {path.name.rpartition(".damaged")[0] for path in machine.store.glob("*.damaged*")}
    return [name for key, record in records.items() if (name := f"{record['label']}-{key}") in damaged]


def _contaminated(study: Study, machine: Runtime) -> set[str]:
    """Return which test texts were also in training data, in sentences."""
    checks = {stage.key: stage for arm in study.arms for stage in arm.grid.overlaps(machine)}
    return set(contamination.describe(checks.values(), machine))


def _made_with(records: Records) -> Json:
    versions: dict[str, dict[str, None]] = {}
    for record in records.values():
        for name, version in record["libraries"].items():
            versions.setdefault(name, {})[version] = None
    devices = {(record["record"].get("cost") or {}).get("device") for record in records.values()} - {None}
    return {"versions": {name: ", ".join(unique) for name, unique in versions.items()}, "devices": sorted(devices)}


def distinct(values: Iterable[Any]) -> list[Any]:
    """Return values without repetitions, in their order."""
    return list(dict.fromkeys(values))
