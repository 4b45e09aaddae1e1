"""Growth: what is counted at a few shapes, for any shape.

An operation's FLOPs and a tensor's bytes are in proportion to one term of a batch's shape, such as its number of
tokens. Where each term grows by another factor from one shape to another, counts at these two tell which term that is,
and its coefficient. What is in proportion to none is counted at further shapes, and solved as a sum of terms, in
fractions. A sum of terms that happens to grow as one would be mistaken for it: tests compare counts at other shapes.

>>> terms = {"passes": lambda length: 1, "tokens": lambda length: length}
>>> polynomials(lambda length: [7, 3 * length, 3 * length + 7], terms, (4, 8))
[{'passes': Fraction(7, 1)}, {'tokens': Fraction(3, 1)}, {'passes': Fraction(7, 1), 'tokens': Fraction(3, 1)}]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TypeVar

S = TypeVar("S")
Terms = Mapping[str, Fraction]


def polynomials(
    count: Callable[[S], Sequence[int]], terms: Mapping[str, Callable[[S], int]], shapes: Sequence[S]
) -> list[Terms]:
    """Return how things grow with a shape.

    Args:
        count: From a shape to the counts of some things, the same things in the same order at all shapes.
        terms: The terms that may matter.
        shapes: From the first to the second each term grows by another factor; with the next ones, as many shapes as
            terms are enough to tell all terms apart.

    Returns:
        For each thing the coefficients of its terms.
    """
    first, second, *others = shapes[: max(len(terms), 2)]
    pairs = list(zip(count(first), count(second), strict=True))
    single = [_proportional(*pair, terms, first, second) for pair in pairs]
    known = [polynomial for polynomial in single if polynomial is not None]
    if len(known) == len(single):
        return known
    rows = [[term(shape) for term in terms.values()] for shape in (first, second, *others)]
    values = zip(*zip(*pairs, strict=True), *map(count, others), strict=True)
    return [
        dict(zip(terms, solved(rows, list(value)), strict=True)) if polynomial is None else polynomial
        for polynomial, value in zip(single, values, strict=True)
    ]


def _proportional(
    before: int, after: int, terms: Mapping[str, Callable[[S], int]], first: S, second: S
) -> Terms | None:
    """Return the term in proportion to which a count grew, with its coefficient; None where there is none."""
    if before == after == 0:
        return {}
    proportional = (name for name, term in terms.items() if before * term(second) == after * term(first))
    name = next(proportional, None)
    return None if name is None else {name: Fraction(before, terms[name](first))}


def added(polynomials: Iterable[Terms], terms: Iterable[str]) -> dict[str, Fraction]:
    """Return the sum of polynomials, with a coefficient for each term, 0 included."""
    sums = dict.fromkeys(terms, Fraction())
    for polynomial in polynomials:
        for name, factor in polynomial.items():
            sums[name] += factor
    return sums


def solved(rows: list[list[int]], values: list[int]) -> list[Fraction]:
    """Solve a system of linear equations without rounding.

    Args:
        rows: The coefficients, as many rows as unknowns; integers or fractions.
        values: The right-hand sides.

    Returns:
        The unknowns.

    >>> solved([[1, 1], [1, 2]], [5, 8])
    [Fraction(2, 1), Fraction(3, 1)]
    """
    table = [[Fraction(cell) for cell in (*row, value)] for row, value in zip(rows, values, strict=True)]
    for column in range(len(table)):
        best = next(row for row in range(column, len(table)) if table[row][column])
        table[column], table[best] = table[best], table[column]
        table[column] = [cell / table[column][column] for cell in table[column]]
        for row in range(len(table)):
            if row != column:
                factor = table[row][column]
                table[row] = [a - factor * b for a, b in zip(table[row], table[column], strict=True)]
    return [row[-1] for row in table]
