from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as law
from hypothesis import settings
from hypothesis import strategies as some

from given import given
from xstilts import metrics
from xstilts.data.dataset import DatasetSplit, examples
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
from xstilts.data.readers import Report
from xstilts.errors import InputError
from xstilts.evaluation.predict import PREDICTIONS
from xstilts.evaluation.score import score
from xstilts.experiments import submission
from xstilts.experiments.run import Recipes, Run
from xstilts.experiments.submission_formats import FORMS, layout
from xstilts.metrics import XTREME, XTREME_R
from xstilts.models.encoder import Encoder
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.store.stage import BuildContext, Stage, StageError, folder_of, stage
from xstilts.tasks.base import Task, task

ORACLES = Path(os.environ.get("XSTILTS_ORACLES", Path(__file__).resolve().parents[3] / "shared" / "oracles"))
TEXT = some.text(some.characters(codec="utf-8"), max_size=12)
UPOS = task("udpos").labels
ENTITIES = task("panx").labels

# Every layout, any predictions: what is read back is what was written, and scores the same.


def passages(count: int, targets: Sequence[tuple[str, ...]]) -> list[PassageExample]:
    asking = [PassageExample(f"de-{n:09}", f"Satz {n}", None, "query", targets[n]) for n in range(count)]
    return [*asking, *(PassageExample(f"en-{n:09}", f"Sentence {n}", None, "candidate") for n in range(9))]


@some.composite
def cases(draw: some.DrawFn) -> tuple[str, list[Example], dict[str, Any]]:
    """Return a task, gold examples, and predictions as its metric takes them."""
    name = draw(some.sampled_from(sorted({*XTREME.languages, *XTREME_R.languages})))
    one, count = task(name), draw(some.integers(1, 6))
    ids, found = [f"{name}-{n}" for n in range(count)], some.integers(0, 8).map(lambda n: f"en-{n:09}")
    gold: list[Example] = []
    answers: list[Any] = []
    if one.format == "classification":
        label = some.sampled_from(one.labels)
        gold = [ClassificationExample(id, "a", "b", draw(label)) for id in ids]
        answers = [draw(label) for _ in ids]
    elif one.format == "multiple_choice":
        gold = [MultipleChoiceExample(id, "a", "", ("b", "c"), draw(some.integers(0, 1))) for id in ids]
        answers = [draw(some.integers(0, 1)) for _ in ids]
    elif one.format == "token_classification":
        labels = ENTITIES if name == "panx" else UPOS
        gold = [TaggingExample(id, ("w",) * len(t), t) for id in ids for t in [tuple(draw(tags(labels, 0)))]]
        answers = [
            draw(some.lists(some.sampled_from(labels), min_size=len(e.tags), max_size=len(e.tags))) for e in gold
        ]
    elif one.format == "extractive_qa":
        gold = [QAExample(id, "c", "q", (AnswerSpan(draw(TEXT), -1),)) for id in ids]
        answers = [draw(TEXT) for _ in ids]
    elif one.format == "bitext_retrieval":
        gold = [BitextExample(id, "s", draw(some.sampled_from(("b", "a", "ä", "B")))) for id in ids]
        answers = [draw(some.sampled_from(ids)) for _ in ids]
    else:
        targets = [tuple(draw(some.sets(found, min_size=1, max_size=1 if name != "lareqa" else 3))) for _ in ids]
        gold = list(passages(count, targets))
        rankings = some.lists(found, max_size=20, unique=True)
        answers = [draw(some.none() | found if one.format == "bitext_mining" else rankings) for _ in ids]
    asked = [example for example in gold if getattr(example, "side", "query") == "query"]
    return name, asked, dict(zip([example.id for example in asked], answers, strict=True))


def tags(labels: Sequence[str], least: int) -> some.SearchStrategy[list[str]]:
    return some.lists(some.sampled_from(labels), min_size=least, max_size=4)


@settings(max_examples=300, deadline=None)
@law(cases())
def test_what_is_read_back_is_what_was_written(case: tuple[str, list[Example], dict[str, Any]]) -> None:
    name, gold, answers = case
    one = task(name)
    shape = layout(name, one.format)
    text = shape.text(gold, answers)
    assert text.isascii()
    assert shape.answers(gold, text) == answers
    measure = metrics.metric(one.metric)
    assert measure(gold, shape.answers(gold, text), language="de") == measure(gold, answers, language="de")


@pytest.mark.parametrize("format", FORMS)
def test_a_file_that_was_cut_is_refused(format: str) -> None:
    gold: dict[str, list[Example]] = {
        "classification": [ClassificationExample(id, "a", None, "x") for id in "12"],
        "token_classification": [TaggingExample(id, ("w",), ("X",)) for id in "12"],
        "extractive_qa": [QAExample(id, "c", "q", ()) for id in "12"],
        "multiple_choice": [MultipleChoiceExample(id, "a", "", ("b", "c"), 0) for id in "12"],
        "bitext_retrieval": [BitextExample(id, "a", "b") for id in "12"],
        "bitext_mining": [PassageExample(id, "a", None, "query") for id in "12"],
        "passage_ranking": [PassageExample(id, "a", None, "query") for id in "12"],
    }
    answer = {
        "classification": "x",
        "token_classification": ["X"],
        "extractive_qa": "s",
        "multiple_choice": 1,
        "passage_ranking": ["Q1"],
    }.get(format, "1")
    shape = layout("toy", format)
    text = shape.text(gold[format], {"1": answer, "2": answer})
    short = shape.text(gold[format][:1], {"1": answer})
    if format == "bitext_mining":
        short, text = text, text.replace("2\t", "3\t")
        assert shape.answers(gold[format], short) == {"1": "1", "2": "1"}
        short = text
    with pytest.raises(InputError, match="expected a"):
        shape.answers(gold[format], short)


def test_files_are_where_the_script_looks_for_them() -> None:
    paths = {name: layout(name, task(name).format).path("de") for name in (*XTREME.languages, *XTREME_R.languages)}
    assert paths == {
        "pawsx": "pawsx/test-de.tsv",
        "xnli": "xnli/test-de.tsv",
        "panx": "panx/test-de.tsv",
        "udpos": "udpos/test-de.tsv",
        "bucc": "bucc2018/test-de.tsv",
        "tatoeba": "tatoeba/test-de.tsv",
        "xquad": "xquad/test-de.json",
        "mlqa": "mlqa/test-de.json",
        "tydiqa": "tydiqa/test-de.json",
        "xcopa": "xcopa/test-de.jsonl",
        "mewslix": "mewslix/test-de.json",
        "lareqa": "lareqa/test-de.json",
    }
    with pytest.raises(InputError, match="'text' \\(masked_lm\\) is in no leaderboard"):
        layout("text", "masked_lm")


def test_english_lines_are_in_the_order_of_xtreme() -> None:
    """A sentence's number is its row on the foreign side; equal English lines stay in the order of the rows."""
    gold = [BitextExample(str(n), f"s{n}", english) for n, english in enumerate(("pear", "fig", "pear", "Fig"))]
    right = {example.id: example.id for example in gold}
    assert layout("tatoeba", "bitext_retrieval").text(gold, right) == "3\n1\n0\n2\n"


def test_xtremes_own_english_file_has_that_order(shared: Path) -> None:
    for code in task("tatoeba").languages:
        theirs = (shared / f"xtreme/tatoeba/{code}-en.en").read_text(encoding="utf-8").split("\n")[:-1]
        gold = list(examples(task("tatoeba").data("test", code, shared), shared, Report()))
        rows = layout("tatoeba", "bitext_retrieval").text(gold, {example.id: example.id for example in gold}).split()
        english = [example.english for example in gold if isinstance(example, BitextExample)]
        assert [english[int(row)] for row in rows] == theirs


def test_labels_are_spelled_as_the_leaderboard_spells_them() -> None:
    gold = [ClassificationExample(id, "a", "b", None) for id in "12"]
    assert layout("pawsx", "classification").text(gold, {"1": "paraphrase", "2": "different"}) == "1\n0\n"
    assert layout("xnli", "classification").text(gold, {"1": "neutral", "2": "entailment"}) == "neutral\nentailment\n"


def test_foreign_ids_are_noticed() -> None:
    shape = layout("bucc", "bitext_mining")
    assert shape.note([PassageExample("xx-1", "a", None, "query")], "de").startswith("ids such as 'xx-1'")
    assert shape.note([PassageExample("de-000000001", "a", None, "query")], "de") == ""
    assert layout("xnli", "classification").note([ClassificationExample("1", "a", None, None)], "de") == ""


# The official script's own figures for files of these layouts.

READERS: dict[str, Callable[[str], Any]] = {
    "lines": lambda text: [line.strip() for line in text.splitlines()],
    "tags": lambda text: [part.split("\n") for part in text.strip("\n").split("\n\n")],
    "json": json.loads,
    "labels": lambda text: [json.loads(line)["label"] for line in text.splitlines()],
}


def official(name: str, predicted: Any, code: str) -> tuple[list[Example], dict[str, Any], str]:
    """Return examples that fit a fixture's predictions, the predictions as a metric takes them, and a reader."""
    format, rows = task(name).format, [str(row) for row in range(len(predicted))]
    plain = dict(zip(rows, predicted, strict=True)) if isinstance(predicted, list) else predicted
    if format == "classification":
        named = {str(number): label for number, label in enumerate(task(name).labels)} if name == "pawsx" else {}
        return (
            [ClassificationExample(row, "", None, None) for row in rows],
            {r: named.get(p, p) for r, p in plain.items()},
            "lines",
        )
    if format == "token_classification":
        return [TaggingExample(row, ("",) * len(t), ()) for row, t in plain.items()], plain, "tags"
    if format == "multiple_choice":
        return [MultipleChoiceExample(row, "", "", ("a", "b"), None) for row in rows], plain, "labels"
    if format == "bitext_retrieval":
        return [BitextExample(row, "", "") for row in rows], {row: str(p) for row, p in plain.items()}, "lines"
    if format == "bitext_mining":
        pairs = dict(line.split("\t") for line in predicted)
        return [PassageExample(id, "", None, "query") for id in pairs], pairs, "lines"
    shape: type = QAExample if format == "extractive_qa" else PassageExample
    return (
        [QAExample(i, "", "", ()) if shape is QAExample else PassageExample(i, "", None, "query") for i in plain],
        plain,
        "json",
    )


@pytest.mark.skipif(not ORACLES.is_dir(), reason=f"no fixtures of official scorers in {ORACLES}")
@pytest.mark.parametrize("name", ["aggregate_xtreme", "aggregate_xtreme_r"])
def test_files_hold_what_the_official_script_was_given(name: str) -> None:
    fixture = json.loads((ORACLES / f"{name}.json").read_text(encoding="utf-8"))
    for theirs, languages in fixture["predictions"].items():
        ours = {"bucc2018": "bucc"}.get(theirs, theirs)
        for code, predicted in languages.items():
            gold, answers, reader = official(ours, predicted, code)
            shape = layout(ours, task(ours).format)
            assert shape.folder == theirs
            text = shape.text(gold, answers)
            wanted = [str(row) for row in predicted] if ours == "tatoeba" else predicted
            assert READERS[reader](text) == wanted, (ours, code)
            assert shape.answers(gold, text) == answers


# Whole folders, of runs whose stages are made here.

CODES = ("de", "en")


@dataclass(frozen=True)
class Finished(Run):
    """A run whose predictions are given: by language the examples and the lines that were predicted."""

    said: Mapping[str, tuple[list[Example], list[dict[str, Any]]]] = field(default_factory=dict)
    hidden: Mapping[str, tuple[list[Example], list[dict[str, Any]]]] = field(default_factory=dict)
    tuned: Stage | None = None

    def scores(self) -> dict[str, Stage]:
        found = {code: self._given(code, *pair) for code, pair in self.said.items()}
        return {c: score(p, p.arguments["data"], self.target.metric, self.tuned) for c, p in found.items()}

    def withheld(self) -> dict[str, Stage]:
        return {code: self._given(code, *pair) for code, pair in self.hidden.items()}

    def tuned_from(self, code: str) -> Stage | None:
        return self.tuned

    def _given(self, code: str, gold: Sequence[Example], lines: Sequence[dict[str, Any]]) -> Stage:
        data = DatasetSplit(self.target.name, self.target.format, "test", code, self.target.labels, (), ())
        held = given(data, tuple(json.dumps(asdict(one)) for one in gold))
        return predicted(tuple(json.dumps(line) for line in lines), held)


@stage(name="predicted", version=1)
def predicted(site: BuildContext, lines: tuple[str, ...], data: Stage) -> None:
    """Stand in for `predict`: the lines are given."""
    (site.folder / PREDICTIONS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


LABELS = task("xnli").labels
NLI: list[Example] = [ClassificationExample(str(n), "a", "b", LABELS[n % 3]) for n in range(6)]
NLI_SAID = [{"id": str(n), "prediction": LABELS[n % 2]} for n in range(6)]
PAIRS: list[Example] = [BitextExample(str(n), f"s{n}", english) for n, english in enumerate(("b", "a", "b", "c"))]
PAIRS_SAID = [{"id": str(n), "prediction": ["0", str(n) if n < 3 else "0", "1"]} for n in range(4)]
MINED: list[Example] = list(passages(4, [("en-000000000",), (), ("en-000000002",), ("en-000000003",)]))
MINED_SAID = [
    {"id": f"de-{n:09}", "prediction": [None, [f"en-{n:09}", 1.5 - n / 10] if n != 1 else ["en-000000001", 1.1]]}
    for n in range(4)
]


def run(name: str, **parts: Any) -> Finished:
    return Finished(Encoder("toy/encoder", "abc"), (), task(name), Recipes(), 1, **parts)


@pytest.fixture
def finished(machine: Runtime, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Run]]:
    """Return runs after building what `write` needs of them."""
    monkeypatch.setattr(Task, "has", lambda self, split, code, folder: True)

    def built(*runs: Run) -> list[Run]:
        for promised in submission.stages(runs):
            build(promised, machine)
        return list(runs)

    return built


Built = Callable[..., list[Run]]


def test_a_folder_is_written_read_back_and_described(finished: Built, machine: Runtime, tmp_path: Path) -> None:
    runs = finished(
        run("xnli", said=dict.fromkeys(CODES, (NLI, NLI_SAID))),
        run("tatoeba", said={"de": (PAIRS, PAIRS_SAID)}),
    )
    report = submission.write(runs, XTREME, machine, tmp_path / "out")
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    assert files == {"manifest.json", "xnli/test-de.tsv", "xnli/test-en.tsv", "tatoeba/test-de.tsv"}
    assert (tmp_path / "out/xnli/test-de.tsv").read_text() == "".join(f"{LABELS[n % 2]}\n" for n in range(6))
    assert (tmp_path / "out/tatoeba/test-de.tsv").read_text() == "1\n0\n2\n0\n"
    assert {(file.task, file.language) for file in report.files} == {("xnli", "de"), ("xnli", "en"), ("tatoeba", "de")}
    (right,) = {file.values["accuracy"] for file in report.files if file.task == "tatoeba"}
    assert right == 75.0
    manifest = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))
    assert (manifest["suite"], manifest["encoder"]) == ("xtreme", "toy/encoder@abc")
    assert {file["score"] for file in manifest["files"]} == {s.key for r in runs for s in r.scores().values()}
    gaps = {gap["task"]: gap for gap in manifest["missing"]}
    assert gaps["pawsx"]["reason"] == "there is no run of it"
    assert set(gaps["xnli"]["languages"]) == set(XTREME.languages["xnli"]) - set(CODES)
    assert "xnli: languages written: 2, scored again, as in their runs" in report.lines()
    assert any(line.startswith("bucc: MISSING in de, fr, ru, zh") for line in report.lines())


def test_choices_are_written_as_numbers(finished: Built, machine: Runtime, tmp_path: Path) -> None:
    gold: list[Example] = [MultipleChoiceExample(str(n), "a", "", ("b", "c"), n % 2) for n in range(4)]
    said = [{"id": str(n), "prediction": 0} for n in range(4)]
    report = submission.write(finished(run("xcopa", said={"sw": (gold, said)})), XTREME_R, machine, tmp_path / "out")
    assert (tmp_path / "out/xcopa/test-sw.jsonl").read_text() == '{"label": 0}\n' * 4
    assert [file.values for file in report.files] == [{"accuracy": 50.0}]


def test_pairs_are_written_from_the_threshold_on(finished: Built, machine: Runtime, tmp_path: Path) -> None:
    runs = finished(run("bucc", said={"de": (MINED, MINED_SAID)}))
    submission.write(runs, XTREME, machine, tmp_path / "out")
    chosen = json.loads((folder_of(runs[0].scores()["de"], machine) / "score.json").read_text())
    pairs = [line["prediction"][chosen["layer"]] for line in MINED_SAID]
    wanted = [
        f"{line['id']}\t{p[0]}\n"
        for line, p in zip(MINED_SAID, pairs, strict=True)
        if p and p[1] >= chosen["threshold"]
    ]
    assert wanted
    assert (tmp_path / "out/bucc2018/test-de.tsv").read_text() == "".join(wanted)


def test_rankings_are_written_by_query(finished: Built, machine: Runtime, tmp_path: Path) -> None:
    gold = passages(2, [("en-000000001",), ("en-000000002", "en-000000003")])
    lines = [{"id": f"de-{n:09}", "prediction": ["en-000000001", "en-000000002"]} for n in range(2)]
    runs = finished(run("lareqa", said={"de": (gold, lines)}), run("mewslix", said={"de": (gold, lines)}))
    report = submission.write(runs, XTREME_R, machine, tmp_path / "out")
    for name in ("lareqa", "mewslix"):
        found = json.loads((tmp_path / f"out/{name}/test-de.json").read_text())
        assert found == {line["id"]: line["prediction"] for line in lines}
    assert any("no reader" in note for note in report.notes)


def test_where_answers_are_withheld_only_completeness_is_seen(
    finished: Built, machine: Runtime, tmp_path: Path
) -> None:
    """The layer and the threshold are those chosen on the development data."""
    dev = run("bucc", said={"de": (MINED, MINED_SAID)}).scores()["de"]
    unknown: list[Example] = [replace(e, targets=()) for e in MINED if isinstance(e, PassageExample)]
    unlabelled: list[Example] = [replace(e, label=None) for e in NLI if isinstance(e, ClassificationExample)]
    runs = finished(
        run("bucc", hidden={"de": (unknown, MINED_SAID)}, tuned=dev), run("xnli", hidden={"de": (unlabelled, NLI_SAID)})
    )
    report = submission.write(runs, XTREME, machine, tmp_path / "out")
    assert [(file.task, file.score, file.values) for file in report.files] == [("xnli", None, {}), ("bucc", None, {})]
    assert "bucc: languages written: 1, complete; the answers are withheld" in report.lines()
    chosen = json.loads((folder_of(dev, machine) / "score.json").read_text())
    best = max(range(2), key=lambda n: (chosen["by_layer"][n], n))
    kept = [p for line in MINED_SAID if (p := line["prediction"][best]) and p[1] >= chosen["thresholds"][best]]
    lines = (tmp_path / "out/bucc2018/test-de.tsv").read_text().splitlines()
    assert [line.split("\t")[1] for line in lines] == [pair[0] for pair in kept]


def test_a_file_that_scores_otherwise_stops_the_writing(finished: Built, machine: Runtime, tmp_path: Path) -> None:
    runs = finished(run("xnli", said={"de": (NLI, NLI_SAID)}))
    held = folder_of(runs[0].scores()["de"], machine) / "score.json"
    held.write_text(held.read_text().replace("33.3", "43.3"))
    with pytest.raises(StageError, match=r"'xnli' in 'de': .*test-de.tsv scores accuracy 33\.3.* its run 43\.3"):
        submission.write(runs, XTREME, machine, tmp_path / "out")
    assert not (tmp_path / "out/manifest.json").exists()


def test_nothing_is_overwritten_and_nothing_strange_is_written(
    finished: Built, machine: Runtime, tmp_path: Path
) -> None:
    (xnli,) = finished(run("xnli", said={"de": (NLI, NLI_SAID)}))
    held = tmp_path / "held"
    held.mkdir()
    (held / "mine.txt").write_text("keep")
    refused: list[tuple[list[Run], Path, str]] = [
        ([xnli], held, "not an empty folder"),
        ([xnli], held / "mine.txt", "not an empty folder"),
        ([run("xcopa")], tmp_path / "out", "'xcopa' is not in xtreme: its tasks are"),
        ([], tmp_path / "out", "expected runs to submit, found none"),
        ([xnli, replace(xnli, seed=2)], tmp_path / "out", "one run a target"),
        ([xnli, replace(run("tatoeba"), encoder=Encoder("b", "1"))], tmp_path / "out", "runs of one encoder"),
        ([replace(xnli, split="validation")], tmp_path / "out", "found 'validation'"),
        (
            [run("xnli", said={"de": (NLI[:3], NLI_SAID[:3])})],
            tmp_path / "out",
            "nothing to submit to xtreme .*xnli: not built in",
        ),
    ]
    for runs, out, message in refused:
        with pytest.raises(InputError, match=message):
            submission.write(runs, XTREME, machine, out)
    assert [path.name for path in held.iterdir()] == ["mine.txt"]
    assert not (tmp_path / "out").exists()


def test_what_is_not_built_is_missing(finished: Built, machine: Runtime, tmp_path: Path) -> None:
    finished(run("xnli", said={"de": (NLI, NLI_SAID)}))
    half = run("xnli", said={"de": (NLI, NLI_SAID), "en": (NLI[:3], NLI_SAID[:3])}, only_languages=("de", "en", "sw"))
    report = submission.write([half], XTREME, machine, tmp_path / "out")
    assert [file.language for file in report.files] == ["de"]
    gaps = {code: gap.reason for gap in report.missing if gap.task == "xnli" for code in gap.languages}
    assert gaps["en"] == f"not built in {machine.store}"
    assert gaps["sw"] == "no test data below (no --data given)"
    assert gaps["ar"] == "the run leaves it out"


def test_another_test_set_than_the_benchmarks_is_not_handed_in(
    finished: Built, machine: Runtime, tmp_path: Path
) -> None:
    """XTREME joins all treebanks of a language; the gold of one of them fits no leaderboard's answers."""
    machine = replace(machine, data=tmp_path)
    (tmp_path / "xtreme/udpos").mkdir(parents=True)
    (tmp_path / "xtreme/udpos/test-de.tsv").write_text("Ann\nran\n\nOslo\n\n")
    (tmp_path / "xtreme/udpos/test-en.tsv").write_text("Ann\nran\n\n")
    pair: Any = (
        [TaggingExample("0", ("Ann", "ran"), ("PROPN", "VERB"))],
        [{"id": "0", "prediction": ["PROPN", "VERB"]}],
    )
    runs = finished(run("udpos", said=dict.fromkeys(CODES, pair)))
    report = submission.write(runs, XTREME, machine, tmp_path / "out")
    assert [file.language for file in report.files] == ["en"]
    (reason,) = (gap.reason for gap in report.missing if gap.task == "udpos" and gap.languages == ("de",))
    assert reason.startswith("not the benchmark's test set: 1 examples and 2 tags or answers where its own file has 2")


# One real run, from files to files.


def test_a_run_from_files_to_files(encoder: Encoder, machine: Runtime, tmp_path: Path) -> None:
    data = tmp_path / "data"
    folder = data / "targets/tatoeba_laser"
    folder.mkdir(parents=True)
    for code in ("swh", "dan"):
        (folder / f"tatoeba.{code}-eng.{code}").write_text("zoo cab\ncab\nfig jig\nzoo\n")
        (folder / f"tatoeba.{code}-eng.eng").write_text("zoo zoo\ncab\nfig\ncab\n")
    real = Run(encoder, (), task("tatoeba"), Recipes("sandbox"), 1, data=data)
    machine = replace(machine, data=data)
    for promised in submission.stages([real]):
        build(promised, machine)
    report = submission.write([real], XTREME, machine, tmp_path / "out")
    (file,) = report.files
    assert (file.path, file.answers) == ("tatoeba/test-sw.tsv", 4)
    assert len((tmp_path / "out" / file.path).read_text().split()) == 4


def test_withheld_answers_are_predicted_all_the_same(encoder: Encoder, tmp_path: Path) -> None:
    folder = tmp_path / "xtreme/panx"
    folder.mkdir(parents=True)
    (folder / "train-en.tsv").write_text("Ann\tB-PER\nran\tO\n\n")
    (folder / "test-sw.tsv").write_text("Ann\nran\n\n")
    (folder / "test-de.tsv").write_text("Ann\nran\n\n")
    real = Run(encoder, (), task("panx"), Recipes("sandbox"), 1, data=tmp_path)
    promised = real.withheld()
    assert list(promised) == ["de", "sw"]
    assert promised["sw"].work.function.__name__ == "predict"
    assert submission.stages([real]) == list(promised.values())
    assert replace(real, data=None).withheld() == {}
