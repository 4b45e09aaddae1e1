"""Executor: who runs the jobs of a build: workers of this computer, a Ray cluster, or Slurm.

`local_executor.build_all` decides which stages are built together and in which order, and submits jobs; an executor
runs each job's function somewhere and says when it has ended. Durability is the store's: a job calls `build.build`,
which locks a stage, continues from its checkpoint and makes its folder appear whole or not at all. So a job may be lost
or run twice, and an executor only has to run it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from xstilts.errors import InputError
from xstilts.runtime.machine import Runtime
from xstilts.store import names
from xstilts.store.stage import Stage, StageError

Bundle = tuple[Stage, ...]
Failures = dict[str, Exception | None]  # by key; None where only something needed failed
# Stages that run no network, and so need no GPU.
WITHOUT_NETWORK = frozenset(
    {
        *(names.READ, names.TOKENIZER, names.UNTRAINED, names.LAYER_RESET, names.COMBINE, names.FIRST_LAYERS),
        *(names.SCORE, names.CONTAMINATION, names.GIVEN_TRANSLATIONS),
    }
)


class Refused(StageError):
    """An InputError of another process, by its message."""


@dataclass(frozen=True)
class Resources:
    """What a job needs while it runs.

    Attributes:
        cpus: Cores, which are torch's threads.
        gpus: GPUs.
        memory: Bytes of main memory; 0 where that is not known.
    """

    cpus: int = 1
    gpus: int = 0
    memory: int = 0


@dataclass(frozen=True, eq=False)
class Job:
    """Stages that one process builds, one after the other.

    Attributes:
        number: Its number within the build.
        stages: The stages, inputs first.
        needs: What it needs.
        run: The function that builds them: from `packed` to the failures. It is importable by its name.
        packed: The stages and the machine's settings, as bytes.
        after: Numbers of the jobs that build its inputs.
        gated: Whether it may run only if all jobs of the build's `first` stages have succeeded.
    """

    number: int
    stages: Bundle
    needs: Resources
    run: Callable[..., Failures]
    packed: bytes
    after: tuple[int, ...] = field(default=())
    gated: bool = False

    @property
    def name(self) -> str:
        """The label of its first stage, and how many more there are."""
        more = len(self.stages) - 1
        return self.stages[0].label + (f"+{more}" if more else "")


class Executor(Protocol):
    """Runs jobs somewhere."""

    @property
    def queues(self) -> bool:
        """Whether jobs may be submitted before their inputs are built; the executor then holds them back."""

    @property
    def room(self) -> int:
        """How many more jobs it takes now; of an executor that queues, any number."""

    @property
    def gpus(self) -> int:
        """GPUs that a job gets whose stages run a network; 0 where it has none to give."""

    def submit(self, job: Job) -> None:
        """Take a job.

        Raises:
            StageError: The job cannot be run anywhere.
        """

    def ended(self, seconds: float) -> Iterator[tuple[Job, Failures]]:
        """Wait for jobs, and pass on to `progress` what running ones have said.

        Args:
            seconds: How long to wait at most.

        Yields:
            Each job that has ended, and which of its stages failed.

        Raises:
            StageError: Something that stops the whole build, such as a full disk.
        """

    def cancel(self, error: BaseException) -> None:
        """Stop what still runs, after an error or Ctrl-C; trainings save their state first."""

    def close(self) -> None:
        """Free what the executor holds, at the end of a build."""


def resources(stages: Sequence[Stage], machine: Runtime, cpus: int, gpus: int) -> Resources:
    """Return what a job needs.

    Args:
        stages: Its stages.
        machine: Device and options.
        cpus: Cores of a job.
        gpus: GPUs of a job that runs a network.

    Returns:
        The resources. Main memory is that of the largest training on a CPU, and unknown on a GPU.
    """
    networks = any(item.work.name not in WITHOUT_NETWORK for item in stages)
    gpus = gpus if networks and machine.device != "cpu" else 0
    memory = 0
    if not gpus:
        memory = max((item.work.memory(machine, **item.arguments) for item in stages if item.work.memory), default=0)
    return Resources(cpus, gpus, memory)


def message(error: Exception) -> str:
    """Return the message of an error, with its type where it is none of this package."""
    return str(error) if isinstance(error, InputError | StageError) else f"{type(error).__name__}: {error}"


def sendable(error: Exception) -> StageError:
    """Return an error that another process can read: not every one survives pickling."""
    return (Refused if isinstance(error, InputError | Refused) else StageError)(message(error))
