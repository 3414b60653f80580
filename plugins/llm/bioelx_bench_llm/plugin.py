"""What this plugin declares."""

from __future__ import annotations

from bioelx_bench.declarations import CheckSpec, CommandSpec, PresetSpec, RankerFamilySpec, RankerSpec
from bioelx_bench.markers import hookimpl

FACTORY = "bioelx_bench_llm.ranker:make_ranker"


@hookimpl
def rankers() -> list[RankerSpec | RankerFamilySpec]:
    """Aliases for well-known models, and every LiteLLM model id."""
    aliases = {
        "llama3": ("Llama 3 through Ollama, on this machine unless api_base says otherwise", "Llama3Options"),
        "qwen3": ("Qwen3 through Ollama, on this machine unless api_base says otherwise", "Qwen3Options"),
        "qwen3-reranker": ("Qwen3-Reranker-0.6B on a vLLM server, scored pointwise", "Qwen3RerankerOptions"),
        "gpt-4o-mini": ("OpenAI's GPT-4o mini; needs OPENAI_API_KEY", "Gpt4oMiniOptions"),
    }
    return [
        *(
            RankerSpec(
                name=name, summary=summary, factory=FACTORY, options=f"bioelx_bench_llm.options:{options}"
            )
            for name, (summary, options) in aliases.items()
        ),
        RankerFamilySpec(
            name="litellm",
            summary="Any LiteLLM model id, such as openai/NAME, hosted_vllm/NAME or anthropic/NAME",
            factory=FACTORY,
            options="bioelx_bench_llm.options:LlmOptions",
            matcher="bioelx_bench_llm.names:match_litellm",
        ),
        RankerFamilySpec(
            name="replay",
            summary="Recorded answers of a model, without it: replay:FILE.jsonl.gz",
            factory=FACTORY,
            options="bioelx_bench_llm.options:LlmOptions",
            matcher="bioelx_bench_llm.names:match_replay",
        ),
    ]


@hookimpl
def presets() -> list[PresetSpec]:
    """The reference combination."""
    return [
        PresetSpec(
            name="bioelx",
            summary="The reference: alias-enriched SapBERT, then a Qwen3 reranker over the marked mention",
            retriever="sapbert-x",
            ranker="qwen3-reranker",
            ranker_options={"strategy": "pointwise"},
        )
    ]


@hookimpl
def checks() -> list[CheckSpec]:
    """Whether an endpoint answers and its key is set."""
    return [
        CheckSpec(
            name="llm",
            summary="The ranker's endpoint answers, and its key is set",
            factory="bioelx_bench_llm.checks:check_ranker",
        )
    ]


@hookimpl
def commands() -> list[CommandSpec]:
    """Recorded answers, and the mix of evidence and scores."""
    return [
        CommandSpec(
            name="answers",
            summary="Write a run's answers into a file that repeats it without a model",
            factory="bioelx_bench_llm.commands:make_answers",
        ),
        CommandSpec(
            name="tune",
            summary="Derive how to mix a ranker's evidence with the retriever's scores",
            factory="bioelx_bench_llm.commands:make_tune",
        ),
    ]
