"""Table: the scores of runs side by side, languages down, baseline and intermediate tasks across.

Every figure is a mean over seeds with its standard error; a gain is paired by seed, with a 95 % interval. Runs that
never got above chance are counted and named, not averaged in silence.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rich.table import Table as RichTable

from xstilts.evaluation import contamination
from xstilts.evaluation.score import read_score
from xstilts.experiments.run import Run
from xstilts.runtime.machine import Runtime
from xstilts.stats import Summary, gain, summary
from xstilts.store import manifest
from xstilts.store.stage import Stage, folder_of, lineage

BASELINE = "baseline"


@dataclass(frozen=True)
class Column:
    """One setting of the intermediate phase: scores by language, one a seed (by distinct result, so perhaps fewer)."""

    name: str
    scores: Mapping[str, tuple[float, ...]]
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    collapsed: tuple[str, ...] = ()

    def replicates(self, code: str) -> tuple[float, ...]:
        """Return one score for each distinct result: a network that was never trained counts once, not once a seed."""
        return tuple(dict(zip(self.keys[code], self.scores[code], strict=True)).values())

    def mean(self, codes: Iterable[str]) -> tuple[float, ...]:
        """Return the plain mean over languages, one a seed."""
        chosen = [self.scores[code] for code in codes]
        return tuple(sum(column) / len(column) for column in zip(*chosen, strict=True))


@dataclass(frozen=True)
class ScoreTable:
    """The settings of one target: the baseline first."""

    target: str
    metric: str
    languages: tuple[str, ...]
    english: str
    columns: tuple[Column, ...]
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def decimals(self) -> int:
        """Shares are shown in percent with one decimal, losses with three."""
        return 3 if self.metric.endswith("_loss") else 1

    def rows(self) -> dict[str, tuple[str, ...]]:
        """Return the rows: each language, English first, then the means with the languages they are over."""
        others = tuple(code for code in self.languages if code != self.english)
        rows: dict[str, tuple[str, ...]] = {c: (c,) for c in (self.english, *others) if c in self.languages}
        if len(self.languages) > 1:
            rows["mean"] = self.languages
        if self.english in self.languages and others:
            rows["mean without English"] = others
        return rows


class Rowed(Protocol):
    """Columns, and rows that are means over some of their scores: languages, or the tasks of a suite."""

    @property
    def columns(self) -> tuple[Column, ...]: ...
    @property
    def decimals(self) -> int: ...
    def rows(self) -> dict[str, tuple[str, ...]]: ...


def collect(runs: Mapping[str, list[Run]], machine: Runtime) -> ScoreTable:
    """Return the table of finished runs of one target: by setting ("baseline" first), one run a seed."""
    first = next(iter(runs.values()))[0]
    languages = first.languages(machine.data)
    columns = tuple(_column(name, seeds, machine) for name, seeds in runs.items())
    missing = tuple(code for code in first.measured_languages() if code not in languages)
    notes = (*_notes(first, machine), *_seen(runs, machine))
    english = first.target.trained_in[0]
    return ScoreTable(first.target.name, first.target.metric, languages, english, columns, missing, notes)


def _column(name: str, runs: list[Run], machine: Runtime) -> Column:
    stages = [run.scores(machine.data) for run in runs]
    scores = {code: tuple(_headline(found[code], machine) for found in stages) for code in stages[0]}
    keys = {code: tuple(found[code].key for found in stages) for code in stages[0]}
    collapsed = {label for run in runs for label in _collapsed(run.model(machine.data), machine)}
    return Column(name, scores, keys, tuple(sorted(collapsed)))


def _headline(stage: Stage, machine: Runtime) -> float:
    return float(read_score(folder_of(stage, machine))["headline"])


def _collapsed(model: object, machine: Runtime) -> list[str]:
    """Return the trainings behind a model that ended no better than chance on development data."""
    fallen = []
    for stage in lineage(model, "encoder"):
        dev = manifest.read(folder_of(stage, machine))["record"].get("dev", {}) if isinstance(stage, Stage) else {}
        fallen += [stage.label] if any(task["collapsed"] for task in dev.values()) else []
    return fallen[::-1]


def _notes(run: Run, machine: Runtime) -> Iterable[str]:
    if run.target.format == "bitext_retrieval":
        chosen = read_score(folder_of(next(iter(run.scores(machine.data).values())), machine))
        yield (
            f"layer {chosen['layer']} of the baseline was chosen on {run.target.dev_language}; the literature's "
            f"depth would be layer {chosen['fixed_layer']}; every layer is in each score.json"
        )
    if run.target.format == "bitext_mining":
        chosen = read_score(folder_of(next(iter(run.scores(machine.data).values())), machine))
        yield f"layer and threshold of mined pairs were chosen on {chosen['threshold_from']}"
    if run.target.note:
        yield run.target.note
    if run.target.format == "masked_lm":
        yield "loss in nats a hidden piece, of the head that the encoder came with: lower is better"
    if not run.zero_shot():
        trained = ", ".join(teacher.label for teacher in run.teachers or ())
        yield f"not zero-shot from English: learned from {trained}"
    if run.target.metric == "pos_f1":
        yield "F1 of runs of equal tags, as XTREME scores it; token accuracy is in each score.json"


def _seen(runs: Mapping[str, list[Run]], machine: Runtime) -> Iterable[str]:
    """Yield which test texts were also in training, where that was looked into."""
    looked = {stage.key: stage for seeds in runs.values() for stage in seeds[0].overlaps(machine.data)}
    yield from (f"OVERLAP: {said}" for said in contamination.describe(looked.values(), machine))


def render(table: ScoreTable) -> RichTable:
    """Return the table for a terminal."""
    return drawn(f"{table.target} ({table.metric})", header(table), cells_of(table))


def drawn(title: str, names: list[str], rows: Iterable[tuple[str, list[str]]]) -> RichTable:
    """Return rows of a label and cells for a terminal, means in bold."""
    shown = RichTable(title=title, title_justify="left")
    for number, name in enumerate(names):
        shown.add_column(name, justify="left" if number == 0 else "right")
    for label, cells in rows:
        shown.add_row(label, *cells, style="bold" if label.startswith("mean") else None)
    return shown


def markdown(table: ScoreTable) -> str:
    """Return the table in Markdown, with its notes."""
    return marked(f"{table.target} ({table.metric})", header(table), cells_of(table), remarks(table))


def marked(title: str, names: list[str], rows: Iterable[tuple[str, list[str]]], said: Iterable[str]) -> str:
    """Return a title, rows of a label and cells, and remarks in Markdown."""
    lines = [f"### {title}", "", "| " + " | ".join(names) + " |"]
    lines.append("|" + "|".join([" --- "] + [" ---: "] * (len(names) - 1)) + "|")
    lines += [f"| {label} | " + " | ".join(cells) + " |" for label, cells in rows]
    return "\n".join([*lines, "", *(f"- {remark}" for remark in said), ""])


def header(table: Rowed) -> list[str]:
    """Return the columns' names: each setting, and its gain over the baseline."""
    names = ["language"]
    for column in table.columns:
        names += [column.name] if column is table.columns[0] else [column.name, "gain [95 %]"]
    return names


def cells_of(table: Rowed) -> Iterable[tuple[str, list[str]]]:
    """Yield each row's label and its cells: mean ± standard error over seeds, gains with intervals."""
    base = table.columns[0]
    for label, codes in table.rows().items():
        cells = []
        for column in table.columns:
            cells.append(_figure(summary(_replicates(column, codes)), table.decimals))
            if column is not base:
                cells.append(_gain(gain(base.mean(codes), column.mean(codes)), table.decimals))
        yield label, cells


def remarks(table: ScoreTable) -> list[str]:
    """Return what a reader must know beside the figures."""
    seeds = len(next(iter(table.columns[0].scores.values())))
    said = [f"mean ± standard error over {seeds} seeds; gains are paired by seed", *table.notes]
    said.insert(
        1, "asterisk: the 95 % interval (Student's t) excludes 0, each by itself, not corrected for their number"
    )
    fallen = [(column.name, label) for column in table.columns for label in column.collapsed]
    said += [f"{name}: no better than chance after {label}" for name, label in fallen]
    return said + ([f"no test data for {', '.join(table.missing)}"] if table.missing else [])


def save(tables: Iterable[ScoreTable], folder: Path) -> None:
    """Write `table.md` for people and `table.json` for programs."""
    tables = list(tables)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text("\n".join(markdown(table) for table in tables), encoding="utf-8")
    text = json.dumps([_plain(table) for table in tables], indent=1, ensure_ascii=False)
    (folder / "table.json").write_text(text + "\n", encoding="utf-8")


def _plain(table: ScoreTable) -> dict[str, Any]:
    return asdict(table)


def _replicates(column: Column, codes: tuple[str, ...]) -> tuple[float, ...]:
    distinct = {
        tuple(column.keys[code][seed] for code in codes): value for seed, value in enumerate(column.mean(codes))
    }
    return tuple(distinct.values())


def _figure(figure: Summary, decimals: int) -> str:
    error = "" if math.isnan(figure.error) else f" ± {figure.error:.{decimals}f}"
    return f"{figure.mean:.{decimals}f}{error}"


def _gain(figure: Summary, decimals: int) -> str:
    mean, low, high = (f"{value:+.{decimals}f}" for value in (figure.mean, figure.low, figure.high))
    return mean if math.isnan(figure.error) else f"{mean} [{low}, {high}]{'*' if figure.excludes_zero else ' '}"
