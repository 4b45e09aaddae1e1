"""Study page: the page of a study, made from its `report.json` alone: `report.html` and, shorter, `report.md`.

All numbers are those of the file; a part of the report without data makes no section. The same report gives the same
bytes.

>>> made = page({"question": "Does it help?", "answer": "Not decided.", "limits": ["Artificial languages only."]})
>>> made.title, [section.name for section in made.sections]
('Does it help?', ['limits'])
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xstilts.claims.claim import COMPARED, LEVEL
from xstilts.experiments import retries
from xstilts.reporting import charts, study_report
from xstilts.reporting.charts import label, strip, varying
from xstilts.reporting.page import Listing, Page, Section, VerdictView, save
from xstilts.reporting.study_report import MEAN, ZERO_SHOT
from xstilts.runtime import tables, text
from xstilts.runtime.tables import NOTHING, Cell, TableView, is_known

Json = Mapping[str, Any]
HTML, MARKDOWN = "report.html", "report.md"
SETTING = ("encoder", "recipe", "intermediate", "target")
STEPS = 5  # of the diverging colour scale, on each side of zero
FOLDED_FROM = 60  # languages from which the first table of gains is folded too
UNITS = f"Intervals are at the {LEVEL:.0%} level, each by itself."
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
    return save(page(study_report.read(folder)), out or folder, HTML, MARKDOWN)


def page(report: Json) -> Page:
    """Return the page of a report."""
    study, collapsed = report.get("study", {}), _collapsed_keys(report)
    scales = _scales(report)
    return Page(
        source=" · ".join(filter(None, ("study", study.get("name"), study.get("scale")))),
        title=report["question"],
        answer=" ".join(filter(None, (report["answer"], _collapse_warning(len(collapsed))))),
        about=tuple(filter(None, (report.get("about") or "").split("\n\n"))),
        verdicts=tuple(
            _verdict(verdict, scales, collapsed)
            for verdict in report.get("verdicts", ())
            if not verdict.get("descriptive")
        ),
        sections=_sections(report),
        inputs={key: tuple(stage.get("inputs", ())) for key, stage in report.get("stages", {}).items()},
    )


def _sections(report: Json) -> tuple[Section, ...]:
    """Return the sections that have something to show, in the order of reading."""
    sections = (
        _findings(report),
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


def _collapse_warning(count: int) -> str:
    return f"{count} training{'s' if count > 1 else ''} behind this ended no better than chance." if count else ""


# Verdicts.


def _verdict(verdict: Json, scales: Mapping[str, tuple[float, float]], collapsed: frozenset[str]) -> VerdictView:
    comparison = verdict.get("published")
    published = None
    if comparison:
        published = VerdictView("", _place(comparison), comparison["status"], comparison["why"])
    facts = tuple(_facts(verdict, scales))
    if count := len(collapsed.intersection(verdict.get("keys", ()))):
        facts += (("no better than chance", Cell(f"{count} of the trainings behind it")),)
    return VerdictView(verdict["name"], verdict["sentence"], verdict["status"], verdict["why"], facts, published)


def _facts(verdict: Json, scales: Mapping[str, tuple[float, float]]) -> Iterator[tuple[str, Cell]]:
    """Yield the numbers behind a verdict that are known, each with its label."""
    unit = verdict.get("unit") or ""
    if is_known(verdict.get("estimate")):
        yield "estimate", _estimate(verdict, unit, scales[unit])
    expected = COMPARED.get(verdict["expectation"], verdict["expectation"])
    yield "expected", Cell(f"{expected} {tables.cell(float(verdict['margin'])).text} {unit}".strip())
    if is_known(verdict.get("p_holm")):
        yield "p, corrected", tables.p_value(verdict["p_holm"])
    if verdict.get("n_replicates"):
        yield "replicates", tables.count(verdict["n_replicates"])
    if is_known(verdict.get("detectable")):
        cell_text = f"{tables.number(verdict['detectable']).text} {unit}".strip()
        yield "detectable with 80 % power", Cell(cell_text, verdict["detectable"])
    if verdict.get("seeds_needed"):
        yield "replicates needed", tables.count(verdict["seeds_needed"])
    if verdict.get("by_construction"):
        yield "note", Cell("true by construction")


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
            Cell(_published(verdict) or ("" if is_known(verdict.get("estimate")) else verdict["why"])),
        )
        for verdict in report.get("verdicts", ())
        if verdict.get("descriptive")
    )
    columns = ("finding", "estimate", "replicates", "note")
    table = _without_empty_columns(TableView("findings-table", "Findings", columns, rows, folded=False))
    about = (
        "Each sentence is what was looked at, and not a result: no verdict is given, because every further test would "
        f"make those above harder to decide. {UNITS}"
    )
    return Section("findings", "Described, not tested", (table,) if rows else (), about)


def _published(verdict: Json) -> str:
    """Return the published figure that a verdict is compared with; "" for none."""
    comparison = verdict.get("published")
    return f"{_place(comparison)}: {comparison['status']}, {comparison['why']}" if comparison else ""


def _estimate(verdict: Json, unit: str, scale: tuple[float, float]) -> Cell:
    low, high = verdict.get("interval") or (None, None)
    value, margin = verdict["estimate"], verdict["margin"]
    ticks = (-margin, margin) if verdict["expectation"] == "equivalent" else (margin,)
    interval = verdict["interval"] if is_known(low) and is_known(high) else None
    drawing = strip(value, interval, scale, verdict["status"] in ("holds", "fails"), ticks)
    cell_text = f"{tables.signed(value).text} {unit} {tables.signed_interval(low, high)}"
    return Cell(" ".join(cell_text.split()), value, tuple(verdict.get("keys", ())), drawing=drawing)


def _scales(report: Json) -> dict[str, tuple[float, float]]:
    """Return for each unit the ends of the scale on which all its verdicts are drawn."""
    values: dict[str, list[float]] = {}
    for verdict in report.get("verdicts", ()):
        margins = (verdict["margin"], -verdict["margin"] if verdict["expectation"] == "equivalent" else None)
        drawn = (verdict.get("estimate"), *margins, *(verdict.get("interval") or ()))
        values.setdefault(verdict.get("unit") or "", [0.0]).extend(value for value in drawn if is_known(value))
    return {unit: (min(of_unit), max(of_unit)) for unit, of_unit in values.items()}


def _place(published: Json) -> str:
    where = (published.get(column) for column in ("paper", "table", "row", "column"))
    return ", ".join(str(part) for part in where if part)


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
        f"Hatched cells with an empty mark are undecided: their interval includes zero. {UNITS}"
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
    title = f"Mean gains of {encoder}"
    return TableView(f"gains-{encoder}", title, ("intermediate", *targets), tuple(lines), folded=False)


def _heat_cell(row: Json | None, largest: float, collapsed: frozenset[str]) -> Cell:
    if row is None:
        return Cell(NOTHING)
    cell = tables.signed(row["estimate"], 2, row["keys"])
    tone = round(STEPS * row["estimate"] / largest) if largest else 0
    mark = " †" if collapsed.intersection(row["keys"]) else ""
    mark += " ‡" if row.get("repeats_training_data") else ""
    return Cell(cell.text + mark, cell.value, cell.keys, tone, is_undecided(row))


def _gains_by_language(report: Json) -> Section:
    """Return the gains of each language with their intervals drawn: one table for each encoder and target."""
    languages = report.get("settings", {}).get("languages", {})
    rows = [row for row in report.get("gains", ()) if row["language"] not in (MEAN, ZERO_SHOT)]
    rows = sorted((row for row in rows if is_known(row["estimate"])), key=lambda row: _order(row, languages))
    blocks = tuple(
        _language_table(f"{target}, {encoder}", group, languages, number > 0)
        for number, ((target, encoder), group) in enumerate(_grouped(rows, "target", "encoder").items())
    )
    about = (
        "A full mark is a gain whose interval lies on one side of zero, an empty one is undecided. "
        "The marks of one table share one scale; the tick is zero. Distances are steps from English: one to "
        "a language of its branch, two to one of its family, three to others; between artificial languages, the share "
        "of their features that differ."
    )
    return Section("languages", "Gains by language", blocks, about)


def _language_table(title: str, rows: Sequence[Json], languages: Json, folded: bool) -> TableView:
    settings = {setting: group[0] for setting, group in _grouped(rows, "intermediate", "recipe").items()}
    values = [row[side] for row in rows for side in ("estimate", "low", "high") if is_known(row[side])]
    scale = min([0.0, *values]), max([0.0, *values])
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
    return TableView(f"languages-{title}", title, columns, tuple(lines), folded=folded)


def _order(row: Json, languages: Json) -> tuple[float, str, str]:
    """Return what the rows of languages are sorted by: distance, then family and script."""
    about = languages.get(row["language"], {})
    return about.get("distance") or 0.0, about.get("family") or "", about.get("script") or ""


def _language_cell(code: str, about: Json, in_training: bool) -> Cell:
    name = f"{about['name']} ({code})" if about.get("name") else code
    return Cell(f"{name}, training language" if in_training else name)


def _gain_cell(row: Json | None, scale: tuple[float, float]) -> Cell:
    if row is None:
        return Cell(NOTHING)
    low, high, undecided = row["low"], row["high"], is_undecided(row)
    interval = (low, high) if is_known(low) and is_known(high) else None
    drawing = strip(row["estimate"], interval, scale, not undecided)
    cell_text = f"{tables.signed(row['estimate']).text} {tables.signed_interval(low, high)}".strip()
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
    """Return what was run: encoders, recipes, tasks, languages, seeds."""
    settings = report.get("settings", {})
    lists = {
        "recipes": settings.get("recipes", ()),
        "intermediate tasks": settings.get("intermediates", ()),
        "seeds": settings.get("seeds", ()),
    }
    rows = tuple((Cell(name), Cell(text.listed(values))) for name, values in lists.items() if any(values))
    encoders = tuple(
        (Cell(encoder["name"]), tables.amount(encoder.get("parameters")), tables.count(encoder.get("layers")))
        for encoder in settings.get("encoders", ())
    )
    targets = tuple(_cells(target, ("name", "format", "metric")) for target in _targets(report))
    languages = tuple(
        (Cell(code), *_cells(about, ("name", "family", "script")), tables.number(about.get("distance")))
        for code, about in settings.get("languages", {}).items()
    )
    language_columns = ("code", "language", "family", "script", "distance")
    every = (
        TableView("encoders", "Encoders", ("encoder", "parameters", "layers"), encoders, quiet=True),
        TableView("settings-lists", "Recipes, intermediate tasks, seeds", ("setting", "values"), rows, quiet=True),
        TableView("targets", "Targets", ("target", "format", "metric"), targets, quiet=True),
        TableView("all-languages", "Languages", language_columns, languages, quiet=True),
    )
    return Section("settings", "What was run", tuple(_without_empty_columns(table) for table in every if table.rows))


def _without_empty_columns(table: TableView) -> TableView:
    """Return a table without the columns in which no row has anything: older reports have fewer facts."""
    return table.without_columns(
        at for at in range(len(table.columns)) if all(row[at].text in ("", NOTHING) for row in table.rows)
    )


def _reproduction(report: Json) -> Section:
    """Return the commands, the versions and the devices."""
    facts, study = report.get("reproduce", {}), report.get("study", {})
    commands = tuple(facts.get("commands", ()))
    rows = [(Cell(name), Cell(str(version))) for name, version in facts.get("versions", {}).items()]
    rows += [(Cell("device"), Cell(str(device))) for device in facts.get("devices", ())]
    rows += [(Cell("study file"), Cell(f"{study['file']}, digest {study['digest']}"))] if study.get("file") else []
    blocks: list[TableView | Listing] = [Listing("", commands, commands=True)] if commands else []
    if rows:
        blocks.append(TableView("versions", "Versions and devices", ("name", "version"), tuple(rows), quiet=True))
    return Section("reproduce", "How to reproduce it", tuple(blocks))


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
    table = TableView("stages", "Stages", columns, tuple(rows), note, tuple(anchors))
    return Section("made", "Where the numbers come from", (table,) if rows else ())
