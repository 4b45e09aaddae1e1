"""Tiny translation models of random weights, with SentencePiece tokenizers as the published ones have.

m2m100(tmp_path), marian(tmp_path)
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import sentencepiece
import torch
import transformers

SENTENCES = ("Anna sees the big dog .", "Boris never helps [ Clara ] in Oslo .", "Who sees <a>Anna</a> ?")
SIZES: dict[str, Any] = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "max_position_embeddings": 64,
    "init_std": 1.0,  # so that outputs depend on inputs
}


def m2m100(folder: Path) -> Path:
    """Make a model of many languages, which are tokens beside the vocabulary."""
    pieces = _pieces(folder / "sentencepiece.bpe.model", bos_id=0, pad_id=1, eos_id=2, unk_id=3)
    (folder / "vocab.json").write_text(json.dumps(pieces), encoding="utf-8")
    tokenizer = transformers.M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "sentencepiece.bpe.model"))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.M2M100Config(vocab_size=max(tokenizer.lang_token_to_id.values()) + 1, **SIZES)
    transformers.M2M100ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def marian(folder: Path) -> Path:
    """Make a model of one pair of languages, of which its tokenizer says nothing."""
    pieces = _pieces(folder / "source.spm", bos_id=-1, pad_id=-1, eos_id=0, unk_id=1)
    shutil.copyfile(folder / "source.spm", folder / "target.spm")
    pieces = {**pieces, "<pad>": len(pieces)}
    (folder / "vocab.json").write_text(json.dumps(pieces), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "MarianTokenizer", "model_max_length": 64}')
    torch.manual_seed(0)
    special = {"pad_token_id": pieces["<pad>"], "eos_token_id": 0, "decoder_start_token_id": pieces["<pad>"]}
    config = transformers.MarianConfig(vocab_size=len(pieces), forced_eos_token_id=0, **special, **SIZES)
    transformers.MarianMTModel(config).save_pretrained(folder)
    return folder


def _pieces(model: Path, **options: int) -> dict[str, int]:
    """Train a SentencePiece model on the sentences; return its pieces by number."""
    text = model.with_suffix(".txt")
    text.write_text("\n".join(SENTENCES * 4), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(model.with_suffix("")),
        model_type="bpe",
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=9,
        **options,
    )
    trained = model.with_suffix(".model") if model.suffix != ".model" else model
    if trained != model:
        trained.rename(model)
    text.unlink()
    pieces = sentencepiece.SentencePieceProcessor(str(model))
    return {pieces.id_to_piece(number): number for number in range(pieces.get_piece_size())}
