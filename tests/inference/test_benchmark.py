"""Tests of inference: what is timed, compared, left out and said; never how fast it is."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from test_backends import checkpoint, opened
from test_cli import Call

from xstilts.errors import InputError
from xstilts.inference import backends, benchmark, memory_footprint, render
from xstilts.inference.backends import Form, Loaded
from xstilts.inference.benchmark import Load, Report, bench, inputs, timed
from xstilts.inference.latency import ENOUGH, interleave, synchronizer, timing
from xstilts.inference.parity import Parity, compare
from xstilts.runtime.machine import Runtime

torch.set_num_threads(1)
FIGURES: memory_footprint.Figures = {"peak_mib": 300.0, "answering_mib": 200.0, "device_mib": None}
SMALL = Load((1, 3), (4, 9), 2, 30.0)
HERE = Runtime(device="cpu", threads=1)


@pytest.fixture(scope="module")
def folder(families: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(families, "xlm-roberta", "classification", tmp_path_factory.mktemp("served"))


@pytest.fixture
def loaded(folder: Path) -> Loaded:
    return opened(folder)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> list[memory_footprint.MemoryRequest]:
    """What is asked of processes of their own, which are not begun."""
    seen: list[memory_footprint.MemoryRequest] = []

    def measured(asked: memory_footprint.MemoryRequest) -> memory_footprint.Figures:
        seen.append(asked)
        return dict(FIGURES)

    monkeypatch.setattr(memory_footprint, "measured", measured)
    return seen


@pytest.fixture
def report(folder: Path, alone: list[memory_footprint.MemoryRequest]) -> Report:
    return bench(folder, None, ("fp32", "int8"), SMALL, HERE)


def test_every_form_is_timed_at_every_shape(report: Report) -> None:
    assert [(one.batch, one.length, one.variant) for one in report.timings] == [
        (batch, length, name) for batch, length in ((1, 4), (1, 9), (3, 4), (3, 9)) for name in ("fp32", "int8")
    ]
    assert {one.calls for one in report.timings} == {2}
    assert report.format == "classification"


def test_forms_are_compared_with_fp32(report: Report) -> None:
    fp32, int8 = (one.likeness for one in report.standings)
    assert fp32 is not None
    assert int8 is not None
    assert (fp32.difference, fp32.agreement) == (0, 1)
    assert 0 < int8.difference < int8.largest
    assert fp32.decisions == int8.decisions == 1 + 1 + 3 + 3


def test_memory_is_that_of_the_heaviest_batch(
    report: Report, folder: Path, alone: list[memory_footprint.MemoryRequest]
) -> None:
    assert [(one.variant, one.batch, one.length) for one in alone] == [("fp32", 3, 9), ("int8", 3, 9)]
    assert {one.folder for one in alone} == {str(folder)}
    assert [one.memory for one in report.standings] == [FIGURES, FIGURES]


def test_what_is_not_possible_is_listed_with_its_reason(
    folder: Path, alone: list[memory_footprint.MemoryRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    found = bench(folder, None, ("onnx", "fp32"), SMALL, HERE)
    assert [one.variant for one in found.standings] == ["onnx", "fp32"]
    assert found.standings[0].missing.startswith("needs onnx, not installed here: pip install")
    assert {one.variant for one in found.timings} == {"fp32"}
    assert any("onnx: not possible here: needs onnx" in line for line in render.summary_lines(found))


def test_nothing_possible_is_no_crash(
    folder: Path, alone: list[memory_footprint.MemoryRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    found = bench(folder, None, ("onnx",), SMALL, HERE)
    assert found.timings == ()
    assert found.standings[0].missing


def test_lengths_that_do_not_fit_are_named(folder: Path, alone: list[memory_footprint.MemoryRequest]) -> None:
    longest = opened(folder).longest
    found = bench(folder, None, ("fp32",), Load((1,), (4, longest + 1), 1), HERE)
    assert {one.length for one in found.timings} == {4}
    assert f"not measured at length {longest + 1}: the encoder takes {longest} tokens at most" in found.remarks
    with pytest.raises(InputError, match="give a smaller --length"):
        bench(folder, None, ("fp32",), Load((1,), (longest + 1,), 1), HERE)


def test_shapes_beyond_the_seconds_are_named(folder: Path, alone: list[memory_footprint.MemoryRequest]) -> None:
    found = bench(folder, None, ("fp32",), Load((1, 3), (4, 9), 5, 1e-9), HERE)
    assert [(one.batch, one.length, one.calls) for one in found.timings] == [(1, 4, 1)]
    assert any("not measured at 1 x 9, 3 x 4, 3 x 9" in remark for remark in found.remarks)


def test_the_shape_with_most_pieces_comes_last(loaded: Loaded) -> None:
    shapes = Load((32, 1), (8, 64, 128)).shapes(100)
    assert shapes == [(1, 8), (1, 64), (32, 8), (32, 64)]


def test_calls_take_turns_and_another_begins_each_time() -> None:
    made: list[str] = []
    waits: list[None] = []
    calls = {name: lambda name=name: made.append(name) for name in "abc"}
    found = interleave(calls, 4, 60.0, lambda: waits.append(None))
    assert "".join(made) == "abcbcacababc"
    assert {name: len(taken) for name, taken in found.items()} == {"a": 4, "b": 4, "c": 4}
    assert len(waits) == 2 * 12  # before and after each


def test_rounds_end_with_the_seconds_but_not_before_the_first() -> None:
    assert len(interleave({"a": lambda: None}, 9, -1.0, lambda: None)["a"]) == 1


def test_a_timing_is_the_median_and_all_of_the_time() -> None:
    few = timing("fp32", (4, 8), 31, [0.1, 0.2, 0.6])
    assert (few.calls, few.p99_ms) == (3, None)
    assert few.p50_ms == pytest.approx(200)
    assert few.sequences_per_second == pytest.approx(4 * 3 / 0.9)
    assert few.tokens_per_second == pytest.approx(31 * 3 / 0.9)
    many = timing("fp32", (1, 8), 8, [0.001] * (ENOUGH - 1) + [0.1])
    assert many.p99_ms is not None
    assert many.p50_ms < many.p99_ms <= 100


def test_there_is_nothing_to_wait_for_on_a_cpu() -> None:
    assert synchronizer(torch.device("cpu"))() is None


def test_likeness_does_not_look_at_padding() -> None:
    expected, mask = torch.zeros(2, 3, 2), torch.ones(2, 3)
    expected[..., 0] = 1
    found = expected.clone()
    found[1, 2], mask[1, 2] = torch.tensor([0.0, 99.0]), 0
    for format in ("token_classification", "extractive_qa"):
        assert compare(found, expected, mask, format) == Parity(
            0, 1, *(5, 5) if format == "token_classification" else (4, 4)
        )
    found[0, 0] = torch.tensor([0.0, 2.0])
    assert compare(found, expected, mask, "token_classification").agreement == 4 / 5
    assert compare(found, expected, mask, "bitext_retrieval").agreement is None


def test_likeness_adds_up() -> None:
    whole = Parity(0.5, 2.0, 3, 4).combined(Parity(0.1, 3.0, 2, 2))
    assert whole == Parity(0.5, 3.0, 5, 6)


def test_inputs_are_the_same_each_time_and_one_is_padded(loaded: Loaded) -> None:
    ids, mask = inputs(3, 5, loaded)
    assert torch.equal(ids, inputs(3, 5, loaded)[0])
    assert mask.sum(1).tolist() == [5, 5, 4]
    assert inputs(1, 5, loaded)[1].sum() == 5
    assert set(ids.flatten().tolist()) <= set(loaded.token_ids.tolist())


def test_a_form_that_answers_otherwise_is_seen(loaded: Loaded) -> None:
    plain = backends.form("fp32", loaded)
    forms = {"fp32": plain, "turned": Form(lambda ids, mask: -plain.ask(ids, mask), 0)}
    _, found = timed(forms, loaded, [(2, 4)], Load((2,), (4,), 1))
    assert found["fp32"].agreement == 1
    assert found["turned"].difference == pytest.approx(2 * found["turned"].largest)
    assert found["turned"].agreement == 0


@pytest.mark.parametrize("wrong", [("0", "8"), ("1,x", "8"), ("", "8"), ("1", "-4")])
def test_numbers_that_are_none_are_refused(wrong: tuple[str, str]) -> None:
    with pytest.raises(InputError, match="give "):
        Load.of(*wrong, 1, 1.0)


def test_memory_is_measured_by_the_process_itself(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = memory_footprint.MemoryRequest("int8", str(folder), "classification", "cpu", 1, "", 2, 4)
    memory_footprint.main(json.dumps(asked.__dict__))
    found = json.loads(capsys.readouterr().out)
    assert found["peak_mib"] > 1
    assert found["answering_mib"] is None or 1 < found["answering_mib"] <= found["peak_mib"]
    assert "device_mib" not in found


def test_memory_of_a_process_that_fails_is_not_measured(tmp_path: Path) -> None:
    asked = memory_footprint.MemoryRequest("onnx", "", "", "cpu", 1, str(tmp_path / "none.onnx"), 1, 4)
    assert memory_footprint.measured(asked) == memory_footprint.NOTHING


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux forgets a peak")
def test_a_peak_is_forgotten() -> None:
    block = torch.ones(64 * memory_footprint.MIB // 4)
    high = memory_footprint.peak()
    del block
    if not memory_footprint.forget():
        pytest.skip("the kernel does not let this process forget its peak")
    assert memory_footprint.peak() < high - 32


def test_the_command_prints_and_writes_all_of_it(
    call: Call,
    folder: Path,
    alone: list[memory_footprint.MemoryRequest],
    tmp_path: Path,
) -> None:
    out = tmp_path / "new/inference.json"
    code, said, _ = call(
        *("bench-inference", folder, "--variants", "fp32,int8", "--batch", "1,2", "--length", "4", "--rounds", "2"),
        *("--device", "cpu", "--threads", "1", "--json", out),
    )
    assert code == 0
    assert re.search(r"1 x 4 int8 +│ +2 ", said)
    assert re.search(r"fp32 .* 3 of 3", said)
    assert "random tokens, not text" in said
    kept = json.loads(out.read_text())
    assert kept["machine"]["threads"] == 1
    assert kept["machine"]["libraries"]["torch"] == torch.__version__
    assert {one["variant"] for one in kept["standings"]} == {"fp32", "int8"}
    assert kept["timings"][0]["p99_ms"] is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--variants", "int4"), "unknown variant 'int4'"),
        (("--batch", "many"), "cannot read --batch many"),
        (("--rounds", "0"), "nothing to measure"),
        (("--format", "token_classification"), "not a token_classification model"),
        (("--device", "abacus"), "unknown device 'abacus'"),
    ],
)
def test_mistakes_are_named(call: Call, folder: Path, options: tuple[str, str], said: str) -> None:
    code, _, error = call("bench-inference", folder, *options)
    assert code == 2
    assert said in error


def test_figures_have_three_digits_that_count() -> None:
    assert [render.figure(value) for value in (None, 0.0123456, 12.345, 1234.5)] == ["-", "0.0123", "12.3", "1,234"]


def test_what_is_described_is_known() -> None:
    facts = benchmark.described(HERE)
    assert facts["device"] == "cpu"
    assert facts["threads"] == torch.get_num_threads()
    assert facts["libraries"]["transformers"]
