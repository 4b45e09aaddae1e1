"""Descent: what the stages behind a row say of it, whatever the row says of itself.

A stage's key is a digest of its work and its arguments, so the chain from a score to its predictions, their model and
the trainings of that is fixed by the score's key. It tells the target, its language, split and metric, the seed, and
what was taught before. Only the recipe's name is the study's own.

    unlike(report["rows"][0], disk)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xstilts import formats
from xstilts.claims.results_table import BASELINE
from xstilts.experiments.collect_results import EARLIER, INTERMEDIATE, PREDICT, SCORE, TARGET
from xstilts.models.encoder import SANDBOX
from xstilts.models.naming import called
from xstilts.reporting.plain_json import entry, plain, row_of
from xstilts.store import names
from xstilts.store.identity import key_of
from xstilts.verification.stage_integrity import Fault, StoredStages, differing

Plain = Mapping[str, Any]
PHASES = (EARLIER, INTERMEDIATE, TARGET)


def faults(report: Plain, disk: StoredStages) -> Iterator[tuple[str, Fault]]:
    """Yield stages that are not what the report says, and the scores of rows that are not, each with what is wrong."""
    for key in report["stages"]:
        if not disk.fault(key) and (why := _misread(key, disk)):
            yield key, ("changed", why)
    for said in report["rows"]:
        if not any(disk.fault(key) for key in said["keys"]) and (why := unlike(said, disk)):
            yield said["keys"][-1], ("changed", why)


def _misread(key: str, disk: StoredStages) -> str:
    """Return how a stage's record contradicts its key, or what the report says of it."""
    facts, name = disk.facts(key) | {"folder": disk.folder(key)}, disk.folder(key).name
    try:
        if facts["key"] != key or key_of(facts["work"], facts["version"], facts["arguments"]) != key:
            return f"the record of {name} is not of a stage with this key"
        sealed = any("record" in one for one in disk.stages.values())
        again = {part: value for part, value in entry(facts).items() if sealed or part != "record"}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return f"{name} cannot be read: {type(error).__name__}: {error}"
    wrong = differing(plain(again), disk.stages[key])
    return f"the record of {name} has another {', '.join(wrong)} than the report" if wrong else ""


def unlike(said: Plain, disk: StoredStages) -> str:
    """Return how a row differs from what its stages say; "" where it does not."""
    try:
        again = derived_fields(said, disk)
        wrong = differing(again, said) or differing(plain(row_of(disk.row(said))), said)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        return f"the row of {said['keys'][-1]} does not follow from its stages: {type(error).__name__}: {error}"
    if not wrong:
        return ""
    parts = [f"{name} {said.get(name)!r}, its stages {again[name]!r}" for name in wrong if name in again]
    return f"the row of {said['keys'][-1]} says " + ("; ".join(parts) or f"another {', '.join(wrong)} than its stages")


def derived_fields(said: Plain, disk: StoredStages) -> dict[str, Any]:
    """Return what the stages of a row say of it; how many trainings are its own, its roles say.

    KeyError or ValueError where they are no chain from a score to an encoder.
    """
    key = said["keys"][-1]
    asked = disk.facts(key)["arguments"]
    answered = disk.facts(asked["predictions"]["stage"])["arguments"]
    data = disk.facts(answered["data"]["stage"])["arguments"]["data"]
    if disk.facts(key)["work"] != names.SCORE or asked["gold"] != answered["data"]:
        raise ValueError(f"{key} is no score of predictions on their own test set")
    chain = _trainings(answered["model"], disk)
    roles = _roles(said, [disk.facts(one)["arguments"] for one in chain], names.format_from_key(data["kind"]))
    own = [disk.facts(one)["arguments"] for one, role in zip(chain, roles, strict=True) if role != EARLIER]
    taught = [one for one, role in zip(own, roles[len(chain) - len(own) :], strict=True) if role == INTERMEDIATE]
    last = [one for one, role in zip(own, roles[len(chain) - len(own) :], strict=True) if role == TARGET]
    seeds = {one["seed"] for one in own} or {said["seed"]}
    return {
        "target": data["task"],
        "language": data["language"],
        "split": data["split"],
        "metric": asked["metric"],
        "seed": seeds.pop() if len(seeds) == 1 else sorted(seeds),
        "intermediate": _setting(taught, said["intermediate"]),
        "encoder": _name(own[0]["encoder"] if own else answered["model"], said["encoder"], disk),
        "keys": [*chain, asked["predictions"]["stage"], key],
        "roles": [*roles, PREDICT, SCORE],
        **(
            {"in_training_language": data["language"] in _learned_in(last, disk)}
            if "in_training_language" in said
            else {}
        ),
    }


def _learned_in(trainings: list[Plain], disk: StoredStages) -> set[str]:
    """Return the languages of the data of trainings."""
    read = [one["stage"] for training in trainings for lesson in training["lessons"] for one in lesson["train"]]
    return {disk.facts(key)["arguments"]["data"]["language"] for key in read}


def _trainings(model: Plain, disk: StoredStages) -> list[str]:
    """Return the keys of the trainings behind a model, the first one first."""
    return [key for key in _lineage(model, disk) if "lessons" in disk.facts(key)["arguments"]][::-1]


def _lineage(model: Plain, disk: StoredStages) -> list[str]:
    """Return the keys of a model's stage, of the encoder that it was given, and so on."""
    found = []
    while "stage" in model:
        found.append(model["stage"])
        model = disk.facts(model["stage"])["arguments"].get("encoder", {})
    return found


def _roles(said: Plain, trainings: list[Plain], format: str) -> list[str]:
    """Return the roles of trainings as a row has them, if they can be so: earlier, at most one intermediate, target."""
    roles = list(said["roles"][:-2])
    ordered = roles == sorted(roles, key=PHASES.index) and roles.count(INTERMEDIATE) <= 1
    headed = not formats.task_format(format).headless and format != "masked_lm"
    if len(roles) != len(trainings) or not ordered or (headed and TARGET not in roles):
        taught = [" + ".join(lesson["task"] for lesson in one["lessons"]) for one in trainings]
        raise ValueError(f"trainings on {', then '.join(taught) or 'nothing'} are not {', '.join(roles) or 'none'}")
    return roles


def _setting(taught: list[Plain], said: str) -> str:
    """Return the name of an intermediate phase; raw text that is learned beside tasks has no part in it."""
    if not taught:
        return BASELINE
    lessons = taught[0]["lessons"]
    tasks = [lesson["task"].partition(":")[0] for lesson in lessons]
    beside = names.format_from_key(lessons[-1]["kind"]) == "masked_lm" and said == "+".join(tasks[:-1])
    return said if beside else "+".join(tasks)


def _name(encoder: Plain, said: str, disk: StoredStages) -> str:
    """Return an encoder's name in a table, as `tabulate.name_of` gives it; the sandbox's own may be of any version."""
    if "stage" not in encoder:
        return said if said == "sandbox" and encoder["name"] == SANDBOX.name else str(encoder["name"])
    keys = _lineage(encoder, disk)
    first, label = disk.facts(keys[-1]), str(disk.facts(keys[0])["label"])
    if "encoder" in first["arguments"]:
        return label
    return called(str(first["label"]), len(keys) == 1)
