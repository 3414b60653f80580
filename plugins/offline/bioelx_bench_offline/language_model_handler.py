"""The embedded model as a provider of LiteLLM. Imported only once LiteLLM is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from litellm.llms.custom_llm import CustomLLM
from litellm.types.utils import Choices, Message, ModelResponse, Usage

from bioelx_bench_offline.language_model_scorer import Generated, Prompt, Scorer


@dataclass(slots=True)
class Waiting:
    """A question that waits for the model."""

    messages: list[dict[str, Any]]
    parameters: dict[str, Any]
    answer: Future[ModelResponse] = field(default_factory=Future)

    @property
    def bound(self) -> int:
        """Tokens of the answer at most."""
        return int(self.parameters.get("max_tokens") or self.parameters.get("max_completion_tokens") or 256)

    @property
    def top(self) -> int:
        """Log-probabilities wanted."""
        return int(self.parameters.get("top_logprobs") or 0) if self.parameters.get("logprobs") else 0

    @property
    def template(self) -> dict[str, Any]:
        """More arguments of the chat template."""
        return dict((self.parameters.get("extra_body") or {}).get("chat_template_kwargs") or {})


class LocalHandler(CustomLLM):
    """Answers chat completions from a model in this process, in a thread of its own.

    Questions that come while it computes wait, and those for one token are then computed together.

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
        self._waiting: SimpleQueue[Waiting] = SimpleQueue()

    async def acompletion(self, *_: Any, **arguments: Any) -> ModelResponse:
        """Answer one chat completion; LiteLLM calls it."""
        return await asyncio.wrap_future(self._submit(arguments))

    def completion(self, *_: Any, **arguments: Any) -> ModelResponse:
        """The same for a runner without an event loop."""
        return self._submit(arguments).result()

    def notes(self) -> dict[str, Any]:
        """How it computed its answers; nothing before the first."""
        return {} if self._scorer is None else self._scorer.notes()

    def close(self) -> None:
        """Free the model."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._scorer = None

    def _submit(self, arguments: dict[str, Any]) -> Future[ModelResponse]:
        question = Waiting(arguments["messages"], arguments["optional_params"])
        self._waiting.put(question)
        self._thread.submit(self._answer_waiting)
        return question.answer

    def _answer_waiting(self) -> None:
        """Answer everything that waits; a later call finds nothing."""
        short: dict[int, list[tuple[Waiting, Prompt]]] = {}
        for question in self._taken():
            with failing(question):
                scorer = self._model()
                if question.bound > 1:
                    question.answer.set_result(response_of(self._generate(question)))
                else:
                    prompt = scorer.tokens(question.messages, question.template)
                    short.setdefault(question.top, []).append((question, prompt))
        for top, asked in short.items():
            with failing(*(question for question, _ in asked)):
                found = self._model().first_tokens([prompt for _, prompt in asked], top)
                for (question, _), generated in zip(asked, found, strict=True):
                    question.answer.set_result(response_of(generated))

    def _taken(self) -> Iterator[Waiting]:
        """The questions that wait and were not cancelled."""
        with suppress(Empty):
            while True:
                question = self._waiting.get_nowait()
                if question.answer.set_running_or_notify_cancel():
                    yield question

    def _model(self) -> Scorer:
        if self._scorer is None:
            self._scorer = Scorer(*self._arguments)
        return self._scorer

    def _generate(self, question: Waiting) -> Generated:
        return self._model().generate(
            question.messages,
            max_tokens=question.bound,
            top=question.top,
            temperature=float(question.parameters.get("temperature") or 0.0),
            seed=int(question.parameters.get("seed") or 0),
            template=question.template,
        )


@contextmanager
def failing(*questions: Waiting) -> Iterator[None]:
    """Give an error to the questions that it leaves without an answer."""
    try:
        yield
    except BaseException as error:
        for question in questions:
            if not question.answer.done():
                question.answer.set_exception(error)


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
