from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from quick import first
from xstilts.training.low_precision import BLOCK, levels, packed, rounded, unpacked


def test_there_are_256_values_that_rise() -> None:
    for signed, least in ((True, -1.0), (False, 1e-7)):
        values = levels(signed)
        assert len(values) == 256
        assert (values[1:] > values[:-1]).all()
        assert values[-1] == 1
        assert least <= values[0]
    assert 0 in levels(signed=True)
    assert (levels(signed=False) > 0).all()


@pytest.mark.parametrize("signed", first(1, [True, False]))
def test_only_the_neighbours_of_a_value_are_its_codes(signed: bool) -> None:
    """Whatever it is: in between, a value of the code itself, next to one, smaller than any, of either sign."""
    torch.manual_seed(0)
    values = levels(signed)
    between = torch.rand(20_000) * 10.0 ** (-9 * torch.rand(20_000))
    beside = torch.cat([values, *(torch.nextafter(values, torch.tensor(way)) for way in (2.0, -2.0))])
    found = torch.cat([between, -between, beside.clamp(max=1), torch.tensor([0.0, -0.0, 1e-42, -1e-42, -1.0])])
    found = found if signed else found.abs()
    spread = torch.nn.functional.pad(found.unsqueeze(1), (BLOCK - 1, 0), value=1.0)  # a scale of 1 in each block
    codes = packed(spread.view(-1), signed)[0].view(-1, BLOCK)[:, -1].int()
    high = torch.bucketize(found, values).clamp(1, 255)
    assert ((codes == high) | (codes == high - 1)).all()
    exact = (found.unsqueeze(1) == values).nonzero()
    assert len(exact) >= 256
    assert (codes[exact[:, 0]] == exact[:, 1]).all()


@settings(max_examples=40, deadline=None)
@given(some.integers(1, 3 * BLOCK), some.integers(0, 2**30), some.floats(-30, 30))
def test_what_comes_back_is_near(count: int, seed: int, power: float) -> None:
    """Within what separates codes: 1.4 % of the scale of its block, and 29 % of the number itself down to a hundredth."""
    random = torch.Generator().manual_seed(seed)
    values = torch.randn(count, generator=random).pow(3) * 2.0**power
    for signed, found in ((True, values), (False, values.abs())):
        codes, scales = packed(found, signed)
        back = unpacked(codes, scales, signed)
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
    codes, scales = packed(torch.randn(700, generator=random), signed=True)
    again, those = packed(unpacked(codes, scales, signed=True), signed=True)
    assert torch.equal(those, scales)
    assert torch.allclose(unpacked(again, those, signed=True), unpacked(codes, scales, signed=True), rtol=1e-2, atol=0)
    assert (again == codes).float().mean() > 0.999  # scaled and back, a value may be an ulp off, and go to a neighbour


@pytest.mark.parametrize("signed", first(1, [True, False]))
def test_eight_bits_are_right_on_average(signed: bool) -> None:
    torch.manual_seed(0)
    values = torch.rand(BLOCK) ** 3
    back = torch.stack([unpacked(*packed(values, signed), signed) for _ in range(2000)])
    assert ((back.mean(0) - values).abs() <= 5 * back.std(0) / 2000**0.5 + 1e-6).all()
    assert torch.equal(back.amax(1), values.max().expand(2000))


def test_nothing_stays_nothing_and_little_does_not_become_it() -> None:
    for signed in (True, False):
        assert not unpacked(*packed(torch.zeros(300), signed), signed).any()
    little = torch.tensor([1.0, 1e-12, 1e-30])
    assert (unpacked(*packed(little, signed=False), signed=False) > 0).all()


def test_a_large_number_spoils_only_its_block() -> None:
    values = torch.full((2 * BLOCK,), 1e-6)
    values[0] = 1e8
    back = unpacked(*packed(values, signed=True), signed=True)
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
