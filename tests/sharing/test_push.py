"""Tests of push, in this process against a stub of the hub's API: nothing leaves the machine."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from test_backends import checkpoint

from hubserver import Hub, serving
from xstilts.errors import InputError
from xstilts.sharing.export import export
from xstilts.sharing.push import _explained, checked, push

# huggingface_hub hands large files to its HTTP library in a way that the latter is about to give up.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
TOKEN = "hf_" + "a" * 34


@pytest.fixture(scope="module")
def exported(families: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    below = tmp_path_factory.mktemp("shared")
    return export(checkpoint(families, "xlm-roberta", "classification", below / "model"), below / "toy").folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def test_a_folder_arrives_as_it_is_with_its_name_in_the_card(exported: Path, hub: Hub) -> None:
    result = push(exported, "lab/toy", private=True)
    arrived = hub.refs["lab/toy"]["main"]
    names = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()}
    assert names == set(arrived) - {".gitattributes"} == {file.path for file in result.files}
    assert all(arrived[name] == (exported / name).read_bytes() for name in names - {"README.md"})
    card = arrived["README.md"].decode()
    assert 'name = "lab/toy"' in card
    assert 'name = "toy"' not in card
    assert {file.path: file.sha256 for file in result.files} == {
        name: hashlib.sha256(arrived[name]).hexdigest() for name in names
    }
    assert hub.visibility == {"lab/toy": "private"}
    assert hub.tokens == {f"Bearer {TOKEN}"}
    assert result.url == f"{hub.url}/lab/toy/commit/{result.commit}"
    assert hub.commits == ["Upload toy"]


def test_a_second_push_changes_nothing(exported: Path, hub: Hub) -> None:
    first = push(exported, "lab/toy")
    uploads = hub.writes.count("upload")
    second = push(exported, "lab/toy")
    assert (first.unchanged, second.unchanged) == (False, True)
    assert first.commit == second.commit
    assert hub.writes.count("upload") == uploads
    assert len(hub.commits) == 1


def test_an_interrupted_push_sends_only_what_is_missing(exported: Path, hub: Hub) -> None:
    hub.writes_refused["commit"] = 500
    with pytest.raises(ConnectionError, match="answers 500 for lab/toy: push again later; files that arrived are kept"):
        push(exported, "lab/toy")
    uploads = hub.writes.count("upload")
    assert uploads
    hub.writes_refused.clear()
    assert not push(exported, "lab/toy").unchanged
    assert hub.writes.count("upload") == uploads


def test_a_branch_is_made(exported: Path, hub: Hub) -> None:
    push(exported, "lab/toy", revision="v1")
    push(exported, "lab/toy", revision="v1")
    assert set(hub.refs["lab/toy"]["main"]) == {".gitattributes"}
    assert "config.json" in hub.refs["lab/toy"]["v1"]


def test_a_dry_run_asks_nobody(exported: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    planned = push(exported, "lab/toy", dry_run=True)
    assert not hub.writes
    assert not hub.asked
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert push(exported, "lab/toy").files == planned.files
    assert planned.rows()[0]["path"] == "README.md"
    assert json.loads(json.dumps(planned.to_dict()))["size"] == planned.size == sum(f.size for f in planned.files)


@pytest.mark.parametrize(
    ("step", "status", "error", "message"),
    [
        ("create", 401, InputError, "does not accept the token"),
        ("create", 403, InputError, "may not write to lab/toy: make one at .* with write access to 'lab'"),
        ("preupload", 404, InputError, "has no lab/toy at 'main' that the token may see"),
        ("commit", 409, InputError, "another commit to lab/toy came in between: push again"),
        ("upload", 403, InputError, "may not write to lab/toy"),
        ("validate", 400, InputError, "does not take lab/toy: Invalid metadata in README.md. - license is unknown"),
        ("commit", 418, ConnectionError, "answers 418 for lab/toy"),
    ],
)
def test_an_answer_of_the_hub_is_explained(
    step: str, status: int, error: type[Exception], message: str, exported: Path, hub: Hub
) -> None:
    hub.writes_refused[step] = status
    with pytest.raises(error, match=message) as caught:
        push(exported, "lab/toy")
    assert TOKEN not in str(caught.value)


def test_a_hub_out_of_reach_is_named(exported: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match=r"cannot reach http://127\.0\.0\.1:9 .ConnectError.: check network"):
        push(exported, "lab/toy")


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (RuntimeError("the transfer stopped"), ConnectionError, r"broke off .the transfer stopped.: push again"),
        (TimeoutError("late"), ConnectionError, "cannot reach"),
        (ValueError("no good"), InputError, "does not take lab/toy: no good"),
        (PermissionError(13, "Permission denied"), PermissionError, "Permission denied"),
    ],
)
def test_an_error_of_the_library_is_explained(error: Exception, expected: type[Exception], message: str) -> None:
    with pytest.raises(expected, match=message), _explained("lab/toy", "main"):
        raise error


def test_without_a_token_nothing_is_sent(exported: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("xstilts.sharing.push.get_token", lambda: None)
    with pytest.raises(InputError, match=r"no token for the hub: make one with write access at .* HF_TOKEN"):
        push(exported, "lab/toy")
    assert not hub.writes


@pytest.mark.parametrize("name", ["toy", "lab/toy/x", "../toy", "lab/ toy", ""])
def test_a_repository_has_an_owner_and_a_name(name: str, exported: Path) -> None:
    with pytest.raises(InputError, match="is no repository: give OWNER/NAME"):
        push(exported, name, dry_run=True)


def copied(exported: Path, tmp_path: Path) -> Path:
    for path in exported.rglob("*"):
        if path.is_file():
            target = tmp_path / path.relative_to(exported)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "optimizer.pt",
        "pytorch_model.bin",
        "checkpoint.safetensors",
        "heads.safetensors",
        "predictions.jsonl",
        "train.csv",
        ".git/config",
        ".env",
        "data/train.parquet",
        "onnx/extra.pkl",
        "1_Pooling/pickle.pkl",
        "stage.json",
    ],
)
def test_what_is_no_part_of_a_model_is_refused(name: str, exported: Path, tmp_path: Path) -> None:
    folder = copied(exported, tmp_path)
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    with pytest.raises(InputError, match="holds what is no part of an exported model") as caught:
        checked(folder)
    assert name.partition("/")[0] in str(caught.value)


def test_a_link_a_token_and_a_missing_file_are_refused(exported: Path, tmp_path: Path) -> None:
    folder = copied(exported, tmp_path)
    assert checked(folder)
    (folder / "LICENSE").symlink_to(folder / "config.json")
    with pytest.raises(InputError, match=r"no part of an exported model \(LICENSE\)"):
        checked(folder)
    (folder / "LICENSE").unlink()
    card = folder / "README.md"
    text = card.read_text()
    card.write_text(f"{text}\n{TOKEN}\n")
    with pytest.raises(InputError, match=r"README\.md holds a token of the hub") as caught:
        checked(folder)
    assert TOKEN not in str(caught.value)
    card.write_text(text)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no model\.safetensors"):
        checked(folder)
    with pytest.raises(InputError, match="there is no folder"):
        checked(folder / "nowhere")


def test_the_record_of_a_fit_stays_here(exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported, tmp_path / "fitted")
    (folder / "fit.json").write_text("{}")
    assert push(folder, "lab/toy", dry_run=True).files == push(exported, "lab/toy", dry_run=True).files
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"no part of an exported model \(notes\.txt\)"):
        push(folder, "lab/toy", dry_run=True)
