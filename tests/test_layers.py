"""The layers of the package: each imports only from those below it, and no module imports itself around a corner."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import xstilts

ROOT = Path(str(xstilts.__file__)).parent
# From the ground up; a module of the top folder is a layer of its own.
LAYERS = (
    "errors",
    "runtime",
    "store",
    "data",
    "metrics",
    "stats",
    "sandbox",
    "tasks",
    "models",
    "formats",
    "cost",
    "translation",
    "evaluation",
    "training",
    "claims",
    "experiments",
    "planning",
    "inference",
    "sharing",
    "monitoring",
    "reporting",
    "verification",
    "selection",
    "evidence",
    "api",
    "cli",
)


def modules() -> dict[str, Path]:
    """Return all modules by their full names."""
    paths = sorted(ROOT.rglob("*.py"))
    return {".".join(("xstilts", *path.relative_to(ROOT).with_suffix("").parts)): path for path in paths}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield what a module imports when it runs, at its top or within functions, but not for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "xstilts":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("xstilts."))
        yield from imported(node)


@cache
def graph() -> dict[str, set[str]]:
    """Return what each module needs of the package, packages by their `__init__`."""
    known = {name.removesuffix(".__init__"): path for name, path in modules().items()}
    found: dict[str, set[str]] = {}
    for name, path in known.items():
        needed = set()
        for one in imported(ast.parse(path.read_text(encoding="utf-8"))):
            module = one if one in known else one.rpartition(".")[0]
            assert module in known, f"{name} imports {one}, which is not there"
            needed.add(module)
        found[name] = needed - {name}
    return found


def layer(module: str) -> str:
    """Return the layer of a module."""
    name = module.split(".")[1] if "." in module else ""
    return "cli" if name == "__main__" else name


def test_every_package_has_its_layer() -> None:
    folders = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    files = {path.stem for path in ROOT.glob("*.py")} - {"__init__", "__main__"}
    assert folders | files == set(LAYERS)


def test_a_package_imports_only_from_those_below_it() -> None:
    upwards = {
        f"{name} -> {needed}"
        for name, all_needed in graph().items()
        for needed in all_needed
        if layer(name) and layer(needed) and LAYERS.index(layer(needed)) > LAYERS.index(layer(name))
    }
    assert not upwards, "\n".join(sorted(upwards))


def test_no_module_imports_itself_around_a_corner() -> None:
    # A package's `__init__` offers what its modules hold, so that these may not ask it back.
    graphlib.TopologicalSorter(graph()).prepare()
