"""The configuration file: values of options, by verb.

`xstilts.toml` in the working directory, or the file that `--config` names, is a TOML file. A table has a verb's name
and holds values of its options; `[defaults]` holds values for every verb that has such an option. What the command
line or an environment variable says comes first. A site names its file in the variable XSTILTS_CONFIG.

    [defaults]
    store = "work"
    data = "/data/xtreme"

    [run]
    seeds = 3
    target = ["xnli", "udpos"]

    ["sandbox demo"]
    workers = 2
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xstilts.errors import InputError, nearest

FILE = Path("xstilts.toml")
DEFAULTS = "defaults"
SHARED = ("as_json", "quiet", "verbose", "config_file")  # of one call, so not of a file


@dataclass(frozen=True)
class Config:
    """A configuration file whose tables and keys are known.

    Attributes:
        file: The file.
        tables: Its values by table, their keys as the command line spells them, without dashes in front.
    """

    file: Path
    tables: Mapping[str, Mapping[str, Any]]

    def values_of(self, verb: str, command: Any) -> dict[str, Any]:
        """Return the file's values for a verb, by parameter.

        Raises:
            InputError: A value has a type that the option does not take.
        """
        values: dict[str, Any] = {}
        for table in (DEFAULTS, verb):
            for key, parameter in options_of(command).items():
                if key in self.tables.get(table, {}):
                    values[parameter.name] = self._value(table, key, parameter)
        return values

    def refusal(self, verb: str, command: Any, parameter: str, why: str) -> str:
        """Return the message for a value that an option refuses."""
        keys = {key for key, option in options_of(command).items() if option.name == parameter}
        table = next((table for table in (verb, DEFAULTS) if keys & set(self.tables.get(table, {}))), verb)
        return f"{self.file}: [{table}] {' '.join(sorted(keys))}: {why}"

    def _value(self, table: str, key: str, parameter: Any) -> Any:
        """Return a value as the parameter takes it: a list for an option that repeats, one value else."""
        value = self.tables[table][key]
        many = getattr(parameter, "multiple", False) or parameter.nargs != 1
        entries = value if isinstance(value, list) else [value]
        flag = bool(getattr(parameter, "is_flag", False))
        wrong = isinstance(value, list) and not many
        wrong = wrong or any(isinstance(entry, bool) != flag for entry in entries)
        if wrong or not all(isinstance(entry, str | int | float) for entry in entries):
            wanted = "true or false" if flag else "a list of texts or numbers" if many else "one text or number"
            raise InputError(f"{self.file}: [{table}] {key} = {value!r}: give {wanted}")
        return [str(entry) for entry in entries] if many else value if flag else str(value)


def read(file: Path | None, root: Any) -> Config | None:
    """Read a configuration file.

    Args:
        file: The file; None: `xstilts.toml` in the working directory, if it is there.
        root: The group of all verbs, whose options are the keys that a file may have.

    Returns:
        The file's values; None where there is no file.

    Raises:
        InputError: The named file is missing, is no TOML, or has a table or key that no verb knows.
    """
    if file is None and not FILE.is_file():
        return None
    path = file or FILE
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no configuration file {path}: correct --config") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            f"{path}: {error}; a configuration file is TOML: [run] and then lines such as seeds = 3"
        ) from None
    verbs: dict[str, dict[str, Any]] = {}
    for verb, command in verbs_of(root):
        verbs.setdefault(verb, {}).update(options_of(command))
    known: dict[str, Iterable[str]] = {DEFAULTS: {key for options in verbs.values() for key in options}, **verbs}
    tables: dict[str, dict[str, Any]] = {}
    for table, values in _tables(content, set(known)):
        if not isinstance(values, dict):
            raise InputError(
                f"{path}: {table} is in no table: put it under [{DEFAULTS}] or under a verb, such as [run]"
            )
        if table not in known:
            raise InputError(f"{path}: no verb [{table}]{_near(table, known)}")
        tables[table] = {_key(key): value for key, value in values.items()}
        for key in tables[table]:
            if key not in known[table]:
                of = "no verb has an option" if table == DEFAULTS else f"'{table}' has no option"
                raise InputError(f"{path}: [{table}] {key}: {of} --{key}{_near(key, known[table])}")
    return Config(path, tables)


def verbs_of(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield all verbs below a group by their words; `plan` twice, once for each of its two forms."""
    for name, command in group.commands.items():
        words = f"{prefix} {name.removesuffix(' FILE.py')}".strip()
        if hasattr(command, "commands"):
            yield from verbs_of(command, words)
        else:
            yield words, command


def options_of(command: Any) -> dict[str, Any]:
    """Return the parameters of a verb that are options, by their long names without dashes."""
    options = {}
    for parameter in command.params:
        for name in parameter.opts:
            if name.startswith("--") and parameter.name not in SHARED:
                options[name.removeprefix("--")] = parameter
    return options


def _tables(content: Mapping[str, Any], known: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield the tables of a file; `[sandbox.demo]` is the same as `["sandbox demo"]`."""
    for name, values in content.items():
        inner = {}
        if isinstance(values, dict):
            group = name not in known and any(verb.startswith(f"{name} ") for verb in known)
            # A verb may have verbs below it: [evidence] and [evidence.search].
            inner = {key: value for key, value in values.items() if group or f"{name} {key}" in known}
        yield from ((f"{name} {verb}", options) for verb, options in inner.items())
        if not inner or len(inner) < len(values):
            yield name, {key: value for key, value in values.items() if key not in inner} if inner else values


def _key(name: str) -> str:
    return name.replace("_", "-").removeprefix("--")


def _near(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known, cutoff=0.5)
    return f"; did you mean '{near}'?" if near else f": there are {', '.join(sorted(known))}"
