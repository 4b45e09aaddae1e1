"""MLflow: `mlflow:URI` (a server, `sqlite:///mlflow.db`, …) or `mlflow:URI#EXPERIMENT`, by default `xstilts`.

A run is found again by its tag `xstilts.key`. MLflow takes at most 1,000 entries at once, a hundred of them parameters,
and few characters in names; others become underscores.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

from xstilts.monitoring.trackers import News, library

NEEDS = "mlflow"
TAG = "xstilts.key"
AT_ONCE, PARAMETERS_AT_ONCE, LONGEST = 1000, 100, 500
EXPERIMENT = "xstilts"


def send(where: str, news: News) -> None:
    """Find or create the run, log parameters at its beginning, and what is new.

    Args:
        where: The address of the tracking server, or a folder; with "#EXPERIMENT" the name of the experiment.
        news: What is new of one run.
    """
    uri, _, experiment = where.partition("#")
    client = library(NEEDS).MlflowClient(tracking_uri=uri)
    entities = library("mlflow.entities")
    run = _run(client, experiment or EXPERIMENT, news)
    parameters = [entities.Param(_named(name), str(value)[:LONGEST]) for name, value in news.config.items()]
    for some in _batches(parameters if news.first else [], PARAMETERS_AT_ONCE):
        client.log_batch(run, params=some)
    now = int(time.time() * 1000)
    lines = [*news.lines, (news.step, news.scores)]
    metrics = [
        entities.Metric(_named(name), value, now, step) for step, values in lines for name, value in values.items()
    ]
    for some in _batches(metrics, AT_ONCE):
        client.log_batch(run, metrics=some)
    if news.finished:
        client.set_terminated(run)


def _run(client: Any, experiment: str, news: News) -> str:
    existing = client.get_experiment_by_name(experiment)
    home = existing.experiment_id if existing else client.create_experiment(experiment)
    runs = client.search_runs([home], filter_string=f"tags.`{TAG}` = '{news.key}'", max_results=1)
    run = runs[0] if runs else client.create_run(home, tags={TAG: news.key}, run_name=news.name)
    return str(run.info.run_id)


def _batches(entries: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(entries), most):
        yield entries[start : start + most]


def _named(name: str) -> str:
    return re.sub(r"[^\w/. -]", "_", name)
