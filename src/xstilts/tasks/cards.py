"""Cards: a description of every shipped task, made from the task files: the page `docs/tasks.md`.

`xstilts tasks --markdown` writes the page, and a test checks that it is current.

>>> page().startswith("# Tasks")
True
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from xstilts.data.examples import SHAPES
from xstilts.data.source import Source
from xstilts.metrics import XTREME, XTREME_R
from xstilts.tasks.base import Task, module_of, shipped_names, task

HEAD = """# Tasks

All tasks of the package, written from the task files by `xstilts tasks --markdown > docs/tasks.md`. What the fields
mean: [add a task](extend/task.md#fields-of-a-task); where data lie: [the data folder](data/local-files.md). A task can
be trained in other languages where there are data in them (`panx:sw`, or `panx:sw+ar` with one head), and several tasks
in a mix (`mnli,squad`).
"""
FORMATS = {
    "classification": "Classification",
    "multiple_choice": "Multiple choice",
    "token_classification": "Token classification",
    "extractive_qa": "Extractive question answering",
    "bitext_retrieval": "Bitext retrieval",
    "bitext_mining": "Bitext mining",
    "passage_ranking": "Passage ranking",
    "masked_lm": "Masked LM",
}


def page() -> str:
    """Return the page: targets of the benchmarks first, then the other tasks by format, then those of the sandbox."""
    targets = tuple(dict.fromkeys((*XTREME.languages, *XTREME_R.languages)))
    sandbox = [name for name in shipped_names() if task(name).artificial]
    others = [name for name in shipped_names() if name not in {*targets, *sandbox}]
    sections = {"Targets of XTREME and XTREME-R": list(targets)}
    titles = FORMATS | {name: name.replace("_", " ").capitalize() for name in SHAPES if name not in FORMATS}
    sections |= {title: [name for name in others if task(name).format == format] for format, title in titles.items()}
    sections["Artificial languages"] = sandbox
    parts = [HEAD]
    for title, members in sections.items():
        parts += [f"## {title}\n", *(_entry(task(name)) for name in members)]
    return "\n".join(parts)


def _entry(one: Task) -> str:
    about = (import_module(module_of(one.name)).__doc__ or "").strip()
    return "\n".join([f"### {one.name}", "", about, "", *(f"- {line}" for line in _facts(one)), ""])


def _facts(one: Task) -> Iterator[str]:
    name = one.learned_from_name
    learned = {"itself": "its own training data", None: "nothing"}.get(name, f"`{name}`")
    yield f"format {one.format}, metric `{one.metric}`, learned from {learned}"
    if one.labels:
        yield f"labels: {', '.join(one.labels)}"
    if one.languages:
        yield f"languages ({len(one.languages)}): {' '.join(one.languages)}"
    if one.trained_in != ("en",):
        yield f"trained in: {' '.join(one.trained_in)}"
    if one.joined:
        yield f"training data of {', '.join(f'`{name}`' for name in one.joined_names)}"
    if one.counts:
        where = {"train": f" ({' '.join(one.trained_in)})"}
        yield "examples: " + ", ".join(f"{split} {n:,}{where.get(split, '')}" for split, n in one.counts.items())
    for suite in (XTREME, XTREME_R):
        if one.name in suite.languages:
            yield f"{suite.name}: {' '.join(suite.languages[one.name]) or 'all languages scored'}"
    for source in one.sources:
        yield from _source(source)
    yield f"licence: {one.licence}"
    yield f"cite: {one.citation}"


def _source(source: Source) -> Iterator[str]:
    """Yield a line with the places of a source's files and its splits."""
    patterns = [pattern for split in source.files for pattern in source.templates(split)]
    if not patterns:
        return
    places = ", ".join(f"`{place}`" for place in dict.fromkeys(_shortened(pattern) for pattern in patterns))
    revision = f" at revision `{source.revision}`" if patterns[0].startswith("hub/") else ""
    withheld = ", answers withheld" if source.withheld else ""
    some = f" in {' '.join(source.languages)}" if source.languages else ""
    yield f"{source.reader} ({', '.join(source.files)}{withheld}): {places}{revision}{some}"


def _shortened(pattern: str) -> str:
    """Return the place of a pattern: the repository of the hub's files, the folder of others."""
    parts = pattern.split("/")
    return "/".join(parts[1:3]) if parts[0] == "hub" else pattern.rpartition("/")[0] or pattern
