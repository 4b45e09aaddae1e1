"""Language guess: the language of a file's texts, by py3langid, with the share of the texts that agree.

A single short text is often guessed wrong, so texts are joined until they are long enough, and each such piece votes.
Without the extra `langid` nothing is guessed.

>>> guess(["Kitabu hiki ni kizuri sana na nilikisoma kwa furaha.", "Sikupenda filamu hii hata kidogo."]).code
'sw'
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from xstilts.data.languages import languages

SAMPLE = 400  # texts that are looked at
LONG_ENOUGH = 120  # characters of a piece that votes
CLEAR = 0.7  # share of the votes from which a guess is taken


@dataclass(frozen=True)
class Guess:
    """A guessed language.

    Attributes:
        code: Its code; "" for a language that is not in the table of languages.
        name: Its name, or the code that the library gives.
        share: The share of the votes that it has.
        votes: How many pieces of text voted.
    """

    code: str
    name: str
    share: float
    votes: int

    @property
    def clear(self) -> bool:
        """Whether most of the texts agree on a known language."""
        return bool(self.code) and self.share >= CLEAR

    def __str__(self) -> str:
        return f"{self.code or self.name} ({self.name}, {self.share:.0%} of {self.votes} pieces of text)"


def guess(texts: Iterable[str]) -> Guess | None:
    """Guess the language of texts.

    Args:
        texts: Texts of one file; the first `SAMPLE` are looked at.

    Returns:
        The language with the most votes; None without texts, or where py3langid is not installed.
    """
    try:
        import py3langid
    except ImportError:
        return None
    votes = Counter(py3langid.classify(piece)[0] for piece in _pieces(itertools.islice(texts, SAMPLE)))
    if not votes:
        return None
    (code, count), *_ = votes.most_common(1)
    known = languages().get(code)
    return Guess(code if known else "", known.name if known else code, count / votes.total(), votes.total())


def _pieces(texts: Iterable[str]) -> list[str]:
    """Return the texts, short ones joined."""
    pieces = [""]
    for text in texts:
        if len(pieces[-1]) >= LONG_ENOUGH:
            pieces.append("")
        pieces[-1] = f"{pieces[-1]} {text}".strip()
    if len(pieces) > 1 and len(pieces[-1]) < LONG_ENOUGH:
        pieces.pop()
    return [piece for piece in pieces if piece]
