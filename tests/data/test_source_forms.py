"""Forms: whichever form of a data set is at hand, the examples are the same; every published layout is read."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import astuple, replace
from itertools import islice
from pathlib import Path, PurePosixPath

import pytest

from forms import SAME, Files, Form, alike, every_form, forms, put
from quick import first_of_each, together
from xstilts.data.dataset import examples
from xstilts.data.examples import Example, PassageExample
from xstilts.data.languages import languages
from xstilts.data.readers import Report
from xstilts.errors import InputError
from xstilts.tasks.base import names, task

DATA = Path(os.environ.get("XSTILTS_DATA") or "no-such-folder")
real = pytest.mark.skipif(not DATA.is_dir(), reason="XSTILTS_DATA does not name a folder with the real data")
FORMS = every_form()
ROWS = 200
LINES = ("aligned", "bible", "bitext", "conllu", "tagged", "text", "tsv")  # a text with a tab or a newline does not fit
SEVERAL = sorted(
    name
    for name in {form.name for form in FORMS if len(form.task.sources) > 1}
    if not any("asked" in source.options for source in task(name).sources)  # a sentence's place decides what it is
)


@pytest.mark.parametrize("form", first_of_each(1, FORMS, alike), ids=lambda form: form.label)
def test_examples_are_read_back_from_every_form(form: Form, tmp_path: Path) -> None:
    made = form.made()
    found, _ = form.read(form.written(made), tmp_path)
    if form.source.reader not in SAME:
        assert found == form.expected(made)


@pytest.mark.parametrize("name", sorted({form.name for form in FORMS if form.source.reader in SAME}))
def test_forms_that_differ_in_their_folder_alone_are_the_same(name: str, tmp_path: Path) -> None:
    alike: dict[tuple[str, str], list[list[Example]]] = {}
    for form in (form for form in forms(name) if form.source.reader in SAME):
        read = form.read(form.written(()), tmp_path / form.label)[0]
        alike.setdefault((form.source.reader, form.split), []).append(read)
    assert all(found and each == found[0] for found in alike.values() for each in found)


@together("form", [form for form in FORMS if form.published])
def test_a_source_names_published_columns(form: Form) -> None:
    named = {*form.source.columns.values(), *(form.columns if form.source.options.get("header") else ())}
    assert named <= set(form.published)


def test_the_columns_of_every_hub_form_are_written_down() -> None:
    assert [form.label for form in FORMS if form.source.reader == "parquet" and not form.published] == []


# Real examples, from the first form that is at hand to all others.


def at_hand(name: str) -> Form | None:
    """Return the first split, language and source of a task that real files are there for, with answers."""
    one = task(name)
    for number, source in enumerate(one.sources):
        for split in source.files:
            for language in (*one.trained_in, *one.languages):
                form = Form(name, number, split, language)
                if source.holds(split, language, DATA) and not form.shadowed():
                    return form
    return None


def first(form: Form) -> list[Example]:
    """Return the first real examples of a form."""
    data = replace(form.task.data(form.split, form.language, DATA), part=(0, None))
    found = list(islice(examples(data, DATA, Report()), None if form.task.format == "bitext_mining" else ROWS))
    if any(source.options.get("language_column") == "spoken_in" for source in form.task.sources):
        spoken = languages()[form.language].name.lower()
        return [replace(example, id=f"{spoken}-{number}") for number, example in enumerate(found)]
    return closed(found) if form.task.format == "bitext_mining" else found


def closed(found: Sequence[Example]) -> list[Example]:
    """Return the first queries that have a target, and these targets."""
    passages = [one for one in found if isinstance(one, PassageExample)]
    queries = [one for one in passages if one.targets][:ROWS]
    wanted = {target for query in queries for target in query.targets}
    return [*queries, *(one for one in passages if one.id in wanted)]


def fits(example: Example, form: Form) -> bool:
    """Say whether a form can hold an example."""
    return form.source.reader not in LINES or not any(mark in repr(astuple(example)) for mark in ("\\n", "\\t", "\\r"))


def others(form: Form) -> list[Form]:
    """Return every source of the task, in the same split where it has it, in the same language."""
    found = []
    for number, source in enumerate(form.task.sources):
        splits = sorted(source.files, key=lambda split: split != form.split)
        possible = [Form(form.name, number, split, form.language) for split in splits]
        found += [one for one in possible if one.patterns and not one.shadowed()][:1]
    return found


@real
@pytest.mark.parametrize("name", SEVERAL)
def test_real_examples_are_the_same_in_every_form(name: str, tmp_path: Path) -> None:
    form = at_hand(name)
    if form is None or form.source.reader in SAME:
        pytest.skip("no real files of this task, or none that are written from examples")
    found = first(form)
    read: list[str] = []
    for other in others(form):
        held = [example for example in found if fits(example, other)]
        assert len(held) > len(found) / 2
        assert other.read(other.written(held), tmp_path / other.label)[0] == other.expected(held)
        read.append(other.label)
    assert read


# The published layouts: archives with a few rows each. What is inside, and where below the data folder it belongs.

# Not SNLI's and SQuAD's training rows: the empty columns at the end are cut off, the only answer is not in its context.

LAYOUTS: list[tuple[str, str, str, str, str]] = [  # archive, below what in it, below what, task, splits
    ("xnli/dummy/all_languages/1.1.0", "XNLI-1.0.zip/", "", "xnli", "validation test"),
    ("xnli/dummy/{language}/1.1.0", "XNLI-1.0.zip/", "", "xnli", "validation test"),
    ("xtreme/dummy/XNLI/1.0.0", "", "", "xnli", "validation test"),
    ("multi_nli/dummy/0.0.0", "multinli_1.0.zip/", "", "mnli", "train validation"),
    ("glue/dummy/cola/1.0.0", "", "glue/", "cola", "train validation"),
    ("glue/dummy/mnli/1.0.0", "", "glue/", "mnli", "train validation"),
    ("glue/dummy/qqp/1.0.0", "", "glue/", "qqp", "train validation"),
    ("glue/dummy/rte/1.0.0", "", "glue/", "rte", "train validation"),
    ("glue/dummy/wnli/1.0.0", "", "glue/", "wnli", "train validation"),
    ("snli/dummy/plain_text/1.0.0", "", "", "snli", "validation test"),
    ("anli/dummy/plain_text/0.1.0", "anli_v0.1/", "anli_v1.0/", "anli", "train validation test"),
    ("paws-x/dummy/{language}/1.1.0", "x-final.tar.gz/", "", "pawsx", "train validation test"),
    ("hellaswag/dummy/0.1.0", "", "hellaswag/", "hellaswag", "train validation"),
    ("commonsense_qa/dummy/1.0.0", "", "commonsenseqa/", "csqa", "train validation"),
    ("cosmos_qa/dummy/0.1.0", "", "cosmosqa/data/", "cosmosqa", "train validation"),
    ("social_i_qa/dummy/0.1.0", "", "", "siqa", "train validation"),
    ("piqa/dummy/plain_text/1.1.0", "physicaliqa-train-dev.zip/", "", "piqa", "train validation"),
    ("winogrande/dummy/winogrande_xl/1.1.0", "", "", "winogrande", "train validation"),
    ("super_glue/dummy/boolq/1.0.3", "", "super_glue/", "copa", "train validation"),
    ("xcopa/dummy/{language}/1.1.0", "", "xcopa/data/{language}/", "xcopa", "validation test"),
    ("squad/dummy/plain_text/1.0.0", "", "squad/", "squad", "validation"),
    ("squad_v2/dummy/squad_v2/2.0.0", "", "squad2/", "squad2", "train validation"),
    ("xquad/dummy/xquad.{language}/1.0.0", "", "xtreme/xquad/", "xquad", "test"),
    ("xtreme/dummy/XQuAD.{language}/1.0.0", "", "xtreme/xquad/", "xquad", "test"),
    ("xquad_r/dummy/{language}/1.0.0", "", "xtreme/lareqa/xquad-r/", "lareqa", "test"),
    ("xtreme/dummy/MLQA.{pair}/1.0.0", "", "", "mlqa", "validation test"),
    ("xtreme/dummy/MLQA.{pair}/1.0.0", "", "", "mlqa_cross", "validation test"),
    ("tydiqa/dummy/secondary_task/1.0.0", "", "tydiqa/", "tydiqa", "train test"),
    ("xtreme/dummy/tydiqa/1.0.0", "", "tydiqa/", "tydiqa", "train test"),
    ("wikiann/dummy/{language}/1.1.0", "", "panx_dataset/", "panx", "train validation test"),
    ("xtreme/dummy/PAN-X.{language}/1.1.0", "", "panx_dataset/", "panx", "train validation test"),
    ("universal_dependencies/dummy/{language}_*/2.7.0", "", "ud-treebanks-v2.5/UD_0/", "udpos", "test"),
]  # fmt: skip


FILLER: dict[str, tuple[str, str]] = {  # archive: what may be said of its rows, and why that is right
    "tydiqa/dummy/secondary_task/1.0.0": (", found none", "all rows are Finnish"),
    "xtreme/dummy/tydiqa/1.0.0": (", found none", "all rows are Finnish"),
    "xtreme/dummy/XNLI/1.0.0": (", found none", "all rows are Arabic"),
    "universal_dependencies/dummy/{language}_*/2.7.0": (", found none", "treebanks that withhold their words"),
}


def members(archive: Path, inside: str, below: str) -> Files:
    """Return the files of an archive that lie below `inside`; none that leads elsewhere is taken."""
    found: Files = {}
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            path = PurePosixPath(member.filename)
            assert not path.is_absolute()
            assert ".." not in path.parts
            name = "/".join(path.parts[1:])
            hidden = path.name.startswith(".") or path.parts[0] == "__MACOSX"
            if not member.is_dir() and name.startswith(inside) and not hidden:
                found[below + name.removeprefix(inside)] = opened.read(member)
    return found


def spellings(name: str, archive: str) -> Sequence[tuple[str, str]]:
    """Return the languages of a task with what an archive's name says for them."""
    if "{pair}" in archive:
        return [(one, ".".join(one.split("-") * (2 - one.count("-")))) for one in task(name).languages]
    return [(one, one) for one in task(name).languages]


@real
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: f"{layout[3]}-{layout[0].split('/')[0]}")
def test_published_layouts_are_read(layout: tuple[str, str, str, str, str], tmp_path: Path) -> None:
    archive, inside, below, name, splits = layout
    read, wrong = set(), []
    for number, (language, spelled) in enumerate(spellings(name, archive)):
        pattern = archive.replace("{language}", spelled).replace("{pair}", spelled)
        for path in sorted((DATA / "hub_fixtures").glob(f"{pattern}/*.zip")):
            folder = tmp_path / f"{number}-{path.parts[-3]}"
            put(members(path, inside, below.replace("{language}", language)), folder)
            for split in splits.split():
                if not any(source.find(split, language, folder) for source in task(name).sources):
                    continue
                try:
                    assert list(examples(task(name).data(split, language, folder), folder, Report()))
                    read.add(split)
                except InputError as error:
                    wrong.append(str(error))
    assert [problem for problem in wrong if FILLER.get(archive, ("?", ""))[0] not in problem] == []
    assert read == set(splits.split())


def test_every_task_that_is_read_from_files_has_a_form() -> None:
    filed = {name for name in names() if any(source.reader != "sandbox" for source in task(name).sources)}
    assert {form.name for form in FORMS} | {"parallel", "text"} >= filed
