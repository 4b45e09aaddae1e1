"""Hedges (not, neither, consistently, up to, on the dev set) and whether two sentences agree in them.

A hedge that is dropped, added or exchanged makes another claim. It contradicts only where one side denies exactly what
the other says: a single "not" of the main verb ("does not improve"). A "not" elsewhere ("languages without data", "not
trained", "that do not") is about something else, and both sentences may be true.

>>> agree("It improves every task.", "It does not improve every task.").status
'CLASH'
>>> agree("It outperforms them.", "It neither consistently outperforms them.").why
"the source says 'not', 'always'"
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from xstilts.evidence.text.numbers import Agreement
from xstilts.evidence.text.stemming import Lexicon, Mention, is_number, load_table, stem, words

Hedge = tuple[str, str]
NEGATION = ("negation", "not")
DENIED_VERB = re.compile(
    r"\b(?:(?:do|does|did|is|are|was|were|can) ?not|(?:do|does|did|is|are|was|were)n['’]t|can['’]t)"
    r" (?P<verb>[^\W\d_]+)",
    re.IGNORECASE,
)
REPORTING_PREFIX = re.compile(
    r"(?:\w+ ){0,3}(?:find|finds|found|observe|observed|shows?|showed|see|saw) that ", re.IGNORECASE
)
SUBORDINATE = re.compile(  # begins a subordinate clause: a "not" in it does not deny the main clause
    r"\b(?:that|which|who|whom|whose|where|when|while|if|unless|whether|because|since|although|though|than|or|until"
    r"|before|after|once|what|why|how)\b|\w (?:we|they|you|it|i) \w",
    re.IGNORECASE,
)
CONTACT_CLAUSE = re.compile(  # "languages BERT does not see", a relative clause without a relative pronoun
    r"\b\w+s (?:(?:the|an?|our) [\w-]+|[A-Z][\w-]+) (?:do|does|did|is|are|was|were|can)\b"
)
WEAK_QUANTIFIERS = frozenset(
    ("some", "many", "sometimes", "almost", "may")
)  # "some do" and "some do not" may both be true


@lru_cache(maxsize=1 << 13)
def hedges(text: str) -> tuple[Hedge, ...]:
    """Return the hedges of a text as sorted pairs of kind and name, each once but negations as often as they occur."""
    pairs = [(mention.kind, mention.name) for mention in _hedge_mentions(text)]
    return tuple(
        sorted([*{hedge for hedge in pairs if hedge != NEGATION}, *(hedge for hedge in pairs if hedge == NEGATION)])
    )


def direction_words(text: str) -> tuple[str, ...]:
    """Return the directions that a text names by words such as "improve" or "lower": "up", "down", both or none."""
    return tuple(sorted({mention.name for mention in _hedge_mentions(text) if mention.kind == "direction"}))


def agree(claim: str, source: str) -> Agreement:
    """Compare the hedges of a claim with those of a source.

    Args:
        claim: The claim.
        source: The sentence that it is compared with.

    Returns:
        AGREE if the hedges are equal, CLASH if one side negates what the other asserts, else DIFFER with the reason.
    """
    claim_hedges, source_hedges = hedges(claim), hedges(source)
    if claim_hedges == source_hedges:
        return Agreement("AGREE")
    one_sided = _only(claim_hedges, source_hedges)
    single_negation = sorted((claim_hedges.count(NEGATION), source_hedges.count(NEGATION))) == [0, 1]
    if one_sided in ((NEGATION,), ()) and single_negation and (_denies(claim, source) or _denies(source, claim)):
        return Agreement("CLASH", f"'not' stands only in the {'claim' if NEGATION in claim_hedges else 'source'}")
    return Agreement(
        "DIFFER",
        "; ".join(
            filter(None, (_says("claim", claim_hedges, source_hedges), _says("source", source_hedges, claim_hedges)))
        ),
    )


@lru_cache(maxsize=1 << 14)
def content_stems(text: str) -> tuple[str, ...]:
    """Return the stems of the content words of a text.

    Args:
        text: A text.

    Returns:
        Stems in order, without fillers and negations; every number is "#".
    """
    negated = [(mention.start, mention.end) for mention in _hedge_mentions(text) if mention.kind == "negation"]
    return tuple(
        "#" if is_number(word.stem) else word.stem
        for word in words(text)
        if word.stem not in _fillers() and not any(start <= word.start < end for start, end in negated)
    )


def _denies(text: str, other: str) -> bool:
    """Return whether a text negates, by "not" before its main verb, what another text says with that verb."""
    clause = REPORTING_PREFIX.sub("", text, count=1) if REPORTING_PREFIX.match(text) else text
    denial = DENIED_VERB.search(clause)
    if (
        not denial
        or re.search(r"\bbecause\b", clause)
        or any(pattern.search(clause[: denial.end()]) for pattern in (SUBORDINATE, CONTACT_CLAUSE))
    ):
        return False
    is_firm = WEAK_QUANTIFIERS.isdisjoint(name for _, name in hedges(text))
    return is_firm and stem(denial["verb"]) in {word.stem for word in words(other)}


def _only(first: tuple[Hedge, ...], second: tuple[Hedge, ...]) -> tuple[Hedge, ...]:
    """Return the hedges that occur on one side only."""
    return tuple(sorted(set(first) ^ set(second)))


def _says(side: str, own: tuple[Hedge, ...], others: tuple[Hedge, ...]) -> str:
    extra = [hedge for hedge in dict.fromkeys(own) if own.count(hedge) > others.count(hedge)]
    return f"the {side} says {', '.join(repr(name) for _, name in sorted(extra, reverse=True))}" if extra else ""


def _hedge_mentions(text: str) -> tuple[Mention, ...]:
    return _lexicon().find(text)


@cache
def _lexicon() -> Lexicon:
    return Lexicon.of(load_table("hedges.toml")["hedges"])


@cache
def _fillers() -> frozenset[str]:
    return frozenset(stem(word) for word in load_table("hedges.toml")["filler"]["words"])
