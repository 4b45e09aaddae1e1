"""Rankings: every content word takes part, order and unrelated works change nothing, what is not there is said."""

from __future__ import annotations

import random
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_works import NOUNS, BagOfWords, bibtex, records

from xstilts.errors import InputError
from xstilts.evidence.retrieval import source_search
from xstilts.evidence.retrieval.fusion import fused
from xstilts.evidence.retrieval.ranking import Ranker
from xstilts.evidence.retrieval.source_search import SearchOptions
from xstilts.evidence.retrieval.work_index import build_in_memory, text_of

WORKS = records(80)
QUESTION = "Does copper in a fjord improve the glacier?"
ENCODERS: list[Any] = [None, BagOfWords()]
rankings = st.lists(st.permutations(range(6)).flatmap(lambda order: st.integers(0, 6).map(lambda n: order[:n])))


def keys(works: list[dict[str, str]], question: str, encoder: Any, embed_all: bool = False) -> list[str]:
    index = build_in_memory(works)
    return [index.record(row)["key"] for row in Ranker(index, question, encoder, embed_all).reranked()]


# Fusion.


@given(rankings)
def test_fusion_keeps_every_item_once_and_ignores_the_order_of_rankings(held: list[list[int]]) -> None:
    result = fused(held)
    assert sorted(result) == sorted({item for ranking in held for item in ranking})
    assert result == fused(held[::-1])


@given(st.permutations(range(6)), st.integers(1, 4))
def test_fusion_of_the_same_ranking_is_that_ranking(ranking: list[int], times: int) -> None:
    assert fused([ranking] * times) == ranking


@given(rankings, st.integers(0, 5))
def test_an_item_that_is_first_everywhere_stays_first(held: list[list[int]], item: int) -> None:
    assert fused([[item, *(other for other in ranking if other != item)] for ranking in [*held, []]])[0] == item


# Rankings.


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_order_of_works_changes_no_rank(encoder: Any) -> None:
    expected = keys(WORKS, QUESTION, encoder)
    assert len(expected) > 20
    for seed in range(3):
        assert keys(random.Random(seed).sample(WORKS, len(WORKS)), QUESTION, encoder) == expected


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_order_of_the_questions_words_and_its_function_words_change_no_rank(encoder: Any) -> None:
    expected = keys(WORKS, "copper fjord glacier", encoder)
    assert {
        tuple(keys(WORKS, " and the ".join(order), encoder)) for order in permutations(("copper", "fjord", "glacier"))
    } == {tuple(expected)}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(NOUNS), min_size=1, max_size=4, unique=True))
def test_every_content_word_takes_part(nouns: list[str]) -> None:
    index = build_in_memory(WORKS)
    held = set(Ranker(index, " ".join(nouns)).fused())
    assert {int(row) for noun in nouns for row in index.rows_with(noun)} <= held


def test_a_work_that_holds_all_words_is_first() -> None:
    whole = {"key": "x", "title": "Copper, fjord, glacier", "abstract": "Copper of the fjord improves the glacier."}
    for encoder in ENCODERS:
        assert keys([*WORKS, whole], QUESTION, encoder)[0] == "x"


def test_all_works_can_be_found_by_meaning_alone() -> None:
    index = build_in_memory(WORKS)
    encoder: Any = BagOfWords()
    assert sorted(Ranker(index, "copper", encoder, embed_all=True).by_meaning()) == list(range(len(index)))
    assert len(Ranker(index, "copper", encoder).by_meaning()) < len(index)
    assert Ranker(index, "copper").by_meaning() == []


@pytest.mark.parametrize("encoder", ENCODERS)
def test_words_that_are_nowhere_are_named(encoder: Any) -> None:
    works = [{"key": "a", "title": "Copper", "abstract": "It melts."}, {"key": "b", "title": "Fjord", "abstract": ""}]
    ranking = Ranker(build_in_memory(works), "Does quixotic copper beat a fjord?", encoder).ranking(1)
    assert ranking.words == ("quixotic", "copper", "beat", "fjord")
    (first,) = ranking.works
    assert ranking.absent == ("quixotic", "beat")
    assert {*first.matched, *ranking.unmatched} == {"copper", "fjord"}
    assert len(ranking.unmatched) == 1
    assert ranking.method.startswith("lexical only" if encoder is None else "words, and meaning by bag-of-words")
    nothing = Ranker(build_in_memory(works), "xyzzy plugh", encoder).ranking(5)
    assert (nothing.works, nothing.absent) == ((), ("xyzzy", "plugh"))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_sentence_that_is_shown_is_one_of_the_work_and_holds_most_of_the_words(encoder: Any) -> None:
    abstract = "We look at metals. Copper in the fjord cools the glacier. More is to be done."
    works = [{"key": "a", "title": "On metals", "abstract": abstract}, {"key": "b", "title": "Fjord glacier"}]
    shown = {
        work.record["key"]: work.sentence for work in Ranker(build_in_memory(works), QUESTION, encoder).ranking(9).works
    }
    assert shown == {"a": "Copper in the fjord cools the glacier.", "b": "Fjord glacier"}
    index = build_in_memory(WORKS)
    for work in Ranker(index, QUESTION, encoder).ranking(30).works:
        assert work.sentence in text_of(work.record)


def test_synonyms_only_add() -> None:
    works = [
        {"key": "named", "title": "The batch size of a kettle", "abstract": ""},
        {"key": "synonym", "title": "The minibatch of a kettle", "abstract": ""},
    ]
    assert keys(works, "batch size", None) == ["named", "synonym"]


# Sources.


def test_a_file_and_a_folder_of_papers_are_searched(tmp_path: Path) -> None:
    (tmp_path / "works.bib").write_text(bibtex(WORKS), encoding="utf-8")
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers/own.txt").write_text(
        "Copper glaciers\nAbstract\nCopper of the fjord improves a glacier.\n", "utf-8"
    )
    cache, bib, papers = tmp_path / "cache", str(tmp_path / "works.bib"), str(tmp_path / "papers")
    alone = source_search.search(QUESTION, SearchOptions(cache, (bib,)), {}, None)
    assert (alone.searched, alone.failures, len(alone.ranking.works)) == ({bib: 80}, {}, 10)
    hosts = source_search.configured_hosts({})
    both = source_search.search(QUESTION, SearchOptions(cache, (bib, papers)), hosts)
    assert both.searched == {bib: 80, papers: 1}
    assert both.ranking.works[0].record["title"] == "Copper glaciers"
    text = "\n".join(source_search.lines(both))
    assert "Copper of the fjord improves a glacier." in text
    assert source_search.to_json(QUESTION, both)["works"][0]["rank"] == 1


@pytest.mark.parametrize(
    ("question", "sources", "message"),
    [
        ("does it not", ("acl",), "no word to search for"),
        ("copper", ("nowhere",), "unknown source 'nowhere'"),
        ("copper", ("{}/empty.bib",), "holds no works"),
        ("copper", ("{}/damaged.bib.gz",), "cannot be read"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    tmp_path: Path, question: str, sources: tuple[str, ...], message: str
) -> None:
    (tmp_path / "empty.bib").write_text("", encoding="utf-8")
    (tmp_path / "damaged.bib.gz").write_bytes(b"\x1f\x8b nothing")
    given_sources = tuple(name.format(tmp_path) for name in sources)
    with pytest.raises(InputError, match=message):
        source_search.search(question, SearchOptions(tmp_path / "cache", given_sources), {})
