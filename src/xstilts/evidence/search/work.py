"""Work: something published, as all sources together know it.

Sources describe the same work in different words, and one work has versions. Those that share an id are one, and those
of the same title, first author and year where no id speaks against it. What each source said stays, word for word, and
where they disagree the work says so: a reference is only as right as its sources.

>>> stated("arxiv", ids(arxiv="2113.00001v2"), title="On  tasks", authors=["Ada de Boer"], year=2021).authors
('de Boer, Ada',)
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from xstilts.evidence.search.identifiers import WorkIds, parse_ids

# Whose word counts first: of what was published, those who publish; of abstracts, those who hold them as written.
FACT_PRIORITY = ("acl", "crossref", "openalex", "s2", "arxiv", "folder")
ABSTRACT_PRIORITY = ("acl", "arxiv", "s2", "openalex", "crossref", "folder")
PARTICLES = frozenset(
    ("al", "bin", "da", "de", "del", "della", "den", "der", "di", "dos", "du", "el", "ter", "van", "von", "zu")
)
CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class Work:
    """A work. id: its best id; authors: "Family, Given"; sources: what each source said of it, by source.

    disagreements: a sentence for each of year, title, authors and DOI in which sources differ.
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


def work_from_record(source: str, known: WorkIds, **said: Any) -> Work:
    """Return a work as one source states it: title, authors, year, venue, abstract, url, retracted, citations.

    Spaces are made plain, names turned to "Family, Given"; what has the wrong type is left out. More facts are kept
    as they are, under the source's name.
    """
    title, abstract = single_line(said.get("title")), single_line(said.get("abstract"))
    listed = people if isinstance(people := said.get("authors"), list | tuple) else ()
    authors = tuple(name for one in listed if (name := family_first(single_line(one))))
    facts: dict[str, Any] = {
        "title": title,
        "authors": list(authors),
        "year": as_int(said.get("year")),
        "venue": single_line(said.get("venue")),
        "abstract": abstract,
        "url": url if (url := single_line(said.get("url"))).startswith(("https://", "http://")) else "",
        "retracted": said.get("retracted") is True or title.lower().startswith(("retracted:", "[retracted]")),
        "citations": as_int(said.get("citations")),
    }
    named = known.best or f"title:{hashlib.sha256(_title_key(title, authors).encode()).hexdigest()[:16]}"
    record = {**asdict(known), **facts, **{key: value for key, value in said.items() if key not in facts}}
    return Work(named, known, **{**facts, "authors": authors}, sources={source: record})


def merge_works(found: Iterable[Work]) -> tuple[Work, ...]:
    """Return each work once, in the order of their ids; the order in which they were found changes nothing."""
    records = sorted(unique_works(found), key=_sort_key)
    works = [_merge_group(group) for group in _same_titles(_same_ids(records))]
    return tuple(sorted(works, key=lambda work: work.id))


def unique_works(found: Iterable[Work]) -> list[Work]:
    """Return works without those that are equal in everything (found twice by two queries)."""
    return list({_sort_key(work): work for work in found}.values())


def single_line(value: object) -> str:
    """Return a text in one line without control characters, "" for what is no text."""
    return " ".join(CONTROL_CHARACTERS.sub(" ", value).split()) if isinstance(value, str) else ""


def as_int(value: object) -> int | None:
    """Return a whole number that a source gave as number or text, None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value.strip()):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def family_first(name: str) -> str:
    """Turn "Given van Family" to "van Family, Given"; leave names with a comma or of one word as they are."""
    words = name.split()
    if "," in name or len(words) < 2:
        return name
    start = len(words) - 1
    while start > 1 and words[start - 1].lower() in PARTICLES:
        start -= 1
    return f"{' '.join(words[start:])}, {' '.join(words[:start])}"


def fold_text(text: str) -> str:
    """Return a text as titles are compared: letters and digits of any script, no accents, no case."""
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return " ".join(re.findall(r"[^\W_]+", "".join(c for c in decomposed if unicodedata.category(c) != "Mn")))


def _sort_key(work: Work) -> str:
    return json.dumps([work.id, work.sources], sort_keys=True)


def _title_key(title: str, authors: Sequence[str]) -> str:
    return f"{fold_text(title)}|{fold_text(authors[0].partition(',')[0]) if authors else ''}"


def _same_ids(records: Sequence[Work]) -> list[list[Work]]:
    """Return groups of the records that share an id, also by way of a third."""
    group_of: dict[str, list[Work]] = {}
    for record in records:
        names = (record.id, *record.ids.named())
        touching = {id(group): group for name in names if (group := group_of.get(name))}
        joined = [*(one for group in touching.values() for one in group), record]
        group_of |= {name: joined for one in joined for name in (one.id, *one.ids.named())}
    groups = {id(group): sorted(group, key=_sort_key) for group in group_of.values()}
    return sorted(groups.values(), key=lambda group: _sort_key(group[0]))


def _same_titles(groups: list[list[Work]]) -> list[list[Work]]:
    """Join groups of the same title, first author and year, but where their ids are of different works."""
    joined: list[list[Work]] = []
    keys: list[set[tuple[str, int | None]]] = []
    for group in groups:
        mine = {(_title_key(one.title, one.authors), one.year) for one in group if one.title and one.authors}
        for place, other in enumerate(joined):
            if mine & keys[place] and not any(a.ids.contradicts(b.ids) for a in group for b in other):
                joined[place], keys[place] = [*other, *group], keys[place] | mine
                break
        else:
            joined.append(group)
            keys.append(mine)
    return joined


def _merge_group(group: Sequence[Work]) -> Work:
    """Return one work from what sources said of it."""
    by_fact, by_abstract = _by_priority(group, FACT_PRIORITY), _by_priority(group, ABSTRACT_PRIORITY)
    known = parse_ids(**{kind: _value(by_fact, kind) for kind in asdict(WorkIds())})
    counts = [one.citations for one in group if one.citations is not None]
    return Work(
        id=known.best or min(one.id for one in group),
        ids=known,
        title=next((one.title for one in by_fact if one.title), ""),
        authors=next((one.authors for one in by_fact if one.authors), ()),
        year=next((one.year for one in by_fact if one.year is not None), None),
        venue=next((one.venue for one in by_fact if one.venue), ""),
        abstract=next((one.abstract for one in by_abstract if one.abstract), ""),
        url=next((one.url for one in by_fact if one.url), ""),
        retracted=any(one.retracted for one in group),
        citations=max(counts, default=None),
        sources=dict(_records_by_source(by_fact)),
        disagreements=tuple(_disagreements(by_fact)),
    )


def _by_priority(group: Sequence[Work], sources: Sequence[str]) -> list[Work]:
    """Return works by the rank of the source they come from."""
    rank = {source: place for place, source in enumerate(sources)}
    return sorted(
        group, key=lambda one: (rank.get(next(iter(one.sources), "").split(" ")[0], len(rank)), _sort_key(one))
    )


def _value(group: Sequence[Work], kind: str) -> str:
    return next((value for one in group if (value := getattr(one.ids, kind))), "")


def _records_by_source(group: Sequence[Work]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what each source said; a second word of the same source is called "s2 2"."""
    seen: dict[str, int] = {}
    for source, record in (item for one in group for item in one.sources.items()):
        name = source.split(" ")[0]
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name} {seen[name]}"), record


def _disagreements(group: Sequence[Work]) -> Iterator[str]:
    """Yield a sentence for each of year, title, authors and DOI in which sources differ."""
    for what in ("year", "title", "authors", "doi"):
        said: dict[str, list[str]] = {}
        shown: dict[str, str] = {}
        for source, record in _records_by_source(group):
            if value := _comparison_key(what, record[what]):
                said.setdefault(value, []).append(source)
                shown.setdefault(value, _display(record[what]))
        if len(said) > 1:
            yield f"{what}: " + ", ".join(f"{shown[value]} ({', '.join(names)})" for value, names in said.items())


def _comparison_key(what: str, value: Any) -> str:
    """Return what of a fact must agree: of authors their family names, of texts their words."""
    if what == "authors":
        return fold_text("; ".join(name.partition(",")[0] for name in value))
    return fold_text(value) if what == "title" else str(value or "")


def _display(value: object) -> str:
    return "; ".join(value) if isinstance(value, list) else str(value)
