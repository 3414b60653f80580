"""The embedded model as a provider of LiteLLM. Imported only once LiteLLM is wanted."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from litellm.llms.custom_llm import CustomLLM
from litellm.types.utils import Choices, Message, ModelResponse, Usage

from bioelx_bench_offline.language_model_scorer import Generated, Scorer


class LocalHandler(CustomLLM):
    """Answers chat completions from a model in this process, one after the other in a thread of its own.

    Args:
        folder: The model's folder.
        device: `auto`, `cpu` or `cuda`.
        dtype: `auto`, `float32` or `bfloat16`.
    """

    def __init__(self, folder: Path, device: str, dtype: str) -> None:
        super().__init__()
        self._arguments = (folder, device, dtype)
        self._scorer: Scorer | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="language-model")

    async def acompletion(self, *_: Any, **arguments: Any) -> ModelResponse:
        """Answer one chat completion; LiteLLM calls it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, self._answer, arguments["messages"], arguments["optional_params"]
        )

    def completion(self, *_: Any, **arguments: Any) -> ModelResponse:
        """The same for a caller without an event loop."""
        work = self._thread.submit(self._answer, arguments["messages"], arguments["optional_params"])
        return work.result()

    def close(self) -> None:
        """Free the model."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._scorer = None

    def _answer(self, messages: list[dict[str, Any]], parameters: dict[str, Any]) -> ModelResponse:
        if self._scorer is None:
            self._scorer = Scorer(*self._arguments)
        template = (parameters.get("extra_body") or {}).get("chat_template_kwargs") or {}
        found = self._scorer.generate(
            messages,
            max_tokens=int(parameters.get("max_tokens") or parameters.get("max_completion_tokens") or 256),
            top=int(parameters.get("top_logprobs") or 0) if parameters.get("logprobs") else 0,
            temperature=float(parameters.get("temperature") or 0.0),
            seed=int(parameters.get("seed") or 0),
            template=dict(template),
        )
        return response_of(found)


def response_of(found: Generated) -> ModelResponse:
    """The OpenAI form of an answer."""
    logprobs = None
    if found.alternatives:
        top = [{"token": t, "logprob": v, "bytes": None} for t, v in found.alternatives]
        logprobs = {"content": [{**top[0], "token": found.first, "top_logprobs": top}]}
    choice = Choices(
        index=0, finish_reason=found.finish, message=Message(content=found.text), logprobs=logprobs
    )
    usage = Usage(
        prompt_tokens=found.prompt_tokens,
        completion_tokens=found.completion_tokens,
        total_tokens=found.prompt_tokens + found.completion_tokens,
    )
    return ModelResponse(choices=[choice], usage=usage)
