"""Sandbox: artificial languages and tasks, on which all of xstilts runs in minutes and without a network.

A small world generates meanings; each meaning is expressed in six languages at a known distance from the first. Tasks
of every format, with exact gold labels, and text for pretraining are made of them, after K et al. (2020) and Dufter &
Schütze (2020). Results in the sandbox are transfer under controlled conditions; they say nothing about real languages.

>>> [language.code for language in LANGUAGES]
['qaa', 'qab', 'qac', 'qad', 'qae', 'qaf']
"""

from __future__ import annotations

from xstilts.sandbox.languages import (
    CITATION,
    CODES,
    ENGLISH_LIKE,
    LANGUAGES,
    LIMIT,
    NOTE,
    Artificial,
    digest,
    distance,
    language,
    notice,
)
from xstilts.sandbox.tasks import GENERATOR, LABELS, VERSION, examples, has
from xstilts.sandbox.texts import parallel, text

__all__ = [
    "CITATION",
    "CODES",
    "ENGLISH_LIKE",
    "GENERATOR",
    "LABELS",
    "LANGUAGES",
    "LIMIT",
    "NOTE",
    "VERSION",
    "Artificial",
    "digest",
    "distance",
    "examples",
    "has",
    "language",
    "notice",
    "parallel",
    "text",
]
