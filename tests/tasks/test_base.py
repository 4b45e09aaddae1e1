"""Laws that hold for every task, and what the real files hold where they are at hand (XSTILTS_DATA names their folder)."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from quick import together
from xstilts import metrics
from xstilts.data.dataset import examples
from xstilts.data.examples import SHAPES, ClassificationExample, MultipleChoiceExample, QAExample, TaggingExample
from xstilts.data.languages import codes, language
from xstilts.data.readers import FORMATS, Report
from xstilts.data.source import Source
from xstilts.errors import InputError
from xstilts.tasks.base import Task, module_of, names, task

SPLITS = {"train", "validation", "test"}
DATA = Path(os.environ.get("XSTILTS_DATA") or "no-such-folder")
real = pytest.mark.skipif(not DATA.is_dir(), reason="XSTILTS_DATA does not name a folder with the real data")


of_every_task = together("every", map(task, names()))


@of_every_task
def test_a_task_is_called_as_its_file_and_says_what_it_is(every: Task) -> None:
    module = import_module(module_of(every.name))
    assert re.fullmatch("[a-z0-9_]+", every.name)
    assert module.__doc__
    assert module.__doc__.splitlines()[0].strip()


OWN = ("text", "parallel")  # whatever lies in a folder of the user's


@of_every_task
def test_a_task_has_a_citation_and_a_licence(every: Task) -> None:
    assert re.search(r"\b(19|20)\d\d\b", every.citation) or every.name in OWN
    assert len(every.licence) > 2


@of_every_task
def test_kind_and_metric_exist(every: Task) -> None:
    assert every.format in SHAPES
    assert every.metric == "mlm_loss" or callable(metrics.metric(every.metric))


@of_every_task
def test_languages_are_known_and_occur_once(every: Task) -> None:
    assert every.languages or every.name in OWN
    assert len(set(every.languages)) == len(every.languages)
    assert all(language(code).code == code for pair in every.languages for code in codes(pair))
    assert every.dev_language is None or language(every.dev_language)


@of_every_task
def test_labels_are_where_the_kind_needs_them(every: Task) -> None:
    assert len(set(every.labels)) == len(every.labels)
    assert (len(every.labels) > 1) == (
        every.format in ("classification", "token_classification")
    ) or every.metric == "tag_accuracy"
    assert {f"B-{label[2:]}" for label in every.labels if label.startswith("I-")} <= set(every.labels)


@of_every_task
def test_teachers_are_tasks_with_training_data(every: Task) -> None:
    for training_task in every.target_training_tasks():
        assert any(source.files.get("train") or source.reader == "sandbox" for source in sources_of(training_task))
        assert training_task.format == "masked_lm" or set(training_task.trained_in) <= set(training_task.languages)
    assert every.learned_from or every.format in ("bitext_retrieval", "bitext_mining", "masked_lm")


def sources_of(one: Task) -> list[Source]:
    return [source for part in one.parts() for source in part.sources]


@of_every_task
def test_joined_tasks_share_a_kind_and_labels(every: Task) -> None:
    assert bool(every.joined) != bool(every.sources)
    assert all((part.format, set(part.labels)) == (every.format, set(every.labels)) for part in every.parts())


@of_every_task
def test_sources_are_well_formed(every: Task) -> None:
    for source in every.sources:
        assert source.reader in {*FORMATS, "sandbox"}
        assert set(source.files) | set(source.part) <= SPLITS
        assert set(source.part) <= set(source.files)
        patterns = [pattern for split in source.files for pattern in source.patterns(split, "xx")]
        assert not any(Path(pattern).is_absolute() or "{" in pattern for pattern in patterns)


@of_every_task
def test_conversions_depend_on_nothing_but_their_row(every: Task) -> None:
    for source in every.sources:
        if source.convert:
            used = inspect.getclosurevars(source.convert)
            assert all(isinstance(value, ModuleType) for value in used.globals.values())
            assert not used.nonlocals
            assert source.meaning() == source.meaning()


@of_every_task
def test_training_and_validation_parts_do_not_overlap(every: Task) -> None:
    for source in every.sources:
        if len(source.part) > 1:
            assert source.part["train"][1] == source.part["validation"][0]
            assert source.part["train"][0] == 0
            assert source.part["validation"][1] is None


@of_every_task
def test_sources_with_one_meaning_read_alike(every: Task) -> None:
    for source in every.sources:
        same = [other for other in every.sources if other.meaning() == source.meaning()]
        assert all(other.reader == source.reader and other.convert is source.convert for other in same)
        labelled = every.format in ("classification", "multiple_choice", "token_classification")
        assert not labelled or all(other.withheld == source.withheld for other in same)


@pytest.mark.parametrize("suite", [metrics.XTREME, metrics.XTREME_R], ids=lambda suite: suite.name)
def test_the_languages_of_the_benchmarks_are_there(suite: metrics.Suite) -> None:
    for name in set(suite.languages) & set(names()):
        assert set(suite.languages[name]) <= set(task(name).languages), name


def test_all_tasks_can_be_listed_without_heavy_imports() -> None:
    code = (
        "import sys; sys.modules.update(torch=None, transformers=None, pyarrow=None, datasets=None)\n"
        "from xstilts.tasks.base import names, task; assert all(task(name).name == name for name in names())"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )


def test_an_unknown_task_is_told_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown task 'xnl'; did you mean 'xnli'\? \(`xstilts tasks` lists them\)"):
        task("xnl")
    with pytest.raises(InputError, match=r"unknown task 'classification'; it is a task format \(--format\)"):
        task("classification")


def test_missing_data_are_told_with_every_place_looked_at(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"task 'xquad' has no test data in 'sw' below .*xquad\.sw\.json.*hub/google/xquad.*--data"
    ):
        task("xquad").data("test", "sw", tmp_path)
    with pytest.raises(InputError, match=r"below \(no --data given\): looked for .*; name the folder that holds it"):
        task("xquad").data("test", "sw", None)
    with pytest.raises(InputError, match=r"looked for translated/xquad/train-en\.jsonl; name the folder"):
        task("xquad").data("train", "en", tmp_path)
    with pytest.raises(InputError, match="no source of the task has a split 'blind' there"):
        task("xquad").data("blind", "en", tmp_path)
    assert not task("xquad").has("test", "en", tmp_path)


# The real files: what their manifest says, in the languages it names.

ALL = None
COUNTS: list[tuple[str, str, tuple[str, ...] | None, int]] = [
    ("snli", "test", ALL, 9824),
    ("xnli", "validation", ("en", "sw", "th"), 2490),
    ("xnli", "test", ALL, 5010),
    ("xquad", "test", ALL, 1190),
    ("csqa", "train", ALL, 9741),
    ("csqa", "validation", ALL, 1221),
    ("copa", "train", ALL, 400),
    ("xcopa", "validation", ALL, 100),
    ("xcopa", "test", ALL, 500),
    ("udpos", "train", ("en",), 21253),
    ("udpos", "validation", ("en",), 3974),
    ("udpos", "test", ("en",), 4351),
    ("udpos", "test", ("tl",), 128),
    ("udpos", "test", ("de",), 977),
    ("panx", "train", ("en",), 20000),
    ("panx", "validation", ("sw", "ur", "te"), 1000),
    ("panx", "test", ("qu",), 100),
    ("tatoeba", "test", ("af", "zh", "fa", "da"), 1000),
    ("tatoeba", "test", ("jv",), 205),
    ("tydiqa", "train", ("en",), 3696),
    ("mlqa", "validation", ("en",), 1148),
    ("pawsx", "test", ("de", "zh"), 2000),
    ("common_voice", "train", ("sw",), 22),
    ("common_voice", "train", ("fa",), 45866),
    ("conjnli", "train", ALL, 15000),
    ("sick", "test", ALL, 4927),
    ("cosmosqa", "validation", ALL, 2985),
    ("siqa", "test", ALL, 2224),
    ("piqa", "validation", ALL, 1838),
    ("winogrande", "validation", ALL, 1267),
    ("kornli", "test", ALL, 5010),
    ("myxnli", "test", ALL, 5010),
    ("arcd", "test", ALL, 702),
    ("bible", "validation", ("sw",), 500),
    ("uner", "test", ("zh",), 1500),
]


@real
@pytest.mark.parametrize(("name", "split", "codes", "count"), COUNTS)
def test_real_files_hold_what_they_should(name: str, split: str, codes: tuple[str, ...] | None, count: int) -> None:
    for code in codes or task(name).languages:
        found = list(examples(task(name).data(split, code, DATA), DATA, Report()))
        assert len(found) == count
        assert len({example.id for example in found}) == len(found)


@real
def test_every_language_of_the_acceptance_tasks_has_gold() -> None:
    for name in ("xnli", "xquad", "xcopa", "udpos"):
        for code in task(name).languages:
            first = next(iter(examples(task(name).data("test", code, DATA), DATA, Report())))
            if isinstance(first, ClassificationExample | MultipleChoiceExample):
                assert first.label is not None
            elif isinstance(first, TaggingExample):
                assert first.tags
            elif isinstance(first, QAExample):
                assert first.answers


@real
@pytest.mark.parametrize("name", ["snli_small", "squadshifts", "squad_small", "squad2_small", "mnli_small"])
def test_no_passage_is_in_training_and_in_validation(name: str) -> None:
    found = {
        split: list(examples(task(name).data(split, "en", DATA), DATA, Report())) for split in ("train", "validation")
    }
    assert {split: len(rows) for split, rows in found.items()} == task(name).counts
    train, validation = (
        {getattr(example, "context", None) or getattr(example, "text_a", "") for example in rows}
        for rows in found.values()
    )
    assert not train & validation


@real
def test_real_answers_are_at_their_offsets_but_for_arcd() -> None:
    report = Report()
    list(examples(task("arcd").data("train", "ar", DATA), DATA, report))
    assert report.counts["dropped: answer not in its context"] == 3
    report = Report()
    list(examples(task("xquad").data("test", "ar", DATA), DATA, report))
    assert report.counts == {}


@real
@pytest.mark.parametrize(
    ("code", "least"), [("bg", 1.0), ("it", 1.0), ("fa", 1.0), ("he", 0.97), ("en", 0.97), ("wo", 0.99)]
)
def test_ud_test_sentences_are_those_of_xtreme(code: str, least: float) -> None:
    gold = list(examples(task("udpos").data("test", code, DATA), DATA, Report()))
    words = (DATA / f"xtreme/udpos/test-{code}.tsv").read_text(encoding="utf-8").rstrip("\n")
    xtreme = set(words.split("\n\n"))
    shared = sum("\n".join(example.tokens) in xtreme for example in gold if isinstance(example, TaggingExample))
    assert shared / len(gold) >= least
