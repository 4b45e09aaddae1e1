"""Tokenizers of every published make, trained on a few sentences: what public encoders have, only smaller.

>>> sorted(TOKENIZERS)[:2]
['bpe-metaspace', 'bpe-metaspace-first']
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SENTENCES = (
    "Anna lives in Paris .",
    "the cat sat on the mat and the dog ran to London",
    "a man plays a guitar in Berlin , the 1969 edition",
    "Paka anaishi Nairobi tangu mwaka 2007 .",
    "l' homme n' est pas ici : il dit « oui » !",
    "the padding is not a mask , an end or a start",
)
GPT2 = ["<|endoftext|>", "<|pad|>"]
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
XLMR = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+"
)
QWEN = LLAMA3.replace("{1,3}", "")


def _wrapped(tokens: Tokenizer, special: list[str], **roles: str) -> Any:
    """Return a tokenizer of transformers with special tokens around texts."""
    start, end = roles.get("cls_token"), roles.get("sep_token")
    if start and end:
        ids = [(name, special.index(name)) for name in (start, end)]
        tokens.post_processor = processors.TemplateProcessing(
            single=f"{start} $A {end}", pair=f"{start} $A {end} $B:1 {end}:1", special_tokens=ids
        )
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokens, **roles)


BERT_ROLES = {f"{name.strip('[]').lower()}_token": name for name in BERT}
XLMR_ROLES = {
    "cls_token": "<s>",
    "pad_token": "<pad>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}


def _byte_level(special: list[str], pattern: str = "", prefix: bool = False, trim: bool = False, **roles: str) -> Any:
    tokens = Tokenizer(models.BPE(ignore_merges=bool(pattern)))
    plain = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=not pattern)
    split = [pre_tokenizers.Split(Regex(pattern), "isolated")] if pattern else []
    tokens.pre_tokenizer = pre_tokenizers.Sequence([*split, plain])
    tokens.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokens.train_from_iterator(SENTENCES * 4, trainer)
    made = _wrapped(tokens, special, **roles)
    if trim:
        made.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return made


def _unigram(pre_tokenizer: Any, normalizer: Any = None) -> Any:
    tokens = Tokenizer(models.Unigram())
    tokens.normalizer = normalizer or normalizers.NFKC()
    tokens.pre_tokenizer = pre_tokenizer
    trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=XLMR, unk_token="<unk>", show_progress=False)
    tokens.train_from_iterator(SENTENCES * 4, trainer)
    return _wrapped(tokens, XLMR, **XLMR_ROLES)


def _bpe_metaspace(scheme: str) -> Any:
    tokens = Tokenizer(models.BPE(unk_token="<unk>"))
    tokens.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    tokens.train_from_iterator(
        SENTENCES * 4, trainers.BpeTrainer(vocab_size=200, special_tokens=XLMR, show_progress=False)
    )
    return _wrapped(tokens, XLMR, **XLMR_ROLES)


def _wordpiece(lowercase: bool) -> Any:
    tokens = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokens.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokens.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokens.train_from_iterator(
        SENTENCES * 4, trainers.WordPieceTrainer(vocab_size=200, special_tokens=BERT, show_progress=False)
    )
    return _wrapped(tokens, BERT, **BERT_ROLES)


def _gemma() -> Any:
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokens = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokens.normalizer = normalizers.Replace(" ", "\u2581")
    # SentencePiece merges nothing across a space; its trainer is not here, so the marked spaces are split for training.
    tokens.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
    tokens.train_from_iterator(
        SENTENCES * 4, trainers.BpeTrainer(vocab_size=250, special_tokens=special, show_progress=False)
    )
    model = json.loads(tokens.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    return transformers.GemmaTokenizer(vocab=model["vocab"], merges=merges)


def _qwen() -> Any:
    model = json.loads(_byte_level(["<|endoftext|>"], QWEN).backend_tokenizer.to_str())["model"]
    vocabulary = dict(model["vocab"])
    for name in ("<|im_start|>", "<|im_end|>"):
        vocabulary.setdefault(name, len(vocabulary))
    return transformers.Qwen2Tokenizer(vocab=vocabulary, merges=[tuple(merge) for merge in model["merges"]])


@cache
def sentencepiece_model(model_type: str = "unigram") -> bytes:
    """Train a model of SentencePiece and return its file."""
    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 10),
        model_writer=written,
        vocab_size=120,
        model_type=model_type,
        normalization_rule_name="nmt_nfkc",
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return written.getvalue()


MAKERS: dict[str, Callable[[], Any]] = {
    "byte-level": lambda: _byte_level(GPT2, eos_token=GPT2[0], pad_token=GPT2[1], trim=True),  # GPT-2
    "byte-level-prefix": lambda: _byte_level(XLMR, prefix=True, **XLMR_ROLES),
    "byte-level-template": lambda: _byte_level(BERT, **BERT_ROLES),  # ModernBERT
    "llama3": lambda: _byte_level(XLMR, LLAMA3, **XLMR_ROLES),  # EuroBERT: three digits at most
    "qwen": _qwen,  # every digit by itself
    "gemma": _gemma,
    "unigram": lambda: _unigram(pre_tokenizers.Metaspace()),  # XLM-R, mT5, mDeBERTa
    "unigram-digits": lambda: _unigram(
        pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Metaspace()])
    ),
    "unigram-whitespace": lambda: _unigram(
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    ),
    "bpe-metaspace": lambda: _bpe_metaspace("always"),
    "bpe-metaspace-first": lambda: _bpe_metaspace("first"),  # Llama 2
    "bpe-metaspace-never": lambda: _bpe_metaspace("never"),
    "wordpiece": lambda: _wordpiece(lowercase=False),
    "wordpiece-lower": lambda: _wordpiece(lowercase=True),
}
TOKENIZERS = tuple(sorted(MAKERS))
SPACED = {"byte-level", "byte-level-template", "llama3", "qwen", "gemma", "bpe-metaspace-never"}


@cache
def make(name: str) -> Any:
    """Return a tokenizer of transformers, trained once."""
    return MAKERS[name]()
