"""Sandbox: a laboratory of artificial languages, so that the whole of xstilts can be seen in minutes, with no network.

A small world gives meanings; each meaning is said in six languages at a known distance; tasks of every kind and text
for pretraining come from them with exact gold. After K et al. (2020) and Dufter & Schütze (2020). What is measured
here is transfer under control, and says nothing about real languages.

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
    "parallel",
    "text",
]
