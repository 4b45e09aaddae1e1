"""A card lets only what keeps its promises decide: one that knows, not one that is blind, nor one of shuffled labels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scifacts import Told, put

from xstilts.errors import InputError
from xstilts.evidence.verifier import model_card as cards
from xstilts.evidence.verifier import scifact, scifact_report
from xstilts.evidence.verifier.baselines import Majority, WordOverlap
from xstilts.evidence.verifier.model_card import ModelCard
from xstilts.evidence.verifier.scifact import SciFact


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SciFact:
    return scifact.read(put(tmp_path_factory.mktemp("data"), 150))


@pytest.fixture(scope="module")
def knowing(data: SciFact) -> ModelCard:
    return cards.measure(Told(), data)


@pytest.fixture(scope="module")
def blind(data: SciFact) -> ModelCard:
    return cards.measure(Told("blind", "blind", blind=True), data)


def test_who_knows_decides(knowing: ModelCard) -> None:
    assert knowing.refusals == ()
    assert knowing.calibrated
    assert knowing.train.auc == knowing.dev.auc == 1
    assert knowing.threshold is not None
    assert knowing.dev.right == knowing.dev.decided == 50
    assert set(knowing.f1["cited"].values()) == {1.0}


def test_a10_a_blind_one_abstains_and_says_so(blind: ModelCard) -> None:
    assert blind.threshold is None
    assert blind.dev.decided == 0
    assert not blind.calibrated
    assert [one.split()[0] for one in blind.refusals] == ["tells", "no", "its"]
    assert "is not calibrated and decides nothing" in scifact_report.verdict(blind)


def test_a10_shuffled_labels_fall_to_chance(data: SciFact, knowing: ModelCard) -> None:
    low, high, found = knowing.chance
    assert 0.3 < low < 0.5 < high < 0.7
    assert found == 0
    train = cards.predict(Told(), scifact.pairs(data, data.train))
    labels = np.random.default_rng(9).permutation(train.labels)
    held_out = cards.calibration.cross_validated(train.logits, labels, train.folds)
    standing = cards.score(train.logits, held_out, labels, None)
    assert standing.auc == pytest.approx(0.5, abs=0.15)
    assert standing.ece < cards.ECE


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"threshold": None}, "no threshold"),
        ({"train": {"auc": 0.74}}, "AUC 0.74"),
        ({"train": {"auc": float("nan")}}, "AUC nan"),
        ({"train": {"ece": 0.11}}, "ECE is 0.11"),
        ({"dev": {"ece": 0.12}}, "ECE is 0.12"),
        ({"dev": {"right": 39}}, "on dev its precision is 0.78"),
        ({"dev": {"right": 0, "decided": 0}}, "on dev its precision is nan"),
    ],
)
def test_a11_each_broken_promise_alone_takes_the_right_to_decide(knowing: ModelCard, change: dict, says: str) -> None:  # type: ignore[type-arg]
    altered = {k: replace(getattr(knowing, k), **v) if isinstance(v, dict) else v for k, v in change.items()}
    broken = replace(knowing, **altered)
    assert not broken.calibrated
    (only,) = broken.refusals
    assert says in only


def test_how_sure_a_model_sounds_changes_nothing(data: SciFact, knowing: ModelCard) -> None:
    shy = cards.measure(Told(sure=0.4), data)
    assert shy.calibrated
    assert shy.scaling.scale > knowing.scaling.scale
    assert shy.dev.decided == knowing.dev.decided


def test_all_pairs_of_a_claim_are_in_one_fold(data: SciFact) -> None:
    train = cards.predict(Majority(), scifact.pairs(data, data.train))
    folds: dict[int, set[int]] = {}
    for one, fold in zip(train.pairs, train.folds, strict=True):
        folds.setdefault(one.claim.id, set()).add(int(fold))
    assert all(len(one) == 1 for one in folds.values())
    assert {fold for one in folds.values() for fold in one} == set(range(cards.FOLDS))


def test_rivals_decide_nothing(data: SciFact) -> None:
    for rival in (Majority(), WordOverlap()):
        assert not cards.measure(rival, data).calibrated


def test_a_card_is_read_as_it_was_written(knowing: ModelCard, blind: ModelCard, tmp_path: Path) -> None:
    assert cards.read(tmp_path, "told") is None
    for one in (knowing, blind):
        assert cards.write(one, tmp_path) == tmp_path / cards.FILE
        assert cards.read(tmp_path, one.digest) == one
    assert [path.name for path in tmp_path.iterdir()] == [cards.FILE]


def test_the_card_of_another_model_is_refused(knowing: ModelCard, tmp_path: Path) -> None:
    cards.write(knowing, tmp_path)
    with pytest.raises(InputError, match=r"card of another model .*make this one's"):
        cards.read(tmp_path, "other")


@pytest.mark.parametrize(
    "change",
    [{"format": 1}, {"threshold": 0.5}, {"train": {}}, {"extra": 1}, {"chance": None}, {"scaling": {"scale": 1}}],
)
def test_a_damaged_card_is_refused(knowing: ModelCard, tmp_path: Path, change: dict) -> None:  # type: ignore[type-arg]
    path = cards.write(knowing, tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    with pytest.raises(InputError, match="is damaged"):
        cards.read(tmp_path, "told")


def test_no_card_says_of_itself_that_it_decides(knowing: ModelCard, tmp_path: Path) -> None:
    assert not {"calibrated", "refusals"} & set(json.loads(cards.write(knowing, tmp_path).read_text(encoding="utf-8")))


def test_the_page_holds_every_figure_and_its_files_are_stable(
    data: SciFact, knowing: ModelCard, blind: ModelCard, tmp_path: Path
) -> None:
    report = scifact_report.SciFactReport(scifact_report.summarise_data(data), (knowing, blind))
    page, plain = scifact_report.save(report, tmp_path)
    text, row = page.read_text(encoding="utf-8"), json.loads(plain.read_text(encoding="utf-8"))
    for said in ("| claims | 75 |", "told (told) decides from", "blind (blind) is not calibrated"):
        assert said in text
    assert [one["calibrated"] for one in row["cards"]] == [True, False]
    assert row["context"]["recall"] == {"3": 1.0, "10": 1.0, "20": 1.0}
    assert "%" not in text.replace("95 %", "")
    again = scifact_report.save(report, tmp_path / "again")
    assert [one.read_bytes() for one in again] == [page.read_bytes(), plain.read_bytes()]
