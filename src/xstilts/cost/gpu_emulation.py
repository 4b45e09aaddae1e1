"""On a GPU: what tensors without numbers do there that they would do otherwise on a processor.

Torch aborts where autograd meets a tensor of a GPU that is not here, even one without numbers. What autograd keeps
differs in few things, though, and these are written down: above all, fused attention keeps its inputs, its output and
a number for each row, never a matrix of all pairs.

    with OnGpu(halved=True), torch.autocast("cpu", dtype=torch.bfloat16):
        network.encode(ids, mask)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

ALIGNED = 8  # a kernel's bias has rows of a multiple of so many numbers


class OnGpu(TorchFunctionMode):
    """Lets tensors without numbers compute as on a GPU, which need not be here: what is different there is few things.

    Attention is fused; dropout keeps a byte for each number instead of a factor; autocast takes to float32 what is
    listed here (torch's documentation, "CUDA Ops that can autocast to float32": those that networks use).
    """

    def __init__(self, halved: bool) -> None:
        super().__init__()
        self.halved = halved

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function, or what a GPU has in its place."""
        options = dict(kwargs or {})
        if func is functional.scaled_dot_product_attention:
            heads = [part.to(torch.bfloat16) if self.halved else part for part in args[:3]]
            return Attention.apply(*heads, options.get("attn_mask", args[3] if len(args) > 3 else None))  # type: ignore[no-untyped-call]
        if func is functional.dropout:
            rate, training = options.get("p", (*args, 0.5)[1]), options.get("training", (*args, True, True)[2])
            return torch.native_dropout(args[0], rate, training)[0] if training and 0 < rate < 1 else args[0]
        if self.halved and func in IN_FLOAT32:
            args = tuple(part.float() if _is_half(part) else part for part in args)
        return func(*args, **options)


IN_FLOAT32 = {
    *(functional.layer_norm, functional.softmax, functional.log_softmax, functional.cross_entropy),
    *(torch.softmax, Tensor.softmax, torch.log_softmax, torch.rsqrt, torch.pow, Tensor.pow, torch.sum, Tensor.sum),
}


def _is_half(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype == torch.bfloat16


class Attention(torch.autograd.Function):
    """Attention that keeps queries, keys, values, a mask as a bias, the output, and a float32 for each head and row.

    Source: _scaled_dot_product_efficient_attention and its derivative in torch's derivatives.yaml.
    """

    @staticmethod
    def forward(context: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """Return an output (sequences, heads, length, width of values) without numbers."""
        found = query.new_empty((*query.shape[:-1], value.shape[-1]))
        sums = query.new_empty(query.shape[:-1], dtype=torch.float32)
        bias = None
        if mask is not None:
            aligned = -(-mask.shape[-1] // ALIGNED) * ALIGNED
            bias = query.new_empty((*mask.shape[:-1], aligned))
        context.save_for_backward(query, key, value, bias, found, sums)
        return found
