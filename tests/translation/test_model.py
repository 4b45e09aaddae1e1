"""A translation model, of random weights, translates deterministically, resumes, and knows its languages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sentencepiece
import torch
import transformers

from xstilts.errors import InputError
from xstilts.runtime.machine import Runtime
from xstilts.translation.model import Translator, languages_of

SENTENCES = ("Anna sees the big dog .", "Boris never helps [ Clara ] in Oslo .", "Who sees <a>Anna</a> ?")


@pytest.fixture(scope="session")
def m2m100(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny M2M100 model of random weights, with a SentencePiece tokenizer as the published ones have."""
    folder = tmp_path_factory.mktemp("m2m100")
    text = folder / "text.txt"
    text.write_text("\n".join(SENTENCES * 4), encoding="utf-8")
    options = {"vocab_size": 60, "model_type": "bpe", "bos_id": 0, "pad_id": 1, "eos_id": 2, "unk_id": 3}
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(folder / "sentencepiece.bpe"),
        hard_vocab_limit=False,
        minloglevel=9,
        **options,
    )
    pieces = sentencepiece.SentencePieceProcessor(str(folder / "sentencepiece.bpe.model"))
    vocabulary = {pieces.id_to_piece(number): number for number in range(pieces.get_piece_size())}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    tokenizer = transformers.M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "sentencepiece.bpe.model"))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.M2M100Config(
        vocab_size=max(tokenizer.lang_token_to_id.values()) + 1,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_position_embeddings=64,
    )
    transformers.M2M100ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def test_translations_are_the_same_each_time(m2m100: Path, machine: Runtime) -> None:
    translator = Translator.of(str(m2m100), beams=2)
    model = translator.load("en", "sw", machine)
    first = model.translate([*SENTENCES, "", SENTENCES[0]])
    assert len(first) == 5
    assert first[0] == first[4]
    assert first[3] == ""
    assert first[0] != model.translate(list(SENTENCES[1:2]))[0]
    assert translator.load("en", "sw", machine).translate(list(SENTENCES)) == first[:3]
    assert model.source_name == "__en__"
    long = " ".join([SENTENCES[0]] * 9)
    assert model.divided == 0
    model.translate([long])
    assert model.divided == 1


def test_languages_and_folders_are_checked_before_a_run(m2m100: Path, tmp_path: Path) -> None:
    Translator.of(str(m2m100)).check("en", "sw")
    with pytest.raises(InputError, match=r"has no language 'qab' \(Berish\)"):
        Translator.of(str(m2m100)).check("en", "qab")
    with pytest.raises(InputError, match=r"0 beams"):
        Translator.of(str(m2m100), beams=0)
    with pytest.raises(InputError, match=r"no config\.json"):
        Translator.of(str(tmp_path))


class Vocabulary:
    """A tokenizer of which only the vocabulary matters."""

    all_special_tokens: tuple[str, ...] = ()

    def __init__(self, *tokens: str) -> None:
        self.tokens = tokens

    def get_vocab(self) -> dict[str, int]:
        return dict.fromkeys(self.tokens, 0)


@pytest.mark.parametrize(
    ("tokens", "names"),
    [
        (("__en__", "__sw__", "__zh__"), ("__en__", "__zh__")),
        (("eng_Latn", "zho_Hant", "zho_Hans", "swh_Latn"), ("eng_Latn", "zho_Hans")),
        (("en_XX", "zh_CN", "sw_KE"), ("en_XX", "zh_CN")),
        ((">>eng<<", ">>cmn<<", "the"), ("", ">>cmn<<")),
        (("the", "dog"), ("", "")),
    ],
)
def test_each_family_calls_languages_in_its_way(tokens: tuple[str, ...], names: tuple[str, str]) -> None:
    assert languages_of(Vocabulary(*tokens), "en", "zh", "a model") == names
