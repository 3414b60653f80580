"""A model that runs in this process, as a provider of LiteLLM."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LocalProvider:
    """A provider to be registered with LiteLLM as a `CustomLLM`.

    Attributes:
        name: Provider name, unique to the model, since LiteLLM keeps one handler for a name.
        model: Model name behind it.
        revision: Hash of the model's files; part of the run's identity and of cache keys.
        make_handler: Makes the `litellm.CustomLLM`; called once LiteLLM is imported.
        close: Frees the model.
        notes: How the model computed its answers; see `LlmRanker.notes`.
    """

    name: str
    model: str
    revision: str
    make_handler: Callable[[], Any]
    close: Callable[[], None]
    notes: Callable[[], Mapping[str, Any]] = dict

    def register(self, litellm: Any) -> None:
        """Make LiteLLM know the provider."""
        others = [item for item in litellm.custom_provider_map if item["provider"] != self.name]
        handler = {"provider": self.name, "custom_handler": self.make_handler()}
        litellm.custom_provider_map = [*others, handler]
