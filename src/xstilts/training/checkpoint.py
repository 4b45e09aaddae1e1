"""Checkpoint: the state of a training, in one file that atomically replaces the one before.

Trained weights, their optimizer states and the best weights so far, each in its own dtype, and the training state as
JSON in the file's metadata: safetensors, no pickle. Schedules, samplers and random numbers are functions of the step
and need no saving. The metadata also has a digest of all of it, so that a file with a changed bit is not resumed from.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from xstilts.errors import may_pass
from xstilts.runtime import progress
from xstilts.store.stage import StageError
from xstilts.training.processes import ALONE
from xstilts.training.sharding import Whole


class Checkpoint:
    """The resume point of one network and its optimizer.

    Args:
        path: The path of the file.
        network: The network whose trained parameters are saved.
        optimizer: The optimizer over these parameters.
        layout: How the weights lie in several processes; None: whole in this one.
    """

    def __init__(
        self, path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, layout: Whole | None = None
    ) -> None:
        self.path = path
        self.layout = layout or Whole(network, ALONE)
        self.trained = self.layout.trained
        self.optimizer = optimizer
        self.best: dict[str, Tensor] = {}

    def save(self, state: dict[str, Any]) -> None:
        """Write weights, optimizer states and training state.

        The previous file stays until this one is complete. Of several processes the first writes, whole tensors.

        Args:
            state: The training state, as JSON values; `load` returns it.
        """
        gathered = self.layout.whole
        parts = {f"weight.{name}": gathered(name, value.detach()) for name, value in self.trained.items()}
        parts |= {f"best.{name}": gathered(name, value) for name, value in self.best.items()}
        for name, parameter in self.trained.items():
            moments = self.optimizer.state.get(parameter, {})
            parts |= {f"kept.{moment}.{name}": gathered(name, value, moment) for moment, value in moments.items()}
        tensors = {place: value.contiguous() for place, value in parts.items() if value is not None}
        if not self.layout.group.first:
            return
        # Written beside, flushed, then renamed: whenever the process is killed, one complete checkpoint remains.
        new = self.path.with_suffix(".new")
        text = json.dumps(state)
        save_file(tensors, new, metadata={"state": text, "sha256": _digest(text, tensors.items())})
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(self.path)

    def load(self, fields: Collection[str] = ()) -> dict[str, Any]:
        """Restore weights and optimizer states.

        Args:
            fields: The fields that a training state has, and no others; none: any.

        Returns:
            The training state; empty where there is no checkpoint or, with a note, where it is damaged or of another
            version.

        Raises:
            StageError: It cannot be read, for a reason that may pass.
        """
        if not self.path.exists():
            return {}
        try:
            with safe_open(self.path, framework="pt") as file:
                facts = file.metadata() or {}
                state: dict[str, Any] = json.loads(facts["state"])
                if fields and {*state} != {*fields}:
                    raise ValueError("its state is of another version of xstilts")
                # All shapes first: a file of another network must not overwrite half of this one's weights.
                self._check({name: tuple(file.get_slice(name).get_shape()) for name in file.keys()})  # noqa: SIM118
                stored = ((name, file.get_tensor(name)) for name in file.keys())  # noqa: SIM118
                if facts.get("sha256") != _digest(facts["state"], stored):
                    raise ValueError("its content is not what was saved")
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
            if may_pass(error):  # it may be whole: nothing is begun again
                raise StageError(
                    f"the checkpoint {self.path} cannot be read ({error}): look at the disk and at the file's rights, "
                    "then run again to go on from it"
                ) from error
            progress.note(f"the checkpoint {self.path} is damaged ({error}): training begins again")
            return {}
        with safe_open(self.path, framework="pt") as file:
            for place in file.keys():  # noqa: SIM118
                self._take(place, file.get_tensor(place))
        return state

    def _check(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Raise ValueError unless a file's tensors are those of this network."""
        for name in self.trained:
            shape = shapes.get(f"weight.{name}")
            if shape != self.layout.shape(name):
                raise ValueError(f"its {name} is {'missing' if shape is None else 'of another shape'}")
        for place in shapes:
            part, name = _split(place)
            if name not in self.trained or not (part in ("weight", "best") or part.startswith("kept.")):
                raise ValueError(f"its {place} is of no use")

    def _take(self, place: str, value: Tensor) -> None:
        """Restore one tensor of a file."""
        part, name = _split(place)
        parameter = self.trained[name]
        moment = part.partition(".")[2]
        value = self.layout.part(name, value, moment)
        if part == "weight":
            parameter.data.copy_(value)
        elif part == "best":
            self.best[name] = value.contiguous()
        else:
            self.optimizer.state[parameter][moment] = value.to(parameter.device).contiguous()

    def keep_best(self) -> None:
        """Keep a copy of the present weights as the best ones."""
        self.best = {name: value.detach().to("cpu", copy=True) for name, value in self.trained.items()}

    def restore_best(self) -> None:
        """Restore the best weights, if any were kept."""
        for name, value in self.best.items():
            self.trained[name].data.copy_(value)
        self.layout.note_change()


def _digest(state: str, tensors: Iterable[tuple[str, Tensor]]) -> str:
    """Return a digest of a training state and of tensors with their names, types and shapes, in any order."""
    total = hashlib.sha256(state.encode())
    for name, digest in sorted((name, _digest_of_tensor(value)) for name, value in tensors):
        total.update(f"{name} ".encode() + digest)
    return total.hexdigest()


def _digest_of_tensor(value: Tensor) -> bytes:
    there = value.detach().cpu().contiguous()
    total = hashlib.sha256(f"{there.dtype} {tuple(there.shape)}".encode())
    total.update(there.reshape(-1).view(torch.uint8).numpy().data)
    return total.digest()


def _split(place: str) -> tuple[str, str]:
    """Split the name of a tensor into its part ("weight", "best", "kept.exp_avg") and the name of the parameter."""
    part, _, name = place.partition(".")
    if part == "kept":
        moment, _, name = name.partition(".")
        part = f"kept.{moment}"
    return part, name


def remove(path: Path) -> None:
    """Delete a checkpoint and what an interrupted save left beside it."""
    for file in (path, path.with_suffix(".new")):
        file.unlink(missing_ok=True)
