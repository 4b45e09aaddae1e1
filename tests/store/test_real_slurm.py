"""Jobs in a real Slurm: munged, slurmctld and two slurmd, which the tests start on this machine (`make slurm`)."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from test_local_executor import failing, journal, long, plain, predicted, scored, stepwise

from xstilts.errors import InputError
from xstilts.monitoring.status import StudyMonitor
from xstilts.runtime import progress
from xstilts.runtime.cluster import Cluster
from xstilts.runtime.machine import Runtime
from xstilts.store import query, slurm_executor, slurm_log
from xstilts.store.build import is_built
from xstilts.store.local_executor import Unbuilt, build_all

pytestmark = pytest.mark.slurm
TESTS = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
SOURCE = str(Path(slurm_executor.__file__).parents[2])
DAEMONS = ("munged", "slurmctld", "slurmd")
NODES = ("n1", "n2")
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={ports[0]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/%n.log
SlurmdSpoolDir={folder}/%n
StateSaveLocation={folder}/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2
MpiDefault=none
MailProg=/bin/true
KillWait=10
MaxArraySize=2
ReturnToService=2
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=8000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=8000
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture(scope="module")
def configuration() -> Iterator[Path]:
    """The configuration file of a running Slurm."""
    pytest.importorskip("submitit", reason='submitit is not installed: pip install "xstilts[slurm]"')
    lacking = [name for name in DAEMONS if not shutil.which(name)]
    if lacking:
        pytest.skip(f"no {', '.join(lacking)}: apt-get install slurmctld slurmd munge slurm-client")
    if os.geteuid():
        pytest.skip("Slurm's daemons start other users' jobs: run as root")
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # munged wants a folder that everybody may enter
    folder.chmod(0o755)
    for name in ("state", *NODES):
        (folder / name).mkdir()
    file, host = folder / "slurm.conf", socket.gethostname().partition(".")[0]
    file.write_text(CONFIGURATION.format(folder=folder, host=host, ports=free_ports(3)))
    (folder / "key").write_bytes(os.urandom(128))
    (folder / "key").chmod(0o600)
    munge = [f"--{name}-file={folder}/{part}" for name, part in (("key", "key"), ("pid", "munged.pid"))]
    munge += [f"--log-file={folder}/munged.log", f"--seed-file={folder}/seed", f"--socket={folder}/munge.socket"]
    started = []
    try:
        for command in (
            ["munged", "-F", *munge],
            ["slurmctld", "-D", "-i"],
            *(["slurmd", "-D", "-N", n] for n in NODES),
        ):
            environment = os.environ | {"SLURM_CONF": str(file)}
            with (folder / "output").open("a") as output:
                started.append(subprocess.Popen(command, env=environment, stdout=output, stderr=output))
            time.sleep(1)
        until(lambda: slurm(file, "sinfo", "-h", "-o", "%T").strip() == "idle", 60)
        yield file
    finally:
        for daemon in reversed(started):
            daemon.terminate()
        for daemon in reversed(started):
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(20)
            daemon.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def machine(configuration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    """A machine whose stages are jobs of this Slurm, which has none after the test."""
    monkeypatch.setenv("SLURM_CONF", str(configuration))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([SOURCE, *TESTS]))
    monkeypatch.setattr(slurm_executor, "LOOK", 0.5)
    monkeypatch.setattr(slurm_executor, "PATIENCE", 10.0)
    yield Runtime(tmp_path / "store", device="cpu", threads=1, cluster=Cluster("slurm", time="20"))
    run("scancel", "-u", slurm_log.user())
    for node in NODES:
        with suppress(subprocess.CalledProcessError):
            run("scontrol", "update", f"nodename={node}", "state=resume")
    until(lambda: not run("squeue", "-h") and set(run("sinfo", "-h", "-o", "%T").split()) == {"idle"})


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens at."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def slurm(configuration: Path, *command: str) -> str:
    environment = os.environ | {"SLURM_CONF": str(configuration)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment).stdout


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def until(true: Callable[[], object], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.5)


def job(id: str, field: str) -> str:
    """Return what Slurm says of a job, such as its JobState."""
    match = re.search(rf"\b{field}=(\S+)", run("scontrol", "-o", "show", "job", id))
    assert match
    return match[1]


def start_again(id: str) -> None:
    """Let a requeued job start now: Slurm waits for two minutes."""
    until(lambda: job(id, "JobState") == "PENDING")
    run("scontrol", "update", f"jobid={id}", "starttime=now")


def steps(machine: Runtime, name: str, count: int = 40) -> int:
    """Return the steps of a stage's checkpoint."""
    item = stepwise(name, count)
    file = machine.store / f"{item.label}-{item.key}.part" / "step"
    return int(file.read_text() or 0) if file.exists() else 0


def ids(machine: Runtime) -> list[str]:
    """Return Slurm's ids of the jobs of a store, the oldest first."""
    return [job.id for submission in slurm_log.read(machine.store) for job in submission.jobs.values()]


class Build:
    """A process that builds stages of `stepwise` in Slurm."""

    def __init__(self, machine: Runtime, stages: str) -> None:
        lines = (
            "import sys",
            f"sys.path[:0] = {TESTS!r}",
            "from pathlib import Path",
            "from test_local_executor import stepwise",
            "from xstilts.runtime.cluster import Cluster",
            "from xstilts.runtime.machine import Runtime",
            "from xstilts.store.local_executor import build_all",
            f"cluster = Cluster('slurm', time={machine.cluster.time!r})",
            f"machine = Runtime(Path({str(machine.store)!r}), device='cpu', threads=1, cluster=cluster)",
            f"build_all({stages}, machine)",
        )
        self.process = subprocess.Popen([sys.executable, "-c", "\n".join(lines)])

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def test_jobs_build_what_this_machine_builds(machine: Runtime, tmp_path: Path) -> None:
    """Arrays larger than the site takes, memory that is asked for, inputs that fail: all else is built, once."""
    bad = failing("line 3 has two columns")
    gold = plain("gold")
    scores = [scored(predicted(plain("model"), gold, name), gold) for name in ("de", "wrong", "sw")]
    trained = long("trained", 1)
    trainings = [stepwise(f"{number}", 1) for number in range(3)]
    notes: list[str] = []
    progress.listen(lambda event: None if event.total else notes.append(event.label))
    with pytest.raises(Unbuilt) as caught:
        build_all([*scores, plain("lost", (bad,)), plain("kept", (gold,)), trained, *trainings], machine)
    assert str(caught.value).splitlines()[0] == "4 of 15 stages could not be built; the others are kept."
    assert set(str(caught.value).splitlines()[1:]) == {
        f"{bad.label}: line 3 has two columns",
        "predict-wrong: row 7 is wrong",
    }
    assert [is_built(score, machine) for score in scores] == [True, False, True]
    assert set(journal(tmp_path).values()) == {1}
    (submission,) = slurm_log.read(machine.store)
    assert set(submission.states(slurm_log.Queue().states()).values()) == {"done", "failed"}
    of_training = next(job.id for job in submission.jobs.values() if trained.key in job.keys)
    assert job(of_training, "MinMemoryNode") == "1G"
    with pytest.raises(InputError, match=r"Slurm refuses the job 'other'.*nvalid partition"):
        build_all([plain("other")], Runtime(machine.store, device="cpu", cluster=Cluster("slurm", partition="none")))


def test_a_cancelled_job_that_is_queued_again_goes_on(machine: Runtime, tmp_path: Path) -> None:
    def cancel(event: progress.Event) -> None:
        if event.label.startswith("stepwise") and event.done >= 2:
            run("scancel", *ids(machine))

    progress.listen(cancel)
    with pytest.raises(Unbuilt, match=r"1 of 1 stage.*\n.*ended as CANCELLED before it was built"):
        build_all([stepwise("first")], machine)
    (id,) = ids(machine)
    run("scontrol", "requeue", id)
    start_again(id)
    progress.listen(lambda event: None)
    assert build_all([stepwise("first")], machine) == 1
    assert ids(machine) == [id]
    assert journal(tmp_path) == {"first-from-start": 1, "first-saved": 1, "first-from-checkpoint": 1}


def test_what_ran_on_a_node_that_is_lost_goes_on_on_another(machine: Runtime, tmp_path: Path) -> None:
    """The first node is drained, the second one lost; the submitting process waits all the time."""
    run("scontrol", "update", "nodename=n1", "state=drain", "reason=test")
    build = Build(machine, "[stepwise('first', 60)]")
    until(lambda: steps(machine, "first", 60) > 1)
    (id,) = ids(machine)
    assert job(id, "NodeList") == "n2"
    run("scontrol", "update", "nodename=n1", "state=resume")
    run("scontrol", "update", "nodename=n2", "state=down", "reason=test")
    start_again(id)
    assert not build.process.wait(600)
    assert (job(id, "NodeList"), job(id, "Restarts"), job(id, "JobState")) == ("n1", "1", "COMPLETED")
    assert journal(tmp_path)["first-from-checkpoint"] == 1
    assert is_built(stepwise("first", 60), machine)


def test_at_its_time_limit_a_training_is_queued_again_and_goes_on(machine: Runtime, tmp_path: Path) -> None:
    """The submitting process is killed meanwhile, and another one waits for the same jobs, Slurm's two minutes included.

    A job whose first run has not been cleared away when the second one begins ends as failed.
    """
    machine = Runtime(machine.store, device="cpu", threads=1, cluster=Cluster("slurm", time="2"))
    first = stepwise("first", 1000)
    build = Build(machine, "[stepwise('second', 2, (stepwise('first', 1000),))]")
    until(lambda: steps(machine, "first", 1000) > 1)
    build.kill()
    watch = StudyMonitor(machine.store).look()
    assert [stage.label for stage in watch.running] == [first.label]
    assert (watch.total, dict(watch.waiting), watch.jobs) == (2, {"stepwise": 1}, {"running": 1, "pending": 1})
    id, waiting = ids(machine)
    until(lambda: job(id, "Restarts") == "1")
    assert StudyMonitor(machine.store).look().jobs == {"requeued": 1, "pending": 1}
    assert job(waiting, "JobState") == "PENDING"
    assert build_all([stepwise("second", 2, (first,))], machine) == 2
    words = journal(tmp_path)
    assert (words["first-from-start"], words["second-from-start"]) == (1, 1)
    assert words["first-from-checkpoint"] == words["first-saved"] >= 1
    assert ids(machine) == [id, waiting]
    after = StudyMonitor(machine.store).look()
    assert (after.finished, after.alive, after.stopped, after.failed) == (2, 0, (), ())


STUDY = '''
"""Does a cloze task help question answering?"""

from xstilts.experiments.grid import Grid, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import Arm, Study
from xstilts.models.encoder import Encoder

SHORT = ("steps=4", "max_train_examples=16")


def study(scale):
    recipes = Recipes("sandbox", SHORT, SHORT)
    targets = tuple(task.measured_on(4) for task in tasks_of("sandbox_qa"))
    grid = Grid(Encoder.of("sandbox"), targets, (tasks_of("sandbox_cloze"),), recipes, 1, only_languages=("qaa", "qab"))
    return Study(__doc__, (Arm(grid, "all"),), ())
'''


def test_a_study_that_is_submitted_with_its_command_gives_the_bytes_of_this_machine(
    machine: Runtime, tmp_path: Path
) -> None:
    """The command itself is a job, which submits the others."""
    (tmp_path / "study.py").write_text(STUDY)
    (tmp_path / "xstilts.toml").write_text(
        '[defaults]\ndevice = "cpu"\nthreads = 1\nexecutor = "slurm"\nstore = "store"\n'
    )
    command = [sys.executable, "-m", "xstilts", "study", "study.py"]
    subprocess.run([*command, "--slurm-time", "30", "--detach"], cwd=tmp_path, check=True)
    subprocess.run(
        [*command, "--executor", "local", "--store", "here", "--out", "here-report"], cwd=tmp_path, check=True
    )
    until(lambda: not run("squeue", "-h"), 1200)
    (messages,) = machine.store.glob(".slurm/command-*/*_log.out")
    assert "stages built; the report is study/report.html" in messages.read_text()
    there, here = (
        {record["label"] + record["key"]: record["files"] for _, record in query.records(store)}
        for store in (machine.store, tmp_path / "here")
    )
    assert there == here
    assert len(there) == 17
