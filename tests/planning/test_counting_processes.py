"""What is counted in several processes is what one process counts."""

from __future__ import annotations

import sys

import pytest

import families
from xstilts.cost.activation_memory import Device
from xstilts.planning import flops_estimate, memory_fit
from xstilts.planning.counting_processes import count_ahead
from xstilts.training.memory import Setting
from xstilts.training.recipe import Recipe

WIDTHS = [16 + 2 * n for n in range(8)]


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_counts_of_processes_are_those_of_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(width: int) -> object:
        config = families.config("xlm-roberta")
        config.hidden_size = width
        polynomial = flops_estimate.factors(config, "all", "classification", 3)
        if width != WIDTHS[0]:
            return polynomial
        return polynomial, memory_fit.needed(config, Recipe(), (("classification", 3),), Setting(Device("cpu", "fp32")))

    for module in (flops_estimate, memory_fit):
        monkeypatch.setattr(module, "KNOWN", {})
    expected = [count(width) for width in WIDTHS[:2]]
    for module in (flops_estimate, memory_fit):
        module.KNOWN.clear()
    count_ahead(count, [WIDTHS[:3], WIDTHS[3:4], WIDTHS[4:7], WIDTHS[7:]], 2)
    assert (len(flops_estimate.KNOWN), len(memory_fit.KNOWN)) == (len(WIDTHS), 1)
    with monkeypatch.context() as patch:  # all is found, and nothing counted again
        patch.delattr(flops_estimate, "unnumbered")
        patch.delattr(memory_fit, "estimate")
        assert [count(width) for width in WIDTHS[:2]] == expected


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_what_fails_in_a_process_is_left_to_the_plan() -> None:
    def fail(item: int) -> None:
        raise SystemExit(item)

    count_ahead(fail, [[item] for item in range(8)], 2)
