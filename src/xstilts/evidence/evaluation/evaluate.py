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

from xstilts.evidence.evaluation import golden as golden_sets
from xstilts.evidence.evaluation import retrieval
from xstilts.evidence.evaluation.part import Inputs, Part, PartResult
from xstilts.evidence.retrieval.corpus_files import open_corpus
from xstilts.evidence.retrieval.sentence_encoder import SentenceEncoder
from xstilts.runtime.console import console, json_value
from xstilts.runtime.tables import format_value

# In the order of the report. A new part is a module with a function `measure`.
PARTS: Mapping[str, Part] = {retrieval.NAME: retrieval.measure}


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
        InputError: The golden set or the corpus cannot be read.
    """
    questions = golden_sets.read(golden)
    encoder = SentenceEncoder.of(settings.encoder, settings.cache / "vectors") if settings.encoder else None
    inputs = Inputs(open_corpus(corpus, settings.cache), encoder, settings.embed_all)
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
        (out / "evaluation.md").write_text(text + "\n", encoding="utf-8")
        content = json.dumps(json_value(report), indent=1, ensure_ascii=False)
        (out / "evaluation.json").write_text(content + "\n", encoding="utf-8")


def markdown(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a report as Markdown."""
    yield f"# Evaluation on {report['questions']} questions of {report['golden']}"
    for part in report["parts"].values():
        yield from _part(PartResult(**part))


def _part(part: PartResult) -> Iterator[str]:
    labels = {measure["key"]: measure["label"] for measure in part.measures}  # type: ignore[index]
    yield from ("", f"## {part.name.capitalize()}", "")
    yield from _header(["method", *labels.values()])
    for method, figures in part.overall.items():
        cells = [f"{_figure(each['mean'])} ({_figure(each['low'])} to {_figure(each['high'])})" for each in figures.values()]
        yield _row([method, *cells])
    yield from ("", "Means over questions, with 95 % intervals by bootstrap over questions.", "")
    yield from _header(["question", "method", *labels.values()])
    for row in part.rows:
        yield _row([row["question"], row["method"], *(_figure(row[key]) for key in labels)])
    yield ""
    yield from (f"- {note}" for note in part.notes)


def _header(names: list[str]) -> Iterator[str]:
    yield _row(names)
    yield _row(["---"] * len(names))


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figure(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"
