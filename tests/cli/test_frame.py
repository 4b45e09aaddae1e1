"""Tests of what all verbs share: options, JSON, logs, the configuration file, examples, completion."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from xstilts import cli
from xstilts.cli import config

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
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Return a function that calls the command line in an empty folder and gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("xstilts.runtime.signals.raised", lambda: None)
    for name in ("XSTILTS_DATA", "XSTILTS_STORE", "XSTILTS_TASKS"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["xstilts", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        output = capsys.readouterr()
        return int(end.value.code or 0), output.out, output.err

    return run


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_the_shared_options_a_panel_and_examples_that_can_be_parsed(verb: str) -> None:
    command = VERBS[verb]
    options = [option for parameter in command.params for option in parameter.opts]
    assert len(options) == len(set(options))
    assert {"--json", "--quiet", "-q", "--verbose", "-v", "--config"} <= set(options)
    assert verb.startswith("sandbox ") or command.rich_help_panel in cli.PANELS
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
