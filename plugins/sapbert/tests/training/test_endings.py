from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bioelx_bench_sapbert.training.batches import PairCollator
from bioelx_bench_sapbert.training.encoder import Tokens, load_base
from bioelx_bench_sapbert.training.endings import ENDINGS, MOST_CUT, SHORTEST_STEM, with_ending
from bioelx_bench_sapbert.training.settings import TrainingSettings
from hypothesis import given
from hypothesis import strategies as st

from bioelx_bench.kb.store import KnowledgeBase

NAMES = st.text(alphabet="abcdéöыя뇌염 -1", min_size=0, max_size=20)


def forms(name: str, language: str) -> set[str]:
    generator = np.random.default_rng(0)
    return {with_ending(name, language, generator) for _ in range(600)}


@given(NAMES, st.sampled_from(sorted(ENDINGS)), st.integers(0, 1 << 20))
def test_only_the_end_of_the_last_word_changes(name: str, language: str, seed: int) -> None:
    found = with_ending(name, language, np.random.default_rng(seed))
    if not name or not name[-1].isalpha():
        assert found == name
        return
    assert any(found.endswith(ending) for ending in ENDINGS[language].split())
    word = name.rsplit(" ", 1)[-1]
    kept = len(name) - min(MOST_CUT, max(len(word) - SHORTEST_STEM, 0))
    assert found.startswith(name[:kept])
    assert found == with_ending(name, language, np.random.default_rng(seed))


def test_forms_of_running_text_are_among_those_made() -> None:
    assert {"enkefaliittiin", "enkefaliittia"} & forms("enkefaliitti", "fi")
    assert "masennuksesta" in forms("masennus", "fi")
    assert {"астмы", "астму", "астмой"} <= forms("астма", "ru")
    assert {"astımdan", "astımın"} <= forms("astım", "tr")
    assert {"뇌염으로", "뇌염의"} <= forms("뇌염", "ko")
    assert "Arthrosen" in forms("Arthrose", "de")
    assert not any(name.startswith("zo") and not name.startswith("zoo") for name in forms("zoo", "de"))


@pytest.mark.parametrize("language", ["en", "ja", "zh", "th", "xx"])
def test_languages_without_endings_keep_their_names(language: str) -> None:
    assert forms("encephalitis", language) == {"encephalitis"}


def test_the_share_of_names_gets_an_ending_that_its_position_decides(
    base_model: Path, small_kb: KnowledgeBase
) -> None:
    _, tokenizer = load_base(str(base_model), base_model, offline=True)
    settings = TrainingSettings(endings_share=0.5, seed=2)
    collator = PairCollator(small_kb, Tokens(tokenizer, settings, 48), settings)
    languages = small_kb.names.column("language").to_numpy()
    german = np.flatnonzero(languages == small_kb.languages.index("de")).tolist()
    german = [row for row in german if small_kb.name_text(row)[-1].isalpha()][:2]
    english = np.flatnonzero(languages == small_kb.languages.index("en"))[:2].tolist()
    names = [small_kb.name_text(row) for row in german]
    made = [collator.texts(position, german) for position in range(400)]
    changed = sum(a != b for texts in made for a, b in zip(texts, names, strict=True))
    assert 300 < changed < 500
    assert made == [collator.texts(position, german) for position in range(400)]
    assert len({tuple(texts) for texts in made}) > 20
    assert all(collator.texts(p, english) == [small_kb.name_text(r) for r in english] for p in range(50))
    batch = collator([(0, *german), (1, *english)])
    assert batch["rows"].tolist() == [*german, *english]
