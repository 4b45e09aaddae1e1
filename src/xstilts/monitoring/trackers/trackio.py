"""Trackio: `trackio:PROJECT`, in the library's local database; look at it with `trackio show --project PROJECT`.

A run is resumed by its name, which ends in the stage's key.
"""

from __future__ import annotations

from xstilts.monitoring.trackers import News, library

NEEDS = "trackio"


def send(where: str, news: News) -> None:
    """Resume or begin the run and log what is new; nothing about the mirroring machine is logged.

    Args:
        where: The project.
        news: What is new of one run.
    """
    run = library(NEEDS).init(
        project=where, name=news.name, config=dict(news.config), resume="allow", embed=False, auto_log_gpu=False
    )
    try:
        for step, figures in news.lines:
            run.log(dict(figures), step=step)
        if news.scores:
            run.log(dict(news.scores), step=news.step)
    finally:
        run.finish()
