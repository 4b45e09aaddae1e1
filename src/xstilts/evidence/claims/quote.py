r"""Whether a quote occurs in a work as whole sentences, and where.

EXACT: character by character. NORMALISED: after undoing what typesetting does (ligatures, hyphens at line ends, dashes,
kinds of spaces and quotation marks, page numbers at the end of a page, a missing full stop). MISATTRIBUTED: it occurs
in another work. NOT_FOUND: anything else, also a paraphrase or part of a sentence, since the rest may deny it. A hyphen
within a line is content ("re-form" is not "reform"); one at a line's end may be either. Case is content.

>>> from xstilts.evidence.text.documents import Document
>>> document = Document("doc:made-up", "body", "It is not clear. The ﬁrst inter-\nmediate task helps.")
>>> locate("The first intermediate task helps.", [document], "doc:made-up").status
'NORMALISED'
>>> locate("The first intermediate task", [document], "doc:made-up").status
'NOT_FOUND'
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from xstilts.errors import InputError
from xstilts.evidence.text.documents import ENDS, Document, Locator, sentences
from xstilts.evidence.text.stemming import WORD, load_table, stem

Status = Literal["EXACT", "NORMALISED", "MISATTRIBUTED", "NOT_FOUND"]
STATUS_ORDER: tuple[Status, ...] = ("EXACT", "NORMALISED", "MISATTRIBUTED", "NOT_FOUND")
LETTER = r"[^\W\d_]"
DASH = "-‐‑‒–—―−"
FULL_STOPS = ".。．।۔"
LINE_END, PAGE_END = r"[^\S\n\f]*[\n\f]\s*", r"[^\S\f]*\f\s*"
# A number that stands alone on the first or last line of a page; elsewhere it may be content.
PAGE_NUMBER = rf"(?<!\s)(?:{LINE_END}\d{{1,4}}{PAGE_END}|{PAGE_END}\d{{1,4}}{LINE_END})"
PRINT_ARTEFACT = re.compile(
    rf"""(?P<soft>(?<={LETTER})[-‐‑\u00ad](?:{PAGE_NUMBER}|{LINE_END})(?={LETTER})|\u00ad)
    |(?P<page>{PAGE_NUMBER})
    |(?P<hard>(?<={LETTER})(?:[‐‑-]|\s*(?:[–—―]|--+)\s*)(?={LETTER}))
    |(?P<joined>[-‐‑][^\S\n]*\n\s*(?=\w))
    |(?P<dash>\s*[—―]\s*|\s*---?\s*|[{DASH}])
    |(?P<nothing>[\u200b-\u200d\u2060\ufeff])
    |(?P<space>[^\S\x20]\s*|\x20\s+)
    |(?P<mark>[“”„‟«»‘’‚‛`´…ﬀ-ﬆ])
    |(?P<accented>\w[\u0300-\u036f]+)""",
    re.VERBOSE,
)
MARKS = {**dict.fromkeys("“”„‟«»", '"'), **dict.fromkeys("‘’‚‛`´", "'"), "…": "..."}
MARKS |= {chr(code): unicodedata.normalize("NFKC", chr(code)) for code in range(0xFB00, 0xFB07)}


@dataclass(frozen=True)
class QuoteMatch:
    """Result of looking for a quote.

    Attributes:
        text: The quote.
        status: How it was found.
        locator: Where; None exactly for NOT_FOUND.
        why: Why it was not found in the named work.

    Raises:
        InputError: The status is unknown, or does not fit the locator.
    """

    text: str
    status: Status
    locator: Locator | None = None
    why: str = ""

    def __post_init__(self) -> None:
        if self.status not in STATUS_ORDER:
            raise InputError(f"unknown status of a quote '{self.status}'; one of {', '.join(STATUS_ORDER)}")
        if (self.locator is None) != (self.status == "NOT_FOUND"):
            raise InputError(f"'{self.text}' is {self.status} with locator {self.locator}; what is found has a place")

    @property
    def matched(self) -> bool:
        """Whether the quote occurs in the work that was named."""
        return self.status in ("EXACT", "NORMALISED")


@dataclass(frozen=True)
class NormalisedText:
    """A text with typesetting undone.

    Attributes:
        text: The characters.
        starts: Offset in the original of each character.
        hyphens: By offset in `text`, "hard" where a hyphen within a line was removed, "soft" for one at a line's end.
    """

    text: str
    starts: Sequence[int]
    hyphens: Mapping[int, str]


@dataclass(frozen=True)
class SentenceLine:
    """A sentence on one line.

    Attributes:
        text: The sentence without line breaks.
        start: Its first character in the document.
        end: The character after its last.
        stems: The stems of its words.
    """

    text: str
    start: int
    end: int
    stems: frozenset[str]


def locate(quote: str, documents: Iterable[Document], work: str = "") -> QuoteMatch:
    """Look for a quote as whole sentences of a work.

    Args:
        quote: The quote.
        documents: Texts to search.
        work: Id of the work that it is attributed to; "" for any.

    Returns:
        The best match, of equal ones the first by work, part and place; the order of the documents changes nothing.

    Raises:
        InputError: The quote is empty.
    """
    stripped = quote.strip()
    if not stripped:
        raise InputError("an empty quote matches everywhere; quote a sentence")
    matches = [match for document in documents for match in _in_document(stripped, document, work)]
    if matches:
        return min(matches, key=lambda match: (STATUS_ORDER.index(match.status), match.locator or 0))
    return QuoteMatch(quote, "NOT_FOUND", why="no text here contains these words as whole sentences")


def same_text(text: str, other: str) -> bool:
    """Return whether two texts are equal up to typesetting and the final full stop.

    Args:
        text: A text.
        other: Another one.

    Returns:
        Whether they are; a hyphen within a line counts.
    """
    first, second = normalise(text.strip(), True), normalise(other.strip(), True)
    return _without_full_stop(first.text) == _without_full_stop(second.text) and _hyphens_agree(
        first, second, 0, min(len(first.text), len(second.text))
    )


def _in_document(quote: str, document: Document, work: str) -> Iterator[QuoteMatch]:
    for start, end in _spans(quote, document):
        locator = document.locator(start, end)
        if work and document.work != work:
            why = f"these words occur in {document.work}, not in {work}"
            yield QuoteMatch(quote, "MISATTRIBUTED", locator, why)
        else:
            yield QuoteMatch(quote, "EXACT" if locator.read(document) == quote else "NORMALISED", locator)


def _spans(quote: str, document: Document) -> Iterator[tuple[int, int]]:
    """Yield the spans of whole sentences that equal the quote, with page numbers first, then without."""
    candidates = {
        span: None
        for without_pages in (False, True)
        for span in _occurrences(normalise(quote, False), normalise(document.text, without_pages))
    }
    if not candidates:
        return
    begins = {sentence.start for sentence in sentences(document) if sentence.begins}
    ends = {
        end: sentence.end
        for sentence in sentences(document)
        if sentence.whole
        for end in (sentence.end, sentence.start + len(_without_full_stop(sentence.text)))
    }
    yield from ((start, ends[end]) for start, end in candidates if start in begins and end in ends)


def _without_full_stop(text: str) -> str:
    """Return a text without its full stop; question marks and ellipses stay, as they carry meaning."""
    return text[:-1] if text.endswith(tuple(FULL_STOPS)) and not text[:-1].endswith(tuple(ENDS)) else text


def _occurrences(quote: NormalisedText, text: NormalisedText) -> Iterator[tuple[int, int]]:
    """Yield the original spans at which the normalised quote occurs in the normalised text."""
    needle = quote.text
    position = text.text.find(needle)
    while position >= 0 and needle:
        if _hyphens_agree(quote, text, position, len(needle)):
            yield text.starts[position], text.starts[position + len(needle) - 1] + 1
        position = text.text.find(needle, position + 1)


def _hyphens_agree(quote: NormalisedText, text: NormalisedText, at: int, length: int) -> bool:
    """Return whether no hyphen within a line of one text is missing in the other."""
    in_text = {place - at: hyphen for place, hyphen in text.hyphens.items() if at < place < at + length}
    in_quote = {place: hyphen for place, hyphen in quote.hyphens.items() if place < length}
    return all(
        "soft" in (kinds := {in_quote.get(p), in_text.get(p)}) or len(kinds) == 1
        for p in in_quote.keys() | in_text.keys()
    )


@lru_cache(maxsize=1 << 14)
def sentence_lines(document: Document) -> tuple[SentenceLine, ...]:
    """Return the whole sentences of a document, each on one line."""
    typed = [
        (on_one_line(sentence.text), sentence.start, sentence.end) for sentence in sentences(document) if sentence.whole
    ]
    return tuple(
        SentenceLine(*sentence, frozenset(stem(word) for word in WORD.findall(sentence[0]))) for sentence in typed
    )


@lru_cache(maxsize=1 << 14)
def normalise(text: str, without_pages: bool) -> NormalisedText:
    """Return a text with typesetting undone, with or without its page numbers.

    Args:
        text: A text as it was extracted, with ligatures, line breaks and hyphenation.
        without_pages: Whether page numbers are removed.

    Returns:
        The text, with the place of each character in the original, and where hyphens were.
    """
    if without_pages and not re.search(PAGE_NUMBER, text):
        return normalise(text, False)
    characters: list[str] = []
    starts = array("L")
    hyphens: dict[int, str] = {}
    position = 0
    for match in PRINT_ARTEFACT.finditer(text):
        characters.extend(text[position : match.start()])
        starts.extend(range(position, match.start()))
        if match.lastgroup in ("soft", "hard"):
            hyphens[len(characters)] = str(match.lastgroup)
        replacement = _original(match, without_pages)
        characters.extend(replacement)
        starts.extend([match.start()] * len(replacement))
        position = match.end()
    characters.extend(text[position:])
    starts.extend(range(position, len(text)))
    return NormalisedText("".join(characters), starts, hyphens)


def on_one_line(text: str, without_pages: bool = True) -> str:
    """Return a text on one line: without line breaks and page numbers, and with words joined that a line's end split.

    Args:
        text: The text.
        without_pages: Whether to drop page numbers.

    Returns:
        The text. A hyphen at a line's end is kept where the vocabulary lists the part before it ("zero-", "cross-").
    """
    return PRINT_ARTEFACT.sub(lambda match: _as_typed(match, without_pages), text).strip()


def _as_typed(match: re.Match[str], without_pages: bool) -> str:
    if match.lastgroup == "hard":
        return " ".join(match[0].split()) if match[0].strip() == match[0] else f" {match[0].strip()} "
    if match.lastgroup == "soft" and match[0].strip() != match[0]:
        before = re.search(rf"{LETTER}*$", match.string[max(0, match.start() - 40) : match.start()])
        return "-" if before and before[0].lower() in load_table("vocabulary.toml")["joined_by_hyphens"] else ""
    return _original(match, without_pages)


def _original(match: re.Match[str], without_pages: bool) -> str:
    """Return the characters that a typeset artefact stands for."""
    group, text = str(match.lastgroup), match[0]
    if group == "page":
        return " " if without_pages else f" {text.strip()} "
    if group == "accented":
        return unicodedata.normalize("NFC", text)
    if group == "mark":
        return MARKS[text]
    return {"soft": "", "hard": "", "nothing": "", "space": " "}.get(group, "-")
