"""Jobs in Slurm, of which there is a stand-in for its commands (`fake_slurm`)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_local_executor import failing, journal, plain, predicted, scored, stepwise

import fake_slurm
from xstilts.cli import detach
from xstilts.cli.options import ClusterOptions
from xstilts.errors import InputError
from xstilts.monitoring.status import StudyMonitor
from xstilts.runtime import progress
from xstilts.runtime.cluster import Cluster
from xstilts.runtime.machine import Runtime
from xstilts.store import local_executor, slurm_executor, slurm_log
from xstilts.store.build import is_built
from xstilts.store.build_log import BuildLog
from xstilts.store.executor import Job, Resources
from xstilts.store.local_executor import Unbuilt, _Side, build_all
from xstilts.store.slurm_executor import BundleTask, SlurmExecutor
from xstilts.store.slurm_log import SlurmJob, Submission
from xstilts.store.stage import Stage

TESTS = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    """A machine with Slurm, on which nothing runs any more after the test."""
    pytest.importorskip("submitit", reason='submitit is not installed: pip install "xstilts[slurm]"')
    for name, value in fake_slurm.install(tmp_path / "slurm").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*TESTS, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(slurm_executor, "LOOK", 0.1)
    monkeypatch.setattr(slurm_executor, "PATIENCE", 1.0)
    monkeypatch.setattr(slurm_log, "ASKED_EVERY", 1.0)
    monkeypatch.setattr(
        slurm_log.Queue, "__init__", lambda queue: queue.__dict__.update(every=1.0, _asked=float("-inf"), _states=None)
    )
    yield Runtime(tmp_path / "store", device="cpu", threads=1, cluster=Cluster("slurm", time="10"))
    subprocess.run(["scancel", *{id.partition("_")[0] for id in fake_slurm.jobs()}], check=False)


def until(true: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
def test_a_build_in_slurm_is_as_here(slurm: Runtime, tmp_path: Path) -> None:
    bad = failing("line 3 has two columns")
    gold = plain("gold")
    scores = [scored(predicted(plain("model"), gold, name), gold) for name in ("de", "wrong", "sw")]
    notes: list[str] = []
    progress.listen(lambda event: None if event.total else notes.append(event.label))
    with pytest.raises(Unbuilt) as caught:
        build_all([*scores, plain("lost", (bad,)), plain("kept", (gold,))], slurm)
    assert str(caught.value).splitlines()[0] == "4 of 11 stages could not be built; the others are kept."
    assert set(str(caught.value).splitlines()[1:]) == {
        f"{bad.label}: line 3 has two columns",
        "predict-wrong: row 7 is wrong",
    }
    assert [is_built(score, slurm) for score in scores] == [True, False, True]
    assert set(journal(tmp_path).values()) == {1}
    assert "submitted to Slurm (1, 2" in notes[0]
    assert {job["options"]["job-name"] for job in fake_slurm.jobs().values()} == {"plain-x3", "predicted-x3"}
    (submission,) = slurm_log.read(slurm.store)
    assert set(submission.states(slurm_log.Queue().states()).values()) == {"done", "failed"}


@pytest.mark.slow
def test_a_job_that_is_requeued_goes_on_from_its_checkpoint(slurm: Runtime, tmp_path: Path) -> None:
    """The driver is killed meanwhile; another waits for the jobs that are queued, and submits nothing again."""
    script = tmp_path / "script.py"
    script.write_text(DRIVER.format(tests=TESTS, folder=str(tmp_path)))
    driver = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    first = stepwise("first")
    step = tmp_path / "store" / f"{first.label}-{first.key}.part" / "step"
    until(lambda: step.exists() and (step.read_text() or "0") > "0")
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    watch = StudyMonitor(slurm.store).look()
    assert [stage.label for stage in watch.running] == [first.label]
    assert (watch.total, dict(watch.waiting), watch.jobs) == (2, {"stepwise": 1}, {"running": 1, "pending": 1})
    subprocess.run(["scancel", "--signal", "SIGUSR2", "1"], check=True)
    until(lambda: fake_slurm.read("1").get("runs") == 2)
    assert build_all(STAGES, slurm) == 2
    assert set(fake_slurm.jobs()) == {"1", "2"}
    once = "first-from-start", "first-saved", "first-from-checkpoint", "second-from-start"
    assert journal(tmp_path) == dict.fromkeys(once, 1)
    after = StudyMonitor(slurm.store).look()
    assert (after.finished, after.alive, after.stopped, after.failed) == (2, 0, (), ())


FIRST = stepwise("first")
STAGES = [stepwise("second", 3, (FIRST,))]
DRIVER = """
import sys
sys.path[:0] = {tests!r}
from pathlib import Path
from test_slurm_executor import STAGES, Cluster, Runtime, build_all
if __name__ == "__main__":
    build_all(STAGES, Runtime(Path({folder!r}) / "store", device="cpu", threads=1, cluster=Cluster("slurm", time="10")))
"""


@pytest.mark.slow
def test_where_data_cannot_be_read_nothing_else_is_built(slurm: Runtime, tmp_path: Path) -> None:
    wrong = failing("row 7 is wrong")
    with pytest.raises(Unbuilt, match="so nothing else was built"):
        build_all([plain("training", (plain("data"),)), wrong], slurm, first="failing")
    assert journal(tmp_path) == {}
    states = [job["state"] for job in fake_slurm.jobs().values()]
    assert sorted(states) == ["CANCELLED"] * (len(states) - 1) + ["FAILED"]


@pytest.mark.slow
def test_a_cancelled_job_is_named_and_what_needs_it_is_not_tried(slurm: Runtime) -> None:
    def listen(event: progress.Event) -> None:
        if event.label.startswith("stepwise") and event.done >= 2:
            subprocess.run(["scancel", "1"], check=True)

    progress.listen(listen)
    with pytest.raises(Unbuilt, match=r"2 of 2 stages.*\n.*Slurm's job 1 ended as CANCELLED"):
        build_all(STAGES, slurm)


@pytest.mark.slow
def test_a_site_s_limits_divide_arrays_and_hold_jobs_back(slurm: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five jobs at once, where an array has at most four elements and a user at most three jobs."""
    monkeypatch.setenv("FAKE_SLURM_MOST", "3")
    notes: list[str] = []
    progress.listen(lambda event: None if event.total else notes.append(event.label))
    assert build_all([stepwise(f"{number}", 1) for number in range(5)], slurm) == 5
    assert "2 jobs follow when the site's limit allows: this process submits them" in notes
    until(lambda: {job["state"] for job in fake_slurm.jobs().values()} == {"COMPLETED"})
    monkeypatch.setenv("FAKE_SLURM_MOST", "0")
    with pytest.raises(InputError, match=r"(?s)Slurm takes no more jobs.*QOSMaxSubmitJobPerUserLimit"):
        build_all([plain("other")], slurm)


def test_where_data_cannot_be_read_jobs_that_were_held_back_are_not_submitted(
    slurm: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = SlurmExecutor(slurm)
    bad, training = failing("row 7 is wrong"), plain("training", (plain("data"),))
    first, then = (
        Job(n, (item,), Resources(), print, b"", (), item is training) for n, item in ((1, bad), (2, training))
    )
    executor.jobs, executor.arrays, executor.gate = [first, then], [[then]], ((slurm.store, 1),)
    executor.submission = Submission(slurm.store, 0.0, {}, {}, {})
    slurm.store.mkdir()
    (slurm.store / "1.ended.json").write_text(f'{{"failed": {{"{bad.key}": ["row 7 is wrong", true]}}, "stop": ""}}')
    assert list(executor._submit_more()) == [(then, {training.key: None})]
    assert (executor.jobs, executor.arrays) == ([first], [])


def test_what_slurm_refuses_is_told(slurm: Runtime) -> None:
    machine = Runtime(slurm.store, device="cpu", cluster=Cluster("slurm", partition="none"))
    with pytest.raises(InputError, match=r"Slurm refuses the job 'a'.*invalid partition specified"):
        build_all([plain("a")], machine)


def test_without_slurm_there_are_no_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit", reason='submitit is not installed: pip install "xstilts[slurm]"')
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="no Slurm here"):
        build_all([plain("a")], Runtime(tmp_path / "store", device="cpu", cluster=Cluster("slurm")))
    assert slurm_log.Queue().states() is None


@pytest.mark.slow
def test_a_command_runs_as_a_job_that_submits_itself_no_further(
    slurm: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {field.name: field.default for field in fields(ClusterOptions)}
    options |= {"executor": "slurm", "store": slurm.store}
    assert detach.submit(options, ["sandbox", "languages", "--detach"])
    assert "submitted as Slurm's job 1" in capsys.readouterr().out
    until(lambda: fake_slurm.read("1")["state"] == "COMPLETED")
    (log,) = slurm.store.glob(".slurm/command-*/*_log.out")
    assert "qaa" in log.read_text()
    monkeypatch.setenv(detach.INSIDE, "1")
    assert not detach.submit(options, ["sandbox", "languages", "--detach"])


# A job, without Slurm.


def task(machine: Runtime, *stages: Stage, number: int = 1, after: tuple[int, ...] = ()) -> BundleTask:
    """Return what a job of a submission calls."""
    folder = machine.store / ".slurm" / "submission"
    folder.mkdir(parents=True, exist_ok=True)
    packed = local_executor._packed(stages, machine)
    return BundleTask(folder, number, local_executor._build, packed, tuple((folder, n) for n in after), 0.1)


def outcome(machine: Runtime, number: int = 1) -> dict[str, Any] | None:
    return slurm_log.content(machine.store / f".slurm/submission/{number}.ended.json")


def test_a_job_writes_what_became_of_its_stages(machine: Runtime) -> None:
    a, bad = plain("a"), failing("row 7 is wrong")
    lost = plain("lost", (a, bad))
    task(machine, a, number=1).work()
    with pytest.raises(SystemExit):
        task(machine, bad, number=2).work()
    with pytest.raises(SystemExit):
        task(machine, lost, plain("kept", (a,)), number=3, after=(1, 2)).work()
    assert outcome(machine) == {"failed": {}, "stop": ""}
    assert outcome(machine, 2) == {"failed": {bad.key: ["row 7 is wrong", True]}, "stop": ""}
    assert outcome(machine, 3) == {"failed": {lost.key: None}, "stop": ""}
    assert is_built(plain("kept", (a,)), machine)
    with pytest.raises(SystemExit):
        task(machine, failing("full"), number=4).work()
    assert "no space left" in (outcome(machine, 4) or {})["stop"]


@pytest.mark.parametrize("resumes", [True, False])
def test_what_cannot_be_continued_must_fit_into_the_time_limit(machine: Runtime, resumes: bool) -> None:
    item = stepwise("long", 1) if resumes else plain("long")
    before = task(machine, item)
    before.interrupted()  # the second run, of which the first has built nothing
    with nullcontext() if resumes else pytest.raises(SystemExit):
        before.work()
    assert is_built(item, machine) == resumes
    reasons = (outcome(machine) or {})["failed"]
    assert reasons == {} if resumes else "give a longer --slurm-time" in reasons[item.key][0]


def test_states_are_those_of_the_files_where_slurm_cannot_be_asked(tmp_path: Path) -> None:
    jobs = {number: SlurmJob(f"7_{number}", number, (f"key{number}",)) for number in range(6)}
    submission = Submission(tmp_path, 0.0, {}, {}, jobs)
    (tmp_path / "1.json").write_text('{"state": "running"}')
    (tmp_path / "2.json").write_text('{"state": "requeued"}')
    (tmp_path / "3.ended.json").write_text('{"failed": {}, "stop": ""}')
    (tmp_path / "4.ended.json").write_text('{"failed": {"key4": null}, "stop": ""}')
    (tmp_path / "5.json").write_text('{"state": "run')  # half written
    states = submission.states(None)
    assert states == {0: "pending", 1: "running", 2: "requeued", 3: "done", 4: "failed", 5: "pending"}
    known = {"7_0": "PENDING", "7_2": "PENDING", "7_3": "RUNNING", "7_5": "RUNNING"}
    assert submission.states(known) == states | {1: "lost", 5: "running"}
    assert submission.states(dict.fromkeys(known, "COMPLETING"))[2] == "requeued"
    submission.write()
    assert slurm_log.read(tmp_path.parent) == []


def test_jobs_of_others_that_a_site_hides_are_not_taken_for_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = Submission(tmp_path, 0.0, {}, {}, {1: SlurmJob("8", 1, ("a",)), 2: SlurmJob("9", 2, ("b",))})
    monkeypatch.setattr(slurm_log, "user", submission.owner.__str__)
    assert submission.states({}) == {1: "lost", 2: "lost"}
    monkeypatch.setattr(slurm_log, "user", lambda: "colleague")
    assert submission.states({}) == {1: "pending", 2: "pending"}
    assert submission.states({"9": "RUNNING"}) == {1: "lost", 2: "running"}


class Queueing:
    """An executor that takes everything in advance and builds nothing."""

    queues, room, gpus = True, sys.maxsize, 0


@given(st.lists(st.tuples(st.sets(st.integers(0, 40), max_size=3), st.sampled_from("ptl")), max_size=40))
def test_every_stage_is_in_one_job_after_those_of_its_inputs(drawn: list[tuple[set[int], str]]) -> None:
    """Whatever needs what, jobs and arrays have an order in which inputs come first."""
    todo: list[Stage] = []
    for number, (needed, kind) in enumerate(drawn):
        of = tuple(todo[n] for n in sorted(needed) if n < number)
        if kind == "p" and of:
            todo.append(predicted(of[0], of[-1], f"{number}"))
        else:
            todo.append(stepwise(f"{number}", 1, of) if kind == "t" else plain(f"{number}", of))
    side = _Side(todo, Runtime(Path("store")), BuildLog(frozenset()))
    jobs: list[Job] = list(side._in_advance(Queueing()))  # type: ignore[arg-type]
    of_stage = {item.key: job.number for job in jobs for item in job.stages}
    assert sorted(of_stage) == sorted(item.key for item in todo)
    assert sum(len(job.stages) for job in jobs) == len(todo)
    for job in jobs:
        needed_jobs = {of_stage[before.key] for item in job.stages for before in item.inputs} - {job.number}
        assert set(job.after) == needed_jobs
        assert all(number < job.number for number in needed_jobs)
    before: set[int] = set()
    for array in slurm_executor._arrays(jobs, jobs):
        assert all(set(job.after) <= before for job in array)
        before |= {job.number for job in array}
    assert before == {job.number for job in jobs}


def test_a_dependency_on_many_elements_is_one_on_their_array() -> None:
    ids = [f"7_{element}" for element in range(30)] + ["8", "9_1"]
    assert slurm_executor._listed(ids) == ["7", "8", "9_1"]
