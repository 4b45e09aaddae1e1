"""English: what is English passes, what is not is told, and what is too short to say is held against nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_dataset import put, squad

from xstilts.data.dataset import EXAMPLES, examples, read
from xstilts.data.examples import (
    AnswerSpan,
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    QAExample,
    TaggingExample,
    TextExample,
)
from xstilts.data.language_check import MOST_SUSPICIOUS, SMALL, SMALL_ELSEWHERE, EnglishCheck, signs, suspicious
from xstilts.data.readers import Report
from xstilts.errors import InputError
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.store.manifest import read as read_record
from xstilts.tasks.base import names, task

ENGLISH = [
    "The committee will meet again in the spring, when all of the reports have been read.",
    "A man is riding a dirt bike down a muddy hill while two of his friends are watching.",
    "where do you use a tourniquet temporarily to stop the bleeding of a wound?",
    "She didn't want to go, but there was nobody else who could have done it.",
    "Metallica's current lineup comprises founding members Hetfield and Ulrich and the bassist Robert Trujillo.",
]
FOREIGN = [
    "Der Ausschuss trifft sich im Frühjahr wieder, wenn alle Berichte gelesen worden sind.",
    "Le comité se réunira de nouveau au printemps, quand tous les rapports auront été lus.",
    "El comité se reunirá de nuevo en primavera, cuando se hayan leído todos los informes.",
    "Kamati itakutana tena wakati wa majira ya kuchipua baada ya ripoti zote kusomwa na wajumbe wake.",
    "Komisja zbierze się ponownie na wiosnę, kiedy już wszystkie sprawozdania zostaną przeczytane.",
    "Komitea kokoontuu uudelleen keväällä, kun kaikki raportit on luettu ja käsitelty loppuun asti.",
    "Ủy ban sẽ họp lại vào mùa xuân khi tất cả các báo cáo đã được đọc và thảo luận.",
    "위원회는 모든 보고서를 읽은 후 봄에 다시 모일 것이다.",
    "Комитет соберётся снова весной, когда все отчёты будут прочитаны.",
    "委员会将在春天再次开会。",
    "สภาจะประชุมกันอีกครั้งในฤดูใบไม้ผลิ",
]
SHORT = [
    "",
    "Red kites, Lake Zurich",
    "Robert Felisiak Marius Strzalka Arnd Schmitt Elmar Borrmann Uwe Proske Thorsten Weidner",
    "http://www.equinecaninefeline.com/catalog/savic-freddy-cage-free-delivery-p-6750.html",
    "6 -- 4 , 1 -- 6 , 7 - 5",
    "Rio de Janeiro",
]


@pytest.mark.parametrize("text", ENGLISH)
def test_english_is_not_suspicious(text: str) -> None:
    assert suspicious(text) is False


@pytest.mark.parametrize("text", FOREIGN)
def test_other_languages_are(text: str) -> None:
    assert suspicious(text) is True


@pytest.mark.parametrize("text", SHORT)
def test_names_links_and_figures_say_nothing(text: str) -> None:
    assert suspicious(text) is None


def test_no_small_word_is_in_both_lists_or_twice() -> None:
    english, foreign = SMALL.split(), SMALL_ELSEWHERE.split()
    assert len({*english, *foreign}) == len(english) + len(foreign)
    assert all(word == word.casefold() for word in english + foreign)


@given(st.text(max_size=80))
def test_any_text_can_be_looked_at_and_the_rest_of_a_long_one_changes_nothing(text: str) -> None:
    assert suspicious(text) in (True, False, None)
    long = text + " " * 600
    assert signs(long + "und das ist nicht gut") == signs(long)


@given(st.lists(st.sampled_from(ENGLISH), min_size=1, max_size=4), st.sampled_from(["Ann", "Oslo", "2031", "(", "é"]))
def test_names_in_english_do_not_make_it_foreign(texts: list[str], name: str) -> None:
    assert suspicious(f" {name} ".join(texts)) is False


# A data set.


def watched(texts: list[str]) -> EnglishCheck:
    watch = EnglishCheck()
    for number, text in enumerate(texts):
        watch.add(TextExample(str(number), text))
    return watch


@settings(max_examples=30)
@given(st.integers(0, 400), st.integers(0, 60), st.randoms(use_true_random=False))
def test_a_share_of_another_language_is_told_and_a_few_rows_are_not(english: int, foreign: int, random: object) -> None:
    watch = watched([*ENGLISH * (english // 5), *(FOREIGN * 6)[:foreign]])
    assert (watch.judged, watch.suspicious) == (5 * (english // 5) + foreign, foreign)
    few = foreign < 8 or watch.share <= MOST_SUSPICIOUS
    assert watch.english() is ((True if watch.judged >= 8 else None) if few else False)


def test_the_first_few_are_named() -> None:
    watch = watched([ENGLISH[0], *FOREIGN])
    assert watch.samples[0] == f"1: {FOREIGN[0][:60]!r}"
    assert len(watch.samples) == 3


def test_short_texts_are_judged_together() -> None:
    assert watched(["Der Hund bellt laut"] * 200).english() is False
    assert watched(["The dog barks loudly"] * 200).english() is True
    assert watched(["Ann Oslo"] * 200).english() is None
    assert watched(["Der Hund bellt laut"] * 4).english() is None


@pytest.mark.parametrize(
    "example",
    [
        ClassificationExample("0", FOREIGN[0], None, "the"),
        ClassificationExample("0", "Ann", FOREIGN[0], None),
        MultipleChoiceExample("0", "", FOREIGN[0], ("Ann", "Oslo"), 1),
        MultipleChoiceExample("0", "", "Ann", tuple(FOREIGN[0].split()), 1),
        TaggingExample("0", tuple(FOREIGN[0].split()), ("O",) * len(FOREIGN[0].split())),
        QAExample("0", FOREIGN[0], "Oslo?", (AnswerSpan("the of", 0),)),
    ],
)
def test_every_shape_is_looked_at(example: Example) -> None:
    watch = EnglishCheck()
    assert list(watch.checked(iter([example]))) == [example]
    assert (watch.texts, watch.suspicious) == (1, 1)


# The stage that reads.

TYDIQA = "xtreme/tydiqa/tydiqa-goldp-v1.1-train/tydiqa.goldp.{}.train.json"


def questions(texts: list[str]) -> str:
    row = {"answers": [{"text": "Ada", "answer_start": 0}]}
    rows = [{"id": str(number), "question": text, **row} for number, text in enumerate(texts)]
    return squad(*rows, context="Ada.")


def test_training_data_that_are_not_english_are_refused(tmp_path: Path) -> None:
    put(tmp_path, TYDIQA.format("en"), questions([*ENGLISH * 20, *FOREIGN]))
    promise = read(task("tydiqa").data("train", "en", tmp_path))
    machine = Runtime(tmp_path / "store", tmp_path)
    with pytest.raises(
        InputError, match=r"expected 3696 examples of tydiqa-train-en, found 111; .* --allow-unexpected-data"
    ):
        build(promise, machine)
    put(tmp_path, TYDIQA.format("en"), questions([*ENGLISH * 20, *FOREIGN] * 33 + ENGLISH * 6 + ENGLISH[:3]))
    promise = read(task("tydiqa").data("train", "en", tmp_path))
    with pytest.raises(InputError) as caught:
        build(promise, machine)
    said = str(caught.value)
    assert said.startswith(f"{TYDIQA.format('en')}: expected English training data of 'tydiqa', found another language")
    assert "in 363 of 3696 texts that are long enough to tell (ids 100: 'Ada. Der Ausschuss" in said
    assert said.endswith(
        "ask for the language that it is in ('tydiqa:sw'), or take it as it is with --allow-unexpected-data"
    )
    taken = build(promise, Runtime(tmp_path / "store", tmp_path, allow_unexpected_data=True))
    assert len((taken / EXAMPLES).read_text().splitlines()) == 3696
    assert read_record(taken)["record"]["not_english"]["suspicious"] == 363


def test_other_languages_may_be_what_they_are(tmp_path: Path) -> None:
    put(tmp_path, TYDIQA.format("sw"), questions(FOREIGN))
    put(tmp_path, "targets/xcopa/data/sw/test.sw.jsonl", "")
    data = task("tydiqa").data("train", "sw", tmp_path)
    assert data.expected is None
    assert "not_english" not in read_record(build(read(data), Runtime(tmp_path / "store", tmp_path)))["record"]


def test_another_number_of_examples_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "xtreme/xnli/dev-sw.tsv", "A\tB\tneutral\n")
    promise = read(task("xnli").data("validation", "sw", tmp_path))
    with pytest.raises(InputError) as caught:
        build(promise, Runtime(tmp_path / "store", tmp_path))
    assert str(caught.value) == (
        "xtreme/xnli/dev-sw.tsv: expected 2490 examples of xnli-validation-sw, found 1; part of the data set is "
        "missing or it is another version: get it again, or take it as it is with --allow-unexpected-data"
    )
    found = build(promise, Runtime(tmp_path / "store", tmp_path, allow_unexpected_data=True))
    assert read_record(found)["record"]["counts"] == {"noted: 1 examples where 2490 are expected": 1}


def test_rows_that_were_dropped_are_not_missing(tmp_path: Path) -> None:
    row = {"question": "Who wrote it?", "answers": [{"text": "Ada", "answer_start": 0}]}
    rows = [{**row, "id": str(number)} for number in range(690)]
    rows += [{**row, "id": f"x{number}", "answers": [{"text": "Bob", "answer_start": 0}]} for number in range(3)]
    put(tmp_path, "nonenglish/arcd/data/arcd-train.json", squad(*rows))
    promise = read(task("arcd").data("train", "ar", tmp_path))
    assert read_record(build(promise, Runtime(tmp_path / "store", tmp_path)))["record"]["examples"] == 690


def test_translated_data_are_as_many_as_a_user_has(tmp_path: Path) -> None:
    row = '{"text_a": "A", "text_b": "B", "label": "neutral", "language": "sw"}\n'
    put(tmp_path, "translated/mnli/train-sw.jsonl", row)
    data = task("mnli").data("train", "sw", tmp_path)
    assert data.expected is None
    assert build(read(data), Runtime(tmp_path / "store", tmp_path)).is_dir()


# The real files.

DATA = Path(os.environ.get("XSTILTS_DATA") or "no-such-folder")
real = pytest.mark.skipif(not DATA.is_dir(), reason="XSTILTS_DATA does not name a folder with the real data")
LARGE = ("common_voice", "squadshifts", "squadshifts_pairs", "winogrande")


def real_examples(name: str, split: str, code: str) -> list[Example]:
    return list(examples(task(name).data(split, code, DATA), DATA, Report()))


@real
@pytest.mark.parametrize("name", [name for name in names() if name not in LARGE and not name.startswith("sandbox")])
def test_real_english_data_are_english_with_a_margin(name: str) -> None:
    if not task(name).sources or not task(name).has("train", "en", DATA):
        pytest.skip(f"no English training data of {name} in {DATA}")
    watch = EnglishCheck()
    for example in real_examples(name, "train", "en"):
        watch.add(example)
    assert watch.english()
    assert watch.share < MOST_SUSPICIOUS / 2


@real
@pytest.mark.parametrize(
    ("base", "name", "split", "code"),
    [
        *(("tydiqa", "tydiqa", "train", code) for code in ("ko", "sw")),
        *(("mnli_small", "xnli", "validation", code) for code in ("de", "es", "fr", "sw", "vi")),
        *(("panx", "panx", "validation", code) for code in ("de", "fr", "nl", "sw", "ar", "zh")),
        *(("udpos", "udpos", "validation", code) for code in ("nl", "pt", "tr")),
        ("squad_small", "arcd", "train", "ar"),
    ],
)
def test_one_in_twenty_real_texts_of_another_language_is_told(base: str, name: str, split: str, code: str) -> None:
    more = real_examples(name, split, code)
    english = real_examples(base, "train", "en")[: 19 * len(more)]
    watch = EnglishCheck()
    for example in english + more[: max(1, len(english) // 19)]:
        watch.add(example)
    assert watch.english() is False
