"""Laws of tokenization over every make of tokenizer: words as in their sentence, special tokens in texts, offsets."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as some

from quick import covering
from trained_tokenizers import SENTENCES, SPACED, TOKENIZERS, make
from xstilts.data.examples import (
    AnswerSpan,
    BitextExample,
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    PassageExample,
    QAExample,
    TaggingExample,
    TextExample,
)
from xstilts.formats import task_format
from xstilts.models.encoder import load_tokenizer
from xstilts.models.tokenization import Tokenizer

WRAPPED = {name: Tokenizer.of(make(name)) for name in TOKENIZERS}
words = some.lists(some.text("abeinrstPB019.,'«»?!", min_size=1, max_size=6), min_size=1, max_size=6)


def examples_with(text: str) -> dict[str, Example]:
    """Return an example of each format that has a text wherever there can be one."""
    return {
        "classification": ClassificationExample("0", text, text, "a"),
        "multiple_choice": MultipleChoiceExample("0", text, text, (text, text), 0),
        "token_classification": TaggingExample("0", tuple(text.split()), ("a",) * len(text.split())),
        "extractive_qa": QAExample("0", text, text, (AnswerSpan(text.split()[0], 0),)),
        "bitext_retrieval": BitextExample("0", text, text, text),
        "bitext_mining": PassageExample("0", text, text, "candidate"),
        "passage_ranking": PassageExample("0", text, text, "query", ("0",)),
        "masked_lm": TextExample("0", text, text),
    }


FORMATS = sorted(examples_with("a"))


def test_which_tokenizers_mark_the_space_before_a_word() -> None:
    assert {name for name, tokenizer in WRAPPED.items() if tokenizer.spaced} == SPACED | {"unigram-digits"}


@pytest.mark.parametrize(("name", "sentence"), covering(TOKENIZERS, SENTENCES))
def test_words_are_cut_as_in_their_sentence(name: str, sentence: str) -> None:
    (found,) = WRAPPED[name].words([sentence.split()])
    assert np.concatenate(found).tolist() == WRAPPED[name].segments([sentence])[0].tolist()


@settings(max_examples=150, deadline=None)
@given(words, some.sampled_from(TOKENIZERS))
def test_any_words_are_cut_as_in_their_sentence(words: list[str], name: str) -> None:
    tokenizer = WRAPPED[name]
    (found,) = tokenizer.words([words])
    together = tokenizer.segments([" ".join(words)])[0].tolist()
    assert len(found) == len(words)
    if tokenizer.tokenizer.unk_token_id not in together:  # neighbouring unknown characters are one token
        assert np.concatenate(found).tolist() == together


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_tag_stands_at_the_first_token_of_its_word(name: str) -> None:
    sentences = [sentence.split() for sentence in SENTENCES]
    labels = tuple(f"{number}" for number in range(max(map(len, sentences))))
    examples = [TaggingExample(str(n), tuple(words), labels[: len(words)]) for n, words in enumerate(sentences)]
    tokenizer = WRAPPED[name]
    for model_input in task_format("token_classification").encode(examples, tokenizer, 400, labels, Counter()):
        words = sentences[model_input.example]
        starts = [*model_input.places[1:], len(model_input.sequences[0]) - len(tokenizer.special_tokens.suffix)]
        assert model_input.target[starts[:-1]].tolist() == list(range(len(words)))
        for word, start, stop in zip(words, starts, starts[1:], strict=False):
            text = tokenizer.tokenizer.decode(model_input.sequences[0][start:stop].tolist())
            if "unk" not in text.lower():
                assert text.replace(" ", "").replace("\u2581", "") == (word.lower() if "lower" in name else word)


@pytest.mark.parametrize(("name", "format"), covering(TOKENIZERS, FORMATS))
def test_the_names_of_special_tokens_are_text(name: str, format: str) -> None:
    tokenizer = WRAPPED[name]
    special = [
        str(token) for token in tokenizer.tokenizer.added_tokens_decoder.values() if token.special
    ] + tokenizer.tokenizer.all_special_tokens
    control = tokenizer.special - {tokenizer.tokenizer.unk_token_id}

    def counted(text: str) -> list[Counter[int]]:
        inputs = task_format(format).encode([examples_with(text)[format]], tokenizer, 400, ("a",), Counter())
        return [
            Counter(number for number in sequence.tolist() if number in control)
            for model_input in inputs
            for sequence in model_input.sequences
        ]

    wanted = counted("use a here")
    for written in special:
        assert counted(f"use {written} here") == wanted
        assert counted(f"use{written}{written}here and {written.upper()}") == wanted


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_text_without_special_tokens_is_cut_as_the_tokenizer_does(name: str) -> None:
    wanted = [make(name)(sentence, add_special_tokens=False)["input_ids"] for sentence in SENTENCES]
    assert [ids.tolist() for ids in WRAPPED[name].segments(SENTENCES)] == wanted


@pytest.mark.parametrize("name", TOKENIZERS)
def test_answers_come_back_from_their_tokens(name: str) -> None:
    """The best start and end being those of the target, the prediction is the answer."""
    qa, tokenizer = task_format("extractive_qa"), WRAPPED[name]
    for context in (*SENTENCES, "use </s> or [SEP] and <|endoftext|> in Paris"):
        for word in context.split():
            example = QAExample("0", context, "where", (AnswerSpan(word, context.index(word)),))
            inputs = qa.encode([example], tokenizer, 400, (), Counter())
            (first, last) = inputs[0].target
            logits = np.zeros((2, inputs[0].length), dtype=np.float32)
            logits[0, first] = logits[1, last] = 9
            (line,) = qa.decode([logits], inputs, [example], ())
            # An answer within a token comes back with the rest of the token.
            assert word in line["prediction"]
            if f" {word} " in f" {context} ".replace(word, "", 0) and context.split().count(word) == 1:
                start = f" {context} ".index(f" {word} ")
                if start == context.index(word):
                    assert line["prediction"] == word


def test_settings_of_a_tokenizer_file_do_not_matter(tmp_path: Path) -> None:
    make("unigram").save_pretrained(tmp_path)
    wanted = Tokenizer.of(load_tokenizer(tmp_path))
    facts = json.loads((tmp_path / "tokenizer.json").read_text())
    facts["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    facts["padding"] = {
        "strategy": {"Fixed": 16},
        "direction": "Left",
        "pad_to_multiple_of": None,
        "pad_id": 1,
        "pad_type_id": 0,
        "pad_token": "<pad>",
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(facts))
    options = json.loads((tmp_path / "tokenizer_config.json").read_text())
    options |= {"padding_side": "left", "truncation_side": "left", "model_max_length": 4}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(options))
    found = Tokenizer.of(load_tokenizer(tmp_path))
    texts = [*SENTENCES, "a <pad> b"]
    assert found.special_tokens == wanted.special_tokens
    assert [ids.tolist() for ids in found.segments(texts)] == [ids.tolist() for ids in wanted.segments(texts)]
    assert [places.tolist() for _, places in found.segments_with_offsets(texts)] == [
        places.tolist() for _, places in wanted.segments_with_offsets(texts)
    ]
    batch = task_format("classification").collate(
        task_format("classification").encode(
            [ClassificationExample("0", text, None, "a") for text in texts], found, 64, ("a",), Counter()
        ),
        found,
    )
    assert (batch.mask[:, 0] == 1).all()  # padded on the right whatever the file says


def test_a_special_token_of_one_character_stays_text_as_it_was() -> None:
    tokenizer: Any = transformers.PreTrainedTokenizerFast(
        tokenizer_object=make("byte-level").backend_tokenizer, pad_token="!", eos_token="<|endoftext|>"
    )
    ids = Tokenizer.of(tokenizer).segments(["no!", "no<|endoftext|>"])
    assert tokenizer.decode(ids[0].tolist()) == "no!"
    assert tokenizer.decode(ids[1].tolist()) == "no<|endoftext|>"
    assert tokenizer.eos_token_id not in ids[1]
