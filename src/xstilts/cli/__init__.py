"""The command line: verbs that are thin layers over the package, which they import only when they run.

Exit codes: 0 success, 1 something could not be built, 2 a wrong option or input, 128 + n stopped by signal n.
"""

from __future__ import annotations

import sys

from xstilts.cli.app import PANELS, PLAN_STUDY, app

# Each module adds its verbs, in the order of `--help`.
from xstilts.cli import (  # noqa: F401  # isort: skip
    runs,
    fit,
    predict,
    models,
    share,
    studies,
    literature,
    lookups,
    stores,
    doctor,
    sandbox,
)

__all__ = ["PANELS", "PLAN_STUDY", "app", "main"]


def main() -> None:
    """Run the command line: errors become one line on standard error and an exit code."""
    from xstilts.errors import InputError
    from xstilts.runtime import machine, signals
    from xstilts.store.stage import StageError

    machine.let_threads_sleep()  # before torch is imported
    signals.raised()
    try:
        _run_one_of_several() if machine.launched() > 1 else app()
    except InputError as error:
        _fail(str(error), 2)
    except (StageError, OSError) as error:
        _fail(str(error), 2 if getattr(error, "wrong_input", False) else 1)
    except signals.Interrupted as stopped:
        _fail(str(stopped), 128 + stopped.number)


def _run_one_of_several() -> None:
    """Run the command line in the first process that `torchrun` started; in the others, take part in its trainings."""
    from xstilts.training import processes

    if processes.follow_launched():
        return
    try:
        app()
    finally:
        processes.dismiss_launched()


def _fail(message: str, code: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)
