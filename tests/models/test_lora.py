from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from test_ledger import UNSEEN, counted, network_of, sums
from torch import nn

from families import DEPTH, FAMILIES, berts_last, quick_first
from given import TOYS, lesson, stopped
from quick import first
from xstilts.cost import flops
from xstilts.errors import InputError
from xstilts.formats import task_format
from xstilts.models import lora
from xstilts.models.batch import Batch
from xstilts.models.embedding_pruning import pruned_embeddings
from xstilts.models.encoder import Encoder, load_tokenizer
from xstilts.models.freezing import freeze
from xstilts.models.heads import attach
from xstilts.models.hf_format import save_encoder
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.store.manifest import read
from xstilts.training.frozen_layer_cache import FOLDER
from xstilts.training.recipe import Recipe, Selection
from xstilts.training.train import HISTORY, train

pytest.importorskip("peft", reason="adapters need peft: pip install xstilts[lora]")

FAST = Recipe(learning_rate=2e-2, batch_size=6, steps=6, max_length=24, trainable="lora:4")
EITHER = ("head", "lora:4")
BERT = {f"attention.{name}" for name in ("self.query", "self.key", "self.value", "output.dense")}
LLAMA = {f"self_attn.{name}_proj" for name in "qkvo"} | {f"mlp.{name}_proj" for name in ("gate", "up", "down")}
MAPPED = BERT | {"intermediate.dense", "output.dense"}
DISTILBERT = {f"attention.{name}_lin" for name in ("q", "k", "v", "out")} | {"ffn.lin1", "ffn.lin2"}
T5 = {f"layer.0.SelfAttention.{name}" for name in "qkvo"}
T5 |= {f"layer.1.DenseReluDense.{name}" for name in ("wi_0", "wi_1", "wo")}
MAPS: dict[str, set[str]] = {
    "xlm-roberta": BERT | {"intermediate.dense", "output.dense"},
    "xlm-roberta-xl": BERT | {"intermediate.dense", "output.dense"},
    "roberta": BERT | {"intermediate.dense", "output.dense"},
    "camembert": BERT | {"intermediate.dense", "output.dense"},
    "modernbert": {"attn.Wqkv", "attn.Wo", "mlp.Wi", "mlp.Wo"},
    "eurobert": LLAMA,
    "deberta-v2": {f"attention.self.{name}_proj" for name in ("query", "key", "value")}
    | {"attention.output.dense", "intermediate.dense", "output.dense"},
    "mt5": T5,
    "umt5": T5,
    "t5": T5 - {f"layer.1.DenseReluDense.wi_{number}" for number in (0, 1)} | {"layer.1.DenseReluDense.wi"},
    "bert": MAPPED,
    "electra": MAPPED,
    "rembert": MAPPED,
    "xmod": MAPPED,
    "distilbert": DISTILBERT,
    "qwen3": LLAMA,
    "gemma3_text": LLAMA,
}


def taught(family: str, families: Any, trained: str = "lora:4") -> tuple[Network, Batch]:
    """Return a network with a toy's head and adapters, and the toy's batch."""
    labels, _, examples = TOYS["token_classification"]
    network, tokens = Network(families.backbone(family)), Tokenizer.of(load_tokenizer(families[family]))
    torch.manual_seed(1)
    attach(network, "toy", "token_classification", len(labels))
    freeze(network.eval(), trained)
    how = task_format("token_classification")
    return network, how.collate(how.encode(examples, tokens, 24, labels, Counter()), tokens)


def learned(network: Network, batch: Batch, steps: int = 3) -> None:
    """Take some steps."""
    optimiser = torch.optim.AdamW([one for one in network.parameters() if one.requires_grad], lr=0.02)
    for _ in range(steps):
        optimiser.zero_grad()
        task_format("token_classification").loss(network.train(), "toy", batch).backward()
        optimiser.step()
    network.eval()


def weights(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def logits(network: Network, batch: Batch) -> torch.Tensor:
    with torch.no_grad():
        return network("toy", batch.ids, batch.mask)


def adapted(network: Network) -> set[str]:
    """Return the names of the maps with adapters, below the layers."""
    names = {name for name, one in network.backbone.named_modules() if hasattr(one, "lora_A")}
    assert all(name.startswith(f"{network.family.layers}.") for name in names)
    return {name.removeprefix(f"{network.family.layers}.") for name in names}


# Which maps have adapters.


@pytest.mark.parametrize("family", quick_first(FAMILIES))
@pytest.mark.parametrize(("part", "layers"), [("", [0, 1, 2]), ("@layers:1", [1])])
def test_adapters_are_beside_attention_and_feed_forward_maps_of_these_layers_alone(
    part: str, layers: list[int], family: str, families: Any
) -> None:
    network, _ = taught(family, families, f"lora:2{part}")
    assert adapted(network) == {f"{number}.{name}" for number in layers for name in MAPS[family]}
    assert network.prefix == layers[0]
    modes = [layer.training for layer in network.train().layer_modules]
    assert modes == [number >= layers[0] for number in range(DEPTH)]


@pytest.mark.parametrize("family", quick_first(FAMILIES))
def test_as_many_parameters_are_trained_as_the_maps_are_wide(family: str, families: Any) -> None:
    plain, _ = taught(family, families, "head")
    maps = [plain.layer_modules[number].get_submodule(name) for number in range(DEPTH) for name in MAPS[family]]
    heads = sum(one.numel() for one in plain.heads.parameters())
    network, _ = taught(family, families, "head")
    trained = freeze(network, "lora:5")
    assert trained == heads + 5 * sum(one.in_features + one.out_features for one in maps)
    assert trained == sum(one.numel() for one in network.parameters() if one.requires_grad)
    assert {one.dtype for one in network.parameters()} == {torch.float32}


# What they say, before and after.


@pytest.mark.parametrize("family", berts_last(FAMILIES))
def test_a_network_begins_as_it_was_and_ends_as_its_adapters_say(family: str, families: Any) -> None:
    plain, batch = taught(family, families, "head")
    network, _ = taught(family, families)
    before = weights(plain.backbone)
    assert torch.equal(logits(network, batch), logits(plain, batch))
    frozen = {name: one for name, one in weights(network).items() if "lora_" not in name and not name.startswith("h")}
    learned(network, batch)
    moved = weights(network)
    assert all(torch.equal(one, moved[name]) for name, one in frozen.items())
    assert any((moved[name] != 0).any() for name in moved if "lora_B" in name)
    said = logits(network, batch)
    lora.merge(network)
    assert torch.allclose(logits(network, batch), said, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(said, logits(plain, batch), atol=1e-3)
    after = weights(network.backbone)
    assert [*after] == [*before]
    linear = {f"{network.family.layers}.{number}.{name}.weight" for number in range(DEPTH) for name in MAPS[family]}
    assert {name for name in after if not torch.equal(after[name], before[name])} == linear


@torch.no_grad()
@pytest.mark.parametrize(("trained", "scale"), [("lora:4:4", 1), ("lora:4:12", 3), ("lora:4", 2)])
def test_alpha_is_how_much_they_say(trained: str, scale: float, families: Any) -> None:
    network, _ = taught("xlm-roberta", families, trained)
    name = "encoder.layer.0.attention.self.query"
    layer = network.backbone.get_submodule(name)
    before = layer.weight.clone()
    layer.lora_B["default"].weight.normal_()
    wanted = before + scale * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    lora.merge(network)
    assert torch.allclose(network.backbone.get_submodule(name).weight, wanted, atol=1e-6)


def test_freezing_again_folds_in_what_was_learned(families: Any) -> None:
    network, batch = taught("eurobert", families)
    learned(network, batch)
    said = logits(network, batch)
    count = freeze(network, "lora:2@top:1")
    assert {name[0] for name in adapted(network)} == {"2"}
    assert torch.allclose(logits(network, batch), said, atol=1e-5)
    assert freeze(network, "head") < count
    assert not adapted(network)
    assert freeze(network, "all") == sum(one.numel() for one in network.parameters())


def test_without_adapters_there_is_nothing_to_fold(families: Any) -> None:
    network, _ = taught("xlm-roberta", families, "top:1")
    before = weights(network)
    lora.merge(network)
    assert same(weights(network), before)


@pytest.mark.parametrize("family", quick_first(FAMILIES))
def test_only_the_rows_used_are_kept_beside_adapters(family: str, families: Any) -> None:
    network, batch = taught(family, families)
    labels, _, examples = TOYS["token_classification"]
    tokens = Tokenizer.of(load_tokenizer(families[family]))
    units = task_format("token_classification").encode(examples, tokens, 24, labels, Counter())
    table, said = network.embedding_matrix, logits(network, batch)
    with pruned_embeddings(network, units, tokens):
        assert len(network.embedding_matrix) < len(table)
        assert torch.equal(logits(network, batch), said)
    assert network.embedding_matrix is table


# What a training makes of them.


@pytest.mark.parametrize("family", quick_first(FAMILIES))
def test_a_saved_network_says_nothing_of_adapters(family: str, families: Any, tmp_path: Path) -> None:
    """Its folder has the names of one without, transformers alone loads it, and it says what the adapters said."""
    network, batch = taught(family, families)
    learned(network, batch)
    lora.merge(network)
    for name, one in (("plain", Network(families.backbone(family))), ("merged", network)):
        save_encoder(one, load_tokenizer(families[family]), tmp_path / name)
    merged, plain = (load_file(tmp_path / name / "model.safetensors") for name in ("merged", "plain"))
    assert {name: one.shape for name, one in merged.items()} == {name: one.shape for name, one in plain.items()}
    files = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("merged", "plain")]
    assert files[0] == files[1]
    assert (tmp_path / "merged" / "config.json").read_text() == (tmp_path / "plain" / "config.json").read_text()
    auto = getattr(transformers, network.family.auto)
    alone, report = auto.from_pretrained(tmp_path / "merged", output_loading_info=True, **network.family.load)
    assert not report["missing_keys"] | report["unexpected_keys"]
    with torch.no_grad():
        found, said = (one.encode(batch.ids, batch.mask) for one in (Network(alone), network))
        assert torch.equal(found, said)


def test_a_training_counts_what_it_trains_and_saves_it_folded_in(encoder: Encoder, machine: Runtime) -> None:
    models = [
        train(encoder, (lesson("token_classification"),), replace(FAST, steps=2, trainable=one), seed=1)
        for one in EITHER
    ]
    folders = [build(model, machine) for model in models]
    head, lora = (read(folder)["record"] for folder in folders)
    added = DEPTH * 4 * (4 * (16 + 16) + 2 * (16 + 24))
    assert lora["trained_parameters"] == lora["cost"]["trained_parameters"] == head["trained_parameters"] + added
    assert lora["cost"]["parameters"] == head["cost"]["parameters"] + added
    assert lora["parameters"] == head["parameters"] == head["cost"]["parameters"]
    assert all(lora["cost"]["flops"][part] > head["cost"]["flops"][part] for part in flops.PARTS)
    plain, merged = (load_file(folder / "model" / "model.safetensors") for folder in folders)
    assert merged.keys() == plain.keys()
    moved = {name for name in plain if not torch.equal(plain[name], merged[name]) and not name.startswith("classifier")}
    maps = MAPS["xlm-roberta"]
    assert moved == {f"roberta.encoder.layer.{number}.{name}.weight" for number in range(DEPTH) for name in maps}


@pytest.mark.parametrize("trained", first(1, ["lora:4@top:1", "lora:4"]))
def test_a_stopped_training_ends_in_the_same_bits(trained: str, encoder: Encoder, machine: Runtime) -> None:
    recipe = replace(FAST, steps=8, selection=Selection(2, 9, 16), trainable=trained)
    model = train(encoder, (lesson("classification"),), recipe, seed=1)
    whole = build(model, replace(machine, store=machine.store / "whole"))
    stopped(model, machine, 5)
    stored = load_file(next(machine.store.glob("train-*.part")) / "checkpoint.safetensors")
    held = {name.partition(".")[2] for name in stored if name.startswith("weight.")}
    assert {"lora_" in name for name in held if name.startswith("backbone.")} == {True}
    assert any(name.startswith("heads.") for name in held)
    again = build(model, machine)
    assert (again / "model" / "model.safetensors").read_bytes() == (whole / "model" / "model.safetensors").read_bytes()
    assert (again / HISTORY).read_bytes() == (whole / HISTORY).read_bytes()


@pytest.mark.parametrize("family", first(1, ["eurobert", "deberta-v2"]))
def test_frozen_layers_below_adapters_run_once(family: str, families: Any, machine: Runtime) -> None:
    """Another seed, whose adapters begin elsewhere, finds the states; with all layers the result is the same."""
    recipe = replace(FAST, trainable="lora:4@top:1")
    models = [train(Encoder.of(families[family]), (lesson("classification"),), recipe, seed=seed) for seed in (1, 2)]
    built = [build(model, machine) for model in models]
    assert len(list((machine.store / FOLDER).glob("*.states"))) == 1
    built.append(build(models[0], replace(machine, store=machine.store / "plain", prefix_gib=0)))
    one, other, again = (load_file(folder / "model" / "model.safetensors") for folder in built)
    assert all(torch.allclose(value, again[name], atol=2e-5, rtol=1e-4) for name, value in one.items())
    maps = {name for name in one for below in MAPS[family] if f".{DEPTH - 1}.{below}.weight" in name}
    assert len(maps) == len(MAPS[family])
    assert all(not torch.allclose(one[name], other[name]) for name in maps)


@pytest.mark.parametrize("family", quick_first(["xlm-roberta", "modernbert", "deberta-v2", "umt5", "gemma3_text"]))
def test_flops_are_those_that_torch_counts(family: str, families: Any) -> None:
    parts = flops.spent(network_of(families, family, trained="lora:3@top:2"), "head", sums(UNSEEN[0]), learning=True)
    forward, backward = counted(network_of(families, family, trained="lora:3@top:2"), UNSEEN[0])
    assert (parts["forward"], parts["activations"] + parts["weights"]) == (forward, backward)


# What is wrong is said.


@pytest.mark.parametrize(
    "trained", ["lora", "lora:", "lora:0", "lora:x", "lora:-1", "lora:4:0", "lora:4:", "lora:4@", "lora@top:1"]
)
def test_adapters_name_their_words(trained: str, families: Any) -> None:
    with pytest.raises(InputError, match=r"unknown adapters 'lora.*use lora:16 .*lora:16:32 .*lora:16@top:4"):
        taught("xlm-roberta", families, trained)


@pytest.mark.parametrize("part", ["head", "all", "layernorm", "top", "some"])
def test_a_part_is_of_layers(part: str, families: Any) -> None:
    with pytest.raises(InputError, match=rf"unknown part to train '{part}'; use one of top:2, .*, alternate$"):
        taught("xlm-roberta", families, f"lora:8@{part}")


def test_layers_that_are_not_there_are_named(families: Any) -> None:
    with pytest.raises(InputError, match=r"'top:99' does not fit an encoder of 3 layers"):
        taught("xlm-roberta", families, "lora:8@top:99")


def test_without_peft_the_remedy_is_said(families: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match=r'pip install "xstilts\[lora\]"'):
        taught("xlm-roberta", families, "lora:8")


@pytest.mark.parametrize("family", first(1, ["gemma3_text", "xlm-roberta"]))
def test_beside_weights_in_bf16_adapters_learn_in_float32_and_nothing_of_it_is_rounded(
    family: str, families: Any, machine: Runtime
) -> None:
    recipe = replace(FAST, optimizer="adamw:bf16")
    folder = build(train(Encoder.of(families[family]), (lesson("token_classification"),), recipe, seed=1), machine)
    before, after = (load_file(Path(one) / "model.safetensors") for one in (families[family], folder / "model"))
    moved = {
        name: value - next(one for there, one in before.items() if there.endswith(name.partition(".")[2])).bfloat16()
        for name, value in after.items()
        if name.endswith(("query.weight", "q_proj.weight"))
    }
    assert len(moved) == DEPTH
    for change in moved.values():
        assert change.dtype == torch.float32
        assert torch.linalg.matrix_rank(change, rtol=1e-4) == 4  # rounded to bf16 it would have the full rank
