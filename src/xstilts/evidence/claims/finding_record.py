"""What a finding says: its subject, what it is compared with, the outcome, the setting, and the stance on the outcome.

All is read from the sentence; "our method" is named, and the setting completed, from the text around it. The stance
is read from the predicate (`stance.toml`) of the first clause that has one, and only if subject and outcome are read
and no other predicate of the sentence speaks against it. What is not read is "not stated".

>>> record = read_finding("We find that frozen layers improve transfer over full fine-tuning on XNLI.")
>>> record.subject, record.compared_with, record.outcome, record.stance
('frozen layers', 'full fine-tuning', 'transfer', 'more/better')
>>> read_finding("Transfer learning has gained popularity.").stance
'not stated'
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal, get_args

from xstilts.evidence.claims.bearing import phrases, roots, specific_roots
from xstilts.evidence.claims.question import find_terms
from xstilts.evidence.text.stemming import load_table

Stance = Literal["more/better", "less/worse", "no difference", "depends", "not stated"]
STANCES: tuple[Stance, ...] = get_args(Stance)
NOT_STATED = "not stated"
OPPOSED = {
    frozenset(pair)
    for pair in (("more/better", "less/worse"), ("more/better", "no difference"), ("less/worse", "no difference"))
}
TURNED: dict[Stance, Stance] = {"more/better": "less/worse", "less/worse": "more/better"}
REPORT = re.compile(  # "Our experiments on two tasks show that", "we also find"
    r"^.*?\b(?:show|find|found|demonstrat|observ|discover|reveal|confirm|conclud|suggest|indicat|establish|verif|prov"
    r"|illustrat|highlight|report|underlin|corroborat|identif)(?:s|e|es|ed|n|ies|ied|y|ing)?(?: empirically)?"
    r"(?: (?:clear |strong |some |no )?evidence)?(?: that|,| :|:)?\s+(?:that )?",
    re.IGNORECASE,
)
LEAD = re.compile(
    r"^(?:(?:however|moreover|furthermore|additionally|in addition|in contrast|particularly|in particular"
    r"|specifically|finally|lastly"
    r"|overall|importantly|most importantly|interestingly|surprisingly|notably|indeed|also|further|then|thus"
    r"|therefore|meanwhile"
    r"|conversely|similarly|in fact|for example|for instance|on average|contrary to [^,]*|unlike [^,]*"
    r"|compared (?:to|with) [^,]*"
    r"|while [^,]*|although [^,]*|despite [^,]*|given [^,]*|in (?:the|a|this|our|both|most|all|few"
    r"|many) [^,]*|for [^,]*|when [^,]*|with [^,]*|by [^,]*ing [^,]*|on [^,]*|using [^,]*|through [^,]*"
    r"|among [^,]*|under [^,]*|first|second|third|\(?\d\)|\w+ly),\s*)+",
    re.IGNORECASE,
)
CLAUSE = re.compile(
    r"(?:;|, (?:but|while|whereas|and|although|though)\b|\b(?:but|whereas|although|while)\b|, (?=(?:which"
    r"|suggest|show|mak|lead)\w*\b)|\band (?=(?:we|our|the|these|further)\b[^,;.]{0,30}?\b"
    r"(?:shows?|finds?|found|suggests?|indicates?|demonstrates?|reveals?|observed?)\b))",
    re.IGNORECASE,
)
CONTRAST = re.compile(r"\w,? (?:but(?! also| we)|while(?! \w+ing\b)|whereas|although|though)\b", re.IGNORECASE)
CONDITION = re.compile(
    r"\b(?:(?:particularly|especially|more|most) (?:\w+ )?(?:when|if)|only (?:when|if|for)|unless|as long as"
    r"|provided that|for tasks"
    r"|in tasks|for some|in some|sometimes|if)\b",
    re.IGNORECASE,
)
DENIED = re.compile(r"\b(?:not|no|never|neither|nor|hardly|rarely)\b", re.IGNORECASE)
DENIES = re.compile(
    r"(?:\b(?:not|no|never|neither|nor|hardly|rarely|fails? to|unable to|cannot)|n[\'’]t)(?: \w+){0,2} ?$",
    re.IGNORECASE,
)
VERB = re.compile(r"\b(?:is|are|was|were|var(?:y|ies)|depends?|differs?|can|has|have|does)\b", re.IGNORECASE)
BY = re.compile(r"\bby (?:\w+ly )?(?:simply )?(?P<subject>(?:\w+ing) [^,;]{3,120})", re.IGNORECASE)
SELF = re.compile(
    r"^(?:it|they|this|these|those|we|our (?:\w+[- ]){0,2}?(?:method|approach|model|system|framework"
    r"|technique|strategy|algorithm|models|methods|approaches|metric|measure|results?|experiments|work)"
    r"|(?:the|this|the proposed|our proposed) (?:\w+ ){0,2}?(?:method|approach|model|system|framework"
    r"|technique|strategy|algorithm|metric|measure|models|methods))(?: (?:\w+ly )?\w+s(?: \w+)?)?$",
    re.IGNORECASE,
)
UNRESOLVED = re.compile(
    r"^(?:it|they|this|these|those|that|which|one|such|both|who|what|to|here|ones?|others?)$"
    r"|^(?:the |our |experimental |extensive )*(?:results?|experiments?|findings?|analys[ie]s|evaluations?"
    r"|observations?|work|paper|study|(?:correlation )?coefficients?)\b"
    r"|\b(?:we|is|are|was|were|there|either|can|cannot|lies?|has|have|had|does|do|i|it|they|whether|because"
    r"|which|who)\b",
    re.IGNORECASE,
)
PROPOSAL = re.compile(
    r"\b(?:propos|introduc|present|develop|design|investigat|stud|explor)(?:e|es|ed|ing|y|ies|ied|s)? (?:(?:a"
    r"|an|the|our|two|three|several|novel|new|simple|effective|and|yet|but)[, ]+)*(?P<name>[^,.;:()]{3,90})",
    re.IGNORECASE,
)
TRIM = re.compile(
    r"^(?:that|the|a|an|our|of|in|to|and|also|both|only|even|such|these|those|this|how|using|by|with|simply|both) +",
    re.IGNORECASE,
)
TAIL = re.compile(
    r"[\s,;:(]+(?:can|could|may|might|will|would|does|do|is|are|was|were|has|have|to|also|often|consistently"
    r"|significantly|substantially|generally|usually|not|and|or|that|which|successfully|further|even|still"
    r"|always|strongly|largely|of|in|as|being|be|by"
    r"|(?:(?:is|are|was|were) (?:also )?able|manages?|tends?|proves?) to)?$",
    re.IGNORECASE,
)
BRACKETS = re.compile(r" ?\((?!\w\))[^()]*\)| [–—] [^–—]{3,200} [–—](?=[ ,])")
ADJECTIVES = re.compile(r"^\w+ (?:but|yet|and) \w+, ", re.IGNORECASE)  # "Simple but effective, our method"
OWN_ACT = re.compile(  # "we perform adapter training on three tasks, obtaining": what is done has the effect
    r"\bwe (?:\w+ly )?(?:perform|use|apply|employ|adopt|combine|incorporate|leverage|exploit)\w*"
    r" (?P<name>[^,;]{3,160}),$",
    re.IGNORECASE,
)
REASONS = re.compile(r"^which (?:\w+ )?(?:strengthen|support|confirm|corroborat|validat)\w*", re.IGNORECASE)
SCOPE = re.compile(r"\b(?:insufficient|fails?|failed|unable) (?:to|for)$", re.IGNORECASE)  # denies what follows
RELATIVE = re.compile(r",? \b(?:that|which|who|where|when|in which|even if)\b")
LESS_OF = re.compile(
    r"^(?:the )?(?:absence|lack|removal|loss) of\b|^(?:removing|reducing|without|preventing|ablating)\b", re.IGNORECASE
)
IMPROVED_METHOD = re.compile(  # "our approach improves traditional fine-tuning": a rival, and no outcome
    r"\bimprov\w+ (?:up)?(?:on )?(?P<rival>(?:[\w-]+ ){0,2}(?:fine-?tuning|training|baselines?|methods?"
    r"|approaches))\b",
    re.IGNORECASE,
)
ASKED = 2 / 3  # share of a phrase of the question that a side must have for the question to ask for it
INVERTED: dict[str, Stance] = {  # patterns of clauses whose subject comes last, with their stance
    "unrelated": "no difference",
    "depends_on": "more/better",
    "correlates": "more/better",
    "merit": "more/better",
    "achieved_by": "more/better",
    "improved_by": "more/better",
    "gains": "more/better",
}
TRANSITIVE = re.compile(r"(?:improv|enhanc|boost|degrad|hurt|harm|worsen)(?:e|es|ed|s|ing)?\b", re.IGNORECASE)
REPEATS = re.compile(r"\b(?:seeds?|runs?|trials|folds|restarts)$", re.IGNORECASE)  # "over five seeds" compares nothing
MAX_OBJECT = 6  # words of an object that is taken for the outcome
MAX_REPORT = 160  # characters: a longer beginning is no report of a result
MAX_SUBJECT = 16  # words; a longer stretch before the verb is no noun phrase
MODEL_NAME = re.compile(
    r"\b(?!F1\b)(?:m|x|s)?(?:[A-Z][\w-]*\d[\w.-]*|[A-Z][a-z]*[A-Z][\w-]*|(?:m|x)(?:BERT|T5|GPT|BART|LUKE)\w*|BERT"
    r"|BLOOM|LLaMA|Llama(?: \d[\d.]*)?|GPT-\d\S*|[A-Z]{2,}-[A-Z]\w*|LLMs?)\b"
)
LANGUAGES_COUNTED = re.compile(
    r"\b(?:\d+|two|three|four|five|six|seven|eight|nine|ten|several|many|diverse|low-resource|unseen|related"
    r"|African|Indic|Indian) (?:\w+ ){0,3}?languages?\b",
    re.IGNORECASE,
)
SPLIT = re.compile(r"\b(dev(?:elopment)?|validation|test) (?:sets?|data|split|scores?|accuracy)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Setting:
    """Where a finding was made, as read; empty where it is not stated.

    Attributes:
        models: Names of models.
        tasks: Tasks, benchmarks and data sets.
        languages: Languages, or how many.
        split: "dev" or "test".
    """

    models: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    split: str = ""

    @property
    def words(self) -> dict[str, str]:
        """Each part in words, "not stated" where it is empty."""
        parts = {
            "models": ", ".join(self.models),
            "tasks": ", ".join(self.tasks),
            "languages": ", ".join(self.languages),
        }
        return {name: text or NOT_STATED for name, text in {**parts, "split": self.split}.items()}


@dataclass(frozen=True)
class FindingRecord:
    """A finding, taken apart.

    Attributes:
        subject: What has the effect.
        compared_with: What it is compared with.
        outcome: What it has an effect on.
        stance: The effect on the outcome; better means more of a score, and less of an error or a cost.
        setting: Where, as the sentence says.
        around: Where, as the text around it says.
        cue: The predicate that the stance was read from; "" if there is none.
        text: The finding.
    """

    subject: str = NOT_STATED
    compared_with: str = NOT_STATED
    outcome: str = NOT_STATED
    stance: Stance = "not stated"
    setting: Setting = field(default_factory=Setting)
    around: Setting = field(default_factory=Setting)
    cue: str = ""
    text: str = ""


def read_finding(text: str, context: Sequence[str] = ()) -> FindingRecord:
    """Read what a finding says.

    Args:
        text: Its sentence or sentences.
        context: The title and the sentences around it, for the name of "our method" and the setting.

    Returns:
        The record.
    """
    setting, around = read_setting(text), read_setting(" ".join(context))
    every = [_read_clause(clause, context) for clause in _clauses(text)]
    read = [part for part in every if part.cue]
    if not read:
        return FindingRecord(setting=setting, around=around, text=text)
    first, rest = read[0], read[1:]
    contrasts = bool(CONTRAST.search(text)) and (
        any(part.subject != NOT_STATED for part in rest) or not every[0].cue or "whereas" in text
    )
    agreed = (
        all(part.stance == first.stance for part in rest)
        and not contrasts
        and not CONDITION.search(text)
        and NOT_STATED not in (first.subject, first.outcome)
    )
    return FindingRecord(
        first.subject,
        first.compared_with,
        first.outcome,
        first.stance if agreed else "not stated",
        setting,
        around,
        first.cue,
        text,
    )


def exchanged(record: FindingRecord) -> FindingRecord:
    """Return the same finding from the other side: subject and comparison exchanged, the stance turned.

    Args:
        record: A record with a stance of `TURNED`.
    """
    turned = TURNED[record.stance]
    return replace(record, subject=record.compared_with, compared_with=record.subject, stance=turned)


def oriented(record: FindingRecord, question: str) -> FindingRecord:
    """Return a record as a question asks for it: if it varies what the finding compares with, the sides are exchanged.

    Args:
        record: The record.
        question: The question.

    Returns:
        The record, with the stance turned where the sides are.
    """
    if record.compared_with == NOT_STATED or record.stance not in TURNED:
        return record
    terms = [roots(phrase) for phrase in phrases(question)]
    own, other = roots(record.subject), roots(record.compared_with)
    score, rival = (max((len(item & side) / len(item) for item in terms if item), default=0.0) for side in (own, other))
    every = frozenset().union(*terms)
    share, rival_share = (len(side & every) / max(1, len(side)) for side in (own, other))
    if rival < ASKED or score > rival or (score == rival and rival_share <= share) or own >= other:
        return record
    return exchanged(record)


def read_setting(text: str) -> Setting:
    """Return the setting that a text names."""
    terms = find_terms(text)
    tasks = [item.name for item in terms if item.kind in ("benchmark", "task")]
    tasks += [match[0].lower() if match[0].islower() else match[0] for match in _pattern("tasks").finditer(text)]
    models = [item.name for item in terms if item.kind == "models"]
    models += [match[0] for match in MODEL_NAME.finditer(text) if match[0] not in tasks]
    languages = [item.name for item in terms if item.kind == "languages"]
    languages += [match[0] for match in LANGUAGES_COUNTED.finditer(text)]
    split = SPLIT.search(text)
    return Setting(
        tuple(dict.fromkeys(models)),
        tuple(dict.fromkeys(tasks)),
        tuple(dict.fromkeys(languages)),
        "" if not split else "test" if split[1].lower() == "test" else "dev",
    )


def _clauses(text: str) -> Iterator[str]:
    """Yield the clauses of a text without what introduces them, and without what denies or belittles an effect."""
    bare_text = ADJECTIVES.sub("", BRACKETS.sub("", text.strip().rstrip(".")))
    main_part = _pattern("neutral").sub(" ", LEAD.sub("", bare_text))
    report = REPORT.match(main_part)
    main_part = LEAD.sub("", main_part[report.end() :]) if report and report.end() < MAX_REPORT else main_part
    for part in _parts(main_part):
        bare = LEAD.sub("", part.strip())
        report = REPORT.match(bare)
        bare = bare[report.end() :] if report and report.end() < MAX_REPORT else bare
        bare = LEAD.sub("", re.sub(r"^that,[^,]*,\s*", "", bare)).strip()
        if bare and not REASONS.match(bare):
            yield bare


def _parts(text: str) -> Iterator[str]:
    """Yield the parts between conjunctions; an enumeration ("masks, adapters, and prompts help") is one."""
    begin = 0
    for joint in CLAUSE.finditer(text):
        before = text[begin : joint.start()]
        is_list = joint[0].strip() == ", and" and "," in before and not VERB.search(before) and not _has_cue(before)
        if not is_list:
            yield before
            begin = joint.end()
    yield text[begin:]


def _has_cue(text: str) -> bool:
    return any(_pattern(stance).search(text) for stance in STANCES if stance != NOT_STATED)


def _read_clause(clause: str, context: Sequence[str]) -> FindingRecord:
    """Read subject, comparison, outcome and stance of a clause; no cue if it has none."""
    if inverted := _read_inverted(clause, context):
        return inverted
    hits = [
        (match.start(), order, stance, match)
        for order, stance in enumerate(("no difference", "depends", "less/worse", "more/better"))
        if (match := _pattern(stance).search(clause))
    ]
    if not hits:
        return FindingRecord()
    _, _, stance, match = min(hits, key=lambda hit: hit[:2])
    overlapping = [hit for hit in hits if hit[0] < match.end() and hit[3].end() > match.start()]
    _, _, stance, match = min(overlapping, key=lambda hit: (min(hit[1], 2), hit[0], hit[1]))
    if stance in TURNED and (
        LESS_OF.search(clause) or DENIED.search(match[0]) or DENIES.search(clause[: match.start()])
    ):
        stance = "not stated"
    after = clause[match.end() :]
    denies_rest = stance in ("no difference", "less/worse") and SCOPE.search(match[0])
    if any(hit[0] >= match.end() and hit[2] != stance and not (_is_relative(after) or denies_rest) for hit in hits):
        stance = "not stated"  # two predicates of one clause that differ
    subject = _subject(clause[: match.start()], context)
    if subject == NOT_STATED and (by := BY.search(clause, match.end())):
        subject = by["subject"].strip()
    return FindingRecord(subject, _comparator(clause, match), _outcome(clause, match), stance, cue=match[0])  # type: ignore[arg-type]


def _is_relative(after: str) -> bool:
    return bool(re.match(r"[^,]*\b(?:that|which|where)\b", after))


def _read_inverted(clause: str, context: Sequence[str]) -> FindingRecord | None:
    """Read a clause that names its subject after the predicate, or not at all ("… show large gains")."""
    for name, stance in INVERTED.items():
        if match := _pattern(f"inverted.{name}").search(clause):
            groups = match.groupdict()
            named = RELATIVE.split(groups["subject"])[0] if "subject" in groups else ""
            predicate = match[0].removesuffix(groups.get("subject", ""))
            denied = DENIED.search(predicate) or DENIES.search(clause[: match.start()])
            if VERB.search(named) or (stance == "more/better" and denied):
                continue
            subject = _subject(named, context) if "subject" in groups else _proposal(context)
            begin = _pattern("comparator.begins").search(clause, match.end() if name != "gains" else 0)
            comparator = _comparator(clause, begin) if begin else NOT_STATED
            return FindingRecord(subject, comparator, groups.get("outcome", "performance"), stance, cue=match[0])
    return None


def _subject(before: str, context: Sequence[str]) -> str:
    if act := OWN_ACT.search(before.strip()):
        return re.split(r" (?:on|for|to|and|in) ", act["name"])[0]
    words = TAIL.sub("", before.strip())
    if re.match(r"those\b", words, re.IGNORECASE):
        return NOT_STATED
    if SELF.match(words):
        return _proposal(context)
    words = re.split(r"(?:, | that | which | where )", words)[-1] if len(words.split()) > MAX_SUBJECT else words
    while TRIM.match(words):
        words = TRIM.sub("", words)
    words = TAIL.sub("", words.strip(" ,;:()"))
    if not words or SELF.match(words) or UNRESOLVED.search(words):
        return _proposal(context) if words and (SELF.match(words)) else NOT_STATED
    return words if len(words.split()) <= MAX_SUBJECT and roots(words) else NOT_STATED


def _proposal(context: Sequence[str]) -> str:
    """Return what the text around proposes, else what its title names, or "not stated"."""
    for sentence in context:
        if re.search(r"\b(?:we|this (?:paper|work|study))\b", sentence, re.IGNORECASE) and (
            match := PROPOSAL.search(sentence)
        ):
            name = re.split(r"\b(?:that|which|to|for|in order|by|where|called|named)\b", match["name"])[0].strip()
            if specific_roots(name):
                return name
    title = context[0].strip() if context else ""
    if not title or title.endswith((".", "?", "!")):
        return NOT_STATED
    name = re.split(r"\b(?:for|in|on|towards?)\b", title.rpartition(": ")[2])[0].strip()
    return name if specific_roots(name) and len(name.split()) <= MAX_SUBJECT else NOT_STATED


def _comparator(clause: str, cue: re.Match[str]) -> str:
    """Return the other side of a comparison."""
    verb = _pattern("comparator.verbs").match(cue[0])
    start = cue.end() if verb else -1
    if not verb and (begin := _pattern("comparator.begins").search(clause, cue.start())):
        start = begin.end()
    if start < 0 and (later := _pattern("comparator.verbs").search(clause, cue.end())):
        start = later.end()
    if start < 0 and (over := IMPROVED_METHOD.search(clause, cue.start())):
        start = over.start("rival")
    if start < 0:
        return NOT_STATED
    rest = re.split(r"[;(]|[.] |,(?! including| such as)", clause[start:].strip())[0]
    end = _pattern("comparator.ends").search(rest, 1)
    words = (rest[: end.start()] if end else rest).strip()
    while TRIM.match(words):
        words = TRIM.sub("", words)
    return words if roots(words) and not REPEATS.search(words) else NOT_STATED


def _outcome(clause: str, cue: re.Match[str]) -> str:
    """Return the outcome: a noun of quality or cost in or after the predicate, else before it; a comparison has one."""
    for place in (clause[cue.start() :], clause[: cue.start()]):
        nouns = list(_pattern("outcome").finditer(place))
        if nouns:
            noun = nouns[0]
            before = re.findall(r"[\w’'-]+", place[: noun.start()])[-3:]
            kept: list[str] = []
            for word in reversed(before):
                if word.lower() in _outcome_stops() or re.match(cue[0].split()[0][:5], word, re.IGNORECASE):
                    break
                kept.insert(0, word)
            return " ".join([*kept, noun[0]])
    if transitive := TRANSITIVE.match(clause, cue.start()):
        words = re.split(r"[,;:(]", clause[transitive.end() :])[0]
        end = _pattern("comparator.ends").search(words) or _pattern("comparator.begins").search(words)
        noun_phrase = (words[: end.start()] if end else words).strip()
        if roots(noun_phrase) and len(noun_phrase.split()) <= MAX_OBJECT and not IMPROVED_METHOD.search(clause):
            return noun_phrase
    names_itself = _pattern("comparator.verbs").match(cue[0]) or _pattern("evaluative.cues").search(clause, cue.start())
    return "performance" if names_itself else NOT_STATED


@cache
def _outcome_stops() -> frozenset[str]:
    return frozenset(load_table("stance.toml")["outcome_stops"].split())


@cache
def _pattern(name: str) -> re.Pattern[str]:
    tables = load_table("stance.toml")
    bad = "(?:" + "|".join(tables["bad"]) + r")\b"
    good = "(?:" + "|".join(tables["good"]) + rf")\b(?! (?:\S+ )?{bad})"  # "performance degradation" is none
    if name == "outcome":
        return re.compile(rf"\b(?:{good}|{bad})", re.IGNORECASE)
    if name == "tasks":
        return re.compile(rf"\b(?:{'|'.join(tables['setting']['tasks'])})\b")
    if name.startswith("inverted"):
        return re.compile(tables["inverted"][name.partition(".")[2]], re.IGNORECASE)
    if name == "neutral":
        return re.compile("|".join(tables["neutral"]).replace("{bad}", bad), re.IGNORECASE)
    table, _, key = name.partition(".")
    part = tables[table][key] if key else tables["stance"][name]
    text = "|".join(part).replace("{good}", good).replace("{bad}", bad)
    return re.compile(rf"\b(?:{text})" + (r"\b" if table == "comparator" else ""), re.IGNORECASE)
