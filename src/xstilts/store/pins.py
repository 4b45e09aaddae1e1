"""Pins: names of stages that are kept whatever else is dropped or collected.

Each is an empty file `.pins/KEY` in the store, so that two processes never overwrite each other's.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

FOLDER = ".pins"


def add(store: Path, key: str) -> None:
    """Pin a stage, and with it all that it was made from.

    Args:
        store: Folder of the store.
        key: The key of the stage.
    """
    (store / FOLDER).mkdir(parents=True, exist_ok=True)
    (store / FOLDER / key).touch()


def remove(store: Path, key: str) -> None:
    """Take a pin away.

    Args:
        store: Folder of the store.
        key: The key of the stage.
    """
    (store / FOLDER / key).unlink(missing_ok=True)


def read(store: Path) -> set[str]:
    """Return the keys that are pinned in a store.

    Args:
        store: Folder of the store.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        return set(os.listdir(store / FOLDER))
    return set()
