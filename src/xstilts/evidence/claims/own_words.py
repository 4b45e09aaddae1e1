"""A question's own words: the content words that no facet of the vocabulary holds.

What remains of a question without its facets, its function words and the words that only relate ("improve", "compared
to", "depend on") is what the vocabulary does not know. Adjacent words are one phrase. A phrase takes part in search,
screening and answer as the terms of the facets do, so that nothing that was asked is dropped in silence.

>>> own_phrases("Does subword vocabulary overlap improve accuracy?", [(40, 48)])
('subword vocabulary overlap',)
>>> mentions_phrase("Overlapping vocabularies of subwords help.", "subword vocabulary overlap")
True
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

from xstilts.evidence.text.stemming import Word, is_number, words

# Words of the closed classes, and auxiliaries: they carry no content of their own.
FUNCTION = """
a an the this that these those such same other others another each every either neither both all any some no none most
more less least few fewer many much several enough own of in on at to from by for with without within into onto over
under above below between among across through during before after since until about against per via as than like unlike
and or but nor so if unless whether while because although though however also too only just even still yet already
again ever never not it its they their them he she his her we our us you your i me my one ones who whom whose which what
when where why how is are was were be been being am do does did done doing has have had having can could may might must
shall should will would ought there here then thus hence e.g i.e eg ie etc vs versus out up down off
"""
# Words that say how two things relate, or ask for it; the things themselves are the content.
RELATING = """
improve improves improved improving improvement improvements increase increases increased increasing decrease
decreases decreased decreasing reduce reduces reduced reducing reduction raise raises lower lowers lowering help helps
helped helping hurt hurts harm harms harmful helpful degrade degrades benefit benefits beneficial worsen worsens boost
boosts change changes changed changing affect affects affected affecting effect effects influence influences impact
impacts matter matters depend depends depending cause causes caused make makes made making lead leads give gives given
add adds added bring brings enable enables allow allows grow grows growing shrink shrinks rise rises fall falls drop
drops gain gains lose loses outperform outperforms exceed exceeds compare compares compared comparing comparison
comparable relative related relate relates relation relationship differ differs different difference differences vary
varies varying better best worse worst good well bad strong stronger strongest weak weaker larger large bigger big
smaller small higher high low longer shorter greater fewer faster slower cheaper costlier use uses used using usage
apply applies applied applying need needs needed require requires required work works worked working play plays role
extent degree amount term terms case cases way ways kind kinds type types general respect regard versus instead rather
opposed standard default usual evidence result results study studies finding findings show shows find finds known know
possible really actually effective effectively useful important significantly significant substantially specific
certain various particular particularly overall alone together combine combined combining increasingly predict
predicts predicting prevent prevents preventing multiple
"""
# Nouns that name a class of things and nothing in it: a phrase of only these ("models") asks for nothing by itself.
CLASSES = """
model models language languages task tasks data dataset datasets text texts method methods approach approaches system
systems network networks benchmark benchmarks scale scales factor factors parameter parameters billion billions
performance score scores example examples question questions
"""
# Words that nearly every text of the field has: they are searched for, but what has only these answers nothing.
COMMON = """
multilingual cross lingual crosslingual transfer train training trained encoder encoders pretrained pretraining neural
nlp zero shot source target english
"""
JOINED = re.compile(r"[\s\-‐‑–/’']*")
LEAST_PREFIX, MOST_ENDING = 5, 5  # letters: "forget" and "forgetting" are one word, "form" and "formal" two


def own_phrases(text: str, held: Iterable[tuple[int, int]]) -> tuple[str, ...]:
    """Return the runs of adjacent content words of a question that no facet holds.

    Args:
        text: The question.
        held: Start and end (in characters) of what the facets hold and of the words of comparison.

    Returns:
        The phrases as they are written, each once, in order.
    """
    spans = tuple(held)
    runs: list[list[Word]] = []
    before = None
    for word in words(text):
        if not _is_content(text, word, spans):
            before = None
            continue
        if before is not None and JOINED.fullmatch(text, before.end, word.start):
            runs[-1].append(word)
        else:
            runs.append([word])
        before = word
    phrases: dict[tuple[str, ...], str] = {}
    for run in runs:
        shown = [text[word.start : word.end].lower() for word in run]
        if not all(is_number(word.stem) or name in _classes() for word, name in zip(run, shown, strict=True)):
            phrases.setdefault(tuple(word.stem for word in run), text[run[0].start : run[-1].end])
    return tuple(phrases.values())


def subject_phrases(text: str, phrases: Sequence[str]) -> tuple[str, ...]:
    """Return the phrases that a question asks of: those before the first word that relates them to something.

    Args:
        text: The question.
        phrases: Its `own_phrases`.

    Returns:
        The first phrases, as "label smoothing" of "Does label smoothing improve calibration?"; all where no word tells.
    """
    places = {phrase: text.find(phrase) for phrase in phrases}
    relating = [word.start for word in words(text) if text[word.start : word.end].lower() in _relating()]
    first = min(places.values(), default=0)
    turn = next((start for start in relating if start > first and not _is_within(start, places)), len(text))
    return tuple(phrase for phrase, place in places.items() if place < turn)


def mentions_phrase(text: str, phrase: str) -> bool:
    """Return whether a text has the words of a phrase, in any order; of three or more one may be missing.

    Args:
        text: A sentence, or a title with an abstract.
        phrase: One of `own_phrases`.

    Returns:
        Whether it mentions it. Words match without their endings; that another word means the same is not known here.
    """
    wanted = content_stems(phrase) or frozenset(word.stem for word in words(phrase))
    there = {word.stem for word in words(text)}
    met = sum(any(_alike(stem, other) for other in there) for stem in wanted)
    return bool(wanted) and met >= (len(wanted) if len(wanted) < 3 else len(wanted) - 1)


def content_stems(text: str) -> frozenset[str]:
    """Return the stems of the content words of a text."""
    return frozenset(word.stem for word in words(text) if _is_content(text, word, ()))


def is_common(phrase: str) -> bool:
    """Return whether nearly every text of the field has all words of a phrase, as of "multilingual encoders"."""
    return all(text in _common() for text in _surface(phrase))


def is_relating(word: str) -> bool:
    """Return whether a word only says how two things relate, as "improve"."""
    return word.lower() in _relating()


def specific_words(phrase: str) -> tuple[str, ...]:
    """Return the words of a phrase that not nearly every text of the field has; all of them if there are no others."""
    parts = tuple(_surface(phrase))
    return tuple(word for word in parts if word not in _common()) or parts


def unheld(phrases: Sequence[str], others: Iterable[str]) -> tuple[str, ...]:
    """Return the phrases that none of some texts mentions.

    Args:
        phrases: Phrases of a question.
        others: Texts, such as the queries that were sent.

    Returns:
        The phrases of which no text has the words.
    """
    texts = tuple(others)
    return tuple(phrase for phrase in phrases if not any(mentions_phrase(text, phrase) for text in texts))


def _is_within(place: int, phrases: Mapping[str, int]) -> bool:
    return any(start <= place < start + len(phrase) for phrase, start in phrases.items())


def _surface(text: str) -> Iterator[str]:
    return (text[word.start : word.end].lower() for word in words(text))


def _is_content(text: str, word: Word, held: Sequence[tuple[int, int]]) -> bool:
    shown = text[word.start : word.end].lower().replace("’", "'").removesuffix("'s")
    covered = any(start < word.end and word.start < end for start, end in held)
    return not covered and shown not in _empty() and (len(shown) > 1 or not shown.isascii()) and shown.isalnum()


def _alike(first: str, second: str) -> bool:
    """Return whether two stems differ by an ending at most."""
    short, long = sorted((first, second), key=len)
    return short == long or (
        len(short) >= LEAST_PREFIX
        and len(long) - len(short) <= MOST_ENDING
        and (long.startswith(short) or (long.startswith(short[:-1]) and len(short) > LEAST_PREFIX))
    )


@cache
def _relating() -> frozenset[str]:
    return frozenset(RELATING.split())


@cache
def _empty() -> frozenset[str]:
    return _relating().union(FUNCTION.split())


@cache
def _classes() -> frozenset[str]:
    return frozenset(CLASSES.split())


@cache
def _common() -> frozenset[str]:
    return _classes().union(COMMON.split())
