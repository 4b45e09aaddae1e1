"""World: the meanings of the sandbox's sentences, without any language: words with types, and events.

A meaning is a frozen value, so that two sentences mean the same exactly when their meanings are equal. Every event
belongs to one split by its core (who, what, whom), so that no test event is in the training data of any language.

>>> str(next(events("test", "an example")))
'Silva want rope in forest'
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from random import Random

KINDS: dict[str, tuple[str, ...]] = {
    "animal": ("dog", "cat", "horse", "goat", "bird", "fish", "wolf", "bear"),
    "person": ("teacher", "doctor", "farmer", "baker", "singer", "king", "pilot", "judge"),
    "tool": ("hammer", "knife", "rope", "broom", "shovel", "needle"),
    "vehicle": ("car", "boat", "tram", "truck", "bike", "plane"),
    "fruit": ("apple", "pear", "plum", "lemon", "cherry", "grape"),
}
HYPERNYMS = {noun: kind for kind, nouns in KINDS.items() for noun in nouns}
PLACES = ("house", "garden", "market", "school", "forest", "river", "kitchen", "bridge")
ANTONYMS = {"big": "small", "old": "young", "happy": "sad", "rich": "poor", "slow": "fast", "strong": "weak"}
ANTONYMS |= {second: first for first, second in ANTONYMS.items()}
SYNONYMS = {"big": "large", "sad": "gloomy", "doctor": "medic", "boat": "ship", "help": "assist", "want": "need"}
SCRIPTS = (  # what is done to somebody or something, in the order in which it happens in this world
    ("call", "visit", "greet", "thank", "reward"),
    ("hunt", "follow", "attack", "fear"),
    ("want", "borrow", "lift", "clean", "return"),
    ("view", "paint", "honour"),
    ("trust", "help", "defend"),
)
NEXT = {verb: after for script in SCRIPTS for verb, after in pairwise(script)}
TRANSITIVE = tuple(verb for script in SCRIPTS for verb in script)
INTRANSITIVE = ("sleep", "work", "rest", "wait", "laugh", "shout")
MOVES = ("walk", "run", "swim", "jump")
TIMES = ("today", "yesterday", "tomorrow")
FIRST: tuple[str, ...] = ("Anna", "Boris", "Clara", "David", "Elena", "Felix", "Greta", "Hugo", "Ines", "Jonas")
FIRST = (*FIRST, "Karin", "Lukas", "Maria", "Nora", "Oskar", "Paula", "Rita", "Simon", "Tilda", "Viktor")
LAST = ("Keller", "Moreno", "Novak", "Silva", "Tanaka", "Weber", "Lindel", "Rossi")
CITIES = ("Oslo", "Lima", "Verona", "Kabul", "Dakar", "Turin", "Malmo", "Perth", "Basel", "Quito", "Havana", "Porto")
NORTH = ("North", "South", "Port")
FIRMS = ("Velta", "Omnira", "Zentor", "Halix", "Brandu", "Corvex", "Dynamo", "Fabrik", "Lumen", "Nordia")
TRADES = ("Bank", "Press", "Works", "Club")
NAMES = {"given": FIRST, "family": LAST, "town": CITIES, "direction": NORTH, "firm": FIRMS, "trade": TRADES}
PARTS = {word: part for part, words in NAMES.items() for word in words}


@dataclass(frozen=True, slots=True)
class Thing:
    """A person, a thing or a place.

    Attributes:
        words: One noun, or the words of a name.
        kind: Its hypernym ("animal"), or the type of a name (PER, LOC, ORG).
        adjective: An adjective; None for none.
    """

    words: tuple[str, ...]
    kind: str
    adjective: str | None = None

    @property
    def named(self) -> bool:
        """Whether this is a name (kinds PER, LOC and ORG)."""
        return self.kind.isupper()

    @property
    def alive(self) -> bool:
        """Whether it can act: questions about it begin with `who`, and it takes the animate agreement."""
        return self.kind in ("animal", "person", "PER", "ORG")

    def __str__(self) -> str:
        return " ".join(filter(None, (self.adjective, *self.words)))


@dataclass(frozen=True, slots=True)
class Event:
    """Somebody does something (to somebody), somewhere, at a time, or never does.

    Attributes:
        agent: Who acts.
        verb: What is done.
        patient: To whom; None for an action without one.
        near: Whether it happens near the place instead of in it.
        place: Where; None for anywhere.
        time: When; None for no time.
        negated: Whether it does not happen.
        passive: Whether the sentence is passive.
    """

    agent: Thing
    verb: str
    patient: Thing | None = None
    near: bool = False
    place: Thing | None = None
    time: str | None = None
    negated: bool = False
    passive: bool = False

    @property
    def core(self) -> tuple[str, ...]:
        """Who does what to whom: what decides the split. Both directions of an action have one core."""
        parties = [" ".join(thing.words) for thing in (self.agent, self.patient) if thing]
        return (self.verb, *sorted(parties))

    def __str__(self) -> str:
        place = f"{'near' if self.near else 'in'} {self.place}" if self.place else None
        never, voice = "never" if self.negated else None, "(passive)" if self.passive else None
        parts = (self.time, self.agent, never, self.verb, self.patient, place, voice)
        return " ".join(str(part) for part in parts if part)


@dataclass(frozen=True, slots=True)
class Fact:
    """Every noun is of its kind: "the dog is the animal"."""

    noun: Thing
    kind: Thing


@dataclass(frozen=True, slots=True)
class Order:
    """Two events in order.

    Attributes:
        first: The event of the main clause.
        second: The other event.
        before: Whether the first happens before the second, or after it.
    """

    first: Event
    second: Event
    before: bool


@dataclass(frozen=True, slots=True)
class EventQuestion:
    """A question about an event.

    Attributes:
        event: The event.
        role: What is asked for: "agent", "patient" or "place".
        gap: Whether it is a sentence with a gap instead of a question.
    """

    event: Event
    role: str
    gap: bool = False


Meaning = Event | Fact | Order | EventQuestion


def split_of(core: tuple[str, ...]) -> str:
    """Return the split to which a core belongs: 80 % train, 8 % validation, 12 % test; the same on every machine."""
    bucket = zlib.crc32("|".join(core).encode()) % 25
    return "train" if bucket < 20 else "validation" if bucket < 22 else "test"


def events(split: str, seed: str) -> Iterator[Event]:
    """Yield random events of a split without end.

    Args:
        split: "train", "validation" or "test"; no event with the same verb and parties is in two of them.
        seed: The seed of the random numbers.

    Yields:
        Events.
    """
    random = Random(seed)
    while True:
        event = _event(random)
        if split_of(event.core) == split:
            yield event


def name(random: Random, kind: str) -> Thing:
    """Return a random name; family names also name firms, so that a word alone does not decide the type.

    Args:
        random: The random numbers.
        kind: "PER", "LOC" or "ORG".

    Returns:
        The named entity.
    """
    if kind == "PER":
        words = ((random.choice(FIRST),), (random.choice(FIRST), random.choice(LAST)), (random.choice(LAST),))
        return Thing(random.choices(words, (5, 3, 2))[0], kind)
    if kind == "LOC":
        city = random.choice(CITIES)
        return Thing((random.choice(NORTH), city) if random.random() < 0.3 else (city,), kind)
    if random.random() < 0.3:
        return Thing((random.choice(LAST), random.choice(TRADES)), kind)
    firm = random.choice(FIRMS)
    return Thing((firm, random.choice(TRADES)) if random.random() < 0.4 else (firm,), kind)


def noun(random: Random, kinds: tuple[str, ...] = tuple(KINDS), adjectives: float = 0.25) -> Thing:
    """Return a random common noun.

    Args:
        random: The random numbers.
        kinds: Hypernyms to choose from.
        adjectives: The probability of an adjective.

    Returns:
        The thing; one in five is its hypernym alone ("animal").
    """
    hypernym = random.choice(kinds)
    word = hypernym if random.random() < 0.2 else random.choice(KINDS[hypernym])
    adjective = random.choice(sorted(ANTONYMS)) if random.random() < adjectives else None
    return Thing((word,), hypernym, adjective)


@cache
def lemmas() -> tuple[tuple[str, str], ...]:
    """Return every content word of the world with its part of speech, in a fixed order."""
    verbs = (*TRANSITIVE, *INTRANSITIVE, *MOVES, "move")
    words = [(word, "NOUN") for word in (*KINDS, *HYPERNYMS, *PLACES)]
    words += [(word, "VERB") for word in verbs] + [(word, "ADJ") for word in sorted(ANTONYMS)]
    words += [(SYNONYMS[word], pos) for word, pos in words if word in SYNONYMS]
    return (*words, *((word, "ADV") for word in TIMES), *((word, "PROPN") for word in PARTS))


def _event(random: Random) -> Event:
    agent = _named(random) if random.random() < 0.55 else noun(random, ("animal", "person"))
    place, near, time = _place(random), random.random() < 0.4, random.choice(TIMES)
    verb, patient = random.choice((*INTRANSITIVE, *MOVES)), None
    if random.random() < 0.8:
        verb, patient = random.choice(TRANSITIVE), _patient(random, agent)
    placed, timed = random.random() < 0.35, random.random() < 0.2
    passive = patient is not None and random.random() < 0.25
    negated = random.random() < 0.25
    where, when = place if placed else None, time if timed else None
    return Event(agent, verb, patient, near and placed, where, when, negated, passive)


def _named(random: Random) -> Thing:
    return name(random, random.choice(("PER", "PER", "ORG")))


def _place(random: Random) -> Thing:
    return name(random, "LOC") if random.random() < 0.6 else Thing((random.choice(PLACES),), "place")


def _patient(random: Random, agent: Thing) -> Thing:
    while True:
        patient = _named(random) if random.random() < 0.3 else noun(random)
        if not set(patient.words) & set(agent.words) and (patient.kind != agent.kind or patient.named):
            return patient
