"""Rows: a network with only those rows of its input embeddings that the data touch.

Most parameters of a multilingual encoder embed pieces that a data set never shows. They get no gradient, yet an
optimiser would keep two moments of each and walk over all of them at every step. While `used` lasts, the network holds
the rows of the pieces that occur; afterwards it has its whole table back. Only the lookup translates ids, so that
whatever else reads them, as the positions that XLM-R counts by the id of its padding, finds what it always did.

    with used(network, ["classification"], units, tokens):
        loss = format.loss(network, head, format.collate(units, tokens))
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xstilts.models.batch import ModelInput
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer

LARGE = 2**26  # bytes of a table that is better off on a disk than in memory


@contextmanager
def pruned_embeddings(
    network: Network,
    formats: Collection[str],
    units: Iterable[ModelInput],
    tokens: Tokenizer,
    folder: Path | None = None,
) -> Iterator[Tensor]:
    """Leave a network only the rows that units touch; yield the whole table, whose other rows may be changed.

    The network may be moved to a device meanwhile; the whole table stays where it is, or, where it is large and a
    folder is given, on that disk. Masked-LM shows any piece and asks for all of them: there the network is left alone,
    and what is yielded is empty.
    """
    if "masked_lm" in formats:
        yield torch.empty(0)
        return
    matrix = network.embedding_matrix
    lookups: list[Any] = [one for one in network.backbone.modules() if getattr(one, "weight", None) is matrix]
    if folder is not None and matrix.nbytes >= LARGE:
        table = nn.Parameter(_on_disk(matrix.detach(), folder), matrix.requires_grad)
        for lookup in lookups:
            lookup.weight = table
    whole = network.embedding_matrix.detach()
    rows = _touched(units, tokens, lookups, len(whole))
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
    """Return a table mapped from a file that has no name any more, and so goes with the process that maps it."""
    path = folder / "table.mapped"
    try:
        table.contiguous().numpy().tofile(path)
        return torch.from_file(str(path), shared=True, size=table.numel(), dtype=table.dtype).view(table.shape)
    finally:
        path.unlink(missing_ok=True)


def _touched(units: Iterable[ModelInput], tokens: Tokenizer, lookups: list[Any], size: int) -> Tensor:
    """Return the ids, in order, that occur in units, stand around texts or fill a batch up."""
    seen = np.zeros(size, dtype=bool)
    pieces = tokens.special_tokens
    seen[[*pieces.prefix, *pieces.middle, *pieces.suffix, pieces.pad, tokens.unknown]] = True
    seen[[one.padding_idx for one in lookups if one.padding_idx is not None]] = True
    for unit in units:
        for sequence in unit.sequences:
            seen[sequence] = True
    return torch.from_numpy(np.flatnonzero(seen))


@contextmanager
def _narrowed(lookup: Any, few: nn.Parameter, places: Tensor) -> Iterator[None]:
    """Let an embedding look up in a few rows, a piece with id n in row places[n]; the padding's gets no gradient."""
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
