from __future__ import annotations

import os
import subprocess
import sys

import pytest

from xstilts.runtime import machine
from xstilts.runtime.machine import WAITING


def waiting(monkeypatch: pytest.MonkeyPatch, **given: str) -> dict[str, str]:
    """Return what the environment says of waiting threads after `let_threads_sleep`."""
    for name in WAITING:
        monkeypatch.setenv(name, "")  # so that it is as before after the test
        monkeypatch.delenv(name)
    os.environ.update(given)
    machine.let_threads_sleep()
    return {name: os.environ[name] for name in WAITING if name in os.environ}


def test_threads_sleep_while_they_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waiting(monkeypatch) == WAITING


@pytest.mark.parametrize("name", WAITING)
def test_what_the_user_says_of_waiting_is_left_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """One variable would take precedence over another: with any of them given, none is added."""
    assert waiting(monkeypatch, **{name: "7"}) == {name: "7"}


def test_the_command_line_sets_it_before_torch_is_imported() -> None:
    program = (
        "import os, sys\n"
        "sys.argv = ['xstilts', '--version']\n"
        "from xstilts.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    print('torch' in sys.modules, os.environ['OMP_WAIT_POLICY'])\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in WAITING}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "False PASSIVE"


@pytest.mark.parametrize(("load", "remark"), [(0.0, False), (2.4, False), (2.6, True), (9.0, True)])
def test_a_load_above_the_cores_is_remarked_on(monkeypatch: pytest.MonkeyPatch, load: float, remark: bool) -> None:
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0), raising=False)
    assert machine.busy().startswith("the machine is busy") == remark


def test_without_a_load_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "getloadavg", raising=False)
    assert machine.busy() == ""


def test_what_is_available_is_a_part_of_the_memory() -> None:
    assert 0 < machine.available_memory_bytes() <= machine.main_memory_bytes()
