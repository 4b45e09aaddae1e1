"""Tasks of the user's own files, rows and hub data sets: made, trained on, predicted, and the same when moved."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from hubserver import Hub, serving
from xstilts.data.dataset import examples
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
from xstilts.experiments.run import Recipes, Run
from xstilts.models.encoder import Encoder
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.store.local_executor import build_all
from xstilts.store.stage import folder_of
from xstilts.tasks import download
from xstilts.tasks.base import Task

FILES = {"train": "train.csv", "validation": "dev.csv", "test/{language}": "test-{language}.csv"}
ROWS = [("cab dab", "pos"), ("fig jig", "neg")]
BRIEF = Recipes("small", ("steps=2", "batch_size=2"), ("steps=2", "batch_size=2"))
CONLL = "-DOCSTART- -X- O\n\nAnna NNP B-PER\nruns VBZ O\n\nin IN O\nBonn NNP B-LOC\n\n"


def put(folder: Path, **files: str) -> Path:
    """Write files; "__" in a name stands for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".").replace("_", "-")).write_text(text, encoding="utf-8")
    return folder


def csv(*rows: Sequence[str], header: str = "review,stars", by: str = ",") -> str:
    return "".join(f"{line}\n" for line in (header.replace(",", by), *(by.join(row) for row in rows)))


def jsonl(*rows: Mapping[str, Any]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def reviews(folder: Path, **changes: Any) -> Task:
    put(folder, train__csv=csv(*ROWS * 4), dev__csv=csv(*ROWS), test_sw__csv=csv(*ROWS), test_de__csv=csv(ROWS[0]))
    settings: dict[str, Any] = {"format": "classification", "text": "review", "label": "stars", "folder": folder}
    return Task.from_csv("reviews", FILES, **{**settings, **changes})


def read(task: Task, split: str = "train", code: str = "en", folder: Path | None = None) -> list[Example]:
    return list(examples(task.data(split, code, folder), folder, Report()))


def scored(task: Task, encoder: Encoder, machine: Runtime) -> dict[str, Any]:
    """Train on a task, predict it, and return the scores by language."""
    stages = Run(encoder, (), task, BRIEF, seed=1, data=machine.data).scores()
    build_all(tuple(stages.values()), machine)
    return {code: json.loads((folder_of(stage, machine) / "score.json").read_text()) for code, stage in stages.items()}


def test_csv_files_are_a_task_in_the_languages_of_its_files(tmp_path: Path) -> None:
    notes: list[str] = []
    progress.listen(lambda event: notes.append(event.label))
    task = reviews(tmp_path)
    assert (task.languages, task.labels, task.metric) == (("de", "sw"), ("neg", "pos"), "accuracy")
    assert notes == ["reviews: 2 labels in train.csv: neg, pos"]
    assert read(task)[:2] == [
        ClassificationExample("0", "cab dab", None, "pos"),
        ClassificationExample("1", "fig jig", None, "neg"),
    ]
    assert len(read(task, "test", "sw")) == 2
    assert len(read(task, "test", "de")) == 1
    assert not task.has("train", "sw", None)
    assert reviews(tmp_path, labels=["pos", "neg"], languages=["sw"]).labels == ("pos", "neg")


def test_a_csv_task_is_trained_predicted_and_scored_without_a_data_folder(
    tmp_path: Path, encoder: Encoder, machine: Runtime
) -> None:
    assert set(scored(reviews(tmp_path / "a"), encoder, machine)) == {"de", "sw"}


def test_keys_are_those_of_the_content_wherever_the_files_lie(tmp_path: Path, encoder: Encoder) -> None:
    here, there = (reviews(tmp_path / name) for name in ("here", "there"))
    keys = [
        {code: stage.key for code, stage in Run(encoder, (), task, BRIEF, seed=1, data=data).scores().items()}
        for task, data in ((here, None), (there, None), (here, tmp_path), (there, tmp_path / "here"))
    ]
    assert keys[0] == keys[1] == keys[2] == keys[3]
    put(tmp_path / "there", train__csv=csv(*ROWS * 5))
    moved = Run(encoder, (), there, BRIEF, seed=1).scores()
    assert {code: stage.key for code, stage in moved.items()} != keys[0]


def test_only_the_named_columns_are_read(tmp_path: Path) -> None:
    put(
        tmp_path,
        train__csv=csv(("7", "a", "x", "b", "1"), ("7", "c", "y", "d", "0"), header="id,text,text_b,more,label"),
    )
    task = Task.from_csv("t", {"train": tmp_path / "train.csv"}, format="classification")
    assert read(task) == [ClassificationExample("0", "a", None, "1"), ClassificationExample("1", "c", None, "0")]
    pair = Task.from_csv("t", {"train": tmp_path / "train.csv"}, format="classification", text_pair="more")
    assert read(pair)[0] == ClassificationExample("0", "a", "b", "1")
    with pytest.raises(InputError, match="expected ids that occur once, found '7' again"):
        read(Task.from_csv("t", {"train": tmp_path / "train.csv"}, format="classification", id="id"))


@pytest.mark.parametrize("by", [";", "\t"])
def test_columns_may_be_separated_otherwise(tmp_path: Path, by: str) -> None:
    put(tmp_path, train__csv=csv(("a, b", "x"), ('"c"', "y"), by=by, header="text,label"))
    task = Task.from_csv("t", {"train": tmp_path / "train.csv"}, format="classification", delimiter=by)
    assert [one.text_a for one in read(task) if isinstance(one, ClassificationExample)] == ["a, b", "c"]


def test_glob_characters_in_a_folder_and_several_files(tmp_path: Path) -> None:
    folder = put(tmp_path / "[1]", a1__csv=csv(ROWS[0]), a2__csv=csv(ROWS[1]))
    columns: dict[str, Any] = {"format": "classification", "text": "review", "label": "stars"}
    both = Task.from_csv("t", {"train": [folder / "a1.csv", folder / "a2.csv"]}, **columns)
    assert len(read(both)) == 2
    put(tmp_path / "b", a1__csv=csv(ROWS[0]), a2__csv=csv(ROWS[1]))
    assert len(read(Task.from_csv("t", {"train": tmp_path / "b/a*.csv"}, **columns))) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": "body"}, r"train\.csv:1: expected a header with the columns|train\.csv:2: expected the column body"),
        ({"label": "label"}, r"train\.csv:2: expected the column label, found review, stars; name the column"),
        ({"labels": ["good", "bad"]}, ""),
        ({"format": "passage_ranking"}, "no task of the format 'passage_ranking' can be made"),
        ({"tokens": "review"}, "the format 'classification' has no field 'tokens': it has text, label, text_pair and"),
        ({"languages": ["sw", "fr"]}, r"there is no file .*test-fr\.csv for 'fr' of task 'reviews'"),
        ({"languages": ["xx"]}, "task 'reviews': unknown language 'xx'"),
        ({"labels": ["pos"]}, "task 'reviews' needs two labels or more, each once; there are: pos"),
        ({"delimiter": "||"}, "is not one character"),
        ({"trained_in": ("en", "de")}, "'train' of task 'reviews' may be in en, de: give 'train/CODE' for each"),
    ],
)
def test_what_is_wrong_is_told_with_a_remedy(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    if message:
        with pytest.raises(InputError, match=message):
            reviews(tmp_path, **changes)
        return
    with pytest.raises(InputError, match=r"train\.csv:2: expected one of the labels good, bad, found 'pos'"):
        read(reviews(tmp_path, **changes))


def test_missing_files_and_names_are_told(tmp_path: Path) -> None:
    reviews(tmp_path)
    columns: dict[str, Any] = {"format": "classification", "text": "review", "label": "stars", "folder": tmp_path}
    with pytest.raises(
        InputError, match=r"there is no file .*no\.csv, which task 'a' has as 'train': correct the path"
    ):
        Task.from_csv("a", {"train": "no.csv"}, **columns)
    with pytest.raises(InputError, match="unknown split 'dev' of task 'a': give train, validation, test"):
        Task.from_csv("a", {"dev": "dev.csv"}, **columns)
    with pytest.raises(InputError, match=r"no file matches .*x-\{language\}\.csv"):
        Task.from_csv("a", {"test/{language}": "x-{language}.csv"}, **columns)
    with pytest.raises(InputError, match="there is a shipped task 'xnli'"):
        Task.from_csv("xnli", {"train": "train.csv"}, **columns)
    with pytest.raises(InputError, match="'a b' cannot name a task"):
        Task.from_csv("a b", {"train": "train.csv"}, **columns)
    with pytest.raises(InputError, match="task 'a' has no training data: give a 'train' file"):
        Task.from_csv("a", {"test": "dev.csv"}, **columns)
    put(tmp_path, test_final__csv=csv(*ROWS))
    with pytest.raises(InputError, match=r"test-final\.csv, which matches 'test/\{language\}' of task .*'final'"):
        Task.from_csv("a", FILES, **columns)


def test_a_target_is_learned_from_another_value_and_takes_its_labels(
    tmp_path: Path, encoder: Encoder, machine: Runtime
) -> None:
    source = reviews(tmp_path)
    columns: dict[str, Any] = {"format": "classification", "text": "review", "label": "stars", "folder": tmp_path}
    target = Task.from_csv("bare", {"test/sw": "dev.csv"}, learned_from=source, **columns)
    assert (target.labels, target.languages) == (("neg", "pos"), ("sw",))
    assert target.target_training_tasks() == (source,)
    assert target.learned_from_name == "reviews"
    assert set(scored(target, encoder, machine)) == {"sw"}
    both = replace(source, name="both", sources=(), joined=(source, source))
    assert [part.name for part, _ in both.training_parts()] == ["reviews", "reviews"]


def test_joined_values_are_trained_on_together(tmp_path: Path, encoder: Encoder, machine: Runtime) -> None:
    first = reviews(tmp_path / "a")
    second = replace(reviews(tmp_path / "b"), name="others")
    joined = replace(first, name="joined", sources=(), joined=(first, second))
    assert joined.joined_names == ("reviews", "others")
    run = Run(encoder, (joined,), first, BRIEF, seed=1)
    assert build_all(tuple(run.scores().values()), machine)


SQUAD = {
    "version": "1.1",
    "data": [
        {
            "paragraphs": [
                {
                    "context": "b zz b",
                    "qas": [{"id": "q1", "question": "who", "answers": [{"text": "zz", "answer_start": 2}]}],
                }
            ]
        }
    ],
}


@pytest.mark.parametrize("shape", ["document", "indented", "lines", "text", "csv"])
def test_questions_come_as_squad_or_as_lines(tmp_path: Path, encoder: Encoder, machine: Runtime, shape: str) -> None:
    answers: Any = "zz" if shape == "text" else {"text": ["zz"], "answer_start": [2]}
    texts = {
        "document": json.dumps(SQUAD),
        "indented": json.dumps(SQUAD, indent=1),
        "csv": csv(("b zz b", "who", "zz"), header="context,question,answers"),
    }
    path = tmp_path / "qa"
    path.write_text(texts.get(shape) or jsonl({"context": "b zz b", "question": "who", "answers": answers}))
    make = Task.from_csv if shape == "csv" else Task.from_json
    task = make("qa", {"train": path, "test": path}, format="extractive_qa")
    id = "q1" if shape in ("document", "indented") else "0"
    assert read(task) == [QAExample(id, "b zz b", "who", (AnswerSpan("zz", 2),))]
    assert (task.metric, task.labels, task.languages) == ("squad", (), ("en",))
    if shape == "lines":
        assert scored(task, encoder, machine)


def test_sentences_in_columns_and_in_lines(tmp_path: Path, encoder: Encoder, machine: Runtime) -> None:
    put(tmp_path, train__txt=CONLL)
    task = Task.from_conll("ner", {"train": tmp_path / "train.txt", "test": tmp_path / "train.txt"})
    expected = [
        TaggingExample("0", ("Anna", "runs"), ("B-PER", "O")),
        TaggingExample("1", ("in", "Bonn"), ("O", "B-LOC")),
    ]
    assert read(task) == expected
    assert (task.labels, task.metric) == (("B-LOC", "B-PER", "O"), "entity_f1")
    assert scored(task, encoder, machine)
    rows = [{"tokens": one.tokens, "tags": one.tags} for one in expected]
    put(tmp_path, train__jsonl=jsonl(*rows), train__csv=csv(("Anna runs", "NN VB"), header="tokens,tags"))
    lines = Task.from_json("ner", {"train": tmp_path / "train.jsonl"}, format="token_classification")
    assert read(lines) == expected
    words = Task.from_csv("pos", {"train": tmp_path / "train.csv"}, format="token_classification")
    assert (read(words), words.metric) == ([TaggingExample("0", ("Anna", "runs"), ("NN", "VB"))], "tag_accuracy")
    put(tmp_path, broken__txt="Anna NNP B-PER\nruns VBZ\n\n")
    with pytest.raises(InputError, match=r"broken\.txt:2: expected 3 columns \(token, column2, tag\), found 2"):
        Task.from_conll("ner", {"train": tmp_path / "broken.txt"})
    with pytest.raises(InputError, match="have no 'token' or no 'tag'"):
        Task.from_conll("ner", {"train": tmp_path / "train.txt"}, fields=("word", "tag"))


def test_choices_in_columns_and_in_lists(tmp_path: Path, encoder: Encoder, machine: Runtime) -> None:
    put(
        tmp_path,
        train__csv=csv(("a", "b", "c", "B"), ("d", "e", "f", "A"), header="question,one,two,answer"),
        train__jsonl=jsonl({"context": "x", "choices": ["b", "c"], "label": 1}),
    )
    task = Task.from_csv(
        "choices",
        {"train": tmp_path / "train.csv", "test": tmp_path / "train.csv"},
        format="multiple_choice",
        choices=("one", "two"),
        label="answer",
        labels=("A", "B"),
    )
    assert read(task)[0] == MultipleChoiceExample("0", "", "a", ("b", "c"), 1)
    assert task.labels == ()
    assert scored(task, encoder, machine)
    lists = Task.from_json("lists", {"train": tmp_path / "train.jsonl"}, format="multiple_choice")
    assert read(lists) == [MultipleChoiceExample("0", "x", "", ("b", "c"), 1)]


def test_pairs_and_raw_text(tmp_path: Path, encoder: Encoder, machine: Runtime) -> None:
    put(tmp_path, test_sw__csv=csv(("aba", "ab"), ("cdc", "cd"), header="sw,en"), text__jsonl=jsonl({"text": "a b a"}))
    pairs = Task.from_csv(
        "pairs",
        {"test/{language}": tmp_path / "test-{language}.csv"},
        format="bitext_retrieval",
        source="sw",
        target="en",
        learned_from=None,
    )
    assert read(pairs, "test", "sw")[0] == BitextExample("0", "aba", "ab")
    assert pairs.metric == "retrieval_accuracy"
    assert scored(pairs, encoder, machine)
    text = Task.from_json("raw", {"train/sw": tmp_path / "text.jsonl"}, format="masked_lm", trained_in=["sw"])
    assert (read(text, code="sw"), text.languages) == ([TextExample("0", "a b a", None)], ("sw",))


class Rows(list[dict[str, Any]]):
    """As `datasets.Dataset` does: rows that are dictionaries, labels that are numbers, names in the features."""

    features: ClassVar[dict[str, Any]] = {
        "label": type("ClassLabel", (), {"names": ["neg", "pos"]})(),
        "text": object(),
    }


class Frame:
    """As a pandas DataFrame does: columns, and rows by `to_dict("records")`."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows, self.columns = rows, list(rows[0])

    def to_dict(self, orient: str) -> list[dict[str, Any]]:
        assert orient == "records"
        return self.rows


def test_rows_in_memory_are_kept_by_their_content(
    tmp_path: Path, encoder: Encoder, machine: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    numbers = Rows([{"text": "cab", "label": 1, "more": object()}, {"text": "fig", "label": 0, "more": object()}])
    named = [{"text": row["text"], "label": Rows.features["label"].names[row["label"]]} for row in numbers]
    task = Task.from_dataset("rows", {"train": numbers, "test/sw": numbers}, format="classification")
    assert (task.labels, task.languages) == (("neg", "pos"), ("sw",))
    assert read(task)[0] == ClassificationExample("0", "cab", None, "pos")
    assert scored(task, encoder, machine)
    elsewhere = Task.from_dataset(
        "rows", {"train": Frame(named), "test/sw": named}, format="classification", folder=tmp_path / "own"
    )
    assert elsewhere.data("train", "en", None) == replace(
        task.data("train", "en", None), files=elsewhere.data("train", "en", None).files
    )
    first, second = (one.data("train", "en", None).files[0] for one in (task, elsewhere))
    assert (first.sha256, Path(first.path).parent.name) == (second.sha256, Path(second.path).parent.name)
    assert Path(first.path).is_relative_to(tmp_path / "cache" / "xstilts" / "datasets")


def test_rows_that_cannot_be_kept_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"row 0 of 'train' has no column label: it has text; name the columns"):
        Task.from_dataset("r", [{"text": "a"}], format="classification", folder=tmp_path)
    with pytest.raises(InputError, match="row 0 of 'train', column label: object cannot be written as JSON"):
        Task.from_dataset("r", [{"text": "a", "label": object()}], format="classification", folder=tmp_path)
    with pytest.raises(InputError, match="expected rows that are dictionaries, found str"):
        Task.from_dataset("r", "text", format="classification", folder=tmp_path)
    nothing = Task.from_dataset(
        "r", [{"text": "a", "label": "x"}, {"text": math.nan, "label": "y"}], format="classification", folder=tmp_path
    )
    with pytest.raises(InputError, match=r"train\.jsonl:2: expected text in 'text_a', found null"):
        read(nothing)


def parquet(rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        template = f"{served.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv("XSTILTS_DATA", raising=False)
        rows = [{"review": text, "stars": label} for text, label in ROWS]
        files = {f"{code}/{split}-0.parquet": parquet(rows) for code in ("en", "sw") for split in ("train", "test")}
        served.put("lab/reviews", files)
        yield served


def test_a_data_set_of_the_hub_is_downloaded_and_scored(
    hub: Hub, tmp_path: Path, encoder: Encoder, machine: Runtime
) -> None:
    settings: dict[str, Any] = {
        "format": "classification",
        "config": "{language}",
        "splits": {"train": "train", "test": "test"},
        "text": "review",
        "label": "stars",
        "languages": ("sw",),
    }
    with pytest.raises(InputError, match="the labels of task 'reviews' are not known"):
        Task.from_hub("lab/reviews", **settings)
    task = Task.from_hub("lab/reviews", data=tmp_path, **settings)
    assert (task.name, task.labels) == ("reviews", ("neg", "pos"))
    assert (tmp_path / "hub/lab/reviews/en/train-0.parquet").is_file()
    given = Task.from_hub("lab/reviews", labels=("neg", "pos"), **settings)
    assert given == replace(task, sources=given.sources)
    download.download(task, tmp_path)
    assert read(task, "test", "sw", tmp_path)[0] == ClassificationExample("0", "cab dab", None, "pos")
    assert scored(task, encoder, replace(machine, data=tmp_path))


def test_a_data_set_of_the_hub_has_an_owner_and_a_language(hub: Hub) -> None:
    with pytest.raises(InputError, match="'reviews' is no data set of the hub: give OWNER/NAME"):
        Task.from_hub("reviews", format="classification", labels=("a", "b"))
    with pytest.raises(InputError, match=r"'default/test\*\.parquet' of task 'reviews' says no language"):
        Task.from_hub("lab/reviews", format="classification", labels=("a", "b"), languages=("sw", "de"))
