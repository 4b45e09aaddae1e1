from __future__ import annotations

import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from xstilts.store import manifest

COMMIT = re.compile(r"[0-9a-f]{7,12}(-dirty)?")


def test_a_manifest_has_the_versions_that_a_result_depends_on(tmp_path: Path) -> None:
    manifest.write(tmp_path, {"label": "x"})
    libraries = manifest.read(tmp_path)["libraries"]
    assert libraries["python"] == platform.python_version()
    assert {name: libraries[name] for name in manifest.LIBRARIES} == {
        name: metadata.version(name) for name in manifest.LIBRARIES
    }
    assert COMMIT.fullmatch(libraries.get("xstilts commit", "0123456789ab"))


@pytest.mark.parametrize("tracked", [True, False])
def test_the_commit_is_that_of_the_package_and_not_of_a_repository_around_it(
    tracked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shutil.which("git"):
        pytest.skip("no git")
    package = tmp_path / "src" / "xstilts"
    (package / "store").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (tmp_path / "other.txt").write_text("")
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for command in (("init",), ("add", "src" if tracked else "other.txt"), (*who, "commit", "-m", "first")):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True, capture_output=True)
    monkeypatch.setattr(manifest, "__file__", str(package / "store" / "manifest.py"))
    monkeypatch.setattr(metadata, "distribution", lambda name: metadata.PathDistribution(tmp_path))
    commit = manifest.commit.__wrapped__()
    assert (COMMIT.fullmatch(commit or "") is not None) is tracked
    (package / "__init__.py").write_text("changed = True")
    assert (manifest.commit.__wrapped__() or "").endswith("-dirty") is tracked
