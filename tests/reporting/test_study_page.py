from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from made_report import made
from xstilts.claims.results_table import Result, ResultsTable
from xstilts.cli import app
from xstilts.errors import InputError
from xstilts.reporting import study_page, study_report
from xstilts.reporting.page import PAGES, SHAPES, Cell, Page, TableView, html, markdown
from xstilts.runtime import tables
from xstilts.runtime import text as text_module

EVIL = "</script><script>alert(1)</script>\" onload='x' & $x_1^2$ | `*_~ [a](javascript:b)"


class Read(HTMLParser):
    """What a page holds: tags with their attributes, ids, links, and the text outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside += [tag] if tag in ("script", "style") else []

    def handle_endtag(self, tag: str) -> None:
        if self._inside and tag == self._inside[-1]:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        self.texts += [] if self._inside else [data]

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [facts for name, facts in self.tags if name == tag]

    @property
    def ids(self) -> list[str]:
        return [str(facts["id"]) for _, facts in self.tags if "id" in facts]


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return made()


@pytest.fixture(scope="module")
def folder(whole: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study's folder with both views written."""
    folder = tmp_path_factory.mktemp("study")
    (folder / study_report.REPORT).write_text(json.dumps(whole), encoding="utf-8")
    study_page.write_pages(folder)
    return folder


@pytest.fixture(scope="module")
def read(folder: Path) -> Read:
    return Read((folder / study_page.HTML).read_text(encoding="utf-8"))


def light(whole: dict[str, Any]) -> dict[str, Any]:
    """Return a report with a little in each part."""
    few = {name: whole[name][:12] for name in ("gains", "levels", "costs")}
    few |= {name: whole[name][:1] for name in ("curves", "scalings", "trainings")}
    return {**whole, **few, "stages": dict([*whole["stages"].items()][:9])}


def poisoned(value: Any, name: str = "") -> Any:
    """Return JSON with a hostile text after each text that a person or a file name may have given."""
    if isinstance(value, dict):
        return {key: poisoned(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [poisoned(part, name) for part in value]
    kept = ("language", "status", "expectation", "role", "figure", "keys", "key", "inputs", "metric")
    return value + EVIL if isinstance(value, str) and name not in kept else value


def test_written_twice_the_bytes_are_the_same(whole: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / study_report.REPORT).write_text(json.dumps(light(whole)), encoding="utf-8")
    first = [path.read_bytes() for path in study_page.write_pages(tmp_path)]
    result = CliRunner().invoke(app, ["report", str(tmp_path), "--out", str(tmp_path / "new")])
    assert result.exit_code == 0, result.output
    assert [(tmp_path / "new" / name).read_bytes() for name in (study_page.HTML, study_page.MARKDOWN)] == first


def test_the_page_asks_for_nothing_else(read: Read) -> None:
    for tag, facts in read.tags:
        for name in ("src", "href", "srcset", "action", "data", "xlink:href"):
            value = facts.get(name) or "#"
            assert value.startswith("#") or value == "data:,", (tag, value)
    style = (PAGES / "page.css").read_text() + (PAGES / "dark.css").read_text()
    assert "url(" not in style
    assert "@import" not in style


def test_ids_are_unique_and_links_within_the_page_lead_somewhere(read: Read) -> None:
    assert len(read.ids) == len(set(read.ids))
    links = {str(facts["href"]) for facts in read.every("a")}
    assert links - {f"#{name}" for name in read.ids} == set()


def test_every_gain_and_score_links_to_the_stages_that_made_it(whole: dict[str, Any], read: Read) -> None:
    """From a number's link, over the list of its last stages and their inputs, all its stages are reached."""
    made_page = study_page.page({**whole, "curves": [], "scalings": []})
    for row in (*whole["levels"], *whole["gains"]):
        anchor = made_page.anchor(tuple(row["keys"]))
        assert anchor in read.ids
        last = next(keys for keys, name in made_page.sources.items() if name == anchor)
        reached, todo = set(), list(last)
        while todo:
            key = todo.pop()
            reached.add(key)
            todo += whole["stages"][key]["inputs"]
        assert reached == set(row["keys"])


def test_every_number_of_a_table_is_the_files_own(whole: dict[str, Any]) -> None:
    values = set(numbers(whole))
    counts = {float(len(one["points"])) for one in whole["scalings"]}
    for section in study_page.page(light(whole)).sections:
        for table in section.tables():
            for row in table.rows:
                for cell in row:
                    assert cell.value is None or float(cell.value) in values | counts, (table.name, cell)


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers(part)
    elif isinstance(value, int | float):
        yield float(value)


def test_no_number_is_typed_into_the_templates() -> None:
    for path in PAGES.glob("*.html"):
        text = re.sub(r"\{[{%#].*?[}%#]\}|<(svg|style)\b.*?</\1>|<[^>]*>", " ", path.read_text(), flags=re.DOTALL)
        assert not re.search(r"\d", text), path


def test_no_number_is_typed_into_the_words_of_sections(whole: dict[str, Any]) -> None:
    emptied = [section.about for section in study_page.page(light(whole)).sections] + [study_page.UNITS]
    level = f"{study_page.LEVEL:.0%}"
    assert [said for said in emptied if re.search(r"\d", said.replace(level, ""))] == []


def test_what_has_no_data_has_no_section() -> None:
    bare = study_page.page({"question": "Why?", "answer": "Nothing is decided."})
    assert bare.sections == ()
    read = Read(html(bare))
    assert read.every("table") == read.every("section") == []
    assert "Nothing is decided." in "".join(read.texts)


@pytest.mark.parametrize(
    "part",
    ["verdicts", "gains", "trainings", "measured_on", "levels", "costs", "curves", "scalings", "extras", "stages"],
)
def test_any_part_may_be_empty(whole: dict[str, Any], part: str) -> None:
    less = {**light(whole), part: type(whole[part])()}
    assert html(study_page.page(less)).endswith("</html>\n")
    assert markdown(study_page.page(less)).startswith("# ")


def test_what_is_not_measured_is_a_dash_and_no_number(whole: dict[str, Any]) -> None:
    gains = [{**row, "low": None, "high": None, "p": None} for row in whole["gains"]]
    found = study_page.page({**light(whole), "gains": gains})
    heat = next(table for section in found.sections for table in section.tables() if section.name == "gains")
    assert all(cell.undecided for row in heat.rows for cell in row[1:])
    assert "nan" not in html(found).lower().replace("finance", "")


def test_each_verdict_has_its_status_as_a_word_and_a_shape(whole: dict[str, Any], read: Read) -> None:
    said = "".join(read.texts)
    for verdict in whole["verdicts"]:
        assert f"verdict-{verdict['name']}" in read.ids
        assert verdict["sentence"] in said
    shapes = {verdict.shape for verdict in study_page.page(light(whole)).verdicts}
    assert shapes == set(SHAPES.values())


def test_published_figures_are_apart_from_the_verdict(whole: dict[str, Any]) -> None:
    verdicts = {verdict.name: verdict for verdict in study_page.page(light(whole)).verdicts}
    assert {name: verdict.published.status for name, verdict in verdicts.items() if verdict.published} == {
        verdict["name"]: verdict["published"]["status"] for verdict in whole["verdicts"] if verdict["published"]
    }


def test_cells_are_undecided_where_the_interval_reaches_across_zero(whole: dict[str, Any]) -> None:
    rows = [row for row in whole["gains"] if row["language"] != "mean"]
    found = next(
        section
        for section in study_page.page({**whole, "costs": [], "curves": [], "scalings": []}).sections
        if section.name == "languages"
    )
    marked = [cell for table in found.tables() for row in table.rows for cell in row[1:] if cell.drawing]
    assert sum(cell.undecided for cell in marked) == sum(row["low"] <= 0 <= row["high"] for row in rows)
    assert len(marked) == len(rows)


def test_tables_can_be_read_aloud(read: Read) -> None:
    tables = len(read.every("table"))
    assert tables == len(read.every("caption"))
    assert all(facts.get("scope") in ("row", "col") for facts in read.every("th"))
    drawings = [facts for facts in read.every("svg") if facts.get("role") == "img"]
    assert drawings
    assert all(facts["aria-label"] for facts in drawings)
    assert all(facts.get("aria-hidden") == "true" or facts.get("role") == "img" for facts in read.every("svg"))


def test_hostile_texts_are_shown_and_never_run(whole: dict[str, Any], read: Read) -> None:
    text = html(study_page.page(poisoned(light(whole))))
    found = Read(text)
    assert len(found.every("script")) == len(read.every("script"))
    assert not [facts for _, facts in found.tags if any(name.startswith("on") for name in facts)]
    assert "<script>alert" not in text
    assert "<script>alert(1)" in "".join(found.texts)


def test_hostile_texts_stay_texts_in_markdown(whole: dict[str, Any]) -> None:
    plain, hostile = (markdown(study_page.page(one)) for one in (light(whole), poisoned(light(whole))))
    outside = re.sub(r"^(```+)sh\n.*?^\1$", "", hostile, flags=re.DOTALL | re.MULTILINE)
    assert not re.search(r"(?<!\\)(\]\(|[<`])", outside)
    pipes = [len(re.findall(r"(?<!\\)\|", line)) for line in hostile.splitlines() if line.startswith("|")]
    assert pipes == [line.count("|") for line in plain.splitlines() if line.startswith("|")]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("mlm_wiki", "mlm_wiki"),
        ("_x_ *y*", r"\_x\_ \*y\*"),
        ("0.12 [0.1, 0.2]", "0.12 [0.1, 0.2]"),
        ("a\n# b", "a # b"),
        ("a|b", r"a\|b"),
    ],
)
def test_markdown_shows_a_text_as_it_is(text: str, wanted: str) -> None:
    assert text_module.markdown(text) == wanted


def test_a_line_begins_no_list_or_heading() -> None:
    assert text_module.markdown_paragraph("# x") == r"\# x"
    assert text_module.markdown_paragraph("- x") == r"\- x"
    assert not re.match(r"\d+\.", text_module.markdown_paragraph("3. x"))
    assert text_module.markdown_paragraph("0.5 of it") == "0.5 of it"


def test_the_twin_says_question_answer_and_every_verdict(whole: dict[str, Any], folder: Path) -> None:
    text = (folder / study_page.MARKDOWN).read_text(encoding="utf-8")
    assert text.startswith(f"# {whole['question']}\n\n**{whole['answer']}**\n\n- ")
    assert all(f"- {label}: {fact}" in text for label, fact in whole["measured_on"])
    for verdict in whole["verdicts"]:
        assert f"- **{verdict['status']}**: {verdict['sentence']}. {verdict['why']}" in text
    for limit in whole["limits"]:
        assert f"- {limit}" in text


def test_large_tables_are_folded() -> None:
    row = (Cell("a"), Cell("1", 1.0))
    assert not TableView("x", "X", ("a", "b"), (row,)).is_folded
    assert TableView("x", "X", ("a", "b"), (row,) * 100).is_folded
    assert not TableView("x", "X", ("a", "b"), (row,) * 100, folded=False).is_folded


def test_a_column_that_says_the_same_in_all_rows_is_told_once() -> None:
    rows = tuple((Cell("tiny"), Cell(name)) for name in "ab")
    found = TableView("x", "X", ("encoder", "task"), rows).trimmed()
    assert found.columns == ("task",)
    assert "encoder tiny" in found.note
    assert TableView("x", "X", ("encoder", "task"), rows[:1]).trimmed().columns == ("encoder", "task")


def test_a_number_links_to_the_last_of_its_stages_alone() -> None:
    inputs = {"a": (), "b": ("a",), "c": ("b",), "d": ("a",)}
    page = Page("study", "Q", "A", inputs=inputs)
    assert page.last(("a", "b", "c")) == ("c",)
    assert page.anchor(("a", "b", "c")) == "stage-c"
    assert page.last(("a", "b", "d")) == ("b", "d")
    assert page.anchor(("unknown",)) == ""


def test_a_folder_without_a_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no report\.json"):
        study_report.read(tmp_path)
    (tmp_path / study_report.REPORT).write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="no JSON"):
        study_report.read(tmp_path)
    (tmp_path / study_report.REPORT).write_text('{"format": 99}', encoding="utf-8")
    with pytest.raises(InputError, match="format 99"):
        study_report.read(tmp_path)


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        (tables.signed(-0.004), "−0.00"),
        (tables.number(None), "–"),
        (tables.number(float("nan")), "–"),
        (tables.amount(9999), "9999"),
        (tables.amount(2.5e15), "2.5 P"),
        (tables.duration(0.25), "0.25 s"),
        (tables.duration(7200), "2 h"),
        (tables.p_value(1e-9), "< 0.001"),
        (tables.count(12345), "12,345"),
        (tables.cell(True), "True"),
        (tables.cell(1.5), "1.5"),
    ],
)
def test_numbers_are_written_for_readers(cell: Cell, wanted: str) -> None:
    assert cell.text == wanted


def test_the_made_report_is_not_changed_by_its_views(whole: dict[str, Any]) -> None:
    few = light(whole)
    before = deepcopy(few)
    study_page.page(few)
    assert few == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"question": None}, "no question"),
        ({"answer": 3}, "no answer"),
        ({"verdicts": {}}, "verdicts is no list"),
        ({"verdicts": [{"name": "a"}]}, "number 1 of verdicts has no sentence"),
        ({"levels": [3]}, "number 1 of levels has no encoder"),
        ({"stages": []}, "stages is no object"),
    ],
)
def test_a_report_that_lacks_what_a_page_needs_is_refused(
    change: dict[str, Any], said: str, whole: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / study_report.REPORT).write_text(json.dumps(whole | change), encoding="utf-8")
    with pytest.raises(InputError, match=f"not as a study writes it \\({said}\\); write it again"):
        study_page.write_pages(tmp_path)


def test_a_report_of_its_format_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / study_report.REPORT).write_text('{"format": 2}', encoding="utf-8")
    with pytest.raises(InputError, match="no question"):
        study_report.read(tmp_path)


def test_pages_of_evidence_stay_beside_their_corpus(tmp_path: Path) -> None:
    (tmp_path / study_report.REPORT).write_text('{"format": 1, "kind": "evidence"}', encoding="utf-8")
    result = CliRunner().invoke(app, ["report", str(tmp_path), "--out", str(tmp_path / "elsewhere")])
    assert isinstance(result.exception, InputError)
    assert "omit --out" in str(result.exception)
    assert not (tmp_path / "elsewhere").exists()


def test_a_store_that_is_not_there_is_named_and_no_claim_is_judged(folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["verify", str(folder), "--store", str(tmp_path / "nostore")])
    assert isinstance(result.exception, InputError)
    assert f"no store {tmp_path / 'nostore'}" in str(result.exception)


def test_every_table_scrolls_within_its_box(folder: Path) -> None:
    text = (folder / study_page.HTML).read_text(encoding="utf-8")
    tables_in_boxes = re.findall(r'<div class="scroll"[^>]*>\s*<table', text)
    assert len(tables_in_boxes) == len(re.findall("<table", text)) > 10
    assert re.search(r"\.scroll \{[^}]*overflow-x: auto", (PAGES / "page.css").read_text())


def test_no_column_is_without_a_name(whole: dict[str, Any]) -> None:
    for section in study_page.page(whole).sections:
        for table in section.tables():
            assert all(table.columns), table.name


def test_the_scores_of_all_settings_are_shown_before_any_gain(whole: dict[str, Any]) -> None:
    sections = study_page.page(light(whole) | {"levels": whole["levels"]}).sections
    names = [section.name for section in sections]
    assert names.index("scores") < names.index("gains")
    views = list(sections[names.index("scores")].tables())
    assert len(views) == len({(row["target"], row["encoder"]) for row in whole["levels"]})
    assert {view.columns for view in views} == {("language", "baseline", "mnli", "squad", "mlm_wiki")}
    cells = {(row["estimate"], tuple(row["keys"])) for row in whole["levels"]}
    assert {(cell.value, cell.keys) for view in views for line in view.rows for cell in line[1:]} == cells
    assert all("±" in cell.text for view in views for line in view.rows for cell in line[1:])
    assert all(len(view.rows) == 1 + len(whole["settings"]["languages"]) for view in views)
    assert any("training" in line[0].text for line in views[0].rows)


def test_a_baseline_that_all_recipes_share_is_one_column(whole: dict[str, Any]) -> None:
    again = [{**row, "recipe": "head"} for row in whole["levels"]]
    views = [
        view
        for section in study_page.page(light(whole) | {"levels": [*whole["levels"], *again]}).sections
        for view in section.tables()
        if section.name == "scores"
    ]
    assert all(view.columns[:2] == ("language", "baseline") for view in views)
    assert {view.columns[2:] for view in views} == {("all", "head")}  # a table for each intermediate task


def test_losses_of_a_mix_are_told_apart_and_old_histories_are_read(tmp_path: Path) -> None:
    lines = [
        {"step": 1, "loss": 3.0, "tasks": ["mnli"], "task_losses": {"mnli": 3.0}},
        {"step": 2, "loss": 0.5, "tasks": ["squad"], "task_losses": {"mnli": 2.0, "squad": 0.5}},
        {"step": 2, "dev": {"mnli": 70.0, "squad": 20.0}},
    ]
    record = {
        "label": "train-mnli+squad-seed1",
        "folder": tmp_path,
        "record": {},
        "arguments": {"lessons": [{"task": "mnli"}, {"task": "squad"}]},
    }
    row = Result("tiny", "mnli+squad", "xnli", "sw", 1, 50.0, ("k",), roles=("intermediate",))

    def drawn(history: list[dict[str, Any]]) -> dict[str, tuple[Any, Any]]:
        (tmp_path / "history.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in history), encoding="utf-8")
        curves = study_report.curves(ResultsTable((row,)), {"k": record})
        return {curve["task"]: (curve["points"], curve["dev_scores"]) for curve in curves}

    assert drawn(lines) == {"mnli": ([[1, 3.0], [2, 2.0]], [[2, 70.0]]), "squad": ([[2, 0.5]], [[2, 20.0]])}
    old = [{name: line[name] for name in line if name not in ("tasks", "task_losses")} for line in lines]
    assert drawn(old)["mnli + squad"][0] == [[1, 3.0], [2, 0.5]]
    many = [{"step": step, "loss": 1.0, "task_losses": {"mnli": 1.0}} for step in range(1, 131)]
    assert [point[0] for point in drawn(many)["mnli"][0]][-1] == 130
    assert len(drawn(many)["mnli"][0]) <= study_report.POINTS
