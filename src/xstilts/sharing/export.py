"""Export: a checkpoint as an ordinary, self-contained Hugging Face folder with a model card, ready to be shared.

The folder has the configuration with the names of the labels, the weights as safetensors, the tokenizer's files, a
model card (`README.md`) and `xstilts.json`, which keeps what the store knew: format, maximal length, trainings, scores.
ONNX files and the layout of sentence-transformers are optional. The files are written beside the folder and moved into
place together, so that a folder is never half an export.

    exported = export("work/train-xnli-seed1-…", "xnli-sw", onnx=True)
    exported.folder / "README.md"
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

from xstilts.data.dataset import EXAMPLES
from xstilts.data.examples import read as read_examples
from xstilts.errors import InputError
from xstilts.formats import task_format
from xstilts.inference import backends, onnx_export, parity
from xstilts.inference.backends import format_of
from xstilts.inference.model import LONGEST, checkpoint_labels, trained_max_length
from xstilts.models import hf_format, pooling
from xstilts.models.batch import ModelInput, batch
from xstilts.models.encoder import IDENTITY_FILES, SANDBOX, readable
from xstilts.models.heads import HEADLESS, LABELLED, is_dual_encoder, load_dual_encoder
from xstilts.models.tokenization import Ids, Tokenizer
from xstilts.runtime import progress
from xstilts.sharing import history as histories
from xstilts.sharing.model_card import CardFacts, OnnxVariant, model_card
from xstilts.sharing.usage import PIPELINES
from xstilts.store import manifest, names, query
from xstilts.tasks.base import Task

CARD = "README.md"
ONNX_FOLDER = "onnx"
WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")
DENSE = "2_Dense"
VOCABULARY = ("vocab.json", "vocab.txt", "merges.txt")
WRITTEN = (
    *(CARD, ONNX_FOLDER, names.EXPORT_FILE, "modules.json", "sentence_bert_config.json", "1_Pooling", DENSE),
    *("config_sentence_transformers.json", "fit.json", "run.json"),
)
LOCAL = ("is_local", "local_files_only", "name_or_path", "_name_or_path")  # facts of this machine
COMPARED = 64  # sequences on which an ONNX file is compared with torch
BATCH = 8
ONNX_FILES = {"onnx": "model.onnx", "onnx-int8": "model_int8.onnx"}
ONNX_TITLES = {"onnx": "float32", "onnx-int8": "weights of all products in int8"}


@dataclass(frozen=True)
class ExportedFile:
    """A file of an exported folder.

    Attributes:
        path: Its path within the folder.
        size: Bytes.
        sha256: Digest of its content.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Exported:
    """An exported folder.

    Attributes:
        folder: The folder.
        format: Task format of its head; "bitext_retrieval" for an encoder without one.
        files: Its files, by path.
        onnx: Its ONNX files with their parity.
        card: The model card.
    """

    folder: Path
    format: str
    files: tuple[ExportedFile, ...]
    onnx: tuple[OnnxVariant, ...]
    card: str

    def rows(self) -> list[dict[str, Any]]:
        """Return one dictionary a file: `path`, `size` and `sha256`."""
        return [vars(file).copy() for file in self.files]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        variants = [
            {
                "file": variant.file,
                "mebibytes": variant.mebibytes,
                "sequences": variant.sequences,
                "real_texts": variant.real,
                "difference": variant.parity.difference,
                "largest": variant.parity.largest,
                "agreement": variant.parity.agreement,
            }
            for variant in self.onnx
        ]
        return {"folder": str(self.folder), "format": self.format, "files": self.rows(), "onnx": variants}


def located(checkpoint: str | Path | Any, store: Path | None = None) -> Path:
    """Find the folder of a checkpoint.

    Args:
        checkpoint: Folder of a checkpoint or of a finished training, "sandbox", a value with such a folder as `path`
            (as `xs.train` returns), or, with a store, the key of a finished training.
        store: Where a key is looked up.

    Raises:
        InputError: There is none.
    """
    source = getattr(checkpoint, "path", checkpoint)
    if isinstance(source, str) and store is not None and source != "sandbox" and not Path(source).exists():
        if not re.fullmatch(r"[\w.+-]+", source):
            raise InputError(f"no folder {source!r}: give the folder of a checkpoint, or a training's key in {store}")
        source = query.find(store, source)[0]
    return backends.located(source)


def card_facts(
    folder: Path,
    *,
    name: str = "",
    format: str | None = None,
    base_model: str = "",
    licence: str = "",
    roles: Mapping[str, str] | None = None,
    tasks: Sequence[Task] = (),
) -> CardFacts:
    """Return what the card of a checkpoint is written from; arguments as in `export`.

    Raises:
        InputError: The configuration is damaged, the format is not one that a folder is shared with, or `base_model`
            is no id of the hub.
    """
    if base_model and not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", base_model):
        raise InputError(f"'{base_model}' is no id of the hub: give owner/name")
    format = format or format_of(folder)
    with readable(folder):
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        known = histories.history(folder, roles)
    if format not in PIPELINES:
        raise InputError(f"a folder is not shared with a head for '{format}': use one of {', '.join(PIPELINES)}")
    if "model_type" not in config:
        raise InputError(f"{folder}/config.json names no model_type: give the folder of a finished training")
    labels = checkpoint_labels(folder) if format in LABELLED else ()
    longest = trained_max_length(folder) or LONGEST
    positions = config.get("max_position_embeddings") if config["model_type"].startswith("xlm-roberta") else None
    longest = min(longest, positions - config.get("pad_token_id", 1) - 1) if positions else longest
    own = folder.parent.name if folder.name == names.MODEL_FOLDER else folder.name
    if folder == SANDBOX:
        own = "sandbox"
    family, given = config["model_type"], tuple(tasks)
    dual_encoder = format == HEADLESS and is_dual_encoder(folder)
    return CardFacts(
        name or own,
        format,
        family,
        longest,
        labels,
        known,
        base_model,
        licence,
        tasks=given,
        dual_encoder=dual_encoder,
        pooling=config.get(pooling.SETTING, pooling.FAMILY),
    )


def export(
    checkpoint: str | Path | Any,
    out: str | Path,
    *,
    onnx: bool = False,
    int8: bool = False,
    sentence_transformers: bool = False,
    name: str = "",
    format: str | None = None,
    base_model: str = "",
    licence: str = "",
    roles: Mapping[str, str] | None = None,
    tasks: Sequence[Task] = (),
    store: Path | None = None,
) -> Exported:
    """Write a checkpoint as a self-contained folder that plain transformers loads.

    Args:
        checkpoint: Folder of a checkpoint or of a finished training, "sandbox", what `xs.train` returned, or a key.
        out: Folder to write: a new one, an empty one, or one of an earlier export, which is replaced.
        onnx: Also write `onnx/model.onnx` (extra `onnx`), compared with torch.
        int8: Also write `onnx/model_int8.onnx`.
        sentence_transformers: Also write the files by which sentence-transformers loads the encoder.
        name: Name of the model in the card and its code; "": that of the folder.
        format: Task format of the head; None: as the checkpoint has it.
        base_model: Hub id of the encoder, where training began from a local folder.
        licence: Licence to publish the model under; "": the strictest of its data.
        roles: Roles of trainings by key (`history.history`).
        tasks: Tasks of the user's own that no registry has, for their licences and citations in the card.
        store: Where a key is looked up.

    Returns:
        The folder, its files with their digests, and the parity of the ONNX files.

    Raises:
        InputError: The checkpoint is damaged or incomplete, the folder holds something else, or a form cannot be made.
    """
    source, target = located(checkpoint, store), Path(out).expanduser()
    facts = card_facts(
        source,
        name=name or target.resolve().name,
        format=format,
        base_model=base_model,
        licence=licence,
        roles=roles,
        tasks=tasks,
    )
    _check_target(target, source)
    _check_whole(source)
    if sentence_transformers and facts.format != HEADLESS:
        raise InputError(
            f"{source} has a head for {facts.format}: the layout of sentence-transformers is for encoders without one "
            "(a training on bitext_retrieval, or a bare encoder)"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        part = Path(scratch) / "folder"
        part.mkdir()
        _copy(source, part)
        if sentence_transformers:
            _write_sentence_transformers(part, facts)
        variants = tuple(_onnx(source, part, facts, onnx, int8))
        facts = replace(facts, onnx=variants, sentence_transformers=sentence_transformers)
        card = model_card(facts)
        (part / CARD).write_text(card, encoding="utf-8")
        kept = {"format": facts.format, "max_length": facts.max_length, "history": facts.history.to_dict()}
        _write_json(part / histories.FILE, kept)
        files = tuple(described(part))
        _keep_others(target, part)
        if target.exists():
            target.replace(Path(scratch) / "before")
        part.replace(target)
    return Exported(target, facts.format, files, variants, card)


def _keep_others(target: Path, part: Path) -> None:
    """Copy what an earlier folder holds that no export has written: notes, scripts, a repository's `.git`."""
    for path in target.iterdir() if target.is_dir() else ():
        if not _is_exported(path.name) and not (part / path.name).exists():
            if path.is_dir() and not path.is_symlink():
                shutil.copytree(path, part / path.name, symlinks=True)
            else:
                shutil.copy2(path, part / path.name, follow_symlinks=False)


def _is_exported(name: str) -> bool:
    return bool(WEIGHTS.fullmatch(name)) or name in (*IDENTITY_FILES, *VOCABULARY, *WRITTEN)


def described(folder: Path) -> Iterator[ExportedFile]:
    """Yield the files of a folder with their sizes and digests, by path."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        yield ExportedFile(path.relative_to(folder).as_posix(), path.stat().st_size, manifest.sha256(path))


def _check_target(target: Path, source: Path) -> None:
    """Refuse to replace anything but an earlier export, or the checkpoint itself."""
    if target.resolve() == source.resolve() or target.resolve() in source.resolve().parents:
        raise InputError(f"--out {target} holds the checkpoint itself: give another folder")
    if target.is_dir() and any(target.iterdir()) and not (target / histories.FILE).is_file():
        raise InputError(f"{target} holds files of something else: give a new folder, or empty it")
    if target.exists() and not target.is_dir():
        raise InputError(f"{target} is a file: give a new folder")


def _check_whole(source: Path) -> None:
    """Refuse a checkpoint without weights, or one whose files differ from what its training wrote."""
    if not any(WEIGHTS.fullmatch(path.name) for path in source.iterdir()):
        raise InputError(f"{source} has no model.safetensors: give the folder of a finished training")
    stage = source.parent
    if source.name == names.MODEL_FOLDER and (stage / manifest.RECORD).is_file():
        damaged = [name for name in manifest.damaged_files(stage) if name.startswith(f"{names.MODEL_FOLDER}/")]
        if damaged:
            raise InputError(f"{stage} is damaged ({', '.join(damaged)}): remove the folder and run the training again")


def _copy(source: Path, part: Path) -> None:
    """Copy weights, configuration and tokenizer; what only this machine knows is left out of the JSON files."""
    for path in sorted(source.iterdir()):
        if WEIGHTS.fullmatch(path.name) or path.name in (*IDENTITY_FILES, *VOCABULARY):
            if path.name in ("config.json", "tokenizer_config.json"):
                values = json.loads(path.read_text(encoding="utf-8"))
                _write_json(part / path.name, {key: value for key, value in values.items() if key not in LOCAL})
            else:
                shutil.copyfile(path, part / path.name)


def _write_json(path: Path, values: Mapping[str, Any] | Sequence[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_sentence_transformers(part: Path, facts: CardFacts) -> None:
    """Write the modules of sentence-transformers: the encoder, and the mean of the states of all tokens.

    Of a dual encoder: what it pools, and the tanh layer of its pooler.
    """
    width = json.loads((part / "config.json").read_text(encoding="utf-8"))
    size = width.get("hidden_size") or width.get("d_model")
    head = load_dual_encoder(transformers.AutoConfig.from_pretrained(part), part) if facts.dual_encoder else None
    pool = head.pool if head else "mean"
    prefix = "sentence_transformers.models"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{prefix}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{prefix}.Pooling"},
    ]
    if head:
        modules.append({"idx": 2, "name": "2", "path": DENSE, "type": f"{prefix}.Dense"})
        activation = "torch.nn.modules.activation.Tanh"
        layer = {"in_features": size, "out_features": size, "bias": True, "activation_function": activation}
        _write_json(part / DENSE / "config.json", layer)
        tensors = {f"linear.{name}": tensor.contiguous() for name, tensor in head.dense.state_dict().items()}
        save_file(tensors, part / DENSE / "model.safetensors")
    _write_json(part / "modules.json", modules)
    _write_json(part / "sentence_bert_config.json", {"max_seq_length": facts.max_length, "do_lower_case": False})
    pooling = {
        "word_embedding_dimension": size,
        "pooling_mode_cls_token": pool == "first",
        "pooling_mode_mean_tokens": pool in ("mean", "late"),
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
        "include_prompt": True,
        **({"pooling_mode_lasttoken": True} if pool == "last" else {}),
    }
    _write_json(part / "1_Pooling" / "config.json", pooling)
    settings: dict[str, Any] = {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    _write_json(part / "config_sentence_transformers.json", settings)


# ONNX.


def _onnx(source: Path, part: Path, facts: CardFacts, onnx: bool, int8: bool) -> Iterator[OnnxVariant]:
    """Write the ONNX files that were asked for, and compare them with torch."""
    if not (onnx or int8):
        return
    folder = part / ONNX_FOLDER
    folder.mkdir()
    network, tokenizer, _ = hf_format.load(source, facts.format)
    module = backends.Answering(network.eval().requires_grad_(False)).eval()
    batches, real = _batches(source, facts, Tokenizer.of(tokenizer))
    expected = [_answer(module, ids, mask) for ids, mask in batches]
    exact = folder / ONNX_FILES["onnx"]
    progress.note("exporting to ONNX, and comparing with torch")
    onnx_export.onnx(module, exact)
    if onnx:
        yield _variant("onnx", exact, facts, batches, expected, real)
    if int8:
        path = folder / ONNX_FILES["onnx-int8"]
        onnx_export.quantised(exact, path)
        yield _variant("onnx-int8", path, facts, batches, expected, real)
    if not onnx:
        for path in (exact, exact.with_name(f"{exact.name}.data")):
            path.unlink(missing_ok=True)


Batches = list[tuple[torch.Tensor, torch.Tensor]]


def _answer(module: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return module(ids, mask).float()  # type: ignore[no-any-return]


def _variant(
    variant: str, path: Path, facts: CardFacts, batches: Batches, expected: list[torch.Tensor], real: bool
) -> OnnxVariant:
    ask = onnx_export.opened(path)
    total = parity.Parity()
    for (ids, mask), logits in zip(batches, expected, strict=True):
        outputs = torch.from_numpy(ask(ids.numpy(), mask.numpy()))
        total = total.combined(parity.compare(outputs, logits, mask, facts.format))
    sequences = sum(len(ids) for ids, _ in batches)
    size = onnx_export.size(path) / 2**20
    return OnnxVariant(f"{ONNX_FOLDER}/{ONNX_FILES[variant]}", ONNX_TITLES[variant], size, total, sequences, real)


def _batches(source: Path, facts: CardFacts, tokenizer: Tokenizer) -> tuple[Batches, bool]:
    """Return padded batches to compare on: of the task's own data in the store, else of random tokens."""
    sequences = list(islice(_real_sequences(source, facts, tokenizer), COMPARED))
    real = bool(sequences)
    if not real:
        random, special = np.random.default_rng(0), tokenizer.special
        ordinary = np.array([number for number in range(len(tokenizer)) if number not in special], dtype=np.int32)
        lengths = random.integers(2, min(32, tokenizer.room(facts.max_length, pair=False)) + 1, COMPARED)
        sequences = [tokenizer.sequence(random.choice(ordinary, length)) for length in lengths]
    groups = [sequences[start : start + BATCH] for start in range(0, len(sequences), BATCH)]
    batches = [batch([ModelInput(0, tuple(group))], tokenizer, torch.empty(0)) for group in groups]
    return [(item.ids, item.mask) for item in batches], real


def _real_sequences(source: Path, facts: CardFacts, tokenizer: Tokenizer) -> Iterator[Ids]:
    """Yield the sequences of examples of the last training's development data, else of its training data."""
    for path in _example_files(source, facts.format):
        examples = list(islice(read_examples(path, facts.format), COMPARED))
        if examples:
            how = task_format(facts.format)
            for item in how.encode(examples, tokenizer, facts.max_length, facts.labels, Counter()):
                yield from item.sequences
            return


def _example_files(source: Path, format: str) -> Iterator[Path]:
    stage = source.parent
    if source.name != names.MODEL_FOLDER or not (stage / manifest.RECORD).is_file():
        return
    for stored in manifest.read(stage)["arguments"].get("lessons") or ():
        if names.format_from_key(stored.get("kind", "")) == format:
            for split in filter(None, (stored.get("dev"), *(stored.get("train") or ()))):
                yield from stage.parent.glob(f"*-{split['stage']}/{EXAMPLES}")
