"""A stand-in for Slurm's commands on one machine: `install` puts them on a folder for PATH.

It has what a build relies on: arrays, dependencies (afterok, afterany, of jobs and of elements of arrays), jobs that can
never start, states, signals to a job's step, requeuing and cancelling; it refuses what Slurm 22.05 refuses, in its words.
It has no time limits, users, nodes or accounting, and starts a requeued job at once, not after Slurm's two minutes.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

COMMANDS = ("sbatch", "squeue", "sacct", "scontrol", "scancel", "srun")
LARGEST_ARRAY = 4  # a site's MaxArraySize; Slurm's own default is 1001
OVER = ("COMPLETED", "FAILED", "CANCELLED")


def install(folder: Path, slots: int = 2) -> dict[str, str]:
    """Write the commands to a folder; return the environment variables that they need, PATH among them."""
    state, commands = folder / "state", folder / "bin"
    state.mkdir(parents=True)
    commands.mkdir()
    for name in COMMANDS:
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" {name} "$@"\n')
        (commands / name).chmod(0o755)
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "FAKE_SLURM": str(state), "FAKE_SLURM_SLOTS": str(slots), "FAKE_SLURM_MOST": "1000"}


def root() -> Path:
    return Path(os.environ["FAKE_SLURM"])


def jobs() -> dict[str, dict[str, Any]]:
    """Return all jobs by id."""
    return {path.stem: read(path.stem) for path in sorted(root().glob("*.json"))}


def read(id: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((root() / f"{id}.json").read_text())
    return loaded


def change(id: str, **values: Any) -> None:
    path = root() / f"{id}.json"
    new = path.with_suffix(f".{os.getpid()}.new")
    new.write_text(json.dumps({**(read(id) if path.exists() else {}), **values}))
    new.replace(path)


def named(words: str) -> list[str]:
    """Return the ids of jobs, an array's for its number."""
    return [id for id in jobs() if id == words or id.partition("_")[0] == words]


def sbatch(arguments: list[str]) -> None:
    script = Path(arguments[-1]).read_text()
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", script, re.MULTILINE))
    options = {name: value.strip("'") for name, value in options.items()}
    if not re.fullmatch(r"(\d+([KMGT]B?)?)?", options.get("mem", "")):
        sys.exit("sbatch: error: Invalid --mem specification")
    failed = "sbatch: error: Batch job submission failed:"
    if options.get("partition") == "none":
        sys.exit(f"sbatch: error: invalid partition specified: none\n{failed} Invalid partition name specified")
    counter = root() / "counter"
    number = int(counter.read_text()) + 1 if counter.exists() else 1
    counter.write_text(str(number))
    last = re.match(r"0-(\d+)", options.get("array", ""))
    ids = [f"{number}_{element}" for element in range(int(last[1]) + 1)] if last else [str(number)]
    if len(ids) > LARGEST_ARRAY:
        sys.exit(f"{failed} Invalid job array specification")
    if len(ids) + sum(job["state"] not in OVER for job in jobs().values()) > int(os.environ["FAKE_SLURM_MOST"]):
        policy = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
        sys.exit(f"sbatch: error: QOSMaxSubmitJobPerUserLimit\n{failed} {policy}")
    for id in ids:
        change(id, state="PENDING", script=script, options=options, cwd=os.getcwd(), requeue=False)
        subprocess.Popen(
            [sys.executable, __file__, "supervise", id],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(root() / "errors").open("a"),
            start_new_session=True,
        )
    print(f"Submitted batch job {number}")


def held(options: dict[str, str]) -> str:
    """Return "" where a job may start, "wait", or "never"."""
    every = jobs()
    for part in filter(None, options.get("dependency", "").split(",")):
        kind, *ids = part.split(":")
        states = [every[id]["state"] for words in ids for id in named(words)]
        if any(state not in OVER for state in states):
            return "wait"
        if kind == "afterok" and any(state != "COMPLETED" for state in states):
            return "never"
    return ""


def supervise(id: str) -> None:
    """Be a job: wait, run, and wait and run again where it is requeued."""
    while True:
        job = read(id)
        while job["state"] == "PENDING" and (why := held(job["options"])) == "wait":
            time.sleep(0.1)
            job = read(id)
        if job["state"] == "CANCELLED":
            return
        if why == "never":
            return change(id, state="CANCELLED")
        while slot(id) is None:
            time.sleep(0.1)
            if read(id)["state"] == "CANCELLED":
                return None
        change(id, state="RUNNING", requeue=False)
        array, _, element = id.partition("_")
        variables = {"SLURM_JOB_ID": array if not element else str(1000 * int(array) + int(element))}
        variables |= {"SLURM_ARRAY_JOB_ID": array, "SLURM_ARRAY_TASK_ID": element} if element else {}
        script = root() / f"{id}.sh"
        script.write_text(job["script"])
        batch = subprocess.Popen(["bash", str(script)], env={**os.environ, **variables, "FAKE_ID": id}, cwd=job["cwd"])
        code = batch.wait()
        (root() / f"slot-{id}").unlink()
        if read(id)["state"] == "CANCELLED":
            return None
        if not read(id)["requeue"]:
            return change(id, state="FAILED" if code else "COMPLETED")
        change(id, state="PENDING", runs=read(id).get("runs", 1) + 1)


def slot(id: str) -> Path | None:
    """Take one of the places for running jobs."""
    own = root() / f"slot-{id}"
    own.touch()
    places = sorted(root().glob("slot-*"), key=lambda path: (path.stat().st_ctime_ns, path.name))
    if own in places[: int(os.environ["FAKE_SLURM_SLOTS"])]:
        return own
    return None


def srun(arguments: list[str]) -> None:
    """Run the step: what follows the options, with its output where they say."""
    files = {}
    while arguments[0].startswith("--"):
        name = arguments.pop(0)
        if name in ("--output", "--error"):
            files[name] = arguments.pop(0)
    array, _, element = os.environ["FAKE_ID"].partition("_")
    for name, number in {"--output": 1, "--error": 2}.items():
        path = files[name].replace("%A", array).replace("%a", element).replace("%j", array).replace("%t", "0")
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    (root() / f"{os.environ['FAKE_ID']}.step").write_text(str(os.getpid()))
    os.environ |= {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_NTASKS": "1"}
    os.environ |= {"SLURM_JOB_NUM_NODES": "1", "SLURM_JOB_NODELIST": "localhost"}
    os.execvp(arguments[0], arguments)


def squeue(arguments: list[str]) -> None:
    assert arguments == ["-h", "-r", "-u", getpass.getuser(), "-o", "%i|%T"]
    for id, job in jobs().items():
        if job["state"] not in OVER:
            print(f"{id}|{job['state']}")


def sacct(arguments: list[str]) -> None:
    sys.exit("Slurm accounting storage is disabled")


def scontrol(arguments: list[str]) -> None:
    match arguments:
        case ["requeue", id]:
            change(id, requeue=True)
        case ["show", "config"]:
            print(f"Configuration data as of now\nMaxArraySize            = {LARGEST_ARRAY}\nMaxDBDMsgs = 20004")
        case ["-o", "show", "job", id]:
            print(f"JobId={id} JobName=job JobState={read(id)['state']} Reason=None Dependency=(null)")
        case _:
            raise AssertionError(arguments)


def scancel(arguments: list[str]) -> None:
    number = signal.SIGTERM
    if "--signal" in arguments:
        number = signal.Signals[arguments.pop(arguments.index("--signal") + 1)]
        arguments.remove("--signal")
    for id in (id for words in arguments for id in named(words)):
        running = read(id)["state"] == "RUNNING"
        if number == signal.SIGTERM and read(id)["state"] not in OVER:
            change(id, state="CANCELLED")
        if running:
            os.kill(int((root() / f"{id}.step").read_text()), number)


if __name__ == "__main__":
    if sys.argv[1] == "supervise":
        supervise(sys.argv[2])
    else:
        globals()[sys.argv[1]](sys.argv[2:])
