"""Bible XML: the XML of the Parallel Bible Corpus (Christodouloupoulos & Steedman 2015), one `<seg>` a verse.

A verse's id (`b.MAT.1.1`) is the same in all languages, so that verses can be put side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.parsers.expat import ExpatError, ParserCreate

from xstilts.data.readers.row import Input, Options, Report, Row, bad
from xstilts.data.readers.text_lines import lines


def bible(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read verses: id and text; verses without text are left out and counted."""
    for file in files:
        for number, verse, text in _segments(file, report):
            if text:
                yield Row(f"{file.name}:{number}", {"id": verse, "text": text})
            else:
                report.note("dropped: verse without text", f"{file.name}:{number}")


def _segments(file: Input, report: Report) -> list[tuple[int, str, str]]:
    found: list[tuple[int, str, list[str]]] = []
    inside = False
    parser = ParserCreate("utf-8")

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal inside
        if name == "seg":
            inside = True
            found.append((parser.CurrentLineNumber, attributes.get("id", ""), []))

    def end(name: str) -> None:
        nonlocal inside
        inside = inside and name != "seg"

    def characters(text: str) -> None:
        if inside:
            found[-1][2].append(text)

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    try:
        parser.Parse("\n".join(line for _, line in lines(file, report)), True)
    except ExpatError as error:
        problem = f"expected XML, found an error at column {error.offset + 1}"
        raise bad(f"{file.name}:{error.lineno}", problem, "the file is cut or damaged: get it again") from None
    return [(number, verse, " ".join("".join(parts).split())) for number, verse, parts in found]
