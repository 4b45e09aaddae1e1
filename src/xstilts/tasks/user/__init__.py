"""User: the task files of the folders that the variable XSTILTS_TASKS names.

The package lies in those folders: `reviews.py` in one of them is the module `xstilts.tasks.user.reviews`. So every
process that has the variable, workers among them, can import it and the functions that it defines. Files whose names
begin with an underscore are no tasks; task files may import them (`from xstilts.tasks.user._shared import rows`).
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "XSTILTS_TASKS"


def folders() -> tuple[Path, ...]:
    """Return the folders that the variable names, several of them separated by `os.pathsep`."""
    return tuple(
        Path(folder).expanduser().absolute() for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder
    )


__path__ = [str(folder) for folder in folders()]
