"""Checkpoint: where a training stood, in one file that replaces the one before it at once.

Weights that are trained, both moments of the optimiser, the best weights so far, and the state as JSON in the file's
metadata: safetensors, no pickle. Schedules, samplers and random numbers are functions of the step and need no saving.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from xstilts import progress

MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class Checkpoint:
    """The resume point of one network and its optimiser."""

    def __init__(self, path: Path, network: nn.Module, optimiser: torch.optim.AdamW) -> None:
        self.path = path
        self.trained = {name: value for name, value in network.named_parameters() if value.requires_grad}
        self.optimiser = optimiser
        self.best: dict[str, Tensor] = {}

    def save(self, state: dict[str, Any]) -> None:
        """Write weights, moments and state; the file before it stays until this one is whole."""
        tensors = {f"weight.{name}": value.detach().contiguous() for name, value in self.trained.items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        for name, parameter in self.trained.items():
            moments = self.optimiser.state.get(parameter, {})
            tensors |= {f"{moment}.{name}": value for moment, value in moments.items()}
        new = self.path.with_suffix(".new")
        save_file(tensors, new, metadata={"state": json.dumps(state)})
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(self.path)

    def load(self) -> dict[str, Any]:
        """Bring weights, moments and best weights back; return the state, empty where there is nothing to resume."""
        if not self.path.exists():
            return {}
        try:
            with safe_open(self.path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                state: dict[str, Any] = json.loads((file.metadata() or {})["state"])
            self._check(tensors)
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            progress.note(f"the checkpoint {self.path} is damaged ({error}): training begins again")
            return {}
        for name, parameter in self.trained.items():
            parameter.data.copy_(tensors[f"weight.{name}"])
            moments = {moment: tensors.get(f"{moment}.{name}") for moment in MOMENTS}
            if moments["step"] is not None:
                self.optimiser.state[parameter] = {
                    moment: value.to(parameter.device) for moment, value in moments.items() if value is not None
                }
        self.best = {name.removeprefix("best."): value for name, value in tensors.items() if name.startswith("best.")}
        return state

    def _check(self, tensors: dict[str, Tensor]) -> None:
        """Raise ValueError unless the tensors are those of this network."""
        for name, parameter in self.trained.items():
            found = tensors.get(f"weight.{name}")
            if found is None or found.shape != parameter.shape:
                raise ValueError(f"its {name} is {'missing' if found is None else 'of another shape'}")

    def keep_best(self) -> None:
        """Remember the weights as they are now."""
        self.best = {name: value.detach().to("cpu", copy=True) for name, value in self.trained.items()}

    def restore_best(self) -> None:
        """Take back the remembered weights, if any."""
        for name, value in self.best.items():
            self.trained[name].data.copy_(value)


def remove(path: Path) -> None:
    """Delete a checkpoint, and what a kill in the middle of saving it left: the training is over."""
    for file in (path, path.with_suffix(".new")):
        file.unlink(missing_ok=True)
