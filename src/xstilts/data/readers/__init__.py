"""Readers: one function for each file format, from files to rows with their place.

Byte order marks and Windows line ends are repaired and counted. What cannot be repaired without guessing (a truncated
line, a missing column, text that is not UTF-8) is an InputError with the file, the line and a remedy. No row is left
out without being counted.

>>> sorted(FORMATS)[:4]
['aligned', 'auto', 'bible', 'bitext']
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from xstilts.data.readers.bible_xml import bible
from xstilts.data.readers.bitext import bitext, bitext_parquet
from xstilts.data.readers.ccg_auto import auto
from xstilts.data.readers.conll import conllu, tagged
from xstilts.data.readers.delimited import aligned, csv, jsonl, text, tsv
from xstilts.data.readers.json_rows import json_rows
from xstilts.data.readers.mewslix import mewslix, mewslix_hub, mewslix_pairs
from xstilts.data.readers.parquet import parquet
from xstilts.data.readers.row import Input, Options, Report, Row
from xstilts.data.readers.squad_json import squad
from xstilts.data.readers.tar_members import container, matching
from xstilts.data.readers.text_lines import lines
from xstilts.data.readers.xquad_r import squad_pairs, xquad_r

__all__ = ["FORMATS", "Input", "Options", "Report", "Row", "container", "lines", "matching", "read"]

Reader = Callable[[Sequence[Input], Options, Report], Iterator[Row]]

FORMATS: dict[str, Reader] = {
    reader.__name__: reader
    for reader in (
        *(
            aligned,
            auto,
            bible,
            bitext,
            bitext_parquet,
            conllu,
            csv,
            json_rows,
            jsonl,
            mewslix,
            mewslix_hub,
            mewslix_pairs,
            parquet,
            squad,
        ),
        *(squad_pairs, tagged, text, tsv, xquad_r),
    )
}


def read(format: str, files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Yield the rows of files, one file after the other.

    Args:
        format: Name of the file format, a key of `FORMATS`.
        files: The files.
        options: Options of the reader, which its function lists.
        report: Counts what was repaired, dropped or noted.

    Raises:
        InputError: A file is damaged or in another format; the message has file and line.
    """
    return FORMATS[format](files, options, report)
