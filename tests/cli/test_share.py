"""Tests of the verbs that share a model: export, card and push, as a user calls them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from test_backends import checkpoint
from test_cli import Call

from hubserver import Hub, serving

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
TOKEN = "hf_" + "b" * 34


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def test_a_checkpoint_goes_from_its_folder_to_the_hub(
    call: Call,
    families: Any,
    hub: Hub,
    tmp_path: Path,
) -> None:
    folder, out = checkpoint(families, "xlm-roberta", "token_classification", tmp_path / "model"), tmp_path / "toy"
    code, shown, errors = call("export", folder, "--out", out, "--base-model", "lab/encoder")
    assert (code, errors) == (0, "")
    assert "model.safetensors" in shown
    assert f"share it with `xstilts push {out} OWNER/NAME`" in shown
    code, card, _ = call("card", folder, "--name", "toy", "--base-model", "lab/encoder")
    assert (code, card) == (0, (out / "README.md").read_text())

    code, shown, _ = call("push", out, "lab/toy", "--private", "--dry-run")
    assert code == 0
    assert "would make the private model repository lab/toy unless it exists" in shown
    assert not hub.writes
    code, shown, errors = call("push", out, "lab/toy", "--private")
    assert code == 0
    assert f"{hub.url}/lab/toy/commit/" in shown
    assert TOKEN not in shown + errors
    code, shown, _ = call("push", out, "lab/toy")
    assert (code, "has all of it already" in shown) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("export", "nowhere", "--out", "toy"), 2, "no finished stage in .* begins with 'nowhere'"),
        (("export", "sandbox", "--out", "toy", "--base-model", "x"), 2, "'x' is no id of the hub: give owner/name"),
        (("card", "no/where"), 2, "no folder 'no/where'"),
        (("push", "nowhere", "lab/toy"), 2, "there is no folder nowhere: write one with"),
        (("push", ".", "toy"), 2, "'toy' is no repository: give OWNER/NAME"),
    ],
)
def test_a_mistake_is_named(
    arguments: tuple[str, ...],
    code: int,
    message: str,
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import re

    monkeypatch.chdir(tmp_path)
    found, _, errors = call(*arguments)
    assert found == code
    assert re.search(message, errors)
