"""Tests of `xstilts doctor`: what is there, what is broken, and what to do."""

from __future__ import annotations

import json
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from xstilts import cli
from xstilts.cli import doctor
from xstilts.runtime import extras, file_system

Examine = Callable[..., tuple[int, dict[str, doctor.Check]]]


@pytest.fixture
def examine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """Return a function that calls `doctor` offline in an empty folder and gives its exit code and checks by name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("XSTILTS_DATA", "XSTILTS_STORE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object) -> tuple[int, dict[str, doctor.Check]]:
        ended = CliRunner().invoke(cli.app, ["doctor", *map(str, arguments), "--json"])
        report = json.loads(ended.stdout)
        assert report["usable"] == (ended.exit_code == 0)
        return ended.exit_code, {f"{row['group']} {row['name']}": doctor.Check(**row) for row in report["checks"]}

    return run


def test_a_usable_installation(examine: Examine, tmp_path: Path) -> None:
    code, checks = examine("--device", "cpu")
    assert code == 0
    assert {check.group for check in checks.values()} == {"versions", "device", "extras", "data", "hub", "store"}
    assert checks["versions torch"].value == metadata.version("torch")
    assert checks["store locks"].value == "work"
    assert checks["hub https://huggingface.co"].value == "not used: HF_HUB_OFFLINE is set"
    assert list(tmp_path.iterdir()) == []
    for check in checks.values():
        assert bool(check.remedy) == (check.state != "ok"), check


def test_the_table_ends_with_the_remedies(examine: Examine) -> None:
    ended = CliRunner().invoke(cli.app, ["doctor", "--device", "cpu", "--data", "nowhere"])
    assert ended.exit_code == 1
    assert "folder: correct --data or XSTILTS_DATA, or make it" in ended.stdout
    assert ended.stdout.endswith("not usable: see what is broken above\n")


def test_tasks_with_data_are_counted(examine: Examine, tmp_path: Path) -> None:
    folder = tmp_path / "data/xtreme/xnli"
    folder.mkdir(parents=True)
    (folder / "train-en.tsv").write_text("A\tB\tneutral\n")
    code, checks = examine("--data", "data", "--device", "cpu")
    assert code == 0
    count, _, total = checks["data tasks"].value.removesuffix(" with data here").split()
    assert 0 < int(count) < int(total)


@pytest.mark.parametrize(
    ("arguments", "name", "value", "remedy"),
    [
        (("--data", "nowhere"), "data folder", "nowhere is missing", "correct --data"),
        (("--store", "file/store"), "store folder", "is no folder", "give another folder with --store"),
        (("--device", "cuda:77"), "device cuda:77", "not usable", "give auto, cpu, cuda"),
    ],
)
def test_what_is_broken_is_named_with_its_remedy(
    arguments: tuple[str, str], name: str, value: str, remedy: str, examine: Examine, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    code, checks = examine(*arguments)
    assert code == 1
    assert (checks[name].state, value in checks[name].value, remedy in checks[name].remedy) == ("broken", True, True)


def test_a_library_that_is_missing_or_too_old_is_broken(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    known = metadata.version

    def version(name: str) -> str:
        if name == "safetensors":
            raise metadata.PackageNotFoundError(name)
        return "4.0.0" if name == "transformers" else known(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    code, checks = examine("--device", "cpu")
    assert code == 1
    assert checks["versions safetensors"].remedy == "pip install safetensors"
    assert checks["versions transformers"].remedy.startswith('pip install "transformers')


def test_locks_that_do_not_hold_are_a_note_and_a_bucket_is_refused(
    examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_system.process_lock, "acquire", lambda file: None)  # as on some network file systems
    code, checks = examine("--device", "cpu")
    assert (code, checks["store locks"].state) == (0, "note")
    assert "by leases" in checks["store locks"].remedy
    monkeypatch.setattr(file_system, "mounted", lambda folder: ("fuse.s3fs", "bucket"))
    code, checks = examine("--device", "cpu")
    assert (code, checks["store file system"].state) == (1, "broken")


def test_an_extra_that_is_missing_is_a_note(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, checks = examine("--device", "cpu")
    assert code == 0
    assert (checks["extras report"].state, checks["extras report"].value) == ("note", "no matplotlib")
    assert checks["extras report"].remedy == 'pip install "xstilts[report]"'


@pytest.fixture
def hub() -> Iterator[str]:
    """A server that refuses every request, which is an answer too."""

    class Refusing(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(403)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_hub_is_asked_unless_it_is_switched_off(
    hub: str, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", hub)
    assert examine("--device", "cpu")[1][f"hub {hub}"].value == "reachable (HTTP 403)"
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    code, checks = examine("--device", "cpu")
    assert (code, checks["hub http://127.0.0.1:9"].state) == (0, "note")


def test_doctor_knows_every_extra_that_users_may_install() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = project["optional-dependencies"]
    assert set(declared) - {"all", "bench", "dev", "docs"} == set(extras.EXTRAS)
    for extra, modules in extras.EXTRAS.items():
        assert len(modules) <= len(declared[extra])


def test_a_module_below_a_missing_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extras.EXTRAS, "made", ("nothing_of_this_name.below", "json"))
    assert extras.missing("made") == ("nothing_of_this_name.below",)
