"""Corpora in files: BibTeX in the dialect of the ACL Anthology, plain or compressed, one file or a folder of them.

index = open_corpus(Path("anthology.bib.gz"), Path("cache"))
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from xstilts.errors import InputError
from xstilts.evidence.retrieval.work_index import WorkIndex, open_or_build
from xstilts.evidence.search import bibtex

ENDINGS = (".bib", ".bib.gz")
MAX_BYTES = 1 << 30  # of a file, decompressed


def open_corpus(path: Path, cache: Path) -> WorkIndex:
    """Return the index of a corpus, built if it is not in the cache.

    Args:
        path: A BibTeX file (`.bib`, `.bib.gz`), or a folder with some.
        cache: Folder of indexes.

    Returns:
        The index.

    Raises:
        InputError: There is no such file, or it holds no works.
    """
    files = bibtex_files(path)
    if not files:
        raise InputError(f"{path} is no BibTeX file and holds none; give a {' or '.join(ENDINGS)} file or its folder")
    contents = [file.read_bytes() for file in files]
    return open_bibtex(contents, cache, str(path))


def bibtex_files(path: Path) -> list[Path]:
    """Return a file, or the BibTeX files of a folder in the order of their names; [] where there are none."""
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file for file in candidates if file.name.endswith(ENDINGS) and file.is_file()]


def open_bibtex(contents: Sequence[bytes], cache: Path, name: str) -> WorkIndex:
    """Return the index of BibTeX files.

    Args:
        contents: Their bytes.
        cache: Folder of indexes.
        name: What they are called in messages.

    Returns:
        The index of the works in them.

    Raises:
        InputError: A file cannot be read, or none holds a work.
    """
    total = hashlib.sha256()
    for content in contents:
        total.update(hashlib.sha256(content).digest())
    index = open_or_build(cache, total.hexdigest(), _records(contents, name))
    if not len(index):
        raise InputError(f"{name} holds no works: it has no BibTeX entry with a title")
    return index


def _records(contents: Sequence[bytes], name: str) -> Iterator[dict[str, str]]:
    for content in contents:
        try:
            text = decompressed(content)
        except (EOFError, OSError, ValueError, zlib.error) as error:
            raise InputError(f"{name} cannot be read ({error}); copy or download it again") from error
        yield from works_in(text)


def works_in(text: str) -> Iterator[dict[str, str]]:
    """Yield the entries of a BibTeX text that are works: with a title, and no volume of proceedings."""
    return (entry for entry in bibtex.entries(text) if entry.get("title") and entry["type"] != "proceedings")


def decompressed(content: bytes) -> str:
    """Return the text of a file, compressed or not.

    Raises:
        EOFError: It is truncated.
        OSError: It is damaged.
        ValueError: It is larger than `MAX_BYTES`, or not in UTF-8.
    """
    with gzip.open(io.BytesIO(content)) if content[:2] == b"\x1f\x8b" else io.BytesIO(content) as file:
        text: bytes = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ValueError(f"it decompresses to more than {MAX_BYTES:,} bytes")
    return text.decode()
