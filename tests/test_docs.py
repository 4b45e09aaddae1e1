"""The documentation cannot lie: what it shows is run, what it names exists, what it links to is there."""

from __future__ import annotations

import doctest
import inspect
import os
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import test_base as laws
import typer

import xstilts
from quick import together
from xstilts import cli, sandbox
from xstilts.cli.app import shared_options
from xstilts.cli.options import ClusterOptions
from xstilts.data import source
from xstilts.data.dataset import examples
from xstilts.data.examples import SHAPES, ClassificationExample
from xstilts.data.readers import FORMATS, Report
from xstilts.errors import InputError
from xstilts.experiments.sandbox_demo import SETTINGS
from xstilts.models import family_table
from xstilts.models.families import FAMILIES, UNSUPPORTED
from xstilts.models.heads import HEADS
from xstilts.tasks import base, cards
from xstilts.training import recipe

ROOT = Path(__file__).parents[1]
EVERY = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
RECORDS = (ROOT / "docs/results", ROOT / "docs/log.md")  # what was done and measured: kept, not run again
PAGES = [page for page in EVERY if not any(page.is_relative_to(record) for record in RECORDS)]
FENCE = re.compile(r"^```(?P<language>\w*) ?(?P<info>.*)\n(?P<text>(?:.*\n)*?)```$", re.MULTILINE)
CHECKS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what else the fence says, its text, and the line before its first one."""

    language: str
    info: str
    text: str
    line: int


def called(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(found["language"], found["info"], found["text"], text[: found.start("text")].count("\n"))
        for found in FENCE.finditer(text)
    ]


def run(page: Path) -> list[Block]:
    return [block for block in blocks(page) if "no-run" not in block.info]


# What is shown is run.


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, where files from a page may become tasks."""
    monkeypatch.chdir(tmp_path)
    for name in ("XSTILTS_DATA", "XSTILTS_STORE"):
        monkeypatch.delenv(name, raising=False)
    more = tmp_path / "more_tasks"
    more.mkdir()
    monkeypatch.setenv("XSTILTS_TASKS", str(more))
    put_qnli(tmp_path / "data")
    return tmp_path


def put_qnli(folder: Path) -> None:
    """Write rows in the format of the tutorial's data: its two, over and over up to 1,000."""
    shown = next(block for block in blocks(ROOT / "docs/extend/task.md") if block.text.startswith("label\ttext1"))
    header, *rows = shown.text.splitlines()
    path = folder / "intermediate/mnli_sample/qnli.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join([header, *rows * 500, ""]), encoding="utf-8")


def put_tasks(page: Path, folder: Path) -> list[str]:
    """Write the files that a page shows, those called ./NAME beside the folder; return their names."""
    shown = {block.info.removeprefix("file="): block.text for block in run(page) if block.info.startswith("file=")}
    for name, text in shown.items():
        path = folder.parent / name if name.startswith("./") else folder / name
        path.write_text(text, encoding="utf-8")
    return [Path(name).stem for name in shown]


# Pages whose commands train or measure for seconds.
LONG = (
    "how-to/own-task.md",
    "how-to/combine-weights.md",
    "scale/predict.md",
    "scale/several-gpus.md",
    "data/own-data.md",
    "experiments/intermediate.md",
    "experiments/recommend.md",
    "scale/cost.md",
    "scale/inference.md",
)


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.slow) if str(page).endswith(LONG) else page for page in PAGES],
    ids=called,
)
@pytest.mark.filterwarnings("ignore:Tokenizer does not support real words")  # transformers, of any Unigram tokenizer
def test_what_a_page_shows_can_be_run(
    page: Path, desk: Path, few_examples: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_tasks(page, desk / "more_tasks")
    module = as_module(page, desk)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in run(page):
        if block.language == "python" and not block.info:
            exec(compile("\n" * block.line + block.text, str(module.__file__), "exec"), vars(module))
        elif block.language == "pycon":
            check_examples(block, page, vars(module))
        elif block.language in ("console", "sh"):
            for command, shown in commands(block):
                run_command(command, shown, monkeypatch, capsys, about="about" in block.info.split())


def as_module(page: Path, folder: Path) -> ModuleType:
    """Return an empty module whose source is the page's Python, each line where it is on the page."""
    lines = [""] * (page.read_text(encoding="utf-8").count("\n") + 1)
    for block in run(page):
        if block.language == "python" and not block.info:
            lines[block.line : block.line + block.text.count("\n")] = block.text.splitlines()
    module = ModuleType(f"docs_{page.stem.lower().replace('-', '_')}")
    path = folder / f"{module.__name__}.py"
    path.write_text("\n".join(lines), encoding="utf-8")
    module.__file__ = str(path)
    return module


def check_examples(block: Block, page: Path, names: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(block.text, names, called(page), str(page), block.line)
    said: list[str] = []
    doctest.DocTestRunner(optionflags=CHECKS).run(test, out=said.append, clear_globs=False)
    names |= test.globs
    assert not said, "".join(said)


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Yield the commands of a block, each with the output shown below it."""
    text = block.text.replace("\\\n", " ")
    if block.language == "sh":
        for line in text.splitlines():
            if line and not line.startswith("#"):
                yield line, ""
        return
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


NUMBER = re.compile(r"[+−-]?\b\d+(\.\d+)?\b")
RULE = re.compile("[━─]+")  # of a table, as long as its numbers


def run_command(
    command: str,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    about: bool = False,
) -> None:
    """Run a command and compare what it prints; `about`: numbers of trainings differ between computers."""
    name, *arguments = shlex.split(command, comments=True)
    assert name == "xstilts", f"{command!r} cannot be run here: mark the block no-run and say why"
    monkeypatch.setattr(sys, "argv", ["xstilts", *arguments])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    fails = shown.startswith("error:")
    assert bool(ended.value.code) == fails, said.err
    wanted = shown.replace("…", "...")
    got = said.err if fails else said.out
    if about:
        wanted, got = (RULE.sub("━", NUMBER.sub("0", text)) for text in (wanted, got))
    assert not shown or doctest.OutputChecker().check_output(wanted, got, CHECKS), f"{wanted}\n--- is now\n{got}"


@together("page", PAGES)
def test_what_is_not_run_says_why(page: Path) -> None:
    for block in blocks(page):
        assert block.language in ("", "text", "toml", "python", "pycon", "console", "sh"), f"line {block.line}"
        if "no-run" in block.info:
            assert "#" in block.text, f"line {block.line}: say in a comment why this is not run"


# The tutorial: its file is a task like any other, on rows made here and on the real ones.


def tutorial(desk: Path) -> base.Task:
    (name,) = put_tasks(ROOT / "docs/extend/task.md", desk / "more_tasks")
    return base.task(name)


def test_the_task_of_the_tutorial_reads_its_rows(desk: Path) -> None:
    qnli, report = tutorial(desk), Report()
    found = list(examples(qnli.data("train", "en", desk / "data"), desk / "data", report))
    assert [example.id for example in found] == [str(number) for number in range(1000)]
    assert [example.label for example in found if isinstance(example, ClassificationExample)] == [*qnli.labels] * 500
    assert not any(reason.startswith("dropped") for reason in report.counts)


def test_the_task_of_the_tutorial_keeps_the_laws_of_all_tasks(desk: Path) -> None:
    qnli = tutorial(desk)
    given: dict[str, list[Any]] = {"every": [qnli], "source": list(qnli.sources)}
    kept = 0
    for name, law in inspect.getmembers(laws, inspect.isfunction):
        of_one = getattr(law, "one", law)
        wanted = list(inspect.signature(of_one).parameters)
        if name.startswith("test_") and len(wanted) == 1 and wanted[0] in given:
            for value in given[wanted[0]]:
                of_one(value)
                kept += 1
    assert kept > 5


def test_the_task_of_the_tutorial_is_in_no_folder_but_its_page() -> None:
    assert "qnli_small" not in base.names()


@pytest.mark.skipif(not os.environ.get("XSTILTS_DATA"), reason="real data: set XSTILTS_DATA to the unpacked folder")
def test_the_task_of_the_tutorial_reads_the_real_file(desk: Path, shared: Path) -> None:
    qnli = tutorial(desk)
    report = Report()
    found = list(examples(qnli.data("train", "en", shared), shared, report))
    assert len(found) == qnli.counts["train"]
    assert {example.label for example in found if isinstance(example, ClassificationExample)} == set(qnli.labels)
    assert report.counts == {}


# What is named exists, and what exists is named.


def options_of(verb: str) -> set[str]:
    command = typer.main.get_command(cli.app)
    for word in [verb] if verb in command.commands else verb.split():  # type: ignore[attr-defined]
        command = command.commands[word]  # type: ignore[attr-defined]
    return {option for parameter in command.params for option in parameter.opts if option.startswith("--")}


SHARED = {option for made in shared_options() for option in made.opts}
CLUSTER = {f"--{field.name.replace('_', '-')}" for field in fields(ClusterOptions)}  # on a page of their own
VERBS = [
    "run",
    "fit",
    "plan",
    cli.PLAN_STUDY,
    "submit",
    "show",
    "cost",
    "tasks",
    "data",
    "pretrain",
    "bench-inference",
    "export",
    "card",
    "push",
    "scifact",
    "sandbox demo",
    "sandbox pretrain",
    "sandbox languages",
    "sandbox translations",
    "store list",
    "store size",
    "store pin",
    "store gc",
    "store export",
    "store import",
    "store verify",
    "study",
    "report",
    "verify",
    "watch",
    "track",
    "recommend",
    "doctor",
]


@together("page", PAGES)
def test_options_on_a_page_are_options_of_the_command(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"xstilts [a-z].*", text):
        words = re.sub(r"[`|].*", "", line).split()
        verb = " ".join(words[1:3]) if words[1] in ("sandbox", "store") else words[1]
        verb = cli.PLAN_STUDY if verb == "plan" and any(word.endswith(".py") for word in words) else verb
        if verb in VERBS:
            unknown = {word for word in words if word.startswith("--")} - options_of(verb)
            assert not unknown, line


@pytest.mark.parametrize(
    ("verb", "page"),
    [
        ("run", "docs/experiments/run.md"),
        ("submit", "docs/experiments/run.md"),
        ("fit", "docs/data/own-data.md"),
        (cli.PLAN_STUDY, "docs/scale/plan.md"),
        ("study", "docs/experiments/studies.md"),
        ("verify", "docs/reports/verify.md"),
        ("report", "docs/reports/report.md"),
        ("watch", "docs/scale/watch.md"),
        ("track", "docs/scale/watch.md"),
        ("recommend", "docs/experiments/recommend.md"),
        ("pretrain", "docs/experiments/pretrain.md"),
        ("data", "docs/data/local-files.md"),
        ("cost", "docs/scale/cost.md"),
        ("bench-inference", "docs/scale/inference.md"),
        ("export", "docs/scale/share.md"),
        ("card", "docs/scale/share.md"),
        ("push", "docs/scale/share.md"),
        ("scifact", "docs/literature/verifier.md"),
        ("store pin", "docs/scale/store.md"),
        ("store gc", "docs/scale/store.md"),
        ("store export", "docs/scale/store.md"),
    ],
)
def test_every_option_is_explained(verb: str, page: str) -> None:
    text = text_of(page)
    assert [option for option in sorted(options_of(verb) - SHARED - CLUSTER) if f"`{option}`" not in text] == []


def test_options_of_a_verifier_s_training_are_explained_unless_they_are_those_of_a_run() -> None:
    text = text_of("docs/literature/verifier.md")
    own = options_of("evidence train-verifier") - options_of("run")
    assert own
    assert [option for option in sorted(own) if f"`{option}`" not in text] == []


def test_options_of_clusters_are_explained_on_a_page_that_each_verb_s_names() -> None:
    text = text_of("docs/scale/clusters.md")
    assert [option for option in sorted(CLUSTER) if f"`{option}`" not in text] == []
    for page in ("experiments/run", "experiments/studies", "experiments/recommend", "data/own-data"):
        assert "(../scale/clusters.md)" in text_of(f"docs/{page}.md")
    assert {verb for verb in VERBS if CLUSTER & options_of(verb)} <= set(re.findall(r"`(?:xstilts )?([\w ]+)`", text))


def test_options_of_all_verbs_are_explained() -> None:
    text = text_of("docs/reference/command-line.md")
    assert [option for option in sorted(SHARED) if f"`{option}`" not in text] == []


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("docs/experiments/recipes.md", [field.name for field in fields(recipe.Recipe)]),
        ("docs/extend/task.md", [field.name for made in (base.Task, source.Source) for field in fields(made)]),
        ("docs/extend/task.md", list(FORMATS)),
        ("docs/experiments/formats.md", list(SHAPES)),
        ("docs/experiments/sandbox.md", [field.name for field in fields(sandbox.Artificial)]),
        ("docs/experiments/sandbox.md", [name for name in base.names() if name.startswith("sandbox_")]),
    ],
)
def test_every_name_is_explained(page: str, names: list[str]) -> None:
    assert [name for name in names if f"`{name}`" not in text_of(page)] == []


@together("page", PAGES)
def test_files_named_on_a_page_exist(page: Path, desk: Path) -> None:
    if page == ROOT / "docs/design/README.md":
        return  # its modules stand below their packages: the next test
    shown = {Path(block.info.removeprefix("file=")).name for block in blocks(page) if block.info.startswith("file=")}
    for name in re.findall(r"`([\w./-]+\.(?:py|tsv|toml)|src/[\w./-]+)`", page.read_text(encoding="utf-8")):
        if Path(name).name not in shown and not name.startswith("intermediate/"):
            assert (ROOT / name).exists() or (ROOT / "src/xstilts" / name).exists(), name


# These folders are lists: their files are described on pages of their own.
LISTS = ("tasks/datasets/", "tasks/subsets/", "tasks/sandbox/", "tasks/user/")


def test_every_module_has_its_line_in_the_design() -> None:
    package = ROOT / "src/xstilts"
    modules = {path.relative_to(package).as_posix() for path in package.rglob("*.py") if not path.name.startswith("__")}
    folder, described = "", set()
    for line in text_of("docs/design/README.md").splitlines():
        if line.startswith("### "):
            folder = line.split("`")[1].removeprefix("src/xstilts/")
        elif found := re.match(r"- `(\w+\.py)` — \S", line):
            described.add(folder + found[1])
    assert {name for name in modules if not name.startswith(LISTS)} == described


def test_the_citation_has_the_version_of_the_package() -> None:
    assert f"\nversion: {xstilts.__version__}\n" in text_of("CITATION.cff")


def test_every_command_is_in_the_reference() -> None:
    text = text_of("docs/reference/command-line.md")
    assert [verb for verb in VERBS if verb != cli.PLAN_STUDY and f"`xstilts {verb}`" not in text] == []


def test_families_and_their_classes_are_as_in_the_code() -> None:
    assert set(FAMILIES) == set(HEADS)
    assert not set(FAMILIES) & set(UNSUPPORTED)
    assert family_table.markdown() in text_of("docs/experiments/encoders.md"), "write it anew: family_table.markdown()"


def test_named_recipes_are_as_in_the_code() -> None:
    text = text_of("docs/experiments/recipes.md")
    for name, chosen in recipe.SETS.items():
        assert f"| `{name}` | {chosen.source} |" in text
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (\w+)(, large)? \| (.*)\|$", text, re.MULTILINE)
    assert rows
    for name, taught, role, large, shown in rows:
        found = recipe.named(name, taught, base.task(taught).format, role, bool(large))
        plain = recipe.Recipe()
        values = {field.name: getattr(found, field.name) for field in fields(found)}
        differing = ", ".join(f"{key}={value}" for key, value in values.items() if value != getattr(plain, key))
        assert shown.strip(" `") == differing, f"{name} {taught} {role}"


def test_the_demo_is_as_in_the_code() -> None:
    for target, settings in SETTINGS.items():
        assert f"| `{target}` | {', '.join(f'`{name}`' for name in settings)} |" in text_of(
            "docs/experiments/sandbox.md"
        )


def test_every_reason_for_touching_data_is_explained() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/xstilts").glob("**/*.py"))
    reasons = set(re.findall(r"\"((?:repaired|dropped|kept|noted): [^\"{']*)", source))
    page = text_of("docs/data/local-files.md")
    assert len(reasons) > 10
    assert [reason for reason in sorted(reasons) if f"`{reason.strip()}" not in page] == []


def test_every_folder_that_tasks_look_into_is_named() -> None:
    sources = [source for name in base.names() for source in base.task(name).sources]
    patterns = [path for source in sources for split in source.files for path in source.patterns(split, "xx")]
    folders = {path.split("/")[0] for path in patterns if "/" in path} - {"xx"}
    assert [folder for folder in sorted(folders) if f"`{folder}/" not in text_of("docs/data/local-files.md")] == []


REFUSED: list[tuple[dict[str, bytes], str, str, str]] = [
    ({"xtreme/xnli/train-en.tsv": b"A.\ta.\tneutral\nB.\tb.\n"}, "mnli", "train", "en"),
    ({"xtreme/xnli/train-en.tsv": b"A.\ta.\tentailmnt\n"}, "mnli", "train", "en"),
    ({"xtreme/xnli/train-en.tsv": b"\xe9t\xe9\ta.\tneutral\n"}, "mnli", "train", "en"),
    ({"xtreme/xnli/train-en.tsv": b""}, "mnli", "train", "en"),
    ({"xtreme/udpos/dev-sw.tsv": b"Mtu\nhuyu\tDET\n"}, "udpos", "validation", "sw"),
    ({"targets/xquad/xquad.sw.json": b'{"rows": []}'}, "xquad", "test", "sw"),
    (
        {"targets/tatoeba_laser/tatoeba.swh-eng.swh": b"a\nb\n", "targets/tatoeba_laser/tatoeba.swh-eng.eng": b"a\n"},
        "tatoeba",
        "test",
        "sw",
    ),
    ({"targets/xcopa/data/sw/val.sw.jsonl": b'{"premise":'}, "xcopa", "validation", "sw"),
]


def test_messages_about_bad_files_are_the_real_ones(tmp_path: Path) -> None:
    said = []
    for number, (files, name, split, code) in enumerate(REFUSED):
        for path, content in files.items():
            (tmp_path / str(number) / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / str(number) / path).write_bytes(content)
        folder = tmp_path / str(number)
        with pytest.raises(InputError) as caught:
            list(examples(base.task(name).data(split, code, folder), folder, Report()))
        said.append(str(caught.value))
    (shown,) = (block.text for block in blocks(ROOT / "docs/data/local-files.md") if block.info == "refused")
    assert shown.splitlines() == said


# Links lead somewhere.


def slugs(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: dict[str, int] = {}
    anchors = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)).lower().replace(" ", "-")
        anchors.add(f"{slug}-{found[slug]}" if slug in found else slug)
        found[slug] = found.get(slug, 0) + 1
    return anchors


def links(page: Path) -> list[str]:
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text(encoding="utf-8")))
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", prose) if not re.match(r"\w+:", link)]


@together("page", EVERY)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in slugs(target), link


def test_every_page_is_in_the_index_and_in_the_site() -> None:
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in EVERY if page.is_relative_to(ROOT / "docs")}
    index = {link.partition("#")[0] for link in links(ROOT / "docs/README.md")}
    assert pages - {"README.md"} <= index
    shown = set(re.findall(r"[\w/-]+\.md", text_of("mkdocs.yml").partition("nav:\n  - ")[2]))
    assert shown == pages


def test_the_page_of_all_tasks_is_what_the_task_files_say() -> None:
    assert text_of("docs/tasks.md") == cards.page(), "write it anew: xstilts tasks --markdown > docs/tasks.md"
