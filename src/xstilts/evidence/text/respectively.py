"""Respectively: a sentence of two lists read as the sentences it stands for, one for each pair of items.

Only where the word stands, where exactly one list of names and one of numbers are equally long, and where nothing else
is joined that the numbers could belong to; otherwise, and in a question, the sentence stays as it is. A reading is
never evidence by itself: it is the whole sentence that is quoted.

>>> readings("SQuAD and MNLI add 8.2 and 7.5 points, respectively.")
('SQuAD add 8.2 points.', 'MNLI add 7.5 points.')
"""

from __future__ import annotations

import re
from functools import lru_cache

NUMBER = r"[-−+]?\d[\d,]*(?:\.\d+)?(?!\w)(?:\s?%)?"
CAPITAL = r"[A-Z][\w+-]*"
NAME = (
    rf"(?!(?:On|In|For|With|The|We|Using|From|And|Both|When|While)\b){CAPITAL}(?:\.\d+)?"
    rf"(?:[ ](?:v?\d[\d.]*\d|{CAPITAL}))*"
)
WORD = re.compile(r",?\s*\brespectively\b\s*")
JOINS = re.compile(
    r"\b(?:and|or|nor|but|plus|both|either|neither|versus|vs|as well as|(?:along|together) with)\b|[&;]|\w/\w",
    re.IGNORECASE,
)


def _list(item: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.]){item}(?:,\s+{item})*,?\s+(?:and|or)\s+{item}")


LISTS = {item: _list(item) for item in (NAME, NUMBER)}


@lru_cache(maxsize=1 << 12)
def readings(text: str) -> tuple[str, ...]:
    """Return the sentences for which one with "respectively" stands; () for any other."""
    if "respectively" not in text or len(WORD.findall(text)) != 1 or re.search(r"[?？؟]", text):
        return ()
    pairs = [
        (names, values)
        for names in LISTS[NAME].finditer(text)
        for values in LISTS[NUMBER].finditer(text)
        if len(_items(names, NAME)) == len(_items(values, NUMBER))
    ]
    return _read(text, *pairs[0]) if len(pairs) == 1 and not JOINS.search(_beside(text, *pairs[0])) else ()


def _beside(text: str, *lists: re.Match[str]) -> str:
    """Return a text without its lists."""
    for found in sorted(lists, key=lambda one: -one.start()):
        text = f"{text[: found.start()]} {text[found.end() :]}"
    return text


def _items(found: re.Match[str], item: str) -> list[str]:
    return [one.strip() for one in re.findall(item, found[0])]


def _read(text: str, names: re.Match[str], values: re.Match[str]) -> tuple[str, ...]:
    items = zip(_items(names, NAME), _items(values, NUMBER), strict=True)
    return tuple(_one(text, (names, name), (values, value)) for name, value in items)


def _one(text: str, *chosen: tuple[re.Match[str], str]) -> str:
    """Return a text with each list replaced by one of its items, and without the word."""
    for found, item in sorted(chosen, key=lambda one: -one[0].start()):
        text = text[: found.start()] + item + text[found.end() :]
    return re.sub(r"\s+([.,;!?])", r"\1", WORD.sub(" ", text)).strip()
