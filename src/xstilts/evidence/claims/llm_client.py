"""A language model that may propose evidence, behind any address that speaks as OpenAI's chat completions do.

It decides nothing. It is shown the texts of works and returns sentences; only those that stand there word for word are
looked at (`proposals`), the rest is rejected and counted. Texts are data: whatever one of them orders, nothing but a
sentence of its own can come of it. What it once said is kept, so that a report can be made again without it. The key is
read from the environment (XSTILTS_LLM_KEY) when it is sent.

>>> list(quotes('Here: ["A sentence.", 3]'))
['A sentence.']
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from xstilts.errors import InputError
from xstilts.evidence.search.hosts import LOOPBACK, parse_url
from xstilts.evidence.search.work import CONTROL_CHARACTERS
from xstilts.store import manifest

KEY_VARIABLE = "XSTILTS_LLM_KEY"
TIMEOUT = 120.0  # for bytes to come; a whole reply has four times as long
MAX_BYTES = 4 << 20  # bytes of a reply
PARSE_ERRORS = (ValueError, LookupError, TypeError, RecursionError)  # what reading a hostile reply raises


@dataclass(frozen=True)
class LanguageModel:
    """A language model of a name at an address; cache: a folder of what it said. offline: it is not asked again."""

    base_url: str
    name: str
    cache: Path
    offline: bool = False

    def __post_init__(self) -> None:
        parts = parse_url(self.base_url)
        if parts is None or parts.username or parts.query:
            raise InputError(
                f"{self.base_url!r} is not a bare address; give one such as http://127.0.0.1:8000/v1, "
                f"and its key in {KEY_VARIABLE}"
            )

    def complete(self, told: str, shown: str) -> str | None:
        """Return what it answers to instructions and a text; None where it fails. What it said once is kept."""
        messages = [{"role": "system", "content": told}, {"role": "user", "content": shown}]
        asked = {"model": self.name, "messages": messages, "temperature": 0}
        kept = self.cache / f"{hashlib.sha256(json.dumps([self.base_url, asked]).encode()).hexdigest()}.json"
        if (before := _cached(kept)) is not None:
            return before
        said = None if self.offline else self._sent(asked)
        if said is not None:
            self.cache.mkdir(parents=True, exist_ok=True)
            manifest.replaced(kept, json.dumps({"model": self.name, "said": said}, ensure_ascii=False) + "\n")
        return said

    def _sent(self, asked: dict[str, Any]) -> str | None:
        import httpx

        url, until = f"{self.base_url.rstrip('/')}/chat/completions", time.monotonic() + 4 * TIMEOUT
        away = urlsplit(self.base_url).hostname not in LOOPBACK  # a key in the clear goes to no proxy
        try:
            with (
                httpx.Client(trust_env=away, timeout=TIMEOUT) as http,
                http.stream("POST", url, json=asked, headers=self._headers()) as response,
            ):
                response.raise_for_status()
                body = b""
                for block in response.iter_bytes():
                    body += block
                    if len(body) > MAX_BYTES or time.monotonic() > until:
                        return None
            said = json.loads(body)["choices"][0]["message"]["content"]
        except (httpx.HTTPError, httpx.InvalidURL, *PARSE_ERRORS):
            return None
        return CONTROL_CHARACTERS.sub(" ", said) if isinstance(said, str) else None

    def _headers(self) -> dict[str, str]:
        """Return the header with the key, where there is one and it does not travel in the clear."""
        key, parts = os.environ.get(KEY_VARIABLE, "").strip(), urlsplit(self.base_url)
        private = parts.scheme == "https" or parts.hostname in LOOPBACK
        return {"Authorization": f"Bearer {key}"} if key and private else {}


def first_json_list(reply: str) -> list[Any]:
    """Return the first JSON list of a reply; an empty one where there is none."""
    found = re.search(r"\[.*\]", reply, re.DOTALL)
    try:
        read = json.loads(found[0]) if found else []
    except PARSE_ERRORS:
        return []
    return read if isinstance(read, list) else []


def _cached(path: Path) -> str | None:
    """Return what a file of the cache holds; None where there is none, or it is damaged."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["said"])
    except (OSError, *PARSE_ERRORS):
        return None
