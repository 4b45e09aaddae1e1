"""xstilts: intermediate-task training for zero-shot cross-lingual transfer.

Names are imported when they are first used, so that `import xstilts` is quick:

>>> import xstilts as xs
>>> xs.task("xnli").metric
'accuracy'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from xstilts.api import (
        Checkpoint,
        Comparison,
        Estimate,
        Evaluation,
        Fit,
        Gain,
        Recommendation,
        StudyResult,
        compare,
        evaluate,
        fit,
        predict,
        prompt,
        recommend,
        run_study,
        train,
    )
    from xstilts.errors import InputError
    from xstilts.experiments.translated_splits import Translation
    from xstilts.inference.model import Model, load_model
    from xstilts.models.encoder import Encoder
    from xstilts.runtime.cluster import Cluster
    from xstilts.runtime.machine import Runtime
    from xstilts.sharing.export import export
    from xstilts.sharing.push import push
    from xstilts.store.stage import StageError
    from xstilts.tasks.base import Task, task
    from xstilts.training.recipe import Recipe

# Each name's module; the imports above say the same to type checkers.
_MODULES = {
    "Checkpoint": "api",
    "Cluster": "runtime.cluster",
    "Comparison": "api",
    "Encoder": "models.encoder",
    "Estimate": "api",
    "Evaluation": "api",
    "Fit": "api",
    "Gain": "api",
    "InputError": "errors",
    "Model": "inference.model",
    "Recipe": "training.recipe",
    "Recommendation": "api",
    "Runtime": "runtime.machine",
    "StageError": "store.stage",
    "StudyResult": "api",
    "Task": "tasks.base",
    "Translation": "experiments.translated_splits",
    "compare": "api",
    "evaluate": "api",
    "export": "sharing.export",
    "fit": "api",
    "load_model": "inference.model",
    "predict": "api",
    "prompt": "api",
    "push": "sharing.push",
    "recommend": "api",
    "run_study": "api",
    "task": "tasks.base",
    "train": "api",
}

__all__ = [
    "Checkpoint",
    "Cluster",
    "Comparison",
    "Encoder",
    "Estimate",
    "Evaluation",
    "Fit",
    "Gain",
    "InputError",
    "Model",
    "Recipe",
    "Recommendation",
    "Runtime",
    "StageError",
    "StudyResult",
    "Task",
    "Translation",
    "__version__",
    "compare",
    "evaluate",
    "export",
    "fit",
    "load_model",
    "predict",
    "prompt",
    "push",
    "recommend",
    "run_study",
    "task",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'xstilts' has no attribute '{name}'")
    value = getattr(import_module(f"xstilts.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
