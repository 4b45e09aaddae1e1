"""Text: documents, their sentences by offset, and locators that a text of another hash refuses.

Sentences are never cut: what the splitter doubts it leaves together, since a sentence too many in a quote costs a
match, but half a sentence may say the opposite. So "et al. We find" stays one, and so does what is in brackets. A line
break ends nothing, nor does the end of a page; an empty line does, but not where the text goes on in lower case.

>>> told = Document("doc:made-up", "abstract", "We follow Doe et al. (2019). Scores rise by 1.5 points.")
>>> [sentence.text for sentence in sentences(told)]
['We follow Doe et al. (2019).', 'Scores rise by 1.5 points.']
>>> told.locator(29, 55).read(told)
'Scores rise by 1.5 points.'
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from xstilts.example import BadInput

CLOSERS = "\"'”’»)]}"
ENDS = ".!?…。！？।۔؟"
STOP = re.compile(
    rf"(?P<end>[.!?…]+[{re.escape(CLOSERS)}]*(?=\s|$)|[。！？।۔؟][{re.escape(CLOSERS)}]*)|(?P<gap>\n[^\S\n\f]*\n\s*)"
)
HEADING = re.compile(r"^(?:\d+(?:\.\d+)*\.?[^\S\n]+[A-Z][^.!?\n]{0,80}|Abstract|ABSTRACT)[^\S\n]*$", re.MULTILINE)
PAGE_NUMBER = re.compile(r"\s*\d{1,4}[^\S\n]*[\n\f]\s*")
SHORT = (
    "al e.g i.e cf vs viz etc fig figs eq eqs sec secs tab tabs ref refs no nos ch app appx dr prof mr mrs ms st approx"
    " resp w.r.t a.k.a ca incl esp ed eds vol pp p proc conf univ dept et jr sr jan feb aug sept oct nov dec"
)
ABBREVIATIONS = frozenset(SHORT.split())
OPEN = (
    "a an the this of and or nor to in on for with by that which who than from as is are was were not no if whether but"
)
OPEN_WORDS = frozenset(OPEN.split())  # after which neither a sentence nor a heading ends
LONGEST_BRACKET = 400  # characters: a bracket open for longer was never closed


@dataclass(frozen=True, order=True)
class Locator:
    """Where something stands: characters `start` to `end` of the part of a work whose text has this sha256."""

    work: str
    part: str
    sha256: str
    start: int
    end: int

    def __post_init__(self) -> None:
        if not self.work or not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise BadInput(
                f"locator of work '{self.work}', hash '{self.sha256}'; name a work, and a sha256 of its text"
            )
        if not 0 <= self.start < self.end:
            raise BadInput(f"locator of characters {self.start} to {self.end}; give 0 <= start < end")

    def read(self, document: Document) -> str:
        """Return the characters that the locator names; BadInput where the text is another one."""
        if document.sha256 != self.sha256 or self.end > len(document.text):
            raise BadInput(
                f"{self.work}, {self.part}: its text has sha256 {document.sha256[:12]}, not {self.sha256[:12]}; "
                "restore the text that was quoted"
            )
        return document.text[self.start : self.end]


@dataclass(frozen=True)
class Document:
    """The text of a part of a work ("abstract", "full text"), as it was fetched."""

    work: str
    part: str
    text: str

    @cached_property
    def sha256(self) -> str:
        """The digest of the text in UTF-8."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()

    def locator(self, start: int, end: int) -> Locator:
        """Return the locator of the characters from start to end."""
        if end > len(self.text):
            raise BadInput(f"{self.work}, {self.part}: {end} is past its {len(self.text)} characters")
        return Locator(self.work, self.part, self.sha256, start, end)


@dataclass(frozen=True)
class Sentence:
    """A sentence, or a heading, of a document: `text` is what stands there, line breaks and all."""

    document: str
    start: int
    end: int
    text: str

    @property
    def whole(self) -> bool:
        """Whether it ends as a sentence does; a heading does not, nor what a cut left over."""
        return is_whole(self.text)


def is_whole(text: str) -> bool:
    """Return whether a text ends as a sentence does: not in "…" or in "et al.", which may be where a cut was."""
    end = text.rstrip().rstrip(CLOSERS)
    short = end.endswith(".") and _last_word(end[-40:-1]) in ABBREVIATIONS - {"etc"}
    return end.endswith(tuple(ENDS)) and not end.endswith(("...", "…")) and not short


@lru_cache(maxsize=1 << 14)
def sentences(document: Document) -> tuple[Sentence, ...]:
    """Return the sentences in order; what is between them is white space only."""
    cuts = [*_cuts(document.text), len(document.text)]
    found, start = [], 0
    for cut in cuts:
        piece = document.text[start:cut]
        if piece.strip():
            left = start + len(piece) - len(piece.lstrip())
            right = start + len(piece.rstrip())
            found.append(Sentence(document.sha256, left, right, document.text[left:right]))
        start = cut
    return tuple(found)


def around(document: Document, start: int, end: int) -> tuple[str, str]:
    """Return the sentences before and after some characters, each on one line; "" where there is none."""
    before = "".join(one.text for one in [one for one in sentences(document) if one.end <= start][-1:])
    after = "".join(one.text for one in [one for one in sentences(document) if one.start >= end][:1])
    return " ".join(before.split()), " ".join(after.split())


def _cuts(text: str) -> Iterator[int]:
    """Yield the offsets at which a sentence ends."""
    headings = {edge for found in HEADING.finditer(text) for edge in _edges(text, found)}
    ends = {found.end(): found for found in STOP.finditer(text)}
    start = 0
    for cut in sorted(headings | ends.keys()):
        if cut in headings or _parts(text, start, ends[cut]):
            yield cut
            start = cut


def _edges(text: str, heading: re.Match[str]) -> tuple[int, ...]:
    """Return the two ends of a line that is a heading: a sentence begins behind it, and one ended before it."""
    before, after = text[: heading.start()].rstrip(), text[heading.end() :].lstrip()
    begins = not before or before.rstrip(CLOSERS).endswith(tuple(ENDS))
    return (heading.start(), heading.end()) if begins and after[:1].isupper() else ()


def _parts(text: str, start: int, stop: re.Match[str]) -> bool:
    """Return whether a full stop or an empty line ends what began at `start`."""
    if stop["gap"]:
        return not _goes_on(text, stop)
    return not (_is_abbreviation(text, stop) or _in_brackets(text[start : stop.end()]) or _is_lower(text, stop.end()))


def _goes_on(text: str, gap: re.Match[str]) -> bool:
    """Return whether a sentence goes on after an empty line, or around a page number between two."""
    page = PAGE_NUMBER.match(text, gap.end())
    before = re.sub(r"(^|\s)\d{1,4}$", "", text[max(0, gap.start() - 200) : gap.start()].rstrip()).rstrip()
    if is_whole(before):
        return False
    open_ended = _last_word(before) in OPEN_WORDS or before.endswith((",", ";", ":", "(", "-", "–", "—"))
    return open_ended or _is_lower(text, page.end() if page else gap.end())


def _is_lower(text: str, at: int) -> bool:
    """Return whether the next word is in lower case, as no sentence begins ("mBERT" is not)."""
    word = re.match(r"\s*([^\W_]+)", text[at : at + 60])
    return bool(word and word[1].islower())


def _is_abbreviation(text: str, stop: re.Match[str]) -> bool:
    """Return whether the full stop belongs to "et al.", "e.g.", "U.S." or an initial."""
    if stop["end"] != ".":
        return False
    last = _last_word(text[max(0, stop.start() - 40) : stop.start()])
    return last in ABBREVIATIONS or bool(re.fullmatch(r"[^\W\d_](\.[^\W\d_])*", last))


def _last_word(text: str) -> str:
    """Return what follows the last space or opening bracket, in lower case."""
    return re.split(r"[\s(\[\"“]", text)[-1].lower()


def _in_brackets(text: str) -> bool:
    """Return whether a bracket is open at the end of the text, and not for too long."""
    open_at: list[int] = []
    for at, character in enumerate(text):
        if character in "([":
            open_at.append(at)
        elif character in ")]" and open_at:
            open_at.pop()
    return any(len(text) - at < LONGEST_BRACKET for at in open_at)
