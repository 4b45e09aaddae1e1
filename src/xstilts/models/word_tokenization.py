"""Word tokenization in keys: which trainings read the words of sentences otherwise than the first release did.

Words were once tokenized one by one, which glues them together for tokenizers that mark the space before a word
(byte-level BPE, Gemma's). Now they are tokenized as within their sentence. For all other tokenizers nothing changed and
keys stay; a training whose tokens changed has a key of its own.

>>> word_tokenization(Encoder("FacebookAI/xlm-roberta-base", "0" * 40), "token_classification")
''
>>> word_tokenization(Encoder("jhu-clsp/mmBERT-small", "0" * 40), "token_classification")
'in sentences'
>>> word_tokenization(Encoder("jhu-clsp/mmBERT-small", "0" * 40), "classification")
''
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download

from xstilts.models import configs
from xstilts.models.encoder import Encoder, load_tokenizer
from xstilts.models.tokenization import needs_spaces
from xstilts.store.stage import Stage, lineage

IN_SENTENCES = "in sentences"
# The families of the first release; of later ones there are no earlier results.
FIRST = ("xlm-roberta", "xlm-roberta-xl", "deberta-v2", "mt5", "umt5")
FIRST_SPACED = ("modernbert", "eurobert", "qwen3", "gemma3_text")
OWN_MARK = re.compile(r'"type":\s*"(?:Metaspace|BertPreTokenizer|Whitespace\w*)"')


def word_tokenization(encoder: Encoder | Stage, format: str) -> str:
    """Return how a training on an encoder reads words, as its key has it.

    Args:
        encoder: What the training starts from; of a stage, the encoder at its beginning counts.
        format: The task format of the training set; only token classification has words.

    Returns:
        `IN_SENTENCES` where the tokens differ from those of the first release, else "", which is left out of keys.
    """
    if format != "token_classification":
        return ""
    *_, origin = lineage(encoder, "encoder")
    return IN_SENTENCES if isinstance(origin, Encoder) and _changed(origin) else ""


def _changed(encoder: Encoder) -> bool:
    if not encoder.folder:  # the same before and after a download: by its model type, not by its files
        return _model_type(encoder.name, encoder.digest) in FIRST_SPACED
    return _changed_in(Path(encoder.folder), encoder.digest)


@lru_cache(maxsize=64)
def _model_type(name: str, revision: str) -> str:
    config: Any = configs.config_of(name, revision)
    if config is None:
        try:
            config = configs.read(Path(hf_hub_download(name, "config.json", revision=revision)))
        except Exception:  # out of reach: nothing can be trained with it either
            return ""
    return str(config.model_type) if config is not None else ""


@lru_cache(maxsize=64)
def _changed_in(folder: Path, digest: str) -> bool:
    config = configs.config_of(folder) if folder.is_dir() else None
    if config is None or config.model_type not in (*FIRST, *FIRST_SPACED):
        return False
    path = folder / "tokenizer.json"
    if path.is_file() and config.model_type in FIRST:
        # Loading takes seconds, and in the part before the model is said what splits texts.
        head = path.read_text(encoding="utf-8").partition('"pre_tokenizer"')[2][:2000]
        if OWN_MARK.search(head.partition('"post_processor"')[0]):
            return False
    return needs_spaces(load_tokenizer(folder))
