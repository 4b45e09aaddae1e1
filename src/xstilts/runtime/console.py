"""Console: what a command writes to standard output, for people or as JSON.

A command prints tables and lines on `console()` and hands the same figures to `result`, once. With `--json` the
console is silent and `result` writes one JSON document; otherwise `result` does nothing. Commands that report while
something goes on write a line of JSON for each record with `record`. Everything else that writes to standard output
meanwhile, such as a study file that prints, is sent to standard error.

>>> console().is_terminal
False
>>> with output(Output(json=True)):
...     console().print("a table for people")
...     result({"languages": ("en", "sw"), "interval": float("nan")})
{
 "languages": [
  "en",
  "sw"
 ],
 "interval": null
}
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, is_dataclass
from pathlib import PurePath
from typing import Any, TextIO

from rich.console import Console


@dataclass(frozen=True)
class Output:
    """How a command writes.

    Attributes:
        json: Results as JSON on standard output, and nothing else there.
        quiet: No progress and no messages, only results and errors.
        verbose: All log messages, with times.
    """

    json: bool = False
    quiet: bool = False
    verbose: bool = False


_output = Output()
_stream: TextIO | None = None  # standard output as it was before `output` redirected it
_written = False


def current() -> Output:
    """Return how the running command writes; the defaults outside of one."""
    return _output


def written() -> bool:
    """Return whether the running command has written a JSON document or record."""
    return _written


@contextlib.contextmanager
def output(chosen: Output) -> Iterator[None]:
    """Write as chosen within this context."""
    global _output, _stream, _written
    before = _output, _stream, _written
    _output, _stream, _written = chosen, sys.stdout, False
    try:
        with contextlib.redirect_stdout(sys.stderr) if chosen.json else contextlib.nullcontext():
            yield
    finally:
        _output, _stream, _written = before


def console() -> Console:
    """Return a console on standard output that honours `NO_COLOR`; 200 columns wide where it is a file or a pipe.

    It is silent where the command writes JSON.
    """
    wide = Console(markup=False, emoji=False, quiet=_output.json, force_jupyter=False)
    if wide.is_terminal:
        return wide
    return Console(width=200, markup=False, emoji=False, quiet=_output.json, force_jupyter=False)


def result(value: object) -> None:
    """Write the result of a command as one JSON document; only where the command writes JSON.

    Args:
        value: What the tables and lines for people show: a dataclass, a mapping, a sequence, or an object with
            `to_json()`. Figures that were not measured (None, NaN, infinite) become null.
    """
    if _output.json:
        _write(json.dumps(json_value(value), indent=1, ensure_ascii=False, allow_nan=False))


def record(value: object) -> None:
    """Write one of several results as a line of JSON; only where the command writes JSON."""
    if _output.json:
        _write(json.dumps(json_value(value), ensure_ascii=False, allow_nan=False))


def json_value(value: object) -> Any:
    """Return a value as JSON can hold it.

    >>> json_value({1: PurePath("work"), "gain": float("inf")})
    {'1': 'work', 'gain': None}
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "to_json") and not isinstance(value, type):
        return json_value(value.to_json())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: json_value(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(json_value(key)): json_value(entry) for key, entry in value.items()}
    if isinstance(value, AbstractSet):
        return sorted((json_value(entry) for entry in value), key=str)
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy's arrays and numbers
        return json_value(value.tolist())
    if isinstance(value, Iterator) or hasattr(value, "__iter__"):
        return [json_value(entry) for entry in value]
    return str(value)


def _write(text: str) -> None:
    global _written
    _written = True
    stream = _stream or sys.stdout
    stream.write(text + "\n")
    stream.flush()
