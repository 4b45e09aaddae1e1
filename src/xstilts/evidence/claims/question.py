"""A question as facets: intervention, comparator, outcome, benchmark, models, languages, and its own words.

The terms of the first six are data (`vocabulary.toml`). A term after "compared to" belongs to the comparator up to
where the comparison ends, and so does a usual setting ("full fine-tuning") beside an unusual one. Every content word
that none of them holds is a word of the question's own (`own_words`): the vocabulary limits no question.

>>> question = parse_question("Does a larger batch size improve accuracy on XNLI compared to the default batch size?")
>>> [(facet.role, *facet.terms) for facet in question.facets if facet.terms][:2]
[('intervention', 'batch size'), ('comparator', 'standard settings')]
>>> parse_question("Does subword vocabulary overlap improve accuracy on XNLI?").words
('subword vocabulary overlap',)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

from xstilts.data.languages import languages
from xstilts.errors import InputError
from xstilts.evidence.claims.own_words import is_common, own_phrases, subject_phrases
from xstilts.evidence.text.stemming import Lexicon, Mention, load_table

Role = Literal["intervention", "comparator", "outcome", "benchmark", "models", "languages", "words"]
ROLES: tuple[Role, ...] = get_args(Role)
ROLE_OF: Mapping[str, Role] = {"task": "intervention", "metric": "outcome"}
COSTS = frozenset(("training cost", "inference cost", "memory", "efficiency"))
COMPARABLE_ROLES = ("intervention", "languages", "models")


@dataclass(frozen=True)
class Facet:
    """A facet of a question: its role and its terms, none if the question does not mention any."""

    role: Role
    terms: tuple[str, ...]

    @property
    def specific(self) -> tuple[str, ...]:
        """The terms that are not common to the whole field; all of them if there are no others."""
        return tuple(term for term in self.terms if term not in general_terms()) or self.terms


@dataclass(frozen=True)
class Construction:
    """A statement that is true by construction, without any measurement.

    Attributes:
        when: Terms that a question must all have for it to apply.
        statement: The statement.
        reason: Why it holds.
        not_when: Terms of which a question must have none.
    """

    when: tuple[str, ...]
    statement: str
    reason: str
    not_when: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """A question and its facets, in the order of `ROLES`; the last holds its own words."""

    text: str
    facets: tuple[Facet, ...]

    def facet(self, role: Role) -> Facet:
        """Return the facet of a role.

        Args:
            role: One of `ROLES`, such as "intervention" or "outcome".

        Returns:
            The facet; its terms are empty where the question names none.
        """
        return self.facets[ROLES.index(role)]

    @property
    def terms(self) -> tuple[str, ...]:
        """The distinct terms of all facets."""
        return tuple(dict.fromkeys(term for facet in self.facets for term in facet.terms))

    @property
    def words(self) -> tuple[str, ...]:
        """The question's own words: phrases of content words that no facet of the vocabulary holds."""
        return self.facet("words").terms

    @property
    def core(self) -> tuple[str, ...]:
        """The terms of which an answer must mention one.

        They are the specific terms of the intervention, else those of the comparator, else those of the question's own
        words that it asks of and that are not common to the field, else what there is.
        """
        changed, against = self.facet("intervention").terms, self.facet("comparator").terms
        specific = [tuple(term for term in terms if term not in general_terms()) for terms in (changed, against)]
        uncommon = tuple(phrase for phrase in self.words if not is_common(phrase))
        own = subject_phrases(self.text, uncommon)
        return specific[0] or specific[1] or own or changed or against or self.words or self.terms


def parse_question(text: str) -> Question:
    """Split a question into facets.

    Args:
        text: The question.

    Returns:
        The question with its facets.

    Raises:
        InputError: It has no content word at all, or is not valid Unicode.
    """
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InputError("the question holds bytes that are no letters; write it in UTF-8")
    terms: dict[str, list[str]] = {role: [] for role in ROLES}
    compared = _comparison_spans(text)
    mentions = find_terms(text)
    for mention in mentions:
        role = role_of(mention)
        if role in COMPARABLE_ROLES and any(start <= mention.start < end for start, end in compared):
            role = "comparator"
        terms[role].append(mention.name)
    usual_terms = {*vocabulary()["usual"]}
    if {*terms["intervention"]} - usual_terms - general_terms():
        terms["comparator"] += [term for term in terms["intervention"] if term in usual_terms]
        terms["intervention"] = [term for term in terms["intervention"] if term not in usual_terms]
    held = [(item.start, item.end) for item in (*mentions, *_cues().find(text))]
    terms["words"] = list(own_phrases(text, held))
    if not any(terms.values()):
        raise InputError(f"'{text}' names nothing that is changed; use words such as {', '.join(_example_terms())}")
    return Question(text, tuple(Facet(role, tuple(dict.fromkeys(terms[role]))) for role in ROLES))


def role_of(mention: Mention) -> Role:
    """Return the facet that a term belongs to."""
    return ROLE_OF.get(mention.kind) or ROLES[ROLES.index(mention.kind)]


def find_terms(text: str) -> tuple[Mention, ...]:
    """Return the vocabulary's terms that occur in a text."""
    return _lexicon().find(text)


def by_construction(question: Question) -> tuple[Construction, ...]:
    """Return the statements that are true by construction for a question."""
    terms = set(question.terms)
    return tuple(rule for rule in _rules() if terms.issuperset(rule.when) and terms.isdisjoint(rule.not_when))


@cache
def general_terms() -> frozenset[str]:
    """Return the terms that nearly every text of the field mentions."""
    return frozenset(vocabulary()["general"])


@cache
def narrower_terms() -> dict[str, tuple[str, ...]]:
    """Return, for some terms, the terms that count as mentions of them: Swahili is a language other than English."""
    others = tuple(language.name for language in languages().values() if language.code != "en")
    return {term: tuple(parts) for term, parts in vocabulary()["broader"].items()} | {"other than English": others}


def vocabulary() -> dict[str, Any]:
    """Return the tables of `vocabulary.toml`."""
    return load_table("vocabulary.toml")


@cache
def _lexicon() -> Lexicon:
    terms: dict[str, dict[str, Sequence[str]]] = {
        kind: dict(entries) for kind, entries in vocabulary()["terms"].items() if kind not in ("split", "unit")
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
    """Return the spans of a question that name the comparator."""
    spans, cues = [], _cues().find(text)
    for cue in cues:
        if cue.name == "begins":
            stops = [other.start for other in cues if other.name == "ends" and other.start > cue.start]
            stops += [position for mark in ",;?." if (position := text.find(mark, cue.end)) > 0]
            spans.append((cue.end, min(stops, default=len(text))))
    return spans


def _example_terms() -> list[str]:
    return [name for name in vocabulary()["terms"]["intervention"] if name not in general_terms()][:3]
