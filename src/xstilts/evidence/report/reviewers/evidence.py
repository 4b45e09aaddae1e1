"""Evidence: is every quote where it is said to be? Found again by offset and digest, with code of this file alone.

A text's digest is taken anew, its characters are cut out at the offsets, and both they and the statement are brought to
letters and digits only, which is crude, and another way than the one by which they were found.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

from xstilts.evidence.report.reviewers import Check, Json, ReviewInput, check_each

ENDS = ".!?。！？؟।۔"
CLOSERS = "\"'”’»)]}"


def review(case: ReviewInput) -> tuple[Check, ...]:
    """Return whether places exist, hold what is quoted, whole, and carry what is called faithful."""
    claims, places = case.report["claims"], list(_places(case.report))
    there = ((one["name"], bool(one["locators"])) for one in claims)
    held = ((name, _holds(case, where, text)) for name, where, text in places)
    whole = ((name, _whole(case, where)) for name, where, _ in places)
    others = ((one["name"], one["corroborated"]["verified"]) for one in claims)
    return (
        check_each("every statement has a place", there, gate=True),
        check_each("every place holds the statement", held, gate=True),
        check_each("every quote ends where a sentence ends", whole, gate=True),
        check_each("what is called faithful stands in its own work, and nothing else is", _faithful(case)),
        check_each("nothing is called verified without a place", _rests(case.report), gate=True),
        check_each("works of other authors corroborate it", others),
    )


def _places(report: Json) -> Iterator[tuple[str, Json, str]]:
    for one in report["claims"]:
        for where in one["locators"]:
            yield one["name"], where, one["text"]


def _cut(case: ReviewInput, where: Json) -> str | None:
    """Return the characters at a place; None where there is no text of that digest, or it is shorter."""
    text = case.texts.get(where["sha256"])
    if text is None or hashlib.sha256(text.encode()).hexdigest() != where["sha256"]:
        return None
    return text[where["start"] : where["end"]] if 0 <= where["start"] < where["end"] <= len(text) else None


def _holds(case: ReviewInput, where: Json, text: str) -> bool:
    cut = _cut(case, where)
    return cut is not None and _same(_letters(text), _letters(cut))


def _same(said: str, printed: str) -> bool:
    """Return whether letters are equal, but for one run of digits, which pages are numbered with."""
    if said == printed:
        return True
    return len(printed) - len(said) in range(1, 9) and any(
        said == printed[:at] + printed[at + len(printed) - len(said) :]
        for at, _ in pairwise(range(len(printed) + 1))
        if printed[at : at + len(printed) - len(said)].isdigit()
    )


def _whole(case: ReviewInput, where: Json) -> bool:
    cut = _cut(case, where)
    if cut is None:
        return False
    before = case.texts[where["sha256"]][: where["start"]].rstrip()
    return (
        cut.rstrip().rstrip(CLOSERS).endswith(tuple(ENDS)) and cut[:1].strip() != "" and not before.endswith((",", "("))
    )


def _faithful(case: ReviewInput) -> Iterator[tuple[str, bool]]:
    for one in case.report["claims"]:
        verdict = one["faithful"]
        stands = any(where["work"] == one["work"] and _holds(case, where, one["text"]) for where in verdict["locators"])
        yield one["name"], stands == (verdict["status"] == "SUPPORTED")


def _rests(report: Json) -> Iterator[tuple[str, bool]]:
    for one in report["claims"]:
        for column in ("faithful", "corroborated"):
            verdict = one[column]
            rests = bool(verdict["locators"] or verdict["recomputation"])
            yield f"{one['name']} ({column})", verdict["verified"] == (verdict["status"] == "SUPPORTED" and rests)


def _letters(text: str) -> str:
    """Return the letters and digits of a text, ligatures undone, in lower case."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(letter for letter in plain if letter.isalnum())
