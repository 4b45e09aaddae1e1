"""Searching: mining and ranking, from files to scores; what is found is what is there, and who is scored is stated."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from test_dataset import get, put
from test_score import spoken

from families import tokenizer
from given import promised
from xstilts.data.dataset import examples
from xstilts.data.examples import BitextExample, PassageExample, TaggingExample
from xstilts.data.readers import Report
from xstilts.errors import InputError
from xstilts.evaluation.score import read_score, score
from xstilts.formats import task_format
from xstilts.metrics import bitext_f1, mine
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.tasks.base import task

XLMR = Tokenizer.of(tokenizer("xlm-roberta"))
SENTENCES = [f"{a}{b} {b}{a}{a} {a}" for a in "abcde" for b in "fgz"]


def bitext(folder: Path, gold: str = "x-1\te-1\nx-2\te-0\n") -> None:
    put(folder, "xtreme/bucc2018/zh-en.dev.zh", "".join(f"x-{n}\tshu {n}\n" for n in range(4)))
    put(folder, "xtreme/bucc2018/zh-en.dev.en", "".join(f"e-{n}\tbook {n}\n" for n in range(3)))
    put(folder, "xtreme/bucc2018/zh-en.dev.gold", gold)


def answered(name: str, passages: list[PassageExample], families: Any) -> list[Any]:
    """Predict passages with an untrained encoder."""
    network, how = Network(families.backbone("xlm-roberta")).eval(), task_format(name)
    units = how.encode(passages, XLMR, 32, (), Counter())
    with torch.inference_mode():
        found = [a for unit in units for a in how.predict(network, "head", how.collate([unit], XLMR), [unit])]
    return list(how.decode(found[::-1], units[::-1], passages, ()))


# Reading.


def test_bitext_is_queries_and_candidates_with_their_gold(tmp_path: Path) -> None:
    bitext(tmp_path)
    found, _ = get(tmp_path, "bucc", "validation", "zh")
    assert found[1] == PassageExample("x-1", "shu 1", None, "query", ("e-1",))
    assert [p.side for p in found if isinstance(p, PassageExample)] == ["query"] * 4 + ["candidate"] * 3


def test_a_half_is_scored_and_the_other_takes_part(tmp_path: Path) -> None:
    bitext(tmp_path)
    halves = [get(tmp_path, "bucc_small", split, "zh")[0] for split in ("validation", "test")]
    asked = [{p.id for p in half if isinstance(p, PassageExample) and p.side == "query"} for half in halves]
    assert asked == [{"x-1", "x-3"}, {"x-0", "x-2"}]
    assert all(len(half) == 7 for half in halves)
    assert not any(p.targets for half in halves for p in half if isinstance(p, PassageExample) and p.side != "query")


def test_bitext_without_gold_is_withheld(tmp_path: Path) -> None:
    put(tmp_path, "xtreme/bucc2018/zh-en.test.zh", "x\tshu\n")
    put(tmp_path, "xtreme/bucc2018/zh-en.test.en", "e\tbook\n")
    assert not task("bucc").has("test", "zh", tmp_path)
    assert len(get(tmp_path, "bucc", "test", "zh")[0]) == 2


@pytest.mark.parametrize(
    ("gold", "says"),
    [
        ("x-1 e-1\n", r"zh-en.dev.gold:1: expected two fields"),
        ("x-1\te-1\nx-9\te-1\n", r"zh-en.dev.gold:2: expected ids of both sides, found 'x-9'"),
        ("e-1\tx-1\n", r"found 'e-1'; it is not in .*zh-en.dev.zh"),
    ],
)
def test_a_wrong_pair_is_told(tmp_path: Path, gold: str, says: str) -> None:
    bitext(tmp_path, gold)
    with pytest.raises(InputError, match=says):
        get(tmp_path, "bucc", "validation", "zh")


def test_the_hubs_bitext_counts_places_from_one(tmp_path: Path) -> None:
    row = {"sentence1": ["shu 0", "shu 1"], "sentence2": ["book 0", "book 1"], "gold": [[2, 1]]}
    path = tmp_path / "hub/mteb/BUCC/zh-en/test-0.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([row]), path)
    found, _ = get(tmp_path, "bucc", "test", "zh")
    assert found[1] == PassageExample("xx-2", "shu 1", None, "query", ("en-1",))
    pq.write_table(pa.Table.from_pylist([{**row, "gold": [[3, 1]]}]), path)
    with pytest.raises(InputError, match=r"row 1, gold\[0\]: expected places in both lists, found \(3, 1\)"):
        get(tmp_path, "bucc", "test", "zh")


def xquad_r(folder: Path, code: str, *, start: int = 9) -> None:
    context = "It rains. It snows. It rains."
    breaks = [[0, 9], [10, 19], [20, 29]]
    asked = [{"id": "q1", "question": f"What {code}?", "answers": [{"text": "It", "answer_start": start}]}]
    document = {"data": [{"paragraphs": [{"context": context, "sentence_breaks": breaks, "qas": asked}]}]}
    put(folder, f"targets/lareqa/xquad-r/{code}.json", json.dumps(document))


def test_questions_of_one_language_have_answers_in_all(tmp_path: Path) -> None:
    xquad_r(tmp_path, "de", start=10)
    xquad_r(tmp_path, "el", start=0)
    found, _ = get(tmp_path, "lareqa", "test", "de")
    assert found[0] == PassageExample("q1", "What de?", None, "query", ("de_1_1", "el_1_0", "el_1_2"))
    assert [p.id for p in found[1:]] == [f"{code}_1_{n}" for code in ("de", "el") for n in range(3)]
    assert found[2] == PassageExample("de_1_1", "It snows.", "It rains. It snows. It rains.", "candidate", ())


def test_an_answer_between_sentences_drops_its_question(tmp_path: Path) -> None:
    xquad_r(tmp_path, "de", start=9)
    xquad_r(tmp_path, "el", start=0)
    found, report = get(tmp_path, "lareqa", "test", "el")
    assert [p.id for p in found if isinstance(p, PassageExample) and p.side == "query"] == ["q1"]
    assert report.counts == {"dropped: answer in no sentence": 1}


def test_pairs_are_a_question_and_the_sentence_that_answers_it(tmp_path: Path) -> None:
    context = 'Mr. Ada wrote it. She was 3.5 years old! "Really?" he said.'
    asked = [
        {"id": str(n), "question": "?", "answers": [{"text": context[at], "answer_start": at}]}
        for n, at in enumerate((4, context.index("3.5"), context.index("said")))
    ]
    put(tmp_path, "squad/train-v1.1.json", json.dumps({"data": [{"paragraphs": [{"context": context, "qas": asked}]}]}))
    found, _ = get(tmp_path, "squad_pairs", "train")
    told = [pair.english for pair in found if isinstance(pair, BitextExample)]
    assert told == ["Ada wrote it.", "She was 3.5 years old!", '"Really?" he said.']
    assert all(pair.context == context for pair in found if isinstance(pair, BitextExample))


def test_mewslix_marks_mentions_and_describes_entities(tmp_path: Path) -> None:
    text = "Old. Ada met Bo."
    context = {"language": "de", "text": text, "sentence_spans": [{"start": 0, "end": 4}, {"start": 5, "end": 16}]}
    span = {"start": 5, "end": 8, "text": "Ada"}
    mention = {"example_id": "m1", "entity_id": "Q1 ", "mention_span": span}
    entity = {
        "entity_id": "Q1",
        "title": "Ada",
        "description": "A person. She wrote.",
        "sentence_spans": [{"start": 0, "end": 9}],
    }
    put(tmp_path, "mewslix/wikinews_mentions-test.jsonl", json.dumps({"context": context, "mentions": [mention]}))
    put(tmp_path, "mewslix/candidate_set_entities.jsonl", json.dumps(entity))
    found, _ = get(tmp_path, "mewslix", "test", "de")
    assert found == [
        PassageExample("m1", "{Ada} met Bo.", None, "query", ("Q1",)),
        PassageExample("Q1", "Ada", "A person.", "candidate", ()),
    ]
    pair = {"contextual_mention": {"context": context, "mention": mention}, "entity": entity}
    put(tmp_path, "mewslix/wikipedia_pairs-train.jsonl", json.dumps(pair))
    assert get(tmp_path, "mewslix_pairs", "train")[0] == [BitextExample("m1", "{Ada} met Bo.", "Ada", "A person.")]
    context["text"] = ""
    put(tmp_path, "mewslix/wikinews_mentions-test.jsonl", json.dumps({"context": context, "mentions": [mention]}))
    with pytest.raises(InputError, match=r"test\.jsonl:1: expected 'Ada' at .*; fill in the articles' texts"):
        get(tmp_path, "mewslix", "test", "de")


TREE = (
    r"(<T S 1 2> (<L NP PRON PRON She NP>) (<T S\NP 0 2> (<L (S\NP)/NP VERB VERB ( (S\NP)/NP>) (<L NP X X it NP>) ) )"
)


def test_supertags_are_read_from_derivations_and_columns(tmp_path: Path) -> None:
    put(tmp_path, "ccgbank_1_1/data/AUTO/00/wsj_0001.auto", f"ID=wsj_1 PARSER=GOLD\n{TREE}\n")
    found, _ = get(tmp_path, "ccg", "validation")
    assert found == [TaggingExample("wsj_1", ("She", "(", "it"), ("NP", r"(S\NP)/NP", "NP"))]
    put(tmp_path / "b", "ccg/dev.tsv", "She\tNP\n(\t(S\\NP)/NP\nit\tNP\n")
    columns = get(tmp_path / "b", "ccg", "validation")[0][0]
    assert isinstance(columns, TaggingExample)
    assert (columns.tokens, columns.tags) == (("She", "(", "it"), ("NP", r"(S\NP)/NP", "NP"))


@pytest.mark.parametrize(
    "broken", [TREE[:-2], TREE[:40], TREE.replace("She NP>)", "She"), "She NP", f"ID=x\n{TREE}\n{TREE}"]
)
def test_a_broken_derivation_is_told(tmp_path: Path, broken: str) -> None:
    above = "" if broken.startswith("ID") else "ID=wsj_1\n"
    put(tmp_path, "ccgbank_1_1/data/AUTO/00/wsj_0001.auto", f"{above}{broken}\n")
    with pytest.raises(InputError, match=r"wsj_0001\.auto:[23]: expected a .*tree.*; the line is cut"):
        get(tmp_path, "ccg", "validation")


# Searching.


@pytest.mark.parametrize("name", ["bitext_mining", "passage_ranking"])
def test_what_is_the_same_is_found(name: str, families: Any) -> None:
    asking = [PassageExample(f"x{n}", text, None, "query", (f"e{n}",)) for n, text in enumerate(SENTENCES)]
    there = [PassageExample(f"e{n}", text, None, "candidate") for n, text in enumerate(SENTENCES)]
    lines = answered(name, [*asking, *there[::-1]], families)
    assert [line["id"] for line in lines] == [p.id for p in asking]
    best = [line["prediction"][0] if name == "passage_ranking" else line["prediction"][-1][0] for line in lines]
    assert best == [f"e{n}" for n in range(len(SENTENCES))]


def test_bystanders_take_their_translations_and_have_no_line(families: Any) -> None:
    asking = [
        PassageExample("x", SENTENCES[0], None, "query", ("e0",)),
        PassageExample("y", SENTENCES[1], None, "bystander"),
    ]
    there = [PassageExample(f"e{n}", SENTENCES[n], None, "candidate") for n in range(5)]
    (line,) = answered("bitext_mining", [*asking, *there], families)
    assert line["id"] == "x"
    assert [pair[0] for pair in line["prediction"][1:]] == ["e0"] * (len(line["prediction"]) - 1)


def test_a_repeated_sentence_is_never_a_pair(families: Any) -> None:
    asking = [
        PassageExample("x", SENTENCES[0], None, "query", ("e",)),
        PassageExample("y", SENTENCES[0], None, "query"),
    ]
    there = [PassageExample("e", SENTENCES[0], None, "candidate"), PassageExample("f", SENTENCES[4], None, "candidate")]
    lines = answered("bitext_mining", [*asking, *there], families)
    assert all(pair is None for line in lines for pair in line["prediction"])


def test_a_context_gives_before_its_text() -> None:
    text, context, cut = "a b c d", "f g j z f g j z", Counter[str]()
    room = XLMR.room(12, pair=True)
    (unit,) = task_format("passage_ranking").encode(
        [PassageExample("c", text, context, "candidate")], XLMR, 12, (), cut
    )
    assert len(unit.sequences[0]) == 12
    assert cut["truncated"] == 1
    alone = XLMR.segments([text])[0]
    assert unit.sequences[0].tolist()[1 : 1 + len(alone)] == alone.tolist()[:room]


def test_passages_cannot_be_learned_from(families: Any) -> None:
    how, passage = task_format("passage_ranking"), PassageExample("x", "a", None, "query")
    batch = how.collate(how.encode([passage], XLMR, 8, (), Counter()), XLMR)
    with pytest.raises(InputError, match="give --learn-from a task of pairs"):
        how.loss(Network(families.backbone("xlm-roberta")), "head", batch)


# Scoring.

MINED = [PassageExample(f"x{n}", "", None, "query", (f"e{n}",) if n != 3 else ()) for n in range(4)]
THERE = [PassageExample("e0", "", None, "candidate"), PassageExample("y", "", None, "bystander")]


def mined(*layers: list[Any]) -> list[dict[str, Any]]:
    return [{"id": f"x{n}", "prediction": [layer[n] for layer in layers]} for n in range(4)]


RIGHT, WRONG = [["e0", 1.3], ["e1", 1.2], ["e9", 1.1], None], [["e5", 1.3], None, ["e2", 1.0], ["e7", 0.9]]


def test_a_threshold_from_these_data_is_called_what_it_is(machine: Runtime) -> None:
    data = promised("bitext_mining", [*MINED, *THERE], "itself")
    found = read_score(build(score(spoken(mined(WRONG, RIGHT)), data, "mined_f1"), machine))
    assert found["threshold"] == pytest.approx(1.15)
    assert found["headline"] == pytest.approx(
        bitext_f1({("x0", "e0"), ("x1", "e1"), ("x2", "e2")}, {("x0", "e0"), ("x1", "e1")})["f1"]
    )
    assert found["threshold_from"].startswith("these data")
    assert found["examples"] == 4


def test_layer_and_threshold_come_from_other_data(machine: Runtime) -> None:
    dev = score(spoken(mined(RIGHT, WRONG)), promised("bitext_mining", MINED, "dev"), "mined_f1")
    gold = promised("bitext_mining", [*MINED, *THERE], "gold")
    tested = [["e0", 1.16], ["e1", 1.14], ["e2", 1.2], ["e3", 2.0]]
    found = read_score(build(score(spoken(mined(tested, RIGHT)), gold, "mined_f1", dev), machine))
    assert (found["layer"], found["threshold"]) == (0, pytest.approx(1.15))
    assert found["values"] == pytest.approx({"precision": 200 / 3, "recall": 200 / 3, "f1": 200 / 3})
    assert found["threshold_from"] == "other data"


def test_rankings_are_scored_by_their_queries(machine: Runtime) -> None:
    passages = [PassageExample("a", "", None, "query", ("c1", "c2")), PassageExample("b", "", None, "query", ("c9",))]
    data = promised("passage_ranking", [*passages, PassageExample("c1", "", None, "candidate")], "ranked")
    lines = [{"id": "a", "prediction": ["c1", "c5", "c2"]}, {"id": "b", "prediction": ["c1"]}]
    found = read_score(build(score(spoken(lines), data, "map20"), machine))
    assert found["headline"] == pytest.approx(100 * ((1 + 2 / 3) / 2) / 2)
    assert found["examples"] == 2


def test_mined_pairs_take_every_sentence_once_and_the_best_first() -> None:
    random = np.random.default_rng(0)
    a, b = (random.normal(size=(n, 8)).astype(np.float32) for n in (1500, 1100))
    names = [[f"{side}{n}" for n in range(size)] for side, size in (("a", 1500), ("b", 1100))]
    found = mine(names[0], a, names[1], b)
    assert len({pair.source for pair in found}) == len({pair.english for pair in found}) == len(found)
    assert [pair.score for pair in found] == sorted((pair.score for pair in found), reverse=True)


def test_passages_are_read_back_as_written(tmp_path: Path) -> None:
    bitext(tmp_path)
    data = task("bucc").data("validation", "zh", tmp_path)
    for passage in examples(data, tmp_path, Report()):
        fields = json.loads(json.dumps(asdict(passage)))
        assert PassageExample(**{**fields, "targets": tuple(fields["targets"])}) == passage
