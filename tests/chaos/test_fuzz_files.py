"""Mutated predictions, encoder folders, reports and stores: each is refused with a message, or read."""

from __future__ import annotations

import faulthandler
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fuzzing import SEED, VALUES, Lost, Tally, inputs, mutated_bytes, mutated_json, mutated_json_lines
from test_verify import told

import families as made_families
import made_report
from built_study import finished_store
from xstilts.evaluation import score_file
from xstilts.evaluation.score_file import Reading, read_gold, read_predictions, scored
from xstilts.evidence.pipeline import ReportOptions, make_report
from xstilts.evidence.report import bundle
from xstilts.evidence.report import verify as evidence_verify
from xstilts.models.encoder import Encoder, load_backbone, load_tokenizer
from xstilts.models.encoder_check import check
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.reporting import study_page
from xstilts.runtime.machine import Runtime
from xstilts.stats import Resampling
from xstilts.store import query
from xstilts.verification.verify import verify

pytestmark = pytest.mark.chaos
Case = Callable[[Path, Random], Callable[[], object]]
QUICK = Resampling(resamples=10)
HOSTILE = ("<script>alert(1)</script>", 'href="javascript:')


@pytest.fixture(autouse=True)
def watched() -> Iterator[None]:
    """End the tests where a library in another language hangs, which no signal interrupts."""
    faulthandler.dump_traceback_later(1800, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def law(name: str, usual: int, case: Case, folder: Path) -> None:
    """Try a case with many dice: nothing but refusals and results."""
    tally = Tally(name)
    for number in range(inputs(usual)):
        place = folder / str(number)
        place.mkdir()
        kinds = len(tally.broken)
        tally.attempt(case(place, Random(f"{SEED} {name} {number}")), f"in {place}", place)
        if len(tally.broken) == kinds:
            shutil.rmtree(place)
    broken = tally.verdict()
    assert not broken, f"\n{broken}"


# Predictions and gold answers of every form that `xstilts score` reads.

TAGS = (["B-PER", "O"], ["O", "O", "B-LOC"], ["O"])
GOLD: dict[str, tuple[str, bytes, str, bytes]] = {  # by task format: gold and predictions, each with a name
    "classification": ("gold.csv", b"id,text,label\n1,a,yes\n2,b,no\n3,c,yes\n", "said.jsonl", b"".join(b'{"id": "%d", "prediction": "%s"}\n' % (n, label) for n, label in ((1, b"yes"), (2, b"yes"), (3, b"no")))),
    "token_classification": ("gold.jsonl", b"".join(json.dumps({"id": str(n), "tokens": ["w"] * len(tags), "tags": tags}).encode() + b"\n" for n, tags in enumerate(TAGS)), "said.conll", b"Anna B-PER\nruns O\n\na O\nb O\nc O\n\nd O\n"),
    "extractive_qa": ("gold.json", json.dumps({"data": [{"paragraphs": [{"context": "Ada wrote.", "qas": [{"id": str(n), "question": "Who?", "answers": [{"text": "Ada", "answer_start": 0}]} for n in range(3)]}]}]}).encode(), "said.json", b'{"0": "Ada", "1": "wrote", "2": ""}'),
    "multiple_choice": ("gold.tsv", b"id\tlabel\n1\t0\n2\t1\n3\t2\n", "said.txt", b"0\n1\n1\n"),
}  # fmt: skip


def mutated(name: str, raw: bytes, dice: Random) -> bytes:
    """Return the bytes of a file, mutated as what its name says."""
    kinds = {"json": mutated_json, "jsonl": mutated_json_lines}
    return kinds.get(name.rpartition(".")[2], lambda raw, dice: mutated_bytes(raw, dice, dice.choice([1, 1, 2, 4])))(
        raw, dice
    )


def predictions(folder: Path, dice: Random) -> Callable[[], object]:
    format = dice.choice(sorted(GOLD))
    gold_name, gold, name, said = GOLD[format]
    if dice.random() < 0.3:
        name, said = "said.csv", b"id,prediction\n1,yes\n2,no\n3,1\n"
    if dice.random() < 0.3:
        gold = mutated(gold_name, gold, dice)
    (folder / gold_name).write_bytes(gold)
    (folder / name).write_bytes(mutated(name, said, dice))
    reading = Reading(format=dice.choice(["", format, format]))
    allowed = dice.random() < 0.5

    def score() -> None:
        read = read_gold(folder / gold_name, reading)
        read_predictions_of = read_predictions(folder / name, read, allow_missing=allowed)
        report = scored(read, [read_predictions_of], QUICK)
        json.dumps(report.to_dict(), allow_nan=False)
        if report.examples != len(read.examples) or not set(read.ids) <= read_predictions_of.values.keys():
            raise Lost("examples that are not scored")

    return score


def test_predictions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_file, "RESAMPLING", QUICK)
    law("predictions", 6000, predictions, tmp_path)


# Encoder folders.

CONFIG = ["architectures", "auto_map", "base_model_tp_plan", "dtype", "hidden_act", "hidden_size", "id2label", "layer_norm_eps", "max_position_embeddings", "model_type", "num_attention_heads", "num_hidden_layers", "num_labels", "pad_token_id", "problem_type", "quantization_config", "torch_dtype", "transformers_version", "type_vocab_size", "vocab_size", "_attn_implementation"]  # fmt: skip
SETTINGS: list[Any] = [{"AutoModel": "evil--modeling.X", "AutoConfig": "configuration_evil.X", "AutoTokenizer": ["tok.X", None]}, "bert", "xlm-roberta", "evil", ["X"], 0, -1, 10**9, None, {}, {"quant_method": "bitsandbytes", "load_in_8bit": True}, "float16", "flash_attention_2", "eager", "x", 1.5, True]  # fmt: skip


@pytest.fixture(scope="module")
def good_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(made_families.make("xlm-roberta", tmp_path_factory.mktemp("good") / "tiny"))


def test_encoder_folders(good_encoder: Path, tmp_path: Path) -> None:
    names = [
        "config.json",
        "config.json",
        "tokenizer.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
    ]

    def encoder(folder: Path, dice: Random) -> Callable[[], object]:
        place = Path(shutil.copytree(good_encoder, folder / "encoder"))
        path = place / dice.choice([name for name in names if (place / name).exists()])
        raw = path.read_bytes()
        if path.suffix == ".safetensors":
            header = 8 + int.from_bytes(raw[:8], "little")
            at = dice.randrange(header)
            raw = (
                raw[:at] + bytes([dice.randrange(256)]) + raw[at + 1 :]
                if dice.random() < 0.8
                else raw[: dice.randrange(len(raw))]
            )
        elif path.name == "config.json" and dice.random() < 0.5:
            raw = json.dumps(json.loads(raw) | {dice.choice(CONFIG): dice.choice(SETTINGS)}).encode()
        else:
            raw = mutated_json(raw, dice)
        path.write_bytes(raw)

        def load() -> None:
            check(Encoder.of(place))
            network, tokenizer = Network(load_backbone(place)), Tokenizer.of(load_tokenizer(place))
            if any(
                len(ids) and max(ids) >= len(network.embedding_matrix) for ids in tokenizer.segments(["a b cd", ""])
            ):
                raise Lost("a token without a row of the matrix")

        return load

    law("encoder folders", 400, encoder, tmp_path)


# Reports of studies, and the stores behind them.


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, few_examples: None) -> tuple[Runtime, Path]:
    machine, out = finished_store(tmp_path_factory), tmp_path_factory.mktemp("report")
    told(machine, out)
    return machine, out


def test_verification_of_studies(study: tuple[Runtime, Path], tmp_path: Path) -> None:
    machine, out = study
    store = tmp_path / "store"
    shutil.copytree(machine.store, store)
    stored = sorted(path for path in store.rglob("*.json*") if "model" not in path.parts)

    def report(folder: Path, dice: Random) -> Callable[[], object]:
        shutil.copytree(out, folder / "report")
        path = folder / "report" / "report.json" if dice.random() < 0.6 else dice.choice(stored)
        before = path.read_bytes()
        path.write_bytes(mutated(path.name, before, dice))

        def looked_at() -> None:
            try:
                verify(folder / "report", store)
                list(query.records(store))
            finally:
                if path.is_relative_to(store):
                    path.write_bytes(before)

        return looked_at

    law("verification of studies", 250, report, tmp_path)


def test_pages_of_studies(tmp_path: Path) -> None:
    good = json.dumps(shortened(made_report.made())).encode()

    def pages(folder: Path, dice: Random) -> Callable[[], object]:
        (folder / "report.json").write_bytes(mutated_json(good, dice))

        def written() -> None:
            study_page.write_pages(folder)
            _harmless(folder / study_page.HTML)

        return written

    law("pages of studies", 400, pages, tmp_path)


def shortened(value: Any) -> Any:
    """Return a report with the first entries of its long lists."""
    if isinstance(value, list):
        return [shortened(part) for part in (value[:4] if len(value) > 6 else value)]
    if isinstance(value, dict):
        return {key: shortened(part) for key, part in (list(value.items())[:6] if len(value) > 60 else value.items())}
    return value


def _harmless(page: Path) -> None:
    written = page.read_text(encoding="utf-8")
    if harm := [part for part in HOSTILE if part in written]:
        raise Lost(f"{harm[0]} in {page.name}")


# Reports of literature.

QUESTION = "Does a larger batch size improve zero-shot transfer?"
TEXT = "Batch size and transfer\nAbstract\nA larger batch size improves zero-shot transfer on XTREME by {n}.1 points. {x}\n1 Introduction\nWe find that a larger batch size improves transfer to Swahili by 3 points ({x}).\n"  # fmt: skip
FACTS = {"title": "Batch sizes in transfer", "authors": ["Ada de Boer"], "year": 2021, "doi": "10.1/x", "arxiv": "2101.00001", "acl": "2021.acl-long.1", "url": "https://x.y/z", "venue": "V", "abstract": "A larger batch size improves transfer by 2 points.", "citations": 3}  # fmt: skip


def literature(folder: Path, dice: Random) -> Path:
    """Write a folder of texts with facts, both mutated; return it."""
    place = folder / "texts"
    place.mkdir()
    for number in range(dice.randint(1, 3)):
        text = TEXT.format(n=number, x=dice.choice([value for value in VALUES if isinstance(value, str)])).encode(
            "utf-8", "replace"
        )
        (place / f"{number}.txt").write_bytes(mutated_bytes(text, dice, dice.randint(1, 3)))
        if dice.random() < 0.6:
            (place / f"{number}.json").write_bytes(mutated_json(json.dumps(FACTS).encode(), dice))
    (place / "good.txt").write_text(TEXT.format(n=2, x="good"))
    return place


def test_reports_of_literature(tmp_path: Path) -> None:
    def report(folder: Path, dice: Random) -> Callable[[], object]:
        place = literature(folder, dice)

        def made() -> None:
            make_report(QUESTION, ReportOptions(folder / "out", tmp_path / "replies", (str(place),)))
            _harmless(folder / "out" / "report.html")
            wrong = [
                one.name for one in evidence_verify.verify(folder / "out", tmp_path / "none") if one.status == "changed"
            ]
            if wrong:
                raise Lost(f"a new report does not stand: {wrong[0]}")

        return made

    law("reports of literature", 60, report, tmp_path)


def test_verification_of_literature(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    good = tmp_path / "made" / "out"
    make_report(QUESTION, ReportOptions(good, tmp_path / "replies", (str(literature(tmp_path / "made", Random(1))),)))

    def damaged(folder: Path, dice: Random) -> Callable[[], object]:
        copy = Path(shutil.copytree(good, folder / "report"))
        files = sorted(path for path in copy.rglob("*") if path.suffix in (".json", ".jsonl", ".txt"))
        path = copy / "report.json" if dice.random() < 0.5 else dice.choice(files)
        path.write_bytes(mutated(path.name, path.read_bytes(), dice))
        if dice.random() < 0.5:
            return lambda: evidence_verify.verify(copy, tmp_path / "none")

        def views() -> None:
            bundle.write_views(copy)
            _harmless(copy / "report.html")

        return views

    law("verification of literature", 120, damaged, tmp_path)
