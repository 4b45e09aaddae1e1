from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from xstilts.models.encoder import Encoder
    from xstilts.runtime.machine import Runtime

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


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


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, unpacked; tests that need it skip without."""
    folder = Path(os.environ.get("XSTILTS_DATA", ""))
    if not os.environ.get("XSTILTS_DATA") or not folder.is_dir():
        pytest.skip("real data: set XSTILTS_DATA to the unpacked folder")
    return folder
