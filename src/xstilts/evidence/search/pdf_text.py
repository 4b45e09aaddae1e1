"""Text of PDF files, page by page.

Nothing is repaired: ligatures, hyphens at line ends and page numbers stay, so that a quote can be found again at its
offsets. A broken or hostile file gives None.

>>> extract_text(b"not a PDF") is None
True
"""

from __future__ import annotations

import io
import logging

MAX_BYTES, MAX_PAGES, MAX_CHARACTERS = 40 << 20, 300, 5_000_000


def extract_text(content: bytes) -> str | None:
    """Return the text of a PDF, with a form feed between pages.

    Args:
        content: The file's bytes.

    Returns:
        At most `MAX_CHARACTERS` characters; None if the file is too large, unreadable or holds no text.
    """
    if len(content) > MAX_BYTES or not content.lstrip()[:5].startswith(b"%PDF"):
        return None
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it warns of every flaw of a file
    try:
        text = "\f".join(_pages(content))
    except Exception:  # pypdf raises any exception for a broken file
        return None
    return storable_text(text) if text.strip() else None


def storable_text(text: str) -> str:
    """Return the first `MAX_CHARACTERS` of a text without NUL and lone surrogates, which files and programs refuse."""
    return text[:MAX_CHARACTERS].replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


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
