"""CoNLL files: one token a line, in columns or as CoNLL-U.

UD-POS in XTREME is made of surface forms: a multi-word token ("du" = de + le) is one word. Its tag is that of the
syntactic word highest in the tree; between equals a list of preference by language decides, as in the conversion tool
that XTREME used (coastalcph/ud-conversion-tools). Zero-width non-joiners and spaces inside a word are taken out, and
sentences whose words are withheld ("_") left out, as XTREME's preprocessing does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

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
NUMBERED = re.compile(r"\d+([-.]\d+)?")


def tagged(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read words in columns; a blank line ends a sentence.

    Options: columns; comments (1: skip lines with "#"); blanks (1: any blanks separate columns, not tabs alone, and
    the line `-DOCSTART-`, which begins a document, is no sentence).
    """
    columns = columns_of(options)
    for file in files:
        for block in _blocks(file, bool(options.get("comments")), report, blanks=bool(options.get("blanks"))):
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
        for block in _blocks(file, True, report):
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


def _blocks(file: Input, comments: bool, report: Report, blanks: bool = False) -> Iterator[Block]:
    block: Block = []
    for number, line in lines(file, report):
        if blanks and (not line.strip() or line.startswith("-DOCSTART-")):
            line = ""
        if not line and block:
            yield block
            block = []
        elif line and not (comments and line.startswith("#")):
            block.append((number, line.split() if blanks else line.split("\t")))
    if block:
        yield block


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
    return bad(f"{file.name}:{number}", f"{expected} in {shown!r}", remedy)
