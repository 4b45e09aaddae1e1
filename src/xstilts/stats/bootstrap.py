"""Bootstrap: from the contributions of examples, in every seed and both arms, to an estimate.

Examples are crossed with seeds, not nested in them: one draw of examples serves every seed and both arms, so that
what makes an example hard for all cancels in a gain. The bootstrap over examples gives a covariance between the seeds'
figures; its off-diagonal is the part of the variance that more seeds would not lessen, its diagonal's rest is already
in the spread of the seeds (Owen 2007, "The pigeonhole bootstrap", and Owen & Eckles 2012, on why crossed factors need
this). The seeds themselves are too few to be resampled; `estimates` describes what is done instead.

Languages with equally many examples are resampled together: a test set and its translations are hard in the same
places, and resampled separately, intervals of a mean over eight of them cover 69 % instead of 95 %. Where languages are
unrelated, joint resampling changes nothing.

>>> right = np.array([[1.0, 0.0, 1.0, 1.0], [1.0, 0.0, 0.0, 1.0]])  # two seeds, four examples
>>> estimate(right).value
62.5
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from xstilts.errors import InputError
from xstilts.metrics.base import Array
from xstilts.stats.estimates import Estimate

Headline = Callable[[Array, Array], Array]
"""From contributions (examples, k) and weights (resamples, examples) to a figure for each resample."""
Arm = Array | Mapping[str, Array]

BLOCK = 2_000_000  # weights held at once
KEPT = 4 * BLOCK  # of which as many are kept for the next language of as many examples


@dataclass(frozen=True)
class Resampling:
    """How examples are resampled.

    Attributes:
        resamples: How often.
        seed: The seed of the random numbers.
        sampled: Whether the languages are a sample of others, so that the mean's interval includes their spread; else
            the mean is over exactly these languages.
    """

    resamples: int = 1000
    seed: int = 0
    sampled: bool = False


PLAIN = Resampling()


def share(contributions: Array, weights: Array) -> Array:
    """Return a mean over examples in percent: the headline of accuracy and of every metric with one number an example.

    Args:
        contributions: Contributions of examples, (examples, k); the first of the k numbers is averaged.
        weights: How often each example counts, (resamples, examples).

    Returns:
        The weighted mean times 100, (resamples,).
    """
    return np.asarray(100 * (weights @ contributions[:, 0]) / weights.sum(axis=-1))


@dataclass(frozen=True)
class Draws:
    """The figures of seeds and languages, observed and with resampled examples.

    Attributes:
        figures: The observed figures, (seeds, languages).
        drawn: The resampled figures of each language, (seeds, resamples).
        examples: The number of examples of the language with the fewest.
    """

    figures: Array
    drawn: tuple[Array, ...]
    examples: int

    @property
    def joint(self) -> Array:
        """The mean over languages of each draw, (seeds, resamples)."""
        return np.asarray(np.mean(self.drawn, axis=0))


def estimate(after: Arm, before: Arm | None = None, headline: Headline = share, how: Resampling = PLAIN) -> Estimate:
    """Estimate a headline figure, or its gain, as the mean over seeds and languages.

    Args:
        after: Contributions of examples, or such arrays by language.
        before: Contributions of the arm to compare with, of the same seeds and examples in order; None for no gain.
        headline: From contributions and weights to the figure.
        how: How examples are resampled.

    Returns:
        The estimate.

    Raises:
        InputError: The shapes differ.

    Shape:
        (seeds, examples) or (seeds, examples, k)
    """
    return combined([draw(after, before, headline, how)], how)


def draw(after: Arm, before: Arm | None = None, headline: Headline = share, how: Resampling = PLAIN) -> Draws:
    """Resample examples and return the figures that `estimate` averages.

    Args:
        after: Contributions of examples, (seeds, examples) or (seeds, examples, k), or such arrays by language.
        before: Contributions of the arm to compare with, of the same seeds and examples in order; None for no gain.
        headline: From contributions and weights to the figure.
        how: How examples are resampled.

    Returns:
        The figures, or differences between the arms' figures, as observed and with resampled examples.

    Raises:
        InputError: The shapes differ.
    """
    arms = [_by_language(arm) for arm in (after, before) if arm is not None]
    _check(arms)
    figures, drawn = [], []
    for language in arms[0]:
        arrays = [arm[language] for arm in arms]
        figures.append(_figures(arrays, headline, np.ones((1, arrays[0].shape[1])))[:, 0])
        weights = _weights(arrays[0].shape[1], how.resamples, how.seed)
        drawn.append(np.concatenate([_figures(arrays, headline, block) for block in weights], axis=1))
    return Draws(np.stack(figures, axis=1), tuple(drawn), min(array.shape[1] for array in arms[0].values()))


def combined(draws: Sequence[Draws], how: Resampling = PLAIN) -> Estimate:
    """Estimate the unweighted mean of one or several draws.

    Args:
        draws: Draws with the same seeds in the same order, one for each score or gain.
        how: How the examples of all of them were resampled.

    Returns:
        The estimate: its `between` is from the seeds' means, its `units` from what all seeds share.
    """
    by_seed = np.mean([part.figures.mean(axis=1) for part in draws], axis=0)
    between = float(by_seed.var(ddof=1)) if len(by_seed) > 1 else math.nan
    joint = np.atleast_2d(np.cov(np.mean([part.joint for part in draws], axis=0)))
    shared, degrees = _shared(joint), min(part.examples for part in draws) - 1
    if how.sampled and len(draws) == 1:
        figures = draws[0].figures
        alone = sum(_shared(np.atleast_2d(np.cov(resampled))) for resampled in draws[0].drawn) / figures.shape[1] ** 2
        alike = max(shared - alone, 0.0)  # what all languages' examples do at once, which their spread does not show
        over_languages = spread(figures)
        return replace(over_languages, units=over_languages.units + alike, floor=_floor(joint))
    return Estimate(float(by_seed.mean()), between, len(by_seed), shared, degrees, floor=_floor(joint))


def _shared(covariance: Array) -> float:
    """Return the mean covariance between different seeds, at least 0; of one seed, its variance."""
    seeds = len(covariance)
    if seeds == 1:
        return float(covariance[0, 0])
    return max(float(covariance.sum() - np.trace(covariance)) / (seeds * (seeds - 1)), 0.0)


def _floor(covariance: Array) -> float:
    """Return the variance of one seed's figure through examples, without what all seeds share."""
    return max(float(np.trace(covariance)) / len(covariance) - _shared(covariance), 0.0)


def spread(figures: Array) -> Estimate:
    """Return the mean of figures over seeds and languages, where the languages are a sample of others.

    Args:
        figures: A figure for each seed and language, (seeds, languages).

    Returns:
        The estimate: the variance between languages, without the seeds' part of it, counts as shared by all seeds.

    Raises:
        InputError: There are fewer than two languages.
    """
    by_seed = figures.mean(axis=1)
    between = float(by_seed.var(ddof=1)) if len(by_seed) > 1 else math.nan
    return Estimate(float(by_seed.mean()), between, len(by_seed), _languages(figures), figures.shape[1] - 1)


def _languages(figures: Array) -> float:
    """Return the variance of the mean (seeds, languages) through the languages, without what seeds do to each."""
    seeds, languages = len(figures), len(figures[0])
    if languages < 2:
        raise InputError("languages that stand for others must be at least two; give more, or set sampled=False")
    centred = figures - figures.mean(axis=0) - figures.mean(axis=1, keepdims=True) + figures.mean()
    rest = float(np.square(centred).sum()) / ((seeds - 1) * (languages - 1) * seeds) if seeds > 1 else 0.0
    observed = float(figures.mean(axis=0).var(ddof=1))
    return max(observed - rest, 0.0) / float(languages)


def _weights(size: int, resamples: int, seed: int) -> Iterable[Array]:
    """Return how often each of `size` examples is drawn, in blocks of (resamples, examples); the same for all."""
    return _kept(size, resamples, seed) if size * resamples <= KEPT else _drawn(size, resamples, seed)


@lru_cache(maxsize=2)
def _kept(size: int, resamples: int, seed: int) -> tuple[Array, ...]:
    return tuple(_drawn(size, resamples, seed))


def _drawn(size: int, resamples: int, seed: int) -> Iterator[Array]:
    # The size is in the seed: languages of equally many examples draw the same ones (see the module).
    rng = np.random.default_rng([seed, size])
    step = max(1, BLOCK // size)
    counts = [min(step, resamples - start) for start in range(0, resamples, step)]
    return (rng.multinomial(size, np.full(size, 1 / size), count).astype(np.float64) for count in counts)


def _figures(arrays: list[Array], headline: Headline, weights: Array) -> Array:
    """Return (seeds, resamples) figures of one arm, or differences of the first and the second."""
    figures = [np.stack([headline(contributions, weights) for contributions in array]) for array in arrays]
    return figures[0] if len(figures) == 1 else figures[0] - figures[1]


def _by_language(arm: Arm) -> dict[str, Array]:
    by_code = arm if isinstance(arm, Mapping) else {"": arm}
    arrays = {code: np.asarray(array, dtype=np.float64) for code, array in by_code.items()}
    return {code: array[..., None] if array.ndim == 2 else array for code, array in arrays.items()}


def _check(arms: list[dict[str, Array]]) -> None:
    shapes = [{code: array.shape for code, array in arm.items()} for arm in arms]
    first = next(iter(shapes[0].values()), ())
    if len(first) != 3 or 0 in first:
        raise InputError(f"expected contributions of seeds x examples, found shape {first}; give one row a seed")
    if shapes[0] != shapes[-1]:
        raise InputError(f"arms differ: {shapes[0]} and {shapes[-1]}; pair the same seeds, languages and examples")
    if len({shape[0] for shape in shapes[0].values()}) > 1:
        raise InputError(f"languages differ in their number of seeds: {shapes[0]}; keep the seeds that all have")
