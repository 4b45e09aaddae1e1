"""A translation model, of random weights, translates deterministically, resumes, and knows its languages."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny_translators
from tiny_translators import SENTENCES
from xstilts.errors import InputError
from xstilts.runtime.machine import Runtime
from xstilts.translation.model import Translator, languages_of


@pytest.fixture(scope="module")
def m2m100(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_translators.m2m100(tmp_path_factory.mktemp("m2m100"))


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
