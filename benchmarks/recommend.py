"""Recommend: how right each method of `xstilts recommend` is, on gains that a study measured.

`gather` puts a study's table and some advices (`recommend.json`) into one file; `page` writes the page of results from
that file alone, each number taken from it. Nothing is measured here.

    python benchmarks/recommend.py gather docs/results/recommend.json advice/* --study gains.py \\
        --table gains/table.csv --store work --command "xstilts study gains.py"
    python benchmarks/recommend.py page docs/results/recommend.json docs/results/recommend.md
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from xstilts import stats
from xstilts.selection.backtest import gains_of, same_for_all
from xstilts.selection.render import ADVICE
from xstilts.store import query

Results = Mapping[str, Any]
SHORT = 40  # lines of a study that is shown

HEAD = """Each method of [`xstilts recommend`](../experiments/recommend.md) against the gains that a study
measured; written by `benchmarks/recommend.py` from the JSON file beside it."""
COMMANDS = """The study trains each candidate in full, before each target, and measures all its languages; the
recommendation uses the training and development data of one language alone. Budgets are below."""


def main() -> None:
    """Gather results, or write the page of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    gathering = verbs.add_parser("gather")
    gathering.add_argument("results", type=Path)
    gathering.add_argument("advices", type=Path, nargs="+")
    gathering.add_argument("--table", type=Path, required=True)
    gathering.add_argument("--store", type=Path, required=True)
    gathering.add_argument("--study", type=Path, required=True)
    gathering.add_argument("--recipe", default="", help="the arm of the study that is meant, where it has several")
    gathering.add_argument("--title", required=True)
    gathering.add_argument("--about", required=True, help="what the figures do not show")
    gathering.add_argument("--command", action="append", default=[])
    paging = verbs.add_parser("page")
    paging.add_argument("results", type=Path)
    paging.add_argument("page", type=Path)
    asked = parser.parse_args()
    if asked.verb == "gather":
        found = gathered(asked)
        asked.results.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    else:
        asked.page.write_text(written(json.loads(asked.results.read_text(encoding="utf-8"))), encoding="utf-8")


def gathered(asked: argparse.Namespace) -> dict[str, Any]:
    """Return each advice with the measured gains of its candidates, and what both have cost."""
    advices = [json.loads((folder / ADVICE).read_text(encoding="utf-8")) for folder in asked.advices]
    records = query.by_key(asked.store)
    return {
        "title": asked.title,
        "about": asked.about,
        "study": {"name": asked.study.name, "text": asked.study.read_text(encoding="utf-8")},
        "commands": asked.command,
        "targets": {one["target"]: one | _measured(asked, one["target"], records) for one in advices},
    }


def _measured(asked: argparse.Namespace, target: str, records: Mapping[str, query.Record]) -> dict[str, Any]:
    with asked.table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["target"] == target]
    keys = {key for row in rows if row.get("recipe", "") in (asked.recipe, "") for key in row["keys"].split()}
    behind = [records[key] for key in sorted(keys)]
    study = {
        "seconds": sum(one["seconds"] for one in behind),
        "steps": sum(one["record"].get("steps", 0) for one in behind),
    }
    return {"gains": gains_of(asked.table, target, asked.recipe), "study": study}


def written(results: Results) -> str:
    """Return the page."""
    targets = results["targets"]
    commands = "\n".join(["# minutes on a core", *results["commands"]])
    study = results["study"]
    blocks = [f"# {results['title']}\n", _wrapped(f"{HEAD} {results['about']}")]
    blocks += [f"```python no-run\n# {study['name']}\n{study['text']}```\n"] * (study["text"].count("\n") < SHORT)
    blocks += [f"```sh no-run\n{commands}\n```\n", _wrapped(COMMANDS)]
    blocks += ["## Measured gains\n", _table(["candidate", *targets], _gains(targets))]
    blocks += ["## Regret and correlation\n", _wrapped(RATES), _table(RATED, _rates(targets))]
    blocks += ["## Cost\n", _wrapped(PRICES), _table(PRICED, _prices(targets))]
    blocks += ["## Statements\n", *(_said(name, one) for name, one in targets.items())]
    return "\n".join(blocks)


RATES = """Regret@1 in points: the gain of the best candidate minus the gain of the method's favourite (mean over
seeds, 95 % interval), then Spearman's correlation of the method's scores with the mean gains. "At random" draws a
candidate uniformly, "none at all" takes no intermediate task: negative where every candidate harms. "The same for all"
takes for each target the candidate that gained most on the other targets, which costs no probes. A useful method is
below all three. Means over targets have an interval where there are three targets or more. Of: the candidates for which
the method has a score."""
RATED = ["method", "target", "favourite", "regret@1", "correlation", "of"]
PRICES = """Steps of the optimizer and seconds of stages, of the study and of the recommendation. Seconds were measured
while other programs used the same cores: compare steps. Steps of a recommendation do not count states and Fisher
information, seconds do. The study's predictions are in its seconds."""
PRICED = [
    "target",
    "steps, study",
    "steps, recommendation",
    "share",
    "seconds, study",
    "seconds, recommendation",
    "budget",
]


def _gains(targets: Results) -> Iterator[list[str]]:
    for name in sorted({name for one in targets.values() for name in one["gains"]}):
        yield [name, *(_interval(one["gains"].get(name)) for one in targets.values())]


def _rates(targets: Results) -> Iterator[list[str]]:
    hits = {name: [*one["hits"]] for name, one in targets.items()}
    gains = {
        name: {candidate: gain for candidate, gain in one["gains"].items() if candidate in one["combined"]}
        for name, one in targets.items()
    }
    for name, same in same_for_all(gains).items():
        hits[name].append(asdict(same))
    methods = list(dict.fromkeys(hit["method"] for judged in hits.values() for hit in judged))
    for method in methods:
        found = {name: hit for name, judged in hits.items() for hit in judged if hit["method"] == method}
        for name, hit in found.items():
            yield [
                method,
                name,
                ", ".join(hit["favourites"]) or "-",
                _spread(hit["regret"], "mean"),
                _spread(hit["correlation"], "value"),
                str(hit["count"]),
            ]
        regrets = [hit["regret"]["mean"] for hit in found.values()]
        orders = [(hit["correlation"] or {}).get("value") for hit in found.values()]
        known = [order for order in orders if order is not None and not math.isnan(order)]
        mean = f"{fmean(known):+.2f}" if known and len(known) == len(orders) else "-"
        regret = _interval(regrets) if len(regrets) > 2 else f"{fmean(regrets):+.1f}"
        yield [f"**{method}**", "**mean**", "", f"**{regret}**", f"**{mean}**", ""]


def _prices(targets: Results) -> Iterator[list[str]]:
    for name, one in targets.items():
        steps = sum(_steps(rung, len(one["combined"])) for rung in one["rounds"])
        whole, spent = one["study"], sum(one["spent_seconds"].values())
        share = f"{100 * steps / whole['steps']:.0f} %"
        yield [
            name,
            f"{whole['steps']:,}",
            f"{steps:,}",
            share,
            f"{whole['seconds']:,.0f}",
            f"{spent:,.0f}",
            _budget(one),
        ]


def _steps(rung: Results, candidates: int) -> int:
    """Return the steps of a round: in the first all candidates are peeked at, whoever is probed after it."""
    probed = len(rung["gains"])
    peeked = candidates if rung["number"] == 0 else probed
    return int(rung["steps"] * rung["seeds"] * (peeked + probed + 1))


def _budget(one: Results) -> str:
    return "none" if one["budget_seconds"] is None else f"{one['budget_seconds']:,.0f} s"


def _said(name: str, one: Results) -> str:
    rounds = []
    for rung in one["rounds"]:
        dropped = "; ".join(f"{who}: {why}" for who, why in rung["dropped"].items())
        rounds.append(
            f"round {rung['number'] + 1}, {rung['steps']} steps, {rung['seeds']} seeds: {', '.join(rung['gains'])}"
            + (f" (dropped: {dropped})" if dropped else "")
        )
    lines = "\n".join(f"- {line}" for line in (*one["said"], *rounds, *one["missing"]))
    return f"### {name}\n\n{lines}\n"


def _interval(values: Sequence[float] | None) -> str:
    if not values:
        return "-"
    found = stats.summary(values)
    return _spread({"mean": found.mean, "low": found.low, "high": found.high}, "mean")


def _spread(found: Results | None, name: str) -> str:
    if not found or found[name] is None or math.isnan(found[name]):
        return "-"
    digits = 2 if name == "value" else 1
    value = f"{found[name]:+.{digits}f}"
    return value if found["low"] is None else f"{value} [{found['low']:+.{digits}f}, {found['high']:+.{digits}f}]"


def _table(names: Sequence[str], rows: Iterator[list[str]]) -> str:
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows), ""])


def _wrapped(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False) + "\n"


if __name__ == "__main__":
    main()
