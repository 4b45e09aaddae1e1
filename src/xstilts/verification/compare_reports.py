"""Compare reports: two reports side by side: the scores, gains, verdicts and costs of both, and what differs.

Scores and gains of the same setting are subtracted, the first from the second. The interval of a difference is made
from both intervals (Zou and Donner 2008: the squared distances to the limits add up), as if the two shared nothing:
where they share seeds or examples it is too wide, never too narrow.

>>> difference({"estimate": 1.0, "low": 0.0, "high": 2.0}, {"estimate": 4.0, "low": 4.0, "high": 4.0})
(3.0, 2.0, 4.0)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from xstilts.claims.claim import LEVEL
from xstilts.errors import InputError
from xstilts.reporting import study_report
from xstilts.reporting.charts import axis_label
from xstilts.reporting.page import Listing, Page, Section, save
from xstilts.reporting.study_page import SETTING
from xstilts.reporting.study_report import MEAN, ZERO_SHOT
from xstilts.runtime import tables
from xstilts.runtime.tables import NOTHING, Cell, TableView, is_known
from xstilts.runtime.text import counted, listed
from xstilts.sandbox import notice

DIFFERS = "differs"
OUT = Path("comparison")
MEANS = (MEAN, ZERO_SHOT)
Json = Mapping[str, Any]
Place = tuple[str, ...]  # the values of PLACE of a row
PLACE = (*SETTING, "over_recipe", "language")


def write(first: Path, second: Path, out: Path | None = None) -> tuple[Path, ...]:
    """Compare the folders of two studies, or two stores, on a page.

    Args:
        first: The folder of a study, or a store.
        second: Another one of the same type.
        out: Where to write; by default `comparison/`.

    Returns:
        `comparison.html` and `comparison.md`.

    Raises:
        InputError: The folders are not of one type, or a report is not a study's.
    """
    from xstilts.verification import compare_stores

    have_report = [(folder / study_report.REPORT).is_file() for folder in (first, second)]
    if all(have_report):
        reports = study_report.read(first), study_report.read(second)
        for folder, report in zip((first, second), reports, strict=True):
            if "verdicts" not in report or "settings" not in report:
                raise InputError(f"{folder} has no report of a study, which alone can be compared: give two studies")
        comparison = page(*reports, (str(first), str(second)))
    elif not any(have_report) and all(compare_stores.is_store(folder) for folder in (first, second)):
        comparison = compare_stores.page(first, second)
    else:
        raise InputError(
            f"{first} and {second} are neither two folders with {study_report.REPORT} nor two stores: "
            "give two of the same type"
        )
    return save(comparison, out or OUT, "comparison.html", "comparison.md")


def page(first: Json, second: Json, names: tuple[str, str] = ("first", "second")) -> Page:
    """Return the page that compares two reports.

    Args:
        first: A report.
        second: Another one.
        names: The names that the page gives them.

    Returns:
        The page.
    """
    incomparable: list[str] = []
    shared = tuple(_differences(first, second, names, incomparable))
    verdicts = _verdicts(first, second, names, incomparable)
    intervals = (
        f"The second minus the first, with {LEVEL:.0%} intervals that are not corrected for their number. They assume "
        "that the reports share neither seeds nor examples, and are too wide where they do, never too narrow."
    )
    sections = [
        Section("settings", "What was run", (_settings(first, second, names),)),
        verdicts,
        Section("differences", "Differences", (*_decided(shared), *shared), intervals),
        Section("costs", "Cost ratios", tuple(_ratios(first, second, names, incomparable)), _devices(first, second)),
    ]
    if incomparable:
        listing = Listing("", tuple(dict.fromkeys(incomparable)))
        sections.append(Section("apart", "What cannot be compared", (listing,)))
    return Page(
        source="comparison",
        title=f"How does {names[1]} differ from {names[0]}?",
        answer=_answer(shared, verdicts),
        about=(f"{names[0]}: {first['question']}", f"{names[1]}: {second['question']}"),
        notice=notice(row["language"] for report in (first, second) for row in report.get("rows", ())),
        sections=tuple(section for section in sections if section.blocks),
    )


def difference(first: Json, second: Json) -> tuple[float, float | None, float | None]:
    """Return by how much the second estimate exceeds the first, and its interval where both have one.

    Args:
        first: An estimate of the first report: an entry of `levels` or `gains` with its interval.
        second: The same of the second report.

    Returns:
        The difference, and the ends of its interval, None where an estimate has none. The two are taken as independent.
    """
    value = second["estimate"] - first["estimate"]
    if not all(is_known(row[side]) for row in (first, second) for side in ("low", "high")):
        return value, None, None
    down = math.hypot(first["high"] - first["estimate"], second["estimate"] - second["low"])
    up = math.hypot(first["estimate"] - first["low"], second["high"] - second["estimate"])
    return value, value - down, value + up


def _answer(shared: Sequence[TableView], verdicts: Section) -> str:
    rows = [row for table in shared for row in table.rows]
    decided = [row for row in rows if row[-1].text == DIFFERS]
    changed = next((len(table.rows) for table in verdicts.tables() if table.name == "turned"), 0)
    if not rows:
        return "The reports have no figure in common."
    return (
        f"Of {counted(len(rows), 'figure')} that both have, {len(decided)} differ: the {LEVEL:.0%} interval of the "
        f"difference leaves out zero, not corrected for their number. Verdicts that differ: {changed}."
    )


def _settings(first: Json, second: Json, names: Sequence[str]) -> TableView:
    rows = []
    setting_names = [_setting_names(report["settings"]) for report in (first, second)]
    for setting in setting_names[0]:
        in_first, in_second = (list(map(str, values[setting])) for values in setting_names)
        parts = (
            [name for name in in_first if name in in_second],
            [name for name in in_first if name not in in_second],
            [name for name in in_second if name not in in_first],
        )
        rows.append((Cell(setting), *(Cell(listed(part) or NOTHING) for part in parts)))
    columns = ("setting", "in both", f"only in {names[0]}", f"only in {names[1]}")
    return TableView("settings", "Settings", columns, tuple(rows), quiet=True)


def _setting_names(settings: Json) -> dict[str, list[Any]]:
    objects = {name: [entry["name"] for entry in settings.get(name, ())] for name in ("encoders", "targets")}
    values = {
        name: [value for value in settings.get(name, ()) if value] for name in ("recipes", "intermediates", "seeds")
    }
    return {**objects, **values, "languages": list(settings.get("languages", ()))}


def _verdicts(first: Json, second: Json, names: Sequence[str], incomparable: list[str]) -> Section:
    """Return the verdicts that differ and those that agree; claims that are not the same cannot be compared."""
    first_verdicts, second_verdicts = (
        {verdict["name"]: verdict for verdict in report["verdicts"]} for report in (first, second)
    )
    different: list[tuple[Json, Json]] = []
    equal: list[tuple[Json, Json]] = []
    for name, verdict in first_verdicts.items():
        if name not in second_verdicts:
            incomparable.append(f"the claim '{verdict['sentence']}' is only in {names[0]}")
        elif changed := [
            part for part in ("measure", "expectation", "margin") if verdict[part] != second_verdicts[name][part]
        ]:
            incomparable.append(f"the claim '{verdict['sentence']}' has another {' and '.join(changed)} in {names[1]}")
        else:
            (equal if verdict["status"] == second_verdicts[name]["status"] else different).append(
                (verdict, second_verdicts[name])
            )
    incomparable += [
        f"the claim '{verdict['sentence']}' is only in {names[1]}"
        for name, verdict in second_verdicts.items()
        if name not in first_verdicts
    ]
    columns = ("claim", names[0], names[1], f"why in {names[0]}", f"why in {names[1]}")
    views = (
        TableView("turned", "Verdicts that differ", columns, tuple(map(_verdict_row, different))),
        TableView("kept", "Verdicts that are the same", columns, tuple(map(_verdict_row, equal)), folded=True),
    )
    return Section("verdicts-of-both", "Verdicts", tuple(table for table in views if table.rows))


def _verdict_row(pair: tuple[Json, Json]) -> tuple[Cell, ...]:
    first, second = pair
    texts = (first["sentence"], first["status"], second["status"], first["why"], second["why"])
    return tuple(Cell(text) for text in texts)


def _differences(first: Json, second: Json, names: Sequence[str], incomparable: list[str]) -> Iterator[TableView]:
    """Yield scores and gains of both with their differences; those of one report alone are counted."""
    other_metric = _targets_measured_otherwise(first, second, incomparable)
    for name, title in (("levels", "Scores"), ("gains", "Gains")):
        first_rows, second_rows = _by_place(first, name), _by_place(second, name)
        for report, alone in (
            (names[0], set(first_rows) - set(second_rows)),
            (names[1], set(second_rows) - set(first_rows)),
        ):
            incomparable += [f"{title.lower()} only in {report}: {len(alone)}"] if alone else []
        shared = [place for place in first_rows if place in second_rows and place[3] not in other_metric]
        languages = [
            {place: _mean_over(rows, place) for place in shared if place[-1] in MEANS}
            for rows in (first_rows, second_rows)
        ]
        means = [place for place in languages[0] if languages[0][place] != languages[1][place]]
        incomparable += [f"the mean of {', '.join(filter(None, place[:4]))}: over other languages" for place in means]
        rows = tuple(
            _difference_row(place, first_rows[place], second_rows[place]) for place in shared if place not in means
        )
        columns = (*SETTING, "baseline's recipe", "language", *names, "difference", "low", "high", "verdict")
        if rows:
            yield TableView(name, title, columns, rows)


def _decided(shared: Sequence[TableView]) -> Iterator[TableView]:
    """Yield each table with only those rows whose interval leaves out zero."""
    for table in shared:
        rows = tuple(row for row in table.rows if row[-1].text == DIFFERS)
        if rows:
            yield replace(table, name=f"{table.name}-decided", title=f"{table.title} that differ", rows=rows)


def _difference_row(place: Place, first: Json, second: Json) -> tuple[Cell, ...]:
    value, low, high = difference(first, second)
    figures = (tables.number(first["estimate"]), tables.number(second["estimate"]), tables.signed(value))
    if first["keys"] and set(first["keys"]) == set(second["keys"]):
        status = "the same stages"
    elif low is None or high is None:
        status = "no interval in both"
    else:
        status = "undecided" if low <= 0 <= high else DIFFERS
    return (*map(Cell, place), *figures, tables.signed(low), tables.signed(high), Cell(status))


def _targets_measured_otherwise(first: Json, second: Json, incomparable: list[str]) -> set[str]:
    """Return the targets with another metric or another format, as far as both reports have these."""
    first_targets, second_targets = (
        {part["name"]: part for part in report["settings"].get("targets", ())} for report in (first, second)
    )
    targets = set()
    for name in (name for name in first_targets if name in second_targets):
        for column in ("metric", "format"):
            first_value, second_value = first_targets[name].get(column), second_targets[name].get(column)
            if first_value and second_value and first_value != second_value:
                incomparable.append(f"{name}: {column} {first_value} in one, {second_value} in the other")
                targets.add(name)
    return targets


def _by_place(report: Json, name: str) -> dict[Place, Json]:
    rows = (row for row in report.get(name, ()) if is_known(row["estimate"]))
    return {tuple(str(row.get(column) or "") for column in PLACE): row for row in rows}


def _mean_over(rows: Mapping[Place, Json], place: Place) -> set[str]:
    """Return the languages that a mean is over, as far as the report says which ones have training data."""
    alone = {at[-1]: row for at, row in rows.items() if at[:-1] == place[:-1] and at[-1] not in MEANS}
    return {code for code, row in alone.items() if place[-1] == MEAN or not row.get("in_training_language")}


def _ratios(first: Json, second: Json, names: Sequence[str], incomparable: list[str]) -> Iterator[TableView]:
    """Yield the costs of each setting in the second report over those in the first: medians over seeds."""
    first_costs, second_costs = _median_costs(first), _median_costs(second)
    figures = [
        name
        for name in dict.fromkeys(name for _, name in first_costs)
        if any(name == other for _, other in second_costs)
    ]
    shared = [
        place for place in dict.fromkeys(place for place, _ in first_costs) if any(place == p for p, _ in second_costs)
    ]
    rows = []
    for place in shared:
        ratios = [
            second_costs[place, name] / first_costs[place, name]
            if (place, name) in second_costs and first_costs.get((place, name))
            else None
            for name in figures
        ]
        if any(map(is_known, ratios)):
            rows.append((*map(Cell, place), *map(tables.number, ratios)))
    if rows:
        title = f"{names[1]} over {names[0]}, medians over seeds"
        yield TableView("ratios", title, (*SETTING, *map(axis_label, figures)), tuple(rows))
    elif first_costs or second_costs:
        incomparable.append("costs: both reports have costs of no common setting")


def _median_costs(report: Json) -> dict[tuple[Place, str], float]:
    values: dict[tuple[Place, str], list[float]] = {}
    for row in report.get("costs", ()):
        place = tuple(str(row.get(column) or "") for column in SETTING)
        for name, value in row["figures"].items():
            if is_known(value):
                values.setdefault((place, name), []).append(value)
    return {at: median(by_seed) for at, by_seed in values.items()}


def _devices(first: Json, second: Json) -> str:
    before, after = (report.get("reproduce", {}).get("devices", []) for report in (first, second))
    if before == after:
        return ""
    return f"Times are of different devices: {', '.join(before) or 'unknown'}; {', '.join(after) or 'unknown'}."
