"""Fonts: those that the extra `pdf` installs, and the letters that they have; a machine's own fonts are not asked.

So a PDF is the same on every machine, and what cannot be set is known before: an empty glyph would be read as NUL.
Shobhika has Devanagari, FiraGO Latin, Greek, Cyrillic, Arabic, Hebrew, Thai and Georgian letters, IPAexGothic those of
Japanese, Noto the signs.

>>> scripts("a 한국 த")
('Hangul', 'Tamil')
"""

from __future__ import annotations

import io
import tempfile
import unicodedata
from functools import cache
from importlib import metadata
from pathlib import Path

BODY = "Libertinus Serif"  # typst's own, in which all is set that it has
FONT_DISTRIBUTIONS = {
    "devanagari-fonts": "Shobhika",
    "matplotlib-fontja": "IPAexGothic",
}  # distribution -> the family in its files
PYMUPDF_FONTS = {  # family -> its fonts in pymupdf-fonts
    "FiraGO": ("figo", "figbo"),
    "Noto Sans": ("notos", "notosbo"),
    "Noto Sans Math": ("math",),
    "Noto Sans Symbols": ("symbol1",),
    "Noto Sans Symbols2": ("symbol2",),
}
FAMILIES = (BODY, "Shobhika", *PYMUPDF_FONTS, "IPAexGothic")
REPLACEMENT = "\ufffd"


def installed() -> bool:
    """Return whether the extra is there in whole."""
    try:
        import fontTools  # noqa: F401
        import pymupdf_fonts  # noqa: F401
        import typst  # noqa: F401

        for name in FONT_DISTRIBUTIONS:
            metadata.version(name)
    except (ImportError, metadata.PackageNotFoundError):
        return False
    return True


@cache
def font_folder() -> tuple[tempfile.TemporaryDirectory[str], tuple[Path, ...]]:
    """Return a folder of this process, which lasts as long as it does, and the fonts in it."""
    from pymupdf_fonts import fontbuffers

    kept = tempfile.TemporaryDirectory(prefix="xstilts-fonts-")
    found = {f"{name}.ttf": fontbuffers[name]() for names in PYMUPDF_FONTS.values() for name in names}
    for distribution in FONT_DISTRIBUTIONS:
        files = [one for one in metadata.files(distribution) or () if one.suffix in (".otf", ".ttf")]
        found |= {one.name: Path(str(one.locate())).read_bytes() for one in files}
    for name, font in found.items():
        (Path(kept.name) / name).write_bytes(font)
    return kept, tuple(sorted(Path(kept.name).iterdir()))


@cache
def code_points() -> frozenset[int]:
    """Return the code points that one of the fonts has."""
    from fontTools.ttLib import TTFont

    found: set[int] = set(map(ord, "\t\n"))
    for path in font_folder()[1]:
        with TTFont(io.BytesIO(path.read_bytes()), lazy=True) as font:
            found |= set(font.getBestCmap())
    return frozenset(found)


def replace_missing(text: str) -> str:
    """Return a text with a sign for each letter that no font has."""
    return "".join(letter if ord(letter) in code_points() else REPLACEMENT for letter in text)


def missing_scripts(text: str) -> tuple[str, ...]:
    """Return the scripts of the letters that no font has."""
    return scripts("".join(set(text) - set(replace_missing(text))))


def scripts(text: str) -> tuple[str, ...]:
    """Return the scripts of a text other than Latin, as Unicode names them."""
    found = {unicodedata.name(letter, "unnamed").split()[0].capitalize() for letter in text if letter > "\x7f"}
    return tuple(sorted(found - {"Latin"}))


def is_right_to_left(text: str) -> bool:
    """Return whether a text runs from right to left: whether its first letter does."""
    ways = (unicodedata.bidirectional(letter) for letter in text)
    return next((way != "L" for way in ways if way in ("L", "R", "AL")), False)
