"""Tests of the Python interface: each job in a few lines on the sandbox, and what its results offer."""

from __future__ import annotations

import ast
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import api_example as example
import xstilts as xs
from xstilts import api
from xstilts.experiments import score_table
from xstilts.models.naming import name_of
from xstilts.sandbox import CODES

TINY = {"recipe": "sandbox", "settings": example.QUICK}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, few_examples: None) -> Path:
    return tmp_path_factory.mktemp("api") / "store"


@pytest.fixture(scope="module")
def result(store: Path) -> xs.Comparison:
    return example.compare(store)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XSTILTS_DATA", "XSTILTS_STORE", "XSTILTS_TASKS"):
        monkeypatch.delenv(name, raising=False)


# The package itself.


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "import xstilts as xs\n"
        "assert 'compare' in dir(xs) and set(xs.__all__) <= set(dir(xs))\n"
        "assert xs.InputError and xs.Runtime\n"
        "heavy = {'torch', 'transformers', 'scipy', 'numpy', 'pyarrow', 'tokenizers', 'huggingface_hub', 'rich'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_public_names_are_those_that_type_checkers_see() -> None:
    tree = ast.parse(Path(str(xs.__file__)).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported == {name: f"xstilts.{module}" for name, module in xs._MODULES.items()}
    assert sorted([*imported, "__version__"]) == sorted(xs.__all__)
    assert all(getattr(xs, name) is not None for name in xs.__all__)
    assert (Path(str(xs.__file__)).parent / "py.typed").is_file()
    with pytest.raises(AttributeError, match="no attribute 'compared'"):
        _ = xs.compared


@pytest.mark.slow
def test_the_example_is_typed() -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", ".mypy_cache", str(example.__file__)]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    assert found.returncode == 0, found.stdout + found.stderr


# Experiments.


def test_a_comparison_prints_the_table_of_the_command_line(
    result: xs.Comparison, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from xstilts import cli

    options = [option for setting in example.QUICK for option in ("--set", setting)]
    command = "run --encoder sandbox --intermediate sandbox_names --target sandbox_ner --recipe sandbox --seeds 2"
    monkeypatch.setattr(sys, "argv", ["xstilts", *command.split(), *options, "--store", str(store), "--device", "cpu"])
    cli.main.__globals__["app"](standalone_mode=False)
    printed = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert "0 stages built" in printed
    assert str(result) in printed
    assert "sandbox_ner (entity_f1)" in str(result)
    assert re.search(r"on development data of the training language: baseline \d+\.\d, sandbox_names \d+\.\d", printed)


def test_gains_are_those_of_the_table(result: xs.Comparison) -> None:
    assert result.settings == ("baseline", "sandbox_names")
    gain = result.gain("sandbox_names")
    (table,) = result.tables
    cells = dict(score_table.cells_of(table))
    assert cells["mean without English"][2].startswith(f"{gain.zero_shot.value:+.1f}")
    assert cells["mean"][2].startswith(f"{gain.all.value:+.1f} [{gain.all.low:+.1f}, {gain.all.high:+.1f}]")
    assert cells["qac"][2].startswith(f"{gain['qac'].value:+.1f}")
    assert gain.all.n == 2
    assert gain.all.low <= gain.all.value <= gain.all.high
    assert np.isclose(gain.all.value, np.mean([gain[code].value for code in CODES]))
    with pytest.raises(xs.InputError, match="no scores in 'sw': there are qaa"):
        _ = gain["sw"]
    with pytest.raises(xs.InputError, match="no setting 'mnli': there are baseline, sandbox_names"):
        result.gain("mnli")
    with pytest.raises(xs.InputError, match="the baseline gains nothing"):
        result.gain("baseline")
    with pytest.raises(xs.InputError, match="no target 'xnli': there are sandbox_ner"):
        result.gain("sandbox_names", "xnli")


def test_a_row_is_a_setting_a_language_and_a_seed(result: xs.Comparison) -> None:
    rows = result.rows()
    assert len(rows) == 2 * len(CODES) * 2
    assert len({(row["setting"], row["language"], row["seed"]) for row in rows}) == len(rows)
    assert {row["language"] for row in rows if not row["zero_shot"]} == {"qaa"}
    (table,) = result.tables
    chosen = [row["score"] for row in rows if (row["setting"], row["language"]) == ("sandbox_names", "qab")]
    assert chosen == list(table.columns[1].scores["qab"])


def test_a_data_frame_has_the_rows(result: xs.Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda rows: ("frame", rows)))
    assert result.to_dataframe() == ("frame", result.rows())
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        result.to_dataframe()


def test_a_notebook_shows_a_table(result: xs.Comparison) -> None:
    page = result._repr_html_()
    assert page.count("<table>") == 1
    assert ">sandbox_names</th>" in page
    assert all(f">{code}</th>" in page for code in CODES)
    assert repr(result) == str(result)


def test_a_checkpoint_of_a_comparison_predicts(result: xs.Comparison) -> None:
    folder = result.checkpoint("sandbox_names", seed=2)
    assert (folder / "config.json").is_file()
    assert "seed2" in folder.parent.name
    assert folder != result.checkpoint("baseline", seed=2)
    first, second = example.predict(result)
    assert first["tokens"] == ["Anna", "Ash", "sleeps", "near", "Northfield", "."]
    assert len(first["tags"]) == 6
    assert second["tokens"] == ["Onno", "sleeps", "."]
    assert set(first["tags"]) <= set(xs.task("sandbox_ner").labels)
    with pytest.raises(xs.InputError, match="no seed 3: seeds are 1 to 2"):
        result.checkpoint("sandbox_names", seed=3)
    with pytest.raises(xs.InputError, match="no setting 'mnli'"):
        result.checkpoint("mnli")


def test_a_task_of_csv_files_is_a_target(store: Path, tmp_path: Path) -> None:
    for name, count in (("train", 24), ("dev", 6), ("test-en", 6), ("test-sw", 6)):
        rows = [f"{'good' if n % 2 else 'bad'} book number {n},{'pos' if n % 2 else 'neg'}" for n in range(count)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *rows, ""]), encoding="utf-8")
    result = example.compare_own_task(tmp_path, store)
    assert {row["language"] for row in result.rows()} == {"en", "sw"}
    gain = result.gain("sandbox_inference")
    assert gain.zero_shot == gain["sw"]
    (found,) = xs.load_model(result.checkpoint("sandbox_inference")).predict(["good book"])
    assert found["label"] in ("neg", "pos")


def test_several_targets_and_mixes(store: Path) -> None:
    result = xs.compare(
        "sandbox", [["sandbox_names", "sandbox_pos"]], ["sandbox_retrieval", xs.task("sandbox_ner")],
        languages=["qab"], store=store, device="cpu", **TINY,
    )  # fmt: skip
    assert result.settings == ("baseline", "sandbox_names+sandbox_pos")
    assert {row["target"] for row in result.rows()} == {"sandbox_retrieval", "sandbox_ner"}
    gain = result.gain("sandbox_names+sandbox_pos", target="sandbox_ner")
    assert math.isnan(gain.zero_shot.low)
    assert gain.zero_shot.n == 1
    with pytest.raises(xs.InputError, match="name one target of sandbox_retrieval, sandbox_ner"):
        result.gain("sandbox_names+sandbox_pos")
    with pytest.raises(xs.InputError, match="'baseline' trains nothing for 'sandbox_retrieval'"):
        result.checkpoint(target="sandbox_retrieval")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": ()}, "nothing to evaluate: give a target"),
        ({"target": "sandbox_nly"}, "did you mean 'sandbox_nli'"),
        ({"target": "sandbox_nli", "languages": ["sw"]}, "'sandbox_nli' has no language 'sw'"),
        ({"target": "sandbox_nli", "recipe": "smal"}, "did you mean 'small'"),
        ({"target": "sandbox_nli", "settings": ["step=3"]}, "did you mean 'steps'"),
        ({"target": "sandbox_nli", "settings": "step=3"}, "did you mean 'steps'"),
        ({"target": "sandbox_nli", "seeds": 0}, "seeds=0: give 1 or more"),
        ({"target": "sandbox_nli", "intermediate": [[]]}, "an intermediate setting has no task"),
        ({"target": "sandbox_nli", "intermediate": ""}, "expected names of tasks"),
        ({"target": "sandbox_nli", "runtime": xs.Runtime()}, "give either runtime or store"),
    ],
)
def test_mistakes_are_answered_before_anything_is_built(
    arguments: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(xs.InputError, match=message):
        xs.compare("sandbox", **{"intermediate": ["sandbox_inference"], **arguments}, store=tmp_path / "store")
    assert not (tmp_path / "store").exists()


# Single models.


def test_a_training_after_a_training_is_evaluated(store: Path) -> None:
    found = example.train(store)
    assert list(found.scores) == ["qaa", "qab"]
    assert found.metric == "squad"
    assert found.zero_shot == found["qab"]
    assert np.isclose(found.mean, (found["qaa"] + found["qab"]) / 2)
    assert found.rows()[1] == {
        "target": "sandbox_qa", "metric": "squad", "split": "test", "language": "qab", "score": found["qab"],
        "examples": 12,
    }  # fmt: skip
    assert len(found.predictions("qab")) == 12
    assert "qab" in str(found)
    assert "<pre>" in found._repr_html_()
    with pytest.raises(xs.InputError, match="no score in 'qac'"):
        _ = found["qac"]


@pytest.fixture(scope="module")
def classifier(store: Path) -> xs.Checkpoint:
    return xs.train("sandbox", "sandbox_nli", store=store, device="cpu", **TINY)


def test_a_training_is_that_of_a_run(classifier: xs.Checkpoint, store: Path) -> None:
    assert (classifier.task.name, classifier.format) == ("sandbox_nli", "classification")
    assert classifier.labels == xs.task("sandbox_nli").labels
    shared = xs.compare("sandbox", (), "sandbox_nli", languages=["qaa"], store=store, device="cpu", **TINY)
    assert shared.checkpoint() == classifier.path
    found = xs.evaluate(classifier, "sandbox_nli", languages=["qaa"])
    assert shared.rows()[0]["score"] == found["qaa"]
    of_folder = xs.evaluate(str(classifier.path), "sandbox_nli", languages=["qaa"], store=store, device="cpu")
    assert of_folder["qaa"] == found["qaa"]
    again = xs.evaluate(classifier.path.parent, "sandbox_nli", languages=["qaa"], store=store, device="cpu")
    assert again.folders == of_folder.folders


def test_predictions_are_those_of_the_evaluation(classifier: xs.Checkpoint) -> None:
    from xstilts.sandbox.tasks import examples

    options = xs.task("sandbox_nli").sources[0].options
    pairs = [one for one, _ in zip(examples("sandbox_nli", "test", "qab", options), range(12), strict=False)]
    expected = xs.evaluate(classifier, "sandbox_nli", languages=["qab"]).predictions("qab")
    found = xs.predict(classifier, [(pair.text_a, pair.text_b) for pair in pairs])
    assert [one["label"] for one in found] == [line["prediction"] for line in expected]
    assert json.loads(json.dumps(found)) == found
    assert all(math.isclose(sum(one["probabilities"].values()), 1, abs_tol=1e-3) for one in found)
    assert all(one["score"] == max(one["probabilities"].values()) for one in found)
    named = xs.load_model(classifier.path).predict([{"premise": pairs[0].text_a, "hypothesis": pairs[0].text_b}])
    assert named[0]["label"] == found[0]["label"]


def test_a_head_that_does_not_fit_is_refused(classifier: xs.Checkpoint, store: Path) -> None:
    for model in (classifier, classifier.path):
        with pytest.raises(xs.InputError, match=r"'sandbox_qa' .extractive_qa. cannot be evaluated with"):
            xs.evaluate(model, "sandbox_qa", store=store)
        with pytest.raises(xs.InputError, match=r"has labels that .* does not know: different, same"):
            xs.evaluate(model, "sandbox_paraphrase", store=store)
    with pytest.raises(xs.InputError, match="'sandbox_nli' has no language 'sw'"):
        xs.evaluate(classifier, "sandbox_nli", languages=["sw"])
    with pytest.raises(xs.InputError, match="settings change a named recipe"):
        xs.train("sandbox", "sandbox_nli", recipe=xs.Recipe(steps=1), settings=["steps=2"])
    with pytest.raises(xs.InputError, match="give a task, or several"):
        xs.train("sandbox", [])


def test_an_encoder_without_a_head_is_evaluated_by_retrieval(classifier: xs.Checkpoint, store: Path) -> None:
    plain = xs.evaluate("sandbox", "sandbox_retrieval", languages=["qab"], store=store, device="cpu")
    after = xs.evaluate(classifier, "sandbox_retrieval", languages=["qab"])
    assert plain["qab"] > 50
    assert after["qab"] > 0


def test_a_mix_has_no_head_of_its_own(store: Path) -> None:
    mix = xs.train("sandbox", ["sandbox_names", "sandbox_nli"], role="intermediate", store=store, device="cpu", **TINY)
    assert (mix.format, mix.labels) == ("", ())
    with pytest.raises(xs.InputError, match="was trained on a mix"):
        _ = mix.task
    with pytest.raises(xs.InputError, match="whose head is for 'several tasks'"):
        xs.evaluate(mix, "sandbox_nli")
    with pytest.raises(xs.InputError, match="has no head that predicts"):
        xs.predict(mix, ["a"])


# Studies and recommendations.


STUDY = """
import xstilts as xs
from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain
from xstilts.experiments.grid import Grid, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import Arm, Study


def study(scale):
    recipes = Recipes("sandbox", ("steps=3", "max_train_examples=48"), ("steps=3", "max_train_examples=48"))
    grid = Grid(xs.Encoder.of("sandbox"), tasks_of("sandbox_ner"), (tasks_of("sandbox_names"),), recipes, 2)
    return Study("Do names help?", (Arm(grid),), (Claim("Names help", Gain("sandbox_names", "sandbox_ner"), "above"),))
"""


def test_a_study_gives_verdicts_a_table_and_a_report(
    result: xs.Comparison, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("names.py").write_text(STUDY, encoding="utf-8")
    found = xs.run_study("names.py", store=store, device="cpu", workers=1)
    assert found.report == Path("names") / "report.html"
    assert found.report.is_file()
    assert [verdict.claim.sentence for verdict in found.verdicts] == ["Names help"]
    assert found.missing == ()
    mine = {(row["setting"], row["language"], row["seed"]): row["score"] for row in result.rows()}
    rows = {(row["intermediate"], row["language"], row["seed"]): row["score"] for row in found.rows()}
    assert rows == mine
    assert "Names help" in str(found)
    assert found.answer in str(found)
    with pytest.raises(xs.InputError, match="unknown scale 'huge'"):
        xs.run_study("names.py", "huge", store=store)


@pytest.mark.slow  # as tests/selection/test_recommend.py, by the Python interface
def test_candidates_are_ranked(store: Path) -> None:
    assert set(example.recommend(store)) == {"sandbox_inference", "sandbox_names"}
    advice = xs.recommend(
        "sandbox", "sandbox_nli", ["sandbox_inference", "sandbox_names"], recipe="sandbox",
        settings=example.QUICK[1:], steps=2, examples=20, seeds=1, store=store, device="cpu",
    )  # fmt: skip
    rows = advice.rows()
    assert [row["candidate"] for row in rows] == list(advice.ranking)
    assert rows[0]["mean_rank"] <= rows[1]["mean_rank"]
    assert {"candidate", "mean_rank", "logme", "probe"} <= rows[0].keys()
    assert advice.gain(advice.ranking[0]).n == 1
    assert advice.known is not None
    assert advice.ranking[0] in str(advice)
    assert json.loads(advice.save(store.parent).read_text())["target"] == "sandbox_nli"
    with pytest.raises(xs.InputError, match="'mnli' was in no round"):
        advice.gain("mnli")


def test_an_estimate_prints_its_interval() -> None:
    assert str(xs.Estimate(-1.0, -2.0, -0.5, 3)) == "-1.00 [-2.00, -0.50]"
    assert xs.Estimate(-1.0, -2.0, -0.5, 3).excludes_zero
    assert str(xs.Estimate(1.0, math.nan, math.nan, 1)) == "+1.00"
    assert not xs.Estimate(1.0, math.nan, math.nan, 1).excludes_zero


def test_the_environment_names_data_and_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert api._runtime(None, {}) == xs.Runtime(Path("work"))
    monkeypatch.setenv("XSTILTS_DATA", str(tmp_path))
    monkeypatch.setenv("XSTILTS_STORE", "elsewhere")
    assert api._runtime(None, {"threads": 2}) == xs.Runtime(Path("elsewhere"), tmp_path, threads=2)
    assert api._runtime(None, {"store": "here", "data": None}) == xs.Runtime(Path("here"))


def test_the_sandbox_keeps_its_name() -> None:
    assert name_of(xs.Encoder.of("sandbox")) == "sandbox"


# The user's own data; tests/cli/test_fit.py trains on them.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "no data are given: give --train FILE"),
        ({"train": "nosuch.csv"}, "there is no file nosuch.csv"),
        ({"train": {"xx": "nosuch.csv"}}, "unknown language 'xx'"),
        ({"train": "nosuch.csv", "seeds": 0}, "seeds=0: give 1 or more"),
        ({"train": "nosuch.csv", "lable": "x"}, r"unknown option: 'lable' \(did you mean 'label'\?\)"),
        ({"train": "nosuch.csv", "runtime": xs.Runtime()}, "give either runtime or store"),
        ({"config": "nosuch.toml"}, "there is no file nosuch.toml"),
    ],
)
def test_mistakes_of_a_fit_are_answered_before_anything_is_built(
    arguments: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(xs.InputError, match=message):
        xs.fit("sandbox", **arguments, store=tmp_path / "store")
    assert not (tmp_path / "store").exists()
