r"""Fuzzing: mutated bytes, JSON and tables, and a count of what comes of them.

The law of all boundaries: an input is refused with a message, or accepted with nothing of it lost in silence. Any other
exception, a hang, and a row that is neither read nor counted break it.

    CHAOS_SEED      the first seed (1)
    CHAOS_INPUTS    inputs of each harness (as many as take about a minute)

>>> tally = Tally("doctest")
>>> tally.attempt(lambda: int("1")), tally.attempt(lambda: int("x"), "an x")
('accepted', 'raw')
>>> print(tally)
doctest: 2 inputs: 0 refused with a message, 1 accepted, 1 raw exceptions, 0 hangs, 0 silent losses
"""

from __future__ import annotations

import json
import os
import re
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from xstilts.errors import InputError
from xstilts.store.stage import StageError

SEED = int(os.environ.get("CHAOS_SEED", "1"))
PATIENCE, PATIENCE_ASLEEP = 20.0, 300.0  # seconds of work, and of the clock, after which an input hangs
OUTCOMES = {"refused": "refused with a message", "accepted": "accepted", "raw": "raw exceptions", "hang": "hangs", "lost": "silent losses"}  # fmt: skip
BROKEN = ("raw", "hang", "lost")


def inputs(usual: int) -> int:
    """Return how many inputs a harness makes."""
    return int(os.environ.get("CHAOS_INPUTS", str(usual)))


class Lost(Exception):
    """Something of an input was neither read nor refused nor counted."""


class Hang(BaseException):
    """An input takes too long."""


@dataclass
class Tally:
    """What came of the inputs of one harness.

    Attributes:
        name: Of the harness.
        told: What counts as a refusal with a message.
        counts: By outcome, a key of `OUTCOMES`.
        broken: By kind of broken law, how often, and the first input's description with the exception.
    """

    name: str
    told: tuple[type[BaseException], ...] = (InputError, StageError)
    counts: Counter[str] = field(default_factory=Counter)
    broken: dict[str, list[Any]] = field(default_factory=dict)

    def attempt(self, action: Callable[[], object], description: str = "", kept: Path | None = None) -> str:
        """Do something with one input, and count what comes of it.

        Args:
            action: Reads the input.
            description: Of the input, by which it can be made again.
            kept: Where the traceback of the first of a kind is written, beside the input.

        Returns:
            The outcome, a key of `OUTCOMES`.
        """
        kind = ""
        try:
            with _limited():
                action()
            outcome = "accepted"
        except self.told:
            outcome = "refused"
        except Hang as error:
            outcome, kind = "hang", f"hang at {_place(error)}"
        except Lost as error:
            outcome, kind = "lost", re.sub(r"\d+", "N", str(error))
        except Exception as error:
            outcome, kind = "raw", f"{type(error).__name__} at {_place(error)}"
            description += f" | {type(error).__name__}: {str(error)[:200]}"
        self.counts[outcome] += 1
        if kind:
            if kind not in self.broken and kept is not None:
                (kept / "traceback.txt").write_text(f"{description}\n\n{kind}", encoding="utf-8", errors="replace")
            self.broken.setdefault(kind, [0, description])[0] += 1
        return outcome

    def __str__(self) -> str:
        shown = ", ".join(f"{self.counts[outcome]:,} {words}" for outcome, words in OUTCOMES.items())
        return f"{self.name}: {sum(self.counts.values()):,} inputs: {shown}"

    def verdict(self) -> str:
        """Print the counts; return what broke the law, a line for each kind: "" where nothing did."""
        print(f"\n{self} (CHAOS_SEED={SEED})")
        kinds = sorted(self.broken.items(), key=lambda item: -item[1][0])
        return "\n".join(f"{count} x {kind} | {first}" for kind, (count, first) in kinds)


@contextmanager
def _limited() -> Iterator[None]:
    """Raise Hang within this context when it takes too long, however busy the machine is."""
    if not hasattr(signal, "setitimer"):  # Windows
        yield
        return

    def hang(number: int, frame: object) -> None:
        raise Hang

    timers = {signal.SIGPROF: (signal.ITIMER_PROF, PATIENCE), signal.SIGALRM: (signal.ITIMER_REAL, PATIENCE_ASLEEP)}
    before = {number: signal.signal(number, hang) for number in timers}
    try:
        for timer, seconds in timers.values():
            signal.setitimer(timer, seconds)
        yield
    finally:
        for number, (timer, _) in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


def _place(error: BaseException) -> str:
    """Return where in the package an exception comes from."""
    frames = [
        one
        for one in traceback.extract_tb(error.__traceback__)
        if "/xstilts/" in one.filename and "/tests/" not in one.filename
    ]
    last = frames[-1] if frames else traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename.rpartition('/')[2]}:{last.lineno}"


# Mutations.

TOKENS = [
    *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\t", b"\n", b"\r\n", b"\r", b'"', b"'", b"\\", b",", b"\xc2\x85"),
    *(b"\xe2\x80\xa8", b"\x1c", b"NaN", b"Infinity", b"-1", b"null", b"[]", b"{}", b'"\\ud800"', b"\\ud800", b" "),
    *(b"9" * 23, b"1" * 5000, b"[" * 3000, b'{"a":' * 2000, b"<seg", b"</seg>", b"<!ENTITY", b"#", b"\xe2\x80\x8b"),
    *(b"\xc2\xa0", b"true", b"1e999", b"0x10", b"\xd9\xa3", b"\xc2\xb2", b"-", b"_", b"ID=", b"(<L", b"  "),
]
VALUES: list[Any] = [
    *(None, "", " ", 0, -1, 10**400, 1.5, float("nan"), float("inf"), True, [], {}, [None], "\ud800", ["\ud800"]),
    *("x" * 10, {"text": ["a"], "answer_start": [0, 1]}, {"text": "a", "answer_start": 0}, [[]], [{}], "\x00", "٣"),
    *("²", [1, 2], {"a": {"b": {}}}, -(10**20), 2**63, "1", "-0", "1e5", "\u2028", -1.5, 1e308, "../../../etc/passwd"),
    *("<script>alert(1)</script>", "javascript:alert(1)", "[" * 50, {"text": 1}),
]


def mutated_bytes(raw: bytes, dice: Random, times: int = 1) -> bytes:
    """Return bytes with some flipped, cut, doubled or put in, or lines and cells exchanged."""
    changed = bytearray(raw)
    for _ in range(times):
        changed = changed or bytearray(b"x")
        start = dice.randrange(len(changed))
        stop = min(len(changed), start + dice.choice([1, 2, 5, 20, 100]))
        match dice.randrange(9):
            case 0:
                changed[start] ^= 1 << dice.randrange(8)
            case 1:
                changed[start] = dice.randrange(256)
            case 2:
                del changed[start:stop]
            case 3:
                changed[start:start] = changed[start:stop]
            case 4:
                changed[start:start] = dice.choice(TOKENS)
            case 5:
                changed[start:stop] = dice.choice(TOKENS)
            case 6:
                del changed[start:]
            case 7:
                changed = bytearray(b"\n".join(_exchanged(bytes(changed).split(b"\n"), dice)))
            case _:
                separator = b"\t" if b"\t" in changed else b","
                cells = bytes(changed).split(separator)
                cells[dice.randrange(len(cells))] = dice.choice([*TOKENS, b"", dice.choice(cells)])
                changed = bytearray(separator.join(cells))
    return bytes(changed)


def _exchanged(lines: list[bytes], dice: Random) -> list[bytes]:
    first, second = dice.randrange(len(lines)), dice.randrange(len(lines))
    match dice.randrange(4):
        case 0:
            lines[first], lines[second] = lines[second], lines[first]
        case 1:
            lines.insert(first, lines[second])
        case 2:
            del lines[first]
        case _:
            lines[first] = lines[first][: dice.randrange(len(lines[first]) + 1)]
    return lines


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value within a JSON value."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield (*path, key)
        yield from places(part, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    """Return the value at a path."""
    for key in path:
        value = value[key]
    return value


def mutated_value(value: Any, dice: Random, times: int = 1) -> Any:
    """Return a JSON value, itself changed, with some values replaced, deleted, doubled, added or copied."""
    for _ in range(times):
        paths = list(places(value))
        if not paths:
            return value
        *above, key = dice.choice(paths)
        holder = at(value, tuple(above))
        match dice.randrange(5):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.insert(key, holder[key])
            case 2 if isinstance(holder, dict):
                holder[dice.choice(["x", "id", "label", ""])] = dice.choice(VALUES)
            case 3:
                holder[key] = _copied(at(value, dice.choice(paths))) if holder else None
            case _:
                holder[key] = dice.choice(VALUES)
    return value


def _copied(value: Any) -> Any:
    try:
        return json.loads(json.dumps(value))
    except ValueError:
        return None


def written(value: Any, dice: Random) -> bytes:
    """Return JSON of a value, with or without escapes."""
    return json.dumps(value, ensure_ascii=dice.random() < 0.6).encode("utf-8", "surrogatepass")


def mutated_json(raw: bytes, dice: Random) -> bytes:
    """Return a JSON document with its values mutated, or its bytes."""
    if dice.random() < 0.7:
        try:
            return written(mutated_value(json.loads(raw), dice, dice.choice([1, 1, 1, 2, 3])), dice)
        except (ValueError, RecursionError, LookupError):
            pass
    return mutated_bytes(raw, dice, dice.choice([1, 1, 2, 4]))


def mutated_json_lines(raw: bytes, dice: Random) -> bytes:
    """Return JSON lines with the values of one of them mutated, or their bytes."""
    lines = raw.split(b"\n")
    filled = [number for number, line in enumerate(lines) if line.strip()]
    if filled and dice.random() < 0.7:
        number = dice.choice(filled)
        lines[number] = mutated_json(lines[number], dice)
        return b"\n".join(lines)
    return mutated_bytes(raw, dice, dice.choice([1, 1, 2, 4]))
