"""Hooks of `make docs`: fences keep only their language, since what follows it is for the tests."""

from __future__ import annotations

import re
from typing import Any

FENCE = re.compile(r"^```(\w+) .*$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Drop what stands behind the language of a fenced block (`no-run`, `file=…`)."""
    return FENCE.sub(r"```\1", markdown)
