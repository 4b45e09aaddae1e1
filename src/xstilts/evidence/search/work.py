"""Bibliographic records of works, merged from what several sources say.

Sources describe the same work differently, and a work has versions. Records that share an identifier are one work, also
through a relation that a source gives (a preprint of, a version of), and so are those of the same title and authors in
the same year, or of a preprint and its publication up to `MOST_YEARS` apart, unless their identifiers contradict that.
Each source's record is kept as it was, and the work lists where they disagree. A notice of retraction, by title or by
DOI, is heard for the work that it is about.

>>> work_from_record("arxiv", parse_ids(arxiv="2113.00001v2"), title="On  tasks", authors=["Ada de Boer"]).authors
('de Boer, Ada',)
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from xstilts.evidence.search import retractions
from xstilts.evidence.search.identifiers import WorkIds, parse_ids
from xstilts.evidence.search.names import PARTICLES, is_same_person, is_suffix

# Priority of sources: publishers first for facts, and for abstracts those that store them as written.
FACT_PRIORITY = ("acl", "crossref", "openalex", "s2", "arxiv", "folder")
ABSTRACT_PRIORITY = ("acl", "arxiv", "s2", "openalex", "crossref", "folder")
MOST_YEARS = 3  # from a preprint to its publication
SHARED_AUTHORS = 0.5  # more than this share of the shorter list of authors, where the first ones differ
LEAST_TITLE_WORDS = 3  # of the title that a notice of retraction names
INVENTED = "Invented work: neither it nor its authors exist, and nothing in it was measured."
CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class Work:
    """A work.

    Attributes:
        id: Its primary identifier, or a digest of title and first author.
        ids: All its identifiers.
        title: Title.
        authors: Names as "Family, Given".
        year: Year of publication.
        venue: Journal or proceedings.
        abstract: Abstract as plain text.
        url: Web address.
        retracted: Whether any source says that it was retracted.
        citations: Highest citation count of any source.
        sources: The record of each source, by source.
        disagreements: A sentence for each of year, title, authors and DOI on which sources differ.
    """

    id: str
    ids: WorkIds
    title: str
    authors: tuple[str, ...] = ()
    year: int | None = None
    venue: str = ""
    abstract: str = ""
    url: str = ""
    retracted: bool = False
    citations: int | None = None
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    disagreements: tuple[str, ...] = ()

    @property
    def invented(self) -> bool:
        """Whether the work is made up for trying the program (`WorkIds.invented`)."""
        return self.ids.invented


def work_from_record(source: str, identifiers: WorkIds, **values: Any) -> Work:
    """Return a work as one source describes it.

    Args:
        source: Name of the source.
        identifiers: Its identifiers.
        **values: title, authors, year, venue, abstract, url, retracted and citations, in any of the source's
            types. White space is normalised, names become "Family, Given", and values of a wrong type are dropped.
            Other facts are kept unchanged in the source's record.

    Returns:
        The work with this one record.
    """
    title, abstract = single_line(values.get("title")), single_line(values.get("abstract"))
    names = people if isinstance(people := values.get("authors"), list | tuple) else ()
    authors = tuple(full for name in names if (full := family_first(single_line(name))))
    facts: dict[str, Any] = {
        "title": title,
        "authors": list(authors),
        "year": as_int(values.get("year")),
        "venue": single_line(values.get("venue")),
        "abstract": abstract,
        "url": url if (url := single_line(values.get("url"))).startswith(("https://", "http://")) else "",
        "retracted": values.get("retracted") is True
        or retractions.says_title(title)
        or retractions.says_text(abstract),
        "citations": as_int(values.get("citations")),
    }
    work_id = identifiers.primary or f"title:{hashlib.sha256(_title_key(title, authors).encode()).hexdigest()[:16]}"
    record = {**asdict(identifiers), **facts, **{key: value for key, value in values.items() if key not in facts}}
    return Work(work_id, identifiers, **{**facts, "authors": authors}, sources={source: record})


def invented_notice(works: Sequence[Work]) -> str:
    """Return what a reader must know first of works that are made up; "" where none is.

    Args:
        works: The works of a corpus or of a report.

    Returns:
        A sentence with their number.
    """
    number = sum(work.invented for work in works)
    return (
        f"Invented works: {number} of {len(works)} were made up to try the program. They and their authors do not "
        "exist, nothing in them was measured, and nothing here is evidence."
        if number
        else ""
    )


def merge_works(records_found: Iterable[Work]) -> tuple[Work, ...]:
    """Return each work once, sorted by id; the order of the records changes nothing."""
    records = sorted(unique_works(records_found), key=_sort_key)
    works = [_merge_group(group) for group in _same_titles(_same_ids(records))]
    noticed = _noticed(works)
    return tuple(
        replace(work, retracted=True) if work.id in noticed else work
        for work in sorted(works, key=lambda work: work.id)
    )


def unique_works(works: Iterable[Work]) -> list[Work]:
    """Return works without exact duplicates (records that two queries returned)."""
    return list({_sort_key(work): work for work in works}.values())


def single_line(value: object) -> str:
    """Return a text on one line without control characters; "" for what is no text."""
    return " ".join(CONTROL_CHARACTERS.sub(" ", value).split()) if isinstance(value, str) else ""


def as_int(value: object) -> int | None:
    """Return a whole number that a source gave as a number or as text; None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value.strip()):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def family_first(name: str) -> str:
    """Turn "Given van Family Jr." into "van Family, Given Jr."; names with a comma or of one word stay as they are."""
    words = name.split()
    suffix = [words.pop()] if len(words) > 2 and is_suffix(words[-1]) else []
    if "," in " ".join(words)[:-1] or len(words) < 2:
        return name
    words[-1] = words[-1].rstrip(",")
    start = len(words) - 1
    while start > 1 and words[start - 1].lower() in PARTICLES:
        start -= 1
    return f"{' '.join(words[start:])}, {' '.join([*words[:start], *suffix])}"


def fold_text(text: str) -> str:
    """Return a text for comparison: words in any script, without case, accents and punctuation."""
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return " ".join(re.findall(r"[^\W_]+", "".join(c for c in decomposed if unicodedata.category(c) != "Mn")))


def mentions_any(text: str, terms: Iterable[str]) -> bool:
    """Return whether a text contains one of several words or phrases.

    Args:
        text: The text.
        terms: Words or phrases; case, hyphens and endings are ignored.

    Returns:
        Whether it contains one.

    >>> mentions_any("Batch sizes in fine-tuning", ["batch size"])
    True
    """
    words = f" {fold_text(text)}"
    return any(f" {folded}" in words for term in terms if (folded := fold_text(term)))


def _sort_key(work: Work) -> str:
    return json.dumps([work.id, work.sources], sort_keys=True)


def _title_key(title: str, authors: Sequence[str]) -> str:
    return f"{fold_text(title)}|{fold_text(authors[0].partition(',')[0]) if authors else ''}"


def _same_ids(records: Sequence[Work]) -> list[list[Work]]:
    """Return groups of the records that share an identifier, directly or through a third."""
    group_of: dict[str, list[Work]] = {}
    for record in records:
        names = _identities(record)
        touching = {id(group): group for name in names if (group := group_of.get(name))}
        joined = [*(member for group in touching.values() for member in group), record]
        group_of |= {name: joined for member in joined for name in _identities(member)}
    groups = {id(group): sorted(group, key=_sort_key) for group in group_of.values()}
    return sorted(groups.values(), key=lambda group: _sort_key(group[0]))


def _identities(record: Work) -> tuple[str, ...]:
    """Return the identifiers of a record, and those of which a source says that they are the same work's."""
    related = (name for source in record.sources.values() for name in source.get("same_as") or ())
    return (record.id, *record.ids.prefixed(), *related)


def _same_titles(groups: list[list[Work]]) -> list[list[Work]]:
    """Join groups of the same title, authors and time, unless their identifiers contradict each other."""
    joined: list[list[Work]] = []
    by_title: dict[str, list[int]] = {}
    for group in groups:
        titles = {fold_text(retractions.clean_title(record.title)) for record in group if record.authors} - {""}
        places = sorted({place for title in titles for place in by_title.get(title, ())})
        place = next((number for number in places if _are_one(joined[number], group)), len(joined))
        if place == len(joined):
            joined.append([])
        joined[place] = [*joined[place], *group]
        for title in titles:
            by_title.setdefault(title, []).append(place)
    return joined


def _are_one(group: Sequence[Work], other: Sequence[Work]) -> bool:
    """Return whether groups of the same title are one work: by authors and time, and no identifier contradicts it."""
    pairs = [(first, second) for first in group for second in other]
    return not any(first.ids.contradicts(second.ids) for first, second in pairs) and any(
        _same_time(first, second) and _same_authors(first.authors, second.authors) for first, second in pairs
    )


def _same_time(first: Work, other: Work) -> bool:
    """Return whether records are of one year, or a preprint and its publication, which appears up to years later."""
    if first.year is None or other.year is None:
        return first.year == other.year
    preprint, published = (first, other) if _is_preprint(first) else (other, first)
    later = published.year - preprint.year if published.year is not None and preprint.year is not None else 0
    return first.year == other.year or (
        _is_preprint(preprint) and not _is_preprint(published) and -1 <= later <= MOST_YEARS
    )


def _is_preprint(work: Work) -> bool:
    return bool(work.ids.arxiv) and not work.ids.doi and not work.ids.acl


def _same_authors(first: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether the first authors, or more than `SHARED_AUTHORS` of all, are the same persons in any order."""
    if not first or not other:
        return False
    if is_same_person(first[0], other[0]) or _family(first[0]) == _family(other[0]):
        return True
    shorter, longer = sorted((first, other), key=len)
    shared = sum(any(is_same_person(name, candidate) for candidate in longer) for name in shorter)
    return shared > SHARED_AUTHORS * len(shorter)


def _family(name: str) -> str:
    return fold_text(name.partition(",")[0])


def _noticed(works: Sequence[Work]) -> frozenset[str]:
    """Return the ids of the works that a notice among them says were retracted, by DOI or by title."""
    records = [record for work in works for record in work.sources.values()]
    named = {name for record in records for name in record.get("retracts") or ()}
    subjects = {fold_text(retractions.notice_subject(str(record["title"]))) for record in records}
    titles = {title for title in subjects if len(title.split()) >= LEAST_TITLE_WORDS}
    return frozenset(
        work.id for work in works if not named.isdisjoint(work.ids.prefixed()) or fold_text(work.title) in titles
    )


def _merge_group(group: Sequence[Work]) -> Work:
    """Return one work from the records of several sources."""
    by_fact, by_abstract = _by_priority(group, FACT_PRIORITY), _by_priority(group, ABSTRACT_PRIORITY)
    ids = parse_ids(**{id_type: _value(by_fact, id_type) for id_type in asdict(WorkIds())})
    counts = [record.citations for record in group if record.citations is not None]
    return Work(
        id=ids.primary or min(record.id for record in group),
        ids=ids,
        title=next((record.title for record in by_fact if record.title), ""),
        authors=next((record.authors for record in by_fact if record.authors), ()),
        year=next((record.year for record in by_fact if record.year is not None), None),
        venue=next((record.venue for record in by_fact if record.venue), ""),
        abstract=next((record.abstract for record in by_abstract if record.abstract), ""),
        url=next((record.url for record in by_fact if record.url), ""),
        retracted=any(record.retracted for record in group),
        citations=max(counts, default=None),
        sources=dict(_records_by_source(by_fact)),
        disagreements=tuple(_disagreements(by_fact)),
    )


def _by_priority(group: Sequence[Work], sources: Sequence[str]) -> list[Work]:
    """Return works sorted by the priority of their source."""
    rank = {source: place for place, source in enumerate(sources)}
    return sorted(
        group, key=lambda work: (rank.get(next(iter(work.sources), "").split(" ")[0], len(rank)), _sort_key(work))
    )


def _value(group: Sequence[Work], id_type: str) -> str:
    return next((value for work in group if (value := getattr(work.ids, id_type))), "")


def _records_by_source(group: Sequence[Work]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each source's record; a second record of the same source is called "s2 2"."""
    counts: dict[str, int] = {}
    for source, record in (item for work in group for item in work.sources.items()):
        name = source.split(" ")[0]
        counts[name] = counts.get(name, 0) + 1
        yield (name if counts[name] == 1 else f"{name} {counts[name]}"), record


def _disagreements(group: Sequence[Work]) -> Iterator[str]:
    """Yield a sentence for each of year, title, authors and DOI on which sources differ."""
    for fact in ("year", "title", "authors", "doi"):
        sources_by_value: dict[str, list[str]] = {}
        display_values: dict[str, str] = {}
        for source, record in _records_by_source(group):
            if value := _comparison_key(fact, record[fact]):
                sources_by_value.setdefault(value, []).append(source)
                display_values.setdefault(value, _display(record[fact]))
        if len(sources_by_value) > 1:
            yield f"{fact}: " + ", ".join(
                f"{display_values[value]} ({', '.join(names)})" for value, names in sources_by_value.items()
            )


def _comparison_key(fact: str, value: Any) -> str:
    """Return what of a fact must agree: family names of authors, folded words of titles."""
    if fact == "authors":
        return fold_text("; ".join(name.partition(",")[0] for name in value))
    return fold_text(value) if fact == "title" else str(value or "")


def _display(value: object) -> str:
    return "; ".join(value) if isinstance(value, list) else str(value)
