"""Provenance: whether the rows of a report are what the manifests of their stages say.

The key of a stage is a digest of its function and its arguments, so that the key of a score fixes the whole chain: its
predictions, their model, and that model's trainings. From the manifests of this chain follow a row's target, language,
split, metric, seed, intermediate tasks and encoder. Only the name of the recipe is the study's own.

    for key, fault in faults(report, stages):
        print(key, fault.why)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from xstilts import formats
from xstilts.errors import UNFORESEEN, InputError
from xstilts.experiments import retries as retry_rule
from xstilts.experiments.collect_results import EARLIER, INTERMEDIATE, PREDICT, SCORE, TARGET
from xstilts.models.encoder import SANDBOX
from xstilts.models.naming import called
from xstilts.reporting.study_report import row_json, stage_json, to_json
from xstilts.store import names
from xstilts.store.identity import key_of
from xstilts.store.names import BASELINE
from xstilts.store.stage import generations
from xstilts.tasks.base import task
from xstilts.training.combine import LayerSwap, TaskVectors, Ties
from xstilts.verification.json_diff import ABSENT, is_same
from xstilts.verification.stage_integrity import Fault, StoredStages

Json = Mapping[str, Any]
LATER_FIELDS = ("target_dev", "repeats_training_data")  # of a row, which older reports lack
PHASES = (EARLIER, INTERMEDIATE, TARGET)


def faults(report: Json, stages: StoredStages) -> Iterator[tuple[str, Fault]]:
    """Compare the stages and the rows of a report with the manifests in the store.

    Args:
        report: The report.
        stages: Its stages; those that already have a fault are passed over.

    Yields:
        The key of each stage that contradicts the report, and of the score of each row that does, with the reason.
    """
    for key in report["stages"]:
        if not stages.fault(key) and (why := _manifest_fault(key, stages)):
            yield key, Fault("changed", why)
    for row in report["rows"]:
        keys = (*row["keys"], *row.get("repeated", ()))
        if not any(map(stages.fault, keys)) and (why := _row_fault(row, stages, report.get("retries", 0))):
            yield row["keys"][-1], Fault("changed", why)


def _manifest_fault(key: str, stages: StoredStages) -> str:
    """Return how the manifest of a stage contradicts its key or the report; "" where it does not."""
    record, name = stages.record(key) | {"folder": stages.folder(key)}, stages.folder(key).name
    try:
        if record["key"] != key or key_of(record["work"], record["version"], record["arguments"]) != key:
            return f"the record of {name} is not of a stage with this key"
        # Reports of the first versions have no digests of manifests.
        with_digests = any("record" in stage for stage in stages.stages.values())
        recomputed = {part: value for part, value in stage_json(record).items() if with_digests or part != "record"}
    except UNFORESEEN as error:
        return f"{name} cannot be read: {type(error).__name__}: {error}"
    wrong = _wrong(stages.stages[key], to_json(recomputed))
    return f"the record of {name} has another {', '.join(wrong)} than the report" if wrong else ""


def _row_fault(row: Json, stages: StoredStages, retries: int) -> str:
    """Return how a row contradicts its stages; "" where it does not."""
    key = row["keys"][-1]
    try:
        recomputed = derived_fields(row, stages, retries)
        stored = to_json(row_json(stages.row(row)))
        wrong = _wrong(row, recomputed) or _wrong(
            row, {name: stored[name] for name in stored if _is_written(name, row)}
        )
    except UNFORESEEN as error:
        return f"the row of {key} does not follow from its stages: {type(error).__name__}: {error}"
    if not wrong:
        return ""
    parts = [f"{name} {row.get(name)!r}, its stages {recomputed[name]!r}" for name in wrong if name in recomputed]
    return f"the row of {key} says " + ("; ".join(parts) or f"another {', '.join(wrong)} than its stages")


def _is_written(name: str, row: Json) -> bool:
    """Return whether a row should have a field: older reports lack some."""
    return name in row or name not in LATER_FIELDS


def _wrong(written: Json, recomputed: Json) -> list[str]:
    """Return the fields that were recomputed and are written otherwise, or not at all."""
    return [name for name, value in recomputed.items() if not is_same(written.get(name, ABSENT), value)]


def derived_fields(row: Json, stages: StoredStages, retries: int = 0) -> dict[str, Any]:
    """Recompute the fields of a row from the manifests of its stages.

    Args:
        row: The row as the report has it. Its roles are believed as far as they are possible: which trainings are the
            study's own does not follow from the manifests.
        stages: The stages in the store.
        retries: How often the study repeats a training that ends no better than chance.

    Returns:
        The fields that follow from the manifests.

    Raises:
        KeyError: A stage is not in the store, or its manifest lacks a part.
        ValueError: The stages are no chain from a score to an encoder, cannot have the row's roles, or a training was
            repeated, or not repeated, against the study's rule.
    """
    key = row["keys"][-1]
    score = stages.record(key)["arguments"]
    prediction = stages.record(score["predictions"]["stage"])["arguments"]
    data = stages.record(prediction["data"]["stage"])["arguments"]["data"]
    if stages.record(key)["work"] != names.SCORE or score["gold"] != prediction["data"]:
        raise ValueError(f"{key} is no score of predictions on their own test set")
    # From here on nothing is taken from the row but its roles: the chain of trainings follows from the manifests.
    chain = _training_keys(prediction["model"], stages)
    trainings = [stages.record(stage)["arguments"] for stage in chain]
    combined, averaged = _combination(prediction["model"], trainings, stages)
    branches = averaged or combined is not None
    roles = _roles(row, trainings, names.format_from_key(data["kind"]), branches)
    own = [training for training, role in zip(trainings, roles, strict=True) if role != EARLIER]
    intermediate = [training for training, role in zip(trainings, roles, strict=True) if role == INTERMEDIATE]
    target = [training for training, role in zip(trainings, roles, strict=True) if role == TARGET]
    first_seed = retry_rule.first_seed if retries else int
    seeds = {first_seed(training["seed"]) for training in own} or {row["seed"]}
    seeds = {min(seeds)} if averaged else seeds
    fields = {
        "target": data["task"],
        "language": data["language"],
        "split": data["split"],
        "metric": score["metric"],
        "seed": seeds.pop() if len(seeds) == 1 else sorted(seeds),
        "intermediate": _combined_setting(combined, row["intermediate"], stages)
        if combined and all(roles[chain.index(member)] == INTERMEDIATE for member in _made_from(combined))
        else _setting(intermediate, row["intermediate"]),
        "encoder": _encoder_name(own[0]["encoder"] if own else prediction["model"], row["encoder"], stages),
        "keys": [*chain, score["predictions"]["stage"], key],
        "roles": [*roles, PREDICT, SCORE],
    }
    repeated = _repeated([key for key, role in zip(chain, roles, strict=True) if role != EARLIER], stages, retries)
    if repeated or row.get("repeated"):
        fields["repeated"], fields["seeds_used"] = repeated, [training["seed"] for training in own]
    if "in_training_language" in row:  # which older reports lack
        fields["in_training_language"] = data["language"] in _training_languages(target, stages)
    if "repeats_training_data" in row:
        own = [_data_names(trainings, stages) for trainings in (intermediate, target)]
        fields["repeats_training_data"] = bool(own[0] & own[1])
    return fields


def _repeated(trainings: list[str], stages: StoredStages, retries: int) -> list[str]:
    """Return the keys of the trainings that others repeat.

    Args:
        trainings: The keys of a run's own trainings.
        stages: The stages in the store.
        retries: How often a training is repeated.

    Raises:
        ValueError: A training was repeated, or not repeated, against the rule.
    """
    repeated = []
    for key in trainings if retries else ():
        record = stages.record(key)
        earlier = list(retry_rule.earlier_keys(record))
        for tried in earlier:
            if tried not in stages.finished or not retry_rule.is_collapsed(stages.record(tried)):
                raise ValueError(f"{record['label']}-{key} repeats {tried}, which did not end at chance")
        judged = not any(given.get("shots") for given in record["arguments"]["lessons"])
        if judged and len(earlier) < retries and retry_rule.is_collapsed(record):
            raise ValueError(f"{record['label']}-{key} ended no better than chance and was not repeated")
        if len(earlier) > retries:
            raise ValueError(f"{record['label']}-{key} was repeated more than {retries} times")
        repeated += earlier
    return repeated


def _data_names(trainings: list[Json], stages: StoredStages) -> set[str]:
    """Return the names of the data sets that trainings train on, and of those whose training data these contain."""
    keys = [part["stage"] for training in trainings for given in training["lessons"] for part in given["train"]]
    data_names = {stages.record(key)["arguments"]["data"]["task"] for key in keys}
    for name in tuple(data_names):
        with suppress(InputError):  # a user's task, whose file is not here
            data_names |= task(name).training_data_names()
    return data_names


def _training_languages(trainings: list[Json], stages: StoredStages) -> set[str]:
    """Return the languages of the training data of trainings."""
    keys = [
        part["stage"]
        for training in trainings
        for training_set in training["lessons"]
        for part in training_set["train"]
    ]
    return {stages.record(key)["arguments"]["data"]["language"] for key in keys}


def _training_keys(model: Json, stages: StoredStages) -> list[str]:
    """Return the keys of the trainings behind a model in the order of a run's phases."""
    if "stage" not in model:
        return []
    behind = generations(model["stage"], lambda key: _made_from(stages.record(key)["arguments"]))
    return [key for key in behind if "lessons" in stages.record(key)["arguments"]]


def _made_from(arguments: Json) -> list[str]:
    """Return the keys of the stages that a model was made from directly, as `training.combine.made_from`."""
    sources = arguments.get("members") or [arguments.get("encoder") or {}]
    return [source["stage"] for source in sources if "stage" in source]


def _combination(model: Json, trainings: list[Json], stages: StoredStages) -> tuple[Json | None, bool]:
    """Return the arguments of the stage that composed a model's intermediate trainings, and whether it is an average.

    Args:
        model: The model that predicted.
        trainings: The trainings behind it.
        stages: The stages in the store.
    """
    combined, averaged = None, False
    for start in (model, *(training["encoder"] for training in trainings)):
        key = start.get("stage")
        while key and "lessons" not in (arguments := stages.record(key)["arguments"]):
            if arguments.get("method", {}).get("type") == "Average":
                averaged = True
            elif "members" in arguments and combined is None:
                combined = arguments
            key = next(iter(_made_from(arguments)), None)
    return combined, averaged


def _lineage(model: Json, stages: StoredStages) -> list[str]:
    """Return the keys of a model's stage, of the stage that made its encoder, and so on."""
    keys = []
    while "stage" in model:
        keys.append(model["stage"])
        model = stages.record(model["stage"])["arguments"].get("encoder", {})
    return keys


def _combined_setting(combined: Json, written: str, stages: StoredStages) -> str:
    """Return the name of a setting whose intermediate trainings were composed; their order is that of the row."""
    trained = [stages.record(key)["arguments"]["lessons"][0]["task"].partition(":")[0] for key in _made_from(combined)]
    method, tasks = combined["method"], trained
    order = written.partition(" (")[0].split("+")
    if method["type"] == "TaskVectors":
        scales = [float(scale["float"]) for scale in method["scales"]]
        pairs = sorted(zip(trained, scales, strict=True), key=lambda pair: _place(pair[0], order))
        tasks = [task for task, _ in pairs]
        text = TaskVectors(tuple(scale for _, scale in pairs)).text
    elif method["type"] == "Ties":
        tasks = sorted(trained, key=lambda task: _place(task, order))
        text = Ties(*(float(method[name]["float"]) for name in ("density", "scale"))).text
    else:
        text = LayerSwap(method["layers"]).text
    return f"{'+'.join(tasks)} ({text})"


def _place(task: str, order: list[str]) -> int:
    return order.index(task) if task in order else len(order)


def _roles(row: Json, trainings: list[Json], task_format: str, branches: bool) -> list[str]:
    """Return the roles of trainings as a row has them, if possible: earlier, intermediate, target.

    There are several intermediate ones only where the weights of several trainings were combined.
    """
    roles = list(row["roles"][:-2])
    ordered = roles == sorted(roles, key=PHASES.index) and (branches or roles.count(INTERMEDIATE) <= 1)
    needs_head = not (formats.task_format(task_format).headless or formats.task_format(task_format).language_model)
    if len(roles) != len(trainings) or not ordered or (needs_head and TARGET not in roles):
        tasks = [" + ".join(training_set["task"] for training_set in training["lessons"]) for training in trainings]
        raise ValueError(f"trainings on {', then '.join(tasks) or 'nothing'} are not {', '.join(roles) or 'none'}")
    return roles


def _setting(intermediate: list[Json], written: str) -> str:
    """Return the name of an intermediate phase; masked-LM on raw text beside tasks may be left out of it."""
    if not intermediate:
        return BASELINE
    training_sets = intermediate[0]["lessons"]
    tasks = [training_set["task"].partition(":")[0] for training_set in training_sets]
    beside = names.format_from_key(training_sets[-1]["kind"]) == "masked_lm" and written == "+".join(tasks[:-1])
    return written if beside else "+".join(tasks)


def _encoder_name(encoder: Json, written: str, stages: StoredStages) -> str:
    """Return an encoder's name in a results table; the sandbox's own may be of any version."""
    if "stage" not in encoder:
        return written if written == "sandbox" and encoder["name"] == SANDBOX.name else str(encoder["name"])
    keys = _lineage(encoder, stages)
    first, label = stages.record(keys[-1]), str(stages.record(keys[0])["label"])
    if "encoder" in first["arguments"]:
        return label
    return called(str(first["label"]), len(keys) == 1)
