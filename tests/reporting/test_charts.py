from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from xstilts.reporting.charts import (
    COUNT,
    DASHES,
    MARKS,
    STRIP_WIDTH,
    Axes,
    Series,
    lines,
    power,
    scale,
    scatter,
    strip,
)

TWO = (Series("a", ((1.0, 2.0), (2.0, 3.0), (4.0, 5.0))), Series("b", ((1.0, 1.0), (3.0, 4.0)), 1))
NAMES = ("lines", "marked", "scatter", "power", "no fit", "strip")
EVIL = '<b>$x_1$ & "quoted" -->'


def drawings(label: str = "seconds") -> dict[str, Markup]:
    axes = Axes(label, "gain")
    return {
        "lines": lines(TWO, axes, label),
        "marked": lines(TWO, axes, label, marked=True),
        "scatter": scatter(TWO, Axes(label, "gain", log_x=True), label),
        "power": power(TWO[0], (0.9, 0.8, 1.0), axes, label),
        "no fit": power(TWO[0], (None, None, None), axes, label),
        "strip": strip(1.0, (0.5, 1.5), (0.0, 2.0), True),
    }


@pytest.fixture(scope="module")
def once() -> dict[str, Markup]:
    return drawings()


def test_drawn_twice_the_bytes_are_the_same(once: dict[str, Markup]) -> None:
    assert drawings() == once


def test_every_drawing_is_tested(once: dict[str, Markup]) -> None:
    assert tuple(once) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_drawing_is_xml_without_colours_sizes_or_ids_of_its_own(name: str, once: dict[str, Markup]) -> None:
    drawn = once[name]
    found = ElementTree.fromstring(drawn)
    assert found.get("viewBox")
    assert found.get("width") is None
    ids = {one.get("id") for one in found.iter() if one.get("id")}
    assert ids == set(re.findall(r'(?:url\(#|href="#)([^)"]+)', drawn))
    colours = re.findall(r"#[0-9a-fA-F]{3,6}\b", re.sub(r'href="[^"]*"|url\([^)]*\)', "", drawn))
    assert colours == [], "colours that are not the page's"
    assert "font-family" not in drawn
    assert "<metadata" not in drawn


def test_texts_stay_texts_and_are_escaped() -> None:
    for name, drawn in drawings(EVIL).items():
        if name != "strip":
            found = ElementTree.fromstring(drawn)
            assert found.get("aria-label") == EVIL
            assert EVIL in [one.text for one in found.iter() if one.tag.endswith("text")]


def test_series_differ_by_mark_and_dash_as_well_as_colour() -> None:
    assert len(set(MARKS)) == len(MARKS) == COUNT
    assert len(set(DASHES)) == COUNT


def test_a_strip_is_full_where_something_is_decided_and_keeps_within_its_bounds() -> None:
    assert 'class="full"' in strip(1.0, (0.5, 1.5), (0.0, 2.0), True)
    assert 'class="hollow"' in strip(1.0, None, (0.0, 2.0), False)
    assert "reach" not in strip(1.0, None, (0.0, 2.0), False)
    places = [float(x) for x in re.findall(r"[MH](-?[\d.]+)", strip(9.0, (-9.0, 9.0), (0.0, 2.0), False))]
    assert all(0 <= place <= STRIP_WIDTH for place in places)


def test_a_strip_on_a_scale_of_no_width_is_drawn() -> None:
    ElementTree.fromstring(strip(0.0, (0.0, 0.0), (0.0, 0.0), False))


def test_a_power_law_is_drawn_with_one_point_alone() -> None:
    ElementTree.fromstring(power(Series("a", ((10.0, 5.0),)), (1.0, 0.5, 1.5), Axes("x", "y"), "one"))


@pytest.mark.parametrize("outlier", [(-80.0, 40.0, 100.0), (39.0, 40.0, 41.0)])
def test_one_far_interval_does_not_hide_the_others(outlier: tuple[float, float, float]) -> None:
    usual = [(number / 10 - 0.6, number / 10, number / 10 + 0.6) for number in range(8)]
    bounds = scale([end for interval in [*usual, outlier] for end in interval])
    for low, value, high in usual:
        start, stop = map(
            float, re.findall(r'class="reach" d="M([\d.]+) 8H([\d.]+)', strip(value, (low, high), bounds, True))[0]
        )
        assert stop - start > STRIP_WIDTH / 12
    far = strip(outlier[1], (outlier[0], outlier[2]), bounds, True)
    assert "beyond" in far
    assert "circle" not in far
    assert "beyond" not in strip(usual[0][1], usual[0][::2], bounds, True)


def test_a_scale_has_its_marks_and_all_of_a_few_values() -> None:
    assert scale([], (0.0, 2.0)) == (0.0, 2.0)
    assert scale([None, float("nan"), -5.0, 900.0]) == (-5.0, 900.0)
