"""The identity of values: what of a stage's arguments is part of its key, under which names.

A key must outlive the code that made it. So nothing is taken from where a class or a function lies or how it is
called: the name of a dataclass and the names of its fields are *declared*, and a field that holds its default is left
out. Classes and fields can then be renamed and moved, and settings added, without changing any key.

Two things do change keys: another default for a field that is left out (then the old default has to be written, or
the stage's version raised), and another declared name.

>>> @identity("Point", renamed={"across": "x"})
... @dataclass(frozen=True)
... class Coordinates:
...     across: int
...     up: int = 0
>>> canonical(Coordinates(1))
{'type': 'Point', 'x': 1}
>>> canonical(Coordinates(1, 2))
{'type': 'Point', 'x': 1, 'up': 2}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, TypeVar

SORTED = json.JSONEncoder(sort_keys=True)
_DECLARED = "__identity__"

T = TypeVar("T")
Encode = Callable[[Any], Any]


class Keyed:
    """The interface of stages, which stand in other keys by their own key."""

    @property
    def key(self) -> str:
        """The key that other keys are made with."""
        raise NotImplementedError


@dataclass(frozen=True)
class Member:
    """One field of a dataclass, or one argument of a stage, as keys have it.

    Attributes:
        attribute: Its name in the code.
        name: Its name in keys.
        default: The value at which it is left out; `MISSING` where it is always written.
        encode: From its value to what keys have instead; None for the value itself.
    """

    attribute: str
    name: str
    default: Any = MISSING
    encode: Encode | None = None

    def is_left_out(self, value: Any) -> bool:
        """Return whether a value is the default, so that this member is left out of the key."""
        return self.default is not MISSING and type(value) is type(self.default) and bool(value == self.default)

    def canonical(self, value: Any) -> Any:
        """Return the canonical form of a value of this member."""
        return canonical(value if self.encode is None else self.encode(value))


@dataclass(frozen=True)
class Identity:
    """The declared identity of a dataclass: its name in keys and those of its fields that are part of them."""

    name: str
    members: tuple[Member, ...]


def identity(
    name: str,
    *,
    renamed: Mapping[str, str] | None = None,
    always: Collection[str] = (),
    excluded: Collection[str] = (),
    encoded: Mapping[str, Encode] | None = None,
) -> Callable[[type[T]], type[T]]:
    """Declare the identity of a frozen dataclass; goes above `@dataclass(frozen=True)`.

    Args:
        name: The name of the class in keys, whatever it is called in the code.
        renamed: For fields that are called otherwise in keys: from the field to its name there.
        always: Fields that are part of a key at their default too: those of the first release, whose keys had them.
        excluded: Fields that are no part of any key, such as the place of a file beside its digest.
        encoded: From a field to a function that gives what keys have instead of its value.

    Returns:
        A decorator that declares it and returns the class.

    Raises:
        TypeError: The class is no frozen dataclass, or has no field of one of these names.
    """

    def declare(cls: type[T]) -> type[T]:
        if not is_dataclass(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise TypeError(f"{cls.__qualname__} is no frozen dataclass, which an identity needs")
        defaults = {
            field.name: field.default_factory() if field.default_factory is not MISSING else field.default
            for field in fields(cls)
        }
        members = declared_members(cls.__qualname__, defaults, renamed or {}, always, excluded, encoded or {})
        setattr(cls, _DECLARED, Identity(name, members))
        return cls

    return declare


def declared_members(
    owner: str,
    defaults: Mapping[str, Any],
    renamed: Mapping[str, str],
    always: Collection[str],
    excluded: Collection[str],
    encoded: Mapping[str, Encode],
) -> tuple[Member, ...]:
    """Work out which fields of a class, or arguments of a stage, are in keys, and under which names.

    Args:
        owner: The name of the class or stage, for messages.
        defaults: The default of each field; `MISSING` where there is none.
        renamed: From a field to its name in keys.
        always: Fields that are in keys at their default too.
        excluded: Fields that are in no key.
        encoded: From a field to a function that gives what keys have instead of its value.

    Returns:
        The members, in the order of the fields.

    Raises:
        TypeError: A declaration is about a field that is not there, or two fields have one name in keys.
    """
    if unknown := {*renamed, *always, *excluded, *encoded} - set(defaults):
        raise TypeError(f"the identity of {owner} names {', '.join(sorted(unknown))}, which it does not have")
    members = tuple(
        Member(
            attribute,
            renamed.get(attribute, attribute),
            MISSING if attribute in always else default,
            encoded.get(attribute),
        )
        for attribute, default in defaults.items()
        if attribute not in excluded
    )
    if len({member.name for member in members}) < len(members):
        raise TypeError(f"two members of {owner} have one name in keys")
    return members


def members_of(cls: type) -> tuple[Member, ...]:
    """Return the declared members of a dataclass.

    Args:
        cls: A class with a declared identity.

    Raises:
        KeyError: Its identity is not declared.
    """
    declared: Identity = cls.__dict__[_DECLARED]
    return declared.members


def canonical(value: Any) -> Any:
    """Return a JSON form that is equal for equal identities.

    Args:
        value: A number, string, None, tuple or mapping of such, a dataclass with a declared identity, or a stage.

    Returns:
        Values that the json module writes.

    Raises:
        TypeError: The value has no stable identity, or that of its class is not declared.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": repr(float(value))}
    if isinstance(value, tuple):
        return [canonical(item) for item in value]
    if isinstance(value, dict):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, Keyed):
        return {"stage": value.key}
    declared = value.__class__.__dict__.get(_DECLARED)
    if isinstance(declared, Identity):
        return {"type": declared.name} | canonical_members(
            declared.members, {member.attribute: getattr(value, member.attribute) for member in declared.members}
        )
    if is_dataclass(value):
        raise TypeError(f"the identity of {type(value).__qualname__} is not declared: put @identity(NAME) above it")
    raise TypeError(
        f"{value!r} ({type(value).__name__}) has no stable identity: "
        "give numbers, strings, tuples, dataclasses with a declared identity or stages"
    )


def canonical_members(members: Collection[Member], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the canonical form of some values.

    Args:
        members: The declared members.
        values: The value of each, by the name that it has in the code.

    Returns:
        Canonical values by their names in keys, without those that hold their default.
    """
    return {
        member.name: member.canonical(values[member.attribute])
        for member in members
        if not member.is_left_out(values[member.attribute])
    }


def key_of(stage: str, version: int, arguments: Any) -> str:
    """Return the key of a stage: the first twelve hexadecimal digits of a SHA-256.

    Args:
        stage: The declared name of the stage's function.
        version: The version of its meaning.
        arguments: Its arguments in canonical form, as its manifest has them.

    Returns:
        Twelve hexadecimal digits.
    """
    content = {"work": stage, "version": version, "arguments": arguments}
    return hashlib.sha256(SORTED.encode(content).encode()).hexdigest()[:12]
