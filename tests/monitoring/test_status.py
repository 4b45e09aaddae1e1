"""Watching: what builds say of themselves, what a store tells, and what is shown of both."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plain_store import ENCODER, put, put_score, put_training
from quick import first
from xstilts import cli
from xstilts.errors import InputError
from xstilts.monitoring import best_so_far, dashboard
from xstilts.monitoring.status import StudyMonitor
from xstilts.runtime.machine import Runtime
from xstilts.runtime.progress import step
from xstilts.store import build_log
from xstilts.store.identity import canonical
from xstilts.store.live_view import CHECKPOINT, StoreView
from xstilts.store.local_executor import build_all
from xstilts.store.stage import BuildContext, Stage, StageError, folder_of, stage

BOTH = pytest.mark.parametrize("workers", [1, 2])


@stage(name="plain", version=1, label=lambda name, of=(), resumes=False: name)
def plain(site: BuildContext, name: str, of: tuple[Stage, ...] = ()) -> None:
    (site.folder / "text").write_text(name)


@stage(name="wrong", version=1, label=lambda name: name)
def wrong(site: BuildContext, name: str) -> None:
    raise InputError(f"{name} has two columns")


@stage(name="watched", version=1, label=lambda name: name, resumes=True)
def watched(site: BuildContext, name: str) -> None:
    """Say how far it is, and write what a watcher sees once it has heard of that."""
    patience = time.monotonic() + 20
    while time.monotonic() < patience:
        step(site.folder.stem, 3, 4, "loss 0.500  1:10 left")
        state = StudyMonitor(site.machine.store).look()
        if any(one.done for one in state.running):
            (site.folder / "seen.json").write_text(
                json.dumps([[one.label, one.done, one.total] for one in state.running])
            )
            (site.folder / "counts.json").write_text(
                json.dumps([state.finished, state.total, state.alive, state.running[0].seconds])
            )
            return
        time.sleep(0.05)
    raise InputError("nobody has seen it")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    found = tmp_path / "store"
    found.mkdir()
    return found


def machine_at(store: Path, workers: int = 1) -> Runtime:
    return Runtime(store, device="cpu", workers=workers, threads=1)


def tree(folder: Path) -> list[tuple[str, int, int]]:
    found = ((path.relative_to(folder).as_posix(), path.stat()) for path in folder.rglob("*"))
    return sorted((name, status.st_mtime_ns, status.st_size) for name, status in found)


# What a build says of itself.


@BOTH
def test_a_build_that_goes_on_is_seen_with_its_steps_and_leaves_nothing(store: Path, workers: int) -> None:
    build_all([watched("one"), plain("two")], machine_at(store, workers))
    folder = folder_of(watched("one"), machine_at(store))
    assert ["one", 3, 4] in json.loads((folder / "seen.json").read_text())
    finished, total, alive, seconds = json.loads((folder / "counts.json").read_text())
    assert (total, alive) == (2, 1)
    assert finished < 2
    assert 0 < seconds <= 70
    assert list((store / build_log.FOLDER).iterdir()) == []


@pytest.mark.parametrize("workers", first(1, [1, 2]))
def test_what_failed_is_told_with_the_reason_until_it_is_there(store: Path, workers: int) -> None:
    lost = plain("lost", (wrong("table"),))
    with pytest.raises(StageError):
        build_all([lost, plain("last", (lost,)), plain("kept")], machine_at(store, workers))
    state = StudyMonitor(store).look()
    assert state.failed == (("table", "table has two columns"),)
    assert (state.lost, state.alive, state.finished, state.stopped) == (2, 0, 1, ())
    key = wrong("table").key
    folder = store / f"table-{key}"
    folder.mkdir()
    record = {"label": "table", "key": key, "work": "x", "arguments": {}, "seconds": 1.0, "started": "", "record": {}}
    (folder / "stage.json").write_text(json.dumps(record))
    assert StudyMonitor(store).look().failed == ()


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {tests!r}
from test_status import build_log, machine_at, plain
with build_log.noted([plain("a"), plain("b")], machine_at(Path({store!r}))):
    os.kill(os.getpid(), signal.{signal})
"""


def test_a_killed_build_is_dead_and_says_what_it_lacks(store: Path) -> None:
    code = KILLED.format(
        tests=[str(Path(__file__).parents[1]), str(Path(__file__).parent)], store=str(store), signal="SIGKILL"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    (found,) = build_log.read(store)
    assert not found.alive
    assert found.ended is None
    build_all([plain("a")], machine_at(store))
    state = StudyMonitor(store).look()
    assert [(one.lacking, one.stages) for one in state.stopped] == [(1, 2)]
    assert (state.alive, state.total, state.running) == (0, None, ())
    build_all([plain("b")], machine_at(store))
    assert StudyMonitor(store).look().stopped == ()


def test_a_build_of_another_host_lives_as_long_as_it_renews_its_word(store: Path) -> None:
    code = KILLED.format(
        tests=[str(Path(__file__).parents[1]), str(Path(__file__).parent)], store=str(store), signal="SIGKILL"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    (folder,) = (store / build_log.FOLDER).iterdir()
    elsewhere = folder.rename(folder.with_name("another_host-1-1"))
    (elsewhere / build_log.NOW).write_text("{}")
    assert [build.alive for build in build_log.read(store)] == [True]
    silent = time.time() - build_log.SILENT - 1
    os.utime(elsewhere / build_log.NOW, (silent, silent))
    assert [build.alive for build in build_log.read(store)] == [False]


def test_a_build_renews_its_word_where_nothing_changes(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_log, "EVERY", 0.01)
    monkeypatch.setattr(build_log, "BEAT", 0.0)
    with build_log.noted([plain("a")], machine_at(store)):
        (folder,) = (store / build_log.FOLDER).iterdir()
        file, end = folder / build_log.NOW, time.monotonic() + 20
        while not file.is_file() and time.monotonic() < end:
            time.sleep(0.01)
        os.utime(file, (1, 1))
        while file.stat().st_mtime < 2 and time.monotonic() < end:
            time.sleep(0.01)
        assert file.stat().st_mtime > 2


def test_those_who_watch_do_not_take_each_other_for_builders(store: Path) -> None:
    with pytest.raises(StageError):
        build_all([wrong("table")], machine_at(store))
    (folder,) = (store / build_log.FOLDER).iterdir()
    with (folder / build_log.LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert [build.alive for build in build_log.read(store)] == [False]


def test_word_of_a_build_is_dropped_after_a_week_and_never_of_one_that_lives(store: Path) -> None:
    with pytest.raises(StageError):
        build_all([wrong("table")], machine_at(store))
    (old,) = (store / build_log.FOLDER).iterdir()
    long_ago = time.time() - 2 * build_log.KEPT
    with build_log.noted([plain("long")], machine_at(store)):
        (living,) = set((store / build_log.FOLDER).iterdir()) - {old}
        os.utime(old, (long_ago, long_ago))
        os.utime(living, (long_ago, long_ago))
        build_all([plain("a")], machine_at(store))
        assert list((store / build_log.FOLDER).iterdir()) == [living]


def test_a_store_in_which_nobody_may_leave_word_is_built_all_the_same(store: Path) -> None:
    (store / build_log.FOLDER).write_text("in the way")
    assert build_all([plain("a")], machine_at(store)) == 1
    assert build_log.read(store) == []


# What a store tells.


def put_part(store: Path, label: str, key: str, state: dict[str, Any] | None) -> Path:
    part = store / f"{label}-{key}.part"
    part.mkdir()
    if state is not None:
        header = json.dumps({"__metadata__": {"state": json.dumps(state)}}).encode()
        (part / CHECKPOINT).write_bytes(len(header).to_bytes(8, "little") + header)
    return part


STATE = {
    "step": 30,
    "history": [{"step": 15, "loss": 2.0}, {"step": 30, "loss": 1.25}, {"step": 30, "dev": {"a": 70.0}}],
    "cost": {"seconds": 60.0, "taught": {"a": {"tokens": 6000}}},
}


def test_a_training_that_nobody_speaks_for_tells_by_its_checkpoint(store: Path) -> None:
    put_part(store, "train-a-seed1", "0" * 12, STATE)
    (one,) = StudyMonitor(store).look().running
    assert (one.label, one.done, one.total, one.figures) == ("train-a-seed1", 30, 0, "loss 1.250  100 tokens/s")
    assert one.seconds is None


def test_what_is_left_behind_is_not_taken_for_running(store: Path) -> None:
    part = put_part(store, "train-a-seed1", "0" * 12, STATE)
    for path in (part / CHECKPOINT, part):
        os.utime(path, (0, 0))
    state = StudyMonitor(store).look()
    assert state.running == ()
    assert [one.folder for one in state.left_behind] == [part]


def test_half_written_and_damaged_files_are_passed_over(store: Path) -> None:
    put_part(store, "train-a-seed1", "f" * 12, None)
    for number, text in enumerate(
        (b"", b"\x05", b"\xff" * 8, b"\x04\0\0\0\0\0\0\0nope", (9).to_bytes(8, "little") + b'{"a": 1}')
    ):
        (put_part(store, "train-b", f"{number}" * 12, None) / CHECKPOINT).write_bytes(text)
    for number, text in enumerate((b"", b"{", b"[]", b'{"label": "x"}', b"\xff")):
        (store / f"x-{number:012x}").mkdir()
        (store / f"x-{number:012x}" / "stage.json").write_bytes(text)
        for name in (build_log.ASKED, build_log.NOW):
            folder = store / build_log.FOLDER / f"{name}{number}"
            folder.mkdir(parents=True)
            other = build_log.ASKED if name == build_log.NOW else build_log.NOW
            (folder / name).write_bytes(text)
            (folder / other).write_text('{"started": 1.0, "workers": 1, "stages": {}, "arguments": {}}')
    (store / "x-aaaaaaaaaaaa").symlink_to(store / "nowhere")
    state = StudyMonitor(store).look()
    assert (state.finished, state.total, len(state.running)) == (0, None, 6)


def test_watching_changes_nothing(store: Path) -> None:
    put_score(store, {"stage": put_training(store, "a", 1)}, 50.0)
    put_part(store, "train-b-seed1", "0" * 12, STATE)
    with build_log.noted([plain("a")], machine_at(store)) as note:
        note.begin([plain("a")])
        time.sleep(0.1)
        before = tree(store)
        StudyMonitor(store, (plain("a"),)).look()
        assert tree(store) == before


def test_a_store_that_is_looked_at_again_is_read_once_and_what_is_gone_is_forgotten(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = put(store, "x", "work", {})
    seen = StoreView(store)
    seen.refresh()
    monkeypatch.setattr("xstilts.store.manifest.read", lambda folder: pytest.fail("read twice"))
    seen.refresh()
    assert set(seen.records) == {key}
    (store / f"x-{key}" / "stage.json").unlink()
    (store / f"x-{key}").rmdir()
    seen.refresh()
    assert seen.records == {}


# A study's file, and the time left.


def test_of_a_study_what_is_to_do_is_known_and_counted_down(store: Path) -> None:
    machine = machine_at(store)
    asked = [plain("end", (plain("a"), plain("b"))), plain("other")]
    watch = StudyMonitor(store, asked)
    state = watch.look()
    assert (state.finished, state.total, dict(state.waiting), state.unknown) == (0, 4, {"plain": 4}, 4)
    assert state.seconds is None
    build_all(asked[1:], machine)
    state = watch.look()
    assert (state.finished, state.unknown, state.complete) == (1, 0, False)
    build_all(asked, machine)
    state = watch.look()
    assert (state.finished, state.complete, dict(state.waiting), state.seconds) == (4, True, {}, 0.0)


def test_the_time_left_is_what_finished_ones_of_the_name_took_among_workers(store: Path) -> None:
    for name, work, seconds in (("a-seed1", "work", 10.0), ("a-seed2", "work", 20.0), ("b-seed1", "work", 90.0)):
        put(store, name, work, {"n": seconds}, seconds)
    pace = StudyMonitor(store)
    pace.look()
    assert pace.eta.usual("a-seed3", "work") == 15.0
    assert pace.eta.usual("c-seed1", "work") == 20.0
    assert pace.eta.usual("c-seed1", "other") is None
    with build_log.noted([plain("x"), plain("y")], machine_at(store, 2)):
        assert pace.look().seconds is None
        put(store, "z", plain("x").work.name, {}, 30.0)
        assert pace.look().seconds == 30.0


# What is ahead.


def standing(store: Path, target: str = "xnli") -> best_so_far.Standing:
    seen = StoreView(store)
    seen.refresh()
    (found,) = (one for one in best_so_far.best(seen) if one.target == target)
    return found


def test_a_gain_is_over_the_model_without_the_training_and_paired_by_seed(store: Path) -> None:
    for seed, (base, more) in enumerate(((40.0, 45.0), (50.0, 53.0)), start=1):
        first = put_training(store, "squad", seed)
        put_score(store, {"stage": put_training(store, "mnli", seed)}, base)
        put_score(store, {"stage": put_training(store, "mnli", seed, {"stage": first})}, more)
    put_score(store, {"stage": put_training(store, "mnli", 3)}, 99.0)  # a seed that only the baseline has
    found = standing(store)
    assert (found.setting, found.gain, found.of) == ("baseline (mnli)", None, 2)
    first = put_training(store, "squad", 3)
    put_score(store, {"stage": put_training(store, "mnli", 3, {"stage": first})}, 98.0)
    found = standing(store)
    assert (found.setting, found.seeds) == ("squad → mnli", 3)
    assert found.score == pytest.approx((45 + 53 + 98) / 3)
    assert found.gain == pytest.approx((5 + 3 - 1) / 3)


def test_no_mean_is_over_fewer_languages(store: Path) -> None:
    whole, half = put_training(store, "mnli", 1), put_training(store, "anli", 1)
    put_score(store, {"stage": whole}, 50.0, "en")
    put_score(store, {"stage": whole}, 30.0, "sw")
    put_score(store, {"stage": half}, 90.0, "en")
    found = standing(store)
    assert (found.setting, found.score, found.languages, found.of) == ("mnli", 40.0, 2, 1)


def test_a_loss_is_better_when_lower_and_an_untrained_encoder_is_a_baseline(store: Path) -> None:
    trained = put_training(store, "mnli", 1)
    put_score(store, {"stage": trained}, 3.0, task="raw", metric="mlm_loss")
    put_score(store, ENCODER, 2.0, task="raw", metric="mlm_loss")
    found = standing(store, "raw")
    assert (found.setting, found.score, found.of) == ("baseline (untrained)", 2.0, 2)


# What is shown.


@pytest.fixture
def shown_store(store: Path) -> Iterator[Path]:
    """A store in which something of everything is to be seen."""
    put_score(store, {"stage": put_training(store, "mnli", 1, seconds=3700.0)}, 50.0)
    with pytest.raises(StageError):
        build_all([wrong("table[red]")], machine_at(store))
    waiting = [plain("w1"), plain("w2")]
    with build_log.noted(waiting, machine_at(store)) as note:
        note.begin(waiting[:1])
        put_part(store, "w1", waiting[0].key, None)
        time.sleep(0.05)
        yield store


def watch_once(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as ended:
        cli.app(["watch", "--once", *map(str, arguments)])
    assert not ended.value.code
    return capsys.readouterr().out


def test_once_prints_everything_and_ends_well(
    shown_store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_log, "EVERY", 0.01)
    for _ in range(100):
        said = watch_once(capsys, shown_store)
        if "1 running" in said:
            break
        time.sleep(0.05)
    assert said.splitlines()[0].startswith("0 of 2 finished, 1 running, 1 failed, 1 waiting, time left not known of 2")
    assert "failed  table_red_: table[red] has two columns" in said
    assert "waiting  1 plain" in said
    assert ["xnli", "tiny", "mnli", "1", "50.00"] in [line.split()[:5] for line in said.splitlines()]
    assert "\x1b" not in said


def test_no_color_is_honoured_in_a_terminal(
    shown_store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[31m" in watch_once(capsys, shown_store)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in watch_once(capsys, shown_store)


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no store .*nowhere"):
        dashboard.planned_stages(None, "sandbox", tmp_path / "nowhere", None)


def test_lines_follow_a_build_to_its_end_and_say_what_failed(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watch = StudyMonitor(store, (plain("a"), plain("b"), plain("c")))
    turns = iter(
        (lambda: build_all([plain("a")], machine_at(store)), lambda: build_all([*watch.stages], machine_at(store)))
    )
    looked = watch.look

    def look() -> Any:
        next(turns)()
        return looked()

    watch.look = look  # type: ignore[method-assign]
    dashboard._lines(watch, looked(), dashboard.console(), 0.0)
    counts = [line.partition(" finished")[0] for line in capsys.readouterr().out.splitlines()]
    assert counts[:3] == ["0 of 3", "1 of 3", "3 of 3"]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (3600, "1 h 0 min"), (90061, "1 d 1 h")]
)
def test_durations_are_told_in_two_units(seconds: float, said: str) -> None:
    assert dashboard.duration(seconds) == said


def test_watching_needs_no_torch() -> None:
    code = "import sys, xstilts.monitoring.dashboard, xstilts.monitoring.tracker_sync; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_arguments_of_trainings_are_told_in_their_canonical_form(store: Path) -> None:
    with build_log.noted([watched("one"), plain("two")], machine_at(store)):
        (found,) = build_log.read(store)
    assert found.arguments == {watched("one").key: canonical({"name": "one"})}
