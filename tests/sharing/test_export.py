"""Tests of export: the folder is whole, loads without this package, and its other forms answer alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from safetensors.torch import load_file
from test_backends import LABELS, checkpoint

from families import tokenizer
from xstilts.errors import InputError
from xstilts.inference.model import load_model
from xstilts.models.encoder import SANDBOX
from xstilts.models.heads import attach_dual_encoder
from xstilts.models.hf_format import save_encoder
from xstilts.models.network import Network
from xstilts.runtime.machine import Runtime
from xstilts.sharing.export import export, located
from xstilts.sharing.usage import usage
from xstilts.store import manifest

CPU = Runtime(device="cpu", threads=1)


@pytest.fixture(scope="module")
def trained(families: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training's folder: a checkpoint, and the manifest beside it."""
    stage = tmp_path_factory.mktemp("store") / "train-toy-seed1-0123456789ab"
    checkpoint(families, "xlm-roberta", "classification", stage / "model")
    recipe = {"type": "Recipe", "learning_rate": {"float": "0.001"}, "selection": None}
    arguments = {"encoder": {"type": "Encoder", "name": "toy", "digest": "0" * 64}, "recipe": recipe, "seed": 1}
    facts = {"label": "train-toy-seed1", "key": "0123456789ab", "work": "xstilts.train.train", "seconds": 1.0}
    arguments["lessons"] = []
    manifest.write(stage, facts | {"arguments": arguments, "inputs": {}, "record": {"max_length": 20}})
    return stage


def test_a_folder_is_whole_and_loads_without_this_package(trained: Path, tmp_path: Path) -> None:
    exported = export(trained, tmp_path / "toy")
    names = {file.path for file in exported.files}
    required = {"README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert names == required | {"xstilts.json"} == {path.name for path in exported.folder.iterdir()}
    assert list(tmp_path.iterdir()) == [exported.folder]  # nothing is left beside it
    config = transformers.AutoConfig.from_pretrained(exported.folder)
    assert tuple(config.id2label.values()) == LABELS["classification"]
    assert config.label2id == {label: number for number, label in config.id2label.items()}
    before, after = (load_file(folder / "model.safetensors") for folder in (trained / "model", exported.folder))
    assert before.keys() == after.keys()
    assert all(bool((after[name] == before[name]).all()) for name in before)
    assert exported.rows()[0].keys() == {"path", "size", "sha256"}
    assert json.loads(json.dumps(exported.to_dict()))["format"] == "classification"


def test_a_folder_keeps_length_and_predictions_away_from_its_store(trained: Path, tmp_path: Path) -> None:
    exported = export(trained, tmp_path / "toy")
    before, after = (load_model(folder, runtime=CPU) for folder in (trained, exported.folder))
    assert before.max_length == after.max_length == 20
    texts = ["a b c", "x " * 40]
    assert before.predict(texts) == after.predict(texts)
    again = export(exported.folder, tmp_path / "again", name="toy")
    assert again.card == exported.card


def test_nothing_of_this_machine_is_in_a_folder(trained: Path, tmp_path: Path) -> None:
    assert '"is_local"' in (trained / "model" / "tokenizer_config.json").read_text()
    exported = export(trained, tmp_path / "toy")
    for file in exported.folder.iterdir():
        if file.suffix in (".json", ".md"):
            assert str(tmp_path.parent) not in file.read_text()
            assert '"is_local"' not in file.read_text()


def test_an_export_is_replaced_and_other_folders_are_not(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "toy"
    export(trained, out)
    (out / "vocab.txt").write_text("of an earlier version")
    export(trained, out)
    assert not (out / "vocab.txt").exists()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="notes holds files of something else: give a new folder"):
        export(trained, tmp_path / "notes")
    for target in (trained / "model", trained):
        with pytest.raises(InputError, match="holds the checkpoint itself"):
            export(trained, target)


@pytest.mark.slow
def test_onnx_files_answer_as_torch_does(trained: Path, tmp_path: Path) -> None:
    exported = export(trained, tmp_path / "toy", onnx=True, int8=True)
    exact, int8 = exported.onnx
    assert (exact.file, int8.file) == ("onnx/model.onnx", "onnx/model_int8.onnx")
    assert exact.parity.difference < 1e-4 * exact.parity.largest
    assert exact.parity.agreement == 1
    assert 0 < int8.parity.difference < int8.parity.largest
    assert exact.sequences == exact.parity.decisions == 64
    assert {"onnx/model.onnx", "onnx/model_int8.onnx"} <= {file.path for file in exported.files}
    assert "| onnx/model.onnx | float32 |" in exported.card
    assert "64 sequences of random tokens" in exported.card
    code = exported.card[exported.card.index("import onnxruntime") :].partition("```")[0]
    names: dict[str, Any] = {}
    exec(code.replace('"toy"', f'"{exported.folder}"'), names)
    shares = np.exp(names["logits"][0]) / np.exp(names["logits"][0]).sum()
    (expected,) = load_model(exported.folder, runtime=CPU).predict(["The bridge is open."])
    assert np.allclose(shares, list(expected["probabilities"].values()), atol=1e-4)


def test_an_encoder_has_the_layout_of_sentence_transformers(trained: Path, tmp_path: Path) -> None:
    exported = export("sandbox", tmp_path / "toy", sentence_transformers=True)
    modules = json.loads((exported.folder / "modules.json").read_text())
    assert [module["path"] for module in modules] == ["", "1_Pooling"]
    pooling = json.loads((exported.folder / "1_Pooling/config.json").read_text())
    assert pooling["pooling_mode_mean_tokens"]
    assert pooling["word_embedding_dimension"] == load_model("sandbox", runtime=CPU).network.width
    longest = json.loads((exported.folder / "sentence_bert_config.json").read_text())["max_seq_length"]
    assert longest == load_model(exported.folder, runtime=CPU).max_length
    assert "SentenceTransformer(name)" in exported.card
    with pytest.raises(InputError, match="the layout of sentence-transformers is for encoders without one"):
        export(trained, tmp_path / "head", sentence_transformers=True)


def test_sentence_transformers_gives_the_same_vectors(tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    texts = ["The bridge is open.", "Anna sleeps .", "x " * 600]
    folder = export("sandbox", tmp_path / "toy", sentence_transformers=True).folder
    found = library.SentenceTransformer(str(folder)).encode(texts)
    assert np.allclose(found, load_model(folder, runtime=CPU).embed(texts), atol=1e-5)


def test_damage_is_seen_before_anything_is_written(families: Any, trained: Path, tmp_path: Path) -> None:
    stage = tmp_path / trained.name
    for path in (path for path in trained.rglob("*") if path.is_file()):
        target = stage / path.relative_to(trained)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    content = bytearray((stage / "model/model.safetensors").read_bytes())
    content[-1] ^= 1
    (stage / "model/model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged \(model/model\.safetensors\): remove the folder and run"):
        export(stage, tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


def test_a_checkpoint_is_found_by_folder_value_and_key(trained: Path, tmp_path: Path) -> None:
    class Result:
        path = trained / "model"

    for source in (trained, str(trained), trained / "model", Result(), "0123", "train-toy-seed1-0123456789ab"):
        assert located(source, trained.parent) == trained / "model"
    assert located("sandbox", trained.parent) == SANDBOX
    with pytest.raises(InputError, match=r"no finished stage in .* 'ffff'"):
        located("ffff", trained.parent)
    with pytest.raises(InputError, match="no folder 'no/where'"):
        located("no/where", trained.parent)
    with pytest.raises(InputError, match="'toy' is no id of the hub"):
        export(trained, tmp_path / "toy", base_model="toy")


def test_files_of_a_users_own_stay_in_an_export_that_is_written_again(trained: Path, tmp_path: Path) -> None:
    exported = export(trained, tmp_path / "toy")
    (exported.folder / "notes.txt").write_text("mine")
    (exported.folder / "eval").mkdir()
    (exported.folder / "eval" / "a.csv").write_text("1")
    (exported.folder / "README.md").write_text("old")
    again = export(trained, tmp_path / "toy")
    assert (again.folder / "notes.txt").read_text() == "mine"
    assert (again.folder / "eval" / "a.csv").read_text() == "1"
    assert (again.folder / "README.md").read_text() != "old"
    assert list(tmp_path.iterdir()) == [again.folder]


def test_a_dual_encoder_is_exported_with_its_pooler(families: Any, tmp_path: Path) -> None:
    """The card's code and the layout of sentence-transformers give the vectors of `embed`."""
    network = Network(families.backbone("xlm-roberta")).eval()
    head = attach_dual_encoder(network, "pairs")
    save_encoder(network, tokenizer("xlm-roberta"), tmp_path / "model", head)
    exported = export(tmp_path / "model", tmp_path / "toy", sentence_transformers=True)
    model, texts = load_model(exported.folder, runtime=CPU), ["The bridge is open.", "Die Brücke ist offen."]
    names: dict[str, Any] = {}
    code = usage("bitext_retrieval", "xlm-roberta", model.max_length, str(exported.folder), dual_encoder=True).code
    exec(compile(code, "README.md", "exec"), names)
    assert "pooler_output" in exported.card
    assert np.allclose(names["vectors"].numpy(), model.embed(texts), atol=1e-5)
    # sentence-transformers, restated: the first token, a linear layer, tanh.
    modules = [module["path"] for module in json.loads((exported.folder / "modules.json").read_text())]
    assert modules == ["", "1_Pooling", "2_Dense"]
    assert json.loads((exported.folder / "1_Pooling/config.json").read_text())["pooling_mode_cls_token"]
    layer = load_file(exported.folder / "2_Dense/model.safetensors")
    inputs = names["tokenizer"](texts, padding=True, return_tensors="pt")
    states = names["model"](input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state
    vectors = (states[:, 0] @ layer["linear.weight"].T + layer["linear.bias"]).tanh()
    assert np.allclose(vectors.detach().numpy(), model.embed(texts), atol=1e-5)
