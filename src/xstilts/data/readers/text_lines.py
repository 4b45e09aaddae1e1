r"""Text lines: the numbered lines of a UTF-8 text file, with its byte order mark and Windows line ends repaired.

Only "\n" ends a line: the other characters that Python's `splitlines` knows (U+2028, U+0085, form feed) occur inside
sentences and would tear them apart.
"""

from __future__ import annotations

from collections.abc import Iterator

from xstilts.data.readers.row import Input, Report, bad
from xstilts.data.readers.tar_members import DAMAGED, opened

MARK = b"\xef\xbb\xbf"
LONGEST = 2**29  # bytes of a line; a whole document of SQuAD's is one of 50 million


# Beginnings of files that are no text: what they are, and what to do.
BINARY = (
    (b"PK\x03\x04", "a zip archive or a spreadsheet", "save the table as CSV (UTF-8), or unpack it"),
    (b"\x1f\x8b", "a gzip file", "unpack it with `gunzip`"),
    (b"BZh", "a bzip2 file", "unpack it with `bunzip2`"),
    (b"\xfd7zXZ\x00", "an xz file", "unpack it with `unxz`"),
    (b"(\xb5/\xfd", "a zstd file", "unpack it with `unzstd`"),
    (b"\xff\xfe", "UTF-16", "convert it with `iconv -f utf-16 -t utf-8`"),
    (b"\xfe\xff", "UTF-16", "convert it with `iconv -f utf-16 -t utf-8`"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet or document", "save the table as CSV (UTF-8)"),
    (b"%PDF", "a PDF", "save its text in a text file (UTF-8)"),
)


def refuse_binary(start: bytes, name: str, parquet: bool = False) -> None:
    """Raise InputError where the first bytes of a file show that it is no text.

    Args:
        start: The first bytes.
        name: Of the file, for the message.
        parquet: Whether Parquet is read too.
    """
    for magic, what, remedy in BINARY:
        if start.startswith(magic):
            raise bad(name, f"expected a text file, found {what}", remedy)
    if start.startswith(b"PAR1") and not parquet:
        raise bad(name, "expected a text file, found Parquet", "save the rows as JSON lines (UTF-8)")


def refuse_long(raw: bytes, place: str) -> None:
    """Raise InputError for a line that is too long to be one, before the rest of it is read."""
    if len(raw) > LONGEST:
        problem = f"expected a line of at most {LONGEST:,} bytes, found a longer one"
        raise bad(place, problem, "is this a text file? its line ends may be damaged: get the file again")


def lines(file: Input, report: Report) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, line without its end); count byte order marks and CRLF as repairs.

    Raises InputError, with line and byte, where the text is not UTF-8, a line is endless or an archive is damaged.
    """
    number = 0
    with opened(file.path) as stream:
        try:
            while raw := stream.readline(LONGEST + 1):
                number += 1
                place = f"{file.name}:{number}"
                refuse_long(raw, place)
                if number == 1 and raw.startswith(MARK):
                    report.note("repaired: byte order mark", place)
                    raw = raw.removeprefix(MARK)
                if raw.endswith(b"\r\n"):
                    report.note("repaired: Windows line end", place)
                yield number, _decoded(raw.removesuffix(b"\n").removesuffix(b"\r"), place)
        except DAMAGED as error:
            problem = f"expected more of the archive, found an error: {error}"
            raise bad(f"{file.name}:{number + 1}", problem, "the archive is cut or damaged: get it again") from None


def _decoded(raw: bytes, place: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        problem = f"expected UTF-8, found byte 0x{raw[error.start]:02x} at byte {error.start + 1} of the line"
        raise bad(place, problem, "convert the file with `iconv -f ITS-ENCODING -t utf-8`") from None
