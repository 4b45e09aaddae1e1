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
    intervals,
    language_plots,
    lines,
    power,
    scale,
    scatter,
    strip,
)

TWO = (Series("a", ((1.0, 2.0), (2.0, 3.0), (4.0, 5.0))), Series("b", ((1.0, 1.0), (3.0, 4.0)), 1))
NAMES = ("lines", "marked", "scatter", "power", "no fit", "intervals", "strip")
EVIL = '<b>$x_1$ & "quoted" -->'


def drawings(label: str = "seconds") -> dict[str, Markup]:
    axes = Axes(label, "gain")
    return {
        "lines": lines(TWO, axes, label),
        "marked": lines(TWO, axes, label, marked=True),
        "scatter": scatter(TWO, Axes(label, "gain", log_x=True), label),
        "power": power(TWO[0], (0.9, 0.8, 1.0), axes, label),
        "no fit": power(TWO[0], (None, None, None), axes, label),
        "intervals": intervals(TWO[:1], [[(1.0, 3.0), (None, None), (-9.0, 99.0)]], [(label, "A")] * 6, label),
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


def gain(target: str, setting: str, code: str, value: float, **other: object) -> dict[str, object]:
    row = {"target": target, "intermediate": setting, "language": code, "recipe": "r", "encoder": "e", "keys": ["k"]}
    return {**row, "estimate": value, "low": value - 1, "high": value + 1, **other}


def test_each_target_has_its_gains_by_language_the_families_nearest_to_english_first() -> None:
    about = {
        "zh": {"name": "Chinese", "family": "Sino-Tibetan", "distance": 3},
        "de": {"name": "German", "family": "IE: Germanic", "distance": 1},
        "hi": {"name": "Hindi", "family": "IE: Indo-Aryan", "distance": 2},
        "nl": {"name": "Dutch", "family": "IE: Germanic", "distance": 1},
    }
    gains = [gain("xnli", "mnli", code, 1.0) for code in about]
    gains += [gain("udpos", "squad", code, -2.0) for code in ("zh", "de")]
    left_out = [gain("xnli", "mnli", "mean", 50.0), gain("xnli", "xnli", "de", 50.0, repeats_training_data=True)]
    (plot,) = language_plots({"gains": gains + left_out, "settings": {"languages": about}})
    assert plot.legend == ("mnli", "squad")
    assert [panel.title for panel in plot.panels] == ["xnli", "udpos"]
    drawn = str(plot.panels[0].drawing)
    places = [drawn.index(name) for name in ("Dutch", "German", "Hindi", "Chinese")]
    assert places == sorted(places)
    assert drawn.count("IE: Germanic") == 1
    assert "Dutch" not in plot.panels[1].drawing
    assert "1.00 in 4 languages" in plot.panels[0].description


def test_a_report_without_gains_has_no_plot_of_them() -> None:
    assert list(language_plots({})) == []
