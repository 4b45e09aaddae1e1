"""Tests of the command line: what a person types, reads, and gets for a mistake."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import xstilts
from xstilts.runtime import progress
from xstilts.sandbox import CODES
from xstilts.tasks import base
from xstilts.tasks.base import names

Call = Callable[..., tuple[int, str, str]]
SHORT = (
    "--recipe",
    "small",
    "--set",
    "steps=2",
    "--set",
    "max_train_examples=32",
    "--set",
    "max_length=48",
    "--device",
    "cpu",
)


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from xstilts import cli\n"
        "sys.argv = ['xstilts', '--help']\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'transformers', 'numpy', 'scipy', 'pyarrow', 'tokenizers', 'huggingface_hub'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    for verb in (
        "run",
        "plan",
        "submit",
        "show",
        "tasks",
        "overlap",
        "cost",
        "data",
        "pretrain",
        "bench-inference",
        "export",
        "card",
        "push",
        "sandbox",
    ):
        assert re.search(rf"\b{verb}\b", found.stdout)


@pytest.mark.parametrize(
    "verb",
    [
        (),
        ("run",),
        ("plan",),
        ("submit",),
        ("show",),
        ("tasks",),
        ("overlap",),
        ("cost",),
        ("data",),
        ("pretrain",),
        ("convert-weights",),
        ("bench-inference",),
        ("export",),
        ("card",),
        ("push",),
        ("sandbox",),
    ],
)
def test_every_verb_explains_itself(verb: tuple[str, ...], call: Call) -> None:
    code, out, _ = call(*verb, "--help")
    assert code == 0
    assert "Usage" in out
    assert "--help" in out


@pytest.mark.parametrize("verb", ["run", "plan", "submit"])
def test_options_stand_in_groups(verb: str, call: Call) -> None:
    code, out, _ = call(verb, "-h")
    assert code == 0
    places = [out.index(f"─ {panel} ─") for panel in ("Experiment", "Recipe", "Runtime")]
    assert places == sorted(places)
    experiment, recipe, runtime = (out[a:b] for a, b in zip(places, [*places[1:], None], strict=True))
    assert "--learn-from" in experiment
    assert "--set-target" in recipe
    names = ("--data", "--tasks", "--store", "--max-tokens-per-pass", "--allow-unexpected-data")
    assert all(name in runtime for name in names)
    assert not any(name in out for name in ("--micro-tokens", "--partial"))


def test_the_version_is_printed(call: Call) -> None:
    assert call("--version") == (0, f"xstilts {xstilts.__version__}\n", "")


def test_the_package_is_a_command() -> None:
    command = [sys.executable, "-m", "xstilts", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("xstilts ")


def test_a_group_of_options_becomes_the_values_that_the_package_takes() -> None:
    from xstilts.cli.options import RecipeOptions, RuntimeOptions
    from xstilts.experiments.run import Recipes
    from xstilts.runtime.machine import Runtime

    recipes = RecipeOptions("small", ["steps=2"], ["epochs=1"], ["batch_size=4"]).recipes()
    assert recipes == Recipes("small", ("steps=2", "epochs=1"), ("steps=2", "batch_size=4"))
    options = RuntimeOptions(Path("data"), memory=80.0, compiled=True, allow_unexpected_data=True)
    expected = Runtime(
        Path("work"), Path("data"), workers=0, memory_gib=80.0, compiled=True, allow_unexpected_data=True
    )
    assert options.runtime() == expected


def test_folders_of_tasks_are_added_before_anything_else(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[Path] = []
    monkeypatch.setattr(base, "add_task_folder", added.append, raising=False)
    assert call("tasks", "--tasks", tmp_path / "a", "--tasks", tmp_path / "b")[0] == 0
    assert added == [tmp_path / "a", tmp_path / "b"]
    monkeypatch.setenv("XSTILTS_TASKS", f"{tmp_path / 'c'}{os.pathsep}{tmp_path / 'd'}")
    code, _, err = call("plan", "--encoder", "sandbox", "--target", "sandbox_nly")
    assert (code, "did you mean 'sandbox_nli'" in err) == (2, True)
    assert added[2:] == [tmp_path / "c", tmp_path / "d"]


def test_a_former_option_name_still_works(call: Call, tmp_path: Path) -> None:
    options = ("--encoder", "sandbox", "--target", "sandbox_nli", "--store", tmp_path)
    assert call("plan", *options, "--micro-tokens", 64, "--partial")[0] == 0
    assert call("plan", *options, "--micro-tokens=64", "--allow-unexpected-data")[0] == 0
    code, _, err = call("plan", *options, "--micro-tokens", "many")
    assert code == 2
    assert "--max-tokens-per-pass" in err


def test_tasks_are_listed_each_in_a_line(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("tasks")
    assert code == 0
    assert all(re.search(rf"\b{name}\b", out) for name in names())
    code, out, _ = call("tasks", "--data", tmp_path)
    assert code == 0
    assert not re.search(r"\bxnli\b.* \d+ of \d+", out)
    assert re.search(r"\bsandbox_nli\b.* 6 of 6", out)


def test_artificial_languages_are_shown(call: Call) -> None:
    code, out, _ = call("sandbox", "languages")
    assert code == 0
    assert all(code in out for code in CODES)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, few_examples: None) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture
def options(families: Any, store: Path) -> tuple[object, ...]:
    encoder = families["xlm-roberta"]
    return (
        *("--encoder", encoder, "--target", "sandbox_ner", "--intermediate", "sandbox_roles"),
        *(*SHORT, "--store", store / "store", "--out", store / "tables"),
    )


@pytest.fixture
def finished(call: Call, options: tuple[object, ...], store: Path) -> tuple[str, str]:
    """Return what was printed by plan and by the first run; run only the first time it is asked for."""
    kept = store / "said.json"
    if not kept.exists():
        planned, ran = call("plan", *options), call("run", *options)
        assert (planned[0], ran[0]) == (0, 0), planned[2] + ran[2]
        kept.write_text(json.dumps([planned[1], ran[1]]))
    first, second = json.loads(kept.read_text())
    return first, second


def test_a_plan_says_what_there_is_to_do_and_does_none_of_it(finished: tuple[str, str]) -> None:
    planned, _ = finished
    counts = dict(re.findall(r"(read|train|predict|score) +│ +(\d+ +│ +\d+)", planned))
    assert {name: cells.replace(" ", "") for name, cells in counts.items()} == {
        "read": "0│10",
        "train": "0│3",
        "predict": "0│12",
        "score": "0│12",
    }
    assert "to do  train-sandbox_roles-seed1-" in planned
    assert "unknown: this store has no finished stage of some of these functions" in planned


def test_a_run_ends_with_a_table_and_says_where_its_results_lie(finished: tuple[str, str], store: Path) -> None:
    _, out = finished
    assert "sandbox_ner (entity_f1)" in out
    assert all(re.search(rf"^. {code} .*\d+\.\d", out, re.MULTILINE) for code in CODES)
    for row in ("mean ", "mean without English"):
        assert row in out
    assert "gain [95 %]" in out
    assert "no better than chance after train-sandbox_roles-seed1" in out or "sandbox_roles" in out
    assert "37 stages built" in out
    predictions = re.search(r"predictions +(\S+)", out)
    checkpoint = re.search(r"checkpoint +(\S+?),", out)
    assert predictions
    assert Path(predictions[1].rstrip(",")).is_file()
    assert checkpoint
    assert (Path(checkpoint[1]) / "config.json").is_file()
    assert (store / "tables" / "table.md").read_text(encoding="utf-8").startswith("### sandbox_ner (entity_f1)")
    (table,) = json.loads((store / "tables" / "table.json").read_text(encoding="utf-8"))
    assert [column["name"] for column in table["columns"]] == ["baseline", "sandbox_roles"]


@pytest.mark.usefixtures("finished")
def test_again_everything_is_there(call: Call, options: tuple[object, ...], store: Path) -> None:
    before = (store / "tables" / "table.json").read_bytes()
    code, out, err = call("run", *options)
    assert (code, err) == (0, "")
    assert "0 stages built" in out
    assert (store / "tables" / "table.json").read_bytes() == before
    code, out, _ = call("plan", *options)
    assert code == 0
    assert "to do  " not in out
    assert re.search(r"train +│ +3 +│ +0", out)


@pytest.mark.usefixtures("finished")
def test_results_are_also_json_with_the_same_figures(call: Call, options: tuple[object, ...], store: Path) -> None:
    def document(*arguments: object) -> Any:
        code, out, err = call(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    ran = document("run", *options)
    (table,) = ran["tables"]
    assert [*table["rows"]][: len(CODES)] == list(CODES)
    assert {row["language"] for row in ran["scores"]} == set(CODES)
    (gain,) = ran["gains"]
    assert table["rows"]["mean"][-1].startswith(f"{gain['all']['value']:+.1f}")
    assert (ran["built"], gain["all"]["low"]) == (0, None)  # of one seed there is no interval
    planned = document("plan", *options)
    assert {row["stage"]: row["finished"] for row in planned["stages"]}["train"] == 3
    assert planned["to_do"] == []
    record = json.loads((store / "tables/run.json").read_text())
    assert record["options"]["target"] == ["sandbox_ner"]
    folder = next((store / "store").glob("train-sandbox_ner-seed1-*"))
    shown = document("show", folder.name, "--store", store / "store")
    assert (shown["folder"], shown["damaged"]) == (str(folder), [])
    assert document("cost", folder.name, "--store", store / "store")["total"]["stages"] > 1
    status = document("watch", store / "store", "--once")
    assert status["finished"] == 37


@pytest.mark.usefixtures("finished")
def test_a_run_says_what_it_continues(call: Call, store: Path, options: tuple[object, ...]) -> None:
    before = set((store / "store").iterdir())
    code, _, err = call("run", *options, "--set-target", "steps=1", "--resume")
    assert code == 0
    assert re.search(r"^continuing: \d+ of \d+ stages finished$", err, re.MULTILINE)
    for folder in set((store / "store").iterdir()) - before:  # other tests count what is there
        shutil.rmtree(folder)


@pytest.mark.usefixtures("finished")
def test_a_further_seed_has_an_expected_time(call: Call, options: tuple[object, ...]) -> None:
    code, out, _ = call("plan", *options, "--seeds", 2)
    assert code == 0
    assert re.search(r"train +│ +3 +│ +3", out)
    assert re.search(r"expected time .*: \d+ min \d+ s", out)


@pytest.mark.usefixtures("finished")
def test_a_stage_is_shown_with_its_sibling(call: Call, store: Path) -> None:
    folder = next((store / "store").glob("train-sandbox_ner-seed1-*"))
    key = folder.name.rsplit("-", 1)[1]
    code, out, _ = call("show", key[:8], "--store", store / "store")
    assert code == 0
    assert f'"key": "{key}"' in out
    assert "all as recorded" in out
    assert "nearest sibling: train-sandbox_ner-seed1-" in out
    assert re.search(r"encoder\S*: .* here, .* there", out)
    weights = folder / "model" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"x")
    assert "DAMAGED: model/model.safetensors" in call("show", key, "--store", store / "store")[1]
    weights.write_bytes(whole)


@pytest.mark.usefixtures("finished")
@pytest.mark.parametrize("no_color", [False, True])
def test_colour_is_for_terminals_whose_owner_wants_it(
    no_color: bool, call: Call, options: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    _, out, _ = call("show", next(Path(str(options[-3])).glob("train-*")).name, "--store", options[-3])
    coloured = bool(re.search(r"\x1b\[(\d+;)*(3|9)\d", out))
    assert coloured != no_color


WRONG: list[tuple[tuple[str, ...], str]] = [
    (("--target", "sandbox_nly"), "unknown task 'sandbox_nly'; did you mean 'sandbox_nli'"),
    (("--target", ","), "expected names of tasks, found ','"),
    (("--target", "text"), "'text' has no languages to measure"),
    (("--forgetting", "sandbox_nli"), "'sandbox_nli' cannot be measured without training for it"),
    (("--target", "xnli"), "task 'snli' has no|task 'mnli' has no|task 'xnli' has no"),
    (("--intermediate", "sandbox_qa,sandbox_por"), "unknown task 'sandbox_por'; did you mean 'sandbox_pos'"),
    (("--intermediate", "sandbox_qa,sandbox_qa"), "expected different tasks in a mix"),
    (("--intermediate", ""), "expected names of tasks"),
    (("--learn-from", "sandbox_qa"), "'sandbox_nli' (classification) cannot be learned from 'sandbox_qa'"),
    (("--learn-from", "+"), "expected names of tasks"),
    (("--mlm", "sandbox_text"), "masked-LM runs beside intermediate tasks"),
    (("--mlm", "sandbox_tex", "--intermediate", "sandbox_qa"), "did you mean 'sandbox_text'"),
    (("--recipe", "smal"), "unknown recipe 'smal'; did you mean 'small'"),
    (("--set", "learning_rat=1"), "unknown setting 'learning_rat'; did you mean 'learning_rate'"),
    (("--set", "steps=few"), "steps=few: give a whole number"),
    (("--set-target", "batch_size=0"), "batch_size must be above 0"),
    (("--split", "tests"), "unknown split 'tests'; did you mean 'test'"),
    (("--encoder", "/no/such/folder"), "no encoder folder '/no/such/folder'"),
    (("--languages", "swahili"), "unknown language 'swahili'; did you mean 'sw'"),
    (("--languages", "sw,qaa"), "'sandbox_nli' has no language 'sw': there are qaa, qab"),
    (("--languages", "qax"), "unknown language 'qax'"),
    (("--device", "cuda:77"), "cannot work on device 'cuda:77'"),
]


@pytest.mark.parametrize(("mistake", "says"), WRONG, ids=[" ".join(mistake) for mistake, _ in WRONG])
def test_a_mistake_is_answered_in_a_line_with_the_remedy(
    mistake: tuple[str, ...], says: str, call: Call, families: Any, tmp_path: Path
) -> None:
    right = ("--encoder", families["xlm-roberta"], "--target", "sandbox_nli")
    given = [right[n : n + 2] for n in (0, 2) if right[n] not in mistake]
    code, out, err = call("run", *(word for pair in given for word in pair), *mistake, "--store", tmp_path / "store")
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert any(part in err for part in says.split("|"))
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "--target", "sandbox_nli"),
        ("run", "--encoder", "x", "--target", "sandbox_nli", "--seeds", "0"),
        ("run", "--encoder", "x", "--target", "sandbox_nli", "--workers", "none"),
        ("rum",),
        ("show",),
        ("tasks", "--no-such-option"),
    ],
)
def test_a_call_that_is_not_one_says_how_to_call(arguments: tuple[str, ...], call: Call) -> None:
    code, _, err = call(*arguments)
    assert code == 2
    assert "Usage" in err or "Error" in err
    assert "Traceback" not in err


def test_an_encoder_that_is_not_whole_is_named(call: Call, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    code, _, err = call("run", "--encoder", tmp_path, "--target", "sandbox_nli", "--store", tmp_path / "store")
    assert code == 2
    assert f"{tmp_path} has no weights" in err


def test_a_key_that_is_not_there_says_where_to_look(call: Call, tmp_path: Path) -> None:
    code, _, err = call("show", "abc", "--store", tmp_path / "nowhere")
    assert code == 2
    assert "no finished stage" in err


def test_an_unknown_language_is_answered_with_the_nearest(call: Call, tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "sw.txt").write_text("habari ya leo\n")
    arguments = ("--text", tmp_path / "text", "--out", tmp_path / "out", "--store", tmp_path / "store")
    code, _, err = call("pretrain", *arguments, "--languages", "swahili")
    assert code == 2
    assert "Traceback" not in err
    assert "swahili" in err


def test_what_cannot_be_built_is_named_and_ends_with_one(call: Call, families: Any, tmp_path: Path) -> None:
    options = ("--encoder", families["xlm-roberta"], "--target", "sandbox_ner", *SHORT, "--store", tmp_path / "store")
    code, _, err = call("run", *options, "--set-target", "learning_rate=1e38")
    assert code == 1
    assert "stages could not be built; the others are kept" in err
    assert "train-sandbox_ner-seed1: the loss became" in err
    assert "Traceback" not in err


def test_sigterm_ends_a_run_in_a_line_and_the_next_one_goes_on(
    call: Call, families: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--encoder", families["xlm-roberta"], "--target", "sandbox_ner", *SHORT, "--set", "steps=40")
    steps: list[int] = []
    notes: list[str] = []

    class Stopping:
        """A listener that asks for an end at the twentieth step of the training, once."""

        def __call__(self, event: progress.Event) -> None:
            notes.extend([] if event.total else [event.label])
            if event.total and event.label.startswith("train-"):
                steps.append(event.done)
                if event.done == 20 and steps.count(20) == 1:
                    os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(progress, "Lines", Stopping)
    code, out, err = call("run", *options, "--store", tmp_path / "store")
    assert (code, out) == (128 + signal.SIGTERM, "")
    assert err == "error: stopped by SIGTERM: run again to go on from here\n"
    assert len(list((tmp_path / "store").glob("train-*.part/checkpoint.safetensors"))) == 1
    steps.clear()
    notes.clear()
    code, out, _ = call("run", *options, "--store", tmp_path / "store")
    assert code == 0
    assert steps == list(range(21, 41))
    assert any(re.fullmatch(r"train-sandbox_ner-seed1-\w+: continuing from step 20 of 40", note) for note in notes)
    assert not list((tmp_path / "store").glob("*.part"))


@pytest.fixture
def bitexts(tmp_path: Path) -> Path:
    """Return a data folder with translations in three languages, one of them for choosing the layer."""
    folder = tmp_path / "data/targets/tatoeba_laser"
    folder.mkdir(parents=True)
    for iso in ("deu", "fra", "dan"):
        for side, word in ((iso, "Anna"), ("eng", "Karl")):
            lines = "".join(f"{word} {'very ' * n}late .\n" for n in range(3))
            (folder / f"tatoeba.{iso}-eng.{side}").write_text(lines)
    return tmp_path / "data"


def test_a_suite_is_measured_where_it_can_be_and_the_rest_is_named(call: Call, bitexts: Path, tmp_path: Path) -> None:
    options = ("--encoder", "sandbox", "--suite", "xtreme", "--data", bitexts, "--store", tmp_path / "work", *SHORT)
    code, out, err = call("run", *options, "--out", tmp_path / "tables")
    assert code == 0
    assert re.search(r"│ de +│", out)
    assert "left out: task 'xnli' has no test data" in err
    assert "no mean of tatoeba: no score in ar, he" in out
    assert (tmp_path / "tables/benchmark.md").exists()
    code, out, _ = call("submit", *options, "--out", tmp_path / "handed in")
    assert code == 0
    assert "tatoeba: languages written: 2, scored again, as in their runs" in out
    assert "pawsx: MISSING in de, en, es" in out
    assert sorted(path.name for path in (tmp_path / "handed in/tatoeba").iterdir()) == ["test-de.tsv", "test-fr.tsv"]
    code, _, err = call("submit", *options, "--out", tmp_path / "handed in")
    assert code == 2
    assert "is not an empty folder: nothing is overwritten" in err


def test_a_submission_needs_a_suite_and_a_folder(call: Call, bitexts: Path) -> None:
    code, _, err = call("submit", "--encoder", "sandbox", "--target", "tatoeba", "--data", bitexts)
    assert (code, "a submission needs --suite, xtreme or xtreme-r, and --out" in err) == (2, True)


def test_texts_of_a_test_set_that_training_has_seen_are_told(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "data/xtreme/xnli"
    folder.mkdir(parents=True)
    rows = [
        f"The {word} was late again this morning.\tHe came.\tneutral\n" for word in ("doctor", "baker", "training_task")
    ]
    (folder / "train-en.tsv").write_text("".join(rows))
    (folder / "dev-en.tsv").write_text(
        rows[1].replace("morning.", "morning!") + rows[2].replace("training_task", "pupil")
    )
    where = ("--data", tmp_path / "data", "--store", tmp_path / "work")
    code, out, _ = call("overlap", "mnli", "xnli", "--split", "validation", *where)
    assert code == 0
    assert re.search(r"2 examples, 1 of them seen in mnli en", out)
    code, out, _ = call("overlap", "mnli", "xnli", "--split", "validation", *where, "--json")
    assert (code, json.loads(out)[0]["touched"]) == (0, 1)
    options = (
        "--encoder",
        "sandbox",
        "--target",
        "xnli",
        "--languages",
        "en",
        "--split",
        "validation",
        "--allow-unexpected-data",
    )
    code, out, _ = call("run", *options, *where, *SHORT)
    assert code == 0
    assert "OVERLAP: 1 of 2 first texts" in out
