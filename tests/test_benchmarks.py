"""Benchmarks run in miniature and give every figure that the page of results shows; the page says what they gave."""

from __future__ import annotations

import json
import math
import re
import runpy
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
ON_GPU = re.compile(r".*(_utilisation_percent|_peak_mib|^memory_of_.*)")  # and memory, which takes processes


@pytest.fixture(autouse=True)
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let benchmarks, which are scripts, find what lies beside them."""
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.fixture
def parts() -> ModuleType:
    import parts

    return parts


@pytest.fixture
def page() -> ModuleType:
    import page

    return page


def ran(script: str, arguments: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run a benchmark in miniature; return its figures."""
    file = folder / f"{script}.json"
    monkeypatch.setattr(sys, "argv", [script, "--quick", *shlex.split(arguments), "--json", str(file)])
    monkeypatch.delenv("XSTILTS_DATA", raising=False)
    runpy.run_path(str(FOLDER / script), run_name="__main__")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        pytest.param("fine_tuning.py", "--lengths xnli", marks=pytest.mark.slow),
        pytest.param("fine_tuning.py", "--lengths squad", marks=pytest.mark.slow),
        ("frozen_prefix.py", "--full"),
        ("evaluation.py", ""),
        ("retrieval.py", ""),
        pytest.param("throughput.py", "", marks=pytest.mark.slow),
        ("throughput.py", "--shape xl --sides packed --trained lora:2"),
        pytest.param("throughput.py", "--shape xl --sides packed --optimiser adafactor:bf16", marks=pytest.mark.slow),
        ("matrix_products.py", ""),
        pytest.param("threads.py", "", marks=pytest.mark.slow),
        ("mining.py", ""),
        ("bulk_prediction.py", ""),
        pytest.param("token_cache.py", "", marks=pytest.mark.slow),
        pytest.param("startup.py", "", marks=pytest.mark.slow),
        pytest.param("sharing.py", "", marks=pytest.mark.slow),
        pytest.param("short_stages.py", "--sides local", marks=pytest.mark.slow),
        pytest.param("scheduling.py", "", marks=pytest.mark.slow),
    ],
)
def test_a_benchmark_gives_every_figure_of_its_rows(
    script: str, arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: ModuleType
) -> None:
    figures = ran(script, arguments, tmp_path, monkeypatch)
    for name, value in figures.items():
        assert isinstance(value, str) or np.all(np.isfinite(value)), name
    # A part that asks for more than this miniature, such as other sides, is not one of it.
    shown = [
        part
        for part in parts.CPU + parts.GPU
        if part.script == script and option_of(part) in (option_in(arguments), "")
    ]
    wanted = {row.figure for part in shown for row in part.rows if not ON_GPU.fullmatch(row.figure)}
    assert wanted <= {*figures}


def option_of(part: Any) -> str:
    """Return the sides or lengths that a part asks for."""
    return option_in(part.arguments)


def option_in(arguments: str) -> str:
    found = re.search(r"--(sides|lengths) \S+", arguments)
    return found.group() if found else ""


def test_sides_take_turns_and_ratios_are_of_one_round() -> None:
    import sides

    order: list[tuple[str, int]] = []
    found = sides.in_turn({name: lambda n, name=name: order.append((name, n)) or n + 1.0 for name in "abc"}, 3)
    assert order == [(name, n) for n, names in enumerate(("abc", "bca", "cab")) for name in names]
    assert sides.ratios(found["a"], [2.0, 2.0, 2.0]) == [0.5, 1.0, 1.5]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (3.14159, "3.14"), (31.4159, "31.4"), (31415.9, "31,416"), (0.5, "0.50"), (1.2e-7, "1.2e-07")],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    import sides

    assert sides.digits(value) == text


def test_all_sides_answer_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compared is the same work: the same probabilities, vectors and losses."""
    evaluation = ran("evaluation.py", "", tmp_path, monkeypatch)
    assert max(evaluation[f"largest_difference_from_{side}"] for side in ("padded", "longest")) < 1e-5
    assert ran("retrieval.py", "", tmp_path, monkeypatch)["largest_difference"] < 1e-4
    assert ran("throughput.py", "", tmp_path, monkeypatch)["curves_apart_percent"] < 0.1


def test_products_are_recorded_forward_and_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of two layers and of attention, and nothing else; computed again they have the same shapes."""
    import torch

    recorder_of = runpy.run_path(str(FOLDER / "matrix_products.py"))["Recorder"]
    states = torch.randn(6, 4, requires_grad=True)
    weight, bias = torch.randn(5, 4, requires_grad=True), torch.zeros(5, requires_grad=True)
    with recorder_of() as recorder:
        rows = torch.nn.functional.gelu(torch.nn.functional.linear(states, weight, bias))
        scores = rows.view(2, 3, 5) @ rows.view(2, 3, 5).transpose(1, 2)
        scores.softmax(-1).square().sum().backward()
    assert recorder.flops == 3 * 2 * 6 * 4 * 5 + 3 * 2 * 2 * 3 * 3 * 5
    assert len(recorder.products) == 6
    recorder.replay()


def test_windows_are_as_long_as_squads() -> None:
    import learning

    found = learning.lengths("squad", 20_000, np.random.default_rng(0))
    assert (found.min() >= 40, found.max() <= 384) == (True, True)
    assert abs(found.mean() - 172) < 3


def test_the_papers_grid_shares_its_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine intermediate tasks and six target_training_tasks, a seed; two targets learn nothing, and two learn from SQuAD."""
    sharing = runpy.run_path(str(FOLDER / "sharing.py"))
    each = list(sharing["trainings"]())
    assert len(each) == 3 * (9 * 9 + 10 * 7)
    assert len({stage.key for stage in each}) == 3 * (9 + 10 * 6)
    assert set(sharing["INTERMEDIATE"]) < {stage.arguments["training_sets"][0].task for stage in each}


# The page.

MACHINE = {"machine": {"cpu": "Toy 9", "cores": 3, "memory_gib": 7.6, "gpu": None}, "versions": {"torch": "8.7"}}


def results(parts: ModuleType, **figures: Any) -> dict[str, Any]:
    part = {"command": "benchmarks/x.py --n 3", "seconds": 12.3, "date": "2031-02-03", "figures": figures}
    return {"cpu": MACHINE | {"parts": {"evaluation": part}}}


def line(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"| {start} |"))


def test_numbers_of_the_page_are_those_of_the_benchmarks(page: ModuleType, parts: ModuleType) -> None:
    text = page.written(results(parts, times_as_fast_as_padded=[3.0, 2.5, 4.25], languages=15, lengths="drawn"))
    assert line(text, "by language") == "| by language | 3.00 (2.50 to 4.25) × |  |  |"
    assert line(text, "languages") == "| languages | 15 |  |  |"
    assert "Toy 9, 3 cores, 8 GiB of memory; torch 8.7." in text
    assert "`benchmarks/x.py --n 3` (2031-02-03, 12 s)" in text


def test_what_is_missing_was_not_run(page: ModuleType, parts: ModuleType) -> None:
    text = page.written({})
    assert text.count("Not run.") == 2 + len(parts.CPU) + len(parts.GPU)
    assert not re.search(r"^\|", text, re.MULTILINE)
    text = page.written(results(parts, languages=15))
    assert line(text, "`ours`") == "| `ours` | not run |  |  |"


@pytest.mark.parametrize(("ratio", "verdict"), [(1.9, "short"), (2.0, "met"), (3.1, "met")])
def test_what_falls_short_is_called_so(page: ModuleType, parts: ModuleType, ratio: float, verdict: str) -> None:
    name = "times as fast as `padded`, all languages"
    text = page.written(results(parts, all_languages_times_as_fast_as_padded=ratio))
    assert line(text, name) == f"| {name} | {ratio:.2f} × | ≥ 2 | {verdict} |"
    assert (f"Short of what is wanted: {name} (evaluation" in text.replace("\n", " ")) == (verdict == "short")


def test_most_is_wanted_of_time_and_memory(page: ModuleType, parts: ModuleType) -> None:
    row = replace(parts.Row("planning", "seconds", "s"), at_most=2.0)
    assert [page._verdict(row, value) for value in ([1.0, 1.5, 9.0], [2.5, 2.1, 0.1], None)] == ["met", "short", ""]


def test_a_benchmark_that_failed_is_told(page: ModuleType, parts: ModuleType) -> None:
    found = results(parts)
    found["cpu"]["parts"]["evaluation"]["failed"] = "MemoryError: no room"
    assert "Not run: MemoryError: no room" in page.written(found)


def test_the_page_is_written_again_from_its_figures(
    page: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page in the documentation is what its figures say."""
    docs = FOLDER.parent / "docs" / "results"
    file = docs / "performance.json"
    monkeypatch.setattr(sys, "argv", ["page.py", str(file), str(tmp_path / "page.md")])
    page.main()
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == (docs / "performance.md").read_text(encoding="utf-8")


def test_the_error_is_found_in_a_traceback() -> None:
    import run

    assert (
        run.reason("Traceback\n  x\ntorch.OutOfMemoryError: full\n\nTip: buy more\n") == "torch.OutOfMemoryError: full"
    )
    assert (run.reason("killed\n"), run.reason("")) == ("killed", "")


@pytest.mark.slow
def test_one_command_runs_parts_and_keeps_the_others_of_the_same_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import run

    def asked(*words: str) -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", ["run.py", "--quick", "--out", str(tmp_path), "--only", *words])
        run.main()
        found: dict[str, Any] = json.loads((tmp_path / "performance.json").read_text(encoding="utf-8"))
        return found

    kept = {"command": "x", "seconds": 1.0, "date": "2031-02-03", "figures": {"texts": 7}}
    for versions, names in ((run.versions(), {"mining", "token_cache"}), ({"torch": "0.1"}, {"mining"})):
        before = {"machine": run.machine(), "versions": versions, "parts": {"token_cache": kept}}
        (tmp_path / "performance.json").write_text(json.dumps({"cpu": before}), encoding="utf-8")
        after = asked("mining")["cpu"]["parts"]
        assert set(after) == names
        assert math.isfinite(after["mining"]["figures"]["seconds"])
        text = (tmp_path / "performance.md").read_text(encoding="utf-8")
        assert ("| texts | 7 |" in text) == ("token_cache" in names)
    with pytest.raises(SystemExit, match="no such part"):
        asked("minnig")


@pytest.mark.slow
def test_all_parts_run_in_miniature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: ModuleType) -> None:
    """Those of a GPU too, on a CPU; peak memory included."""
    import run

    for needed in {part.needs for part in parts.CPU + parts.GPU if part.needs}:
        monkeypatch.delenv(needed, raising=False)
    for more in ([], ["--gpu", "--device", "cpu"]):
        monkeypatch.setattr(sys, "argv", ["run.py", "--quick", "--out", str(tmp_path), *more])
        run.main()
    found = json.loads((tmp_path / "performance.json").read_text(encoding="utf-8"))
    for part in (part for part in parts.CPU + parts.GPU if not part.needs):
        figures = (found["cpu"]["parts"] | found["gpu"]["parts"])[part.name]["figures"]
        assert {row.figure for row in part.rows if not row.figure.endswith("_utilisation_percent")} <= {*figures}


def test_a_picture_has_the_panels_that_were_asked_for_in_light_and_dark() -> None:
    import picture

    from xstilts.errors import InputError
    from xstilts.reporting import charts

    about = {"de": {"name": "German", "family": "IE: Germanic", "distance": 1}}
    row = {"language": "de", "recipe": "r", "encoder": "e", "intermediate": "<squad>", "keys": ["k"]}
    gains = [{**row, "target": name, "estimate": 1.0, "low": 0.5, "high": 2.0} for name in ("xnli", "udpos", "uner")]
    gains.append({**gains[2], "intermediate": "of names alone"})
    plots = list(charts.language_plots({"gains": gains, "settings": {"languages": about}}))
    drawn = picture.drawn(plots, ["udpos", "xnli"], ["Tagging & more", "Inference"])
    texts = [text.text for text in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert [text for text in texts if text in ("<squad>", "Tagging & more", "Inference")] == [
        "<squad>",
        "Tagging & more",
        "Inference",
    ]
    assert texts.count("German") == 2
    assert "of names alone" not in texts  # it has no mark in these panels
    assert "of names alone" in picture.drawn(plots, ["uner"], ["Names"])
    assert "prefers-color-scheme: dark" in drawn
    used = set(re.findall(r"var\((--[\w-]+)\)", drawn))
    assert used <= set(re.findall(r"(--[\w-]+):", drawn))
    with pytest.raises(InputError, match="no panel 'xquad': there are xnli, udpos, uner"):
        picture.drawn(plots, ["xquad"], ["Questions"])
