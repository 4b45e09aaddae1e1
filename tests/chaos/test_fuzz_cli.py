"""Hostile command lines: each ends with a code that means something and without a traceback."""

from __future__ import annotations

import re
import resource
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fuzzing import SEED, Tally, inputs, mutated_json

from plain_store import put_score, put_training
from xstilts.cli import UNEXPECTED
from xstilts.errors import InputError

pytestmark = pytest.mark.chaos
Call = Callable[..., tuple[int, str, str]]
MEMORY, FILE = 12 * 2**30, 200 * 2**20  # bytes that a command may take, and that a file may have
NUMBERS = ["-1", "0", "1", "2", "nan", "inf", "-inf", "1e400", "1e-400", "9" * 23, "-" + "9" * 23, "2147483648", "9223372036854775808", "1.5", "abc", "0x10", "1_000", "٣", "1e9", "-0.0", "none", "True", "²", "", " "]  # fmt: skip
SMALL = [number for number in NUMBERS if len(number) < 6 and number != "1e9"]  # of what is done as often
TEXTS = ["", " ", "a,b", ",", ",,", "../../etc/passwd", "/", "~", "~nosuchuser/x", "a\nb", "é中", "x" * 300, "*", "[", "{", "a:b", "xnli:", ":sw", "xnli:zz", "sandbox_nli:qab", "sandbox_nli+", "+", "a=b", "=", "--", "-", "\x01", "$(id)", "%s", "nul", "xnli:../..", "sandbox_nli,sandbox_nli", "@", "a@b@c", "a/b/c", "a/../b", "http://x/y", "-x", "\ud800"]  # fmt: skip
PATHS = ["", ".", "/", "/nonexistent/x/y", "/dev/null", "/etc/passwd", "/proc/self/mem", "hello", "x" * 300, "a b", "a\nb", "é中", "~", "~nosuchuser/x", "../x", "-", "*", "a'b\"c", "/sys/x"]  # fmt: skip
# What is written to: nothing of the machine's own.
WRITTEN = ["", ".", "hello", "hello/x/y", "/dev/null", "/proc/x/y", "/sys/x", "x" * 300, "a b", "a\nb", "é中", "~", "~nosuchuser/x", "-", "*", "a'b\"c"]  # fmt: skip
SETTINGS = ["learning_rate", "batch_size", "epochs", "steps", "max_train_examples", "max_length", "warmup_steps", "weight_decay", "clip_norm", "trainable", "sampling", "selection", "optimizer", "x", ""]  # fmt: skip
VALUES = [*SMALL, "top:0", "top:1", "top:-1", "top:99", "top:x", "layers:0", "layers:0-99", "layers:", "lora", "lora:", "lora:0", "lora:-1", "lora:99999", "lora:nan", "all", "head", "0.5,0.5", "nan,nan", "-1,2", "1e400,1", "proportional", "adamw:", "bias", "gradual"]  # fmt: skip
RUN = {
    **dict.fromkeys(("--seeds", "--mlm-weight", "--mlm-alpha", "--workers"), SMALL),
    **dict.fromkeys(("--threads", "--max-tokens-per-pass", "--memory"), NUMBERS),
    **dict.fromkeys(("--target", "--intermediate", "--mlm", "--split", "--languages", "--device", "--precision", "--packing", "--recipe", "--suite", "--encoder", "--revision"), TEXTS),
    **dict.fromkeys(("--data", "--config"), PATHS),
    **dict.fromkeys(("--store", "--out"), WRITTEN),
}  # fmt: skip
PRETRAIN = {
    **dict.fromkeys(("--heads", "--learning-rate", "--alpha", "--seed", "--max-tokens-per-pass", "--threads", "--width", "--layers", "--vocabulary"), NUMBERS),
    **dict.fromkeys(("--steps", "--batch-size", "--max-length"), SMALL),
    **dict.fromkeys(("--text", "--parallel"), PATHS),
    **dict.fromkeys(("--out", "--store"), WRITTEN),
    "--languages": TEXTS,
}  # fmt: skip
# Verbs with arguments that are drawn from a list each.
OTHERS: list[list[str | list[str]]] = [
    ["show", TEXTS + PATHS, "--store", WRITTEN],
    ["cost", "--store", WRITTEN, TEXTS],
    ["cost", "--store", "store", "--json-file", WRITTEN],
    ["tasks", "--data", PATHS],
    ["data", TEXTS, "--data", PATHS],
    ["data", "xnli", "--data", PATHS, "--split", TEXTS],
    ["data", "xnli", "--data", ".", "--no-counts", "--json-file", WRITTEN],
    ["overlap", [*TEXTS, "sandbox_nli"], [*TEXTS, "sandbox_nli"], "--language", TEXTS, "--split", TEXTS, "--store", WRITTEN],
    ["verify", PATHS, "--store", WRITTEN],
    ["report", PATHS, "--out", WRITTEN],
    ["watch", PATHS, "--once", "--every", NUMBERS],
    ["track", PATHS, "--to", [*TEXTS, *WRITTEN, "tensorboard:", "tensorboard:/proc/x", "wandb:", "x:y"]],
    ["study", PATHS, "--scale", [*TEXTS, "sandbox"], "--out", WRITTEN, "--store", "store"],
    ["plan", ["layerwise", "x.py", "x y.py"], "--scale", [*TEXTS, "sandbox"], "--memory", NUMBERS],
    ["bench-inference", PATHS, "--variants", TEXTS, "--batch", NUMBERS, "--length", SMALL, "--rounds", SMALL],
    ["evidence", TEXTS, "--sources", TEXTS + PATHS, "--offline", "--out", WRITTEN, "--cache", WRITTEN],
    ["evidence", "Does batch size help transfer?", "--sources", "text", "--out", WRITTEN, "--study", PATHS, "--bindings", PATHS],
    ["scifact", "--data", PATHS, "--verifier", PATHS],
    ["submit", "--encoder", "sandbox", "--suite", [*TEXTS, "xtreme"], "--out", WRITTEN, "--data", PATHS, "--store", "store"],
    ["score", PATHS, "--gold", PATHS, "--format", TEXTS, "--metric", TEXTS, "--input-format", TEXTS],
    ["predict", PATHS, PATHS, "--out", WRITTEN],
    ["fit", PATHS, "--out", WRITTEN, "--label", TEXTS],
    ["export", TEXTS + PATHS, "--out", WRITTEN],
    ["card", TEXTS + PATHS],
    ["store", [*TEXTS, "list", "size", "gc", "pin", "verify"], "--store", WRITTEN],
    [TEXTS],
    ["sandbox", [*TEXTS, "languages"]],
    ["evidence", "search", TEXTS, "--cache", WRITTEN, "--offline"],
]  # fmt: skip


def command(dice: Random, encoder: str) -> list[str]:
    """Return a command line, with one or two hostile values."""
    choice = dice.random()
    base = ["run", "--encoder", encoder, "--target", "sandbox_nli", "--recipe", "sandbox", "--set", "steps=1", "--device", "cpu", "--threads", "1", "--languages", "qab", "--store", "store"]  # fmt: skip
    base[0] = dice.choice(["plan", "plan", "run"])
    if choice < 0.3:
        for option in dice.sample(sorted(RUN), dice.choice([1, 1, 2])):
            base += [option, dice.choice(RUN[option])]
        return base
    if choice < 0.45:
        setting = f"{dice.choice(SETTINGS)}={dice.choice(VALUES)}"
        return [*base, dice.choice(["--set", "--set-target", "--set-intermediate"]), setting]
    if choice < 0.65:
        small = ["--layers", "1", "--width", "8", "--heads", "2", "--vocabulary", "60", "--steps", "1", "--batch-size", "2", "--max-length", "8"]  # fmt: skip
        option = dice.choice(sorted(PRETRAIN))
        start = ["pretrain", "--text", "text", *small, "--device", "cpu", "--threads", "1", "--store", "store"]
        return [*start, "--out", f"encoder{dice.random()}", option, dice.choice(PRETRAIN[option])]
    return [part if isinstance(part, str) else dice.choice(part) for part in dice.choice(OTHERS)]


@pytest.fixture
def bounded() -> Iterator[None]:
    """Let no command take all memory or disk."""
    before = {limit: resource.getrlimit(limit) for limit in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE)}
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, before[resource.RLIMIT_AS][1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE, before[resource.RLIMIT_FSIZE][1]))
    yield
    for limit, values in before.items():
        resource.setrlimit(limit, values)


class Unworded(Exception):
    """A command ended with a traceback, or with a code that means nothing."""


def ended(call: Call, words: Sequence[object]) -> None:
    """Run a command; InputError where it fails in words, Unworded where it fails otherwise."""
    code, out, err = call(*words)
    if code == UNEXPECTED or "Traceback (most recent" in out + err:
        kept = re.search(r"in (\S+\.txt)", err)
        frames = re.findall(r'xstilts/(\S+)", line (\d+)', Path(kept[1]).read_text()) if kept else []
        raise Unworded(f"{':'.join(frames[-1]) if frames else '?'} {err.strip()[-200:]}")
    if code not in (0, 1, 2):
        raise Unworded(f"code {code}: {err[-200:]}")
    if code:
        raise InputError(err)


def test_command_lines(
    call: Call,
    families: Any,
    few_examples: None,
    bounded: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "hello").write_text("hello")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "en.txt").write_text("a b c\nd e f\n" * 50)
    (tmp_path / "text" / "sw.txt").write_text("g h\n" * 30)
    dice, tally = Random(SEED), Tally("command lines")

    for _ in range(inputs(350)):
        words = command(dice, str(families["xlm-roberta"]))
        tally.attempt(lambda words=words: ended(call, words), repr(words))  # type: ignore[misc]
    broken = tally.verdict()
    assert not broken, f"\n{broken}"


def test_stores_with_an_odd_manifest(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dice, tally, store = Random(SEED), Tally("stores with an odd manifest"), tmp_path / "store"
    model = put_training(store, "mnli", 1, losses=(1.0, 0.5))
    put_score(store, {"stage": model}, 70.0)
    manifests = sorted(store.glob("*/stage.json"))
    for _ in range(inputs(150)):
        path = dice.choice(manifests)
        before = path.read_bytes()
        path.write_bytes(mutated_json(before, dice))
        verb = dice.choice([["cost"], ["show", model], ["store", "list"], ["store", "size"], ["store", "verify"]])
        words = [*verb, "--store", store]
        tally.attempt(lambda words=words: ended(call, words), f"{verb} of {path.read_bytes()[:400]!r}")  # type: ignore[misc]
        path.write_bytes(before)
    broken = tally.verdict()
    assert not broken, f"\n{broken}"
