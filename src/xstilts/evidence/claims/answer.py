"""Answer, abstract and limits of an evidence report: only counts, quotes, and what is true by construction.

Works are not outvoted: where two are opposed, the answer says so and quotes both. It never says "yes": that a sentence
occurs in a work is no proof, and own measurements are reported separately.

>>> count_phrase(1, "work"), count_phrase(3, "work")
('one work', '3 works')
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from xstilts.evidence.claims.comparison import Relation
from xstilts.evidence.claims.effect_direction import Direction, reports_others
from xstilts.evidence.claims.own_words import mentions_phrase, unheld
from xstilts.evidence.claims.question import COSTS, general_terms
from xstilts.evidence.claims.synthesis import (
    Finding,
    JudgedStatement,
    Synthesis,
    central_statements,
    conflicts,
    directions_by_outcome,
    independent_works,
    relations,
)
from xstilts.evidence.report import citations
from xstilts.evidence.retrieval.ranking import Ranker
from xstilts.evidence.retrieval.work_index import build_in_memory
from xstilts.evidence.search.queries import search_queries
from xstilts.evidence.search.work import Work
from xstilts.evidence.text.documents import sentences
from xstilts.runtime.text import counted

QUALITY_WORDS: Mapping[Direction, str] = {
    "up": "more or better",
    "down": "less or worse",
    "level": "no clear difference",
    "mixed": "both",
}
COST_WORDS = {**QUALITY_WORDS, "up": "more", "down": "less"}  # for costs, more is not better
NEAREST = 3  # works that are named where none answers


def answer(synthesis: Synthesis) -> str:
    """Return the answer in a few sentences: what the central statements say, and what is true by construction."""
    constructions = " ".join(item.statement for item in synthesis.constructions)
    central = central_statements(synthesis.question, synthesis.statements)
    if not central:
        rest = (
            f", only {count_phrase(len(synthesis.statements), 'statement')} on {_changed(synthesis)}"
            if synthesis.statements
            else ""
        )
        return f"No evidence found on {_subject(synthesis)}{rest}. {constructions}".strip()
    works = len({item.statement.work for item in central})
    verdict = (
        "Disputed"
        if opposed_pair(synthesis)
        else "One work only"
        if works == 1
        else "Works differ, but are not comparable"
        if incomparable_pair(synthesis)
        else "Not disputed"
    )
    basis = f"{count_phrase(len(central), 'statement')} of {count_phrase(works, 'work')} on {_subject(synthesis)}"
    counts = "; ".join(_outcome_counts(synthesis, central))
    return f"{verdict}: {f'{counts} ({basis})' if counts else basis}. {constructions}".strip()


def abstract(synthesis: Synthesis) -> tuple[str, ...]:
    """Return the paragraphs below the answer: what is known, in quotes; how sure and why; what is not; the search.

    Where nothing answers, the nearest of the works that were read stand in for what is known.
    """
    known = _quote_sides(synthesis) or _nearest(synthesis)
    return tuple(filter(None, (known, _how_sure(synthesis), _gaps(synthesis), _searched(synthesis))))


def finding_status(synthesis: Synthesis, finding: Finding) -> str:
    """Return the status of a finding; of own words that no search held it is "not understood".

    Args:
        synthesis: The synthesis.
        finding: One of its findings.

    Returns:
        A status of `Finding.status`, or "not understood".
    """
    return "not understood" if _is_unsearched(synthesis, finding) else finding.status


def finding_summary(synthesis: Synthesis, finding: Finding) -> str:
    """Return how many statements mention a term; of own words without any, what was searched and read for them.

    Args:
        synthesis: The synthesis.
        finding: One of its findings.

    Returns:
        A clause without a full stop.
    """
    term = finding.coverage.term
    if finding.coverage.role != "words":
        return finding.coverage.summary
    if finding.statements:
        return finding.coverage.summary.replace("the words ", "")
    if _is_unsearched(synthesis, finding):
        return f"not understood: '{term}', which no search and no text that was read could be tried for"
    count = sum(mentions_phrase(query, term) for query in search_queries(synthesis.question))
    read = [work for work in synthesis.corpus.included if _mentions(synthesis, work.id, term)]
    searched = f"searched for in {count_phrase(count, 'query').replace('querys', 'queries')}"
    of = f"{len(read) or 'none'} of {count_phrase(len(synthesis.corpus.included), 'work')} read"
    return f"no evidence found for '{term}' ({searched}; {of} mention it, with no result on the question)"


def limits(synthesis: Synthesis) -> Iterator[str]:
    """Yield the limitations of the report."""
    yield (
        "A statement is quoted because it is a finding by its wording and bears on the question; what a work says in "
        "tables or in figures is not found."
    )
    yield "Directions are read from the wording and sort the statements; they are no verdict on the question."
    yield "Faithful to its source means that the work states it as quoted, not that it is true."
    if not any(item.corroborated.status == "SUPPORTED" for item in synthesis.statements):
        yield "No statement is borne out by other data of other authors; repetitions and retellings count for nothing."
    abstract_only = [work for work in synthesis.corpus.included if len(synthesis.corpus.documents[work.id]) == 1]
    if abstract_only:
        share = f"{len(abstract_only)} of {counted(len(synthesis.corpus.included), 'work')}"
        yield f"Of {share} only one text was available, usually the abstract."
    for source in sorted({item.source for item in synthesis.corpus.failures}):
        reasons = sorted({item.reason for item in synthesis.corpus.failures if item.source == source})
        yield f"{source} failed ({'; '.join(reasons)}); works that only it has are missing."
    single_seed = [
        item
        for item in synthesis.statements
        if "one seed" in item.statement.text or "single seed" in item.statement.text
    ]
    if single_seed:
        yield f"Based on one seed, by their own account: {_name_list(single_seed)}."
    second_hand = [item for item in synthesis.statements if item.statement.cites or reports_others(item.statement.text)]
    if second_hand:
        yield f"Possibly reporting results of other works: {_name_list(second_hand)}."


def opposed_pair(synthesis: Synthesis) -> tuple[JudgedStatement, JudgedStatement] | None:
    """Return two opposed statements among those the answer rests on, or None."""
    return next(iter(conflicts(central_statements(synthesis.question, synthesis.statements))), None)


def incomparable_pair(synthesis: Synthesis) -> tuple[JudgedStatement, JudgedStatement, Relation] | None:
    """Return two statements whose words are opposed but whose settings are not comparable, with the reason, or None."""
    central = central_statements(synthesis.question, synthesis.statements)
    return next((result for result in relations(central) if result[2].kind == "not comparable"), None)


def count_phrase(number: int, noun: str) -> str:
    """Return a number with its noun: "one work", "3 works".

    Args:
        number: The number.
        noun: The noun in the singular, with a plural in "s".

    Returns:
        The phrase.
    """
    return f"one {noun}" if number == 1 else f"{number} {noun}s"


def citation(synthesis: Synthesis, judged: JudgedStatement) -> str:
    """Return how the answer cites a statement's work: "Boer and Doe (2021)".

    Args:
        synthesis: The synthesis, whose corpus has the work.
        judged: The statement.

    Returns:
        Authors and year.
    """
    return _cited(next(candidate for candidate in synthesis.corpus.works if candidate.id == judged.statement.work))


def _cited(work: Work) -> str:
    return citations.short_citation({"authors": work.authors, "year": work.year, "title": work.title})


def _outcome_counts(synthesis: Synthesis, judged: Sequence[JudgedStatement]) -> Iterator[str]:
    """Yield, for each outcome of the question, how many works report which direction, each work once."""
    by_outcome = directions_by_outcome(judged)
    for outcome in sorted(by_outcome, key=lambda name: _outcome_position(synthesis, name)):
        directions = list(by_outcome[outcome].values())
        words = COST_WORDS if outcome in COSTS - {"efficiency"} else QUALITY_WORDS
        counts = [(phrase, directions.count(name)) for name, phrase in words.items() if name in directions]
        first, *rest = (f"{phrase} in {'one' if count == 1 else count}" for phrase, count in counts)
        first = f"{first} work{'' if counts[0][1] == 1 else 's'}"
        yield ", ".join([f"on {outcome} {first}" if len(by_outcome) > 1 else first, *rest])


def _outcome_position(synthesis: Synthesis, outcome: str) -> int:
    """Return the position of an outcome in the question."""
    terms = synthesis.question.facet("outcome").terms
    return next((place for place, term in enumerate(terms) if outcome.startswith(term)), len(terms))


def _quote_sides(synthesis: Synthesis) -> str:
    pair = opposed_pair(synthesis)
    incomparable = incomparable_pair(synthesis)
    if pair is None and incomparable is not None:
        item, two, relation = incomparable
        return (
            f"{citation(synthesis, item)}: “{item.statement.text}” {citation(synthesis, two)}: “{two.statement.text}” "
            f"They are {relation.words}."
        )
    if pair is None:
        return " ".join(
            f"{citation(synthesis, first)}: “{first.statement.text}”"
            for first in central_statements(synthesis.question, synthesis.statements)[:2]
        )
    first, other = pair
    return (
        f"On one side {citation(synthesis, first)}: “{first.statement.text}” "
        f"On the other {citation(synthesis, other)}: “{other.statement.text}”"
    )


def _nearest(synthesis: Synthesis) -> str:
    """Return the works read that are nearest to a question that none answers, each with its nearest sentence."""
    works = {work.id: work for work in synthesis.corpus.included}
    texts = {name: documents[0].text for name, documents in synthesis.corpus.documents.items()}  # abstracts come first
    index = build_in_memory({"key": name, "title": work.title, "abstract": texts[name]} for name, work in works.items())
    nearest = Ranker(index, synthesis.question.text).ranking(NEAREST).works if works else ()
    quotes = (f"{_cited(works[work.record['key']])}, {work.record['title']}: “{work.sentence}”" for work in nearest)
    listed = " ".join(quotes)
    return f"Nearest to the question, without a finding that answers it: {listed}" if listed else ""


def _how_sure(synthesis: Synthesis) -> str:
    """Return how sure the answer is and why: works, their independence, corroboration and hedges."""
    central = central_statements(synthesis.question, synthesis.statements)
    if not central:
        return ""
    works = {work.id: work for work in synthesis.corpus.works}
    cited = [works[name] for name in sorted({item.statement.work for item in central})]
    apart = [work for work in cited if len(independent_works(work, cited)) == len(cited) - 1]
    if opposed_pair(synthesis):
        why = f"{count_phrase(len(cited), 'work')} that do not agree, so that no direction is established"
    elif len(cited) == 1:
        why = "one work, which no other supports"
    else:
        why = f"{count_phrase(len(cited), 'work')}, {len(apart) or 'none'} of them of authors who share no other"
    corroborated = sum(item.corroborated.status == "SUPPORTED" for item in central)
    hedged = sum(bool(item.statement.hedges) for item in central)
    total = count_phrase(len(central), "statement")
    return (
        f"How sure: it rests on {why}. Of {total} {_how_many(corroborated)} corroborated by works of other authors, "
        f"and {_how_many(hedged)} hedged."
    )


def _how_many(number: int) -> str:
    return f"{number} are" if number > 1 else "one is" if number else "none is"


def _gaps(synthesis: Synthesis) -> str:
    empty = [finding for finding in synthesis.findings if not finding.statements]
    own_first = sorted(empty, key=lambda finding: finding.coverage.role != "words")
    text = "; ".join(finding_summary(synthesis, finding) for finding in own_first)
    return (
        f"{text[:1].upper()}{text[1:]}."
        if text
        else "Every term of the question is mentioned by at least one statement."
    )


def _is_unsearched(synthesis: Synthesis, finding: Finding) -> bool:
    """Return whether own words without a statement were in no search, or nothing was read after it."""
    if finding.statements or finding.coverage.role != "words":
        return False
    read = bool(synthesis.corpus.requests or synthesis.corpus.included)
    return not read or bool(unheld((finding.coverage.term,), search_queries(synthesis.question)))


def _mentions(synthesis: Synthesis, work: str, phrase: str) -> bool:
    """Return whether a sentence of a work mentions a phrase; a text that lacks its words is not taken apart."""
    return any(
        mentions_phrase(document.text, phrase)
        and any(mentions_phrase(sentence.text, phrase) for sentence in sentences(document))
        for document in synthesis.corpus.documents[work]
    )


def _searched(synthesis: Synthesis) -> str:
    corpus = synthesis.corpus
    sources = sorted({request.source for request in corpus.requests})
    invented = any(work.invented for work in corpus.works)
    works = count_phrase(len(corpus.works), "invented work" if invented else "work")
    return (
        f"{works} {'was' if len(corpus.works) == 1 else 'were'} found in {'a local imitation of ' if invented else ''}"
        f"{', '.join(sources) or 'no source'}, "
        f"{len(corpus.included)} of them included; {len({item.statement.work for item in synthesis.statements})} cited."
    )


def _subject(synthesis: Synthesis) -> str:
    """Return the question's subject: the intervention and the outcomes."""
    outcomes = synthesis.question.facet("outcome").terms
    return _changed(synthesis) + (f" and {', '.join(outcomes)}" if outcomes else "")


def _changed(synthesis: Synthesis) -> str:
    core = synthesis.question.core
    return " and ".join([term for term in core if term not in general_terms()] or core)


def _name_list(judged: Sequence[JudgedStatement]) -> str:
    return ", ".join(item.name for item in judged)


def prisma_counts(synthesis: Synthesis) -> Mapping[str, object]:
    """Return the counts of a PRISMA flow diagram: records, duplicates, screened, excluded, included and cited works."""
    corpus = synthesis.corpus
    records: dict[str, int] = {}
    for work in corpus.works:
        for source in work.sources:
            records[source.split(" ")[0]] = records.get(source.split(" ")[0], 0) + 1
    excluded: dict[str, int] = {}
    for row in corpus.screening:
        if not row.source and not row.included:
            reason = row.reason.partition(":")[0]
            excluded[reason] = excluded.get(reason, 0) + 1
    return {
        "records": dict(sorted(records.items())),
        "duplicates": sum(records.values()) - len(corpus.works),
        "works": len(corpus.works),
        "left_out": dict(sorted(excluded.items())),
        "included": len(corpus.included),
        "cited": len({item.statement.work for item in synthesis.statements}),
        "statements": len(synthesis.statements),
    }
