"""Score table: the scores of runs side by side, languages down, baseline and intermediate tasks across.

Every figure is a mean over seeds with its standard error; a gain is paired by seed, with a 95 % interval. Runs that
never got above chance are counted and named, not averaged in silence.

>>> baseline, after = Column("baseline", {"en": (50.0, 52.0)}), Column("mnli", {"en": (60.0, 63.0)})
>>> baseline.mean(["en"]), after.mean(["en"])
((50.0, 52.0), (60.0, 63.0))
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Protocol

from rich.table import Table as RichTable

from xstilts import metrics, sandbox
from xstilts.evaluation import contamination
from xstilts.evaluation.score import read_score
from xstilts.experiments import retries, snapshot_choice, translated_counts
from xstilts.experiments.run import Phase, Run
from xstilts.formats import task_format
from xstilts.models.heads import SEQUENCE
from xstilts.models.pooling import FAMILY, FIRST
from xstilts.runtime import whole_files
from xstilts.runtime.machine import Runtime
from xstilts.runtime.tables import drawn as drawn
from xstilts.runtime.text import counted
from xstilts.stats import Summary, gain, summary
from xstilts.store import manifest
from xstilts.store.names import BASELINE as BASELINE
from xstilts.store.stage import folder_of
from xstilts.training.combine import averaging


@dataclass(frozen=True)
class Column:
    """One setting of the intermediate phase on one target.

    Attributes:
        name: The setting, "baseline" for no intermediate phase.
        scores: Scores by language, one a seed.
        keys: Keys of the score stages, as `scores`; equal keys are one result.
        collapsed: Labels of the trainings that ended no better than chance.
        at_fixed_layer: Of retrieval, the scores at the literature's depth, as `scores`, which are at the chosen layer.
        by_snapshot: By how a snapshot is chosen ("oracle: …" for the target language's own development data), the
            scores in the languages that have such data.
    """

    name: str
    scores: Mapping[str, tuple[float, ...]]
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    collapsed: tuple[str, ...] = ()
    at_fixed_layer: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    by_snapshot: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)

    def replicates(self, code: str) -> tuple[float, ...]:
        """Return the distinct results of a setting in one language.

        Args:
            code: The language.

        Returns:
            One score for each; an encoder that was not trained has the same result for all seeds, and so one score.
        """
        return tuple(dict(zip(self.keys[code], self.scores[code], strict=True)).values())

    def mean(self, codes: Iterable[str]) -> tuple[float, ...]:
        """Return the mean over languages of each seed.

        Args:
            codes: The languages.

        Returns:
            Unweighted means, in the order of the seeds.
        """
        chosen = [self.scores[code] for code in codes]
        return tuple(sum(column) / len(column) for column in zip(*chosen, strict=True))


@dataclass(frozen=True)
class ScoreTable:
    """The scores of one target.

    Attributes:
        target: Name of the task.
        metric: Name of its metric.
        languages: The languages that are measured.
        english: The language of the target's training data, English for all but the sandbox.
        columns: One for each setting, the baseline first.
        missing: Languages that were to be measured and have no data.
        notes: What a reader must know beside the scores.
        fixed_layer: Of retrieval, the layer at the literature's depth; None where no layer is chosen.
        few_shot: Of models that were trained further on few examples of each language, how many: "10 shots".
    """

    target: str
    metric: str
    languages: tuple[str, ...]
    english: str
    columns: tuple[Column, ...]
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fixed_layer: int | None = None
    few_shot: str = ""

    @property
    def title(self) -> str:
        """The target, its metric and how many examples of a language its models were trained on."""
        return f"{self.target} ({', '.join(part for part in (self.metric, self.few_shot) if part)})"

    def with_fixed_layer(self) -> ScoreTable | None:
        """Return the table with scores at the fixed layer; None where those are the scores already."""
        if all(column.at_fixed_layer in ({}, column.scores) for column in self.columns):
            return None
        columns = tuple(replace(column, scores=column.at_fixed_layer) for column in self.columns)
        return replace(self, columns=columns)

    @property
    def decimals(self) -> int:
        """Return how many decimals scores are shown with: one for percent, three for losses."""
        return 3 if self.metric.endswith("_loss") else 1

    @property
    def widest(self) -> float:
        """The largest difference that two scores of the metric can have."""
        low, high = metrics.bounds(self.metric)
        return high - low

    def rows(self) -> dict[str, tuple[str, ...]]:
        """Return the rows: each language, English first, then the means with the languages they are over."""
        others = tuple(code for code in self.languages if code != self.english)
        rows: dict[str, tuple[str, ...]] = {c: (c,) for c in (self.english, *others) if c in self.languages}
        if len(self.languages) > 1:
            rows["mean"] = self.languages
        if self.english in self.languages and others:
            rows["mean without English"] = others
        return rows


class TableOfMeans(Protocol):
    """A table of columns whose rows are means over some of their scores: languages, or the tasks of a suite."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """The settings with their scores, the baseline first."""
        ...

    @property
    def decimals(self) -> int:
        """How many decimals scores are shown with."""
        ...

    @property
    def widest(self) -> float:
        """The largest difference that two scores can have."""
        ...

    def rows(self) -> dict[str, tuple[str, ...]]:
        """Return the languages, or tasks, of each row by its label; a mean has several."""
        ...


def collect(runs: Mapping[str, list[Run]], machine: Runtime) -> ScoreTable:
    """Return the table of finished runs of one target.

    Args:
        runs: The runs by setting ("baseline" first), one a seed.
        machine: Names the store.

    Returns:
        The table, with a column for each setting.
    """
    first = next(iter(runs.values()))[0]
    languages = first.languages()
    columns = tuple(_column(name, seeds, machine) for name, seeds in runs.items())
    without_data = first.without_few_shot_data()
    missing = tuple(code for code in first.measured_languages() if code not in (*languages, *without_data))
    notes = (
        *_averages(next(iter(runs.values()))),
        *_shots(first),
        *_notes(first, machine),
        *_contaminated(runs, machine),
    )
    english = first.target.trained_in[0]
    notes += tuple(_pooling(runs, machine))
    layer = read_score(folder_of(next(iter(first.scores().values())), machine)).get("fixed_layer")
    notes += tuple(dict.fromkeys(chain.from_iterable(_repeated(run) for seeds in runs.values() for run in seeds)))
    shots = first.few_shot.text if first.few_shot else ""
    return ScoreTable(first.target.name, first.target.metric, languages, english, columns, missing, notes, layer, shots)


def _column(name: str, runs: list[Run], machine: Runtime) -> Column:
    stages = [run.scores() for run in runs]
    records = {code: [read_score(folder_of(seed[code], machine)) for seed in stages] for code in stages[0]}
    scores = {code: tuple(float(record["headline"]) for record in seeds) for code, seeds in records.items()}
    fixed = {
        code: tuple(float(record["by_layer"][record["fixed_layer"]]) for record in seeds)
        for code, seeds in records.items()
        if all("by_layer" in record for record in seeds)
    }
    keys = {code: tuple(by_language[code].key for by_language in stages) for code in stages[0]}
    collapsed = {label for run in runs for label in _collapsed(run, machine)}
    return Column(name, scores, keys, tuple(sorted(collapsed)), fixed, snapshot_choice.scores(runs, machine))


def _collapsed(run: Run, machine: Runtime) -> list[str]:
    """Return the trainings of a run that ended no better than chance on development data."""
    return [phase.stage.label for phase in run.phases() if _at_chance(phase, machine)]


def _at_chance(phase: Phase, machine: Runtime) -> bool:
    return retries.is_collapsed(manifest.read(folder_of(phase.stage, machine)))


def _pooling(runs: Mapping[str, list[Run]], machine: Runtime) -> Iterable[str]:
    """Yield what may help where a sequence's first token was classified and nothing was learned."""
    real = [run for seeds in runs.values() for run in seeds if not run.target.artificial]
    phases = [phase for run in real for phase in run.phases()]
    first = [
        phase
        for phase in phases
        if phase.recipe.pooling in (FAMILY, FIRST)
        and any(training_set.format in SEQUENCE for training_set in phase.training_sets)
    ]
    if any(_at_chance(phase, machine) for phase in first):
        yield (
            "no better than chance: try other seeds (--retries 2), a lower learning rate or, of a sentence encoder, "
            "the mean of its states (--set pooling=mean)"
        )


def _repeated(run: Run) -> Iterable[str]:
    """Yield which trainings of a run ended no better than chance and were repeated with another seed."""
    for phase in run.shared_phases():
        if phase.tries:
            seeds = ", then ".join(str(stage.arguments["seed"]) for stage in (*phase.tries[1:], phase.stage))
            yield f"no better than chance, and repeated with seed {seeds}: {phase.tries[0].label}"


def _averages(runs: Sequence[Run]) -> Iterable[str]:
    """Yield what the weights behind each score are the average of, and why there is no oracle that was asked for."""
    run = runs[0]
    if run.oracle and not snapshot_choice.pairs(run):
        yield "no oracle: it needs development data in the training language and in another one"
    if run.average and run.model() != run.encoder:
        described = dict.fromkeys(averaging(run.average).described(other.seed) for other in runs)
        yield f"the weights of each model are an average {', '.join(described)}"


def _shots(run: Run) -> Iterable[str]:
    """Yield what few-shot training was on, and which languages it leaves out."""
    if run.few_shot is None:
        return
    shots, learned_in = run.few_shot.shots, ", ".join(sorted(run.learned_in - set(run.languages())))
    yield (
        f"few-shot: after {learned_in}, each language's model was trained on {counted(shots, 'example')} of its "
        f"training data (draw {run.few_shot.draw}), without development data of the language"
    )
    if left_out := run.without_few_shot_data():
        yield f"left out, as there are no training data to draw examples from: {', '.join(left_out)}"


def _notes(run: Run, machine: Runtime) -> Iterable[str]:
    format = task_format(run.target.format)
    if format.layered and not format.threshold_on_dev:
        chosen = read_score(folder_of(next(iter(run.scores().values())), machine))
        code = run.target.dev_language
        if run.tuned_from(run.languages()[0]):
            yield (
                f"layer {chosen['layer']} of the baseline was chosen on {code}; the literature's "
                f"depth would be layer {chosen['fixed_layer']}; every layer is in each score.json"
            )
        else:
            reason = (
                f"there are no data in {code} to choose one on" if code else "the task has no data to choose one on"
            )
            yield f"layer {chosen['layer']} is at the literature's depth: {reason}; every layer is in each score.json"
    if format.threshold_on_dev:
        chosen = read_score(folder_of(next(iter(run.scores().values())), machine))
        yield f"layer and threshold of mined pairs were chosen on {chosen['threshold_from']}"
    yield from _marks(run)
    if format.language_model:
        yield "loss in nats a masked token, of the head that the encoder came with: lower is better"
    if run.translation:
        yield from (run.translation.describe(), *translated_counts.sentences(run, machine))
    if not replace(run, few_shot=None).zero_shot() and (run.target_training_tasks or not run.translation):
        trained = ", ".join(training_task.label for training_task in run.target_training_tasks or ())
        yield f"not zero-shot from English: learned from {trained}"
    if run.target.metric == "pos_f1":
        yield "F1 of runs of equal tags, as XTREME scores it; token accuracy is in each score.json"


def _marks(run: Run) -> Iterable[str]:
    """Yield what a task itself says beside its scores, and that its languages are artificial where they are."""
    if run.target.note:
        yield run.target.note
    if run.target.artificial and run.target.note != sandbox.NOTE:
        yield sandbox.NOTE


def _contaminated(runs: Mapping[str, list[Run]], machine: Runtime) -> Iterable[str]:
    """Yield which test texts were also in the training data, where that was checked."""
    checks = {stage.key: stage for seeds in runs.values() for stage in seeds[0].overlaps()}
    yield from (f"OVERLAP: {sentence}" for sentence in contamination.describe(checks.values(), machine))


def render(table: ScoreTable) -> RichTable:
    """Return the table for a terminal."""
    return drawn(table.title, header(table), cells_of(table))


def markdown(table: ScoreTable) -> str:
    """Return the table in Markdown, with its notes."""
    return marked(table.title, header(table), cells_of(table), remarks(table))


def marked(title: str, names: list[str], rows: Iterable[tuple[str, list[str]]], remarks: Iterable[str]) -> str:
    """Return rows as a table in Markdown.

    Args:
        title: The heading.
        names: The names of the columns, that of the labels first.
        rows: The label and the cells of each row.
        remarks: A list below the table.

    Returns:
        The Markdown text.
    """
    lines = [f"### {title}", "", "| " + " | ".join(names) + " |"]
    lines.append("|" + "|".join([" --- "] + [" ---: "] * (len(names) - 1)) + "|")
    lines += [f"| {label} | " + " | ".join(cells) + " |" for label, cells in rows]
    return "\n".join([*lines, "", *(f"- {remark}" for remark in remarks), ""])


def header(table: TableOfMeans) -> list[str]:
    """Return the columns' names: each setting, and its gain over the baseline."""
    names = ["language"]
    for column in table.columns:
        names += [column.name] if column is table.columns[0] else [column.name, "gain [95 %]"]
    return names


def cells_of(table: TableOfMeans) -> Iterable[tuple[str, list[str]]]:
    """Yield each row's label and its cells: mean ± standard error over seeds, gains with intervals.

    Means of retrieval follow at the fixed layer, and means over chosen snapshots.
    """
    yield from _cells(table)
    if isinstance(table, ScoreTable):
        for how in table.columns[0].by_snapshot:
            yield from _chosen_snapshots(table, how)
    at_fixed_layer = table.with_fixed_layer() if isinstance(table, ScoreTable) else None
    if at_fixed_layer:
        rows = list(_cells(at_fixed_layer))
        means = [row for row in rows if row[0].startswith("mean")] or rows
        yield from ((f"{label}, fixed layer {at_fixed_layer.fixed_layer}", cells) for label, cells in means)


def _chosen_snapshots(table: ScoreTable, how: str) -> Iterable[tuple[str, list[str]]]:
    """Yield the last mean over languages with development data, at the snapshots that a way of choosing takes."""
    columns = tuple(replace(column, scores=column.by_snapshot[how]) for column in table.columns)
    languages = tuple(code for code in table.languages if code in columns[0].scores)
    rows = list(_cells(replace(table, columns=columns, languages=languages)))
    yield from ((f"{label}, {how}", cells) for label, cells in rows[-1:])


def _cells(table: TableOfMeans) -> Iterable[tuple[str, list[str]]]:
    base = table.columns[0]
    for label, codes in table.rows().items():
        cells = []
        for column in table.columns:
            cells.append(_figure(summary(_replicates(column, codes)), table.decimals))
            if column is not base:
                difference = gain(base.mean(codes), column.mean(codes)).within(-table.widest, table.widest)
                cells.append(_gain(difference, table.decimals))
        yield label, cells


def remarks(table: ScoreTable) -> list[str]:
    """Return the remarks on a score table: which languages are missing, and what else limits a comparison.

    Args:
        table: The table.

    Returns:
        Sentences.
    """
    seeds = len(next(iter(table.columns[0].scores.values())))
    lines = [
        f"mean ± standard error over {counted(seeds, 'seed')}; gains are paired by seed",
        "asterisk: the 95 % interval (Student's t) excludes 0, each by itself, not corrected for their number",
        *table.notes,
    ]
    collapsed = [(column.name, label) for column in table.columns for label in column.collapsed]
    lines += [f"{name}: no better than chance after {label}" for name, label in collapsed]
    return lines + ([f"no test data for {', '.join(table.missing)}"] if table.missing else [])


def save(tables: Iterable[ScoreTable], folder: Path) -> None:
    """Write tables to `table.md` and `table.json` in a folder.

    Args:
        tables: The tables.
        folder: The folder; made where it does not exist.
    """
    tables = list(tables)
    folder.mkdir(parents=True, exist_ok=True)
    whole_files.write(folder / "table.md", "\n".join(markdown(table) for table in tables))
    text = json.dumps([asdict(table) for table in tables], indent=1, ensure_ascii=False)
    whole_files.write(folder / "table.json", text + "\n")


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
