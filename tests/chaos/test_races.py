"""Many processes on one store, killed, suspended, and on hosts whose locks or clocks differ: every stage is built once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from harness import (
    Faults,
    call,
    completed,
    differing,
    digests,
    ended,
    fork,
    killed,
    left,
    make_encoder,
    prepare,
    short_run,
    small_world,
    trials,
)

from simulated_hosts import LOCKS, become
from toy_models import put_machine, study
from xstilts.runtime import whole_files
from xstilts.store.local_executor import build_all

pytestmark = pytest.mark.chaos


def noted(journal: Path) -> Callable[[], None]:
    """Return a preparation of a child: it writes down which stages it has published."""

    def before() -> None:
        from xstilts.store import build

        make: Callable[..., None] = build._make

        def counted(stage: Any, folder: Path, *rest: Any) -> None:
            make(stage, folder, *rest)
            with journal.open("a") as file:
                file.write(f"{folder.name}\n")

        build._make = counted

    return before


def disturbed(children: list[int], draw: random.Random, seconds: float, deadly: bool) -> int:
    """Kill or suspend children at random times; return how often."""
    count, asleep = 0, list[tuple[float, int]]()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(draw.random() * seconds / 3)
        child = draw.choice(children)
        try:
            if deadly and draw.random() < 0.5 and len(children) > 1:
                os.killpg(child, signal.SIGKILL)
                children.remove(child)
                ended(child, 10.0)
            else:
                os.killpg(child, signal.SIGSTOP)
                asleep.append((time.monotonic(), child))
            count += 1
        except ProcessLookupError:
            children.remove(child)
            if not children:
                return count
    for since, child in asleep:  # longer than the lease
        time.sleep(max(0.0, since + 2.0 - time.monotonic()))
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGCONT)
    return count


@pytest.mark.parametrize("locks", LOCKS)
def test_toy_studies_of_eight_processes_are_built_once(
    tmp_path: Path, locks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_files, "sync", lambda path: None)
    stages, place = study(2), tmp_path / "study"
    place.mkdir()
    build_all(stages, put_machine(place))
    wanted, twice, faults, disturbances, count = digests(place / "store"), 0, Faults(), 0, 0
    for number, draw in trials():
        shutil.rmtree(place)
        place.mkdir()
        machine, journal, log = replace(put_machine(place), lease_seconds=1.0), place / "published", place / "log"
        count, children = count + 1, []
        for process in range(8):
            host, hours = f"host{process % 4}", 100.0 * (process % 4)

            def before(host: str = host, hours: float = hours, journal: Path = journal) -> None:
                noted(journal)()
                become(host, locks, hours)

            children.append(fork(lambda machine=machine: build_all(stages, machine), log, before))
        if number % 2:
            disturbances += disturbed(children, draw, 1.0, deadly=True)
        codes = [completed(child) for child in children]
        published = Counter(journal.read_text().split())
        twice += sum(built > 1 for built in published.values())
        differ, remains = differing(wanted, digests(machine.store)), left(machine.store)
        if any(codes) or differ or [name for name in remains if not name[-1].isdecimal()]:
            faults.append((codes, differ[:5], remains[:5], log.read_text()[-1500:]))
    print(
        f"\nraces, locks {locks}: {count} rounds of 8 processes, {disturbances} killed or suspended, stages built twice "
        f"{twice}, with faults {len(faults)}"
    )
    assert not faults, faults
    assert not twice


def test_runs_of_several_processes_are_built_once(tmp_path: Path) -> None:
    prepare()
    make_encoder(tmp_path / "encoder")
    store, log, journal = tmp_path / "store", tmp_path / "log", tmp_path / "published"
    settings = ("--set", "trainable=top:1", "--set", "steps=10", "--seeds", 2)
    words = short_run(tmp_path / "encoder", store, *settings)

    def before() -> None:
        small_world()
        noted(journal)()

    assert completed(call(log, *words)) == 0, log.read_text()[-2000:]
    wanted, twice, faults, disturbances, count = digests(store), 0, Faults(), 0, 0
    for number, draw in trials():
        shutil.rmtree(store)
        log.unlink()
        journal.unlink(missing_ok=True)
        count, children = count + 1, [call(log, *words, before=before) for _ in range(4)]
        if number % 2:
            time.sleep(draw.random() * 4)
            for child in draw.sample(children, 2):
                killed(child)
                children.remove(child)
                disturbances += 1
        codes = [completed(child) for child in children]
        published = Counter(journal.read_text().split())
        twice += sum(built > 1 for built in published.values())
        differ, remains = differing(wanted, digests(store)), left(store)
        if any(codes) or differ or remains or "Traceback" in log.read_text():
            faults.append((codes, differ[:5], remains[:5], log.read_text()[-1500:]))
    print(
        f"\nraces of runs: {count} rounds of 4 processes, {disturbances} killed, stages built twice {twice}, "
        f"with faults {len(faults)}"
    )
    assert not faults, faults
    assert not twice
