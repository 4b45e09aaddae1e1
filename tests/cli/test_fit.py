"""Tests of `xstilts fit`: made files in two languages, from the command to a model that predicts."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

import xstilts as xs
from hubserver import serving
from xstilts.data import language_guess
from xstilts.experiments import fit_data
from xstilts.experiments.fit_options import FitOptions
from xstilts.sandbox.tasks import examples
from xstilts.selection import final_choice
from xstilts.selection.final_choice import GainRow
from xstilts.store import query

Call = Callable[..., tuple[int, str, str]]
SHORT = ("--recipe", "sandbox", "--set", "steps=3", "--set", "max_train_examples=48", "--device", "cpu")
TEXTS = {
    "en": "The book that I read yesterday was not as good as the others that she has written.",
    "sw": "Kitabu hiki ni kizuri sana na nilikisoma kwa furaha jana usiku nyumbani kwangu.",
}


def made(name: str, split: str, code: str, count: int) -> list[Any]:
    return list(islice(examples(name, split, code, xs.task(name).sources[0].options), count))


def table(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], delimiter: str = ";") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new folder with made files, and the store of all trainings here."""
    folder = tmp_path_factory.mktemp("fit")
    header = ("premise", "hypothesis", "verdict")
    for name, split, code, count in (
        ("pairs", "train", "qaa", 150),
        ("qaa", "test", "qaa", 24),
        ("qab", "test", "qab", 40),
    ):
        rows = [(pair.text_a, pair.text_b, pair.label) for pair in made("sandbox_nli", split, code, count)]
        table(folder / f"{name}.csv", header, rows)
    return folder


@pytest.fixture(scope="module")
def result(folder: Path) -> xs.Fit:
    """A fit with one intermediate task and two seeds, from Python."""
    settings = ["steps=3", "max_train_examples=48"]
    return xs.fit(
        "sandbox", {"qaa": str(folder / "pairs.csv")}, {code: str(folder / f"{code}.csv") for code in ("qaa", "qab")},
        label="verdict", intermediate="sandbox_names", recipe="sandbox", settings=settings, seeds=2,
        out=folder / "from_python", runtime=xs.Runtime(folder / "store", device="cpu"),
    )  # fmt: skip


def test_a_fit_compares_recommends_and_predicts(result: xs.Fit, folder: Path) -> None:
    assert (result.task.format, result.task.labels) == ("classification", tuple(sorted(xs.task("sandbox_nli").labels)))
    assert result.comparison.settings == ("baseline", "sandbox_names")
    assert {(row["setting"], row["language"]) for row in result.rows()} == {
        (setting, language) for setting in ("baseline", "sandbox_names") for language in ("qaa", "qab", "mean")
    }
    assert all(row["low"] <= row["score"] <= row["high"] for row in result.rows())
    assert result.choice.languages == ("qab",)
    assert result.recommended in result.comparison.settings
    assert result.checkpoint == folder / "from_python"
    record = json.loads((result.checkpoint / "fit.json").read_text(encoding="utf-8"))
    assert all((result.checkpoint / name).is_file() for name in ("README.md", "model.safetensors", "tokenizer.json"))
    assert record == json.loads(json.dumps(result.to_json()))
    (first,) = result.model().predict([("a dog runs", "a dog sleeps")])
    assert first["label"] in result.task.labels
    assert "95 % intervals" in str(result)
    assert result._repr_html_().count("<table") == 2
    held = next(each for each in result.counts if each.split == "validation")
    assert (held.language, set(held.labels)) == ("qaa", set(result.task.labels))
    assert 30 <= held.examples <= 34
    assert any("no development data are given: 10 % of the training data" in remark for remark in result.remarks)


def test_the_same_by_options_and_by_a_file_recomputes_nothing(result: xs.Fit, folder: Path, call: Call) -> None:
    before = set(query.by_key(folder / "store"))
    config = folder / "fit.toml"
    config.write_text(
        'encoder = "sandbox"\nrecipe = "small"\nseeds = 2\nintermediate = ["sandbox_names"]\ntrain.qaa = "pairs.csv"\n'
        'set = ["steps=3", "max_train_examples=48"]\n[test]\nqaa = "qaa.csv"\nqab = "qab.csv"\n'
        '[columns]\nlabel = "verdict"\n',
        encoding="utf-8",
    )
    code, out, err = call(
        "fit", config, "--recipe", "sandbox", "--out", folder / "model", "--json-file", folder / "fit.json",
        "--store", folder / "store", "--device", "cpu",
    )  # fmt: skip
    assert code == 0, err
    assert set(query.by_key(folder / "store")) == before
    assert "pairs.csv, qaa.csv, qab.csv: read as classification, CSV with ';', column 'verdict' as label" in err
    assert re.search(r"entailment +│ +\d+ │", out)
    assert json.loads((folder / "fit.json").read_text(encoding="utf-8"))["rows"] == result.rows()
    assert (folder / "model/config.json").is_file()
    again, _, err = call(
        "fit", config, "--recipe", "sandbox", "--out", folder, "--store", folder / "store", "--device", "cpu"
    )
    assert again == 2
    assert "exists and is no model of an earlier fit" in err


def test_words_in_lines_and_questions_are_read_and_counted(folder: Path, call: Call) -> None:
    for name, split, code in (("ner-train", "train", "qaa"), ("ner-test", "test", "qab")):
        sentences = made("sandbox_ner", split, code, 60)
        lines = ["".join(f"{w} X {t}\n" for w, t in zip(s.tokens, s.tags, strict=True)) for s in sentences]
        (folder / f"{name}.txt").write_text("-DOCSTART- -X- O\n\n" + "\n".join(lines), encoding="utf-8")
        paragraphs = [
            {
                "context": e.context,
                "qas": [
                    {
                        "id": f"{code}{e.id}",
                        "question": e.question,
                        "answers": [{"text": a.text, "answer_start": a.start} for a in e.answers],
                    }
                ],
            }
            for e in made("sandbox_qa", split, code, 60)
        ]
        document = {"version": "1.1", "data": [{"paragraphs": paragraphs}]}
        (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    for extension, expected in (
        ("txt", "CoNLL with spaces, word in column 1 and tag in column 3"),
        ("json", "SQuAD JSON 1.1"),
    ):
        code, out, err = call(
            "fit", "--train", f"qaa={folder}/ner-train.{extension}", "--test", f"qab={folder}/ner-test.{extension}",
            "--encoder", "sandbox", "--dry-run", "--store", folder / "store", "--device", "cpu",
        )  # fmt: skip
        assert code == 0, err
        assert expected in err
        assert re.search(r"examples +│ +48 │ +12 │ +60 │", out), out


def sentences(code: str, count: int) -> list[tuple[str, str]]:
    return [(f"{TEXTS[code]} {number}", ("pos", "neg")[number % 2]) for number in range(count)]


def test_languages_are_guessed_or_have_to_be_named(folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    train = table(folder / "reviews.csv", ("text", "label"), sentences("en", 60), ",")
    test = table(folder / "mapitio.csv", ("text", "label"), [*sentences("sw", 20), *sentences("en", 2)], ",")
    repeated = table(
        folder / "repeated.csv", ("text", "label"), [sentences("en", 1)[0], (sentences("en", 2)[1][0], "pos")], ","
    )
    options = ("fit", "--encoder", "sandbox", "--dry-run", "--store", folder / "store", "--train", train, *SHORT)
    code, out, err = call(*options, "--test", test, "--test", f"en={repeated}")
    assert code == 0, err
    assert re.search(r"mapitio.csv: language sw \(Swahili, \d+% of \d+ pieces of text\), guessed", err)
    assert "2 of 2 test rows in en are also in the training data, 1 of them with another label" in err
    assert "test sw" in out
    code, out, err = call(*options)
    assert code == 0, err
    assert "no test data are given: 10 % of the training data" in err
    assert "zero-shot transfer is not measured" in err
    assert "test en" in out
    mixed = table(folder / "mixed.csv", ("text", "label"), [*sentences("sw", 20), *sentences("en", 20)], ",")
    code, _, err = call(*options, "--test", mixed)
    assert code == 2
    assert "the language of this test file is not known (its texts look like" in err
    monkeypatch.setitem(sys.modules, "py3langid", None)
    assert language_guess.guess(["a"]) is None
    code, _, err = call(*options, "--test", test)
    assert code == 2
    assert 'to have it guessed, `pip install "xstilts[langid]"`): name it, sw=' in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "no encoder is given: give --encoder"),
        (("--encoder", "sandbox"), "no data are given: give --train FILE"),
        (("--encoder", "sandbox", "--train", "no.csv"), "there is no file no.csv: correct the path"),
        (("--encoder", "sandbox", "--train", "xx=pairs.csv"), "unknown language 'xx'"),
        (("--encoder", "sandbox", "--train", "pairs.csv", "--test", "owner/name"), "give --data DIR"),
        (
            ("--encoder", "sandbox", "--train", "pairs.csv", "--intermediate", "auto", "--intermediate", "a"),
            "'auto' alone",
        ),
        (("--encoder", "sandbox", "--train", "pairs.csv", "--intermediate", "mnly"), "did you mean 'mnli'?"),
        (("--encoder", "sandbox", "--train", "pairs.csv", "--recipe", "smal"), "did you mean 'small'?"),
        (("--encoder", "sandbox", "--train", "pairs.csv", "--set", "epoch=1"), "did you mean 'epochs'?"),
        (
            ("--encoder", "sandbox", "--train", "qaa=pairs.csv", "--dev", "qab=qab.csv"),
            "weights are selected in a language",
        ),
        (("wrong.toml",), "unknown key of wrong.toml: 'intermedate' (did you mean 'intermediate'?)"),
        (("broken.toml",), "broken.toml: expected TOML, found an error"),
        (("columns.toml",), "columns.toml: unknown field 'txt' in [columns] (did you mean 'text'?)"),
    ],
)
def test_mistakes_are_answered_before_anything_is_trained(
    options: tuple[str, ...], message: str, folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(folder)
    Path("wrong.toml").write_text('encoder = "sandbox"\nintermedate = "mnli"\n', encoding="utf-8")
    Path("broken.toml").write_text("encoder = \n", encoding="utf-8")
    Path("columns.toml").write_text('encoder = "sandbox"\n[columns]\ntxt = "a"\n', encoding="utf-8")
    code, _, err = call("fit", *options, "--store", tmp_path / "store", "--device", "cpu")
    assert code == 2, err
    assert message in err
    trained = [path.name for path in (tmp_path / "store").glob("train-*")]
    assert trained == []


def test_a_parallel_test_set_needs_no_training_data(folder: Path, call: Call) -> None:
    pairs = made("sandbox_retrieval", "test", "qab", 40)
    for name, texts in (("qab", [p.source for p in pairs]), ("qaa", [p.english for p in pairs])):
        (folder / f"lines.{name}").write_text("\n".join(texts) + "\n", encoding="utf-8")
    result = xs.fit(
        "sandbox",
        (),
        {"qab": f"{folder}/lines.qab,{folder}/lines.qaa"},
        runtime=xs.Runtime(folder / "store", device="cpu"),
    )
    assert result.task.format == "bitext_retrieval"
    assert result.recommended == "baseline"
    assert result.rows()[0]["score"] > 10
    assert (result.checkpoint / "config.json").is_file()


def test_options_have_the_names_of_the_file_and_of_the_arguments() -> None:
    given = FitOptions.of({"train": "a.csv", "encoder": "E", "test": {"sw": ["a", "b"]}, "text": "t", "budget": 2})
    assert (given.test, given.columns, given.budget) == (("sw=a", "sw=b"), {"text": "t"}, 2.0)
    for wrong, message in (
        ({"seeds": "3"}, "seeds='3': give a number"),
        ({"seeds": 0}, "seeds=0: give 1 or more"),
        ({"header": "yes"}, "give true or false"),
        ({"held_out": 50}, "give 1 to 20 percent"),
        ({"labels": 3}, "give a text or a list of texts"),
    ):
        with pytest.raises(xs.InputError, match=message):
            FitOptions.of({"train": "a.csv", "encoder": "E", **wrong})


def test_the_choice_is_what_the_test_says() -> None:
    def row(name: str, gain: float, p: float) -> GainRow:
        return GainRow(name, "mean", gain, gain - 1, gain + 1, p, p)

    assert final_choice._decide([row("a", 2.0, 0.2), row("b", -3.0, 0.001)]) == "baseline"
    assert final_choice._decide([row("a", 2.0, 0.01), row("b", 3.0, 0.04), row("c", 9.0, 0.06)]) == "b"
    for means, seeds, expected in (
        ([], 1, "no intermediate task was tried"),
        ([row("a", 0.5, 0.6)], 1, "no difference was found between a and the baseline: +0.5 [-0.5, +1.5] points on sw"),
        ([row("a", -2.0, 0.01)], 3, "a is worse than the baseline"),
        ([row("a", 2.0, 0.01)], 3, "intermediate training on a is recommended"),
    ):
        chosen = final_choice._decide(means)
        choice = final_choice.Choice(chosen, (), tuple(means), ("sw",), True, seeds, ())
        text = "; ".join(final_choice._reasons(choice))
        assert expected in text
        assert ("one seed" in text) == (seeds == 1 and bool(means))


def test_a_data_set_of_the_hub_is_downloaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    file = io.BytesIO()
    pq.write_table(
        pa.Table.from_pylist([dict(zip(("text", "label"), row, strict=True)) for row in sentences("en", 60)]), file
    )
    with serving() as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        template = f"{served.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        served.put("lab/reviews", {"data/train-0.parquet": file.getvalue(), "sw/test-0.parquet": file.getvalue()})
        options = FitOptions.of({"train": "en=lab/reviews", "test": "sw=lab/reviews:sw", "encoder": "sandbox"})
        data = fit_data.prepare(options, folder / "data")
        assert (data.task.name, data.task.labels, data.task.languages) == ("reviews", ("neg", "pos"), ("sw",))
        assert (folder / "data/hub/lab/reviews/data/train-0.parquet").is_file()
        missing = FitOptions.of({"train": "en=lab/reviews:no", "encoder": "sandbox"})
        with pytest.raises(xs.InputError, match="lab/reviews:no has no Parquet files of a split 'train'"):
            fit_data.prepare(missing, folder / "data")


@pytest.mark.slow
def test_intermediate_tasks_are_chosen_within_a_budget(folder: Path) -> None:
    result = xs.fit(
        "sandbox", {"qaa": str(folder / "pairs.csv")}, {"qab": str(folder / "qab.csv")},
        label="verdict", intermediate="auto", candidates=["sandbox_names", "sandbox_pos"], budget=1.0,
        recipe="sandbox", settings=["steps=3", "max_train_examples=48"],
        runtime=xs.Runtime(folder / "store", device="cpu"),
    )  # fmt: skip
    assert result.advice is not None
    assert set(result.comparison.settings) <= {"baseline", "sandbox_names", "sandbox_pos"}
    assert result.checkpoint.parent.parent == folder / "store"
