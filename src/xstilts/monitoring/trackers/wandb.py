"""Weights & Biases: `wandb:PROJECT` or `wandb:ENTITY/PROJECT`.

The account, and whether anything leaves this machine (`WANDB_MODE=offline`), are settings of the library.

A run has the stage's key as its id, and is resumed under it. W&B's own step only grows, so that what comes late would
be dropped; the training's step is therefore a figure of its own, against which the others are drawn.
"""

from __future__ import annotations

from xstilts.monitoring.trackers import News, library

NEEDS = "wandb"


def send(where: str, news: News) -> None:
    """Resume or begin the run, log what is new and put scores into its summary.

    Args:
        where: The project, "ENTITY/PROJECT" or "PROJECT".
        news: What is new of one run.
    """
    entity, _, project = where.rpartition("/")
    run = library(NEEDS).init(
        entity=entity or None,
        project=project,
        id=news.key,
        name=news.name,
        config=dict(news.config),
        resume="allow",
    )
    try:
        run.define_metric("step")
        run.define_metric("*", step_metric="step")
        for step, figures in news.lines:
            run.log({"step": step, **figures})
        if news.scores:
            run.summary.update(dict(news.scores))
    finally:
        run.finish()
