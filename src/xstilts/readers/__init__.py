"""Readers: one function per file format, from files to rows with their place.

Byte order marks and Windows line ends are repaired and counted; whatever cannot be repaired without guessing (a cut
line, a missing column, text that is not UTF-8) stops with the file, the line and what to do. Nothing is left out in
silence.

>>> sorted(FORMATS)[:4]
['aligned', 'auto', 'bible', 'bitext']
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from xstilts.readers.answers import squad_pairs, xquad_r
from xstilts.readers.archives import container, matching
from xstilts.readers.bitext import bitext, bitext_parquet
from xstilts.readers.derivations import auto
from xstilts.readers.entities import mewslix, mewslix_pairs
from xstilts.readers.lines import lines
from xstilts.readers.parquet import parquet
from xstilts.readers.questions import squad
from xstilts.readers.row import Input, Options, Report, Row
from xstilts.readers.sentences import conllu, tagged
from xstilts.readers.tables import aligned, csv, jsonl, text, tsv
from xstilts.readers.verses import bible

__all__ = ["FORMATS", "Input", "Options", "Report", "Row", "container", "lines", "matching", "read"]

Reader = Callable[[Sequence[Input], Options, Report], Iterator[Row]]

FORMATS: dict[str, Reader] = {
    reader.__name__: reader
    for reader in (
        *(aligned, auto, bible, bitext, bitext_parquet, conllu, csv, jsonl, mewslix, mewslix_pairs, parquet, squad),
        *(squad_pairs, tagged, text, tsv, xquad_r),
    )
}


def read(format: str, files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Yield the rows of files in a format, one file after the other."""
    return FORMATS[format](files, options, report)
