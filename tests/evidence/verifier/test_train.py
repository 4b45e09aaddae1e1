"""A verifier is trained on the claims it may see, and its card rests on models that have not seen what they judge."""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scifacts import Told, put

from xstilts.errors import InputError
from xstilts.evidence.claims.verdict import Entailment, decide
from xstilts.evidence.text.documents import Document
from xstilts.evidence.verifier import candidates, finding_pairs, model_card, nli, scifact, scifact_report
from xstilts.evidence.verifier.baselines import ClaimOnly
from xstilts.evidence.verifier.scifact import SciFact
from xstilts.evidence.verifier.train import VerifierTraining, labelled_sentences, train, training_stages
from xstilts.experiments.run import Recipes
from xstilts.models.encoder import Encoder
from xstilts.runtime.machine import Runtime


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SciFact:
    return scifact.read(put(tmp_path_factory.mktemp("data"), 60))


@dataclass(frozen=True)
class Remembering:
    """Knows the labels of the pairs that it was trained on, and of no others."""

    known: frozenset[str]
    name: str = "remembering"
    digest: str = "remembering"

    def predict_logits(self, pairs: Sequence[tuple[str, str]]) -> Any:
        blind = Told(blind=True)
        return np.array([(Told() if claim in self.known else blind)._one(sentence) for claim, sentence in pairs])


def test_sentences_have_the_label_of_the_rationale_they_stand_in(data: SciFact) -> None:
    pairs = scifact.pairs(data, data.train)
    rows = [*labelled_sentences(pairs)]
    for row in rows:
        said = "contradiction" if "not raise" in row["sentence"] else "entailment"
        assert row["label"] == (said if "does" in row["sentence"] else "neutral")
    deciding = sum(len(pair.claim.rationales.get(pair.abstract.id, ())) for pair in pairs)
    assert sum(row["label"] != "neutral" for row in rows) == deciding > 0
    assert {row["claim"] for row in rows} == {claim.text for claim in data.train}


def test_no_training_sees_its_fold_or_a_development_claim(data: SciFact) -> None:
    pairs = scifact.pairs(data, data.train)
    folds = model_card.folds_of(pairs)
    for fold in range(model_card.FOLDS):
        kept = {pair.claim.id for pair in model_card.without_fold(pairs, fold)}
        left_out = {pair.claim.id for pair, number in zip(pairs, folds, strict=True) if number == fold}
        assert left_out
        assert not left_out & kept
        assert left_out | kept == {claim.id for claim in data.train}
        seen = {pair.abstract.id for pair in model_card.without_fold(pairs, fold)}
        assert not seen & {pair.abstract.id for pair, number in zip(pairs, folds, strict=True) if number == fold}
    assert not {claim.text for claim in data.dev} & {row["claim"] for row in labelled_sentences(pairs)}


def test_what_was_learned_by_heart_counts_for_nothing(data: SciFact) -> None:
    pairs = scifact.pairs(data, data.train)
    whole = Remembering(frozenset(pair.claim.text for pair in pairs))
    by_fold = [
        replace(whole, known=frozenset(pair.claim.text for pair in model_card.without_fold(pairs, fold)))
        for fold in range(model_card.FOLDS)
    ]
    assert model_card.measure(whole, data).train.auc == 1
    honest = model_card.measure(whole, data, by_fold)
    assert honest.train.auc == pytest.approx(0.5)
    assert not honest.calibrated
    assert honest.held_out_models == model_card.FOLDS
    assert np.array_equal(
        model_card.predict_by_fold([Told()] * 5, pairs).logits, model_card.predict(Told(), pairs).logits
    )


def test_a_claim_alone_gives_away_what_its_words_do(data: SciFact) -> None:
    pairs = scifact.pairs(data, data.train)
    telling = [
        replace(pair, claim=replace(pair.claim, text=f"{pair.claim.text} {pair.label.lower()}like")) for pair in pairs
    ]
    said = ClaimOnly.fit(telling).predict_logits([(pair.claim.text, "") for pair in telling])
    assert [scifact.LABELS[index] for index in said.argmax(1)] == [pair.label for pair in telling]
    assert not ClaimOnly.fit(pairs).predict_logits([("words never seen", "x")]).any()


@dataclass(frozen=True)
class Letters:
    """A stand-in for a sentence encoder: texts are near each other that hold the same letters."""

    name: str = "letters"
    digest: str = "letters"

    @property
    def encoder(self) -> Letters:
        return self

    def passages(self, texts: Sequence[str], label: str = "") -> Any:
        counts = np.array(
            [[text.lower().count(sign) for sign in string.ascii_lowercase + string.digits] for text in texts]
        )
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)

    def queries(self, texts: Sequence[str]) -> Any:
        return self.passages(texts)

    def query(self, text: str) -> Any:
        return self.queries([text])[0]


def test_sentences_that_are_near_are_read_and_what_other_texts_say_changes_no_choice(data: SciFact) -> None:
    encoder: Any = Letters()
    rule = candidates.measure(encoder, data)
    assert rule.by_both.recall >= max(rule.by_words.recall, candidates.RECALL - 0.1)
    assert rule.by_words.share <= rule.by_both.share < 1
    near = candidates.near_function(encoder, rule)
    said = "compound1000 does not raise pressure1000"
    alone = near(said, ["Here compound1000 raises pressure1000."])
    assert near(said, ["We thank Ada.", "Here compound1000 raises pressure1000."]) == [False, *alone] == [False, True]
    for other in (None, replace(rule, digest="another")):
        with pytest.raises(InputError, match="make it again"):
            candidates.near_function(encoder, other)


def test_a_sentence_without_shared_words_reaches_the_model_if_it_is_near() -> None:
    document = Document("doc:made-up", "body", "Bigger minibatches were always worse. We thank Ada.")
    read: list[str] = []

    def judge(claim: str, sentence: str) -> Entailment:
        read.append(sentence)
        return Entailment(0.02, 0.97, 0.01, True, 0.9)

    claim = "Larger batches improve accuracy."
    assert decide(claim, [document], nli=judge).status == "NOT_ENOUGH_INFO"
    assert read == []
    near = decide(claim, [document], nli=judge, near=lambda _, texts: ["minibatches" in text for text in texts])
    assert (near.status, read) == ("CONTRADICTED", ["Bigger minibatches were always worse."])


def test_pairs_of_findings(data: SciFact) -> None:
    thing = "This does raise pressure."
    rows = [
        {"sentence_a": thing, "sentence_b": thing, "relation": "same finding"},
        {"sentence_a": thing, "sentence_b": "This does not raise pressure.", "relation": "real conflict"},
        {"sentence_a": "Seen beside.", "sentence_b": "Seen beside it.", "relation": "unrelated"},
    ]
    card = replace(model_card.measure(Told(), data), threshold=0.9)
    scores = finding_pairs.measure(Told(), card, rows)
    assert scores.verdicts["same finding"] == (1, 0)
    assert scores.verdicts["unrelated"] == (0, 0)
    assert scores.auc == 1
    assert finding_pairs.measure(Told(), replace(card, threshold=None), rows).decided == 0


def test_a_verifier_is_trained_with_its_card(families: Any, tmp_path: Path, machine: Runtime) -> None:
    data = put(tmp_path / "data", 30).parents[1]
    here = replace(machine, data=data, store=tmp_path / "store")
    letters: Any = Letters()
    recipes = Recipes("xtreme", (), ("steps=1", "max_length=32"))
    training = VerifierTraining(Encoder.of(families["xlm-roberta"]), "", recipes, sentence_encoder=letters)
    out = tmp_path / "verifier"
    card = train(training, out, here)
    assert card.held_out_models == model_card.FOLDS
    assert card.candidates == candidates.measure(letters, scifact.read(data / scifact.FOLDER))
    assert model_card.read(out, nli.load(out, here).digest) == card
    assert len([*here.store.glob("train-scifact*")]) == model_card.FOLDS + 1
    report = scifact_report.measure(out, here)
    assert report.cards[-1] == card  # a card of models that left folds out is not replaced by one that saw them all
    assert json.loads(json.dumps(scifact_report.to_json(report)))["cards"][-1]["held_out_models"] == model_card.FOLDS
    with pytest.raises(InputError, match="holds something already"):
        train(training, out, here)
    with pytest.raises(InputError, match="labels"):
        training_stages(replace(training, intermediate="sandbox_cloze"), scifact.read(data / scifact.FOLDER), here)
