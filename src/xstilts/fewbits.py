"""Few bits: numbers in bf16, rounded by chance, and in eight bits with a scale for each block.

A step of training changes a weight by less than bf16 can tell apart; rounded to the nearest, it would stay where it is
for ever. Rounded up as often as it lies close to the upper neighbour, it arrives on average (Zamirai et al. 2020, arXiv
2010.06192). Eight bits hold a code, whose values lie closer together the smaller they are, and blocks of 256 share a
scale, so that a large number spoils few others (Dettmers et al. 2022, arXiv 2110.02861). They, too, are rounded by
chance: a running mean moves by less than the codes are apart, and would not follow gradients that grow or fade.

>>> codes, scales = packed(torch.tensor([0.0, -3.0, 1.5]), SIGNED)
>>> unpacked(codes, scales, SIGNED)[1]
tensor(-3.)
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 256
DECADES = 7


def rounded(values: Tensor) -> Tensor:
    """Round float32 to bf16 by chance, to either neighbour, so that the mean is right; bf16 numbers stay as they are.

    Draws one number a value from torch's generator of the device.
    """
    chance = torch.randint(0, 2**16, values.shape, dtype=torch.int32, device=values.device)
    return chance.add_(values.view(torch.int32)).bitwise_and_(-(2**16)).view(torch.float32).to(torch.bfloat16)


def _values(signed: bool) -> Tensor:
    """Return the 256 values of the codes, rising, from -1 or 0 to 1: each decade has twice those of the one below.

    In a decade they are the middles of equal parts. Without signs, 0 has no code, nor has anything below 1e-7: what is
    divided by is never rounded to nothing.
    """
    found = [1.0, 0.0 if signed else 10.0**-DECADES]
    for decade in range(DECADES):
        count = 2**decade if signed else 2 ** (decade + 1)
        middles = [(0.1 + 0.9 * (part + 0.5) / count) * 10.0 ** (decade + 1 - DECADES) for part in range(count)]
        found += [sign * middle for sign in ((1, -1) if signed else (1,)) for middle in middles]
    return torch.tensor(sorted(found))


SIGNED, UNSIGNED = _values(signed=True), _values(signed=False)


def packed(values: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
    """Return codes (numbers,) uint8 of float32 values (numbers,), rounded by chance, and scales (blocks,) float32.

    The scale is the largest number of a block, with its sign: it comes back exactly, and so does 0 with `SIGNED`. Draws
    a number a value, those that fill up the last block included.
    """
    code = code.to(values.device)
    blocks = torch.nn.functional.pad(values, (0, -len(values) % BLOCK)).view(-1, BLOCK)
    scales = blocks.gather(1, blocks.abs().argmax(1, keepdim=True))
    shares = blocks / scales.where(scales != 0, 1.0)
    above = torch.bucketize(shares, code, out_int32=True)
    below = (above - 1).clamp_(min=0)
    lower = code[below]
    up = torch.rand_like(shares).mul_(code[above].sub_(lower)) < shares.sub_(lower)
    return torch.where(up, above, below).to(torch.uint8).view(-1)[: len(values)], scales.view(-1)


def unpacked(codes: Tensor, scales: Tensor, code: Tensor) -> Tensor:
    """Return the float32 values (numbers,) of codes and scales."""
    values = code.to(codes.device)[codes.int()]
    whole = len(values) - len(values) % BLOCK
    values[:whole].view(-1, BLOCK).mul_(scales[: whole // BLOCK].unsqueeze(1))
    values[whole:].mul_(scales[whole // BLOCK :])
    return values
