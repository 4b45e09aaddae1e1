"""Encoder check: whether an encoder will load, found out before anything is trained.

A published encoder can lack usable weights, be of an unsupported family, have more tokens than embedding rows, or hold
NaN. Found during a study, each of these costs the trainings before it. So plans and runs check an encoder first, from
its configuration, its tokenizer and its weight files, mapped into memory; an encoder of the hub that is not on this
machine is checked by what the hub says of it, as far as it can be reached.

    check(Encoder.of("work/encoder"))  # raises InputError with the remedy, or returns nothing
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import HfApi, try_to_load_from_cache
from safetensors import safe_open

from xstilts.errors import InputError
from xstilts.models import configs
from xstilts.models.encoder import (
    TOKENIZER_FILES,
    Encoder,
    checked_folder,
    load_tokenizer,
    pickled_weights,
    readable,
    tensor_files,
)
from xstilts.models.families import FAMILIES, Family, family_of
from xstilts.models.tokenization import Tokenizer, separator_of
from xstilts.runtime.machine import Runtime

SCANNED = 8 * 2**30  # bytes of weights up to which every value is looked at
SHORTEST = 8  # tokens, the least length of a recipe
CHECKED, MEANING = ".checked", 1  # raise the second when more is checked
SMALL = 2**20  # bytes of a tensor that is looked at in any case, such as a norm's


def check(encoder: Encoder, store: Path | None = None, ask_hub: bool = True) -> None:
    """Check that an encoder loads.

    Args:
        encoder: A folder, or a hub id: of the latter what is in the cache, or else what the hub lists.
        store: Where it is noted that an encoder was checked, so that this is done once; None: nowhere.
        ask_hub: Whether the hub may be asked for its list of files.

    Raises:
        InputError: It does not load; the message says why and what to do.
    """
    folder = local_folder(encoder)
    if folder is not None:
        noted = store and store / CHECKED / f"{encoder.digest[:40]}-{MEANING}-{version('transformers')}"
        if noted and noted.exists():
            return
        _check_folder(folder, _state(folder))
        if noted and noted.parent.parent.is_dir():
            with suppress(OSError):  # as of a full disk: then it is checked again
                noted.parent.mkdir(exist_ok=True)
                noted.touch()
        return
    config = configs.config_of(encoder)
    if config is not None:
        family_of(config)
    names = _listed(encoder.name, encoder.digest, ask_hub and bool(re.fullmatch(r"[0-9a-f]{40}", encoder.digest)))
    pickled = pickled_weights(names)
    if pickled and not any(name.endswith(".safetensors") for name in names):
        raise InputError(_only_pickled(encoder.name, pickled))


def local_folder(encoder: Encoder) -> Path | None:
    """Return the folder of an encoder, or of its snapshot in the hub's cache; None where there is none with weights."""
    if encoder.folder:
        if not Path(encoder.folder).is_dir():
            raise InputError(f"the encoder's folder {encoder.folder} is no longer there: give it where it is now")
        return Path(encoder.folder)
    cached = try_to_load_from_cache(encoder.name, "config.json", revision=encoder.digest)
    folder = Path(cached).parent if isinstance(cached, str) else None
    if folder is None:
        return None
    names = [path.name for path in folder.iterdir()]
    there = any(name.endswith(".safetensors") for name in names) and any(name in names for name in TOKENIZER_FILES)
    return folder if there else None


def _only_pickled(name: str | Path, pickled: str) -> str:
    return (
        f"{name} has only pickled weights ({pickled}), which can run any code when they are loaded: "
        f"`xstilts convert-weights {name} --out FOLDER` writes them as model.safetensors, after which give FOLDER"
    )


@lru_cache(maxsize=64)
def _listed(name: str, revision: str, ask_hub: bool) -> tuple[str, ...]:
    """Return the files that the hub lists, else those in the cache; none where loading will say why."""
    try:
        siblings = (HfApi().model_info(name, revision=revision, timeout=10).siblings or ()) if ask_hub else None
    except Exception:  # offline, forbidden or unknown
        siblings = None
    if siblings is None:
        snapshot = try_to_load_from_cache(name, "config.json", revision=revision)
        return tuple(path.name for path in Path(snapshot).parent.iterdir()) if isinstance(snapshot, str) else ()
    return tuple(sibling.rfilename for sibling in siblings if "/" not in sibling.rfilename)


def _state(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return names, sizes and times of a folder's files, by which a finished check is known again."""
    facts = ((path.name, path.stat()) for path in sorted(folder.iterdir()) if path.is_file())
    return tuple((name, fact.st_size, fact.st_mtime_ns) for name, fact in facts)


@lru_cache(maxsize=64)
def _check_folder(folder: Path, state: object) -> None:
    checked_folder(folder)
    with readable(folder):
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        family = family_of(config)
        with torch.device("meta"):
            expected = getattr(transformers, family.auto).from_config(config, **_constructed(family))
        files, shapes = tensor_files(folder), _shapes(folder)
        stored = _stored(list(files), expected, family)
        _check_layers(folder, expected, family, stored, shapes)
        rows = _rows(expected, stored, shapes)
        tokenizer = load_tokenizer(folder)
        _check_tokens(folder, Tokenizer.of(tokenizer), rows)
        if family.token_types and config.type_vocab_size > 1:
            separator_of(tokenizer)
        _check_values(folder, files, stored, expected)


def _constructed(family: Family) -> dict[str, Any]:
    return {name: value for name, value in family.load.items() if name != "key_mapping"}


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Read the shapes of all tensors from the headers of their files."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in sorted(set(tensor_files(folder).values())):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        shapes |= {name: tuple(facts["shape"]) for name, facts in header.items() if name != "__metadata__"}
    return shapes


def _stored(names: list[str], expected: Any, family: Family) -> dict[str, str]:
    """Return the stored name of every tensor of the encoder, as transformers finds it: bare or below its model."""
    wanted, prefix = set(expected.state_dict()), f"{expected.base_model_prefix}."
    found: dict[str, str] = {}
    for stored in names:
        name = re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", stored))
        for pattern, replacement in family.load.get("key_mapping", {}).items():
            name = re.sub(pattern, replacement, name)
        for spelling in (name, name.removeprefix(prefix)):
            if spelling in wanted:
                found[spelling] = stored
    return found


def _check_layers(
    folder: Path, expected: Any, family: Family, stored: dict[str, str], shapes: dict[str, tuple[int, ...]]
) -> None:
    """Compare the layers that the configuration asks for with those in the files."""
    for name, parameter in expected.named_parameters():
        if not name.startswith(f"{family.layers}."):
            continue
        shape = tuple(parameter.shape)
        if name not in stored:
            other = next((one for one in shapes if one.endswith(name)), None)
            named = f" (it is called {other} there)" if other else ""
            raise InputError(
                f"{folder} has no weights for {name}{named}, which config.json asks for; copy the whole model "
                "again, as save_pretrained writes it"
            )
        if shapes[stored[name]] != shape:
            raise InputError(
                f"{folder}: tensor {stored[name]} is {shapes[stored[name]]}, and config.json asks for {shape}: "
                "configuration and weights are of different models; copy the whole model again"
            )


def _rows(expected: Any, stored: dict[str, str], shapes: dict[str, tuple[int, ...]]) -> int:
    """Return how many tokens the stored embedding matrix has rows for."""
    table = expected.get_input_embeddings().weight
    names = [name for name, parameter in expected.named_parameters(remove_duplicate=False) if parameter is table]
    sizes = [shapes[stored[name]][0] for name in names if name in stored]
    return sizes[0] if sizes else int(table.shape[0])


def _check_tokens(folder: Path, tokenizer: Tokenizer, rows: int) -> None:
    """Refuse a tokenizer with tokens for which the matrix has no row; special ones that are never used do not count."""
    tokenizer.room(SHORTEST, pair=True)
    inner = tokenizer.tokenizer
    beyond = {token: number for token, number in inner.get_vocab().items() if number >= rows}
    special = tokenizer.special_tokens
    used = {*special.prefix, *special.middle, *special.suffix, special.pad, tokenizer.unknown}
    marked = {number for number, token in inner.added_tokens_decoder.items() if token.special}
    wrong = [token for token, number in beyond.items() if number in used or number not in marked]
    if wrong:
        raise InputError(
            f"the tokenizer of {folder} has {max(beyond.values()) + 1:,} tokens and its embedding matrix {rows:,} "
            f"rows, so that {wrong[0]!r} has none: add rows (model.resize_token_embeddings(len(tokenizer))) and save "
            "the model again, or give the tokenizer that it was trained with"
        )


def _check_values(folder: Path, files: dict[str, Path], stored: dict[str, str], expected: Any) -> None:
    """Refuse weights that are not finite; of very large files only the small tensors are looked at."""
    names = {stored[name] for name in expected.state_dict() if name in stored}
    everything = sum(path.stat().st_size for path in set(files.values())) <= SCANNED
    for path in sorted(set(files.values())):
        with safe_open(path, framework="pt") as file:
            for name in (name for name in file.keys() if name in names):  # noqa: SIM118
                tensor = file.get_tensor(name)
                if not tensor.is_floating_point() or (not everything and tensor.nbytes > SMALL):
                    continue
                if not torch.isfinite(tensor.sum(dtype=torch.float32)) and not torch.isfinite(tensor).all():
                    count = int((~torch.isfinite(tensor)).sum())
                    raise InputError(
                        f"{path}: {count:,} of {tensor.numel():,} values of {name} are NaN or infinite, so that no "
                        "state would be finite; copy or download the model again, or train it again"
                    )


def check_packing(machine: Runtime, config: Any) -> None:
    """Raise InputError where batches are to be packed and the family cannot be.

    Args:
        machine: Its `packing`.
        config: The encoder's configuration; None: not known here.
    """
    if machine.packing == "on" and config is not None and config.model_type in FAMILIES:
        family = FAMILIES[config.model_type]
        if family.padded:
            raise InputError(
                f"batches of {config.model_type} cannot be packed: {family.padded}; give --packing auto or off"
            )
