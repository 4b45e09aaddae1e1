"""TensorBoard: event files in one folder a run, `tensorboard:DIR`; look at them with `tensorboard --logdir DIR`.

The same figure of the same step, written twice, is one point.
"""

from __future__ import annotations

from pathlib import Path

from xstilts.monitoring.trackers import News, library

NEEDS = "torch.utils.tensorboard"


def send(where: str, news: News) -> None:
    """Write an event file into the run's folder.

    Args:
        where: The folder for all runs.
        news: What is new of one run.
    """
    writer = library(NEEDS).SummaryWriter(log_dir=str(Path(where).expanduser() / news.name))
    try:
        if news.first:
            rows = "".join(f"| {name} | {value} |\n" for name, value in news.config.items())
            writer.add_text("recipe", f"| name | value |\n| --- | --- |\n{rows}", 0)
        for step, figures in news.lines:
            for name, value in figures.items():
                writer.add_scalar(name, value, step)
        for name, value in news.scores.items():
            writer.add_scalar(name, value, news.step)
    finally:
        writer.close()
