"""Tiny models with random weights, and tiny tokenizers, of every supported family, for tests.

make("xlm-roberta", tmp_path)
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from xstilts.models.encoder import load_backbone

QUICK = ("xlm-roberta", "modernbert", "mt5")
# Of these, tests/models/test_families.py has the laws in short; what is like XLM-R in them is tested by `make slow`.
BERTS = ("bert", "camembert", "distilbert", "electra", "rembert", "roberta", "xmod", "t5")


def quick_first(names: Iterable[str]) -> list[Any]:
    """Return families as parameters of a test: a few that differ most are always tested, the others by `make slow`."""
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


def berts_last(names: Iterable[str]) -> list[Any]:
    """Return families as parameters of a test: BERT's relatives are tested by `make slow`, all others always."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in BERTS else name for name in names]


WIDTH, DEPTH, VOCABULARY = 16, 3, 64
LETTERS = "abcdefghijklmnopqrstuvwxyz"

_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
_CAUSAL: dict[str, Any] = {**_SIZES, "num_key_value_heads": 1, "head_dim": 8}
_T5: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": WIDTH,
    "d_kv": 8,
    "d_ff": 24,
    "num_layers": DEPTH,
    "num_heads": 2,
}

# model type: special tokens in the order of their ids with their roles, templates of a text and a pair, configuration
FAMILIES: dict[str, dict[str, Any]] = {
    "xlm-roberta": {
        "special": {"<s>": "cls", "<pad>": "pad", "</s>": "sep", "<unk>": "unk", "<mask>": "mask"},
        "text": "<s> $A </s>",
        "pair": "<s> $A </s> </s> $B </s>",
        "config": {**_SIZES, "max_position_embeddings": 66, "type_vocab_size": 1},
    },
    "modernbert": {
        "special": {"<pad>": "pad", "<eos>": "sep", "<bos>": "cls", "<unk>": "unk", "<mask>": "mask"},
        "text": "<bos> $A <eos>",
        "pair": "<bos> $A <eos> $B <eos>",
        "config": {
            **_SIZES,
            "local_attention": 4,
            "classifier_pooling": "mean",
            "pad_token_id": 0,
            "eos_token_id": 1,
            "bos_token_id": 2,
            "cls_token_id": 2,
            "sep_token_id": 1,
        },
    },
    "eurobert": {
        "special": {"<bos>": "bos", "<eos>": "eos", "<mask>": "mask", "<unk>": "unk"},
        "pad": "<eos>",
        "text": "<bos> $A <eos>",
        "pair": "<bos> $A <eos> $B <eos>",
        "config": {**_SIZES, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1, "mask_token_id": 2},
    },
    "deberta-v2": {
        "special": {"[PAD]": "pad", "[CLS]": "cls", "[SEP]": "sep", "[UNK]": "unk", "[MASK]": "mask"},
        "text": "[CLS] $A [SEP]",
        "pair": "[CLS] $A [SEP] $B [SEP]",
        "config": {
            **_SIZES,
            "relative_attention": True,
            "position_buckets": 8,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "pos_att_type": "p2c|c2p",
            "position_biased_input": False,
            "max_position_embeddings": 64,
            "pooler_dropout": 0,
        },
    },
    "mt5": {
        "special": {"<pad>": "pad", "</s>": "eos", "<unk>": "unk"},
        "text": "$A </s>",
        "pair": "$A </s> $B </s>",
        "config": _T5,
    },
    "qwen3": {
        "special": {"<|endoftext|>": "eos", "<|vision_pad|>": "", "<unk>": "unk"},
        "pad": "<|endoftext|>",
        "text": "$A",
        "pair": "$A $B",
        "config": {**_CAUSAL, "eos_token_id": 0, "bos_token_id": 0, "tie_word_embeddings": True},
    },
    "gemma3_text": {
        "special": {"<pad>": "pad", "<eos>": "eos", "<bos>": "bos", "<unk>": "unk", "<mask>": "mask"},
        "text": "<bos> $A",
        "pair": "<bos> $A <bos> $B",
        "config": {**_CAUSAL, "sliding_window": 4, "query_pre_attn_scalar": 8},
    },
}
FAMILIES["xlm-roberta-xl"] = FAMILIES["xlm-roberta"]
FAMILIES["roberta"] = FAMILIES["camembert"] = {
    **FAMILIES["xlm-roberta"],
    "config": {**FAMILIES["xlm-roberta"]["config"], "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2},
}
FAMILIES["umt5"] = FAMILIES["t5"] = FAMILIES["mt5"]
_WORDPIECES: dict[str, Any] = {
    "special": {"[PAD]": "pad", "[UNK]": "unk", "[CLS]": "cls", "[SEP]": "sep", "[MASK]": "mask"},
    "text": "[CLS] $A [SEP]",
    "pair": "[CLS] $A [SEP] $B [SEP]",
}
_BERT: dict[str, Any] = {**_SIZES, "max_position_embeddings": 64, "type_vocab_size": 2, "pad_token_id": 0}
FAMILIES["bert"] = {**_WORDPIECES, "config": _BERT}
FAMILIES["electra"] = {**_WORDPIECES, "config": {**_BERT, "embedding_size": 12}}
FAMILIES["rembert"] = {
    **_WORDPIECES,
    "config": {**_BERT, "input_embedding_size": 12, "output_embedding_size": 20},
}
FAMILIES["distilbert"] = {
    **_WORDPIECES,
    "config": {
        "vocab_size": VOCABULARY,
        "dim": WIDTH,
        "n_layers": DEPTH,
        "n_heads": 2,
        "hidden_dim": 24,
        "max_position_embeddings": 64,
    },
}
FAMILIES["xmod"] = {
    **FAMILIES["roberta"],
    "config": {
        **FAMILIES["roberta"]["config"],
        "languages": ["en_XX", "de_DE", "sw_KE"],
        "adapter_reduction_factor": 4,
        "default_language": "en_XX",
    },
}


def config(model_type: str) -> Any:
    """Return a tiny configuration of a family."""
    return transformers.AutoConfig.for_model(model_type, **FAMILIES[model_type]["config"])


def tokenizer(model_type: str) -> Any:
    """Return a Unigram tokenizer of letters and a few pieces with a family's special tokens and templates."""
    row = FAMILIES[model_type]
    special = list(row["special"])
    pieces = [*special, "\u2581", *LETTERS, *(f"\u2581{letter}" for letter in LETTERS)][:VOCABULARY]
    scores = [(piece, 0.0 if piece in special else -(len(piece) ** 0.5)) for piece in pieces]
    tokens = Tokenizer(models.Unigram(scores, unk_id=special.index("<unk>" if "<unk>" in special else "[UNK]")))
    tokens.normalizer = normalizers.NFKC()
    tokens.pre_tokenizer = pre_tokenizers.Metaspace()
    tokens.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in special])
    pair = _owned(row["pair"])
    ids = [(piece, special.index(piece)) for piece in special]
    tokens.post_processor = processors.TemplateProcessing(single=row["text"], pair=pair, special_tokens=ids)
    roles: dict[str, Any] = {f"{role}_token": piece for piece, role in row["special"].items() if role}
    roles |= {"pad_token": row["pad"]} if "pad" in row else {}
    if model_type in ("bert", "electra"):  # as published; RemBERT's has types, and returns them where asked to
        roles["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokens, **roles)


def make(model_type: str, folder: Path, auto: str = "AutoModel", seed: int = 0) -> Path:
    """Write a tiny model of random weights with its tokenizer; `auto` names the class that is saved."""
    torch.manual_seed(seed)
    if model_type in ("mt5", "umt5", "t5") and auto == "AutoModel":
        auto = "AutoModelForTextEncoding"
    model = getattr(transformers, auto).from_config(config(model_type))
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(folder)
    tokenizer(model_type).save_pretrained(folder)
    return folder


class Folders(dict[str, Path]):
    """Tiny models below a folder by model type, each made when it is first asked for."""

    def __init__(self, below: Path) -> None:
        super().__init__()
        self.below = below / "families"
        self.backbones: dict[str, torch.nn.Module] = {}

    def __missing__(self, model_type: str) -> Path:
        folder = self.below / model_type
        self[model_type] = folder if folder.exists() else make(model_type, folder)
        return self[model_type]

    def backbone(self, model_type: str) -> torch.nn.Module:
        """Return a loaded backbone to do anything with; it is read from disk only once."""
        if model_type not in self.backbones:
            self.backbones[model_type] = load_backbone(self[model_type])
        return copy.deepcopy(self.backbones[model_type])


def _owned(template: str) -> str:
    """Give the second text of a pair's template, and what follows it, to segment 1."""
    first, second = template.split(" $B")
    return f"{first} $B:1" + "".join(f" {piece}:1" for piece in second.split())
