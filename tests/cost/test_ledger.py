from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from families import QUICK, quick_first
from given import TOYS, lesson
from quick import covering, diagonal, first, parameters
from xstilts.cost import flops, ledger, summary
from xstilts.cost.flops import Shape
from xstilts.cost.meters import Clock, drawn, rapl
from xstilts.errors import InputError
from xstilts.evaluation.predict import predict
from xstilts.evaluation.score import score
from xstilts.formats import task_format
from xstilts.models.batch import IGNORED, Batch
from xstilts.models.encoder import Encoder, load_backbone, load_tokenizer
from xstilts.models.families import FAMILIES
from xstilts.models.freezing import freeze
from xstilts.models.heads import attach
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime.machine import Runtime
from xstilts.store import query
from xstilts.store.build import build
from xstilts.store.manifest import RECORD
from xstilts.store.manifest import read as read_record
from xstilts.store.stage import BuildContext, Stage
from xstilts.training import batch_schedule
from xstilts.training.recipe import Recipe, Selection
from xstilts.training.train import train
from xstilts.training.training_set import encode_training_set

FAST = Recipe(learning_rate=1e-2, batch_size=8, steps=6, max_length=24)
FROZEN = ("all", "top:1", "no-embeddings")
UNSEEN = (Shape(3, 7), Shape(1, 1), Shape(5, 31))


def sums(*shapes: Shape) -> dict[str, int]:
    return {name: sum(term(shape) for shape in shapes) for name, term in flops.TERMS.items()}


def network_of(families: Any, model_type: str, how: str = "classification", trained: str = "all") -> Network:
    network = Network(families.backbone(model_type))
    attach(network, "head", how, 3)
    freeze(network, trained)
    return network


def counted(network: Network, shape: Shape) -> tuple[int, int]:
    """Return what torch counts, forward and backward."""
    ids = torch.zeros(shape.sequences, shape.length, dtype=torch.long)
    mask = torch.zeros(shape.sequences, 1, 1, shape.length)
    with sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as forward:
            logits = network.heads["head"](network.encode(ids, mask), torch.ones_like(ids), network.embedding_matrix)
        with FlopCounterMode(display=False) as backward:
            logits.sum().backward()
    return forward.get_total_flops(), backward.get_total_flops()


# FLOPs are those that torch counts, at shapes at which nothing was counted.


@pytest.mark.parametrize(("trained", "model_type"), parameters(product(FROZEN, FAMILIES), diagonal(FROZEN, QUICK)))
def test_flops_are_those_that_torch_counts(model_type: str, trained: str, families: Any) -> None:
    network = network_of(families, model_type, trained=trained)
    found = [flops.spent(network, "head", sums(shape), learning=True) for shape in UNSEEN]
    for shape, parts in zip(UNSEEN, found, strict=True):
        forward, backward = counted(network_of(families, model_type, trained=trained), shape)
        assert (parts["forward"], parts["activations"] + parts["weights"]) == (forward, backward)


@pytest.mark.parametrize(
    ("trained", "model_type"), covering(["head", "layers:0", "alternate", "layernorm"], ["xlm-roberta", "eurobert"])
)
def test_so_they_are_whatever_is_frozen(model_type: str, trained: str, families: Any) -> None:
    test_flops_are_those_that_torch_counts(model_type, trained, families)


@pytest.mark.parametrize("model_type", first(1, FAMILIES))
def test_a_large_network_counts_as_a_small_one(model_type: str, families: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which has its copy on the meta device, where nothing is computed, and not on the CPU."""
    network = network_of(families, model_type)
    random = torch.get_rng_state()
    found = []
    for small in (0, 10**9):
        monkeypatch.setattr(flops, "SMALL", small)
        found.append(flops._polynomial(network, "head", learning=True))
    assert found[0] == found[1]
    assert torch.equal(torch.get_rng_state(), random)


def test_several_passes_cost_what_each_of_them_does(families: Any) -> None:
    network = network_of(families, "deberta-v2")
    each = [flops.spent(network, "head", sums(shape), learning=True) for shape in UNSEEN]
    together = flops.spent(network, "head", sums(*UNSEEN), learning=True)
    assert together == {part: sum(one[part] for one in each) for part in flops.PARTS}


@pytest.mark.parametrize("model_type", quick_first(FAMILIES))
def test_a_real_step_takes_as_many_flops(model_type: str, families: Any) -> None:
    """The pass of the loop itself, on the processor, padded sequences and all."""
    taken, found = real_step("classification", network_of(families, model_type), families[model_type])
    assert taken == (found["forward"], found["activations"] + found["weights"])


@pytest.mark.parametrize("how", TOYS)
def test_every_kind_takes_as_many_flops_as_are_counted(how: str, families: Any) -> None:
    """Masked-LM asks its head of the hidden pieces alone; translation ranking has no head and compares all pairs."""
    network = Network(families.backbone("xlm-roberta"))
    if not task_format(how).headless:
        attach(network, "head", how, 2)
    taken, found = real_step(how, network, families["xlm-roberta"])
    assert taken == (found["forward"], found["activations"] + found["weights"])


def real_step(how: str, network: Network, source: Path) -> tuple[tuple[int, int], dict[str, int]]:
    """Return the FLOPs that torch counts of a batch's loss, forward and backward, and those worked out."""
    labels, _, examples = TOYS[how]
    tokens = Tokenizer.of(load_tokenizer(source))
    chosen = task_format(how)
    torch.manual_seed(1)
    batch = chosen.collate(chosen.encode(examples, tokens, 24, labels, Counter()), tokens)
    with sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as forward:
            loss = chosen.loss(network.train(), "head", batch)
        with FlopCounterMode(display=False) as backward:
            loss.backward()  # type: ignore[no-untyped-call]
    shape = Shape(*batch.ids.shape, batch.labels)
    taken = forward.get_total_flops(), backward.get_total_flops()
    return taken, flops.spent(network, "head", sums(shape), learning=True)


@pytest.mark.parametrize("trained", ["all", "top:1", "no-embeddings", "head"])
def test_weights_are_charged_where_they_are_trained_and_nowhere_else(trained: str, families: Any) -> None:
    """Two operations for each weight of a trained matrix and each row that goes through it."""
    network = network_of(families, "eurobert", trained=trained)
    shape = UNSEEN[0]
    found = flops.spent(network, "head", sums(shape), learning=True)["weights"]
    rows = shape.sequences * shape.length
    layers = [module for module in network.backbone.modules() if isinstance(module, nn.Linear)]
    charged = sum(2 * rows * layer.weight.numel() for layer in layers if layer.weight.requires_grad)
    pooled = [module for module in network.heads["head"].modules() if isinstance(module, nn.Linear)]
    per_head = {"late": rows, "mean": shape.sequences, "first": shape.sequences}[str(network.heads["head"].pool)]
    assert found == charged + sum(2 * per_head * layer.weight.numel() for layer in pooled)


def test_what_is_below_all_that_is_trained_takes_no_backward_pass(families: Any) -> None:
    found = {
        trained: flops.spent(network_of(families, "xlm-roberta", trained=trained), "head", sums(UNSEEN[2]), True)
        for trained in ("all", "top:2", "top:1", "head")
    }
    assert len({parts["forward"] for parts in found.values()}) == 1
    activations = [parts["activations"] for parts in found.values()]
    assert activations == sorted(activations, reverse=True)
    assert len(set(activations)) == 4
    assert activations[3] < activations[0] / 50


def test_a_question_alone_has_no_backward_pass_and_a_twin_no_numbers(families: Any) -> None:
    network = network_of(families, "xlm-roberta")
    asked = flops.spent(network, "head", sums(UNSEEN[0]), learning=False)
    assert asked == {"forward": flops.spent(network, "head", sums(UNSEEN[0]), learning=True)["forward"]}
    assert {parameter.device.type for parameter in flops.twin(network).parameters()} == {"meta"}
    assert {parameter.device.type for parameter in network.parameters()} == {"cpu"}


def test_what_is_frozen_later_is_counted_anew(families: Any) -> None:
    network = network_of(families, "xlm-roberta")
    before = flops.spent(network, "head", sums(UNSEEN[0]), learning=True)
    freeze(network, "head")
    assert flops.spent(network, "head", sums(UNSEEN[0]), learning=True)["weights"] < before["weights"]


@pytest.mark.parametrize(
    ("name", "precision", "most"),
    [
        ("NVIDIA H200", "bf16", 989e12),
        ("NVIDIA H100 80GB HBM3", "bf16", 989e12),
        ("NVIDIA H100 PCIe", "fp32", 51e12),
        ("NVIDIA A100-SXM4-80GB", "fp32", 19.5e12),
        ("NVIDIA L4", "bf16", 121e12),
        ("NVIDIA L40S", "bf16", 362e12),
        ("Tesla V100-SXM2-16GB", "bf16", None),
        ("NVIDIA GeForce RTX 4090", "fp32", 82.6e12),
        ("cpu", "fp32", None),
    ],
)
def test_the_peak_of_a_device_is_found_by_its_name(name: str, precision: str, most: float | None) -> None:
    found = flops.peak(name, precision)
    assert (found and found[0]) == most


# What a stage records.


def spent_by(folder: Path) -> dict[str, Any]:
    return dict(read_record(folder)["record"]["cost"])


@pytest.mark.parametrize(
    "formats",
    first(1, [("multiple_choice", "masked_lm"), ("token_classification", "classification"), ("classification",)]),
)
def test_tokens_are_those_of_the_schedule(formats: tuple[str, ...], encoder: Encoder, machine: Runtime) -> None:
    lessons = tuple(lesson(name, weight=1.0 if name == "masked_lm" else None) for name in formats)
    found = spent_by(build(train(encoder, lessons, FAST, seed=2), machine))
    tokens = Tokenizer.of(load_tokenizer(encoder.location))
    pupils = [encode_training_set(one, BuildContext(machine.store, machine), tokens, FAST) for one in lessons]
    assert FAST.steps
    steps = batch_schedule.schedule(tuple(p.scheduled() for p in pupils), FAST.steps, FAST.batch_size, FAST.sampling, 2)
    parts = [[pupils[part.training_set].inputs[n] for n in part.inputs] for step in steps for part in step]
    lengths = [np.array([len(sequence) for unit in part for sequence in unit.sequences]) for part in parts]
    assert found["tokens"] == sum(part.sum() for part in lengths)
    assert found["padded_tokens"] == sum(len(part) * part.max() for part in lengths)
    assert found["flops"]["looks"] == 0
    assert found["trained_parameters"] == found["parameters"]


def test_the_ledger_is_in_the_record_and_in_no_key(encoder: Encoder, machine: Runtime) -> None:
    model = train(encoder, (lesson("classification"),), replace(FAST, trainable="top:1"), seed=1)
    key = model.key
    found = spent_by(build(model, machine))
    assert (model.key, "cost" in model.arguments) == (key, False)
    assert found["seconds"] > 0
    assert found["device_seconds"] > 0
    assert (found["device"], found["precision"], found["earlier_seconds"]) == ("cpu", "fp32", 0.0)
    assert found["utilisation"] is found["peak_flops_per_second"] is None
    assert found["peak_memory_mib"]["process"] > 50
    assert found["peak_memory_mib"]["allocated"] is None
    assert 0 < found["trained_parameters"] < found["parameters"]


def test_looks_at_development_data_are_counted_apart(encoder: Encoder, machine: Runtime) -> None:
    watched = replace(FAST, selection=Selection(3, 9, 16))
    plain, looked = (
        spent_by(build(train(encoder, (lesson("classification"),), recipe, seed=1), machine))
        for recipe in (FAST, watched)
    )
    assert plain["flops"] | {"looks": looked["flops"]["looks"]} == looked["flops"]
    model, data = train(encoder, (lesson("classification"),), FAST, seed=1), lesson("classification").train[0]
    asked = spent_by(build(predict(model, data, "classification", 24), machine))
    assert looked["flops"]["looks"] == 2 * asked["flops"]["forward"]
    assert plain["tokens"] == looked["tokens"]


@pytest.mark.parametrize("how", first(1, ["multiple_choice", "token_classification", "classification"]))
def test_a_prediction_costs_a_forward_pass_over_what_differs_in_its_data(
    how: str, encoder: Encoder, machine: Runtime
) -> None:
    model = train(encoder, (lesson(how),), FAST, seed=1)
    found = spent_by(build(predict(model, lesson(how).train[0], how, 24), machine))
    tokens = Tokenizer.of(load_tokenizer(encoder.location))
    units = encode_training_set(lesson(how), BuildContext(machine.store, machine), tokens, FAST).inputs
    once = {tuple(sequence.tobytes() for sequence in unit.sequences): unit for unit in units}
    assert found["tokens"] == sum(len(sequence) for unit in once.values() for sequence in unit.sequences)
    assert found["flops"]["forward"] > 0
    assert found["flops"]["activations"] == found["flops"]["weights"] == found["flops"]["looks"] == 0
    assert found["trained_parameters"] == 0


def test_sums_that_a_checkpoint_did_not_keep_are_not_guessed(encoder: Encoder, machine: Runtime) -> None:
    network = Network(load_backbone(encoder.location))
    with ledger.metered(spent := {"tokens": 5, "padded_tokens": 6, "train_seconds": 1.0}, machine):
        pass
    assert ledger.ledger(spent, network, machine) is None


def test_what_is_asked_goes_to_the_innermost_meter_and_without_one_nowhere(machine: Runtime) -> None:
    batch = Batch(torch.zeros(2, 3), torch.ones(2, 3), torch.tensor([1, IGNORED]))
    ledger.count_forward_pass("head", batch)
    with ledger.metered(outer := ledger.nothing(), machine):
        ledger.count_forward_pass("head", batch)
        with ledger.metered(inner := ledger.nothing(), machine):
            ledger.count_training_pass("head", batch)
    assert outer["asked"] == {"head": sums(Shape(2, 3, 1)) | {"tokens": 6}} == inner["taught"]
    assert outer["taught"] == inner["asked"] == {}


# Clocks.


def test_counters_of_energy_that_begin_again_go_on(tmp_path: Path) -> None:
    before, now = {"a": (900, 1000), "b": (5, 1000)}, {"a": (100, 1000), "b": (7, 1000)}
    assert drawn(before, now) == pytest.approx(202e-6)
    assert drawn({}, {}) is None
    assert drawn(before, {}) is None


def test_packages_that_may_be_read_are(tmp_path: Path) -> None:
    for name, energy in (("intel-rapl:0", "123"), ("intel-rapl:1", None), ("intel-rapl:0:0", "7")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "max_energy_range_uj").write_text("999\n")
        if energy:
            (tmp_path / name / "energy_uj").write_text(f"{energy}\n")
    assert rapl(tmp_path) == {"intel-rapl:0": (123, 1000)}
    assert rapl(tmp_path / "nowhere") == {}


def test_a_lap_is_what_went_by_since_the_last() -> None:
    clock = Clock(torch.device("cpu"))
    laps = [clock.lap() for _ in range(2)]
    assert all(lap["seconds"] is not None and 0 <= lap["seconds"] < 5 for lap in laps)
    assert Clock(torch.device("meta")).lap()["device_seconds"] is None


# The bill.


@pytest.fixture
def built(encoder: Encoder, machine: Runtime) -> dict[str, Stage]:
    """An intermediate training, a target's, its prediction and score, and a retrieval asked of the intermediate one."""
    first = train(encoder, (lesson("token_classification"),), FAST, seed=1)
    second = train(first, (lesson("classification"),), FAST, seed=1)
    data = lesson("classification").train[0]
    asked = predict(second, data, "classification", 24)
    untrained = predict(first, lesson("bitext_retrieval").train[0], "bitext_retrieval", 24)
    stages = {"first": first, "second": second, "asked": asked, "score": score(asked, data, "accuracy")}
    for stage in (*stages.values(), untrained):
        build(stage, machine)
    return stages | {"untrained": untrained}


def test_the_bill_knows_phases_and_adds_up(built: dict[str, Stage], machine: Runtime) -> None:
    roles = {built["first"].key: "intermediate", built["second"].key: "target"}
    lines = {line.key: line for line in summary.entries(machine.store, roles=roles)}
    phases = {name: lines[stage.key].phase for name, stage in built.items()}
    assert phases == {
        "first": "intermediate",
        "second": "target",
        "asked": "predict",
        "score": "score",
        "untrained": "predict",
    }
    whole = summary.total(list(lines.values()))
    assert whole.flops == sum(phase.flops or 0 for phase in summary.by_phase(list(lines.values())))
    assert whole.stages == len(lines)
    assert whole.partial == ()
    assert summary.cell(whole, "utilisation") == "not measured"
    behind = summary.entries(machine.store, [built["asked"].key[:8]])
    assert {line.key for line in behind} >= {built[name].key for name in ("first", "second", "asked")}
    assert not {line.key for line in behind} & {built["score"].key, built["untrained"].key}
    unsorted = summary.behind(query.by_key(machine.store), [built["asked"].key])
    assert {line.key: line.flops for line in unsorted} == {line.key: line.flops for line in behind}
    assert summary.summary(unsorted) == summary.summary(behind)


def test_without_roles_a_training_is_a_training(built: dict[str, Stage], machine: Runtime) -> None:
    """Whatever was trained from it later: the store does not know what it was."""
    phases = {line.key: line.phase for line in summary.entries(machine.store)}
    assert {phases[built[name].key] for name in ("first", "second")} == {"training"}
    sums = {line.label: line.stages for line in summary.by_phase(summary.entries(machine.store))}
    assert sums["training"] == 2


def test_an_older_record_is_not_measured_and_makes_a_sum_a_lower_bound(
    built: dict[str, Stage], machine: Runtime, tmp_path: Path
) -> None:
    (folder,) = machine.store.glob(f"*-{built['first'].key}")
    record = read_record(folder)
    record["record"].pop("cost")
    record["record"] |= {"tokens": 77, "padded_tokens": 88, "train_seconds": 1.5}
    (folder / RECORD).write_text(json.dumps(record))
    lines = summary.entries(machine.store)
    (older,) = [line for line in lines if line.key == built["first"].key]
    assert (older.flops, older.device_seconds, older.tokens, older.loop_seconds) == (None, None, 77, 1.5)
    assert summary.cell(older, "flops") == "not measured"
    whole = summary.total(lines)
    assert "flops" in whole.partial
    assert summary.cell(whole, "flops").startswith("≥ ")
    assert whole.utilisation is None
    summary.save(lines, tmp_path / "cost.json")
    plain = json.loads((tmp_path / "cost.json").read_text())
    assert next(line for line in plain["stages"] if line["key"] == older.key)["flops"] is None
    assert len(plain["stages"]) == plain["total"]["stages"]


def test_a_resumed_training_is_charged_for_the_calls_before(built: dict[str, Stage], machine: Runtime) -> None:
    (folder,) = machine.store.glob(f"*-{built['first'].key}")
    record = read_record(folder)
    record["record"]["cost"] |= {"earlier_seconds": 1000.0, "peak_flops_per_second": 1e9, "seconds": 2.0}
    (folder / RECORD).write_text(json.dumps(record))
    (line,) = [line for line in summary.entries(machine.store) if line.key == built["first"].key]
    assert line.seconds == record["seconds"] + 1000
    assert line.utilisation == pytest.approx((line.flops or 0) / 2e9)


def test_an_empty_store_has_no_bill(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no finished stage in .*: name the folder"):
        summary.entries(tmp_path)
