"""Fonts of the extra `pdf`, and the characters that they cover; fonts of the machine are not used.

So a PDF is the same on every machine, and missing characters are known beforehand: an empty glyph would be extracted as
NUL. Shobhika covers Devanagari, FiraGO Latin, Greek, Cyrillic, Arabic, Hebrew, Thai and Georgian, IPAexGothic Japanese,
Noto symbols.

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

BODY = "Libertinus Serif"  # typst's default, used for every character that it covers
FONT_DISTRIBUTIONS = {
    "devanagari-fonts": "Shobhika",
    "matplotlib-fontja": "IPAexGothic",
}  # distribution -> font family
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
    """Return whether all packages of the extra `pdf` are installed."""
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
    """Return a temporary folder with the fonts, which exists as long as the process.

    Returns:
        The folder, and the files in it.
    """
    from pymupdf_fonts import fontbuffers

    directory = tempfile.TemporaryDirectory(prefix="xstilts-fonts-")
    fonts = {f"{name}.ttf": fontbuffers[name]() for names in PYMUPDF_FONTS.values() for name in names}
    for distribution in FONT_DISTRIBUTIONS:
        files = [file for file in metadata.files(distribution) or () if file.suffix in (".otf", ".ttf")]
        fonts |= {file.name: Path(str(file.locate())).read_bytes() for file in files}
    for name, font in fonts.items():
        (Path(directory.name) / name).write_bytes(font)
    return directory, tuple(sorted(Path(directory.name).iterdir()))


@cache
def code_points() -> frozenset[int]:
    """Return the code points that any of the fonts covers."""
    from fontTools.ttLib import TTFont

    covered: set[int] = set(map(ord, "\t\n"))
    for path in font_folder()[1]:
        with TTFont(io.BytesIO(path.read_bytes()), lazy=True) as font:
            covered |= set(font.getBestCmap())
    return frozenset(covered)


def replace_missing(text: str) -> str:
    """Return a text with a replacement character for each one that no font covers."""
    return "".join(character if ord(character) in code_points() else REPLACEMENT for character in text)


def missing_scripts(text: str) -> tuple[str, ...]:
    """Return the scripts of the characters that no font covers."""
    return scripts("".join(set(text) - set(replace_missing(text))))


def scripts(text: str) -> tuple[str, ...]:
    """Return the scripts of a text other than Latin, as Unicode names them."""
    names = {unicodedata.name(character, "unnamed").split()[0].capitalize() for character in text if character > "\x7f"}
    return tuple(sorted(names - {"Latin"}))


def is_right_to_left(text: str) -> bool:
    """Return whether a text is set from right to left, judged by its first directional character."""
    directions = (unicodedata.bidirectional(character) for character in text)
    return next((direction != "L" for direction in directions if direction in ("L", "R", "AL")), False)
