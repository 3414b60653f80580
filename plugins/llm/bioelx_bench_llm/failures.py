"""What can go wrong with a call, sorted by what to do about it. Knows LiteLLM's exceptions by name only."""

from __future__ import annotations

import asyncio
import email.utils
import re
import time
from dataclasses import dataclass
from typing import Final, Literal

from bioelx_bench.redaction import Redactor

Action = Literal["retry", "downgrade", "give_up", "stop"]

BY_STATUS: Final[dict[int, tuple[str, Action]]] = {
    400: ("rejected", "downgrade"),
    401: ("unauthorised", "stop"),
    402: ("unpaid", "stop"),
    403: ("forbidden", "stop"),
    404: ("not_found", "stop"),
    408: ("timeout", "retry"),
    409: ("server_error", "retry"),
    413: ("rejected", "give_up"),
    422: ("rejected", "downgrade"),
    425: ("rate_limited", "retry"),
    429: ("rate_limited", "retry"),
}
NO_SERVER: Final = re.compile(r"cannot connect to host|connection refused|connection attempts failed", re.I)
MAX_RETRY_AFTER_SECONDS: Final = 3600.0
MAX_DETAIL_CHARACTERS: Final = 300
"""Characters of an endpoint's message that an error shows."""


class CallError(Exception):
    """A call that gave no answer.

    Attributes:
        kind: Short word under which it is counted.
        action: What to do: try again, ask in a simpler form, give this question up, or stop the run.
        retry_after: Seconds the endpoint asks to wait, or None.
        detail: The endpoint's message without keys.
    """

    def __init__(self, kind: str, action: Action, detail: str = "", retry_after: float | None = None) -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind
        self.action: Action = action
        self.retry_after = retry_after
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Failed:
    """What stands in an answer's place when a question was given up."""

    kind: str
    detail: str

    @property
    def lasting(self) -> bool:
        """Whether asking the same again is of no use."""
        return self.kind in {"rejected", "too_long", "refused", "not_recorded", "too_long_answer"}

    @property
    def message(self) -> str:
        """Kind and detail in one line."""
        return f"{self.kind}: {self.detail}" if self.detail else self.kind


def explain(error: BaseException, redact: Redactor) -> CallError:
    """Sort an exception of LiteLLM, of a provider's client or of asyncio.

    An exception that says nothing of its status is taken for a malformed answer or a broken connection, and
    tried again: LiteLLM raises whatever its parsers raise on a damaged body.
    """
    if isinstance(error, CallError):
        return error
    detail = redact(f"{type(error).__name__}: {error}")[:MAX_DETAIL_CHARACTERS]
    name = type(error).__name__
    if isinstance(error, TimeoutError | asyncio.TimeoutError) or "Timeout" in name:
        return CallError("timeout", "retry", detail)
    if name == "UnsupportedParamsError":
        return CallError("rejected", "downgrade", detail)
    if name in {"ContextWindowExceededError", "ContentPolicyViolationError"}:
        kind = "too_long" if name.startswith("Context") else "refused"
        return CallError(kind, "give_up", detail)
    if NO_SERVER.search(str(error)):  # some of LiteLLM's providers give it a status of 500
        system = re.search(r"\[([^\[\]]+)\]\s*$", str(error))
        return CallError(
            "connection", "retry", redact(system[1])[:MAX_DETAIL_CHARACTERS] if system else "no connection"
        )
    if name == "APIConnectionError":
        broken = any(
            word in str(error).lower() for word in ("connect", "disconnect", "peer", "closed", "reset")
        )
        return CallError("connection" if broken else "malformed", "retry", detail)
    status = getattr(error, "status_code", None)
    if not isinstance(status, int) or 200 <= status < 300:  # LiteLLM keeps a damaged body's status
        return CallError("malformed", "retry", detail)
    if status == 429 and "insufficient_quota" in str(error):
        return CallError("unpaid", "stop", detail)
    if status >= 500 and re.search(r"response_format|json_schema|logprobs", str(error)):
        return CallError(
            "rejected", "downgrade", detail
        )  # llama-cpp-python's server refuses a form with a 500
    kind, action = BY_STATUS.get(
        status, ("server_error", "retry") if status >= 500 else ("rejected", "give_up")
    )
    return CallError(kind, action, detail, retry_after(error))


def retry_after(error: BaseException) -> float | None:
    """Seconds a response's Retry-After header asks to wait: a number or an HTTP date."""
    response = getattr(error, "response", None)
    headers = getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None)
    if headers is None:
        return None
    value = headers.get("retry-after") or headers.get("Retry-After")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError):
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS) if seconds == seconds else None
