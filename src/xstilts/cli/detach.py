"""Detach: a command that runs as a job of Slurm and submits the jobs of its builds, round by round, to its end."""

from __future__ import annotations

import os
import runpy
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from xstilts.errors import InputError
from xstilts.store.slurm_executor import Requeued

INSIDE = "XSTILTS_DETACHED"  # set in the job, where the command submits itself no further


def submit(options: Mapping[str, Any], arguments: Sequence[str]) -> bool:
    """Submit a command as a job, unless this process is that job.

    Args:
        options: The command's options by parameter: store, executor and Slurm's.
        arguments: The command line after `xstilts`.

    Returns:
        Whether it was submitted; False: the command is to be run here.

    Raises:
        InputError: The executor is not Slurm, submitit is not installed, or Slurm refuses the job.
    """
    from xstilts.cli.options import ClusterOptions
    from xstilts.runtime import extras
    from xstilts.runtime.console import console, result
    from xstilts.store import slurm_log
    from xstilts.store.executor import Resources
    from xstilts.store.slurm_executor import submitted

    if os.environ.get(INSIDE):
        return False
    cluster = ClusterOptions(**{field.name: options[field.name] for field in fields(ClusterOptions)}).cluster()
    if cluster.executor != "slurm":
        raise InputError(
            f"--detach is for --executor slurm, not '{cluster.executor}': run the command in tmux or nohup"
        )
    extras.require("slurm", "the executor 'slurm'")
    logs = options["store"].absolute() / slurm_log.FOLDER / f"command-{time.time_ns()}"
    logs.mkdir(parents=True)
    command = [argument for argument in arguments if argument != "--detach"]
    (job,) = submitted([Command(command, os.getcwd())], logs, cluster, Resources(1, 0, 4 * 2**30), "xstilts")
    console().print(
        f"submitted as Slurm's job {job}; `xstilts watch {options['store']}` shows what it builds, its messages and "
        f"results are in {logs}",
        highlight=False,
        soft_wrap=True,
    )
    result({"job": job, "logs": logs})
    return True


@dataclass
class Command(Requeued):
    """Runs a command of this package.

    Attributes:
        arguments: What stands after `xstilts`.
        folder: The working directory.
    """

    arguments: list[str]
    folder: str

    def work(self) -> None:
        """Run the command, with the exit code that it has."""
        os.chdir(Path(self.folder))
        os.environ[INSIDE] = "1"
        sys.argv = ["xstilts", *self.arguments]
        runpy.run_module("xstilts", run_name="__main__")  # as `python -m xstilts` does
