"""Demo: reports on five questions about intermediate-task training, from a local stub with fictional works.

It needs no network and takes under a minute. All works are invented (`xstilts.evidence.stub`), so nothing in these
reports is a fact; each says so on every page, in the terminal and in each reference.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xstilts.evidence.pipeline import ReportOptions, ReportServices, make_report
from xstilts.evidence.search.client import RetryPolicy
from xstilts.evidence.stub.server import serving

QUESTIONS = {
    "cost": "How do training time and memory of intermediate-task training grow with model size in "
    "languages other than English, compared to English, on XTREME-R?",
    "batch": "Does a larger batch size in intermediate-task fine-tuning improve zero-shot transfer on XTREME-R over "
    "standard batch sizes in accuracy, and how does it change the cost of inference?",
    "languages": "Do intermediate tasks in many diverse languages improve zero-shot transfer performance on XTREME "
    "for models with billions of parameters, compared to English intermediate tasks only?",
    "layers": "Is fine-tuning only specific transformer layers on the intermediate task as good as full-model "
    "fine-tuning on XTREME-R in efficiency and zero-shot performance?",
    "size": "Does the gain of English intermediate-task training on XTREME-R depend on model size?",
}
QUICK_POLICY = RetryPolicy(max_attempts=2, first_wait=0.0, timeout=10.0)


def make_demo_reports(
    out: Path, cache: Path | None = None, sources: tuple[str, ...] = ()
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Write a report of each demo question to a subfolder.

    Args:
        out: Folder above the reports.
        cache: Folder of the stub's replies; by default a temporary one.
        sources: Names of sources; () for all.

    Yields:
        Folder and content of each report.
    """
    with tempfile.TemporaryDirectory() as replies_folder, serving() as stub:
        for name, question in QUESTIONS.items():
            options = ReportOptions(out / name, cache or Path(replies_folder), sources)
            yield out / name, make_report(question, options, ReportServices(hosts=stub.hosts(), policy=QUICK_POLICY))
