"""Translation model: a sequence-to-sequence model of transformers that translates texts, always to the same result.

MarianMT, M2M100, NLLB and mBART models, or any other that `AutoModelForSeq2SeqLM` loads, from a folder or the hub. How
a language is called is found in the tokenizer's own vocabulary: `__sw__` of M2M100, `swh_Latn` of NLLB, `sw_KE` of
mBART, `>>swh<<` of Marian models with several targets; a Marian model of one pair has no such tokens. Decoding is
greedy, or a beam search, without random numbers.

>>> Translator.named("Helsinki-NLP/opus-mt-{source}-{target}", "en", "sw")
'Helsinki-NLP/opus-mt-en-sw'
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import try_to_load_from_cache

from xstilts.data.languages import ARTIFICIAL, iso3, language
from xstilts.errors import InputError
from xstilts.models.encoder import checked_folder, commit_of, digest_of, downloaded, hub_id, quiet, readable
from xstilts.runtime.machine import Runtime
from xstilts.store.identity import identity

FILES = (  # what decides a translation
    "config.json",
    "generation_config.json",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "source.spm",
    "target.spm",
    "sentencepiece.bpe.model",
    "spiece.model",
)
BATCH = 32  # texts that are translated together
LONGEST = 512  # tokens of a text, at most; a longer one is divided between sentences
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
# Names of languages in the vocabularies of NLLB and others that are not those of this package's table.
OTHER_NAMES = {
    "ar": ("arb",),
    "az": ("azj",),
    "et": ("ekk",),
    "ku": ("kmr",),
    "mg": ("plt",),
    "mn": ("khk",),
    "no": ("nob", "nb"),
    "om": ("gaz",),
    "ps": ("pbt",),
    "qu": ("quy",),
    "sq": ("als",),
    "sw": ("swa",),
    "uz": ("uzn",),
    "yi": ("ydd",),
    "zh": ("zho",),
}


@identity("Translator", excluded=("folder",))
@dataclass(frozen=True)
class Translator:
    """A translation model by identity, and how it decodes.

    Args:
        name: Hub id, or the folder's name.
        digest: Commit, or the digest of the folder's files.
        folder: Where the files are; no part of the identity.
        beams: Beams of the search; 1: greedy.
    """

    name: str
    digest: str
    folder: str = field(default="", compare=False, repr=False)
    beams: int = 1

    @staticmethod
    def named(template: str, source: str, target: str) -> str:
        """Return the name of a model for a pair of languages: `{source}` and `{target}` stand for their codes."""
        return template.replace("{source}", source).replace("{target}", target)

    @classmethod
    def of(cls, name: str, beams: int = 1) -> Translator:
        """Identify a translation model.

        Args:
            name: A local folder, or a hub id (owner/name or owner/name@revision).
            beams: Beams of the search; 1: greedy.

        Returns:
            The model; of the hub at the commit that its revision names now, where that can be found out.

        Raises:
            InputError: A folder has no configuration or weights, or there are less than one beam.
        """
        if beams < 1:
            raise InputError(f"{beams} beams cannot be searched with: give 1 (greedy) or more")
        folder = Path(name).expanduser()
        if folder.is_dir():
            path = folder.resolve()
            return cls(path.name, _digest(checked_folder(path)), str(path), beams)
        name, revision = hub_id(name, "main")
        return cls(name, _commit(name, revision), beams=beams)

    def check(self, source: str, target: str) -> None:
        """Check that the model loads here and knows both languages, without loading its weights.

        Raises:
            InputError: It does not; the message says why and what to do. Of a model that is not on this machine
                nothing is checked.
        """
        if folder := self.local_folder():
            checked_folder(folder)
            tokenizer, config = _tokenizer(folder), _config(folder)
            if not config.is_encoder_decoder:
                raise InputError(f"{self.name} ({config.model_type}) is no sequence-to-sequence model: give one")
            languages_of(tokenizer, source, target, self.name)

    def local_folder(self) -> Path | None:
        """Return the model's folder, or that of its snapshot in the hub's cache; None where it is not here."""
        if self.folder:
            if not Path(self.folder).is_dir():
                raise InputError(f"the folder {self.folder} of the translation model is no longer there")
            return Path(self.folder)
        cached = try_to_load_from_cache(self.name, "config.json", revision=self.digest)
        folder = Path(cached).parent if isinstance(cached, str) else None
        return folder if folder and any(folder.glob("*.safetensors")) else None

    def load(self, source: str, target: str, machine: Runtime) -> TextTranslator:
        """Load the model for a pair of languages.

        Args:
            source: Code of the language of the texts.
            target: Code of the language to translate into.
            machine: Device and arithmetic.

        Raises:
            InputError: Files are missing, or the model has no such language.
        """
        folder = self.local_folder() or downloaded(self.name, self.digest, FILES)
        checked_folder(folder)
        tokenizer = _tokenizer(folder)
        with readable(folder), quiet():
            model = transformers.AutoModelForSeq2SeqLM.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
            )
        return TextTranslator(self, model.eval().to(machine.torch_device()), tokenizer, source, target, machine)


class TextTranslator:
    """A loaded translation model for a pair of languages.

    Attributes:
        divided: How many texts were longer than the model reads and were divided between sentences.
        cut: How many sentences were longer still, and were cut.
        tokens: How many tokens were written.
    """

    def __init__(
        self, translator: Translator, model: Any, tokenizer: Any, source: str, target: str, machine: Runtime
    ) -> None:
        self.translator, self.model, self.tokenizer, self.machine = translator, model, tokenizer, machine
        self.source_name, self.target_name = languages_of(tokenizer, source, target, translator.name)
        self.prefix = f"{self.target_name} " if self.target_name.startswith(">>") else ""
        if self.source_name and not self.prefix:
            tokenizer.src_lang = _bare(self.source_name)
        limits = (tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", LONGEST), LONGEST)
        self.longest = min(int(limit) for limit in limits)
        self.divided = self.cut = self.tokens = 0

    def translate(self, texts: Sequence[str]) -> list[str]:
        """Translate texts.

        Args:
            texts: Any number; they are translated in batches of similar length.

        Returns:
            Their translations, in order. A text of white space is not translated.
        """
        parts = [self._parts(text) for text in texts]
        distinct = sorted({part for row in parts for part in row}, key=lambda part: (len(part), part))
        translations: dict[str, str] = {}
        for start in range(0, len(distinct), BATCH):
            batch = distinct[start : start + BATCH]
            translations |= zip(batch, self._translated(batch), strict=True)
        return [" ".join(translations[part] for part in row) for row in parts]

    def _parts(self, text: str) -> list[str]:
        """Return a text, or its sentences in groups that the model can read."""
        if not text.strip():
            return []
        if self._length(text) <= self.longest:
            return [text]
        self.divided += 1
        parts: list[str] = []
        for sentence in filter(None, SENTENCE_END.split(text)):
            together = f"{parts[-1]} {sentence}" if parts else sentence
            if parts and self._length(together) <= self.longest:
                parts[-1] = together
            else:
                parts.append(sentence)
        self.cut += sum(self._length(part) > self.longest for part in parts)
        return parts

    def _length(self, text: str) -> int:
        return len(self.tokenizer(self.prefix + text, verbose=False)["input_ids"])

    def _translated(self, texts: list[str]) -> list[str]:
        encoded = self.tokenizer(
            [self.prefix + text for text in texts],
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=self.longest,
        ).to(self.machine.torch_device())
        encoded.pop("token_type_ids", None)
        first = {} if self.prefix or not self.target_name else {"forced_bos_token_id": self._id(self.target_name)}
        with torch.inference_mode(), self.machine.arithmetic(), quiet():
            ids = self.model.generate(
                **encoded,
                **first,
                do_sample=False,
                num_beams=self.translator.beams,
                max_new_tokens=min(self.longest - 1, 2 * encoded["input_ids"].shape[1] + 10),
            )
        self.tokens += int((ids != self.model.config.pad_token_id).sum())
        decoded = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
        return [text.strip().removeprefix(self.target_name).strip() for text in decoded]

    def _id(self, token: str) -> int:
        return int(self.tokenizer.convert_tokens_to_ids(token))


def languages_of(tokenizer: Any, source: str, target: str, name: str) -> tuple[str, str]:
    """Return the tokens by which a tokenizer knows two languages; "" for both where it knows none by name.

    Raises:
        InputError: It has tokens for languages, and none for one of these.
    """
    beside = getattr(tokenizer, "lang_token_to_id", {})  # M2M100's are beside the vocabulary
    tokens = {*tokenizer.get_vocab(), *tokenizer.all_special_tokens, *beside}
    named = [token for token in tokens if _language_token(token)]
    if not named:
        return "", ""
    one_sided = all(token.startswith(">>") for token in named)
    return "" if one_sided else _token(named, source, name), _token(named, target, name)


LANGUAGE_TOKEN = re.compile(r"__(\w{2,3})__|([a-z]{2,3})_([A-Z][a-z]{3}|[A-Z]{2})|>>(\w{2,8})<<")


def _language_token(token: str) -> bool:
    return bool(LANGUAGE_TOKEN.fullmatch(token))


def _bare(token: str) -> str:
    """Return what a tokenizer's `src_lang` is called for a language token: M2M100's without its underscores."""
    return token.strip("_")


def _token(named: Sequence[str], code: str, model: str) -> str:
    known = language(code)
    codes = (code, *(() if code in ARTIFICIAL else (iso3(code),)), *OTHER_NAMES.get(code, ()))
    matching = [token for token in sorted(named) if token.strip("_><").split("_")[0] in codes]
    if not matching:
        raise InputError(f"the translation model {model} has no language '{code}' ({known.name}): give one that has")
    scripts = {"Hans": ("Hans", "CN"), "Latn": ("Latn",)}.get(known.script, (known.script,))
    return next((token for token in matching if token.strip("_><").endswith(scripts)), matching[0])


@lru_cache(maxsize=4)
def _tokenizer(folder: Path) -> Any:
    with readable(folder), quiet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    if hasattr(tokenizer, "punc_normalizer"):  # Marian's, which depends on whether sacremoses is installed
        tokenizer.punc_normalizer = str
    return tokenizer


def _config(folder: Path) -> Any:
    with readable(folder):
        return transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)


_commit = lru_cache(maxsize=64)(commit_of)  # one model translates many splits


def _digest(folder: Path) -> str:
    return digest_of(path for path in folder.iterdir() if path.name in FILES or path.suffix == ".safetensors")
