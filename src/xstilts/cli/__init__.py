"""The command line: verbs that are thin layers over the package, which they import only when they run.

Exit codes: 0 success, 1 something could not be built, 2 a wrong option or input, 70 an error that nothing here expects
(its traceback is in the file that the message names), 128 + n stopped by signal n.
"""

from __future__ import annotations

import re
import sys
import tempfile
import traceback
from typing import NoReturn

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

FULL_MEMORY = re.compile(r"out of memory|can't allocate memory|[Uu]nable to allocate")  # as torch and numpy say it
UNEXPECTED = 70  # as sysexits.h calls an internal error
__all__ = ["PANELS", "PLAN_STUDY", "app", "main"]


def main() -> None:
    """Run the command line: errors become one line on standard error and an exit code."""
    from xstilts.errors import InputError, may_pass
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
    except Exception as error:
        if isinstance(error, MemoryError) or FULL_MEMORY.search(str(error)):
            said = _one_line(error) or "none is left"
            _fail(f"not enough memory ({said}): make the run smaller, or take a larger machine", 1)
        if may_pass(error):  # as a library in another language says that the disk is full
            _fail(_one_line(error), 1)
        if "home directory" in str(error):  # `Path.expanduser` of "~nobody/folder"
            _fail(f"there is no home directory for the ~ of a path ({error}): write the path in full", 2)
        _fail(f"{_shown(error)}; {_kept(error)}", UNEXPECTED)


def _run_one_of_several() -> None:
    """Run the command line in the first process that `torchrun` started; in the others, take part in its trainings."""
    from xstilts.training import processes

    if processes.follow_launched():
        return
    try:
        app()
    finally:
        processes.dismiss_launched()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _shown(error: Exception) -> str:
    """Return the kind of an unexpected error and what it says, on one line."""
    return f"unexpected {type(error).__name__}: {_one_line(error)}".removesuffix(": ")


def _kept(error: Exception) -> str:
    """Write the traceback of an unexpected error to a file; return a sentence that names it."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", errors="backslashreplace", prefix="xstilts-", suffix=".txt", delete=False
        ) as file:
            traceback.print_exception(error, file=file)
    except OSError:
        return "give --verbose to see its traceback"
    return f"its traceback is in {file.name}: please report it with the command"


def _fail(message: str, code: int) -> NoReturn:
    print(f"error: {message}".encode("utf-8", "backslashreplace").decode(), file=sys.stderr)
    sys.exit(code)
