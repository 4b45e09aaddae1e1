"""Tests of what all verbs share: options, JSON, logs, the configuration file, examples, completion."""

from __future__ import annotations

import ast
import json
import logging
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as some

import xstilts
from xstilts import cli
from xstilts.cli import config
from xstilts.runtime import console, extras, progress

Call = Callable[..., tuple[int, str, str]]
ROOT = typer.main.get_command(cli.app)


def verbs() -> dict[str, Any]:
    """Return all verbs by the words that are typed, `plan FILE.py` by its name."""
    found = {}
    for words, command in config.verbs_of(ROOT):
        found[command.name if command.name == cli.PLAN_STUDY else words] = command
    return found


VERBS = verbs()


@pytest.fixture
def call(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Return a function that calls the command line in an empty folder and gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("xstilts.runtime.signals.raised", lambda: None)
    return call


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_the_shared_options_a_panel_and_examples_that_can_be_parsed(verb: str) -> None:
    command = VERBS[verb]
    options = [option for parameter in command.params for option in parameter.opts]
    assert len(options) == len(set(options))
    assert {"--json", "--quiet", "-q", "--verbose", "-v", "--config"} <= set(options)
    assert verb.startswith(("sandbox ", "store ")) or command.rich_help_panel in cli.PANELS
    assert 1 <= len(command.examples) <= 3
    for example in command.examples:
        program, *words = shlex.split(example)
        assert program == "xstilts"
        with ROOT.make_context("xstilts", words) as context:
            name, chosen, rest = ROOT.resolve_command(context, [*context._protected_args, *context.args])
            while hasattr(chosen, "commands"):
                name, chosen, rest = chosen.resolve_command(context, rest)
            chosen.make_context(name, list(rest), parent=context)
        assert chosen is command or verb in (cli.PLAN_STUDY, "plan")


# The configuration file.


def test_the_file_on_the_page_is_read(call: Call, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/reference/command-line.md").read_text(encoding="utf-8")
    text = page.partition("```toml file=xstilts.toml\n")[2].partition("```")[0]
    Path("xstilts.toml").write_text(text, encoding="utf-8")
    values = config.read(None, ROOT)
    assert values is not None
    assert values.values_of("run", VERBS["run"])["target"] == ["xnli", "udpos"]
    assert values.values_of("sandbox demo", VERBS["sandbox demo"]) == {"store": "work", "workers": "2"}


def test_the_command_line_comes_before_the_environment_and_that_before_the_file(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("other.toml").write_text('[defaults]\nstore = "of-file"\n\n[show]\nstore = "of-verb"\n')
    assert "finished stage in of-verb" in call("show", "abc", "--config", "other.toml")[2]
    assert "finished stage in work" in call("show", "abc")[2]
    Path("other.toml").rename("xstilts.toml")
    assert "finished stage in of-verb" in call("show", "abc")[2]
    assert "finished stage in of-file" in call("cost")[2]
    monkeypatch.setenv("XSTILTS_STORE", "of-environment")
    assert "finished stage in of-environment" in call("show", "abc")[2]
    assert "finished stage in of-line" in call("show", "abc", "--store", "of-line")[2]


SITE = [
    (verb, option)
    for verb, command in VERBS.items()
    for option in command.params
    if option.envvar and option.name not in config.SHARED and option.opts[0].startswith("--")
]


@pytest.mark.parametrize("verb", sorted({verb for verb, _ in SITE}))
def test_every_option_with_a_variable_comes_before_it_and_that_before_the_file(
    verb: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A law over all verbs and options: whatever the stronger does not say is taken from the weaker."""
    words, command = "plan" if verb == cli.PLAN_STUDY else verb, VERBS[verb]
    line, variable, file = "3", "2", "1"  # of numbers, texts and folders alike
    for option in (option for of, option in SITE if of == verb):
        name, variables = option.opts[0], [option.envvar] if isinstance(option.envvar, str) else option.envvar
        Path("xstilts.toml").write_text(f"[defaults]\n{name[2:]} = '{file}'\n")
        values = config.read(None, ROOT)
        assert values is not None
        with ROOT.make_context("xstilts", [], resilient_parsing=True) as root:
            context = type(root)(command, info_name=words, parent=root, default_map=values.values_of(words, command))
        for one in variables:
            monkeypatch.delenv(one, raising=False)
        assert consumed(option, context, []) == file
        for one in variables:
            monkeypatch.setenv(one, variable)
            assert consumed(option, context, []) == variable
            assert consumed(option, context, [name, line]) == line
            monkeypatch.delenv(one)


def consumed(option: Any, context: Any, arguments: list[str]) -> str:
    """Return an option's value as it is before its type is checked, the first of several."""
    given, _, _ = context.command.make_parser(context).parse_args(args=list(arguments))
    value = option.consume_value(context, given)[0]
    return str(value[0] if isinstance(value, list | tuple) else value)


def test_a_site_names_its_file_in_a_variable(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("site.toml").write_text("[defaults]\nstore = 'of-site'\n")
    Path("xstilts.toml").write_text("[defaults]\nstore = 'of-folder'\n")
    Path("mine.toml").write_text("[defaults]\nstore = 'of-mine'\n")
    assert "finished stage in of-folder" in call("show", "abc")[2]
    monkeypatch.setenv("XSTILTS_CONFIG", "site.toml")
    assert "finished stage in of-site" in call("show", "abc")[2]
    assert "finished stage in of-mine" in call("show", "abc", "--config", "mine.toml")[2]


def test_an_executor_is_checked_before_anything_is_built(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    run = "run", "--encoder", "sandbox", "--target", "sandbox_nli", "--recipe", "sandbox"
    assert "unknown executor 'spark': give local, ray or slurm" in call(*run, "--executor", "spark")[2]
    assert "--slurm-time 'long'" in call(*run, "--slurm-time", "long")[2]
    assert "--detach is for --executor slurm, not 'local'" in call(*run, "--detach")[2]
    monkeypatch.setitem(sys.modules, "ray", None)
    assert 'needs ray, not installed here: pip install "xstilts[ray]"' in call(*run, "--executor", "ray")[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[defaults]\nstor = 'x'", "[defaults] stor: no verb has an option --stor; did you mean 'store'?"),
        ("[rum]\nseeds = 3", "no verb [rum]; did you mean 'run'?"),
        ("[run]\nsedes = 3", "[run] sedes: 'run' has no option --sedes; did you mean 'seeds'?"),
        ("[sandbox.dem]\nseeds = 3", "no verb [sandbox dem]; did you mean 'sandbox demo'?"),
        ("seeds = 3", "seeds is in no table: put it under [defaults]"),
        ("[run]\njson = true", "[run] json: 'run' has no option --json"),
        ("[show]\nstore = ['a', 'b']", "[show] store = ['a', 'b']: give one text or number"),
        ("[show]\nstore = true", "[show] store = True: give one text or number"),
        ("[show]\nstore = {a = 1}", "[show] store = {'a': 1}: give one text or number"),
        ("[show", "a configuration file is TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_and_the_remedy(text: str, message: str, call: Call) -> None:
    Path("xstilts.toml").write_text(text)
    code, out, err = call("show", "abc")
    assert (code, out) == (2, "")
    assert err.startswith("error: xstilts.toml: ")
    assert message in err
    assert err.count("\n") == 1
    assert call("show", "--help")[0] == 0


def test_a_value_that_an_option_refuses_is_named_with_its_place(call: Call) -> None:
    Path("xstilts.toml").write_text("[run]\nencoder = 'sandbox'\ntarget = 'sandbox_nli'\nseeds = 0\n")
    code, _, err = call("run")
    assert (code, "xstilts.toml: [run] seeds: " in err) == (2, True)
    assert "--seeds" in call("run", "--seeds", "-1")[2]  # the command line's own mistake is the command line's


def test_a_named_file_that_is_missing_is_an_error(call: Call) -> None:
    code, _, err = call("show", "abc", "--config", "none.toml")
    assert (code, err) == (2, "error: there is no configuration file none.toml: correct --config\n")


# Results as JSON. What trains or measures is replaced; `test_cli.py` reads the JSON of real runs.


def _returning(value: object) -> Callable[..., Any]:
    return lambda *arguments, **options: value


STUDY = SimpleNamespace(
    answer="It helps.",
    verdicts=(SimpleNamespace(claim=SimpleNamespace(sentence="It helps."), status="supported", why="+1.2"),),
    missing=(),
    folder=Path("study"),
    outcome=SimpleNamespace(report={"question": "Does it help?"}),
)
REPORT = {"question": "Does it help?", "answer": "Yes."}
# Arguments, and what is replaced by what it returns.
REPLACED: dict[str, tuple[str, dict[str, object]]] = {
    "pretrain": ("--text . --out e", {"training.pretrain.from_folders": None, "training.pretrain.deliver": None}),
    "sandbox pretrain": ("--out e", {"experiments.sandbox_encoder.make": {"qaa": {"accuracy": 1.5}}}),
    "sandbox translations": ("--out d", {"sandbox.translations.write": [Path("d/train-qab.jsonl")]}),
    "sandbox demo": (
        "",
        {
            "experiments.sandbox_demo.grids": [],
            "api.Comparison.of_all": [],
            "cli.runs.print_comparisons": None,
            "cli.runs.comparisons_json": {"scores": []},
        },
    ),
    "bench-inference": (
        "sandbox",
        {"inference.benchmark.bench": {"p50_ms": float("nan")}, "inference.render.show": None},
    ),
    "study": ("x.py", {"api.run_study": STUDY}),
    "plan FILE.py": (
        "x.py",
        {
            "experiments.study.load": SimpleNamespace(question="Does it help?", arms=(), claims=()),
            "planning.forecast.forecast": SimpleNamespace(encoder_sizes=dict),
            "planning.render.parts": (),
            "planning.render.to_json": {"gpu": "H200"},
        },
    ),
    "recommend": (
        "--encoder sandbox --target sandbox_nli",
        {
            "selection.probes.candidates_of": (),
            "selection.probes.CandidateSearch": None,
            "api.Recommendation.of": SimpleNamespace(advice=None),
            "selection.render.show": None,
            "selection.render.to_json": {"combined": {}},
        },
    ),
    "submit": (
        "--encoder sandbox --suite xtreme --out x",
        {
            "experiments.grid.feasible": SimpleNamespace(submission_runs=_returning(())),
            "experiments.submission.refuse": None,
            "experiments.submission.stages": (),
            "store.local_executor.build_all": 0,
            "experiments.submission.write": SimpleNamespace(lines=_returning(["written"]), to_json=_returning({})),
        },
    ),
    "verify": (
        "study --store .",
        {
            "evidence.report.bundle.is_bundle": False,
            "verification.verify.verify": (),
            "reporting.study_report.read": {},
        },
    ),
    "report": ("study", {"evidence.report.bundle.is_bundle": False, "reporting.study_page.write_pages": [Path("x")]}),
    "track": (". --to tensorboard:x", {"monitoring.tracker_sync.Mirror": SimpleNamespace(send=_returning(2))}),
    "evidence": ("--demo", {"evidence.report.cli_output.make_and_show": [(Path("x"), REPORT)]}),
    "evidence search": (
        "overlap",
        {
            "evidence.retrieval.source_search." + name: value
            for name, value in (("search", None), ("lines", ()), ("to_json", {"works": []}))
        },
    ),
    "evidence eval": (
        "--golden x --corpus y",
        {"evidence.evaluation.evaluate.evaluate": {"parts": {}}, "evidence.evaluation.evaluate.show": None},
    ),
    "evidence train-verifier": (
        "--encoder sandbox --out x",
        {
            "evidence.verifier.train.train": SimpleNamespace(calibrated=False, refusals=()),
            "evidence.verifier.scifact_report.verdict": "decides nothing",
        },
    ),
    "scifact": (
        "",
        {"evidence.verifier.scifact_report." + name: {"cards": []} for name in ("measure", "show", "to_json")},
    ),
}
SHARED_MODEL = {
    "export": (
        "model --out x",
        {"sharing.export.export": SimpleNamespace(files=(), onnx=(), folder="x", to_json=dict)},
    ),
    "card": (
        "model",
        {
            "sharing.export.located": Path("model"),
            "sharing.export.card_facts": None,
            "sharing.model_card.model_card": "# A model\n",
        },
    ),
    "push": (
        "model OWNER/NAME",
        {"sharing.push.push": SimpleNamespace(files=(), size=0, unchanged=False, url="https://…", to_json=dict)},
    ),
}
REPLACED |= SHARED_MODEL
AS_THEY_ARE = {
    "tasks": "",
    "data": "xnli --no-counts --data .",
    "sandbox languages": "",
    "watch": "--once --store .",
    "doctor": "--store . --data .",
}
OF_A_FILE = {"convert-weights", "fit", "predict", "prompt", "score"}  # in their own tests
OF_A_RUN = {"run", "plan", "show", "cost", "overlap"}  # in test_cli.py, on a store
OF_A_STORE = {f"store {verb}" for verb in ("list", "size", "pin", "gc", "export", "import", "verify")}  # test_stores.py


def document(out: str, lines: bool = False) -> Any:
    """Return the JSON document that standard output is, or its first line."""
    values = [json.loads(line) for line in out.splitlines()] if lines else [json.loads(out)]
    assert values
    return values[0]


@pytest.mark.parametrize("verb", [*REPLACED, *AS_THEY_ARE])
def test_a_result_is_one_json_document(verb: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    arguments, replaced = REPLACED.get(verb, (AS_THEY_ARE.get(verb, ""), {}))
    for name, value in replaced.items():
        monkeypatch.setattr(f"xstilts.{name}", _returning(value))
    words = "plan" if verb == cli.PLAN_STUDY else verb
    code, out, err = call(*words.split(), *arguments.split(), "--json")
    assert code in (0, 1), err
    document(out)
    assert "Traceback" not in err


def test_every_verb_has_a_result_as_json() -> None:
    assert {*REPLACED, *AS_THEY_ARE, *OF_A_RUN, *OF_A_STORE, *OF_A_FILE} == set(VERBS)


def test_an_error_is_a_json_document_too(call: Call) -> None:
    code, out, err = call("show", "abc", "--json")
    assert code == 2
    assert err == f"error: {document(out)['error']}\n"


def test_what_a_study_file_prints_does_not_reach_the_json(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def print_and_return(*arguments: object, **options: object) -> object:
        print("a line of the study file")
        return STUDY

    monkeypatch.setattr("xstilts.api.run_study", print_and_return)
    code, out, err = call("study", "x.py", "--json")
    assert (code, document(out)["answer"], "a line of the study file" in err) == (0, "It helps.", True)


@settings(max_examples=40)
@given(
    some.recursive(
        some.none() | some.booleans() | some.integers() | some.floats() | some.text() | some.builds(Path),
        lambda inner: some.lists(inner) | some.tuples(inner) | some.dictionaries(some.text() | some.integers(), inner),
        max_leaves=8,
    )
)
def test_any_value_is_written_as_strict_json(value: object) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    text = json.dumps(console.json_value(value), allow_nan=False)
    json.loads(text, parse_constant=refuse)


# Messages, completion, the record of a run.


def test_quiet_and_verbose_say_less_and_more(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def study(*arguments: object, **options: object) -> object:
        with progress.shown():
            progress.note("a message")
            logging.getLogger("xstilts.test").debug("a detail")
        return STUDY

    monkeypatch.setattr("xstilts.api.run_study", study)
    assert call("study", "x.py")[2] == "a message\n"
    assert call("study", "x.py", "-q")[2] == ""
    verbose = call("study", "x.py", "--verbose")[2]
    assert "INFO    xstilts.progress: a message" in verbose
    assert "DEBUG   xstilts.test: a detail" in verbose
    assert "Traceback" in call("show", "abc", "-v")[2]
    assert call("show", "abc", "-q")[2].startswith("error: ")


def test_the_options_are_kept_with_the_result(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "xstilts.toml").write_text("[study]\nscale = 'small'\n")
    monkeypatch.setattr("xstilts.api.run_study", _returning(STUDY))
    assert call("study", "x.py", "--out", "report", "--threads", 2)[0] == 0
    record = json.loads((tmp_path / "report/run.json").read_text())
    assert (record["command"], record["version"], record["config"]) == ("study", xstilts.__version__, "xstilts.toml")
    assert record["options"]["scale"] == "small"
    assert (record["options"]["threads"], record["options"]["file"]) == (2, "x.py")


def test_task_names_are_completed() -> None:
    with ROOT.make_context("xstilts", ["run"]) as context:
        (option,) = (param for param in VERBS["run"].params if param.name == "target")
        names = [item.value for item in option.shell_complete(context, "sandbox_n")]
        assert names == ["sandbox_names", "sandbox_ner", "sandbox_nli"]
        mixes = [item.value for item in option.shell_complete(context, "mnli,xn")]
        assert mixes == ["mnli,xnli", "mnli,xnli_small"]


def test_help_with_a_verb_is_its_help_page(call: Call) -> None:
    code, out, _ = call("help", "show")
    assert (code, "Examples:" in out, "xstilts show 0123456789abcdef" in out) == (0, True, True)


LIGHT = "tasks", "sandbox languages", "data xnli --no-counts --data .", "show abc", "cost --store nowhere", "run --help"


def test_light_verbs_do_not_import_torch_and_others_say_that_they_do(tmp_path: Path) -> None:
    script = (
        "import contextlib, io, sys\n"
        "from xstilts import cli\n"
        "def call(words):\n"
        "    sys.argv = ['xstilts', *words.split()]\n"
        "    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "        cli.main()\n"
        f"for words in {LIGHT!r}:\n"
        "    call(words)\n"
        "    assert 'torch' not in sys.modules, words\n"
        "import importlib.abc\n"
        "class Refused(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': raise ImportError('refused')\n"
        "sys.meta_path.insert(0, Refused())\n"
        "with contextlib.suppress(ImportError):\n"
        "    call('run --encoder sandbox --target sandbox_nli')\n"
    )
    environment = {**os.environ, "XSTILTS_STORE": "", "XSTILTS_DATA": ""}
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
    )
    assert ended.returncode == 0, ended.stderr
    said = ended.stderr.splitlines()
    assert said[-2] == "xstilts run: importing torch, which takes a few seconds"
    assert said[-1].startswith("error: unexpected ImportError: refused; its traceback is in ")


def test_packages_of_extras_are_imported_only_where_they_are_used() -> None:
    """A plain installation has none of them: no module may import one when it is itself imported."""
    optional = {name for names in extras.EXTRAS.values() for name in names}
    named = re.compile(rf"\b(?:{'|'.join(map(re.escape, optional))})\b")
    package = Path(str(xstilts.__file__)).parent
    at_the_top, used = [], set()
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if not named.search(text):  # to parse all modules takes a second
            continue
        tree = ast.parse(text)
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            if optional & {name.partition(".")[0] for name in names}:
                used.add(path.relative_to(package).parts[0])
                at_the_top += [f"{path}:{node.lineno}"] if node in tree.body else []
    assert at_the_top == []
    assert used <= {"api.py", "data", "evidence", "inference", "models", "monitoring", "reporting", "runtime", "store"}


def test_a_missing_extra_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, err = call("study", "x.py")
    assert code == 2
    assert err.splitlines()[-1] == (
        'error: the report of a study needs matplotlib, not installed here: pip install "xstilts[report]"'
    )
    monkeypatch.setitem(sys.modules, "bm25s", None)
    assert 'needs bm25s, not installed here: pip install "xstilts[evidence]"' in call("evidence", "--demo")[2]
