"""Faults of published data sets: each is read right or refused with its place, and so is everything of its sort.

The first part reads inputs from public bug reports, where they are at hand. The others are laws over made inputs: every
reader, every field, every split.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from families import tokenizer
from forms import Files, Form, alike, every_form, hide, put
from quick import first_of_each
from xstilts.data import dataset
from xstilts.data.examples import (
    AnswerSpan,
    MultipleChoiceExample,
    QAExample,
    TaggingExample,
)
from xstilts.data.languages import code_of, iso3, languages
from xstilts.data.readers import FORMATS, Input, Report, field_types, read
from xstilts.data.readers.answer_offsets import BYTES, CHARACTERS, UNITS, UTF16
from xstilts.data.readers.row_to_example import SHAPE, RowRules, written_out
from xstilts.data.source import Source
from xstilts.errors import InputError
from xstilts.experiments.run import Recipes, Run
from xstilts.experiments.splits import DataFolder
from xstilts.formats import task_format
from xstilts.models.encoder import Encoder
from xstilts.models.heads import attach
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.tasks.availability import survey
from xstilts.tasks.base import Task, task

T = TypeVar("T")
FAULTS = Path(__file__).parents[2].parent / "shared" / "faults"
PLACE = r"^[^:]+:(\d+|row \d+|data\S*)(, [^:]*)?: "
LAW = settings(max_examples=25, derandomize=True, database=None, deadline=None)
QUICK = settings(LAW, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])


def get(folder: Path, name: str | Task, split: str, language: str = "en") -> tuple[list[Any], dict[str, int]]:
    """Return the examples of a split and what was noted of them, without the number that is expected."""
    report, whole = Report(), task(name) if isinstance(name, str) else name
    found = list(dataset.examples(whole.data(split, language, folder), folder, report))
    return found, {reason: n for reason, n in report.counts.items() if not reason.endswith("are expected")}


def attempt(call: Callable[[], T]) -> tuple[T | None, str]:
    """Return a result and "", or None and the message of an InputError, which can be printed."""
    try:
        return call(), ""
    except InputError as error:
        str(error).encode()
        return None, str(error)


# Inputs of bug reports.

reported = pytest.mark.skipif(not FAULTS.is_dir(), reason=f"there are no inputs of bug reports in {FAULTS}")


@reported
def test_blank_answers_are_withheld_ones() -> None:
    folder = FAULTS / "F02_xtreme_xquad_blank" / "data"
    assert not task("xquad").has("test", "en", folder)
    assert DataFolder(folder).withheld(task("xquad"), "test", "en")
    assert get(folder, "xquad", "test")[0][0].answers == ()
    assert [entry.state for entry in survey(task("xquad"), folder, "test") if entry.form] == ["withheld"]
    run = Run(
        Encoder("xlmr", "cd" * 32, "/x"), (), task("xquad"), Recipes("small"), 1, only_languages=("en",), data=folder
    )
    with pytest.raises(InputError, match=r"the test files of 'xquad' .* withhold the answers"):
        run.scores()
    assert list(run.withheld()) == ["en"]


@reported
def test_mewslix_of_xtreme_r_has_its_dev_set_and_withholds_its_test_set() -> None:
    folder = FAULTS / "F03_xtreme_mewslix_layout" / "data"
    states = {entry.split: entry.state for entry in survey(task("mewslix"), folder) if entry.language == "en"}
    assert states == {"validation": "there", "test": "withheld"}
    assert [one.targets for one in get(folder, "mewslix", "validation")[0]] == [("Q220",), ()]


@reported
def test_reported_choices_differ_in_number() -> None:
    found, _ = get(FAULTS / "F04_ragged_choices" / "data", "csqa", "validation")
    assert {len(one.choices) for one in found} == {3, 5}


@reported
def test_the_question_over_two_lines_is_read() -> None:
    found, noted = get(FAULTS / "F06_qqp_multiline" / "data", "qqp", "train")
    assert [one.label for one in found] == ["duplicate", "not_duplicate", "not_duplicate"]
    assert found[1].text_b == "Was he real?\n\tDid he live? What is the evidence?"
    assert noted == {"noted: record over several lines": 1}


@reported
def test_no_row_is_dropped_for_its_language_uncounted() -> None:
    found, noted = get(FAULTS / "F07_language_dropped" / "data", "mnli", "train", "sw")
    assert (len(found), noted) == (6, {"dropped: no language in 'language'": 1})
    (shown,) = survey(task("mnli:sw"), FAULTS / "F07_language_dropped" / "data", "train")
    assert (shown.language, shown.count, dict(shown.notes)) == ("sw", 6, noted)


@reported
def test_offsets_in_bytes_are_read_as_such() -> None:
    found, noted = get(FAULTS / "F08_byte_offsets" / "data", "squad", "train")
    context = found[0].context
    places = {word: [m.start() for m in re.finditer(word, context)] for word in ("Москва", "Казань")}
    assert [one.answers[0].start for one in found] == places["Москва"] + places["Казань"]
    assert list(noted) == ["noted: offsets of answers count UTF-8 bytes (6 of 6 that tell are right)"]


@reported
def test_the_text_false_is_false() -> None:
    (found,), _ = get(FAULTS / "F09_true_false_string" / "data", "squad2", "train")
    assert (found.unanswerable, found.answers) == (False, (AnswerSpan("Rome", 13),))


@reported
@pytest.mark.parametrize(
    ("fault", "name", "message"),
    [
        ("F10_context_null", "squad2", r"train-v2\.0\.json:data\[0\]\.\S+: expected text in 'context', found null"),
        ("F11_choice_null", "csqa", r"train_rand_split\.jsonl:1: expected texts in 'choices', found null as number 2"),
        ("F12_labels_by_position", "mnli", r"train-en\.tsv:1: expected the name of a label \(.*\), found '0'"),
    ],
)
def test_what_has_no_meaning_is_refused_with_its_place(fault: str, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        get(FAULTS / fault / "data", name, "train")


@reported
@pytest.mark.parametrize(("name", "split"), [("squad", "train"), ("xquad", "test")])
def test_half_an_emoji_is_replaced_and_counted(name: str, split: str) -> None:
    (found,), noted = get(FAULTS / "F13_lone_surrogate" / "data", name, split)
    assert (found.context, found.answers[0].start) == ("Anna saw a \ufffd picture in Berlin.", 24)
    assert noted == {"repaired: lone surrogate in 'context' replaced by U+FFFD": 1}


@reported
def test_columns_may_be_separated_by_spaces() -> None:
    (found,), _ = get(FAULTS / "F19_space_separated" / "data", "panx", "train")
    assert found == TaggingExample("0", ("Anna", "runs"), ("B-PER", "O"))


@reported
def test_an_answer_in_another_normal_form_is_found() -> None:
    (found,), _ = get(FAULTS / "F21_all_dropped" / "data", "squad", "train")
    answer = found.answers[0]
    assert found.context[answer.start :].startswith(answer.text)
    assert unicodedata.normalize("NFC", answer.text) == "Nîmes"


# Types of fields.

WRONG: list[Any] = [None, 7319, 73.19, True, math.nan, ["Zq"], {"zq": 1}]
FIELDS: dict[str, dict[str, Any]] = {
    "classification": {"text_a": "A", "text_b": "B", "label": "yes"},
    "multiple_choice": {"context": "C", "question": "Q", "choices": ["a", "b"], "label": 1},
    "token_classification": {"tokens": ["Anna", "runs"], "tags": ["yes", "no"]},
    "extractive_qa": {"context": "A b", "question": "Q", "answers": [{"text": "A", "answer_start": 0}]},
    "bitext_retrieval": {"source": "S", "english": "E", "context": "C"},
    "bitext_mining": {"text": "T", "side": "query", "targets": ["x"]},
    "passage_ranking": {"text": "T", "side": "query", "targets": ["x"]},
    "masked_lm": {"text": "T", "pair": "P"},
}
RULES = RowRules("train", ("no", "yes"), Report())


def test_every_format_has_fields_here() -> None:
    assert set(FIELDS) == set(SHAPE)


def cells() -> list[Any]:
    """Return each field of each format with values of other types than its own, lists' and objects' parts included."""
    found = []
    for format, fields in FIELDS.items():
        for name, value in fields.items():
            if isinstance(value, str):
                wrong = WRONG
            elif isinstance(value, int):
                wrong = [True, 0.5, math.nan, "b", [1], {"a": 1}, 2, -1, "²"]
            elif isinstance(value[0], str):
                wrong = ["ab", 7, True, {"a": "b"}, *([*value[:-1], item] for item in WRONG)]
            else:
                wrong = ["A", 7, {"text": "A", "answer_start": 0}, {"text": "A", "answer_start": "0"}]
                wrong += [[{"text": item, "answer_start": 0}] for item in WRONG]
                wrong += [[{"text": "A", "answer_start": item}] for item in ("x", True, 0.5, [0], math.nan)]
            found += [pytest.param(format, name, item, id=f"{format}-{name}-{item!r}"[:60]) for item in wrong]
    return found


@pytest.mark.parametrize(("format", "name", "value"), cells())
def test_a_value_of_another_type_is_refused_with_its_place(format: str, name: str, value: Any) -> None:
    if format == "bitext_mining" and name == "context":
        return
    with pytest.raises(InputError, match=r"^a\.json:7(, word \d)?: .*; .{9}"):
        SHAPE[format]("0", {**FIELDS[format], name: value}, "a.json:7", RULES)


@pytest.mark.parametrize("format", SHAPE)
def test_values_of_the_right_types_are_read(format: str) -> None:
    assert SHAPE[format]("0", FIELDS[format], "a.json:7", RULES)


@pytest.mark.parametrize("value", [True, "true", "TRUE", " True ", "yes", 1, 1.0, "1"])
def test_true_is_true(value: Any) -> None:
    assert field_types.boolean(value, "x", "a:1") is True
    fields = {**FIELDS["extractive_qa"], "is_impossible": value, "answers": []}
    read_back = SHAPE["extractive_qa"]("0", fields, "a:1", RULES)
    assert isinstance(read_back, QAExample)
    assert read_back.unanswerable


@pytest.mark.parametrize("value", [False, "false", "False", "FALSE", "no", 0, 0.0, "0"])
def test_false_is_false(value: Any) -> None:
    assert field_types.boolean(value, "x", "a:1") is False
    fields = {**FIELDS["extractive_qa"], "is_impossible": value}
    read_back = SHAPE["extractive_qa"]("0", fields, "a:1", RULES)
    assert isinstance(read_back, QAExample)
    assert read_back.answers
    assert not read_back.unanswerable


@pytest.mark.parametrize("value", [None, "", "maybe", "None", "nan", 2, 0.5, math.nan, [], [False], {}])
def test_what_is_neither_true_nor_false_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"^a:1: expected true or false in 'is_impossible', found"):
        SHAPE["extractive_qa"]("0", {**FIELDS["extractive_qa"], "is_impossible": value}, "a:1", RULES)


@pytest.mark.parametrize("value", [None, True, [1], {"a": 1}, math.nan])
def test_an_id_is_a_text_or_a_number(value: Any, tmp_path: Path) -> None:
    put({"squad/train-v1.1.json": squad("Ada", [("Ada", 0)], id=value)}, tmp_path)
    if value is None:
        assert get(tmp_path, "squad", "train")[0][0].id == "0"
    else:
        with pytest.raises(InputError, match=PLACE):
            get(tmp_path, "squad", "train")


def squad(context: Any, answers: list[tuple[str, int]], **more: Any) -> bytes:
    """Return a file in SQuAD's format: one question an answer."""
    questions = [
        {"id": str(n), "question": "?", "answers": [{"text": text, "answer_start": start}], **more}
        for n, (text, start) in enumerate(answers)
    ]
    return json.dumps({"data": [{"title": "t", "paragraphs": [{"context": context, "qas": questions}]}]}).encode()


JSON_LIKE = ("jsonl", "parquet", "squad", "squad_pairs", "xquad_r", "mewslix", "mewslix_pairs")


def json_forms() -> list[Form]:
    """Return each source that holds more than texts, in its last split."""
    last = {(form.name, form.number): form for form in every_form() if form.source.reader in JSON_LIKE}
    return list(last.values())


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a value with another one in place of a part of it."""
    if not path:
        return new
    head, *rest = path
    if isinstance(value, list):
        return [changed(item, tuple(rest), new) if number == head else item for number, item in enumerate(value)]
    return {key: changed(item, tuple(rest), new) if key == head else item for key, item in value.items()}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of the texts in a value."""
    if isinstance(value, str):
        return [path]
    items = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    return [found for key, item in items for found in leaves(item, (*path, key))]


def variants(form: Form, raw: bytes, new: Any) -> list[bytes]:
    """Return a file with another value in place of each text of a record, one at a time."""
    if form.source.reader in ("squad", "squad_pairs", "xquad_r"):
        document = json.loads(raw)
        paths = {re.sub(r"\d+", "n", str(path)): path for path in leaves(document)}
        return [json.dumps(changed(document, path, new)).encode() for path in paths.values()]
    if form.source.reader == "parquet":
        rows = pq.read_table(io.BytesIO(raw)).to_pylist()
        tables = [[changed(rows[0], path, new), *rows[1:]] for path in leaves(rows[0])]
        return [table for rows in tables if (table := parquet(rows)) is not None]
    lines = raw.decode().splitlines()
    row = json.loads(lines[0])
    return [
        "".join(f"{line}\n" for line in [json.dumps(changed(row, path, new)), *lines[1:]]).encode()
        for path in leaves(row)
    ]


def parquet(rows: list[dict[str, Any]]) -> bytes | None:
    """Return a Parquet file; None where a column would have two types, which it cannot."""
    stream = io.BytesIO()
    try:
        pq.write_table(pa.Table.from_pylist(rows), stream)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None
    return stream.getvalue()


@pytest.mark.parametrize("form", first_of_each(1, json_forms(), alike), ids=lambda form: form.label)
def test_null_becomes_no_text_in_any_source(form: Form, tmp_path: Path) -> None:
    files = form.written(form.made())
    clean, _ = form.read(files, tmp_path)
    for path in files:
        for damaged in variants(form, files[path], None):
            result, message = attempt(lambda: form.read({**files, path: damaged}, tmp_path))  # noqa: B023
            if result is None:
                assert re.match(rf"\S*{re.escape(Path(path).name)}:(\d+|row \d+|data)", message)
                continue
            found, _ = result
            assert "None" not in json.dumps([str(one).replace("=None", "") for one in found])
            assert len(found) <= len(clean)


@pytest.mark.parametrize(
    "form",
    first_of_each(2, json_forms(), lambda form: (form.source.reader, form.task.format)),
    ids=lambda form: form.label,
)
def test_half_a_surrogate_pair_stops_no_source(form: Form, tmp_path: Path) -> None:
    files = form.written(form.made())
    if form.source.reader == "parquet":
        return  # has UTF-8
    path = next(iter(files))
    for damaged in variants(form, files[path], "Ada \ud83d"):
        result, message = attempt(lambda: form.read({**files, path: damaged}, tmp_path))  # noqa: B023
        if result is None:
            assert re.match(rf"\S*{re.escape(Path(path).name)}:(\d+|row \d+|data)", message)
            continue
        found, report = result
        json.dumps([str(one) for one in found], ensure_ascii=False).encode()
        if any("\ufffd" in str(one) for one in found):
            assert any("U+FFFD" in reason for reason in report.counts)


@LAW
@given(
    words=st.lists(st.text("ab'\"é [],", min_size=1, max_size=4).filter(str.strip), min_size=2, max_size=4),
    data=st.data(),
)
def test_lists_in_a_table_are_lists(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], data: st.DataObject
) -> None:
    write = data.draw(st.sampled_from([json.dumps, repr]))
    stream, folder = io.StringIO(newline=""), tmp_path_factory.mktemp("table")
    tags = ["x", "y", "x", "y"][: len(words)]
    rows = [(write(words), write(tags), 1)]
    csv.writer(stream).writerows([("tokens", "tags", "label"), *rows])
    put({"train.csv": stream.getvalue().encode()}, folder)
    made = {"files": {"train": folder / "train.csv"}, "folder": folder}
    choices = Task.from_csv("own_choices", format="multiple_choice", choices="tokens", label="label", **made)
    assert get(folder, choices, "train")[0][0].choices == tuple(word.strip() for word in words)
    words_of = Task.from_csv("own_words", format="token_classification", labels=["x", "y"], **made)
    assert get(folder, words_of, "train")[0][0] == TaggingExample("0", tuple(words), tuple(tags))


@pytest.mark.parametrize("text", ["[1]", "{}", "[sic]", "[ 1 , 2 ]", "{'a': 1}", "[[1]]", "[None]"])
def test_words_in_brackets_are_words(text: str) -> None:
    assert written_out({"tokens": text})["tokens"] == text.split()


# Every exception has a place.

KEYS = tuple(
    json.loads(
        '["data","paragraphs","context","qas","id","question","answers","text","answer_start","sentence_breaks",'
        '"mentions","mention","mention_span","start","end","entity","entity_id","title","description",'
        '"sentence_spans","language","contextual_mention","example_id"]'
    )
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=True) | st.sampled_from(["", "ab", "\ud83d"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
OPTIONS: dict[str, Any] = {"columns": ("token", "tag"), "language": "en", "quotes": 1}


@settings(QUICK, max_examples=20)
@given(value=json_values, text=st.text('ab\t\n"#<>-=(ILTD1 \ud83d\u00a0é'.replace("\ud83d", ""), max_size=40))
@example(value={"data": [{"paragraphs": [{"context": None, "qas": [], "sentence_breaks": [3]}]}]}, text="ID= \n")
@example(value=[[[]]], text='a\t"b\n\n"\n')
def test_readers_raise_input_errors_with_the_file_and_nothing_else(value: Any, text: str, tmp_path: Path) -> None:
    for name in FORMATS:
        if name in ("parquet", "bitext_parquet"):
            continue
        content = json.dumps(value) + "\n" if name in JSON_LIKE else text
        (tmp_path / "a.x").write_bytes(content.encode())
        files = [Input(tmp_path / "a.x", "a.x")] * 2
        _, message = attempt(lambda: list(read(name, files, OPTIONS, Report())))  # noqa: B023
        assert not message or "a.x" in message.partition("; ")[0]


@QUICK
@given(value=json_values)
@example(value={"text": "abc", "answer_start": [1, 2, 3]})
@pytest.mark.parametrize("format", SHAPE)
def test_examples_are_refused_with_their_place_and_in_no_other_way(format: str, value: Any) -> None:
    for name in (*FIELDS[format], "is_impossible", "id"):
        fields = {**FIELDS[format], name: value}
        made, message = attempt(lambda: SHAPE[format]("0", fields, "a.json:7", RULES))  # noqa: B023
        assert not message or message.startswith("a.json:7")
        str(made).encode()


# Labels.


def labelled(**more: Any) -> Task:
    source = Source("jsonl", {"train": "own/train.jsonl", "test": "own/test.jsonl"}, **more)
    return replace(task("xnli"), name="own_nli", sources=(source,), labels=("a", "b", "c"), languages=("en",))


def lines_of(labels: list[Any]) -> bytes:
    rows = [{"text_a": "A", "text_b": "B", "label": label} for label in labels]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.mark.parametrize("numbers", [["0", "1", "2"], [0, 1, 2], [0.0, 1.0, 2.0]])
def test_labels_by_their_numbers_are_noted_or_refused_or_due(numbers: list[Any], tmp_path: Path) -> None:
    put({"own/train.jsonl": lines_of(numbers)}, tmp_path)
    found, noted = get(tmp_path, labelled(), "train")
    assert [one.label for one in found] == ["a", "b", "c"]
    assert noted == {"noted: label by its number (0 = a, 1 = b, 2 = c)": 3}
    assert get(tmp_path, labelled(label_form="numbers"), "train")[1] == {}
    put({"xtreme/xnli/train-en.tsv": b"A\tB\t0\n"}, tmp_path)
    with pytest.raises(
        InputError, match=r"train-en\.tsv:1: expected the name of a label .* found '0'; write the names"
    ):
        get(tmp_path, "mnli", "train")


def test_names_are_read_and_noted_where_numbers_are_due(tmp_path: Path) -> None:
    put({"own/train.jsonl": lines_of(["a", "b"])}, tmp_path)
    assert get(tmp_path, labelled(), "train")[1] == {}
    assert get(tmp_path, labelled(label_form="numbers"), "train")[1] == {
        "noted: label by its name where the source has numbers": 2
    }


@pytest.mark.parametrize("label", [True, False, 1.5, math.nan, [0], {"a": 1}, "²", "01x", -1, "-1", 3, "3", None, ""])
def test_a_label_of_no_meaning_is_refused(label: Any, tmp_path: Path) -> None:
    put({"own/train.jsonl": lines_of(["a", label])}, tmp_path)
    with pytest.raises(InputError, match=r"^own/train\.jsonl:2: "):
        get(tmp_path, labelled(), "train")


@pytest.mark.parametrize(("labels", "raw"), [(("1.0", "2.0"), [1.0, 2.0]), (("1", "2"), [1, "2"]), (("1", "2"), [1.0])])
def test_labels_that_are_numbers_are_names(labels: tuple[str, ...], raw: list[Any], tmp_path: Path) -> None:
    put({"own/train.jsonl": lines_of(raw), "own/test.jsonl": lines_of([*raw, 0])}, tmp_path)
    own = replace(labelled(), labels=labels)
    assert [one.label for one in get(tmp_path, own, "train")[0]] == list(labels)[: len(raw)]
    with pytest.raises(InputError, match=r"own/test\.jsonl:\d: expected one of the labels .*, found '0'"):
        get(tmp_path, own, "test")


# Blank answers.


def sets_of_tests() -> list[Form]:
    kept = ("tsv", "csv", "jsonl", "parquet", "squad", "tagged", "mewslix")
    return [form for form in every_form() if form.split == "test" and form.source.reader in kept and can_be_blank(form)]


def can_be_blank(form: Form) -> bool:
    return not form.source.withheld and form.source.convert is None and form.task.format in FIELDS_BLANK


FIELDS_BLANK = ("classification", "token_classification", "extractive_qa", "passage_ranking")


def blanked(form: Form, files: Files) -> Files:
    """Return files with blanks for answers, as leaderboards give them out."""
    reader = form.source.reader
    name = "tags" if form.task.format == "token_classification" else "label"
    label = form.source.columns.get(name, name)
    if reader == "mewslix":
        return {path: re.sub(rb'("entity_id": ")Q\d+(", "mention_span)', rb"\1\2", raw) for path, raw in files.items()}
    if reader == "squad":
        return {path: re.sub(rb'"text": "[^"]*"', b'"text": ""', raw) for path, raw in files.items()}
    if reader == "parquet":
        return {path: blank_table(form, raw) for path, raw in files.items()}
    if reader == "jsonl":
        rows = {path: [json.loads(line) | {label: ""} for line in raw.splitlines()] for path, raw in files.items()}
        return {path: "".join(json.dumps(row) + "\n" for row in each).encode() for path, each in rows.items()}
    last = form.columns.index("tag") if reader == "tagged" else None
    separator = str(form.source.options.get("separator", "\t"))
    done = {}
    for path, raw in files.items():
        lines = [line.split(separator) for line in raw.decode().splitlines()]
        names = lines[0] if form.source.options.get("header") else list(form.columns)
        at = names.index(label) if last is None else last
        for line in lines[1:] if form.source.options.get("header") else lines:
            if len(line) > 1:
                line[at] = ""
        done[path] = "".join(separator.join(line) + "\n" for line in lines).encode()
    return done


def blank_table(form: Form, raw: bytes) -> bytes:
    rows = pq.read_table(io.BytesIO(raw)).to_pylist()
    for row in rows:
        if form.task.format == "extractive_qa":
            row["answers"] = {"text": [], "answer_start": []}
        elif form.task.format == "token_classification":
            row[form.source.columns.get("tags", "tags")] = None
        else:
            row[form.source.columns.get("label", "label")] = None if "-1" in form.source.dropped else -1
    table = parquet(rows)
    assert table is not None
    return table


@pytest.mark.parametrize("form", first_of_each(1, sets_of_tests(), alike), ids=lambda form: form.label)
def test_a_test_set_with_blank_answers_is_withheld(form: Form, tmp_path: Path) -> None:
    made = form.made()
    put(blanked(form, form.written(made)), tmp_path)
    folder, whole = DataFolder(tmp_path), replace(form.task, sources=(form.source,))
    assert not folder.has(whole, "test", form.language)
    assert folder.withheld(whole, "test", form.language)
    found, _ = get(tmp_path, whole, "test", form.language)
    assert [hide(one) for one in found] == found
    put(form.written(made), tmp_path)
    assert folder.has(whole, "test", form.language)
    assert not folder.withheld(whole, "test", form.language)


def test_training_data_without_answers_are_not_withheld_but_refused(tmp_path: Path) -> None:
    put({"own/train.jsonl": lines_of([None, ""])}, tmp_path)
    assert labelled().has("train", "en", tmp_path)
    with pytest.raises(InputError, match=r"own/train\.jsonl:1: expected a label, found none"):
        get(tmp_path, labelled(), "train")


# Rows that are dropped.


@pytest.mark.parametrize("code", ["sw", "de", "zh", "ceb", "am", "yue"])
def test_a_language_is_known_by_rule(code: str) -> None:
    name = languages()[code].name
    forms = [
        code,
        code.upper(),
        f" {code}\t",
        iso3(code),
        name,
        name.upper(),
        f"{code}-KE",
        f"{code}_Latn",
        f"{code}-Latn-001",
    ]
    assert {form: code_of(form) for form in forms} == dict.fromkeys(forms, code)


def test_every_language_is_known_by_its_codes_and_its_name() -> None:
    for code, one in languages().items():
        assert code_of(code) == code_of(one.name) == code
        assert code_of(iso3(code)) == code


@LAW
@given(
    written=st.lists(
        st.sampled_from(["sw", "swh", "Swahili", "sw-KE", "de", "", "  ", None, 7, "xx", "swa hili", ["sw"]])
    )
)
def test_rows_are_read_or_counted_as_dropped(tmp_path_factory: pytest.TempPathFactory, written: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("rows")
    rows = [{"text_a": "A", "text_b": "B", "label": "neutral", "language": code} for code in ["sw", *written]]
    put({"translated/mnli/train-sw.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode()}, folder)
    found, noted = get(folder, "mnli", "train", "sw")
    dropped = sum(times for reason, times in noted.items() if reason.startswith("dropped: "))
    assert len(found) + dropped == len(rows)
    assert len(found) == sum(isinstance(code, str) and code_of(code) == "sw" for code in ["sw", *written])


def test_where_all_rows_are_dropped_the_message_says_how_many_and_why(tmp_path: Path) -> None:
    put({"squad/train-v1.1.json": squad("Ada", [("Bob", 0), ("Eve", 1), ("", 0)])}, tmp_path)
    with pytest.raises(
        InputError,
        match=r"found none: all 3 rows were dropped: 2 answer not in its context \(first at squad/train-v1\.1\.json:data.*\);"
        r" 1 question without an answer \(first at .*qas\[2\]\)",
    ):
        get(tmp_path, "squad", "train")


def test_mentions_without_a_known_language_are_counted(tmp_path: Path) -> None:
    def line(code: Any, n: int) -> str:
        span = {"start": 0, "end": 3, "text": "Ada"}
        context = {"text": "Ada won.", "language": code, "sentence_spans": []}
        mention = {"example_id": f"m{n}", "entity_id": "Q1", "mention_span": span}
        return json.dumps({"context": context, "mentions": [mention]}) + "\n"

    entity = {"entity_id": "Q1", "title": "T", "description": "A poet.", "sentence_spans": []}
    lines = "".join(line(code, n) for n, code in enumerate(["tr", "tur", "tr-TR", "xx", "de"]))
    folder = "xtreme/mewslix"
    put(
        {
            f"{folder}/wikinews_mentions/dev-tr.jsonl": lines.encode(),
            f"{folder}/candidate_set_entities.jsonl": json.dumps(entity).encode(),
        },
        tmp_path,
    )
    found, noted = get(tmp_path, "mewslix", "validation", "tr")
    assert [one.id for one in found if one.side == "query"] == ["m0", "m1", "m2"]
    assert noted == {'dropped: unknown language "xx"': 1, "noted: not in 'tr'": 1}


# Offsets.

WORDS = ("Ana", "né", "Ĉu", "Москва", "東京", "🙂x", "e\u0301a", "ไทย")


def offset(context: str, start: int, unit: str) -> int:
    before = context[:start]
    return {CHARACTERS: start, BYTES: len(before.encode()), UTF16: len(before.encode("utf-16-le")) // 2}[unit]


@LAW
@given(words=st.lists(st.sampled_from(WORDS), min_size=3, max_size=12), unit=st.sampled_from(UNITS), data=st.data())
def test_offsets_are_read_in_the_unit_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], unit: str, data: st.DataObject
) -> None:
    numbered = [f"{word}{number}." for number, word in enumerate(words)]  # each occurs once
    context, repeated = " ".join(numbered), data.draw(st.booleans())
    starts = [context.index(word) for word in numbered]
    answers = [word.rstrip("0123456789.") if repeated else word for word in numbered]
    folder = tmp_path_factory.mktemp("offsets")
    file = squad(context, [(a, offset(context, s, unit)) for a, s in zip(answers, starts, strict=True)])
    put({"squad/train-v1.1.json": file, "targets/xquad/xquad.en.json": file}, folder)
    noted = {}
    for name, split in (("squad", "train"), ("xquad", "test")):
        found, noted = get(folder, name, split)
        assert [one.answers[0] for one in found] == [AnswerSpan(a, s) for a, s in zip(answers, starts, strict=True)]
    differ = any(offset(context, start, unit) != start for start in starts)
    assert any(f"count {unit}" in reason for reason in noted) == (differ and unit != CHARACTERS)


@pytest.mark.parametrize("unit", UNITS)
def test_sentences_with_answers_are_found_in_the_unit_of_the_file(unit: str, tmp_path: Path) -> None:
    sentences = ("🙂 né Ana.", "Ĉu Ana? Ne.", "Ana venis.")
    context = " ".join(sentences)
    starts = [context.index(sentence) for sentence in sentences]
    ends = [start + len(sentence) for start, sentence in zip(starts, sentences, strict=True)]
    answers = [match.start() for match in re.finditer("Ana", context)]
    document = json.loads(squad(context, [("Ana", offset(context, start, unit)) for start in answers]))
    document["data"][0]["paragraphs"][0]["sentence_breaks"] = [
        [offset(context, start, unit), offset(context, end, unit)] for start, end in zip(starts, ends, strict=True)
    ]
    file = json.dumps(document).encode()
    put({"targets/lareqa/xquad-r/en.json": file, "squad/train-v1.1.json": file}, tmp_path)
    found, noted = get(tmp_path, "lareqa", "test")
    assert [one.targets for one in found if one.side == "query"] == [("en_1_0",), ("en_1_1",), ("en_1_2",)]
    assert [one.text for one in found if one.side == "candidate"] == list(sentences)
    assert len(noted) == (unit != CHARACTERS)
    pairs, _ = get(tmp_path, "squad_pairs", "train")
    assert [one.english for one in pairs] == ["🙂 né Ana.", "Ĉu Ana?", "Ana venis."]


@pytest.mark.parametrize("shift", [1, 3, -2])
def test_most_offsets_may_not_be_wrong_where_answers_occur_twice(shift: int, tmp_path: Path) -> None:
    context = "Ana saw Eve. Eve saw Ana. Bob saw Eve and Ana."
    starts = [match.start() for match in re.finditer("Ana|Eve", context)][1:]
    file = squad(context, [(context[start : start + 3], start + shift) for start in starts])
    put({"squad/train-v1.1.json": file, "targets/xquad/xquad.en.json": file}, tmp_path)
    with pytest.raises(
        InputError, match=r"^squad/train-v1\.1\.json:data.*: expected offsets in characters, UTF-8 bytes"
    ):
        get(tmp_path, "squad", "train")
    with pytest.raises(InputError, match=r"found 5 of 5 that are none of these; correct `answer_start`, or write null"):
        get(tmp_path, "squad_pairs", "train")
    assert [one.answers[0].text for one in get(tmp_path, "xquad", "test")[0]] == ["Eve", "Eve", "Ana", "Eve", "Ana"]
    (tmp_path / "squad/train-v1.1.json").write_bytes(squad(context, [("Bob", 27), ("Ana", 0)]))
    assert get(tmp_path, "squad", "train")[1] == {"repaired: answer moved to its nearest occurrence": 1}


def test_rows_in_other_languages_are_counted_where_no_other_is_left(tmp_path: Path) -> None:
    rows = "language\tgold_label\tsentence1\tsentence2\n" + "de\tneutral\tA\tB\n" * 3
    put({"XNLI-1.0/xnli.dev.tsv": rows.encode()}, tmp_path)
    with pytest.raises(InputError, match=r"found none: all 3 rows were dropped: 3 not in 'sw'"):
        get(tmp_path, "xnli", "validation", "sw")


def test_rows_in_memory_may_hold_half_an_emoji(tmp_path: Path) -> None:
    rows = [{"text": f"x \ud83d {n}", "label": "ab"[n % 2]} for n in range(4)]
    own = Task.from_dataset("own_rows", rows, format="classification", folder=tmp_path)
    found, noted = get(tmp_path, own, "train")
    assert found[0].text_a == "x \ufffd 0"
    assert noted == {"repaired: lone surrogate in 'text_a' replaced by U+FFFD": 4}


@LAW
@given(word=st.sampled_from(["Nîmes", "Zürich", "한국", "Ångström", "ñandú"]), both=st.booleans())
def test_answers_are_found_in_either_normal_form(
    tmp_path_factory: pytest.TempPathFactory, word: str, both: bool
) -> None:
    forms = ("NFC", "NFD") if both else ("NFD", "NFC")
    context, answer = (
        unicodedata.normalize(form, text) for form, text in zip(forms, (f"é {word}.", word), strict=True)
    )
    folder = tmp_path_factory.mktemp("forms")
    put({"squad/train-v1.1.json": squad(context, [(answer, 2)])}, folder)
    (found,), noted = get(folder, "squad", "train")
    span = found.answers[0]
    assert context[span.start :].startswith(span.text)
    assert unicodedata.normalize("NFC", span.text) == word
    assert sum(times for reason, times in noted.items() if "normalisation" in reason) == 1


# Quoted fields.

fields = st.text('ab"\n\t ', min_size=1, max_size=6).filter(lambda text: text.strip())


@settings(LAW, max_examples=60)
@given(records=st.lists(st.tuples(fields, fields), min_size=1, max_size=4))
@example(records=[("a", "b\n\nc"), ("d", "e")])
@example(records=[('"half', "a\tb"), ("x", '"q"')])
def test_quoted_fields_may_hold_tabs_and_span_lines(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, str]]
) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
    rows = [(str(n), str(n), "7", a, b, "1") for n, (a, b) in enumerate(records)]
    writer.writerows([("id", "qid1", "qid2", "question1", "question2", "is_duplicate"), *rows])
    assume(
        sum(line.count("\t") == 5 for line in stream.getvalue().split("\n"))
        == 1 + sum(not re.search(r"[\n\t]", a + b) for a, b in records)
    )  # else a line within a record looks like a record
    folder = tmp_path_factory.mktemp("tsv")
    put({"glue/QQP/train.tsv": stream.getvalue().encode()}, folder)
    found, noted = get(folder, "qqp", "train")
    assert [(one.text_a, one.text_b) for one in found] == [(a.strip(), b.strip()) for a, b in records]
    assert noted.get("noted: record over several lines", 0) == sum("\n" in a + b for a, b in records)


# Columns of words.


@LAW
@given(
    sentences=st.lists(
        st.lists(st.sampled_from(["Anna", "-", "#1", "\u00a0", "東\u3000京"]), min_size=1, max_size=3),
        min_size=1,
        max_size=4,
    ),
    between=st.sampled_from(["\t", " ", "   ", " \t "]),
    end=st.sampled_from(["", " ", "\t", " \t"]),
    begin=st.sampled_from(["", "-DOCSTART- -X- O O\n\n", "-DOCSTART-\tO\n\n"]),
)
def test_words_are_read_however_their_columns_are_separated(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[list[str]], between: str, end: str, begin: str
) -> None:
    folder = tmp_path_factory.mktemp("conll")
    blocks = ["".join(f"{word}{between}O\n" for word in words) + f"{end}\n" for words in sentences]
    own = replace(task("panx"), name="own_ner", sources=task("panx").sources[:1])
    if between == " \t ":  # tabs and spaces: to be said
        source = own.sources[0]
        own = replace(own, sources=(replace(source, options={**source.options, "separator": "blanks"}),))
    put({"xtreme/panx/train-en.tsv": (begin + "".join(blocks)).encode()}, folder)
    found, noted = get(folder, own, "train")
    assert [list(one.tokens) for one in found] == sentences
    assert all(set(one.tags) == {"O"} for one in found)
    assert ("noted: columns separated by spaces" in noted) == (between in (" ", "   "))


@pytest.mark.parametrize(
    ("columns", "line"), [(("tag", "token"), "O Anna"), (("x", "token", "y", "tag"), "1 Anna NNP O")]
)
def test_columns_may_have_any_order(columns: tuple[str, ...], line: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"{line}\n")
    (row,) = read("tagged", [Input(tmp_path / "a.txt", "a.txt")], {"columns": columns}, Report())
    assert (row.values["tokens"], row.values["tags"]) == (("Anna",), ("O",))
    with pytest.raises(InputError, match=r"a\.txt:1: expected 1 columns|a\.txt:1: .*name the columns of the file in"):
        list(
            read(
                "tagged", [Input(tmp_path / "a.txt", "a.txt")], {"columns": ("token",), "separator": "blanks"}, Report()
            )
        )


def test_words_may_have_spaces_where_tabs_separate(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("New York\tB-LOC\nis\tO\n \t\nOK\tO\n")
    found = read("tagged", [Input(tmp_path / "a.txt", "a.txt")], {"columns": ("token", "tag")}, Report())
    assert [row.values["tokens"] for row in found] == [("New York", "is"), ("OK",)]


def test_a_separator_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Anna|O\n")
    files = [Input(tmp_path / "a.txt", "a.txt")]
    options: dict[str, Any] = {"columns": ("token", "tag"), "separator": "|"}
    assert next(iter(read("tagged", files, options, Report()))).values["tags"] == ("O",)
    with pytest.raises(InputError, match=r"unknown separator 'comma'; give 'tab', 'blanks' or one character"):
        list(read("tagged", files, {**options, "separator": "comma"}, Report()))


# Choices that differ in number.


@settings(LAW, max_examples=4)
@given(counts=st.lists(st.integers(2, 5), min_size=2, max_size=5))
@example(counts=[3, 5, 3, 5])
def test_questions_are_scored_over_their_own_choices(families: Any, counts: list[int]) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    tokens, how = Tokenizer.of(tokenizer("xlm-roberta")), task_format("multiple_choice")
    network = Network(families.backbone("xlm-roberta"))
    attach(network, "head", "multiple_choice", 0, families["xlm-roberta"])
    network.eval()
    examples = [
        MultipleChoiceExample(str(n), "a b", "c", tuple("abcde"[:count]), count - 1) for n, count in enumerate(counts)
    ]
    inputs = how.encode(examples, tokens, 12, (), Counter())
    alone = [how.collate([one], tokens) for one in inputs]
    together = how.collate(inputs, tokens)
    with torch.inference_mode():
        answers = how.predict(network, "head", together, inputs)
        expected = [how.predict(network, "head", one, [unit])[0] for one, unit in zip(alone, inputs, strict=True)]
    assert [len(answer) for answer in answers] == counts
    for answer, wanted in zip(answers, expected, strict=True):
        assert answer == pytest.approx(wanted, abs=1e-4)
        assert sum(math.exp(value) for value in answer) == pytest.approx(1, abs=1e-4)
    decoded = how.decode(answers, inputs, examples, ())
    assert all(line["prediction"] < count for line, count in zip(decoded, counts, strict=True))
    loss = how.loss(network, "head", together)
    loss.backward()
    assert loss.item() == pytest.approx(sum(how.loss(network, "head", one).item() for one in alone), rel=1e-4)
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    assert together.to(torch.device("cpu")).sequence_counts == together.sequence_counts


# A language that chooses the layer.


def test_without_the_language_that_chooses_it_the_layer_is_the_literatures(tmp_path: Path) -> None:
    put({f"targets/tatoeba_laser/tatoeba.swh-eng.{code}": b"A.\nB.\n" for code in ("swh", "eng")}, tmp_path)
    run = Run(
        Encoder("xlmr", "cd" * 32, "/x"),
        (),
        task("tatoeba"),
        Recipes("small"),
        1,
        only_languages=("sw",),
        data=tmp_path,
    )
    assert run.scores()["sw"].arguments["tuned_from"] is None
    put({f"targets/tatoeba_laser/tatoeba.dan-eng.{code}": b"A.\nB.\n" for code in ("dan", "eng")}, tmp_path)
    chosen = replace(run, seed=2).scores()["sw"].arguments["tuned_from"]
    assert chosen.arguments["gold"].arguments["data"].language == "da"
