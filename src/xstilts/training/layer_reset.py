"""Layer reset: a trained encoder with some of its layers as they were before, to see which layers carry a gain.

before = Encoder.of("FacebookAI/xlm-roberta-base")
reset_layers(train(before, training_sets, recipe, seed=1), before, "bottom:6")
"""

from __future__ import annotations

import torch

from xstilts.models.encoder import Encoder, load_backbone, load_tokenizer
from xstilts.models.freezing import part
from xstilts.models.hf_format import save_encoder
from xstilts.models.network import Network
from xstilts.store import names
from xstilts.store.stage import BuildContext, Stage, stage
from xstilts.training.train import MODEL


def _label(encoder: Stage, donor: Encoder | Stage, layers: str) -> str:
    return f"graft-{layers}-{encoder.label}"


@stage(name=names.LAYER_RESET, version=1, label=_label)
def reset_layers(context: BuildContext, encoder: Stage, donor: Encoder | Stage, layers: str) -> None:
    """Write an encoder whose named layers have the donor's parameters; heads are dropped.

    Args:
        context: Where the stage is built.
        encoder: A training.
        donor: The encoder that the layers are taken from.
        layers: Which ones, as in `models.freezing.freeze`.
    """
    source = context.path(donor) / MODEL if isinstance(donor, Stage) else donor.location
    trained = Network(load_backbone(context.path(encoder) / MODEL))
    donor_network = Network(load_backbone(source))
    with torch.no_grad():
        for parameter, donor_parameter in zip(part(trained, layers), part(donor_network, layers), strict=True):
            parameter.copy_(donor_parameter)
    save_encoder(trained, load_tokenizer(context.path(encoder) / MODEL), context.folder / MODEL)
