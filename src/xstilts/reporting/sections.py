"""Sections: what the report of a study shows, out of `report.json` alone; what has no data has no section.

>>> [one.name for one in of({"limits": ["Artificial languages only."]})]
['limits']
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from xstilts.claims.claim import LEVEL
from xstilts.reporting import cell_format, charts
from xstilts.reporting.cell_format import known
from xstilts.reporting.charts import label, varying
from xstilts.reporting.page import NOTHING, Cell, Listing, Section, TableView
from xstilts.reporting.svg import strip
from xstilts.runtime import text

Json = Mapping[str, Any]
MEAN, ZERO_SHOT = "mean", "zero-shot"
REMARKS = {
    "shared": "Seen in training",
    "failed": "Could not be built",
    "missing": "Could not be measured",
    "repaired": "Repaired",
}
STEPS = 5  # of the diverging scale, on each side of zero
UNITS = f"Intervals are at {LEVEL:.0%}, each by itself."
SETTING = ("encoder", "recipe", "intermediate", "target")


def of(report: Json) -> tuple[Section, ...]:
    """Return the sections of a report that have something to say, in the order of reading."""
    made = (
        _gains(report),
        _languages(report),
        *charts.of(report),
        _scores(report),
        *_extras(report),
        _remarks(report),
        _listed("limits", "Limits", report.get("limits", ())),
        _settings(report),
        _reproduce(report),
    )
    return tuple(one for one in made if one is not None and one.blocks)


def grouped(rows: Iterable[Json], *columns: str) -> dict[tuple[Any, ...], list[Json]]:
    """Return rows by the values of columns, in order of appearance."""
    found: dict[tuple[Any, ...], list[Json]] = {}
    for row in rows:
        found.setdefault(tuple(row.get(column) for column in columns), []).append(row)
    return found


def fallen(report: Json) -> frozenset[str]:
    """Return the keys of the trainings that ended no better than chance."""
    return frozenset(_key_of(one["stage"])[0] for one in report.get("collapsed", ()))


def undecided(row: Json) -> bool:
    """Say whether an interval reaches across zero, or there is none."""
    return not (known(row["low"]) and known(row["high"])) or row["low"] <= 0 <= row["high"]


def _gains(report: Json) -> Section | None:
    """Return mean gains as a heat map: settings down, targets across, one an encoder."""
    means = list(_means(report))
    top = max((abs(row["estimate"]) for row in means), default=0.0)
    lost = fallen(report)
    blocks = tuple(_heat(encoder, rows, top, lost) for (encoder,), rows in grouped(means, "encoder").items())
    about = (
        "The score with an intermediate phase less the score without, paired by seed: the mean over the languages that "
        "the target was not learned in (over all, where it was learned in each). "
        f"Hatched cells with an empty mark are undecided: their interval reaches across zero. {UNITS}"
    ) + (" † A training behind it ended no better than chance." if lost else "")
    return Section("gains", "Gains by target and intermediate task", blocks, about)


def _means(report: Json) -> Iterator[Json]:
    """Yield the mean gain of each arm: over the languages of zero-shot transfer, if these are others than all."""
    rows = [row for row in report.get("gains", ()) if row["language"] in (MEAN, ZERO_SHOT) and known(row["estimate"])]
    for group in grouped(rows, *SETTING).values():
        yield next((row for row in group if row["language"] == ZERO_SHOT), group[0])


def _heat(encoder: str, rows: Sequence[Json], top: float, lost: frozenset[str]) -> TableView:
    targets = list(dict.fromkeys(row["target"] for row in rows))
    columns, lines = varying(rows, "intermediate", "recipe"), []
    for settings in grouped(rows, "intermediate", "recipe").values():
        found = {row["target"]: row for row in settings}
        heated = (_heated(found.get(target), top, lost) for target in targets)
        lines.append((Cell(label(settings[0], columns)), *heated))
    return TableView(
        f"gains-{encoder}", f"Mean gains of {encoder}", ("intermediate", *targets), tuple(lines), folded=False
    )


def _heated(row: Json | None, top: float, lost: frozenset[str]) -> Cell:
    if row is None:
        return Cell(NOTHING)
    made = cell_format.signed(row["estimate"], 2, row["keys"])
    tone = round(STEPS * row["estimate"] / top) if top else 0
    mark = " †" if lost.intersection(row["keys"]) else ""
    return Cell(made.text + mark, made.value, made.keys, tone, undecided(row))


def _languages(report: Json) -> Section | None:
    """Return gains language by language, each with its interval drawn: one table an encoder and target."""
    known_as = report.get("settings", {}).get("languages", {})
    rows = [one for one in report.get("gains", ()) if one["language"] not in (MEAN, ZERO_SHOT)]
    rows = sorted((one for one in rows if known(one["estimate"])), key=lambda one: _apart(one, known_as))
    blocks = tuple(
        _by_language(f"{target}, {encoder}", group, known_as, number > 0)
        for number, ((target, encoder), group) in enumerate(grouped(rows, "target", "encoder").items())
    )
    about = (
        "A full mark is a gain whose interval lies on one side of zero, an empty one is undecided. "
        "Marks of one table share one scale; the tick is zero. Distances are steps from English: one to "
        "a language of its branch, two to one of its family, three to others; of artificial languages, shares of what "
        "may differ."
    )
    return Section("languages", "Gains by language", blocks, about)


def _by_language(title: str, rows: Sequence[Json], known_as: Json, folded: bool) -> TableView:
    settings = {setting: group[0] for setting, group in grouped(rows, "intermediate", "recipe").items()}
    bounds = _bounds(rows)
    lines = []
    for (code,), group in grouped(rows, "language").items():
        about = known_as.get(code, {})
        found = {(row["intermediate"], row.get("recipe")): row for row in group}
        facts = (cell_format.plain(about.get("distance")), *_words(about, ("family", "script")))
        gains = (_marked(found.get(setting), bounds) for setting in settings)
        lines.append((_language(code, about, group[0].get("in_training_language", False)), *gains, *facts))
    across = (label(first, varying(rows, "intermediate", "recipe")) for first in settings.values())
    columns = ("language", *across, "distance", "family", "script")
    return TableView(f"languages-{title}", title, columns, tuple(lines), folded=folded or len(lines) > 60)


def _apart(row: Json, known_as: Json) -> tuple[float, str, str]:
    """Return where a language stands in a table: the near before the far, then by family and script."""
    about = known_as.get(row["language"], {})
    return about.get("distance") or 0.0, about.get("family") or "", about.get("script") or ""


def _language(code: str, about: Json, taught: bool) -> Cell:
    said = f"{about['name']} ({code})" if about.get("name") else code
    return Cell(f"{said}, learned in" if taught else said)


def _marked(row: Json | None, bounds: tuple[float, float]) -> Cell:
    if row is None:
        return Cell(NOTHING)
    low, high = row["low"], row["high"]
    whole = known(low) and known(high)
    drawing = strip(row["estimate"], (low, high) if whole else None, bounds, not undecided(row))
    said = f"{cell_format.signed(row['estimate']).text} {cell_format.between(low, high)}".strip()
    return Cell(said, row["estimate"], tuple(row["keys"]), undecided=undecided(row), drawing=drawing)


def _bounds(rows: Iterable[Json]) -> tuple[float, float]:
    values = [row[side] for row in rows for side in ("estimate", "low", "high") if known(row[side])]
    return min([0.0, *values]), max([0.0, *values])


def _scores(report: Json) -> Section | None:
    """Return every score and every gain, to be searched and copied."""
    decimals = {one["name"]: 3 if one["metric"].endswith("_loss") else 2 for one in _targets(report)}
    levels = [
        (
            *_words(row, (*SETTING, "language")),
            cell_format.plain(row["estimate"], decimals.get(row["target"], 2), row["keys"]),
            cell_format.plain(row["low"], decimals.get(row["target"], 2)),
            cell_format.plain(row["high"], decimals.get(row["target"], 2)),
            cell_format.count(row["n"]),
        )
        for row in report.get("levels", ())
    ]
    gains = [
        (
            *_words(row, (*SETTING, "over_recipe", "language")),
            cell_format.signed(row["estimate"], 2, row["keys"]),
            cell_format.signed(row["low"]),
            cell_format.signed(row["high"]),
            cell_format.p_value(row.get("p")),
            cell_format.count(row["n"]),
        )
        for row in report.get("gains", ())
    ]
    figures = ("low", "high", "seeds")
    made = (
        TableView("scores", "Scores", (*SETTING, "language", "score", *figures), tuple(levels), UNITS),
        TableView(
            "all-gains",
            "Gains",
            (*SETTING, "baseline's recipe", "language", "gain", "low", "high", "p", "seeds"),
            tuple(gains),
            UNITS,
        ),
    )
    return Section("scores-and-gains", "All scores and gains", tuple(one.trimmed() for one in made if one.rows))


def _words(row: Json, columns: Iterable[str]) -> tuple[Cell, ...]:
    return tuple(Cell(str(row.get(column) or "")) for column in columns)


def _targets(report: Json) -> Sequence[Json]:
    found: Sequence[Json] = report.get("settings", {}).get("targets", ())
    return found


def _extras(report: Json) -> Iterator[Section]:
    """Yield the tables that a study made of its own."""
    sheets = tuple(
        TableView(
            f"extra-{number}",
            one["title"],
            tuple(str(column) for column in one["columns"]),
            tuple(tuple(cell_format.free(value) for value in row) for row in one["rows"]),
            one.get("note") or "",
        )
        for number, one in enumerate(report.get("extras", ()), 1)
    )
    yield Section("extras", "Also measured", sheets)


def _remarks(report: Json) -> Section | None:
    """Return what did not go as planned: no better than chance, absent, repaired."""
    rows = tuple(
        (Cell(one["stage"], None, _key_of(one["stage"])), Cell(one["why"])) for one in report.get("collapsed", ())
    )
    blocks: list[TableView | Listing] = (
        [TableView("collapsed", "No better than chance", ("training", "why"), rows)] if rows else []
    )
    for name, title in REMARKS.items():
        lines = tuple(report.get(name, ()))
        blocks += [Listing(title, lines)] if lines else []
    return Section("remarks", "What did not go as planned", tuple(blocks))


def _key_of(stage: str) -> tuple[str, ...]:
    return (stage.rpartition("-")[2],)


def _listed(name: str, title: str, lines: Sequence[str]) -> Section:
    return Section(name, title, (Listing("", tuple(lines)),) if lines else ())


def _settings(report: Json) -> Section | None:
    """Return what was run: encoders, recipes, tasks, languages, seeds."""
    settings = report.get("settings", {})
    lists = {
        "recipes": settings.get("recipes", ()),
        "intermediates": settings.get("intermediates", ()),
        "seeds": settings.get("seeds", ()),
    }
    rows = tuple((Cell(name), Cell(text.listed(found))) for name, found in lists.items() if any(found))
    encoders = tuple(
        (Cell(one["name"]), cell_format.amount(one.get("parameters")), cell_format.count(one.get("layers")))
        for one in settings.get("encoders", ())
    )
    targets = tuple(_words(one, ("name", "format", "metric")) for one in _targets(report))
    spoken = tuple(
        (Cell(code), *_words(one, ("name", "family", "script")), cell_format.plain(one.get("distance")))
        for code, one in settings.get("languages", {}).items()
    )
    made = (
        TableView("encoders", "Encoders", ("encoder", "parameters", "layers"), encoders, quiet=True),
        TableView("settings-lists", "Recipes, intermediate tasks, seeds", ("what", "which"), rows, quiet=True),
        TableView("targets", "Targets", ("target", "format", "metric"), targets, quiet=True),
        TableView("spoken", "Languages", ("code", "language", "family", "script", "distance"), spoken, quiet=True),
    )
    return Section("settings", "What was run", tuple(_told(one) for one in made if one.rows))


def _told(sheet: TableView) -> TableView:
    """Return a sheet without the columns that no row has anything in: older reports say less."""
    kept = [at for at in range(len(sheet.columns)) if any(row[at].text not in ("", NOTHING) for row in sheet.rows)]
    rows = tuple(tuple(row[at] for at in kept) for row in sheet.rows)
    return replace(sheet, columns=tuple(sheet.columns[at] for at in kept), rows=rows)


def _reproduce(report: Json) -> Section | None:
    """Return the commands, the versions and the machines."""
    found, study = report.get("reproduce", {}), report.get("study", {})
    commands = tuple(found.get("commands", ()))
    rows = [(Cell(name), Cell(str(version))) for name, version in found.get("versions", {}).items()]
    rows += [(Cell("device"), Cell(str(device))) for device in found.get("devices", ())]
    rows += [(Cell("study file"), Cell(f"{study['file']}, digest {study['digest']}"))] if study.get("file") else []
    blocks: list[TableView | Listing] = [Listing("", commands, commands=True)] if commands else []
    blocks += (
        [TableView("versions", "Versions and machines", ("what", "which"), tuple(rows), quiet=True)] if rows else []
    )
    return Section("reproduce", "How to reproduce it", tuple(blocks))


def stages(report: Json) -> Section | None:
    """Return the table of stages that all numbers link to."""
    rows, keys = [], []
    for key, one in report.get("stages", {}).items():
        hashes = "; ".join(f"{name} {digest[:12]}" for name, digest in one.get("files", {}).items())
        label, work = Cell(str(one.get("label", ""))), Cell(str(one.get("work", "")).rpartition(".")[2])
        inputs = Cell("", None, tuple(one.get("inputs", ())))
        rows.append((Cell(key), label, work, cell_format.duration(one.get("seconds")), inputs, Cell(hashes)))
        keys.append(f"stage-{key}")
    columns = ("key", "label", "work", "time", "inputs", "files")
    note = "File hashes are the beginnings of their SHA digests; report.json has them whole."
    sheet = TableView("stages", "Stages", columns, tuple(rows), note, tuple(keys))
    return Section("made", "Where the numbers come from", (sheet,)) if rows else None
