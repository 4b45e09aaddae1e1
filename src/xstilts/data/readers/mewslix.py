"""Mewsli-X: mentions of entities in news, and the descriptions among which they are searched (Ruder et al. 2021).

A query is the sentence of a mention, the mention between braces; a candidate is an entity's title with the first
sentence of its description. With the option `texts` "xtreme-r" both are as XTREME-R's code makes them: the mention, a
colon, and the sentence with the mention between spaced braces; all sentences of the description, without a title.

Files are as its script writes them: `wikinews_mentions-<split>.jsonl` beside `candidate_set_entities.jsonl`, and
`wikipedia_pairs-<split>.jsonl` for training. The hub's copy (izhx/mewsli-x) has one text for each mention and each
entity, marked and cut as XTREME-R's code does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from xstilts.data.languages import code_of
from xstilts.data.readers import field_types
from xstilts.data.readers.delimited import jsonl
from xstilts.data.readers.parquet import parquet
from xstilts.data.readers.row import OTHER_LANGUAGE, XTREME_R, Input, Options, Report, Row, bad
from xstilts.errors import InputError

OWN_BRACES = re.compile(r"\{(.*?)\}")  # of the sentence itself, which become parentheses
REMEDY = "the file is of another version: make it again with Mewsli-X's script"


def mewslix(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read the mentions in the option `language` (first file), and all candidates (second)."""
    for row in jsonl(files[:1], options, report):
        yield from _known(row, lambda row: _queries(row, options, report))
    for row in jsonl(files[1:], options, report):
        yield from _known(row, lambda row: _candidate(row, options))


def mewslix_pairs(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read pairs of a mention and its entity, for training."""
    for row in jsonl(files, options, report):
        yield from _known(row, lambda row: _pair(row, options))


def mewslix_hub(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read the hub's copy: the mentions of a language (first file), and all candidates (the others)."""
    for row in jsonl(files[:1], options, report):
        values = {"id": row.values.get("example_id"), "text": _get(row, "mention"), "side": "query"}
        yield Row(row.place, {**values, "targets": (_get(row, "entity_id"),)})
    for file in files[1:]:
        rows = parquet([file], {}, report) if file.name.endswith(".parquet") else jsonl([file], options, report)
        for row in rows:
            values = {"id": _get(row, "entity_id"), "text": _get(row, "description"), "side": "candidate"}
            yield Row(row.place, values)


def _known(row: Row, parts: Callable[[Row], Iterator[Row]]) -> list[Row]:
    """Return the parts of a row; InputError where it is not built as Mewsli-X's are."""
    try:
        return list(parts(row))
    except InputError:
        raise
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        problem = f"expected mentions and entities as Mewsli-X has them, found {str(row.values)[:120]} ({error!r})"
        raise bad(row.place, problem, REMEDY) from None


def _queries(row: Row, options: Options, report: Report) -> Iterator[Row]:
    written = _get(row, "context")["language"]
    code = code_of(field_types.text(written, "language", row.place))
    if code is None and written != options.get("language"):
        report.note(f"dropped: unknown language {field_types.shown(written)}", row.place)
    elif options.get("language") in (code, written):
        for mention in _get(row, "mentions"):
            values = {"id": mention["example_id"], "text": _marked(row, mention, options), "side": "query"}
            yield Row(row.place, {**values, "targets": (mention["entity_id"].strip(),)})
    else:
        report.note(OTHER_LANGUAGE.format(options.get("language")), row.place)


def _candidate(row: Row, options: Options) -> Iterator[Row]:
    text, context = _described(row, row.values, options)
    yield Row(row.place, {"id": _get(row, "entity_id"), "text": text, "context": context, "side": "candidate"})


def _pair(row: Row, options: Options) -> Iterator[Row]:
    nested = Row(row.place, _get(row, "contextual_mention"))
    mention = _get(nested, "mention")
    title, description = _described(row, _get(row, "entity"), options)
    values = {"id": mention["example_id"], "source": _marked(nested, mention, options), "english": title}
    yield Row(row.place, values if description is None else {**values, "context": description})


def _get(row: Row, name: str) -> Any:
    if name not in row.values:
        raise bad(row.place, f"expected '{name}', found the keys {', '.join(row.values)}", REMEDY)
    return row.values[name]


def _marked(row: Row, mention: Mapping[str, Any], options: Options) -> str:
    """Return the sentence of a mention with the mention in braces."""
    context, span = _get(row, "context"), mention["mention_span"]
    text, start, stop = context["text"], span["start"], span["end"]
    if text[start:stop] != span["text"]:
        problem = f"expected {span['text']!r} at characters {start} to {stop}, found {text[start:stop][:40]!r}"
        raise bad(row.place, problem, "fill in the articles' texts with Mewsli-X's script")
    holding = [one for one in context["sentence_spans"] if one["start"] <= start and stop <= one["end"]]
    first, last = (holding[0]["start"], holding[0]["end"]) if holding else (0, len(text))
    if options.get("texts") == XTREME_R:
        before, after = (OWN_BRACES.sub(r"(\1)", part) for part in (text[first:start], text[stop:last]))
        return _one_line(f"{text[start:stop]}: {before} {{ {text[start:stop]} }} {after}")
    return f"{text[first:start]}{{{text[start:stop]}}}{text[stop:last]}"


def _one_line(text: str) -> str:
    """Return a text without line breaks and double spaces, of three of which one stays, as in XTREME-R's code."""
    return " ".join(text.splitlines()).replace("  ", " ").strip()


def _described(row: Row, entity: Mapping[str, Any], options: Options) -> tuple[str, str | None]:
    """Return an entity's title and the first sentence of its description; as XTREME-R, the description alone."""
    described = Row(row.place, entity)
    text = field_types.text(_get(described, "description"), "description", row.place)
    spans, title = _get(described, "sentence_spans"), _get(described, "title")
    if options.get("texts") == XTREME_R:
        sentences = (text[span["start"] : span["end"]] for span in spans)
        return _one_line(" ".join(sentences) if spans else text), None
    return title, text[spans[0]["start"] : spans[0]["end"]] if spans else text
