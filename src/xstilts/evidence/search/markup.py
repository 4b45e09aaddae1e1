r"""Parsers for the reply formats of the sources: XML, JSON, JATS abstracts and inverted indexes.

XML with a document type is refused before anything in it is expanded: entities can blow up a small file or read local
ones. Abstracts in markup become plain text.

>>> strip_tags("<jats:p>A gain of 2.1&#160;points.</jats:p>")
'A gain of 2.1\xa0points.'
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from xstilts.evidence.search.http_requests import RequestError

HEADING = re.compile(r"<(jats:)?title>\s*(abstract|summary)\s*</(jats:)?title>", re.IGNORECASE)
TAG = re.compile(r"</?[A-Za-z][^<>]*>")
MAX_WORDS = 20_000  # of an inverted index, whose positions are untrusted


class _TreeWithoutDoctype:
    """Tree builder that refuses document types."""

    def __init__(self) -> None:
        tree = TreeBuilder()
        self.start: Callable[..., Element] = tree.start
        self.end: Callable[..., Element] = tree.end
        self.data: Callable[..., None] = tree.data
        self.close: Callable[..., Element] = tree.close

    def doctype(self, *ignored: object) -> None:
        raise RequestError("the reply is XML with a document type, which is not read")


def parse_xml(body: bytes) -> Element:
    """Return the root element of an XML document.

    Raises:
        RequestError: The document is truncated (retryable) or has a document type.
    """
    parser = XMLParser(target=_TreeWithoutDoctype())
    try:
        parser.feed(body)
        root: Element = parser.close()
    except ParseError as error:
        raise RequestError("the reply is not whole XML", retryable=True) from error
    return root


def parse_json_object(body: bytes) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        RequestError: The body is no JSON (retryable) or no object.
    """
    try:
        value = json.loads(body)
    except ValueError as error:
        raise RequestError("the reply is not whole JSON", retryable=True) from error
    if not isinstance(value, dict):
        raise RequestError("the reply is JSON of another shape")
    return value


def strip_tags(text: object) -> str:
    """Return the text of a JATS or HTML fragment without a heading "Abstract"; "" for what is no text."""
    return html.unescape(TAG.sub(" ", HEADING.sub(" ", text))).strip() if isinstance(text, str) else ""


def from_inverted_index(index: object) -> str:
    """Return the text of an inverted index ({word: [positions]}); "" for what is none."""
    if not isinstance(index, Mapping):
        return ""
    words = {place: word for word, places in index.items() for place in places if isinstance(place, int)}
    return " ".join(words[place] for place in sorted(words)[:MAX_WORDS])
