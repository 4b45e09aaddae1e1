r"""Text lines: the numbered lines of a UTF-8 text file, with its byte order mark and Windows line ends repaired.

Only "\n" ends a line: the other characters that Python's `splitlines` knows (U+2028, U+0085, form feed) occur inside
sentences and would tear them apart.
"""

from __future__ import annotations

from collections.abc import Iterator

from xstilts.data.readers.row import Input, Report, bad
from xstilts.data.readers.tar_members import DAMAGED, opened

MARK = b"\xef\xbb\xbf"


def lines(file: Input, report: Report) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, line without its end); count byte order marks and CRLF as repairs.

    Raises InputError, with line and byte, where the text is not UTF-8 or an archive is damaged.
    """
    number = 0
    with opened(file.path) as stream:
        try:
            for number, raw in enumerate(stream, 1):
                place = f"{file.name}:{number}"
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
