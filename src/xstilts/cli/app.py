"""The Typer app to which the other modules add their verbs."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from xstilts import __version__

PLAN_STUDY = "plan FILE.py"
# Accepted in place of the present names, and in no help text.
FORMER_OPTIONS = {"--micro-tokens": "--max-tokens-per-pass", "--partial": "--allow-unexpected-data"}


class Verbs(TyperGroup):
    """The verbs, with former option names, and with `plan` as two verbs: of `run`'s options and of a study file."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Choose `plan FILE.py` where a Python file is named and neither an encoder nor a target is given."""
        args = [_present_name(arg) for arg in args]
        of_run = any(arg.startswith(("--encoder", "--target", "--suite")) for arg in args)
        if args[:1] == ["plan"] and not of_run and any(arg.endswith(".py") for arg in args):
            return "plan", self.get_command(ctx, PLAN_STUDY), args[1:]
        return super().resolve_command(ctx, args)


def _present_name(argument: str) -> str:
    name, equals, value = argument.partition("=")
    return FORMER_OPTIONS.get(name, name) + equals + value


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"xstilts {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
sandbox = typer.Typer(no_args_is_help=True, help="Artificial languages: complete experiments in minutes, no network.")


@app.callback()
def xstilts(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Intermediate-task training for zero-shot cross-lingual transfer."""


app.add_typer(sandbox, name="sandbox")
