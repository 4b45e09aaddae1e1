"""Minimal PDF writer that sets text as papers do: narrow lines, page numbers, optional ligatures and hyphens.

Every character has its own code and an entry in the map back to Unicode, so that text in any script can be extracted.
No font is embedded: the file is for extraction, not for viewing.

>>> text_to_pdf("Fine.")[:8]
b'%PDF-1.7'
"""

from __future__ import annotations

import re
from collections.abc import Iterator

COLUMNS, ROWS = 72, 50
LIGATURES = {"ffi": "ﬃ", "ffl": "ﬄ", "ff": "ﬀ", "fi": "ﬁ", "fl": "ﬂ"}
CMAP = """/CIDInit /ProcSet findresource begin 12 dict begin begincmap
/CMapName /Stub def /CMapType 2 def 1 begincodespacerange <0000> <FFFF> endcodespacerange
{maps}endcmap CMapName currentdict /CMap defineresource pop end end"""


def text_to_pdf(text: str, ligatures: bool = False) -> bytes:
    """Return a text as a PDF file.

    Args:
        text: The text.
        ligatures: Whether to set ligatures and to hyphenate long words at line ends.

    Returns:
        The bytes of the file.
    """
    if ligatures:
        text = re.sub("|".join(LIGATURES), lambda match: LIGATURES[match.group()], text)
    lines = [line for paragraph in text.split("\n") for line in _wrapped(paragraph, ligatures)]
    sheets = [lines[start : start + ROWS] for start in range(0, max(len(lines), 1), ROWS)]
    codes = {character: code for code, character in enumerate(sorted({*text, *"-0123456789 "}), start=1)}
    return _file(list(_objects([_drawn(sheet, number, codes) for number, sheet in enumerate(sheets, 1)], codes)))


def _wrapped(paragraph: str, hyphens: bool) -> Iterator[str]:
    line = ""
    for word in paragraph.split(" "):
        room = COLUMNS - len(line) - 1
        if len(word) <= room or not line:
            line = f"{line} {word}" if line else word
        elif hyphens and 4 <= room - 1 <= len(word) - 3 and word[: room - 1].isalpha() and word[room - 1].isalpha():
            yield f"{line} {word[: room - 1]}-"
            line = word[room - 1 :]
        else:
            yield line
            line = word
    yield line


def _drawn(lines: list[str], number: int, codes: dict[str, int]) -> bytes:
    """Return the content stream of a page: its lines, with the page number at the foot."""
    operators = [
        f"<{''.join(f'{codes[character]:04X}' for character in line)}> Tj T*" for line in [*lines, "", str(number)]
    ]
    return "\n".join(["BT /F 9 Tf 12 TL 60 780 Td", *operators, "ET"]).encode()


def _objects(streams: list[bytes], codes: dict[str, int]) -> Iterator[bytes]:
    """Yield the objects of a file: catalogue, pages, the font and its map, then two for each page."""
    kids = " ".join(f"{7 + 2 * place} 0 R" for place in range(len(streams)))
    yield b"<< /Type /Catalog /Pages 2 0 R >>"
    yield f"<< /Type /Pages /Kids [{kids}] /Count {len(streams)} >>".encode()
    yield (
        b"<< /Type /Font /Subtype /Type0 /BaseFont /Stub /Encoding /Identity-H /DescendantFonts [4 0 R] "
        b"/ToUnicode 6 0 R >>"
    )
    yield (
        b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Stub /FontDescriptor 5 0 R /DW 500 "
        b"/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>"
    )
    yield (
        b"<< /Type /FontDescriptor /FontName /Stub /Flags 4 /FontBBox [0 0 500 700] /ItalicAngle 0 /Ascent 700 "
        b"/Descent 0 /CapHeight 700 /StemV 80 >>"
    )
    yield _stream(CMAP.format(maps=_maps(codes)).encode())
    for place, stream in enumerate(streams):
        yield (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {8 + 2 * place} 0 R "
            "/Resources << /Font << /F 3 0 R >> >> >>"
        ).encode()
        yield _stream(stream)


def _maps(codes: dict[str, int]) -> str:
    pairs = [f"<{code:04X}> <{character.encode('utf-16-be').hex().upper()}>" for character, code in codes.items()]
    blocks = [pairs[start : start + 100] for start in range(0, len(pairs), 100)]
    return "".join(f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar\n" for block in blocks)


def _stream(content: bytes) -> bytes:
    return b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)


def _file(objects: list[bytes]) -> bytes:
    """Return objects as a file with its cross-reference table."""
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(places) + 1, table)
    return bytes(out + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(places) + 1, start))
