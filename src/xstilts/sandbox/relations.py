"""Relations: whether the meaning of one event follows from that of another, contradicts it, or neither.

They do not depend on a language. Two events are about the same persons and things (the "animal" of the second is the
"dog" of the first), so that the denial of one contradicts the other.

>>> cat, plum = Thing(("cat",), "animal"), Thing(("plum",), "fruit")
>>> [str(event) for event in wider(Event(cat, "want", plum, time="today"))]
['cat want plum', 'today animal want plum', 'today cat want fruit']
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from xstilts.sandbox.world import ANTONYMS, HYPERNYMS, MOVES, SYNONYMS, Event, Order, Thing


def wider(event: Event) -> list[Event]:
    """Return more general events: each follows from this one, which does not follow from it.

    Each differs in one place: a hypernym for a noun, "move" for a way to move, or, where the event is not denied, one
    detail fewer.

    Args:
        event: The event.

    Returns:
        The events; none where nothing can be generalised.
    """
    events = [] if event.negated else _with_less(event)
    for role, thing in _parties(event):
        if thing.words[0] in HYPERNYMS and not thing.adjective:
            events.append(_with(event, role, Thing((thing.kind,), thing.kind)))
    return [*events, replace(event, verb="move")] if event.verb in MOVES else events


def equivalent(event: Event) -> list[Event]:
    """Return paraphrases of an event: the other voice, or a synonym in one place.

    Args:
        event: The event.

    Returns:
        The events; none where nothing can be exchanged.
    """
    events = [replace(event, passive=not event.passive)] if event.patient else []
    if event.verb in SYNONYMS:
        events.append(replace(event, verb=SYNONYMS[event.verb]))
    for role, thing in _parties(event):
        events += [_with(event, role, other) for other in _same(thing)]
    return events


def opposite(event: Event) -> list[Event]:
    """Return events that contradict an event: its denial, or an adjective's antonym.

    Args:
        event: The event.

    Returns:
        The events, the denial first.
    """
    events = [replace(event, negated=not event.negated)]
    for role, thing in _parties(event):
        if thing.adjective in ANTONYMS:
            events.append(_with(event, role, replace(thing, adjective=ANTONYMS[thing.adjective])))
    return events


def swapped(event: Event) -> list[Event]:
    """Return an event with agent and patient exchanged.

    Args:
        event: The event.

    Returns:
        The one event; none where there is no patient that can act.
    """
    if not event.patient or not event.patient.alive:
        return []
    return [replace(event, agent=event.patient, patient=event.agent)]


def follows(event: Event, label: str, random: Random) -> tuple[Event, Event] | None:
    """Return a premise and a hypothesis in the relation of an NLI label.

    Args:
        event: What they are made of.
        label: "entailment", "contradiction", or "neutral".
        random: Draws among those that are possible.

    Returns:
        Premise and hypothesis; None if the event allows none.
    """
    weak, rewordings = wider(event), equivalent(event)
    if label == "entailment":
        return (event, random.choice(weak)) if weak else None
    if label == "contradiction":
        base = random.choice([event, *weak, *rewordings])
        return event, random.choice(opposite(event)) if base == event else replace(base, negated=not base.negated)
    turned = swapped(event)
    if turned and random.random() < 0.3:
        return event, turned[0]
    return (random.choice(weak), event) if weak else None


def relates(event: Event, label: str, random: Random) -> tuple[Event, Event] | None:
    """Return two events in a relation of natural logic (MacCartney & Manning 2009).

    Args:
        event: What they are made of.
        label: "equivalent", "wider", "narrower", "opposite" or "other".
        random: Draws among those that are possible.

    Returns:
        The events; None if the event allows none.
    """
    related_events = {
        "equivalent": equivalent(event),
        "wider": wider(event),
        "narrower": wider(event),
        "opposite": opposite(event),
        "other": swapped(event),
    }[label]
    if not related_events:
        return None
    other = random.choice(related_events)
    return (other, event) if label == "narrower" else (event, other)


def restates(
    event: Event, label: str, random: Random, stream: Iterator[Event]
) -> tuple[Event | Order, Event | Order] | None:
    """Return two sentences that mean the same, or do not although they share their words (as in PAWS).

    Args:
        event: What they are made of.
        label: "same", or anything else for sentences of different meaning.
        random: Draws among those that are possible.
        stream: Where a second event comes from, for events without a patient.

    Returns:
        The meanings; None if the event allows none.
    """
    if not event.patient:
        other = next(other for other in stream if not other.patient)
        order = Order(event, other, random.random() < 0.5)
        turned = Order(other, event, not order.before)
        return order, turned if label == "same" else replace(turned, before=order.before)
    turned_round = swapped(event)
    if not turned_round:
        return None
    if label == "same":
        return event, random.choice(equivalent(event))
    return event, random.choice([turned_round[0], replace(turned_round[0], passive=not event.passive)])


def _with_less(event: Event) -> list[Event]:
    events = [replace(event, place=None, near=False)] if event.place else []
    events += [replace(event, time=None)] if event.time else []
    for role, thing in _parties(event):
        if thing.adjective:
            events.append(_with(event, role, replace(thing, adjective=None)))
    return events


def _parties(event: Event) -> list[tuple[str, Thing]]:
    return [("agent", event.agent)] + ([("patient", event.patient)] if event.patient else [])


def _with(event: Event, role: str, thing: Thing) -> Event:
    return replace(event, agent=thing) if role == "agent" else replace(event, patient=thing)


def _same(thing: Thing) -> list[Thing]:
    things = [replace(thing, words=(SYNONYMS[thing.words[0]],))] if thing.words[0] in SYNONYMS else []
    if thing.adjective in SYNONYMS:
        things.append(replace(thing, adjective=SYNONYMS[thing.adjective]))
    return things
