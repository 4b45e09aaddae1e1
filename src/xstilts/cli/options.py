"""Options that several verbs share, alone and in groups.

A verb takes a group as one parameter, and `grouped` turns its fields into options with a panel of their own in
`--help`. A group then gives the values that the package works with: a `Grid`, `Recipes`, a `Runtime`.

>>> RuntimeOptions(device="cpu", threads=2).runtime().threads
2
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import MISSING, Field, dataclass, fields
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, get_type_hints

import typer

if TYPE_CHECKING:
    from xstilts.experiments.grid import Grid
    from xstilts.experiments.run import Recipes
    from xstilts.experiments.translated_splits import Translation
    from xstilts.models.encoder import Encoder
    from xstilts.runtime.cluster import Cluster
    from xstilts.runtime.machine import Runtime


def _add_task_folders(folders: list[Path] | None) -> list[Path] | None:
    if folders:
        from xstilts.tasks import base

        for folder in folders:
            base.add_task_folder(folder)
    return folders


def complete_tasks(incomplete: str) -> list[str]:
    """Return the names of tasks that complete a list of names, 'a,b', for the shell."""
    from xstilts.tasks import base

    before, comma, name = incomplete.rpartition(",")
    return [f"{before}{comma}{task}" for task in base.names() if task.startswith(name)]


def shipped_studies() -> dict[str, Path]:
    """Return the study files that come with the package, by name: in a wheel, or in the clone it is installed from."""
    package = Path(__file__).parents[1]
    folder = package / "studies" if (package / "studies").is_dir() else package.parents[1] / "studies"
    return {path.stem: path for path in sorted(folder.glob("*.py"))}


def _study_file(given: Path) -> Path:
    """Return a study's file as it was given, or the shipped one of that name."""
    return given if given.is_file() else shipped_studies().get(str(given), given)


def complete_studies(incomplete: str) -> list[str]:
    """Return the names of shipped studies that begin so, for the shell."""
    return [name for name in shipped_studies() if name.startswith(incomplete)]


StudyFile = Annotated[
    Path,
    typer.Argument(
        callback=_study_file,
        autocompletion=complete_studies,
        help="A study file, which is a Python program and is run, or the name of a shipped study: replication …",
    ),
]
Store = Annotated[Path, typer.Option(envvar="XSTILTS_STORE", help="Folder of finished stages.")]
DataFolder = Annotated[
    Path | None, typer.Option("--data", envvar="XSTILTS_DATA", help="Folder of your copies of data sets.")
]
TaskFolders = Annotated[
    list[Path] | None,
    typer.Option(
        "--tasks",
        metavar="DIR",
        envvar="XSTILTS_TASKS",
        callback=_add_task_folders,
        is_eager=True,
        help="Folder of your own task files; repeat it for more.",
    ),
]
Device = Annotated[str, typer.Option(envvar="XSTILTS_DEVICE", help="auto, cpu, cuda, cuda:1 or mps.")]
Workers = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        envvar="XSTILTS_WORKERS",
        help="Processes that build stages in parallel; 0: on a CPU one a core, where trainings and memory suffice.",
    ),
]
Threads = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        envvar="XSTILTS_THREADS",
        help="Torch threads per process; 0: share the cores among the workers.",
    ),
]
MaxTokensPerPass = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Tokens in one forward pass; the batch size stays the same. 0: chosen to suit the device.",
    ),
]
Precision = Annotated[
    str, typer.Option(envvar="XSTILTS_PRECISION", help="auto (bf16 where the device supports it), fp32 or bf16.")
]
Recompute = Annotated[
    bool, typer.Option("--recompute", help="Recompute activations in the backward pass: less memory, more time.")
]
Keep = Annotated[
    str,
    typer.Option(
        help="Weights that stay in the store: all; intermediate (those that another training began from); or none. The "
        "others are dropped once nothing needs them, and built again where something does."
    ),
]
AllowUnexpectedData = Annotated[
    bool,
    typer.Option(
        "--allow-unexpected-data",
        help="Accept data sets with an unexpected number of rows, or that do not look English.",
    ),
]
Scale = Annotated[str, typer.Option(help="Scale of the study: sandbox (minutes), small or full.")]
StudyEncoder = Annotated[
    str, typer.Option(metavar="FOLDER", help="Folder or hub id, instead of the encoder that the study takes.")
]
Out = Annotated[Path | None, typer.Option(help="Also write the tables to this folder.")]
JsonFile = Annotated[
    Path | None, typer.Option("--json-file", metavar="FILE", help="Also write everything to this JSON file.")
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Accepted and not needed: every run continues with what is finished and from its checkpoints."
    ),
]


class OptionGroup:
    """A dataclass whose fields are options; `panel` is the heading above them in `--help`."""

    panel: ClassVar[str]


@dataclass(frozen=True)
class EncoderOptions(OptionGroup):
    """Which encoder."""

    panel: ClassVar[str] = "Encoder"

    encoder: Annotated[str, typer.Option(help="Hub id, local folder, or 'sandbox'.")]
    revision: Annotated[str, typer.Option(help="Revision of a hub id.")] = "main"

    def pinned(self) -> Encoder:
        """Return the encoder at the commit that its revision names now."""
        from xstilts.models.encoder import Encoder

        return Encoder.of(self.encoder, self.revision).pinned()


@dataclass(frozen=True)
class ExperimentOptions(EncoderOptions):
    """What to compare: encoder, targets, intermediate settings and seeds."""

    panel: ClassVar[str] = "Experiment"

    target: Annotated[
        list[str] | None, typer.Option(autocompletion=complete_tasks, help="Target task; repeat it for more.")
    ] = None
    suite: Annotated[
        str | None, typer.Option(help="All tasks of a benchmark, xtreme or xtreme-r, and its averages.")
    ] = None
    intermediate: Annotated[
        list[str] | None,
        typer.Option(
            autocompletion=complete_tasks,
            help="Tasks of one intermediate phase; 'a,b' trains on a mix. Repeat it for more settings.",
        ),
    ] = None
    learn_from: Annotated[
        list[str] | None,
        typer.Option(
            help="Train targets on these tasks instead of their own: 'a+b' one after the other, 'xquad=a' for one "
            "target."
        ),
    ] = None
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Number of seeds: 1, 2, …")] = 1
    languages: Annotated[str | None, typer.Option(help="Evaluate only these languages, 'en,sw'.")] = None
    split: Annotated[str, typer.Option(help="Evaluated split: test, or validation where test labels are hidden.")] = (
        "test"
    )
    test_examples: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Measure on N test examples a language, spread evenly; 0: on all."),
    ] = 0
    forgetting: Annotated[
        str | None,
        typer.Option(help="Also evaluate these untrained tasks before and after each phase: 'common_voice,tatoeba'."),
    ] = None
    mlm: Annotated[
        str | None, typer.Option(help="Raw-text task: masked-LM in every step of the intermediate phase.")
    ] = None
    mlm_weight: Annotated[float, typer.Option(help="Weight of the masked-LM loss.")] = 1.0
    mlm_alpha: Annotated[float, typer.Option(help="Draw languages of the raw text in proportion to size ** alpha.")] = (
        0.3
    )

    average: Annotated[
        str, typer.Option(help="Average weights: seeds (all runs of a setting), seeds:3, last:5 (snapshots) or both.")
    ] = ""
    combine: Annotated[
        str,
        typer.Option(
            help="Train each intermediate task alone and combine the encoders: add:0.5 (task vectors), ties:0.2, "
            "swap@top:2 (layers of the second task)."
        ),
    ] = ""

    oracle: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Also choose among the last N snapshots on target-language development data (oracle), and on that of "
            "the training language.",
        ),
    ] = 0
    translate_train: Annotated[
        str | None, typer.Option(help="Add training data of the targets in these languages, translated: 'sw,hi'.")
    ] = None
    translate_test: Annotated[
        bool,
        typer.Option("--translate-test", help="Predict on test data translated into the training data's language."),
    ] = False
    translate: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Translation model, a hub id or folder, perhaps with {source} and {target} in it. Translations in "
            "the data folder come first.",
        ),
    ] = None
    projection: Annotated[
        str, typer.Option(help="How tags and answers are found in a translation: markers or alignment.")
    ] = "markers"
    translate_beams: Annotated[int, typer.Option(min=1, metavar="N", help="Beams of the translation; 1: greedy.")] = 1

    def translation(self) -> Translation | None:
        """Return what is to be translated; None where nothing is."""
        from xstilts.experiments.translated_splits import Translation

        if not (self.translate_train or self.translate_test or self.translate):
            return None
        codes = tuple(code.strip() for code in (self.translate_train or "").split(",") if code.strip())
        return Translation(codes, self.translate_test, self.translate or "", self.projection, self.translate_beams)

    few_shot: Annotated[
        str,
        typer.Option(
            metavar="K[:DRAW]",
            help="Train each target's model further on K training examples of a language, which it then predicts; "
            "another DRAW takes others.",
        ),
    ] = ""
    set_few_shot: Annotated[
        list[str] | None, typer.Option(help="Change a setting of the few-shot training: epochs=20 …")
    ] = None

    retries: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Repeat a training that ends no better than chance on development data with another seed, at most N "
            "times.",
        ),
    ] = 0

    def grid(self, recipes: Recipes, runtime: Runtime) -> Grid:
        """Return the runs that these options ask for.

        Raises:
            InputError: A task, language or recipe is unknown, or tasks do not fit each other.
        """
        from xstilts.experiments import grid
        from xstilts.experiments.few_shot import FewShot

        targets = grid.targets_of(self.target or (), self.suite)
        if self.test_examples:
            targets = tuple(target.measured_on(self.test_examples) for target in targets)
        languages = tuple(dict.fromkeys(code for target in targets for code in target.languages))
        return grid.Grid(
            self.pinned(),
            targets + grid.untrained(self.forgetting),
            tuple(grid.tasks_of(names) for names in self.intermediate or ()),
            recipes,
            self.seeds,
            grid.target_training_tasks_of(self.learn_from or ()),
            grid.mlm_of(self.mlm, languages, self.mlm_weight, self.mlm_alpha, runtime),
            self.split,
            tuple(self.languages.split(",")) if self.languages else (),
            average=self.average,
            combine=self.combine,
            oracle=self.oracle,
            translation=self.translation(),
            few_shot=FewShot.of(self.few_shot, tuple(self.set_few_shot or ())),
            retries=self.retries,
        )


@dataclass(frozen=True)
class RecipeOptions(OptionGroup):
    """How to train: a named set of recipes and changes of it."""

    panel: ClassVar[str] = "Recipe"

    recipe: Annotated[str, typer.Option(help="xtreme, xtreme-last, phang2020, small, e5-small or sandbox.")] = "xtreme"
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting in both phases: learning_rate=1e-4 …")
    ] = None
    set_intermediate: Annotated[
        list[str] | None, typer.Option(help="Change a setting of the intermediate phase only.")
    ] = None
    set_target: Annotated[list[str] | None, typer.Option(help="Change a setting of the target phase only.")] = None

    def recipes(self) -> Recipes:
        """Return the named recipes with the changes of each phase."""
        from xstilts.experiments.run import Recipes

        both = tuple(self.setting or ())
        return Recipes(self.recipe, both + tuple(self.set_intermediate or ()), both + tuple(self.set_target or ()))


@dataclass(frozen=True)
class RuntimeOptions(OptionGroup):
    """Where and how to compute; nothing here changes what is computed, up to rounding."""

    panel: ClassVar[str] = "Runtime"

    data: DataFolder = None
    tasks: TaskFolders = None
    store: Store = Path("work")
    device: Device = "auto"
    workers: Workers = 0
    threads: Threads = 0
    max_tokens_per_pass: MaxTokensPerPass = 0
    precision: Precision = "auto"
    packing: Annotated[str, typer.Option(help="Batches without padding: auto (on a GPU), on or off.")] = "auto"
    recompute: Recompute = False
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the layers with torch.compile.")] = False
    processes: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Processes that share each training, a GPU each; the batch stays the same."
        ),
    ] = 1
    shard: Annotated[
        bool, typer.Option("--shard", help="Divide weights, gradients and states among these processes (FSDP2).")
    ] = False
    memory: Annotated[
        float,
        typer.Option(min=0, metavar="N", help="GiB of device memory that `plan` assumes; 0: those of this device."),
    ] = 0.0
    allow_unexpected_data: AllowUnexpectedData = False
    resume: Resume = False

    def runtime(self, cluster: ClusterOptions | None = None) -> Runtime:
        """Return the runtime that these options describe.

        Args:
            cluster: Where else stages are built; None: here alone.
        """
        from xstilts.runtime.cluster import THIS_COMPUTER
        from xstilts.runtime.machine import Runtime, launched

        return Runtime(
            store=self.store,
            data=self.data,
            device=self.device,
            max_tokens_per_pass=self.max_tokens_per_pass,
            workers=self.workers,
            threads=self.threads,
            precision=self.precision,
            allow_unexpected_data=self.allow_unexpected_data,
            packing=self.packing,
            recompute=self.recompute,
            compiled=self.compiled,
            memory_gib=self.memory,
            processes=launched(self.processes),
            shard=self.shard,
            cluster=cluster.cluster() if cluster else THIS_COMPUTER,
        )


@dataclass(frozen=True)
class ClusterOptions(OptionGroup):
    """On which machines stages are built, and what a scheduler is asked for."""

    panel: ClassVar[str] = "Cluster"

    executor: Annotated[
        str, typer.Option(envvar="XSTILTS_EXECUTOR", help="Who builds stages: local (this computer), ray or slurm.")
    ] = "local"
    ray_address: Annotated[
        str,
        typer.Option(
            envvar=["XSTILTS_RAY_ADDRESS", "RAY_ADDRESS"],
            help="Address of a Ray cluster; default: a cluster of this computer's cores.",
        ),
    ] = ""
    slurm_partition: Annotated[
        str, typer.Option(envvar="XSTILTS_SLURM_PARTITION", help="Slurm's partition; default: the site's.")
    ] = ""
    slurm_account: Annotated[
        str, typer.Option(envvar="XSTILTS_SLURM_ACCOUNT", help="The account that Slurm charges.")
    ] = ""
    slurm_constraint: Annotated[
        str, typer.Option(envvar="XSTILTS_SLURM_CONSTRAINT", help="Features that a machine must have.")
    ] = ""
    slurm_time: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            envvar="XSTILTS_SLURM_TIME",
            help="Time limit of a job; a longer training goes on in the job's next run.",
        ),
    ] = "4:00:00"
    slurm_gpus: Annotated[
        int,
        typer.Option(min=0, metavar="N", envvar="XSTILTS_SLURM_GPUS", help="GPUs of a job that trains or predicts."),
    ] = 0
    slurm_memory: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="N",
            envvar="XSTILTS_SLURM_MEMORY",
            help="GiB of main memory of a job; 0: what its trainings are expected to take, else the site's default.",
        ),
    ] = 0.0
    detach: Annotated[
        bool,
        typer.Option("--detach", help="With slurm: submit this command itself as a job, which submits the others."),
    ] = False

    def cluster(self) -> Cluster:
        """Return what these options describe."""
        from xstilts.runtime.cluster import Cluster

        return Cluster(
            self.executor,
            self.ray_address,
            self.slurm_partition,
            self.slurm_account,
            self.slurm_constraint,
            self.slurm_time,
            self.slurm_gpus,
            self.slurm_memory,
        )


def grouped(verb: Callable[..., None]) -> Callable[..., None]:
    """Flatten the option groups among a verb's parameters into options that Typer reads.

    Args:
        verb: A function, some of whose parameters are annotated with subclasses of `OptionGroup`.

    Returns:
        A function with the groups' fields instead of the groups, all keyword-only.
    """
    hints = get_type_hints(verb, include_extras=True)
    groups: dict[str, type[OptionGroup]] = {}
    parameters: list[Parameter] = []
    for parameter in inspect.signature(verb).parameters.values():
        hint = hints[parameter.name]
        if isinstance(hint, type) and issubclass(hint, OptionGroup):
            groups[parameter.name] = hint
            parameters += _parameters_of(hint)
        else:
            parameters.append(parameter.replace(annotation=hint, kind=Parameter.KEYWORD_ONLY))

    def flattened(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in _fields(group)})
        verb(**values)

    flattened.__name__, flattened.__doc__ = verb.__name__, verb.__doc__
    flattened.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flattened.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return flattened


def _fields(group: type[OptionGroup]) -> tuple[Field[Any], ...]:
    return fields(group)  # type: ignore[arg-type]


def _parameters_of(group: type[OptionGroup]) -> Iterator[Parameter]:
    """Yield a group's fields as parameters, each option in the panel of the group."""
    hints = get_type_hints(group, include_extras=True)
    for field in _fields(group):
        hint = hints[field.name]
        option = copy(hint.__metadata__[0])
        option.rich_help_panel = group.panel
        default = Parameter.empty if field.default is MISSING else field.default
        yield Parameter(
            field.name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[hint.__origin__, option]
        )
