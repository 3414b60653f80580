"""What a user can do about an endpoint that does not answer: the exact command."""

from __future__ import annotations

from urllib.parse import urlsplit

from bioelx_bench_llm.addresses import is_loopback
from bioelx_bench_llm.names import provider_of


def how_to_start(model: str, base: str | None, kind: str) -> str:
    """The command that starts a server there, or mends the key.

    Args:
        model: LiteLLM model id.
        base: The endpoint's address, or None for the provider's own.
        kind: What a call failed with, see `failures`.
    """
    if kind in {"unauthorised", "forbidden"}:
        return "set the provider's key in its variable, or name another with -K api_key_env=NAME"
    provider, name = provider_of(model), model.partition("/")[2]
    if not is_loopback(base):
        return "check the address, the model's name and the network"
    port = urlsplit(base or "").port or 80
    if provider.startswith("ollama"):
        return f"ollama serve, and once: ollama pull {name}"
    if provider in {"hosted_vllm", "vllm"}:
        return f"vllm serve {name} --port {port}"
    if provider == "infinity":
        return f"infinity_emb v2 --model-id {name} --port {port}"
    return (
        f"llama-server -m FILE.gguf --port {port} (llama.cpp), or vllm serve {name} --port {port}, "
        "or --ranker local:FILE.gguf without any server"
    )
