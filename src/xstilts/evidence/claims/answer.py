"""Answer: what a synthesis amounts to, in sentences; every fact in them is counted, quoted or true by construction.

Works are not outvoted: where two of them are opposed the answer says so and quotes both sides. It never says "yes":
that a sentence stands in a work is no proof, and what was measured here is told apart from it.

>>> counted(1, "work"), counted(3, "work")
('one work', '3 works')
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from xstilts.evidence.claims.effect_direction import Direction, reports_others
from xstilts.evidence.claims.question import COSTS, general_terms
from xstilts.evidence.claims.synthesis import (
    JudgedStatement,
    Synthesis,
    central_statements,
    conflicts,
    directions_by_outcome,
)
from xstilts.evidence.report import citations

QUALITY_WORDS: Mapping[Direction, str] = {
    "up": "more or better",
    "down": "less or worse",
    "level": "no sure difference",
    "mixed": "both",
}
COST_WORDS = {**QUALITY_WORDS, "up": "more", "down": "less"}  # of what costs, more is not better


def answer(synthesis: Synthesis) -> str:
    """Return the answer in a few sentences: what was found on the core of the question, and what holds anyhow."""
    held = " ".join(one.statement for one in synthesis.constructions)
    those = central_statements(synthesis.question, synthesis.statements)
    if not those:
        rest = (
            f", only {count_phrase(len(synthesis.statements), 'statement')} on {_changed(synthesis)}"
            if synthesis.statements
            else ""
        )
        return f"No evidence found on {_subject(synthesis)}{rest}. {held}".strip()
    works = len({one.statement.work for one in those})
    verdict = "Disputed" if opposed_pair(synthesis) else "One work only" if works == 1 else "Not disputed"
    found = f"{count_phrase(len(those), 'statement')} of {count_phrase(works, 'work')} on {_subject(synthesis)}"
    told = "; ".join(_outcome_counts(synthesis, those))
    return f"{verdict}: {f'{told} ({found})' if told else found}. {held}".strip()


def abstract(synthesis: Synthesis) -> tuple[str, ...]:
    """Return what is behind the answer, in paragraphs: both sides quoted, what has no evidence, how it was searched."""
    return tuple(filter(None, (_quote_sides(synthesis), _gaps(synthesis), _searched(synthesis))))


def limits(synthesis: Synthesis) -> Iterator[str]:
    """Yield what this report cannot say."""
    yield (
        "A statement is quoted because its words touch the question; what is said in other words, in tables or figures "
        "is not found."
    )
    yield "Directions are read from words and sort the statements; they are no verdict on the question."
    yield "Faithful to its source means that it stands there as quoted, not that it is true."
    if not any(one.corroborated.status == "SUPPORTED" for one in synthesis.statements):
        yield "No statement is repeated word for word by works of other authors; paraphrases are left undecided."
    bare = [work for work in synthesis.corpus.included if len(synthesis.corpus.documents[work.id]) == 1]
    if bare:
        held = f"{len(bare)} of {len(synthesis.corpus.included)} works"
        yield f"Of {held} only one text was had, as a rule the abstract."
    for source in sorted({one.source for one in synthesis.corpus.failures}):
        reasons = sorted({one.reason for one in synthesis.corpus.failures if one.source == source})
        yield f"{source} failed ({'; '.join(reasons)}); what it alone has is missing."
    alone = [
        one for one in synthesis.statements if "one seed" in one.statement.text or "single seed" in one.statement.text
    ]
    if alone:
        yield f"Resting on one seed, by their own words: {_name_list(alone)}."
    told = [one for one in synthesis.statements if one.statement.cites or reports_others(one.statement.text)]
    if told:
        yield f"Perhaps telling what others found: {_name_list(told)}."


def opposed_pair(synthesis: Synthesis) -> tuple[JudgedStatement, JudgedStatement] | None:
    """Return two statements that are opposed, of those that touch most of what is asked."""
    return next(iter(conflicts(central_statements(synthesis.question, synthesis.statements))), None)


def count_phrase(number: int, noun: str) -> str:
    """Return a number and what is counted."""
    return f"one {noun}" if number == 1 else f"{number} {noun}s"


def citation(synthesis: Synthesis, said: JudgedStatement) -> str:
    """Return who says something, and when."""
    work = next(one for one in synthesis.corpus.works if one.id == said.statement.work)
    return citations.short_citation({"authors": work.authors, "year": work.year, "title": work.title})


def _outcome_counts(synthesis: Synthesis, those: Sequence[JudgedStatement]) -> Iterator[str]:
    """Yield for each outcome that is asked for how many works say what on it, each work once."""
    found = directions_by_outcome(those)
    for asked in sorted(found, key=lambda one: _outcome_position(synthesis, one)):
        directions = list(found[asked].values())
        words = COST_WORDS if asked in COSTS - {"efficiency"} else QUALITY_WORDS
        counts = [(said, directions.count(name)) for name, said in words.items() if name in directions]
        first, *rest = (f"{said} in {'one' if count == 1 else count}" for said, count in counts)
        first = f"{first} work{'' if counts[0][1] == 1 else 's'}"
        yield ", ".join([f"on {asked} {first}" if len(found) > 1 else first, *rest])


def _outcome_position(synthesis: Synthesis, asked: str) -> int:
    """Return where a question asks for an outcome."""
    terms = synthesis.question.facet("outcome").terms
    return next((place for place, term in enumerate(terms) if asked.startswith(term)), len(terms))


def _quote_sides(synthesis: Synthesis) -> str:
    pair = opposed_pair(synthesis)
    if pair is None:
        return " ".join(
            f"{citation(synthesis, one)}: “{one.statement.text}”"
            for one in central_statements(synthesis.question, synthesis.statements)[:2]
        )
    one, other = pair
    return (
        f"On one side {citation(synthesis, one)}: “{one.statement.text}” "
        f"On the other {citation(synthesis, other)}: “{other.statement.text}”"
    )


def _gaps(synthesis: Synthesis) -> str:
    missing = [one.coverage.summary for one in synthesis.findings if not one.statements]
    said = "; ".join(missing)
    return (
        f"{said[:1].upper()}{said[1:]}." if said else "Every term of the question is touched by at least one statement."
    )


def _searched(synthesis: Synthesis) -> str:
    corpus = synthesis.corpus
    sources = sorted({one.source for one in corpus.requests})
    return (
        f"{count_phrase(len(corpus.works), 'work')} were found in {', '.join(sources) or 'no source'}, "
        f"{len(corpus.included)} of them taken in; {len({one.statement.work for one in synthesis.statements})} are cited."
    )


def _subject(synthesis: Synthesis) -> str:
    """Return what is asked: what is changed, and what that does."""
    asked = synthesis.question.facet("outcome").terms
    return _changed(synthesis) + (f" and {', '.join(asked)}" if asked else "")


def _changed(synthesis: Synthesis) -> str:
    core = synthesis.question.core
    return " and ".join([term for term in core if term not in general_terms()] or core)


def _name_list(those: Sequence[JudgedStatement]) -> str:
    return ", ".join(one.name for one in those)


def prisma_counts(synthesis: Synthesis) -> Mapping[str, object]:
    """Return how many records were found, merged, left out with which reason, taken in, and cited."""
    corpus = synthesis.corpus
    records: dict[str, int] = {}
    for work in corpus.works:
        for source in work.sources:
            records[source.split(" ")[0]] = records.get(source.split(" ")[0], 0) + 1
    left: dict[str, int] = {}
    for row in corpus.screening:
        if not row.source and not row.included:
            reason = row.reason.partition(":")[0]
            left[reason] = left.get(reason, 0) + 1
    return {
        "records": dict(sorted(records.items())),
        "duplicates": sum(records.values()) - len(corpus.works),
        "works": len(corpus.works),
        "left_out": dict(sorted(left.items())),
        "included": len(corpus.included),
        "cited": len({one.statement.work for one in synthesis.statements}),
        "statements": len(synthesis.statements),
    }
