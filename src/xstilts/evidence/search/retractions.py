"""Retracted and withdrawn works: how titles, comments, abstracts and notices say so, and Retraction Watch's table.

A retracted work and the notice of its retraction are both no evidence. A notice names the work that it is about, by
title or DOI, so that the work itself is known to be retracted where its own record does not say so.

>>> says_title("RETRACTED ARTICLE: On tasks"), says_title("Retracted gesture in sign language")
(True, False)
>>> notice_subject("Retraction notice to “On tasks” [J. Tasks 3 (2020) 1-9]")
'On tasks'
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from xstilts.errors import InputError
from xstilts.evidence.search.identifiers import parse_ids

_MARK = (
    r"(?:retracted|withdrawn|removed|temporary removal|retracted (?:article|paper|chapter)|withdrawn (?:article|paper))"
)
MARKED_TITLE = re.compile(
    rf"\s*(?:[\[(]\s*{_MARK}\s*[\])]|{_MARK}\s*[:：–—]|{_MARK}\s-\s)"
    rf"|.*[\[(–—-]\s*{_MARK}\s*[\])]?\s*\.?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
_TAKING = r"(?:retraction|withdrawal)"
NOTICE = re.compile(
    rf"\s*(?:(?:(?:notice|statement|editorial notice) of )?(?:partial )?{_TAKING}(?: (?:note|notice|statement))?"
    rf"|(?:{_TAKING}|removal) (?:note|notice)|editorial retraction|article {_TAKING})"
    r"(?:\s*[:：–—]|\s+(?:to|of|for|on)\b:?|\s-\s)\s*(?P<subject>.+)",
    re.IGNORECASE | re.DOTALL,
)
# "Retraction of the tongue" is a title as any other: without quotation marks it needs a publisher's form.
PLAIN_START = re.compile(r"\s*(?:partial )?(?:retraction|withdrawal)\s+(?:to|of|for|on)\b", re.IGNORECASE)
QUOTED = re.compile(r"[“\"‘']\s*(?P<title>.+?)\s*[”\"’'](?=\s|[,.;\[(]|\Z)", re.DOTALL)
OF_AUTHORS = re.compile(r".{2,60}? et al\.?,\s*(?P<title>.+)", re.DOTALL)
PLACE = re.compile(r"\s*[\[(][^\[\]()]*\d[^\[\]()]*[\])]\s*\.?\s*\Z")
_WORK = r"(?:paper|article|work|manuscript|submission|preprint|chapter|publication|entry|document|report)"
_TAKEN = r"(?:withdrawn|retracted)"
SAID_OF_ITSELF = re.compile(
    rf"\s*(?:[\[(]?{_TAKEN}[\])]?\s*(?:[.:]|by\b|due\b|because\b|\Z)"
    rf"|(?:abstract:?\s*)?this (?:\w+ ){{0,2}}?{_WORK} "
    rf"(?:has been|have been|was|is|had to be|is being) (?:\w+ )?{_TAKEN}"
    rf"|(?:the )?{_WORK} (?:(?:has been|was) )?{_TAKEN}\b(?! from\b)"
    rf"|(?:the )?(?:authors?|editors?|publisher) (?:has|have) (?:\w+ )?{_TAKEN} th(?:is|e) {_WORK}"
    rf"|we (?:have )?(?:withdrawn?|withdrew|retracted?) this {_WORK})",
    re.IGNORECASE,
)
OTHER_VERSION = re.compile(
    r"\b(?:previous|earlier|former|first|old|older) (?:version|submission|draft)\b", re.IGNORECASE
)
NATURES = {"retraction": True, "reinstatement": False}  # other rows, as corrections, take nothing back


def says_title(title: str) -> bool:
    """Return whether a title is marked as retracted or withdrawn, or is that of a notice.

    Args:
        title: A title.

    Returns:
        Whether it is; words as in "retracted gesture" are no mark.
    """
    return bool(MARKED_TITLE.match(title)) or bool(notice_subject(title))


def says_text(text: str) -> bool:
    """Return whether a comment or an abstract says of its own work, in its beginning, that it was taken back.

    Args:
        text: A comment of arXiv, or an abstract.

    Returns:
        Whether it does. An earlier version, or a withdrawal from a venue, is another thing.
    """
    start = text[:300]
    sentences = [start, *re.split(r"(?<=[.;!])\s+", start)[1:2]]
    return any(SAID_OF_ITSELF.match(part) for part in sentences) and not OTHER_VERSION.search(start)


def notice_subject(title: str) -> str:
    """Return the title of the work that a notice of retraction is about; "" for what is no notice.

    Args:
        title: A title.

    Returns:
        The other work's title.
    """
    match = NOTICE.match(title)
    if not match:
        return ""
    quoted = QUOTED.match(match["subject"]) or OF_AUTHORS.match(match["subject"])
    if PLAIN_START.match(title) and not quoted:
        return ""
    return quoted["title"] if quoted else PLACE.sub("", match["subject"]).strip()


def clean_title(title: str) -> str:
    """Return a title without its mark: "On tasks" for "RETRACTED: On tasks".

    Args:
        title: A title.

    Returns:
        The title of the work itself; of a notice, that of the work that it is about.
    """
    bare = re.sub(
        rf"\A\s*(?:[\[(]\s*{_MARK}\s*[\])]\s*:?|{_MARK}\s*(?:[:：–—]|\s-\s))\s*", "", title, flags=re.IGNORECASE
    )
    bare = re.sub(rf"\s*[\[(–—-]\s*{_MARK}\s*[\])]?\s*\.?\s*\Z", "", bare, flags=re.IGNORECASE)
    return notice_subject(title) or bare


def read_table(path: Path) -> frozenset[str]:
    """Read the DOIs of retracted works from Retraction Watch's table.

    Args:
        path: Its CSV file, with the columns OriginalPaperDOI and RetractionNature.

    Returns:
        DOIs as "doi:...", without those that were reinstated later.

    Raises:
        InputError: The file cannot be read, or lacks a column.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error}); name Retraction Watch's CSV file") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")  # as spreadsheets save it
    rows = csv.DictReader(io.StringIO(text, newline=""))
    columns = {"OriginalPaperDOI", "RetractionNature"}
    if not columns <= set(rows.fieldnames or ()):
        raise InputError(f"{path} lacks the columns {', '.join(sorted(columns))}; name Retraction Watch's CSV file")
    natures: dict[str, set[bool]] = {}
    for row in rows:
        nature = NATURES.get((row["RetractionNature"] or "").strip().lower())
        identifier = parse_ids(doi=row["OriginalPaperDOI"]).primary
        if nature is not None and identifier:
            natures.setdefault(identifier, set()).add(nature)
    return frozenset(identifier for identifier, kinds in natures.items() if kinds == {True})
