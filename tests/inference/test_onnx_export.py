"""Tests of export: an ONNX file answers as torch does, at any shape, or is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from test_backends import batch, checkpoint, opened
from torch import Tensor, nn

from families import FAMILIES, berts_last
from xstilts.errors import InputError
from xstilts.inference import onnx_export
from xstilts.inference.backends import Loaded, form

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def exported(families: Any, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """A tiny XLM-R that tags, with its ONNX files."""
    loaded = opened(checkpoint(families, "xlm-roberta", "token_classification", tmp_path_factory.mktemp("onnx")))
    form("onnx-int8", loaded)
    return loaded


def test_a_file_answers_as_torch_does_at_other_shapes(exported: Loaded) -> None:
    ids, mask = batch(exported)
    ask = form("onnx", exported).ask
    for rows, length in ((3, 9), (1, 4), (2, 6)):
        some, seen = ids[-rows:, :length], mask[-rows:, :length]
        expected = form("fp32", exported).ask(some, seen)
        assert torch.allclose(ask(some, seen)[seen.bool()], expected[seen.bool()], atol=1e-4)
    assert onnx_export.verify(exported.module, exported.scratch / "model.onnx") < 1e-4


def test_padding_is_not_seen(exported: Loaded) -> None:
    ids, mask = batch(exported)
    ask, other = form("onnx", exported).ask, ids.clone()
    other[2, 5:] = exported.token_ids[0]
    assert not torch.equal(ids, other)
    assert torch.allclose(ask(ids, mask)[2, :5], ask(other, mask)[2, :5], atol=1e-5)


def test_int8_is_near_and_smaller(exported: Loaded) -> None:
    ids, mask = batch(exported)
    expected, found = (form(name, exported).ask(ids, mask)[mask.bool()] for name in ("fp32", "onnx-int8"))
    assert 0 < float((found - expected).abs().max()) < 0.15 * float(expected.abs().max())
    onnx = pytest.importorskip("onnx")
    formats = [node.op_type for node in onnx.load(exported.scratch / "int8.onnx").graph.node]
    linear = sum(isinstance(one, nn.Linear) for one in exported.module.modules())
    assert formats.count("MatMulInteger") == linear


class Cut(nn.Module):
    """A network that says something else than the one that was exported."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        found: Tensor = self.module(input_ids, torch.ones_like(attention_mask))
        return found


def test_a_file_that_answers_something_else_is_refused(exported: Loaded) -> None:
    with pytest.raises(InputError, match="differs from torch by"):
        onnx_export.verify(Cut(exported.module), exported.scratch / "model.onnx")


def test_what_cannot_be_exported_has_a_reason(
    exported: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise RuntimeError("a branch on numbers\nand pages of explanation")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(InputError, match=r"cannot export this network to ONNX \(a branch on numbers\)$"):
        onnx_export.onnx(exported.module, tmp_path / "model.onnx")
    onnxruntime = pytest.importorskip("onnxruntime.quantization")
    monkeypatch.setattr(onnxruntime, "quantize_dynamic", refuse)
    with pytest.raises(InputError, match=r"cannot quantise this network \(a branch on numbers\)$"):
        onnx_export.quantised(exported.scratch / "model.onnx", tmp_path / "int8.onnx")


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch, exported: Loaded) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r'needs onnxruntime, not installed here: pip install "xstilts\[onnx\]"'):
        form("onnx", exported)


def test_a_file_is_opened_without_torch(exported: Loaded) -> None:
    script = (
        "import sys, numpy as np\nfrom pathlib import Path\nfrom xstilts.inference import onnx_export\n"
        "ask = onnx_export.opened(Path(sys.argv[1]))\nids = np.full((2, 5), 9)\nprint(ask(ids, np.ones_like(ids)).shape)\n"
        "assert not {'torch', 'transformers'} & sys.modules.keys()\n"
    )
    command = [sys.executable, "-c", script, str(exported.scratch / "model.onnx")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "(2, 5, 3)\n"), found.stderr


@pytest.mark.slow
@pytest.mark.parametrize("family", berts_last(sorted(FAMILIES)))
@pytest.mark.parametrize(
    "format", ["classification", "multiple_choice", "extractive_qa", "masked_lm", "bitext_retrieval"]
)
def test_every_family_is_exported_with_every_head(families: Any, tmp_path: Path, family: str, format: str) -> None:
    folder = checkpoint(families, family, "masked_lm" if format == "bitext_retrieval" else format, tmp_path)
    loaded = opened(folder, format)
    assert form("onnx", loaded).weight_bytes > 0
    assert form("onnx-int8", loaded).weight_bytes > 0
