"""Documents, their sentences by character offset, and locators that are bound to a text's digest.

Sentences are never cut short. Where the splitter is in doubt it joins: too long a quote only costs a match, but half a
sentence may say the opposite. So "et al. We find" stays one sentence, and so does text in brackets or quotation marks.
A line break or the end of a page ends no sentence. An empty line does, unless the text continues in lower case; what
follows it is a whole sentence only if a whole sentence or a heading precedes it.

>>> document = Document("doc:made-up", "abstract", "We follow Doe et al. (2019). Scores rise by 1.5 points.")
>>> [sentence.text for sentence in sentences(document)]
['We follow Doe et al. (2019).', 'Scores rise by 1.5 points.']
>>> document.locator(29, 55).read(document)
'Scores rise by 1.5 points.'
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from xstilts.errors import InputError

CLOSERS = "\"'”’»)]}"
ENDS = ".!?…。！？।۔؟"
# Runs of stops, and numbers, are begun at their first character alone: time grows with the length of a text, no faster.
STOP = re.compile(
    rf"(?P<end>(?<![.!?…])[.!?…]++[{re.escape(CLOSERS)}]*+(?=\s|$)|[。！？।۔؟][{re.escape(CLOSERS)}]*)|(?P<gap>\n[^\S\n\f]*\n\s*)"
)
HEADING = re.compile(r"^(?:\d+(?:\.\d+)*\.?[^\S\n]+[A-Z][^.!?\n]{0,80}|Abstract|ABSTRACT)[^\S\n]*$", re.MULTILINE)
NUMBERED = re.compile(r"(?:(?<!\d)(?<!\d\.)\d++(?:\.\d+)*\.?|[IVX]+\.|[A-H](?:\.\d+)+\.?|[A-H]\.)\s+(?=\S)")
SPACE = re.compile(r"\s")
LONGEST_SENTENCE = 10_000  # characters: of a table without stops, or of a text that is none
PAGE_NUMBER = re.compile(r"\s*\d{1,4}[^\S\n]*[\n\f]\s*")
SHORT = (
    "al e.g i.e cf vs viz etc fig figs eq eqs sec secs tab tabs ref refs no nos ch app appx dr prof mr mrs ms st approx"
    " resp w.r.t a.k.a ca incl esp ed eds vol pp p proc conf univ dept et jr sr jan feb aug sept oct nov dec"
    " tbl tbls alg algs def defs thm thms lem prop props cor rem obs ex cond hyp std avg max min acc inc ltd corp suppl"
    " supp para col cols subsec ann ver lit"
)
ABBREVIATIONS = frozenset(SHORT.split())
OPEN = (
    "a an the this of and or nor to in on for with by that which who than from as is are was were not no if whether but"
    " when while because since although unless until before after where unlike without via per between into so"
)
OPEN_WORDS = frozenset(OPEN.split())  # neither a sentence nor a heading ends after these
CLAUSE = re.compile(  # words of a sentence that no heading has: a subject, an auxiliary, a verb of saying
    r"\b(?:we|it|they|i|you|nobody|none|no one|neither|never|cannot|could|would|should|must|may|might|can|will|has|have"
    r"|had|do|does|did|is|are|was|were|be|not|fail\w*|show\w*|find\w*|found|confirm\w*|claim\w*|think\w*|thought"
    r"|believ\w*|doubt\w*|den(?:y|ies|ied)|refut\w*|reject\w*|contradict\w*|disput\w*|report\w*|stat(?:es|ed)|sa(?:y|ys|id)"
    r"|argu\w*|conclud\w*|assum\w*|expect\w*|suggest\w*|demonstrat\w*|prov(?:e|es|ed)|indicat\w*|reveal\w*|observ(?:e|es|ed)"
    r"|hypothes\w*|wonder\w*|suppos\w*|guess\w*)\b|n['’]t\b",
    re.IGNORECASE,
)
SMALL = re.compile(r"(?:a|an|the|of|and|or|to|in|on|for|with|by|from|as|at|via|vs|than|between|into)\Z")
BEGUN = "unlike contrary despite although though while when whereas if unless because since in for with without against"
FRONT = frozenset(BEGUN.split())  # an unnumbered line that begins with one of these is no heading
KNOWN = re.compile(  # usual names of sections
    r"(?:Abstract|Summary|Introduction|Background|Related work|Previous work|Methods?|Methodology|Approach|Models?|Data"
    r"|Datasets?|Tasks?|Experiments?|Experimental (?:setup|settings?|details)|Setup|Training details|Results?"
    r"|Main results|Results and (?:discussion|analysis)|Analysis|Discussion|Limits|Limitations|Conclusions?"
    r"|Discussion and conclusions?|Future work|Ethics statement|Acknowledge?ments?|References|Appendix)\Z"
)
LONGEST_BRACKET = 400  # characters: a bracket open for longer was never closed
LONGEST_HEADING = 150


@dataclass(frozen=True, order=True)
class Locator:
    """A span of characters in a text that is identified by its digest.

    Attributes:
        work: Id of the work.
        part: Part of the work ("abstract", "full text").
        sha256: Digest of the part's text.
        start: Offset of the first character.
        end: Offset after the last character.

    Raises:
        InputError: The work is empty, the digest malformed, or the span empty.
    """

    work: str
    part: str
    sha256: str
    start: int
    end: int

    def __post_init__(self) -> None:
        if not self.work or not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise InputError(
                f"locator of work '{self.work}', hash '{self.sha256}'; name a work, and a sha256 of its text"
            )
        if not 0 <= self.start < self.end:
            raise InputError(f"locator of characters {self.start} to {self.end}; give 0 <= start < end")

    def read(self, document: Document) -> str:
        """Return the characters of the span.

        Raises:
            InputError: The document's text is not the one that was located.
        """
        if document.sha256 != self.sha256 or self.end > len(document.text):
            raise InputError(
                f"{self.work}, {self.part}: its text has sha256 {document.sha256[:12]}, not {self.sha256[:12]}; "
                "restore the text that was quoted"
            )
        return document.text[self.start : self.end]


@dataclass(frozen=True)
class Document:
    """The text of a part of a work.

    Attributes:
        work: The id of the work.
        part: "abstract" or "full text".
        text: The text, as it was fetched.
    """

    work: str
    part: str
    text: str

    @cached_property
    def sha256(self) -> str:
        """Digest of the text in UTF-8."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()

    def locator(self, start: int, end: int) -> Locator:
        """Return the locator of a span of characters.

        Args:
            start: The first character.
            end: The character after the last.

        Returns:
            The locator, which names the text by its digest.

        Raises:
            InputError: The span ends after the text.
        """
        if end > len(self.text):
            raise InputError(f"{self.work}, {self.part}: {end} is past its {len(self.text)} characters")
        return Locator(self.work, self.part, self.sha256, start, end)


@dataclass(frozen=True)
class Sentence:
    """A sentence, or a heading, of a document.

    Attributes:
        document: Digest of the document's text.
        start: Offset of the first character.
        end: Offset after the last character.
        text: The characters, with line breaks.
        begins: Whether the text before it ended, so that it is not the rest of a longer sentence.
    """

    document: str
    start: int
    end: int
    text: str
    begins: bool = True

    @property
    def whole(self) -> bool:
        """Whether it begins and ends as a sentence does; headings and fragments do not."""
        return self.begins and is_whole(self.text)


def is_whole(text: str) -> bool:
    """Return whether a text ends as a sentence does; "…" and "et al." do not count, as a cut may be there."""
    end = text.rstrip().rstrip(CLOSERS)
    short = end.endswith(".") and _last_word(end[-40:-1]) in ABBREVIATIONS - {"etc"}
    return end.endswith(tuple(ENDS)) and not end.endswith(("...", "…")) and not short


def is_heading(text: str, first: bool = False) -> bool:
    """Return whether a text is a heading: numbered, a usual section name, or in title case.

    Args:
        text: Text between two sentence boundaries.
        first: Whether it begins its document, where a title may be in lower case.

    Returns:
        Whether it is one.
    """
    line_text = " ".join(text.split())
    bare = NUMBERED.sub("", line_text, count=1) if len(line_text) <= 2 * LONGEST_HEADING else line_text
    if KNOWN.match(bare.capitalize()) or re.fullmatch(r"#+ .+", text.strip()):
        return True
    if (
        not bare[:1].isalnum()
        or len(line_text) > LONGEST_HEADING
        or _last_word(bare) in OPEN_WORDS
        or bare[-1] in ",;:-–—"
    ):
        return False
    numbered, is_one_line = bare != line_text, "\n" not in text.strip()
    if not numbered and bare.split()[0].lower() in FRONT:
        return False
    return _is_titled(bare) or ((first or numbered) and is_one_line and not CLAUSE.search(bare))


@lru_cache(maxsize=1 << 14)
def sentences(document: Document) -> tuple[Sentence, ...]:
    """Return the sentences of a document in order; between them is white space only."""
    cuts = _shorter(document.text, [*_boundaries(document.text), len(document.text)])
    result: list[Sentence] = []
    start, begins = 0, True
    for cut in cuts:
        piece = document.text[start:cut]
        if bare := piece.strip():
            first = start + len(piece) - len(piece.lstrip())
            result.append(Sentence(document.sha256, first, first + len(bare), bare, begins))
            if not re.fullmatch(r"\d{1,4}", bare):  # a page number neither ends nor begins a sentence
                begins = is_whole(bare) or is_heading(bare, len(result) == 1)
        start = cut
    return tuple(result)


def context_sentences(document: Document, start: int, end: int) -> tuple[str, str]:
    """Return the sentences before and after a span.

    Args:
        document: The document.
        start: The first character of the span.
        end: The character after its last.

    Returns:
        Both sentences, each on one line; "" where there is none.
    """
    before = "".join(
        sentence.text for sentence in [sentence for sentence in sentences(document) if sentence.end <= start][-1:]
    )
    after = "".join(
        sentence.text for sentence in [sentence for sentence in sentences(document) if sentence.start >= end][:1]
    )
    return " ".join(before.split()), " ".join(after.split())


def _shorter(text: str, cuts: Sequence[int]) -> Iterator[int]:
    """Yield the ends of sentences, and more in white space where one is longer than any real one."""
    start = 0
    for cut in cuts:
        while cut - start > LONGEST_SENTENCE and (space := SPACE.search(text, start + LONGEST_SENTENCE, cut)):
            start = space.end()
            yield start
        yield cut
        start = cut


def _boundaries(text: str) -> Iterator[int]:
    """Yield the offsets at which a sentence ends."""
    headings = {edge for match in HEADING.finditer(text) for edge in _edges(text, match)}
    ends = {match.end(): match for match in STOP.finditer(text)}
    start = 0
    for cut in sorted(headings | ends.keys()):
        if cut in headings or _is_boundary(text, start, ends[cut]):
            yield cut
            start = cut


def _edges(text: str, heading: re.Match[str]) -> tuple[int, ...]:
    """Return the two ends of a heading's line if it is one between sentences, else nothing."""
    before = text[max(0, heading.start() - LONGEST_BRACKET) : heading.start()].rstrip()
    after = text[heading.end() : heading.end() + LONGEST_BRACKET].lstrip()
    begins = not before or before.rstrip(CLOSERS).endswith(tuple(ENDS)) or heading[0].strip().lower() == "abstract"
    return (heading.start(), heading.end()) if begins and after[:1].isupper() and is_heading(heading[0]) else ()


def _is_boundary(text: str, start: int, stop: re.Match[str]) -> bool:
    """Return whether a full stop or an empty line ends the sentence that began at `start`; an ellipsis does not."""
    if stop["gap"]:
        return not _continues(text, stop)
    left_out = re.search(r"\.\.|…", text[max(start, stop.start() - 4) : stop.end()])
    if left_out or _is_abbreviation(text, start, stop) or _is_lower(text, stop.end()):
        return False
    return not _in_brackets(text[max(start, stop.end() - LONGEST_BRACKET) : stop.end()])


def _continues(text: str, gap: re.Match[str]) -> bool:
    """Return whether a sentence continues after an empty line, or around a page number between two."""
    page = PAGE_NUMBER.match(text, gap.end())
    before = re.sub(r"(^|\s)\d{1,4}$", "", text[max(0, gap.start() - 200) : gap.start()].rstrip()).rstrip()
    if is_whole(before):
        return False
    open_ended = _last_word(before) in OPEN_WORDS or before.endswith((",", ";", ":", "(", "-", "–", "—"))
    return open_ended or _is_lower(text, page.end() if page else gap.end())


def _is_lower(text: str, at: int) -> bool:
    """Return whether the next word is in lower case, as no sentence begins (but "mBERT" may)."""
    word = re.match(r"\s*([^\W_]+)", text[at : at + 60])
    return bool(word and word[1].islower())


def _is_abbreviation(text: str, start: int, stop: re.Match[str]) -> bool:
    """Return whether the full stop belongs to "et al.", "e.g.", "U.S.", an initial, or the number of a list's item."""
    if stop["end"] != ".":
        return False
    before = text[max(start, stop.start() - 40) : stop.start()]
    last = _last_word(before)
    if re.fullmatch(r"\d{1,2}|[ivx]{1,4}", last):
        lead = before[: len(before) - len(last)].rstrip()
        return not lead or lead.endswith((":", ";", ",", "(", "–", "—"))
    return last in ABBREVIATIONS or bool(re.fullmatch(r"[^\W\d_](\.[^\W\d_])*", last))


def _last_word(text: str) -> str:
    """Return what follows the last space or opening bracket, in lower case."""
    return re.split(r"[\s(\[\"“]", text)[-1].lower()


def _in_brackets(text: str) -> bool:
    """Return whether a bracket or quotation is still open at the end of a text, judged by its last characters."""
    open_at = 0
    for bracket in re.findall(r"[()[\]“”]", text):
        open_at = open_at + 1 if bracket in "([“" else max(0, open_at - 1)
    return open_at > 0


def _is_titled(text: str) -> bool:
    """Return whether all words but short ones are capitalised, and at least one is not an acronym."""
    words = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", text)
    capital = all(word[0].isupper() or SMALL.match(word) or not word[0].isalpha() for word in words)
    capitalised = [word for word in words if len(word) > 2 and word.istitle()]
    return capital and bool(capitalised or (len(words) > 1 and text.isupper()))
