"""Question: what is asked, split into facets: what is changed, against what, what that does, and where.

Six facets: intervention, comparator, outcome, benchmark, models, languages. Which terms belong to which is data
(`vocabulary.toml`). A term that stands behind "compared to" is what is compared with, up to where the comparison
ends, and so is what is usual ("full fine-tuning") beside what is not.

>>> asked = ask("Does a larger batch size improve accuracy on XNLI compared to the default batch size?")
>>> [(facet.role, facet.terms) for facet in asked.facets if facet.terms]
[('intervention', ('batch size',)), ('comparator', ('standard settings',)), ('outcome', ('accuracy',)),
 ('benchmark', ('XNLI',))]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

from xstilts.data.languages import languages
from xstilts.errors import InputError
from xstilts.evidence.text.stemming import Lexicon, Mention, load_table

Role = Literal["intervention", "comparator", "outcome", "benchmark", "models", "languages"]
ROLES: tuple[Role, ...] = get_args(Role)
ROLE_OF: Mapping[str, Role] = {"task": "intervention", "metric": "outcome"}
COSTS = frozenset(("training cost", "inference cost", "memory", "efficiency"))
COMPARABLE_ROLES = ("intervention", "languages", "models")


@dataclass(frozen=True)
class Facet:
    """One side of a question and the terms in which it is asked; no terms where it does not ask for that."""

    role: Role
    terms: tuple[str, ...]

    @property
    def specific(self) -> tuple[str, ...]:
        """The terms that are not common to the whole field; all where there are only such."""
        return tuple(term for term in self.terms if term not in general_terms()) or self.terms


@dataclass(frozen=True)
class Construction:
    """What holds whatever is measured, because of how it is done: the terms it is about, and why it holds."""

    when: tuple[str, ...]
    statement: str
    reason: str
    not_when: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """A question and its six facets, in the order of ROLES."""

    text: str
    facets: tuple[Facet, ...]

    def facet(self, role: Role) -> Facet:
        """Return the facet of a role."""
        return self.facets[ROLES.index(role)]

    @property
    def terms(self) -> tuple[str, ...]:
        """All terms of all facets, each once."""
        return tuple(dict.fromkeys(term for facet in self.facets for term in facet.terms))

    @property
    def core(self) -> tuple[str, ...]:
        """The terms of which an answer must touch one: what is changed, or what with, or what the field shares."""
        changed, against = self.facet("intervention").terms, self.facet("comparator").terms
        own = [tuple(term for term in terms if term not in general_terms()) for terms in (changed, against)]
        return own[0] or own[1] or changed or against


def parse_question(text: str) -> Question:
    """Return a question with its facets; InputError where it names nothing that could be changed or compared."""
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InputError("the question holds bytes that are no letters; write it in UTF-8")
    found: dict[str, list[str]] = {role: [] for role in ROLES}
    compared = _comparison_spans(text)
    for mention in find_terms(text):
        role = role_of(mention)
        if role in COMPARABLE_ROLES and any(start <= mention.start < end for start, end in compared):
            role = "comparator"
        found[role].append(mention.name)
    usual = {*vocabulary()["usual"]}
    if {*found["intervention"]} - usual - general_terms():
        found["comparator"] += [term for term in found["intervention"] if term in usual]
        found["intervention"] = [term for term in found["intervention"] if term not in usual]
    if not found["intervention"] and not found["comparator"]:
        raise InputError(f"'{text}' names nothing that is changed; use words such as {', '.join(_example_terms())}")
    return Question(text, tuple(Facet(role, tuple(dict.fromkeys(found[role]))) for role in ROLES))


def role_of(mention: Mention) -> Role:
    """Return the facet to which a term belongs: its kind, but for tasks and metrics."""
    return ROLE_OF.get(mention.kind) or ROLES[ROLES.index(mention.kind)]


def find_terms(text: str) -> tuple[Mention, ...]:
    """Return the terms of the field that a text mentions, as facets know them."""
    return _lexicon().find(text)


def by_construction(question: Question) -> tuple[Construction, ...]:
    """Return what is true of a question by construction: the halves of it that no measurement can decide."""
    asked = set(question.terms)
    return tuple(rule for rule in _rules() if asked.issuperset(rule.when) and asked.isdisjoint(rule.not_when))


@cache
def general_terms() -> frozenset[str]:
    """Return the terms that nearly every text of the field mentions."""
    return frozenset(vocabulary()["general"])


@cache
def narrower_terms() -> dict[str, tuple[str, ...]]:
    """Return for some terms those that are a part of them: what is said of Swahili is of a language but English."""
    others = tuple(language.name for language in languages().values() if language.code != "en")
    return {term: tuple(parts) for term, parts in vocabulary()["broader"].items()} | {"other than English": others}


def vocabulary() -> dict[str, Any]:
    """Return the tables of the vocabulary."""
    return load_table("vocabulary.toml")


@cache
def _lexicon() -> Lexicon:
    terms: dict[str, dict[str, Sequence[str]]] = {
        kind: dict(found) for kind, found in vocabulary()["terms"].items() if kind not in ("split", "unit")
    }
    terms["languages"] |= {language.name: [language.name] for language in languages().values()}
    return Lexicon.of(terms)


@cache
def _cues() -> Lexicon:
    return Lexicon.of(vocabulary()["cues"])


@cache
def _rules() -> tuple[Construction, ...]:
    return tuple(
        Construction(tuple(rule["when"]), rule["said"], rule["reason"], tuple(rule.get("not_when", ())))
        for rule in vocabulary()["construction"]
    )


def _comparison_spans(text: str) -> list[tuple[int, int]]:
    """Return the stretches of a question that say with what is compared."""
    found, cues = [], _cues().find(text)
    for cue in cues:
        if cue.name == "begins":
            stops = [other.start for other in cues if other.name == "ends" and other.start > cue.start]
            stops += [at for mark in ",;?." if (at := text.find(mark, cue.end)) > 0]
            found.append((cue.end, min(stops, default=len(text))))
    return found


def _example_terms() -> list[str]:
    return [name for name in vocabulary()["terms"]["intervention"] if name not in general_terms()][:3]
