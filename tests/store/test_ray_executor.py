"""Jobs on a Ray cluster: one cluster of two machines for the module, of which one may be lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_local_executor import failing, journal, plain, predicted, scored, stepwise

from xstilts.experiments import study as studies
from xstilts.experiments.grid import Grid, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import Arm, Study
from xstilts.models.encoder import Encoder
from xstilts.runtime import progress
from xstilts.runtime.cluster import Cluster
from xstilts.runtime.machine import Runtime
from xstilts.runtime.progress import Event
from xstilts.store import query
from xstilts.store.build import is_built
from xstilts.store.local_executor import Unbuilt, build_all
from xstilts.store.stage import StageError

pytest.importorskip("ray", reason='Ray is not installed: pip install "xstilts[ray]"')
pytestmark = [
    pytest.mark.slow,  # the cluster takes seconds to start
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]
TESTS = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster of two machines, whose processes find the stages of these tests."""
    import ray
    from ray.cluster_utils import Cluster as Machines

    # Nothing is reported; jobs are as urgent as the rest, or beside other work they would hardly run.
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*TESTS, *filter(None, [before])])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        machines = Machines(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        ray.init(address=machines.address, log_to_driver=False)
    yield machines
    ray.shutdown()
    machines.shutdown()
    os.environ.pop("PYTHONPATH")
    os.environ |= {"PYTHONPATH": before} if before else {}


@pytest.fixture
def remote(cluster: Any, tmp_path: Path) -> Runtime:
    """The cluster, and a store of this test."""
    return Runtime(tmp_path / "store", device="cpu", threads=1, cluster=Cluster("ray", cluster.address))


def test_a_build_on_a_cluster_is_as_here(remote: Runtime, tmp_path: Path) -> None:
    bad = failing("line 3 has two columns")
    gold = plain("gold")
    scores = [scored(predicted(plain("model"), gold, name), gold) for name in ("de", "wrong", "sw")]
    lost = [plain("lost", (bad,)), plain("both", (bad, plain("x")))]
    events: list[Event] = []
    progress.listen(events.append)
    assert build_all([stepwise("long", 5), plain("early")], remote, first="plain") == 2
    assert any(event.label.startswith("stepwise-long") and event.total == 5 for event in events)  # from its process
    with pytest.raises(Unbuilt) as caught:
        build_all([*scores, *lost, plain("kept")], remote)
    assert str(caught.value).splitlines()[0] == "5 of 13 stages could not be built; the others are kept."
    assert set(str(caught.value).splitlines()[1:]) == {
        f"{bad.label}: line 3 has two columns",
        "predict-wrong: row 7 is wrong",
    }
    assert [is_built(score, remote) for score in scores] == [True, False, True]
    lines = [line.split() for line in (tmp_path / "journal").read_text().splitlines()]
    assert set(journal(tmp_path).values()) == {1}
    predictions = {worker for word, worker in lines if word.startswith(("predict-", "score-predict-"))}
    assert len(predictions) == 1  # the network is loaded once
    assert str(os.getpid()) not in {worker for _, worker in lines}
    assert any(event.total == 13 for event in events)


def test_a_full_disk_stops_the_build(remote: Runtime) -> None:
    with pytest.raises(StageError, match=r"no space left in .* while building full-"):
        build_all([failing("full"), plain("a")], remote)


def test_a_lost_machine_s_trainings_go_on_elsewhere_from_their_checkpoints(
    cluster: Any, remote: Runtime, tmp_path: Path
) -> None:
    """The machine is killed, with the processes on it, while each machine trains."""
    second = cluster.add_node(num_cpus=1)
    stages = [stepwise(f"train{n}") for n in range(2)]
    seen: list[Event] = []

    def listen(event: Event) -> None:
        seen.append(event)
        running = {event.label for event in seen if event.total == 40 and event.done >= 5}
        if len(running) == 2 and second in cluster.worker_nodes:
            cluster.remove_node(second, allow_graceful=False)

    progress.listen(listen)
    assert build_all(stages, remote) == 2
    assert second not in cluster.worker_nodes
    assert all(is_built(item, remote) for item in stages)
    begun = journal(tmp_path)
    assert begun["train0-from-start"] == begun["train1-from-start"] == 1
    assert begun["train0-from-checkpoint"] + begun["train1-from-checkpoint"] == 1


def test_a_study_on_a_cluster_of_which_a_machine_is_killed_ends_in_the_same_bytes(
    cluster: Any, remote: Runtime, tmp_path: Path
) -> None:
    short = ("steps=8", "max_train_examples=16")
    recipes = Recipes("sandbox", short, short)
    encoder, targets, settings = Encoder.of("sandbox"), tasks_of("sandbox_qa"), (tasks_of("sandbox_cloze"),)
    grid = Grid(encoder, targets, settings, recipes, 2, only_languages=("qaa", "qab"))
    study = Study("Does it help?", (Arm(grid, "all"),), ())
    here = Runtime(tmp_path / "here", device="cpu", threads=1)
    built = studies.build(study, here)
    second = cluster.add_node(num_cpus=1)

    def listen(event: Event) -> None:
        if event.label.startswith("train-") and second in cluster.worker_nodes:
            cluster.remove_node(second, allow_graceful=False)

    progress.listen(listen)
    assert studies.build(study, remote) == built
    assert second not in cluster.worker_nodes
    there = {record["key"]: record for _, record in query.records(remote.store)}
    for _, record in query.records(here.store):
        files = there[record["key"]]["files"]
        assert {name: file["sha256"] for name, file in files.items()} == {
            name: file["sha256"] for name, file in record["files"].items()
        }, record["label"]
    assert len(there) == built


DRIVER = """
import sys
sys.path[:0] = {tests!r}
from pathlib import Path
from test_ray_executor import Cluster, Runtime, build_all, stepwise
if __name__ == "__main__":
    machine = Runtime(Path({folder!r}) / "store", device="cpu", threads=1, cluster=Cluster("ray", {address!r}))
    print(build_all([stepwise("one"), stepwise("two", 3)], machine))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_driver_that_ends_is_started_again(cluster: Any, tmp_path: Path, how: signal.Signals) -> None:
    script = tmp_path / "script.py"
    script.write_text(DRIVER.format(tests=TESTS, folder=str(tmp_path), address=cluster.address))
    command = [sys.executable, str(script)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoint = stepwise("one")
    folder = tmp_path / "store" / f"{checkpoint.label}-{checkpoint.key}.part"
    patience = time.monotonic() + 240
    while not ((folder / "step").exists() and (folder / "step").read_text() > "0"):
        assert time.monotonic() < patience
        time.sleep(0.1)
    process.send_signal(how)
    process.wait(60)
    again = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert again.returncode == 0, again.stderr
    assert all(is_built(item, Runtime(tmp_path / "store")) for item in (checkpoint, stepwise("two", 3)))
    begun = journal(tmp_path)
    assert begun["one-from-start"] == begun["one-from-checkpoint"] == 1
    assert begun["one-saved"] == 1  # Ray ends the jobs of a driver that is gone by SIGTERM
