"""What is counted in several processes is what one process counts."""

from __future__ import annotations

import sys

import pytest

import families
from xstilts.cost import activation_memory, flops
from xstilts.cost.activation_memory import ActivationMemory, Device
from xstilts.planning.counting_processes import count_ahead
from xstilts.training.memory import unnumbered

DEVICE = Device("cpu", "fp32")
WIDTHS = [16 + 2 * n for n in range(8)]


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_counts_of_processes_are_those_of_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def network(width: int) -> object:
        config = families.config("xlm-roberta")
        config.hidden_size = width
        return unnumbered(config, "all", "classification", 3)

    def count(width: int) -> object:
        made = network(width)
        memory = ActivationMemory.of(made, "head", DEVICE) if width == WIDTHS[0] else None
        return flops.polynomial(made, "head", True), memory

    monkeypatch.setattr(flops, "_counted", {})
    monkeypatch.setattr(activation_memory, "_known", {})
    expected = [count(width) for width in WIDTHS[:2]]
    monkeypatch.setattr(flops, "_counted", {})
    monkeypatch.setattr(activation_memory, "_known", {})
    count_ahead(count, WIDTHS, 2)
    known = len(flops.known()), len(activation_memory.known())
    assert known[0] >= len(WIDTHS)
    assert known[1] == 1
    for width, (polynomial, memory) in zip(WIDTHS, expected, strict=False):
        again = count(width)
        assert again[0] == polynomial
        assert memory is None or vars(again[1]) == vars(memory)
    assert (len(flops.known()), len(activation_memory.known())) == known


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_what_fails_in_a_process_is_left_to_the_plan() -> None:
    def fail(item: int) -> None:
        raise SystemExit(item)

    count_ahead(fail, list(range(8)), 2)
