"""Published programs on the same files and the same encoder: transformers' example scripts and setfit.

XSTILTS_PEERS names a folder with what is compared: `transformers` and `evaluate`, checkouts of these repositories, of
which `examples/pytorch` and `metrics` are used as they are, and `venv`, a virtual environment with transformers,
datasets, evaluate, accelerate, seqeval, scikit-learn and setfit. Nothing of it is imported here. Each side is a process
of its own on one thread, one after another, and reads the same JSON files, which are written here from the data folder:

    pairs      run_glue.py on SNLI, accuracy
    tags       run_ner.py on English UD-POS, accuracy by word
    questions  run_qa.py on a part of SQuAD, F1
    languages  run_glue.py --do_predict on XNLI's test sets
    few        setfit on eight passages of each part of SQuADShifts: Wikipedia, Reddit or Amazon's reviews? accuracy

`published` is a script with all its defaults (three epochs, batches of 8, rate 5e-5), `as_published` this package with
the same settings, `tuned` the script set by hand (dynamic padding, grouping by length, no checkpoint, batch and rate of
this package's recipe `e5-small`), and `ours` this package with that recipe. Speed is by training example, in seconds of
the training loop, which each program reports (a published script's with the checkpoint that it saves by default).
Seconds to a score are processor seconds of the whole process, imports and tokenizing included: those of the shortest of
this package's trainings that scores as high as the peer, of trainings of half an epoch, one, two and four; the speed is
0 where none does. Scores are of development data.

    XSTILTS_PEERS=/tmp/peers python benchmarks/peers.py --encoder work/multilingual-e5-small-4bit
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import sides

FOLDER = "XSTILTS_PEERS"
EXAMPLES = Path("transformers/examples/pytorch")
METRICS = Path("evaluate/metrics")  # in this folder the scripts find their metrics without a hub
PYTHON = Path("venv/bin/python")
SETFIT = Path(__file__).with_name("peers_setfit.py")
EPOCHS = (0.5, 1.0, 2.0, 4.0)
SHIFTS, SOURCES, LETTERS = Path("intermediate/squadshifts"), ("new_wiki", "reddit", "amazon_reviews"), 200
ALONE = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"), "1"),
    **{"TOKENIZERS_PARALLELISM": "false", "CUDA_VISIBLE_DEVICES": ""},
}
TUNED = {
    "pad_to_max_length": False,
    "per_device_train_batch_size": 16,
    "per_device_eval_batch_size": 32,
    "learning_rate": 2e-4,
    "num_train_epochs": 1,
    "weight_decay": 0.01,
    "save_strategy": "no",
}
DEFAULTS = {"batch_size": 8, "learning_rate": 5e-5, "epochs": 3.0, "warmup_steps": 0.0, "weight_decay": 0.0}


@dataclass(frozen=True)
class Kind:
    """A script and what it is given: data set, examples for training and for development, longest sequence, score."""

    script: str
    data: str
    train: int
    dev: int
    longest: int
    score: str
    percent: float = 1.0


KINDS = {
    "pairs": Kind("text-classification/run_glue.py", "snli_small", 96, 96, 128, "eval_accuracy", 100.0),
    "tags": Kind("token-classification/run_ner.py", "udpos", 320, 160, 128, "eval_accuracy", 100.0),
    "questions": Kind("question-answering/run_qa.py", "squad_small", 32, 24, 384, "eval_f1"),
}
OTHERS = ("languages", "few")


@dataclass(frozen=True)
class Run:
    """A process: its processor seconds, its peak memory in MiB, and what it says: score, and seconds of the loop."""

    seconds: float
    peak: float
    score: float = float("nan")
    loop: float = float("nan")


def main() -> None:
    """Tell ratios of speed and memory, seconds to the same score, and scores."""
    asked = options()
    if asked.own:
        print(json.dumps(own(json.loads(asked.own))))
        return
    if missing := why_not(asked):
        raise SystemExit(missing)
    found: sides.Figures = {"versions": versions()}
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.only.split(","):
            work = Path(folder) / name
            work.mkdir()
            found |= COMPARED[name](asked, work) if name in COMPARED else trainings(asked, name, work)
    sides.tell(found, asked.json)


def options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--encoder", type=Path, default=Path("work/multilingual-e5-small-4bit"), help="folder, as of make real-encoder"
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("XSTILTS_DATA"), help="folder of data sets")
    parser.add_argument("--only", default=",".join((*KINDS, *OTHERS)), help="some of the comparisons")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--times", type=float, default=1.0, help="so many times the training examples")
    parser.add_argument("--languages", type=int, default=15)
    parser.add_argument("--examples", type=int, default=40, help="of each language")
    parser.add_argument("--quick", action="store_true", help="in miniature, to see that it runs")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--own", help=argparse.SUPPRESS)  # what one process of this package is to do
    if "--quick" in sys.argv:
        parser.set_defaults(times=0.2, languages=2, examples=8)
    asked = parser.parse_args()
    if unknown := {*asked.only.split(",")} - {*KINDS, *OTHERS}:
        parser.error(f"no such comparison: {', '.join(sorted(unknown))}; there are {', '.join((*KINDS, *OTHERS))}")
    return asked


def why_not(asked: argparse.Namespace) -> str:
    """Return what is missing, and "" where nothing is."""
    named = os.environ.get(FOLDER)
    if not named:
        return f"{FOLDER} names no folder with checkouts of transformers and evaluate: see CONTRIBUTING.md"
    for path in (EXAMPLES, METRICS, PYTHON):
        if not (Path(named) / path).exists():
            return f"{named} of {FOLDER} has no {path}: see CONTRIBUTING.md"
    if not asked.data:
        return "no data: give --data or set XSTILTS_DATA"
    return "" if (asked.encoder / "config.json").is_file() else f"{asked.encoder} is no encoder: make real-encoder"


@cache
def versions() -> str:
    """Return what is installed in the peers' environment."""
    named = ("torch", "transformers", "datasets", "accelerate", "sentence-transformers", "setfit")
    code = f"from importlib.metadata import version as v; print(', '.join(n + ' ' + v(n) for n in {named}))"
    python = str(Path(os.environ[FOLDER]).absolute() / PYTHON)
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


# Data, as the scripts read them.


def rows(name: str, examples: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Yield examples under the names of columns that a script looks for."""
    for each in examples:
        if name == "tags":
            yield {"tokens": list(each.tokens), "ner_tags": list(each.tags)}
        elif name == "questions":
            answers = {
                "text": [answer.text for answer in each.answers],
                "answer_start": [answer.start for answer in each.answers],
            }
            yield {"id": each.id, "context": each.context, "question": each.question, "answers": answers}
        else:
            yield {"sentence1": each.text_a, "sentence2": each.text_b, "label": each.label}


def write(name: str, examples: Iterable[Any], file: Path) -> None:
    """Write examples: an object a line, or for run_qa.py a list of them under "data"."""
    made = list(rows(name, examples))
    lines = [{"data": made}] if name == "questions" else made
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def drawn(asked: argparse.Namespace, data: str, split: str, code: str, count: int) -> list[Any]:
    """Return examples of a data set, spread evenly over its split."""
    from xstilts.data.dataset import examples
    from xstilts.data.readers import Report
    from xstilts.tasks.base import task

    every = list(examples(task(data).data(split, code, asked.data), asked.data, Report()))
    return every[:: max(1, len(every) // count)][:count]


def written(asked: argparse.Namespace, name: str, folder: Path) -> int:
    """Write the training and development data of a comparison; return how many training examples there are.

    Development data have no tag that the training data lack: a script takes its tags from there, and fails on others.
    """
    kind = KINDS[name]
    train = drawn(asked, kind.data, "train", "en", max(8, int(kind.train * asked.times)))
    dev = drawn(asked, kind.data, "validation", "en", max(8, int(kind.dev * min(1, asked.times))))
    if name == "tags":
        known = {tag for each in train for tag in each.tags}
        dev = [each for each in dev if known.issuperset(each.tags)]
    write(name, train, folder / "train.json")
    write(name, dev, folder / "dev.json")
    return len(train)


# Processes.


def process(command: Sequence[str | Path], folder: Path, work: Path | None = None) -> Run:
    """Run a program to its end, with caches of its own in `folder`; what it says is in `folder / "log"`."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | ALONE | {"HF_HOME": str(folder / "cache"), "XSTILTS_STORE": str(folder / "store")}
    log = folder / "log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [*map(str, command)], cwd=work, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
        raise SystemExit(f"{' '.join(map(str, command))}\n{tail}\nError: it ended with {child.returncode}")
    print(f"{folder.name}: {used.ru_utime + used.ru_stime:.0f} s", file=sys.stderr, flush=True)
    return Run(used.ru_utime + used.ru_stime, used.ru_maxrss / sides.MIB)


def script(kind: Kind, folder: Path, given: Mapping[str, Any]) -> Run:
    """Run an example script with options beside its defaults."""
    peers = Path(os.environ[FOLDER]).absolute()
    words = [f"--{name}={value}" for name, value in given.items()]
    command = [peers / PYTHON, peers / EXAMPLES / kind.script, f"--output_dir={folder / 'out'}", "--use_cpu", *words]
    return process(command, folder, peers / METRICS)


def trained(asked: argparse.Namespace, name: str, folder: Path, settings: Mapping[str, Any], number: int) -> Run:
    """Train with an example script; return what it took and its score."""
    kind = KINDS[name]
    data = {"train_file": folder / "train.json", "validation_file": folder / "dev.json"}
    given = {"model_name_or_path": asked.encoder.absolute(), **data, "do_train": True, "do_eval": True, "seed": number}
    if name == "tags":
        given["max_seq_length"] = kind.longest  # by default there is none, and the tokenizer has none
    out = folder / f"{'tuned' if settings else 'published'}-{number}"
    run = script(kind, out, given | settings)
    said = json.loads((out / "out" / "all_results.json").read_text(encoding="utf-8"))
    return Run(run.seconds, run.peak, kind.percent * said[kind.score], said["train_runtime"])


def ours(asked: argparse.Namespace, name: str, folder: Path, settings: Mapping[str, Any], number: int) -> Run:
    """Train with this package, in a process of its own, on the same files."""
    known = KINDS.get(name)
    request = {
        "train": str(folder / "train.json"),
        "dev": str(folder / "dev.json"),
        "encoder": str(asked.encoder.absolute()),
        "settings": [f"{key}={value}" for key, value in settings.items()]
        + [f"max_length={known.longest if known else 128}", f"max_train_examples={10**6}"],
        "seed": number + 1,
    }
    return said_by(request, folder / f"ours-{'-'.join(map(str, settings.values()))}-{number}")


def said_by(request: Mapping[str, Any], folder: Path) -> Run:
    """Return what a process of this package took, and what it prints at its end."""
    run = process([sys.executable, __file__, "--own", json.dumps(request)], folder)
    said = json.loads((folder / "log").read_text(encoding="utf-8").splitlines()[-1])
    return Run(run.seconds, run.peak, **said)


def own(request: Mapping[str, Any]) -> dict[str, float]:
    """Train on files, or predict a file with a trained model; return figures of it."""
    return _predicted(request) if "model" in request else _learned(request)


def _learned(request: Mapping[str, Any]) -> dict[str, float]:
    from xstilts import Task, train
    from xstilts.store import manifest
    from xstilts.store.stage import folder_of

    task = Task.from_files("peers", {"train": request["train"], "validation": request["dev"]})
    made = train(
        request["encoder"], task, recipe="e5-small", settings=request["settings"], seed=request["seed"], threads=1
    )
    record = manifest.read(folder_of(made.stage, made.runtime))["record"]
    return {"score": record["dev"]["peers"]["score"], "loop": record["cost"]["seconds"]}


def _predicted(request: Mapping[str, Any]) -> dict[str, float]:
    from xstilts import load_model

    lines = map(json.loads, Path(request["file"]).read_text(encoding="utf-8").splitlines())
    pairs = [(line["sentence1"], line["sentence2"]) for line in lines]
    model = load_model(request["model"], format="classification", max_length=128)
    found = model.predict(pairs, long="truncate")
    # run_glue.py saves outputs without the names of their labels, which are in alphabetic order.
    numbers = (str(model.labels.index(each["label"])) for each in found)
    Path(request["out"]).write_text("\n".join(numbers), encoding="utf-8")
    return {}


# Comparisons.


def trainings(asked: argparse.Namespace, name: str, folder: Path) -> sides.Figures:
    """Compare an example script, as it is and set by hand, with this package."""
    count, runs = written(asked, name, folder), dict[str, list[Run]]()
    calls: dict[str, Callable[[int], Run]] = {
        "published": partial(trained, asked, name, folder, {}),
        "as_published": partial(ours, asked, name, folder, DEFAULTS),
        "tuned": partial(trained, asked, name, folder, tuned(name)),
        "ours": partial(ours, asked, name, folder, {"batch_size": 16, "epochs": 1.0}),
    }

    def taken(side: str, number: int) -> float:
        run = calls[side](number)
        runs.setdefault(side, []).append(run)
        return run.loop

    loops = sides.in_turn({side: partial(taken, side) for side in calls}, asked.rounds)

    @cache
    def of_epochs(epochs: float) -> Run:
        return ours(asked, name, folder, {"batch_size": 16, "epochs": epochs}, 0) if epochs != 1 else runs["ours"][0]

    found: sides.Figures = {f"{name}_examples": count}
    for side, peer in (("as_published", "published"), ("ours", "tuned")):
        found[f"{name}_times_as_fast_as_{peer}"] = sides.ratios(loops[peer], loops[side])
        theirs = runs[peer][0]
        reached = next((run for run in map(of_epochs, EPOCHS) if run.score >= theirs.score), None)
        found[f"{name}_times_as_fast_to_score_of_{peer}"] = theirs.seconds / reached.seconds if reached else 0.0
        found[f"{name}_memory_of_{peer}"] = max(each.peak for each in runs[side]) / max(
            each.peak for each in runs[peer]
        )
    for side, each in runs.items():
        found[f"{name}_{side}_score"] = [run.score for run in each]
        found[f"{name}_{side}_seconds"] = [run.seconds for run in each]
        found[f"{name}_{side}_peak_mib"] = max(run.peak for run in each)
    return found


def tuned(name: str) -> dict[str, Any]:
    """Return the settings by hand of a script, as the peers' release of transformers names them.

    run_ner.py does not pad to a fixed length anyway, and has no such option.
    """
    fourth = {"group_by_length": True, "warmup_ratio": 0.1}  # transformers 4
    later = {"train_sampling_strategy": "group_by_length", "warmup_steps": 0.1}
    named = TUNED | (fourth if "transformers 4." in versions() else later)
    return {key: value for key, value in named.items() if name != "tags" or key != "pad_to_max_length"}


def languages(asked: argparse.Namespace, folder: Path) -> sides.Figures:
    """Compare the script's loop of predictions in several languages, padded or not, with this package's."""
    from xstilts.tasks.base import task

    kind, name = KINDS["pairs"], "pairs"
    written(asked, name, folder)
    codes = task("xnli").languages[: asked.languages]
    test = [each for code in codes for each in drawn(asked, "xnli", "test", code, asked.examples)]
    write(name, test, folder / "test.json")
    trained(asked, name, folder, tuned(name), 0)
    model = folder / "tuned-0" / "out"
    given = {
        **{"model_name_or_path": model, "train_file": folder / "train.json", "do_predict": True},
        **{"validation_file": folder / "dev.json", "test_file": folder / "test.json"},
    }
    request = {"model": str(model), "file": str(folder / "test.json"), "out": str(folder / "ours.txt")}
    runs: dict[str, list[Run]] = {}

    def taken(side: str, number: int) -> float:
        out = folder / f"{side}-{number}"
        set_by_hand = {"pad_to_max_length": False, "per_device_eval_batch_size": 32} if side == "longest" else {}
        run = said_by(request, out) if side == "ours" else script(kind, out, given | set_by_hand)
        runs.setdefault(side, []).append(run)
        return run.seconds

    seconds = sides.in_turn({side: partial(taken, side) for side in ("ours", "padded", "longest")}, asked.rounds)
    said = (folder / "padded-0" / "out" / "predict_results_None.txt").read_text(encoding="utf-8").splitlines()[1:]
    labels = sorted(task("xnli").labels)
    answers = [labels[int(line)] for line in (folder / "ours.txt").read_text(encoding="utf-8").splitlines()]
    same = sum(line.split("\t")[1] == answer for line, answer in zip(said, answers, strict=True))
    found: sides.Figures = {"languages": len(codes), "languages_examples": len(test)}
    for side in ("padded", "longest"):
        found[f"languages_times_as_fast_as_{side}"] = sides.ratios(seconds[side], seconds["ours"])
        found[f"languages_memory_of_{side}"] = runs["ours"][0].peak / runs[side][0].peak
    return found | {"languages_same_answers_percent": 100 * same / len(answers)}


def few(asked: argparse.Namespace, folder: Path, shots: int = 8, dev: int = 40) -> sides.Figures:
    """Compare setfit with this package on a few beginnings of passages: which source is one from?"""
    train, test = list[dict[str, str]](), list[dict[str, str]]()
    for source in SOURCES:
        articles = json.loads((asked.data / SHIFTS / f"{source}_v1.0.json").read_text(encoding="utf-8"))["data"]
        contexts = [part["context"].strip()[:LETTERS] for article in articles for part in article["paragraphs"]]
        shown = [{"text": text, "label": source} for text in dict.fromkeys(contexts)]
        random.Random(0).shuffle(shown)
        train += shown[:shots]
        test += shown[shots : shots + dev]
    for file, lines in (("train", train), ("dev", test)):
        random.Random(1).shuffle(lines)
        (folder / f"{file}.json").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    peers, runs = Path(os.environ[FOLDER]).absolute(), dict[str, list[Run]]()

    def setfit(number: int) -> float:
        out = folder / f"setfit-{number}"
        run = process([peers / PYTHON, SETFIT, asked.encoder.absolute(), folder, out], out)
        said = json.loads((out / "score.json").read_text(encoding="utf-8"))
        runs.setdefault("setfit", []).append(Run(run.seconds, run.peak, **said))
        return run.seconds

    def this(number: int) -> float:
        run = ours(asked, "few", folder, {"batch_size": 16, "epochs": 20.0}, number)
        runs.setdefault("ours", []).append(run)
        return run.seconds

    seconds = sides.in_turn({"setfit": setfit, "ours": this}, asked.rounds)
    found: sides.Figures = {"few_examples_a_class": shots}
    found["few_times_as_fast_as_setfit"] = sides.ratios(seconds["setfit"], seconds["ours"])
    found["few_memory_of_setfit"] = runs["ours"][0].peak / runs["setfit"][0].peak
    return found | {f"few_{side}_score": [run.score for run in each] for side, each in runs.items()}


COMPARED: dict[str, Callable[[argparse.Namespace, Path], sides.Figures]] = {"languages": languages, "few": few}


if __name__ == "__main__":
    main()
