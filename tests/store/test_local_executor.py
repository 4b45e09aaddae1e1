from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quick import first, parameters
from xstilts.errors import InputError
from xstilts.runtime import progress, signals
from xstilts.runtime.machine import WAITING, Runtime
from xstilts.runtime.progress import Event
from xstilts.store import local_executor, names
from xstilts.store.build import is_built, missing
from xstilts.store.build_log import BuildLog
from xstilts.store.executor import Failures, Job
from xstilts.store.local_executor import Unbuilt, _Side, build_all
from xstilts.store.stage import BuildContext, Stage, StageError, folder_of, stage

BOTH = pytest.mark.parametrize("workers", [1, 2])


def noted(site: BuildContext, word: str) -> None:
    """Write a word into the journal beside the store, whole even when several processes write."""
    with (site.machine.store.parent / "journal").open("a") as file:
        file.write(f"{word} {os.getpid()}\n")
    (site.folder / "text").write_text(word)


@stage(name="plain", version=1, label=lambda name, of=(): name)
def plain(site: BuildContext, name: str, of: tuple[Stage, ...] = ()) -> None:
    assert all((site.path(item) / "text").is_file() for item in of)
    noted(site, name)


@stage(name="failing", version=1, label=lambda how, part="": part or how)
def failing(site: BuildContext, how: str, part: str = "") -> None:
    (site.folder / "half").write_text("half")
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "full":
        raise OSError(28, "No space left on device")
    if how == "strange":
        raise Strange("two", "arguments")
    raise InputError(how)


class Strange(Exception):
    """An error that does not survive pickling."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


@stage(name="predicted", version=1, label=lambda model, gold, name: f"predict-{name}")
def predicted(site: BuildContext, model: Stage, gold: Stage, name: str) -> None:
    if name == "wrong":
        raise InputError("row 7 is wrong")
    noted(site, f"predict-{name}")


@stage(name="scored", version=1, label=lambda predictions, gold: f"score-{predictions.label}")
def scored(site: BuildContext, predictions: Stage, gold: Stage) -> None:
    noted(site, f"score-{predictions.label}")


@stage(name="long", version=1, resumes=True, memory=lambda machine, name, gib, of=(): gib * 2**30)
def long(site: BuildContext, name: str, gib: int, of: tuple[Stage, ...] = ()) -> None:
    noted(site, " ".join([name, *(os.environ.get(waiting, "") for waiting in WAITING)]))


@stage(name="stepwise", version=1, resumes=True, label=lambda name, steps, of: f"stepwise-{name}")
def stepwise(site: BuildContext, name: str, steps: int = 40, of: tuple[Stage, ...] = ()) -> None:
    """Take steps of a tenth of a second, with checkpoints now and then and where it is interrupted, as a training."""
    checkpoint = site.folder / "step"
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    with (site.machine.store.parent / "journal").open("a") as file:
        file.write(f"{name}-from-{'start' if not done else 'checkpoint'} {os.getpid()}\n")
    with signals.deferred() as interrupted:
        for step in range(done, steps):
            time.sleep(0.1)
            if interrupted or step % 3 == 0:
                checkpoint.write_text(str(step + 1))
            progress.step(site.folder.name.removesuffix(".part"), step + 1, steps)
            if interrupted:
                with (site.machine.store.parent / "journal").open("a") as file:
                    file.write(f"{name}-saved {os.getpid()}\n")
                raise signals.Interrupted(interrupted[0])
    checkpoint.unlink(missing_ok=True)
    (site.folder / "text").write_text(name)


def machine_at(folder: Path, workers: int) -> Runtime:
    return Runtime(folder / "store", device="cpu", workers=workers, threads=1)


def journal(folder: Path) -> Counter[str]:
    path = folder / "journal"
    return Counter(line.split()[0] for line in path.read_text().splitlines()) if path.exists() else Counter()


@BOTH
def test_everything_is_built_once_inputs_first(tmp_path: Path, workers: int) -> None:
    machine = machine_at(tmp_path, workers)
    a, b = plain("a"), plain("b")
    ab = plain("ab", (a, b))
    ends = [plain(f"end{n}", (ab, plain(f"own{n}"))) for n in range(3)]
    events: list[Event] = []
    progress.listen(events.append)
    assert build_all([*ends, ends[0], ab], machine) == 9
    assert journal(tmp_path) == Counter(["a", "b", "ab", *(f"{x}{n}" for x in ("end", "own") for n in range(3))])
    assert all(is_built(end, machine) for end in ends)
    steps = [
        (event.done, event.total) for event in events if event.label in {item.label for item in ends} or event.total
    ]
    assert steps[-1] == (9, 9)
    assert build_all(ends, machine) == 0
    assert journal(tmp_path).total() == 9


@pytest.mark.parametrize("workers", first(1, [1, 2]))
def test_what_is_there_is_not_built_again(tmp_path: Path, workers: int) -> None:
    machine = machine_at(tmp_path, workers)
    build_all([plain("a")], machine)
    assert build_all([plain("ab", (plain("a"), plain("b")))], machine) == 2
    assert journal(tmp_path) == Counter(["a", "b", "ab"])


@BOTH
def test_a_failure_takes_its_dependents_with_it_and_nothing_else(tmp_path: Path, workers: int) -> None:
    machine = machine_at(tmp_path, workers)
    bad = failing("line 3 has two columns")
    middle = plain("middle", (bad, plain("x")))
    lost = [middle, plain("both", (bad, middle)), plain("last", (middle,))]
    kept = [plain("kept", (plain("x"),)), plain("z")]
    with pytest.raises(StageError) as caught:
        build_all([*lost, *kept], machine)
    first, *reasons = str(caught.value).splitlines()
    assert first == "4 of 7 stages could not be built; the others are kept."
    assert reasons == [f"{bad.label}: line 3 has two columns"]
    assert all(is_built(item, machine) for item in kept)
    assert {item.key for item in missing(tuple(lost), machine)} == {bad.key, *(item.key for item in lost)}
    assert journal(tmp_path) == Counter(["x", "kept", "z"])


@pytest.mark.parametrize("workers", first(1, [1, 2]))
def test_one_bad_language_does_not_cost_the_others(tmp_path: Path, workers: int) -> None:
    """Predictions of one network go to a worker together; what fails among them is still on its own."""
    machine = machine_at(tmp_path, workers)
    model, gold = plain("model"), plain("gold")
    scores = [scored(predicted(model, gold, name), gold) for name in ("de", "wrong", "sw", "zh")]
    with pytest.raises(StageError, match=r"2 of 10 stages could not be built.*\npredict-wrong: row 7 is wrong$"):
        build_all(scores, machine)
    assert [is_built(score, machine) for score in scores] == [True, False, True, True]


def test_the_predictions_of_a_network_go_to_one_worker(tmp_path: Path) -> None:
    machine = machine_at(tmp_path, 2)
    gold = plain("gold")
    scores = [
        scored(predicted(plain(f"model{m}"), gold, f"{m}{code}"), gold) for m in range(2) for code in ("de", "sw", "zh")
    ]
    build_all(scores, machine)
    lines = [line.split() for line in (tmp_path / "journal").read_text().splitlines()]
    for m in range(2):
        workers = {worker for word, worker in lines if word.startswith((f"predict-{m}", f"score-predict-{m}"))}
        assert len(workers) == 1
    assert os.getpid() not in {int(worker) for _, worker in lines}


@pytest.mark.parametrize("bad", [(), (1,)])
def test_predictions_of_a_network_wait_for_each_other_s_data(bad: tuple[int, ...]) -> None:
    """They are one job, whatever the order in which their data are read, and those whose data are there are built."""
    data = [reading(f"{number}") for number in range(3)]
    scores = [
        scored(predicted(plain(f"model{m}"), item, f"{m}{n}"), item) for m in range(2) for n, item in enumerate(data)
    ]
    todo = [*data, *(plain(f"model{m}") for m in range(2)), *(one.inputs[0] for one in scores), *scores]
    executor = OneByOne({data[number].key for number in bad})
    side = _Side(todo, Runtime(Path("store")), BuildLog(frozenset()), executor=executor)
    assert len(side.run()) == 5 * len(bad)
    assert sorted(len(job.stages) for job in executor.jobs) == [1] * 5 + [2 * (3 - len(bad))] * 2


class OneByOne:
    """An executor whose jobs end one after the other without anything being built; some stages fail."""

    queues, room, gpus = False, sys.maxsize, 0

    def __init__(self, bad: set[str]) -> None:
        self.bad, self.jobs, self.running = bad, list[Job](), list[Job]()

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        self.running.append(job)

    def ended(self, seconds: float) -> Iterator[tuple[Job, Failures]]:
        job = self.running.pop(0)
        yield job, {item.key: StageError("wrong") for item in job.stages if item.key in self.bad}

    def cancel(self, error: BaseException) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize("workers", first(1, [1, 2]))
def test_an_error_that_was_not_written_for_people_is_named_with_its_type(tmp_path: Path, workers: int) -> None:
    with pytest.raises(StageError, match="strange: Strange: two arguments"):
        build_all([failing("strange"), plain("a"), plain("b")], machine_at(tmp_path, workers))
    assert journal(tmp_path) == Counter(["a", "b"])


def test_many_failures_are_counted_and_some_are_named(tmp_path: Path) -> None:
    with pytest.raises(StageError) as caught:
        build_all([failing(f"wrong {n}") for n in range(30)], machine_at(tmp_path, 1))
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("30 of 30 stages")
    assert lines[-1] == "and 20 more"
    assert len(lines) == 12


def test_stages_that_fail_for_one_reason_are_named_together(tmp_path: Path) -> None:
    same = [failing("row 3 is wrong", f"data-{split}") for split in ("train", "validation", "test")]
    with pytest.raises(Unbuilt) as caught:
        build_all([failing("another"), *same], machine_at(tmp_path, 1))
    assert str(caught.value).splitlines()[1:] == [
        "another: another",
        "data-train, data-validation, data-test: row 3 is wrong",
    ]
    assert len(caught.value.reasons) == 4


@BOTH
def test_a_full_disk_stops_everything_at_once(tmp_path: Path, workers: int) -> None:
    chain = [plain(f"after{n}") for n in range(400)]
    with pytest.raises(StageError, match=r"no space left in .* while building full-.*free some and run again"):
        build_all([failing("full"), *chain], machine_at(tmp_path, workers))
    assert journal(tmp_path).total() < 400


def test_a_worker_that_dies_is_told_in_words_and_nothing_finished_is_lost(tmp_path: Path) -> None:
    machine = machine_at(tmp_path, 2)
    build_all([plain("a")], machine)
    with pytest.raises(StageError, match=r"a worker process died.*run again to go on"):
        build_all([failing("killed"), plain("a"), plain("ab", (plain("a"), failing("killed")))], machine)
    assert is_built(plain("a"), machine)
    assert not folder_of(failing("killed"), machine).exists()


@given(
    st.lists(st.tuples(st.sets(st.integers(0, 30), max_size=3), st.booleans(), st.booleans()), max_size=30),
    st.integers(1, 3),
)
def test_stages_are_handed_out_once_inputs_first_and_what_fails_costs_no_more(
    drawn: list[tuple[set[int], bool, bool]], room: int
) -> None:
    """Whatever needs what: here nothing is built, only handed out and taken back."""
    todo: list[Stage] = []
    for number, (needed, predicts, _) in enumerate(drawn):
        of = tuple(todo[n] for n in sorted(needed) if n < number)
        todo.append(predicted(of[0], of[-1], f"{number}") if of and predicts else plain(f"{number}", of))
    bad = {item.key for item, (*_, fails) in zip(todo, drawn, strict=True) if fails}
    lost: set[str] = set()
    for item in todo:
        lost |= {item.key} if item.key in bad or any(needed.key in lost for needed in item.inputs) else set()
    side = _Side(todo, Runtime(workers=room), BuildLog(frozenset()))
    built: set[str] = set()
    while bundles := list(side._bundles(room)):
        assert len(bundles) <= room
        for bundle in bundles:
            failed: dict[str, Exception | None] = {}
            for item in bundle:
                assert item.key not in built | side.failed.keys() | failed.keys()
                if item.key in bad or any(needed.key in failed for needed in item.inputs):
                    failed[item.key] = ValueError() if item.key in bad else None
                else:
                    assert {needed.key for needed in item.inputs} <= built
                    built.add(item.key)
            side._finish(bundle, failed)
    assert not side.waiting
    assert side.failed.keys() == lost
    assert built == {item.key for item in todo} - lost
    assert side.note.failed.keys() == lost


STOPPED = """
import sys
sys.path[:0] = {tests!r}
from pathlib import Path
from test_local_executor import build_all, machine_at, waiting
if __name__ == "__main__":
    build_all([waiting(n) for n in range(3)], machine_at(Path({folder!r}), 2))
"""


@stage(name="waiting", version=1)
def waiting(site: BuildContext, number: int) -> None:
    noted(site, f"waiting{number}")
    time.sleep(60)


def test_ctrl_c_ends_the_workers_too(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        STOPPED.format(tests=[str(Path(__file__).parents[1]), str(Path(__file__).parent)], folder=str(tmp_path))
    )
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, text=True)
    patience = time.monotonic() + 60
    while len(journal(tmp_path)) < 2 and time.monotonic() < patience:
        time.sleep(0.05)
    workers = [int(line.split()[1]) for line in (tmp_path / "journal").read_text().splitlines()]
    assert len(workers) == 2
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=30)[1]
    assert process.returncode != 0
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
    assert not any(is_built(waiting(number), machine_at(tmp_path, 1)) for number in range(3))
    assert all(json.loads(path.read_text()) for path in (tmp_path / "store").glob("*/stage.json"))


def test_where_the_first_fail_nothing_else_is_built(tmp_path: Path) -> None:
    machine = machine_at(tmp_path, 1)
    wrong, other = failing("row 7 is wrong"), plain("training")
    with pytest.raises(Unbuilt, match="so nothing else was built"):
        build_all([other, wrong], machine, first="failing")
    assert not is_built(other, machine)
    assert build_all([plain("data"), other], machine, first="plain") == 2


@stage(name=names.READ, version=1, label=lambda how: how)
def reading(site: BuildContext, how: str) -> None:
    raise InputError(how) if how == "row 7 is wrong" else Strange("no", how)


@pytest.mark.parametrize(
    ("how", "workers"),
    parameters([("row 7 is wrong", 1), ("row 7 is wrong", 2), ("strange", 1)], [("row 7 is wrong", 1), ("strange", 1)]),
)
def test_an_error_says_whether_a_file_was_wrong(tmp_path: Path, how: str, workers: int) -> None:
    with pytest.raises(Unbuilt) as ended:
        build_all([plain("fine"), reading(how), plain("last", of=(reading(how),))], machine_at(tmp_path, workers))
    assert ended.value.wrong_input is (how != "strange")


# How many workers, where nobody says so.


@pytest.mark.parametrize(
    ("cores", "free", "side_by_side", "one_after_another", "workers"),
    [
        (1, 99, 5, 1, 1),
        (2, 99, 5, 1, 2),
        (4, 99, 3, 2, 3),
        (4, 99, 1, 5, 1),
        (4, 10, 3, 1, 2),
        (4, 3, 3, 2, 1),
        (4, 8, 3, 2, 2),
    ],
)
def test_a_core_has_a_worker_where_trainings_and_memory_suffice(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    free: int,
    side_by_side: int,
    one_after_another: int,
    workers: int,
) -> None:
    """A training takes 4 GiB here; more than one follow each other for each of those that do not."""
    monkeypatch.setattr(local_executor, "usable_cores", lambda: cores)
    monkeypatch.setattr(local_executor, "available_memory_bytes", lambda: free * 2**30)
    ends: list[Stage] = []
    for number in range(side_by_side):
        last = plain(f"data{number}")
        for phase in range(one_after_another):
            last = long(f"training{number}.{phase}", 4, (last,))
        ends.append(predicted(last, plain("gold"), "en"))
    machine = machine_at(tmp_path, 0)
    assert local_executor._suited_workers(missing(tuple(ends), machine), machine) == workers


@pytest.mark.parametrize(("networks", "workers"), [(1, 1), (2, 2), (5, 3)])
def test_networks_whose_predictions_alone_are_missing_are_shared_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, networks: int, workers: int
) -> None:
    monkeypatch.setattr(local_executor, "usable_cores", lambda: 3)
    trained = [long(f"training{number}", 0) for number in range(networks)]
    build_all(trained, machine_at(tmp_path, 1))
    machine = machine_at(tmp_path, 0)
    ends = [predicted(network, plain("gold"), code) for network in trained for code in ("en", "sw")]
    assert local_executor._suited_workers(missing(tuple(ends), machine), machine) == workers


def test_what_is_said_about_workers_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a number two processes train on two cores, and their threads sleep while they wait; with one, it holds."""
    monkeypatch.setattr(local_executor, "usable_cores", lambda: 2)
    for name in WAITING:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    build_all([long(name, 0) for name in "ab"], machine_at(tmp_path, 0))
    lines = (tmp_path / "journal").read_text().splitlines()
    assert len({line.split()[-1] for line in lines} - {str(os.getpid())}) >= 1
    assert all(line.split()[1:-1] == [*WAITING.values()] for line in lines)
    (tmp_path / "journal").unlink()
    build_all([long(name, 0) for name in "cd"], machine_at(tmp_path, 1))
    assert {line.split()[-1] for line in (tmp_path / "journal").read_text().splitlines()} == {str(os.getpid())}


def test_other_work_is_remarked_on_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (250.0, 0.0, 0.0), raising=False)
    local_executor._remark_on_other_work.cache_clear()
    events: list[Event] = []
    progress.listen(events.append)
    for name in "ab":
        build_all([plain(name)], machine_at(tmp_path, 1))
    assert sum("the machine is busy: 250 processes" in event.label for event in events) == 1
