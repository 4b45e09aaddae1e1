"""Conversion of pickled weights: from `pytorch_model.bin` to `model.safetensors`, in a process of its own.

A pickle can run any code, so nothing here loads one by the way: a user asks for the conversion of one model, and a
subprocess reads tensors alone (`torch.load(weights_only=True)`) and writes them as safetensors. It imports this module,
which therefore imports the rest of the package only where it is needed.

    convert("google/mt5-small", Path("work/mt5-small"))  # then: --encoder work/mt5-small
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from xstilts.errors import InputError

WEIGHTS = "pytorch_model.bin"
WEIGHTS_INDEX = "pytorch_model.bin.index.json"
SAFE = "model.safetensors"
TRANSLATION_FILES = ("generation_config.json", "source.spm", "target.spm")  # of models that write text


def convert(source: str | Path, out: Path | None = None) -> Path:
    """Write the pickled weights of a folder or a hub id as safetensors.

    Args:
        source: A folder with `pytorch_model.bin` (or its parts), or a hub id, whose pickled weights are downloaded.
        out: Folder for the weights, with copies of configuration and tokenizer; None: beside the pickled ones, which
            the hub's cache does not allow.

    Returns:
        The folder with `model.safetensors`.

    Raises:
        InputError: There are no pickled weights, there are safetensors already, or the file holds more than tensors.
    """
    from xstilts.models.encoder import IDENTITY_FILES

    folder = Path(source).expanduser()
    in_cache = not folder.is_dir() or folder.parent.name == "snapshots"
    if not folder.is_dir():
        folder = _downloaded(str(source))
    if in_cache and out is None:
        raise InputError(f"{source} is in the hub's cache, which stays as it was published: give --out FOLDER")
    out = out or folder
    parts = _parts(folder)
    if (out / SAFE).exists():
        raise InputError(f"{out} has a {SAFE} already: give another --out, or remove it")
    out.mkdir(parents=True, exist_ok=True)
    partial = out / f"{SAFE}.partial"
    command = [sys.executable, "-m", __name__, str(partial), *map(str, parts)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        partial.unlink(missing_ok=True)
        reason = (finished.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(
            f"cannot convert {parts[0]} ({reason[:300]}); it may hold more than tensors, or be damaged: "
            "download it again, or take another model"
        )
    if out != folder:
        names = {*IDENTITY_FILES, *TRANSLATION_FILES, "vocab.json", "vocab.txt", "merges.txt"} - {
            "model.safetensors.index.json"
        }
        for path in folder.iterdir():
            if path.name in names:
                shutil.copyfile(path, out / path.name)
    partial.replace(out / SAFE)
    return out


def _downloaded(source: str) -> Path:
    from huggingface_hub import snapshot_download

    from xstilts.models.encoder import IDENTITY_FILES, hub_id

    name, revision = hub_id(source, "main")
    patterns = [*IDENTITY_FILES, *TRANSLATION_FILES, "vocab.*", "merges.txt", "pytorch_model*"]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns, ignore_patterns="*/*"))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"cannot get {name!r} from the hub ({reason}); check name and network") from error


def _parts(folder: Path) -> list[Path]:
    """Return the files of the pickled weights."""
    if (folder / WEIGHTS_INDEX).is_file():
        names = set(json.loads((folder / WEIGHTS_INDEX).read_text(encoding="utf-8"))["weight_map"].values())
        return [folder / name for name in sorted(names)]
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    raise InputError(f"{folder} has no {WEIGHTS}: there is nothing to convert")


def main(target: Path, parts: list[Path]) -> None:
    """Read pickled tensors and write them as safetensors; runs in the subprocess.

    Args:
        target: The file to write.
        parts: The pickled files.
    """
    import torch
    from safetensors.torch import save_file

    tensors: dict[str, torch.Tensor] = {}
    for part in parts:
        loaded = torch.load(part, map_location="cpu", weights_only=True)
        tensors |= loaded.get("state_dict", loaded)
    strange = [name for name, value in tensors.items() if not isinstance(value, torch.Tensor)]
    if strange:
        raise ValueError(f"{strange[0]} is no tensor")
    # Tensors that share memory are written out each: which of them a model reads is its own affair.
    save_file({name: value.detach().contiguous().clone() for name, value in tensors.items()}, target, {"format": "pt"})


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
