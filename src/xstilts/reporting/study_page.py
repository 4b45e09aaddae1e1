"""Study page: the page of a study, made from its `report.json` alone: `report.html` and, shorter, `report.md`.

All numbers are those of the file; a part of the report without data makes no section. The same report gives the same
bytes.

>>> made = page({"question": "Does it help?", "answer": "Not decided.", "limits": ["Artificial languages only."]})
>>> made.title, [section.name for section in made.sections]
('Does it help?', ['limits'])
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from xstilts.claims.claim import COMPARED, LEVEL
from xstilts.errors import refusing
from xstilts.experiments import retries
from xstilts.experiments.collect_results import TARGET
from xstilts.reporting import charts, study_report
from xstilts.reporting.answer import metric_name
from xstilts.reporting.charts import label, strip, varying
from xstilts.reporting.page import Listing, Page, Section, VerdictView, save
from xstilts.reporting.study_report import MEAN, ZERO_SHOT
from xstilts.runtime import tables, text
from xstilts.runtime.tables import NOTHING, Cell, TableView, is_known
from xstilts.sandbox import notice
from xstilts.store.names import BASELINE

Json = Mapping[str, Any]
HTML, MARKDOWN = "report.html", "report.md"
SETTING = ("encoder", "recipe", "intermediate", "target")
STEPS = 5  # of the diverging colour scale, on each side of zero
FOLDED_FROM = 60  # languages from which the first table of gains is folded too
UNITS = f"Intervals are {LEVEL:.0%} intervals, not corrected for their number."
ARROWS = "The vertical line is zero; an arrow stands where an interval goes on beyond the scale."
NOT_SET = {  # what it means that a hyperparameter has no value
    "selection": "none: the last weights are kept",
    "steps": "by epochs",
    "max_train_examples": "all",
    "query_length": "max_length",
}
ARMS_NAMED = 4  # of a training; further ones are counted
SETTINGS_ACROSS = 5  # of a table of scores; more make a table for each intermediate task that has several
MEANS = {ZERO_SHOT: "mean, zero-shot languages", MEAN: "mean, all languages"}
REMARKS = {
    "shared": "Test texts seen in training",
    "failed": "Could not be built",
    "missing": "Could not be measured",
    "repaired": "Rebuilt because files were damaged",
}


def write_pages(folder: Path, out: Path | None = None) -> tuple[Path, ...]:
    """Write the HTML page and the Markdown page of a study from its `report.json`.

    Args:
        folder: The folder with the report.
        out: Where to write the pages; by default beside the report.

    Returns:
        Both files.

    Raises:
        InputError: The folder has no report, or it is not one that a study wrote.
    """
    report = study_report.read(folder)
    with refusing(lambda: folder / study_report.REPORT, "write it again with `xstilts study`"):
        return save(page(report), out or folder, HTML, MARKDOWN)


def page(report: Json) -> Page:
    """Return the page of a report."""
    study, collapsed = report.get("study", {}), _collapsed_keys(report)
    return Page(
        source=" · ".join(filter(None, ("study", study.get("name"), study.get("scale")))),
        title=report["question"],
        answer=report["answer"],
        about=tuple(filter(None, (report.get("about") or "").split("\n\n"))),
        measured_on=tuple((label, fact) for label, fact in report.get("measured_on", ())),
        verdicts=tuple(
            _verdict(verdict, collapsed) for verdict in report.get("verdicts", ()) if not verdict.get("descriptive")
        ),
        sections=_sections(report),
        inputs={key: tuple(stage.get("inputs", ())) for key, stage in report.get("stages", {}).items()},
        notice=notice(row["language"] for row in report.get("rows", ())),
    )


def _sections(report: Json) -> tuple[Section, ...]:
    """Return the sections that have something to show, in the order of reading."""
    sections = (
        _findings(report),
        _scores(report),
        _gains(report),
        _gains_by_language(report),
        *charts.sections(report),
        _all_scores(report),
        _extras(report),
        _remarks(report),
        _limits(report),
        _settings(report),
        _reproduction(report),
        _stages(report),
    )
    return tuple(section for section in sections if section.blocks)


def is_undecided(row: Json) -> bool:
    """Return whether the interval of a row includes zero, or is not known."""
    return not (is_known(row["low"]) and is_known(row["high"])) or row["low"] <= 0 <= row["high"]


def _grouped(rows: Iterable[Json], *columns: str) -> dict[tuple[Any, ...], list[Json]]:
    """Return rows by the values of columns, in order of appearance."""
    groups: dict[tuple[Any, ...], list[Json]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(column) for column in columns), []).append(row)
    return groups


def _cells(row: Json, columns: Iterable[str]) -> tuple[Cell, ...]:
    return tuple(Cell(str(row.get(column) or "")) for column in columns)


# Trainings that ended no better than chance.


def _collapsed_keys(report: Json) -> frozenset[str]:
    """Return the keys of the trainings that ended no better than chance."""
    return frozenset(_key_of(entry["stage"]) for entry in report.get("collapsed", ()))


def _key_of(stage: str) -> str:
    """Return the key in the name of a stage's folder."""
    return stage.rpartition("-")[2]


# Verdicts.


def _verdict(verdict: Json, collapsed: frozenset[str]) -> VerdictView:
    comparison = verdict.get("published")
    published = None
    if comparison:
        published = VerdictView("", _place(comparison), comparison["status"], comparison["why"])
    facts = tuple(_facts(verdict))
    if count := len(collapsed.intersection(verdict.get("keys", ()))):
        facts += (("no better than chance", Cell(f"{count} of the trainings behind it")),)
    return VerdictView(verdict["name"], verdict["sentence"], verdict["status"], verdict["why"], facts, published)


def _facts(verdict: Json) -> Iterator[tuple[str, Cell]]:
    """Yield the numbers behind a verdict that are known, each with its label."""
    unit = verdict.get("unit") or ""
    if is_known(verdict.get("estimate")):
        # A scale of its own: what other claims measure may be ten times as large.
        drawn = (verdict["estimate"], *(verdict.get("interval") or ()))
        yield "estimate", _estimate(verdict, unit, charts.scale(drawn, _margins(verdict)))
    expected = COMPARED.get(verdict["expectation"], f"{verdict['expectation']} ")
    yield "expected", Cell(f"{expected}{tables.cell(float(verdict['margin'])).text} {unit}".strip())
    if is_known(verdict.get("p_holm")):
        yield "p, Holm-corrected", tables.p_value(verdict["p_holm"])
    if verdict.get("n_replicates"):
        yield _replicates(verdict), tables.count(verdict["n_replicates"])
    if is_known(verdict.get("detectable")):
        cell_text = f"{tables.number(verdict['detectable']).text} {unit}".strip()
        yield "detectable with 80 % power", Cell(cell_text, verdict["detectable"])
    if verdict.get("seeds_needed"):
        yield f"{_replicates(verdict)} needed", tables.count(verdict["seeds_needed"])
    if verdict.get("by_construction"):
        yield "note", Cell("true by construction")
    if verdict.get("measured"):
        yield "what is measured", Cell(verdict["measured"])


def _replicates(verdict: Json) -> str:
    """Return what a verdict's replicates are."""
    return "encoder sizes" if (verdict.get("measure") or {}).get("type") in ("Growth", "Scaling") else "seeds"


def _margins(verdict: Json) -> tuple[float, ...]:
    """Return the values to mark on the scale of an estimate: zero, and the margin on each side that is compared."""
    margin = verdict["margin"]
    return (-margin, margin) if verdict["expectation"] == "equivalent" else tuple({0.0, margin})


def _findings(report: Json) -> Section:
    """Return the descriptive claims: what was measured and not tested."""
    scales = _scales(report)
    rows = tuple(
        (
            Cell(verdict["sentence"]),
            _estimate(verdict, verdict.get("unit") or "", scales[verdict.get("unit") or ""])
            if is_known(verdict.get("estimate"))
            else Cell(NOTHING),
            tables.count(verdict.get("n_replicates") or None),
            Cell(verdict.get("measured") or ""),
            Cell(_published(verdict) or ("" if is_known(verdict.get("estimate")) else verdict["why"])),
        )
        for verdict in report.get("verdicts", ())
        if verdict.get("descriptive")
    )
    columns = ("measurement", "estimate", "n", "what is measured", "note")
    table = _without_empty_columns(TableView("findings-table", "Measurements", columns, rows, folded=False))
    about = (
        "These estimates are shown without a test: each further test would make the correction for multiple testing, "
        f"and so the verdicts above, stricter. {UNITS} Marks of one unit share a scale. {ARROWS} n is "
        "the number of seeds, for a growth over sizes that of encoders."
    )
    return Section("findings", "Further measurements, not tested", (table,) if rows else (), about)


def _published(verdict: Json) -> str:
    """Return the published figure that a verdict is compared with; "" for none."""
    comparison = verdict.get("published")
    return f"{_place(comparison)}: {comparison['status']}, {comparison['why']}" if comparison else ""


def _estimate(verdict: Json, unit: str, scale: tuple[float, float]) -> Cell:
    low, high = verdict.get("interval") or (None, None)
    value = verdict["estimate"]
    interval = verdict["interval"] if is_known(low) and is_known(high) else None
    ticks = (0.0,) if verdict.get("descriptive") else _margins(verdict)
    drawing = strip(value, interval, scale, verdict["status"] in ("holds", "fails"), ticks)
    cell_text = f"{tables.signed(value).text} {unit} {tables.signed_interval(low, high)}"
    return Cell(" ".join(cell_text.split()), value, tuple(verdict.get("keys", ())), drawing=drawing)


def _scales(report: Json) -> dict[str, tuple[float, float]]:
    """Return for each unit the ends of the scale on which all its descriptive claims are drawn."""
    values: dict[str, list[float | None]] = {}
    for verdict in report.get("verdicts", ()):
        if verdict.get("descriptive"):
            drawn = (verdict.get("estimate"), *(verdict.get("interval") or ()))
            values.setdefault(verdict.get("unit") or "", []).extend(drawn)
    return {unit: charts.scale(of_unit) for unit, of_unit in values.items()}


def _place(published: Json) -> str:
    where = (published.get(column) for column in ("paper", "table", "row", "column"))
    return ", ".join(str(part) for part in where if part)


# Scores.


def _scores(report: Json) -> Section:
    """Return the scores of all settings: for each target and encoder a table, languages down and settings across."""
    languages = report.get("settings", {}).get("languages", {})
    rows = [row for row in report.get("levels", ()) if is_known(row["estimate"])]
    targets = {target["name"]: target for target in _targets(report)}
    blocks = tuple(
        view
        for (target, encoder), group in _grouped(rows, "target", "encoder").items()
        for view in _score_tables(targets.get(target, {"name": target}), encoder, group, languages)
    )
    about = (
        "Absolute scores: means over seeds ± their standard deviation. The baseline has no intermediate phase. The "
        "target has training data in the languages that are marked, and none in the others, which are zero-shot. "
        "Intervals, which also count the sampling of test examples, are in the table of all scores."
    )
    return Section("scores", "Scores by language and setting", blocks, about)


def _score_tables(target: Json, encoder: str, rows: Sequence[Json], languages: Json) -> Iterator[TableView]:
    """Yield the scores of one target and encoder; where settings are many, a table for each intermediate task."""
    baselines, settings = ([row for row in rows if (row["intermediate"] == BASELINE) is base] for base in (True, False))
    count, by_task = len(_grouped(settings, "intermediate", "recipe")), _grouped(settings, "intermediate")
    parts = by_task if count > max(SETTINGS_ACROSS, len(by_task)) else {(_only(settings, "intermediate"),): settings}
    for (after,), part in parts.items():
        metric = f" ({metric_name(target['metric'])})" if target.get("metric") else ""
        title = f"{target['name']}{metric}, {encoder}" + (f", after {after}" if after else "")
        yield _score_table(title, target, [*_columns(baselines, BASELINE), *_columns(part, "")], languages)


def _only(rows: Sequence[Json], column: str) -> str:
    """Return the value that all rows have in a column; "" where they have several or none."""
    values = {row.get(column) or "" for row in rows}
    return str(values.pop()) if len(values) == 1 else ""


def _columns(rows: Sequence[Json], name: str) -> list[tuple[str, dict[str, Json]]]:
    """Return the columns of a score table, with the rows by language; equal columns, as of one baseline, once."""
    columns: dict[Any, tuple[str, dict[str, Json]]] = {}
    label_columns = varying(rows, "intermediate", "recipe")
    for group in _grouped(rows, "intermediate", "recipe").values():
        by_language = {row["language"]: row for row in group}
        scores = tuple((code, row["estimate"], tuple(row["keys"])) for code, row in by_language.items())
        columns.setdefault(scores if name else len(columns), (label(group[0], label_columns), by_language))
    distinct = list(columns.values())
    return [(name, distinct[0][1])] if name and len(distinct) == 1 else distinct


def _score_table(
    title: str, target: Json, columns: Sequence[tuple[str, dict[str, Json]]], languages: Json
) -> TableView:
    order = dict.fromkeys(code for _, by_language in columns for code in by_language)
    codes = sorted(
        (code for code in order if code in languages), key=lambda code: _order({"language": code}, languages)
    )
    means = [code for code in (ZERO_SHOT, MEAN) if code in order]
    means += [code for code in order if code not in (*languages, *means)]
    learned, decimals = target.get("trained_in", ()), 3 if str(target.get("metric")).endswith("_loss") else 1
    lines = tuple(
        (
            _language_cell(code, languages[code], code in learned)
            if code in languages
            else Cell(MEANS.get(code, code)),
            *(_score_cell(by_language.get(code), decimals) for _, by_language in columns),
        )
        for code in (*means, *codes)
    )
    return TableView(f"scores-{title}", title, ("language", *(name for name, _ in columns)), lines, folded=False)


def _score_cell(row: Json | None, decimals: int) -> Cell:
    if row is None:
        return Cell(NOTHING)
    cell = tables.number(row["estimate"], decimals, row["keys"])
    deviation = row.get("deviation")
    return (
        replace(cell, text=f"{cell.text} ± {tables.number(deviation, decimals).text}") if is_known(deviation) else cell
    )


# Gains.


def _gains(report: Json) -> Section:
    """Return the mean gains of each encoder as a heat map: settings down, targets across."""
    means = list(_mean_gains(report))
    largest = max((abs(row["estimate"]) for row in means), default=0.0)
    collapsed = _collapsed_keys(report)
    blocks = tuple(
        _heat_map(encoder, rows, largest, collapsed) for (encoder,), rows in _grouped(means, "encoder").items()
    )
    about = (
        "The score with an intermediate phase minus the score without, paired by seed: the mean over the zero-shot "
        "languages, in which the target has no training data (over all, where it has some in each). "
        f"Hatched cells with a circle are undecided: their interval includes zero. {UNITS}"
    ) + (" † A training behind it ended no better than chance." if collapsed else "")
    if any(row.get("repeats_training_data") for row in means):
        about += " ‡ The intermediate phase trains on the target's own training data, or on translations of them."
    return Section("gains", "Gains by target and intermediate task", blocks, about)


def _mean_gains(report: Json) -> Iterator[Json]:
    """Yield the mean gain of each arm: over the zero-shot languages where the report has it, else over all."""
    rows = [row for row in report.get("gains", ()) if row["language"] in (MEAN, ZERO_SHOT)]
    for group in _grouped((row for row in rows if is_known(row["estimate"])), *SETTING).values():
        yield next((row for row in group if row["language"] == ZERO_SHOT), group[0])


def _heat_map(encoder: str, rows: Sequence[Json], largest: float, collapsed: frozenset[str]) -> TableView:
    targets = list(dict.fromkeys(row["target"] for row in rows))
    columns, lines = varying(rows, "intermediate", "recipe"), []
    for group in _grouped(rows, "intermediate", "recipe").values():
        by_target = {row["target"]: row for row in group}
        cells = (_heat_cell(by_target.get(target), largest, collapsed) for target in targets)
        lines.append((Cell(label(group[0], columns)), *cells))
    title = f"Mean gains of {encoder}" + (f", after {after}" if (after := _only(rows, "intermediate")) else "")
    return TableView(f"gains-{encoder}", title, ("setting", *targets), tuple(lines), folded=False)


def _heat_cell(row: Json | None, largest: float, collapsed: frozenset[str]) -> Cell:
    if row is None:
        return Cell(NOTHING)
    cell = tables.signed(row["estimate"], 2, row["keys"])
    tone = round(STEPS * row["estimate"] / largest) if largest else 0
    mark = " †" if collapsed.intersection(row["keys"]) else ""
    mark += " ‡" if row.get("repeats_training_data") else ""
    shown = f"{cell.text} {tables.signed_interval(row['low'], row['high'], 1)}".strip()
    return Cell(shown + mark, cell.value, cell.keys, tone, is_undecided(row))


def _gains_by_language(report: Json) -> Section:
    """Return the gains of each language with their intervals drawn: one table for each encoder and target."""
    languages = report.get("settings", {}).get("languages", {})
    rows = [row for row in report.get("gains", ()) if row["language"] not in (MEAN, ZERO_SHOT)]
    rows = sorted((row for row in rows if is_known(row["estimate"])), key=lambda row: _order(row, languages))
    blocks = tuple(
        _language_table(_gain_title(target, encoder, group), group, languages, number > 0)
        for number, ((target, encoder), group) in enumerate(_grouped(rows, "target", "encoder").items())
    )
    about = (
        "The score with an intermediate phase minus the score without. A full mark is a gain whose interval lies on "
        f"one side of zero, an empty one is undecided. The marks of a table share a scale. {ARROWS} {UNITS} Distances "
        "are steps from English: one to a language of its branch, two to one of its family, three to others; between "
        "artificial languages, the share of their features that differ."
    )
    return Section("languages", "Gains by language", (*charts.language_plots(report), *blocks), about)


def _gain_title(target: str, encoder: str, rows: Sequence[Json]) -> str:
    after = _only(rows, "intermediate")
    return f"{target}, {encoder}" + (f", after {after}" if after else "")


def _language_table(title: str, rows: Sequence[Json], languages: Json, folded: bool) -> TableView:
    settings = {setting: group[0] for setting, group in _grouped(rows, "intermediate", "recipe").items()}
    scale = charts.scale(row[side] for row in rows for side in ("estimate", "low", "high"))
    lines = []
    for (code,), group in _grouped(rows, "language").items():
        about = languages.get(code, {})
        by_setting = {(row["intermediate"], row.get("recipe")): row for row in group}
        facts = (tables.number(about.get("distance")), *_cells(about, ("family", "script")))
        gains = (_gain_cell(by_setting.get(setting), scale) for setting in settings)
        lines.append((_language_cell(code, about, group[0].get("in_training_language", False)), *gains, *facts))
    across = (label(first, varying(rows, "intermediate", "recipe")) for first in settings.values())
    columns = ("language", *across, "distance", "family", "script")
    folded = folded or len(lines) > FOLDED_FROM
    note = (
        f"The scale of the marks is from {tables.signed(scale[0], 1).text} to {tables.signed(scale[1], 1).text} points."
    )
    return TableView(f"languages-{title}", title, columns, tuple(lines), note, folded=folded)


def _order(row: Json, languages: Json) -> tuple[float, str, str]:
    """Return what the rows of languages are sorted by: distance, then family and script."""
    about = languages.get(row["language"], {})
    return about.get("distance") or 0.0, about.get("family") or "", about.get("script") or ""


def _language_cell(code: str, about: Json, in_training: bool) -> Cell:
    name = f"{about['name']} ({code})" if about.get("name") else code
    return Cell(f"{name}, training" if in_training else name)


def _gain_cell(row: Json | None, scale: tuple[float, float]) -> Cell:
    if row is None:
        return Cell(NOTHING)
    low, high, undecided = row["low"], row["high"], is_undecided(row)
    interval = (low, high) if is_known(low) and is_known(high) else None
    drawing = strip(row["estimate"], interval, scale, not undecided)
    cell_text = f"{tables.signed(row['estimate']).text} {tables.signed_interval(low, high, 1)}".strip()
    return Cell(cell_text, row["estimate"], tuple(row["keys"]), undecided=undecided, drawing=drawing)


# Everything else.


def _all_scores(report: Json) -> Section:
    """Return every score and every gain, to search and to copy."""
    # Losses are small numbers, of which two decimals show little.
    decimals = {target["name"]: 3 if target["metric"].endswith("_loss") else 2 for target in _targets(report)}
    levels = tuple(
        (
            *_cells(row, (*SETTING, "language")),
            tables.number(row["estimate"], decimals.get(row["target"], 2), row["keys"]),
            tables.number(row["low"], decimals.get(row["target"], 2)),
            tables.number(row["high"], decimals.get(row["target"], 2)),
            tables.count(row["n"]),
        )
        for row in report.get("levels", ())
    )
    gains = tuple(
        (
            *_cells(row, (*SETTING, "over_recipe", "language")),
            tables.signed(row["estimate"], 2, row["keys"]),
            tables.signed(row["low"]),
            tables.signed(row["high"]),
            tables.p_value(row.get("p")),
            tables.count(row["n"]),
        )
        for row in report.get("gains", ())
    )
    score_columns = (*SETTING, "language", "score", "low", "high", "seeds")
    gain_columns = (*SETTING, "baseline's recipe", "language", "gain", "low", "high", "p", "seeds")
    views = (
        TableView("scores", "Scores", score_columns, levels, UNITS),
        TableView("all-gains", "Gains", gain_columns, gains, UNITS),
    )
    return Section("scores-and-gains", "All scores and gains", tuple(table.trimmed() for table in views if table.rows))


def _targets(report: Json) -> Sequence[Json]:
    targets: Sequence[Json] = report.get("settings", {}).get("targets", ())
    return targets


def _extras(report: Json) -> Section:
    """Return the tables that the study defines."""
    extras = tuple(
        TableView(
            f"extra-{number}",
            extra["title"],
            tuple(str(column) for column in extra["columns"]),
            tuple(tuple(tables.cell(value) for value in row) for row in extra["rows"]),
            extra.get("note") or "",
        )
        for number, extra in enumerate(report.get("extras", ()), 1)
    )
    return Section("extras", "Further measurements", extras)


def _remarks(report: Json) -> Section:
    """Return what did not go as planned: trainings no better than chance, what is missing, what was rebuilt."""
    rows = tuple(
        (Cell(entry["stage"], None, (_key_of(entry["stage"]),)), Cell(entry["why"]))
        for entry in report.get("collapsed", ())
    )
    blocks: list[TableView | Listing] = []
    if rows:
        blocks.append(TableView("collapsed", "No better than chance", ("training", "why"), rows))
    if report.get("repeated"):
        blocks.append(_repeated(report))
    blocks += [Listing(title, tuple(report[name])) for name, title in REMARKS.items() if report.get(name)]
    return Section("remarks", "What did not go as planned", tuple(blocks))


def _repeated(report: Json) -> TableView:
    """Return the trainings that were repeated with another seed, a row for each try."""
    entries, rows = report["repeated"], []
    for entry in entries:
        for number, tried in enumerate(entry["tries"], 1):
            scores, chances = (
                "; ".join(f"{name} {task[figure]:.1f}" for name, task in tried["dev"].items())
                for figure in ("score", "chance")
            )
            rows.append(
                (
                    *_cells(entry, ("training", "encoder", "recipe")),
                    tables.count(entry["seed"]),
                    tables.count(number),
                    Cell(str(tried["seed"]), tried["seed"], (tried["key"],)),
                    Cell(scores),
                    Cell(chances),
                    tables.duration(tried["seconds"]),
                    Cell("no better than chance" if tried["collapsed"] else "above chance"),
                    Cell("yes" if number == len(entry["tries"]) else "no"),
                )
            )
    further = sum(len(entry["tries"]) - 1 for entry in entries)
    last = sum(entry["tries"][-1]["collapsed"] for entry in entries)
    note = (
        f"{text.counted(len(entries), 'training')} repeated, {text.counted(further, 'further try', 'further tries')}; "
        f"{last} no better than chance in the last one too, which stays. Rule, declared beforehand: "
        f"{retries.rule(report.get('retries', 0))}. No test data are looked at. Tables and pairs keep the nominal seed."
    )
    first = ("training", "encoder", "recipe", "nominal seed", "try", "seed used")
    columns = (*first, "development score", "chance", "time", "outcome", "kept")
    return _without_empty_columns(
        TableView("repeated", "Repeated with another seed", columns, tuple(rows), note, folded=False)
    )


def _limits(report: Json) -> Section:
    lines = tuple(report.get("limits", ()))
    return Section("limits", "Limits", (Listing("", lines),) if lines else ())


def _settings(report: Json) -> Section:
    """Return what was run: encoders, tasks, every hyperparameter of every phase, data sizes, languages, seeds."""
    settings = report.get("settings", {})
    lists = {
        "recipes": settings.get("recipes", ()),
        "intermediate tasks": settings.get("intermediates", ()),
        "seeds": settings.get("seeds", ()),
    }
    rows = tuple((Cell(name), Cell(text.listed(values))) for name, values in lists.items() if any(values))
    encoders = tuple(
        (
            Cell(encoder["name"]),
            tables.amount(encoder.get("parameters")),
            tables.amount(encoder.get("without_embeddings")),
            tables.count(encoder.get("layers")),
            tables.count(encoder.get("width")),
            Cell(str(encoder.get("revision") or "")[:12]),
        )
        for encoder in settings.get("encoders", ())
    )
    targets = tuple(
        (*_cells(target, ("name", "format", "metric", "split")), *map(Cell, _target_data(target)))
        for target in _targets(report)
    )
    languages = tuple(
        (Cell(code), *_cells(about, ("name", "family", "script")), tables.number(about.get("distance")))
        for code, about in settings.get("languages", {}).items()
    )
    encoder_columns = ("encoder", "parameters", "without embeddings", "layers", "width", "commit or digest")
    target_columns = ("target", "format", "metric", "split", "training languages", "test examples a language")
    language_columns = ("code", "language", "family", "script", "distance")
    every = (
        TableView("encoders", "Encoders", encoder_columns, encoders, quiet=True),
        *_trainings(report.get("trainings", ())),
        TableView("targets", "Targets", target_columns, targets, quiet=True),
        TableView("settings-lists", "Recipes, intermediate tasks, seeds", ("setting", "values"), rows, quiet=True),
        TableView("all-languages", "Languages", language_columns, languages, quiet=True),
        _versions(report),
    )
    return Section("settings", "What was run", tuple(_without_empty_columns(table) for table in every if table.rows))


def _target_data(target: Json) -> tuple[str, str]:
    """Return the languages of a target's training data, and the sizes of its test sets."""
    sizes = sorted({size for size in target.get("test_examples", {}).values() if is_known(size)})
    return text.listed(target.get("trained_in", ())), _range(sizes)


def _trainings(entries: Sequence[Json]) -> Iterator[TableView]:
    """Yield what all trainings have in common, then for each phase what differs, then the training data."""
    facts = [_training_facts(entry) for entry in entries]
    shared = [name for name in facts[0] if len({fact[name] for fact in facts}) == 1] if facts else []
    differing = [name for name in facts[0] if name not in shared] if facts else []
    common = tuple((Cell(name), Cell(facts[0][name])) for name in shared)
    phases = [(Cell(_phase(entry)), Cell(_arms(entry, entries))) for entry in entries]
    rows = tuple((*phase, *(Cell(fact[name]) for name in differing)) for phase, fact in zip(phases, facts, strict=True))
    data = tuple(
        (Cell(_phase(entry)), Cell(_arms(entry, entries)), *_data_cells(part))
        for entry in _by_data(entries)
        for part in entry["data"]
    )
    note = (
        "Hyperparameters are named as in recipes; where steps are given, epochs are unused. Tokens are of a whole "
        "training, without padding."
    )
    columns = ("phase", "arms", *differing)
    title = "Hyperparameters and steps that all trainings have in common"
    yield TableView("common", title, ("name", "value"), common, folded=False, quiet=True)
    yield TableView("trainings", "Hyperparameters and steps that differ", columns, rows, note, folded=False, quiet=True)
    data_note = "An input is an example as the encoder sees it: of a question with a long context, a window."
    yield TableView("training-data", "Training data", DATA_COLUMNS, data, data_note, folded=False, quiet=True)


def _by_data(entries: Sequence[Json]) -> list[Json]:
    """Return trainings, of which those that differ in hyperparameters alone are one, with the arms of all of them."""
    merged: dict[str, Json] = {}
    for entry in entries:
        same = json.dumps([entry["role"], entry["data"]], sort_keys=True)
        arms = [*merged[same]["arms"], *entry["arms"]] if same in merged else entry["arms"]
        merged[same] = {**entry, "arms": arms}
    return list(merged.values())


DATA_COLUMNS = (
    *("phase", "arms", "task", "format", "languages", "inputs", "examples drawn", "held out for development"),
    *("weight in every step", "language sampling exponent"),
)


def _data_cells(part: Json) -> tuple[Cell, ...]:
    """Return what is known of one training set, in the order of `DATA_COLUMNS`."""
    weight, alpha = part["every_step_weight"], part["language_sampling_exponent"]
    return (
        *_cells(part, ("task", "format")),
        Cell(text.listed(part["languages"])),
        Cell(_range(part["inputs"])),
        Cell(str(part["shots"] or "")),
        Cell(_range(part["held_out"])),
        Cell("" if weight is None else f"{weight:g}"),
        Cell("" if alpha == 1 else f"{alpha:g}"),
    )


def _phase(entry: Json) -> str:
    return f"{entry['role']}: {' + '.join(data['task'] for data in entry['data'])}"


def _training_facts(entry: Json) -> dict[str, str]:
    """Return every hyperparameter of a training and what was counted, as text by its name."""
    recipe = {name: _setting_text(name, value) for name, value in entry["hyperparameters"].items()}
    if entry["hyperparameters"].get("steps") is not None and "epochs" in recipe:
        recipe["epochs"] = f"{recipe['epochs']} (unused)"
    counted = {
        "encoder": entry["encoder"],
        "steps taken": _range(entry["steps"]),
        "tokens": _range(entry["tokens"]),
        "parameters with the head": _range(entry["parameters"]),
        "trained parameters": _range(entry["trained_parameters"]),
        "precision": text.listed(entry["precision"]),
        "seeds": text.listed(entry["seeds"]),
    }
    return {**recipe, **counted}


def _setting_text(name: str, value: Any) -> str:
    """Return the value of a hyperparameter."""
    if isinstance(value, Mapping):
        return ", ".join(f"{part} {number}" for part, number in value.items())
    if value is None:
        return NOT_SET.get(name, NOTHING)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _range(values: Sequence[float]) -> str:
    """Return a count, or the smallest and the largest of several."""
    ends = [values[0], values[-1]] if len(values) > 1 else values
    return " to ".join(tables.count(value).text for value in ends)


def _arms(entry: Json, entries: Sequence[Json]) -> str:
    """Return the names of the arms that have a training: "all", or those of a few and how many more there are."""
    of_role = {tuple(arm) for other in entries if other["role"] == entry["role"] for arm in other["arms"]}
    targets = {target for _, _, target in entry["arms"]}
    if {tuple(arm) for arm in entry["arms"]} == {arm for arm in of_role if arm[-1] in targets}:
        return "all"
    names = list(dict.fromkeys(_arm_name(entry["role"], *arm) for arm in entry["arms"]))
    return "; ".join(
        [*names[:ARMS_NAMED], *([f"and {len(names) - ARMS_NAMED} more"] if len(names) > ARMS_NAMED else [])]
    )


def _arm_name(role: str, recipe: str, intermediate: str, target: str) -> str:
    after = BASELINE if intermediate == BASELINE else f"after {intermediate}"
    return " · ".join(filter(None, (after if role == TARGET else "", recipe)))


def _without_empty_columns(table: TableView) -> TableView:
    """Return a table without the columns in which no row has anything: older reports have fewer facts."""
    return table.without_columns(
        at for at in range(len(table.columns)) if all(row[at].text in ("", NOTHING) for row in table.rows)
    )


def _versions(report: Json) -> TableView:
    """Return the versions of all software, the devices and the study file."""
    facts, study = report.get("reproduce", {}), report.get("study", {})
    rows = [(Cell(name), Cell(str(version))) for name, version in facts.get("versions", {}).items()]
    rows += [(Cell("device"), Cell(str(device))) for device in facts.get("devices", ())]
    rows += [(Cell("study file"), Cell(f"{study['file']}, digest {study['digest']}"))] if study.get("file") else []
    return TableView("versions", "Versions and devices", ("name", "version"), tuple(rows), quiet=True)


def _reproduction(report: Json) -> Section:
    """Return the commands."""
    commands = tuple(report.get("reproduce", {}).get("commands", ()))
    blocks = (Listing("", commands, commands=True),) if commands else ()
    return Section("reproduce", "How to reproduce it", blocks)


def _stages(report: Json) -> Section:
    """Return the table of stages that all numbers link to."""
    rows, anchors = [], []
    for key, stage in report.get("stages", {}).items():
        digests = "; ".join(f"{name} {digest[:12]}" for name, digest in stage.get("files", {}).items())
        name, work = Cell(str(stage.get("label", ""))), Cell(str(stage.get("work", "")).rpartition(".")[2])
        inputs = Cell("", None, tuple(stage.get("inputs", ())))
        rows.append((Cell(key), name, work, tables.duration(stage.get("seconds")), inputs, Cell(digests)))
        anchors.append(f"stage-{key}")
    columns = ("key", "label", "work", "time", "inputs", "files")
    note = "The file digests are the first characters of SHA-256; report.json has them in full."
    about = (
        "Each row is one computation that the program keeps: a training, the predictions of a model on a test set, or "
        "their score. Its key is a hash of all that it depends on; every number of this page links to its rows."
    )
    table = TableView("stages", "Stages", columns, tuple(rows), note, tuple(anchors))
    return Section("made", "Where the numbers come from", (table,) if rows else (), about if rows else "")
