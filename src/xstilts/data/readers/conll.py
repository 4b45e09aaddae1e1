"""CoNLL files: one token a line, in columns or as CoNLL-U.

UD-POS in XTREME is made of surface forms: a multi-word token ("du" = de + le) is one word. Its tag is that of the
syntactic word highest in the tree; between equals a list of preference by language decides, as in the conversion tool
that XTREME used (coastalcph/ud-conversion-tools). Zero-width non-joiners and spaces inside a word are taken out, and
sentences whose words are withheld ("_") left out, as XTREME's preprocessing does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from xstilts.data.readers.row import Input, Options, Report, Row, bad, columns_of
from xstilts.data.readers.text_lines import lines

Block = list[tuple[int, list[str]]]
PREFERENCE = "VERB NOUN PROPN PRON ADJ NUM ADV INTJ AUX ADP DET PART CCONJ SCONJ X PUNCT"
PREFERENCES = {
    "de": "PROPN ADP DET",
    "es": "VERB AUX PRON ADP DET",
    "fr": "VERB AUX PRON NOUN ADJ ADV ADP DET PART SCONJ CCONJ",
    "it": "VERB AUX ADV PRON ADP DET",
}
CONLLU = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
ID, FORM, TAG, HEAD = 0, 1, 3, 6
NUMBERED = re.compile(r"[0-9]+([-.][0-9]+)?")
BLANKS = re.compile(r"[ \t]+")  # other white space occurs in words
DOCUMENT = "-DOCSTART-"
LOOKED_AT = 10_000  # lines without a tab, after which there are none


def tagged(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read words in columns; a blank line, which may hold tabs and spaces, ends a sentence.

    The line `-DOCSTART-`, which begins a document, is no sentence.

    Options: columns (names in the order of the file, with "token" and perhaps "tag" and "number"); comments (1: skip
    lines with "#"); separator ("tab"; "blanks": tabs and spaces, however many; or one character); blanks (1: the
    separator "blanks"). Without a separator a file in which no line has a tab is read as if it were "blanks".
    """
    columns, comments = columns_of(options), bool(options.get("comments"))
    for file in files:
        separator = "blanks" if options.get("blanks") else str(options.get("separator") or "")
        for block in _blocks(file, comments, report, separator, len(columns)):
            for number, fields in block:
                if len(fields) != len(columns):
                    raise _cut(file, number, fields, columns)
            if "number" in columns:
                _count(file, [(number, fields[columns.index("number")]) for number, fields in block])
            token, tag = columns.index("token"), columns.index("tag") if "tag" in columns else None
            words = tuple(fields[token] for _, fields in block)
            tags = () if tag is None else tuple(fields[tag] for _, fields in block)
            yield _row(file, [number for number, _ in block], words, tags)


def conllu(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read CoNLL-U. Option: fused (1: surface forms as in XTREME; 0: syntactic words). Empty nodes are no words.

    The option `language`, which every reader gets, decides between the tags of a fused form's words.
    """
    order = PREFERENCES.get(str(options.get("language")), PREFERENCE).split()
    for file in files:
        for block in _blocks(file, True, report, "", len(CONLLU)):
            _check(file, block)
            words = _surface(block, order) if options.get("fused") else _syntactic(block)
            hidden = sum(form == "_" for _, form, _ in words)
            if not words or (hidden and hidden >= len(words) - 1):
                report.note("dropped: sentence without words", f"{file.name}:{block[0][0]}")
                continue
            numbers, forms, tags = zip(*words, strict=True)
            yield _row(file, numbers, forms, tags)


def _check(file: Input, block: Block) -> None:
    for number, fields in block:
        if len(fields) != len(CONLLU):
            raise _cut(file, number, fields, CONLLU)
        if not NUMBERED.fullmatch(fields[ID]):
            problem = f"expected a word's number (7, 7-8 or 7.1), found {fields[ID]!r}"
            raise bad(f"{file.name}:{number}", problem, "the line is damaged: get the file again")
    _count(file, [(number, fields[ID]) for number, fields in block if fields[ID].isdigit()])


def _count(file: Input, ids: Sequence[tuple[int, str]]) -> None:
    """Raise InputError unless words count from 1: a line is missing, or a blank one within the sentence."""
    for expected, (number, id) in enumerate(ids, 1):
        if id != str(expected):
            remedy = "a line is missing, or blank, within the sentence: get the file again"
            raise bad(f"{file.name}:{number}", f"expected the word number {expected}, found {id!r}", remedy)


def _blocks(file: Input, comments: bool, report: Report, separator: str, width: int) -> Iterator[Block]:
    """Yield the sentences of a file: (line, columns) of each word."""
    split = _splitter(separator or _separator(file, comments, width, report), file)
    block: Block = []
    for number, line in lines(file, report):
        if line.startswith(DOCUMENT):
            report.note("noted: line -DOCSTART- is no sentence", f"{file.name}:{number}")
            line = ""
        if not line.strip(" \t"):
            if block:
                yield block
            block = []
        elif not (comments and line.startswith("#")):
            block.append((number, split(line)))
    if block:
        yield block


def _separator(file: Input, comments: bool, width: int, report: Report) -> str:
    """Return what separates the columns of a file: tabs, or blanks where no line has a tab."""
    first = 0
    for number, line in lines(file, Report()) if width > 1 else ():
        if not line.strip(" \t") or line.startswith(DOCUMENT) or (comments and line.startswith("#")):
            continue
        if "\t" in line:
            return "tab"
        first = first or number
        if number > first + LOOKED_AT:
            break
    if first:
        report.note("noted: columns separated by spaces", f"{file.name}:{first}")
    return "blanks" if first else "tab"


def _splitter(separator: str, file: Input) -> Callable[[str], list[str]]:
    if separator == "blanks":
        return lambda line: BLANKS.split(line.strip(" \t"))
    if separator != "tab" and len(separator) != 1:
        raise bad(file.name, f"unknown separator {separator!r}", "give 'tab', 'blanks' or one character")
    character = "\t" if separator == "tab" else separator
    return lambda line: line.split(character)


def _row(file: Input, numbers: Sequence[int], words: Sequence[str], tags: Sequence[str]) -> Row:
    values = {"tokens": tuple(words), "tags": tuple(tags), "lines": tuple(numbers)}
    return Row(f"{file.name}:{numbers[0]}", values)


def _syntactic(block: Block) -> list[tuple[int, str, str]]:
    return [(number, _joined(fields[FORM]), fields[TAG]) for number, fields in block if fields[ID].isdigit()]


def _surface(block: Block, order: list[str]) -> list[tuple[int, str, str]]:
    """Return (line, form, tag) of the surface words."""
    words = {int(fields[ID]): (number, fields) for number, fields in block if fields[ID].isdigit()}
    spans = [(number, fields[FORM], fields[ID].split("-")) for number, fields in block if "-" in fields[ID]]
    surface = {key: (number, fields[FORM], fields[TAG]) for key, (number, fields) in words.items()}
    heads = {key: int(fields[HEAD]) if fields[HEAD].isdigit() else 0 for key, (_, fields) in words.items()}
    for number, form, (first, last) in spans:
        members = [key for key in range(int(first), int(last) + 1) if key in surface]
        if not members:
            continue
        tag = _head_tag([(_depth(key, heads), surface[key][2]) for key in members], order)
        surface[members[0]] = (number, form, tag)
        for key in members[1:]:
            del surface[key]
    return [(number, _joined(form), tag) for number, form, tag in surface.values()]


def _head_tag(members: list[tuple[int, str]], order: list[str]) -> str:
    highest = min(depth for depth, _ in members)
    tags = [tag for depth, tag in members if depth == highest]
    return min(tags, key=lambda tag: order.index(tag) if tag in order else len(order))


def _depth(key: int, heads: dict[int, int]) -> int:
    depth = 0
    while key in heads and depth <= len(heads):
        key, depth = heads[key], depth + 1
    return depth


def _joined(form: str) -> str:
    return form.replace("\u200c", "").replace(" ", "")


def _cut(file: Input, number: int, fields: list[str], columns: Sequence[str]) -> Exception:
    expected = f"expected {len(columns)} columns ({', '.join(columns)}), found {len(fields)}"
    shown = " | ".join(fields)[:80]
    remedy = "the line is cut or a column is missing: get the file again"
    if len(fields) > len(columns):
        remedy = "name the columns of the file in their order: the option `columns`, or `fields` of `Task.from_conll`"
    return bad(f"{file.name}:{number}", f"{expected} in {shown!r}", remedy)
