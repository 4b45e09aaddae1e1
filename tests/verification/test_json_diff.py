from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from made_report import made
from xstilts.verification.json_diff import ABSENT, differences, is_same, summary

Place = tuple[str | int, ...]


def leaves(value: Any, place: Place = ()) -> list[Place]:
    if isinstance(value, dict) and value:
        return [leaf for key, part in value.items() for leaf in leaves(part, (*place, key))]
    if isinstance(value, list) and value:
        return [leaf for at, part in enumerate(value) for leaf in leaves(part, (*place, at))]
    return [place]


def test_every_changed_leaf_is_found_at_its_path() -> None:
    report = json.loads(json.dumps(made()))
    report = {name: part[:2] if isinstance(part, list) else part for name, part in report.items()} | {"stages": {}}
    every = leaves(report)
    assert len(every) > 200
    for place in every:
        changed = deepcopy(report)
        holder = changed
        for part in place[:-1]:
            holder = holder[part]
        holder[place[-1]] = "another"
        (path,) = differences(changed, report)
        written = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)[1:]
        assert path == written


@pytest.mark.parametrize(
    ("written", "recomputed", "same"),
    [
        (1, 1.0, True),
        (1.0, 1.0 + 1e-12, True),
        (1.0, 1.001, False),
        (True, 1, False),
        (None, 0, False),
        ([1], [1, 2], False),
        ({}, {"a": None}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ("1", 1, False),
    ],
)
def test_values_are_compared_by_type_and_numbers_by_value(written: Any, recomputed: Any, same: bool) -> None:
    assert is_same(written, recomputed) is same
    assert is_same(recomputed, written) is same


def test_entries_of_one_side_alone_differ_as_a_whole() -> None:
    found = differences({"rows": [1, {"a": 2}]}, {"rows": [1], "n": 3})
    assert found == {"rows[1]": ({"a": 2}, ABSENT), "n": (ABSENT, 3)}
    assert summary(found) == "rows[1] is {'a': 2}, recomputed nothing; n is missing, recomputed 3"


def test_a_summary_names_the_first_and_counts_the_others() -> None:
    assert summary(differences([1, 2, 3], [0, 0, 0]), most=1) == "[0] is 1, recomputed 0 (and 2 more)"
