from __future__ import annotations

import doctest

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from xstilts import fewbits as module
from xstilts.fewbits import BLOCK, SIGNED, UNSIGNED, packed, rounded, unpacked


def test_docstring_tells_the_truth() -> None:
    assert doctest.testmod(module).failed == 0


def test_there_are_256_values_that_rise() -> None:
    for code, least in ((SIGNED, -1.0), (UNSIGNED, 1e-7)):
        assert len(code) == 256
        assert (code[1:] > code[:-1]).all()
        assert code[-1] == 1
        assert least <= code[0]
    assert 0 in SIGNED
    assert (UNSIGNED > 0).all()


@settings(max_examples=40, deadline=None)
@given(some.integers(1, 3 * BLOCK), some.integers(0, 2**30), some.floats(-30, 30))
def test_what_comes_back_is_near(count: int, seed: int, power: float) -> None:
    """Within what separates codes: 1.4 % of the scale of its block, and 29 % of the number itself down to a hundredth."""
    random = torch.Generator().manual_seed(seed)
    values = torch.randn(count, generator=random).pow(3) * 2.0**power
    for code, found in ((SIGNED, values), (UNSIGNED, values.abs())):
        codes, scales = packed(found, code)
        back = unpacked(codes, scales, code)
        assert codes.dtype == torch.uint8
        assert codes.shape == back.shape == found.shape
        assert len(scales) == -(-count // BLOCK)
        largest = scales.abs().repeat_interleave(BLOCK)[:count]
        assert ((back - found).abs() <= 0.0145 * largest).all()
        large = found.abs() > 1e-2 * largest
        assert ((back - found).abs() <= 0.29 * found.abs())[large].all()


@settings(max_examples=20, deadline=None)
@given(some.integers(0, 2**30))
def test_what_has_been_packed_stays_as_it_is(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    codes, scales = packed(torch.randn(700, generator=random), SIGNED)
    again, those = packed(unpacked(codes, scales, SIGNED), SIGNED)
    assert torch.equal(those, scales)
    assert torch.allclose(unpacked(again, those, SIGNED), unpacked(codes, scales, SIGNED), rtol=1e-2, atol=0)
    assert (again == codes).float().mean() > 0.999  # scaled and back, a value may be an ulp off, and go to a neighbour


@pytest.mark.parametrize("code", [SIGNED, UNSIGNED])
def test_eight_bits_are_right_on_average(code: torch.Tensor) -> None:
    torch.manual_seed(0)
    values = torch.rand(BLOCK) ** 3
    back = torch.stack([unpacked(*packed(values, code), code) for _ in range(2000)])
    assert ((back.mean(0) - values).abs() <= 5 * back.std(0) / 2000**0.5 + 1e-6).all()
    assert torch.equal(back.amax(1), values.max().expand(2000))


def test_nothing_stays_nothing_and_little_does_not_become_it() -> None:
    for code in (SIGNED, UNSIGNED):
        assert not unpacked(*packed(torch.zeros(300), code), code).any()
    little = torch.tensor([1.0, 1e-12, 1e-30])
    assert (unpacked(*packed(little, UNSIGNED), UNSIGNED) > 0).all()


def test_a_large_number_spoils_only_its_block() -> None:
    values = torch.full((2 * BLOCK,), 1e-6)
    values[0] = 1e8
    back = unpacked(*packed(values, SIGNED), SIGNED)
    assert back[0] == 1e8
    assert not torch.allclose(back[1:BLOCK], values[1:BLOCK])
    assert torch.allclose(back[BLOCK:], values[BLOCK:])


@given(some.floats(width=16, allow_nan=False, allow_infinity=True), some.integers(0, 2**30))
def test_bf16_numbers_are_left_alone(value: float, seed: int) -> None:
    exact = torch.full((50,), value).bfloat16()
    torch.manual_seed(seed)
    assert torch.equal(rounded(exact.float()), exact)


@pytest.mark.parametrize("value", [1.001, -0.3, 2e-5, 1e-30, 65504.7])
def test_rounding_by_chance_is_right_on_average(value: float) -> None:
    """The mean of n draws is within five standard errors; only the two neighbours occur."""
    torch.manual_seed(0)
    values = torch.full((100_000,), value)
    found = rounded(values).double()
    low, high = found.min(), found.max()
    exact = values[0].double()
    assert low <= exact <= high
    assert len(found.unique()) == 2
    assert torch.nextafter(low.bfloat16(), high.bfloat16()) == high.bfloat16()
    assert abs(found.mean() - exact) <= 5 * (high - low) * 0.5 / len(found) ** 0.5


def test_rounding_is_a_function_of_the_seed() -> None:
    values = torch.randn(1000)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(rounded(values))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_what_is_not_a_number_stays_none() -> None:
    assert rounded(torch.tensor([float("nan")])).isnan().all()
