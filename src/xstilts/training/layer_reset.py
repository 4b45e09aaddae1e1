"""Graft: a trained encoder with some of its layers as they were before, to see which layers carry what was learned.

before = Encoder.of("FacebookAI/xlm-roberta-base")
graft(train(before, lessons, recipe, seed=1), before, "bottom:6")
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
    """Write an encoder in which the named layers (`network.freeze` says how) are the donor's, without any head."""
    source = context.path(donor) / MODEL if isinstance(donor, Stage) else donor.location
    kept = Network(load_backbone(context.path(encoder) / MODEL))
    given = Network(load_backbone(source))
    with torch.no_grad():
        for ours, theirs in zip(part(kept, layers), part(given, layers), strict=True):
            ours.copy_(theirs)
    save_encoder(kept, load_tokenizer(context.path(encoder) / MODEL), context.folder / MODEL)
