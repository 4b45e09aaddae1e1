from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
import transformers

import families as tiny
from families import quick_first
from given import TOYS, lesson
from quick import first
from xstilts.cost.activation_memory import ActivationMemory, Device, real
from xstilts.cost.flops import Shape
from xstilts.errors import InputError
from xstilts.formats import task_format
from xstilts.models import configs
from xstilts.models.batch import Batch
from xstilts.models.encoder import Encoder, load_tokenizer
from xstilts.models.families import FAMILIES, UNSUPPORTED
from xstilts.models.freezing import freeze
from xstilts.models.heads import attach
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.planning import memory_fit
from xstilts.runtime.machine import Runtime
from xstilts.training import memory
from xstilts.training.memory import GIB, Setting, built, division, estimate, floor, shape_of
from xstilts.training.recipe import Recipe
from xstilts.training.train import train

CPU, GPU = Device("cpu", "fp32"), Device("cuda", "bf16")
ONE = Shape(5, 20)
LARGE, XXL = "FacebookAI/xlm-roberta-large", "facebook/xlm-roberta-xxl"


def network_of(model_type: str, how: str = "classification", trained: str = "all", **changes: Any) -> Network:
    settings = tiny.config(model_type)
    for name, value in changes.items():
        setattr(settings, name, value)
    family = FAMILIES[model_type]
    options = {name: value for name, value in family.load.items() if name != "key_mapping"}
    network = Network(getattr(transformers, family.auto).from_config(settings, **options))
    attach(network, "head", how, 3)
    freeze(network, trained)
    return network


def really(network: Network, how: str, shape: Shape, halved: bool = False) -> int:
    """Return what autograd keeps of a real loss, of a batch with padding."""
    mask = torch.ones(shape.sequences, shape.length, dtype=torch.long)
    mask[1:, shape.length // 2 :] = 0
    targets = torch.zeros(shape.sequences, *([shape.length] if how == "token_classification" else []), dtype=torch.long)
    batch = Batch(torch.full((shape.sequences, shape.length), 5), mask, targets)

    def compute() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16) if halved else contextlib.nullcontext():
            task_format(how).loss(network.train(), "head", batch)

    return real(network, compute)


# What autograd keeps is told to the byte, at a shape at which nothing was counted.


@pytest.mark.parametrize("model_type", quick_first(FAMILIES))
def test_kept_bytes_are_those_of_real_tensors(model_type: str) -> None:
    network = network_of(model_type)
    found = ActivationMemory(network, "head", CPU)
    for shape in (ONE, Shape(3, 31)):
        assert found.bytes(shape, recompute=False) == really(network, "classification", shape)


@pytest.mark.parametrize("model_type", quick_first(["xlm-roberta", "eurobert", "gemma3_text"]))
def test_so_they_are_in_bf16(model_type: str) -> None:
    network = network_of(model_type)
    found = ActivationMemory(network, "head", replace(CPU, precision="bf16"))
    assert found.bytes(ONE, recompute=False) == really(network, "classification", ONE, halved=True)


@pytest.mark.parametrize("trained", first(2, ["layers:1-2", "no-embeddings", "top:2", "head"]))
def test_so_they_are_whatever_is_frozen(trained: str) -> None:
    network = network_of("xlm-roberta", "token_classification", trained)
    assert ActivationMemory(network, "head", CPU).bytes(ONE, recompute=False) == really(
        network, "token_classification", ONE
    )


@pytest.mark.parametrize("model_type", quick_first(["xlm-roberta-xl", "mt5", "deberta-v2"]))
def test_a_few_layers_stand_for_many_that_are_alike(model_type: str) -> None:
    deep: dict[str, Any] = {"num_layers": 9} if model_type == "mt5" else {"num_hidden_layers": 9}
    network = network_of(model_type, trained="top:6", **deep)
    found = ActivationMemory(network, "head", CPU)
    assert len(found.layers) < len(network.layer_modules) == 9
    assert found.bytes(ONE, recompute=False) == really(network, "classification", ONE)


@pytest.mark.parametrize("how", first(2, ["masked_lm", *(name for name in TOYS if name != "masked_lm")]))
def test_every_kind_keeps_about_as_much(how: str, families: Any) -> None:
    """Masked-LM asks its head of the hidden tokens alone; translation ranking has no head and compares all pairs."""
    network = Network(families.backbone("xlm-roberta"))
    if not task_format(how).headless:
        attach(network, "head", how, 2)
    labels, _, examples = TOYS[how]
    tokens, chosen = Tokenizer.of(load_tokenizer(families["xlm-roberta"])), task_format(how)
    torch.manual_seed(1)
    batch = chosen.collate(chosen.encode(examples, tokens, 24, labels, Counter()), tokens)
    kept = real(network, lambda: chosen.loss(network.train(), "head", batch))
    shape = Shape(len(batch.ids), batch.ids.shape[1], batch.labels)
    assert ActivationMemory(network, "head", CPU).bytes(shape, recompute=False) == pytest.approx(kept, rel=0.03)


# Laws.


@pytest.mark.parametrize("device", first(1, [GPU, CPU, Device("cuda", "fp32")]))
def test_more_tokens_keep_more_and_recomputing_keeps_less(device: Device) -> None:
    found = ActivationMemory(network_of("eurobert"), "head", device)
    sizes = [found.bytes(Shape(n, 32), False) for n in (4, 8, 16)]
    assert sizes == sorted(set(sizes))
    assert all(found.bytes(Shape(n, 32), True) < size for n, size in zip((4, 8, 16), sizes, strict=True))


def test_recomputing_keeps_the_inputs_of_layers_and_all_of_one() -> None:
    """Another layer costs one more input: float32 states of the batch."""
    found = [
        ActivationMemory(network_of("eurobert", num_hidden_layers=n), "head", CPU).bytes(ONE, True) for n in (5, 6)
    ]
    assert found[1] - found[0] == 4 * ONE.sequences * ONE.length * tiny.WIDTH


def test_attention_on_a_gpu_keeps_no_pairs_of_heads() -> None:
    """What grows with the square of the length is the mask's bias alone, in bf16, whatever the number of heads."""
    network = network_of("xlm-roberta")
    pairs = ActivationMemory(network, "head", GPU).whole["attended"]
    assert pairs == 2 * tiny.DEPTH
    assert ActivationMemory(network, "head", Device("cpu", "bf16")).whole["attended"] > 2 * pairs


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("FacebookAI/xlm-roberta-base", 278),
        (LARGE, 560),
        ("facebook/xlm-roberta-xl", 3480),
        (XXL, 10700),
        ("microsoft/mdeberta-v3-base", 279),
        ("jhu-clsp/mmBERT-small", 140),
        ("EuroBERT/EuroBERT-2.1B", 2110),
        ("Qwen/Qwen3-Embedding-0.6B", 595.8),
        ("Qwen/Qwen3-Embedding-4B", 4022),
        ("google/gemma-3-270m", 268),
        ("google/gemma-3-1b-pt", 1000),
        ("google-bert/bert-base-multilingual-cased", 177.3),
        ("sentence-transformers/LaBSE", 470.3),
        ("intfloat/multilingual-e5-small", 117.5),
        ("distilbert/distilbert-base-multilingual-cased", 134.7),
        ("google/electra-base-discriminator", 108.9),
        ("google/rembert", 576),
        ("facebook/xmod-base", 852.5),
    ],
)
def test_encoders_have_as_many_parameters_as_is_published(name: str, millions: float) -> None:
    count = sum(parameter.numel() for parameter in built(configs.config_of(name)).parameters())
    assert count == pytest.approx(millions * 1e6, rel=0.01)


def test_every_encoder_of_the_table_is_of_a_known_family_and_takes_no_memory() -> None:
    for name in configs.table():
        config = configs.config_of(name)
        if config.model_type in UNSUPPORTED:  # known, so that plans refuse it with the reason
            continue
        assert config.model_type in FAMILIES, name
        assert built(config).get_input_embeddings().weight.device.type == "meta"  # type: ignore[operator]


def test_full_training_in_float32_takes_sixteen_bytes_a_parameter_and_what_is_kept() -> None:
    found = estimate(configs.config_of(LARGE), Recipe(), "classification", 3, Setting(GPU))
    assert (found.weights, found.gradients, found.states) == tuple(n * found.parameters for n in (4, 4, 8))
    assert found.total == 16 * found.parameters + found.activations
    assert found.trained == found.parameters


def test_only_what_is_trained_has_gradients_and_states() -> None:
    config = configs.config_of(LARGE)
    whole, top = (floor(config, Recipe(trainable=trained), "extractive_qa", 0) for trained in ("all", "top:4"))
    assert top.weights == whole.weights
    assert (top.gradients, top.states) == (4 * top.trained, 8 * top.trained)
    assert top.trained < whole.trained / 5


def test_rows_that_no_text_touches_are_not_on_the_device_but_for_masked_lm() -> None:
    config = configs.config_of(LARGE)
    every, few = (floor(config, Recipe(), "token_classification", 17, rows) for rows in (None, 20_000))
    assert every.parameters - few.parameters == (250_002 - 20_000) * 1024
    assert floor(config, Recipe(), "masked_lm", 0, 20_000) == floor(config, Recipe(), "masked_lm", 0)


def test_passes_become_smaller_until_what_they_keep_fits(families: Any) -> None:
    network = Network(families.backbone("xlm-roberta"))
    attach(network, "toy", "token_classification", 3)
    recipe, setting = Recipe(batch_size=4096, max_length=64), Setting(Device("cpu", "fp32"), 16384)
    kept = ActivationMemory(network, "toy", setting.device)
    bytes_of = {
        tokens: kept.bytes(shape_of(recipe, "token_classification", tokens, network), False)
        for tokens in (16384, 4096, 256)
    }
    most = partial(memory._most, network, recipe, {"toy": "token_classification"}, setting)
    assert [most(bytes_of[tokens]) for tokens in bytes_of] == list(bytes_of)
    assert most(bytes_of[4096] - 1) == 2048
    assert most(0) == memory.FEWEST
    assert (
        memory.max_tokens_per_pass(network, recipe, {"toy": "token_classification"}, Runtime(device="cpu"))
        == Runtime().most_tokens()
    )


def test_a_pass_is_as_large_as_a_step_or_as_the_machine_allows() -> None:
    network = Network(built(configs.config_of(LARGE)))
    assert shape_of(Recipe(batch_size=32, max_length=128), "token_classification", 16384, network) == Shape(32, 128)
    assert shape_of(Recipe(batch_size=512, max_length=128), "token_classification", 16384, network) == Shape(128, 128)
    assert shape_of(Recipe(batch_size=4, max_length=9999), "multiple_choice", 1, network) == Shape(5, 512)
    assert shape_of(Recipe(batch_size=512), "bitext_retrieval", 16384, network) == Shape(1024, 128)
    assert shape_of(Recipe(), "masked_lm", 16384, network).answered == round(0.15 * 32 * 128)


# Plans.


def promised(name: str, **recipe: Any) -> Any:
    return train(Encoder(name, "main"), (lesson("classification"),), Recipe(**recipe), 1)


def said(name: str, gib: float, **recipe: Any) -> str:
    (line,) = memory_fit.lines([promised(name, **recipe)] * 2, Runtime(memory_gib=gib))
    return line


def test_a_plan_says_whether_a_training_fits() -> None:
    line = said(LARGE, 80)
    assert line.endswith("fits in 80.0 GiB (as given)")
    assert "559.9 M parameters, 559.9 M trained; 13." in line
    parts = [float(part.split()[0]) for part in line.split(" = ")[1].split(":")[0].split(" + ")]
    assert sum(parts) == pytest.approx(float(line.split("trained; ")[1].split()[0]), abs=0.21)


def test_what_does_not_fit_is_told_with_a_way_that_does() -> None:
    assert "does not fit in 10.0 GiB (as given); try --" in said(LARGE, 10)
    way = memory_fit.remedy(
        configs.config_of(LARGE), Recipe(batch_size=256), (("classification", 3),), Setting(GPU), 20 * GIB
    )
    assert way == memory_fit.Way(few_tokens=True)
    lighter = estimate(
        configs.config_of(LARGE), Recipe(batch_size=256), "classification", 3, Setting(GPU, memory_fit.FEW)
    )
    assert memory_fit.fits(lighter, 20 * GIB, GPU)


@pytest.mark.slow
def test_where_nothing_helps_a_plan_says_so() -> None:
    assert "no option of the command line would make it fit" in said(XXL, 10)


def test_what_does_not_fit_one_gpu_is_sharded_over_the_fewest_that_do() -> None:
    config, formats, setting = configs.config_of(LARGE), (("classification", 3),), Setting(GPU)
    assert "; sharded over 2 GPUs (" in said(LARGE, 9)
    found = memory_fit.sharded(config, Recipe(), formats, setting, 9 * GIB)
    assert found
    assert (found.gpus, found.options()) == (2, "--processes 2 --shard --recompute")
    assert memory_fit.sharded(config, Recipe(optimizer="adamw8"), formats, setting, 9 * GIB) is None
    assert memory_fit.sharded(config, Recipe(), formats, Setting(CPU), 9 * GIB) is None


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor:bf16"])
def test_a_share_has_of_each_purpose_what_is_divided_and_what_is_gathered(optimizer: str) -> None:
    config, recipe = configs.config_of(LARGE), Recipe(optimizer=optimizer)
    alone = estimate(config, recipe, "classification", 3, Setting(GPU))
    divided = division(config, recipe, "classification", 3, GPU)
    shares = [divided.share(alone, processes) for processes in (2, 4, 1000000)]
    totals = [share.total for share in shares]
    assert totals == sorted(totals, reverse=True)
    assert shares[0].states - shares[1].states == pytest.approx(divided.divided.state / 4, abs=2)
    # Embeddings are gathered whole, and what is not divided stays: vectors and the head.
    embeddings = 250002 * 1024 * (2 if optimizer.endswith("bf16") else 4)
    assert embeddings < shares[2].weights < 1.15 * embeddings
    assert divided.divided.weight > 0.99 * alone.weights
    assert shares[0].activations == alone.activations - divided.copies
    assert bool(divided.copies) == (optimizer == "adamw")  # matrices in bf16 are multiplied as they are


def test_ways_change_the_result_as_little_as_they_can() -> None:
    assert [bool(way.settings) for way in memory_fit.WAYS] == sorted(bool(way.settings) for way in memory_fit.WAYS)
    assert len({way.options() for way in memory_fit.WAYS}) == len(memory_fit.WAYS)


def test_an_encoder_that_is_not_here_is_not_guessed_at() -> None:
    assert "memory not known" in said("someone/something", 80)


def main_memory(stage: Any) -> int:
    """Return what a training says of the main memory that it takes."""
    return int(stage.work.memory(Runtime(), **stage.arguments))


def test_a_process_that_trains_takes_what_is_there_before_a_pass_and_its_libraries() -> None:
    states = floor(configs.config_of(LARGE), Recipe(), "classification", 3).total
    assert states < main_memory(promised(LARGE)) < states + 2 * GIB
    head = main_memory(promised(LARGE, trainable="head"))
    assert head < main_memory(promised(LARGE, optimizer="adamw8")) < main_memory(promised(LARGE))


def test_the_main_memory_of_an_unknown_encoder_or_part_is_not_guessed() -> None:
    assert main_memory(promised("someone/something")) == main_memory(promised(LARGE, trainable="layers:90")) == 0


def test_a_wrong_part_to_train_is_told_in_the_plan() -> None:
    with pytest.raises(InputError, match="unknown trainable 'middle'"):
        said(LARGE, 80, trainable="middle")


def test_a_folder_has_its_own_configuration_and_a_stage_that_of_its_origin(families: Any) -> None:
    folder = families["eurobert"]
    assert configs.config_of(Encoder.of(folder)).hidden_size == tiny.WIDTH
    assert configs.config_before(promised(LARGE), Runtime()).hidden_size == 1024


def test_the_device_is_the_one_here_or_as_given() -> None:
    name, most = memory_fit.capacity(Runtime(device="cpu"))
    assert name == "main memory, cpu"
    assert most > GIB / 4
    assert memory_fit.capacity(Runtime(memory_gib=1.5)) == ("as given", 3 * GIB // 2)
    assert memory_fit.setting_of(Runtime(memory_gib=80)).device == GPU
    assert memory_fit.setting_of(Runtime(memory_gib=80, device="cpu")).device == CPU
