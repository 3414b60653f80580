"""How LiteLLM is set up: quiet, without look-ups on the network, and on its short ways.

Measured with a server on loopback, most of the processor time of a LiteLLM call is avoidable: OpenAI's client takes
about as long as all the rest, and every failed look-up of an unknown model's price is repeated ten times a call.
"""

from __future__ import annotations

import logging
import os
from typing import Any, Final

OWN_HTTP_CLIENT: Final = "EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER"
"""LiteLLM's switch that sends `openai/` models through its own HTTP client, as most other providers go."""

UNKNOWN: Final = "unknown to LiteLLM; entered by bioelx-bench, without a price that means anything"
NOMINAL_PRICE: Final = 1e-12
"""US dollars a token of an unknown model. It is never shown: at 0 LiteLLM would look for the reason at every call."""


def import_litellm() -> Any:
    """Import LiteLLM without its look-up of prices on the network and its talk on stderr."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm


def use_own_http_client() -> None:
    """Let LiteLLM ask OpenAI-compatible servers with its own HTTP client instead of OpenAI's.

    For the user's own servers only: OpenAI's client alone knows OpenAI's organisations and projects. A user who
    set the variable keeps what was set.
    """
    os.environ.setdefault(OWN_HTTP_CLIENT, "true")


def own_http_client() -> bool:
    """Whether LiteLLM's own client is used for OpenAI-compatible servers."""
    return os.environ.get(OWN_HTTP_CLIENT, "").strip().lower() == "true"


def register_unknown(litellm: Any, model: str, provider: str) -> bool:
    """Give a model that LiteLLM does not know an entry in its table, since it keeps no failed look-ups.

    Returns:
        Whether the model was unknown; then what LiteLLM says of its price means nothing.
    """
    known = litellm.model_cost.get(model)
    if known is not None:
        return bool((known.get("metadata") or {}).get("notes") == UNKNOWN)
    try:
        litellm.get_model_info(model)
    except Exception:  # LiteLLM raises a bare Exception for a model that is not mapped
        litellm.register_model(
            {
                model: {
                    "input_cost_per_token": NOMINAL_PRICE,
                    "output_cost_per_token": NOMINAL_PRICE,
                    "litellm_provider": provider,
                    "metadata": {"notes": UNKNOWN},
                }
            }
        )
        return True
    return False


def keep_off_proxies(host: str) -> None:
    """Add a host of this machine to the hosts that HTTP clients reach without a proxy.

    With `--offline` nothing may leave the machine, and a proxy elsewhere could not reach this loopback anyway.
    Both spellings of the variable are set, since clients differ in which they prefer.
    """
    for name in ("no_proxy", "NO_PROXY"):
        given = os.environ.get(name) or os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
        hosts = [part.strip() for part in given.split(",") if part.strip()]
        os.environ[name] = ",".join([*hosts, *([] if host in hosts or "*" in hosts else [host])])
