from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from xstilts.claims.claim import Claim, Verdict
from xstilts.claims.measures import Gain, Setting
from xstilts.claims.published import Published, compare, known, read
from xstilts.errors import InputError
from xstilts.metrics import XTREME, metric
from xstilts.models import configs
from xstilts.tasks.base import task

MADE = """
[made-up-squad]
value = 2.0
paper = "A paper that nobody wrote"
table = "Table 1"
row = "SQuAD"
column = "XQuAD"
encoder = "tiny"
split = "test"
metric = "squad"
"""
FIGURE = Published(
    "made-up-squad", 2.0, "A paper that nobody wrote", "Table 1", "SQuAD", "XQuAD", "tiny", "test", "squad"
)
VERDICT = Verdict(
    Claim("It helps", Gain("squad", "xquad"), "above", published="made-up-squad"),
    "holds",
    "",
    estimate=1.5,
    interval=(1.0, 1.9),
    setting=Setting("tiny", "test", "squad"),
)


def written(folder: Path, text: str) -> Path:
    path = folder / "literature.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_figure_is_read_with_its_place(tmp_path: Path) -> None:
    assert read(written(tmp_path, MADE)) == {"made-up-squad": FIGURE}


@pytest.mark.parametrize("entry", ["value", "paper", "table", "row", "column", "encoder", "split", "metric"])
def test_a_figure_without_its_place_is_refused(tmp_path: Path, entry: str) -> None:
    rest = "".join(line for line in MADE.splitlines(True) if not line.startswith(entry))
    with pytest.raises(InputError, match=rf"\[made-up-squad\] has no {entry}"):
        read(written(tmp_path, rest))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("value = 2.0", 'value = "2.0"', "are numbers"),
        ("value = 2.0", "value = true", "are numbers"),
        ('row = "SQuAD"', "row = 3", "are numbers, the rest texts"),
        ("value = 2.0", "value = 2.0\nseeds = 3", "unknown entry 'seeds'"),
        ("value = 2.0", "value = ", "write it as TOML"),
        ("[made-up-squad]", "made = 1\n[made-up-squad]", r"\[made\] has no value"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(written(tmp_path, MADE.replace(old, new)))


@pytest.mark.parametrize(
    ("interval", "status"),
    [
        ((1.0, 2.5), "agrees"),
        ((1.0, 1.96), "agrees"),
        ((1.0, 1.9), "differs"),
        ((2.04, 3.0), "agrees"),
        ((2.1, 3.0), "differs"),
    ],
)
def test_a_figure_agrees_where_the_interval_holds_it(interval: tuple[float, float], status: str) -> None:
    assert compare(replace(VERDICT, interval=interval), FIGURE).status == status


@pytest.mark.parametrize("column", ["encoder", "split", "metric"])
def test_a_figure_of_something_else_is_not_compared(column: str) -> None:
    found = compare(VERDICT, replace(FIGURE, **{column: "other"}))
    assert found.status == "not comparable"
    assert f"other {column}" in found.why


def test_a_mean_over_other_languages_is_not_compared() -> None:
    figure = replace(FIGURE, languages="de en sw")
    spoken = {
        codes: replace(VERDICT, setting=Setting("tiny", "test", "squad", codes))
        for codes in (("sw", "en", "de"), ("de", "th"))
    }
    assert compare(spoken["sw", "en", "de"], figure).status == compare(VERDICT, FIGURE).status
    found = compare(spoken["de", "th"], figure)
    assert (found.status, found.why) == (
        "not comparable",
        "other languages: th only here; en, sw only in A paper that nobody wrote",
    )


def test_what_was_not_measured_is_not_compared() -> None:
    nan = float("nan")
    assert compare(replace(VERDICT, setting=None), FIGURE).status == "not comparable"
    assert compare(replace(VERDICT, interval=(nan, nan)), FIGURE).status == "not comparable"


OTHER = "other: "


@pytest.mark.parametrize("name", known())
def test_a_figure_of_the_package_is_whole_and_says_what_it_is_of(name: str) -> None:
    figure = known()[name]
    assert all(text == text.strip() != "" for text in (figure.paper, figure.table, figure.row, figure.column))
    assert name.rsplit("-", 1)[-1] in ("level", "gain")
    assert round(figure.value, 1) == figure.value
    assert figure.rounding == 0.05
    assert figure.encoder in configs.table()
    assert figure.split in ("validation", "test") or figure.split.startswith(OTHER)
    assert figure.metric.startswith(OTHER) or metric(figure.metric)


@pytest.mark.parametrize("name", [name for name, figure in known().items() if not figure.metric.startswith(OTHER)])
def test_a_figure_that_may_be_compared_is_of_the_languages_and_the_metric_of_its_task(name: str) -> None:
    target = task(name.split("-")[-2])
    assert known()[name].metric == target.metric
    assert set(known()[name].languages.split()) == set(XTREME.languages[target.name]) <= set(target.languages)


def test_no_two_figures_of_the_package_stand_in_one_place() -> None:
    places = [(one.paper, one.table, one.row, one.column, one.metric) for one in known().values()]
    assert len(set(places)) == len(places) > 0


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="write it as TOML"):
        read(written(tmp_path, MADE + MADE))
