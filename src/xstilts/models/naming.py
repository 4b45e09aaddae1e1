"""TODO models.naming."""

from __future__ import annotations

from xstilts.models.encoder import Encoder
from xstilts.store.stage import Stage, lineage


def name_of(encoder: Encoder | Stage) -> str:
    """Return an encoder's name in the table; the one that comes with the sandbox is called so.

    One that begins with random weights is called by its layers and its width: all of them learn the same lessons.
    """
    if isinstance(encoder, Encoder):
        return "sandbox" if encoder == Encoder.of("sandbox") else encoder.name
    *_, first = lineage(encoder, "encoder")
    if isinstance(first, Encoder):
        return encoder.label
    return called(first.label, first is encoder)


def called(random: str, alone: bool) -> str:
    """Return the name of an encoder that began as random weights of a label: alone these, or trained since."""
    return random if alone else random.replace("untrained-", "pretrained-", 1)
