"""GPU emulation: make fake tensors save for the backward pass what they would save on a GPU.

Torch aborts where autograd meets a tensor on a GPU that is not here, even a fake one. What autograd saves differs in
few operations, though, and these are emulated: above all, fused attention saves its inputs, its output and a number for
each row, never a matrix of all pairs.

    with OnGpu(halved=True), torch.autocast("cpu", dtype=torch.bfloat16):
        network.encode(ids, mask)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

ALIGNED = 8  # the rows of a kernel's bias have a multiple of this length


class OnGpu(TorchFunctionMode):
    """Makes fake tensors compute as on a GPU, which need not be here.

    Attention is fused; dropout saves a byte for each number instead of a factor; autocast computes the functions of
    `IN_FLOAT32` in float32 (torch's documentation, "CUDA Ops that can autocast to float32": those that networks use).
    """

    def __init__(self, halved: bool) -> None:
        super().__init__()
        self.halved = halved

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function, or its counterpart on a GPU."""
        options = dict(kwargs or {})
        if func is functional.scaled_dot_product_attention:
            heads = [part.to(torch.bfloat16) if self.halved else part for part in args[:3]]
            return Attention.apply(*heads, options.get("attn_mask", args[3] if len(args) > 3 else None))  # type: ignore[no-untyped-call]
        if func is functional.dropout:
            # Arguments may come by name or by position; where they do not come, torch's defaults.
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
    """Attention that saves queries, keys, values, a mask as a bias, the output, and a float32 for each head and row.

    Source: _scaled_dot_product_efficient_attention and its derivative in torch's derivatives.yaml.
    """

    @staticmethod
    def forward(context: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """Return an output (sequences, heads, length, width of values) without numbers.

        Args:
            context: Keeps what the backward pass needs.
            query: Queries, (sequences, heads, length, width).
            key: Keys.
            value: Values.
            mask: The attention mask; None for none.

        Returns:
            An uninitialised tensor of the output's shape.
        """
        output = query.new_empty((*query.shape[:-1], value.shape[-1]))
        sums = query.new_empty(query.shape[:-1], dtype=torch.float32)
        bias = None
        if mask is not None:
            aligned = -(-mask.shape[-1] // ALIGNED) * ALIGNED
            bias = query.new_empty((*mask.shape[:-1], aligned))
        context.save_for_backward(query, key, value, bias, output, sums)
        return output
