"""Print the longest functions and longest parameter lists below a folder as a Markdown table.

$ python docs/design/measure.py src
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(node: ast.AST, outer: str = "") -> Iterator[tuple[str, Function]]:
    """Yield every function and method below a node, with its qualified name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            name = f"{outer}{child.name}"
            if isinstance(child, Function):
                yield name, child
            yield from functions(child, f"{name}.")
        else:
            yield from functions(child, outer)


def lines(function: Function) -> int:
    """Count the lines of a function, docstring and comments included, decorators not."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def parameters(function: Function) -> int:
    """Count the parameters of a function, without `self` and `cls`."""
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return sum(1 for argument in every if argument and argument.arg not in ("self", "cls"))


def table(folder: Path, rows: int = 10) -> str:
    """Return the table: functions by lines on the left, by parameters on the right."""
    every = [
        (f"`{path.relative_to(folder).as_posix()}: {name}`", lines(function), parameters(function))
        for path in sorted(folder.rglob("*.py"))
        for name, function in functions(ast.parse(path.read_text(encoding="utf-8")))
    ]
    longest = sorted(every, key=lambda row: (-row[1], row[0]))[:rows]
    widest = sorted(every, key=lambda row: (-row[2], row[0]))[:rows]
    head = ["| longest functions | lines | most parameters | parameters |", "| --- | ---: | --- | ---: |"]
    body = [f"| {a[0]} | {a[1]} | {b[0]} | {b[2]} |" for a, b in zip(longest, widest, strict=True)]
    return "\n".join([*head, *body])


if __name__ == "__main__":
    print(table(Path(sys.argv[1] if len(sys.argv) > 1 else "src")))
