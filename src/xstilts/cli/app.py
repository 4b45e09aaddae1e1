"""The Typer app to which the other modules add their verbs, and what all verbs share.

Every verb takes `--json`, `--quiet`, `--verbose` and `--config` without declaring them: `Verb` adds these options,
applies them while the verb runs, and keeps the options of a verb that has an output folder in its `run.json`. A verb
is a function:

    @app.command(rich_help_panel="Data", examples=("xstilts tasks", "xstilts tasks --data DATA --json"))
    def tasks(data: DataFolder = None) -> None:
        rows = …
        console().print(table)   # for people; silent with --json
        result(rows)             # the same figures as JSON; does nothing without --json
"""

from __future__ import annotations

import contextlib
import importlib.abc
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from xstilts import __version__
from xstilts.errors import InputError
from xstilts.runtime import whole_files

if TYPE_CHECKING:
    from xstilts.cli.config import Config

PLAN_STUDY = "plan FILE.py"
# Accepted in place of the present names, and in no help text.
FORMER_OPTIONS = {"--micro-tokens": "--max-tokens-per-pass", "--partial": "--allow-unexpected-data"}
PANELS = ("Run", "Study", "Data", "Models", "Reports", "Literature", "Store")  # in the order of `--help`
EXAMPLES = "Examples:"
OUTPUT = "Output"  # the panel of the options that all verbs have
RECORD = "run.json"  # the options of a verb, in its output folder
Function = TypeVar("Function", bound=Callable[..., Any])
LOG = logging.getLogger("xstilts.cli")


class Verb(TyperCommand):
    """A verb with the options that all verbs have, and with examples on its help page."""

    records = True  # whether the options are kept in the folder --out

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params = [*self.params, *shared_options()]
        for parameter in self.params:
            if parameter.opts[0].startswith("-") and parameter.metavar is None:
                parameter.metavar = _metavar(parameter)

    @property
    def examples(self) -> tuple[str, ...]:
        """The commands shown on the help page."""
        return tuple(line for line in (self.epilog or "").splitlines() if line.startswith("xstilts "))

    def get_help_option(self, ctx: Any) -> Any:
        """Return `--help`, without the type of its value."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.metavar = ""
        return option

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options: those of the command line before the environment's, and these before the file's."""
        values: dict[str, Any] = {}
        if not ctx.resilient_parsing:
            values, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        config = None
        if not ctx.resilient_parsing and not values.get("help"):
            config = _config(ctx, values.get("config_file"))
        if config:
            ctx.default_map = config.values_of(verb_path(ctx), self)
        try:
            rest = super().parse_args(ctx, args)
        except typer.BadParameter as error:
            name = getattr(getattr(error, "param", None), "name", "")
            if config and name in (ctx.default_map or {}) and values.get(name) is None:
                raise InputError(config.refusal(verb_path(ctx), self, name, error.message)) from None
            raise
        for option in shared_options():
            value = ctx.params.pop(str(option.name), None)
            ctx.meta[f"xstilts.{option.name}"] = value or ctx.meta.get(f"xstilts.{option.name}")
        ctx.meta["xstilts.config_file"] = config.file if config else None
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Run the verb: write as its options say, log to standard error, keep the options with the result."""
        from xstilts.runtime import console, logs

        chosen = console.Output(*(bool(ctx.meta.get(f"xstilts.{name}")) for name in ("as_json", "quiet", "verbose")))
        level = logging.DEBUG if chosen.verbose else logging.ERROR if chosen.quiet else logging.INFO
        with console.output(chosen), logs.shown(level, chosen.verbose), _announced(verb_path(ctx), chosen.quiet):
            try:
                value = self._detached(ctx) or super().invoke(ctx)
            except (typer.Exit, SystemExit):
                self._record(ctx)
                raise
            except Exception as error:
                LOG.debug("the error in full", exc_info=True)
                if not console.written():
                    console.result({"error": str(error) or type(error).__name__})
                if isinstance(error, EOFError):  # which Click takes for the end of its own input
                    raise RuntimeError("a file ends too early") from error
                raise
            self._record(ctx)
            return value

    def _detached(self, ctx: Any) -> bool:
        """Submit the command as a job where that is asked for; return whether it was."""
        if not ctx.params.get("detach"):
            return False
        from xstilts.cli import detach

        return detach.submit(ctx.params, sys.argv[1:])

    def _record(self, ctx: Any) -> None:
        """Write the options into the output folder, where the verb has one and made it."""
        from xstilts.runtime.console import json_value

        folder = ctx.params.get("out")
        if not (self.records and isinstance(folder, Path) and folder.is_dir()):
            return
        config = ctx.meta.get("xstilts.config_file")
        options = {name: json_value(value) for name, value in sorted(ctx.params.items())}
        run = {"command": verb_path(ctx), "version": __version__, "options": options, "config": config and str(config)}
        whole_files.write(folder / RECORD, json.dumps(run, indent=1, ensure_ascii=False) + "\n")


class VerbWithoutRecord(Verb):
    """A verb whose output folder holds only what others will read: a submission, an encoder, an evidence report."""

    records = False


class App(typer.Typer):
    """A Typer app whose commands are `Verb`s."""

    def command(
        self, name: str | None = None, *, examples: Sequence[str] = (), **settings: Any
    ) -> Callable[[Function], Function]:
        """Return the decorator that makes a function a verb.

        Args:
            name: The verb; default: the function's name.
            examples: Complete commands for the end of the help page.
            settings: Typer's settings of a command, such as `rich_help_panel`, one of `PANELS`.
        """
        settings.setdefault("cls", Verb)
        if examples:
            settings["epilog"] = "\n".join((EXAMPLES, "", *examples))
        return super().command(name, **settings)


class Verbs(TyperGroup):
    """The verbs, with former option names, and with `plan` as two verbs: of `run`'s options and of a study file.

    A verb may have a name of two words whose first is a verb too, such as "evidence search".
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the verbs by their panels in the order of `PANELS`, others last."""

        def place(name: str) -> int:
            panel = getattr(self.commands[name], "rich_help_panel", None)
            return PANELS.index(panel) if panel in PANELS else len(PANELS)

        return sorted(self.commands, key=place)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options before the verb, and `help VERB` as `VERB --help`."""
        if args[:1] == ["help"]:
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Choose `plan FILE.py` where a study is named and neither an encoder nor a target is given."""
        two_words = " ".join(args[:2])
        of_run = any(arg.startswith(("--encoder", "--target", "--suite")) for arg in args)
        if args[:1] == ["plan"] and not of_run and any(_is_study(arg) for arg in args[1:]):
            resolved: Any = "plan", self.get_command(ctx, PLAN_STUDY), args[1:]
        elif two_words != PLAN_STUDY and two_words in self.commands:  # `evidence search` beside `evidence QUESTION`
            resolved = two_words, self.get_command(ctx, two_words), args[2:]
        else:
            resolved = super().resolve_command(ctx, args)
        name, command, rest = resolved
        writes_json = any("--json-file" in parameter.opts for parameter in getattr(command, "params", ()))
        return name, command, list(_present_names(rest, writes_json))


def _present_names(arguments: Sequence[str], writes_json: bool) -> Iterator[str]:
    """Yield the arguments with present names of options; `--json FILE.json` is now `--json-file FILE.json`."""
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        to_file = writes_json and (equals or "".join(arguments[place + 1 : place + 2]).endswith(".json"))
        yield ("--json-file" if name == "--json" and to_file else FORMER_OPTIONS.get(name, name)) + equals + value


def _metavar(option: Any) -> str | None:
    """Return what help shows for an option's value: nothing for a flag, else PATH, N or TEXT, but no Python types."""
    if getattr(option, "is_flag", False):
        return ""
    if option.nargs != 1:
        return None
    annotation = str(getattr(getattr(option, "type_descriptor", None), "annotation", ""))
    names = {"Path": "PATH", "int": "N", "float": "N", "str": "TEXT"}
    return next((shown for name, shown in names.items() if name in annotation), None)


def _is_study(argument: str) -> bool:
    from xstilts.cli.options import shipped_studies

    return argument.endswith(".py") or argument in shipped_studies()


def verb_path(ctx: Any) -> str:
    """Return the words of a verb as they are typed, such as "sandbox demo"."""
    names: list[str] = []
    while ctx.parent is not None:
        names.append(str(ctx.info_name))
        ctx = ctx.parent
    return " ".join(reversed(names))


def _shared(
    as_json: Annotated[
        bool,
        typer.Option("--json", rich_help_panel=OUTPUT, help="Print the result as one JSON document, and nothing else."),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", rich_help_panel=OUTPUT, help="No progress and no messages.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", rich_help_panel=OUTPUT, help="All log messages, with times.")
    ] = False,
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            envvar="XSTILTS_CONFIG",
            rich_help_panel=OUTPUT,
            help="TOML file of options; default: xstilts.toml, if it is here.",
        ),
    ] = None,
) -> None:
    """Declare the options of all verbs; nothing calls this."""


@cache
def shared_options() -> tuple[Any, ...]:
    """Return the options that every verb has, made by Typer from a signature."""
    declared = typer.Typer(add_completion=False)
    declared.command()(_shared)
    return tuple(typer.main.get_command(declared).params)


def _config(ctx: Any, file: str | None) -> Config | None:
    """Read the configuration file that is named, or the one in the working directory; None where there is none."""
    from xstilts.cli import config

    file = file or os.environ.get("XSTILTS_CONFIG")
    return config.read(Path(file) if file else None, ctx.find_root().command)


@contextlib.contextmanager
def _announced(verb: str, quiet: bool) -> Iterator[None]:
    """Say on standard error when the verb begins to import torch, which takes seconds."""
    if quiet or "torch" in sys.modules:
        yield
        return
    watcher = _TorchWatcher(verb)
    sys.meta_path.insert(0, watcher)
    try:
        yield
    finally:
        sys.meta_path.remove(watcher)


class _TorchWatcher(importlib.abc.MetaPathFinder):
    """Finds no module; logs when torch is looked for."""

    def __init__(self, verb: str) -> None:
        self.verb, self.waiting = verb, True

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Log the first import of torch."""
        if name == "torch" and self.waiting:
            self.waiting = False
            LOG.info("xstilts %s: importing torch, which takes a few seconds", self.verb)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"xstilts {__version__}")
        raise typer.Exit


app = App(
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
sandbox = App(no_args_is_help=True, help="Artificial languages: complete experiments in minutes, no network.")


@app.callback()
def xstilts(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Intermediate-task training for zero-shot cross-lingual transfer."""


store = App(no_args_is_help=True, help="Finished stages: list them, free disk space, keep, copy and check them.")
app.add_typer(store, name="store", rich_help_panel="Store")
app.add_typer(sandbox, name="sandbox", rich_help_panel="Run")
