"""ONNX export: a network with its head as an ONNX file that gives the same logits, and how such a file is run.

The file takes `input_ids` and `attention_mask` (sequences, tokens; int64) of any batch and length, and gives `logits`.
After the export it is compared with torch on batches of other shapes than the one it was traced with, padding among
them: an exporter that fixes a length or drops a mask raises no error, its file computes something else. Running a file
needs neither torch nor transformers. Needs the extra `onnx`.

    onnx(module, Path("model.onnx"))
    ask = opened(Path("model.onnx"), threads=1)
    ask(ids, mask)  # logits
"""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from xstilts.errors import InputError
from xstilts.runtime import extras

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    Numbers = NDArray[np.generic]

INPUTS = ("input_ids", "attention_mask")
SHAPES = ((2, 7), (1, 3), (3, 18), (4, 1))  # the first is traced, all are compared; 18: beyond tiny windows
TOLERANCE = 1e-3  # of the largest logit


def needed(*names: str) -> list[Any]:
    """Import libraries of the extra; InputError names the missing one and the extra to install."""
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise InputError(f"needs {error.name}, not installed here: {extras.command('onnx')}") from None


def onnx(module: nn.Module, path: Path) -> None:
    """Export a module to ONNX, with weights beside it in `<path>.data`, and verify it.

    Args:
        module: From ids and mask to logits, on the CPU, in float32.
        path: Of the file.

    Raises:
        InputError: torch cannot export the family, or the file gives other logits.
    """
    import torch

    needed("onnx", "onnxscript", "onnxruntime")
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    try:
        with _quiet(), torch.no_grad():
            torch.onnx.export(
                module.eval(),
                _example(*SHAPES[0]),
                path,
                input_names=list(INPUTS),
                output_names=["logits"],
                dynamo=True,
                dynamic_shapes=(free, free),
                external_data=True,
                verbose=False,
            )
    except Exception as error:  # any failure of tracing is a reason not to have the file
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"torch cannot export this network to ONNX ({reason})") from error
    verify(module, path)


def verify(module: nn.Module, path: Path) -> float:
    """Compare an ONNX file with its module on several shapes.

    Returns:
        The largest difference of two logits, as a share of the largest logit.

    Raises:
        InputError: It is more than `TOLERANCE`.
    """
    import numpy as np
    import torch

    ask, worst = opened(path), 0.0
    for shape in SHAPES:
        ids, mask = _example(*shape)
        with torch.no_grad():
            expected = module(ids, mask).float().numpy()
        found = ask(ids.numpy(), mask.numpy())
        seen = mask.numpy().astype(bool) if expected.ndim > 2 else ...  # outputs at padding have no meaning
        scale = max(float(np.abs(expected[seen]).max()), 1e-6)
        worst = max(worst, float(np.abs(found[seen] - expected[seen]).max()) / scale)
        if not worst <= TOLERANCE:
            raise InputError(
                f"the ONNX file differs from torch by {worst:.1e} of the largest logit on a batch of {shape}, more "
                f"than {TOLERANCE}: it was traced wrongly and is of no use"
            )
    return worst


def quantised(source: Path, path: Path) -> None:
    """Quantize an ONNX file: products with weights in int8, one scale per column; embeddings stay as they are."""
    onnx_, quantization = needed("onnx", "onnxruntime.quantization")
    model = onnx_.load(source)
    del model.graph.value_info[:]  # shapes of the exporter, which no longer fit where a weight is transposed
    try:
        with _quiet():
            quantization.quantize_dynamic(
                model, path, per_channel=True, op_types_to_quantize=["MatMul"], use_external_data_format=True
            )
    except Exception as error:  # as above
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"ONNX Runtime cannot quantise this network ({reason})") from error


def opened(path: Path, threads: int = 1) -> Callable[[Numbers, Numbers], Numbers]:
    """Open an ONNX file on the CPU; return a function from ids and mask, each (sequences, tokens), to logits."""
    (runtime,) = needed("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry(
        "session.force_spinning_stop", "1"
    )  # spinning threads would slow down what runs next
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    taken = {one.name for one in session.get_inputs()}

    def ask(ids: Numbers, mask: Numbers) -> Numbers:
        given = {name: value for name, value in zip(INPUTS, (ids, mask), strict=True) if name in taken}
        return cast("Numbers", session.run(None, given)[0])

    return ask


def size(path: Path) -> int:
    """Return the bytes of an ONNX file with its weights."""
    return sum(part.stat().st_size for part in (path, path.with_name(f"{path.name}.data")) if part.exists())


def _example(sequences: int, tokens: int) -> tuple[Any, Any]:
    """Return ids and a mask whose last sequence ends early, if it can."""
    import torch

    ids = (torch.arange(sequences * tokens).reshape(sequences, tokens) * 7) % 50 + 8
    mask = torch.ones_like(ids)
    if sequences > 1:
        mask[-1, (tokens + 1) // 2 :] = 0
    return ids, mask


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the logs and warnings of exporter and quantizer."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
