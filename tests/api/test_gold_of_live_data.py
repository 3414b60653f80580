"""Gold of live data: one normalising step, and runs whose figures could only be 0 stop before they start."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bioelx_bench import BaseDataset, evaluate
from bioelx_bench.cli.main import invoke
from bioelx_bench.errors import UsageError
from bioelx_bench.kb.mappings import add_crosswalk
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.records import LabelledMention

sys.path.insert(0, str(Path(__file__).parent))
from conftest import Grams

PLUGIN = Path(__file__).parents[1] / "core" / "word_plugin.py"

pytestmark = pytest.mark.usefixtures("cache")


def with_gold(mentions: list[LabelledMention], *gold: str) -> list[LabelledMention]:
    return [replace(mention, gold=(ids,)) for mention, ids in zip(mentions, gold, strict=False)]


def test_gold_of_a_list_is_normalised(
    tmp_path: Path, kb_folder: Path, mentions: list[LabelledMention]
) -> None:
    odd = with_gold(mentions, "UMLS:C0011849", "c0004096", "C0011311|C0000001", "CUI-less")
    run = evaluate(odd, Grams(), kb=kb_folder, k=3, output=tmp_path / "runs")
    assert run.result.dataset.id_scheme == "umls"
    assert run.scores["de"].retrieval is not None and len(run.to_pandas()) == 3
    assert run.scores["de"].coverage == 1


def test_gold_of_another_scheme_stops_the_run_until_a_crosswalk_maps_it(
    tmp_path: Path, kb_folder: Path, mentions: list[LabelledMention]
) -> None:
    mesh = with_gold(mentions, "D003920", "D001249", "D003715", "D010930")

    class Never(Grams):
        def open(self, kb: KnowledgeBase, folder: Path) -> None:
            raise AssertionError("the run has started")

    with pytest.raises(
        UsageError, match="ids of the scheme mesh, the knowledge base 'small' has umls"
    ) as caught:
        evaluate(mesh, Never(), kb=kb_folder, output=tmp_path / "runs")
    assert f"kb crosswalk {kb_folder}" in str(caught.value.hint)
    (tmp_path / "m.tsv").write_text("subject_id\tobject_id\nMESH:D003920\tUMLS:C0011849\n")
    add_crosswalk(KnowledgeBase.open(kb_folder), [tmp_path / "m.tsv"])
    run = evaluate(mesh, Grams(), kb=kb_folder, k=3, output=tmp_path / "runs", id_scheme="mesh")
    assert run.scores["de"].coverage == 0.25
    assert run.scores["de"].retrieval.figures["recall@1"] == 0.25


def test_a_dataset_that_wants_all_gold_found_agrees_with_the_protocol(
    tmp_path: Path, kb_folder: Path, mentions: list[LabelledMention]
) -> None:
    class Composite(BaseDataset):
        needs_match = "all"

        def mentions(self) -> Iterator[LabelledMention]:
            return iter(mentions)

    with pytest.raises(UsageError, match="all gold of a mention must be found, the protocol asks for any"):
        evaluate(Composite(), Grams(), kb=kb_folder, output=tmp_path / "runs")
    with pytest.raises(UsageError, match="id_scheme is for a list of mentions"):
        evaluate(Composite(), Grams(), kb=kb_folder, id_scheme="umls")


def test_the_command_line_stops_too(
    tmp_path: Path, kb_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.csv").write_text("mention,gold\nfever,D005334\n")
    data = ["--dataset", "table", "-D", f"path={tmp_path / 't.csv'}", "--kb", str(kb_folder)]
    code = invoke(
        ["run", *data, "--plugin", str(PLUGIN), "--retriever", "words", "--output", str(tmp_path / "runs")]
    )
    assert code == 2
    assert "has ids of the scheme mesh" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
