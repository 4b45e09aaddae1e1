"""Encoders as they are published: each loads, or a plan says what to do before anything is trained."""

from __future__ import annotations

import json
import pickle
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import families
from given import promised
from trained_tokenizers import SENTENCES, make, sentencepiece_model
from xstilts.data.examples import BitextExample, ClassificationExample
from xstilts.errors import InputError
from xstilts.evaluation import predict as predict_module
from xstilts.evaluation.forward import NotFinite
from xstilts.evaluation.predict import PREDICTIONS, predict
from xstilts.formats import classification
from xstilts.models import encoder as encoder_module
from xstilts.models import encoder_check
from xstilts.models.convert_weights import convert
from xstilts.models.encoder import Encoder, load_backbone, load_tokenizer
from xstilts.models.encoder_check import SHORTEST, check
from xstilts.models.heads import AUTO
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.models.word_tokenization import IN_SENTENCES, word_tokenization
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.store.stage import StageError
from xstilts.training.recipe import LEAST_LENGTH, Recipe
from xstilts.training.train import train
from xstilts.training.training_set import TrainingSet

torch.set_num_threads(1)
WEIGHTS, CONFIG = "model.safetensors", "config.json"
UP, NORM = "encoder.layer.1.output.dense.weight", "embeddings.LayerNorm.weight"


@pytest.fixture
def folder(families: Any, tmp_path: Path) -> Path:
    """A copy of a tiny XLM-R that a test may damage."""
    return Path(shutil.copytree(families["xlm-roberta"], tmp_path / "model"))


def changed_config(folder: Path, **values: Any) -> None:
    facts = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(facts | values))


def poisoned(folder: Path, name: str, value: float) -> None:
    weights = load_file(folder / WEIGHTS)
    weights[name].view(-1)[0] = value
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def test_the_shortest_length_is_that_of_a_recipe() -> None:
    assert SHORTEST == LEAST_LENGTH


@pytest.mark.parametrize("family", families.quick_first(sorted(families.FAMILIES)))
def test_a_whole_encoder_of_every_family_passes(family: str, families: Any) -> None:
    check(Encoder.of(families[family]))


@pytest.mark.parametrize("family", families.quick_first(sorted(families.FAMILIES)))
def test_an_encoder_under_a_head_passes(family: str, tmp_path: Path) -> None:
    for auto in {**AUTO, "causal_lm": "AutoModelForCausalLM", "text_to_text": "AutoModelForSeq2SeqLM"}.values():
        if type(families.config(family)) in getattr(transformers, auto)._model_mapping:
            folder = families.make(family, tmp_path / auto, auto)
            load_backbone(folder)
            check(Encoder.of(folder))


def test_names_that_would_not_be_read_are_refused(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    save_file({f"module.{name}": value for name, value in weights.items()}, folder / WEIGHTS, {"format": "pt"})
    for load in (load_backbone, lambda folder: check(Encoder.of(folder))):
        with pytest.raises(InputError, match="has no weights for"):
            load(folder)


@pytest.mark.parametrize("spelling", ["roberta.{}", "{}"])
def test_other_names_and_half_precision_pass(spelling: str, folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    save_file({spelling.format(name): value.half() for name, value in weights.items()}, folder / WEIGHTS)
    check(Encoder.of(folder))


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "NaN": (lambda folder: poisoned(folder, UP, float("nan")), rf"1 of 384 values of {UP} are NaN or infinite"),
    "infinite": (lambda folder: poisoned(folder, UP, float("inf")), "are NaN or infinite.*download the model again"),
    "NaN below": (lambda folder: poisoned(folder, NORM, float("nan")), rf"1 of 16 values of {NORM}"),
    "deeper": (
        lambda folder: changed_config(folder, num_hidden_layers=5),
        r"no weights for encoder.layer.3.*config.json",
    ),
    "wider": (
        lambda folder: changed_config(folder, intermediate_size=32),
        "configuration and weights are of different",
    ),
    "xlm": (
        lambda folder: changed_config(folder, model_type="xlm"),
        "'xlm' are not supported .transformers has.*xlm-r",
    ),
    "unknown": (lambda folder: changed_config(folder, model_type="nomic_bert"), "'nomic_bert' are not supported"),
    "cut": (
        lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:2000]) and None,
        "missing or damaged.*download it again",
    ),
    "pointer": (
        lambda folder: (folder / WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\n") and None,
        "missing or damaged",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_would_not_load_is_refused_with_the_reason(damage: str, folder: Path, tmp_path: Path) -> None:
    change, says = DAMAGES[damage]
    check(Encoder.of(folder), tmp_path)  # noted as checked, and then other files
    change(folder)
    with pytest.raises(InputError, match=says):
        check(Encoder.of(folder), tmp_path)


def test_large_files_have_their_small_tensors_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_check, "SCANNED", 10)
    monkeypatch.setattr(encoder_check, "SMALL", 100)
    poisoned(folder, UP, float("nan"))
    check(Encoder.of(folder))
    poisoned(folder, NORM, float("nan"))
    with pytest.raises(InputError, match=NORM):
        check(Encoder.of(folder))


def test_a_check_is_done_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(Encoder.of(folder), tmp_path)
    monkeypatch.setattr(encoder_check, "_check_folder", lambda *given: pytest.fail("checked again"))
    check(Encoder.of(folder), tmp_path)


def test_more_tokens_than_rows_are_refused_with_both_numbers(folder: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"<lang_{number}>" for number in range(40)])
    tokenizer.save_pretrained(folder)
    with pytest.raises(InputError, match=r"has 98 tokens and its embedding matrix 64 rows.*resize_token_embeddings"):
        check(Encoder.of(folder))


def test_a_special_token_without_a_row_that_nothing_uses_passes(folder: Path) -> None:
    """As Gemma 3's image token, which its text encoders have no row for."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<image_{number}>" for number in range(10)]})
    tokenizer.save_pretrained(folder)
    check(Encoder.of(folder))
    segments = Tokenizer.of(load_tokenizer(folder)).segments(["an <image_9> of it"])
    assert segments[0].max() < families.VOCABULARY


# SentencePiece alone.

SMALL = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    "xlm-roberta": ("sentencepiece.bpe.model", {"hidden_size": 16, "max_position_embeddings": 66, **SMALL}),
    "mt5": ("spiece.model", {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}),
    "deberta-v2": ("spm.model", {"hidden_size": 16, "position_buckets": 8, "relative_attention": True, **SMALL}),
}


def published(model_type: str, folder: Path) -> Path:
    """Write an encoder whose tokenizer is a SentencePiece model alone, as many are published."""
    name, values = PUBLISHED[model_type]
    config = transformers.AutoConfig.for_model(model_type, vocab_size=300, **values)
    auto = "AutoModelForTextEncoding" if model_type == "mt5" else "AutoModel"
    getattr(transformers, auto).from_config(config).save_pretrained(folder)
    (folder / name).write_bytes(sentencepiece_model())
    return folder


@pytest.mark.parametrize("model_type", PUBLISHED)
def test_a_sentencepiece_model_alone_is_read(model_type: str, tmp_path: Path) -> None:
    import sentencepiece

    folder = published(model_type, tmp_path)
    check(Encoder.of(folder))
    wrapped = Tokenizer.of(load_tokenizer(folder))
    reference = sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_model())
    for sentence in SENTENCES[:3]:
        pieces = wrapped.tokenizer.convert_ids_to_tokens(wrapped.segments([sentence])[0].tolist())
        assert pieces == reference.encode(sentence, out_type=str)


@pytest.mark.parametrize("model_type", PUBLISHED)
def test_without_the_packages_that_read_it_they_are_named(
    model_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = published(model_type, tmp_path)
    monkeypatch.setattr(encoder_module, "installed", lambda module: module != "google.protobuf")
    with pytest.raises(InputError, match=r'needs protobuf: pip install "xstilts\[sentencepiece\]"'):
        check(Encoder.of(folder))
    monkeypatch.setattr(encoder_module, "installed", lambda module: False)
    with pytest.raises(InputError, match="needs sentencepiece and protobuf"):
        load_tokenizer(folder)


# Pickled weights.


@pytest.fixture
def pickled(folder: Path) -> Path:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()
    return folder


def test_pickled_weights_are_converted_by_one_command(pickled: Path, families: Any, tmp_path: Path) -> None:
    """Here of a snapshot in the hub's cache, which stays as it was."""
    with pytest.raises(InputError, match=r"only pickled weights \(pytorch_model.bin\).*xstilts convert-weights "):
        Encoder.of(pickled)
    snapshot = Path(shutil.copytree(pickled, tmp_path / "models--owner--name" / "snapshots" / "abc"))
    before = sorted(snapshot.iterdir())
    with pytest.raises(InputError, match="give --out FOLDER"):
        convert(snapshot)
    out = convert(snapshot, tmp_path / "converted")
    check(Encoder.of(out))
    assert sorted(snapshot.iterdir()) == before
    wanted = load_backbone(families["xlm-roberta"]).state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in load_backbone(out).state_dict().items())
    with pytest.raises(InputError, match=r"has a model.safetensors already"):
        convert(pickled, out)


def test_a_snapshot_without_safetensors_names_the_command(folder: Path, tmp_path: Path) -> None:
    snapshot = Path(shutil.copytree(folder, tmp_path / "models--owner--name" / "snapshots" / "abc"))
    (snapshot / WEIGHTS).unlink()
    with pytest.raises(InputError, match=r"owner/name is published without safetensors.*convert-weights owner/name"):
        load_backbone(snapshot)


def test_a_hub_id_with_pickled_weights_alone_is_refused_by_what_the_hub_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("config.json", "pytorch_model.bin", "spm.model")
    monkeypatch.setattr(encoder_check, "_listed", lambda *given: names)
    with pytest.raises(InputError, match=r"owner/name has only pickled weights.*convert-weights owner/name --out"):
        check(Encoder("owner/name", "0" * 40))
    monkeypatch.setattr(encoder_check, "_listed", lambda *given: (*names, "model.safetensors"))
    check(Encoder("owner/name", "0" * 40))


class Harmful:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("harm"),)


def test_code_in_a_pickle_is_not_run(pickled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (pickled / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Harmful()}))
    with pytest.raises(InputError, match="may hold more than tensors"):
        convert(pickled, tmp_path / "out")
    assert not (tmp_path / "harm").exists()
    assert not list((tmp_path / "out").glob("*.safetensors*"))


# Special tokens in texts.


def test_a_text_that_names_the_padding_has_the_same_states_padded_and_packed(families: Any) -> None:
    """XLM-R counts positions by the ids that are no padding."""
    network = Network(families.backbone("xlm-roberta")).eval()
    tokenizer = Tokenizer.of(load_tokenizer(families["xlm-roberta"]))
    texts = ("use <pad> as the padding", "no </s> end", "<mask>")
    examples = [ClassificationExample(text, text, None, "a") for text in texts]
    inputs = classification.encode(examples, tokenizer, 64, ("a",), Counter())
    batch = classification.collate(inputs, tokenizer)
    with torch.no_grad():
        padded = network.encode(batch.ids, batch.mask)
        packed = network.encode(batch.ids, batch.mask, batch.packed().packing)
    torch.testing.assert_close(padded[batch.mask.bool()], packed[batch.mask.bool()], atol=2e-6, rtol=1e-5)


# States that are not finite.


def test_states_that_are_not_finite_are_an_error_and_no_score(
    folder: Path, machine: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights may be finite and states not: here a layer breaks when it is loaded to predict."""
    model, data = Encoder.of(folder), promised("bitext_retrieval", [BitextExample("first", "cab", "dab")])

    def broken(place: str) -> Any:
        backbone = load_backbone(folder)
        with torch.no_grad():
            backbone.get_parameter(UP.replace("1", place))[:] = float("nan")
        return backbone

    for place in ("0", "2"):
        monkeypatch.setattr("xstilts.models.hf_format.load_backbone", lambda source, place=place: broken(place))
        predict_module._loaded.cache_clear()
        stage = predict(model, data, "bitext_retrieval", 16)
        with pytest.raises(
            (StageError, NotFinite), match=rf"layer {int(place) + 1} of 3 are NaN or infinite for example 'first'"
        ):
            build(stage, machine)
    predict_module._loaded.cache_clear()
    assert not list(machine.store.glob(f"*/{PREDICTIONS}"))


# Words in keys.


def tagging_key(folder: Path, format: str = "token_classification") -> str:
    encoder, data = Encoder.of(folder), promised(format, [])
    given = TrainingSet("toy", format, ("a",), (data,), None, "entity_f1")
    unmarked = train(encoder, (given,), Recipe(), 1).key
    key = train(encoder, (given.read_by(encoder),), Recipe(), 1).key
    return "as before" if key == unmarked else "of its own"


@pytest.mark.parametrize("family", ["xlm-roberta", "modernbert", "qwen3"])
@pytest.mark.parametrize("tokenizer", ["unigram", "wordpiece", "byte-level-prefix", "byte-level-template", "gemma"])
def test_only_trainings_whose_tokens_changed_have_other_keys(
    family: str, tokenizer: str, families: Any, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(families[family], tmp_path / "model"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink(missing_ok=True)
    make(tokenizer).save_pretrained(folder)
    changed = tokenizer in ("byte-level-template", "gemma")
    assert tagging_key(folder) == ("of its own" if changed else "as before")
    assert tagging_key(folder, "classification") == "as before"


def test_a_family_without_earlier_results_needs_no_mark(families: Any, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(families["roberta"], tmp_path / "model"))
    make("byte-level-template").save_pretrained(folder)
    assert tagging_key(folder) == "as before"


def test_of_the_hub_the_model_type_decides() -> None:
    marks = {
        name: word_tokenization(Encoder(name, "0" * 40), "token_classification")
        for name in ("FacebookAI/xlm-roberta-large", "google/mt5-small", "Qwen/Qwen3-0.6B", "google/gemma-3-270m")
    }
    assert list(marks.values()) == ["", "", IN_SENTENCES, IN_SENTENCES]
