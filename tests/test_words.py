"""Words that stood for ideas of this project alone are gone: what is called by the field's terms stays so."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Names of modules, classes and functions of earlier versions that no stranger would guess.
PRIVATE = (
    "BadInput|Pupil|Purse|Peeks|Ruling|Lesson|Mlm|spoken|heaps|pupils?|purse|peeks?|likewise|taskspace|fewbits|ongpu"
    "|leaflet|heeded|thaw|thawed|grafts?|grafted|outlook|hearsay|gaps_of|shelf|shelves|dossier"
    "|lessons?|taught|teachers?|told|what becomes of|what became of|is told|are told"
    "|what is asked|what is said|who is asked|one like this would take|for want of|a person|hitherto|thereof"
)
# Names of stages and parts of keys, which stay as they were (see docs/design), and titles of published works.
ALLOWED = re.compile(
    r"xstilts\.[a-z_]+\.[a-z_]+|\"(?:Lesson|lessons?|taught)\"|graft-|told apart|\"teacher\"|`taught`"
    r"|(?:def |convert=)spoken|spoken_in"
)
# Locals that could hold anything: each has a better name, of what it holds. `PACKAGES` have none of them.
VAGUE = {"one", "found", "said", "asked", "told", "plain", "here", "theirs", "ours", "each", "whole", "what"}
PACKAGES = (
    *("stats", "claims", "cost", "verification", "selection", "reporting", "experiments", "planning", "monitoring"),
    *("training", "evaluation", "metrics", "store", "runtime", "sandbox", "evidence"),
    "sharing",
)


@cache
def lines() -> tuple[tuple[str, int, str], ...]:
    return tuple(_lines())


@cache
def suspicious() -> tuple[tuple[str, int, str], ...]:
    """Return the lines that hold any of the words, which one search finds for all of them."""
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{PRIVATE})(?![a-z0-9])")
    return tuple(line for line in lines() if pattern.search(line[2]))


def _lines() -> Iterator[tuple[str, int, str]]:
    """Yield path, number and text of every line of the code and the documents, without dated notes and changes."""
    folders = [ROOT / "src", ROOT / "docs", ROOT / "studies", ROOT / "examples", ROOT / "benchmarks"]
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix in (".py", ".md", ".html")]
    for path in [*files, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        if path.name in ("log.md", "decisions.md") or "works" in path.parts or not path.exists():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield str(path.relative_to(ROOT)), number, ALLOWED.sub("", line)


@pytest.mark.parametrize("word", PRIVATE.split("|"))
def test_a_private_word_is_gone(word: str) -> None:
    pattern = re.compile(rf"(?<![A-Za-z0-9]){word}(?![a-z0-9])")
    places = [f"{path}:{number}: {text.strip()}" for path, number, text in suspicious() if pattern.search(text)]
    assert not places, "\n".join(places[:20])


@pytest.mark.parametrize("package", PACKAGES)
def test_locals_say_what_they_hold(package: str) -> None:
    places = []
    for path in sorted((ROOT / "src" / "xstilts" / package).rglob("*.py")):
        functions = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if _is_scope(node)]
        names = {(name.lineno, name.id) for scope in functions for name in ast.walk(scope) if _is_bound(name)}
        places += [f"{path.relative_to(ROOT)}:{line}: {name}" for line, name in sorted(names) if name in VAGUE]
    assert not places, "\n".join(places)


def _is_scope(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp)


def _is_bound(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
