"""Grammar: from a meaning to its sentence in a language, one to one.

Words have a part of speech, an entity tag and their role in the event, from which the gold tags and answers follow.
A full stop is a separate word.

>>> from xstilts.sandbox.languages import language
>>> anna, dog = Thing(("Anna",), "PER"), Thing(("dog",), "animal", "big")
>>> [say(Event(anna, "help", dog, negated=True), language(code)).text for code in ("qaa", "qac")]
['Anna never helps the big dog .', 'Onno big bakohu nivir hilb .']
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xstilts.sandbox.languages import Artificial
from xstilts.sandbox.lexicon import FUNCTION, lexicon, suffixes
from xstilts.sandbox.world import PARTS, Event, EventQuestion, Fact, Meaning, Order, Thing, lemmas

POS = {**FUNCTION, **dict(lemmas())}


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a sentence.

    Attributes:
        form: How it is written.
        pos: Its part of speech (Universal Dependencies).
        entity: Its entity tag (IOB2).
        role: Its role in the event: "agent", "patient", "place"; "" for none.
        part: Which part of a name it is, a key of `world.NAMES`; "O" for none.
    """

    form: str
    pos: str
    entity: str = "O"
    role: str = ""
    part: str = "O"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A meaning as words in a language."""

    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """The sentence as a line of text."""
        return " ".join(word.form for word in self.words)

    def answer(self, role: str) -> tuple[str, int]:
        """Return the words that play a role in the sentence's event.

        Args:
            role: "agent", "patient" or "place".

        Returns:
            The words as text, and the character at which they start.
        """
        first = next(i for i, word in enumerate(self.words) if word.role == role)
        forms = [word.form for word in self.words if word.role == role]
        return " ".join(forms), sum(len(word.form) + 1 for word in self.words[:first])


def say(meaning: Meaning, language: Artificial) -> Sentence:
    """Express a meaning in a language.

    Args:
        meaning: An event, a question about one, two events in order, or a fact.
        language: The artificial language.

    Returns:
        The sentence, whose words carry their tags.
    """
    if isinstance(meaning, EventQuestion):
        return Sentence((*_question(meaning, language), Word("?", "PUNCT")))
    if isinstance(meaning, Order):
        return Sentence((*_order(meaning, language), Word(".", "PUNCT")))
    words = _fact(meaning, language) if isinstance(meaning, Fact) else _clause(meaning, language)
    return Sentence((*words, Word(".", "PUNCT")))


def _clause(event: Event, language: Artificial) -> list[Word]:
    """Return the words of an event: constituents in the order of the language, place and time at its edges."""
    subject, role, case = event.agent, "agent", ""
    oblique: list[Word] = []
    if event.passive and event.patient:
        subject, role = event.patient, "patient"
        oblique = _adposed(event.agent, "agent", "by", language)
    parts = {"S": _phrase(subject, role, case, language), "V": _verb(event, subject, language), "O": oblique}
    if event.patient and not event.passive:
        parts["O"] = _phrase(event.patient, "patient", "object", language)
    place = _adposed(event.place, "place", "near" if event.near else "in", language) if event.place else []
    time = [_word(event.time, language)] if event.time else []
    early = language.order.index("V") > language.order.index("O")  # verb-late languages set the scene first
    core = [word for part in language.order for word in parts[part]]
    return [*time, *place, *core] if early else [*core, *place, *time]


def _verb(event: Event, subject: Thing, language: Artificial) -> list[Word]:
    word = _word(event.verb, language)
    form, before = word.form, []
    if language.adpositions == "suffix":
        form += suffixes(language)["passive"] if event.passive else ""
    elif event.passive:
        before, form = [_word("is", language)], form + suffixes(language)["passive"]
    else:
        form += suffixes(language)["active"]
    if language.agreement:
        form += suffixes(language)["animate" if subject.alive else "inanimate"]
    verb, never = Word(form, word.pos), [_word("never", language)] if event.negated else []
    return [*before, *never, verb] if language.negation_first else [*before, verb, *never]


def _phrase(thing: Thing, role: str, case: str, language: Artificial) -> list[Word]:
    """Return a noun phrase: article, adjective and noun in their order, or a name; with its case ending."""
    words = [_noun(lemma, i, thing, role, language) for i, lemma in enumerate(thing.words)]
    if language.adpositions == "suffix" and case:
        words[-1] = _with_form(words[-1], words[-1].form + suffixes(language)[case])
    if thing.adjective:
        form = lexicon(language)[thing.adjective]
        form += suffixes(language)["animate" if thing.alive else "inanimate"] if language.agreement else ""
        adjective = [Word(form, "ADJ", role=role)]
        words = [*adjective, *words] if language.adjective_first else [*words, *adjective]
    article = language.articles and not thing.named
    return [Word(lexicon(language)["the"], "DET", role=role), *words] if article else words


def _noun(lemma: str, position: int, thing: Thing, role: str, language: Artificial) -> Word:
    entity = f"{'I' if position else 'B'}-{thing.kind}" if thing.named else "O"
    return Word(lexicon(language)[lemma], POS[lemma], entity, role, PARTS.get(lemma, "O"))


def _adposed(thing: Thing, role: str, relation: str, language: Artificial) -> list[Word]:
    phrase = _phrase(thing, role, relation, language)
    if language.adpositions == "suffix":
        return phrase
    adposition = [_word(relation, language)]
    return [*adposition, *phrase] if language.adpositions == "before" else [*phrase, *adposition]


def _question(question: EventQuestion, language: Artificial) -> list[Word]:
    """Return a question: its word leads, or stands where the answer would; a gap always stands there."""
    thing = _role(question)(question.event)
    assert thing is not None
    lemma = "where" if question.role == "place" else "who" if thing.alive else "what"
    clause = _clause(question.event, language)
    at = next(i for i, word in enumerate(clause) if word.role == question.role)
    rest = [word for word in clause if word.role != question.role]
    word = Word("_", "SYM") if question.gap else _word(lemma, language)
    return [word, *rest] if language.question_first and not question.gap else [*rest[:at], word, *rest[at:]]


def _role(question: EventQuestion) -> Callable[[Event], Thing | None]:
    return {"agent": lambda e: e.agent, "patient": lambda e: e.patient, "place": lambda e: e.place}[question.role]


def _order(order: Order, language: Artificial) -> list[Word]:
    first, second = (_clause(event, language) for event in (order.first, order.second))
    link = [_word("before" if order.before else "after", language)]
    late = language.adpositions != "before"
    return [*first, *link, *second] if not late else [*link, *first, Word(",", "PUNCT"), *second]


def _fact(fact: Fact, language: Artificial) -> list[Word]:
    noun, hypernym = (_phrase(thing, "", "", language) for thing in (fact.noun, fact.kind))
    copula = [_word("is", language)]
    late = language.order.index("V") > language.order.index("O")
    return [*noun, *hypernym, *copula] if late else [*noun, *copula, *hypernym]


def _word(lemma: str, language: Artificial) -> Word:
    return Word(lexicon(language)[lemma], POS[lemma])


def _with_form(word: Word, form: str) -> Word:
    return Word(form, word.pos, word.entity, word.role, word.part)
