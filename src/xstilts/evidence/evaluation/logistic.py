"""Ridge logistic regression by Newton's method, for models with few features.

>>> import numpy as np
>>> slope, intercept = logistic(np.array([[-1.0, 1], [1, 1]]), np.array([0.0, 1]), np.array([50.0, 50]))
>>> bool(slope > 1), bool(abs(intercept) < 1e-9)
(True, True)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RIDGE = 10.0
STEPS = 30


def logistic(
    design: NDArray[np.float64], labels: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fit a weighted logistic regression.

    Args:
        design: Standardised features, and a last column of ones, (rows, columns).
        labels: 0 or 1, (rows).
        weights: Weight of each row, (rows).

    Returns:
        Coefficients, (columns); the last is the intercept, which no penalty draws to 0.
    """
    solved = np.zeros(design.shape[1])
    penalty = np.eye(len(solved)) * RIDGE
    penalty[-1, -1] = 0
    for _ in range(STEPS):
        chances = 1 / (1 + np.exp(-design @ solved))
        gradient = design.T @ (weights * (chances - labels)) + penalty @ solved
        hessian = (design * (weights * chances * (1 - chances))[:, None]).T @ design + penalty
        solved = solved - np.linalg.solve(hessian, gradient)
    return solved
