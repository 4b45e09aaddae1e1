"""Regression: whether and how fast a value grows with the size of the encoder.

Every size is another encoder, which may lie off the line for its own reasons. The interval of a slope therefore comes
from the residuals, which contain that as well as the seeds and the examples, with two degrees of freedom fewer than
sizes: three sizes have one, and must lie almost exactly on a line.

>>> found = slope([1e8, 2e8, 4e8, 8e8], [1.0, 2.1, 2.9, 4.0])
>>> (round(found.value, 2), found.p() < 0.05)  # a point for each doubling
(0.98, True)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xstilts.errors import InputError
from xstilts.metrics.base import Array
from xstilts.stats.estimates import Estimate


@dataclass(frozen=True)
class PowerLaw:
    """y = a x^b + c; intervals are NaN where there are no more points than parameters.

    Attributes:
        a: The factor.
        b: The exponent.
        c: The offset; 0 where none was fitted.
        a_interval: The ends of the interval of `a`.
        b_interval: The ends of the interval of `b`.
        c_interval: The ends of the interval of `c`.
    """

    a: float
    b: float
    c: float
    a_interval: tuple[float, float]
    b_interval: tuple[float, float]
    c_interval: tuple[float, float]


def slope(sizes: Sequence[float], values: Sequence[float], errors: Sequence[float] | None = None) -> Estimate:
    """Estimate the growth of a value with each doubling of size: weighted least squares on log2(size).

    Args:
        sizes: The sizes, above 0.
        values: The value at each size.
        errors: The values' standard errors, of which only the proportions count; None for equal weights.

    Returns:
        The slope.

    Raises:
        InputError: There are fewer than two different sizes, or an error is not above 0.
    """
    x, y = _points(sizes, values)
    deviations = np.ones(len(x)) if errors is None else np.asarray(errors, dtype=np.float64)
    if not (np.isfinite(deviations) & (deviations > 0)).all():
        raise InputError(f"errors must be above 0, found {list(errors or ())}; leave them out where there are none")
    x, weights = np.log2(x), 1 / deviations**2
    centre = np.average(x, weights=weights)
    width = float((weights * (x - centre) ** 2).sum())
    growth = float((weights * (x - centre) * y).sum()) / width
    rest = y - np.average(y, weights=weights) - growth * (x - centre)
    variance = float((weights * rest**2).sum()) / (len(x) - 2) / width if len(x) > 2 else math.nan
    return Estimate(growth, variance * len(x), len(x), lost=2)


def power_law(sizes: Sequence[float], values: Sequence[float], offset: bool = False, level: float = 0.95) -> PowerLaw:
    """Fit a x^b, or a x^b + c with c >= 0, by least squares to the logarithms of values above 0.

    Args:
        sizes: The sizes, above 0.
        values: The values, above 0.
        offset: Whether to fit c.
        level: The level of the intervals.

    Returns:
        The fit. Its intervals are by the delta method with Student's t, those of a and c on their logarithms.

    Raises:
        InputError: There are fewer than two different sizes, or a value is not above 0.
    """
    x, y = _points(sizes, values)
    if not (y > 0).all():
        raise InputError(f"a power law needs values above 0, found {y.min()}; fit a slope instead")
    x = np.log(x)
    centre = x.mean()  # around which the parameters hardly depend on each other
    b, start = np.polyfit(x - centre, np.log(y), 1)
    parameters = _with_offset(x - centre, np.log(y)) if offset else np.array([start, b])
    shape = _jacobian(parameters, x - centre)
    move = np.eye(len(parameters))
    move[0, 1] = -centre
    rest = np.log(y) - _predicted(parameters, x - centre)
    halves = _half_widths(shape, move, rest, level)
    a, b = float((move @ parameters)[0]), float(parameters[1])
    c = float(parameters[2]) if offset else -math.inf
    wide = float(halves[2]) if offset else 0.0
    return PowerLaw(
        math.exp(a),
        b,
        math.exp(c),
        (math.exp(a - halves[0]), math.exp(a + halves[0])),
        (b - float(halves[1]), b + float(halves[1])),
        (math.exp(c - wide), math.exp(c + wide)) if offset else (0.0, 0.0),
    )


def _predicted(parameters: Array, x: Array) -> Array:
    """Return log(a x^b + c) from log a, b and, where there is one, log c; x are logarithms."""
    power: Array = parameters[0] + parameters[1] * x
    # logaddexp adds c without leaving the logarithms, in which a x^b may be too large for a float.
    return power if len(parameters) == 2 else np.asarray(np.logaddexp(power, parameters[2]))


def _jacobian(parameters: Array, x: Array) -> Array:
    part = np.exp(parameters[0] + parameters[1] * x - _predicted(parameters, x))
    columns = [part, part * x, 1 - part]
    return np.stack(columns[: len(parameters)], axis=1)


def _with_offset(x: Array, y: Array) -> Array:
    """Return the best of fits from several shares of the smallest value as c."""
    from scipy.optimize import least_squares

    def off(parameters: Array, at: Array) -> Array:
        return _predicted(parameters, at) - y

    fits = []
    for part in (0.05, 0.3, 0.6, 0.9):
        c = y.min() + math.log(part)
        b, a = np.polyfit(x, np.log(np.exp(y) - math.exp(c)), 1)
        start = np.array([a, b, c])
        bounds = ([-np.inf, -np.inf, y.min() - 25], [np.inf, np.inf, y.min() + 1])
        fits.append(least_squares(off, start, jac=_jacobian, bounds=bounds, x_scale="jac", args=(x,)))
    return np.asarray(min(fits, key=lambda fit: float(fit.cost)).x, dtype=np.float64)


def _half_widths(shape: Array, move: Array, rest: Array, level: float) -> Array:
    from scipy.stats import t

    degrees = len(rest) - shape.shape[1]
    if degrees < 1:
        return np.full(shape.shape[1], np.nan)
    spread = np.linalg.pinv(shape.T @ shape) * float(rest @ rest) / degrees
    return np.asarray(t.ppf((1 + level) / 2, degrees) * np.sqrt(np.diag(move @ spread @ move.T)))


def _points(sizes: Sequence[float], values: Sequence[float]) -> tuple[Array, Array]:
    x, y = np.asarray(sizes, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if x.shape != y.shape or len(np.unique(x)) < 2 or not (x > 0).all():
        raise InputError(f"expected values at two or more sizes above 0, found {x.tolist()} and {y.tolist()}")
    return x, y
