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
INLINE = re.compile(
    r"</?(?:jats:|mml:)?(?:scp|sc|b|i|u|em|strong|bold|italic|underline|monospace|roman|sans-serif|tt|span|small|big|font|a"
    r"|ext-link|xref|styled-content|inline-formula|mi|mn|mo|mrow|mtext|mstyle|math|named-content)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
RAISED = re.compile(r"<(?:jats:)?(?P<kind>sup|sub)(?:\s[^<>]*)?>(?P<text>[^<>]*)</(?:jats:)?(?P=kind)>", re.IGNORECASE)
TEX = re.compile(r"<(?:jats:)?tex-math[^<>]*>.*?</(?:jats:)?tex-math>", re.IGNORECASE | re.DOTALL)
SECTION = re.compile(r"<(?:jats:)?title>\s*([^<>]*?)\s*[:.]?\s*</(?:jats:)?title>", re.IGNORECASE)
TAG = re.compile(r"</?[A-Za-z][^<>]*>")
BLOCK = re.compile(r"</?(?:jats:[\w-]+|p|br|sec|title|div|ul|ol|li|list|list-item)(?:\s[^<>]*)?/?>", re.IGNORECASE)
SUPERSCRIPTS = str.maketrans("0123456789+-−=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿ")
SUBSCRIPTS = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
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
    """Return the text of a JATS or HTML fragment; "" for what is no text.

    Args:
        text: The fragment, whose entities may have been escaped twice.

    Returns:
        Its text without a heading "Abstract" and without a formula's second form in TeX. Tags within words leave no
        space, headings get a colon, and raised and lowered characters stay apart from the digits before them: "10⁻³".

    >>> strip_tags("M<scp>ulti</scp>BERT &amp;amp; 10<sup>-3</sup>")
    'MultiBERT & 10⁻³'
    """
    if not isinstance(text, str):
        return ""
    if "&lt;" in text and not TAG.search(text):
        text = html.unescape(text) if TAG.search(html.unescape(text)) else text  # markup that was escaped as a whole
    text = SECTION.sub(r" \1: ", TEX.sub(" ", HEADING.sub(" ", text)))
    text = TAG.sub(" ", RAISED.sub(_raised, INLINE.sub("", text)))
    return " ".join(_unescape(text).split(" ")).strip()


def plain_text(text: object) -> str:
    """Return a title or an abstract that is text with a little markup in it; other tags stay as they are.

    Args:
        text: As Semantic Scholar and OpenAlex give it.

    Returns:
        The text without tags of typesetting and without entities; "" for what is no text.

    >>> plain_text("<i>m</i>BERT &amp; <script>")
    'mBERT & <script>'
    """
    if not isinstance(text, str):
        return ""
    return _unescape(BLOCK.sub(" ", RAISED.sub(_raised, INLINE.sub("", text)))).strip()


def _raised(match: re.Match[str]) -> str:
    """Return raised or lowered text in characters of its own where there are some, else after ^ or _."""
    text, is_raised = _unescape(match["text"]).strip(), match["kind"].lower() == "sup"
    shown = text.translate(SUPERSCRIPTS if is_raised else SUBSCRIPTS)
    changed = all(before != after for before, after in zip(text, shown, strict=True))
    return shown if changed or not text else f"{'^' if is_raised else '_'}{text}"


def _unescape(text: str) -> str:
    """Return a text without entities, also where they were escaped twice ("&amp;amp;")."""
    once = html.unescape(text)
    return (
        html.unescape(once)
        if re.search(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d+|#x[0-9a-f]+);", once, re.IGNORECASE)
        else once
    )


def from_inverted_index(index: object) -> str:
    """Return the text of an inverted index ({word: [positions]}); "" for what is none."""
    if not isinstance(index, Mapping):
        return ""
    words = {place: word for word, places in index.items() for place in places if isinstance(place, int)}
    return " ".join(words[place] for place in sorted(words)[:MAX_WORDS])
