from __future__ import annotations

import functools
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer.main
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from xstilts.models.encoder import Encoder
    from xstilts.runtime.machine import Runtime

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # no test is of time
settings.load_profile("busy")

typer.main.get_command = functools.cache(typer.main.get_command)  # as in a process of its own: made once, used once


# Two workers end together where the files that take seconds come first, however few tests they have.
LONG = (
    "shipped_studies forecast train docs api pipeline memory verify ledger cli heads examples study benchmarks "
    "corrupt_files stats lora step frozen_layer_cache embedding_pruning recommend study_page local_executor user_data "
    "onnx_export corpus"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files of tests: with `--no-loadscope-reorder` workers take them as they come."""
    places = {f"test_{name}.py": place for place, name in enumerate(LONG.split())}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


def pytest_collection_finish() -> None:
    """Leave what was imported out of garbage collections, which would go through it time and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def families(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Tiny models of random weights by model type, each made when it is first asked for."""
    from families import Folders

    return Folders(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def encoder(families: Any) -> Encoder:
    """A tiny XLM-R of random weights."""
    from xstilts.models.encoder import Encoder

    return Encoder.of(families["xlm-roberta"])


@pytest.fixture
def machine(tmp_path: Path) -> Runtime:
    """One thread, and a store that is gone after the test."""
    from xstilts.runtime.machine import Runtime

    return Runtime(store=tmp_path / "store", device="cpu", threads=1)


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Let no test hear what an earlier one listened to."""
    yield
    from xstilts.runtime import progress

    progress.listen(lambda event: None)


@pytest.fixture(autouse=True)
def one_idle_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stages be built in this process where a test does not ask for workers, and no other work be remarked on."""
    monkeypatch.setattr("xstilts.store.local_executor.usable_cores", lambda: 1)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0), raising=False)


@pytest.fixture(scope="module")
def few_examples() -> Iterator[None]:
    """Give every split of the sandbox's tasks a handful of examples, for tests to which their number does not matter."""
    from itertools import islice

    from xstilts import sandbox
    from xstilts.data import dataset

    few, every = {"train": 60, "validation": 6, "test": 12}, sandbox.examples

    def handful(name: str, split: str, *rest: Any) -> Iterator[Any]:
        return islice(every(name, split, *rest), few[split])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(sandbox.GENERATOR), "examples", staticmethod(handful))
        patch.setattr(dataset, "_check_count", lambda *_: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def drawn_once() -> Iterator[None]:
    """Draw equal data once, however often a report is written or verified; test_charts.py draws anew."""
    from xstilts.reporting import charts

    def kept(draw: Any) -> Any:
        cached = functools.cache(draw)
        return lambda series, *rest, **options: cached(tuple(series), *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("lines", "scatter"):
            patch.setattr(charts, name, kept(getattr(charts, name)))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, unpacked; tests that need it skip without."""
    folder = Path(os.environ.get("XSTILTS_DATA", ""))
    if not os.environ.get("XSTILTS_DATA") or not folder.is_dir():
        pytest.skip("real data: set XSTILTS_DATA to the unpacked folder")
    return folder


@pytest.fixture
def signals() -> Iterator[None]:
    """Give the handlers back that the command line replaces."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], signals: None
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that calls the command line and gives exit code, standard output and standard error."""
    from xstilts import cli

    for name in ("DATA", "STORE", "TASKS", "CONFIG", "EXECUTOR", "DEVICE", "WORKERS", "THREADS", "PRECISION"):
        monkeypatch.delenv(f"XSTILTS_{name}", raising=False)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["xstilts", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        shown = capsys.readouterr()
        return int(end.value.code or 0), shown.out, shown.err

    return run
