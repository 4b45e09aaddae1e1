"""The table of encoder families for the page of encoders, generated from the code, so that the two cannot differ.

>>> markdown().splitlines()[0]
'| model type | encoders | packed batches | token types | frozen layers |'
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from xstilts.models.families import FAMILIES, UNSUPPORTED, Family
from xstilts.models.heads import AUTO, auto_class, head_row


def markdown() -> str:
    """Return three tables: what families can do, where their heads load, and what is not supported and why."""
    heads = [
        [f"`{name}`", *("own" if auto_class(name, format) is None else "shipped" for format in AUTO)]
        for name in FAMILIES
    ]
    reasons: dict[str, list[str]] = {}
    for name in FAMILIES:
        for reason in dict.fromkeys(head_row(name, format).own for format in AUTO):
            reasons.setdefault(reason, []).append(f"`{name}`")
    return "\n\n".join(
        (
            _table(
                ("model type", "encoders", "packed batches", "token types", "frozen layers"),
                ([f"`{name}`", *_properties(family)] for name, family in FAMILIES.items()),
            ),
            _table(("model type", *AUTO), heads),
            "Why a head is *own*: "
            + "; ".join(f"{reason} ({', '.join(names)})" for reason, names in reasons.items() if reason)
            + ".",
            _table(("not supported", "why"), ([f"`{name}`", reason] for name, reason in UNSUPPORTED.items())),
        )
    )


def _properties(family: Family) -> list[str]:
    stored = "computed once"
    if family.gives == "more":
        stored = "computed each time: layers pass on position biases too"
    elif family.adapters:
        stored = "computed each time: states depend on the language too"
    return [
        family.about,
        f"no: {family.padded}" if family.padded else "yes",
        "those of its tokenizer" if family.token_types else "none",
        stored,
    ]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
