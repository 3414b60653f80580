from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from bioelx_bench_sapbert.training.order import PairOrder, apportion, group_pairs, group_shares
from bioelx_bench_sapbert.training.pairs import PairRules, make_pairs, write_pairs
from bioelx_bench_sapbert.training.run import train
from hypothesis import given, settings
from hypothesis import strategies as st
from run_samples import environment, request

from bioelx_bench.errors import DataError, UsageError
from bioelx_bench.kb.store import KnowledgeBase

MakeKb = Callable[[list[tuple[str, str, str]]], KnowledgeBase]


def texts_of(kb: KnowledgeBase, rules: PairRules) -> list[tuple[str, frozenset[str]]]:
    return [
        (
            kb.concept_id(int(kb.name_concepts[a])),
            frozenset((kb.name_text(a).lower(), kb.name_text(b).lower())),
        )
        for block in make_pairs(kb, rules)
        for a, b in block.tolist()
    ]


def test_pairs_are_all_combinations_of_a_concepts_different_names(make_kb: MakeKb) -> None:
    rows = [
        ("C0000001", "en", "Pain"),
        ("C0000001", "en", "PAIN"),
        ("C0000001", "de", "Schmerz"),
        ("C0000001", "de", "pain"),
        ("C0000001", "fr", "douleur"),
        ("C0000002", "en", "alone"),
        ("C0000003", "en", "fever"),
        ("C0000003", "de", "Fieber"),
    ]
    kb = make_kb(rows)
    names: dict[str, set[str]] = {}
    for cui, _, name in rows:
        names.setdefault(cui, set()).add(name.lower())
    expected = [(c, frozenset(p)) for c, n in names.items() for p in combinations(n, 2)]
    found = texts_of(kb, PairRules())
    assert len(found) == len(expected)
    assert set(found) == set(expected)


@pytest.mark.parametrize("limit", [1, 7, 50])
def test_a_large_concept_gives_a_sample_that_prefers_two_languages(make_kb: MakeKb, limit: int) -> None:
    rows = [("C0000001", lang, f"{lang} name {i}") for lang in ("en", "de") for i in range(15)]
    kb = make_kb([*rows, ("C0000002", "en", "x"), ("C0000002", "en", "y")])
    found = [pair for cui, pair in texts_of(kb, PairRules(max_pairs=limit)) if cui == "C0000001"]
    assert len(found) == limit
    assert len(set(found)) == limit
    crossing = sum(len({name[:2] for name in pair}) == 2 for pair in found)
    assert crossing >= limit - limit // 2  # without the preference 52 in 100
    assert found != [p for c, p in texts_of(kb, PairRules(max_pairs=limit, seed=1)) if c == "C0000001"]


def test_pairs_do_not_depend_on_anything_but_seed_and_rules(small_kb: KnowledgeBase) -> None:
    first = np.concatenate(list(make_pairs(small_kb, PairRules(max_pairs=3, seed=5))))
    second = np.concatenate(list(make_pairs(small_kb, PairRules(max_pairs=3, seed=5))))
    assert np.array_equal(first, second)


def test_languages_and_length_choose_names(small_kb: KnowledgeBase) -> None:
    german = list(make_pairs(small_kb, PairRules(languages=("de",))))
    rows = np.unique(np.concatenate(german))
    codes = small_kb.names.column("language").to_numpy()[rows]
    assert {small_kb.languages[c] for c in codes} == {"de"}
    short = np.unique(np.concatenate(list(make_pairs(small_kb, PairRules(max_characters=14)))))
    assert all(len(small_kb.name_text(r)) <= 14 for r in short)


def test_an_unknown_language_is_named_with_those_there_are(small_kb: KnowledgeBase) -> None:
    with pytest.raises(UsageError, match="no name in the language 'xx'") as error:
        list(make_pairs(small_kb, PairRules(languages=("xx",))))
    assert "de, en" in str(error.value)


def test_without_pairs_or_with_one_concept_training_is_refused(make_kb: MakeKb, tmp_path: Path) -> None:
    lonely = make_kb([("C0000001", "en", "a"), ("C0000002", "en", "b")])
    with pytest.raises(DataError, match="gives no pair"):
        write_pairs(lonely, PairRules(), tmp_path / "pairs.npy")
    assert not list(tmp_path.iterdir())
    single = make_kb([("C0000001", "en", "a"), ("C0000001", "en", "b")])
    with pytest.raises(DataError, match="one concept"):
        write_pairs(single, PairRules(), tmp_path / "pairs.npy")
    assert not list(tmp_path.iterdir())  # or the next call would take the file that is there


def test_the_pair_file_is_the_stream(small_kb: KnowledgeBase, tmp_path: Path) -> None:
    mapped = write_pairs(small_kb, PairRules(), tmp_path / "pairs.npy")
    assert np.array_equal(mapped, np.concatenate(list(make_pairs(small_kb, PairRules()))))
    assert mapped.shape == (360, 2)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.integers(0, 10_000))
def test_apportion_adds_up_and_stays_within_one(weights: list[int], total: int) -> None:
    shares = (np.array(weights) + 1e-9) / (sum(weights) + 1e-9 * len(weights))
    counts = apportion(shares, total)
    assert counts.sum() == total
    assert (np.abs(counts - shares * total) <= 1 + 1e-6).all()


def test_the_natural_order_is_a_permutation_in_each_epoch() -> None:
    order = PairOrder(np.zeros(101, dtype=np.int32), np.array([False]), seed=4)
    first, second = [order[i] for i in range(101)], [order[i] for i in range(101, 202)]
    assert sorted(first) == sorted(second) == list(range(101))
    assert first != second


def test_balancing_draws_the_shares_that_were_asked_for(small_kb: KnowledgeBase) -> None:
    pairs = np.concatenate(list(make_pairs(small_kb, PairRules())))
    languages = small_kb.names.column("language").to_numpy().astype(np.int16)
    groups, spoken = group_pairs(pairs, languages)
    crossing = spoken[:, 0] != spoken[:, 1]
    assert crossing.sum() == 1
    assert len(crossing) == 3
    order = PairOrder(groups, crossing, crosslingual_share=0.25, seed=1)
    drawn = order.epoch(0)
    assert abs(crossing[groups[drawn]].mean() - 0.25) < 0.01
    flat = group_shares(np.array([900, 90, 10]), np.zeros(3, dtype=bool), 1e9, None)
    assert np.allclose(flat, 1 / 3)
    alone = group_shares(np.array([5, 5]), np.array([False, False]), 1.0, 0.7)
    assert np.allclose(alone, 0.5)


def test_a_foreign_name_is_joined_to_the_pivot_of_its_concept(make_kb: MakeKb) -> None:
    rows = [
        *(("C0000001", language, f"{language} eins") for language in ("en", "de", "fi", "ru")),
        ("C0000001", "fi", "fi zwei"),
        *(("C0000002", language, f"{language} drei") for language in ("de", "fi", "ru")),
        *(("C0000003", language, f"{language} vier") for language in ("fi", "ru")),
    ]
    kb = make_kb(rows)

    def joined(*pivot: str) -> set[str]:
        return {" - ".join(sorted(names)) for _, names in texts_of(kb, PairRules(pivot=pivot))}

    english = {
        "de eins - en eins",
        "en eins - fi eins",
        "en eins - fi zwei",
        "en eins - ru eins",
        "fi eins - fi zwei",
    }
    assert joined("en") == english
    assert joined("en", "de") == english | {"de drei - fi drei", "de drei - ru drei"}
    assert joined("de", "en") != joined("en", "de")
    with pytest.raises(UsageError, match="no name in the language 'xx'") as error:
        joined("xx")
    assert error.value.where == "--set pivot=xx"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from(["en", "de", "fi"]), st.sampled_from("abcdefgh")),
        min_size=2,
    ),
    st.integers(1, 30),
    st.permutations(["en", "de"]),
)
def test_pairs_with_a_pivot_are_those_of_the_rule(
    make_kb: MakeKb,
    names: list[tuple[int, str, str]],
    most: int,
    pivot: list[str],
) -> None:
    rows = [
        (f"C{number:07d}", language, f"{language} {text}") for number, language, text in dict.fromkeys(names)
    ]
    rows += [("C0000009", language, f"{language} x") for language in ("en", "de", "fi")]
    kb = make_kb(rows)
    found = texts_of(kb, PairRules(pivot=tuple(pivot), max_pairs=most))
    assert len(set(found)) == len(found)
    for cui in {row[0] for row in rows}:
        spoken = {text.lower(): language for c, language, text in rows if c == cui}
        first = next((x for x in pivot if x in spoken.values()), None)
        wanted = {
            frozenset(pair)
            for pair in combinations(spoken, 2)
            if spoken[pair[0]] == spoken[pair[1]] or first in (spoken[pair[0]], spoken[pair[1]])
        }
        own = {pair for c, pair in found if c == cui}
        assert own <= wanted
        assert len(own) == min(most, len(wanted))


def test_a_pivot_that_joins_nothing_is_an_error(make_kb: MakeKb, base_model: Path, tmp_path: Path) -> None:
    rows = [(f"C{i:07d}", "fi", f"fi {i} {part}") for i in range(4) for part in ("a", "b")]
    kb = make_kb([*rows, ("C0000009", "en", "en x"), ("C0000001", "de", "de x")])
    with pytest.raises(DataError, match="no pair joins a name in the language en to one in another") as error:
        train(request(base_model, kb, tmp_path / "model", pivot=("en",)), environment(tmp_path))
    assert error.value.where == "--set pivot=en"
    assert not (tmp_path / "model").exists()
