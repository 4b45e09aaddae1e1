"""The command line: verbs that are thin layers over the package, which they import only when they run.

Exit codes: 0 success, 1 something could not be built, 2 a wrong option or input, 128 + n stopped by signal n.
"""

from __future__ import annotations

import os
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
        if machine.launched() > 1 and os.environ.get("RANK") != "0":
            from xstilts.training import processes

            processes.follow_launched()
        else:
            app()
    except InputError as error:
        _fail(str(error), 2)
    except (StageError, OSError) as error:
        _fail(str(error), 2 if getattr(error, "wrong_input", False) else 1)
    except signals.Interrupted as stopped:
        _fail(str(stopped), 128 + stopped.number)


def _fail(message: str, code: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)
