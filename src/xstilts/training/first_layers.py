"""The first layers of an encoder as an encoder of its own: a stand-in for a smaller one of the same family.

Such an encoder was never trained to work without the layers above, so that it is weaker than a public encoder of its
size. It has the tokenizer, the embeddings and the width of the whole one, and costs what its size says.

    smaller = first_layers(Encoder.of("work/encoder"), 6)  # a stage that runs start from, as from any encoder
"""

from __future__ import annotations

import math

from xstilts.errors import InputError
from xstilts.models.configs import config_of, keep_layers
from xstilts.models.encoder import Encoder, load_backbone, load_tokenizer
from xstilts.models.hf_format import save_encoder
from xstilts.models.network import Network
from xstilts.runtime.text import counted
from xstilts.store import names
from xstilts.store.stage import BuildContext, Stage, stage

PARTS = (1 / 6, 1 / 3, 1 / 2, 3 / 4)


@stage(name=names.FIRST_LAYERS, version=1, label=lambda encoder, layers: f"{encoder.name}-first-{layers}")
def first_layers(context: BuildContext, encoder: Encoder, layers: int) -> None:
    """Write the first layers of an encoder with its tokenizer to `model/`.

    Args:
        context: Where the stage is built.
        encoder: The whole encoder.
        layers: How many layers are kept.

    Raises:
        InputError: The encoder does not have as many.
    """
    network = Network(load_backbone(encoder.location))
    if not 1 <= layers <= network.depth:
        raise InputError(f"{encoder.name} has {counted(network.depth, 'layer')}: its first {layers} cannot be taken")
    del network.backbone.get_submodule(network.family.layers)[layers:]  # type: ignore[operator]
    keep_layers(network.config, range(layers))
    save_encoder(network, load_tokenizer(encoder.location), context.folder / names.MODEL_FOLDER)


def depths(encoder: Encoder) -> tuple[Encoder | Stage, ...]:
    """Return five sizes of an encoder, the smallest first: after some `PARTS` of its layers, and with all of them.

    Args:
        encoder: The whole encoder; of 12 layers where its configuration is not known.
    """
    layers = getattr(config_of(encoder), "num_hidden_layers", 12)
    return (*(first_layers(encoder, math.ceil(layers * part)) for part in PARTS), encoder)
