"""Pooling: which state stands for a whole sequence before a classification or multiple-choice head.

Families of encoders pool the first token's state (XLM-R, BERT), the last one's (decoders) or the mean. A sentence
encoder was trained by the mean of its states, and its first token may carry little. The choice of a recipe is written
into the configuration that is saved with the weights, so that a saved model predicts by the same state.

>>> from transformers import XLMRobertaConfig
>>> config = XLMRobertaConfig()
>>> choose_pooling(config, "mean")
>>> chosen_pooling(config)
'mean'
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FAMILY, FIRST, LAST, MEAN = CHOICES = ("family", "first", "last", "mean")
CONFIGURABLE = (FIRST, MEAN)  # what `classifier_pooling` of some families can say
SETTING = "xstilts_pooling"  # in the configuration of an encoder
SENTENCE_TRANSFORMERS = "1_Pooling/config.json"  # how sentence-transformers pools, beside a published encoder
_MODES = {"pooling_mode_mean_tokens": MEAN, "pooling_mode_cls_token": FIRST, "pooling_mode_lasttoken": LAST}
_FIRST_TOKEN = {"modernbert": "cls", "eurobert": "bos"}  # as these families call it in `classifier_pooling`


def chosen_pooling(config: Any) -> str:
    """Return how the heads of an encoder pool sequences, one of `CHOICES`."""
    return str(getattr(config, SETTING, FAMILY))


def choose_pooling(config: Any, pooling: str) -> None:
    """Set in a configuration how heads pool sequences.

    Args:
        config: The encoder's configuration.
        pooling: One of `CHOICES`. Where the family's own configuration can say it, it is said there too, so that the
            shipped class follows it; "family" leaves that as it is.
    """
    if hasattr(config, SETTING):
        delattr(config, SETTING)
    if pooling != FAMILY:
        setattr(config, SETTING, pooling)
    if config.model_type in _FIRST_TOKEN and pooling in CONFIGURABLE:
        config.classifier_pooling = MEAN if pooling == MEAN else _FIRST_TOKEN[config.model_type]


def published_pooling(path: Path) -> str:
    """Read how a sentence encoder pools, as sentence-transformers saved it.

    Args:
        path: `1_Pooling/config.json` of the encoder's folder.

    Returns:
        One of `CHOICES`; "family" where there is no such file, or it says something else.
    """
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return FAMILY
    if not isinstance(settings, dict):
        return FAMILY
    modes = [mode for name, mode in _MODES.items() if settings.get(name) is True]
    named = {"mean": MEAN, "cls": FIRST, "lasttoken": LAST}.get(str(settings.get("pooling_mode")))
    modes += [named] if named and not modes else []
    return modes[0] if len(modes) == 1 else FAMILY
