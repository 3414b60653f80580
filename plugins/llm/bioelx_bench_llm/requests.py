"""One question to an endpoint, and the hashes under which its answer is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bioelx_bench.files import canonical_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A question.

    Attributes:
        messages: Chat messages; empty for a rerank request.
        query: Rerank query.
        documents: Rerank documents.
        max_tokens: Bound of the answer.
        top_logprobs: Alternatives to ask for at the answer's first token; 0 for none.
        schema: JSON schema the answer should follow, where the endpoint can hold it to one.
        seed: Sampling seed; it tells repeats of one question apart.
    """

    messages: Sequence[Mapping[str, str]] = ()
    query: str = ""
    documents: Sequence[str] = ()
    max_tokens: int | None = None
    top_logprobs: int = 0
    schema: Mapping[str, Any] | None = field(default=None, hash=False)
    seed: int | None = None

    @property
    def forms(self) -> tuple[str, ...]:
        """The ways to put the question, the best first; an endpoint that refuses one is asked the next way."""
        if self.schema is not None:
            return ("json_schema", "json_object_schema", "json_object", "text")
        if self.top_logprobs:
            return ("logprobs", "few_logprobs", "text")
        return ("rerank",) if self.documents else ("text",)

    @property
    def question_hash(self) -> str:
        """Hash (hex) of all that is asked. The form is left out: it follows from what the endpoint can do."""
        value: dict[str, Any] = {"max_tokens": self.max_tokens}
        if self.documents:
            value |= {"query": self.query, "documents": list(self.documents)}
        else:
            value |= {
                "messages": list(self.messages),
                "top_logprobs": self.top_logprobs,
                "schema": self.schema,
                "seed": self.seed,
            }
        return hashlib.sha256(canonical_json(value).encode("utf-8", "replace")).hexdigest()

    def key(self, model: str, endpoint: str, parameters: Mapping[str, Any]) -> str:
        """What the answer is cached under: a hash of all that it depends on."""
        value = [self.question_hash, model, endpoint, dict(parameters)]
        return hashlib.sha256(canonical_json(value).encode("utf-8", "replace")).hexdigest()
