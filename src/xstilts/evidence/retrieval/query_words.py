"""Content words of a question and of texts, and the phrases that they form.

Every word of a question takes part in its search unless it is a function word, a list that is closed in any language.
No list says which topics there are.

>>> [word.text for word in content_words("Does subword vocabulary overlap improve transfer?")]
['subword', 'vocabulary', 'overlap', 'improve', 'transfer']
>>> phrases("Does subword vocabulary overlap between languages improve transfer?")
('subword vocabulary overlap', 'languages improve transfer')
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from xstilts.evidence.text.stemming import WORD, stem

# Articles, pronouns, prepositions, conjunctions, auxiliaries, question words and adverbs of degree.
_WORDS = (
    "a an the this that these those such same other another each every all both either neither any some no not nor none"
    " i me my we us our you your he him his she her it its they them their one ones who whom whose which what"
    " how when where why whether if than then so as while until unless because since although though but and or yet"
    " of in on at by to for from with without within into onto over under between among across through during before"
    " after above below up down out off about against per via versus vs toward towards around along beyond"
    " is are was were be been being am do does did done doing has have had having can could may might must shall should"
    " will would there here also only just very much many more most less least few fewer well even still too rather"
    " quite how's what's e.g i.e etc et al"
    " we've it's don't doesn't isn't aren't compared compare comparison use used using usage"
)
FUNCTION_WORDS = frozenset(stem(word) for word in _WORDS.split())
BREAK = re.compile(r"[,;:.()\[\]?!/]")


@dataclass(frozen=True)
class ContentWord:
    """A content word of a question: as it stands there, and its stem."""

    text: str
    stem: str


def content_stems(text: str) -> list[str]:
    """Return the stems of the content words of a text, in order and as often as they occur."""
    return [stemmed for word in WORD.findall(text) if _is_content(stemmed := stem(word))]


def content_words(question: str) -> tuple[ContentWord, ...]:
    """Return the content words of a question, each stem once, in order."""
    words: dict[str, ContentWord] = {}
    for word in WORD.findall(question):
        if _is_content(stemmed := stem(word)):
            words.setdefault(stemmed, ContentWord(word, stemmed))
    return tuple(words.values())


def phrases(question: str) -> tuple[str, ...]:
    """Return the runs of content words of a question, each once: what stands between function words and commas."""
    return tuple(dict.fromkeys(_phrases(question)))


def _phrases(question: str) -> Iterator[str]:
    start, end = -1, -1
    for match in WORD.finditer(question):
        ends = not _is_content(stem(match[0])) or (end >= 0 and BREAK.search(question, end, match.start()))
        if ends and start >= 0:
            yield question[start:end]
            start = -1
        if _is_content(stem(match[0])):
            start, end = (match.start() if start < 0 else start), match.end()
    if start >= 0:
        yield question[start:end]


def _is_content(stemmed: str) -> bool:
    """Return whether a stem is a content word's: no function word, no sign, and no single Latin letter."""
    return stemmed not in FUNCTION_WORDS and not (len(stemmed) == 1 and not ("0" <= stemmed <= "9" or stemmed > "ÿ"))
