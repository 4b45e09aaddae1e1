"""Downloads: one commit, checked bytes, nothing outside the folder, and a remedy for whatever goes wrong."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from hubserver import Hub, serving
from quick import together
from xstilts.data.dataset import examples
from xstilts.data.examples import BitextExample, PassageExample, TaggingExample
from xstilts.data.readers import Report
from xstilts.data.source import Source
from xstilts.errors import InputError
from xstilts.runtime import progress
from xstilts.tasks import download as hubs
from xstilts.tasks.base import Task, names, task

FILES = {"test": "hub/lab/toys/{language}/test*.parquet", "train": "hub/lab/toys/{language}/train*.parquet"}
TOYS = Task("toys", "classification", ("en", "sw"), (Source("parquet", FILES),), "accuracy", "Lab 2026", "CC0")
SMALL, LARGE = b"small", bytes(range(256)) * 4000
FOLDER = "hub/lab/toys"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one data set, which is the one that downloads go to."""
    with serving() as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        template = f"{served.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        served.put("lab/toys", {**shards("sw"), **shards("en"), "toys.py": b"import os", "README.md": b"Toys."})
        yield served


def shards(code: str) -> dict[str, bytes]:
    return {f"{code}/test-{n}-of-2.parquet": content for n, content in ((0, SMALL), (1, LARGE))}


def get(folder: Path, *codes: str, of: Task = TOYS, split: str = "test") -> list[str]:
    return [path.relative_to(folder).as_posix() for path in hubs.download(of, folder, [split], codes)]


def lying(folder: Path) -> set[str]:
    """Return the files below a folder, but for what the library and the lock keep."""
    paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {path for path in paths if "/.part/" not in path}


def lock(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / FOLDER / "revision.json").read_text(encoding="utf-8"))
    return found


def refused(folder: Path, *codes: str, of: Task = TOYS) -> str:
    with pytest.raises(InputError) as caught:
        get(folder, *(codes or ("sw",)), of=of)
    return str(caught.value)


# What comes, and where it goes.


def test_files_of_the_pattern_come_and_no_others(hub: Hub, tmp_path: Path) -> None:
    found = get(tmp_path, "sw")
    assert found == [f"{FOLDER}/sw/test-{n}-of-2.parquet" for n in (0, 1)]
    assert [(tmp_path / path).read_bytes() for path in found] == [SMALL, LARGE]
    assert lying(tmp_path) == {*found, f"{FOLDER}/revision.json"}
    assert [path.name for path in (tmp_path / "hub/.part").iterdir()] == ["lock"]
    assert TOYS.sources[0].find("test", "sw", tmp_path) == tuple(tmp_path / path for path in found)


def test_languages_and_splits_are_those_the_task_uses(hub: Hub, tmp_path: Path) -> None:
    hub.put(
        "lab/toys", {f"{code}/{name}-0.parquet": SMALL for code in ("en", "sw", "de") for name in ("train", "test")}
    )
    found = hubs.download(TOYS, tmp_path)
    names = ["en/train-0.parquet", "en/test-0.parquet", "sw/test-0.parquet"]
    assert [path.relative_to(tmp_path / FOLDER).as_posix() for path in found] == names


def test_what_is_there_is_not_fetched_again_nor_the_hub_asked(hub: Hub, tmp_path: Path) -> None:
    found = get(tmp_path, "sw")
    hub.asked.clear()
    assert get(tmp_path, "sw") == found
    assert hub.asked == []
    (tmp_path / found[0]).unlink()
    assert get(tmp_path, "sw") == found
    assert hub.fetched == ["sw/test-0-of-2.parquet"]


def test_files_got_by_other_means_are_compared_and_taken(hub: Hub, tmp_path: Path) -> None:
    for name, content in shards("sw").items():
        (tmp_path / FOLDER / "sw").mkdir(parents=True, exist_ok=True)
        (tmp_path / FOLDER / name).write_bytes(content)
    get(tmp_path, "sw")
    assert hub.fetched == []
    assert len(lock(tmp_path)["files"]) == 2  # type: ignore[arg-type]


def test_progress_is_told_in_bytes(hub: Hub, tmp_path: Path) -> None:
    told: list[progress.Event] = []
    progress.listen(told.append)
    get(tmp_path, "sw")
    last = [event for event in told if event.done == event.total]
    assert [(event.total, event.detail) for event in last] == [(len(SMALL), "bytes"), (len(LARGE), "bytes")]


def test_a_source_that_lacks_a_language_is_followed_by_the_next(hub: Hub, tmp_path: Path) -> None:
    hub.put("lab/more", {"sw-0.parquet": SMALL, "de-0.parquet": SMALL})
    both = replace(TOYS, sources=(*TOYS.sources, Source("parquet", {"test": "hub/lab/more/{language}-*.parquet"})))
    assert get(tmp_path, "sw", "de", of=both)[-1] == "hub/lab/more/de-0.parquet"


def test_what_the_hub_lacks_is_noted_and_the_rest_comes(hub: Hub, tmp_path: Path) -> None:
    told: list[progress.Event] = []
    progress.listen(told.append)
    assert len(get(tmp_path, "sw", "de")) == 2
    assert "toys: the hub has no test in de" in [event.label for event in told]
    assert "nothing of task 'toys': looked for hub/lab/toys/de/test*.parquet" in refused(tmp_path, "de")


# One commit.


def test_the_first_download_pins_and_later_ones_keep_to_it(hub: Hub, tmp_path: Path) -> None:
    old = hub.put("lab/toys", {**shards("sw"), **shards("en")})
    get(tmp_path, "sw")
    assert (lock(tmp_path)["repository"], lock(tmp_path)["revision"], lock(tmp_path)["commit"]) == (
        "lab/toys",
        "main",
        old,
    )
    hub.put("lab/toys", {"en/test-0-of-2.parquet": b"newer"})
    first = get(tmp_path, "en")[0]
    assert (tmp_path / first).read_bytes() == SMALL
    assert (lock(tmp_path)["commit"], len(lock(tmp_path)["files"])) == (old, 4)  # type: ignore[arg-type]


def test_a_task_may_name_the_commit(hub: Hub, tmp_path: Path) -> None:
    old = hub.put("lab/toys", shards("sw"))
    hub.put("lab/toys", {"sw/test-0-of-2.parquet": b"newer"})
    pinned = replace(TOYS, sources=(replace(TOYS.sources[0], revision=old),))
    assert len(get(tmp_path, "sw", of=pinned)) == 2
    assert get(tmp_path, "sw", of=pinned)


def test_another_pin_is_refused_and_the_pinned_commit_by_name_is_not(hub: Hub, tmp_path: Path) -> None:
    commit = hub.put("lab/toys", shards("sw"))
    get(tmp_path, "sw")
    same, other = (replace(TOYS, sources=(replace(TOYS.sources[0], revision=name),)) for name in (commit, "v2"))
    assert len(get(tmp_path, "sw", of=same)) == 2
    said = refused(tmp_path, of=other)
    assert f"at 'main' (commit {commit}), and the task asks for 'v2'; remove that folder" in said


def test_a_revision_that_is_not_there_is_told(hub: Hub, tmp_path: Path) -> None:
    other = replace(TOYS, sources=(replace(TOYS.sources[0], revision="v2"),))
    assert "lab/toys has no revision 'v2' on the hub; correct `revision`" in refused(tmp_path, of=other)
    assert lying(tmp_path) == set()


def test_a_file_changed_under_the_commit_is_refused(hub: Hub, tmp_path: Path) -> None:
    name = "sw/test-1-of-2.parquet"
    hub.altered[name] = LARGE[:-1] + b"!"
    assert f"{name} of lab/toys is not the file that commit" in refused(tmp_path)
    assert lying(tmp_path) == set()
    del hub.altered[name]
    assert len(get(tmp_path, "sw")) == 2


def test_a_small_file_changed_under_the_commit_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.altered["sw/test-0-of-2.parquet"] = b"smell"
    assert "is not the file that commit" in refused(tmp_path)


def test_a_list_changed_under_the_pinned_commit_is_refused(hub: Hub, tmp_path: Path) -> None:
    found = get(tmp_path, "sw")
    kept = lock(tmp_path)
    kept["files"][0]["digest"] = "0" * 40  # type: ignore[index]
    (tmp_path / FOLDER / "revision.json").write_text(json.dumps(kept), encoding="utf-8")
    (tmp_path / found[0]).unlink()
    assert "sw/test-0-of-2.parquet of lab/toys changed on the hub under commit" in refused(tmp_path)


def test_a_file_in_place_that_is_another_is_never_overwritten(hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / FOLDER / "sw/test-0-of-2.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine!")
    assert f"{path} is not the file of lab/toys at commit" in refused(tmp_path)
    assert path.read_bytes() == b"mine!"


def test_a_file_that_would_be_read_with_them_is_refused(hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / FOLDER / "sw/test-9.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine!")
    assert f"{path} would be read with the files of lab/toys" in refused(tmp_path)


def test_a_damaged_lock_is_told(hub: Hub, tmp_path: Path) -> None:
    get(tmp_path, "sw")
    (tmp_path / FOLDER / "revision.json").write_text("{", encoding="utf-8")
    assert "revision.json is damaged; remove its folder, and download again" in refused(tmp_path)


# The connection.


def test_a_cut_connection_is_resumed_where_it_was_cut(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100_000)
    hub.cut["sw/test-1-of-2.parquet"] = 300_000
    assert (tmp_path / get(tmp_path, "sw")[1]).read_bytes() == LARGE
    assert hub.ranges == ["bytes=300000-"]


def test_files_finished_before_a_failure_are_kept_but_not_put_in_place(hub: Hub, tmp_path: Path) -> None:
    hub.altered["sw/test-1-of-2.parquet"] = b"?" * len(LARGE)
    refused(tmp_path)
    assert lying(tmp_path) == set()
    hub.altered.clear()
    hub.asked.clear()
    get(tmp_path, "sw")
    assert hub.fetched == ["sw/test-1-of-2.parquet"]


def test_a_connection_that_ends_for_good_is_told(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*ignored: object, **more: object) -> str:
        raise OSError("Consistency check failed: https://elsewhere?signature=secret")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", broken)
    said = refused(tmp_path)
    assert said == "the download of lab/toys broke off; run it again, finished files are kept"


def test_no_network_is_told(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://user:password@127.0.0.1:9")
    said = refused(tmp_path)
    assert said == "cannot reach 127.0.0.1:9 for lab/toys; check network and HF_ENDPOINT, and try again"


def test_offline_is_told_but_not_where_all_is_there(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    get(tmp_path, "sw")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert len(get(tmp_path, "sw")) == 2
    assert "HF_HUB_OFFLINE is set" in refused(tmp_path, "en")


def test_a_full_disk_is_told_before(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=9))
    assert "lab/toys needs 1,024,005 bytes below" in refused(tmp_path)
    assert hub.fetched == []


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (404, "RepoNotFound", "the hub has no data set lab/toys, or it is private; check the name, or set HF_TOKEN"),
        (401, "", "the hub refuses lab/toys (401); set HF_TOKEN"),
        (403, "GatedRepo", "lab/toys is gated: accept its terms on its page on the hub, then set HF_TOKEN"),
        (403, "", "the hub refuses lab/toys (403); set HF_TOKEN"),
        (418, "", "the hub answers 418 for lab/toys at 'main'; check HF_ENDPOINT"),
        (500, "", "cannot reach 127.0.0.1"),
    ],
)
def test_refusals_come_with_their_remedy_and_without_the_token(
    status: int, code: str, said: str, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.refused["lab/toys"] = (status, code)
    told = refused(tmp_path)
    assert told.startswith(said)
    assert "hf_secret" not in told
    assert hub.tokens == {"Bearer hf_secret"}


def test_gated_files_are_told_where_only_their_list_is_open(hub: Hub, tmp_path: Path) -> None:
    hub.files_refused["lab/toys"] = (403, "GatedRepo")
    assert "lab/toys is gated" in refused(tmp_path)
    assert lying(tmp_path) == set()


# What is not trusted.


@pytest.mark.parametrize(
    "name",
    ["../../../up/test.parquet", "/etc/test.parquet", "sw/../test.parquet", "sw\\test.parquet", "C:/test.parquet"],
)
def test_names_that_lead_out_are_refused(name: str, hub: Hub, tmp_path: Path) -> None:
    hub.put("lab/toys", {**shards("sw"), name: b"evil"})
    said = refused(tmp_path / "data")
    assert f"lab/toys lists {name!r}, which leads out of its folder; nothing of it is downloaded" in said
    assert lying(tmp_path) == set()
    assert hub.fetched == []


def test_a_link_that_leads_out_is_refused(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data" / FOLDER).mkdir(parents=True)
    (tmp_path / "data" / FOLDER / "sw").symlink_to(tmp_path / "elsewhere")
    assert "remove the link that leads there" in refused(tmp_path / "data")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_is_no_hub_is_told(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubserver._Answers.list", lambda self, *ignored: self.answer(200, b"<html>", {}))
    assert "what answers for lab/toys does not speak the hub's language; check HF_ENDPOINT" in refused(tmp_path)
    told = json.dumps({"id": "lab/toys", "sha": "../../x", "siblings": []}).encode()
    monkeypatch.setattr("hubserver._Answers.list", lambda self, *ignored: self.answer(200, told, {}))
    assert "the hub answers '../../x' for commit 'main'" in refused(tmp_path)


# Data sets that are a script: the hub's own Parquet copy.


@pytest.fixture
def script(hub: Hub) -> str:
    hub.put("lab/toys", {"toys.py": b"import os", "data/test.csv": b"a,b"})
    files = {"sw/test/0000.parquet": SMALL, "sw/test/0001.parquet": LARGE, "sw/partial-train/0000.parquet": SMALL}
    return hub.put("lab/toys", files, "refs/convert/parquet")


def test_the_converted_files_come_under_names_that_are_found(hub: Hub, tmp_path: Path, script: str) -> None:
    found = get(tmp_path, "sw")
    assert found == [f"{FOLDER}/sw/test-0000.parquet", f"{FOLDER}/sw/test-0001.parquet"]
    assert [(tmp_path / path).read_bytes() for path in found] == [SMALL, LARGE]
    assert TOYS.sources[0].find("test", "sw", tmp_path) == tuple(tmp_path / path for path in found)
    assert hub.fetched == ["sw/test/0000.parquet", "sw/test/0001.parquet"]
    hub.asked.clear()
    assert get(tmp_path, "sw") == found
    assert hub.asked == []


def test_converted_files_are_pinned_too(hub: Hub, tmp_path: Path, script: str) -> None:
    found = get(tmp_path, "sw")
    assert lock(tmp_path)["converted"] == script
    hub.put("lab/toys", {"sw/test/0000.parquet": b"newer"}, "refs/convert/parquet")
    (tmp_path / found[0]).unlink()
    assert get(tmp_path, "sw") == found
    assert (tmp_path / found[0]).read_bytes() == SMALL


def test_without_any_copy_nothing_is_found(hub: Hub, tmp_path: Path) -> None:
    hub.put("lab/toys", {"toys.py": b"import os"})
    assert "the hub has nothing of task 'toys'" in refused(tmp_path)
    assert lying(tmp_path) == set()


# The tasks that there are.


def test_no_hub_form_is_told_with_the_files_it_looks_for(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"task 'arcd' has no form on the hub .* put its files below .*arcd-test\.json"
    ):
        hubs.download(task("arcd"), tmp_path)


@together("name", names())
def test_hub_patterns_of_every_task_name_repository_and_file(name: str) -> None:
    every = task(name)
    for source in every.sources:
        for split in source.files:
            patterns = source.patterns(split, source.languages[0] if source.languages else "xx")
            assert len({pattern.startswith("hub/") for pattern in patterns}) == 1
            assert all(pattern.count("/") > 2 and "**" not in pattern for pattern in patterns if pattern[:4] == "hub/")
            assert all(
                pattern.endswith((".parquet", ".jsonl", ".tsv")) for pattern in patterns if pattern[:4] == "hub/"
            )
            assert source.revision in ("main", "refs/convert/parquet") or len(source.revision) == 40


def test_tasks_of_one_repository_ask_for_one_revision() -> None:
    asked: dict[str, set[str]] = {}
    for source in (source for name in names() for source in task(name).sources):
        for split in source.files:
            for pattern in source.patterns(split, "xx"):
                if pattern.startswith("hub/"):
                    asked.setdefault("/".join(pattern.split("/")[1:3]), set()).add(source.revision)
    assert {repository: revisions for repository, revisions in asked.items() if len(revisions) > 1} == {}


def table(*rows: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), buffer)
    return buffer.getvalue()


def test_mewsli_x_comes_from_two_branches_of_the_hub(hub: Hub, tmp_path: Path) -> None:
    """Mentions as the repository has them, candidates and pairs in the hub's own copy: archives are not downloaded."""
    mention = json.dumps({"mention": "Ada: { Ada } won.", "entity_id": "Q1"}).encode() + b"\n"
    archives = dict.fromkeys(("candidate_entities.jsonl.tar.gz", "wikipedia_pairs/train.jsonl.tar.gz"), b"x")
    mentions = {
        f"wikinews_mentions/{code}/{split}.jsonl": mention for code in ("ar", "de") for split in ("dev", "test")
    }
    hub.put("izhx/mewsli-x", {**archives, **mentions})
    converted = {
        "candidate_entities/test/0000.parquet": table({"entity_id": "Q1", "description": "A poet. More."}),
        "wikipedia_pairs/train/0000.parquet": table({"mention": "Ada: { Ada } won.", "entity": "A poet. More."}),
    }
    hub.put("izhx/mewsli-x", converted, "refs/convert/parquet")
    assert len(get(tmp_path, "ar", "de", of=task("mewslix"))) == 3
    assert get(tmp_path, "en", of=task("mewslix_pairs"), split="train") == [
        "hub/izhx/mewsli-x/wikipedia_pairs/train-0000.parquet"
    ]
    found = list(examples(task("mewslix").data("test", "de", tmp_path), tmp_path, Report()))
    assert found == [
        PassageExample("0", "Ada: { Ada } won.", None, "query", ("Q1",)),
        PassageExample("Q1", "A poet. More.", None, "candidate"),
    ]
    pairs = list(examples(task("mewslix_pairs").data("train", "en", tmp_path), tmp_path, Report()))
    assert pairs == [BitextExample("0", "Ada: { Ada } won.", "A poet. More.")]


def test_candidates_in_the_repositorys_archive_are_read_too(tmp_path: Path) -> None:
    """As a clone of the repository has them."""
    folder = tmp_path / "hub/izhx/mewsli-x"
    (folder / "wikinews_mentions/de").mkdir(parents=True)
    mention, entity = {"mention": "{ Ada }", "entity_id": "Q1"}, {"entity_id": "Q1", "description": "A poet."}
    (folder / "wikinews_mentions/de/dev.jsonl").write_text(json.dumps(mention))
    with tarfile.open(folder / "candidate_entities.jsonl.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("candidate_entities.jsonl")
        content = json.dumps(entity).encode()
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    found = list(examples(task("mewslix").data("validation", "de", tmp_path), tmp_path, Report()))
    assert found[1] == PassageExample("Q1", "A poet.", None, "candidate")


def test_languages_of_xtreme_r_come_from_their_own_data_set(hub: Hub, tmp_path: Path) -> None:
    row = {"tokens": ["Ada"], "pos_tags": [11]}
    hub.put("izhx/xtreme-r-udpos", {"wo/test.parquet": table(row), "af/test.parquet": table(row)})
    hub.put("google/xtreme", {"udpos.Afrikaans/test-00000-of-00001.parquet": table(row)})
    found = get(tmp_path, "wo", "af", of=task("udpos"))
    assert sorted(path.split("/")[1] for path in found) == ["google", "izhx"]
    (read,) = examples(task("udpos").data("test", "wo", tmp_path), tmp_path, Report())
    assert read == TaggingExample("0", ("Ada",), ("PROPN",))


def test_a_revision_is_no_part_of_the_meaning() -> None:
    source = TOYS.sources[0]
    assert replace(source, revision="0" * 40).meaning() == source.meaning()


# The command line, as a person calls it: HF_ENDPOINT names the server.


def xquad(count: int) -> bytes:
    answers = {"text": ["Ada"], "answer_start": [0]}
    rows = [{"id": str(n), "context": "Ada.", "question": "Nani?", "answers": answers} for n in range(count)]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def call(hub: Hub, folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XSTILTS_"))}
    path = os.pathsep.join(path for path in sys.path if path)
    environment = {**kept, "HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "home"), "PYTHONPATH": path, **more}
    command = [sys.executable, "-c", "from xstilts.cli import main; main()", "data", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_command_downloads_and_then_finds(tmp_path: Path) -> None:
    with serving() as hub:
        code = {"xquad.sw/README.md": b"", "xquad.ar/validation-0-of-1.parquet": xquad(1190)}
        hub.put("google/xquad", {**code, "xquad.de/validation-0-of-1.parquet": xquad(7), "xquad.py": b"import os"})
        arguments = ("xquad", "--data", str(tmp_path / "data"))
        (tmp_path / "data").mkdir()
        before = call(hub, tmp_path, *arguments)
        assert (before.returncode, hub.asked) == (0, [])
        assert "get it with `xstilts data xquad --split test --get --data" in before.stdout
        got = call(hub, tmp_path, *arguments, "--get", "--json", str(tmp_path / "found.json"), HF_TOKEN="hf_secret")
    assert got.returncode == 0, got.stderr
    assert "ar: 1,190 · de: 7 of 1,190  (hub/google/xquad)" in got.stdout
    assert "missing: el en es hi ro ru th tr vi zh; looked for targets/xquad" in got.stdout
    assert "xquad: the hub has no test in el" in got.stderr
    assert "hf_secret" not in got.stdout + got.stderr + (tmp_path / "found.json").read_text()
    assert sorted(hub.fetched) == ["xquad.ar/validation-0-of-1.parquet", "xquad.de/validation-0-of-1.parquet"]


@pytest.mark.slow
def test_the_command_tells_of_a_hub_that_cannot_be_asked(tmp_path: Path) -> None:
    with serving() as hub:
        arguments = ("xquad", "--get", "--data", str(tmp_path / "data"))
        offline = call(hub, tmp_path, *arguments, HF_HUB_OFFLINE="1")
        missing = call(hub, tmp_path, *arguments)
    assert (offline.returncode, hub.fetched) == (2, [])
    assert (
        offline.stderr == "error: HF_HUB_OFFLINE is set, and nothing is downloaded; unset it, or copy the files here\n"
    )
    assert missing.returncode == 1
    assert "error: ar de el en" in missing.stdout
    assert "vi zh: the hub has no data set google/xquad, or it is private" in missing.stdout
