"""Quote: whether words stand in a work as they are given, as whole sentences, and where.

EXACT: character by character. NORMALISED: after what printing does to a text is undone (ligatures, hyphens at line
ends, dashes, kinds of spaces and quotation marks, page numbers at the end of a page, a full stop left out).
MISATTRIBUTED: it stands in another work. NOT_FOUND: all else; a paraphrase, and a part of a sentence, since what is cut
off may deny it.
A hyphen within a line is content ("re-form" is not "reform"); one at a line's end may be either. Case is content too.

>>> from xstilts.evidence.text.documents import Document
>>> told = Document("doc:made-up", "body", "It is not clear. The ﬁrst inter-\\nmediate task helps.")
>>> locate("The first intermediate task helps.", [told], "doc:made-up").status
'NORMALISED'
>>> locate("The first intermediate task", [told], "doc:made-up").status
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
# A number that stands alone on the first or last line of a page; in the middle of one it may be what is told.
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
    """What was looked for, how it was found, and where; `why` says what else was seen where it was not."""

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
        """Whether the words stand where they are said to stand."""
        return self.status in ("EXACT", "NORMALISED")


@dataclass(frozen=True)
class NormalisedText:
    """A text as it was before printing: its characters, where each stood, and the hyphens taken out.

    hyphens: for offsets in `text`, "hard" where a hyphen stood before it within a line, "soft" at a line's end.
    """

    text: str
    starts: Sequence[int]
    hyphens: Mapping[int, str]


@dataclass(frozen=True)
class SentenceLine:
    """A sentence of a document on one line, where it stands, and the stems of its words."""

    text: str
    start: int
    end: int
    stems: frozenset[str]


def locate(quote: str, documents: Iterable[Document], work: str = "") -> QuoteMatch:
    """Return where a quote stands as whole sentences in a work; with no work named, in any.

    The best finding counts, of equal ones the first by work, part and place, whatever the order of the documents.
    """
    wanted = quote.strip()
    if not wanted:
        raise InputError("an empty quote stands everywhere; quote a sentence")
    found = [one for document in documents for one in _in_document(wanted, document, work)]
    if found:
        return min(found, key=lambda one: (STATUS_ORDER.index(one.status), one.locator or 0))
    return QuoteMatch(quote, "NOT_FOUND", why="these words stand in no text here as whole sentences")


def same_text(one: str, other: str) -> bool:
    """Return whether two texts are equal but for printing and the full stop."""
    first, second = normalise(one.strip(), True), normalise(other.strip(), True)
    return _without_full_stop(first.text) == _without_full_stop(second.text) and _hyphens_agree(
        first, second, 0, min(len(first.text), len(second.text))
    )


def _in_document(quote: str, document: Document, work: str) -> Iterator[QuoteMatch]:
    for start, end in _spans(quote, document):
        locator = document.locator(start, end)
        if work and document.work != work:
            why = f"these words stand in {document.work}, not in {work}"
            yield QuoteMatch(quote, "MISATTRIBUTED", locator, why)
        else:
            yield QuoteMatch(quote, "EXACT" if locator.read(document) == quote else "NORMALISED", locator)


def _spans(quote: str, document: Document) -> Iterator[tuple[int, int]]:
    """Yield the whole sentences of a document that are the quote; with page numbers first, then without."""
    found = {
        span: None
        for without_pages in (False, True)
        for span in _occurrences(normalise(quote, False), normalise(document.text, without_pages))
    }
    if not found:
        return
    begins = {sentence.start for sentence in sentences(document) if sentence.begins}
    ends = {
        end: sentence.end
        for sentence in sentences(document)
        if sentence.whole
        for end in (sentence.end, sentence.start + len(_without_full_stop(sentence.text)))
    }
    yield from ((start, ends[end]) for start, end in found if start in begins and end in ends)


def _without_full_stop(text: str) -> str:
    """Return a text without its full stop; a question mark is more than that, and so are the dots of a cut."""
    return text[:-1] if text.endswith(tuple(FULL_STOPS)) and not text[:-1].endswith(tuple(ENDS)) else text


def _occurrences(quote: NormalisedText, text: NormalisedText) -> Iterator[tuple[int, int]]:
    """Yield the raw characters at which the plain quote stands in the plain text."""
    wanted = quote.text
    at = text.text.find(wanted)
    while at >= 0 and wanted:
        if _hyphens_agree(quote, text, at, len(wanted)):
            yield text.starts[at], text.starts[at + len(wanted) - 1] + 1
        at = text.text.find(wanted, at + 1)


def _hyphens_agree(quote: NormalisedText, text: NormalisedText, at: int, length: int) -> bool:
    """Return whether no hyphen of a line's middle stands in one where the other has none."""
    theirs = {place - at: kind for place, kind in text.hyphens.items() if at < place < at + length}
    ours = {place: kind for place, kind in quote.hyphens.items() if place < length}
    return all(
        "soft" in (kinds := {ours.get(p), theirs.get(p)}) or len(kinds) == 1 for p in ours.keys() | theirs.keys()
    )


@lru_cache(maxsize=1 << 14)
def sentence_lines(document: Document) -> tuple[SentenceLine, ...]:
    """Return the whole sentences of a document, each on one line."""
    typed = [(on_one_line(one.text), one.start, one.end) for one in sentences(document) if one.whole]
    return tuple(SentenceLine(*one, frozenset(stem(word) for word in WORD.findall(one[0]))) for one in typed)


@lru_cache(maxsize=1 << 14)
def normalise(text: str, without_pages: bool) -> NormalisedText:
    """Return a text as it was before printing, with or without the numbers of its pages."""
    if without_pages and not re.search(PAGE_NUMBER, text):
        return normalise(text, False)
    characters: list[str] = []
    starts = array("L")
    hyphens: dict[int, str] = {}
    at = 0
    for found in PRINT_ARTEFACT.finditer(text):
        characters.extend(text[at : found.start()])
        starts.extend(range(at, found.start()))
        if found.lastgroup in ("soft", "hard"):
            hyphens[len(characters)] = str(found.lastgroup)
        new = _original(found, without_pages)
        characters.extend(new)
        starts.extend([found.start()] * len(new))
        at = found.end()
    characters.extend(text[at:])
    starts.extend(range(at, len(text)))
    return NormalisedText("".join(characters), starts, hyphens)


def on_one_line(text: str, without_pages: bool = True) -> str:
    """Return a text as a person would type it: no line breaks, no page numbers, words that a line's end parted joined.

    A hyphen at a line's end stays where the part before it is known to be joined by one ("zero-", "cross-").
    """
    return PRINT_ARTEFACT.sub(lambda found: _as_typed(found, without_pages), text).strip()


def _as_typed(found: re.Match[str], without_pages: bool) -> str:
    if found.lastgroup == "hard":
        return " ".join(found[0].split()) if found[0].strip() == found[0] else f" {found[0].strip()} "
    if found.lastgroup == "soft" and found[0].strip() != found[0]:
        before = re.search(rf"{LETTER}*$", found.string[max(0, found.start() - 40) : found.start()])
        return "-" if before and before[0].lower() in load_table("vocabulary.toml")["joined_by_hyphens"] else ""
    return _original(found, without_pages)


def _original(found: re.Match[str], without_pages: bool) -> str:
    """Return what a printed thing was before."""
    kind, text = str(found.lastgroup), found[0]
    if kind == "page":
        return " " if without_pages else f" {text.strip()} "
    if kind == "accented":
        return unicodedata.normalize("NFC", text)
    if kind == "mark":
        return MARKS[text]
    return {"soft": "", "hard": "", "nothing": "", "space": " "}.get(kind, "-")
