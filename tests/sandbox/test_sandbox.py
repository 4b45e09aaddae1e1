"""Laws of the sandbox: meanings and sentences are one to one, splits share none, gold is exact, distance is ordered."""

import subprocess
import sys
from collections import Counter
from itertools import islice
from random import Random

import pytest

from quick import first
from xstilts import sandbox
from xstilts.data.examples import (
    BitextExample,
    ClassificationExample,
    MultipleChoiceExample,
    QAExample,
    TaggingExample,
    TextExample,
)
from xstilts.errors import InputError
from xstilts.sandbox import CODES, LANGUAGES
from xstilts.sandbox.grammar import POS, say
from xstilts.sandbox.languages import distance, language
from xstilts.sandbox.lexicon import lexicon, related, suffixes
from xstilts.sandbox.relations import equivalent, follows, opposite, swapped, wider
from xstilts.sandbox.tasks import LABELS, MAKERS, examples
from xstilts.sandbox.world import Event, Order, Thing, events, split_of
from xstilts.tasks.base import names, task

MODULES = ("world", "languages", "lexicon", "grammar", "relations", "texts", "tasks")
TASKS = [name for name in names() if name.startswith("sandbox_")]
GOLD = [name for name in TASKS if task(name).sources[0].options["make"] in MAKERS]
DOG, KING = Thing(("dog",), "animal", "big"), Thing(("king",), "person")
HELP = Event(KING, "help", DOG, place=Thing(("North", "Oslo"), "LOC"), time="today")


def made(name, split, code="qaa", count=None):
    options = dict(task(name).sources[0].options)
    return list(examples(name, split, code, options | ({split: count} if count else {})))


def test_codes_are_private_and_distances_grow():
    distances = [distance(tongue) for tongue in LANGUAGES]
    assert all("qaa" <= code <= "qtz" for code in CODES)
    assert distances == sorted(distances)
    assert len(set(distances)) == len(CODES) >= 6
    assert distances[0] == 0
    assert distances[-1] == pytest.approx(1)


def test_parallel_text_falls_with_distance():
    amounts = [sum(1 for _ in sandbox.parallel(tongue, 200)) for tongue in LANGUAGES[1:]]
    assert amounts == sorted(amounts, reverse=True)
    assert len(set(amounts)) == len(amounts)


def test_cognates_are_nested_and_fall_with_distance():
    shared = []
    for tongue in LANGUAGES[1:4]:
        near, far = lexicon(LANGUAGES[0]), lexicon(tongue)
        shared.append({lemma for lemma in near if related(lemma, tongue)})
        assert len(far) == len(near)
    assert shared[0] > shared[1] > shared[2]


@pytest.mark.parametrize("tongue", LANGUAGES, ids=CODES)
def test_no_two_words_look_the_same(tongue):
    forms = list(lexicon(tongue).values())
    assert len(set(forms)) == len(forms)
    assert set(lexicon(tongue)) == set(POS)
    assert len(set(suffixes(tongue).values())) == len(suffixes(tongue))


@pytest.mark.parametrize("tongue", first(3, LANGUAGES))
def test_a_sentence_has_one_meaning(tongue):
    meant = set(islice(events("train", "one meaning"), 2000))
    some = sorted(meant, key=str)
    meant |= {Order(a, b, before) for a, b in zip(some[:200], some[200:400], strict=True) for before in (False, True)}
    assert len({say(meaning, tongue).text for meaning in meant}) == len(meant)


def test_languages_order_words_as_their_knobs_say():
    said = {code: say(Event(KING, "help", DOG), language(code)) for code in CODES}
    orders = {
        code: [w.role or w.pos[0] for w in sentence.words if w.role or w.pos == "VERB"]
        for code, sentence in said.items()
    }
    firsts = {code: "".join(dict.fromkeys(order)) for code, order in orders.items()}
    assert firsts["qaa"] == "agentVpatient"
    assert firsts["qac"] == "agentpatientV"
    assert firsts["qad"] == "Vagentpatient"
    assert firsts["qaf"] == "patientVagent"


@pytest.mark.parametrize("code", CODES)
def test_roles_and_entities_survive_translation(code):
    words = say(HELP, language(code)).words
    assert [w.entity for w in words if w.entity != "O"] == ["B-LOC", "I-LOC"]
    assert {w.role for w in words} == {"", "agent", "patient", "place"}
    assert all(w.form and " " not in w.form for w in words)


def test_answers_are_cut_out_exactly():
    text, start = say(HELP, LANGUAGES[0]).answer("place")
    assert (text, say(HELP, LANGUAGES[0]).text[start : start + len(text)]) == ("North Oslo", "North Oslo")


def test_relations_are_what_they_say():
    assert swapped(HELP)[0].agent == DOG
    assert HELP not in wider(HELP)
    assert all(HELP.core == event.core for event in opposite(HELP))
    assert any(event.passive for event in equivalent(HELP))
    assert not any(event.time is None for event in wider(Event(KING, "help", DOG, time="today", negated=True)))


@pytest.mark.parametrize("label", LABELS["entailment"])
def test_premise_and_hypothesis_differ(label):
    pairs = [follows(event, label, Random(0)) for event in islice(events("train", "differ"), 300)]
    assert all(pair[0] != pair[1] for pair in pairs if pair)


@pytest.mark.parametrize("name", GOLD)
def test_no_example_of_a_test_was_seen_in_training(name):
    said = {
        split: {without_id(example) for example in made(name, split, "qaa", 150)}
        for split in ("train", "validation", "test")
    }
    assert not said["train"] & said["test"]
    assert not said["train"] & said["validation"]
    assert not said["validation"] & said["test"]


def test_splits_have_no_core_in_common():
    drawn = {
        split: {event.core for event in islice(events(split, "cores"), 1000)}
        for split in ("train", "validation", "test")
    }
    assert not drawn["train"] & drawn["test"]
    assert not drawn["train"] & drawn["validation"]
    assert all(
        split_of(swapped(event)[0].core) == "train" for event in islice(events("train", "cores"), 500) if swapped(event)
    )


def test_corpora_hold_no_sentence_of_a_test():
    tested = {example.english for example in made("sandbox_retrieval", "test", "qaf")}
    for code in CODES:
        lines = made("sandbox_text", "train", code, 150)
        assert all(isinstance(line, TextExample) and line.text.strip() for line in lines)
        assert not tested & {line.text for line in lines} | tested & {line.pair for line in lines}


@pytest.mark.parametrize("name", [name for name in GOLD if task(name).labels])
def test_labels_are_known_and_classes_balanced(name):
    known, drawn = task(name).labels, Counter()
    for split in ("train", "test"):
        for example in made(name, split, count=200):
            drawn.update([example.label] if isinstance(example, ClassificationExample) else example.tags)
    assert set(drawn) <= set(known)
    if task(name).format == "classification":
        assert min(drawn.values()) >= 0.4 * sum(drawn.values()) / len(known) * 2
        assert set(drawn) == set(known)


@pytest.mark.parametrize(
    "name", [name for name in GOLD if task(name).format == "classification" and name != "sandbox_parity"]
)
def test_labels_are_the_same_in_all_languages(name):
    labels = [[example.label for example in made(name, "test", code, 100)] for code in CODES]
    assert all(found == labels[0] for found in labels)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", ["sandbox_qa", "sandbox_cloze"])
def test_answers_stand_at_their_offsets(name, code):
    for example in made(name, "test", code):
        assert isinstance(example, QAExample)
        (answer,) = example.answers
        assert example.context[answer.start : answer.start + len(answer.text)] == answer.text
        assert example.context.count(f" {answer.text} ") + example.context.startswith(f"{answer.text} ") == 1


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", ["sandbox_pos", "sandbox_ner", "sandbox_names", "sandbox_roles"])
def test_tags_are_as_many_as_words(name, code):
    for example in made(name, "test", code, 100):
        assert isinstance(example, TaggingExample)
        assert len(example.tokens) == len(example.tags) > 1


def test_choices_are_balanced_and_distinct():
    found = made("sandbox_choice", "test")
    assert all(
        isinstance(example, MultipleChoiceExample) and example.choices[0] != example.choices[1] for example in found
    )
    assert Counter(example.label for example in found) == {0: len(found) / 2, 1: len(found) / 2}


@pytest.mark.parametrize("code", CODES[1:])
def test_retrieval_has_one_right_answer(code):
    found = made("sandbox_retrieval", "test", code)
    assert all(isinstance(example, BitextExample) for example in found)
    assert len({example.source for example in found}) == len({example.english for example in found}) == len(found)


@pytest.mark.parametrize("name", TASKS)
def test_ids_are_unique_and_counts_as_declared(name):
    options = task(name).sources[0].options
    for split, count in task(name).counts.items():
        found = made(name, split, count=min(count, 300))
        assert len({example.id for example in found}) == len(found) == min(count, 300)
        assert options[split] == count


def test_training_is_in_the_first_language_only():
    with pytest.raises(InputError, match="no train data in 'qab'"):
        made("sandbox_nli", "train", "qab")


def test_every_process_makes_the_same():
    code = (
        "from xstilts.sandbox import CODES, examples\n"
        "for make in ('entailment', 'question', 'ner'):\n"
        "    for code in CODES:\n"
        "        print(*examples('same', 'test', code, {'make': make, 'test': 5}))\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "src"},
        )
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout) > 1000


def without_id(example):
    return tuple(getattr(example, field) for field in example.__slots__ if field != "id")
