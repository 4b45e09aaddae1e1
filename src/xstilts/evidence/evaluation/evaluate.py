"""Evaluation of `xstilts evidence` on a golden set, part by part.

report = evaluate(Path("golden"), Path("anthology.bib.gz"), Settings())
show(report)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from xstilts.errors import InputError
from xstilts.evidence.evaluation import golden as golden_sets
from xstilts.evidence.evaluation import retrieval, statements
from xstilts.evidence.evaluation.part import ALL, Inputs, Part
from xstilts.evidence.retrieval.corpus_files import open_corpus
from xstilts.evidence.retrieval.source_search import INDEXES, sentence_encoder
from xstilts.runtime import whole_files
from xstilts.runtime.console import console, json_value
from xstilts.runtime.tables import number, table

# In the order of the report. A new part is a module with a function `measure`.
PARTS: Mapping[str, Part] = {retrieval.NAME: retrieval.measure, statements.NAME: statements.measure}


@dataclass(frozen=True)
class Settings:
    """How a golden set is evaluated.

    Attributes:
        cache: Folder of indexes and vectors.
        encoder: Folder or hub id of a sentence encoder; "" for words alone.
        embed_all: Embed all works of the corpus, not only candidates.
        parts: Names of the parts; () for all.
    """

    cache: Path
    encoder: str = ""
    embed_all: bool = False
    parts: tuple[str, ...] = field(default=())


def evaluate(golden: Path, corpus: Path, settings: Settings) -> dict[str, Any]:
    """Measure the parts on a golden set.

    Args:
        golden: Folder of the golden set.
        corpus: BibTeX file, or a folder with some.
        settings: Encoder and cache.

    Returns:
        The report: "golden", "corpus", "encoder" and the result of each part by its name.

    Raises:
        InputError: A part is unknown, or the golden set or the corpus cannot be read.
    """
    unknown = set(settings.parts) - set(PARTS)
    if unknown:
        raise InputError(f"no part {', '.join(sorted(unknown))} of an evaluation; there are {', '.join(PARTS)}")
    questions = golden_sets.read(golden)
    encoder = sentence_encoder(settings.encoder, settings.cache)
    inputs = Inputs(open_corpus(corpus, settings.cache / INDEXES), encoder, settings.embed_all)
    results = {name: part(questions, inputs) for name, part in PARTS.items() if name in (settings.parts or PARTS)}
    return {
        "golden": golden.name,
        "questions": len(questions.questions),
        "corpus": corpus.name,
        "works": len(inputs.index),
        "encoder": encoder.encoder.name if encoder else None,
        "parts": {name: asdict(result) for name, result in results.items()},
    }


def show(report: Mapping[str, Any], out: Path | None = None) -> None:
    """Print the tables of a report, and write them to a folder.

    Args:
        report: What `evaluate` returned.
        out: Folder of `evaluation.md` and `evaluation.json`; None for none.
    """
    text = "\n".join(markdown(report))
    console().print(text, highlight=False, soft_wrap=True, markup=False)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        whole_files.write(out / "evaluation.md", text + "\n")
        content = json.dumps(json_value(report), indent=1, ensure_ascii=False)
        whole_files.write(out / "evaluation.json", content + "\n")


def markdown(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a report as Markdown."""
    yield f"# Evaluation on {report['questions']} questions of {report['golden']}"
    for name, part in report["parts"].items():
        yield from _part(name, part)


def _part(name: str, part: Mapping[str, Any]) -> Iterator[str]:
    if {row["question"] for row in part["rows"]} == {ALL}:
        yield from _whole(name, part)
        return
    labels = {measure["key"]: measure["label"] for measure in part["measures"]}
    means = [[method, *map(_interval, figures.values())] for method, figures in part["overall"].items()]
    rows = [[row["question"], row["method"], *(number(row[key], 3) for key in labels)] for row in part["rows"]]
    about = "; ".join(f"{measure['label']}: {measure['about']}" for measure in part["measures"])
    yield from ("", f"## {name.capitalize()}", "")
    yield table("", ("method", *labels.values()), means).to_markdown()
    yield from ("", f"Means over questions, with 95 % intervals by bootstrap over questions. {about}.", "")
    yield table("", ("question", "method", *labels.values()), rows).to_markdown()
    yield ""
    yield from (f"- {note}" for note in part["notes"])


def _whole(name: str, part: Mapping[str, Any]) -> Iterator[str]:
    """Yield a part that is measured on all questions at once: a row for each measure."""
    methods = {row["method"]: row for row in part["rows"]}
    rows = [
        [measure["label"], *(number(row[measure["key"]], 3) for row in methods.values()), measure["about"]]
        for measure in part["measures"]
    ]
    yield from ("", f"## {name.capitalize()}", "", table("", ("measure", *methods, "of"), rows).to_markdown(), "")
    yield from (f"- {note}" for note in part["notes"])


def _interval(figure: Mapping[str, float]) -> str:
    mean, low, high = (number(figure[name], 3).text for name in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"
