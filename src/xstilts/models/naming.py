"""Names of encoders in tables and reports."""

from __future__ import annotations

from xstilts.models.encoder import Encoder
from xstilts.store.stage import Stage, lineage


def name_of(encoder: Encoder | Stage) -> str:
    """Return an encoder's name in tables: its hub id or folder, "sandbox" for the one that is shipped.

    An encoder that started from random weights is named by its layers and width, such as "pretrained-6x256".
    """
    if isinstance(encoder, Encoder):
        return "sandbox" if encoder == Encoder.of("sandbox") else encoder.name
    *_, first = lineage(encoder, "encoder")
    if isinstance(first, Encoder):
        return encoder.label
    return called(first.label, first is encoder)


def called(random: str, alone: bool) -> str:
    """Return the name of an encoder with random initial weights.

    Args:
        random: The label of the stage that wrote them.
        alone: Whether these are meant themselves; otherwise what was trained from them.

    >>> called("untrained-6x256", alone=False)
    'pretrained-6x256'
    """
    return random if alone else random.replace("untrained-", "pretrained-", 1)
