"""TODO reporting.plain_json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xstilts.claims.results_table import Result
from xstilts.store import manifest

Plain = dict[str, Any]


def plain(value: Any) -> Any:
    """Return a value as JSON has it: no NaN, no infinities, no paths, no tuples."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def row_of(row: Result) -> Plain:
    """Return a row as the report has it."""
    kept = {name: value for name, value in vars(row).items() if name not in ("examples", "costs")}
    return kept | {"costs": row.costs} if row.costs else kept


def entry(facts: Plain) -> Plain:
    """Return a stage as the report has it, from its record and its folder: digests of its files and of the record."""
    files = {name: file["sha256"] for name, file in facts["files"].items() if not name.startswith("model/")}
    seconds = facts["seconds"] if facts["record"].get("cost") else None  # of what has a ledger
    return {
        "label": facts["label"],
        "work": facts["work"].rpartition(".")[2],
        "seconds": seconds,
        "inputs": list(facts["inputs"]),
        "files": files,
        "record": manifest.sha256(facts["folder"] / manifest.RECORD),
    }
