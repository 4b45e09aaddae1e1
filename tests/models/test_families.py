"""Laws of encoder families: inputs, outputs and checkpoints are those of transformers' own classes, for every format."""

from __future__ import annotations

import copy
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import processors
from torch import Tensor

import families
from given import lesson, promised
from quick import covering, diagonal, parameters
from trained_tokenizers import TOKENIZERS, make
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
from xstilts.errors import InputError
from xstilts.evaluation.predict import predict
from xstilts.formats import in_languages, task_format
from xstilts.models import language_adapters
from xstilts.models.batch import ModelInput, batch
from xstilts.models.embedding_pruning import pruned_embeddings
from xstilts.models.encoder import Encoder, load_backbone, load_tokenizer
from xstilts.models.encoder_check import check
from xstilts.models.families import FAMILIES, UNSUPPORTED, family_of
from xstilts.models.freezing import freeze, language_parameters
from xstilts.models.heads import AUTO, attach, auto_class
from xstilts.models.hf_format import save
from xstilts.models.network import Network
from xstilts.models.packed_attention import PackedLayout
from xstilts.models.tokenization import Tokenizer, separator_of
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.training.recipe import Recipe
from xstilts.training.train import train

A, B, C = "cab dab", "a fig", "the zoo"
# Of each format examples with one text and with two, and the texts of every sequence.
TEXTS: dict[str, tuple[list[Example], list[tuple[str, ...]]]] = {
    "classification": (
        [ClassificationExample("0", A, B, "no"), ClassificationExample("1", C, None, "no")],
        [(A, B), (C,)],
    ),
    "multiple_choice": ([MultipleChoiceExample("0", A, C, (B, "b"), 0)], [(f"{A} {C}", B), (f"{A} {C}", "b")]),
    "token_classification": ([TaggingExample("0", tuple(A.split()), ("no", "yes"))], [(A,)]),
    "extractive_qa": ([QAExample("0", A, "a", (AnswerSpan("dab", 4),))], [("a", A)]),
    "bitext_retrieval": (
        [BitextExample("0", A, B), BitextExample("1", C, B, "ab a")],
        [(A,), (B,), (C,), (B, "ab a")],
    ),
    "bitext_mining": (
        [PassageExample("0", A, None, "query"), PassageExample("1", B, "c", "candidate")],
        [(A,), (B, "c")],
    ),
    "passage_ranking": (
        [PassageExample("0", A, None, "query"), PassageExample("1", B, "c", "candidate")],
        [(A,), (B, "c")],
    ),
    "masked_lm": ([TextExample("0", A, B), TextExample("1", C)], [(A, B), (C,)]),
}
CLOSING = sorted(set(FAMILIES) - {"qwen3", "gemma3_text"})  # the tokenizers of decoders do not close texts
LABELS = {"classification": ("no", "yes"), "token_classification": ("no", "yes")}
SHIPPED = [(family, format) for family in sorted(FAMILIES) for format in AUTO if auto_class(family, format)]
QUICK = ("bert", "distilbert", "electra", "rembert", "xmod")  # of which other tests see less


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> families.Folders:
    return families.Folders(tmp_path_factory.getbasetemp())


def encoded(folder: Path, format: str) -> tuple[Tokenizer, list[ModelInput]]:
    tokenizer = Tokenizer.of(load_tokenizer(folder))
    examples, _ = TEXTS[format]
    return tokenizer, task_format(format).encode(examples, tokenizer, 60, LABELS.get(format, ()), Counter())


@pytest.mark.parametrize(("family", "format"), covering(CLOSING, TEXTS))
def test_inputs_are_those_of_the_tokenizer_itself(family: str, format: str, folders: families.Folders) -> None:
    """Ids of every sequence, and token types: where they were learned those of the tokenizer, elsewhere none."""
    tokenizer, inputs = encoded(folders[family], format)
    network = Network(folders.backbone(family))
    sequences = [sequence for model_input in inputs for sequence in model_input.sequences]
    for sequence, texts in zip(sequences, TEXTS[format][1], strict=True):
        expected = tokenizer.tokenizer(*texts, return_token_type_ids=True)
        assert sequence.tolist() == expected["input_ids"]
        if FAMILIES[family].token_types:
            types = network.token_types(torch.from_numpy(sequence)[None].long())
            assert types.tolist() == [expected["token_type_ids"]]
            assert max(expected["token_type_ids"]) == len(texts) - 1


@pytest.mark.parametrize("name", [name for name in TOKENIZERS if make(name).sep_token])
def test_inputs_are_those_of_every_published_make_of_tokenizer(name: str) -> None:
    """Byte-level and SentencePiece-like BPE, Unigram and WordPiece, with any way to mark spaces and digits."""
    tokenizer = Tokenizer.of(make(name))
    separator = separator_of(make(name))
    for format, (examples, texts) in TEXTS.items():
        inputs = task_format(format).encode(examples, tokenizer, 60, LABELS.get(format, ()), Counter())
        sequences = [sequence.tolist() for model_input in inputs for sequence in model_input.sequences]
        expected = [make(name)(*row, return_token_type_ids=True) for row in texts]
        assert sequences == [row["input_ids"] for row in expected], format
        for row in expected:
            ids, types = row["input_ids"], row["token_type_ids"]
            assert types == [int(separator in ids[:place]) for place in range(len(ids))]


@pytest.mark.parametrize(("family", "format"), parameters(SHIPPED, diagonal(QUICK, AUTO)))
def test_a_checkpoint_answers_alike_in_transformers(
    family: str, format: str, folders: families.Folders, tmp_path: Path
) -> None:
    """The class that transformers ships, given what the tokenizer gives, padded, has the same logits."""
    tokenizer, inputs = encoded(folders[family], format)
    network, labels = Network(folders.backbone(family)), LABELS.get(format, ())
    torch.manual_seed(1)
    attach(network, "toy", format, len(labels))
    save(network.eval(), "toy", format, labels, tokenizer.tokenizer, tmp_path)
    model = getattr(transformers, AUTO[format]).from_pretrained(tmp_path).eval()
    texts = TEXTS[format][1]
    sides = [[row[0] for row in texts]] + ([[row[1] for row in texts]] if all(len(row) > 1 for row in texts) else [])
    if len({len(row) for row in texts}) > 1:  # a pair and a text are padded together by hand
        sides = [[texts[0][0]], [texts[0][1]]]
    ready = batch(inputs, tokenizer, torch.empty(0))
    padded = load_tokenizer(tmp_path)(*sides, padding=True, return_tensors="pt")
    given = dict(padded) if FAMILIES[family].token_types else {n: padded[n] for n in ("input_ids", "attention_mask")}
    count = len(given["input_ids"])
    if format == "multiple_choice":
        given = {name: value[None] for name, value in given.items()}
    with torch.no_grad():
        output = model(**given)
        found = network("toy", ready.ids, ready.mask)[:count, : padded["input_ids"].shape[1]]
    if format == "extractive_qa":
        expected = torch.stack([output.start_logits, output.end_logits], -1)
    else:
        expected = output.logits.T if format == "multiple_choice" else output.logits
    torch.testing.assert_close(found.reshape(expected.shape), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("family", "format"), covering(QUICK, AUTO))
def test_packed_or_with_the_used_rows_alone_the_answers_are_the_same(
    family: str, format: str, folders: families.Folders
) -> None:
    tokenizer, inputs = encoded(folders[family], format)
    network = Network(folders.backbone(family)).eval()
    attach(network, "toy", format, len(LABELS.get(format, ()))).eval()
    ready = task_format(format).collate(inputs, tokenizer, torch.Generator().manual_seed(0))
    expected, ones = network("toy", ready.ids, ready.mask), ready.mask.bool()
    with pruned_embeddings(network, inputs, tokenizer, keep_all=format == "masked_lm"):
        assert torch.equal(network("toy", ready.ids, ready.mask), expected)
    if not network.family.padded:
        packed = network("toy", ready.ids, ready.mask, ready.packed().packing)
        if expected.dim() == 3:
            packed, expected = packed[ones], expected[ones]
        torch.testing.assert_close(packed, expected, atol=1e-5, rtol=1e-4)


# Token types.


def test_a_bert_with_the_tokenizer_of_xlm_r_gives_both_texts_type_0(tmp_path: Path) -> None:
    """Multilingual MiniLM and e5 are such: their tokenizers know no types, and positions count from 0."""
    families.make("bert", tmp_path)
    tokens = families.tokenizer("xlm-roberta").backend_tokenizer
    tokens.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    special = {
        "cls_token": "<s>",
        "pad_token": "<pad>",
        "sep_token": "</s>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokens, model_input_names=["input_ids", "attention_mask"], **special
    )
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).unlink()
    tokenizer.save_pretrained(tmp_path)
    check(Encoder.of(tmp_path))
    network, (ids, mask) = Network(load_backbone(tmp_path)), pair_of(Tokenizer.of(load_tokenizer(tmp_path)))
    assert not network.token_types(ids).any()
    assert network.clip_max_length(512) == 64
    with torch.no_grad():
        expected = transformers.AutoModel.from_pretrained(tmp_path).eval()(ids, mask).last_hidden_state
        torch.testing.assert_close(network.encode(ids, mask), expected)


def pair_of(tokenizer: Tokenizer) -> tuple[Tensor, Tensor]:
    a, b = tokenizer.segments([A, B])
    ids = torch.from_numpy(tokenizer.sequence(a, b))[None].long()
    return ids, torch.ones_like(ids)


@pytest.mark.parametrize("family", [name for name, row in FAMILIES.items() if row.token_types])
def test_the_second_text_is_read_as_such(family: str, folders: families.Folders) -> None:
    network = Network(folders.backbone(family))
    ids, mask = pair_of(Tokenizer.of(load_tokenizer(folders[family])))
    plain = copy.deepcopy(network)
    plain.backbone.separator = None
    with torch.no_grad():
        assert not torch.allclose(network.encode(ids, mask), plain.encode(ids, mask), atol=1e-4)


def test_types_that_do_not_begin_after_a_separator_are_refused() -> None:
    class Odd:
        name_or_path = "odd"

        def __call__(self, *texts: str, **options: Any) -> dict[str, list[int]]:
            return {"input_ids": [2, 5, 3, 6, 3], "token_type_ids": [0, 1, 0, 1, 1]}

    with pytest.raises(InputError, match="'odd' gives the texts of a pair the token types"):
        separator_of(Odd())  # type: ignore[arg-type]


def test_the_first_berts_have_other_names_for_norms(tmp_path: Path) -> None:
    """As in the files of mBERT: "gamma" and "beta"; its masked-LM head is found all the same."""
    families.make("bert", tmp_path, "AutoModelForMaskedLM")
    model = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path).eval()
    state = {name: torch.randn_like(value) for name, value in load_file(tmp_path / "model.safetensors").items()}
    model.load_state_dict(state, strict=False)
    old = {re.sub(r"LayerNorm\.weight", "LayerNorm.gamma", name): value for name, value in state.items()}
    old = {re.sub(r"LayerNorm\.bias", "LayerNorm.beta", name): value for name, value in old.items()}
    save_file(old, tmp_path / "model.safetensors", metadata={"format": "pt"})
    check(Encoder.of(tmp_path))
    network = Network(load_backbone(tmp_path)).eval()
    attach(network, "toy", "masked_lm", source=tmp_path).eval()
    ids, mask = pair_of(Tokenizer.of(load_tokenizer(tmp_path)))
    with torch.no_grad():
        expected = model(ids, mask, token_type_ids=network.token_types(ids)).logits
        torch.testing.assert_close(network("toy", ids, mask), expected, atol=1e-4, rtol=1e-4)


# Positions.


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_longest_sequence_is_what_positions_allow(family: str, folders: families.Folders) -> None:
    """BERT counts positions from 0, XLM-R from after its padding's id; T5, ModernBERT and decoders have none."""
    network = Network(folders.backbone(family))
    most = network.clip_max_length(4096)
    learned = hasattr(getattr(network.backbone, "embeddings", None), "position_embeddings")
    assert most == (4096 if not learned or family == "deberta-v2" else 64)
    ids = torch.full((1, min(most, 200)), 20)
    assert torch.isfinite(network.encode(ids, torch.ones_like(ids))).all()


# Languages.


def adapted(folders: families.Folders) -> tuple[Network, Tensor, Tensor]:
    """Return an X-MOD with visible adapters, and a padded batch."""
    network = Network(folders.backbone("xmod"))
    torch.manual_seed(3)
    for parameter in language_parameters(network):
        torch.nn.init.normal_(parameter, std=0.5)
    ids = torch.randint(6, 40, (4, 9))
    mask = (torch.arange(9) < torch.tensor([9, 5, 7, 2])[:, None]).long()
    return network.eval(), torch.where(mask.bool(), ids, 1), mask


@torch.no_grad()
def test_each_text_goes_through_the_adapters_of_its_language(folders: families.Folders) -> None:
    network, ids, mask = adapted(folders)
    languages = ("de", "en", "sw", "de")
    own = transformers.XmodModel(network.config, add_pooling_layer=False).eval()
    own.load_state_dict(network.backbone.state_dict())
    numbers = torch.tensor([1, 0, 2, 1])
    expected = own(ids, attention_mask=mask, lang_ids=numbers).last_hidden_state * mask[..., None]
    packed = PackedLayout.of(mask.sum(1).tolist(), ids.shape[1])
    for layout in (None, packed):
        found = network.encode(ids, mask, layout, languages) * mask[..., None]
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        for number, language in enumerate(languages):
            alone = network.encode(ids, mask, layout, [language] * 4)
            torch.testing.assert_close((alone * mask[..., None])[number], expected[number], atol=1e-5, rtol=1e-5)
    default = own(ids, attention_mask=mask).last_hidden_state * mask[..., None]
    torch.testing.assert_close(network.encode(ids, mask) * mask[..., None], default, atol=1e-5, rtol=1e-5)


def test_a_language_without_adapter_is_read_with_the_default_one_and_a_message_says_so(
    folders: families.Folders,
) -> None:
    network, ids, mask = adapted(folders)
    language_adapters._place.cache_clear()
    notes: list[str] = []
    progress.listen(lambda event: notes.append(event.label))
    try:
        assert torch.equal(network.encode(ids, mask, languages=["yo"] * 4), network.encode(ids, mask))
    finally:
        progress.listen(lambda event: None)
    assert notes == ["the encoder has no adapter for language 'yo': its texts are read with en_XX's"]


@pytest.mark.parametrize("trained", ["all", "top:2", "gradual", "lora:2", "no-embeddings", "layernorm", "head"])
def test_adapters_of_languages_are_never_trained(trained: str, folders: families.Folders) -> None:
    network, _, _ = adapted(folders)
    freeze(network, trained)
    assert language_parameters(network)
    assert not any(parameter.requires_grad for parameter in language_parameters(network))
    assert not any("lora" in name for name, _ in network.named_parameters() if "adapter_modules" in name)


def test_sequences_have_the_language_of_their_text() -> None:
    tokenizer = Tokenizer.of(families.tokenizer("xmod"))
    for format, (examples, _) in TEXTS.items():
        inputs = task_format(format).encode(examples, tokenizer, 60, LABELS.get(format, ()), Counter())
        marked = in_languages(inputs, examples, ["de-ar"] * len(examples))
        found = [model_input.languages for model_input in marked]
        assert all(len(row.languages) == len(row.sequences) for row in marked)
        wanted = {
            "bitext_retrieval": [("de", "en")] * 2,
            "bitext_mining": [("de",), ("en",)],
            "passage_ranking": [("de",), ("en",)],
            "multiple_choice": [("de", "de")],
        }
        assert found == wanted.get(format, [("de",)] * len(examples))


def test_a_training_in_english_is_predicted_in_another_language(folders: families.Folders, machine: Runtime) -> None:
    """The weights of adapters stay, and predictions for German are those with German adapters."""
    folder = folders.below / "languages"
    network, _, _ = adapted(folders)
    transformers.utils.logging.disable_progress_bar()
    network.backbone.save_pretrained(folder)
    load_tokenizer(folders["xmod"]).save_pretrained(folder)
    recipe = Recipe(learning_rate=1e-2, batch_size=6, steps=4, max_length=24)
    model = train(Encoder.of(folder), (lesson("classification"),), recipe, seed=1)
    before, after = (load_file(path / "model.safetensors") for path in (folder, build(model, machine) / "model"))
    names = [name for name in before if "adapter_modules" in name]
    assert names
    assert all(torch.equal(before[name], after[f"roberta.{name}"]) for name in names)
    english = promised("classification", TEXTS["classification"][0], labels=("no", "yes"))
    arguments = english.arguments
    german = replace(english, arguments={**arguments, "data": replace(arguments["data"], language="de")})
    lines = [
        (build(predict(model, data, "classification", 24), machine) / "predictions.jsonl").read_text()
        for data in (english, german)
    ]
    assert lines[0] != lines[1]


# What is not supported.


@pytest.mark.parametrize("model_type", UNSUPPORTED)
def test_a_plan_says_why_a_type_is_not_supported(model_type: str) -> None:
    assert model_type not in FAMILIES
    with pytest.raises(InputError) as caught:
        family_of(type("Config", (), {"model_type": model_type}))
    assert UNSUPPORTED[model_type] in str(caught.value)


def test_an_encoder_that_is_not_here_is_refused_by_its_type() -> None:
    with pytest.raises(InputError, match="transformers has its tokenizer in Python alone"):
        check(Encoder("FacebookAI/xlm-mlm-100-1280", "0" * 40), ask_hub=False)
    check(Encoder("google-bert/bert-base-multilingual-cased", "0" * 40), ask_hub=False)
