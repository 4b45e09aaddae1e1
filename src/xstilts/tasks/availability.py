"""Availability: which splits and languages of tasks are in the data folder, and how to get the others.

An entry is one split in one language: the folder it is read from, its number of examples beside the expected one, what
was repaired or dropped while counting, or what is wrong with it. Examples are counted as `dataset.examples` yields
them.

>>> Entry("xquad", "test", "sw", wanted=1190).state
'missing'
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from xstilts.data.dataset import OTHER_SPLIT, DatasetSplit, examples
from xstilts.data.hub_files import Unreachable
from xstilts.data.readers import Report
from xstilts.data.source import Source
from xstilts.errors import InputError
from xstilts.runtime import progress, whole_files
from xstilts.runtime.console import console
from xstilts.tasks import download
from xstilts.tasks.base import Task, listed, task

PLACES = 6  # of files that a message lists
NAMED = 12  # languages that are listed even where they are all of a task's
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Entry:
    """A split of a task in a language.

    Attributes:
        task: Label of the task.
        split: "train", "validation" or "test".
        language: Code of the language.
        form: The first folders of the files; "" where there are none.
        count: Number of examples; None where they were not counted.
        wanted: Expected number of examples; None where it is unknown.
        withheld: The files have no answers.
        notes: What was repaired, dropped or noted, by reason.
        error: Why it cannot be read or downloaded.
        offered: Whether the hub may have it.
    """

    task: str
    split: str
    language: str
    form: str = ""
    count: int | None = None
    wanted: int | None = None
    withheld: bool = False
    notes: Mapping[str, int] = field(default_factory=dict)
    error: str = ""
    offered: bool = False

    @property
    def state(self) -> str:
        """One of "broken", "missing", "withheld" and "there"."""
        if self.error:
            return "broken"
        return "missing" if not self.form else "withheld" if self.withheld else "there"


def gather(
    asked: Sequence[str], folder: Path | None, split: str | None = None, get: bool = False, counted: bool = True
) -> dict[str, list[Entry]]:
    """Return the entries of tasks by name.

    Args:
        asked: Names of tasks; empty: all but those of the sandbox.
        folder: The data folder.
        split: A split; None: all.
        get: Download what is missing first.
        counted: Count the examples.

    Raises:
        InputError: There is no data folder, or the hub cannot be reached.
    """
    if folder is None:
        raise InputError("no data folder is named; name it with --data DIR or the variable XSTILTS_DATA")
    if not (get or folder.is_dir()):
        raise InputError(f"there is no data folder {folder}; correct --data DIR, or make it with --get")
    found: dict[str, list[Entry]] = {}
    usable = [name for name, task in listed() if isinstance(task, Task) and not task.artificial]
    for name in asked or usable:
        failed = _get(task(name), folder, split) if get else {}
        entries = survey(task(name), folder, split, counted)
        found[name] = [_tried(entry, failed) if get else entry for entry in entries]
    return found


def show(found: Mapping[str, Sequence[Entry]], folder: Path | None, out: Path | None = None) -> bool:
    """Print entries, write them to the JSON file `out` if there is one, and return whether none is broken."""
    screen = console()
    for name, entries in found.items():
        for line in render(task(name), entries, folder or Path()):
            screen.print(line, highlight=False, soft_wrap=True)
    if out:
        whole_files.write(out, json.dumps(to_json(found), indent=1) + "\n")
    return not any(entry.error for entries in found.values() for entry in entries)


def to_json(found: Mapping[str, Sequence[Entry]]) -> list[dict[str, object]]:
    """Return entries as the values of their JSON file."""
    return [_record(entry) for entries in found.values() for entry in entries]


def survey(task: Task, folder: Path, split: str | None = None, counted: bool = True) -> Iterator[Entry]:
    """Yield an entry for each split and language that a task uses, and for others whose files are there."""
    pairs = list(_pairs(task, folder, split))
    for number, (part, code) in enumerate(pairs):
        if counted:
            progress.step(task.label, number, len(pairs), f"{part} {code}")
        source = _source(task, part, code, folder)
        yield _entry(task, part, code, source, folder, counted)
    if counted and pairs:
        progress.step(task.label, len(pairs), len(pairs))


def render(task: Task, entries: Iterable[Entry], folder: Path) -> Iterator[str]:
    """Yield the lines of a task; entries that differ only in their language and count share one."""
    yield f"{task.label}  {task.format}, {task.licence}"
    known = download.languages_of(task)
    if not known:
        looked = ", ".join(path for source in task.sources for path in source.patterns("train", "<language>"))
        yield f"  any language: looks for {looked}"
    if task.joined:
        yield f"  train  that of {', '.join(task.joined_names)}"
    for group in _grouped(entries, lambda entry: (entry.split, entry.form, entry.state, entry.offered, entry.error)):
        yield from _lines(task, group, folder, known)


def _pairs(task: Task, folder: Path, split: str | None) -> Iterator[tuple[str, str]]:
    """Yield the splits and languages that a task uses, and others whose files are there."""
    splits = SPLITS if task.artificial else download.splits_of(task)
    chosen = () if task.artificial or task.trained_in == task.usual_languages else task.trained_in  # "mnli:sw"
    for part in (part for part in splits if split in (None, part)):
        used = () if task.artificial else download.used_languages(task, part)
        used = tuple(code for code in used if any(source.patterns(part, code) for source in task.sources))
        for code in dict.fromkeys((*download.languages_of(task), *chosen)):
            if code in used or (part == "train" and code in chosen) or _source(task, part, code, folder):
                yield part, code


def _source(task: Task, split: str, language: str, folder: Path) -> Source | None:
    """Return the source that is read: the first that has files, with answers or without."""
    found = [
        source
        for source in task.every_source()
        if source.holds(split, language, folder) or source.find(split, language, folder)
    ]
    return next((source for source in found if task.holds(source, split, language, folder)), next(iter(found), None))


def _entry(task: Task, split: str, language: str, source: Source | None, folder: Path, counted: bool) -> Entry:
    wanted, offered = task.counts.get(split), bool(download.sources(task, split, language))
    if source is None:
        return Entry(task.label, split, language, wanted=wanted, offered=offered)
    report, form, count, error = Report(), "", None, ""
    try:
        data = task.data(split, language, folder)
        form, wanted = _form(data), data.expected
        count = sum(1 for _ in examples(data, folder, report)) if counted else None
    except (InputError, OSError) as problem:
        error = str(problem)
    withheld = source.withheld or (split == "test" and not task.holds(source, split, language, folder))
    notes = {reason: times for reason, times in report.counts.items() if not _is_shown_elsewhere(reason, withheld)}
    return Entry(task.label, split, language, form, count, wanted, withheld, notes, error, offered)


def _form(data: DatasetSplit) -> str:
    """Return the folders of files: hub/<owner>/<name>, or the first two of others."""
    folders = data.files[0].path.split("/")[:-1] or [data.files[0].path]
    return "/".join(folders[: 3 if folders[0] == "hub" else 2])


def _is_shown_elsewhere(reason: str, withheld: bool) -> bool:
    """Return whether another column of an entry has what a note says."""
    others = reason.startswith(("noted: not in", OTHER_SPLIT))  # which are entries of their own
    return others or reason.endswith("are expected") or (withheld and reason.endswith("hidden"))


def _get(task: Task, folder: Path, split: str | None) -> dict[tuple[str, str], str]:
    """Download what is missing or withheld and on the hub; return the errors by split and language."""
    bare = [entry for entry in survey(task, folder, split, counted=False) if entry.offered and entry.state != "there"]
    failed: dict[tuple[str, str], str] = {}
    for group in _grouped(bare, lambda entry: entry.split):
        try:
            download.download(task, folder, [group[0].split], [entry.language for entry in group])
        except Unreachable:
            raise
        except download.Absent as nothing:
            progress.note(str(nothing))
        except InputError as problem:
            failed |= {(entry.split, entry.language): str(problem) for entry in group}
    return failed


def _tried(entry: Entry, failed: Mapping[tuple[str, str], str]) -> Entry:
    """Return an entry after a download: with its error, and not offered where the file did not come."""
    error = failed.get((entry.split, entry.language), entry.error)
    return replace(entry, error=error, offered=entry.offered and entry.state == "there")


def _grouped(entries: Iterable[Entry], key: Callable[[Entry], object]) -> list[list[Entry]]:
    groups: dict[object, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(key(entry), []).append(entry)
    return list(groups.values())


def _lines(task: Task, group: list[Entry], folder: Path, known: Sequence[str]) -> Iterator[str]:
    """Yield the lines of entries that share split, form and state."""
    first, codes = group[0], [entry.language for entry in group]
    begun = f"  {first.split:<10}  "
    if first.state == "broken":
        yield f"{begun}error: {_languages(codes, known)}: {first.error}"
    elif first.state == "missing":
        yield f"{begun}missing: {_languages(codes, known)}; {_remedy(task, first, folder)}"
    else:
        counts = " · ".join(_counts(same, known) for same in _grouped(group, lambda entry: entry.count))
        withheld = f"; answers withheld, {_remedy(task, first, folder)}" if first.withheld else ""
        yield f"{begun}{counts}  ({first.form}{withheld})"
    notes = sum((Counter(entry.notes) for entry in group), Counter[str]())
    yield from (f"{' ' * len(begun)}{reason}: {times:,}" for reason, times in sorted(notes.items()))


def _counts(same: list[Entry], known: Sequence[str]) -> str:
    """Return the number of examples of languages that have the same, beside the expected one where it differs."""
    count, wanted = same[0].count, same[0].wanted
    shown = _languages([entry.language for entry in same], known)
    if count is None:
        return shown
    return f"{shown}: {count:,}" + (f" of {wanted:,}" if wanted not in (None, count) else "")


def _languages(codes: Sequence[str], known: Sequence[str]) -> str:
    if len(codes) > NAMED and set(codes) == set(known):
        return f"all {len(codes)} languages"
    return " ".join(codes)


def _remedy(task: Task, entry: Entry, folder: Path) -> str:
    """Return how to get what is missing: the command, or where the files must lie."""
    if entry.offered:
        return f"get it with `xstilts data {task.label} --split {entry.split} --get --data {folder}`"
    sources = [source for source in task.sources if not source.withheld]
    held = [source for source in sources if source.patterns(entry.split, entry.language)]
    looked = [path.replace("{language}", "<language>") for source in held for path in source.templates(entry.split)]
    more = f" and {len(looked) - PLACES} more" if len(looked) > PLACES else ""
    sought = f"looked for {', '.join(looked[:PLACES])}{more}" if looked else "no source of the task has it with answers"
    lacking = task.not_on_hub(entry.split, entry.language)
    return f"{lacking}; {sought}" if lacking else sought


def _record(entry: Entry) -> dict[str, object]:
    return {**asdict(entry), "state": entry.state, "licence": task(entry.task).licence}
