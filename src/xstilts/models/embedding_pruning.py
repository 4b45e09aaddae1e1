"""Embedding pruning: train on only those rows of the input embedding matrix that occur in the data.

Most parameters of a multilingual encoder embed tokens that a data set never contains. They get no gradient, yet an
optimizer would keep two moments of each and update all of them at every step. Within `pruned_embeddings` the network
holds the rows of the tokens that occur; afterwards it has its whole matrix back. Only the lookup translates ids: what
else reads them, as XLM-R, which counts positions by the id of its padding, sees the original ids.

    with pruned_embeddings(network, inputs, tokenizer) as matrix:
        loss = format.loss(network, head, format.collate(inputs, tokenizer))
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xstilts.models.batch import ModelInput
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer

LARGE = 2**26  # bytes of a matrix that is kept on disk rather than in memory


@contextmanager
def pruned_embeddings(
    network: Network,
    inputs: Iterable[ModelInput],
    tokenizer: Tokenizer,
    *,
    keep_all: bool = False,
    folder: Path | None = None,
) -> Iterator[Tensor]:
    """Within this context a network has only the embedding rows that occur in its inputs.

    Args:
        network: On the CPU; it may be moved to a device within the context.
        inputs: Everything that it will be called with.
        tokenizer: Its special and unknown tokens are kept too.
        keep_all: Leave the network as it is, as for masked-LM, which draws and predicts any token.
        folder: Where a large whole matrix is mapped to disk meanwhile; None: it stays in memory.

    Yields:
        The whole matrix (vocabulary, width); its other rows may be changed, and the rows in use are written back on
        exit. An empty tensor with `keep_all`.
    """
    if keep_all:
        yield torch.empty(0)
        return
    matrix = network.embedding_matrix
    lookups: list[Any] = [layer for layer in network.backbone.modules() if getattr(layer, "weight", None) is matrix]
    if folder is not None and matrix.nbytes >= LARGE:
        table = nn.Parameter(_on_disk(matrix.detach(), folder), matrix.requires_grad)
        for lookup in lookups:
            lookup.weight = table
    whole = network.embedding_matrix.detach()
    rows = _occurring(inputs, tokenizer, lookups, len(whole))
    places = torch.full((len(whole),), -1).index_copy_(0, rows, torch.arange(len(rows)))
    few = nn.Parameter(whole[rows], requires_grad=network.embedding_matrix.requires_grad)
    with ExitStack() as narrowed:
        for lookup in lookups:
            narrowed.enter_context(_narrowed(lookup, few, places))
        try:
            yield whole
        finally:
            whole[rows] = few.detach().to(whole)


def _on_disk(table: Tensor, folder: Path) -> Tensor:
    """Return a matrix mapped from a file that is already unlinked, and so disappears with the process."""
    path = folder / "table.mapped"
    try:
        table.contiguous().numpy().tofile(path)
        return torch.from_file(str(path), shared=True, size=table.numel(), dtype=table.dtype).view(table.shape)
    finally:
        path.unlink(missing_ok=True)


def _occurring(inputs: Iterable[ModelInput], tokenizer: Tokenizer, lookups: list[Any], size: int) -> Tensor:
    """Return the ids, in order, that occur in inputs, surround texts or pad batches, (rows,)."""
    seen = np.zeros(size, dtype=bool)
    special = tokenizer.special_tokens
    seen[[*special.prefix, *special.middle, *special.suffix, special.pad, tokenizer.unknown]] = True
    seen[[one.padding_idx for one in lookups if one.padding_idx is not None]] = True
    for model_input in inputs:
        for sequence in model_input.sequences:
            seen[sequence] = True
    return torch.from_numpy(np.flatnonzero(seen))


@contextmanager
def _narrowed(lookup: Any, few: nn.Parameter, places: Tensor) -> Iterator[None]:
    """Let an embedding look up token id n in row places[n] of a smaller matrix; the padding row gets no gradient."""
    table, padding = lookup.weight, lookup.padding_idx
    lookup.weight, lookup.padding_idx = few, None if padding is None else int(places[padding])
    lookup.register_buffer("places", places, persistent=False)
    hook = lookup.register_forward_pre_hook(lambda module, ids: (module.places[ids[0]],))
    try:
        yield
    finally:
        hook.remove()
        del lookup.places
        lookup.weight, lookup.padding_idx = table, padding
