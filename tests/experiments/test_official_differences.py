from __future__ import annotations

import re
from pathlib import Path

import pytest

from xstilts.experiments.official_differences import COMMITS, DIFFERENCES, Difference, page

PAGE = Path(__file__).parents[2] / "docs/experiments/official-differences.md"
IDS = [f"{difference.repository}: {difference.topic}" for difference in DIFFERENCES]


@pytest.mark.parametrize("difference", DIFFERENCES, ids=IDS)
def test_a_row_is_true_of_the_code(difference: Difference) -> None:
    assert difference.holds() is True
    assert difference.repository in COMMITS
    assert re.fullmatch(r"[\w./-]+\.(?:py|sh)(?::\d+(?:-\d+)?)?", difference.place)
    cells = (difference.topic, difference.official, difference.ours, difference.why)
    assert all(cell and "|" not in cell and "\n" not in cell for cell in cells)


def test_topics_are_named_once() -> None:
    assert len({(difference.repository, difference.topic) for difference in DIFFERENCES}) == len(DIFFERENCES)


def test_the_page_is_current() -> None:
    command = "python -m xstilts.experiments.official_differences > docs/experiments/official-differences.md"
    assert PAGE.read_text(encoding="utf-8") == page(), f"write it anew: {command}"
