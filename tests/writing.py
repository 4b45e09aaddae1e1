"""Texts in many scripts, and tokenizers that know them character by character, for tests of offsets and lengths.

>>> metaspace().tokenize("the cat sat")
['▁the', '▁cat', '▁', 's', 'at']
"""

from __future__ import annotations

from functools import cache
from typing import Any

import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

# Each with a stretch that is asked for: Latin, composed and combining accents, Chinese, Thai, Hindi, Arabic, Korean
# in jamo, ligatures, astral characters, and white space of every kind.
TEXTS: dict[str, tuple[str, str]] = {
    "latin": ("the cat sat on the mat", "cat sat"),
    "composed": ("un café noir à Genève", "café noir"),
    "combining": ("un cafe\u0301 noir a\u0300 Gene\u0300ve", "cafe\u0301"),
    "combining_last": ("cafe\u0301", "cafe\u0301"),
    "vietnamese": ("Ha\u0300 No\u0323\u0302i la\u0300 thu\u0309 \u0111o\u0302", "Ha\u0300 No\u0323\u0302i"),
    "chinese": ("北京是中华人民共和国的首都。", "中华人民共和国"),
    "thai": ("กรุงเทพมหานครเป็นเมืองหลวงของไทย", "เมืองหลวง"),
    "thai_am": ("น\u0e49\u0e33ตกอยู่ที่นี่", "น\u0e49\u0e33ตก"),
    "hindi": ("भारत की राजधानी नई दिल्ली है", "नई दिल्ली"),
    "arabic": ("عاصمة مصر هي القاهرة", "القاهرة"),
    "jamo": ("\u1109\u1165\u110b\u116e\u11af\u110b\u1175 수도", "\u1109\u1165\u110b\u116e\u11af"),
    "ligature": ("an oﬃcial ﬁle", "oﬃcial"),
    "emoji": (
        "I \U0001f600 you \U0001f468\u200d\U0001f469\u200d\U0001f467 all",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    ),
    "zero_width": ("\u200bone \u200btwo three", "\u200btwo"),
    "spaces": ("a\tb \u00a0 c\n\nd  e", "c\n\nd"),
    "digits": ("in 1969, ½ of ２００ men", "２００"),
}


def _alphabet() -> list[str]:
    forms = {normalizers.NFKC().normalize_str(text) for text, _ in TEXTS.values()}
    return sorted({letter for form in forms for letter in form if not letter.isspace()})


@cache
def metaspace() -> Any:
    """Return a tokenizer as XLM-R's: Unigram over marked spaces, NFKC, the space being part of the piece after it."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    words = ["\u2581cat", "\u2581the", "\u4e2d\u534e", "at"]
    letters = ["\u2581", *_alphabet()]
    pieces = [(piece, 0.0) for piece in special] + [(piece, -2.0) for piece in words] + [(one, -3.0) for one in letters]
    tokens = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokens.normalizer = normalizers.NFKC()
    tokens.pre_tokenizer = pre_tokenizers.Metaspace()
    tokens.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"cls": 0, "pad": 1, "sep": 2, "unk": 3, "mask": 4}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokens, **{f"{name}_token": special[number] for name, number in names.items()}
    )


@cache
def byte_level() -> Any:
    """Return a tokenizer as Qwen's: bytes, several to a character, without spaces in the offsets and without closing."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: number for number, piece in enumerate(["<|endoftext|>", *letters])}
    tokens = Tokenizer(models.BPE(vocabulary, merges=[]))
    tokens.normalizer = normalizers.NFC()
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    tokens.post_processor = processors.ByteLevel(trim_offsets=True)
    tokens.add_special_tokens(["<|endoftext|>"])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokens, eos_token="<|endoftext|>", pad_token="<|endoftext|>"
    )


@cache
def wordpiece() -> Any:
    """Return a tokenizer as BERT's: white space belongs to no piece, and accents are stripped."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    normalizer = normalizers.BertNormalizer(strip_accents=True, lowercase=True)
    letters = sorted(
        {letter for text, _ in TEXTS.values() for letter in normalizer.normalize_str(text) + "q" if letter != " "}
    )
    pieces = [*special, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokens = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokens.normalizer = normalizer
    tokens.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokens.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    roles = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokens, **{f"{name}_token": piece for name, piece in roles.items()}
    )


TOKENIZERS = {"metaspace": metaspace, "byte_level": byte_level, "wordpiece": wordpiece}
