"""What is counted at few shapes is what there is at any shape."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xstilts.cost import activation_memory, flops, growth
from xstilts.cost.activation_memory import TERMS
from xstilts.cost.flops import SHAPES, Shape

NAMES = [
    (*every, *more) for every in (flops.EVERY, activation_memory.EVERY) for more in ((), ("answered",), ("compared",))
]


@pytest.mark.parametrize("names", NAMES)
@given(st.data())
@settings(max_examples=20)
def test_coefficients_are_found(names: Sequence[str], data: st.DataObject) -> None:
    """Of things that grow as one term, and of one that grows as all of them."""
    terms = {name: TERMS[name] for name in names}
    single = data.draw(st.lists(st.tuples(st.sampled_from(names), st.integers(1, 10**12)), max_size=4))
    things: list[dict[str, int]] = [{name: factor} for name, factor in single]
    things.append({name: 7 + 4 * number for number, name in enumerate(names)})
    found = growth.polynomials(
        lambda shape: [sum(factor * terms[name](shape) for name, factor in thing.items()) for thing in things],
        terms,
        SHAPES,
    )
    assert found == things


def test_what_is_in_proportion_to_terms_is_counted_twice() -> None:
    calls = count()

    def tokens(shape: Shape) -> list[int]:
        next(calls)
        return [0, 5 * shape.sequences * shape.length, 7]

    assert growth.polynomials(tokens, flops.TERMS, SHAPES) == [
        {},
        {"padded_tokens": Fraction(5)},
        {"passes": Fraction(7)},
    ]
    assert next(calls) == 2


def test_each_term_grows_by_another_factor() -> None:
    first, second = SHAPES[:2]
    assert len({Fraction(term(second), term(first)) for term in TERMS.values()}) == len(TERMS)
