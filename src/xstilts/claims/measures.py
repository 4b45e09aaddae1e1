"""Measures: the estimates that claims are about, named as values before anything is run.

>>> from xstilts.claims.results_table import Result, ResultsTable
>>> rows = [Result("tiny", name, "xnli", "sw", seed, score=40.0 + gain + seed / 10, keys=(f"{name}{seed}",))
...         for name, gain in (("baseline", 0.0), ("squad", 2.0)) for seed in (1, 2, 3)]
>>> Gain("squad", "xnli").of(ResultsTable(tuple(rows))).estimate.value
2.0
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Protocol

import numpy as np

from xstilts import metrics, stats
from xstilts.claims.results_table import (
    CLOCKED,
    COSTS,
    Arm,
    Missing,
    Result,
    ResultsTable,
    arm,
    estimate,
    replicates,
    stacked,
    together,
)
from xstilts.errors import InputError
from xstilts.metrics.base import Array
from xstilts.stats import PLAIN, Estimate, Resampling
from xstilts.store.names import BASELINE

FIXED = "fixed"  # the layer of a retrieval score at the literature's depth


@dataclass(frozen=True)
class Level:
    """The mean score of a setting over seeds and languages.

    Attributes:
        intermediate: The intermediate setting, "baseline" for none.
        target: The target task.
        languages: The languages of the mean; by default those of zero-shot transfer.
        encoder: The encoder; "" where the results have only one.
        recipe: The recipe's label; "" where the results have only one.
        resampling: How examples are resampled for the interval.
        layer: "fixed" for the scores of retrieval at the layer of the literature's depth; "" for the chosen layer.

    Raises:
        InputError: The layer is neither.
    """

    intermediate: str
    target: str
    languages: tuple[str, ...] = ()
    encoder: str = ""
    recipe: str = ""
    resampling: Resampling = PLAIN
    layer: str = ""

    def __post_init__(self) -> None:
        _check_layer(self.layer)

    def of(self, table: ResultsTable) -> Measured:
        """Measure the mean score.

        Args:
            table: The results of the study.

        Returns:
            The estimate over seeds and languages, with its setting and stages.

        Raises:
            Missing: No seed has all languages.
        """
        rows = arm(table, self.intermediate, self.target, self.encoder, self.recipe, self.layer)
        codes = self.languages or zero_shot([rows])
        measured = over(estimate(table, [rows], codes, self.resampling), [rows], codes)
        return measured.within(*metrics.bounds(measured.setting.metric))


@dataclass(frozen=True)
class Gain:
    """The mean gain of a setting over another, paired by seed, over languages.

    Attributes:
        intermediate: The intermediate setting.
        target: The target task.
        over: The setting that it is compared with.
        languages: The languages of the mean; by default those of zero-shot transfer that both settings have.
        encoder: The encoder; "" where the results have only one.
        recipe: The recipe's label; "" where the results have only one.
        over_recipe: The recipe of the other setting; "" for the same.
        resampling: How examples are resampled for the interval.
        layer: "fixed" for the scores of retrieval at the layer of the literature's depth; "" for the chosen layer.

    Raises:
        InputError: The layer is neither.
    """

    intermediate: str
    target: str
    over: str = BASELINE
    languages: tuple[str, ...] = ()
    encoder: str = ""
    recipe: str = ""
    over_recipe: str = ""
    resampling: Resampling = PLAIN
    layer: str = ""

    def __post_init__(self) -> None:
        _check_layer(self.layer)

    def of(self, table: ResultsTable) -> Measured:
        """Measure the mean gain.

        Args:
            table: The results of the study.

        Returns:
            The estimate over seeds and languages, with its setting and stages.

        Raises:
            Missing: No seed has both settings in all languages.
        """
        arms, codes = self.arms(table)
        measured = over(estimate(table, arms, codes, self.resampling), arms, codes)
        return measured.within(*_gain_bounds(measured.setting.metric))

    def by_seed(self, table: ResultsTable) -> dict[int, float]:
        """Return the mean gain over languages of each seed.

        Args:
            table: The results of the study.

        Returns:
            Gains by seed, of the seeds that have all languages in both settings.
        """
        arms, codes = self.arms(table)
        seeds = sorted(set.intersection(*({seed for _, seed in rows} for rows in arms)))
        return {
            seed: float(np.mean([arms[0][code, seed].score - arms[1][code, seed].score for code in codes]))
            for seed in seeds
            if all((code, seed) in rows for rows in arms for code in codes)
        }

    def pairs(self, table: ResultsTable) -> dict[str, tuple[Array, Array]]:
        """Return the contributions of examples in both settings.

        Args:
            table: The results of the study.

        Returns:
            For each language the arrays without and with the intermediate phase; empty if not all rows have examples.

        Shape:
            (seeds, examples, k) each, where k numbers make up one example's contribution to the metric.
        """
        arms, codes = self.arms(table)
        seeds = replicates(arms, codes)
        rows = {code: [[arm_rows[code, seed] for seed in seeds] for arm_rows in arms] for code in codes}
        if any(row.examples is None for by_arm in rows.values() for column in by_arm for row in column):
            return {}
        return {code: (stacked(table, before), stacked(table, after)) for code, (after, before) in rows.items()}

    def arms(self, table: ResultsTable) -> tuple[list[Arm], tuple[str, ...]]:
        """Return the rows of both settings and the languages that are compared.

        Args:
            table: The results of the study.

        Returns:
            The rows with and without the intermediate phase, by language and seed; the languages.

        Raises:
            Missing: A setting has no rows.
        """
        arms = [
            arm(table, self.intermediate, self.target, self.encoder, self.recipe, self.layer),
            arm(table, self.over, self.target, self.encoder, self.over_recipe or self.recipe, self.layer),
        ]
        return arms, self.languages or zero_shot(arms)


@dataclass(frozen=True)
class Mean:
    """The unweighted mean of several gains, e.g. over targets or intermediate tasks, paired by seed."""

    gains: tuple[Gain, ...]

    def of(self, table: ResultsTable) -> Measured:
        """Measure the mean of the gains.

        Args:
            table: The results of the study.

        Returns:
            The estimate over the seeds that all gains have, with its stages.

        Raises:
            Missing: A gain is missing, or the gains share no seed.
        """
        parts = [gain.arms(table) for gain in self.gains]
        estimate = together(table, parts, replace(self.gains[0].resampling, sampled=False))
        measured = [over(estimate, arms, codes) for arms, codes in parts]
        names = tuple(dict.fromkeys(part.setting.metric for part in measured))
        keys = tuple(sorted({key for part in measured for key in part.keys}))
        mean = Measured(estimate, replace(measured[0].setting, metric=", ".join(names), languages=()), keys)
        return mean.within(*_gain_bounds(*names))


@dataclass(frozen=True)
class Growth:
    """The growth of a gain, or of the mean of several, with each doubling of the encoder's size.

    All sizes have the same weight: weighted by errors that are estimated from two or three seeds, an interval of 95 %
    would cover the truth in only 85 to 90 % of cases.
    """

    gain: Gain | Mean

    def of(self, table: ResultsTable) -> Measured:
        """Measure the slope over all encoders that have the gain.

        Args:
            table: The results of the study.

        Returns:
            The growth with each doubling of the number of parameters without embeddings, with its stages.

        Raises:
            Missing: There are fewer than two sizes.
        """
        by_size = by_encoder(table, lambda encoder: self.at(table, encoder))
        return sloped(by_size, [measured.estimate.value for _, measured in by_size.values()])

    def at(self, table: ResultsTable, encoder: str) -> Measured:
        """Return the gain of one encoder.

        Args:
            table: The results of the study.
            encoder: The name of the encoder.

        Returns:
            The estimate.

        Raises:
            Missing: The encoder has no such rows.
        """
        if isinstance(self.gain, Mean):
            return Mean(tuple(replace(gain, encoder=encoder) for gain in self.gain.gains)).of(table)
        return replace(self.gain, encoder=encoder).of(table)


def described(measure: Any) -> str:
    """Return in words what a measure compares.

    Args:
        measure: A measure.

    Returns:
        A phrase; "" for a measure that the package does not define.

    >>> described(Gain("squad", "xquad", languages=("sw",)))
    'score on xquad after squad minus score without an intermediate phase, in sw'
    >>> described(Saving("intermediate_seconds", "squad", "xquad", "head", "all"))
    'percent of intermediate seconds that (head) saves against (all), squad, xquad'
    """
    if isinstance(measure, Level):
        return f"score on {measure.target} {_after(measure.intermediate, measure.recipe)}{_in(measure.languages)}"
    if isinstance(measure, Gain):
        return (
            f"score on {measure.target} {_after(measure.intermediate, measure.recipe)} minus "
            f"score {_after(measure.over, measure.over_recipe)}{_in(measure.languages)}"
        )
    if isinstance(measure, Mean):
        return _mean_described(measure.gains)
    if isinstance(measure, Growth):
        of_what = described(measure.gain)
        return f"growth with each doubling of the encoder's parameters without embeddings; what grows: {of_what}"
    if isinstance(measure, Saving):
        first, second = (_arm_name(name, label) for name, label in _saving_arms(measure))
        per = f" per {_words(measure.per)}" if measure.per else ""
        return (
            f"percent of {_words(measure.figure)}{per} that {first} saves against {second}, "
            f"{', '.join(filter(None, (measure.intermediate if not measure.over else '', measure.target)))}"
        )
    if isinstance(measure, Scaling):
        per = f" per {_words(measure.per)}" if measure.per else ""
        against = f", minus that of {_arm_name(measure.over, measure.over_recipe)}" if measure.over else ""
        name = _arm_name(measure.intermediate, measure.recipe)
        size = f"the parameters without embeddings{against}"
        return f"exponent with which {_words(measure.figure)}{per} of {name} grow with {size}"
    return ""


def _mean_described(gains: tuple[Gain, ...]) -> str:
    first, targets = gains[0], dict.fromkeys(gain.target for gain in gains)
    languages = tuple(sorted({code for gain in gains for code in gain.languages}))
    if len({replace(gain, target="", languages=()) for gain in gains}) == 1 and len(targets) == len(gains):
        # The same comparison on several targets.
        comparison = described(replace(first, target=", ".join(targets), languages=languages))
        return comparison if len(targets) == 1 else f"{comparison}, and mean over these {len(targets)} targets"
    pairs = f"mean over {len(gains)} pairs of intermediate and target task"
    if len({(gain.recipe, gain.over_recipe, gain.languages) for gain in gains}) == 1 and first.recipe:
        if all(gain.over == gain.intermediate for gain in gains):
            return f"score with ({first.recipe}) minus score with ({first.over_recipe}){_in(languages)}, {pairs}"
        if all(gain.over == BASELINE for gain in gains):
            return f"score after an intermediate phase ({first.recipe}) minus score without{_in(languages)}, {pairs}"
    return f"mean of {len(gains)} differences, the first: {described(first)}"


def _saving_arms(measure: Saving) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the setting and the recipe on both sides of a saving; without the setting where both have the same."""
    first, second = (measure.intermediate, measure.over) if measure.over else ("", "")
    return (first, measure.recipe), (second, measure.over_recipe)


def _arm_name(intermediate: str, recipe: str) -> str:
    return " ".join(filter(None, (intermediate, f"({recipe})" if recipe else "")))


def _after(intermediate: str, recipe: str) -> str:
    if intermediate == BASELINE:
        return "without an intermediate phase" + (f" ({recipe})" if recipe else "")
    return f"after {_arm_name(intermediate, recipe) or 'the selected intermediate task'}"


def _in(languages: tuple[str, ...]) -> str:
    return f", in {', '.join(languages)}" if languages else ", mean over the zero-shot languages"


def _words(figure: str) -> str:
    return figure.replace("_", " ").replace("flops", "FLOPs").replace("mib", "MiB")


def to_json(measure: Any) -> dict[str, Any]:
    """Return a measure as JSON.

    Args:
        measure: A measure.

    Returns:
        Its type, and those of its fields that are not the defaults; `from_json` reverses it.
    """
    written: dict[str, Any] = {"type": type(measure).__name__}
    for field in fields(measure):
        value = getattr(measure, field.name)
        if value != field.default:
            written[field.name] = _written(value)
    return written


def from_json(given: Mapping[str, Any]) -> Any:
    """Return the measure that `to_json` wrote.

    Args:
        given: The JSON object: "type" is the name of the measure's class, the rest its fields.

    Returns:
        The measure.

    Raises:
        InputError: There is no such measure, or it has no such field.
    """
    measure_type = MEASURES.get(str(given.get("type")))
    if measure_type is None:
        raise InputError(f"unknown measure {dict(given)}: there are {', '.join(MEASURES)}")
    try:
        return measure_type(**{name: _value(value) for name, value in given.items() if name != "type"})
    except TypeError as error:
        raise InputError(f"{dict(given)} is no {measure_type.__name__}: {error}") from None


def _written(value: Any) -> Any:
    return (
        [_written(item) for item in value]
        if isinstance(value, tuple)
        else to_json(value)
        if is_dataclass(value)
        else value
    )


def _value(value: Any) -> Any:
    """Return what `_written` wrote."""
    return (
        tuple(map(_value, value)) if isinstance(value, list) else from_json(value) if isinstance(value, dict) else value
    )


@dataclass(frozen=True)
class Saving:
    """By how many percent a cost is lower under one recipe than under another. Counted costs are exact.

    Attributes:
        figure: The cost, one of `COSTS`.
        intermediate: The intermediate setting.
        target: The target task.
        recipe: The recipe.
        over_recipe: The recipe that it is compared with.
        encoder: The encoder; "" where the results have only one.
        over: The setting under the other recipe; "" for the same.
        per: A cost to divide by first, e.g. tokens to get seconds per token; "" for none.
        languages: The languages whose predictions count; by default all that both have.
        over_languages: The languages under the other recipe; by default the same.
    """

    figure: str
    intermediate: str
    target: str
    recipe: str
    over_recipe: str
    encoder: str = ""
    over: str = ""
    per: str = ""
    languages: tuple[str, ...] = ()
    over_languages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _known(self.figure, self.per or self.figure)

    @property
    def counted(self) -> bool:
        """Whether the figures are counted and not timed, so that they are exact."""
        return not any(figure.endswith(CLOCKED) for figure in (self.figure, self.per) if figure)

    def of(self, table: ResultsTable) -> Measured:
        """Measure the saving.

        Args:
            table: The results of the study.

        Returns:
            Percent, negative where the first setting costs more; exact for figures that are counted and not timed.

        Raises:
            Missing: A cost was not measured.
        """
        pair = (self.intermediate, self.recipe), (self.over or self.intermediate, self.over_recipe)
        arms = [arm(table, setting, self.target, self.encoder, recipe) for setting, recipe in pair]
        first = self.languages or shared(arms)
        codes = [first, self.over_languages or first]
        every = tuple(sorted({*codes[0], *codes[1]}))
        seeds = replicates(arms, every)
        figures = self.figure, self.per
        spent = [
            [_rate(rows, *figures, chosen, seed) for seed in seeds] for rows, chosen in zip(arms, codes, strict=True)
        ]
        saved = 100 * (1 - np.array(spent[0]) / np.array(spent[1]))
        estimate = Estimate(float(saved.mean()), float(saved.var(ddof=1)) if len(saved) > 1 else math.nan, len(saved))
        measured = over(estimate, arms, every).within(-math.inf, 100.0)  # no cost is below zero
        return replace(measured, exact=self.counted)


@dataclass(frozen=True)
class Scaling:
    """The exponent with which a cost grows with the encoder's parameters without embeddings: the slope of logarithms.

    With another setting to compare with, it is the difference of two exponents, that of the ratio of both costs: what
    an encoder adds to both of them cancels.

    Attributes:
        figure: The cost, one of `COSTS`.
        intermediate: The intermediate setting.
        target: The target task.
        recipe: The recipe's label; "" where the results have only one.
        per: A cost to divide by first; "" for none.
        over: The setting whose exponent is subtracted; "" for none.
        over_recipe: The recipe of that setting; "" for the same.
    """

    figure: str
    intermediate: str
    target: str
    recipe: str = ""
    per: str = ""
    over: str = ""
    over_recipe: str = ""

    def __post_init__(self) -> None:
        _known(self.figure, self.per or self.figure)

    def of(self, table: ResultsTable) -> Measured:
        """Measure the exponent over all encoders.

        Args:
            table: The results of the study.

        Returns:
            The slope of logarithms, with its stages.

        Raises:
            Missing: There are fewer than two sizes.
        """
        by_size = by_encoder(table, lambda encoder: self.at(table, encoder))
        return sloped(by_size, [math.log2(measured.estimate.value) for _, measured in by_size.values()])

    def at(self, table: ResultsTable, encoder: str) -> Measured:
        """Return the mean cost of one encoder over seeds, or its mean ratio to that of the setting compared with.

        Args:
            table: The results of the study.
            encoder: The name of the encoder.

        Returns:
            The cost in the unit of `figure`, or the ratio, with the stages behind it.

        Raises:
            Missing: The table has no such rows, or the cost was not measured.
        """
        arms = [arm(table, self.intermediate, self.target, encoder, self.recipe)]
        if self.over:
            arms.append(arm(table, self.over, self.target, encoder, self.over_recipe or self.recipe))
        codes = shared(arms)
        seeds = replicates(arms, codes)
        spent = [[_rate(rows, self.figure, self.per, codes, seed) for seed in seeds] for rows in arms]
        values = np.array(spent[0]) / np.array(spent[1]) if self.over else np.array(spent[0])
        estimate = Estimate(float(values.mean()), float(values.var(ddof=1)) if len(seeds) > 1 else math.nan, len(seeds))
        return over(estimate, arms, codes)


def _known(*figures: str) -> None:
    for figure in figures:
        if figure not in COSTS:
            raise InputError(f"unknown figure of cost '{figure}': there are {', '.join(COSTS)}")


def _check_layer(layer: str) -> None:
    if layer not in ("", FIXED):
        raise InputError(f"unknown layer '{layer}': give '{FIXED}', or leave it out for the chosen layer")


def _rate(rows: Arm, figure: str, per: str, codes: tuple[str, ...], seed: int) -> float:
    """Return a cost of one run, divided by another if `per` names one."""
    return _spent(rows, figure, codes, seed) / (_spent(rows, per, codes, seed) if per else 1)


def _spent(rows: Arm, figure: str, codes: tuple[str, ...], seed: int) -> float:
    """Return a cost of one run: of its trainings, or summed over its predictions."""
    chosen = codes if figure.startswith("predict") else codes[:1]
    cost = sum(rows[code, seed].costs.get(figure, math.nan) for code in chosen)
    if not cost > 0:
        raise Missing(f"no {figure} is known of '{rows[codes[0], seed].intermediate}', seed {seed}")
    return cost


@dataclass(frozen=True)
class Setting:
    """What a published figure must share with a measured one to be compared.

    Attributes:
        encoder: The name of the encoder.
        split: The split of the test data.
        metric: The metric.
        languages: The languages of the mean.
    """

    encoder: str
    split: str
    metric: str
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """An estimate and what it was measured on.

    Attributes:
        estimate: The estimate.
        setting: What a published figure must share to be compared.
        keys: The keys of the stages behind it.
        exact: Whether it was counted and not sampled, so that it has no uncertainty.
    """

    estimate: Estimate
    setting: Setting
    keys: tuple[str, ...] = ()
    exact: bool = False

    def within(self, low: float, high: float) -> Measured:
        """Return the same with an interval that ends at the smallest and the largest value that there can be."""
        return replace(self, estimate=replace(self.estimate, bounds=(low, high)))


class Measure(Protocol):
    """Names an estimate that a results table allows."""

    def of(self, table: ResultsTable) -> Measured:
        """Estimate the measure from results.

        Args:
            table: The results of the study.

        Returns:
            The estimate, with its setting and the stages behind it.

        Raises:
            Missing: The table lacks rows that it needs.
        """
        ...


def _gain_bounds(*names: str) -> tuple[float, float]:
    """Return the smallest and the largest gain, or mean of gains, that metrics allow."""
    widest = max(high - low for low, high in map(metrics.bounds, names))
    return -widest, widest


def zero_shot(arms: list[Arm]) -> tuple[str, ...]:
    """Return the languages of zero-shot transfer.

    Args:
        arms: The rows of each setting, by language and seed.

    Returns:
        The languages that all settings have without training data of the target; all languages, if each has some.
    """
    training = {code for rows in arms for (code, _), row in rows.items() if row.in_training_language}
    common = shared(arms)
    return tuple(code for code in common if code not in training) or common


def shared(arms: list[Arm]) -> tuple[str, ...]:
    """Return the languages that all settings have.

    Args:
        arms: The rows of each setting, by language and seed.

    Returns:
        Codes of the languages.
    """
    return tuple(sorted(set.intersection(*({code for code, _ in rows} for rows in arms))))


def over(found: Estimate, arms: list[Arm], codes: Iterable[str]) -> Measured:
    """Return an estimate with the setting and the stages of the rows that it was made from.

    Args:
        found: The estimate.
        arms: The rows of the arms, by language and seed.
        codes: The languages that the estimate is over.

    Returns:
        The measurement.
    """
    matching = [row for rows in arms for (code, _), row in rows.items() if code in set(codes)]
    return Measured(found, _setting(matching, codes), tuple(sorted({key for row in matching for key in row.keys})))


def _setting(rows: Iterable[Result], codes: Iterable[str]) -> Setting:
    first = next(iter(rows))
    return Setting(first.encoder, first.split, first.metric, tuple(codes))


def by_encoder(table: ResultsTable, measure: Callable[[str], Measured]) -> dict[str, tuple[float, Measured]]:
    """Measure each encoder of a table; encoders without the needed rows are left out.

    Args:
        table: The results of the study.
        measure: From an encoder's name to its measurement; raises Missing where rows are missing.

    Returns:
        The size (number of parameters without embeddings) and the measurement, by encoder.

    Raises:
        Missing: There are fewer than two different sizes, or a size is not known.
    """
    measured, sizes = {}, table.sizes()
    for encoder in sorted(sizes):
        try:
            measured[encoder] = (sizes[encoder], measure(encoder))
        except Missing:
            continue
    if len({size for size, _ in measured.values()}) < 2 or any(math.isnan(size) for size, _ in measured.values()):
        raise Missing(f"a slope needs encoders of two or more known sizes, found {', '.join(measured) or 'none'}")
    return measured


def sloped(found: Mapping[str, tuple[float, Measured]], values: list[float]) -> Measured:
    """Return the slope of values against the logarithm (base 2) of their encoders' sizes.

    Args:
        found: The size and the measurement of each encoder, as `by_encoder` returns them.
        values: A value for each encoder, in the same order.

    Returns:
        The growth of the value with each doubling of size, with the stages behind it.
    """
    sizes = [size for size, _ in found.values()]
    first = next(measured.setting for _, measured in found.values())
    keys = tuple(sorted({key for _, measured in found.values() for key in measured.keys}))
    return Measured(stats.slope(sizes, values), replace(first, encoder=", ".join(found)), keys)


MEASURES: dict[str, Callable[..., Any]] = {
    measure_type.__name__: measure_type for measure_type in (Level, Gain, Mean, Saving, Growth, Scaling, Resampling)
}
