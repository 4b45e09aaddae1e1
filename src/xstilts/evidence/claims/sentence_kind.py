"""The kind of a sentence: a finding of its own work, or an aim, background, method, others' result or reading list.

It is read from cues of the field's abstracts (`moves.toml`): who speaks, whether something is reported as observed,
what a result consists of, and where the sentence stands. Before a work first speaks of itself, all is background; after
its first result, an unmarked sentence with an effect is one of its findings. No cue names a topic, so that other nouns
leave the kind as it is. Where the cues do not decide, there is none ("").

>>> abstract = (
...     "Overlap is often thought to help.",
...     "We study six languages.",
...     "We find that overlap does not help.",
...     "Longer words help more.",
... )
>>> kinds(abstract)
('background', 'aim', 'finding', 'finding')
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Literal, get_args

from xstilts.evidence.text.stemming import load_table

Kind = Literal["finding", "aim", "background", "method", "others' result", "reading list", ""]
KINDS: tuple[Kind, ...] = get_args(Kind)
CITATION = re.compile(
    r"\([^()]*\b(?:19|20)\d\d[a-z]?\)|\bet al\.?,? \(?(?:19|20)\d\d|\[\d+(?:[,–-] ?\d+)*\]|\(CITATION\)"
)
SEE = re.compile(
    r"^(?:see\b|for (?:an? |more |further )?(?:\w+ )?(?:overview|survey|review|reading|details))", re.IGNORECASE
)
MANY_CITATIONS = 3
NEAR = r"(?:[\w’'-]+,? ){0,3}?"  # "we also empirically show"
NOUNS = r"(?:(?!(?:previous|prior|recent|other|earlier|to) )[^\s,;]+ ){0,6}?"  # "extensive experiments", "the analysis"
LEAD = r"(?:[^\s.;:]+ ){0,9}?"  # "our experiments on three tasks and two models show"
CONTRAST = re.compile(  # what precedes is of others, what follows is the work's own
    r"^(?:while|although|though|unlike|contrary to|in contrast to|compared (?:to|with)|despite"
    r"|whereas)\b[^,;]*(?:,|;)\s*",
    re.IGNORECASE,
)
GIVEN = re.compile(
    r"^(?:given|to (?:better |further )?\w+|in order to \w+|by \w+ing|using|based on|with)\b[^,;]*,\s*", re.IGNORECASE
)


def kinds(sentences: Sequence[str]) -> tuple[Kind, ...]:
    """Return the kind of each sentence of an abstract or of a part of a text.

    Args:
        sentences: Whole sentences in their order.

    Returns:
        A kind per sentence; "" where the cues do not decide.
    """
    own = [_speaks(text) for text in sentences]
    first_own = own.index(True) if True in own else None
    result_seen = False
    result: list[Kind] = []
    for position, text in enumerate(sentences):
        before_own = first_own is not None and position < first_own
        kind = _kind(text, before_own, result_seen or first_own is None)
        result_seen = result_seen or (kind == "finding" and not before_own)
        result.append(kind)
    return tuple(result)


def _kind(text: str, before_own: bool, result_seen: bool) -> Kind:
    """Return the kind of a sentence.

    Args:
        text: The sentence.
        before_own: Whether it stands before the work speaks of itself.
        result_seen: Whether the work has stated a result, or never speaks of itself.
    """
    if _is_list(text):
        return "reading list"
    if text.rstrip(" \"'”’)").endswith(("?", "؟")):
        return "aim"
    own_part = CONTRAST.sub("", text) if _speaks(CONTRAST.sub("", text)) else text
    if _speaks(own_part):
        return _own_kind(own_part)
    if before_own:
        return "background"
    if _has("voice.others", text):
        return "others' result"
    if _has("background.gap", text) and not _has("score", text):
        return "background"
    if not _states(text):
        return ""
    if result_seen or any(_has(name, text) for name in ("score", "comparison", "participle")):
        return "finding"
    return ""


def _own_kind(text: str) -> Kind:
    """Return the kind of a sentence in which the work speaks of itself."""
    reports = _observes(text)
    states = _states(text) or _has("report_that", text)
    if _has("conjecture_of_own", text) and not (reports and _reports_first(text)):
        return "aim"
    if _has("goal_of_own", text) and not _has("and_reports", text):
        return "aim"
    if reports and states:
        return "" if _announces(text) else "finding"
    if _has("aim_of_own", text) and not reports and not _has("score", text):
        return "aim"
    if _has("invention_of_own", text) and not _has("score", text) and not _has("comparison", text):
        return "method"
    if states and (_has("gain_of_own", text) or (_has("our", text) and _has("comparison", text))):
        return "finding"
    if _has("aim_of_own", text):
        return "aim"
    if _has("method_of_own", text):
        return "finding" if _has("score", text) and _has("gain", text) else "method"
    return ""


def _states(text: str) -> bool:
    """Return whether a sentence has words of an effect, a comparison or a score."""
    return any(_has(name, text) for name in ("effect", "comparison", "score"))


def _observes(text: str) -> bool:
    return bool(_has("report_of_own", text) or _has("participle", text))


def _reports_first(text: str) -> bool:
    """Return whether the report stands before the conjecture: "we show that it helps, and argue that …"."""
    report = _pattern("report_of_own").search(text) or _pattern("participle").search(text)
    guess = _pattern("conjecture_of_own").search(text)
    return bool(report and guess and report.start() < guess.start())


def _announces(text: str) -> bool:
    """Return whether the only report is one that tells what comes: "we show how it can be used"."""
    rest = _pattern("announce").sub(" ", text)
    return not (_observes(rest) or _has("score", text)) and _has("announce", text)


def _speaks(text: str) -> bool:
    """Return whether a work speaks of itself in a sentence."""
    return _has("voice.own", text) or _has("results_speak", text)


def _is_list(text: str) -> bool:
    cited = len(CITATION.findall(text))
    return bool(SEE.match(text) and cited) or (cited >= MANY_CITATIONS and not _has("report_of_own", text))


def _has(name: str, text: str) -> bool:
    return bool(_pattern(name).search(text))


@cache
def _pattern(name: str) -> re.Pattern[str]:
    tables: Mapping[str, Mapping[str, Sequence[str]]] = load_table("moves.toml")
    result, plan = tables["result"], tables["plan"]
    own, subject = "we,?", _any(result["subject"])
    report = rf"(?:{_any(result['report'])}|{_any(result['report_with_that'])}(?= that))"
    and_report = rf"\b(?:and|but) (?:also |then )?(?:\w+ly )?{report}"
    texts = {
        "voice.own": _any(tables["voice"]["own"]),
        "voice.others": _any(tables["voice"]["others"]),
        "background.gap": _any(tables["background"]["gap"]),
        "report_of_own": (
            rf"\bwe,? {NEAR}(?<!to ){report}|{and_report}|\b(?:our|this) (?:paper|work|study) {NEAR}{report}"
            rf"|(?:^|[,;:] |\b(?:and|while|as|but|thus) ){NOUNS}{subject},? {LEAD}(?<!to ){report}"
        ),
        "and_reports": and_report,
        "results_speak": rf"^{NOUNS}{subject},? {LEAD}(?<!to ){report}",
        "report_that": rf"{report} (?:that|:)",
        "our": r"\b(?:our|the proposed|the resulting|we)\b",
        "comparison": _any(result["comparison"]),
        "gain_of_own": (
            rf"\b{own} {NEAR}{_any(result['gain'])}"
            rf"|\b(?:our|the proposed|the resulting|this|the new) (?:[^\s.;:]+ ){{1,9}}?{_any(result['gain'])}"
        ),
        "gain": _any(result["gain"]),
        "participle": _any(result["participle"]),
        "effect": _any(result["effect"]),
        "score": _any(result["score"]),
        "conjecture_of_own": (
            rf"(?:\bwe|{subject}|{_any(tables['voice']['own'][3:4])}),? {NEAR}{_any(plan['conjecture'])}"
        ),
        "announce": _any(plan["announce"]),
        "aim_of_own": rf"(?:\bwe|{_any(tables['voice']['own'][3:4])}) {NEAR}{_any(plan['aim'])}",
        "invention_of_own": rf"(?:\bwe|{_any(tables['voice']['own'][3:4])}),? {NEAR}{_any(plan['invention'])}",
        "goal_of_own": rf"(?:\bwe|{_any(tables['voice']['own'][3:4])}) {NEAR}{_any(plan['goal'])}",
        "method_of_own": rf"\b(?:we|our|{_any(tables['voice']['own'][1:])}) {NEAR}{_any(plan['method'])}",
    }
    return re.compile(texts[name], re.IGNORECASE)


def _any(words: Sequence[str]) -> str:
    return rf"(?<![\w-])(?:{'|'.join(words)})(?![\w-])"
