"""Stages of translation: texts of a split in another language, and the examples that they make with their labels.

`translate` writes the translations of a model, `given` those of a user's files, both as one readable line for each
example (`translations.jsonl`). `translated` makes examples of them, which train or predict like those that were read.
A translation is a stage of its own, so that it is computed once, whatever becomes of the labels; a killed one goes on
after the last texts that were finished.

    texts = translate(read(data), (("en", Translator.of("work/nllb")),), "sw")
    examples = build(translated(in_swahili, read(data), texts), machine) / EXAMPLES
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from xstilts.data.dataset import EXAMPLES, DataFile, DatasetSplit
from xstilts.data.examples import Example
from xstilts.data.examples import read as read_examples
from xstilts.data.examples import write as write_examples
from xstilts.data.languages import codes
from xstilts.errors import InputError
from xstilts.models.encoder import Encoder
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.store import names
from xstilts.store.stage import BuildContext, Stage, stage
from xstilts.translation import projection
from xstilts.translation.alignment import Aligner, Alignment
from xstilts.translation.markers import Mark
from xstilts.translation.model import Translator
from xstilts.translation.projection import Dropped
from xstilts.translation.texts import LABELLED, joined, texts_of

TRANSLATIONS, ALIGNMENTS = names.TRANSLATIONS_FILE, names.ALIGNMENTS_FILE
MARKERS, ALIGNMENT = "markers", "alignment"
PROJECTIONS = (MARKERS, ALIGNMENT)
FINISHED = "finished.jsonl"  # texts that are translated, while the stage is built
PORTION = 512  # texts that are finished together: what a killed translation loses at most

Translators = tuple[tuple[str, Translator], ...]


def _split(data: Stage) -> DatasetSplit:
    split: DatasetSplit = data.arguments["data"]
    return split


def _label(data: Stage, translators: Translators, target: str, marked: bool) -> str:
    return f"translate-{_split(data).label}-{target}"


@stage(name=names.TRANSLATE, version=1, label=_label, resumes=(FINISHED,))
def translate(context: BuildContext, data: Stage, translators: Translators, target: str, marked: bool = False) -> None:
    """Write `translations.jsonl`: for each example its id, and each of its texts with its translation.

    Args:
        context: Where the stage is built; what a killed call left there is continued.
        data: A stage that read a split.
        translators: The model for each language of the split: two for a passage and a question in another language.
        target: Code of the language to translate into.
        marked: Put marks around the entities, or the answer, which the translation may keep (`markers`).

    Raises:
        InputError: A model cannot be loaded or does not know a language.
    """
    examples = _examples(context, data)
    lines, dropped = [], Counter[str]()
    for example in examples:
        try:
            around = projection.marked(example) if marked else None
        except Dropped as error:
            dropped[str(error)] += 1
            continue
        texts = texts_of(example)
        if around is not None:
            texts[LABELLED[_split(data).format]] = around.text
        lines.append((example.id, texts, around.marks if around else ()))
    by_language: dict[str, list[str]] = {code: [] for code, _ in translators}
    for _, texts, _ in lines:
        for field, text in texts.items():
            code = _language_of(field, _split(data).language)
            if code in by_language:
                by_language[code].append(text)
    translations = {
        (code, source): text
        for code, translator in translators
        for source, text in _translations(context, translator, code, target, by_language[code]).items()
    }
    with (context.folder / TRANSLATIONS).open("w", encoding="utf-8") as file:
        for id, texts, marks in lines:
            pairs = {
                field: (text, translations.get((_language_of(field, _split(data).language), text), text))
                for field, text in texts.items()
            }
            file.write(_line(id, pairs, marks))
    (context.folder / FINISHED).unlink(missing_ok=True)
    context.record |= {"examples": len(lines), "texts": len(translations), "unmarked": dict(dropped)}


def _translations(
    context: BuildContext, translator: Translator, source: str, target: str, texts: Sequence[str]
) -> dict[str, str]:
    """Return the translations of texts, those of a killed call from its file, in which the new ones are noted."""
    path = context.folder / FINISHED
    finished = _finished(path, source)
    waiting = [text for text in dict.fromkeys(texts) if text not in finished]
    if waiting:
        model = translator.load(source, target, context.machine)
        for start in range(0, len(waiting), PORTION):
            portion = waiting[start : start + PORTION]
            new = dict(zip(portion, model.translate(portion), strict=True))
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"language": source, "texts": new}, ensure_ascii=False) + "\n")
            finished |= new
            progress.step(context.folder.stem, start + len(portion), len(waiting))
        context.record.setdefault("translated", {})[source] = {
            "model": translator.name,
            "divided": model.divided,
            "cut": model.cut,
            "tokens": model.tokens,
        }
    return finished


def _finished(path: Path, source: str) -> dict[str, str]:
    """Return what was translated from a language before the stage was killed; a line that was cut off is not read."""
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    finished: dict[str, str] = {}
    for line in whole.splitlines():
        portion = json.loads(line)
        finished |= portion["texts"] if portion["language"] == source else {}
    return finished


def _given_label(data: Stage, files: tuple[DataFile, ...], fields: tuple[str, ...], target: str) -> str:
    return f"translations-{_split(data).label}-{target}"


@stage(name=names.GIVEN_TRANSLATIONS, version=1, label=_given_label)
def given(
    context: BuildContext, data: Stage, files: tuple[DataFile, ...], fields: tuple[str, ...], target: str
) -> None:
    """Write `translations.jsonl` from a user's translations of a split.

    Args:
        context: Where the stage is built.
        data: The stage that read the split.
        files: One file of JSON lines, or a file of text for each of `fields`.
        fields: The fields of the examples that the files of text translate line by line; none for JSON lines.
        target: Code of the language of the translations.

    Raises:
        InputError: The files do not have one translation for each text of the examples, or have changed.
    """
    examples = _examples(context, data)
    paths = [_unchanged(file, context.machine.data) for file in files]
    by_field = dict(zip(fields, paths, strict=True)) if fields else {}
    texts = _of_lines(examples, by_field) if fields else _of_rows(examples, paths[0])
    with (context.folder / TRANSLATIONS).open("w", encoding="utf-8") as file:
        for example, translations in zip(examples, texts, strict=True):
            pairs = {field: (text, translations.get(field, text)) for field, text in texts_of(example).items()}
            file.write(_line(example.id, pairs, ()))
    context.record |= {"examples": len(examples), "files": [file.path for file in files]}


def _unchanged(file: DataFile, folder: Path | None) -> Path:
    path = (folder or Path()) / file.path
    if not path.is_file() or DataFile.of(path, path.parent).sha256 != file.sha256:
        raise InputError(f"{path} has changed since it was planned; plan again, or put the planned file back")
    return path


def _of_lines(examples: Sequence[Example], paths: Mapping[str, Path]) -> list[dict[str, str]]:
    """Return the translations of files of text: line by line the texts of a field, of all examples in order."""
    translations: list[dict[str, str]] = [{} for _ in examples]
    for field, path in paths.items():
        places = [
            (number, name)
            for number, example in enumerate(examples)
            for name in texts_of(example)
            if name.partition(".")[0] == field
        ]
        lines = path.read_text(encoding="utf-8").split("\n")
        lines = lines[:-1] if lines and not lines[-1] else lines
        if len(lines) != len(places):
            raise InputError(
                f"{path} has {len(lines):,} lines, and there are {len(places):,} texts '{field}' to translate: "
                "give a line for each, in the order of the examples"
            )
        for (number, name), line in zip(places, lines, strict=True):
            translations[number][name] = line.strip()
    return translations


def _of_rows(examples: Sequence[Example], path: Path) -> list[dict[str, str]]:
    """Return the translations of JSON lines, by the ids of the rows, or in their order where they have none."""
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"{path}, line {number}: {error}; each line must be a JSON object") from None
            if not isinstance(row, dict):
                raise InputError(f"{path}, line {number}: found {line[:60]!r}; each line must be a JSON object")
            rows.append(row)
    if all("id" in row for row in rows):
        by_id = {str(row["id"]): row for row in rows}
        missing = [example.id for example in examples if example.id not in by_id]
        if missing:
            raise InputError(
                f"{path} has no translation of {len(missing):,} of {len(examples):,} examples, the first with id "
                f"'{missing[0]}': give a row for each id, or rows without ids in the order of the examples"
            )
        rows = [by_id[example.id] for example in examples]
    elif len(rows) != len(examples):
        raise InputError(
            f"{path} has {len(rows):,} rows without ids, and there are {len(examples):,} examples: give a row for each"
        )
    return [_row_texts(example, row, path) for example, row in zip(examples, rows, strict=True)]


def _row_texts(example: Example, row: Mapping[str, Any], path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    for field in texts_of(example):
        name, _, number = field.partition(".")
        value: Any = row.get(name)
        if field == "text" and value is None and isinstance(row.get("tokens"), list):
            value = joined([str(token) for token in row["tokens"]])[0]
        if number:
            value = value[int(number)] if isinstance(value, list) and int(number) < len(value) else None
        if not isinstance(value, str):
            raise InputError(
                f"{path} has no '{name}' in the translation of example '{example.id}': give all of its texts, as "
                f"{', '.join(dict.fromkeys(field.partition('.')[0] for field in texts_of(example)))}"
            )
        texts[field] = value
    return texts


def _translated_label(
    data: DatasetSplit,
    original: Stage,
    translations: Stage,
    method: str,
    aligner: Encoder | Stage | None,
    predicted: bool,
) -> str:
    return f"data-{_split(original).label}-translated-{data.language}"


@stage(name=names.TRANSLATED, version=1, label=_translated_label)
def translated(
    context: BuildContext,
    data: DatasetSplit,
    original: Stage,
    translations: Stage,
    method: str = "",
    aligner: Encoder | Stage | None = None,
    predicted: bool = False,
) -> None:
    """Write the examples of a split in translation to `examples.jsonl`, and what was dropped to the manifest.

    Args:
        context: Where the stage is built.
        data: What the split is in translation: its task, format and language.
        original: The stage that read the split.
        translations: A `translate` or `given` stage.
        method: How labels that are parts of a text are projected, one of `PROJECTIONS`; "" where there are none.
        aligner: The encoder that aligns words, where that is asked for or predictions are to be projected back.
        predicted: The examples are to be predicted: none is dropped, they get no projected labels, and the alignment of
            their words is written to `alignments.jsonl`, by which predictions are projected back.

    Raises:
        InputError: No example is left.
    """
    examples = _examples(context, original)
    lines = {line["id"]: line for line in _read_lines(context.path(translations) / TRANSLATIONS)}
    texts = {id: {field: text["target"] for field, text in line["texts"].items()} for id, line in lines.items()}
    labelled = data.format in LABELLED
    alignments: Sequence[Alignment | None] = [None] * len(examples)
    if labelled and aligner is not None:
        alignments = _alignments(context, aligner, data.format, examples, texts)
    made, dropped = [], Counter[str]()
    for example, alignment in zip(examples, alignments, strict=True):
        line = lines.get(example.id)
        try:
            if line is None:
                raise Dropped(projection.UNLOCATED)
            new = texts[example.id]
            if predicted:
                made.append(projection.unlabelled(example, new))
            elif alignment is not None:
                made.append(projection.by_alignment(example, new, alignment))
            else:
                marks: list[Mark] = [(opening, closing) for opening, closing in line["marks"]]
                made.append(projection.by_markers(example, new, marks))
        except Dropped as error:
            dropped[str(error)] += 1
    if not made:
        raise InputError(
            f"none of {len(examples):,} examples of {data.label} could be translated with its labels "
            f"({', '.join(dropped)}): take the other projection, or another translation model"
        )
    write_examples(made, context.folder / EXAMPLES)
    if predicted and labelled:
        with (context.folder / ALIGNMENTS).open("w", encoding="utf-8") as file:
            for example, alignment in zip(examples, alignments, strict=True):
                file.write(json.dumps({"id": example.id, **(asdict(alignment) if alignment else {})}) + "\n")
    context.record |= {
        "examples": len(made),
        "of": len(examples),
        "dropped": dict(dropped),
        "projection": ALIGNMENT if labelled and aligner is not None else MARKERS if labelled else "",
    }


def _alignments(
    context: BuildContext,
    aligner: Encoder | Stage,
    format: str,
    examples: Sequence[Example],
    texts: Mapping[str, Mapping[str, str]],
) -> list[Alignment]:
    source = str(context.path(aligner) / names.MODEL_FOLDER) if isinstance(aligner, Stage) else aligner.location
    field = LABELLED[format]
    pairs = []
    for example in examples:
        target = texts.get(example.id, {}).get(field, "")
        pair = projection.pair_of(example, target if target.strip() else None)
        pairs.append((tuple(word.text for word in pair.original), tuple(word.text for word in pair.translated)))
    distinct = list(dict.fromkeys(pairs))  # questions share a passage
    alignments = dict(zip(distinct, _aligner(source, context.machine).align(distinct), strict=True))
    return [alignments[pair] for pair in pairs]


@lru_cache(maxsize=1)
def _aligner(source: str, machine: Runtime) -> Aligner:
    return Aligner(source, machine)


def read_alignments(folder: Path) -> dict[str, Alignment]:
    """Return the alignments of a `translated` stage by the id of the example.

    Args:
        folder: Folder of the stage.
    """
    return {
        line["id"]: Alignment(
            tuple((i, j) for i, j in line["pairs"]), tuple(line["nearest"]), tuple(line["nearest_back"])
        )
        for line in _read_lines(folder / ALIGNMENTS)
    }


def _examples(context: BuildContext, data: Stage) -> list[Example]:
    return list(read_examples(context.path(data) / EXAMPLES, _split(data).format))


def _language_of(field: str, language: str) -> str:
    """Return the language of a text: of a pair such as "de-ar" the context's is the first, the question's the last."""
    return codes(language)[-1 if field == "question" else 0]


def _line(id: str, pairs: Mapping[str, tuple[str, str]], marks: Sequence[Mark]) -> str:
    texts = {field: {"source": source, "target": target} for field, (source, target) in pairs.items()}
    return json.dumps({"id": id, "texts": texts, "marks": marks}, ensure_ascii=False) + "\n"


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
