"""Client of a language model behind an OpenAI-compatible chat completions API.

The model proposes (`llm_proposals`) and comments (`report.llm_opinion`); it never decides. Its replies are cached, so
that a report can be made again without it. The API key is read from the environment (XSTILTS_LLM_KEY) when it is sent.

>>> first_json_list('Here: ["A sentence.", 3]')
['A sentence.', 3]
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
from xstilts.runtime import whole_files

KEY_VARIABLE = "XSTILTS_LLM_KEY"
TIMEOUT = 120.0  # seconds without a byte; a whole reply may take four times as long
MAX_BYTES = 4 << 20  # largest reply in bytes
PARSE_ERRORS = (ValueError, LookupError, TypeError, RecursionError)  # what parsing a hostile reply raises


@dataclass(frozen=True)
class LanguageModel:
    """A language model at an address.

    Attributes:
        base_url: Base address of the API, such as http://127.0.0.1:8000/v1.
        name: Name of the model.
        cache: Folder of its replies.
        offline: Answer from the cache alone.

    Raises:
        InputError: The address is invalid, or holds a password or parameters.
    """

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

    def complete(self, instructions: str, text: str) -> str | None:
        """Return the model's reply, cached after the first time.

        Args:
            instructions: System message.
            text: User message.

        Returns:
            The reply; None if the request fails, or offline without a cached reply.
        """
        messages = [{"role": "system", "content": instructions}, {"role": "user", "content": text}]
        request = {"model": self.name, "messages": messages, "temperature": 0}
        path = self.cache / f"{hashlib.sha256(json.dumps([self.base_url, request]).encode()).hexdigest()}.json"
        if (cached := _cached(path)) is not None:
            return cached
        reply = None if self.offline else self._sent(request)
        if reply is not None:
            self.cache.mkdir(parents=True, exist_ok=True)
            whole_files.write(path, json.dumps({"model": self.name, "said": reply}, ensure_ascii=False) + "\n")
        return reply

    def _sent(self, request: dict[str, Any]) -> str | None:
        """Send a request; None if it fails or the reply is too large or too slow."""
        import httpx

        url, deadline = f"{self.base_url.rstrip('/')}/chat/completions", time.monotonic() + 4 * TIMEOUT
        is_remote = urlsplit(self.base_url).hostname not in LOOPBACK  # an unencrypted key is sent to no proxy
        try:
            with (
                httpx.Client(trust_env=is_remote, timeout=TIMEOUT) as http,
                http.stream("POST", url, json=request, headers=self._headers()) as response,
            ):
                response.raise_for_status()
                body = b""
                for block in response.iter_bytes():
                    body += block
                    if len(body) > MAX_BYTES or time.monotonic() > deadline:
                        return None
            content = json.loads(body)["choices"][0]["message"]["content"]
        except (httpx.HTTPError, httpx.InvalidURL, *PARSE_ERRORS):
            return None
        return CONTROL_CHARACTERS.sub(" ", content) if isinstance(content, str) else None

    def _headers(self) -> dict[str, str]:
        """Return the header with the API key, if there is one and it is not sent unencrypted to another machine."""
        key, parts = os.environ.get(KEY_VARIABLE, "").strip(), urlsplit(self.base_url)
        private = parts.scheme == "https" or parts.hostname in LOOPBACK
        return {"Authorization": f"Bearer {key}"} if key and private else {}


def first_json_list(reply: str) -> list[Any]:
    """Return the first JSON list in a reply; an empty one if there is none."""
    match = re.search(r"\[.*\]", reply, re.DOTALL)
    try:
        value = json.loads(match[0]) if match else []
    except PARSE_ERRORS:
        return []
    return value if isinstance(value, list) else []


def _cached(path: Path) -> str | None:
    """Return the cached reply in a file; None if there is none or it is damaged."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["said"])
    except (OSError, *PARSE_ERRORS):
        return None
