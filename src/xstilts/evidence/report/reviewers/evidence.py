"""Reviewer "evidence": whether every quote is at its place, checked by offset and digest with this module's own code.

A text's digest is computed again and its characters are cut out at the offsets. Both these and the statement are
reduced to letters and digits, which is cruder than, and independent of, the method by which they were found.
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
    """Return checks that places exist, hold the quote, are whole sentences, and support what is called faithful."""
    claims, places = case.report["claims"], list(_places(case.report))
    with_place = ((claim["name"], bool(claim["locators"])) for claim in claims)
    at_place = ((name, _holds(case, where, text)) for name, where, text in places)
    whole_sentences = ((name, _whole(case, where)) for name, where, _ in places)
    others = ((claim["name"], claim["corroborated"]["verified"]) for claim in claims)
    return (
        check_each("every statement has a place", with_place, gate=True),
        check_each("every place holds the statement", at_place, gate=True),
        check_each("every quote ends where a sentence ends", whole_sentences, gate=True),
        check_each("exactly the statements called faithful occur in their own work", _faithful(case), floor=1),
        check_each("nothing is called verified without a place", _rests(case.report), gate=True),
        check_each("works of other authors corroborate it", others),
    )


def _places(report: Json) -> Iterator[tuple[str, Json, str]]:
    for claim in report["claims"]:
        for locator in claim["locators"]:
            yield claim["name"], locator, claim["text"]


def _cut(case: ReviewInput, locator: Json) -> str | None:
    """Return the characters at a place; None if there is no text of that digest, or it is shorter."""
    text = case.texts.get(locator["sha256"])
    if text is None or hashlib.sha256(text.encode()).hexdigest() != locator["sha256"]:
        return None
    return text[locator["start"] : locator["end"]] if 0 <= locator["start"] < locator["end"] <= len(text) else None


def _holds(case: ReviewInput, locator: Json, text: str) -> bool:
    cut = _cut(case, locator)
    return cut is not None and _same(_letters(text), _letters(cut))


def _same(quoted: str, printed: str) -> bool:
    """Return whether letters are equal but for one run of digits, such as a page number."""
    if quoted == printed:
        return True
    return len(printed) - len(quoted) in range(1, 9) and any(
        quoted == printed[:index] + printed[index + len(printed) - len(quoted) :]
        for index, _ in pairwise(range(len(printed) + 1))
        if printed[index : index + len(printed) - len(quoted)].isdigit()
    )


def _whole(case: ReviewInput, locator: Json) -> bool:
    cut = _cut(case, locator)
    if cut is None:
        return False
    before = case.texts[locator["sha256"]][: locator["start"]].rstrip()
    return (
        cut.rstrip().rstrip(CLOSERS).endswith(tuple(ENDS)) and cut[:1].strip() != "" and not before.endswith((",", "("))
    )


def _faithful(case: ReviewInput) -> Iterator[tuple[str, bool]]:
    for claim in case.report["claims"]:
        verdict = claim["faithful"]
        stands = any(
            locator["work"] == claim["work"] and _holds(case, locator, claim["text"]) for locator in verdict["locators"]
        )
        yield claim["name"], stands == (verdict["status"] == "SUPPORTED")


def _rests(report: Json) -> Iterator[tuple[str, bool]]:
    for claim in report["claims"]:
        for column in ("faithful", "corroborated"):
            verdict = claim[column]
            rests = bool(verdict["locators"] or verdict["recomputation"])
            yield f"{claim['name']} ({column})", verdict["verified"] == (verdict["status"] == "SUPPORTED" and rests)


def _letters(text: str) -> str:
    """Return the letters and digits of a text in lower case, without ligatures."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in folded if character.isalnum())
