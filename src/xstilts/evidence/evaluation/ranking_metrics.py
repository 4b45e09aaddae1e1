"""Measures of a ranking against graded works, over judged works: unjudged ones are taken out, not counted as wrong.

>>> grades = {"a": 2, "b": 0, "c": 1}
>>> round(ndcg(["x", "b", "a", "c"], grades, 20), 3)
0.67
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from xstilts.evidence.evaluation.golden import ANSWERS, OFF_TOPIC


def judged(ranking: Sequence[str], grades: Mapping[str, int]) -> list[str]:
    """Return a ranking without the works that have no grade."""
    return [key for key in ranking if key in grades]


def ndcg(ranking: Sequence[str], grades: Mapping[str, int], depth: int) -> float:
    """Return the normalised discounted cumulative gain of the first judged works; the gain of a work is its grade.

    Args:
        ranking: Keys of works, best first, each once.
        grades: Grade of each judged work.
        depth: Judged works that count.

    Returns:
        0 to 1; NaN where no judged work has a grade above 0.

    Source: Järvelin & Kekäläinen 2002, with the discount log2(rank + 1), as trec_eval computes it.
    """
    ideal = _gain(sorted(grades.values(), reverse=True)[:depth])
    return _gain([grades[key] for key in judged(ranking, grades)[:depth]]) / ideal if ideal else math.nan


def recall(ranking: Sequence[str], grades: Mapping[str, int], depth: int, grade: int = ANSWERS) -> float:
    """Return the share of the works of a grade that are among the first of a ranking.

    Args:
        ranking: Keys of works, best first, each once; with all works or with the judged ones alone.
        grades: Grade of each judged work.
        depth: Works of the ranking that count.
        grade: The grade.

    Returns:
        0 to 1; NaN where no work has the grade.
    """
    wanted = {key for key, given in grades.items() if given == grade}
    return len(wanted.intersection(ranking[:depth])) / len(wanted) if wanted else math.nan


def off_topic_share(ranking: Sequence[str], grades: Mapping[str, int], depth: int) -> float:
    """Return the share of grade 0 among the first judged works of a ranking; NaN without any judged work."""
    first = [grades[key] for key in judged(ranking, grades)[:depth]]
    return first.count(OFF_TOPIC) / len(first) if first else math.nan


def least_off_topic_share(grades: Mapping[str, int], depth: int) -> float:
    """Return the least share of grade 0 that any ranking of all judged works has among its first."""
    better = sum(grade > OFF_TOPIC for grade in grades.values())
    counted = min(depth, len(grades))
    return max(0, counted - better) / counted if counted else math.nan


def _gain(grades: Sequence[int]) -> float:
    return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades, 1))
