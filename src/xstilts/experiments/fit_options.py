"""Fit options: what `xstilts fit` takes, by options, by a TOML file or by arguments of `xs.fit`.

All three have the same names, and every one of them is a field of `FitOptions`. Relative paths in a TOML file start in
its folder. Options given beside the file win over it.

>>> FitOptions.of({"train": "reviews.csv", "test": {"sw": "sw.csv"}, "encoder": "sandbox", "text-pair": "b"}).test
('sw=sw.csv',)
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from xstilts.data import held_out
from xstilts.errors import InputError, suggestion
from xstilts.tasks.user_data import Columns
from xstilts.tasks.user_format import FileOptions

AUTO = "auto"
COLUMNS = tuple(Columns.__annotations__)
FILES = ("train", "dev", "test")
LISTS = (*FILES, "labels", "languages", "intermediate", "candidates", "settings", "set_intermediate", "set_target")
NUMBERS = {"seeds": int, "held_out": int, "budget": float}
SAME = {"set": "settings", "validation": "dev", "budget_hours": "budget", "license": "licence"}


@dataclass(frozen=True)
class FitOptions:
    """What to fit, on what and how.

    Attributes:
        encoder: Hub id, local folder or "sandbox".
        train: Training files, "FILE" or "CODE=FILE" with the code of the language.
        dev: Development files; none: a part of the training data is held out.
        test: Test files; none: a part of the training data is held out.
        columns: From the argument of a field ("text", "label") to its column.
        name: Name of the task; "": that of the first file.
        format: The task format; "" to infer it.
        file_format: The format of the files; "" to infer it.
        delimiter: What separates columns; "" to infer it.
        header: Whether the first lines name the columns; None to infer it.
        labels: The labels in the order of the classifier's outputs; none: those of the training data.
        metric: Name of a metric; "": the usual one.
        languages: Evaluate only these languages.
        held_out: Percent of the training data that are held out for each missing split.
        intermediate: Settings of the intermediate phase, "mnli" or "mnli,squad" for a mix; "auto" chooses.
        candidates: Tasks from which "auto" chooses; none: all with training data in the data folder.
        budget: Hours that "auto" may take; 0: no limit.
        recipe: A named set of recipes.
        settings: Changes of the recipes of both phases, "learning_rate=1e-4".
        set_intermediate: Changes for the intermediate phase.
        set_target: Changes for the target phase.
        seeds: How many seeds.
        out: Folder for the recommended model; "": it stays in the store.
        citation: The paper to cite for the data.
        licence: The licence of the data.
        note: What a reader must know beside every score.
    """

    encoder: str = ""
    train: tuple[str, ...] = ()
    dev: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    columns: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    format: str = ""
    file_format: str = ""
    delimiter: str = ""
    header: bool | None = None
    labels: tuple[str, ...] = ()
    metric: str = ""
    languages: tuple[str, ...] = ()
    held_out: int = held_out.PERCENT
    intermediate: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    budget: float = 0.0
    recipe: str = "xtreme"
    settings: tuple[str, ...] = ()
    set_intermediate: tuple[str, ...] = ()
    set_target: tuple[str, ...] = ()
    seeds: int = 1
    out: str = ""
    citation: str = ""
    licence: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if not self.encoder:
            raise InputError("no encoder is given: give --encoder, a hub id, a folder or 'sandbox'")
        if not self.train and not self.test:
            raise InputError("no data are given: give --train FILE, and --test CODE=FILE for each language to evaluate")
        if self.seeds < 1:
            raise InputError(f"seeds={self.seeds}: give 1 or more")
        if not 1 <= self.held_out <= 20:
            raise InputError(f"held_out={self.held_out}: give 1 to 20 percent")
        if self.budget < 0:
            raise InputError(f"budget={self.budget}: give hours, or 0 for no limit")
        if AUTO in self.intermediate and len(self.intermediate) > 1:
            given = ", ".join(self.intermediate)
            raise InputError(f"intermediate={given}: give 'auto' alone, with the tasks to choose from as candidates")

    @property
    def reading(self) -> FileOptions:
        """How the files are to be read."""
        return FileOptions(self.columns, self.format, self.file_format, self.delimiter, self.header, self.labels)

    @classmethod
    def of(cls, given: Mapping[str, Any], config: Path | str | None = None) -> FitOptions:
        """Return options from values by name.

        Args:
            given: Options by name, columns among them ("text"); None and empty values count as not given.
            config: A TOML file with further options, which `given` wins over.

        Raises:
            InputError: A name is unknown, or a value has the wrong type.
        """
        values = read_toml(Path(config)) if config else {}
        values |= {
            _known(name, "option"): value
            for name, value in given.items()
            if value is not None and value not in ((), "")
        }
        columns = {name: values.pop(name) for name in COLUMNS if name in values}
        return cls(columns=columns, **{name: _value(name, value) for name, value in values.items()})


def read_toml(path: Path) -> dict[str, Any]:
    """Return the options of a TOML file by name, its relative paths as paths from the current folder.

    Raises:
        InputError: There is no such file, it is no TOML, or it has an unknown key.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}: correct the path")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected TOML, found an error: {error}; correct it") from None
    columns = document.pop("columns", {})
    if not isinstance(columns, dict):
        raise InputError(f"{path}: expected a table [columns] of fields and their columns, found {columns!r}")
    for name in columns:
        if name.replace("-", "_") not in COLUMNS:
            raise InputError(f"{path}: unknown field '{name}' in [columns]{suggestion(name, COLUMNS)}")
    values = {_known(name, f"key of {path}"): value for name, value in (document | columns).items()}
    for name in FILES:
        if name in values:
            values[name] = tuple(_placed(entry, path.parent) for entry in _texts(name, values[name]))
    if "encoder" in values and (path.parent / str(values["encoder"])).is_dir():
        values["encoder"] = str(path.parent / str(values["encoder"]))
    if values.get("out"):
        values["out"] = str(path.parent / str(values["out"]))
    return values


def _placed(entry: str, folder: Path) -> str:
    """Return a file with its language as a path from the current folder."""
    code, equals, path = entry.rpartition("=")
    parts = [str(folder / part) if (folder / part).is_file() or "/" not in part else part for part in path.split(",")]
    return code + equals + ",".join(parts)


def _known(name: str, what: str) -> str:
    """Return the name of an option as `FitOptions` has it."""
    written = name.replace("-", "_")
    written = SAME.get(written, written)
    known = [option.name for option in fields(FitOptions) if option.name != "columns"] + list(COLUMNS)
    if written not in known:
        near = suggestion(written, known)
        raise InputError(f"unknown {what}: '{name}'{near}" + ("" if near else f"; there are {', '.join(known)}"))
    return written


def _value(name: str, value: Any) -> Any:
    """Return the value of an option in the type of its field."""
    if name in LISTS:
        return _texts(name, value)
    if name in NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{name}={value!r}: give a number")
        return NUMBERS[name](value)
    if name == "header":
        if not isinstance(value, bool):
            raise InputError(f"header={value!r}: give true or false")
        return value
    if not isinstance(value, str | Path):
        raise InputError(f"{name}={value!r}: give a text")
    return str(value)


def _texts(name: str, value: Any) -> tuple[str, ...]:
    """Return a list of texts from a text, a list, or, of files, a table by language."""
    if isinstance(value, Mapping):
        if name not in FILES:
            raise InputError(f"{name}={value!r}: give a list of texts")
        pairs = [(code, path) for code, paths in value.items() for path in _texts(name, paths)]
        return tuple(f"{code}={path}" for code, path in pairs)
    if isinstance(value, str | Path):
        return tuple(str(value).split(",")) if name in ("languages", "candidates") else (str(value),)
    if not isinstance(value, Sequence) or any(isinstance(part, bool | Mapping | list) for part in value):
        raise InputError(f"{name}={value!r}: give a text or a list of texts")
    return tuple(map(str, value))
