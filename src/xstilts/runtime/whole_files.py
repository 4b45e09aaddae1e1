"""Whole files: a file that is there is complete, and stays as it was until its successor is.

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     write(Path(folder) / "report.json", "{}")
...     [path.name for path in Path(folder).iterdir()]
['report.json']
"""

from __future__ import annotations

from pathlib import Path


def write(path: Path, content: str | bytes) -> None:
    """Write a file beside the one that it replaces, then rename it: on a full disk, or killed, the old one stays.

    Args:
        path: The file. A link stays one, and what is no plain file, such as `/dev/stdout`, is written to.
        content: Its content; of text, as UTF-8 with the line ends that it has.

    Raises:
        OSError: It cannot be written; nothing of it is left.
    """
    data = content.encode() if isinstance(content, str) else content
    target = path.resolve()
    if target.exists() and not target.is_file():
        target.write_bytes(data)
        return
    new = target.with_name(f".{target.name}.new")
    try:
        new.write_bytes(data)
        new.replace(target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
