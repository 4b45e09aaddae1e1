"""XTREME-R's protocols of LAReQA, Mewsli-X and XCOPA: what runs with the recipe `xtreme` read, train and predict."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from families import FAMILIES
from xstilts.api import _scores, _text_form
from xstilts.cost import flops
from xstilts.cost.activation_memory import Device
from xstilts.cost.flops import Shape
from xstilts.data.dataset import examples
from xstilts.data.examples import BitextExample, MultipleChoiceExample, PassageExample
from xstilts.data.readers import Report
from xstilts.experiments.run import Recipes, Run, training_data
from xstilts.experiments.splits import NamedSplits
from xstilts.models.encoder import Encoder
from xstilts.models.heads import attach_dual_encoder
from xstilts.models.network import Network
from xstilts.runtime.machine import Runtime
from xstilts.store.stage import Stage
from xstilts.tasks.base import task
from xstilts.training.memory import Setting, estimate
from xstilts.training.recipe import SETS, Recipe, named
from xstilts.training.train import train

TINY = Encoder("tiny", "0" * 64, "/nowhere")
PARAGRAPH = "Ada wrote notes.\nShe lived in London."
SENTENCE = "She lived in London."
TEXT = "First {one}.  In May Smith spoke {loudly} here.\nEnd."
MENTION = {"example_id": "m", "mention_span": {"start": 21, "end": 26, "text": "Smith"}, "entity_id": "Q1"}
CONTEXT = {"language": "en", "text": TEXT, "sentence_spans": [{"start": 0, "end": 12}, {"start": 14, "end": 48}]}
ENTITY = {
    "entity_id": "Q1",
    "title": "John Smith",
    "description": "A lawyer.\nHe  was born.",
    "sentence_spans": [{"start": 0, "end": 9}, {"start": 10, "end": 23}],
}
MARKED = "Smith: In May { Smith } spoke (loudly) here."
DESCRIBED = "A lawyer. He was born."


def put(folder: Path, name: str, *rows: Any) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    answer = {"text": "London", "answer_start": PARAGRAPH.index("London")}
    asked = {"id": "q", "question": "Where?", "answers": [answer]}
    breaks = {"sentence_breaks": [[0, 16], [17, 37]]}
    squad = {"data": [{"paragraphs": [{"context": PARAGRAPH, "qas": [asked], **breaks}]}]}
    put(folder, "targets/lareqa/xquad-r/en.json", squad)
    put(folder, "xtreme/squad/train-v1.1.json", squad)
    mention = {"context": CONTEXT, "mention": MENTION}
    put(folder, "xtreme/mewslix/wikipedia_pairs-train.jsonl", {"contextual_mention": mention, "entity": ENTITY})
    put(folder, "xtreme/mewslix/wikinews_mentions-dev.jsonl", {"context": CONTEXT, "mentions": [MENTION]})
    put(folder, "xtreme/mewslix/candidate_set_entities.jsonl", ENTITY)
    row = {"premise": "It rained.", "choice1": "Wet.", "choice2": "Dry.", "question": "effect", "label": 0, "idx": 0}
    put(folder, "xtreme/xcopa/train-en.jsonl", row, {**row, "idx": 1, "question": "cause"})
    put(folder, "targets/xcopa/data/it/val.it.jsonl", row)
    return folder


def texts(name: str, split: str, code: str, folder: Path, recipe: str = "xtreme") -> list[Any]:
    """Return the texts of a target as a recipe reads them, by side where there are two."""
    read = Recipes(recipe).in_form(task(name), "target").data(split, code, folder)
    found = []
    for example in examples(read, folder, Report()):
        match example:
            case MultipleChoiceExample():
                found.append((f"{example.context} {example.question}", example.choices))
            case BitextExample():
                found.append((example.source, example.english, example.context))
            case PassageExample():
                found.append((example.side, example.text, example.context))
    return found


JOINED = "She lived in London.Ada wrote notes.She lived in London."
OFFICIAL = {
    ("copa", "train", "en"): [
        ("It rained. What was the effect?", ("Wet.", "Dry.")),
        ("It rained. What was the cause?", ("Wet.", "Dry.")),
    ],
    ("xcopa", "validation", "it"): [("It rained. What was the effect?", ("Wet.", "Dry."))],
    ("squad_pairs", "train", "en"): [("Where?", JOINED, None)],
    ("lareqa", "test", "en"): [
        ("query", "Where?", None),
        ("candidate", "Ada wrote notes.Ada wrote notes.She lived in London.", None),
        ("candidate", JOINED, None),
    ],
    ("mewslix_pairs", "train", "en"): [(MARKED, DESCRIBED, None)],
    ("mewslix", "validation", "en"): [("query", MARKED, None), ("candidate", DESCRIBED, None)],
}


@pytest.mark.parametrize("place", OFFICIAL, ids=lambda place: place[0])
def test_texts_are_in_the_official_form(place: tuple[str, str, str], data: Path) -> None:
    assert texts(*place, data) == OFFICIAL[place]


@pytest.mark.parametrize("recipe", [name for name in SETS if name != "xtreme"])
def test_other_recipes_read_the_usual_texts(recipe: str, data: Path) -> None:
    for name, *_ in OFFICIAL:
        given, recipes = task(name), Recipes(recipe)
        assert recipes.in_form(given, "target") is Recipes("xtreme").in_form(given, "intermediate") is given
    assert texts("mewslix_pairs", "train", "en", data, recipe) == [
        ("In May {Smith} spoke {loudly} here.", "John Smith", "A lawyer.")
    ]
    assert texts("xcopa", "validation", "it", data, recipe)[0][0] == "It rained. What happened as a result?"


def test_a_form_changes_nothing_but_texts(data: Path) -> None:
    """Ids, answers and right candidates stay, so that predictions are scored and submitted alike."""
    for name, split, code in OFFICIAL:
        usual, official = task(name), task(name).in_form("xtreme-r")
        both = [
            [asdict(example) for example in examples(form.data(split, code, data), data, Report())]
            for form in (usual, official)
        ]
        kept = ("id", "label", "choices", "side", "targets")
        assert [[(key, row.get(key)) for key in kept] for row in both[0]] == [
            [(key, row.get(key)) for key in kept] for row in both[1]
        ]
        assert usual.data(split, code, data) != official.data(split, code, data)


def test_hyperparameters_are_those_of_the_scripts() -> None:
    """train_lareqa.sh, train_mewslix.sh, train_xcopa.sh: passes are the parts in which pairs are ranked."""
    lareqa = named("xtreme", "squad_pairs", "bitext_retrieval", "target")
    assert lareqa == Recipe(2e-5, 16, 3.0, max_length=256, query_length=96, ranking="one-way", ranking_parts=4)
    mbert, large = (named("xtreme", "mewslix_pairs", "bitext_retrieval", "target", large) for large in (False, True))
    assert mbert == Recipe(2e-5, 256, 2.0, max_length=64, ranking="one-way", ranking_parts=4)
    assert large == Recipe(1e-5, 32, 2.0, max_length=64, ranking="one-way", ranking_parts=4)
    assert [recipe.pairs_ranked for recipe in (lareqa, mbert, large)] == [4, 64, 8]
    assert named("xtreme", "copa", "multiple_choice", "target") == Recipe(2e-5, 32, 5.0, head="continued")
    for name in ("squad_pairs", "mewslix_pairs", "copa"):  # intermediate trainings, and the former set, stay
        last = named("xtreme-last", name, task(name).format, "target")
        assert (last.ranking, last.ranking_parts, last.query_length, last.head) == ("two-way", 1, None, "new")
        both = [named(recipe, name, task(name).format, "intermediate") for recipe in ("xtreme", "xtreme-last")]
        assert both[0] == both[1]


def test_a_run_reads_trains_and_predicts_so(data: Path) -> None:
    runs = {
        recipe: Run(TINY, (), task("lareqa"), Recipes(recipe), 1, data=data) for recipe in ("xtreme", "xtreme-last")
    }
    predictions = {recipe: run.predictions()["en"] for recipe, run in runs.items()}
    assert [stage.arguments["query_length"] for stage in predictions.values()] == [96, None]
    read = [stage.arguments["data"].arguments["data"] for stage in predictions.values()]
    assert read == [
        task("lareqa").in_form("xtreme-r").data("test", "en", data),
        task("lareqa").data("test", "en", data),
    ]
    (phase,) = runs["xtreme"].phases()
    assert phase.training_sets[0].train[0].arguments["data"].meaning != read[0].meaning
    given, recipe = training_data((task("squad_pairs"),), "target", Recipes("xtreme"), TINY, data)
    assert (phase.training_sets, phase.recipe) == (given, recipe)
    assert "query_length" not in predictions["xtreme-last"].canonical_arguments  # keys of other recipes are as before
    planned = Run(TINY, (), task("lareqa"), Recipes("xtreme"), 1, data=NamedSplits())
    assert isinstance(planned.predictions()["en"], Stage)


@pytest.mark.parametrize(("recipe", "form"), [("xtreme", "xtreme-r"), ("xtreme-last", ""), ("xtreme", "")])
def test_a_model_is_evaluated_on_the_texts_that_it_was_trained_on(recipe: str, form: str, data: Path) -> None:
    name, role = ("copa", "target") if form or recipe != "xtreme" else ("copa", "intermediate")
    stage = train(TINY, *training_data((task(name),), role, Recipes(recipe), TINY, data), 1)
    assert _text_form(stage) == form
    (found,) = _scores(stage, task("xcopa"), ("it",), "validation", Runtime(data=data), 128).values()
    read = found.arguments["gold"].arguments["data"]
    assert read == task("xcopa").in_form(form).data("validation", "it", data)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_flops_of_a_dual_encoder_are_those_that_torch_counts(families: Any, family: str) -> None:
    network = Network(families.backbone(family))
    attach_dual_encoder(network, "pairs")
    shape = Shape(8, 12, 0)
    computed = flops.polynomial(network, "pairs", True)
    found = {
        part: int(sum(factor * flops.TERMS[term](shape) for term, factor in terms.items()))
        for part, terms in computed.items()
    }
    ids = torch.zeros(shape.sequences, shape.length, dtype=torch.long)
    with sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as forward:
            states = network.encode(ids, torch.zeros(shape.sequences, 1, 1, shape.length))
            result = flops.answer(network, "pairs", states, shape, learning=True)
        with FlopCounterMode(display=False) as backward:
            result.sum().backward()  # type: ignore[no-untyped-call]
    assert (found["forward"], found["activations"] + found["weights"]) == (
        forward.get_total_flops(),
        backward.get_total_flops(),
    )


@pytest.mark.slow
def test_memory_has_the_pooler_and_the_parts_of_a_step(families: Any) -> None:
    network = Network(families.backbone("xlm-roberta"))
    official = Recipe(batch_size=16, max_length=16, ranking="one-way", ranking_parts=4)
    parts, whole, without = (
        estimate(network.config, recipe, "bitext_retrieval", 0, Setting(Device("cpu", "fp32")))
        for recipe in (official, replace(official, ranking_parts=1), replace(official, ranking="two-way"))
    )
    assert parts.parameters == without.parameters + network.width * (network.width + 1) + 1
    assert parts.activations < whole.activations
