"""Compare: two reports or two stores side by side: what both have, how it differs, and what cannot be compared.

Of two reports scores and gains of the same setting are subtracted, second less first. The interval of a difference is
made of the two (Zou and Donner 2008: distances to the limits added as squares), as if they shared nothing: where seeds
or examples are shared it is too wide, never too narrow. Of two stores the same keys ought to hold the same files.

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
from xstilts.reporting import cell_format, report
from xstilts.reporting.cell_format import known
from xstilts.reporting.charts import axis_label
from xstilts.reporting.page import NOTHING, Cell, Listing, Page, Section, TableView
from xstilts.reporting.sections import MEAN, SETTING, ZERO_SHOT
from xstilts.runtime.text import listed

DIFFERS = "differs"
COMPARISON = Path("comparison")
MEANS = (MEAN, ZERO_SHOT)
Json = Mapping[str, Any]
Place = tuple[str, ...]
WHERE = (*SETTING, "over_recipe", "language")


def write(one: Path, other: Path, out: Path | None = None) -> tuple[Path, ...]:
    """Write `comparison.html` and `comparison.md` of two studies' folders, or of two stores; return the files."""
    from xstilts.verification import compare_stores

    both = [(folder / report.REPORT).is_file() for folder in (one, other)]
    if all(both):
        first, second = report.read(one), report.read(other)
        for folder, found in ((one, first), (other, second)):
            if "verdicts" not in found or "settings" not in found:
                raise InputError(
                    f"{folder} is no report of a study, and no other is compared: give two studies' folders"
                )
        made = page(first, second, (str(one), str(other)))
    elif not any(both) and all(compare_stores.is_store(folder) for folder in (one, other)):
        made = compare_stores.page(one, other)
    else:
        raise InputError(
            f"{one} and {other} are neither two folders with {report.REPORT} nor two stores: give two alike"
        )
    return report.save(made, out or COMPARISON, "comparison.html", "comparison.md")


def page(one: Json, other: Json, names: tuple[str, str] = ("first", "second")) -> Page:
    """Return the page that compares two reports."""
    apart: list[str] = []
    found = tuple(_differences(one, other, names, apart))
    made = (
        Section("settings", "What was run", (_settings(one, other, names),)),
        _verdicts(one, other, names, apart),
        Section("differences", "Differences", (*_decided(found), *found), _about()),
        Section("costs", "Cost ratios", tuple(_ratios(one, other, names, apart)), _machines(one, other)),
    )
    told = Section("apart", "What cannot be compared", (Listing("", tuple(dict.fromkeys(apart))),) if apart else ())
    return Page(
        "comparison",
        f"How does {names[1]} differ from {names[0]}?",
        _answer(found, made[1]),
        (f"{names[0]}: {one['question']}", f"{names[1]}: {other['question']}"),
        (),
        tuple(section for section in (*made, told) if section.blocks),
    )


def difference(one: Json, other: Json) -> tuple[float, float | None, float | None]:
    """Return by how much the second estimate exceeds the first, and its interval, where both have one."""
    value = other["estimate"] - one["estimate"]
    if not all(known(row[side]) for row in (one, other) for side in ("low", "high")):
        return value, None, None
    down = math.hypot(one["high"] - one["estimate"], other["estimate"] - other["low"])
    up = math.hypot(one["estimate"] - one["low"], other["high"] - other["estimate"])
    return value, value - down, value + up


def _about() -> str:
    return (
        f"The second less the first, at {LEVEL:.0%}, each by itself. Intervals are made of both as if they shared "
        "nothing: too wide where seeds or examples are shared, never too narrow."
    )


def _decided(found: Sequence[TableView]) -> Iterator[TableView]:
    """Yield the rows alone whose interval does not reach across zero."""
    for sheet in found:
        rows = tuple(row for row in sheet.rows if row[-1].text == DIFFERS)
        if rows:
            yield replace(sheet, name=f"{sheet.name}-decided", caption=f"{sheet.caption} that differ", rows=rows)


def _answer(differences: Sequence[TableView], verdicts: Section) -> str:
    rows = [row for sheet in differences for row in sheet.rows]
    decided = [row for row in rows if row[-1].text == DIFFERS]
    turned = next((len(sheet.rows) for sheet in verdicts.sheets() if sheet.name == "turned"), 0)
    if not rows:
        return "Nothing was measured in both."
    return (
        f"Of {len(rows)} figures that both have, {len(decided)} differ by more than their intervals allow, "
        f"each by itself; verdicts that differ: {turned}."
    )


def _settings(one: Json, other: Json, names: Sequence[str]) -> TableView:
    found = [_names(report_["settings"]) for report_ in (one, other)]
    rows = []
    for what in found[0]:
        first, second = (list(map(str, part[what])) for part in found)
        parts = (
            [name for name in first if name in second],
            [name for name in first if name not in second],
            [name for name in second if name not in first],
        )
        rows.append((Cell(what), *(Cell(listed(part) or NOTHING) for part in parts)))
    columns = ("what", "in both", f"only in {names[0]}", f"only in {names[1]}")
    return TableView("settings", "Settings", columns, tuple(rows), quiet=True)


def _names(settings: Json) -> dict[str, list[Any]]:
    named = {what: [part["name"] for part in settings.get(what, ())] for what in ("encoders", "targets")}
    plain = {what: [name for name in settings.get(what, ()) if name] for what in ("recipes", "intermediates", "seeds")}
    return {**named, **plain, "languages": list(settings.get("languages", ()))}


def _verdicts(one: Json, other: Json, names: Sequence[str], apart: list[str]) -> Section:
    """Return verdicts that differ and those that agree; claims that are not the same go to what cannot be compared."""
    first, second = ({verdict["name"]: verdict for verdict in found["verdicts"]} for found in (one, other))
    turned: list[tuple[Json, Json]] = []
    same: list[tuple[Json, Json]] = []
    for name, verdict in first.items():
        if name not in second:
            apart.append(f"the claim '{verdict['sentence']}' is only in {names[0]}")
        elif changed := [part for part in ("measure", "expectation", "margin") if verdict[part] != second[name][part]]:
            apart.append(f"the claim '{verdict['sentence']}' has another {' and '.join(changed)} in {names[1]}")
        else:
            (same if verdict["status"] == second[name]["status"] else turned).append((verdict, second[name]))
    apart += [f"the claim '{v['sentence']}' is only in {names[1]}" for name, v in second.items() if name not in first]
    columns = ("claim", names[0], names[1], f"why in {names[0]}", f"why in {names[1]}")
    sheets = (
        TableView("turned", "Verdicts that differ", columns, tuple(map(_both, turned))),
        TableView("kept", "Verdicts that are the same", columns, tuple(map(_both, same)), folded=True),
    )
    return Section("verdicts-of-both", "Verdicts", tuple(sheet for sheet in sheets if sheet.rows))


def _both(pair: tuple[Json, Json]) -> tuple[Cell, ...]:
    one, other = pair
    return tuple(Cell(text) for text in (one["sentence"], one["status"], other["status"], one["why"], other["why"]))


def _differences(one: Json, other: Json, names: Sequence[str], apart: list[str]) -> Iterator[TableView]:
    """Yield scores and gains of both with their differences; what only one has is counted."""
    refused = _refused(one, other, apart)
    for what, title in (("levels", "Scores"), ("gains", "Gains")):
        first, second = _placed(one, what), _placed(other, what)
        for name, here, there in ((names[0], first, second), (names[1], second, first)):
            alone = len(set(here) - set(there))
            apart += [f"{title.lower()} only in {name}: {alone}"] if alone else []
        both = [place for place in first if place in second and place[3] not in refused]
        spoken = [{place: _spoken(rows, place) for place in both if place[-1] in MEANS} for rows in (first, second)]
        means = [place for place in spoken[0] if spoken[0][place] != spoken[1][place]]
        apart += [f"the mean of {_said(place)}: over other languages" for place in means]
        rows = [_row(place, first[place], second[place]) for place in both if place not in means]
        columns = (*SETTING, "baseline's recipe", "language", *names, "difference", "low", "high", "verdict")
        if rows:
            yield TableView(what, title, columns, tuple(rows))


def _row(place: Place, one: Json, other: Json) -> tuple[Cell, ...]:
    value, low, high = difference(one, other)
    figures = (cell_format.plain(one["estimate"]), cell_format.plain(other["estimate"]), cell_format.signed(value))
    if one["keys"] and set(one["keys"]) == set(other["keys"]):
        said_ = "the same stages"
    elif low is None or high is None:
        said_ = "no interval in both"
    else:
        said_ = "undecided" if low <= 0 <= high else DIFFERS
    return (*(Cell(part) for part in place), *figures, cell_format.signed(low), cell_format.signed(high), Cell(said_))


def _refused(one: Json, other: Json, apart: list[str]) -> set[str]:
    """Return the targets that are measured in another metric, or as another format, as far as both reports say."""
    first, second = ({part["name"]: part for part in found["settings"].get("targets", ())} for found in (one, other))
    refused = set()
    for name in (name for name in first if name in second):
        for column in ("metric", "format"):
            here, there = first[name].get(column), second[name].get(column)
            if here and there and here != there:
                apart.append(f"{name}: {column} {here} in one, {there} in the other")
                refused.add(name)
    return refused


def _placed(found: Json, what: str) -> dict[Place, Json]:
    rows = (row for row in found.get(what, ()) if known(row["estimate"]))
    return {tuple(str(row.get(column) or "") for column in WHERE): row for row in rows}


def _spoken(rows: Mapping[Place, Json], place: Place) -> set[str]:
    """Return the languages that the mean of a setting is over, as far as its report says in which it was taught."""
    each = {one[-1]: row for one, row in rows.items() if one[:-1] == place[:-1] and one[-1] not in MEANS}
    return {code for code, row in each.items() if place[-1] == MEAN or not row.get("in_training_language")}


def _said(place: Place) -> str:
    return ", ".join(filter(None, place[:4]))


def _ratios(one: Json, other: Json, names: Sequence[str], apart: list[str]) -> Iterator[TableView]:
    """Yield what each setting took, second over first: medians over seeds."""
    first, second = _medians(one), _medians(other)
    figures = [name for name in dict.fromkeys(name for _, name in first) if any(name == n for _, n in second)]
    shared = [place for place in dict.fromkeys(place for place, _ in first) if any(place == p for p, _ in second)]
    rows = []
    for place in shared:
        ratios = [
            second[place, name] / first[place, name] if (place, name) in second and first.get((place, name)) else None
            for name in figures
        ]
        if any(map(known, ratios)):
            rows.append((*(Cell(part) for part in place), *(cell_format.plain(ratio) for ratio in ratios)))
    if rows:
        caption = f"{names[1]} over {names[0]}, medians over seeds"
        yield TableView("ratios", caption, (*SETTING, *map(axis_label, figures)), tuple(rows))
    elif first or second:
        apart.append("costs: no setting was paid for in both")


def _medians(found: Json) -> dict[tuple[Place, str], float]:
    values: dict[tuple[Place, str], list[float]] = {}
    for row in found.get("costs", ()):
        place = tuple(str(row.get(column) or "") for column in SETTING)
        for name, value in row["figures"].items():
            if known(value):
                values.setdefault((place, name), []).append(value)
    return {where: median(several) for where, several in values.items()}


def _machines(one: Json, other: Json) -> str:
    first, second = (found.get("reproduce", {}).get("devices", []) for found in (one, other))
    if first == second:
        return ""
    return f"Times are of different machines: {', '.join(first) or 'unknown'}; {', '.join(second) or 'unknown'}."
