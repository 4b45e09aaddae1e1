"""Errors that are written for users.

>>> raise InputError("a.csv:3: expected a label, found none; correct the row")
Traceback (most recent call last):
xstilts.errors.InputError: a.csv:3: expected a label, found none; correct the row
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

# What code raises that reads a value of another shape than it expects.
UNFORESEEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
SAID = 120  # characters of such an error that a message has


class InputError(ValueError):
    """Something a user gave is wrong; the message names the place, the value and the remedy."""


@contextmanager
def refusing(place: Callable[[], object], remedy: str, expected: str = "what xstilts writes") -> Iterator[None]:
    """Turn whatever untrusted content raises within this context into one InputError: a boundary's only guard.

    Args:
        place: Returns the file, and the line as far as it is known then.
        remedy: What to do.
        expected: What the content should be.

    Raises:
        InputError: The content raised an error of its own shape; those that are worded, of the system and of memory
            pass through.

    >>> with refusing(lambda: "report.json", "write it again"):
    ...     {}["rows"]
    Traceback (most recent call last):
    xstilts.errors.InputError: report.json: expected what xstilts writes, found KeyError: 'rows'; write it again
    """
    try:
        yield
    except InputError:
        raise
    except (*UNFORESEEN, RuntimeError, StopIteration) as error:
        # A generator turns StopIteration, of `next` for what is not there, into a RuntimeError.
        if isinstance(error, RuntimeError) and not isinstance(error.__cause__ or error, StopIteration | RecursionError):
            raise
        said = " ".join(str(error).split())[:SAID].encode("utf-8", "backslashreplace").decode()
        problem = f"expected {expected}, found {type(error).__name__}: {said}"
        raise InputError(f"{place()}: {problem}; {remedy}") from error


ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)
OF_RUST = re.compile(r"\(os error (\d+)\)")  # how libraries in Rust end their messages


def may_pass(error: BaseException) -> bool:
    """Return whether a file could not be read for a reason that tells nothing of its content, such as a bad disk.

    Such a reason may pass; what was to be read is not damaged, and must not be made anew.

    >>> may_pass(PermissionError(13, "Permission denied")), may_pass(FileNotFoundError(2, "No such file"))
    (True, False)
    >>> may_pass(OSError("Couldn't deserialize thrift")), may_pass(ValueError("I/O error (os error 5)"))
    (False, True)
    """
    code = error.errno if isinstance(error, OSError) else None
    if code is None and (written := OF_RUST.search(str(error))):
        code = int(written[1])
    return code is not None and code not in ABSENT


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that is most like a given one; None where none is (`difflib.get_close_matches`)."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'steps'?)" for an unknown name that is like a known one, else nothing."""
    near = nearest(name, known)
    return f" (did you mean '{near}'?)" if near else ""


def did_you_mean(
    name: str, known: Iterable[str], aliases: Mapping[str, str] | None = None, otherwise: str = "there are"
) -> str:
    """Return a hint for an unknown name: the name that is meant, else all names there are.

    Args:
        name: What was given.
        known: The names there are.
        aliases: What other tools call them, from the other name (in lower case) to the one here.
        otherwise: What stands before all names, where none is like it.

    >>> did_you_mean("lr", ["learning_rate", "steps"], {"lr": "learning_rate"})
    "did you mean 'learning_rate'?"
    >>> did_you_mean("step", ["learning_rate", "steps"])
    "did you mean 'steps'?"
    >>> did_you_mean("x", ["learning_rate", "steps"])
    'there are learning_rate, steps'
    """
    names = list(known)
    meant = (aliases or {}).get(name.lower()) or nearest(name, names)
    return f"did you mean '{meant}'?" if meant else f"{otherwise} {', '.join(names)}"
