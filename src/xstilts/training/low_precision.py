"""Low precision: bf16 with stochastic rounding, and eight bits with a scale per block.

A step of training changes a weight by less than bf16 resolves; rounded to the nearest, it would never change. With
stochastic rounding it is right on average (Zamirai et al. 2020, arXiv 2010.06192). Values of eight-bit codes lie closer
together the smaller they are, and blocks of 256 share a scale, so that an outlier affects few others (Dettmers et al.
2022, arXiv 2110.02861). They are rounded stochastically too: a running mean changes by less than the codes are apart,
and would not follow gradients that grow or fade.

>>> codes, scales = packed(torch.tensor([0.0, -3.0, 1.5]), signed=True)
>>> unpacked(codes, scales, signed=True)[1]
tensor(-3.)
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

BLOCK = 256
DECADES = 7


def rounded(values: Tensor) -> Tensor:
    """Round float32 values to bf16 stochastically, without bias; values that bf16 holds stay as they are.

    Draws one random number per value from torch's generator of the device.

    Args:
        values: Float32, of any shape.

    Returns:
        The rounded values in bf16.
    """
    # A bf16 is the upper half of a float32. The lower half, plus random bits of as many, carries over with a
    # probability in proportion to it: so a number is rounded up as often as it is near to the upper one.
    chance = torch.randint(0, 2**16, values.shape, dtype=torch.int32, device=values.device)
    return chance.add_(values.view(torch.int32)).bitwise_and_(-(2**16)).view(torch.float32).to(torch.bfloat16)


def levels(signed: bool) -> Tensor:
    """Return the 256 values of the codes, rising, from -1 or 0 to 1.

    Each decade has twice as many as the one below, at the middles of equal parts.

    Args:
        signed: Whether half of them are negative. Without signs, nothing below 1e-7 has a code, so that a divisor is
            never rounded to zero.

    Returns:
        Float32, (256,).
    """
    values = [1.0, 0.0 if signed else 10.0**-DECADES]
    for decade in range(DECADES):
        count = 2**decade if signed else 2 ** (decade + 1)
        middles = [(0.1 + 0.9 * (part + 0.5) / count) * 10.0 ** (decade + 1 - DECADES) for part in range(count)]
        values += [sign * middle for sign in ((1, -1) if signed else (1,)) for middle in middles]
    return torch.tensor(sorted(values))


@lru_cache
def _tables(signed: bool, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the values, and for each upper half of a float32 the first code not below the least number that has it.

    As no two values have the same upper half, that code or the next is the first not below any such number: one lookup
    and one comparison replace a binary search of eight.
    """
    values = levels(signed)
    halves = torch.arange(2**16, dtype=torch.int32) << 16
    # Of negative numbers the least has all lower bits set. Patterns that are NaN may get any code.
    least = torch.where(halves < 0, halves | 0xFFFF, halves).view(torch.float32).nan_to_num(1.0)
    return values.to(device), torch.bucketize(least, values, out_int32=True).clamp_(max=255).to(device)


def packed(values: Tensor, signed: bool) -> tuple[Tensor, Tensor]:
    """Quantize values blockwise with stochastic rounding.

    The scale is the largest number of a block, with its sign. It is restored exactly, and so is 0 if there are signs.
    Draws one random number per value, padding of the last block included.

    Args:
        values: Float32, (numbers,).
        signed: Whether values may be negative.

    Returns:
        Codes (numbers,), uint8, and scales (blocks,), float32.
    """
    level, first = _tables(signed, values.device)
    blocks = torch.nn.functional.pad(values, (0, -len(values) % BLOCK)).view(-1, BLOCK)
    scales = blocks.gather(1, blocks.abs().argmax(1, keepdim=True))
    # Divided by the scale with its sign, the largest number is exactly 1, which has a code.
    shares = torch.maximum(blocks / scales.where(scales != 0, 1.0), level[0]).view(-1)
    above = first.index_select(0, (shares.view(torch.int32) >> 16).bitwise_and_(0xFFFF))
    above = (above + (shares > level.index_select(0, above))).clamp_(1, 255)
    lower = level.index_select(0, above - 1)
    # Of the two codes around a number, the lower is taken in proportion to the distance from the upper.
    down = torch.rand_like(shares).mul_(level.index_select(0, above).sub_(lower)) >= shares.sub_(lower)
    return (above - down.int()).to(torch.uint8)[: len(values)], scales.view(-1)


def unpacked(codes: Tensor, scales: Tensor, signed: bool) -> Tensor:
    """Restore float32 values from eight-bit codes.

    Args:
        codes: The codes, (numbers,).
        scales: The number of each block of `BLOCK` with the largest absolute value, with its sign, (blocks,).
        signed: Whether the codes are those of signed numbers.

    Returns:
        The values, (numbers,).
    """
    values = _tables(signed, codes.device)[0].index_select(0, codes.int())
    full_blocks = len(values) - len(values) % BLOCK
    values[:full_blocks].view(-1, BLOCK).mul_(scales[: full_blocks // BLOCK].unsqueeze(1))
    values[full_blocks:].mul_(scales[full_blocks // BLOCK :])
    return values
