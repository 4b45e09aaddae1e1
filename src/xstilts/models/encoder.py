"""Encoder: the pretrained model that everything starts from, by identity, and how it is loaded.

An `Encoder` identifies a model: a hub id at a revision, or a local folder at a digest of its files. The functions load
it: the bare encoder, in float32, from safetensors only (a pickle can run any code), without printing anything.

>>> Encoder.of("FacebookAI/xlm-roberta-base")
Encoder(name='FacebookAI/xlm-roberta-base', digest='main')
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
import transformers
from huggingface_hub import HfApi, hf_hub_download, snapshot_download, try_to_load_from_cache
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers.utils import logging

from xstilts.errors import InputError, may_pass
from xstilts.models.families import family_of
from xstilts.models.pooling import SENTENCE_TRANSFORMERS
from xstilts.models.tokenization import separator_of
from xstilts.runtime.extras import installed
from xstilts.store.identity import identity

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TOKENIZER_FILES = ("tokenizer.json", "sentencepiece.bpe.model", "spiece.model", "spm.model", "tokenizer.model")
CONFIG = "config.json"
IDENTITY_FILES = (
    *TOKENIZER_FILES,
    CONFIG,
    "model.safetensors.index.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
INDEX = "model.safetensors.index.json"
CONVERTERS = {"sentencepiece": "sentencepiece", "protobuf": "google.protobuf"}
SANDBOX = Path(__file__).parents[1] / "sandbox" / "encoder"


@identity("Encoder", excluded=("folder",))
@dataclass(frozen=True)
class Encoder:
    """The identity of an encoder: a hub id and its revision, or a local folder's name and the digest of its files.

    Args:
        name: Hub id, or the folder's name.
        digest: Revision or commit, or the digest of the files.
        folder: Where the files are; not part of the identity, so that a folder may be moved.
    """

    name: str
    digest: str
    folder: str = field(default="", compare=False, repr=False)

    @classmethod
    def of(cls, name: str | Path, revision: str = "main") -> Encoder:
        """Identify an encoder.

        Args:
            name: A local folder, a hub id (owner/name or owner/name@revision), or "sandbox", which is shipped.
            revision: Of a hub id without one.

        Raises:
            InputError: A folder is missing or lacks configuration, weights or tokenizer.
        """
        folder = SANDBOX if name == "sandbox" else Path(name).expanduser()
        if folder.is_dir():
            return cls(folder.resolve().name, _digest(_with_tokenizer(checked_folder(folder))), str(folder.resolve()))
        return cls(*hub_id(str(name), revision))

    def pinned(self) -> Encoder:
        """Resolve a hub encoder's revision to a commit, by the hub or else by the local cache.

        Where neither knows it, the encoder is returned unchanged: enough to plan with, and loading will raise an error.
        The configuration is fetched too, because recipes depend on the encoder's size and on how it pools.
        """
        if self.folder:
            return self
        commit = commit_of(self.name, self.digest)
        if commit != self.digest:
            with suppress(Exception):  # such as a model that needs an access token
                hf_hub_download(self.name, CONFIG, revision=commit)
                hf_hub_download(self.name, SENTENCE_TRANSFORMERS, revision=commit)  # there is one of sentence encoders
        return replace(self, digest=commit)

    @property
    def location(self) -> str:
        """The argument for the loading functions: the folder, or the hub id with its revision."""
        return self.folder or f"{self.name}@{self.digest}"


def commit_of(name: str, revision: str) -> str:
    """Return the commit of a revision on the hub, by the hub or else by the local cache; itself where neither knows it.

    Args:
        name: Hub id.
        revision: Branch, tag or commit.
    """
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return revision
    try:
        commit = HfApi().model_info(name, revision=revision, timeout=10).sha
    except Exception:  # offline, forbidden or unknown: the cache may still have it
        found = try_to_load_from_cache(name, CONFIG, revision=revision)
        commit = Path(found).parent.name if isinstance(found, str) else None
    return commit or revision


def load_tokenizer(source: str | Path, revision: str | None = None) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a folder or a hub id; copy it before changing it.

    One of 250,000 tokens takes seconds and half a gigabyte to load. A phase saves the tokenizer that it was given, so
    that the one loaded last, in this process, is taken for every folder with the same files.
    """
    folder = _with_tokenizer(_folder(source, revision))
    _check_sentencepiece(folder)
    with readable(folder), quiet():
        key = (_family_name(folder), digest_of(path for path in folder.iterdir() if _is_of_tokenizer(path)))
        if key not in _LOADED:
            _LOADED.clear()  # before the next one is loaded, so that memory holds one
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            _LOADED[key] = cast("PreTrainedTokenizerBase", tokenizer)
    return _LOADED[key]


_LOADED: dict[tuple[str, str], PreTrainedTokenizerBase] = {}  # the last tokenizer, by what it was loaded from


def _is_of_tokenizer(path: Path) -> bool:
    return path.suffix in (".json", ".model", ".spm", ".txt") and path.name not in (CONFIG, INDEX)


def _family_name(folder: Path) -> str:
    """Return the model type in a folder's configuration, by which transformers chooses a class; "" without one."""
    path = folder / CONFIG
    return str(json.loads(path.read_text(encoding="utf-8")).get("model_type", "")) if path.is_file() else ""


def load_backbone(source: str | Path, revision: str | None = None) -> nn.Module:
    """Load the bare encoder in float32, in evaluation mode, from a bare folder or one with any shipped head.

    Attention is SDPA wherever the family supports it. An encoder that learned token types keeps, as `separator`, the
    token after which its tokenizer begins the second text of a pair (`Network.token_types`).

    Args:
        source: A folder or a hub id.
        revision: Of a hub id.

    Raises:
        InputError: Files are missing or damaged, or the model type is not in `FAMILIES`.
    """
    folder = checked_folder(_folder(source, revision))
    with readable(folder), quiet():
        family = family_of(transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False))
        tensor_files(folder)
        backbone, report = getattr(transformers, family.auto).from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **family.load,
        )
    if report["missing_keys"]:
        raise InputError(
            f"{folder} has no weights for {sorted(report['missing_keys'])[:3]}; copy the whole model again"
        )
    if family.token_types and backbone.config.type_vocab_size > 1:
        backbone.separator = separator_of(load_tokenizer(folder))
    return cast(nn.Module, backbone)


def check_decoder(folder: Path) -> None:
    """Raise InputError unless a folder holds a decoder with its language-model head and a tokenizer."""
    with readable(checked_folder(folder)):
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        tensor_files(folder)
    made_as = (getattr(config, "architectures", None) or [""])[0]
    if not made_as.endswith(("ForCausalLM", "GPT2LMHeadModel")):
        remedy = "prompting needs a decoder with its language-model head, such as Qwen/Qwen3-1.7B"
        raise InputError(f"{folder} ({made_as or config.model_type}) does not continue texts: {remedy}")


def load_decoder(source: str | Path, revision: str | None = None) -> PreTrainedModel:
    """Load a decoder with its language-model head, in float32, in evaluation mode.

    Args:
        source: A folder or a hub id.
        revision: Of a hub id.

    Raises:
        InputError: Files are missing or damaged, or the model does not continue texts.
    """
    folder = _folder(source, revision)
    check_decoder(folder)
    with readable(folder), quiet():
        loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
        network, report = loaded
    if report["missing_keys"]:
        raise InputError(
            f"{folder} has no weights for {sorted(report['missing_keys'])[:3]}; copy the whole model again"
        )
    return cast("PreTrainedModel", network.eval())


def tensor_files(folder: Path) -> dict[str, Path]:
    """Map the name of every tensor in a folder to its file; raise InputError where a file is missing or damaged."""
    index = folder / INDEX
    names = (
        sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        if index.exists()
        else ["model.safetensors"]
    )
    found: dict[str, Path] = {}
    for path in (folder / name for name in names):
        try:
            with safe_open(path, framework="pt") as file:
                found |= dict.fromkeys(file.keys(), path)
        except (SafetensorError, OSError) as error:
            if may_pass(error):
                raise
            raise InputError(
                f"weight file {path} is missing or damaged ({error}); copy or download it again"
            ) from error
    return found


def read_tensors(source: str | Path, names: Iterable[str], revision: str | None = None) -> dict[str, Tensor]:
    """Read those of the named tensors that a folder or a hub id has; the first BERTs call norms' weights otherwise."""
    files = tensor_files(_folder(source, revision))
    found: dict[str, Tensor] = {}
    for name in names:
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        for spelling in (spelling for spelling in dict.fromkeys((old, name)) if spelling in files):
            with safe_open(files[spelling], framework="pt") as file:
                found[name] = file.get_tensor(spelling)
    return found


def _folder(source: str | Path, revision: str | None) -> Path:
    """Return the local folder of a source, downloading a hub id (no code, no pickles) if it is not yet cached."""
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    return downloaded(*hub_id(str(source), revision or "main"), (*IDENTITY_FILES, "vocab.*", "merges.txt"))


def downloaded(name: str, revision: str, files: Iterable[str]) -> Path:
    """Return the folder of a hub model's snapshot with its weights, downloading what is not yet cached.

    Args:
        name: Hub id.
        revision: Branch, tag or commit.
        files: Names or patterns of the other files; no code and no pickled weights.

    Raises:
        InputError: The hub cannot be asked, or has no such model.
    """
    patterns = [*files, "*.safetensors"]
    try:
        with quiet():
            found = snapshot_download(name, revision=revision, allow_patterns=patterns, ignore_patterns="*/*")
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"cannot get {name!r} at {revision!r} from the hub ({reason}); check name and network"
        ) from error
    return Path(found)


def hub_id(name: str, revision: str) -> tuple[str, str]:
    """Split a hub id from its revision; raise InputError for what can only be a path, as no folder is there."""
    name, _, given = name.partition("@")
    if Path(name).exists() or not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", name):
        raise InputError(f"no encoder folder {name!r}; give an existing folder or a hub id (owner/name)")
    return name, given or revision


def checked_folder(folder: Path) -> Path:
    """Return a folder that has a configuration and weights; raise InputError otherwise."""
    names = sorted(path.name for path in folder.iterdir())
    if CONFIG not in names:
        raise InputError(f"{folder} has no config.json; give the folder that save_pretrained wrote")
    if not any(name.endswith(".safetensors") for name in names):
        if pickled := pickled_weights(names):
            raise InputError(
                f"{folder} has only pickled weights ({pickled}), which can run any code when they are loaded: "
                f"`xstilts convert-weights {folder} --out FOLDER` writes them as model.safetensors; then give FOLDER"
            )
        if folder.parent.name == "snapshots":  # of the hub's cache, where pickled weights are not downloaded to
            name = folder.parents[1].name.removeprefix("models--").replace("--", "/")
            raise InputError(
                f"{name} is published without safetensors; if its weights are pickled, `xstilts convert-weights {name} "
                "--out FOLDER` writes them as model.safetensors; then give FOLDER"
            )
        raise InputError(f"{folder} has no weights; save the model there as model.safetensors")
    return folder


def pickled_weights(names: Iterable[str]) -> str | None:
    """Return the first file of pickled weights among names, if there is one."""
    pickled = (name for name in sorted(names) if name.endswith((".bin", ".pt", ".pth", ".ckpt")))
    return next((name for name in pickled if name != "training_args.bin"), None)


def _with_tokenizer(folder: Path) -> Path:
    """Return a folder that has a tokenizer; raise InputError otherwise."""
    if not any((folder / name).exists() for name in (*TOKENIZER_FILES, "vocab.json", "vocab.txt")):
        raise InputError(f"{folder} has no tokenizer; save it there with tokenizer.save_pretrained")
    return folder


def _check_sentencepiece(folder: Path) -> None:
    """Raise InputError where a tokenizer is published as a SentencePiece model alone, and nothing here can read it."""
    if any((folder / name).exists() for name in ("tokenizer.json", "vocab.json", "vocab.txt")):
        return
    missing = [name for name, module in CONVERTERS.items() if not installed(module)]
    if missing:
        model = next(name for name in TOKENIZER_FILES if (folder / name).exists())
        raise InputError(
            f"the tokenizer of {folder} is only {model}, and reading it needs {' and '.join(missing)}: "
            'pip install "xstilts[sentencepiece]"'
        )


def _digest(folder: Path) -> str:
    """Hash names and contents of all files that can change a result."""
    return digest_of(
        path
        for path in folder.iterdir()
        if path.name in IDENTITY_FILES or path.suffix == ".safetensors" or path.stem in ("vocab", "merges")
    )


def digest_of(paths: Iterable[Path]) -> str:
    """Return a SHA-256 of the names and contents of files of one folder; a file is read once while it is the same."""
    total = hashlib.sha256()
    for path in sorted(paths):
        facts = path.stat()
        total.update(f"{path.name} {_file_digest(path.resolve(), facts.st_size, facts.st_mtime_ns)}\n".encode())
    return total.hexdigest()


@lru_cache(maxsize=1024)
def _file_digest(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Turn what the libraries raise for unusable files into InputError: that may be anything."""
    try:
        yield
    except InputError:
        raise
    except BaseException as error:
        panic = type(error).__name__ == "PanicException"  # of the libraries in Rust, which is no Exception
        if may_pass(error) or not (isinstance(error, Exception) or panic):
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"cannot load {folder} ({reason}); copy or download it again") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' load reports and progress bars off the screen."""
    level, bars, downloads = logging.get_verbosity(), logging.is_progress_bar_enabled(), are_progress_bars_disabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
        if not downloads:
            enable_progress_bars()
