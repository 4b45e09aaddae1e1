"""Cluster: on which machines stages are built, and what a scheduler is asked for; part of the runtime, never of a key.

>>> Cluster().remote, Cluster("ray").remote
(False, True)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from xstilts.errors import InputError

EXECUTORS = ("local", "ray", "slurm")
# What `sbatch --time` takes: minutes, minutes:seconds, hours:minutes:seconds, days-hours and so on.
TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<first>\d+)(?::(?P<second>\d+))?(?::(?P<third>\d+))?")


@dataclass(frozen=True)
class Cluster:
    """Where stages are built beside this process.

    Attributes:
        executor: "local", "ray" or "slurm".
        ray_address: Address of a Ray cluster, as `ray.init` takes it; "": that of RAY_ADDRESS, or a cluster of this
            computer's cores that lives as long as this process.
        partition: Slurm's partition; "": the site's default. So for `account` and `constraint`.
        account: The account that is charged.
        constraint: Features that a node must have.
        time: Time limit of a job, as `sbatch --time` takes it. Longer stages go on in the job's next run.
        gpus: GPUs of a job whose stages run a network; other jobs have none.
        memory_gib: Main memory of a job in GiB; 0: what its trainings are expected to take, else the site's default.

    Raises:
        InputError: A choice is unknown or a number is out of range.
    """

    executor: str = "local"
    ray_address: str = ""
    partition: str = ""
    account: str = ""
    constraint: str = ""
    time: str = "4:00:00"
    gpus: int = 0
    memory_gib: float = 0.0

    def __post_init__(self) -> None:
        if self.executor not in EXECUTORS:
            raise InputError(f"unknown executor '{self.executor}': give {', '.join(EXECUTORS[:-1])} or {EXECUTORS[-1]}")
        if not self.minutes:
            raise InputError(
                f"--slurm-time '{self.time}': give minutes, hours:minutes:seconds or days-hours, as sbatch"
            )
        if self.gpus < 0 or not self.memory_gib >= 0:
            raise InputError(f"gpus ({self.gpus}) and memory ({self.memory_gib}) of a job must be 0 or more")

    @property
    def remote(self) -> bool:
        """Whether stages may be built on other computers than this one."""
        return self.executor != "local"

    @property
    def minutes(self) -> int:
        """The time limit in minutes, rounded up; 0 where `time` is no time limit.

        >>> Cluster(time="90").minutes, Cluster(time="1:30:00").minutes, Cluster(time="1-12").minutes
        (90, 90, 2160)
        """
        match = TIME.fullmatch(self.time)
        if not match:
            return 0
        days, *parts = (int(part) if part else None for part in match.groups())
        first, second, third = (part or 0 for part in parts)
        if days is not None:  # days-hours[:minutes[:seconds]]
            seconds = days * 86400 + first * 3600 + second * 60 + third
        elif parts[2] is not None:  # hours:minutes:seconds
            seconds = first * 3600 + second * 60 + third
        else:  # minutes[:seconds]
            seconds = first * 60 + second
        return -(-seconds // 60)


THIS_COMPUTER = Cluster()
