"""Laws of the metrics, and what happens at the edges; equality with the official scorers is in test_oracles.py."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xstilts import metrics
from xstilts.data.examples import (
    AnswerSpan,
    BitextExample,
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    PassageExample,
    QAExample,
    TaggingExample,
    TextExample,
)
from xstilts.errors import InputError
from xstilts.metrics import retrieval, sequence_labeling

settings.register_profile("quick", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("quick")

GOLD: dict[str, list[Example]] = {
    "accuracy": [
        ClassificationExample("a", "x", None, "yes"),
        MultipleChoiceExample("b", "x", "", ("l", "r"), 0),
        MultipleChoiceExample("c", "", "", ("l", "r"), 1),
    ],
    "retrieval_accuracy": [BitextExample("a", "un", "one"), BitextExample("b", "deux", "two")],
    "squad": [
        QAExample("a", "", "", (AnswerSpan("the cat", 0),)),
        QAExample("b", "", "", (AnswerSpan("two", 0), AnswerSpan("2", 9))),
    ],
    "squad_v2": [QAExample("a", "", "", (AnswerSpan("the cat", 0),)), QAExample("b", "", "", (), unanswerable=True)],
    "mlqa": [QAExample("a", "", "", (AnswerSpan("der Hund", 0),)), QAExample("b", "", "", (AnswerSpan("zwei", 0),))],
    "entity_f1": [
        TaggingExample("a", ("New", "York", "is"), ("B-LOC", "I-LOC", "O")),
        TaggingExample("b", ("Ann",), ("B-PER",)),
    ],
    "pos_f1": [TaggingExample("a", ("a", "dog"), ("DET", "NOUN")), TaggingExample("b", ("runs",), ("VERB",))],
    "tag_accuracy": [TaggingExample("a", ("a", "dog"), ("NP/N", "N")), TaggingExample("b", ("runs",), ("S",))],
    "mined_f1": [PassageExample("a", "un", None, "query", ("1",)), PassageExample("b", "deux", None, "query", ("2",))],
    "map20": [
        PassageExample("a", "un?", None, "query", ("1", "3")),
        PassageExample("b", "deux?", None, "query", ("2",)),
    ],
}
RIGHT: dict[str, dict[str, Any]] = {
    "accuracy": {"a": " yes\n", "b": 0, "c": 1},
    "retrieval_accuracy": {"a": "a", "b": "b"},
    "squad": {"a": "Cat.", "b": "2"},
    "squad_v2": {"a": "cat", "b": ""},
    "mlqa": {"a": "Hund", "b": "zwei"},
    "entity_f1": {"a": ["B-LOC", "I-LOC", "O"], "b": ["B-PER"]},
    "pos_f1": {"a": ["DET", "NOUN"], "b": ["VERB"]},
    "tag_accuracy": {"a": ["NP/N", "N"], "b": ["S"]},
    "mined_f1": {"a": "1", "b": "2"},
    "map20": {"a": ["3", "1", "2"], "b": ["2"]},
}
STRICT = sorted(set(GOLD) - {"squad", "mlqa"})


def score(name: str, predictions: dict[str, Any], gold: Sequence[Example] | None = None) -> metrics.Score:
    return metrics.metric(name)(GOLD[name] if gold is None else gold, predictions, language="de")


def test_every_metric_is_tried_here() -> None:
    assert set(GOLD) == set(RIGHT) == set(metrics.names()) - {"mlm_loss"}  # a loss: nothing is right


def test_a_loss_is_the_mean_over_hidden_pieces_and_not_over_texts() -> None:
    gold = [TextExample("a", "x"), TextExample("b", "y"), TextExample("c", "z")]
    found = metrics.metric("mlm_loss")(gold, {"a": [3.0, 1], "b": [5.0, 3], "c": [0.0, 0]})
    assert found.values == {"mlm_loss": 2.0}
    weights = np.array([[1.0, 1.0, 1.0], [0.0, 3.0, 0.0], [0.0, 0.0, 2.0]])
    assert metrics.headlines("mlm_loss", found.examples, weights).tolist() == [2.0, pytest.approx(5 / 3), 0.0]


def test_a_misspelt_metric_is_named_with_its_neighbour() -> None:
    with pytest.raises(InputError, match="unknown metric 'acuracy'; did you mean 'accuracy'"):
        metrics.metric("acuracy")
    with pytest.raises(InputError, match="one of accuracy, "):
        metrics.metric("zzz")


@pytest.mark.parametrize("name", GOLD)
def test_right_predictions_score_100(name: str) -> None:
    assert score(name, RIGHT[name]).headline == 100
    assert len(score(name, RIGHT[name]).examples) == len(GOLD[name])


@pytest.mark.parametrize("name", GOLD)
def test_the_order_of_predictions_is_nothing(name: str) -> None:
    assert score(name, dict(reversed(RIGHT[name].items()))) == score(name, RIGHT[name])


@pytest.mark.parametrize("name", STRICT)
def test_a_missing_prediction_is_named(name: str) -> None:
    with pytest.raises(InputError, match="'b' has no prediction; predict"):
        score(name, {id: predicted for id, predicted in RIGHT[name].items() if id != "b"})


@pytest.mark.parametrize("name", STRICT)
def test_a_prediction_of_nothing_is_named(name: str) -> None:
    with pytest.raises(InputError, match="prediction 'z' has no gold example; predict"):
        score(name, {**RIGHT[name], "z": "?"})


@pytest.mark.parametrize("name", STRICT)
def test_a_repeated_id_is_named(name: str) -> None:
    with pytest.raises(InputError, match="id 'a' occurs twice"):
        score(name, RIGHT[name], [*GOLD[name], GOLD[name][0]])


@pytest.mark.parametrize("name", GOLD)
def test_no_examples_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="no gold examples"):
        score(name, {}, [])


@pytest.mark.parametrize("name", GOLD)
def test_another_shape_is_refused(name: str) -> None:
    tagged = TaggingExample in {type(example) for example in GOLD[name]}
    other: Example = ClassificationExample("a", "", None, "O") if tagged else TaggingExample("a", ("x",), ("O",))
    with pytest.raises(InputError, match=f"metric '{name}' scores .* but example 'a' is .*; use"):
        score(name, {"a": ["O"]}, [other])


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("accuracy", ClassificationExample("a", "x", None, None)),
        ("squad", QAExample("a", "", "", ())),
        ("mlqa", QAExample("a", "", "", ())),
        ("squad_v2", QAExample("a", "", "", ())),
        ("entity_f1", TaggingExample("a", ("x",), ())),
    ],
)
def test_hidden_gold_is_refused(name: str, hidden: Example) -> None:
    with pytest.raises(InputError, match="'a' has no gold"):
        score(name, {"a": "x"}, [hidden])


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("xyz")), min_size=1))
def test_accuracy_counts(rows: list[tuple[str, str]]) -> None:
    gold = [ClassificationExample(str(row), "", None, label) for row, (label, _) in enumerate(rows)]
    found = score("accuracy", {str(row): label for row, (_, label) in enumerate(rows)}, gold)
    assert found.headline == pytest.approx(100 * np.mean([a == b for a, b in rows]))
    assert found.examples == [float(a == b) for a, b in rows]


@pytest.mark.parametrize("name", GOLD)
def test_headlines_of_resamples_agree_with_scoring_the_resample(name: str) -> None:
    wrong = {"accuracy": 1, "entity_f1": ["O", "I-LOC", "O"], "pos_f1": ["DET", "DET"], "tag_accuracy": ["N", "N"]}
    found = score(name, {**RIGHT[name], "a": wrong.get(name, "cat dog")})
    count = len(found.examples)
    weights = np.stack([np.ones(count), np.eye(count)[-1], np.arange(count) + 1.0])
    first, second, _ = metrics.headlines(name, found.examples, weights)
    assert first == pytest.approx(found.headline)
    assert second == 100  # only the last example, which is right


def test_headlines_without_a_chunk_are_0() -> None:
    assert metrics.headlines("entity_f1", [[0.0, 0.0, 0.0]], np.ones((2, 1))).tolist() == [0, 0]


def test_squad_counts_what_is_missing_and_ignores_what_was_not_asked() -> None:
    found = score("squad", {"a": "cat", "z": "?"})
    assert found.values == {"exact_match": 50.0, "f1": 50.0, "missing": 1.0}
    assert found.examples == [[1, 1], [0, 0]]


def test_squad_counts_a_repeated_question_twice() -> None:
    assert score("squad", {"a": "cat", "b": "3"}, [*GOLD["squad"], GOLD["squad"][0]]).headline == pytest.approx(200 / 3)


words = st.text(st.sampled_from("aA bßé的京।.-\u0627\u06441\u00a0"), max_size=12)


@given(words, st.lists(words, min_size=1, max_size=3), st.sampled_from(["ar", "de", "en", "es", "hi", "vi", "zh"]))
def test_answers_are_matched_between_0_and_1(predicted: str, answers: list[str], language: str) -> None:
    for split in (metrics.squad_words, lambda text: metrics.mlqa_words(text, language)):
        exact, f1 = metrics.match(predicted, answers, split)
        assert exact in (0, 1)
        assert 0 <= f1 <= 1
        assert exact <= f1 or not split(predicted)
        assert metrics.match(predicted, answers[::-1], split) == [exact, f1]


@given(words)
def test_splitting_chinese_again_changes_nothing(text: str) -> None:
    once = metrics.mlqa_words(text, "zh")
    assert metrics.mlqa_words(" ".join(once), "zh") == once


@pytest.mark.parametrize(
    ("language", "text", "wanted"),
    [
        ("en", "The “Cat”!", ["cat"]),
        ("es", "la casa del rey", ["casa", "del", "rey"]),
        ("de", "Der Hund, den", ["hund"]),
        ("vi", "của tôi", ["tôi"]),
        ("ar", "المال", ["م"]),
        ("hi", "नमस्ते।", ["नमस्ते"]),
        ("zh", "北京 NBA球员", ["北", "京", "nba", "球", "员"]),
    ],
)
def test_mlqa_splits_by_language(language: str, text: str, wanted: list[str]) -> None:
    assert metrics.mlqa_words(text, language) == wanted


def test_squad_splits_every_language_as_english() -> None:
    assert metrics.squad_words("The “Cat”, th-e U.S.") == ["“cat”", "us"]


def test_mlqa_refuses_other_languages() -> None:
    with pytest.raises(InputError, match="no rules for language 'sw'; it has ar, de"):
        metrics.mlqa(GOLD["mlqa"], RIGHT["mlqa"], language="sw")


def v2(*rows: tuple[str, str, float]) -> tuple[list[Example], dict[str, Any]]:
    """Make questions and predictions from (gold or "", prediction, null score)."""
    gold: list[Example] = [
        QAExample(str(i), "", "", (AnswerSpan(answer, 0),) if answer else (), unanswerable=not answer)
        for i, (answer, _, _) in enumerate(rows)
    ]
    return gold, {str(i): {"answer": text, "null_score": null} for i, (_, text, null) in enumerate(rows)}


def test_squad_v2_overrules_above_the_threshold_only() -> None:
    gold, predictions = v2(("cat", "cat", 0.9), ("", "dog", 0.5))
    assert metrics.squad_v2(gold, predictions).examples == [[1, 1], [0, 0]]
    assert metrics.squad_v2(gold, predictions, threshold=0.5).examples == [[0, 0], [0, 0]]
    assert metrics.squad_v2(gold, predictions, threshold=0.4).examples == [[0, 0], [1, 1]]


def test_squad_v2_finds_the_best_threshold() -> None:
    gold, predictions = v2(("cat", "cat", -2.0), ("dog", "dog", -1.0), ("", "fox", 0.0), ("", "elk", 1.0))
    values = metrics.squad_v2(gold, predictions).values
    assert (values["best_exact"], values["best_exact_thresh"]) == (100, -1.0)
    at_best = metrics.squad_v2(gold, predictions, threshold=values["best_exact_thresh"])
    assert at_best.values["exact"] == 100


@given(st.lists(st.tuples(st.sampled_from(["", "cat"]), st.sampled_from(["", "cat", "dog"])), min_size=1, max_size=8))
def test_squad_v2_best_is_the_best_of_all_thresholds(rows: list[tuple[str, str]]) -> None:
    gold, predictions = v2(*((answer, text, float(place)) for place, (answer, text) in enumerate(rows)))
    values = metrics.squad_v2(gold, predictions).values
    found = [metrics.squad_v2(gold, predictions, threshold=at).values["exact"] for at in np.arange(-1, len(rows) + 1)]
    assert values["best_exact"] == max(found)


def test_squad_v2_without_null_scores_has_no_best() -> None:
    assert "best_f1" not in score("squad_v2", RIGHT["squad_v2"]).values
    with pytest.raises(InputError, match="question 'a' has no 'answer'"):
        score("squad_v2", {"a": {"text": "cat"}, "b": ""})


spans = st.lists(st.tuples(st.sampled_from(["PER", "LOC"]), st.integers(1, 3), st.integers(0, 2)), max_size=6)


@given(st.lists(spans, min_size=1, max_size=3))
def test_chunks_of_proper_tags_are_the_entities(sentences: list[list[tuple[str, int, int]]]) -> None:
    tags, wanted, offset = [], [], 0
    for entities in sentences:
        tags.append([])
        wanted.append(set())
        for format, length, gap in entities:
            start = offset + len(tags[-1])
            wanted[-1].add((format, start, start + length - 1))
            tags[-1] += [f"B-{format}", *[f"I-{format}"] * (length - 1), *["O"] * gap]
        offset += len(tags[-1]) + 1
    assert metrics.chunks(tags) == wanted


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        (["I-A", "I-A"], {("A", 0, 1)}),
        (["B-A", "I-B"], {("A", 0, 0), ("B", 1, 1)}),
        (["NOUN", "NOUN", "VERB"], {("NOUN", 0, 1), ("VERB", 2, 2)}),
        (["SYM", "SYM"], {("SYM", 0, 0), ("SYM", 1, 1)}),
        (["INTJ", "INTJ"], {("INTJ", 0, 1)}),
        (["B-x-A", "I-y-A"], {("A", 0, 1)}),
        (["O", "", "."], set()),
    ],
)
def test_chunks_of_odd_tags(tags: list[str], wanted: set[sequence_labeling.Chunk]) -> None:
    assert metrics.chunks([tags]) == [wanted]


def test_pos_f1_is_not_accuracy() -> None:
    gold: list[Example] = [TaggingExample("a", ("a", "b", "c", "d"), ("NOUN", "NOUN", "NOUN", "VERB"))]
    values = score("pos_f1", {"a": ["NOUN", "NOUN", "VERB", "VERB"]}, gold).values
    assert values == {"f1": 0, "precision": 0, "recall": 0, "token_accuracy": 75}


def test_a_sentence_with_too_few_tags_is_named() -> None:
    with pytest.raises(InputError, match="sentence 'a' has 3 words but 1 predicted tag; predict one tag a word"):
        score("entity_f1", {"a": ["O"], "b": ["O"]})


@given(st.lists(st.integers(0, 9)), st.integers(1, 7))
def test_split_sentence_is_a_greedy_partition(pieces: list[int], limit: int) -> None:
    parts = metrics.split_sentence(pieces, limit)
    assert [place for start, stop in parts for place in range(start, stop)] == list(range(len(pieces)))
    cost = [n if 1 <= n <= limit else 1 for n in pieces]
    for start, stop in parts:
        assert 0 < sum(cost[start:stop]) <= limit
        assert stop == len(cost) or sum(cost[start : stop + 1]) > limit


def test_split_sentence_needs_room() -> None:
    with pytest.raises(InputError, match="at least 1, not 0; raise"):
        metrics.split_sentence([1], 0)


@given(st.integers(0, 99), st.integers(1, 9))
def test_neighbours_are_the_same_in_blocks(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(7, 3)), random.normal(size=(5, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "QUERY_ROWS", 2)
        patch.setattr(retrieval, "KEY_ROWS", 3)
        values, rows = metrics.neighbours(x, y, count)
        assert np.array_equal(metrics.nearest_source(y, x), (x @ metrics.normalise(y).T).argmax(axis=1))
    assert np.array_equal(rows, np.argsort(-(x @ y.T), axis=1)[:, :count])
    assert np.allclose(values, -np.sort(-(x @ y.T), axis=1)[:, :count], atol=1e-5)


def test_nearest_source_takes_the_first_of_equals() -> None:
    source = np.array([[0.0, 1.0], [3.0, 1.0], [0.3, 0.1], [0.0, 0.0]])
    assert metrics.nearest_source(source, np.array([[6.0, 2.0], [0.0, 9.0]])).tolist() == [1, 0]
    nearly = np.array([[1.0, 1e-5], [1.0, 0.0]])
    assert metrics.nearest_source(nearly, np.array([[1.0, 0.0]])).tolist() == [0]


@given(st.permutations(range(9)))
def test_mining_finds_a_permutation_one_to_one(order: list[int]) -> None:
    x = np.random.default_rng(1).normal(size=(9, 16))
    found = metrics.mine([f"s{i}" for i in range(9)], x, [f"e{i}" for i in order], x[order] * 2)
    assert sorted((c.source, c.english) for c in found) == [(f"s{i}", f"e{i}") for i in range(9)]
    assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)


def test_mining_takes_the_last_of_repeated_texts_and_leaves_out_scores_of_0() -> None:
    eye = np.eye(3)
    found = metrics.mine(["a", "b", "a"], eye, ["x", "y"], eye[[2, 1]], count=1)
    assert {(c.source, c.english) for c in found} == {("a", "x"), ("b", "y")}
    assert metrics.mine(["a"], np.zeros((1, 2)), ["x"], np.ones((1, 2))) == []


def test_mining_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="2 sentences but 1 vectors"):
        metrics.mine(["a", "b"], np.ones((1, 2)), ["x"], np.ones((1, 2)))
    with pytest.raises(InputError, match="no sentences"):
        metrics.mine([], np.ones((0, 2)), ["x"], np.ones((1, 2)))


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=9, unique_by=lambda row: row[0]))
def test_the_tuned_threshold_has_the_best_f1(rows: list[tuple[int, bool]]) -> None:
    scores = {(str(i), "e"): float(score) for i, (score, _) in enumerate(rows)}
    gold = {(str(i), "e") for i, (_, right) in enumerate(rows) if right} | {("never", "found")}

    def f1(threshold: float) -> float:
        return metrics.bitext_f1(gold, metrics.extract(scores, threshold))["f1"]

    assert f1(metrics.tune_threshold(scores, gold)) == pytest.approx(max(map(f1, [0.0, *scores.values()])))


def test_ambiguous_sentences_lose_their_pairs() -> None:
    sources = metrics.unambiguous(["1", "2", "3"], ["a", "b ", " b"])
    assert sources == {"a": "1"}
    candidates = [metrics.Candidate(2.0, "b", "x"), metrics.Candidate(1.0, "a ", "x"), metrics.Candidate(1.5, "a", "x")]
    assert metrics.identify(candidates, sources, {"x": "9"}) == {("1", "9"): 1.5}


@given(st.sets(st.integers(0, 9), min_size=1), st.permutations(range(10)), st.integers(1, 12))
def test_average_precision_is_1_just_for_targets_first(targets: set[int], ranking: list[int], count: int) -> None:
    found = metrics.average_precision(targets, ranking, count)
    assert 0 <= found <= 1 + 1e-12
    assert metrics.average_precision(targets, sorted(ranking, key=lambda i: i not in targets), count) == pytest.approx(
        1
    )
    assert (found > 1 - 1e-9) == (set(ranking[: min(count, len(targets))]) <= targets)


def test_average_precision_needs_a_target_and_counts_repeats_once() -> None:
    with pytest.raises(InputError, match="leave it out"):
        metrics.average_precision([], [1])
    assert metrics.average_precision([1], [1, 1, 1], None) == 1


def test_reciprocal_ranks() -> None:
    gold = {"m": "Q1 ", "n": "Q2", "o": "Q3"}
    rankings = {"m": ["Q0", "Q1"], "n": ["Q0"] * 20 + ["Q2"], "z": ["Q3"]}
    assert metrics.reciprocal_ranks(gold, rankings) == [0.5, 0, 0]
    assert metrics.reciprocal_ranks(gold, rankings, 21) == [0.5, 1 / 21, 0]


def suite_values(suite: metrics.Suite) -> dict[str, dict[str, dict[str, float]]]:
    answers = {"exact_match": 40.0, "f1": 60.0, "missing": 0.0}
    shape = {task: {"accuracy": 70.0} for task in suite.languages}
    shape |= dict.fromkeys(suite.groups["qa"], answers) | {task: {"f1": 30.0} for task in suite.groups["tagging"]}
    return {task: dict.fromkeys(languages, shape[task]) for task, languages in suite.languages.items() if languages}


def test_xtreme_is_as_published() -> None:
    counts = {task: len(set(languages)) for task, languages in metrics.XTREME.languages.items()}
    wanted = {"xnli": 15, "pawsx": 7, "udpos": 33, "panx": 40, "xquad": 11, "mlqa": 7, "tydiqa": 9, "bucc": 4}
    assert counts == {**wanted, "tatoeba": 36}
    assert len(set().union(*metrics.XTREME.languages.values())) == 40
    found = metrics.average(metrics.XTREME, suite_values(metrics.XTREME))
    assert found.groups["qa"] == 50
    assert found.groups["all_task"] == pytest.approx((4 * 70 + 2 * 30 + 3 * 50) / 9)


def test_xtreme_r_is_as_published() -> None:
    suite = metrics.suite("xtreme-r")
    counts = {task: len(set(languages)) for task, languages in suite.languages.items()}
    assert [counts[task] for task in ("udpos", "panx", "tatoeba", "xquad", "xcopa", "mewslix")] == [
        38,
        48,
        41,
        12,
        11,
        11,
    ]
    values = suite_values(suite)
    assert "all_task" not in metrics.average(suite, values).groups
    assert "all_task" in metrics.average(suite, {**values, "lareqa": {"en": {"map@20": 20.0}}}).groups


def test_a_suite_needs_every_language() -> None:
    values = suite_values(metrics.XTREME)
    del values["xnli"]["sw"], values["xnli"]["ur"]
    with pytest.raises(InputError, match="task 'xnli' has no score in sw, ur; score it there, or drop"):
        metrics.average(metrics.XTREME, values)
    with pytest.raises(InputError, match="'lareqa' has no score in any language"):
        metrics.average(metrics.XTREME_R, {"lareqa": {}})
    with pytest.raises(InputError, match="'lareqa' has none of"):
        metrics.average(metrics.XTREME_R, {"lareqa": {"en": {"missing": 0.0}}})


def test_other_tasks_and_languages_are_left_out_of_a_suite() -> None:
    values = suite_values(metrics.XTREME)
    values["xcopa"] = {"et": {"accuracy": 1.0}}
    values["xnli"]["xx"] = {"accuracy": 1.0}
    assert metrics.average(metrics.XTREME, values) == metrics.average(metrics.XTREME, suite_values(metrics.XTREME))


def test_a_misspelt_suite_is_named() -> None:
    with pytest.raises(InputError, match="unknown suite 'xtrem'; did you mean 'xtreme'"):
        metrics.suite("xtrem")


def test_what_is_exported_exists() -> None:
    assert sorted(metrics.__all__, key=str) == sorted(set(metrics.__all__))
    assert all(hasattr(metrics, name) for name in metrics.__all__)


def test_torch_is_loaded_only_to_mine() -> None:
    code = "import sys, xstilts.metrics; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
