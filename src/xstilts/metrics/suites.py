"""Suites: XTREME and XTREME-R as benchmarks: which languages a task is averaged over, which tasks make a group.

Figures are plain means: over languages (English included), then over tasks. The two suites differ in tasks and, for
tasks of one name, in languages, so that averages of one are never comparable to those of the other.

>>> XTREME.groups["qa"]
('xquad', 'mlqa', 'tydiqa')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xstilts.errors import InputError, nearest

Values = Mapping[str, float]


@dataclass(frozen=True)
class Suite:
    """A benchmark.

    Attributes:
        name: As `suite` takes it.
        languages: The languages of each task; empty: those that it was scored in.
        groups: The tasks of each category.
    """

    name: str
    languages: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, tuple[str, ...]]

    def means(self) -> dict[str, tuple[str, ...]]:
        """Return the tasks of each mean over tasks: the groups, and `all_task`."""
        return {**self.groups, "all_task": tuple(self.languages)}


@dataclass(frozen=True)
class SuiteScore:
    """The averages of a suite.

    Attributes:
        tasks: By task, the mean over languages of each value and, as `headline`, the one that enters the groups.
        groups: By group, and for `all_task`, the mean over tasks; only groups all of whose tasks were scored.
    """

    tasks: dict[str, dict[str, float]]
    groups: dict[str, float]


def _codes(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_XQUAD = _codes("en es de el ru tr ar vi th zh hi")
_XNLI = _codes("ar bg de el en es fr hi ru sw th tr ur vi zh")
_MLQA = _codes("en es de ar hi vi zh")
_TYDIQA = _codes("en ar bn fi id ko ru sw te")
_PANX = _codes(
    "ar he vi id jv ms tl eu ml ta te af nl en de el bn hi mr ur fa fr it pt es bg ru ja ka ko th sw yo my zh kk tr et "
    "fi hu"
)
_UDPOS = _codes("af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur vi yo zh")
_TATOEBA = _codes(
    "ar he vi id jv tl eu ml ta te af nl de el bn hi mr ur fa fr it pt es bg ru ja ka ko th sw zh kk tr et fi hu"
)

# Hu et al. 2020 (arXiv 2003.11080); lists and groups as in google-research/xtreme, evaluate.py.
XTREME = Suite(
    "xtreme",
    languages={
        "pawsx": _codes("de en es fr ja ko zh"),
        "xnli": _XNLI,
        "panx": _PANX,
        "udpos": _UDPOS,
        "bucc": _codes("de fr ru zh"),
        "tatoeba": _TATOEBA,
        "xquad": _XQUAD,
        "mlqa": _MLQA,
        "tydiqa": _TYDIQA,
    },
    groups={
        "classification": ("pawsx", "xnli"),
        "tagging": ("panx", "udpos"),
        "qa": ("xquad", "mlqa", "tydiqa"),
        "retrieval": ("bucc", "tatoeba"),
    },
)

# Ruder et al. 2021 (arXiv 2104.07412). As published in the script, XCOPA is in two groups and LAReQA in none.
XTREME_R = Suite(
    "xtreme-r",
    languages={
        "xnli": _XNLI,
        "panx": (*_PANX, *_codes("qu pl uk az lt pa gu ro")),
        "udpos": (*_UDPOS, *_codes("lt pl uk wo ro")),
        "tatoeba": (*_TATOEBA, *_codes("az lt pl uk ro")),
        "xcopa": _codes("et ht id it qu sw ta th tr vi zh"),
        "mewslix": _codes("ar de en es fa ja pl ro ta tr uk"),
        "lareqa": (),
        "xquad": (*_XQUAD, "ro"),
        "mlqa": _MLQA,
        "tydiqa": _TYDIQA,
    },
    groups={
        "classification": ("xnli", "xcopa"),
        "tagging": ("panx", "udpos"),
        "qa": ("xquad", "mlqa", "tydiqa"),
        "retrieval": ("tatoeba", "mewslix"),
        "multi_choice": ("xcopa",),
    },
)


def suite(name: str) -> Suite:
    """Look up a suite of tasks by name.

    Args:
        name: "xtreme" or "xtreme-r".

    Returns:
        The suite.

    Raises:
        InputError: There is none of that name; the message has the nearest one.
    """
    suites = {benchmark.name: benchmark for benchmark in (XTREME, XTREME_R)}
    if name not in suites:
        near = nearest(name, suites)
        raise InputError(f"unknown suite '{name}'; " + (f"did you mean '{near}'?" if near else f"one of {[*suites]}"))
    return suites[name]


def average(suite: Suite, values: Mapping[str, Mapping[str, Values]]) -> SuiteScore:
    """Average values as the benchmark does.

    Args:
        suite: The benchmark.
        values: By task and language; tasks of other suites are ignored.

    Returns:
        The mean of each task, and of each group of tasks that is complete.

    Raises:
        InputError: A task lacks one of its languages, as a mean over fewer is not comparable.
    """
    tasks = {
        name: _mean_values(name, languages, values[name])
        for name, languages in suite.languages.items()
        if name in values
    }
    return SuiteScore(
        tasks,
        {
            group: _mean([tasks[name]["headline"] for name in names])
            for group, names in suite.means().items()
            if all(name in tasks for name in names)
        },
    )


def _mean_values(task: str, languages: Sequence[str], values: Mapping[str, Values]) -> dict[str, float]:
    languages = languages or tuple(values)
    missing = [language for language in languages if language not in values]
    if missing or not languages:
        raise InputError(
            f"task '{task}' has no score in {', '.join(missing) or 'any language'}; score it there, or drop the task"
        )
    names = [name for name in values[languages[0]] if all(name in values[language] for language in languages)]
    means = {name: _mean([values[language][name] for language in languages]) for name in names}
    return {**means, "headline": _headline(task, means)}


def _headline(task: str, means: Values) -> float:
    """Return what XTREME ranks by: (EM + F1) / 2 of answers, else F1, accuracy or mAP@20."""
    if "exact_match" in means:
        return (means["exact_match"] + means["f1"]) / 2
    for name in ("f1", "accuracy", "map@20"):
        if name in means:
            return means[name]
    raise InputError(
        f"task '{task}' has none of exact_match, f1, accuracy and map@20 in every language; score it again"
    )


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)
