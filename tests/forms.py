"""Forms: examples, made or real, written to the files that a task's source reads, column by column as published.

>>> form = next(forms("xnli"))
>>> form.label, sorted(form.written(form.made()))
('xnli-0-validation-ar', ['xtreme/xnli/dev-ar.tsv'])
"""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xstilts.data import dataset
from xstilts.data.examples import (
    AnswerSpan,
    BitextExample,
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    PassageExample,
    QAExample,
    TaggingExample,
    TextExample,
)
from xstilts.data.languages import languages
from xstilts.data.readers import Report
from xstilts.data.source import Source
from xstilts.tasks.base import Task, names, task

Files = dict[str, bytes]
Values = dict[str, Any]
COUNT = 24
ENDING = ".tar.gz"
CAUSE, EFFECT = "What was the cause of this?", "What happened as a result?"
CONLLU = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")

# The columns of the published files, by where they lie: a task may name no other. Where there is no `id` among them, or
# a form is not listed and has lines or words only, the examples are numbered.
PARSES = "sentence1_binary_parse sentence2_binary_parse sentence1_parse sentence2_parse"
SQUAD = "id title context question answers"
MASSIVE = "id locale partition scenario intent utt annot_utt worker_id slot_method judgments"
BELEBELE = "link question_number flores_passage question mc_answer1 mc_answer2 mc_answer3 mc_answer4 correct_answer_num dialect ds"
COLUMNS = {
    "hub/facebook/xnli/": "premise hypothesis label",
    "hub/google-research-datasets/paws-x/": "id sentence1 sentence2 label",
    "hub/google/xtreme/PAN-X.": "tokens ner_tags langs",
    "hub/izhx/mewsli-x/wikipedia_pairs/": "mention entity",
    "hub/izhx/xtreme-r-udpos/": "tokens pos_tags",
    "hub/unimelb-nlp/wikiann/": "tokens ner_tags langs spans",
    "hub/google/xtreme/udpos.": "tokens pos_tags",
    "hub/google/xquad/": "id context question answers",
    "hub/google/xtreme/MLQA.": SQUAD,
    "hub/google-research-datasets/tydiqa/": SQUAD,
    "hub/google/xtreme/tatoeba.": "source_sentence target_sentence source_lang target_lang",
    "hub/mteb/tatoeba-bitext-mining/": "sentence1 sentence2",
    "hub/wikimedia/wikipedia/": "id url title text",
    "hub/masakhane/masakhaner2/": "id tokens ner_tags",
    "hub/masakhane/afrixnli/": "premise hypothesis label",
    "hub/Davlan/sib200/": "index_id category text",
    "hub/AmazonScience/massive/": MASSIVE,
    "hub/facebook/belebele/": BELEBELE,
    "hub/cambridgeltl/xcopa/": "premise choice1 choice2 question label idx changed",
    "hub/aps/super_glue/copa/": "premise choice1 choice2 question label idx",
    "hub/lighteval/siqa/": "context question answerA answerB answerC label",
    "hub/nyu-mll/glue/mnli/": "premise hypothesis label idx",
    "hub/nyu-mll/glue/qqp/": "question1 question2 label idx",
    "hub/nyu-mll/glue/cola/": "sentence label idx",
    "hub/nyu-mll/glue/": "sentence1 sentence2 label idx",
    "hub/stanfordnlp/snli/": "premise hypothesis label",
    "hub/facebook/anli/": "uid premise hypothesis label reason",
    "hub/rajpurkar/": SQUAD,
    "hub/Rowan/hellaswag/": "ind activity_label ctx_a ctx_b ctx endings source_id split split_type label",
    "hub/allenai/cosmos_qa/": "id context question answer0 answer1 answer2 answer3 label",
    "hub/allenai/winogrande/": "sentence option1 option2 answer",
    "hub/tau/commonsense_qa/": "id question question_concept choices answerKey",
    "hub/ybisk/piqa/": "goal sol1 sol2 label",
    "XNLI-1.0/": f"language gold_label {PARSES} sentence1 sentence2 promptID pairID genre label1 match",
    "multinli_1.0/": f"annotator_labels genre gold_label pairID promptID sentence1 sentence2 {PARSES}",
    "snli_1.0/": f"gold_label {PARSES} sentence1 sentence2 captionID pairID label1 label2 label3 label4 label5",
    "anli_v1.0/": "uid context hypothesis label model_label emturker genre reason tag",
    "x-final/": "id sentence1 sentence2 label",
    "targets/pawsx_xfinal/": "id sentence1 sentence2 label",
    "glue/MNLI/": f"index promptID pairID genre {PARSES} sentence1 sentence2 label1 gold_label",
    "glue/QQP/": "id qid1 qid2 question1 question2 is_duplicate",
    "glue/CoLA/": "source label star text_a",
    "intermediate/glue_small/CoLA/": "source label star text_a",
    "glue/": "index sentence1 sentence2 label",
    "intermediate/glue_small/": "index sentence1 sentence2 label",
    "intermediate/conjnli/": "Premise Hypothesis Label",
    "intermediate/sick/": "pair_ID sentence_A sentence_B relatedness_score entailment_judgment",
    "hellaswag/": "ind activity_label ctx_a ctx_b ctx split split_type label endings source_id",
    "intermediate/hellaswag_1k/": "ind activity_label ctx_a ctx_b ctx split split_type label endings source_id",
    "intermediate/commonsenseqa_v1.11/": "answerKey id question",
    "commonsenseqa/": "answerKey id question",
    "intermediate/cosmosqa/": "id context question answer0 answer1 answer2 answer3 label",
    "cosmosqa/": "id context question answer0 answer1 answer2 answer3 label",
    "intermediate/siqa/": "context question answerA answerB answerC correct",
    "intermediate/winogrande/": "qID sentence option1 option2 answer",
    "winogrande_1.1/": "qID sentence option1 option2 answer",
    "targets/afrixnli/": "premise hypothesis label",
    "targets/sib200/": "index_id category text",
    "sib-200/": "index_id category text",
    "targets/belebele/": BELEBELE,
    "Belebele/": BELEBELE,
    "targets/massive/": MASSIVE,
    "1.0/data/": MASSIVE,
    "1.1/data/": MASSIVE,
    "amazon-massive-dataset-1.": MASSIVE,
    "xtreme/xcopa/": "premise choice1 choice2 question label idx changed",
    "targets/xcopa/": "premise choice1 choice2 question label idx changed",
    "xcopa/": "premise choice1 choice2 question label idx changed",
    "super_glue/COPA/": "premise choice1 choice2 question label idx",
    "nonenglish/kornlu/": "sentence1 sentence2 gold_label",
    "ccg/": "id tokens tags",
}
NUMBERED = ("afrixnli", "cola", "pawsx", "qqp", "wnli")  # whose published label is a number, in every form


@dataclass(frozen=True)
class Form:
    """A split of a task in a language, in the form that one of its sources reads."""

    name: str
    number: int
    split: str
    language: str

    @property
    def task(self) -> Task:
        return task(self.name)

    @property
    def source(self) -> Source:
        return self.task.sources[self.number]

    @property
    def label(self) -> str:
        return f"{self.name}-{self.number}-{self.split}-{self.language}"

    @property
    def patterns(self) -> tuple[str, ...]:
        return self.source.patterns(self.split, self.language)

    @property
    def paths(self) -> list[str]:
        """Names of files that the patterns match."""
        width = len(self.patterns) if self.source.reader != "aligned" else len(self.columns)
        if self.source.reader == "aligned" and len(self.patterns) < width:  # a folder of one's own
            return [self.patterns[0].replace("*", "a", 1).replace("*", f"{n}") for n in range(width)]
        if self.source.reader == "xquad_r":
            return [pattern.replace("*", code) for pattern in self.patterns for code in ("en", self.language)]
        return [pattern.replace("*", "0") for pattern in self.patterns]

    @property
    def columns(self) -> tuple[str, ...]:
        columns = self.source.options.get("columns", ())
        assert isinstance(columns, tuple)
        return columns

    @property
    def published(self) -> tuple[str, ...]:
        """The columns that the published files have; none where they need no names."""
        places = [place for place in COLUMNS if self.patterns[0].startswith(place)]
        return tuple(COLUMNS[max(places, key=len)].split()) if places else ()

    @property
    def has_ids(self) -> bool:
        """Whether the files can hold ids that are read."""
        if self.source.options.get("ids") == "position":
            return False
        if self.source.reader in ("auto", "bible", "squad", "squad_pairs", "bitext", "bitext_parquet"):
            return True
        return "id" in self.published and self.source.reader in ("tsv", "csv", "jsonl", "parquet")

    def shadowed(self) -> bool:
        """Say whether an earlier source of the task takes the files."""
        earlier = [source.patterns(self.split, self.language) for source in self.task.sources[: self.number]]
        return any(
            patterns and all(any(fnmatchcase(path, pattern) for path in self.paths) for pattern in patterns)
            for patterns in earlier
        )

    def made(self) -> list[Example]:
        """Return a few examples of the task's kind that the task can have."""
        return [MADE[self.task.format](self, number) for number in range(COUNT)]

    def written(self, found: Sequence[Example]) -> Files:
        """Return the files that hold some examples."""
        if self.source.reader in WHOLE:
            return WHOLE[self.source.reader](self, found)
        width = len(self.columns) if self.source.reader == "aligned" else 1
        groups = [self.paths[start : start + width] for start in range(0, len(self.paths), width)]
        share = -(-len(found) // len(groups))
        parts = [found[number * share : (number + 1) * share] for number in range(len(groups))]
        return {path: raw for paths, part in zip(groups, parts, strict=True) for path, raw in self._group(paths, part)}

    def expected(self, found: Sequence[Example]) -> list[Example]:
        """Return what is to be read: without the answers where they are withheld, numbered where there are no ids."""
        hidden = [hide(example) if self.source.withheld else example for example in found]
        if self.source.reader == "bitext_parquet":
            return renumbered(hidden)
        return hidden if self.has_ids else [replace(example, id=str(n)) for n, example in enumerate(hidden)]

    def read(self, files: Files, folder: Path) -> tuple[list[Example], Report]:
        """Put the files below a folder and read all of them."""
        put(files, folder)
        data, report = replace(self.task.data(self.split, self.language, folder), part=(0, None)), Report()
        assert data.meaning == self.source.meaning(), "another source is read"
        return list(dataset.examples(data, folder, report)), report

    def _group(self, paths: Sequence[str], found: Sequence[Example]) -> list[tuple[str, bytes]]:
        if self.source.reader == "aligned":
            rows = [self.row(example, number) for number, example in enumerate(found)]
            texts = ["".join(f"{row[column]}\n" for row in rows) for column in self.columns]
            return [(path, text.encode()) for path, text in zip(paths, texts, strict=True)]
        return [(paths[0], WRITERS[self.source.reader](self, found))]

    def row(self, example: Example, number: int) -> Values:
        """Return an example under the names of the form's columns, the other columns filled."""
        values: Values = {name: getattr(example, name) for name in example.__dataclass_fields__}
        if "label" in values and values["label"] is not None and not isinstance(values["label"], int):
            values["label"] = self.raw(values["label"])
        if "tags" in values:
            values["tags"] = [self.raw(tag) for tag in values["tags"]]
        if isinstance(example, QAExample):
            values = {**values, "is_impossible": example.unanswerable, "answers": self.answers(example)}
        for field, column in self.source.columns.items():
            values[column] = values.pop(field)
        if self.source.convert:
            values |= UNASKED[f"{self.source.convert.__module__.rpartition('.')[2]}.{self.source.convert.__name__}"](
                self, values
            )
        if self.source.options.get("language_column") == "language":
            values["language"] = self.language
        if isinstance(where := self.source.options.get("where"), tuple):
            values[where[0]] = where[1]
        names = self.published
        return {name: values.get(name, filler(name, number)) for name in names} if names else values

    def raw(self, label: str) -> Any:
        """Return what this form calls a label."""
        if self.source.reader == "parquet":
            return self.task.labels.index(label)
        if self.name in NUMBERED:
            return str(self.task.labels.index(label))
        return {name: raw for raw, name in self.source.label_names.items() if name != "O"}.get(label, label)

    def answers(self, example: QAExample) -> Any:
        given = example.answers if not self.source.withheld else (AnswerSpan("", 0),)
        if self.source.reader == "parquet":
            return {"text": [one.text for one in given], "answer_start": [one.start for one in given]}
        return [{"text": one.text, "answer_start": one.start} for one in given]


def forms(name: str) -> Iterator[Form]:
    """Yield the forms of a task, each split in the first language in which no earlier source takes the files."""
    one = task(name)
    for number, source in enumerate(one.sources):
        for split in source.files:
            for language in dict.fromkeys((*one.languages, *one.trained_in)):
                form = Form(name, number, split, language)
                if form.patterns and not form.shadowed():
                    yield form
                    break


def every_form() -> list[Form]:
    """Return the forms of all tasks that are read from files."""
    filed = [name for name in names() if all(source.reader != "sandbox" for source in task(name).sources)]
    return [form for name in filed for form in forms(name)]


def alike(form: Form) -> tuple[Any, ...]:
    """Return what forms have in common that one reader reads in one way, for one task."""
    return form.name, form.source.reader, bool(form.source.convert), form.source.withheld


def put(files: Files, folder: Path) -> None:
    """Write files; a path below an archive goes into the archive."""
    for path, raw in files.items():
        if f"{ENDING}/" not in path:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(raw)
    inside = [(*path.split(f"{ENDING}/"), raw) for path, raw in files.items() if f"{ENDING}/" in path]
    for archive, members in groupby(sorted(inside), key=lambda member: member[0]):
        place = folder / f"{archive}{ENDING}"
        place.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(place, "w:gz", compresslevel=1) as tar:
            for _, name, raw in members:
                info = tarfile.TarInfo(name)
                info.size = len(raw)
                tar.addfile(info, io.BytesIO(raw))


def hide(example: Example) -> Example:
    """Return an example without its answer."""
    if isinstance(example, ClassificationExample | MultipleChoiceExample):
        return replace(example, label=None)
    if isinstance(example, TaggingExample):
        return replace(example, tags=())
    if isinstance(example, QAExample):
        return replace(example, answers=())
    return replace(example, targets=()) if isinstance(example, PassageExample) else example


def renumbered(found: Sequence[Example]) -> list[Example]:
    """Return sentences with the ids of the hub's form: places from 1 on either side."""
    sides = _sides(found)
    ids = {
        one.id: f"{side}-{n}" for side, ones in zip(("xx", "en"), sides, strict=True) for n, one in enumerate(ones, 1)
    }
    return [replace(p, id=ids[p.id], targets=tuple(ids[t] for t in p.targets)) for side in sides for p in side]


def filler(name: str, number: int) -> Any:
    """Return something for a column that is not read."""
    return number if name in ("idx", "ind", "index", "id") else "x"


# Made examples.


def classified(form: Form, n: int) -> Example:
    pair = None if form.name in ("cola", "massive", "sib200") else f"Il n'en dit “rien” {n}."
    return ClassificationExample(
        str(n), f'He said "no" {n}, 他说不.', pair, form.task.labels[n % len(form.task.labels)]
    )


ASKED: dict[str, tuple[str, tuple[str, ...], int]] = {  # context, questions, number of choices
    "copa": ("It rained.", (CAUSE, EFFECT), 2),
    "xcopa": ("Mvua ilinyesha.", (CAUSE, EFFECT), 2),
    "csqa": ("", ("Where is a cat?",), 5),
    "cosmosqa": ("A blog,\n in two lines.", ("What is likely?",), 4),
    "belebele": ("A passage\nin two lines.", ("What is likely?",), 4),
    "hellaswag": ("A man sits.", ("",), 4),
    "piqa": ("", ("To open a door",), 2),
    "siqa": ("Ada won.", ("What next?",), 3),
    "winogrande": ("The cup fell because", ("",), 2),
}


def choice(form: Form, n: int) -> Example:
    context, questions, count = ASKED[form.name.removesuffix("_small")]
    choices = tuple(f"answer {n} {letter}" for letter in "ABCDE"[:count])
    return MultipleChoiceExample(
        str(n), f"{context} {n}" if context else "", questions[n % len(questions)], choices, n % count
    )


def tagged(form: Form, n: int) -> Example:
    labels = form.task.labels or ("N", "(S\\NP)/NP")
    tags = tuple(labels[(n + word) % len(labels)] for word in range(3))
    return TaggingExample(f"wsj_{n}", (f"Mtu{n}", "ni", "人"), tags)


def question(form: Form, n: int) -> Example:
    without = form.task.metric == "squad_v2" and n % 3 == 2
    answers = () if without else (AnswerSpan("Ada", 14), AnswerSpan("knew", 18))[: 1 + n % 2]
    spoken = languages()[form.language.split("-")[0]].name.lower()
    return QAExample(f"{spoken}-{n}", f"Ada wrote it. Ada knew. {n // 4}", f"Who {n}?", answers, without)


def parallel(form: Form, n: int) -> Example:
    context = f"It is {n}. The end." if form.source.reader == "squad_pairs" else None
    return BitextExample(str(n), f"Moja {n}?", f"It is {n}." if context else f"One {n}.", context)


def passage(form: Form, n: int) -> Example:
    if n < COUNT // 2:
        parity = {"even": 0, "odd": 1}.get(str(form.source.options.get("asked")))
        side = "query" if parity is None or n % 2 == parity else "bystander"
        targets = (f"en-{n}",) if n % 3 and side == "query" else ()
        return PassageExample(f"xx-{n + 1}", f"Satz {n}", None, side, targets)
    return PassageExample(f"en-{n - COUNT // 2 + 1}", f"Sentence {n}", None, "candidate")


MADE: dict[str, Callable[[Form, int], Example]] = {
    "classification": classified,
    "multiple_choice": choice,
    "token_classification": tagged,
    "extractive_qa": question,
    "bitext_retrieval": parallel,
    "bitext_mining": passage,
    "passage_ranking": passage,
    "masked_lm": lambda form, n: TextExample(
        f"b.MAT.1.{n}" if form.source.reader == "bible" else str(n), f"Neno {n} 言."
    ),
}


# From the fields of an example back to the columns that a `convert` knows.


def _copa(form: Form, values: Values) -> Values:
    asked = {CAUSE: "cause", EFFECT: "effect"}[values["question"]]
    pair = dict(zip(("choice1", "choice2"), values["choices"], strict=True))
    return {"premise": values["context"], "question": asked, **pair, "label": values["label"] or 0}


def _csqa(form: Form, values: Values) -> Values:
    texts, letters = list(values["choices"]), list("ABCDE")
    hub = form.source.reader == "parquet"
    listed = [{"label": letter, "text": text} for letter, text in zip(letters, texts, strict=True)]
    asked = values["question"] if hub else {"question_concept": "x", "stem": values["question"], "choices": listed}
    return {"question": asked, "choices": {"label": letters, "text": texts}, "answerKey": letters[values["label"]]}


def _hellaswag(form: Form, values: Values) -> Values:
    label = str(values["label"]) if form.source.reader == "parquet" else values["label"]
    return {"ctx_a": values["context"], "ctx_b": "", "endings": list(values["choices"]), "label": label}


def _myxnli(form: Form, values: Values) -> Values:
    pair = {f"sentence{n}_{form.language}": values.pop(f"text_{side}") for n, side in ((1, "a"), (2, "b"))}
    label = values.pop("label")
    values.clear()
    return {"genre": "x", "label": label, "sentence1_en": "x", "sentence2_en": "x", **pair}


def _piqa(form: Form, values: Values) -> Values:
    asked = {"goal": values["question"], "sol1": values["choices"][0], "sol2": values["choices"][1]}
    return {**asked, "row": json.dumps(asked)}


def _siqa(form: Form, values: Values) -> Values:
    answers = dict(zip(("answerA", "answerB", "answerC"), values["choices"], strict=True))
    row = {"context": values["context"], "question": values["question"], **answers}
    return {**row, "row": json.dumps(row), "correct": "ABC"[values["label"]], "label": str(values["label"] + 1)}


def _winogrande(form: Form, values: Values) -> Values:
    options = dict(zip(("option1", "option2"), values["choices"], strict=True))
    return {"sentence": f"{values['context']} _", **options, "answer": str(values["label"] + 1)}


UNASKED: dict[str, Callable[[Form, Values], Values]] = {
    "belebele.ask": lambda form, values: {
        "flores_passage": values["context"],
        **{f"mc_answer{number}": text for number, text in enumerate(values["choices"], 1)},
        "correct_answer_num": str(values["label"] + 1),
    },
    "copa.ask": _copa,
    "xcopa.ask_unlabelled": _copa,
    "cosmosqa.ask": lambda form, values: {f"answer{n}": text for n, text in enumerate(values["choices"])},
    "csqa.ask": _csqa,
    "csqa.ask_hub": _csqa,
    "hellaswag.ask": _hellaswag,
    "myxnli.pair": _myxnli,
    "panx.bare": lambda form, values: {"tokens": [f"{form.language}:{token}" for token in values["tokens"]]},
    "piqa.ask": _piqa,
    "piqa.ask_hub": _piqa,
    "siqa.ask": _siqa,
    "siqa.ask_hub": _siqa,
    "siqa.ask_line": _siqa,
    "squad2.unanswerable": lambda form, values: {},
    "tydiqa.spoken": lambda form, values: {},
    "winogrande.ask": _winogrande,
}


# Writers: a file from examples.


def _rows(form: Form, found: Sequence[Example]) -> list[Values]:
    """Return the rows, where a file holds several languages with one of another language before each."""
    rows = [form.row(example, number) for number, example in enumerate(found)]
    if form.source.options.get("language_column") != "language":
        return rows
    other = "de" if form.language != "de" else "fr"
    return [each for row in rows for each in ({**row, "language": other}, row)]


def _table(form: Form, found: Sequence[Example], separator: str, quoting: Any) -> bytes:
    rows = _rows(form, found)
    header = form.source.options.get("header")
    columns = tuple(rows[0]) if header else form.columns
    if header and not form.published and form.source.convert is None:
        columns = form.columns
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n", quoting=quoting, quotechar='"', escapechar=None)
    lines = [list(columns)] * bool(header) + [[str(row.get(name, "x")) for name in columns] for row in rows]
    if quoting == csv.QUOTE_NONE:
        return "".join("\t".join(line) + "\n" for line in lines).encode()
    writer.writerows(lines)
    return text.getvalue().encode()


def _tsv(form: Form, found: Sequence[Example]) -> bytes:
    return _table(form, found, "\t", csv.QUOTE_MINIMAL if form.source.options.get("quotes") else csv.QUOTE_NONE)


def _csv(form: Form, found: Sequence[Example]) -> bytes:
    return _table(form, found, ",", csv.QUOTE_MINIMAL)


def _jsonl(form: Form, found: Sequence[Example]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _rows(form, found)).encode()


def _parquet(form: Form, found: Sequence[Example]) -> bytes:
    rows = _rows(form, found)
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), stream, row_group_size=max(1, len(rows) // 2))
    return stream.getvalue()


def _tagged(form: Form, found: Sequence[Example]) -> bytes:
    blocks, separator = [], str(form.source.options.get("separator", "\t"))
    for number, example in enumerate(found):
        values = form.row(example, number)
        words = [
            {"number": n, "token": token, "tag": tag, "other": "-", "annotator": "-"}
            for n, (token, tag) in enumerate(zip(values["tokens"], values["tags"], strict=True), 1)
        ]
        comment = f"# sent_id = {number}\n" if form.source.options.get("comments") else ""
        blocks.append(comment + "".join(separator.join(str(w[c]) for c in form.columns) + "\n" for w in words))
    return ("\n".join(blocks) + "\n").encode()


def _conllu(form: Form, found: Sequence[Example]) -> bytes:
    blocks = []
    for number, example in enumerate(found):
        assert isinstance(example, TaggingExample)
        words = enumerate(zip(example.tokens, example.tags, strict=True), 1)
        lines = [f"{n}\t{token}\t_\t{tag}\t_\t_\t{n - 1}\t_\t_\t_\n" for n, (token, tag) in words]
        blocks.append(f"# sent_id = {number}\n" + "".join(lines))
    return ("\n".join(blocks) + "\n").encode()


def _auto(form: Form, found: Sequence[Example]) -> bytes:
    trees = []
    for example in found:
        assert isinstance(example, TaggingExample)
        pairs = zip(example.tokens, example.tags, strict=True)
        leaves = " ".join(f"(<L {tag} X X {token} {tag}>)" for token, tag in pairs)
        trees.append(f"ID={example.id} PARSER=GOLD NUMPARSE=1\n(<T S 0 2> {leaves} )\n")
    return "".join(trees).encode()


def _squad(form: Form, found: Sequence[Example]) -> bytes:
    rows = [form.row(example, number) for number, example in enumerate(found)]
    if form.source.reader == "squad_pairs":
        answer = [{"text": "It", "answer_start": 0}]
        rows = [{"id": r["id"], "question": r["source"], "context": r["context"], "answers": answer} for r in rows]
    keys = ("id", "question", "answers", *(("is_impossible",) if form.task.metric == "squad_v2" else ()))
    paragraphs = [
        {"context": context, "qas": [{key: row[key] for key in keys} for row in group]}
        for context, group in groupby(rows, key=lambda row: row["context"])
    ]
    document = {"version": "1.1", "data": [{"title": "x", "paragraphs": paragraphs}]}
    return json.dumps(document, ensure_ascii=False).encode()


def _text(form: Form, found: Sequence[Example]) -> bytes:
    return "".join(f"{example.text}\n" for example in found if isinstance(example, TextExample)).encode()


def _bible(form: Form, found: Sequence[Example]) -> bytes:
    verses = [
        f'<seg id="{one.id}" type="verse">\n\t{one.text}\n</seg>\n' for one in found if isinstance(one, TextExample)
    ]
    return f'<?xml version="1.0" ?>\n<text>\n{"".join(verses)}</text>\n'.encode()


WRITERS: dict[str, Callable[[Form, Sequence[Example]], bytes]] = {
    "auto": _auto,
    "bible": _bible,
    "conllu": _conllu,
    "csv": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "squad": _squad,
    "squad_pairs": _squad,
    "tagged": _tagged,
    "text": _text,
    "tsv": _tsv,
}


def _sides(found: Sequence[Example]) -> tuple[list[PassageExample], list[PassageExample]]:
    passages = [one for one in found if isinstance(one, PassageExample)]
    return [p for p in passages if p.side != "candidate"], [p for p in passages if p.side == "candidate"]


def _bitext(form: Form, found: Sequence[Example]) -> Files:
    sides = _sides(found)
    gold = "".join(f"{one.id}\t{target}\n" for one in sides[0] for target in one.targets)
    texts = ["".join(f"{one.id}\t{one.text}\n" for one in side) for side in sides]
    return {path: text.encode() for path, text in zip(form.paths, [*texts, gold], strict=False)}


def _bitext_parquet(form: Form, found: Sequence[Example]) -> Files:
    foreign, english = _sides(found)
    places = {one.id: number for number, one in enumerate(english, 1)}
    gold = [[number, places[target]] for number, one in enumerate(foreign, 1) for target in one.targets]
    row = {"sentence1": [one.text for one in foreign], "sentence2": [one.text for one in english], "gold": gold}
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row]), stream)
    return {form.paths[0]: stream.getvalue()}


def _xquad_r(form: Form, found: Sequence[Example]) -> Files:
    """Return made files, whatever the examples: English and the language asked for."""
    context = "Ada wrote it. Ada knew. Bob did not."
    documents = {}
    for path in form.paths:
        paragraphs = [
            {
                "context": f"{context} {n}",
                "sentence_breaks": [[0, 13], [14, 23], [24, len(context)]],
                "qas": [
                    {"id": f"{n}-{m}", "question": f"Who {n}?", "answers": [{"text": "Ada", "answer_start": 14 * m}]}
                    for m in range(2)
                ],
            }
            for n in range(4)
        ]
        documents[path] = json.dumps({"data": [{"title": "x", "paragraphs": paragraphs}]}).encode()
    return documents


def _spanned(text: str) -> list[Mapping[str, int]]:
    return [{"start": 0, "end": len(text)}]


def _mention(n: int, language: str) -> Values:
    text = f"Ada wrote line {n}."
    span = {"start": 0, "end": 3, "text": "Ada"}
    mention = {"example_id": f"m{n}", "entity_id": f"Q{n}", "mention_span": span}
    context = {"text": text, "language": language, "sentence_spans": _spanned(text)}
    return {"context": context, "mentions": [mention], "mention": mention}


def _entity(n: int) -> Values:
    return {"entity_id": f"Q{n}", "title": f"T{n}", "description": "A poet.", "sentence_spans": _spanned("A poet.")}


def _mewslix(form: Form, found: Sequence[Example]) -> Files:
    """Return made files, whatever the examples."""
    mentions = [{key: _mention(n, form.language)[key] for key in ("context", "mentions")} for n in range(COUNT)]
    entities = [_entity(n) for n in range(COUNT)]
    lines = [["".join(json.dumps(row) + "\n" for row in rows)] for rows in (mentions, entities)]
    return {path: text.encode() for path, (text,) in zip(form.paths, lines, strict=True)}


def _mewslix_hub(form: Form, found: Sequence[Example]) -> Files:
    """Return made files, whatever the examples."""
    mentions = [{"mention": f"Ada: {{ Ada }} wrote line {n}.", "entity_id": f"Q{n}"} for n in range(COUNT)]
    entities = [{"entity_id": f"Q{n}", "description": "A poet."} for n in range(COUNT)]
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(entities), stream)
    lines = "".join(json.dumps(row) + "\n" for row in mentions).encode()
    return dict(zip(form.paths, (lines, stream.getvalue()), strict=True))


def _mewslix_pairs(form: Form, found: Sequence[Example]) -> Files:
    """Return made files, whatever the examples."""
    mentions = [{key: _mention(n, "en")[key] for key in ("context", "mention")} for n in range(COUNT)]
    rows = [{"contextual_mention": mention, "entity": _entity(n)} for n, mention in enumerate(mentions)]
    return {form.paths[0]: "".join(json.dumps(row) + "\n" for row in rows).encode()}


WHOLE: dict[str, Callable[[Form, Sequence[Example]], Files]] = {
    "bitext": _bitext,
    "bitext_parquet": _bitext_parquet,
    "mewslix": _mewslix,
    "mewslix_hub": _mewslix_hub,
    "mewslix_pairs": _mewslix_pairs,
    "xquad_r": _xquad_r,
}
SAME = ("mewslix", "mewslix_hub", "mewslix_pairs", "xquad_r")  # forms that are made, not written from examples
