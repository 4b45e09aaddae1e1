"""The page in a real browser: what it shows, adds and asks for. Run with `make browser`.

node's playwright-core and axe-core lie in `work/node` (`make browser` installs them), or where XSTILTS_NODE says.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
EVIL = 'a "quoted", 50% & $x_1$ <b>'

pytestmark = pytest.mark.browser


def looked(page: Path) -> Any:
    """What the browser says of a page."""
    modules = Path(os.environ.get("XSTILTS_NODE", ROOT / "work/node"))
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not shutil.which("node"):
        pytest.skip("no node: install it")
    if not browser:
        pytest.skip("no Chromium: install it, or say in CHROMIUM where it is")
    if not (modules / "node_modules/playwright-core").is_dir() or not (modules / "node_modules/axe-core").is_dir():
        pytest.skip(f"no playwright-core and axe-core in {modules}: run `make browser`")
    shots = os.environ.get("XSTILTS_SHOTS", "")
    command = ["node", str(HERE / "look.mjs"), str(page), str(modules), browser, shots]
    said = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the browser says of the page of a made-up report, one of whose own tables has awkward texts."""
    from made_report import made
    from xstilts.reporting import study_page, study_report

    folder = tmp_path_factory.mktemp("study")
    whole = made()
    whole["extras"][0]["rows"].append([EVIL, -1.5, None])
    (folder / study_report.REPORT).write_text(json.dumps(whole), encoding="utf-8")
    study_page.write_pages(folder)
    return looked(folder / study_page.HTML)


def test_nothing_is_asked_for_and_nothing_complains(look: Any) -> None:
    assert look["requests"] == []
    assert look["messages"] == []


def test_axe_finds_nothing(look: Any) -> None:
    assert len(look["looks"]) == 4
    assert [one["violations"] for one in look["looks"]] == [[]] * 4


def test_the_page_fits_a_phone_and_a_desk(look: Any) -> None:
    assert [one["overflow"] for one in look["looks"]] == [0] * 4


def test_tables_sort_by_keyboard_and_say_so(look: Any) -> None:
    assert look["ascending"]["sort"] == "ascending"
    assert look["ascending"]["values"] == sorted(look["ascending"]["values"])
    assert len(look["ascending"]["values"]) > 100
    assert look["descending"]["sort"] == "descending"
    assert look["descending"]["values"] == sorted(look["descending"]["values"], reverse=True)


def test_tables_filter_by_all_words_and_say_how_many_are_left(look: Any) -> None:
    assert look["filtered"]
    assert all("squad" in row and "sw" in row for row in look["filtered"])
    assert look["told"].startswith(f"{len(look['filtered'])} of ")


def test_a_copy_as_csv_is_what_is_shown_with_plain_numbers(look: Any) -> None:
    rows = list(csv.reader(io.StringIO(look["copied"][0])))
    assert len(rows) == 1 + len(look["filtered"])
    gains = [float(row[rows[0].index("gain")]) for row in rows[1:]]
    assert gains == sorted(gains, reverse=True)
    assert list(csv.reader(io.StringIO(look["copied"][1])))[-1] == [EVIL, "-1.5", "–"]


def test_a_copy_as_latex_is_escaped(look: Any) -> None:
    text = look["copied"][2]
    assert text.startswith("\\begin{tabular}{lrr}\n\\toprule\nlanguage & tokens & over English \\\\\n")
    assert 'a "quoted", 50\\% \\& \\$x\\_1\\$ \\textless{}b\\textgreater{} & $-$1.5 & -- \\\\' in text


def test_a_link_opens_what_is_folded(look: Any) -> None:
    assert look["revealed"]


def test_the_theme_turns_from_auto_to_light_to_dark_and_back(look: Any) -> None:
    names, colours = zip(*look["themes"], strict=True)
    assert names == ("Theme: light", "Theme: dark", "Theme: auto")
    assert colours[0] == colours[2] != colours[1]


def test_the_keyboard_comes_to_the_skip_link_first(look: Any) -> None:
    assert look["first"] == "Skip to the content"


def test_paper_has_no_navigation(look: Any) -> None:
    assert look["printed"] == "none"


def test_without_javascript_tables_and_plots_are_there(look: Any) -> None:
    assert look["still"]["tables"] > 15
    assert look["still"]["plots"] > 10
    assert look["still"]["buttons"] == 0
