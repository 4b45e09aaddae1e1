"""Sandbox demo: the main experiment in miniature, with all phases, on the sandbox's own languages and encoder.

For a target of each trained format, a baseline, an intermediate task that is related to it and one that is not; and
retrieval after each of the intermediate tasks.

>>> [grid.targets[0].name for grid in grids(seeds=1)]
['sandbox_nli', 'sandbox_ner', 'sandbox_qa', 'sandbox_retrieval']
"""

from __future__ import annotations

from xstilts.experiments.grid import Grid, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.models.encoder import Encoder

SETTINGS = {
    "sandbox_nli": ("sandbox_inference", "sandbox_cloze"),
    "sandbox_ner": ("sandbox_names", "sandbox_inference"),
    "sandbox_qa": ("sandbox_cloze", "sandbox_inference"),
    "sandbox_retrieval": ("sandbox_inference", "sandbox_cloze", "sandbox_names"),
}


def grids(seeds: int) -> list[Grid]:
    """Return the experiments of the demonstration.

    Args:
        seeds: The number of seeds.

    Returns:
        A grid for each target: the sandbox's encoder with a related intermediate task, then with an unrelated one.
    """
    encoder, recipes = Encoder.of("sandbox"), Recipes("sandbox")
    return [
        Grid(encoder, tasks_of(target), tuple(tasks_of(name) for name in names), recipes, seeds)
        for target, names in SETTINGS.items()
    ]
