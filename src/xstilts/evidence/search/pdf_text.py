"""Text of PDF files, page by page.

Nothing is repaired: ligatures, hyphens at line ends and page numbers stay as they are printed, but footnotes and tables
are set apart from the sentences that they interrupt (`pdf_layout`). A broken or hostile file gives None. Text files are
read in the usual encodings of Unicode and of Western languages; others are not guessed.

>>> extract_text(b"not a PDF") is None
True
"""

from __future__ import annotations

import codecs
import io
import logging

from xstilts.evidence.search.pdf_layout import set_apart

MAX_BYTES, MAX_PAGES, MAX_CHARACTERS = 40 << 20, 300, 5_000_000
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WESTERN_SIGNS = frozenset("“”‘’–—…•§°±×÷«»©®™€£¥µ¡¿\u00a0")
MOST_FOREIGN = 0.15  # share of letters beyond ASCII in a text of a Western language


def extract_text(content: bytes) -> str | None:
    """Return the text of a PDF, with a form feed between pages, and before its footnotes and tables.

    Args:
        content: The file's bytes.

    Returns:
        At most `MAX_CHARACTERS` characters; None if the file is too large, unreadable or holds no text.
    """
    if len(content) > MAX_BYTES or not content.lstrip()[:5].startswith(b"%PDF"):
        return None
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it warns of every flaw of a file
    try:
        text = set_apart(_pages(content))
    except Exception:  # pypdf raises any exception for a broken file
        return None
    return storable_text(text) if text.strip() else None


def storable_text(text: str) -> str:
    """Return the first `MAX_CHARACTERS` of a text without NUL and lone surrogates, which files and programs refuse."""
    return text[:MAX_CHARACTERS].replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def decode(content: bytes) -> str | None:
    """Return the text of a file in UTF-8, UTF-16, UTF-32 or Windows-1252.

    Args:
        content: The file's bytes.

    Returns:
        Its text; None in an unknown encoding, where a guess would change letters.
    """
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return _strict(content, encoding)
    zeros = [content[start:2000:2].count(0) for start in (0, 1)]
    if max(zeros) > len(content[:2000]) / 8:  # half of the bytes of Latin text in UTF-16 are zero
        return _strict(content, "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le")
    text = _strict(content, "utf-8")
    return text if text is not None else _western(content)


def _strict(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def _western(content: bytes) -> str | None:
    """Return a text in Windows-1252; None if it does not read as one, as Cyrillic or Japanese in other encodings."""
    text = _strict(content, "cp1252") or ""
    foreign = [(place, letter) for place, letter in enumerate(text) if not letter.isascii()]
    likely = sum(letter in WESTERN_SIGNS or _beside_letters(text, place) for place, letter in foreign)
    return text if text and len(foreign) < MOST_FOREIGN * len(text) and likely == len(foreign) else None


def _beside_letters(text: str, place: int) -> bool:
    """Return whether an accented letter stands in a word of plain ones, of which at least one is its neighbour."""
    around = text[max(0, place - 1) : place] + text[place + 1 : place + 2]
    return text[place].isalpha() and any(letter.isascii() and letter.isalpha() for letter in around)


def _pages(content: bytes) -> list[str]:
    from pypdf import PdfReader

    pages: list[str] = []
    size = 0
    for page in PdfReader(io.BytesIO(content), strict=False).pages[:MAX_PAGES]:
        pages.append(page.extract_text())
        size += len(pages[-1])
        if size > MAX_CHARACTERS:
            break
    return pages
