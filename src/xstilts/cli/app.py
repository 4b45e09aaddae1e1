"""The app that verbs are added to."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

PLAN_STUDY = "plan FILE.py"


class Verbs(TyperGroup):
    """The verbs, of which `plan` is two: of a study file, and of the options of `run`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Take `plan` for that of a study where a Python file is named, and an encoder or a target is not."""
        of_run = any(arg.startswith(("--encoder", "--target", "--suite")) for arg in args)
        if args[:1] == ["plan"] and not of_run and any(arg.endswith(".py") for arg in args):
            return "plan", self.get_command(ctx, PLAN_STUDY), args[1:]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Intermediate-task training for zero-shot cross-lingual transfer.",
)
sandbox = typer.Typer(no_args_is_help=True, help="Artificial languages: all of it in minutes, without network.")
app.add_typer(sandbox, name="sandbox")
