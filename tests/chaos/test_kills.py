"""Random kills of every verb that writes: run again, each ends in the same bytes as without an interruption."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from harness import (
    HERE,
    SEED,
    SHORT,
    Faults,
    Words,
    call,
    completed,
    differing,
    digests,
    ended,
    fork,
    killed,
    left,
    make_encoder,
    prepare,
    sha256,
    tree,
    trials,
)
from huggingface_hub import constants

import hubserver
from toy_models import put_machine, study
from xstilts.runtime import whole_files
from xstilts.runtime.machine import Runtime
from xstilts.sandbox.tasks import examples
from xstilts.store.local_executor import build_all
from xstilts.tasks.base import task

pytestmark = pytest.mark.chaos
INFERENCE, ROLES = ("--intermediate", "sandbox_inference"), ("--intermediate", "sandbox_roles")
SCENES: dict[str, tuple[str, ...]] = {
    "phases": (*INFERENCE, "--target", "sandbox_nli", "--set", "steps=12"),
    "selection": (*INFERENCE, "--target", "sandbox_nli", "--set", "steps=14", "--set", "selection=3"),
    "frozen layers": ("--target", "sandbox_ner", "--set", "steps=14", "--set", "trainable=top:1"),
    "mix": ("--intermediate", "sandbox_roles,sandbox_cloze", "--target", "sandbox_ner", "--set", "steps=12"),
    "adamw8": ("--target", "sandbox_nli", "--set", "steps=14", "--set", "optimizer=adamw8:bf16"),
    "lora": ("--target", "sandbox_ner", "--set", "steps=14", "--set", "trainable=lora:2"),
    "answers": ("--target", "sandbox_qa", "--set", "steps=8"),
    "retrieval": (*ROLES, "--target", "sandbox_retrieval", "--set", "steps=8"),
    "masked words": (*INFERENCE, "--mlm", "sandbox_text", "--target", "sandbox_nli", "--set", "steps=8"),
    "dropped weights": (*INFERENCE, "--target", "sandbox_nli", "--set", "steps=8", "--keep", "none"),
}
STUDY = '''"""Does a related task help?"""
from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain
from xstilts.experiments.grid import Grid, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import Arm, Study
from xstilts.models.encoder import Encoder
from xstilts.tasks.base import task

def study(scale, encoder=""):
    short = ("steps=5", "max_train_examples=24", "max_length=24")
    grid = Grid(Encoder.of({encoder!r}), (task("sandbox_ner"),), (tasks_of("sandbox_roles"),), Recipes("small", short, short), 2)
    return Study(__doc__, (Arm(grid, "all"),), (Claim("Roles help", Gain("sandbox_roles", "sandbox_ner"), "above", answers=True),))
'''


class World:
    """What all commands begin from: an encoder, texts, a user's files, and a finished study to report on and export."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.encoder = folder, folder / "encoder"
        make_encoder(self.encoder)
        (folder / "study.py").write_text(STUDY.replace("{encoder!r}", repr(str(self.encoder))))
        (folder / "text").mkdir()
        (folder / "text" / "en.txt").write_text("".join(f"the cat {n} sat on mat {n % 7}\n" for n in range(80)))
        (folder / "text" / "sw.txt").write_text("".join(f"paka {n} kaa {n % 5}\n" for n in range(60)))
        for name, split, count in (("train", "train", 60), ("test", "test", 12)):
            with (folder / f"{name}.csv").open("w", newline="") as file:
                options = task("sandbox_nli").sources[0].options
                pairs: Any = islice(examples("sandbox_nli", split, "qaa", options), count)
                csv.writer(file).writerows(
                    [("premise", "hypothesis", "label"), *((pair.text_a, pair.text_b, pair.label) for pair in pairs)]
                )
        self.finished = folder / "finished"
        assert completed(call(folder / "log", *self.words("study", self.finished))) == 0, (folder / "log").read_text()

    def words(self, verb: str, place: Path) -> Words:
        """Return the command line of a verb that writes to a place."""
        to, store = ("--out", place / "out"), ("--store", place / "store")
        encoder = ("--encoder", self.encoder)
        if verb in SCENES:
            return ("run", *encoder, *SHORT, *SCENES[verb], *HERE, *store, *to)
        model = (
            next(self.finished.glob("store/train-sandbox_ner*"), self.finished) if verb == "export" else self.finished
        )
        pretraining = ("--layers", 2, "--width", 16, "--heads", 2, "--vocabulary", 90, "--steps", 8, "--batch-size", 4)
        return {
            "fit": (
                *(
                    "fit",
                    *encoder,
                    "--train",
                    f"qaa={self.folder / 'train.csv'}",
                    "--test",
                    f"qaa={self.folder / 'test.csv'}",
                ),
                *("--recipe", "small", "--set", "steps=4", "--set", "max_length=24", "--seeds", 1, *HERE, *store, *to),
            ),
            "study": ("study", self.folder / "study.py", *HERE, *store, *to),
            "report": ("report", place / "out"),
            "pretrain": (
                "pretrain",
                "--text",
                self.folder / "text",
                *pretraining,
                "--max-length",
                16,
                *HERE,
                *store,
                *to,
            ),
            "evidence": ("evidence", "--demo", *to),
            "export": ("export", model, "--base-model", "lab/encoder", *to),
            "store export": ("store", "export", place / "out.tar", "--store", self.finished / "store"),
        }[verb]

    def begin(self, verb: str, place: Path) -> None:
        """Make a new place for a trial."""
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        if verb == "report":
            shutil.copytree(self.finished / "out", place / "out")


def result(verb: str, place: Path) -> dict[str, Any]:
    """Return what of a finished command must be the same however often it was killed."""
    files = digests(place / "store")
    if verb in SCENES:
        return {**files, "table": (place / "out" / "table.json").read_text()}
    if verb == "study":
        report = json.loads((place / "out" / "report.json").read_text())
        return {**files, "rows": [(row["language"], row["seed"], row["score"], row["keys"]) for row in report["rows"]]}
    if verb == "evidence":
        kinds = ("report.json", "works.jsonl", ".html", ".bib", "claims.jsonl")
        return {name: digest for name, digest in tree(place / "out").items() if name.endswith(kinds)}
    if verb == "store export":
        return {"archive": sha256(place / "out.tar")}
    if verb == "fit":
        return {**files, **{name: text for name, text in tree(place / "out").items() if name.endswith("safetensors")}}
    return {**files, **{name: text for name, text in tree(place / "out").items() if name != "manifest.json"}}


def struck(child: int, draw: random.Random) -> str:
    """End a child in one of the ways in which processes are ended; return which."""
    kind = draw.choices(["KILL", "TERM", "INT", "STOP, KILL", "TERM, TERM"], [55, 15, 15, 10, 5])[0]
    try:
        if kind == "KILL":
            os.killpg(child, signal.SIGKILL)
        elif kind == "STOP, KILL":
            os.killpg(child, signal.SIGSTOP)
            time.sleep(0.05)
            os.killpg(child, signal.SIGKILL)
        else:
            for _ in kind.split(", "):
                os.kill(child, signal.SIGINT if kind == "INT" else signal.SIGTERM)
                time.sleep(draw.random() * 0.05)
    except ProcessLookupError:
        pass
    if ended(child, 30.0) is None:
        killed(child)
        return f"{kind}: HUNG"
    return kind


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    prepare()
    return World(tmp_path_factory.mktemp("world"))


VERBS = (*SCENES, "fit", "study", "report", "pretrain", "evidence", "export", "store export")


def test_every_verb_that_is_killed_and_run_again_ends_in_the_same_bytes(world: World, tmp_path: Path) -> None:
    expected: dict[str, tuple[dict[str, Any], float]] = {}
    counts, hits, faults = Counter[str](), Counter[str](), Faults()
    verbs = list(VERBS)
    random.Random(SEED).shuffle(verbs)
    for number, draw in trials():
        verb, log = verbs[number % len(verbs)], tmp_path / "log"
        if verb not in expected:
            place = tmp_path / "uninterrupted"
            world.begin(verb, place)
            began = time.monotonic()
            assert completed(call(log, *world.words(verb, place))) == 0, log.read_text()[-2000:]
            expected[verb] = result(verb, place), time.monotonic() - began
        wanted, seconds = expected[verb]
        place = tmp_path / "uninterrupted"  # the same path, which some results name
        world.begin(verb, place)
        log.unlink()
        for _ in range(draw.randint(1, 4)):
            child = call(log, *world.words(verb, place))
            if ended(child, draw.random() * seconds) is not None:
                break
            hits[struck(child, draw)] += 1
        code = completed(call(log, *world.words(verb, place)))
        differ = differing(wanted, result(verb, place)) if code == 0 else [f"exit code {code}"]
        remains, text = left(place / "store"), log.read_text()
        counts[verb] += 1
        if differ or remains or "Traceback" in text or any("HUNG" in kind for kind in hits):
            faults.append((verb, differ[:5], remains[:5], text[-1500:]))
    print(f"\nkills: {sum(counts.values())} trials {dict(counts)}, hits {dict(hits)}, with faults {len(faults)}")
    assert not faults, faults


def test_toy_studies_that_are_killed_all_the_time_end_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store alone, at a hundred kills a minute, with weights that are dropped on the way."""
    monkeypatch.setattr(whole_files, "sync", lambda path: None)
    stages = study(2)
    wanted: dict[str, dict[str, str]] = {}
    hits, faults, count = Counter[str](), Faults(), 0
    for number, draw in trials():
        keep = ("all", "none", "intermediate")[number % 3]
        place = tmp_path / str(number)
        place.mkdir()
        machine = put_machine(place, keep)

        def work(machine: Runtime = machine) -> int:
            return build_all(stages, machine, keep=stages)

        if keep not in wanted:
            work()
            wanted[keep] = digests(machine.store)
            shutil.rmtree(place)
            place.mkdir()
        for _ in range(draw.randint(1, 5)):
            child = fork(work, place / "log", lambda: None)
            if ended(child, draw.random() * 0.4) is not None:
                break
            hits[struck(child, draw)] += 1
        assert completed(fork(work, place / "log", lambda: None)) == 0, (place / "log").read_text()[-2000:]
        differ, remains, count = differing(wanted[keep], digests(machine.store)), left(machine.store), count + 1
        if differ or remains:
            faults.append((keep, differ[:5], remains[:5]))
        shutil.rmtree(place)
    print(f"\nkills of toy studies: {count} trials, hits {dict(hits)}, with faults {len(faults)}")
    assert not faults, faults


def test_kills_while_a_large_checkpoint_is_written_leave_nothing_of_it(tmp_path: Path) -> None:
    prepare()
    make_encoder(tmp_path / "encoder", hidden_size=256, intermediate_size=1024, num_attention_heads=4)
    store, log = tmp_path / "store", tmp_path / "log"
    words = (
        *("run", "--encoder", tmp_path / "encoder", "--target", "sandbox_nli", *SHORT, "--set", "max_length=16"),
        *("--set", "steps=4", "--set", "batch_size=4", *HERE, "--store", store),
    )
    began = time.monotonic()
    assert completed(call(log, *words)) == 0, log.read_text()[-2000:]
    wanted, seconds = digests(store), time.monotonic() - began
    torn, count, faults = 0, 0, Faults()
    for _, draw in trials():
        shutil.rmtree(store)
        log.unlink()
        child, end = call(log, *words), time.monotonic() + seconds
        names = ("train*.part/*.new", "train*.part/.tmp*", "train*.part/model/.tmp*", "train*.part/*safetensors")
        while time.monotonic() < end and not any(any(store.glob(name)) for name in names):
            time.sleep(0.002)
        time.sleep(draw.random() * seconds / 4)
        killed(child)
        torn += any(any(store.glob(f"**/{name}")) for name in (".tmp*", "*.new"))
        code, count = completed(call(log, *words)), count + 1
        differ, remains = differing(wanted, digests(store)), left(store)
        if code or differ or remains:
            faults.append((code, differ[:5], remains[:5], log.read_text()[-1000:]))
    print(f"\nkills at large checkpoints: {count}, of which {torn} left torn files; with faults {len(faults)}")
    assert not faults, faults


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[hubserver.Hub, dict[str, bytes]]]:
    """A hub that sends each file in pieces, a fiftieth of a second each."""
    answer: Callable[..., None] = hubserver._Answers.answer

    def slowly(self: Any, status: int, content: bytes, headers: dict[str, str], *rest: Any) -> None:
        if self.command != "GET" or len(content) < 50_000 or status not in (200, 206):
            return answer(self, status, content, headers, *rest)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for start in range(0, len(content), 20_000):
                self.wfile.write(content[start : start + 20_000])
                time.sleep(0.02)
        except OSError:
            pass
        return None

    monkeypatch.setattr(hubserver._Answers, "answer", slowly)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    bytes_of, codes = (
        random.Random(1),
        ("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"),
    )
    files = {f"{code}/test-00000-of-00001.parquet": bytes_of.randbytes(100_000) for code in codes}
    with hubserver.serving() as served:
        served.put("facebook/xnli", files)
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        template = f"{served.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield served, files


def test_downloads_that_are_killed_never_leave_a_torn_file_in_place(
    hub: tuple[hubserver.Hub, dict[str, bytes]], tmp_path: Path
) -> None:
    prepare()
    wanted = {name: hashlib.sha256(content).hexdigest() for name, content in hub[1].items()}
    log, data = tmp_path / "log", tmp_path / "data"
    words = ("data", "xnli", "--split", "test", "--get", "--no-counts", "--data", data)
    began = time.monotonic()
    assert completed(call(log, *words, before=lambda: None)) == 0, log.read_text()[-2000:]
    seconds = time.monotonic() - began

    def whole() -> dict[str, str]:
        there = tree(data / "hub" / "facebook" / "xnli")
        return {name: digest for name, digest in there.items() if name in wanted}

    hits, count, faults = Counter[str](), 0, Faults()
    for _, draw in trials():
        shutil.rmtree(data, ignore_errors=True)
        log.unlink()
        for _ in range(draw.randint(1, 3)):
            child = call(log, *words, before=lambda: None)
            if ended(child, draw.uniform(0.1, 1) * seconds) is not None:
                break
            hits[struck(child, draw)] += 1
            if torn := [name for name, digest in whole().items() if wanted[name] != digest]:
                faults.append(("torn", torn))
        code, count = completed(call(log, *words, before=lambda: None)), count + 1
        if code or whole() != wanted or "Traceback" in log.read_text():
            faults.append((code, log.read_text()[-1000:]))
    print(f"\nkills of downloads: {count} trials, hits {dict(hits)}, with faults {len(faults)}")
    assert not faults, faults
