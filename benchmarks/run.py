"""Run all benchmarks of a CPU or a GPU, one after another in processes of their own, and write the page of results.

What was measured on the other kind of device stays on the page. A benchmark that fails is named and left out; one that
needs an environment variable which is not set is left out.

    python benchmarks/run.py
    python benchmarks/run.py --gpu --only gpu_throughput,gpu_xl
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from page import written
from parts import CPU, GPU, Part

HERE = Path(__file__).parent
RESULTS = HERE.parent / "docs" / "results"
ERROR = re.compile(r"[\w.]+(Error|Exception|Exit)\b")
LIBRARIES = ("torch", "transformers", "numpy", "accelerate", "peft")


def main() -> None:
    """Run the chosen benchmarks and write `performance.json` and `performance.md`."""
    asked = options()
    names = asked.only.split(",") if asked.only else []
    possible = [part for part in (GPU if asked.gpu else CPU) if not part.needs or os.environ.get(part.needs)]
    parts = [part for part in possible if not names or part.name in names]
    if not parts or {*names} - {part.name for part in parts}:
        raise SystemExit(f"no such part: there are {', '.join(part.name for part in possible)}")
    file = asked.out / "performance.json"
    results: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    key = "gpu" if asked.gpu else "cpu"
    here = {"machine": machine(), "versions": versions()}
    before = results.get(key, {})
    known = before["parts"] if names and here.items() <= before.items() else {}  # figures of one page are comparable
    results[key] = here | {"parts": known}
    for part in parts:
        known[part.name] = measured(part, asked)
        asked.out.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (asked.out / "performance.md").write_text(written(results), encoding="utf-8")
    if any("failed" in known[part.name] for part in parts):
        raise SystemExit(1)


def options() -> argparse.Namespace:
    """Return the options of the command line: by default everything, at the sizes of the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gpu", action="store_true", help="the benchmarks of a GPU instead")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="another than that: those of a GPU on a CPU")
    parser.add_argument("--quick", action="store_true", help="in miniature, to see that it runs")
    parser.add_argument("--only", help="names of parts, with commas between; the others stay as they were")
    parser.add_argument("--out", type=Path, help="folder of performance.json and performance.md")
    asked = parser.parse_args()
    asked.out = asked.out or (Path("work") / "bench" if asked.quick else RESULTS)
    asked.device = asked.device or ("cuda" if asked.gpu else "cpu")
    return asked


def command(part: Part, quick: bool, device: str) -> list[str]:
    """Return a benchmark's file with its options."""
    sizes = "--quick" if quick else part.sizes
    on = f"--device {device}" if part.device and device != "cpu" else ""
    return [part.script, *shlex.split(f"{part.arguments} {sizes} {on}")]


def measured(part: Part, asked: argparse.Namespace) -> dict[str, Any]:
    """Run one benchmark; return its command, seconds and figures, or why it failed."""
    words = command(part, asked.quick, asked.device)
    print(f"== {part.name}: {' '.join(words)}", flush=True)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        whole = [sys.executable, str(HERE / words[0]), *words[1:], "--json", str(file)]
        ended = subprocess.run(whole, stderr=subprocess.PIPE, text=True)
        found = {"command": f"benchmarks/{' '.join(words)}", "seconds": time.perf_counter() - began}
        found["date"] = date.today().isoformat()
        if ended.returncode:
            print(ended.stderr, file=sys.stderr)
            return found | {"failed": reason(ended.stderr) or f"it ended with {ended.returncode}"}
        return found | {"figures": json.loads(file.read_text(encoding="utf-8"))}


def reason(errors: str) -> str:
    """Return the line of a traceback that names the error, or the last line that there is."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if ERROR.match(line)), lines[-1] if lines else "")


def machine() -> dict[str, Any]:
    """Return what this computer is: processor, cores, memory and GPU."""
    import torch

    # A virtual machine that starts again has some pages more or fewer.
    gib = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"cpu": processor(), "cores": os.cpu_count(), "memory_gib": gib, "gpu": gpu}


def processor() -> str:
    """Return the name of the processor, as the kernel tells it where it does."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return versions of Python and of what the figures hang on."""
    found = {"Python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    main()
