"""The folder that XTREME's download script leaves, with a few rows for every task and language of both suites.

`left` yields each split with its files as they are in the end and the examples that must be read from them; `raw` the
files that the script's preprocessing gets. In them is everything in which the files differ from tidy ones: Windows line
ends and doubled quote marks of Python's `csv`, words with zero-width non-joiners and spaces, sentences without words,
several treebanks, answers, tags and labels that are blanked, removed or 0, English sides that are sorted, and a last
line without the blank one after it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from xstilts import metrics
from xstilts.data.examples import (
    AnswerSpan,
    BitextExample,
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    PassageExample,
    QAExample,
    TaggingExample,
)
from xstilts.data.languages import iso3
from xstilts.data.languages import language as language_of
from xstilts.tasks.base import task

ROWS = range(6)
X, R = metrics.XTREME.languages, metrics.XTREME_R.languages
LAREQA = task("lareqa").languages
PAIRS = task("mlqa_cross").languages
SPLITS = {"train": "train", "validation": "dev", "test": "test"}
NLI = ("entailment", "neutral", "contradiction")
ENTITIES, PARTS_OF_SPEECH = ("O", "B-PER", "I-PER", "B-LOC"), ("X", "NOUN", "VERB", "DET")
TEST_ONLY, NO_DEV = ("th", "tl", "yo"), ("kk", "th", "tl", "yo")  # of UD-POS
BANKS = {"it": ("isdt", "partut", "pud"), "en": ("ewt", "partut", "pud")}
ASKED = {"cause": "What was the cause of this?", "effect": "What happened as a result?"}
Files = dict[str, str]


@dataclass(frozen=True)
class Left:
    """A split of a task in a language: its files, the examples that are read from them, and whether answers are."""

    task: str
    split: str
    language: str
    files: Files
    examples: Sequence[Example]
    withheld: bool = False


def said(code: str, n: int, what: str) -> str:
    """Return a sentence with marks at which readers may stumble."""
    kinds = (f'"{what} {n}", said Ada in {code}, 人.', f"{what} {n}: it's “so” in {code}.", f'{what} {n} {code} "x" y')
    return kinds[n % 3]


def table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as Python's `csv` writes them with tabs: Windows line ends, doubled quote marks."""
    stream = io.StringIO()
    csv.writer(stream, delimiter="\t").writerows(rows)
    return stream.getvalue()


def plain(rows: Iterable[Sequence[str]]) -> str:
    return "".join("\t".join(row) + "\n" for row in rows)


def jsonl(rows: Iterable[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def left() -> Iterator[Left]:
    """Yield every split that the script leaves."""
    for code in X["xnli"]:
        yield from _pairs("xnli", code, ("validation", "test"), NLI)
    yield from _pairs("mnli", "en", ("train",), NLI, folder="xnli")
    for code in X["pawsx"]:
        yield from _pairs("pawsx", code, tuple(SPLITS)[code != "en" :], ("different", "paraphrase"), ("0", "1"))
    for code in R["panx"]:
        for split, name in SPLITS.items():
            yield _tagged("panx", code, split, f"panx/{name}-{code}.tsv", names(code, split))
    for code in R["udpos"]:
        for split in treebank_splits(code):
            found = [sentence for bank in banks(code) for sentence in words(code, split, bank)]
            yield _tagged("udpos", code, split, f"udpos/{SPLITS[split]}-{code}.tsv", found)
    for split, name in (("train", "train"), ("validation", "dev")):
        found = questions("squad", split, "en")
        files = {f"squad/{name}-v1.1.json": squad(found)}
        yield Left("squad", split, "en", files, found)
        if split == "train":
            answers = [BitextExample(one.id, one.question, "Ada wrote it.", one.context) for one in found]
            yield Left("squad_pairs", split, "en", files, answers)
    for code in X["xquad"]:
        yield _blanked("xquad", code, f"xquad/xquad.{code}.json")
    for name, codes in (
        ("mlqa", [(code, code) for code in R["mlqa"]]),
        ("mlqa_cross", [pair.split("-") for pair in PAIRS]),
    ):
        for told_in, asked_in in codes:
            code, file = "-".join(dict.fromkeys((told_in, asked_in))), f"context-{told_in}-question-{asked_in}.json"
            found = questions("mlqa", "validation", code)
            yield Left(name, "validation", code, {f"mlqa/MLQA_V1/dev/dev-{file}": squad(found)}, found)
            yield _blanked(name, code, f"mlqa/MLQA_V1/test/test-{file}", "mlqa")
    for code in R["tydiqa"]:
        found = questions("tydiqa", "train", code)
        path = f"tydiqa/tydiqa-goldp-v1.1-train/tydiqa.goldp.{code}.train.json"
        yield Left(
            "tydiqa", "train", code, {path: tydiqa_train(code)}, [replace(e, id=str(n)) for n, e in enumerate(found)]
        )
        yield _blanked("tydiqa", code, f"tydiqa/tydiqa-goldp-v1.1-dev/tydiqa.goldp.{code}.dev.json")
    for code in X["bucc"]:
        for split in ("validation", "test"):
            yield _bucc(code, split)
    for code in R["tatoeba"]:
        foreign, english = translations(code)
        files = {f"tatoeba/{code}-en.{code}": lines(foreign), f"tatoeba/{code}-en.en": lines(sorted(english))}
        rows = enumerate(zip(foreign, sorted(english), strict=True))
        yield Left("tatoeba", "test", code, files, [BitextExample(str(n), a, b) for n, (a, b) in rows], withheld=True)
    yield Left("copa", "train", "en", {"xcopa/train-en.jsonl": jsonl(copa("en", "train"))}, causes("en", "train"))
    for name, codes, splits in (("copa", ("en",), ("validation",)), ("xcopa", R["xcopa"], ("validation", "test"))):
        for code in codes:
            for split in splits:
                path = f"xcopa/{ {'validation': 'val', 'test': 'test'}[split] }-{code}.jsonl"
                blank = split == "test"
                rows = [{**row, **({"label": 0} if blank else {})} for row in copa(code, split)]
                yield Left(name, split, code, {path: jsonl(rows)}, causes(code, split, blank), blank)
    for split, short in {"train": "trn", "validation": "dev", "test": "tst"}.items():
        rows = [
            {
                "context": said("en", n, split),
                "question": f"Why {n}?",
                "answerA": "a",
                "answerB": "b",
                "answerC": "c",
                "correct": "ABC"[n % 3],
            }
            for n in ROWS
        ]
        answers = ("a", "b", "c")
        chosen = [MultipleChoiceExample(str(n), said("en", n, split), f"Why {n}?", answers, n % 3) for n in ROWS]
        yield Left("siqa", split, "en", {f"siqa/socialIQa_v1.4_{short}.jsonl": jsonl(rows)}, chosen)
    for code in R["mewslix"]:
        for split in ("validation", "test"):
            yield _mewslix(code, split)
    linked = [
        {"contextual_mention": {**context("en", n), "mention": mention("en", "train", n)}, "entity": entity(n)}
        for n in ROWS
    ]
    texts = [BitextExample(f"en-train-{n}", f"{{Ada}} {n} won in en.", f"T{n}", f"A poet {n}.") for n in ROWS]
    yield Left("mewslix_pairs", "train", "en", {"mewslix/wikipedia_pairs-train.jsonl": jsonl(linked)}, texts)
    for code in LAREQA:
        yield _lareqa(code)


# Classification.


def _pairs(
    name: str, code: str, splits: Sequence[str], labels: Sequence[str], spelled: Sequence[str] = (), folder: str = ""
) -> Iterator[Left]:
    for split in splits:
        hidden, rows = split == "test", [(said(code, n, split), said(code, n, "then")) for n in ROWS]
        given = [(*pair, (spelled or labels)[n % len(labels)])[: 2 if hidden else 3] for n, pair in enumerate(rows)]
        found = [
            ClassificationExample(str(n), a, b, None if hidden else labels[n % len(labels)])
            for n, (a, b) in enumerate(rows)
        ]
        yield Left(name, split, code, {f"{folder or name}/{SPLITS[split]}-{code}.tsv": table(given)}, found, hidden)


# Tagging.

Sentence = tuple[tuple[str, ...], tuple[str, ...]]


def names(code: str, split: str) -> list[Sentence]:
    o, b, i, place = ENTITIES
    whole = (("Ada", f"{code}:{split}", "人"), (b, i, o)), (("»",), (o,)), (("le", '"', "Ada", "Bo"), (o, place, b, b))
    return [*whole, *whole]


def banks(code: str) -> tuple[str, ...]:
    return BANKS.get(code, ("x",))


def treebank_splits(code: str) -> list[str]:
    lacking = {"train": TEST_ONLY, "validation": NO_DEV}
    return [split for split in SPLITS if code not in lacking.get(split, ())]


def words(code: str, split: str, bank: str) -> list[Sentence]:
    x, noun, verb, det = PARTS_OF_SPEECH
    whole = ((f"{code}-{bank}", "runs", "人"), (noun, verb, x)), ((split,), (noun,)), (("le", "mirum"), (det, noun))
    return [*whole, *whole]


def treebank(code: str, bank: str, split: str) -> str:
    """Return a treebank in CoNLL-U, with comments and empty nodes."""
    blocks = []
    for one in words(code, split, bank):
        rows = [(str(n), form, "_", tag, *"__", "0", *"___") for n, (form, tag) in enumerate(zip(*one, strict=True), 1)]
        blocks.append("# text = x\n" + plain(rows) + plain([("1.1", "none", *"_" * 8)]))
    return "\n".join(blocks) + "\n"


def _tagged(name: str, code: str, split: str, path: str, found: Sequence[Sentence]) -> Left:
    hidden = split == "test"
    texts = [plain([(w,) if hidden else (w, t) for w, t in zip(*sentence, strict=True)]) for sentence in found]
    examples = [TaggingExample(str(n), w, () if hidden else t) for n, (w, t) in enumerate(found)]
    return Left(name, split, code, {path: "\n".join(texts)}, examples, hidden)


# Question answering.


def questions(name: str, split: str, code: str) -> list[QAExample]:
    """Return questions, two of a passage; TyDiQA's ids begin with the name of the language."""
    told = [f"Ada wrote it. In {code}, {name} {split} {n}, 人." for n in ROWS[::2]]
    begun = language_of(code).name.lower() if name == "tydiqa" else name
    return [QAExample(f"{begun}-{split}-{n}", told[n // 2], f"Who {n}?", (AnswerSpan("Ada", 0),)) for n in ROWS]


def question(one: QAExample, blank: bool = False) -> dict[str, Any]:
    given = [{"answer_start": answer.start, "text": answer.text} for answer in one.answers]
    return {"answers": [{"answer_start": 0, "text": ""}] if blank else given, "question": one.question, "id": one.id}


def squad(found: Sequence[QAExample], blank: bool = False) -> str:
    """Return SQuAD's format; `blank`: a paragraph for each question, without its answer, as the script writes it."""
    alone = [{"paragraphs": [{"context": one.context, "qas": [question(one, True)]}]} for one in found]
    passages = dict.fromkeys(one.context for one in found)
    whole = [{"context": c, "qas": [question(one) for one in found if one.context == c]} for c in passages]
    return json.dumps({"data": alone if blank else [{"title": "t", "paragraphs": whole}], "version": "1.1"})


def _blanked(name: str, code: str, path: str, of: str = "") -> Left:
    found = questions(of or name, "test", code)
    return Left(name, "test", code, {path: squad(found, True)}, [replace(one, answers=()) for one in found], True)


def tydiqa_train(code: str) -> str:
    """Return a language's file; ids are what follows the last hyphen, so that they may repeat."""
    given = [replace(one, id=one.id.rpartition("-")[2]) for one in questions("tydiqa", "train", code)]
    data = [{"paragraphs": [{"context": one.context, "qas": [question(one)]}]} for one in given]
    return json.dumps({"data": data, "version": "1.1"})


# Retrieval.


def lines(texts: Iterable[str]) -> str:
    return "".join(f"{text}\n" for text in texts)


def translations(code: str) -> tuple[list[str], list[str]]:
    """Return sentences and translations, whose order is another one when they are sorted."""
    return [said(code, n, "neno") for n in ROWS], [f"{'cabfed'[n]} word in {code}" for n in ROWS]


def _bucc(code: str, split: str) -> Left:
    sides, gold, name = translations(code), split == "validation", SPLITS[split]
    ids = [[f"{side}-{n + 1:09}" for n in ROWS] for side in (code, "en")]
    files = {
        f"bucc2018/{code}-en.{name}.{side}": plain(zip(*column, strict=True))
        for side, column in zip((code, "en"), zip(ids, sides, strict=True), strict=True)
    }
    if gold:
        files[f"bucc2018/{code}-en.{name}.gold"] = plain(zip(*(column[1:] for column in ids), strict=True))
    queries = [
        PassageExample(id, text, None, "query", (ids[1][n],) if gold and n else ())
        for n, (id, text) in enumerate(zip(ids[0], sides[0], strict=True))
    ]
    english = [PassageExample(id, text, None, "candidate") for id, text in zip(ids[1], sides[1], strict=True)]
    return Left("bucc", split, code, files, [*queries, *english], not gold)


def context(code: str, n: int) -> dict[str, Any]:
    text = f"One. Ada {n} won in {code}."
    spans = [{"start": 0, "end": 4}, {"start": 5, "end": len(text)}]
    where = {"document_title": "t", "document_url": "u", "document_id": "d", "language": code}
    return {"context": {**where, "text": text, "sentence_spans": spans, "section_title": "s"}}


def mention(code: str, split: str, n: int, hidden: bool = False) -> dict[str, Any]:
    span = {"start": 5, "end": 8, "text": "Ada"}
    return {"example_id": f"{code}-{split}-{n}", "mention_span": span, "entity_id": "" if hidden else f"Q{n}"}


def mentions(code: str, split: str, hidden: bool = False) -> list[dict[str, Any]]:
    return [{**context(code, n), "mentions": [mention(code, split, n, hidden)]} for n in ROWS]


def entity(n: int) -> dict[str, Any]:
    where = {"description_language": "en", "description_url": "u"}
    spans = [{"start": 0, "end": 9}, {"start": 10, "end": 15}]
    return {
        "entity_id": f"Q{n}",
        "title": f"T{n}",
        "description": f"A poet {n}. More.",
        **where,
        "sentence_spans": spans,
    }


def _mewslix(code: str, split: str) -> Left:
    hidden, name = split == "test", SPLITS[split]
    labels = {f"{code}-{split}-{n}": ["" if hidden else f"Q{n}"] for n in ROWS}
    files = {
        f"mewslix/wikinews_mentions/{name}-{code}.jsonl": jsonl(mentions(code, split, hidden)),
        f"mewslix/wikinews_labels/{name}-{code}.json": json.dumps(labels),
        "mewslix/candidate_set_entities.jsonl": jsonl(entity(n) for n in ROWS),
    }
    queries = [
        PassageExample(
            f"{code}-{split}-{n}", f"{{Ada}} {n} won in {code}.", None, "query", () if hidden else (f"Q{n}",)
        )
        for n in ROWS
    ]
    entities = [PassageExample(f"Q{n}", f"T{n}", f"A poet {n}.", "candidate") for n in ROWS]
    return Left("mewslix", split, code, files, [*queries, *entities], hidden)


def _lareqa(code: str) -> Left:
    passages = {other: [(f"Ada wrote {n} in {other}.", "More.") for n in ROWS] for other in sorted(LAREQA)}
    asked = [{"id": f"l{n}", "question": f"Who {n}?", "answers": [{"text": "Ada", "answer_start": 0}]} for n in ROWS]
    paragraphs = [
        {
            "context": " ".join(parts),
            "qas": [asked[n]],
            "sentence_breaks": [[0, len(parts[0])], [len(parts[0]) + 1, len(parts[0]) + 6]],
        }
        for n, parts in enumerate(passages[code])
    ]
    files = {
        f"lareqa/xquad-r/{code}.json": json.dumps(
            {"data": [{"title": "t", "paragraphs": paragraphs}], "version": "1.1"}
        )
    }
    queries = [
        PassageExample(f"l{n}", f"Who {n}?", None, "query", tuple(f"{other}_{n + 1}_0" for other in passages))
        for n in ROWS
    ]
    texts = [
        PassageExample(f"{other}_{n + 1}_{m}", part, " ".join(parts), "candidate")
        for other, told in passages.items()
        for n, parts in enumerate(told)
        for m, part in enumerate(parts)
    ]
    return Left("lareqa", "test", code, files, [*queries, *texts])


# Multiple choice.


def copa(code: str, split: str) -> list[dict[str, Any]]:
    rows = [{"premise": said(code, n, split), "choice1": f"a{n}", "choice2": f"b{n}"} for n in ROWS]
    return [{**row, "question": tuple(ASKED)[n % 2], "label": 1 - n % 2, "idx": n} for n, row in enumerate(rows)]


def causes(code: str, split: str, hidden: bool = False) -> list[MultipleChoiceExample]:
    return [
        MultipleChoiceExample(
            str(n),
            row["premise"],
            ASKED[row["question"]],
            (row["choice1"], row["choice2"]),
            None if hidden else row["label"],
        )
        for n, row in enumerate(copa(code, split))
    ]


# The same test sets with their answers, in the forms in which they are published.


def gold() -> Iterator[tuple[str, str]]:
    """Yield the path below the data folder and the text of each file with the answers that the script takes away."""
    for path, text in raw("xnli").items():
        if path.startswith("XNLI-1.0/"):
            yield path, text
    yield from ((f"x-final/{path}", text) for path, text in raw("pawsx").items())
    for code in R["panx"]:
        yield f"panx_dataset/{code}.tar.gz/test", raw("panx")[f"{code}-test"]
    for code in R["udpos"]:
        for bank in banks(code):
            release = "2.5" if code in X["udpos"] else "2.7"
            path = f"ud-treebanks-v{release}/UD_{bank}-{code}/{code}_{bank}-ud-test.conllu"
            yield path, treebank(code, bank, "test")
    for code in X["bucc"]:
        sides, ids = translations(code), [[f"{side}-{n + 1:09}" for n in ROWS] for side in (code, "en")]
        for split in SPLITS.values():
            for side, column in zip((code, "en"), zip(ids, sides, strict=True), strict=True):
                yield f"bucc2018/{code}-en.{split}.{side}", plain(zip(*column, strict=True))
            yield f"bucc2018/{code}-en.{split}.gold", plain(zip(*(column[1:] for column in ids), strict=True))
    yield from ((f"targets/tatoeba_laser/{path}", text) for path, text in raw("tatoeba").items())
    for code in R["xquad"]:  # Romanian, which the script does not get, among them
        yield f"targets/xquad/xquad.{code}.json", squad(questions("xquad", "test", code))
    yield from ((f"MLQA_V1/test/{path}", text) for path, text in raw("mlqa").items())
    spoken = [one for code in R["tydiqa"] for one in questions("tydiqa", "test", code)]
    yield "tydiqa/tydiqa-goldp-v1.1-dev.json", squad(spoken)
    for code in R["xcopa"]:
        yield f"xcopa/data/{code}/test.{code}.jsonl", jsonl(copa(code, "test"))
    labelled = [row for code in R["mewslix"] for row in mentions(code, "test")]
    yield "mewslix/wikinews_mentions-test.jsonl", jsonl(labelled)
    yield "mewslix/candidate_set_entities.jsonl", jsonl(entity(n) for n in ROWS)


# What the preprocessing gets, by the name that it has for the task.


@cache
def raw(name: str) -> Files:
    """Return the files that the script hands to its preprocessing of a task."""
    return dict(RAW[name]())


def _raw_xnli() -> Iterator[tuple[str, str]]:
    spelled = (*NLI[:2], "contradictory")
    rows = [(said("en", n, "train"), said("en", n, "then"), spelled[n % 3]) for n in ROWS]
    yield "XNLI-MT-1.0/multinli/multinli.train.en.tsv", plain([("premise", "hypo", "label"), *rows])
    for split in ("validation", "test"):
        head = ("language", "gold_label", *"abcd", "sentence1", "sentence2")
        pairs = [
            (code, NLI[n % 3], *"abcd", said(code, n, split), said(code, n, "then")) for code in X["xnli"] for n in ROWS
        ]
        yield f"XNLI-1.0/xnli.{SPLITS[split]}.tsv", plain([head, *pairs])


def _raw_pawsx() -> Iterator[tuple[str, str]]:
    files = {"train": "train", "validation": "dev_2k", "test": "test_2k"}
    for code in X["pawsx"]:
        for split in tuple(SPLITS)[code != "en" :]:
            rows = [(str(n), said(code, n, split), said(code, n, "then"), str(n % 2)) for n in ROWS]
            yield f"{code}/{files[split]}.tsv", plain([("id", "sentence1", "sentence2", "label"), *rows])


def _raw_tatoeba() -> Iterator[tuple[str, str]]:
    for code in R["tatoeba"]:
        for side, texts in zip((iso3(code), "eng"), translations(code), strict=True):
            yield f"tatoeba.{iso3(code)}-eng.{side}", lines(texts)


def _raw_xquad() -> Iterator[tuple[str, str]]:
    return ((f"xquad.{code}.json", squad(questions("xquad", "test", code))) for code in X["xquad"])


def _raw_mlqa() -> Iterator[tuple[str, str]]:
    for told_in, asked_in in ((a, b) for a in R["mlqa"] for b in R["mlqa"]):
        code = "-".join(dict.fromkeys((told_in, asked_in)))
        yield f"test-context-{told_in}-question-{asked_in}.json", squad(questions("mlqa", "test", code))


def _raw_tydiqa() -> Iterator[tuple[str, str]]:
    found = [one for code in R["tydiqa"] for one in questions("tydiqa", "train", code)]
    yield "tydiqa-goldp-v1.1-train.json", squad(found)
    for code in R["tydiqa"]:
        name = language_of(code).name.lower()
        yield f"tydiqa-goldp-v1.1-dev/tydiqa-goldp-dev-{name}.json", squad(questions("tydiqa", "test", code))


def _raw_udpos() -> Iterator[tuple[str, str]]:
    marked = {"mirum": "mi\u200crum", "runs": "ru ns"}
    for code in R["udpos"]:
        for bank in banks(code):
            for split in treebank_splits(code):
                hidden = (("_", "_", "_"), ("NOUN",) * 3)
                blocks = [
                    plain(
                        (str(n), marked.get(w, w), "_", t, *"_" * 6)
                        for n, (w, t) in enumerate(zip(*one, strict=True), 1)
                    )
                    for one in (*words(code, split, bank), hidden)
                ]
                yield f"{code}/{code}_{bank}-ud-{SPLITS[split]}.conll", "\n".join(blocks) + "\n"


def _raw_panx() -> Iterator[tuple[str, str]]:
    for code in R["panx"]:
        for split, name in SPLITS.items():
            blocks = [plain((f"{code}:{w}", t) for w, t in zip(*one, strict=True)) for one in names(code, split)]
            yield f"{code}-{name}", "\n".join(blocks) + "\n"


def _raw_xcopa() -> Iterator[tuple[str, str]]:
    for code in ("en", *R["xcopa"]):
        yield f"test-{code}.jsonl", jsonl(copa(code, "test"))


def _raw_mewslix() -> Iterator[tuple[str, str]]:
    for split in ("validation", "test"):
        rows = [row for code in R["mewslix"] for row in mentions(code, split)]
        yield f"wikinews_mentions-{SPLITS[split]}.jsonl", jsonl(rows)


RAW = {
    "xnli": _raw_xnli,
    "pawsx": _raw_pawsx,
    "tatoeba": _raw_tatoeba,
    "xquad": _raw_xquad,
    "mlqa": _raw_mlqa,
    "tydiqa": _raw_tydiqa,
    "udpos": _raw_udpos,
    "panx": _raw_panx,
    "xcopa": _raw_xcopa,
    "mewslix": _raw_mewslix,
}
PLACES = {
    "mlqa": "mlqa/MLQA_V1/test",
    "tydiqa": "tydiqa",
}  # where a task's files are preprocessed, if not in its folder
