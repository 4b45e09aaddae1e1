"""Data: examples are what the files say, whichever form they come in; what is wrong is told with file and line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xstilts.data.dataset import DataFile, DatasetSplit, examples, read
from xstilts.data.examples import (
    AnswerSpan,
    BitextExample,
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    QAExample,
    TaggingExample,
    TextExample,
)
from xstilts.data.readers import Report
from xstilts.errors import InputError
from xstilts.tasks.base import task, task_in_languages


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def put_parquet(
    folder: Path, name: str, rows: list[dict[str, Any]], names: Mapping[str, list[str]] | None = None
) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    features = {column: {"feature": {"names": labels}} for column, labels in (names or {}).items()}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata(metadata), path)


def get(folder: Path, name: str, split: str, language: str = "en") -> tuple[list[Example], Report]:
    report = Report()
    return list(examples(task(name).data(split, language, folder), folder, report)), report


def squad(*questions: Mapping[str, Any], context: str = "Ada wrote it. Ada knew.") -> str:
    return json.dumps({"data": [{"paragraphs": [{"context": context, "qas": list(questions)}]}]})


def question(id: str, *answers: tuple[str, int], **more: Any) -> dict[str, Any]:
    given = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": id, "question": " Who? ", "answers": given, **more}


# The hub's form and the original form are the same examples.


def test_xnli_is_the_same_from_files_and_from_the_hub(tmp_path: Path) -> None:
    labels = ["entailment", "neutral", "contradiction"]
    rows = [(f'Sentensi "{n}".', f"Nyingine {n}.", labels[n]) for n in range(3)]
    put(tmp_path / "a", "xtreme/xnli/dev-sw.tsv", "".join("\t".join(row) + "\n" for row in rows))
    hub = [{"premise": a, "hypothesis": b, "label": labels.index(label)} for a, b, label in rows]
    put_parquet(tmp_path / "b", "hub/facebook/xnli/sw/validation-00000-of-00001.parquet", hub)
    header = "language\tgold_label\tsentence1\tsentence2\n"
    original = [f"{code}\t{row[2]}\t{row[0]}\t{row[1]}\n" for row in rows for code in ("de", "sw")]
    put(tmp_path / "c", "XNLI-1.0/xnli.dev.tsv", header + "".join(original).replace("contradiction", "contradictory"))
    read = [get(tmp_path / folder, "xnli", "validation", "sw")[0] for folder in "abc"]
    assert read[0] == read[1] == read[2]
    assert read[0][1] == ClassificationExample("1", 'Sentensi "1".', "Nyingine 1.", "neutral")


def test_xquad_is_the_same_from_files_and_from_the_hub(tmp_path: Path) -> None:
    put(tmp_path / "a", "targets/xquad/xquad.ro.json", squad(question("x", ("Ada", 14)), question("y", ("it", 10))))
    answers = [{"text": ["Ada"], "answer_start": [14]}, {"text": ["it"], "answer_start": [10]}]
    context = {"context": "Ada wrote it. Ada knew.", "question": "Who?"}
    hub = [{"id": id, **context, "answers": answer} for id, answer in zip("xy", answers, strict=True)]
    put_parquet(tmp_path / "b", "hub/google/xquad/xquad.ro/validation-00000-of-00001.parquet", hub)
    read = [get(tmp_path / folder, "xquad", "test", "ro")[0] for folder in "ab"]
    assert read[0] == read[1]
    assert read[0][0] == QAExample("x", "Ada wrote it. Ada knew.", "Who?", (AnswerSpan("Ada", 14),))


def test_xcopa_is_the_same_from_files_and_from_the_hub(tmp_path: Path) -> None:
    row = {"premise": "Mvua", "choice1": "A", "choice2": "B", "label": 1, "idx": 0, "changed": False}
    rows = [{**row, "question": "cause"}, {**row, "question": "effect", "idx": 1}]
    put(tmp_path / "a", "targets/xcopa/data/sw/test.sw.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    put_parquet(tmp_path / "b", "hub/cambridgeltl/xcopa/sw/test-00000-of-00001.parquet", rows)
    read = [get(tmp_path / folder, "xcopa", "test", "sw")[0] for folder in "ab"]
    assert read[0] == read[1]
    assert read[0] == [
        MultipleChoiceExample("0", "Mvua", "What was the cause of this?", ("A", "B"), 1),
        MultipleChoiceExample("1", "Mvua", "What happened as a result?", ("A", "B"), 1),
    ]


def test_udpos_is_the_same_from_files_and_from_the_hub(tmp_path: Path) -> None:
    put(tmp_path / "a", "xtreme/udpos/dev-ur.tsv", "Mtu\tNOUN\nhuyu\tDET\n\nSoma\tVERB\n\n")
    labels = list(task("udpos").labels)
    hub = [{"tokens": ["Mtu", "huyu"], "pos_tags": [7, 5]}, {"tokens": ["Soma"], "pos_tags": [15]}]
    for folder, names in (("b", {}), ("c", {"pos_tags": labels})):
        put_parquet(tmp_path / folder, "hub/google/xtreme/udpos.Urdu/validation-00000-of-00001.parquet", hub, names)
    read = [get(tmp_path / folder, "udpos", "validation", "ur")[0] for folder in "abc"]
    assert read[0] == read[1] == read[2]
    assert read[0][0] == TaggingExample("0", ("Mtu", "huyu"), ("NOUN", "DET"))


def test_udpos_on_the_hub_is_found_by_the_language_name(tmp_path: Path) -> None:
    put_parquet(tmp_path, "hub/google/xtreme/udpos.Kazakh/test-0.parquet", [{"tokens": ["a"], "pos_tags": [0]}])
    assert get(tmp_path, "udpos", "test", "kk")[0] == [TaggingExample("0", ("a",), ("ADJ",))]


def test_tatoeba_is_the_same_from_files_and_from_both_hub_forms(tmp_path: Path) -> None:
    put(tmp_path / "a", "targets/tatoeba_laser/tatoeba.swh-eng.swh", "Moja.\nMbili.\n")
    put(tmp_path / "a", "targets/tatoeba_laser/tatoeba.swh-eng.eng", "One.\nTwo.\n")
    pairs = [("Moja.", "One."), ("Mbili.", "Two.")]
    first = [{"source_sentence": a + "\n", "target_sentence": b + "\n"} for a, b in pairs]
    put_parquet(tmp_path / "b", "hub/google/xtreme/tatoeba.swh/validation-0.parquet", first)
    second = [{"sentence1": a, "sentence2": b} for a, b in pairs]
    put_parquet(tmp_path / "c", "hub/mteb/tatoeba-bitext-mining/swh-eng/test-0.parquet", second)
    read = [get(tmp_path / folder, "tatoeba", "test", "sw")[0] for folder in "abc"]
    assert read[0] == read[1] == read[2] == [BitextExample("0", "Moja.", "One."), BitextExample("1", "Mbili.", "Two.")]


def test_tydiqa_on_the_hub_is_split_by_the_language_of_its_ids(tmp_path: Path) -> None:
    row = {"context": "Ada.", "question": "Who?", "answers": {"text": ["Ada"], "answer_start": [0]}}
    rows = [{"id": f"{name}-{n}", **row} for n, name in enumerate(["swahili", "english", "swahili"])]
    hub = "hub/google-research-datasets/tydiqa/secondary_task"
    put_parquet(tmp_path, f"{hub}/validation-0.parquet", rows)
    put_parquet(tmp_path, f"{hub}/train-0.parquet", rows)
    assert [example.id for example in get(tmp_path, "tydiqa", "test", "sw")[0]] == ["swahili-0", "swahili-2"]
    assert [example.id for example in get(tmp_path, "tydiqa", "train", "en")[0]] == ["english-1"]


def test_csqa_is_the_same_from_files_and_from_the_hub(tmp_path: Path) -> None:
    labels, texts = list("ABCDE"), ["a", "b", "c", "d", "e"]
    choices = [{"label": label, "text": text} for label, text in zip(labels, texts, strict=True)]
    row = {"id": "7", "answerKey": "C", "question": {"stem": "Why?", "choices": choices}}
    put(tmp_path / "a", "intermediate/commonsenseqa_v1.11/train_rand_split.jsonl", json.dumps(row) + "\n")
    hub = {"id": "7", "answerKey": "C", "question": "Why?", "choices": {"label": labels, "text": texts}}
    put_parquet(tmp_path / "b", "hub/tau/commonsense_qa/default/train-0.parquet", [hub])
    read = [get(tmp_path / folder, "csqa", "train")[0] for folder in "ab"]
    assert read[0] == read[1] == [MultipleChoiceExample("7", "", "Why?", ("a", "b", "c", "d", "e"), 2)]


# Hidden labels are hidden, and never chosen where there are gold ones.


def test_gold_labels_come_before_hidden_ones(tmp_path: Path) -> None:
    put(tmp_path, "xtreme/xnli/test-sw.tsv", "A\tB\n")
    found, report = get(tmp_path, "xnli", "test", "sw")
    assert found == [ClassificationExample("0", "A", "B", None)]
    assert report.counts["noted: label hidden"] == 1
    put(tmp_path, "targets/xnli_test_gold/test-sw.tsv", "A\tB\tneutral\n")
    assert get(tmp_path, "xnli", "test", "sw")[0] == [ClassificationExample("0", "A", "B", "neutral")]


def test_filler_labels_of_xtreme_are_no_labels(tmp_path: Path) -> None:
    row = {"premise": "P", "choice1": "A", "choice2": "B", "question": "cause", "label": 0, "idx": 0}
    put(tmp_path, "xtreme/xcopa/test-sw.jsonl", json.dumps(row) + "\n")
    assert get(tmp_path, "xcopa", "test", "sw")[0][0].label is None
    put(tmp_path, "xtreme/panx/test-sw.tsv", "A\nb\n\n")
    assert get(tmp_path, "panx", "test", "sw")[0] == [TaggingExample("0", ("A", "b"), ())]
    dev = "xtreme/tydiqa/tydiqa-goldp-v1.1-dev/tydiqa.goldp.sw.dev.json"
    put(tmp_path, dev, squad(question("swahili-1", ("", 0))))
    found, report = get(tmp_path, "tydiqa", "test", "sw")
    assert found == [QAExample("swahili-1", "Ada wrote it. Ada knew.", "Who?", ())]
    assert report.counts == {"noted: answers hidden": 1}


@pytest.mark.parametrize("split", ["validation", "test"])
def test_labels_are_hidden_only_where_the_source_says_so(tmp_path: Path, split: str) -> None:
    row = {"premise": "A", "hypothesis": "B"}
    put_parquet(tmp_path, f"hub/facebook/xnli/sw/{split}-0.parquet", [row])
    with pytest.raises(InputError, match=r"-0\.parquet:row 1: expected a label, found none; .* labels are `withheld`"):
        get(tmp_path, "xnli", split, "sw")


def test_tags_are_hidden_only_where_the_source_says_so(tmp_path: Path) -> None:
    put_parquet(tmp_path, "hub/google/xtreme/PAN-X.en/validation-0.parquet", [{"tokens": ["a"], "ner_tags": None}])
    with pytest.raises(InputError, match=r"validation-0\.parquet:row 1: expected a label, found none"):
        get(tmp_path, "panx", "validation")


def test_an_empty_label_is_none(tmp_path: Path) -> None:
    put_parquet(
        tmp_path, "hub/facebook/xnli/sw/validation-0.parquet", [{"premise": "A", "hypothesis": "B", "label": None}]
    )
    with pytest.raises(InputError, match=r"validation-0\.parquet:row 1: expected a label, found none; correct the row"):
        get(tmp_path, "xnli", "validation", "sw")


# Labels.

XNLI = "xtreme/xnli/dev-en.tsv"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("A\tB\tneutral\nA\tB\tneutrall\n", r"dev-en\.tsv:2: expected one of the labels entailment, neutral, contradiction, found 'neutrall'; did you mean 'neutral'\?"),
        ("A\tB\t3\n", r"dev-en\.tsv:1: expected one of the labels .*, found '3'"),
        ("s1\ts2\tgold_label\n", r"dev-en\.tsv:1: .* found 'gold_label'; .*a first line with names of columns is no row"),
        ("A\tB\t\n", r"dev-en\.tsv:1: expected a label, found none"),
        ("A\tB\n", r"dev-en\.tsv:1: expected 3 columns \(text_a, text_b, label\), found 2"),
        (b"\xef\xbb\xbf\r\n", r"dev-en\.tsv: expected examples of xnli-validation-en, found none; the file is empty"),
        ("", r"dev-en\.tsv: expected examples of xnli-validation-en, found none"),
        (b"A\tB\xe9\tneutral\n", r"dev-en\.tsv:1: expected UTF-8, found byte 0xe9 at byte 4 of the line"),
    ],
)  # fmt: skip
def test_bad_rows_are_told_with_file_and_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    put(tmp_path, XNLI, content)
    with pytest.raises(InputError, match=message):
        get(tmp_path, "xnli", "validation")


def test_windows_files_with_a_mark_are_read_and_counted(tmp_path: Path) -> None:
    put(tmp_path, XNLI, b"\xef\xbb\xbfA\tB\tneutral\r\nC\t\tcontradiction\r\n")
    found, report = get(tmp_path, "xnli", "validation")
    assert found == [
        ClassificationExample("0", "A", "B", "neutral"),
        ClassificationExample("1", "C", "", "contradiction"),
    ]
    assert report.counts == {
        "repaired: byte order mark": 1,
        "repaired: Windows line end": 2,
        "noted: 'text_b' is empty": 1,
        "noted: 2 examples where 2490 are expected": 1,
    }


def test_rows_without_a_gold_label_are_dropped_and_counted(tmp_path: Path) -> None:
    rows = [{"premise": "A", "hypothesis": "B", "label": label} for label in (-1, 0)]
    put_parquet(tmp_path, "hub/stanfordnlp/snli/plain_text/train-0.parquet", rows)
    found, report = get(tmp_path, "snli", "train")
    assert found == [ClassificationExample("1", "A", "B", "entailment")]
    assert report.places["dropped: no gold label"] == ["hub/stanfordnlp/snli/plain_text/train-0.parquet:row 1"]


def test_an_unknown_tag_is_told_with_its_own_line(tmp_path: Path) -> None:
    put(tmp_path, "xtreme/panx/train-en.tsv", "A\tO\n\nB\tO\nC\tB-PRE\n\n")
    with pytest.raises(
        InputError, match=r"train-en\.tsv:4: expected one of the labels .*, found 'B-PRE'; did you mean 'B-PER'"
    ):
        get(tmp_path, "panx", "train")


def test_tags_and_words_must_be_as_many(tmp_path: Path) -> None:
    put_parquet(tmp_path, "hub/google/xtreme/PAN-X.en/train-0.parquet", [{"tokens": ["a", "b"], "ner_tags": [0]}])
    with pytest.raises(InputError, match=r"row 1: expected a tag for each of 2 words, found 1"):
        get(tmp_path, "panx", "train")


@pytest.mark.parametrize("label", [2, -1, "x"])
def test_a_choice_out_of_range_is_told(tmp_path: Path, label: object) -> None:
    row = {"premise": "P", "choice1": "A", "choice2": "B", "question": "cause", "label": label, "idx": 0}
    put(tmp_path, "targets/xcopa/data/sw/val.sw.jsonl", json.dumps(row) + "\n")
    with pytest.raises(InputError, match=rf"val\.sw\.jsonl:1: expected a choice from 0 to 1, found label {label!r}"):
        get(tmp_path, "xcopa", "validation", "sw")


def test_a_row_that_a_source_does_not_know_is_told(tmp_path: Path) -> None:
    put(tmp_path, "targets/xcopa/data/sw/val.sw.jsonl", '{"premise": "P"}\n')
    with pytest.raises(
        InputError, match=r"val\.sw\.jsonl:1: expected a row that `ask` can convert, found .*KeyError\('choice1'\)"
    ):
        get(tmp_path, "xcopa", "validation", "sw")
    put_parquet(tmp_path, "hub/facebook/xnli/sw/validation-0.parquet", [{"premise": "A", "label": 0}])
    with pytest.raises(InputError, match=r"row 1: expected the column hypothesis, found premise, label"):
        get(tmp_path, "xnli", "validation", "sw")


# Answers.

XQUAD = "targets/xquad/xquad.en.json"
TRAIN = "squad/train-v1.1.json"


def test_an_answer_elsewhere_is_moved_to_its_nearest_occurrence(tmp_path: Path) -> None:
    put(tmp_path, XQUAD, squad(question("x", ("Ada", 12)), question("y", ("Ada", 5))))
    found, report = get(tmp_path, "xquad", "test")
    assert [example.answers for example in found] == [(AnswerSpan("Ada", 14),), (AnswerSpan("Ada", 0),)]
    assert report.places["repaired: answer moved to its nearest occurrence"] == [
        f"{XQUAD}:data[0].paragraphs[0].qas[{n}]" for n in (0, 1)
    ]


def test_an_answer_that_is_nowhere_is_kept_for_evaluation_and_dropped_for_training(tmp_path: Path) -> None:
    content = squad(question("x", ("Bob", 0)), question("y", ("Ada", 0)), question("z"))
    put(tmp_path, XQUAD, squad(question("x", ("Bob", 0)), question("y", ("Ada", 0))))
    put(tmp_path, TRAIN, content)
    found, report = get(tmp_path, "xquad", "test")
    assert found[0].answers == (AnswerSpan("Bob", -1),)
    assert report.counts["kept: answer not in its context"] == 1
    put(tmp_path, XQUAD, content)
    with pytest.raises(InputError, match=r"qas\[2\]: expected an answer as other questions have, found none"):
        get(tmp_path, "xquad", "test")
    found, report = get(tmp_path, "squad", "train")
    assert [example.id for example in found] == ["y"]
    assert report.counts["dropped: answer not in its context"] == 1
    assert report.counts["dropped: question without an answer"] == 1


def test_unanswerable_questions_are_no_errors_in_either_form(tmp_path: Path) -> None:
    rows = [question("x", is_impossible=True, plausible_answers=[]), question("y", ("Ada", 0), is_impossible=False)]
    put(tmp_path / "a", "squad2/train-v2.0.json", squad(*rows))
    context = {"context": "Ada wrote it. Ada knew.", "question": "Who?"}
    answers = [{"text": [], "answer_start": []}, {"text": ["Ada"], "answer_start": [0]}]
    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("id", "context", "question")),
            ("answers", pa.struct({"text": pa.list_(pa.string()), "answer_start": pa.list_(pa.int32())})),
        ]
    )
    hub = [{"id": id, **context, "answers": answer} for id, answer in zip("xy", answers, strict=True)]
    path = tmp_path / "b/hub/rajpurkar/squad_v2/squad_v2/train-0.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(hub, schema), path)
    read = [get(tmp_path / folder, "squad2", "train")[0] for folder in "ab"]
    assert read[0] == read[1]
    assert [example.unanswerable for example in read[0]] == [True, False]


def test_answers_of_another_shape_are_told(tmp_path: Path) -> None:
    put(tmp_path, XQUAD, squad({**question("x"), "answers": [{"text": "Ada"}]}))
    with pytest.raises(InputError, match=r"qas\[0\]: expected answers with text and answer_start, found .*\"Ada\""):
        get(tmp_path, "xquad", "test")


def test_ids_must_occur_once_unless_they_are_positions(tmp_path: Path) -> None:
    put(tmp_path, XQUAD, squad(question("x", ("Ada", 0)), question("x", ("it", 10))))
    with pytest.raises(
        InputError, match=r"qas\[1\]: expected ids that occur once, found 'x' again \(first at .*qas\[0\]\)"
    ):
        get(tmp_path, "xquad", "test")
    train = "xtreme/tydiqa/tydiqa-goldp-v1.1-train/tydiqa.goldp.en.train.json"
    put(tmp_path, train, squad(question("1", ("Ada", 0)), question("1", ("it", 10))))
    assert [example.id for example in get(tmp_path, "tydiqa", "train")[0]] == ["0", "1"]


# Parts, files and the other formats.


def test_parts_do_not_overlap_and_keep_their_places(tmp_path: Path) -> None:
    verses = "".join(f'<seg id="v{n}">Neno {n}</seg>\n' for n in range(503))
    put(tmp_path, "text/bible/Swahili-NT.xml", f"<b>\n{verses}</b>")
    train, last = (get(tmp_path, "bible", split, "sw")[0] for split in ("train", "validation"))
    assert train == [TextExample("v0", "Neno 0"), TextExample("v1", "Neno 1"), TextExample("v2", "Neno 2")]
    assert (last[0], len(last)) == (TextExample("v3", "Neno 3"), 500)


def test_texts_of_all_files_follow_each_other(tmp_path: Path) -> None:
    put(tmp_path, "text/common_voice/zh-CN/b.txt", "二\n")
    put(tmp_path, "text/common_voice/zh-CN/a.txt", "一\n\n")
    found, report = get(tmp_path, "common_voice", "train", "zh")
    assert found == [TextExample("0", "一"), TextExample("1", "二")]
    assert report.counts == {"dropped: blank line": 1}


def test_a_file_that_changed_after_planning_is_told(tmp_path: Path) -> None:
    put(tmp_path, XNLI, "A\tB\tneutral\n")
    data = task("xnli").data("validation", "en", tmp_path)
    put(tmp_path, XNLI, "A\tB\tentailment\n")
    with pytest.raises(InputError, match=r"dev-en\.tsv has changed since it was planned; plan again"):
        list(examples(data, tmp_path, Report()))
    (tmp_path / XNLI).unlink()
    with pytest.raises(InputError, match=r"dev-en\.tsv does not exist any more; plan again"):
        list(examples(data, tmp_path, Report()))
    with pytest.raises(
        InputError, match=r"xnli-validation-en is read from files, and no data folder is given; .* --data"
    ):
        list(examples(data, None, Report()))


def test_data_are_the_same_wherever_they_lie(tmp_path: Path) -> None:
    for folder in "ab":
        put(tmp_path / folder, XNLI, "A\tB\tneutral\n")
    planned = [task("xnli").data("validation", "en", tmp_path / folder) for folder in "ab"]
    assert planned[0] == planned[1]
    assert planned[0].files == (DataFile.of(tmp_path / "a" / XNLI, tmp_path / "a"),)


def test_sandbox_tasks_are_read_without_files() -> None:
    data = task("sandbox_nli").data("test", "qab", None)
    first = next(iter(examples(data, None, Report())))
    assert isinstance(first, ClassificationExample)
    assert first.label in data.labels


@pytest.mark.parametrize("name", ["sandbox_nli", "sandbox_ner", "sandbox_qa", "sandbox_retrieval"])
def test_a_sample_of_test_examples_is_spread_evenly_and_changes_no_other_split(name: str) -> None:
    whole, few = task(name), task_in_languages(name, " ".join(task(name).languages), 7)
    code, other = whole.languages[:2]
    everything = list(examples(whole.data("test", code, None), None, Report()))
    report = Report()
    taken = list(examples(few.data("test", code, None), None, report))
    places = [everything.index(example) for example in taken]
    gaps = [after - before for before, after in pairwise(places)]
    assert (len(taken), places[0]) == (7, 0)
    assert max(gaps) - min(gaps) <= 1
    assert [f"noted: 7 of {len(everything)} examples taken, spread evenly"] == list(report.counts)
    again = [example.id for example in examples(few.data("test", other, None), None, Report())]
    whole_of_other = [example.id for example in examples(whole.data("test", other, None), None, Report())]
    assert [whole_of_other.index(id) for id in again] == places
    assert read(few.data("test", code, None)).key != read(whole.data("test", code, None)).key
    if whole.learned_from:
        assert few.data("train", whole.trained_in[0], None) == whole.data("train", whole.trained_in[0], None)
    more = task_in_languages(name, code, 10**6)
    assert list(examples(more.data("test", code, None), None, Report())) == everything


def test_a_sample_of_what_is_searched_as_a_whole_is_refused(tmp_path: Path) -> None:
    for side in ("zh", "en"):
        put(tmp_path, f"xtreme/bucc2018/zh-en.dev.{side}", "".join(f"{side}-{n}\ttext {n}\n" for n in range(8)))
    put(tmp_path, "xtreme/bucc2018/zh-en.dev.gold", "".join(f"zh-{n}\ten-{n}\n" for n in range(8)))
    mining = task_in_languages("bucc_small", "zh", 5)
    with pytest.raises(InputError, match="searched as a whole; leave out the number of test examples"):
        list(examples(mining.data("test", "zh", tmp_path), tmp_path, Report()))
    with pytest.raises(InputError, match="cannot be measured on 0 test examples"):
        task_in_languages("sandbox_nli", "qaa", 0)


def test_reports_can_be_written_as_json(tmp_path: Path) -> None:
    put(tmp_path, XNLI, b"A\tB\tneutral\r\n")
    report = get(tmp_path, "xnli", "validation")[1]
    assert json.loads(json.dumps(vars(report))) == vars(report)


def test_reading_is_lazy(tmp_path: Path) -> None:
    put(tmp_path, XNLI, "A\tB\tneutral\nA\tB\toops\n")
    found: Iterable[Example] = examples(task("xnli").data("validation", "en", tmp_path), tmp_path, Report())
    assert next(iter(found)).id == "0"


def test_a_part_is_identity(tmp_path: Path) -> None:
    put(tmp_path, XNLI, "A\tB\tneutral\nC\tD\tneutral\n")
    data: DatasetSplit = replace(task("xnli").data("validation", "en", tmp_path), part=(1, None))
    assert [example.id for example in examples(data, tmp_path, Report())] == ["1"]
