"""The folder that XTREME's download script leaves is read whole, in every task and language of both suites."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import xtreme_folder as made
from xstilts import metrics
from xstilts.data.dataset import examples
from xstilts.data.readers import Report
from xstilts.tasks import availability
from xstilts.tasks.base import task

XTREME = os.environ.get("XSTILTS_XTREME", "")
LEFT = list(made.left())
NAMES = sorted({split.task for split in LEFT})
REPAIRED = {"repaired: Windows line end", "noted: answers hidden", "noted: label hidden"}


def put(files: made.Files, folder: Path) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with nothing but what the script leaves."""
    data = tmp_path_factory.mktemp("data")
    for split in LEFT:
        put(split.files, data / "xtreme")
    return data


def test_every_task_and_language_of_both_suites_is_there() -> None:
    there = {(split.task, split.language) for split in LEFT if split.split == "test"}
    asked = {
        (name, code)
        for suite in (metrics.XTREME, metrics.XTREME_R)
        for name, codes in suite.languages.items()
        for code in codes or task(name).languages
    }
    assert asked - there == {("xquad", "ro")}  # which the script does not download


@pytest.mark.parametrize("name", NAMES)
def test_the_folder_is_found_complete(folder: Path, name: str) -> None:
    found = {(entry.split, entry.language): entry for entry in availability.survey(task(name), folder)}
    splits = {(split.split, split.language): split for split in LEFT if split.task == name}
    for place, split in splits.items():
        entry = found.pop(place)
        assert entry.state == ("withheld" if split.withheld else "there"), (place, entry)
        answered = sum(getattr(example, "side", "query") == "query" for example in split.examples)
        assert entry.count == len(split.examples) >= answered >= len(made.ROWS)
        assert entry.form.startswith("xtreme/")
    lacking = {"mnli": {("validation", "en")}, "xquad": {("test", "ro")}, "tatoeba": {("test", "da")}}
    assert {place: entry.state for place, entry in found.items()} == dict.fromkeys(lacking.get(name, ()), "missing")


@pytest.mark.parametrize("name", NAMES)
def test_the_folder_is_read_as_it_was_meant(folder: Path, name: str) -> None:
    for split in (split for split in LEFT if split.task == name):
        report = Report()
        data = task(name).data(split.split, split.language, folder)
        assert list(examples(data, folder, report)) == list(split.examples), (split.split, split.language)
        assert {reason for reason in report.counts if "are expected" not in reason} <= REPAIRED


# The treebanks themselves.


@pytest.mark.parametrize("place", ["ud-treebanks-v2.5", "targets/ud"])
def test_treebanks_follow_each_other_by_the_names_of_their_files(folder: Path, tmp_path: Path, place: str) -> None:
    """UD_Italian-PUD comes before UD_Italian-ParTUT by its folder, and after it by its file, as for XTREME's script."""
    for bank in ("PUD", "ParTUT", "ISDT"):
        path = f"{place}/UD_Italian-{bank}/it_{bank.lower()}-ud-test.conllu"
        put({path: made.treebank("it", bank.lower(), "test")}, tmp_path)
    found, of_xtreme = (
        [getattr(example, "tokens", ()) for example in examples(task("udpos").data("test", "it", data), data, Report())]
        for data in (tmp_path, folder)
    )
    assert found == of_xtreme


@pytest.mark.parametrize("code", ["lt", "pl", "ro", "uk", "wo", "fi"])
def test_the_languages_of_xtreme_r_come_from_the_later_release(code: str, tmp_path: Path) -> None:
    for release in ("2.5", "2.7"):
        path = f"ud-treebanks-v{release}/UD_X-{code}/{code}_x-ud-test.conllu"
        put({path: made.treebank(code, release, "test")}, tmp_path)
        read = [file.path for file in task("udpos").data("test", code, tmp_path).files]
        assert read == [path if code != "fi" else path.replace("2.7", "2.5")]


# The script's own preprocessing, where a copy of google-research/xtreme is at hand.


@pytest.fixture(scope="module")
def preprocessing() -> ModuleType:
    """The module `utils_preprocess` of google-research/xtreme."""
    path = Path(XTREME, "utils_preprocess.py")
    if not XTREME or not path.is_file():
        pytest.skip("XSTILTS_XTREME does not name a checkout of google-research/xtreme")
    spec = importlib.util.spec_from_file_location("utils_preprocess", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def away() -> Iterator[Path]:
    """A folder whose path has no "test" in it: the script takes PAN-X's files below such a one for test sets."""
    with tempfile.TemporaryDirectory(prefix="xstilts-") as name:
        assert "test" not in name
        yield Path(name)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the script leaves files open
@pytest.mark.parametrize("name", sorted(made.RAW))
def test_the_files_are_those_of_the_script(preprocessing: ModuleType, away: Path, name: str) -> None:
    place = made.PLACES.get(name, name)
    apart = name in ("xnli", "pawsx", "tatoeba", "udpos", "panx")
    data, out = (away / "raw" if apart else away / place), away / place
    put(made.raw(name), data)
    if name == "tydiqa":
        out = out / "tydiqa-goldp-v1.1-train"
    getattr(preprocessing, f"{name}_preprocess")(Namespace(data_dir=str(data), output_dir=str(out)))
    ours = {path: text for split in LEFT for path, text in split.files.items() if path.startswith(f"{place}/")}
    theirs = {path.relative_to(away).as_posix(): path.read_bytes() for path in away.rglob("*") if path.is_file()}
    written = {path: text for path, text in ours.items() if path in theirs}
    assert {path: text.encode() for path, text in written.items()} == {path: theirs[path] for path in written}
    assert set(ours) - set(written) == {path for path in ours if not _preprocessed(name, path)}


def _preprocessed(name: str, path: str) -> bool:
    """Return whether a file comes out of the preprocessing, not of the download alone."""
    if name == "xcopa":
        return "/test-" in path
    return not (name == "mewslix" and path.endswith(("candidate_set_entities.jsonl", "wikipedia_pairs-train.jsonl")))
