"""Catalogue: what is there is counted, what is missing is told with the way to get it, what is broken stops nothing."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from xstilts import metrics
from xstilts.data.hub_files import Unreachable
from xstilts.errors import InputError
from xstilts.experiments.run import Recipes, Run
from xstilts.models.encoder import Encoder
from xstilts.runtime import progress
from xstilts.tasks import availability, download
from xstilts.tasks.base import Task, names, task

DATA = Path(os.environ.get("XSTILTS_DATA") or "no-such-folder")
real = pytest.mark.skipif(not DATA.is_dir(), reason="XSTILTS_DATA does not name a folder with the real data")
PAIR = "Moja.\tMbili.\tneutral\n"


def put(folder: Path, name: str, content: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode())


def lines(folder: Path, name: str, split: str | None = None, counted: bool = True) -> list[str]:
    entries = availability.survey(task(name), folder, split, counted)
    return [re.sub(" +", " ", line).strip() for line in availability.render(task(name), entries, folder)]


def put_xnli(folder: Path) -> None:
    for code, count in (("en", 2490), ("sw", 2490), ("ar", 3)):
        put(folder, f"xtreme/xnli/dev-{code}.tsv", PAIR * count)
    put(folder, "xtreme/xnli/test-sw.tsv", "Moja.\tMbili.\n" * 2)


def test_languages_with_the_same_count_share_it(tmp_path: Path) -> None:
    put_xnli(tmp_path)
    told = lines(tmp_path, "xnli", "validation")
    assert told[0] == "xnli classification, CC BY-NC 4.0"
    assert "validation ar: 3 of 2,490 · en sw: 2,490 (xtreme/xnli)" in told
    missing = f"get it with `xstilts data xnli --split validation --get --data {tmp_path}`"
    assert f"validation missing: bg de el es fr hi ru th tr ur vi zh; {missing}" in told


def test_withheld_answers_are_counted_and_told(tmp_path: Path) -> None:
    put_xnli(tmp_path)
    told = lines(tmp_path, "xnli", "test")
    assert any(line.startswith("test sw: 2 of 5,010 (xtreme/xnli; answers withheld, get it with") for line in told)
    (entry,) = (entry for entry in availability.survey(task("xnli"), tmp_path, "test") if entry.form)
    assert (entry.state, entry.withheld, entry.count, entry.wanted) == ("withheld", True, 2, 5010)


def test_without_a_hub_form_the_files_are_named(tmp_path: Path) -> None:
    assert "test missing: ar; looked for nonenglish/arcd/data/arcd-test.json" in lines(tmp_path, "arcd")
    assert lines(tmp_path, "text")[1:] == ["any language: looks for <language>/*.txt, <language>.txt"]


# What the hub has: the splits and languages of a task that its data sets there do not have, and how many have it.

OF_THE_HUB = [
    (
        "udpos",
        "train",
        "lt",
        "not on the hub: google/xtreme has train in 30 other languages; izhx/xtreme-r-udpos has only test",
    ),
    ("udpos", "validation", "kk", "not on the hub: google/xtreme has validation in 29 other languages"),
    ("udpos", "test", "wo", ""),
    ("udpos", "test", "yo", ""),
    ("bucc", "validation", "de", "not on the hub: mteb/BUCC has only test"),
    ("bucc", "test", "de", ""),
    ("panx", "test", "gu", ""),
    ("tatoeba", "test", "lt", ""),
    ("mewslix", "test", "ar", ""),
    ("mewslix_pairs", "train", "en", ""),
    ("lareqa", "test", "en", ""),
]


@pytest.mark.parametrize(("name", "split", "code", "lacking"), OF_THE_HUB)
def test_only_what_the_hub_has_is_offered(name: str, split: str, code: str, lacking: str, tmp_path: Path) -> None:
    assert task(name).not_on_hub(split, code).startswith(lacking)
    assert bool(download.sources(task(name), split, code)) == (not lacking and name != "lareqa")
    if lacking:
        assert name == "udpos" or any(lacking in line for line in lines(tmp_path, name, split))
        with pytest.raises(InputError, match=re.escape(lacking)):
            download.download(task(name), tmp_path, [split], [code])
        with pytest.raises(InputError, match=re.escape(lacking)):
            task(name).data(split, code, tmp_path)


def test_each_hub_data_set_has_the_languages_that_it_has() -> None:
    """As the hub lists their configurations: google/xtreme has XTREME's languages, not those that XTREME-R adds."""
    suites = metrics.XTREME.languages
    of_xtreme = {"panx": ("test", "PAN-X."), "udpos": ("test", "udpos."), "tatoeba": ("test", "tatoeba.")}
    for name, (split, configuration) in of_xtreme.items():
        every = (source for source in task(name).sources if source.repository == "google/xtreme")
        codes = {code for source in every for code in task(name).languages if source.patterns(split, code)}
        assert codes == set(suites[name]), configuration


def test_mining_from_the_hub_alone_says_what_it_lacks(tmp_path: Path) -> None:
    put(tmp_path, "hub/mteb/BUCC/de-en/test-0.parquet", "x")
    run = Run(
        Encoder("xlmr", "cd" * 32, "/x"), (), task("bucc"), Recipes("small"), 1, only_languages=("de",), data=tmp_path
    )
    said = r"the threshold of mined pairs is chosen on development pairs: .* in 'de' .*\(not on the hub: mteb/BUCC has only test\)"
    with pytest.raises(InputError, match=said):
        run.scores()


def test_all_languages_are_not_named_one_by_one(tmp_path: Path) -> None:
    for code in task("xnli").languages:
        put(tmp_path, f"xtreme/xnli/dev-{code}.tsv", PAIR)
    assert "validation all 15 languages: 1 of 2,490 (xtreme/xnli)" in lines(tmp_path, "xnli", "validation")


def test_what_was_repaired_is_shown(tmp_path: Path) -> None:
    put(tmp_path, "xtreme/xnli/dev-en.tsv", PAIR.replace("\n", "\r\n"))
    put(tmp_path, "xtreme/xnli/dev-sw.tsv", PAIR.replace("\n", "\r\n"))
    assert "repaired: Windows line end: 2" in lines(tmp_path, "xnli", "validation")


def test_a_broken_file_is_told_and_the_rest_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_xnli(tmp_path)
    put(tmp_path, "xtreme/xnli/dev-fr.tsv", "Un.\tDeux.\n")
    found = availability.gather(["xnli"], tmp_path, "validation")
    assert not availability.show(found, tmp_path)
    out = capsys.readouterr().out
    assert "error: fr: xtreme/xnli/dev-fr.tsv:1: expected 3 columns" in out
    assert "en sw: 2,490" in out


def test_counting_may_be_left_out(tmp_path: Path) -> None:
    put_xnli(tmp_path)
    put(tmp_path, "xtreme/xnli/dev-fr.tsv", "Un.\tDeux.\n")
    assert "validation ar en fr sw (xtreme/xnli)" in lines(tmp_path, "xnli", "validation", counted=False)


def test_counting_tells_how_far_it_is(tmp_path: Path) -> None:
    told: list[progress.Event] = []
    progress.listen(told.append)
    list(availability.survey(task("arcd"), tmp_path))
    assert [(event.label, event.done, event.total) for event in told] == [("arcd", n, 2) for n in range(3)]


def test_training_data_are_missed_only_where_they_are_used_and_told_where_they_are(tmp_path: Path) -> None:
    put(tmp_path, "xtreme/panx/train-sw.tsv", "Ada\tB-PER\n\n")
    told = lines(tmp_path, "panx", "train")
    assert "train sw: 1 (xtreme/panx)" in told
    assert any(line.startswith("train missing: en; get it") for line in told)


def test_the_hubs_form_is_named_by_its_repository(tmp_path: Path) -> None:
    put(tmp_path, "hub/google/xquad/xquad.sw/validation-0.parquet", "no parquet")
    put(tmp_path, "hub/google/xquad/xquad.ar/validation-0.parquet", "no parquet")
    (form,) = {entry.form for entry in availability.survey(task("xquad"), tmp_path, counted=False) if entry.form}
    assert form == "hub/google/xquad"
    (broken,) = {entry.state for entry in availability.survey(task("xquad"), tmp_path) if entry.form}
    assert broken == "broken"


def test_everything_can_be_written_as_json(tmp_path: Path) -> None:
    put_xnli(tmp_path)
    found = availability.gather(["xnli", "arcd"], tmp_path)
    assert availability.show(found, tmp_path, tmp_path / "found.json")
    rows = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert len(rows) == 2 * 15 + 2
    one = next(row for row in rows if row["language"] == "sw" and row["split"] == "validation")
    told = {"form": "xtreme/xnli", "count": 2490, "wanted": 2490, "state": "there", "licence": "CC BY-NC 4.0"}
    assert told.items() <= one.items()


def test_sandbox_tasks_come_only_when_named(tmp_path: Path) -> None:
    assert not any(name.startswith("sandbox") for name in availability.gather([], tmp_path, counted=False))
    assert "test all 6 languages: 200 (sandbox)".replace(
        "all 6 languages", " ".join(task("sandbox_nli").languages)
    ) in (lines(tmp_path, "sandbox_nli", "test"))


def test_a_folder_must_be_named() -> None:
    with pytest.raises(InputError, match="name it with --data DIR or the variable XSTILTS_DATA"):
        availability.gather([], None)
    with pytest.raises(InputError, match="there is no data folder nowhere; correct --data DIR"):
        availability.gather([], Path("nowhere"))


def test_a_failed_download_is_told_at_its_languages_and_an_absent_hub_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_xnli(tmp_path)
    asked: list[tuple[str, list[str]]] = []

    def refuse(task: Task, folder: Path, splits: list[str], languages: list[str]) -> None:
        asked.append((splits[0], languages))
        raise InputError("gated")

    monkeypatch.setattr(download, "download", refuse)
    found = availability.gather(["xnli", "arcd"], tmp_path, get=True)
    assert [(split, len(codes)) for split, codes in asked] == [("validation", 12), ("test", 15)]
    assert {entry.language for entry in found["xnli"] if entry.split == "validation" and entry.error == "gated"} == {
        *task("xnli").languages
    } - {"ar", "en", "sw"}
    assert not any(entry.error for entry in found["arcd"])

    def absent(*ignored: object) -> None:
        raise download.Absent("nothing there")

    monkeypatch.setattr(download, "download", absent)
    tried = availability.gather(["xnli"], tmp_path, get=True)["xnli"]
    assert {(entry.state, entry.offered) for entry in tried} == {
        ("there", True),
        ("missing", False),
        ("withheld", False),
    }

    def unreachable(*ignored: object) -> None:
        raise Unreachable("no network")

    monkeypatch.setattr(download, "download", unreachable)
    with pytest.raises(Unreachable):
        availability.gather(["xnli"], tmp_path, get=True)


@pytest.mark.parametrize("name", names())
def test_every_task_can_be_told_of_without_data(name: str, tmp_path: Path) -> None:
    entries = list(availability.survey(task(name), tmp_path, counted=False))
    assert all(entry.state == "missing" or entry.form == "sandbox" for entry in entries)
    assert len({(entry.split, entry.language) for entry in entries}) == len(entries)
    assert list(availability.render(task(name), entries, tmp_path))[1:]


# The real files: what their manifest says, where it says more than the tasks' own counts.


@real
@pytest.mark.parametrize(
    ("name", "split", "languages", "count"),
    [
        ("xnli", "validation", 15, 2490),
        ("xnli", "test", 15, 5010),
        ("xquad", "test", 12, 1190),
        ("xcopa", "test", 11, 500),
        ("pawsx", "validation", 7, 2000),
        ("pawsx", "test", 7, 2000),
        ("kornli", "test", 1, 5010),
        ("myxnli", "test", 3, 5010),
    ],
)
def test_the_real_files_are_all_there(name: str, split: str, languages: int, count: int) -> None:
    entries = list(availability.survey(task(name), DATA, split))
    assert [(entry.count, entry.error) for entry in entries] == [(count, "")] * languages


@real
def test_the_real_files_withhold_what_their_manifest_says() -> None:
    found = {entry.language: entry.state for entry in availability.survey(task("pawsx"), DATA, "test", counted=False)}
    assert {code for code, state in found.items() if state == "there"} == {"de", "zh"}
    tydiqa = list(availability.survey(task("tydiqa"), DATA))
    assert {entry.language: entry.count for entry in tydiqa if entry.split == "train"}["en"] == 3696
    assert [entry.state for entry in tydiqa if entry.split == "test"] == ["withheld"] * 9
