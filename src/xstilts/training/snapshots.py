"""Snapshots: the weights of a training at each tenth of its steps, of which the last ones are kept.

They are what `combine.Average` takes for an average of the last checkpoints (Schmidt et al. 2023). A training without
them has the same key and the same bits as before; one with them has the same weights under another key.

During the training only the trained weights are written, with the few embedding rows in use. When it ends, each
becomes an ordinary folder, `snapshots/00000090/model/` for the weights after 90 steps.

>>> [step for step in range(1, 26) if is_due(step, 25)]
[3, 5, 8, 10, 13, 15, 18, 20, 23, 25]
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from xstilts.store import names
from xstilts.training.recipe import MOST_SNAPSHOTS

SUFFIX = ".safetensors"


def is_due(step: int, total: int) -> bool:
    """Return whether a snapshot is taken after a step, counted from 1."""
    return step * MOST_SNAPSHOTS // total > (step - 1) * MOST_SNAPSHOTS // total


@dataclass(frozen=True)
class Snapshots:
    """The snapshots of a training that runs.

    Attributes:
        folder: The folder of the training.
        count: How many are kept; 0: none is taken.
    """

    folder: Path
    count: int

    def take(self, step: int, total: int, weights: Callable[[], dict[str, Tensor]]) -> None:
        """Write the trained weights, if that is due, and remove those that are no longer among the last.

        Args:
            step: Steps taken.
            total: Steps of the training.
            weights: Gives the trained weights by name; none in a process that is not to write them.
        """
        if not self.count or not is_due(step, total) or not (trained := weights()):
            return
        path = self._place(step).with_suffix(SUFFIX)
        path.parent.mkdir(exist_ok=True)
        new = path.with_suffix(".new")
        save_file({name: value.detach().cpu().contiguous() for name, value in trained.items()}, new)
        with new.open("rb") as file:  # before the checkpoint that counts this step
            os.fsync(file.fileno())
        new.replace(path)
        for earlier in self._files()[: -self.count]:
            earlier.unlink()

    def taken(self) -> Iterator[tuple[int, dict[str, Tensor], Path]]:
        """Yield each snapshot, the earliest first: its step, the trained weights, and the folder to be written."""
        for file in self._files():
            yield int(file.stem), load_file(file), file.with_suffix("")

    def finish(self) -> None:
        """Remove the files of weights, once their folders are written."""
        for file in (*self._files(), *(self.folder / names.SNAPSHOTS_FOLDER).glob("*.new")):
            file.unlink()

    def _place(self, step: int) -> Path:
        return self.folder / names.SNAPSHOTS_FOLDER / f"{step:08d}"

    def _files(self) -> list[Path]:
        return sorted((self.folder / names.SNAPSHOTS_FOLDER).glob(f"*{SUFFIX}"))


def folders(training: Path) -> list[Path]:
    """Return the folders of a finished training's snapshots, the earliest first; each has a `model/`.

    Args:
        training: The folder of the training.
    """
    return sorted(path for path in (training / names.SNAPSHOTS_FOLDER).glob("*") if path.is_dir())
