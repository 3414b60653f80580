"""The HTTP client that LiteLLM gets: it follows no redirect and reads no more than an answer may hold."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from bioelx_bench_llm.failures import CallError

if TYPE_CHECKING:
    import httpx

MAX_ANSWER_BYTES: Final = 1_000_000
"""A ranking of a hundred candidates with twenty alternatives a token is below a tenth of it."""

MAX_SECONDS: Final = 3600.0
"""A bound of last resort; each call has its own."""

PROBLEMS: Final[ContextVar[list[CallError] | None]] = ContextVar("problems", default=None)
"""What the client refused during the current call. LiteLLM turns exceptions of hooks into its own."""


async def ask_plain(request: httpx.Request) -> None:
    """Ask for an answer as it is: unpacking could make a small answer any size."""
    request.headers["accept-encoding"] = "identity"


async def check_response(response: httpx.Response) -> None:
    """Refuse redirects, packed answers and answers that are too long, before the rest of them is read."""
    if response.has_redirect_location:
        target = response.headers.get("location", "")
        raise refused(
            "redirected", f"the server sends calls elsewhere, {shown_origin(response, target)}", "stop"
        )
    packed = response.headers.get("content-encoding", "identity").strip().lower()
    if packed not in {"", "identity"}:
        raise refused("malformed", "the server packed its answer though asked not to", "give_up")
    parts, size = [], 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise refused("too_long_answer", f"the answer is longer than {MAX_ANSWER_BYTES} bytes", "give_up")
        parts.append(part)
    response._content = b"".join(parts)


def refused(kind: str, detail: str, action: Any) -> CallError:
    """The error, noted for the call under way."""
    error = CallError(kind, action, detail)
    problems = PROBLEMS.get()
    if problems is not None:
        problems.append(error)
    return error


def shown_origin(response: httpx.Response, target: str) -> str:
    """The origin that a redirect points to, without path, user or query."""
    import httpx

    try:
        url = response.request.url.join(httpx.URL(target))
    except (httpx.InvalidURL, ValueError):
        return "to an address that is none"
    return f"to {url.scheme}://{url.host}" + (f":{url.port}" if url.port else "")


def litellm_client() -> Any:
    """LiteLLM's own client with these hooks."""
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

    return AsyncHTTPHandler(
        event_hooks={"request": [ask_plain], "response": [check_response]}, follow_redirects=False
    )


def openai_session() -> httpx.AsyncClient:
    """The same for providers that LiteLLM asks through OpenAI's client."""
    import httpx

    return httpx.AsyncClient(
        event_hooks={"request": [ask_plain], "response": [check_response]},
        follow_redirects=False,
        timeout=MAX_SECONDS,
    )
