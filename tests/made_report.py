"""A made-up `report.json` with something in every part of it, for tests of its views."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import asdict
from itertools import product
from typing import Any

from xstilts.training.recipe import Recipe

Json = dict[str, Any]
ENCODERS = (
    {"name": "mini-xlmr", "parameters": 21_300_000, "layers": 6},
    {"name": "xlm-r-base", "parameters": 278_000_000, "layers": 12},
)
INTERMEDIATES = {"mnli": 1.6, "squad": 2.3, "mlm_wiki": -0.4}
TARGETS = {
    "xnli": ("classification", "accuracy", 62.0),
    "xquad": ("extractive_qa", "squad", 51.0),
    "udpos": ("token_classification", "pos_f1", 70.0),
}
LANGUAGES = {
    "en": ("English", "IE: Germanic", "Latn", 0.0),
    "de": ("German", "IE: Germanic", "Latn", 0.12),
    "ru": ("Russian", "IE: Slavic", "Cyrl", 0.31),
    "hi": ("Hindi", "IE: Indo-Aryan", "Deva", 0.44),
    "sw": ("Swahili", "Niger-Congo", "Latn", 0.58),
    "tr": ("Turkish", "Turkic", "Latn", 0.52),
    "zh": ("Mandarin Chinese", "Sino-Tibetan", "Hans", 0.61),
    "yo": ("Yoruba", "Niger-Congo", "Latn", None),
}  # fmt: skip
SEEDS = (1, 2, 3)


def noise(*words: object) -> float:
    """Return a number between -1 and 1 that depends on words alone."""
    return int(hashlib.sha256(repr(words).encode()).hexdigest()[:8], 16) / 2**31 - 1


def key(*words: object) -> str:
    """Return what a stage of these words would be called by."""
    return hashlib.sha256(repr(words).encode()).hexdigest()[:12]


def made() -> Json:
    """Return the whole report."""
    stages: Json = {}
    levels, gains = [], []
    for encoder, middle, target in product([one["name"] for one in ENCODERS], ["baseline", *INTERMEDIATES], TARGETS):
        cell = {"encoder": encoder, "recipe": "all", "intermediate": middle, "target": target}
        _stages(stages, encoder, middle, target)
        for code in [*LANGUAGES, "mean"]:
            keys = [
                found
                for one in ([code] if code != "mean" else LANGUAGES)
                for found in _keys(encoder, middle, target, one)
            ]
            levels.append({**cell, "language": code, **_level(encoder, middle, target, code), "keys": keys})
            if middle != "baseline":
                keys += [
                    k
                    for one in ([code] if code != "mean" else LANGUAGES)
                    for k in _keys(encoder, "baseline", target, one)
                ]
                gains.append(
                    {
                        **cell,
                        "over_recipe": "all",
                        "language": code,
                        **_gain(encoder, middle, target, code),
                        "keys": keys,
                    }
                )
    return {
        "format": 2,
        "study": {"name": "transfer", "scale": "small", "file": "studies/transfer.py", "digest": "0f3a9c21b7de"},
        "question": "Does training on an English intermediate task first help a target task in languages without labels?",
        "about": "Two encoders, three intermediate tasks, three targets.\n\nThe baseline has no intermediate phase.",
        "answer": "Yes for question answering: SQuAD first gains 2.41 points [1.52, 3.30] on XQuAD over all languages; for tagging nothing is decided.",
        "measured_on": [["2 encoders", "mini-xlmr (21.3 M parameters, 6 layers); xlm-r-base (278 M parameters, 12 layers)"], ["seeds", "3: 1, 2, 3"]],
        "verdicts": list(_verdicts()),
        "trainings": list(_trainings()),
        "settings": {
            "encoders": [*ENCODERS],
            "recipes": ["all"],
            "intermediates": ["baseline", *INTERMEDIATES],
            "targets": [{"name": name, "metric": metric, "format": format, "split": "test", "trained_in": ["en"], "test_examples": dict.fromkeys(LANGUAGES, 1200)} for name, (format, metric, _) in TARGETS.items()],
            "seeds": [*SEEDS],
            "languages": {c: dict(zip(("name", "family", "script", "distance"), facts, strict=True)) for c, facts in LANGUAGES.items()},
        },
        "levels": levels,
        "gains": gains,
        "costs": list(_costs()),
        "curves": list(_curves()),
        "scalings": list(_scalings()),
        "extras": [
            {"title": "Tokens a sentence", "columns": ["language", "tokens", "over English"], "rows": [["en", 21.4, 1.0], ["sw", 33.9, 1.58], ["yo", 41.2, None]], "note": "Of the first thousand sentences."},
        ],
        "collapsed": [{"stage": f"train-mlm_wiki-{key('train', 'mini-xlmr', 'mlm_wiki', 2)}", "why": "accuracy on development data is that of the largest class"}],
        "missing": ["udpos has no test data in yo"],
        "repaired": ["xquad hi: 3 answers moved to where they stand"],
        "limits": ["Two encoders allow no statement about size.", "Intervals over languages take these languages as given."],
        "reproduce": {
            "commands": ["xstilts study studies/transfer.py --scale small --out transfer", "xstilts report transfer"],
            "versions": {"xstilts": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0"},
            "devices": ["cpu"],
        },
        "stages": stages,
    }  # fmt: skip


def _keys(encoder: str, middle: str, target: str, code: str) -> list[str]:
    names = [(format, encoder, middle, target, seed) for format in ("target",) for seed in SEEDS]
    names += [(format, encoder, middle, target, seed, code) for format in ("predict", "score") for seed in SEEDS]
    if middle != "baseline":
        names += [("train", encoder, middle, seed) for seed in SEEDS]
    return [key(*name) for name in names]


def _stages(stages: Json, encoder: str, middle: str, target: str) -> None:
    """Add the stages of one setting: trainings, predictions and scores of each seed."""

    def add(label: str, work: str, seconds: float, inputs: list[str], file: str, *words: object) -> None:
        files = {file: hashlib.sha256(repr(words).encode()).hexdigest()}
        stages[key(*words)] = {
            "label": label,
            "work": f"xstilts.{work}.{work}",
            "seconds": seconds,
            "inputs": inputs,
            "files": files,
        }

    for seed in SEEDS:
        first = [key("train", encoder, middle, seed)] if middle != "baseline" else []
        if first:
            add(f"train-{middle}", "train", 912.3, [], "model/model.safetensors", "train", encoder, middle, seed)
        trained = ("target", encoder, middle, target, seed)
        add(f"train-{target}", "train", 401.8, first, "model/model.safetensors", *trained)
        for code in LANGUAGES:
            said = ("predict", encoder, middle, target, seed, code)
            add(f"predict-{target}-{code}", "predict", 8.1, [key(*trained)], "predictions.jsonl", *said)
            add(f"score-{target}-{code}", "score", 0.2, [key(*said)], "score.json", "score", *said[1:])


def _effect(encoder: str, middle: str, target: str, code: str) -> float:
    if middle == "baseline":
        return 0.0
    near = 1.5 if (middle, target) in (("mnli", "xnli"), ("squad", "xquad")) else 0.4
    return INTERMEDIATES[middle] * near + 0.7 * noise(encoder, middle, target, code)


def _level(encoder: str, middle: str, target: str, code: str) -> Json:
    distance = LANGUAGES.get(code, ("", "", "", 0.4))[3] or 0.7
    value = (
        TARGETS[target][2]
        - 25 * distance
        + (8 if encoder == "xlm-r-base" else 0)
        + _effect(encoder, middle, target, code)
    )
    half = 0.8 + 0.4 * abs(noise("level", encoder, middle, target, code))
    return {"estimate": value, "low": value - half, "high": value + half, "deviation": half / 2, "n": len(SEEDS)}


def _gain(encoder: str, middle: str, target: str, code: str) -> Json:
    value, half = _effect(encoder, middle, target, code), 0.6 + 0.7 * abs(noise("gain", encoder, middle, target, code))
    half = half / 2 if code == "mean" else half
    p = math.exp(-2 * abs(value) / half)
    seeds = [value + 0.3 * noise(encoder, middle, target, code, seed) for seed in SEEDS]
    return {"estimate": value, "low": value - half, "high": value + half, "p": p, "n": len(SEEDS), "by_seed": seeds}


def _verdicts() -> Iterator[Json]:
    """Yield verdicts of every status and expectation."""
    said = [
        ("squad-helps-xquad", "SQuAD first helps XQuAD", "above", 0.0, "holds", 2.41, (1.52, 3.30), "squad", "xquad"),
        ("mnli-helps-xnli", "MNLI first helps XNLI by more than one point", "above", 1.0, "holds", 2.18, (1.21, 3.15), "mnli", "xnli"),
        ("mlm-no-harm", "Masked-LM first costs XNLI nothing", "equivalent", 1.0, "holds", -0.21, (-0.74, 0.32), "mlm_wiki", "xnli"),
        ("mnli-hurts-pos", "MNLI first hurts tagging", "below", 0.0, "fails", 0.72, (0.11, 1.33), "mnli", "udpos"),
        ("mlm-helps-xquad", "Masked-LM first helps XQuAD by a point", "above", 1.0, "fails", -0.32, (-0.98, 0.34), "mlm_wiki", "xquad"),
        ("squad-helps-pos", "SQuAD first helps tagging", "above", 0.0, "undecided", 0.84, (-0.20, 1.88), "squad", "udpos"),
        ("grows", "What SQuAD gains grows with the encoder", "grows", 0.0, "undecided", 0.11, (-1.9, 2.1), "squad", "xquad"),
        ("less-cost", "A tenth of the steps costs less time", "below", 50.0, "holds", 10.2, (9.8, 10.6), "mnli", "xnli"),
        ("qnli", "QNLI first helps XQuAD", "above", 0.0, "untested", None, None, "qnli", "xquad"),
    ]  # fmt: skip
    paper = {
        "name": "phang2020",
        "value": 2.0,
        "paper": "Phang et al. (2020)",
        "table": "Table 2",
        "row": "SQuAD",
        "column": "XQuAD",
        "encoder": "xlm-r-large",
        "split": "test",
        "metric": "squad",
    }
    beside = {
        "squad-helps-xquad": paper | {"status": "agrees", "why": "2 in Table 2 lies in [1.52, 3.30]"},
        "mnli-hurts-pos": paper | {"status": "differs", "why": "-1.1 in Table 2 lies outside of [0.11, 1.33]"},
        "squad-helps-pos": paper | {"status": "not comparable", "why": "other encoder: 'mini-xlmr' here, 'xlm-r-large' there"},
    }  # fmt: skip
    for name, sentence, expectation, margin, status, estimate, interval, middle, target in said:
        tested = estimate is not None
        unit = "percent" if name == "less-cost" else "points per doubling" if name == "grows" else "points"
        why = {
            "holds": f"the whole interval is {expectation} {margin:g}",
            "fails": f"the whole interval is not {expectation} {margin:g}",
            "undecided": f"the interval includes {margin:g}; with 3 seeds we would detect a difference of 1.40 points with 80 % power; this one would need 9 seeds",
            "untested": f"no rows of '{middle}' on '{target}'",
        }
        yield {
            "name": name,
            "sentence": sentence,
            "expectation": expectation,
            "margin": margin,
            "measure": {"type": "Gain", "intermediate": middle, "target": target},
            "measured": f"score on {target} after {middle} minus score without an intermediate phase",
            "status": status,
            "why": why[status],
            "by_construction": name == "less-cost",
            "estimate": estimate,
            "interval": list(interval) if interval else [None, None],
            "unit": unit,
            "p": 0.0004 if tested else None,
            "p_holm": {"holds": 0.004, "fails": 0.021, "undecided": 0.31}.get(status),
            "n_replicates": 3 if tested else 0,
            "detectable": 1.4 if tested else None,
            "seeds_needed": 9 if status == "undecided" else None,
            "keys": _keys("xlm-r-base", middle, target, "sw") if tested else [],
            "published": beside.get(name),
        }


def _costs() -> Iterator[Json]:
    for encoder, middle, target, seed in product(ENCODERS, ["baseline", *INTERMEDIATES], TARGETS, SEEDS):
        name, size = str(encoder["name"]), float(str(encoder["parameters"]))
        tokens = {"baseline": None, "mnli": 4.1e6, "squad": 9.7e6, "mlm_wiki": 2.2e7}[middle]
        took = None if tokens is None else 6 * size * tokens
        figures = {
            "intermediate_seconds": took and took / 9e11 * (1 + 0.05 * noise(name, middle, seed)),
            "intermediate_flops": took,
            "intermediate_tokens": tokens,
            "intermediate_memory_mib": tokens and size * 16 / 2**20,
            "target_seconds": 400 + 20 * noise(name, target, seed),
            "target_flops": 6 * size * 2e6,
            "predict_seconds": 64.0,
            "predict_joules": None,
        }
        gain = (
            None
            if middle == "baseline"
            else _effect(name, middle, target, "mean") + 0.3 * noise(name, middle, target, seed)
        )
        score = _level(name, middle, target, "mean")["estimate"]
        yield {"encoder": name, "recipe": "all", "intermediate": middle, "target": target, "seed": seed, "score": score, "gain": gain, "figures": figures, "keys": [key("target", name, middle, target, seed)]}  # fmt: skip


def _curves() -> Iterator[Json]:
    for encoder, task, seed in product((one["name"] for one in ENCODERS), (*INTERMEDIATES, *TARGETS), SEEDS):
        role = "intermediate" if task in INTERMEDIATES else "target"
        rate = 0.004 + 0.002 * abs(noise(encoder, task))
        points = [
            [step, 0.3 + 1.8 * math.exp(-rate * step) + 0.05 * noise(encoder, task, seed, step)]
            for step in range(0, 1200, 24)
        ]
        looks = [
            [step, 80 - 45 * math.exp(-rate * step) + noise(encoder, task, seed, step, "look")]
            for step in range(200, 1201, 200)
        ]
        found = (
            key("train", encoder, task, seed)
            if role == "intermediate"
            else key("target", encoder, "baseline", task, seed)
        )
        yield {"label": task, "role": role, "encoder": encoder, "recipe": "all", "task": task, "tasks": [task], "seed": seed, "key": found, "points": points, "dev_scores": looks if role == "intermediate" else [], "seconds": 912.3, "examples_per_step": 32}  # fmt: skip


def _trainings() -> Iterator[Json]:
    """Yield an entry for each phase of each encoder."""
    for encoder, task in product((one["name"] for one in ENCODERS), (*INTERMEDIATES, *TARGETS)):
        role = "intermediate" if task in INTERMEDIATES else "target"
        arms = (
            [["all", task, target] for target in TARGETS]
            if role == "intermediate"
            else [["all", middle, task] for middle in ("baseline", *INTERMEDIATES)]
        )
        keys = [
            key("train", encoder, task, seed)
            if role == "intermediate"
            else key("target", encoder, "baseline", task, seed)
            for seed in SEEDS
        ]
        data = {
            "task": task,
            "format": "classification",
            "splits": [f"{task}-train-en"],
            "languages": ["en"],
            "inputs": [8000],
            "shots": 0,
            "every_step_weight": None,
            "language_sampling_exponent": 1.0,
            "held_out": [],
        }
        yield {
            "encoder": encoder,
            "role": role,
            "arms": arms,
            "seeds": [*SEEDS],
            "hyperparameters": asdict(Recipe(epochs=2.0 + len(task))),
            "data": [data],
            "steps": [500],
            "tokens": [410_000, 430_000],
            "parameters": [21_300_000],
            "trained_parameters": [21_300_000],
            "precision": ["fp32"],
            "keys": keys,
        }


def _scalings() -> Iterator[Json]:
    sizes = [(5.1e6, "tiny"), (2.13e7, "mini-xlmr"), (2.78e8, "xlm-r-base"), (5.6e8, "xlm-r-large")]
    for figure, unit, power, sure in (
        ("intermediate_seconds", "s", 0.93, False),
        ("intermediate_flops", "FLOPs", 1.0, True),
        ("intermediate_memory_mib", "MiB", 0.88, False),
    ):
        points = [[size, 1e-4 * size**power * (1 + 0.1 * noise(figure, name)), name] for size, name in sizes]
        spread = 0.0 if sure else 0.12
        yield {"figure": figure, "unit": unit, "what": f"{figure} by parameters, one seed each", "points": points, "exponent": power, "low": power - spread, "high": power + spread, "by_construction": sure}  # fmt: skip
